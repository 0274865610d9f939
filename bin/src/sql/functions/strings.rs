//! Functions of strings. Positions and lengths count characters, from 1.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::{Int32Type, Int64Type};
use datafusion_expr::ScalarUDF;

use super::arguments::Parameter::{self, AsText, Integer, Text};
use super::arguments::accept;
use super::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use super::columns::{Numbers, Strings, boolean_rows, primitive_rows, slice_rows, string_rows};
use crate::error::Result;
use crate::sql::types::FlinkType;

/// Longest string that REPEAT, LPAD and RPAD make, in characters: more is surely a mistake in the data.
const MADE_CHARACTERS_MAX: i64 = 1 << 24;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("LOWER", |name, arguments| mapped(name, arguments, |text, out| out.push_str(&text.to_lowercase()))),
        call("UPPER", |name, arguments| mapped(name, arguments, |text, out| out.push_str(&text.to_uppercase()))),
        call("INITCAP", |name, arguments| mapped(name, arguments, initcap)),
        call("REVERSE", |name, arguments| mapped(name, arguments, |text, out| out.extend(text.chars().rev()))),
        call("TRIM", |name, arguments| trimmed(name, arguments, Side::Both)),
        call("BTRIM", |name, arguments| trimmed(name, arguments, Side::Both)),
        call("LTRIM", |name, arguments| trimmed(name, arguments, Side::Left)),
        call("RTRIM", |name, arguments| trimmed(name, arguments, Side::Right)),
        call("CHAR_LENGTH", |name, arguments| measured(name, arguments, |text| text.chars().count())),
        call("CHARACTER_LENGTH", |name, arguments| measured(name, arguments, |text| text.chars().count())),
        call("LENGTH", |name, arguments| measured(name, arguments, |text| text.chars().count())),
        call("OCTET_LENGTH", |name, arguments| measured(name, arguments, str::len)),
        call("SUBSTRING", bind_substring),
        call("SUBSTR", bind_substring),
        call("LEFT", |name, arguments| bind_end(name, arguments, Side::Left)),
        call("RIGHT", |name, arguments| bind_end(name, arguments, Side::Right)),
        call("LPAD", |name, arguments| bind_pad(name, arguments, Side::Left)),
        call("RPAD", |name, arguments| bind_pad(name, arguments, Side::Right)),
        call("REPEAT", bind_repeat),
        call("REPLACE", bind_replace),
        call("TRANSLATE", bind_translate),
        call("OVERLAY", bind_overlay),
        call("CONCAT", bind_concat),
        Declared::udf("||", Form::Infix, bind_concat),
        call("CONCAT_WS", bind_concat_ws),
        call("ELT", bind_elt),
        call("SPLIT_INDEX", bind_split_index),
        call("POSITION", bind_position),
        call("LOCATE", bind_locate),
        call("INSTR", bind_instr),
        call("STARTSWITH", |name, arguments| tested(name, arguments, |text, part| text.starts_with(part))),
        call("ENDSWITH", |name, arguments| tested(name, arguments, |text, part| text.ends_with(part))),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

/// A function of one string that gives a string.
fn mapped(name: &str, arguments: &[Argument], f: fn(&str, &mut String)) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string)"), &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, move |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(text) = texts.get(row) else { return Ok(false) };
            f(text, out);
            Ok(true)
        })
    }))
}

/// A function of one string that gives a length.
fn measured(name: &str, arguments: &[Argument], f: fn(&str) -> usize) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string)"), &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::Int, move |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| Ok(texts.get(row).map(|text| int(f(text)))))
    }))
}

/// A test of two strings.
fn tested(name: &str, arguments: &[Argument], f: fn(&str, &str) -> bool) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string, part)"), &[Text, Text], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::Boolean, move |arguments, rows| {
        let (texts, parts) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        boolean_rows(rows, |row| Ok(texts.get(row).zip(parts.get(row)).map(|(text, part)| f(text, part))))
    }))
}

/// A length or position; strings are shorter than 2 GiB.
fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn initcap(text: &str, out: &mut String) {
    let mut is_within_word = false;
    for character in text.chars() {
        match (character.is_alphanumeric(), is_within_word) {
            (true, false) => out.extend(character.to_uppercase()),
            _ => out.extend(character.to_lowercase()),
        }
        is_within_word = character.is_alphanumeric();
    }
}

