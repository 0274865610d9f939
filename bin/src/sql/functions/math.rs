//! Functions of numbers. Those of DOUBLE follow Java's `Math`: NaN and infinities come out where they do there.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array};
use datafusion_expr::ScalarUDF;

use super::arguments::Parameter::Double;
use super::arguments::{accept, literal_integer};
use super::binding::{Argument, Binding, Declared, Form, Nullness, Value};
use super::columns::{Numbers, all_null, binary, primitive_rows, unary};
use super::conditional::no_common_type;
use crate::error::{Error, Result};
use crate::sql::arithmetic::decimals::{divide_half_up, fits, power_of_ten};
use crate::sql::types::FlinkType;
use crate::sql::typing::common_type;

/// The functions of this family.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let call = |name, bind| Declared::udf(name, Form::Call, bind);
    vec![
        call("SQRT", |name, arguments| real(name, arguments, f64::sqrt)),
        call("LN", |name, arguments| real(name, arguments, f64::ln)),
        call("LOG10", |name, arguments| real(name, arguments, f64::log10)),
        call("LOG2", |name, arguments| real(name, arguments, |x| x.ln() / 2_f64.ln())),
        call("EXP", |name, arguments| real(name, arguments, f64::exp)),
        call("SIN", |name, arguments| real(name, arguments, f64::sin)),
        call("COS", |name, arguments| real(name, arguments, f64::cos)),
        call("TAN", |name, arguments| real(name, arguments, f64::tan)),
        call("COT", |name, arguments| real(name, arguments, |x| 1.0 / x.tan())),
        call("ASIN", |name, arguments| real(name, arguments, f64::asin)),
        call("ACOS", |name, arguments| real(name, arguments, f64::acos)),
        call("ATAN", |name, arguments| real(name, arguments, f64::atan)),
        call("SINH", |name, arguments| real(name, arguments, f64::sinh)),
        call("COSH", |name, arguments| real(name, arguments, f64::cosh)),
        call("TANH", |name, arguments| real(name, arguments, f64::tanh)),
        call("DEGREES", |name, arguments| real(name, arguments, f64::to_degrees)),
        call("RADIANS", |name, arguments| real(name, arguments, f64::to_radians)),
        call("ATAN2", |name, arguments| real_pair(name, arguments, f64::atan2)),
        call("POWER", |name, arguments| real_pair(name, arguments, f64::powf)),
        call("LOG", bind_log),
        call("PI", |name, arguments| constant(name, arguments, std::f64::consts::PI)),
        call("E", |name, arguments| constant(name, arguments, std::f64::consts::E)),
        call("ABS", |name, arguments| per_type(name, arguments, Change::Abs)),
        call("SIGN", |name, arguments| per_type(name, arguments, Change::Sign)),
        call("FLOOR", |name, arguments| bind_whole(name, arguments, Change::Floor)),
        call("CEIL", |name, arguments| bind_whole(name, arguments, Change::Ceil)),
        call("CEILING", |name, arguments| bind_whole(name, arguments, Change::Ceil)),
        call("ROUND", |name, arguments| bind_round(name, arguments, Rounding::HalfUp)),
        call("TRUNCATE", |name, arguments| bind_round(name, arguments, Rounding::Down)),
        call("GREATEST", |name, arguments| bind_extreme(name, arguments, std::cmp::Ordering::Greater)),
        call("LEAST", |name, arguments| bind_extreme(name, arguments, std::cmp::Ordering::Less)),
    ]
}

fn real(name: &str, arguments: &[Argument], f: fn(f64) -> f64) -> Result<Binding> {
    let types = accept(name, &format!("{name}(number)"), &[Double], 1, arguments)?;
    Ok(Binding::strict(types, FlinkType::Double, move |arguments, rows| {
        Ok(unary::<Float64Type, Float64Type>(arguments, rows, FlinkType::Double, f))
    }))
}

fn real_pair(name: &str, arguments: &[Argument], f: fn(f64, f64) -> f64) -> Result<Binding> {
    let types = accept(name, &format!("{name}(number, number)"), &[Double, Double], 2, arguments)?;
    Ok(Binding::strict(types, FlinkType::Double, move |arguments, rows| {
        Ok(binary::<Float64Type, Float64Type, Float64Type>(arguments, rows, FlinkType::Double, f))
    }))
}

fn bind_log(name: &'static str, arguments: &[Argument]) -> Result<Binding> {
    match arguments {
        [_] => real(name, arguments, f64::ln),
        _ => real_pair(name, arguments, |base, x| x.ln() / base.ln()),
    }
}

