//! What the engine says to whoever operates it, brought from `tracing` to the host.
//!
//! The engine logs through `tracing`, target `roomcast`, and sets no global default. A host that
//! has no subscriber takes the lines of one engine here: the dispatch is entered only on that
//! engine's threads and inside its calls. Rank 0; a line is told on the thread that wrote it.

use std::cell::Cell;
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// Of use to whoever develops the host.
    Debug,
    /// The ordinary course.
    Info,
    /// Something was left out or put off.
    Warn,
    /// Something has ended that should not have.
    Error,
}

/// A dispatch that gives each line, fields behind the message, to `tell`.
pub(crate) fn dispatch(tell: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Dispatch {
    Dispatch::new(Lines(tell))
}

thread_local! {
    /// A line of this thread is being told.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the host's log function. Nothing may be logged then: `tracing`
/// holds a borrow of its dispatch, and a line about a line might have no end.
pub(crate) fn is_telling() -> bool {
    TELLING.get()
}

/// Says so while it lives.
struct Telling;

impl Telling {
    fn begin() -> Self {
        TELLING.set(true);
        Telling
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.set(false);
    }
}

struct Lines<F>(F);

impl<F: Fn(LogLevel, &str) + Send + Sync + 'static> Subscriber for Lines<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "roomcast" && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let _telling = Telling::begin();
        (self.0)(level, &(line.message + &line.fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " ({name}: {value:?})"),
        };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{Arc, PlainMutex};

    #[test]
    fn a_line_has_its_level_its_message_and_its_fields() {
        let lines = Arc::new(PlainMutex::new(Vec::new()));
        let into = lines.clone();
        let dispatch = dispatch(move |level, text| into.lock().push((level, text.to_owned())));
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::warn!(target: "roomcast", room = "a", "left out");
            tracing::error!(target: "another", "not ours");
            tracing::trace!(target: "roomcast", "too fine");
        });
        tracing::warn!(target: "roomcast", "outside");
        let wanted = (LogLevel::Warn, "left out (room: \"a\")".to_owned());
        assert_eq!(*lines.lock(), [wanted]);
    }
}
