//! A map that keeps what was put in last.

use std::collections::{BTreeMap, HashMap};

/// A map of at most so many entries; the one that was put in longest ago makes room.
#[derive(Clone, Debug)]
pub(super) struct Recent<V> {
    most: usize,
    turn: u64,
    entries: HashMap<u64, (u64, V)>,
    /// The keys by when they were put in.
    order: BTreeMap<u64, u64>,
}

impl<V> Recent<V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), turn: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: u64) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    /// Puts in what a change makes of the value that is there, or of none.
    pub(super) fn put(&mut self, key: u64, change: impl FnOnce(Option<V>) -> V) {
        let old = self.take(key);
        if self.entries.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.turn += 1;
        self.order.insert(self.turn, key);
        self.entries.insert(key, (self.turn, change(old)));
    }

    pub(super) fn take(&mut self, key: u64) -> Option<V> {
        let (turn, value) = self.entries.remove(&key)?;
        self.order.remove(&turn);
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_keeps_the_last(most in 1_usize..6, steps in proptest::collection::vec((0_u64..9, any::<bool>()), 0..80)) {
            let mut map = Recent::new(most);
            let mut list: Vec<(u64, u32)> = Vec::new();
            for (key, put) in steps {
                let old = list.iter().position(|(other, _)| *other == key).map(|at| list.remove(at).1);
                if put {
                    map.put(key, |old| old.map_or(0, |old: u32| old + 1));
                    list.push((key, old.map_or(0, |old| old + 1)));
                    if list.len() > most {
                        list.remove(0);
                    }
                } else {
                    prop_assert_eq!(map.take(key), old);
                }
                prop_assert_eq!((map.len(), map.order.len()), (list.len(), list.len()));
                for key in 0..9 {
                    let value = list.iter().find(|(other, _)| *other == key).map(|(_, value)| value);
                    prop_assert_eq!(map.get(key), value);
                }
            }
        }
    }
}