fn trimmed(name: &str, arguments: &[Argument], side: Side) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string)"), &[Text, Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, move |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        let sets = arguments.get(1).map(Strings::of);
        slice_rows(rows, |row| {
            let set = match &sets {
                None => Some(" "),
                Some(sets) => sets.get(row),
            };
            Ok(texts.get(row).zip(set).map(|(text, set)| {
                let is_cut = |character: char| set.contains(character);
                match side {
                    Side::Left => text.trim_start_matches(is_cut),
                    Side::Right => text.trim_end_matches(is_cut),
                    Side::Both => text.trim_matches(is_cut),
                }
            }))
        })
    }))
}

/// Byte position of a character; the end of the text for those beyond it.
fn byte_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

fn bind_substring(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "SUBSTRING(string FROM start FOR length)", &[Text, Integer, Integer], 2, arguments)?;
    let kernel = |arguments: &[Value], rows: usize| -> Result<ArrayRef, String> {
        let (texts, starts) = (Strings::of(&arguments[0]), Numbers::<Int64Type>::of(&arguments[1]));
        let lengths = arguments.get(2).map(Numbers::<Int64Type>::of);
        slice_rows(rows, |row| {
            let length = match &lengths {
                None => Some(i64::MAX),
                Some(lengths) => lengths.get(row),
            };
            let (Some(text), Some(start), Some(length)) = (texts.get(row), starts.get(row), length) else {
                return Ok(None);
            };
            Ok(substring(text, start, length))
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

/// A start below 0 counts from the end, 0 is the same as 1; NULL for a negative length.
fn substring(text: &str, start: i64, length: i64) -> Option<&str> {
    let length = usize::try_from(length).ok()?;
    let skipped = match start {
        0 => 0,
        1.. => usize::try_from(start - 1).unwrap_or(usize::MAX),
        _ => match characters(text).checked_sub(usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX)) {
            Some(skipped) => skipped,
            None => return Some(""),
        },
    };
    let rest = &text[byte_of(text, skipped)..];
    Some(&rest[..byte_of(rest, length)])
}

fn bind_end(name: &'static str, arguments: &[Argument], side: Side) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string, length)"), &[Text, Integer], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, move |arguments, rows| {
        let (texts, lengths) = (Strings::of(&arguments[0]), Numbers::<Int64Type>::of(&arguments[1]));
        slice_rows(rows, |row| {
            let Some((text, length)) = texts.get(row).zip(lengths.get(row)) else { return Ok(None) };
            let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
            Ok(Some(match side {
                Side::Right => &text[byte_of(text, characters(text).saturating_sub(length))..],
                _ => &text[..byte_of(text, length)],
            }))
        })
    }))
}

fn made_length(length: i64) -> Result<usize, String> {
    if length > MADE_CHARACTERS_MAX {
        return Err(format!("a string of {length} characters; the most is {MADE_CHARACTERS_MAX}"));
    }
    Ok(usize::try_from(length).unwrap_or(0))
}

fn bind_pad(name: &'static str, arguments: &[Argument], side: Side) -> Result<Binding> {
    let types = accept(name, &format!("{name}(string, length, pad)"), &[Text, Integer, Text], 3, arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let (texts, lengths) = (Strings::of(&arguments[0]), Numbers::<Int64Type>::of(&arguments[1]));
        let pads = Strings::of(&arguments[2]);
        string_rows(rows, |row, out| {
            let (Some(text), Some(length), Some(pad)) = (texts.get(row), lengths.get(row), pads.get(row)) else {
                return Ok(false);
            };
            if length < 0 || pad.is_empty() {
                return Ok(false);
            }
            let length = made_length(length)?;
            let kept = &text[..byte_of(text, length)];
            let padding = pad.chars().cycle().take(length - characters(kept));
            if side == Side::Left {
                out.extend(padding);
                out.push_str(kept);
            } else {
                out.push_str(kept);
                out.extend(padding);
            }
            Ok(true)
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

fn bind_repeat(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "REPEAT(string, times)", &[Text, Integer], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let (texts, times) = (Strings::of(&arguments[0]), Numbers::<Int64Type>::of(&arguments[1]));
        string_rows(rows, |row, out| {
            let Some((text, times)) = texts.get(row).zip(times.get(row)) else { return Ok(false) };
            let length = times.max(0).saturating_mul(text.len() as i64);
            made_length(length)?;
            if length > 0 {
                (0..times).for_each(|_| out.push_str(text));
            }
            Ok(true)
        })
    }))
}

fn bind_replace(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "REPLACE(string, old, new)", &[Text, Text, Text], 3, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let [texts, olds, news] = [0, 1, 2].map(|place| Strings::of(&arguments[place]));
        string_rows(rows, |row, out| {
            let (Some(text), Some(old), Some(new)) = (texts.get(row), olds.get(row), news.get(row)) else {
                return Ok(false);
            };
            let times = if new.len() > old.len() { text.matches(old).count() as i64 } else { 0 };
            made_length(times.saturating_mul(new.len() as i64))?;
            let mut end = 0;
            for (at, found) in text.match_indices(old) {
                out.push_str(&text[end..at]);
                out.push_str(new);
                end = at + found.len();
            }
            out.push_str(&text[end..]);
            Ok(true)
        })
    }))
}

