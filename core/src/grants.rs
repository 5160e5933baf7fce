//! Grants: what a peer may do in which rooms, decided without asking the host.
//!
//! In: names of rooms and beginnings of names, each with what is allowed there. Out: yes or no for
//! one verb in one room. Rank 0: a value, read on any thread.

use std::fmt;

/// What a peer may ask for in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// To be a member: to be sent what is published.
    Join,
    /// To publish.
    Publish,
    /// To see who is there.
    Presence,
}

impl Verb {
    /// All of them.
    pub const ALL: &'static [Verb] = &[Verb::Join, Verb::Publish, Verb::Presence];

    /// The stable name, as tokens have it: `join`, `publish`, `presence`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verb::Join => "join",
            Verb::Publish => "publish",
            Verb::Presence => "presence",
        }
    }

    /// The verb of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Verb> {
        Verb::ALL.iter().copied().find(|verb| verb.name() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a peer may do in which rooms; nothing at first.
///
/// ```
/// use roomcast::{Grants, Verb};
///
/// let grants = Grants::new()
///     .allow("lobby", &[Verb::Join])
///     .allow("team:7:*", &[Verb::Join, Verb::Publish]);
/// assert!(grants.may(Verb::Publish, "team:7:plans"));
/// assert!(!grants.may(Verb::Publish, "lobby"));
/// assert!(!grants.may(Verb::Join, "team:8:plans"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Whole names, in order.
    names: Vec<(Box<str>, u8)>,
    /// Beginnings of names, in order.
    prefixes: Vec<Prefix>,
}

#[derive(Clone, PartialEq, Eq)]
struct Prefix {
    begins: Box<str>,
    bits: u8,
    /// The longest of the others that begins this one. It stands before it.
    outer: Option<usize>,
}

impl Grants {
    /// Nothing is allowed.
    #[must_use]
    pub fn new() -> Self {
        Grants::default()
    }

    /// Allows these verbs in the room of this name or, where the name ends in `*`, in all rooms
    /// whose names begin with what stands before it; `*` alone is every room. Adds to what was
    /// allowed before.
    #[must_use]
    pub fn allow(mut self, rooms: &str, verbs: &[Verb]) -> Self {
        let bits = verbs.iter().fold(0, |bits, verb| bits | verb.bit());
        match rooms.strip_suffix('*') {
            Some(begins) => self.allow_prefix(begins, bits),
            None => match self.find_name(rooms) {
                Ok(at) => self.names[at].1 |= bits,
                Err(at) => self.names.insert(at, (rooms.into(), bits)),
            },
        }
        self
    }

    fn allow_prefix(&mut self, begins: &str, bits: u8) {
        let outer = self.longest_prefix(begins);
        if let Some(same) = outer.filter(|at| *self.prefixes[*at].begins == *begins) {
            self.prefixes[same].bits |= bits;
            return;
        }
        let at = self.count_upto(begins);
        let prefix = Prefix {
            begins: begins.into(),
            bits,
            outer,
        };
        self.prefixes.insert(at, prefix);
        for later in &mut self.prefixes[at + 1..] {
            later.outer = match later.outer {
                Some(outer) if outer >= at => Some(outer + 1),
                _ if later.begins.starts_with(begins) => Some(at),
                outer => outer,
            };
        }
    }

    /// Whether the verb is allowed in the room. Costs a search of the names, one of the beginnings,
    /// and a comparison for each beginning that begins another.
    #[must_use]
    pub fn may(&self, verb: Verb, room: &str) -> bool {
        let bit = verb.bit();
        if self
            .find_name(room)
            .is_ok_and(|at| self.names[at].1 & bit != 0)
        {
            return true;
        }
        let mut fits = self.longest_prefix(room);
        while let Some(at) = fits {
            if self.prefixes[at].bits & bit != 0 {
                return true;
            }
            fits = self.prefixes[at].outer;
        }
        false
    }

