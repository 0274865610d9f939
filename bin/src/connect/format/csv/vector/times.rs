//! Columns of dates and timestamps.
//!
//! `yyyy-MM-dd HH:mm:ss.fff` is three words of eight bytes, `yyyy-MM-`, `dd HH:mm` and `:ss.fff` with one byte more; finer
//! digits are in a fourth. Xor with the same layout of zeros leaves digits as 0 to 9 and what separates them as 0.

use std::arch::x86_64::{
    __m256i, __m512i, __mmask8, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_andnot_si512,
    _mm512_cmpeq_epi64_mask, _mm512_cmpge_epi64_mask, _mm512_cmpge_epu64_mask, _mm512_cmpgt_epi64_mask,
    _mm512_cmpgt_epu8_mask, _mm512_cmpgt_epu64_mask, _mm512_cmple_epi64_mask, _mm512_cmpneq_epi64_mask,
    _mm512_cvtepi64_epi32, _mm512_madd_epi16, _mm512_maddubs_epi16, _mm512_mask_add_epi64, _mm512_mask_sub_epi64,
    _mm512_mask_xor_epi64, _mm512_max_epi64, _mm512_movm_epi8, _mm512_mul_epi32, _mm512_mul_epu32, _mm512_mullo_epi64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_sllv_epi64, _mm512_srli_epi64,
    _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_xor_si512,
};

use super::words::{Eight, groups, not_digits, note, note_rest, value};
use super::{Texts, Zone};

/// `0000-00-`, `00 00:00` and `:00.000`, the first byte lowest.
const YEAR_MONTH: i64 = i64::from_le_bytes(*b"0000-00-");
const DAY_HOUR_MINUTE: i64 = i64::from_le_bytes(*b"00 00:00");
const SECOND_FRACTION: i64 = i64::from_le_bytes(*b":00.000\0");

/// What each byte of these is at most.
const YEAR_MONTH_MOST: i64 = i64::from_le_bytes([9, 9, 9, 9, 0, 9, 9, 0]);
const DAY_HOUR_MINUTE_MOST: i64 = i64::from_le_bytes([9, 9, 0, 9, 9, 0, 9, 9]);
const SECOND_FRACTION_MOST: i64 = i64::from_le_bytes([0, 9, 9, 0, 9, 9, 9, 0]);

/// The two digits of the day.
const DAY: i64 = 0xFFFF;

/// Days of eight dates, computed only where one is another than the one before: in a file of events few are.
struct Dates {
    year_month: __m512i,
    day: __m512i,
    days: __m512i,
}

impl Dates {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    fn new() -> Self {
        // No digits: no date.
        let none = _mm512_set1_epi64(-1);
        Self { year_month: none, day: none, days: _mm512_setzero_si512() }
    }

    /// Days since 1970-01-01 of dates, whose bytes have been made digits, and which are none of the calendar.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
    fn days(&mut self, year_month: __m512i, day: __m512i) -> (__m512i, __mmask8) {
        let is_new = _mm512_cmpneq_epi64_mask(year_month, self.year_month) | _mm512_cmpneq_epi64_mask(day, self.day);
        if is_new == 0 {
            return (self.days, 0);
        }
        let (days, bad) = days_of(year_month, day);
        if bad == 0 {
            *self = Self { year_month, day, days };
        }
        (days, bad)
    }
}

/// Days since 1970-01-01, and which are none of the calendar. As `days_of` of the scalar code, for years 0 to 9999.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn days_of(year_month: __m512i, day: __m512i) -> (__m512i, __mmask8) {
    let number = |number: i64| _mm512_set1_epi64(number);
    let (one, three) = (number(1), number(3));
    // Pairs of bytes: 10 y₁ + y₂, 10 y₃ + y₄, 10 m₁, m₂; then pairs of those: the year, the month.
    let pairs = _mm512_maddubs_epi16(year_month, number(0x0001_0A00_010A_010A));
    let both = _mm512_madd_epi16(pairs, number(0x0001_0001_0001_0064));
    let (year, month) = (_mm512_and_si512(both, number(0xFFFF_FFFF)), _mm512_srli_epi64::<32>(both));
    let day = _mm512_maddubs_epi16(day, number(0x010A));

    // 5243 / 2¹⁹ is a hundredth, exact enough for five digits.
    let hundredth = |year| _mm512_srli_epi64::<19>(_mm512_mul_epu32(year, number(5243)));
    let century = hundredth(year);
    let is_whole_century = _mm512_cmpeq_epi64_mask(_mm512_mul_epu32(century, number(100)), year);
    let is_leap = !_mm512_test_epi64_mask(year, three) & (!is_whole_century | !_mm512_test_epi64_mask(century, three));
    // What each month has beyond 28 days, two bits each, from month 0 on: 0 3 0 3 2 3 2 3 3 2 3 2 3.
    let beyond_28 = _mm512_srlv_epi64(number(0x03BB_EECC), _mm512_slli_epi64::<1>(month));
    let length = _mm512_add_epi64(_mm512_and_si512(beyond_28, three), number(28));
    let is_february = _mm512_cmpeq_epi64_mask(month, number(2));
    let length = _mm512_mask_add_epi64(length, is_february & is_leap, length, one);
    let bad = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(month, one), number(12))
        | _mm512_cmpge_epu64_mask(_mm512_sub_epi64(day, one), length);

    // Years start in March here, so that the leap day is the last of a year; 400 more, so that none is negative.
    let is_early = _mm512_cmple_epi64_mask(month, number(2));
    let year = _mm512_add_epi64(year, number(400));
    let year = _mm512_mask_sub_epi64(year, is_early, year, one);
    let month = _mm512_sub_epi64(month, three);
    let month = _mm512_mask_add_epi64(month, is_early, month, number(12));
    // (153 m + 2) / 5, without a division.
    let before_month = _mm512_add_epi64(_mm512_mul_epu32(month, number(979)), number(18));
    let before_month = _mm512_srli_epi64::<5>(before_month);
    let century = hundredth(year);
    let leap_days =
        _mm512_add_epi64(_mm512_sub_epi64(_mm512_srli_epi64::<2>(year), century), _mm512_srli_epi64::<2>(century));
    let before_year = _mm512_add_epi64(_mm512_mul_epu32(year, number(365)), leap_days);
    let days = _mm512_add_epi64(_mm512_add_epi64(before_year, before_month), day);
    (_mm512_sub_epi64(days, number(1 + 719_468 + 146_097)), bad)
}