fn bind_translate(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "TRANSLATE(string, from, to)", &[Text, Text, Text], 3, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let [texts, froms, tos] = [0, 1, 2].map(|place| Strings::of(&arguments[place]));
        string_rows(rows, |row, out| {
            let (Some(text), Some(from), Some(to)) = (texts.get(row), froms.get(row), tos.get(row)) else {
                return Ok(false);
            };
            for character in text.chars() {
                match from.chars().position(|known| known == character) {
                    None => out.push(character),
                    Some(place) => out.extend(to.chars().nth(place)),
                }
            }
            Ok(true)
        })
    }))
}

fn bind_overlay(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "OVERLAY(string PLACING new FROM start FOR length)";
    let types = accept(name, usage, &[Text, Text, Integer, Integer], 3, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let (texts, news) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let starts = Numbers::<Int64Type>::of(&arguments[2]);
        let lengths = arguments.get(3).map(Numbers::<Int64Type>::of);
        string_rows(rows, |row, out| {
            let (Some(text), Some(new), Some(start)) = (texts.get(row), news.get(row), starts.get(row)) else {
                return Ok(false);
            };
            let length = match &lengths {
                None => Some(characters(new) as i64),
                Some(lengths) => lengths.get(row),
            };
            let Some(length) = length else { return Ok(false) };
            let count = characters(text) as i64;
            if start <= 0 || start > count {
                out.push_str(text);
                return Ok(true);
            }
            out.push_str(&text[..byte_of(text, (start - 1) as usize)]);
            out.push_str(new);
            // With no length, or one past the end, nothing of the rest stays.
            if length > 0 && length <= count - start {
                out.push_str(&text[byte_of(text, (start - 1 + length) as usize)..]);
            }
            Ok(true)
        })
    }))
}

fn bind_concat(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let parameters = vec![AsText; arguments.len().max(1)];
    let types = accept(name, "CONCAT(string, …)", &parameters, 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let parts: Vec<_> = arguments.iter().map(Strings::of).collect();
        string_rows(rows, |row, out| {
            for part in &parts {
                let Some(text) = part.get(row) else { return Ok(false) };
                out.push_str(text);
            }
            Ok(true)
        })
    }))
}

