//! What is published, sent and received: payloads, publications, positions, identities.
//!
//! Rank 0: plain values that borrow the caller's bytes; encoding copies them once, into the frame.

use std::fmt;

/// Whether a payload is text or binary, on the wire as in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// One connection of one engine. Never reused in the engine's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(crate) fn new(shard: usize, generation: u32, slot: u32) -> Self {
        debug_assert!(shard < 256 && slot < 1 << 24);
        ConnectionId((shard as u64) << 56 | u64::from(generation) << 24 | u64::from(slot))
    }

    /// The id as a number, for logs and other languages.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The id of a number that [`ConnectionId::as_u64`] gave.
    #[must_use]
    pub fn from_u64(id: u64) -> Self {
        ConnectionId(id)
    }

    pub(crate) fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 24) as u32
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 as u32 & 0xff_ffff
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is published or sent: a payload, and who is left out.
///
/// Made from a `&str` (text) or `&[u8]` (binary), or from a received [`Message`].
///
/// ```
/// use roomcast::{Kind, Publication};
///
/// assert_eq!(Publication::from("hello").kind(), Kind::Text);
/// assert_eq!(Publication::from(&[1u8, 2][..]).kind(), Kind::Binary);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Publication<'a> {
    pub(crate) kind: Kind,
    pub(crate) data: &'a [u8],
    pub(crate) event: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) except: &'a [ConnectionId],
    pub(crate) except_rooms: &'a [&'a str],
}

impl<'a> Publication<'a> {
    /// A text payload.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::of(Kind::Text, text.as_bytes())
    }

    /// A binary payload.
    #[must_use]
    pub fn binary(data: &'a [u8]) -> Self {
        Self::of(Kind::Binary, data)
    }

    fn of(kind: Kind, data: &'a [u8]) -> Self {
        Publication {
            kind,
            data,
            event: None,
            key: None,
            tags: &[],
            except: &[],
            except_rooms: &[],
        }
    }

    /// What kind of event it is, for [`Filter`](crate::Filter)s. Not on the wire of the raw
    /// dialect; in a message to connections it means nothing.
    #[must_use]
    pub fn event(mut self, event: &'a str) -> Self {
        self.event = Some(event);
        self
    }

    /// What it is about, at most `key_bytes_max` bytes: newer news of the same key takes its place
    /// where the room conflates or a member's policy is [`Latest`](crate::SlowPolicy::Latest), and
    /// members may watch keys ([`Join::keys`](crate::Join::keys)).
    #[must_use]
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Names and values that [`Filter`](crate::Filter)s look at. Of two with one name the first
    /// counts. With the data they count for `publication_bytes_max`.
    #[must_use]
    pub fn tags(mut self, tags: &'a [(&'a str, &'a str)]) -> Self {
        self.tags = tags;
        self
    }

    /// Bytes of its event, key and tags.
    pub(crate) fn labels_bytes(&self) -> usize {
        let of = |text: Option<&str>| text.map_or(0, str::len);
        let tags = self
            .tags
            .iter()
            .map(|(name, value)| name.len() + value.len());
        of(self.event) + of(self.key) + tags.sum::<usize>()
    }

    /// Leaves these connections out, for instance the sender.
    #[must_use]
    pub fn except(mut self, connections: &'a [ConnectionId]) -> Self {
        self.except = connections;
        self
    }

    /// Leaves out everybody who is a member of one of these rooms.
    #[must_use]
    pub fn except_rooms(mut self, rooms: &'a [&'a str]) -> Self {
        self.except_rooms = rooms;
        self
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }
}

macro_rules! publication_from {
    ($($type:ty, $make:ident, $as:ident;)+) => {
        $(impl<'a> From<&'a $type> for Publication<'a> {
            fn from(data: &'a $type) -> Self {
                Publication::$make(data.$as())
            }
        })+
    };
}

publication_from! {
    String, text, as_str;
    Vec<u8>, binary, as_slice;
    bytes::Bytes, binary, as_ref;
}

impl<'a> From<&'a str> for Publication<'a> {
    fn from(text: &'a str) -> Self {
        Publication::text(text)
    }
}

impl<'a> From<&'a [u8]> for Publication<'a> {
    fn from(data: &'a [u8]) -> Self {
        Publication::binary(data)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Publication<'a> {
    fn from(data: &'a [u8; N]) -> Self {
        Publication::binary(data)
    }
}

impl<'a> From<Message<'a>> for Publication<'a> {
    fn from(message: Message<'a>) -> Self {
        Publication::of(message.kind, message.data)
    }
}

/// A message from a peer. Valid during the callback; text has been checked to be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub(crate) kind: Kind,
    pub(crate) data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload's bytes, of text as well.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.data
    }

    /// The payload of a text message.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match self.kind {
            Kind::Text => simdutf8::basic::from_utf8(self.data).ok(),
            Kind::Binary => None,
        }
    }
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Its number in the room, counted from 1 in each epoch; of the first room of a union. `None`
    /// when the room did not exist, and so had no members.
    pub offset: Option<u64>,
    /// Members of the room when it was numbered, exclusions not subtracted; of a union the sum,
    /// which is an upper bound.
    pub members: usize,
}

/// A place in a room's sequence of publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which life of the room: a room that emptied and came back has another.
    pub epoch: u64,
    /// The number of the newest publication before this place; 0 before the first.
    pub offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_its_parts() {
        let id = ConnectionId::new(255, u32::MAX, (1 << 24) - 1);
        assert_eq!(
            (id.shard(), id.generation(), id.slot()),
            (255, u32::MAX, (1 << 24) - 1)
        );
        let id = ConnectionId::new(3, 7, 9);
        assert_eq!((id.shard(), id.generation(), id.slot()), (3, 7, 9));
        assert_eq!(ConnectionId::from_u64(id.as_u64()), id);
    }
}
