//! Lines: what is said on a WebSocket of the board, in JSON.
//!
//! From a peer: `{"join": ROOM}`, `{"leave": ROOM}`, `{"post": {"room": ROOM, "text": TEXT}}`,
//! `{"who": ROOM}` and `"logout"`. To a peer: `welcome`, `note`, `here`, `denied`, `expiring`, and
//! the engine's own `presence`. Tokens never come as far as this.

use std::net::IpAddr;

use roomcast::{PresencePage, Verb};
use serde::Deserialize;
use serde_json::json;

/// What a peer is told when its token expires soon.
pub const EXPIRING: &str = r#"{"expiring":true}"#;
const TEXT_BYTES_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    Join(String),
    Leave(String),
    Post { room: String, text: String },
    Who(String),
    Logout,
}

impl Line {
    pub fn parse(text: &str) -> Option<Line> {
        serde_json::from_str(text).ok().filter(|line| match line {
            Line::Post { text, .. } => text.len() <= TEXT_BYTES_MAX,
            _ => true,
        })
    }
}

pub fn welcome(user: Option<&str>, ip: Option<IpAddr>) -> String {
    json!({ "welcome": { "user": user, "ip": ip } }).to_string()
}

pub fn note(from: Option<&str>, room: &str, text: &str) -> String {
    json!({ "note": { "room": room, "from": from, "text": text } }).to_string()
}

pub fn denied(verb: Verb, room: &str) -> String {
    json!({ "denied": { "verb": verb.name(), "room": room } }).to_string()
}

/// The first page of who is there; notices tell what changes.
pub fn here(room: &str, page: &PresencePage) -> String {
    let present: Vec<_> = page
        .present
        .iter()
        .map(|one| json!({ "id": one.id.as_u64().to_string(), "user": one.user.as_deref() }))
        .collect();
    json!({ "here": { "room": room, "present": present } }).to_string()
}
