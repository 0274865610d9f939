//! One value of many records at once, with AVX-512: what must stand in front of it, and where it ends.
//!
//! A kernel has a place in each record, and the text that is expected there: a [`Lead`]. Where the text is found, and a value
//! behind it, the place moves on to the value's end; where not, it stays, and the record does not *fit*. What ends a value is
//! part of the lead behind it: a string may stop at a backslash, a number in the middle of its digits, and it is the next lead
//! that is not found then.
//!
//! Each loop lies wholly inside a function that enables its instructions, as in `text::simd`.
#![allow(unsafe_code)] // Intrinsics: a record of five fields takes 12 ns instead of 130, measured.

use thalweg_operators::kernels::Kernels;

/// Bytes that are compared at once, and those behind a lead's start that are looked at for a value's end first.
#[cfg(target_arch = "x86_64")]
const CHUNK_BYTES: usize = 64;

/// Bytes that must follow the last record.
pub const PAD_BYTES: usize = 64;

/// Longest text that is compared together with the value behind it.
const TAIL_BYTES_MAX: usize = 32;

/// A text that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// What of it is more than [`TAIL_BYTES_MAX`].
    head: Box<[u8]>,
    /// The rest, and zeros.
    tail: [u8; TAIL_BYTES_MAX],
    tail_bytes: usize,
}

impl Lead {
    /// A lead of this text, which has no newline.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let (head, rest) = text.split_at(text.len().saturating_sub(TAIL_BYTES_MAX));
        let mut tail = [0; TAIL_BYTES_MAX];
        tail[..rest.len()].copy_from_slice(rest);
        Self { head: head.into(), tail, tail_bytes: rest.len() }
    }
}

/// A place in each of some records, and whether it fits so far.
#[derive(Debug)]
pub struct Places<'a> {
    /// Holds the records, each of which ends before a newline; behind the last [`PAD_BYTES`] follow.
    pub bytes: &'a [u8],
    /// Where each is looked at: within the record, or at its newline.
    pub at: &'a mut [u32],
    /// Which of them fit; as many.
    pub fits: &'a mut [bool],
}

/// The kernels; that there is a value means that the processor has their instructions.
#[derive(Clone, Copy, Debug)]
pub struct Finders {
    #[cfg(target_arch = "x86_64")]
    detected: (),
    #[cfg(not(target_arch = "x86_64"))]
    none: std::convert::Infallible,
}

#[cfg(target_arch = "x86_64")]
impl Finders {
    /// The kernels, if they are asked for and this processor can run them.
    #[must_use]
    pub fn of(kernels: Kernels) -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        (has_all && kernels == Kernels::Simd).then_some(Self { detected: () })
    }

    /// Passes over the lead, which ends with a quote, and the string behind it, up to what ends it. `starts` gets the places
    /// behind the lead; that of a record that does not fit is the record's place.
    pub fn strings(self, places: &mut Places<'_>, lead: &Lead, starts: &mut [u32]) {
        let Self { detected: () } = self;
        places.pass_head(lead);
        // SAFETY: the processor has the instructions, or there were no `self`.
        unsafe { x86::strings(places, lead, starts) }
    }

    /// Passes over the lead and the number behind it, unless that has an exponent or more than 30 digits before the point.
    /// `starts` as in [`Finders::strings`].
    pub fn numbers(self, places: &mut Places<'_>, lead: &Lead, starts: &mut [u32]) {
        let Self { detected: () } = self;
        places.pass_head(lead);
        // SAFETY: as in `strings`.
        unsafe { x86::numbers(places, lead, starts) }
    }

    /// Passes over the lead.
    pub fn leads(self, places: &mut Places<'_>, lead: &Lead) {
        let Self { detected: () } = self;
        places.pass_head(lead);
        // SAFETY: as in `strings`.
        unsafe { x86::leads(places, lead) }
    }
}

/// Other processors have none.
#[cfg(not(target_arch = "x86_64"))]
impl Finders {
    /// None.
    #[must_use]
    pub fn of(_: Kernels) -> Option<Self> {
        None
    }

    /// Strings.
    pub fn strings(self, _: &mut Places<'_>, _: &Lead, _: &mut [u32]) {
        match self.none {}
    }

    /// Numbers.
    pub fn numbers(self, _: &mut Places<'_>, _: &Lead, _: &mut [u32]) {
        match self.none {}
    }

    /// Leads.
    pub fn leads(self, _: &mut Places<'_>, _: &Lead) {
        match self.none {}
    }
}

