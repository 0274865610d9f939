//! Words of groups that are nearly always 0: carries of sums, counts of NULLs.
//!
//! They are kept apart from the groups' rows, and only as far as there are any: so a row of two keys and four aggregates is
//! one cache line, and what nobody needs is neither copied nor looked at.

/// A few words for each of some groups, all 0 until one is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColdWords {
    /// Those of the first groups; all others are 0.
    words: Vec<u64>,
    /// How many a group has.
    of_group: usize,
}

impl ColdWords {
    /// For groups of `of_group` such words each.
    #[must_use]
    pub fn new(of_group: usize) -> Self {
        Self { words: Vec::new(), of_group }
    }

    /// Bytes held, free capacity included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Are all of them 0?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All are 0 again.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// For groups of `of_group` such words each from now on. Those of other groups are of no use then.
    pub(crate) fn resize(&mut self, of_group: usize) {
        if self.of_group != of_group {
            self.words.clear();
            self.of_group = of_group;
        }
    }

    /// All are 0 again, and the memory is given back.
    pub(crate) fn free(&mut self) {
        self.words = Vec::new();
    }

    /// The words of a group; none if they are 0.
    #[must_use]
    pub fn of(&self, group: usize) -> &[u64] {
        self.words.get(group * self.of_group..(group + 1) * self.of_group).unwrap_or_default()
    }

    /// Word `word` of a group, to be changed.
    pub(super) fn word(&mut self, group: usize, word: usize) -> &mut u64 {
        self.reach(group);
        &mut self.words[group * self.of_group + word]
    }

    /// Adds `words`, which may be none, to those of a group.
    pub(crate) fn add(&mut self, group: usize, words: &[u64]) {
        if words.iter().any(|&word| word != 0) {
            self.reach(group);
            let known = &mut self.words[group * self.of_group..];
            known.iter_mut().zip(words).for_each(|(known, &word)| *known = known.wrapping_add(word));
        }
    }

    /// Adds the words of the `i`-th group of `from` to group `ids[i]`.
    pub(super) fn add_all(&mut self, from: &Self, ids: &[u32]) {
        if !from.is_empty() {
            ids.iter().enumerate().for_each(|(group, &id)| self.add(id as usize, from.of(group)));
        }
    }

    /// There are words for this group.
    fn reach(&mut self, group: usize) {
        let end = (group + 1) * self.of_group;
        if self.words.len() < end {
            self.words.resize(end, 0);
        }
    }
}
