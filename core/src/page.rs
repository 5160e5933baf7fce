//! A page that a host serves from memory beside its WebSocket: what a plain GET is answered with.
//!
//! Rank 0: a value. `shard` turns it into an HTTP response; it never sees a socket.

use bytes::Bytes;

use crate::request::Request;
use crate::sync::Arc;

pub(crate) type PageFn = Arc<dyn Fn(&Request) -> Option<Page> + Send + Sync>;

/// The answer to a plain GET request.
#[derive(Clone, Debug)]
pub struct Page {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

impl Page {
    /// A 200 with this `Content-Type` and body.
    #[must_use]
    pub fn new(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Page {
            status: 200,
            content_type: content_type.into(),
            body: body.into(),
        }
    }

    /// A 200 with an HTML document in UTF-8.
    #[must_use]
    pub fn html(body: impl Into<Bytes>) -> Self {
        Page::new("text/html; charset=utf-8", body)
    }

    /// The same with another status, 200 to 599.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}