fn constant(name: &str, arguments: &[Argument], value: f64) -> Result<Binding> {
    let types = accept(name, &format!("{name}()"), &[], 0, arguments)?;
    let kernel = move |_: &[Value], rows: usize| -> Result<ArrayRef, String> {
        Ok(Arc::new(Float64Array::from_value(value, rows)))
    };
    Ok(Binding::strict(types, FlinkType::Double, kernel).with_nullness(Nullness::Impossible))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Abs,
    Sign,
    Floor,
    Ceil,
}

impl Change {
    fn of_real(self, value: f64) -> f64 {
        match self {
            Self::Abs => value.abs(),
            Self::Floor => value.floor(),
            Self::Ceil => value.ceil(),
            // Java's signum keeps NaN and the zeros.
            Self::Sign if value.is_nan() || value == 0.0 => value,
            Self::Sign => value.signum(),
        }
    }

    /// Of an unscaled value; the result has no digits after the point for FLOOR and CEIL, and else the same scale.
    fn of_decimal(self, value: i128, unit: i128) -> i128 {
        match self {
            Self::Abs => value.wrapping_abs(),
            Self::Sign => value.signum() * unit,
            Self::Floor => value.div_euclid(unit),
            Self::Ceil => value.div_euclid(unit) + i128::from(value.rem_euclid(unit) != 0),
        }
    }
}

fn single<'a>(name: &str, arguments: &'a [Argument]) -> Result<&'a Argument> {
    match arguments {
        [argument] => Ok(argument),
        _ => Err(Error::statement(format!("{name} takes one argument, not {}", arguments.len()))),
    }
}

/// FLOOR and CEIL: of a number, or with a unit of a point in time.
fn bind_whole(name: &'static str, arguments: &[Argument], change: Change) -> Result<Binding> {
    match arguments {
        [point, unit] => super::temporal::bind_rounding(name, point, unit, change == Change::Ceil),
        _ => per_type(name, arguments, change),
    }
}

/// A function that gives the type of its argument.
fn per_type(name: &'static str, arguments: &[Argument], change: Change) -> Result<Binding> {
    let flink = single(name, arguments)?.flink;
    let flink = if flink == FlinkType::Null { FlinkType::Int } else { flink };
    Ok(match flink {
        FlinkType::TinyInt => of_integer::<Int8Type>(flink, change),
        FlinkType::SmallInt => of_integer::<Int16Type>(flink, change),
        FlinkType::Int => of_integer::<Int32Type>(flink, change),
        FlinkType::BigInt => of_integer::<Int64Type>(flink, change),
        FlinkType::Float => Binding::strict(vec![flink], flink, move |arguments, rows| {
            let f = |value: f32| change.of_real(f64::from(value)) as f32;
            Ok(unary::<Float32Type, Float32Type>(arguments, rows, flink, f))
        }),
        FlinkType::Double => Binding::strict(vec![flink], flink, move |arguments, rows| {
            Ok(unary::<Float64Type, Float64Type>(arguments, rows, flink, |value| change.of_real(value)))
        }),
        FlinkType::Decimal(precision, scale) => {
            let is_whole = matches!(change, Change::Floor | Change::Ceil);
            let result = if is_whole { FlinkType::Decimal(precision, 0) } else { flink };
            let unit = power_of_ten(scale);
            Binding::strict(vec![flink], result, move |arguments, rows| {
                let numbers = Numbers::<Decimal128Type>::of(&arguments[0]);
                primitive_rows::<Decimal128Type>(rows, result, |row| match numbers.get(row) {
                    None => Ok(None),
                    Some(number) => {
                        let changed = change.of_decimal(number, unit);
                        fits(changed, precision)
                            .then_some(Some(changed))
                            .ok_or_else(|| format!("the result does not fit {result}"))
                    }
                })
            })
        }
        other => return Err(Error::statement(format!("{name} takes a number, not {other}"))),
    })
}

