//! Characters and numbers in other notations, and tests of what a string holds.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_cast::base64::{BASE64_STANDARD, Engine as _};
use datafusion_expr::ScalarUDF;

use super::arguments::Parameter::{Integer, Text};
use super::arguments::accept;
use super::binding::{Argument, Binding, Declared, Form, Value};
use super::columns::{Bytes, Numbers, Strings, boolean_rows, primitive_rows, string_rows};
use super::numerals::parse_double;
use crate::error::Result;
use crate::sql::types::FlinkType;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("ASCII", bind_ascii),
        call("CHR", bind_chr),
        call("BIN", bind_bin),
        call("HEX", bind_hex),
        call("TO_BASE64", bind_to_base64),
        call("FROM_BASE64", bind_from_base64),
        call("IS_ALPHA", |name, arguments| holds(name, arguments, |text| text.chars().all(char::is_alphabetic))),
        call("IS_DIGIT", |name, arguments| holds(name, arguments, |text| text.chars().all(char::is_numeric))),
        call("IS_DECIMAL", |name, arguments| holds(name, arguments, |text| parse_double(text).is_some())),
    ]
}

/// A test of a string, which an empty one and NULL fail; of a number, which passes unless it is about letters.
fn holds(name: &'static str, arguments: &[Argument], f: fn(&str) -> bool) -> Result<Binding> {
    use super::binding::Nullness::Impossible;
    if let [argument] = arguments
        && argument.flink.is_numeric()
    {
        let is_held = match name {
            "IS_DECIMAL" => true,
            "IS_DIGIT" => argument.flink.is_integer(),
            _ => false,
        };
        let kernel = move |arguments: &[Value], rows: usize| {
            boolean_rows(rows, |row| Ok(Some(is_held && !arguments[0].is_null(row))))
        };
        return Ok(Binding::strict(vec![argument.flink], FlinkType::Boolean, kernel).with_nullness(Impossible));
    }
    let types = accept(name, &format!("{name}(string)"), &[Text], 1, arguments)?;
    let kernel = move |arguments: &[Value], rows: usize| {
        let texts = Strings::of(&arguments[0]);
        boolean_rows(rows, |row| Ok(Some(texts.get(row).is_some_and(|text| !text.is_empty() && f(text)))))
    };
    Ok(Binding::strict(types, FlinkType::Boolean, kernel).with_nullness(Impossible))
}

/// The first byte, as Java has it: with a sign.
fn bind_ascii(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "ASCII(string)", &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::Int, |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        primitive_rows::<Int32Type>(rows, FlinkType::Int, |row| {
            Ok(texts.get(row).map(|text| i32::from(text.bytes().next().unwrap_or(0).cast_signed())))
        })
    }))
}

fn bind_chr(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "CHR(integer)", &[Integer], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let codes = Numbers::<Int64Type>::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(code) = codes.get(row) else { return Ok(false) };
            if code >= 0 {
                out.push(char::from((code & 0xff) as u8));
            }
            Ok(true)
        })
    }))
}

fn bind_bin(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "BIN(integer)", &[Integer], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let numbers = Numbers::<Int64Type>::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(number) = numbers.get(row) else { return Ok(false) };
            out.push_str(&format!("{number:b}"));
            Ok(true)
        })
    }))
}

fn bind_hex(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    if let [argument] = arguments
        && argument.flink.is_integer()
    {
        return Ok(Binding::strict(vec![FlinkType::BigInt], FlinkType::STRING, |arguments, rows| {
            let numbers = Numbers::<Int64Type>::of(&arguments[0]);
            string_rows(rows, |row, out| {
                let Some(number) = numbers.get(row) else { return Ok(false) };
                out.push_str(&format!("{number:X}"));
                Ok(true)
            })
        }));
    }
    let types = accept(name, "HEX(integer or string)", &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(text) = texts.get(row) else { return Ok(false) };
            text.bytes().for_each(|byte| out.push_str(&format!("{byte:02X}")));
            Ok(true)
        })
    }))
}

fn bind_to_base64(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    if let [argument] = arguments
        && argument.flink.is_bytes()
    {
        return Ok(Binding::strict(vec![FlinkType::BYTES], FlinkType::STRING, |arguments, rows| {
            let bytes = Bytes::of(&arguments[0]);
            string_rows(rows, |row, out| {
                let Some(bytes) = bytes.get(row) else { return Ok(false) };
                BASE64_STANDARD.encode_string(bytes, out);
                Ok(true)
            })
        }));
    }
    let types = accept(name, "TO_BASE64(string)", &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(text) = texts.get(row) else { return Ok(false) };
            BASE64_STANDARD.encode_string(text, out);
            Ok(true)
        })
    }))
}

fn bind_from_base64(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    let types = accept(name, "FROM_BASE64(string)", &[Text], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::STRING, |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        string_rows(rows, |row, out| {
            let Some(text) = texts.get(row) else { return Ok(false) };
            let bytes = BASE64_STANDARD.decode(text).map_err(|error| format!("'{text}' is not base64: {error}"))?;
            out.push_str(&String::from_utf8(bytes).map_err(|_| format!("'{text}' is base64 of what is no text"))?);
            Ok(true)
        })
    }))
}
