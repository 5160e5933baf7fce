//! Held rooms: a name looked up once, and the room kept while somebody holds it.
//!
//! In: publications. Out: the same as from a handle. Any thread.

use super::Handle;
use crate::delivery::{Tracked, Tracker};
use crate::error::Refused;
use crate::payload::{Position, Publication, Published};
use crate::rooms::RoomState;
use crate::sync::Arc;

/// A held room. Cheap to clone; publishing through it looks no name up.
pub struct Room {
    pub(super) state: Arc<RoomState>,
    pub(super) handle: Handle,
}

impl Clone for Room {
    fn clone(&self) -> Self {
        self.handle.shared.directory.hold_again(&self.state);
        Room {
            state: self.state.clone(),
            handle: self.handle.clone(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.handle.shared.directory.let_go(&self.state);
    }
}

impl Room {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// Publishes to all members, as [`Handle::publish`].
    ///
    /// # Errors
    /// [`Refused`].
    pub fn publish<'a>(
        &self,
        publication: impl Into<Publication<'a>>,
    ) -> Result<Published, Refused> {
        let publication = publication.into();
        let checked = self.handle.check_publication(&publication);
        let publish = || self.handle.publish_to(&self.state, publication, None);
        self.handle.count_refusal(checked.and_then(|()| publish()))
    }

    /// Publishes to all members, as [`Handle::publish_tracked`].
    ///
    /// # Errors
    /// [`Refused`].
    pub fn publish_tracked<'a>(
        &self,
        publication: impl Into<Publication<'a>>,
    ) -> Result<Tracked, Refused> {
        let (handle, publication) = (&self.handle, publication.into());
        let publish = || {
            handle.check_publication(&publication)?;
            let token = handle.next_token();
            let tracker = Arc::new(Tracker::new(token, self.name()));
            let published = handle.publish_to(&self.state, publication, Some(tracker))?;
            Ok(Tracked { token, published })
        };
        handle.count_refusal(publish())
    }

    /// Members now.
    #[must_use]
    pub fn members(&self) -> usize {
        self.state.members()
    }

    /// Epoch and offset now.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.lock().position()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("name", &self.name()).finish()
    }
}
