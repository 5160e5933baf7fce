//! Presence: who is in a room, asked at once, and the notices that shards publish about it.
//!
//! In: questions from any thread; notices from shards. Out: counts and pages of the room's roster,
//! without a wait for shards; publications. Any thread.

use serde_json::value::RawValue;

use super::{Handle, Room};
use crate::error::Refused;
use crate::payload::Publication;
use crate::rooms::RoomState;
use crate::rooms::presence::{Cursor, EVENT, Present};

/// How many are in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// Connections that are members.
    pub members: usize,
    /// Users that these were accepted as; of one with several connections one, of anonymous
    /// connections none. `None` in rooms without
    /// [presence](crate::RoomOptions::presence), where nobody counts them.
    pub users: Option<usize>,
}

/// Some members of a room, in the order in which they joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresencePage {
    /// The members.
    pub present: Vec<Present>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<Cursor>,
}

impl Handle {
    /// How many are in a room, at once, however many they are; nobody in one that does not exist.
    ///
    /// ```
    /// # use roomcast::{Config, Engine, RoomOptions};
    /// let options = RoomOptions::new().presence(true);
    /// let config = Config::new().shards(1).room_options("lobby", options);
    /// let engine = Engine::start(config, ())?;
    /// let presence = engine.presence("lobby");
    /// assert_eq!((presence.members, presence.users), (0, Some(0)));
    /// assert_eq!(engine.presence("cellar").users, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn presence(&self, room: &str) -> Presence {
        match self.shared.directory.find(room) {
            Some(room) => presence(&room),
            None => Presence {
                members: 0,
                users: self.shared.directory.rule_of(room).presence.then_some(0),
            },
        }
    }

    /// Members of a room with [presence](crate::RoomOptions::presence), at once: up to `limit` of
    /// them and `presence_page_max` (0 is as many as that allows), behind the cursor that the page
    /// before gave. While pages are taken others may come and go; whoever is there all the time is
    /// on exactly one of them. Nobody in a room without presence: ask [`Handle::members`] there.
    ///
    /// ```
    /// # let engine = roomcast::Engine::start(roomcast::Config::new().shards(1), ())?;
    /// let mut names = Vec::new();
    /// let mut after = None;
    /// loop {
    ///     let page = engine.present("lobby", after, 100);
    ///     names.extend(page.present.into_iter().filter_map(|present| present.user));
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn present(&self, room: &str, after: Option<Cursor>, limit: usize) -> PresencePage {
        let room = self.shared.directory.find(room);
        room.map_or_else(PresencePage::default, |room| self.page(&room, after, limit))
    }

    fn page(&self, room: &RoomState, after: Option<Cursor>, limit: usize) -> PresencePage {
        let limit = match (limit, self.shared.limits.presence_page_max) {
            (0, most) => most,
            (limit, most) => limit.min(most),
        };
        let page = room.roster().map(|roster| roster.page(after, limit));
        let (present, next) = page.unwrap_or_default();
        PresencePage { present, next }
    }

    /// Whether others may be told this of a connection; what is no JSON is left out, and logged.
    pub(crate) fn admits_info(&self, info: &str) -> bool {
        let checked = serde_json::from_str::<&RawValue>(info);
        if let Err(error) = &checked {
            self.shared.logged(|| {
                tracing::warn!(target: "roomcast", %error, "an info that is no JSON was left out");
            });
        }
        checked.is_ok()
    }

    /// Publishes a notice to the room in this life of it; to nobody where that is over.
    pub(crate) fn publish_notice(
        &self,
        room: &str,
        epoch: u64,
        notice: &str,
    ) -> Result<(), Refused> {
        let notice = Publication::text(notice).event(EVENT);
        self.check_publication(&notice)?;
        let Some(room) = self.shared.directory.find(room) else {
            return Ok(());
        };
        let is_same = room.lock().position().epoch == epoch;
        match is_same {
            true => self.publish_to(&room, notice, None).map(drop),
            false => Ok(()),
        }
    }
}

impl Room {
    /// How many are in it, as [`Handle::presence`].
    #[must_use]
    pub fn presence(&self) -> Presence {
        presence(&self.state)
    }

    /// Members of it, as [`Handle::present`].
    #[must_use]
    pub fn present(&self, after: Option<Cursor>, limit: usize) -> PresencePage {
        self.handle.page(&self.state, after, limit)
    }
}

fn presence(room: &RoomState) -> Presence {
    match room.roster().map(|roster| roster.counts()) {
        Some((members, users)) => Presence {
            members,
            users: Some(users),
        },
        None => Presence {
            members: room.members(),
            users: None,
        },
    }
}
