//! What pages are told, as JSON: how a reader goes on, what it missed, what became of an update.

use std::fmt::Write as _;

use roomcast::{CloseReason, Delivery, Missed};

use crate::lines::Side;

/// From the publication behind this one on, a reader is a member on new terms, with this filter.
pub fn begun(side: Side, offset: u64, filter: &str) -> String {
    let (side, filter) = (side.name(), quoted(filter));
    format!(r#"{{"type":"begun","side":"{side}","offset":{offset},"filter":{filter}}}"#)
}

/// From here on a reader is sent nothing of these.
pub fn unwatched(keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    format!(r#"{{"type":"unwatched","keys":[{}]}}"#, keys.join(","))
}

/// A reader was too slow for these.
pub fn missed(side: Side, missed: Missed) -> String {
    let (side, replaced) = (side.name(), missed.replaced);
    let numbers = [
        ("count", missed.count),
        ("first", missed.first),
        ("last", missed.last),
    ];
    let numbers = counts(&numbers);
    format!(r#"{{"type":"missed","side":"{side}","replaced":{replaced},{numbers}}}"#)
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
    let numbers = counts(&[
        ("offset", delivery.offset.unwrap_or_default()),
        ("reached", delivery.reached as u64),
        ("filtered", delivery.filtered as u64),
        ("skipped", delivery.skipped as u64),
        ("conflated", delivery.conflated as u64),
        ("lagging", delivery.lagging as u64),
    ]);
    format!(r#"{{"type":"delivered",{numbers}}}"#)
}

/// Names and numbers, as they stand within an object.
pub fn counts(numbers: &[(&str, u64)]) -> String {
    let each = numbers.iter().map(|(name, n)| format!(r#""{name}":{n}"#));
    each.collect::<Vec<_>>().join(",")
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
