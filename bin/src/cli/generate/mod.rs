//! `thalweg gen`: test data from a seed.
//!
//! The rows are cut into chunks, each a pure function of the seed and its number. Chunks are made in parallel, a wave at a
//! time, while the wave before is written, so the bytes are the same for any number of threads.

mod measurements;
mod trades;
mod zipf;

use std::ops::Range;
use std::time::Instant;

use clap::{Args, Subcommand};
use rayon::prelude::*;

use self::measurements::Measurements;
use self::trades::Trades;
use crate::connect::sink::{FileWriter, RowFormat};
use crate::connect::stdout::{Stream, StreamWriter};
use crate::connect::{SinkRows, SinkWriter, WriteOutcome};
use crate::error::Result;
use crate::report::number::{grouped, rounded};
use crate::report::progress::ProgressLine;

/// Rows of a chunk: about 1 MB of text.
const CHUNK_ROWS: u64 = 16_384;

/// What can be generated.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// Trades of several traders: CSV with a header, event times out of order by a bounded time
    #[command(after_help = TRADES_EXAMPLES)]
    Trades(TradesArgs),
    /// Temperatures of 413 weather stations: `station;temperature` lines without a header
    #[command(after_help = MEASUREMENTS_EXAMPLES)]
    Measurements(MeasurementsArgs),
}

const TRADES_EXAMPLES: &str = "\
Examples:
  thalweg gen trades --rows 10000000 --out trades.csv
  thalweg gen trades --traders 100000 --zipf --disorder-ms 5000 | head

The first lines:
  trader_id,symbol,price,quantity,trade_time
  TRADER9,SYM2,100.51,113,2023-11-14 22:13:19.741";

const MEASUREMENTS_EXAMPLES: &str = "\
Examples:
  thalweg gen measurements --rows 50000000 --out measurements.txt";

/// `gen trades`.
#[derive(Clone, Debug, Args)]
pub struct TradesArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of traders, TRADER1, TRADER2, …
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    traders: u32,
    /// Number of symbols, SYM1, SYM2, …
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    symbols: u32,
    /// Trader k trades in proportion to 1 / k^EXPONENT, instead of all alike
    #[arg(long, value_name = "EXPONENT", num_args = 0..=1, default_missing_value = "1.1", value_parser = parse_exponent)]
    zipf: Option<f64>,
    /// Rows come one per millisecond of event time; each is set back by up to this
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u32))]
    disorder_ms: u32,
}

/// `gen measurements`.
#[derive(Clone, Debug, Args)]
pub struct MeasurementsArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Start with the line `station;temperature`
    #[arg(long)]
    header: bool,
}

/// What every kind of data takes.
#[derive(Clone, Debug, Args)]
struct CommonArgs {
    /// Number of rows
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where to: a file, or `-` for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    out: String,
}

/// Rows of text, any of which can be made without those before.
trait Rows: Sync {
    /// The first line, with its line end; may be empty.
    fn header(&self) -> &'static str;

    /// Appends the rows with these numbers, which are one chunk, number `chunk`.
    fn append(&self, chunk: u64, rows: Range<u64>, out: &mut Vec<u8>);
}

/// Runs `thalweg gen`.
///
/// # Errors
/// If the output cannot be written.
pub fn run(command: &GenerateCommand) -> Result<()> {
    let (rows, common): (Box<dyn Rows>, _) = match command {
        GenerateCommand::Trades(args) => (Box::new(Trades::new(args)), &args.common),
        GenerateCommand::Measurements(args) => (Box::new(Measurements::new(args)), &args.common),
    };
    let line = ProgressLine::start();
    let start = Instant::now();
    let mut report = |done: u64| {
        let speed = rounded(done as f64 / start.elapsed().as_secs_f64().max(1e-3));
        line.show(format!("{} of {} rows · {speed}/s", grouped(done), grouped(common.rows)));
    };
    let mut out: Box<dyn SinkWriter> = match common.out.as_str() {
        "-" => Box::new(StreamWriter::new(Stream::Stdout, Vec::new())),
        path => Box::new(FileWriter::create(path, RowFormat::lines())?),
    };
    generate(rows.as_ref(), common.rows, &mut report, |bytes| out.write(SinkRows::Encoded(bytes)))?;
    out.finish()
}

/// Makes all rows and hands their bytes to `write` in order, until it says that nobody reads them.
fn generate(
    rows: &dyn Rows,
    rows_total: u64,
    report: &mut dyn FnMut(u64),
    mut write: impl FnMut(&[u8]) -> Result<WriteOutcome>,
) -> Result<()> {
    if write(rows.header().as_bytes())? != WriteOutcome::Written {
        return Ok(());
    }
    let chunks = rows_total.div_ceil(CHUNK_ROWS);
    let wave_chunks = rayon::current_num_threads() as u64 * 2;
    let mut ready: Vec<Vec<u8>> = Vec::new();
    let mut spare: Vec<Vec<u8>> = vec![Vec::new(); wave_chunks as usize];
    let mut first = 0;
    // One round more than there are waves: in the last one there is only writing.
    while first < chunks || !ready.is_empty() {
        let wave = first..chunks.min(first + wave_chunks);
        let mut make = || {
            spare.truncate((wave.end - wave.start) as usize);
            spare.par_iter_mut().enumerate().for_each(|(index, out)| {
                out.clear();
                let chunk = wave.start + index as u64;
                let begin = chunk * CHUNK_ROWS;
                rows.append(chunk, begin..rows_total.min(begin.saturating_add(CHUNK_ROWS)), out);
            });
        };
        let mut put = || -> Result<WriteOutcome> {
            for bytes in &ready {
                if write(bytes)? != WriteOutcome::Written {
                    return Ok(WriteOutcome::Closed { rows: 0 });
                }
            }
            Ok(WriteOutcome::Written)
        };
        // The pool makes rows while this thread writes.
        let written = rayon::in_place_scope(|scope| {
            scope.spawn(|_| make());
            put()
        })?;
        if written != WriteOutcome::Written {
            return Ok(());
        }
        std::mem::swap(&mut ready, &mut spare);
        first = wave.end;
        report(rows_total.min(first.saturating_mul(CHUNK_ROWS)));
        if first >= chunks {
            spare.clear();
        } else {
            spare.resize(wave_chunks as usize, Vec::new());
        }
    }
    Ok(())
}

