//! What to say of a path where nothing is.

use std::path::Path;

use super::options::nearest;

/// Names of a directory that are looked at for one that resembles the missing one.
const NAMES_MAX: usize = 10_000;

/// How the path was probably meant.
#[must_use]
pub fn advice(path: &str) -> String {
    if let Some(rest) = path.strip_prefix('~') {
        // Of `~user/…` the home is not known.
        return match std::env::var("HOME").ok().filter(|_| rest.is_empty() || rest.starts_with('/')) {
            Some(home) => format!("`~` is the shell's, and means nothing within quotes: write '{home}{rest}'"),
            None => "`~` is the shell's, and means nothing within quotes: write the path out".to_owned(),
        };
    }
    let whole = Path::new(path);
    let parent = whole.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if !parent.is_dir() {
        return format!("there is no directory '{}'", parent.display());
    }
    let names: Vec<String> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .take(NAMES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let missing = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match nearest(missing, &names) {
        Some(near) => format!("did you mean '{}'?", whole.with_file_name(near).display()),
        None => "check the path; a relative one starts at the directory of the process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_it_with_a_similar_name_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("trades.csv"), "").unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        assert_eq!(advice(&path("trade.csv")), format!("did you mean '{}'?", path("trades.csv")));
        assert!(advice(&path("weather.parquet")).starts_with("check the path"));
        assert_eq!(advice(&path("data/trades.csv")), format!("there is no directory '{}'", path("data")));
        assert!(advice("~no one/x.csv").contains("write the path out"));
    }
}