    fn find_name(&self, room: &str) -> Result<usize, usize> {
        self.names.binary_search_by(|(name, _)| (**name).cmp(room))
    }

    /// How many beginnings are not behind this name in the alphabet.
    fn count_upto(&self, name: &str) -> usize {
        self.prefixes
            .partition_point(|prefix| *prefix.begins <= *name)
    }

    /// What begins a name also begins all that stands between the two in the alphabet, so it is
    /// the last that is not behind the name, or begins that one.
    fn longest_prefix(&self, name: &str) -> Option<usize> {
        let mut near = self.count_upto(name).checked_sub(1);
        while let Some(at) = near {
            let prefix = &self.prefixes[at];
            if name.starts_with(&*prefix.begins) {
                break;
            }
            near = prefix.outer;
        }
        near
    }

    /// Whether nothing is allowed anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }

    /// How many names and beginnings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + self.prefixes.len()
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs = |bits: u8| {
            let has = move |verb: &&Verb| bits & verb.bit() != 0;
            Verb::ALL.iter().filter(has).collect::<Vec<_>>()
        };
        let names = self
            .names
            .iter()
            .map(|(name, bits)| (name.to_string(), verbs(*bits)));
        let prefixes = self
            .prefixes
            .iter()
            .map(|prefix| (format!("{}*", prefix.begins), verbs(prefix.bits)));
        f.debug_map().entries(names.chain(prefixes)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &[Verb] = Verb::ALL;

    proptest! {
        #[test]
        fn what_is_granted_is_what_a_naive_reading_grants(
            allowed in prop::collection::vec(("[ab\u{e9}]{0,4}[*]?", 0..3usize), 0..12),
            room in "[ab\u{e9}]{0,5}[*]?",
        ) {
            let add = |grants: Grants, (rooms, verb): &(String, usize)| {
                grants.allow(rooms, &[ALL[*verb]])
            };
            let grants = allowed.iter().fold(Grants::new(), add);
            for (nth, verb) in ALL.iter().enumerate() {
                let fits = |(rooms, verb): &(String, usize)| match rooms.strip_suffix('*') {
                    Some(begins) => *verb == nth && room.starts_with(begins),
                    None => *verb == nth && *rooms == room,
                };
                prop_assert_eq!(grants.may(*verb, &room), allowed.iter().any(fits));
            }
            let backward = allowed.iter().rev().fold(Grants::new(), add);
            prop_assert!(grants == backward);
        }
    }

    #[test]
    fn names_and_prefixes() {
        let grants = Grants::new()
            .allow("a", &[Verb::Join])
            .allow("a", &[Verb::Publish])
            .allow("team:*", &[Verb::Join])
            .allow("team:7*", &[Verb::Publish]);
        assert!(grants.may(Verb::Join, "a") && grants.may(Verb::Publish, "a"));
        assert!(!grants.may(Verb::Presence, "a") && !grants.may(Verb::Join, "ab"));
        assert!(grants.may(Verb::Join, "team:71") && grants.may(Verb::Publish, "team:71"));
        assert!(grants.may(Verb::Join, "team:") && !grants.may(Verb::Publish, "team:8"));
        assert!(!grants.may(Verb::Join, "team") && !grants.may(Verb::Join, ""));
        assert_eq!(grants.len(), 3);
    }

    #[test]
    fn a_star_is_every_room_and_a_star_within_is_a_star() {
        let grants = Grants::new().allow("*", &[Verb::Join]).allow("a*b", ALL);
        assert!(grants.may(Verb::Join, "") && grants.may(Verb::Join, "x"));
        assert!(grants.may(Verb::Publish, "a*b") && !grants.may(Verb::Publish, "axb"));
        assert!(!Grants::new().may(Verb::Join, "x") && Grants::new().is_empty());
    }

    #[test]
    fn verbs_have_names() {
        for verb in ALL {
            assert_eq!(Verb::from_name(verb.name()), Some(*verb));
        }
        assert_eq!(Verb::from_name("Join"), None);
    }
}
