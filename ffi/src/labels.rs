//! What a publication says of itself beside its data, as predicates of the host's see it.

use std::ptr::from_ref;

use roomcast::Labels;

use crate::boundary::{Out, put, roomcast_str};

/// The labels of a publication: its event, its key, its tags. Given to predicates
/// (`roomcast_filter_new_native`), and valid until these return, with all texts that the functions
/// below give.
pub struct roomcast_labels<'a> {
    labels: &'a Labels,
}

impl<'a> roomcast_labels<'a> {
    pub(crate) fn lent(labels: &'a Labels) -> Self {
        roomcast_labels { labels }
    }

    /// As C is given it.
    pub(crate) fn pointer(&self) -> *const roomcast_labels<'static> {
        from_ref(self).cast()
    }
}

fn text<'a>(
    labels: Option<&'a roomcast_labels<'_>>,
    of: impl FnOnce(&'a Labels) -> Option<&'a str>,
) -> roomcast_str {
    roomcast_str::of_option(labels.and_then(|labels| of(labels.labels)))
}

/// What kind of event it is; none for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_labels_event(labels: Option<&roomcast_labels<'_>>) -> roomcast_str {
    text(labels, Labels::event)
}

/// What it is about; none for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_labels_key(labels: Option<&roomcast_labels<'_>>) -> roomcast_str {
    text(labels, Labels::key)
}

/// The value of the first tag of this name; none where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_labels_tag(
    labels: Option<&roomcast_labels<'_>>,
    name: roomcast_str,
) -> roomcast_str {
    text(labels, |labels| labels.tag(name.text().ok()?))
}

/// One of the tags, in the order of the publication.
///
/// @param index from 0 on
/// @param name gets its name; may be NULL
/// @param value gets its value; may be NULL
/// @return whether there is such a tag
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_labels_tag_at(
    labels: Option<&roomcast_labels<'_>>,
    index: usize,
    name: Out<'_, roomcast_str>,
    value: Out<'_, roomcast_str>,
) -> bool {
    let Some((found, its)) = labels.and_then(|labels| labels.labels.tags().nth(index)) else {
        return false;
    };
    put(name, roomcast_str::of(found));
    put(value, roomcast_str::of(its));
    true
}