/// The words of which some byte is above that of `most`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn above(words: __m512i, most: i64) -> __mmask8 {
    let bytes = _mm512_cmpgt_epu8_mask(words, _mm512_set1_epi64(most));
    // Nearly never any.
    if bytes == 0 { 0 } else { _mm512_test_epi64_mask(_mm512_movm_epi8(bytes), _mm512_set1_epi64(-1)) }
}

/// The first so many bytes of a word; all from 8 on, none below 1.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn first_bytes(words: __m512i, counts: __m512i) -> __m512i {
    let shifts = _mm512_slli_epi64::<3>(_mm512_max_epi64(counts, _mm512_setzero_si512()));
    _mm512_andnot_si512(_mm512_sllv_epi64(_mm512_set1_epi64(-1), shifts), words)
}

/// DATEs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn dates(texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<i32> {
    let mut values = vec![0_i32; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    let mut dates = Dates::new();
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let year_month = _mm512_xor_si512(eight.behind_start::<0>(), _mm512_set1_epi64(YEAR_MONTH));
        let day = _mm512_xor_si512(eight.behind_start::<8>(), _mm512_set1_epi64(DAY_HOUR_MINUTE));
        let day = _mm512_and_si512(day, _mm512_set1_epi64(DAY));
        let malformed = above(year_month, YEAR_MONTH_MOST)
            | above(day, DAY_HOUR_MINUTE_MOST)
            | _mm512_cmpneq_epi64_mask(eight.lengths(), _mm512_set1_epi64(10));
        let (days, none) = dates.days(year_month, day);
        note(odd, first, malformed | none);
        let narrow: __m256i = _mm512_cvtepi64_epi32(days);
        // SAFETY: eight numbers of four bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), narrow) };
    }
    note_rest(odd, values.len());
    values
}

