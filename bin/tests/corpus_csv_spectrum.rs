//! The files of csv-spectrum, read by the binary and compared cell by cell with the JSON that comes with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/csv-spectrum")
}

/// Objects whose values are strings, as an array or one after the other.
fn objects(json: &str) -> Vec<Vec<(String, String)>> {
    let (mut objects, mut strings) = (Vec::new(), Vec::new());
    let mut characters = json.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => strings.push(string(&mut characters)),
            '}' => {
                let pairs = strings.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                objects.push(pairs.collect());
                strings.clear();
            }
            _ => assert!("[]{}:, \r\n".contains(character), "not an array of objects of strings: {character}"),
        }
    }
    objects
}

/// A string behind its opening quote, up to and with its closing one.
fn string(characters: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    loop {
        match characters.next().expect("a string ends") {
            '"' => return text,
            '\\' => match characters.next().expect("an escape has a second character") {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                other => {
                    assert!("\"\\/".contains(other), "an escape that no file has: {other}");
                    text.push(other);
                }
            },
            character => text.push(character),
        }
    }
}

/// Reads a file as a table of the columns that its JSON names, all strings, by the names in its header.
fn read(name: &str, expected: &[Vec<(String, String)>], options: &str) -> Output {
    let columns: Vec<_> = expected[0].iter().map(|(column, _)| format!("`{column}` STRING")).collect();
    let path = corpus().join("csvs").join(format!("{name}.csv"));
    let sql = format!(
        "CREATE TABLE t ({}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.header' = 'true'{options});
         SELECT * FROM t;",
        columns.join(", "),
        path.display(),
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["run", "--format", "json", "-e", &sql]).stdin(Stdio::null());
    command.output().expect("the binary was built with this test")
}

#[test]
fn every_cell_is_as_the_corpus_says() {
    let mut names: Vec<String> = fs::read_dir(corpus().join("csvs"))
        .expect("the corpus is there")
        .map(|file| file.expect("it can be listed").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names.len(), 12);
    for name in names {
        let json = fs::read_to_string(corpus().join("json").join(format!("{name}.json"))).expect("each has its JSON");
        let mut expected = objects(&json);
        if name == "location_coordinates" {
            // The corpus contradicts itself: its CSV has another number than its JSON.
            let number = &mut expected[0][0].1;
            assert_eq!(std::mem::replace(number, "2095257564".to_owned()), "1234567890");
        }
        // Quotes in fields that do not start with one: see below.
        let options = if name == "location_coordinates" { ", 'csv.disable-quote-character' = 'true'" } else { "" };
        let done = read(&name, &expected, options);
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(objects(&String::from_utf8_lossy(&done.stdout)), expected, "{name}");
    }
}

/// The one difference in reading: `37°36'37.8"N` has a quote in a field that does not start with one. RFC 4180 has no such field, and
/// what was meant cannot be known: as likely as degrees is a quote that was forgotten. It is refused, at its place.
#[test]
fn a_quote_within_an_unquoted_field_is_refused() {
    let expected =
        objects(&fs::read_to_string(corpus().join("json/location_coordinates.json")).expect("the file is there"));
    let done = read("location_coordinates", &expected, "");
    assert_eq!(done.status.code(), Some(3), "{done:?}");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(told.contains("a quote within the unquoted field"), "{told}");
    assert!(told.contains(r#"location_coordinates.csv","line":2,"column":12"#), "{told}");
    assert!(told.contains("'csv.disable-quote-character' = 'true'"), "{told}");
}