fn bind_concat_ws(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let mut parameters: Vec<Parameter> = vec![AsText; arguments.len().max(1)];
    parameters[0] = Text;
    let types = accept(name, "CONCAT_WS(separator, string, …)", &parameters, 1, arguments)?;
    let kernel = |arguments: &[Value], rows: usize| {
        let separators = Strings::of(&arguments[0]);
        let parts: Vec<_> = arguments[1..].iter().map(Strings::of).collect();
        string_rows(rows, |row, out| {
            let Some(separator) = separators.get(row) else { return Ok(false) };
            for (place, text) in parts.iter().filter_map(|part| part.get(row)).enumerate() {
                if place > 0 {
                    out.push_str(separator);
                }
                out.push_str(text);
            }
            Ok(true)
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

fn bind_elt(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let mut parameters = vec![Text; arguments.len().max(2)];
    parameters[0] = Integer;
    let types = accept(name, "ELT(index, string, …)", &parameters, 2, arguments)?;
    let kernel = |arguments: &[Value], rows: usize| {
        let indices = Numbers::<Int64Type>::of(&arguments[0]);
        let choices: Vec<_> = arguments[1..].iter().map(Strings::of).collect();
        slice_rows(rows, |row| {
            let place = indices.get(row).and_then(|index| usize::try_from(index.checked_sub(1)?).ok());
            Ok(place.and_then(|place| choices.get(place)).and_then(|choice| choice.get(row)))
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

fn bind_split_index(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "SPLIT_INDEX(string, separator, index)";
    let is_code = arguments.get(1).is_some_and(|separator| separator.flink.is_integer());
    let separator = if is_code { Integer } else { Text };
    let types = accept(name, usage, &[Text, separator, Integer], 3, arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let (texts, indices) = (Strings::of(&arguments[0]), Numbers::<Int64Type>::of(&arguments[2]));
        let place = |row: usize| indices.get(row).and_then(|index| usize::try_from(index).ok());
        if is_code {
            let codes = Numbers::<Int64Type>::of(&arguments[1]);
            return slice_rows(rows, |row| {
                let code = codes.get(row).and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
                let (Some(text), Some(code), Some(place)) = (texts.get(row), code, place(row)) else { return Ok(None) };
                Ok((!text.is_empty()).then(|| text.split(char::from(code)).nth(place)).flatten())
            });
        }
        let separators = Strings::of(&arguments[1]);
        slice_rows(rows, |row| {
            let (Some(text), Some(separator), Some(place)) = (texts.get(row), separators.get(row), place(row)) else {
                return Ok(None);
            };
            Ok(match (text.is_empty(), separator.is_empty()) {
                (true, _) => None,
                // Flink's library takes an empty separator for "any blank".
                (false, true) => text.split(char::is_whitespace).nth(place),
                (false, false) => text.split(separator).nth(place),
            })
        })
    };
    Ok(Binding::strict(types, FlinkType::STRING, kernel).with_nullness(Nullness::Possible))
}

/// Position of `part` in `text` at or behind `from`, which counts from 1; 0 where it is not found.
fn find(text: &str, part: &str, from: i64) -> i32 {
    if part.is_empty() {
        return 1;
    }
    let skipped = usize::try_from(from.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    let start = byte_of(text, skipped);
    match text[start..].find(part) {
        Some(at) => int(characters(&text[..start + at]) + 1),
        None => 0,
    }
}

/// The front-end turns `POSITION(part IN text)` around.
fn bind_position(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "POSITION(part IN string)", &[Text, Text], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::Int, |arguments, rows| {
        let (texts, parts) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            Ok(texts.get(row).zip(parts.get(row)).map(|(text, part)| find(text, part, 1)))
        })
    }))
}

fn bind_locate(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "LOCATE(part, string, start)", &[Text, Text, Integer], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::Int, |arguments, rows| {
        let (parts, texts) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let starts = arguments.get(2).map(Numbers::<Int64Type>::of);
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            let start = match &starts {
                None => Some(1),
                Some(starts) => starts.get(row),
            };
            let (Some(part), Some(text), Some(start)) = (parts.get(row), texts.get(row), start) else {
                return Ok(None);
            };
            Ok(Some(find(text, part, start)))
        })
    }))
}

fn bind_instr(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let usage = "INSTR(string, part, start, occurrence)";
    let types = accept(name, usage, &[Text, Text, Integer, Integer], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::Int, |arguments, rows| {
        let (texts, parts) = (Strings::of(&arguments[0]), Strings::of(&arguments[1]));
        let [starts, occurrences] = [2, 3].map(|place| arguments.get(place).map(Numbers::<Int64Type>::of));
        let given = |numbers: &Option<Numbers<'_, Int64Type>>, row| match numbers {
            None => Some(1),
            Some(numbers) => numbers.get(row),
        };
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            let (Some(text), Some(part)) = (texts.get(row), parts.get(row)) else { return Ok(None) };
            let (Some(start), Some(occurrence)) = (given(&starts, row), given(&occurrences, row)) else {
                return Ok(None);
            };
            if occurrence <= 0 {
                return Err(format!("occurrence {occurrence}: it counts from 1"));
            }
            Ok(Some(instr(text, part, start, occurrence)))
        })
    }))
}

/// The position of an occurrence; a start below 0 counts from the end and searches backwards.
fn instr(text: &str, part: &str, start: i64, occurrence: i64) -> i32 {
    match start {
        0 => 0,
        1.. if part.is_empty() => 1,
        1.. => {
            let mut from = start;
            let mut found = 0;
            for _ in 0..occurrence {
                found = find(text, part, from);
                if found == 0 {
                    return 0;
                }
                from = i64::from(found) + 1;
            }
            found
        }
        _ => {
            let backwards = |text: &str| text.chars().rev().collect::<String>();
            match instr(&backwards(text), &backwards(part), start.saturating_neg(), occurrence) {
                0 => 0,
                found => int(characters(text)) + 2 - found - int(characters(part)),
            }
        }
    }
}
