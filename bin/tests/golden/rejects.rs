//! Files of rejects: what was written of the records that a case expects to be refused.

use std::fs;
use std::path::Path;

/// Compares the lines of a file of rejects, in order.
pub fn check(path: &Path, expected: &[String]) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let actual = text.lines().map(shortened).collect::<Result<Vec<_>, _>>()?;
    if actual == expected {
        return Ok(());
    }
    Err(format!("rejects:\n     got {}\nexpected {}", actual.join("\n         "), expected.join("\n         ")))
}

/// `source offset line column reason` of a line.
fn shortened(line: &str) -> Result<String, String> {
    let field = |key: &str| -> Result<String, String> {
        let (_, rest) = line.split_once(&format!("\"{key}\":")).ok_or_else(|| format!("no {key} in {line}"))?;
        let end = rest.find([',', '}']).ok_or_else(|| format!("no end of {key} in {line}"))?;
        Ok(if &rest[..end] == "null" { "-".to_owned() } else { rest[..end].trim_matches('"').to_owned() })
    };
    let source = field("source")?;
    let name = Path::new(&source).file_name().map(|name| name.to_string_lossy().into_owned());
    let parts = [name.unwrap_or_default(), field("offset")?, field("line")?, field("column")?, field("reason")?];
    Ok(parts.join(" "))
}
