//! Fields eight at a time, with AVX-512: columns of the usual shape to values.
//!
//! **A kernel takes what is plain and leaves the rest.** It fills in the values of all rows that it understands, and lists
//! the others as *odd*: NULLs, spaces, exponents, too many digits, bad text. Those go to the scalar code, which alone
//! decides what is accepted and why something is refused. So a kernel may only be wrong in one way, by giving another value
//! than the scalar code for a row that it took; the tests hold it to that, bit for bit.
//!
//! Each loop lies wholly inside a function that enables its instructions, as in `text::simd`. A text is read as words of
//! eight bytes up to its end or from its start on, wherever it lies: a block is padded at both ends. Texts too near an end
//! of the buffer for that are odd, so no position can make a kernel read outside of it.
#![allow(unsafe_code)] // Loads and stores; a DOUBLE takes 1.4 instead of 5.7 ns, a TIMESTAMP(3) 1.4 instead of 4.8, measured.

#[cfg(target_arch = "x86_64")]
mod numbers;
#[cfg(target_arch = "x86_64")]
mod times;
#[cfg(target_arch = "x86_64")]
mod words;

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use thalweg_operators::kernels::Kernels;

/// Where the texts of a column are.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// Holds them.
    pub bytes: &'a [u8],
    /// First bytes.
    pub starts: &'a [u32],
    /// Behind the last bytes; as many as `starts`.
    pub ends: &'a [u32],
}

/// How the text of a timestamp says its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// It does not.
    Local,
    /// It ends with `Z`.
    Utc,
}

/// The kernels; that there is a value means that the processor has their instructions.
///
/// Kernels of columns give one value for each row, and append the rows that they leave to `odd`, ascending; the value of
/// such a row is unspecified.
#[derive(Clone, Copy, Debug)]
pub struct Vectors {
    #[cfg(target_arch = "x86_64")]
    detected: (),
    #[cfg(not(target_arch = "x86_64"))]
    none: std::convert::Infallible,
}

#[cfg(target_arch = "x86_64")]
impl Vectors {
    /// The kernels, if they are asked for and this processor can run them.
    #[must_use]
    pub fn of(kernels: Kernels) -> Option<Self> {
        if kernels == Kernels::Simd { Self::detect() } else { None }
    }

    fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512cd");
        has_all.then_some(Self { detected: () })
    }

    /// Integers: up to 19 digits, perhaps behind a `-`.
    #[must_use]
    pub fn integers(self, texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<i64> {
        let Self { detected: () } = self;
        // SAFETY: the processor has the instructions, or there were no `self`.
        unsafe { numbers::integers(texts, odd) }
    }

    /// DOUBLEs: up to 16 digits and a point, perhaps behind a `-`, and together not above 2⁵³.
    #[must_use]
    pub fn doubles(self, texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<f64> {
        let Self { detected: () } = self;
        // SAFETY: as in `integers`.
        unsafe { numbers::doubles(texts, odd) }
    }

    /// FLOATs: the same, up to 2²⁴, and with at most 10 digits behind the point.
    #[must_use]
    pub fn floats(self, texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<f32> {
        let Self { detected: () } = self;
        // SAFETY: as in `integers`.
        unsafe { numbers::floats(texts, odd) }
    }

    /// DECIMALs, unscaled: up to 16 digits and a point, perhaps behind a `-`, that fit precision, scale and 64 bits.
    #[must_use]
    pub fn decimals(self, texts: Texts<'_>, precision: u8, scale: i8, odd: &mut Vec<u32>) -> Vec<i128> {
        let Self { detected: () } = self;
        // SAFETY: as in `integers`.
        unsafe { numbers::decimals(texts, precision, scale, odd) }
    }

    /// TIMESTAMPs in units of which `PER_SECOND` (1, 10³, 10⁶ or 10⁹) make a second: `yyyy-MM-dd HH:mm:ss`, or with a `T`,
    /// and up to 9 digits of a fraction.
    #[must_use]
    pub fn timestamps<const PER_SECOND: i64>(self, texts: Texts<'_>, zone: Zone, odd: &mut Vec<u32>) -> Vec<i64> {
        let Self { detected: () } = self;
        // SAFETY: as in `integers`.
        unsafe { times::timestamps::<PER_SECOND>(texts, zone, odd) }
    }

    /// DATEs: `yyyy-MM-dd`, as days since 1970-01-01.
    #[must_use]
    pub fn dates(self, texts: Texts<'_>, odd: &mut Vec<u32>) -> Vec<i32> {
        let Self { detected: () } = self;
        // SAFETY: as in `integers`.
        unsafe { times::dates(texts, odd) }
    }
}

/// Other processors have none.
#[cfg(not(target_arch = "x86_64"))]
impl Vectors {
    /// None.
    #[must_use]
    pub fn of(_: Kernels) -> Option<Self> {
        None
    }

    /// Integers.
    #[must_use]
    pub fn integers(self, _: Texts<'_>, _: &mut Vec<u32>) -> Vec<i64> {
        match self.none {}
    }

    /// DOUBLEs.
    #[must_use]
    pub fn doubles(self, _: Texts<'_>, _: &mut Vec<u32>) -> Vec<f64> {
        match self.none {}
    }

    /// FLOATs.
    #[must_use]
    pub fn floats(self, _: Texts<'_>, _: &mut Vec<u32>) -> Vec<f32> {
        match self.none {}
    }

    /// DECIMALs.
    #[must_use]
    pub fn decimals(self, _: Texts<'_>, _: u8, _: i8, _: &mut Vec<u32>) -> Vec<i128> {
        match self.none {}
    }

    /// TIMESTAMPs.
    #[must_use]
    pub fn timestamps<const PER_SECOND: i64>(self, _: Texts<'_>, _: Zone, _: &mut Vec<u32>) -> Vec<i64> {
        match self.none {}
    }

    /// DATEs.
    #[must_use]
    pub fn dates(self, _: Texts<'_>, _: &mut Vec<u32>) -> Vec<i32> {
        match self.none {}
    }
}
