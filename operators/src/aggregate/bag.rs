//! Values of a group that may be taken back: what MIN, MAX, FIRST_VALUE, LAST_VALUE, LISTAGG and DISTINCT keep of them.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;

use super::side::SideKind;

/// Values, each as often as it is there.
#[derive(Clone, Debug)]
pub(crate) enum Bag {
    /// By value, in order: how often it is there.
    Counted(BTreeMap<Box<[u8]>, u64>),
    /// In the order in which they came.
    Ordered(Ordered),
}

/// Values in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordered {
    /// By number.
    values: BTreeMap<u64, Box<[u8]>>,
    /// Their numbers, the least first.
    numbers: HashMap<Box<[u8]>, VecDeque<u64>>,
    /// Of the next one.
    next: u64,
    /// Bytes of all values, where a result repeats all of them.
    listed: Option<usize>,
}

/// What a value costs besides its bytes.
const PLACE_BYTES: usize = 64;

impl Bag {
    /// Without a value, for what this kind of side is asked.
    pub(super) fn new(kind: SideKind) -> Self {
        match kind {
            SideKind::Min | SideKind::Max | SideKind::Distinct => Self::Counted(BTreeMap::new()),
            SideKind::First | SideKind::Last => Self::Ordered(Ordered::default()),
            SideKind::List => Self::Ordered(Ordered { listed: Some(0), ..Ordered::default() }),
        }
    }

    /// Adds a value; whether it is the only one like it.
    pub(super) fn add(&mut self, value: &[u8]) -> bool {
        match self {
            Self::Counted(values) => match values.get_mut(value) {
                Some(count) => {
                    *count += 1;
                    false
                }
                None => values.insert(value.into(), 1).is_none(),
            },
            Self::Ordered(Ordered { values, numbers, next, listed }) => {
                values.insert(*next, value.into());
                let of_value = numbers.entry(value.into()).or_default();
                of_value.push_back(*next);
                *next += 1;
                listed.iter_mut().for_each(|bytes| *bytes += value.len());
                of_value.len() == 1
            }
        }
    }

    /// Takes a value back, of several like it the earliest; whether none like it is left. One that is not there changes
    /// nothing.
    pub(super) fn take_back(&mut self, value: &[u8]) -> bool {
        match self {
            Self::Counted(values) => match values.get_mut(value) {
                None => false,
                Some(1) => values.remove(value).is_some(),
                Some(count) => {
                    *count -= 1;
                    false
                }
            },
            Self::Ordered(Ordered { values, numbers, listed, .. }) => {
                let Some(of_value) = numbers.get_mut(value) else { return false };
                if let Some(first) = of_value.pop_front() {
                    values.remove(&first);
                }
                listed.iter_mut().for_each(|bytes| *bytes -= value.len());
                let is_last = of_value.is_empty();
                if is_last {
                    numbers.remove(value);
                }
                is_last
            }
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Counted(values) => values.is_empty(),
            Self::Ordered(ordered) => ordered.values.is_empty(),
        }
    }

    /// The least, greatest, first or last value.
    pub(super) fn value(&self, kind: SideKind) -> Option<&[u8]> {
        let value = match (self, kind) {
            (Self::Counted(values), SideKind::Max) => values.last_key_value()?.0,
            (Self::Counted(values), _) => values.first_key_value()?.0,
            (Self::Ordered(ordered), SideKind::Last) => ordered.values.last_key_value()?.1,
            (Self::Ordered(ordered), _) => ordered.values.first_key_value()?.1,
        };
        Some(value)
    }

    /// Writes all values in their order to `bytes`, the length of each in front.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        if let Self::Ordered(ordered) = self {
            for value in ordered.values.values() {
                bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
                bytes.extend_from_slice(value);
            }
        }
    }

    /// Bytes of a value that was added, or has gone.
    pub(super) fn bytes_of(value: &[u8]) -> usize {
        2 * value.len() + PLACE_BYTES
    }

    /// Bytes that a result repeats, roughly.
    pub(super) fn repeated(&self) -> usize {
        match self {
            Self::Counted(_) => 0,
            Self::Ordered(ordered) => ordered.listed.map_or(0, |bytes| bytes + 8 * ordered.values.len()),
        }
    }
}

/// The values that [`Bag::write`] wrote.
pub(super) fn written(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (value, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = after;
        Some(value)
    })
}
