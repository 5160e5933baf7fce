//! What a peer wants to do in a room, on its way to whoever decides.
//!
//! In: what the host made of a peer's words. Out: the same, to the connection's shard, which knows
//! its grants, and from there to the host where they do not say yes. Rank 0: plain values.

use crate::grants::Verb;
use crate::join::Join;
use crate::payload::{ConnectionId, Kind, Publication};

/// One thing that a peer wants.
pub(crate) struct Wanted {
    pub(crate) room: Box<str>,
    pub(crate) deed: Deed,
    /// By when it must be decided: nanoseconds of the engine's clock.
    pub(crate) until_ns: u64,
}

pub(crate) enum Deed {
    Join(Join),
    Publish(Said),
}

impl Wanted {
    pub(crate) fn verb(&self) -> Verb {
        match self.deed {
            Deed::Join(_) => Verb::Join,
            Deed::Publish(_) => Verb::Publish,
        }
    }

    /// Bytes that it counts for in the inbox.
    pub(crate) fn bytes(&self) -> usize {
        match &self.deed {
            Deed::Join(_) => 0,
            Deed::Publish(said) => said.data.len(),
        }
    }
}

/// A publication that is kept until somebody has decided on it.
pub(crate) struct Said {
    kind: Kind,
    pub(crate) data: Box<[u8]>,
    event: Option<Box<str>>,
    key: Option<Box<str>>,
    tags: Box<[(Box<str>, Box<str>)]>,
    except: Box<[ConnectionId]>,
    except_rooms: Box<[Box<str>]>,
}

impl Said {
    pub(crate) fn new(publication: &Publication<'_>) -> Self {
        let tags = publication.tags.iter();
        Said {
            kind: publication.kind,
            data: publication.data.into(),
            event: publication.event.map(Into::into),
            key: publication.key.map(Into::into),
            tags: tags
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            except: publication.except.into(),
            except_rooms: publication
                .except_rooms
                .iter()
                .map(|room| (*room).into())
                .collect(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Publishes it.
    pub(crate) fn with<T>(&self, publish: impl FnOnce(Publication<'_>) -> T) -> T {
        let tags: Vec<(&str, &str)> = self.tags.iter().map(|(n, v)| (&**n, &**v)).collect();
        let except_rooms: Vec<&str> = self.except_rooms.iter().map(|room| &**room).collect();
        publish(Publication {
            kind: self.kind,
            data: &self.data,
            event: self.event.as_deref(),
            key: self.key.as_deref(),
            tags: &tags,
            except: &self.except,
            except_rooms: &except_rooms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_published_as_it_was() {
        let (tags, except) = ([("a", "1")], [ConnectionId::from_u64(7)]);
        let publication = Publication::text("hello").event("e").key("k").tags(&tags);
        let publication = publication.except(&except).except_rooms(&["x", "y"]);
        let before = format!("{publication:?}");
        let said = Said::new(&publication);
        assert_eq!(said.with(|publication| format!("{publication:?}")), before);
    }
}
