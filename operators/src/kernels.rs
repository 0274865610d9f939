//! Which instructions the loops over rows use: a choice that is passed down, never a global.
//!
//! What comes out does not depend on it, bit for bit: vector kernels hash as the scalar ones do, number groups in the same
//! order and add floating-point numbers of a group in the order of their rows.

use std::fmt;
use std::str::FromStr;

/// How the loops over rows are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// A value at a time, without vector instructions of our own: the reference.
    Scalar,
    /// The best vector instructions that the processor has.
    #[default]
    Simd,
}

impl Kernels {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Scalar, Self::Simd];

    /// The name, as options have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Simd => "simd",
        }
    }

    /// What is used on this processor: `scalar`, `avx2` or `avx512`.
    #[must_use]
    pub fn instructions(self) -> &'static str {
        match self.level() {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => "avx512",
        }
    }

    /// The instructions to use here. The processor is asked once; later calls read what it said.
    pub(crate) fn level(self) -> Level {
        if self == Self::Scalar {
            return Level::Scalar;
        }
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(avx512) = Avx512::detect() {
                return Level::Avx512(avx512);
            }
            if let Some(avx2) = Avx2::detect() {
                return Level::Avx2(avx2);
            }
        }
        Level::Scalar
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernels {
    type Err = UnknownKernels;

    /// # Errors
    /// If there are none of that name.
    fn from_str(name: &str) -> Result<Self, UnknownKernels> {
        Self::ALL.into_iter().find(|kernels| kernels.name() == name).ok_or_else(|| UnknownKernels(name.to_owned()))
    }
}

/// A name that is neither `scalar` nor `simd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKernels(pub String);

impl fmt::Display for UnknownKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are no kernels '{}': they are 'scalar' or 'simd'", self.0)
    }
}

impl std::error::Error for UnknownKernels {}

/// The instructions of one kind of kernel, with the proof that the processor has them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Proof that the processor has AVX2, BMI1, BMI2, LZCNT and POPCNT: there is no other way to one than to ask it.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// Proof that the processor has AVX-512 F, BW, DQ and VL, and all of [`Avx2`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has_all.then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has_all = Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        has_all.then_some(Self(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_kernels_and_others_are_refused() {
        for kernels in Kernels::ALL {
            assert_eq!(kernels.name().parse(), Ok(kernels));
        }
        assert_eq!("SIMD".parse::<Kernels>(), Err(UnknownKernels("SIMD".to_owned())));
        assert_eq!(Kernels::Scalar.instructions(), "scalar");
    }
}
