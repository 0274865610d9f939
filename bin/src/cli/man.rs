//! `thalweg man`: the manual pages, made from the same declarations as `--help`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, say};
use crate::error::{Error, Result};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg man --out ~/.local/share/man/man1
  thalweg man run | man -l -";

/// `thalweg man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page is written to standard output, such as `run` or `gen trades`; without it thalweg's own
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Directory that gets one file for each command: thalweg.1, thalweg-run.1 and so on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes one page to standard output, or all of them to a directory.
///
/// # Errors
/// If the command is not known, or a file cannot be written.
pub(super) fn write(args: &ManArgs) -> Result<()> {
    let mut command = Cli::command();
    // Gives subcommands their full names.
    command.build();
    match &args.out {
        Some(directory) => write_all(&command, directory),
        None => {
            let page = page(find(&command, &args.command)?)?;
            say(&String::from_utf8_lossy(&page))
        }
    }
}

fn find<'a>(command: &'a Command, names: &[String]) -> Result<&'a Command> {
    names.iter().try_fold(command, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<&str> = shown(command).map(Command::get_name).collect();
            Error::statement(format!("there is no command `{name}`")).help(match &known[..] {
                [] => format!("`{}` has no commands of its own", command.get_name()),
                known => format!("there are {}", known.join(", ")),
            })
        })
    })
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Error::internal(format!("a manual page cannot be made: {error}")))?;
    Ok(page)
}

fn write_all(command: &Command, directory: &Path) -> Result<()> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Error::connector(format!("cannot write '{path}': {error}"))
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let mut left = vec![command];
    while let Some(command) = left.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = directory.join(format!("{name}.1"));
        fs::write(&path, page(command)?).map_err(failed(&path))?;
        left.extend(shown(command));
    }
    Ok(())
}
