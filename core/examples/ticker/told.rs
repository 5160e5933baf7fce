//! What pages are told, as JSON: how a reader goes on, what it missed, what became of a publication.

use std::fmt::Write as _;

use roomcast::{CloseReason, Delivery, Missed};

use crate::lines::Side;

/// From the publication behind this one on, a reader is a member on new terms.
pub fn begun(side: Side, offset: u64) -> String {
    format!(
        r#"{{"type":"begun","side":"{}","offset":{offset}}}"#,
        side.name()
    )
}

/// From here on a reader is sent nothing of these.
pub fn unwatched(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    format!(r#"{{"type":"unwatched","keys":[{}]}}"#, keys.join(","))
}

/// A reader was too slow for these.
pub fn missed(side: Side, missed: Missed) -> String {
    let Missed {
        count,
        first,
        last,
        replaced,
        ..
    } = missed;
    format!(
        r#"{{"type":"missed","side":"{}","count":{count},"first":{first},"last":{last},"replaced":{replaced}}}"#,
        side.name()
    )
}

/// A reader's connection has ended.
pub fn ended(side: Side, reason: &CloseReason) -> String {
    let (name, code) = (reason.name(), reason.code());
    let side = side.name();
    format!(r#"{{"type":"ended","side":"{side}","reason":"{name}","code":{code}}}"#)
}

/// What a page asked for cannot be; `side` is empty where it is about neither reader.
pub fn wrong(side: &str, why: &str) -> String {
    format!(
        r#"{{"type":"wrong","side":"{side}","text":{}}}"#,
        quoted(why)
    )
}

/// What became of the publication that is tracked once a second.
pub fn delivered(delivery: Delivery) -> String {
    let Delivery {
        reached,
        filtered,
        skipped,
        conflated,
        lagging,
        ..
    } = delivery;
    format!(
        r#"{{"type":"delivered","offset":{},"reached":{reached},"filtered":{filtered},"skipped":{skipped},"conflated":{conflated},"lagging":{lagging}}}"#,
        delivery.offset.unwrap_or_default()
    )
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter < ' ' => {
                let _ = write!(out, "\\u{:04x}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
