//! What a peer asks for: done if its token allows it, else as the host decides.
//!
//! In: calls on behalf of a peer. Out: what it wants, to its connection's shard, which knows its
//! grants. Any thread.

use super::Handle;
use crate::error::{CommandError, Refused};
use crate::join::Join;
use crate::payload::{ConnectionId, Publication};
use crate::shard::shared::Ask;
use crate::wanted::{Deed, Said, Wanted};

impl Handle {
    /// The peer asks to join a room. If its token allows that it joins; else the host decides:
    /// [`Handler::permission`](crate::Handler::permission) or
    /// [`Event::Permission`](crate::Event::Permission), within `verdict_timeout_ms`.
    ///
    /// Use this for what peers say, and [`Handle::join`] for what the host itself wants.
    ///
    /// # Errors
    /// As [`Handle::join_with`]. That it is not allowed is not reported here.
    pub fn request_join(
        &self,
        id: ConnectionId,
        room: &str,
        how: Join,
    ) -> Result<(), CommandError> {
        let shard = self.shard_of(id)?;
        self.check_name(room).map_err(|_| CommandError::RoomName)?;
        how.check(self.shared.limits.key_bytes_max)?;
        let wanted = self.wanted(room, Deed::Join(how));
        self.shared.ask(shard, Ask::Want(id, wanted));
        Ok(())
    }

    /// The peer asks to publish to a room, as [`Handle::request_join`]. Name its own id in
    /// [`Publication::except`] if it shall not be sent what it said.
    ///
    /// # Errors
    /// [`Refused`], for what cannot be published by anybody. What is refused later, when it was
    /// allowed, is counted (`refused`).
    pub fn request_publish<'a>(
        &self,
        id: ConnectionId,
        room: &str,
        publication: impl Into<Publication<'a>>,
    ) -> Result<(), Refused> {
        let publication = publication.into();
        let shard = id.shard();
        self.count_refusal(self.check_publication(&publication).and_then(|()| {
            self.check_name(room)?;
            if shard >= self.shared.inboxes.len() {
                return Err(Refused::Gone);
            }
            if !self.shared.has_place(shard, publication.data.len()) {
                return Err(Refused::Overloaded);
            }
            let wanted = self.wanted(room, Deed::Publish(Said::new(&publication)));
            self.shared.ask(shard, Ask::Want(id, wanted));
            Ok(())
        }))
    }

    fn wanted(&self, room: &str, deed: Deed) -> Box<Wanted> {
        let timeout_ns = self
            .shared
            .limits
            .verdict_timeout_ms
            .saturating_mul(1_000_000);
        Box::new(Wanted {
            room: room.into(),
            deed,
            until_ns: self.shared.clock.now_ns().saturating_add(timeout_ns),
        })
    }
}
