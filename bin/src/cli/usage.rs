//! A command line that cannot be read: what is wrong with it, and what was probably meant.

use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Error, Kind};
use crate::report::stderr::{self, StderrFormat};

/// Flags of other programs, and what does here what they do there.
const FLAGS_ELSEWHERE: [(&str, &str); 12] = [
    ("--threads", "--workers N sets the number of worker threads"),
    ("--parallelism", "--workers N sets the number of worker threads"),
    ("--jobs", "--workers N sets the number of worker threads"),
    ("-j", "--workers N sets the number of worker threads"),
    ("-c", "-e \"SELECT ...\" runs SQL of the command line"),
    ("--command", "-e \"SELECT ...\" runs SQL of the command line"),
    ("--query", "-e \"SELECT ...\" runs SQL of the command line"),
    ("-f", "the file of SQL is named without a flag: thalweg run job.sql"),
    ("--file", "the file of SQL is named without a flag: thalweg run job.sql"),
    ("--json", "--format json writes results as JSON"),
    ("--csv", "--format csv writes results as CSV"),
    ("-v", "-V shows the version; EXPLAIN shows what a query does"),
];

/// Words that SQL begins with.
const STATEMENTS: [&str; 10] =
    ["SELECT", "WITH", "VALUES", "CREATE", "INSERT", "SET", "EXPLAIN", "DESCRIBE", "SHOW", "EXECUTE"];

/// Tells it, or shows the help that was asked for; gives the exit code.
pub(super) fn tell(mut error: clap::Error) -> u8 {
    let code = u8::try_from(error.exit_code()).unwrap_or(Kind::Statement.exit_code());
    if !error.use_stderr() {
        // Help and version; a closed pipe is nobody's concern.
        let _ = error.print();
        return code;
    }
    if let Some(advice) = advice(&error) {
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(advice)]));
    }
    if wants_json(std::env::args()) {
        stderr::set_format(StderrFormat::Json);
        stderr::tell(&plain(&error.render().to_string()), None);
    } else {
        let _ = error.print();
    }
    code
}

/// Whether the arguments ask for errors as JSON, as far as that can be told of arguments that are not in order.
fn wants_json(arguments: impl Iterator<Item = String>) -> bool {
    let arguments: Vec<String> = arguments.collect();
    let names = ["--format", "--error-format"];
    let is_pair = |pair: &[String]| names.contains(&pair[0].as_str()) && pair[1] == "json";
    let is_single = |argument: &String| names.iter().any(|name| *argument == format!("{name}=json"));
    arguments.windows(2).any(is_pair) || arguments.iter().any(is_single)
}

/// What was probably meant, where clap does not know better.
fn advice(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let given = text(ContextKind::InvalidSubcommand)?;
            let word = given.split_whitespace().next().unwrap_or_default().to_uppercase();
            if STATEMENTS.contains(&word.as_str()) {
                let quoted = given.replace('"', "\\\"");
                return Some(format!("to run SQL: thalweg run -e \"{quoted}\""));
            }
            let path = Path::new(given);
            let is_sql = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
            (is_sql || path.is_file()).then(|| format!("to run the statements of a file: thalweg run {given}"))
        }
        ErrorKind::UnknownArgument => {
            let given = text(ContextKind::InvalidArg)?;
            if let Some((_, advice)) = FLAGS_ELSEWHERE.iter().find(|(flag, _)| *flag == given) {
                return Some((*advice).to_owned());
            }
            // Where clap has no similar name to offer, it explains how to pass the flag as a file: hardly what was meant.
            let is_known = error.get(ContextKind::SuggestedArg).is_some();
            (!is_known && given.starts_with('-')).then(|| "the options are listed by --help".to_owned())
        }
        _ => None,
    }
}

/// The message and the tips as an error of ours.
fn plain(rendered: &str) -> Error {
    let rendered = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let (message, rest) = rendered.split_once("\n\n").unwrap_or((rendered, ""));
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tips: Vec<String> = rest.lines().filter_map(|line| line.trim().strip_prefix("tip: ")).map(one_line).collect();
    let error = Error::statement(one_line(message));
    if tips.is_empty() { error } else { error.help(tips.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_wanted_where_a_flag_says_so() {
        let wants = |line: &str| wants_json(line.split(' ').map(str::to_owned));
        assert!(wants("thalweg run --format json --x"));
        assert!(wants("thalweg check --x --error-format=json"));
        assert!(!wants("thalweg run --format csv json"));
        assert!(!wants("thalweg run --format"));
    }

    #[test]
    fn usage_errors_lose_their_layout_for_programs() {
        let error = plain("error: unexpected '--x'\n  [possible values: a]\n\n  tip: try\n  tip: this\n\nUsage: t\n");
        assert_eq!(error.message, "unexpected '--x' [possible values: a]");
        assert_eq!(error.help.as_deref(), Some("try; this"));
    }
}