/// TIMESTAMPs in units of which `PER_SECOND` make a second.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
pub fn timestamps<const PER_SECOND: i64>(texts: Texts<'_>, zone: Zone, odd: &mut Vec<u32>) -> Vec<i64> {
    let mut values = vec![0_i64; texts.starts.len()];
    let (out, _) = values.as_chunks_mut::<8>();
    let mut dates = Dates::new();
    for ((first, starts, ends), out) in groups(&texts).zip(out) {
        let Some(eight) = Eight::new(texts.bytes, starts, ends) else {
            note(odd, first, __mmask8::MAX);
            continue;
        };
        let (units, bad) = eight_timestamps::<PER_SECOND>(&eight, zone, &mut dates);
        note(odd, first, bad);
        // SAFETY: eight numbers of eight bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast::<__m512i>(), units) };
    }
    note_rest(odd, values.len());
    values
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn eight_timestamps<const PER_SECOND: i64>(eight: &Eight<'_>, zone: Zone, dates: &mut Dates) -> (__m512i, __mmask8) {
    let number = |number: i64| _mm512_set1_epi64(number);
    let mut lengths = eight.lengths();
    let mut bad = 0;
    if zone == Zone::Utc {
        let last = _mm512_srli_epi64::<56>(eight.before_end::<8>());
        bad |= _mm512_cmpneq_epi64_mask(last, number(b'Z'.into()));
        lengths = _mm512_sub_epi64(lengths, number(1));
    }
    // 19 bytes without a fraction, 29 with nine digits of one.
    bad |= _mm512_cmpgt_epu64_mask(_mm512_sub_epi64(lengths, number(19)), number(10));
    let year_month = _mm512_xor_si512(eight.behind_start::<0>(), number(YEAR_MONTH));
    bad |= above(year_month, YEAR_MONTH_MOST);
    let (day_time, malformed) = day_time(eight.behind_start::<8>());
    let (days, none) = dates.days(year_month, _mm512_and_si512(day_time, number(DAY)));
    bad |= malformed | none;

    let second_fraction = _mm512_xor_si512(eight.behind_start::<16>(), number(SECOND_FRACTION));
    let second_fraction = first_bytes(second_fraction, _mm512_sub_epi64(lengths, number(16)));
    let second_fraction = _mm512_and_si512(second_fraction, number(0x00FF_FFFF_FFFF_FFFF));
    bad |= above(second_fraction, SECOND_FRACTION_MOST);

    // Pairs of bytes: (10 d₁ + d₂), 10 h₁, h₂, 10 m₁ + m₂; then pairs of those: day + 256 · 10 h₁, 256 h₂ + minute.
    let pairs = _mm512_maddubs_epi16(day_time, number(0x010A_0001_0A00_010A));
    let both = _mm512_madd_epi16(pairs, number(0x0001_0100_0100_0001));
    let tens = _mm512_and_si512(_mm512_srli_epi64::<8>(both), number(0xFF));
    let hours = _mm512_add_epi64(tens, _mm512_srli_epi64::<40>(both));
    let minutes = _mm512_and_si512(_mm512_srli_epi64::<32>(both), number(0xFF));
    // 10 s₁, s₂, 10 f₁ + f₂, f₃; then the second, and the milliseconds.
    let pairs = _mm512_maddubs_epi16(second_fraction, number(0x0001_010A_0001_0A00));
    let both = _mm512_madd_epi16(pairs, number(0x0001_000A_0001_0001));
    let seconds = _mm512_and_si512(both, number(0xFFFF_FFFF));
    let millis = _mm512_srli_epi64::<32>(both);
    bad |= _mm512_cmpgt_epu64_mask(hours, number(23))
        | _mm512_cmpgt_epu64_mask(minutes, number(59))
        | _mm512_cmpgt_epu64_mask(seconds, number(59));

    let minutes = _mm512_add_epi64(_mm512_mul_epu32(hours, number(60)), minutes);
    let seconds = _mm512_add_epi64(_mm512_mul_epu32(minutes, number(60)), seconds);
    let seconds = _mm512_add_epi64(_mm512_mul_epi32(days, number(86_400)), seconds);
    let mut units = _mm512_mullo_epi64(seconds, number(PER_SECOND));
    if PER_SECOND >= 1000 {
        units = _mm512_add_epi64(units, _mm512_mul_epu32(millis, number(PER_SECOND / 1000)));
    }
    if PER_SECOND == 1_000_000_000 {
        // What surely fits: |seconds| below 2⁶³ / 10⁹ - 1.
        let most = i64::MAX / PER_SECOND - 1;
        bad |= _mm512_cmpgt_epi64_mask(seconds, number(most));
        bad |= !_mm512_cmpge_epi64_mask(seconds, number(-most));
    }
    if _mm512_cmpgt_epu64_mask(lengths, number(23)) & !bad != 0 {
        let (finer, malformed) = finer::<PER_SECOND>(eight.behind_start::<21>(), lengths);
        bad |= malformed;
        units = _mm512_add_epi64(units, finer);
    }
    (units, bad)
}

/// `dd HH:mm` as digits, and which are malformed.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn day_time(words: __m512i) -> (__m512i, __mmask8) {
    let digits = _mm512_xor_si512(words, _mm512_set1_epi64(DAY_HOUR_MINUTE));
    let bad = above(digits, DAY_HOUR_MINUTE_MOST);
    if bad == 0 {
        return (digits, 0);
    }
    // A `T` is as good as a space.
    let third = _mm512_and_si512(words, _mm512_set1_epi64(0xFF_0000));
    let has_t = _mm512_cmpeq_epi64_mask(third, _mm512_set1_epi64(i64::from(b'T') << 16));
    let digits = _mm512_mask_xor_epi64(digits, has_t, digits, _mm512_set1_epi64(i64::from(b'T' ^ b' ') << 16));
    (digits, above(digits, DAY_HOUR_MINUTE_MOST))
}

/// What the fourth to ninth digit of a fraction add, and which are malformed; `words` start with the second digit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn finer<const PER_SECOND: i64>(words: __m512i, lengths: __m512i) -> (__m512i, __mmask8) {
    let number = |number: i64| _mm512_set1_epi64(number);
    let digits = _mm512_xor_si512(words, number(0x3030_3030_3030_3030));
    let digits = first_bytes(digits, _mm512_sub_epi64(lengths, number(21)));
    let digits = _mm512_andnot_si512(number(0xFFFF), digits);
    let finer = match PER_SECOND {
        1_000_000_000 => value(digits),
        // The first three, moved to where the last digits are.
        1_000_000 => value(_mm512_slli_epi64::<24>(digits)),
        _ => _mm512_setzero_si512(),
    };
    (finer, not_digits(digits))
}
