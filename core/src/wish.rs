//! A wish: what a peer wants in a room and its token does not allow by itself, for the host to
//! decide on.
//!
//! In: what the shard tells. Out: the join or the publication, done by whoever allows it. Any
//! thread.

use crate::grants::Verb;
use crate::handle::Handle;
use crate::payload::{ConnectionId, Kind};
use crate::shard::shared::Ask;
use crate::wanted::{Deed, Wanted};

/// What a peer wants in a room, for at most `verdict_timeout_ms`. Dropped without an answer, it is
/// denied.
pub struct Wish {
    id: ConnectionId,
    wanted: Option<Box<Wanted>>,
    handle: Handle,
}

impl Wish {
    pub(crate) fn new(id: ConnectionId, wanted: Box<Wanted>, handle: Handle) -> Self {
        let wanted = Some(wanted);
        Wish { id, wanted, handle }
    }

    fn wanted(&self) -> &Wanted {
        self.wanted
            .as_ref()
            .expect("it is taken where the wish ends")
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// To join or to publish.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.wanted().verb()
    }

    /// In which room.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.wanted().room
    }

    /// What the peer wants to publish.
    #[must_use]
    pub fn data(&self) -> Option<(Kind, &[u8])> {
        match &self.wanted().deed {
            Deed::Join(_) => None,
            Deed::Publish(said) => Some((said.kind(), &said.data)),
        }
    }

    /// A handle of the engine.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn bytes(&self) -> usize {
        self.wanted().bytes()
    }

    /// Allows it: from the return of this call on the peer is a member, or what it said is
    /// published. False where that is not so: more than `verdict_timeout_ms` have passed since it
    /// asked, or a room that is behind, or the engine, takes no more for now. Where the peer has
    /// gone, nothing comes of it.
    pub fn allow(mut self) -> bool {
        let Some(wanted) = self.wanted.take() else {
            return false;
        };
        let is_done = self.handle.shared.clock.now_ns() <= wanted.until_ns
            && self.handle.is_open(self.id)
            && self.execute(*wanted);
        self.count(is_done);
        is_done
    }

    /// Does not allow it. The peer is not told: say so in words that it knows.
    pub fn deny(self) {}

    /// Its token allows it.
    pub(crate) fn fulfil(mut self) {
        if let Some(wanted) = self.wanted.take() {
            self.execute(*wanted);
        }
    }

    fn execute(&self, wanted: Wanted) -> bool {
        let room = &wanted.room;
        match wanted.deed {
            Deed::Join(how) => self.handle.join_with(self.id, room, how).is_ok(),
            Deed::Publish(said) => said.with(|said| self.handle.publish(room, said).is_ok()),
        }
    }

    fn count(&self, is_granted: bool) {
        self.handle
            .shared
            .ask(self.id.shard(), Ask::Decided(is_granted));
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if self.wanted.is_some() {
            self.count(false);
        }
    }
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Wish");
        out.field("id", &self.id);
        if let Some(wanted) = &self.wanted {
            out.field("verb", &wanted.verb())
                .field("room", &wanted.room);
        }
        out.finish()
    }
}
