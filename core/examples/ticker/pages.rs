//! Pages: which connections are the readers of which page.
//!
//! In: readers that open and close. Out: the connection that a line of a page is about.

use std::collections::HashMap;

use parking_lot::Mutex;
use roomcast::ConnectionId;

use crate::lines::{Reader, Side};

#[derive(Default)]
pub struct Pages(Mutex<HashMap<(String, bool), ConnectionId>>);

/// The page, and whether it is the slow one of its readers.
fn place(page: &str, side: Side) -> (String, bool) {
    (page.into(), side == Side::Slow)
}

impl Pages {
    /// A reader has opened. It takes the place of one before it.
    pub fn enter(&self, reader: &Reader, id: ConnectionId) {
        self.0.lock().insert(place(&reader.page, reader.side), id);
    }

    /// A reader has closed. False where another has taken its place.
    pub fn leave(&self, reader: &Reader, id: ConnectionId) -> bool {
        let (mut known, place) = (self.0.lock(), place(&reader.page, reader.side));
        let is_the_one = known.get(&place) == Some(&id);
        if is_the_one {
            known.remove(&place);
        }
        is_the_one
    }

    pub fn find(&self, page: &str, side: Side) -> Option<ConnectionId> {
        self.0.lock().get(&place(page, side)).copied()
    }
}
