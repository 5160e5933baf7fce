//! Memberships: join, change how one is a member, watch keys, leave.
//!
//! In: calls. Out: counts and positions at once, under the room's lock; markers in the inbox of the
//! connection's shard. Any thread.

use super::Handle;
use crate::error::CommandError;
use crate::join::{self, Join};
use crate::payload::{ConnectionId, Position};
use crate::router::Command;
use crate::shard::shared::Ask;

impl Handle {
    /// Makes a connection a member of a room: it is sent everything that is published after this
    /// call, and nothing that was published before. Joining twice is joining once.
    ///
    /// # Errors
    /// [`CommandError`]. A connection that has closed, or is in `connection_rooms_max` rooms, is
    /// not reported here.
    pub fn join(&self, id: ConnectionId, room: &str) -> Result<Position, CommandError> {
        self.join_how(id, room, None)
    }

    /// As [`Handle::join`], with a filter, a watch-list, or another pace or policy than the room's.
    /// For a member already this changes how it is one, between two publications.
    ///
    /// # Errors
    /// [`CommandError`]; `Filter` and `Key` name what is wrong. Beyond `room_filters_max` or
    /// `connection_filters_max` the join has no effect and is counted (`joins_refused_filters`); so
    /// are keys beyond `connection_keys_max` (`watches_refused`).
    pub fn join_with(
        &self,
        id: ConnectionId,
        room: &str,
        how: Join,
    ) -> Result<Position, CommandError> {
        how.check(self.shared.limits.key_bytes_max)?;
        self.join_how(id, room, Some(Box::new(how)))
    }

    fn join_how(
        &self,
        id: ConnectionId,
        room: &str,
        how: Option<Box<Join>>,
    ) -> Result<Position, CommandError> {
        let shard = self.shard_of(id)?;
        self.check_name(room).map_err(|_| CommandError::RoomName)?;
        let mut ended = None;
        let position = self.shared.directory.join(room, shard, |room| {
            let join = Command::Join {
                who: id,
                room: room.clone(),
                how,
            };
            if !self.shared.inboxes[shard].push(Ask::Route(join), 0) {
                ended = Some(room.clone());
            }
        });
        if let Some(room) = ended {
            self.shared.directory.leave(&room, shard);
            return Err(CommandError::Stopped);
        }
        self.shared.rouse(shard);
        Ok(position)
    }

    /// Adds keys to the watch-list of a member that joined with one ([`Join::keys`]): it is sent
    /// what is published of them after this call. For others it does nothing.
    ///
    /// # Errors
    /// [`CommandError`]; `Key` for one longer than `key_bytes_max`, and then none is added.
    pub fn watch<K: AsRef<str>>(
        &self,
        id: ConnectionId,
        room: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), CommandError> {
        self.change_keys(id, room, join::boxed(keys), true)
    }

    /// Takes keys off the watch-list of a member: it is sent nothing that is published of them
    /// after this call.
    ///
    /// # Errors
    /// As [`Handle::watch`].
    pub fn unwatch<K: AsRef<str>>(
        &self,
        id: ConnectionId,
        room: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), CommandError> {
        self.change_keys(id, room, join::boxed(keys), false)
    }

    fn change_keys(
        &self,
        id: ConnectionId,
        room: &str,
        keys: Box<[Box<str>]>,
        begin: bool,
    ) -> Result<(), CommandError> {
        let shard = self.shard_of(id)?;
        self.check_name(room).map_err(|_| CommandError::RoomName)?;
        join::check_keys(&keys, self.shared.limits.key_bytes_max)?;
        if let Some(room) = self.shared.directory.find(room) {
            let command = Command::Watch {
                who: id,
                room,
                keys,
                begin,
            };
            self.shared.ask(shard, Ask::Route(command));
        }
        Ok(())
    }

    /// Ends a membership: what is published after this call is not sent to the connection. Until
    /// its shard has seen to it, about a turn, counts and lists of members may still have it.
    ///
    /// # Errors
    /// [`CommandError`]. Not being a member is no error.
    pub fn leave(&self, id: ConnectionId, room: &str) -> Result<(), CommandError> {
        let shard = self.shard_of(id)?;
        self.check_name(room).map_err(|_| CommandError::RoomName)?;
        if let Some(room) = self.shared.directory.find(room) {
            self.shared
                .ask(shard, Ask::Route(Command::Leave { who: id, room }));
        }
        Ok(())
    }
}
