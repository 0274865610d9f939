//! What is said on standard error: for a person as text, for a program as one JSON object a line.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::diagnostic::{Colours, SourceText, render};
use super::{json, progress};
use crate::error::{Error, Kind};
use crate::job::Account;

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StderrFormat {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// Relaxed: it is set before there is anybody who says something.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// A bug has been told of: what follows from it need not be.
static IS_BUG_TOLD: AtomicBool = AtomicBool::new(false);

/// Decides for the rest of the process.
pub fn set_format(format: StderrFormat) {
    IS_JSON.store(format == StderrFormat::Json, Ordering::Relaxed);
}

/// How it is said.
#[must_use]
pub fn format() -> StderrFormat {
    if IS_JSON.load(Ordering::Relaxed) { StderrFormat::Json } else { StderrFormat::Text }
}

/// Tells an error and its place in `source`.
pub fn tell(error: &Error, source: Option<&SourceText>) {
    if error.kind == Kind::Internal && IS_BUG_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    put(&match format() {
        StderrFormat::Text => render(error, source, Colours::of_stderr()),
        StderrFormat::Json => json::error(error, source),
    });
}

/// Says something that is no error.
pub fn note(text: &str) {
    match format() {
        StderrFormat::Text => put(text),
        StderrFormat::Json => put(&json::note(text)),
    }
}

/// Tells where the rows of a job went.
pub fn account(account: &Account) {
    match format() {
        StderrFormat::Text => put(&account.to_string()),
        StderrFormat::Json => put(&json::account(account)),
    }
}

/// Writes lines as they are. If nobody reads them, there is nobody to tell so.
pub fn put(lines: &str) {
    let write = || {
        let mut out = std::io::stderr().lock();
        let _ = writeln!(out, "{}", lines.trim_end());
    };
    progress::aside(write);
}