/// Appends `number` in decimal.
fn append_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn parse_exponent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(exponent) if (0.0..=10.0).contains(&exponent) => Ok(exponent),
        _ => Err("a number from 0 to 10, such as 1.1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All bytes, made with this many threads.
    fn bytes(rows: &dyn Rows, rows_total: u64, threads: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = Vec::new();
        let write = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(WriteOutcome::Written)
        };
        pool.install(|| generate(rows, rows_total, &mut |_| {}, write)).unwrap();
        out
    }

    fn common(seed: u64) -> CommonArgs {
        CommonArgs { rows: 0, seed, out: "-".to_owned() }
    }

    fn trades(seed: u64, zipf: Option<f64>) -> Trades {
        Trades::new(&TradesArgs { common: common(seed), traders: 20, symbols: 10, zipf, disorder_ms: 2_000 })
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_the_threads() {
        for rows in [0, 1, CHUNK_ROWS, CHUNK_ROWS * 7 + 3] {
            let one = bytes(&trades(7, Some(1.1)), rows, 1);
            assert_eq!(one, bytes(&trades(7, Some(1.1)), rows, 3), "{rows} rows");
            assert_eq!(one.iter().filter(|byte| **byte == b'\n').count() as u64, rows + 1);
        }
        assert_ne!(bytes(&trades(7, None), 10, 1), bytes(&trades(8, None), 10, 1));
    }

    #[test]
    fn trades_have_the_declared_form() {
        let text = String::from_utf8(bytes(&trades(1, None), 50_000, 2)).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("trader_id,symbol,price,quantity,trade_time"));
        let (mut traders, mut total, mut disorder) = (std::collections::BTreeSet::new(), 0.0, 0);
        for (row, line) in lines.enumerate() {
            let fields: Vec<&str> = line.split(',').collect();
            traders.insert(fields[0].to_owned());
            assert!(fields[1].starts_with("SYM"));
            let price: f64 = fields[2].parse().unwrap();
            assert_eq!(fields[2].split_once('.').unwrap().1.len(), 2);
            assert!((1.0..=999.0).contains(&price));
            total += price;
            assert!((1..=999).contains(&fields[3].parse::<u32>().unwrap()));
            let time = chrono::NaiveDateTime::parse_from_str(fields[4], "%Y-%m-%d %H:%M:%S%.3f").unwrap();
            let back = 1_700_000_000_000 + row as i64 - time.and_utc().timestamp_millis();
            assert!((0..=2_000).contains(&back), "row {row} is {back} ms back");
            disorder = disorder.max(back);
        }
        assert_eq!(traders.len(), 20);
        assert!((total / 50_000.0 - 100.0).abs() < 0.5);
        assert!(disorder > 1_900);
    }

    #[test]
    fn zipf_prefers_the_first_trader() {
        let text = String::from_utf8(bytes(&trades(1, Some(1.1)), 20_000, 2)).unwrap();
        let count = |trader: &str| text.lines().filter(|line| line.starts_with(trader)).count() as f64;
        let ratio = count("TRADER1,") / count("TRADER10,");
        assert!((10.0..16.0).contains(&ratio), "expected about 10^1.1 = 12.6, found {ratio}");
    }

    #[test]
    fn measurements_name_413_stations() {
        let measurements = Measurements::new(&MeasurementsArgs { common: common(3), header: false });
        let text = String::from_utf8(bytes(&measurements, 60_000, 2)).unwrap();
        let mut stations = std::collections::BTreeSet::new();
        for line in text.lines() {
            let (station, temperature) = line.split_once(';').unwrap();
            assert!((10..=20).contains(&station.len()), "{station}");
            stations.insert(station);
            assert_eq!(temperature.split_once('.').unwrap().1.len(), 1);
            assert!((-99.9..=99.9).contains(&temperature.parse::<f64>().unwrap()));
        }
        assert_eq!(stations.len(), 413);
    }

    #[test]
    fn closed_output_ends_it() {
        let mut writes = 0;
        let write = |_: &[u8]| {
            writes += 1;
            Ok(if writes == 2 { WriteOutcome::Closed { rows: 0 } } else { WriteOutcome::Written })
        };
        generate(&trades(1, None), u64::MAX, &mut |_| {}, write).unwrap();
        assert_eq!(writes, 2);
    }
}
