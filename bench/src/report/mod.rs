//! What is said of the measurements: the same figures for a terminal, for other programs, and for a page.

mod chart;
pub mod csv;
pub mod figures;
pub mod grid;
pub mod html;
pub mod json;
pub mod tables;

use std::path::PathBuf;

use thalweg_runtime::Fault;

use crate::cell::Cell;
use crate::conditions::Conditions;

/// Everything that one command measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// Where and how it was measured.
    pub conditions: Conditions,
    /// What a reader has to know to judge the figures, each a sentence or two.
    pub notes: Vec<String>,
    /// In the order of measurement.
    pub cells: Vec<Cell>,
}

/// Where reports go, besides the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Outputs {
    /// Write every figure as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write every figure as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write one page with charts that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

impl Outputs {
    /// Refuses a file that cannot be written before hours are spent on what is to be in it.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn check(&self) -> Result<(), Fault> {
        for path in [&self.csv, &self.json, &self.html, &self.markdown].into_iter().flatten() {
            let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Prints the tables and writes the files that were asked for.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, report: &Report) -> Result<(), Fault> {
        print!("{}", tables::text(report));
        let files = [
            (&self.csv, csv::text as fn(&Report) -> String),
            (&self.json, json::text),
            (&self.html, html::page),
            (&self.markdown, tables::markdown),
        ];
        for (path, text) in files {
            if let Some(path) = path {
                std::fs::write(path, text(report)).map_err(|error| format!("{}: {error}", path.display()))?;
                println!("written: {}", path.display());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
