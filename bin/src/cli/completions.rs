//! `thalweg completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, say};
use crate::error::{Error, Result};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg completions bash > ~/.local/share/bash-completion/completions/thalweg
  thalweg completions zsh > ~/.zfunc/_thalweg
  thalweg completions fish > ~/.config/fish/completions/thalweg.fish";

/// `thalweg completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Writes them to standard output.
///
/// # Errors
/// If it cannot be written to.
pub(super) fn write(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "thalweg", &mut text);
    say(&String::from_utf8(text).map_err(|error| Error::internal(format!("completions are not text: {error}")))?)
}
