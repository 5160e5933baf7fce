//! Labels: what a publication says of itself beside its data: an event's name, a key, tags.
//!
//! In: the publisher's strings, copied into one piece that is used again for the next publication.
//! Out: the same, for filters, conflation by key and dialects with an envelope. Rank 0: plain
//! values, any thread.

use smallvec::SmallVec;

/// The labels of one publication: its event, its key, its tags. They decide who is sent it and what
/// it replaces; the raw dialect does not put them on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    text: String,
    /// Where each piece of `text` ends: the event, the key, then names and values in turn. Empty
    /// when there are no labels at all.
    ends: SmallVec<[u32; 6]>,
    has_event: bool,
    has_key: bool,
}

impl Labels {
    /// Copies of these strings. Of two tags with one name the first counts.
    #[must_use]
    pub fn new(event: Option<&str>, key: Option<&str>, tags: &[(&str, &str)]) -> Self {
        let mut labels = Labels::default();
        labels.fill(event, key, tags);
        labels
    }

    /// Makes them other labels, in the same place.
    pub(crate) fn fill(&mut self, event: Option<&str>, key: Option<&str>, tags: &[(&str, &str)]) {
        if !self.ends.is_empty() {
            self.text.clear();
            self.ends.clear();
        }
        (self.has_event, self.has_key) = (event.is_some(), key.is_some());
        if event.is_none() && key.is_none() && tags.is_empty() {
            return;
        }
        self.push(event.unwrap_or_default());
        self.push(key.unwrap_or_default());
        for (name, value) in tags {
            self.push(name);
            self.push(value);
        }
    }

    fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.ends.push(self.text.len() as u32);
    }

    fn piece(&self, at: usize) -> &str {
        let start = match at.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => 0,
        };
        &self.text[start..self.ends[at] as usize]
    }

    /// Bytes that they can have without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Bytes of all the strings.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// What kind of event it is.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.has_event.then(|| self.piece(0))
    }

    /// What it is about: a later publication of the room with the same key is newer news of it.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.has_key.then(|| self.piece(1))
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// Names and values of all tags, in the order given.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.ends.len().saturating_sub(2) / 2;
        (0..pairs).map(|at| (self.piece(2 + 2 * at), self.piece(3 + 2 * at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_was_said() {
        let mut labels = Labels::new(Some("trade"), None, &[("a", "1"), ("b", ""), ("a", "2")]);
        assert_eq!((labels.event(), labels.key()), (Some("trade"), None));
        assert_eq!((labels.tag("a"), labels.tag("b")), (Some("1"), Some("")));
        assert_eq!(labels.tag("c"), None);
        assert_eq!(labels.tags().count(), 3);
        labels.fill(None, Some("BTC"), &[]);
        assert_eq!((labels.event(), labels.key()), (None, Some("BTC")));
        assert_eq!(labels.tags().count(), 0);
        labels.fill(None, None, &[]);
        assert_eq!(labels, Labels::default());
        assert_eq!(
            (labels.event(), labels.key(), labels.tag("a")),
            (None, None, None)
        );
    }
}
