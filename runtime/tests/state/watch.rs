//! A reader that checks what it sees: no version goes back, and no group.

use crate::aggregation::{Group, Toy};
use crate::oracle::Expected;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thalweg_runtime::state::{Reader, Version};

/// One reader of live state.
pub struct Watch {
    reader: Arc<dyn Reader<Toy>>,
    expected: Expected,
    versions: Vec<Version>,
    groups: BTreeMap<(i64, u64), Group>,
    /// Groups that were there and went: their window is closed.
    gone: BTreeSet<(i64, u64)>,
}

impl Watch {
    pub fn new(reader: Arc<dyn Reader<Toy>>, expected: Expected) -> Self {
        Self { reader, expected, versions: Vec::new(), groups: BTreeMap::new(), gone: BTreeSet::new() }
    }

    /// Reads all groups, and then those of one key.
    ///
    /// # Panics
    /// If a version or a group went back, or if a group holds what no row brought.
    pub fn look(&mut self) {
        let pieces = self.reader.scan().expect("the toy can be read");
        let versions: Vec<Version> = pieces.iter().map(|(version, _)| *version).collect();
        if !self.versions.is_empty() {
            assert_eq!(versions.len(), self.versions.len(), "the pieces of a state stay the same");
            assert!(versions.iter().zip(&self.versions).all(|(is, was)| is >= was), "{versions:?} {:?}", self.versions);
        }
        self.versions = versions;
        let mut groups = BTreeMap::new();
        for output in pieces.into_iter().flat_map(|(_, rows)| rows) {
            let before = groups.insert((output.window, output.key), output.group);
            assert_eq!(before, None, "two pieces hold {output:?}");
        }
        for (name, group) in &groups {
            let whole = self.expected.groups.get(name).expect("only rows make a group");
            assert!(group.count <= whole.count && group.max <= whole.max, "{group:?} of {whole:?}");
            assert!(!self.gone.contains(name), "group {name:?} is back: {group:?}");
            if let Some(was) = self.groups.get(name) {
                assert!(group.count >= was.count && group.max >= was.max, "{name:?} went from {was:?} to {group:?}");
            }
        }
        self.gone.extend(self.groups.keys().filter(|name| !groups.contains_key(name)));
        self.groups = groups;
        if let Some((_, key)) = self.groups.first_key_value().map(|(name, _)| *name) {
            let (_, rows) = self.reader.lookup(&key).expect("the toy can be read");
            for output in rows {
                assert_eq!(output.key, key);
                let was = self.groups.get(&(output.window, key)).map_or(0, |group| group.count);
                assert!(output.group.count >= was, "{output:?} had {was} rows already");
            }
        }
    }
}
