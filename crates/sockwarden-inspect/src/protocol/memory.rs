//! What later messages refer back to: names by a short key, bounded.

use std::collections::BTreeMap;

/// Names by the keys that stand for them.
#[derive(Default)]
pub(super) struct Memory {
    entries: BTreeMap<Box<[u8]>, Box<str>>,
    /// What the entries take, with what the table itself needs for each.
    bytes: usize,
}

/// What an entry takes beside its bytes, about.
const ENTRY: usize = 64;

impl Memory {
    /// Remembers a name; `false` where that is more than `most` bytes, and then the key stands for nothing.
    pub(super) fn keep(&mut self, key: &[u8], name: &str, most: usize) -> bool {
        self.take(key);
        let bytes = self.bytes.saturating_add(key.len()).saturating_add(name.len()).saturating_add(ENTRY);
        if bytes > most {
            return false;
        }
        self.bytes = bytes;
        self.entries.insert(key.into(), name.into());
        true
    }

    /// Gives what a key stands for.
    pub(super) fn get(&self, key: &[u8]) -> Option<&str> {
        self.entries.get(key).map(Box::as_ref)
    }

    /// Gives what a key stands for, and forgets it.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Box<str>> {
        let name = self.entries.remove(key)?;
        self.bytes -= key.len() + name.len() + ENTRY;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memory = Memory::default();
        assert!(memory.keep(b"a", "one", 200) && memory.keep(b"b", "two", 200));
        assert!(!memory.keep(b"c", "three", 200));
        assert!(memory.keep(b"a", "four", 200), "what is replaced makes room");
        assert_eq!((memory.get(b"a"), memory.get(b"c")), (Some("four"), None));
        assert!(!memory.keep(b"a", &"x".repeat(200), 200));
        assert_eq!(memory.get(b"a"), None, "a key never stands for what it stood for before");
        assert_eq!(memory.take(b"b").as_deref(), Some("two"));
        assert_eq!(memory.bytes, 0);
    }
}
