//! Requests: a head as it arrives, and what is answered to it.
//!
//! In: bytes of a connection whose head is not complete. Out: a connecting event for a WebSocket
//! that may be; for all else a response, after which the connection ends. Shard thread.

use super::Shard;
use super::conns::{CROWD, OVER, SWITCHED};
use super::ladder::Rung;
use super::net::Net;
use super::trust::Proof;
use crate::close::CloseReason;
use crate::exposition;
use crate::metrics::{Counter, Counters};
use crate::outbound::frame::Frame;
use crate::request::Request;
use crate::sync::Arc;
use crate::transport::http::{self, HeadLimits, Reject, Route};
use crate::transport::ws;

pub(super) const STOPPING: Reject = Reject {
    status: 503,
    text: "stopping",
};
/// Header fields of a request.
const HEADERS_MAX: usize = 100;

impl<N: Net> Shard<N> {
    /// More of a request has arrived. The usual head comes in one piece and is parsed where it is.
    pub(super) fn on_head(&mut self, slot: u32, bytes: &[u8]) {
        let limits = HeadLimits {
            head_bytes_max: self.shared.limits.head_bytes_max,
            headers_max: HEADERS_MAX,
        };
        let Some(hello) = &mut self.conns.at(slot).hello else {
            return;
        };
        let before = hello.bytes.len();
        if before > 0 {
            hello.bytes.extend_from_slice(bytes);
            // A head ends, and is too large, no earlier than here: one that comes in a thousand
            // pieces is not parsed a thousand times.
            if !bytes.contains(&b'\n') && hello.bytes.len() < limits.head_bytes_max {
                return;
            }
        }
        let head = match before > 0 {
            true => http::parse(&hello.bytes, &limits),
            false => http::parse(bytes, &limits),
        };
        let parts = match head {
            Ok(Some((parts, taken))) => {
                hello.bytes.clear();
                hello.bytes.extend_from_slice(&bytes[taken - before..]);
                parts
            }
            Ok(None) if before == 0 => return hello.bytes.extend_from_slice(bytes),
            Ok(None) => return,
            Err(reject) if reject.status == 431 => {
                return self.reject(slot, |c| &c.rejected_head_size, reject, false);
            }
            Err(reject) => return self.reject(slot, |c| &c.rejected_invalid, reject, false),
        };
        let sender = hello.sender;
        let request = self.request_of(slot, sender, parts);
        self.intake.on_head();
        self.on_request(slot, request);
    }

    fn on_request(&mut self, slot: u32, request: Request) {
        let head_only = request.method() == ::http::Method::HEAD;
        if self.conns.at(slot).is(OVER) {
            let text = "connections_max connections are open";
            let reject = Reject { status: 503, text };
            return self.reject(slot, |c| &c.rejected_full, reject, head_only);
        }
        if self.conns.at(slot).is(CROWD) {
            let text = "address_connections_max connections are open from this address";
            let reject = Reject { status: 429, text };
            return self.reject(slot, |c| &c.rejected_address, reject, head_only);
        }
        match http::route(&request) {
            Route::Reject(reject) => {
                self.reject(slot, |c| &c.rejected_invalid, reject, head_only);
            }
            Route::Plain => self.on_page(slot, &request, head_only),
            Route::WebSocket if !http::origin_allowed(&request, &self.shared.origins) => {
                self.reject(slot, |c| &c.rejected_origin, Reject::origin(), false);
            }
            Route::WebSocket if self.shared.is_stopping() => {
                self.reject(slot, |c| &c.rejected_stopping, STOPPING, false);
            }
            Route::WebSocket if self.rung >= Rung::NoConnections => {
                let text = "memory_bytes_max is nearly used up";
                let reject = Reject { status: 503, text };
                self.reject(slot, |c| &c.rejected_memory, reject, false);
            }
            Route::WebSocket => match self.prove(&request) {
                Proof::Given(claims) => {
                    if let Some(hello) = &mut self.conns.at(slot).hello {
                        hello.request = Some(Arc::new(request));
                    }
                    self.ask_host(slot, claims);
                }
                Proof::Later => self.await_proof(slot, request),
                Proof::Refused(denial) => self.deny(slot, denial),
            },
        }
    }

    /// Answers a plain GET or HEAD: health, figures, the host's pages, or 404.
    fn on_page(&mut self, slot: u32, request: &Request, head_only: bool) {
        let text = [("Content-Type", "text/plain; charset=utf-8")];
        if self.shared.health_path.as_deref() == Some(request.path()) {
            let (status, body) = match self.shared.is_stopping() {
                true => (503, "stopping\n"),
                false => (200, "ok\n"),
            };
            return self.respond(
                slot,
                status,
                http::response(status, &text, body.as_bytes(), head_only),
            );
        }
        if self.shared.metrics_path.as_deref() == Some(request.path()) {
            let text = [("Content-Type", exposition::CONTENT_TYPE)];
            let figures = self.shared.snapshot().prometheus();
            let bytes = http::response(200, &text, figures.as_bytes(), head_only);
            return self.respond(slot, 200, bytes);
        }
        let pages = self.shared.pages.clone();
        match pages.and_then(|pages| pages(request)) {
            Some(page) => {
                let headers = [("Content-Type", page.content_type.as_str())];
                let bytes = http::response(page.status, &headers, &page.body, head_only);
                self.respond(slot, page.status, bytes);
            }
            None => {
                let reject = Reject {
                    status: 404,
                    text: "there is no such page here",
                };
                self.reject(slot, |c| &c.rejected_path, reject, head_only);
            }
        }
    }

    /// Answers with an error, and counts that under its reason.
    pub(super) fn reject(
        &mut self,
        slot: u32,
        reason: fn(&Counters) -> &Counter,
        reject: Reject,
        head_only: bool,
    ) {
        let counters = &self.shared.counters[self.me];
        reason(counters).add(1);
        counters.rejected_http.add(1);
        match self.conns.at(slot).is(SWITCHED) {
            true => self.respond_in_close(slot, reject.status, reject.text),
            false => self.respond(slot, reject.status, reject.to_bytes(head_only)),
        }
    }

    /// Says in a close frame what would have been an HTTP status: 4000 more than that.
    pub(super) fn respond_in_close(&mut self, slot: u32, status: u16, text: &str) {
        let frame = Frame::new(&[], &ws::close_frame(4_000 + status, text));
        self.close(slot, CloseReason::Http { status }, frame);
    }

    /// Sends an HTTP response as the last thing.
    pub(super) fn respond(&mut self, slot: u32, status: u16, bytes: Vec<u8>) {
        let frame = Frame::new(&[], &bytes);
        self.close(slot, CloseReason::Http { status }, frame);
    }
}