fn of_integer<T>(flink: FlinkType, change: Change) -> Binding
where
    T: arrow_array::ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    Binding::strict(vec![flink], flink, move |arguments, rows| {
        let numbers = Numbers::<T>::of(&arguments[0]);
        primitive_rows::<T>(rows, flink, |row| {
            let Some(number) = numbers.get(row) else { return Ok(None) };
            let wide: i64 = number.into();
            let changed = match change {
                Change::Abs => wide.checked_abs(),
                Change::Sign => Some(wide.signum()),
                Change::Floor | Change::Ceil => Some(wide),
            };
            let changed = changed.and_then(|changed| T::Native::try_from(changed).ok());
            changed.map(Some).ok_or_else(|| format!("ABS({wide}) does not fit {flink}"))
        })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    HalfUp,
    Down,
}

/// ROUND and TRUNCATE to a number of digits after the point, which may be negative.
fn bind_round(name: &'static str, arguments: &[Argument], rounding: Rounding) -> Result<Binding> {
    let (number, digits) = match arguments {
        [number] => (number, None),
        [number, digits] => (number, Some(digits)),
        _ => return Err(Error::statement(format!("{name} takes one or two arguments: {name}(x, digits)"))),
    };
    if digits.is_some_and(|digits| !digits.flink.is_integer() && digits.flink != FlinkType::Null) {
        return Err(Error::statement(format!("the digits of {name} are an integer")).help(format!("{name}(x, 2)")));
    }
    let flink = if number.flink == FlinkType::Null { FlinkType::Int } else { number.flink };
    if !flink.is_numeric() {
        return Err(Error::statement(format!("{name} takes a number, not {flink}")));
    }
    let types = |first| [Some(first), digits.map(|_| FlinkType::BigInt)].into_iter().flatten().collect();
    if let FlinkType::Decimal(precision, scale) = flink {
        let constant = if digits.is_some() { literal_integer(digits) } else { Some(0) };
        let result = match constant {
            None => flink,
            Some(digits) if digits >= i64::from(scale) => flink,
            Some(..0) => FlinkType::Decimal((1 + precision - scale).min(38), 0),
            Some(digits) => FlinkType::Decimal((1 + precision - scale + digits as u8).min(38), digits as u8),
        };
        return Ok(Binding::strict(types(flink), result, move |arguments, rows| {
            round_decimals(arguments, rows, (scale, result), rounding)
        }));
    }
    Ok(Binding::strict(types(flink), flink, move |arguments, rows| match flink {
        FlinkType::TinyInt => round_integers::<Int8Type>(arguments, rows, flink, rounding),
        FlinkType::SmallInt => round_integers::<Int16Type>(arguments, rows, flink, rounding),
        FlinkType::Int => round_integers::<Int32Type>(arguments, rows, flink, rounding),
        FlinkType::BigInt => round_integers::<Int64Type>(arguments, rows, flink, rounding),
        FlinkType::Float => {
            let numbers = Numbers::<Float32Type>::of(&arguments[0]);
            let mut text = String::new();
            primitive_rows::<Float32Type>(rows, flink, |row| {
                let Some((number, digits)) = numbers.get(row).zip(digits_of(arguments, row)) else { return Ok(None) };
                text.clear();
                if number.is_finite() {
                    use std::fmt::Write as _;
                    write!(text, "{number:e}").expect("a String takes all that is written");
                }
                Ok(Some(rounded_text(&text, digits, rounding).map_or(number, |rounded| rounded as f32)))
            })
        }
        _ => {
            let numbers = Numbers::<Float64Type>::of(&arguments[0]);
            let mut text = String::new();
            primitive_rows::<Float64Type>(rows, flink, |row| {
                let Some((number, digits)) = numbers.get(row).zip(digits_of(arguments, row)) else { return Ok(None) };
                text.clear();
                if number.is_finite() {
                    use std::fmt::Write as _;
                    write!(text, "{number:e}").expect("a String takes all that is written");
                }
                Ok(Some(rounded_text(&text, digits, rounding).unwrap_or(number)))
            })
        }
    }))
}

/// Digits to keep in a row; 0 where the call names none.
fn digits_of(arguments: &[Value], row: usize) -> Option<i64> {
    match arguments.get(1) {
        None => Some(0),
        Some(digits) => Numbers::<Int64Type>::of(digits).get(row),
    }
}

/// A number written as its shortest digits `d.ddde±x`, rounded to so many digits after the point; `None` where nothing
/// changes. Working on digits rounds what the reader sees: 2.675 to 2 digits is 2.68.
fn rounded_text(scientific: &str, digits: i64, rounding: Rounding) -> Option<f64> {
    let (mantissa, exponent) = scientific.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let (is_negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let all = || mantissa.bytes().filter(u8::is_ascii_digit);
    let kept = exponent.saturating_add(1).saturating_add(digits);
    if kept >= all().count() as i64 {
        return None;
    }
    let sign = if is_negative { -1.0 } else { 1.0 };
    let kept = match usize::try_from(kept) {
        Ok(kept) => kept,
        Err(_) => return Some(0.0 * sign),
    };
    let whole = all().take(kept).fold(0_u64, |whole, digit| whole * 10 + u64::from(digit - b'0'));
    let is_up = rounding == Rounding::HalfUp && all().nth(kept).is_some_and(|digit| digit >= b'5');
    let rounded: f64 = format!("{}e{}", whole + u64::from(is_up), digits.saturating_neg()).parse().ok()?;
    Some(rounded * sign)
}

/// To a whole number of units.
fn to_units(value: i128, unit: i128, rounding: Rounding) -> i128 {
    match rounding {
        Rounding::HalfUp => divide_half_up(value, unit),
        Rounding::Down => value / unit,
    }
}

fn round_decimals(
    arguments: &[Value],
    rows: usize,
    (scale, result): (u8, FlinkType),
    rounding: Rounding,
) -> Result<ArrayRef, String> {
    let FlinkType::Decimal(precision, result_scale) = result else { return Ok(all_null(result, rows)) };
    let numbers = Numbers::<Decimal128Type>::of(&arguments[0]);
    primitive_rows::<Decimal128Type>(rows, result, |row| {
        let Some((number, digits)) = numbers.get(row).zip(digits_of(arguments, row)) else { return Ok(None) };
        let cut = i64::from(scale).saturating_sub(digits);
        let rounded = match cut {
            ..=0 => Some(number),
            // Beyond all digits nothing is left.
            39.. => Some(0),
            cut => {
                let unit = power_of_ten(cut as u8);
                to_units(number, unit, rounding).checked_mul(unit)
            }
        };
        // What was cut is zeros, so leaving digits out is exact.
        let rescaled = rounded.map(|rounded| rounded / power_of_ten(scale - result_scale.min(scale)));
        let fitting = rescaled.filter(|rescaled| fits(*rescaled, precision));
        fitting.map(Some).ok_or_else(|| format!("the result does not fit {result}"))
    })
}

fn round_integers<T>(arguments: &[Value], rows: usize, flink: FlinkType, rounding: Rounding) -> Result<ArrayRef, String>
where
    T: arrow_array::ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    let numbers = Numbers::<T>::of(&arguments[0]);
    primitive_rows::<T>(rows, flink, |row| {
        let Some((number, digits)) = numbers.get(row).zip(digits_of(arguments, row)) else { return Ok(None) };
        let wide = i128::from(number.into());
        let rounded = match digits {
            0.. => wide,
            -19..0 => {
                let unit = power_of_ten(digits.unsigned_abs() as u8);
                to_units(wide, unit, rounding) * unit
            }
            _ => 0,
        };
        let fitting = i64::try_from(rounded).ok().and_then(|rounded| T::Native::try_from(rounded).ok());
        fitting.map(Some).ok_or_else(|| format!("{rounded} does not fit {flink}"))
    })
}

/// GREATEST and LEAST: NULL if any argument is.
fn bind_extreme(name: &'static str, arguments: &[Argument], wanted: std::cmp::Ordering) -> Result<Binding> {
    let types: Vec<_> = arguments.iter().map(|argument| argument.flink).collect();
    if types.is_empty() {
        return Err(Error::statement(format!("{name} takes at least one argument")));
    }
    let result = common_type(&types).ok_or_else(|| no_common_type(name, &types))?;
    let result = if result == FlinkType::Null { FlinkType::Int } else { result };
    if result.is_interval() {
        return Err(Error::statement(format!("{name} of {result}")));
    }
    Ok(Binding::strict(vec![result; types.len()], result, move |arguments, rows| {
        extreme(arguments, rows, result, wanted)
    }))
}

fn extreme(
    arguments: &[Value],
    rows: usize,
    result: FlinkType,
    wanted: std::cmp::Ordering,
) -> Result<ArrayRef, String> {
    let options = arrow_schema::SortOptions::default();
    let mut comparators = vec![];
    for (place, argument) in arguments.iter().enumerate() {
        let mut of_place = vec![];
        for earlier in &arguments[..place] {
            let compare = arrow_ord::ord::make_comparator(&argument.array, &earlier.array, options);
            of_place.push(compare.map_err(|error| error.to_string())?);
        }
        comparators.push(of_place);
    }
    let null = all_null(result, 1);
    let mut arrays: Vec<&dyn arrow_array::Array> = arguments.iter().map(|argument| &*argument.array).collect();
    arrays.push(&*null);
    let choice: Vec<_> = (0..rows)
        .map(|row| {
            if arguments.iter().any(|argument| argument.is_null(row)) {
                return (arguments.len(), 0);
            }
            let at = |place: usize| row * arguments[place].stride();
            let best = (1..arguments.len()).fold(0, |best, place| {
                if comparators[place][best](at(place), at(best)) == wanted { place } else { best }
            });
            (best, at(best))
        })
        .collect();
    arrow_select::interleave::interleave(&arrays, &choice).map_err(|error| error.to_string())
}
