//! Calls into the decoder of Parquet, which is known to panic on damaged input: a panic there is an error in the data.
//!
//! Everything the decoder was given is thrown away after a panic, so that nothing half-made is ever looked at again.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a call whose panic becomes an error: such a panic is nothing to tell the user.
#[must_use]
pub fn is_contained() -> bool {
    IS_CONTAINED.get()
}

/// Calls `decode`; its error, or what it panicked with, as text.
///
/// # Errors
/// If `decode` fails or panics.
pub fn contained<T, E: std::fmt::Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let before = IS_CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    IS_CONTAINED.set(before);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(plain(&error.to_string())),
        Err(panic) => Err(format!("the decoder gave up: {}", plain(&message_of(panic.as_ref())))),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a reason".to_owned())
}

/// One line without the decoder's own prefixes, of a bounded length: it may quote the input.
fn plain(text: &str) -> String {
    let prefixes = ["Parquet error: ", "Parquet argument error: ", "ParquetError: ", "Arrow: ", "EOF: ", "External: "];
    let mut text = text;
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    line.trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_flag_is_put_back() {
        let failed = contained(|| -> Result<(), String> {
            assert!(is_contained());
            panic!("index {} out of range", 7)
        });
        assert_eq!(failed, Err("the decoder gave up: index 7 out of range".to_owned()));
        assert!(!is_contained());
        assert_eq!(contained(|| Err::<(), _>("Parquet error: EOF: x\ny")), Err("x".to_owned()));
        assert_eq!(contained(|| Ok::<_, String>(1)), Ok(1));
    }
}
