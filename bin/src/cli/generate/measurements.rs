//! Temperatures of weather stations, in the form of the One Billion Row Challenge.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{MeasurementsArgs, Rows, append_number};
use crate::random::Random;

/// As many as in the challenge.
const STATIONS: usize = 413;

/// Bytes of a station's name.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 10..=20;

/// The stations are the same for every seed, as places are.
const STATIONS_SEED: u64 = 0x5747_4154_494f_4e53;

/// Temperatures are nearly normal around the station's mean with a deviation of 10 °C, in tenths.
const DEVIATION_TENTHS: i64 = 100;
const LIMIT_TENTHS: i64 = 999;

/// The rows of `gen measurements`.
pub(super) struct Measurements {
    seed: u64,
    has_header: bool,
    stations: Vec<Station>,
}

struct Station {
    /// With the semicolon.
    name: String,
    mean_tenths: i64,
}

impl Measurements {
    pub(super) fn new(args: &MeasurementsArgs) -> Self {
        let mut random = Random::new(STATIONS_SEED, &[]);
        let mut names = BTreeSet::new();
        while names.len() < STATIONS {
            names.insert(place_name(&mut random));
        }
        let stations = names
            .into_iter()
            .map(|name| Station { name: format!("{name};"), mean_tenths: random.between(-100, 300) })
            .collect();
        Self { seed: args.common.seed, has_header: args.header, stations }
    }
}

impl Rows for Measurements {
    fn header(&self) -> &'static str {
        if self.has_header { "station;temperature\n" } else { "" }
    }

    fn append(&self, chunk: u64, rows: Range<u64>, out: &mut Vec<u8>) {
        let mut random = Random::new(self.seed, &[chunk]);
        for _ in rows {
            let station = &self.stations[random.below(STATIONS as u64) as usize];
            out.extend_from_slice(station.name.as_bytes());
            let tenths = station.mean_tenths + ((random.normal_16() * DEVIATION_TENTHS) >> 16);
            let tenths = tenths.clamp(-LIMIT_TENTHS, LIMIT_TENTHS);
            if tenths < 0 {
                out.push(b'-');
            }
            let tenths = tenths.unsigned_abs();
            append_number(tenths / 10, out);
            out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8, b'\n']);
        }
    }
}

/// A made-up name like `Port Malorinden` of [`NAME_BYTES`] bytes.
fn place_name(random: &mut Random) -> String {
    const FIRST: [&str; 8] = ["", "", "", "", "Port ", "New ", "San ", "Lake "];
    const ONSETS: [&str; 16] = ["b", "br", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v"];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ö", "é"];
    const ENDINGS: [&str; 8] = ["burg", "ton", "ville", "den", "mouth", "grad", "stad", "haven"];
    let mut pick = |words: &[&'static str]| words[random.below(words.len() as u64) as usize];
    loop {
        let mut stem = String::new();
        let length = pick(&["    ", "      ", "        "]).len();
        while stem.len() < length {
            stem.push_str(pick(&ONSETS));
            stem.push_str(pick(&VOWELS));
        }
        let capital = stem.remove(0).to_ascii_uppercase();
        let name = format!("{}{capital}{stem}{}", pick(&FIRST), pick(&ENDINGS));
        if NAME_BYTES.contains(&name.len()) {
            return name;
        }
    }
}