#[cfg(target_arch = "x86_64")]
impl Places<'_> {
    /// Passes over what of a long lead is not compared together with the value.
    fn pass_head(&mut self, lead: &Lead) {
        if lead.head.is_empty() {
            return;
        }
        for (at, fits) in self.at.iter_mut().zip(&mut *self.fits) {
            *fits &= self.bytes[*at as usize..].starts_with(&lead.head);
            *at += if *fits { lead.head.len() as u32 } else { 0 };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_mask_cmpneq_epi8_mask,
        _mm512_set1_epi8, _mm512_sub_epi8,
    };

    use super::{CHUNK_BYTES, Lead, Places, TAIL_BYTES_MAX};

    /// Digits before the point up to which a number is taken. With a lead and a sign they are within a chunk.
    const WHOLE_DIGITS_MAX: u32 = 30;
    const _: () = assert!(TAIL_BYTES_MAX + 1 + (WHOLE_DIGITS_MAX as usize) < CHUNK_BYTES);

    /// A lead as it is compared.
    struct Expected {
        bytes: __m512i,
        mask: u64,
        length: u32,
    }

    impl Expected {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
        fn new(lead: &Lead) -> Self {
            let mut bytes = [0; CHUNK_BYTES];
            bytes[..TAIL_BYTES_MAX].copy_from_slice(&lead.tail);
            Self { bytes: load(&bytes), mask: (1 << lead.tail_bytes) - 1, length: lead.tail_bytes as u32 }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
        fn is_at_start_of(&self, chunk: __m512i) -> bool {
            _mm512_mask_cmpneq_epi8_mask(self.mask, chunk, self.bytes) == 0
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    fn load(chunk: &[u8; CHUNK_BYTES]) -> __m512i {
        // SAFETY: the chunk has 64 bytes.
        unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) }
    }

    #[inline(always)]
    fn chunk(bytes: &[u8], at: usize) -> &[u8; CHUNK_BYTES] {
        bytes[at..].first_chunk().expect("behind the last record there are as many bytes")
    }

    /// The bytes that no string can just hold: quotes, backslashes, control characters.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    fn stops(chunk: __m512i) -> u64 {
        _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8(b'"' as i8))
            | _mm512_cmpeq_epi8_mask(chunk, _mm512_set1_epi8(b'\\' as i8))
            | _mm512_cmplt_epu8_mask(chunk, _mm512_set1_epi8(0x20))
    }

    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    pub fn strings(places: &mut Places<'_>, lead: &Lead, starts: &mut [u32]) {
        let expected = Expected::new(lead);
        let rows = places.at.iter_mut().zip(&mut *places.fits).zip(starts);
        for ((at, fits), start) in rows {
            let text = load(chunk(places.bytes, *at as usize));
            let is_fit = *fits & expected.is_at_start_of(text);
            let stops = stops(text) >> expected.length;
            let first = *at + expected.length;
            let end = if stops != 0 {
                first + stops.trailing_zeros()
            } else if is_fit {
                end_of_long(places.bytes, *at as usize + CHUNK_BYTES)
            } else {
                first
            };
            *fits = is_fit;
            *start = if is_fit { first } else { *at };
            *at = if is_fit { end } else { *at };
        }
    }

    /// The first stop from `at` on: at the latest the newline.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    fn end_of_long(bytes: &[u8], mut at: usize) -> u32 {
        loop {
            let stops = stops(load(chunk(bytes, at)));
            if stops != 0 {
                return at as u32 + stops.trailing_zeros();
            }
            at += CHUNK_BYTES;
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    pub fn numbers(places: &mut Places<'_>, lead: &Lead, starts: &mut [u32]) {
        let expected = Expected::new(lead);
        let (zero, ten) = (_mm512_set1_epi8(b'0' as i8), _mm512_set1_epi8(10));
        let point = _mm512_set1_epi8(b'.' as i8);
        let rows = places.at.iter_mut().zip(&mut *places.fits).zip(starts);
        for ((at, fits), start) in rows {
            let bytes = chunk(places.bytes, *at as usize);
            let text = load(bytes);
            let is_led = expected.is_at_start_of(text);
            let digits: u64 = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(text, zero), ten);
            let points: u64 = _mm512_cmpeq_epi8_mask(text, point);
            let sign = u32::from(bytes[expected.length as usize % CHUNK_BYTES] == b'-');
            let skipped = expected.length + sign;
            let starts_with_zero = bytes[skipped as usize % CHUNK_BYTES] == b'0';
            // `[0-9]+(\.[0-9]+)?`, no 0 in front of other digits. Digits up to the chunk's end may not be all: then another
            // stands where the next lead should be.
            let digits = digits >> skipped;
            let whole = (!digits).trailing_zeros();
            let point = (points >> skipped).wrapping_shr(whole) as u32 & 1;
            let fraction = (!digits.wrapping_shr(whole + point)).trailing_zeros();
            let is_number =
                (whole.wrapping_sub(1) < WHOLE_DIGITS_MAX) & (fraction >= point) & !(starts_with_zero & (whole > 1));
            let is_fit = *fits & is_led & is_number;
            let first = *at + expected.length;
            *fits = is_fit;
            *start = if is_fit { first } else { *at };
            *at = if is_fit { first + sign + whole + point + fraction } else { *at };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2")]
    pub fn leads(places: &mut Places<'_>, lead: &Lead) {
        let expected = Expected::new(lead);
        for (at, fits) in places.at.iter_mut().zip(&mut *places.fits) {
            let text = load(chunk(places.bytes, *at as usize));
            *fits &= expected.is_at_start_of(text);
            *at += if *fits { expected.length } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::Scanner;
    use super::*;

    /// Places of lines before and behind a kernel, and what it said of each.
    fn found(
        lines: &[String],
        lead: &str,
        run: impl Fn(&mut Places<'_>, &Lead, &mut [u32]),
    ) -> Vec<(bool, usize, usize)> {
        let mut bytes = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect::<Vec<_>>();
        let mut at = vec![0];
        at.extend(bytes.iter().zip(1..).filter(|(byte, _)| **byte == b'\n').map(|(_, behind)| behind));
        at.pop();
        // What is behind the last line must not be seen.
        bytes.extend_from_slice(&b"7\".".repeat(PAD_BYTES / 3 + 1));
        let from = at.clone();
        let (mut fits, mut starts) = (vec![true; at.len()], vec![0; at.len()]);
        run(&mut Places { bytes: &bytes, at: &mut at, fits: &mut fits }, &Lead::new(lead.as_bytes()), &mut starts);
        let rows = from.iter().zip(fits).zip(starts).zip(at);
        rows.map(|(((from, fits), start), at)| (fits, (start - from) as usize, (at - from) as usize)).collect()
    }

    proptest! {
        #[test]
        fn strings_end_where_the_scanner_ends_them(
            values in proptest::collection::vec("[a-zé€ \\\\\"\t,]{0,20}|[a-zé]{0,200}[\"\\\\]?", 1..20),
            lead in "[a-z\":, ]{0,80}",
        ) {
            let Some(finders) = Finders::of(Kernels::Simd) else { return Ok(()) };
            let lead = lead + "\"";
            let lines = values.iter().map(|value| format!("{lead}{value}")).collect::<Vec<_>>();
            let found = found(&lines, &lead, |places, lead, starts| finders.strings(places, lead, starts));
            for (value, (fits, start, end)) in values.iter().zip(found) {
                prop_assert!(fits && start == lead.len());
                let text = format!("\"{value}");
                // Without escapes; where there are some, or the string is broken, no quote is found.
                match Scanner::new(text.as_bytes(), 0).string() {
                    Ok(quoted) if !quoted.has_escapes => prop_assert_eq!(end - start, quoted.end - 1),
                    _ => prop_assert!(value.as_bytes().get(end - start) != Some(&b'"')),
                }
            }
        }

        #[test]
        fn numbers_are_those_of_the_grammar(
            values in proptest::collection::vec("-?[0-9]{1,3}(\\.[0-9]{1,5})?|-?0?[0-9]{0,40}\\.?[0-9]{0,40}|[-+.0-9e]{0,8}", 1..20),
            lead in "[a-z\":, ]{0,80}",
        ) {
            let Some(finders) = Finders::of(Kernels::Simd) else { return Ok(()) };
            let lines = values.iter().map(|value| format!("{lead}{value},")).collect::<Vec<_>>();
            let found = found(&lines, &lead, |places, lead, starts| finders.numbers(places, lead, starts));
            for (value, (fits, start, end)) in values.iter().zip(found) {
                let text = format!("{value},");
                let number = Scanner::new(text.as_bytes(), 0).number();
                // As much of it as was taken, if a comma is behind that.
                if fits && text.as_bytes().get(end - start) == Some(&b',') {
                    prop_assert_eq!(number.map(|number| number.end), Ok(end - start), "{}", value);
                    prop_assert_eq!(start, lead.len());
                }
                let is_plain = value.len() < 20 && !value.contains('e');
                if is_plain && number.is_ok_and(|number| number.end == value.len()) {
                    prop_assert!(fits && end - start == value.len(), "{}", value);
                }
                prop_assert!(fits || end == start);
            }
        }

        #[test]
        fn a_lead_is_found_where_it_is(lead in "[a-c]{0,70}", other in "[a-c]{0,70}", is_same in any::<bool>()) {
            let Some(finders) = Finders::of(Kernels::Simd) else { return Ok(()) };
            let line = if is_same { format!("{lead}{other}") } else { other };
            let found = found(std::slice::from_ref(&line), &lead, |places, lead, _| finders.leads(places, lead));
            let (fits, _, end) = found[0];
            prop_assert_eq!(fits, line.starts_with(&lead));
            // A long lead may be passed in part; the record does not fit then.
            let is_behind = if fits { end == lead.len() } else { end <= line.len() };
            prop_assert!(is_behind);
        }
    }
}
