//! A panic is a bug of ours: the user is told where, and the process ends with exit code 1, whatever else hangs.

use std::backtrace::Backtrace;
use std::time::Duration;

use super::interrupt;
use crate::connect::format::parquet::is_contained;
use crate::error::{Error, Kind};
use crate::report::stderr;

/// How long the other threads have to notice and to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// Tells of panics from now on.
pub(super) fn install() {
    std::panic::set_hook(Box::new(move |info| {
        // It becomes an error in the data, which is told as such.
        if is_contained() {
            return;
        }
        let text = info.payload_as_str().unwrap_or("a panic without a message");
        let place = info.location().map(|place| format!("{}:{}:{}", place.file(), place.line(), place.column()));
        let thread = std::thread::current();
        stderr::tell(&bug(text, place.as_deref(), thread.name()), None);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            stderr::note(&Backtrace::force_capture().to_string());
        }
        // A panic is passed on by whoever notices it. Should nobody, a process that hangs would be worse than one that
        // is gone.
        let _ = std::thread::Builder::new().name("panic-exit".to_owned()).spawn(|| {
            std::thread::sleep(GRACE);
            interrupt::end(Kind::Internal.exit_code())
        });
    }));
}

/// The bug as an error.
fn bug(text: &str, place: Option<&str>, thread: Option<&str>) -> Error {
    let place = place.unwrap_or("an unknown place");
    let thread = thread.unwrap_or("without a name");
    Error::internal(format!("{text} ({place}, thread {thread})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_says_where_it_is() {
        let error = bug("index out of bounds", Some("a.rs:1:2"), Some("worker-0"));
        assert_eq!(error.message, "index out of bounds (a.rs:1:2, thread worker-0)");
        assert_eq!(error.kind, Kind::Internal);
    }
}
