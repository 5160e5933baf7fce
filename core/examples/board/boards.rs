//! The boards: who is on each and what is on it, and what is told of every change.
//!
//! In: lines from members, on the shards' threads. Out: publications to the board's room. A change
//! is made and published under the board's lock, and so is an entry (join, then everything that is
//! there): what a page sees is the state followed by all changes since. Publishing never waits, so
//! the lock is short. A change that the engine refused to publish is made good by `refresh`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use roomcast::{Connection, Handle, Publication};

use crate::dice::Dice;
use crate::lines::{Line, Place};

const NOTES_MAX: usize = 200;
/// Messages that a connection may send at once, and per second in the long run.
const BURST: f64 = 300.0;
const PER_SECOND: f64 = 150.0;
const BOARDS: [(&str, &str); 4] = [
    ("main", "Workshop"),
    ("retro", "Retrospective"),
    ("plan", "Planning"),
    ("play", "Playground"),
];
const HUES: [u16; 6] = [45, 210, 140, 330, 265, 15];
const FIRST_NOTES: [(u16, u16, &str); 4] = [
    (900, 1200, "Open this page in a second window and drag me."),
    (4100, 2600, "Double click on the board: a note of your own."),
    (
        7900,
        900,
        "The figures below are the engine’s own, twice a second.",
    ),
    (
        6900,
        6300,
        "Add 300 users, then drag a note. Does it still follow at once?",
    ),
];

/// What the host knows of a connection.
pub struct Member {
    number: u64,
    hue: u16,
    pub synthetic: bool,
    own: Mutex<Own>,
}

struct Own {
    name: String,
    board: usize,
    allowance: f64,
    last: Instant,
}

impl Member {
    /// Takes one message from what the connection may send; false when nothing is left.
    pub fn may_say_more(&self) -> bool {
        let mut own = self.own.lock();
        let now = Instant::now();
        let more = now.duration_since(own.last).as_secs_f64() * PER_SECOND;
        own.allowance = (own.allowance + more).min(BURST);
        own.last = now;
        let may = own.allowance >= 1.0;
        own.allowance -= f64::from(u8::from(may));
        may
    }
}

/// A member as the others see it.
struct Seat {
    hue: u16,
    synthetic: bool,
    name: String,
    place: Option<Place>,
}

struct Note {
    place: Place,
    hue: u16,
    text: String,
}

#[derive(Default)]
struct State {
    seats: BTreeMap<u64, Seat>,
    notes: BTreeMap<u32, Note>,
    /// Something changed of which the members could not be told.
    untold: bool,
}

struct Board {
    room: String,
    state: Mutex<State>,
}

pub struct Boards {
    boards: [Board; BOARDS.len()],
    dice: Mutex<Dice>,
    last_member: AtomicU64,
    last_note: AtomicU32,
}

impl Boards {
    pub fn new() -> Self {
        let boards = Boards {
            boards: BOARDS.map(|(key, _)| Board {
                room: format!("board:{key}"),
                state: Mutex::default(),
            }),
            dice: Mutex::new(Dice::new()),
            last_member: AtomicU64::new(0),
            last_note: AtomicU32::new(0),
        };
        for board in &boards.boards {
            for (x, y, text) in FIRST_NOTES {
                let (id, note) = boards.note(Place { x, y }, text);
                board.state.lock().notes.insert(id, note);
            }
        }
        boards
    }

    /// Somebody new, with a name and a colour by chance; on the first board if there is no such.
    pub fn member(&self, board: &str, synthetic: bool) -> Member {
        let mut dice = self.dice.lock();
        Member {
            number: self.last_member.fetch_add(1, Ordering::Relaxed) + 1,
            hue: dice.hue(),
            synthetic,
            own: Mutex::new(Own {
                name: dice.name(),
                board: index_of(board).unwrap_or(0),
                allowance: BURST,
                last: Instant::now(),
            }),
        }
    }

    fn note(&self, place: Place, text: &str) -> (u32, Note) {
        let id = self.last_note.fetch_add(1, Ordering::Relaxed) + 1;
        let hue = HUES[id as usize % HUES.len()];
        let text = text.into();
        (id, Note { place, hue, text })
    }

    /// The first lines for a page.
    pub fn greeting(&self, member: &Member) -> String {
        let mut lines = format!("hello {}\n", member.number);
        for (key, title) in BOARDS {
            let _ = writeln!(lines, "b {key} {title}");
        }
        lines
    }

    /// The board that a member is on.
    pub fn key_of(&self, member: &Member) -> &'static str {
        BOARDS[member.own.lock().board].0
    }

    /// How many are on each board, in the order of the boards.
    pub fn counts(&self) -> [usize; BOARDS.len()] {
        std::array::from_fn(|i| self.boards[i].state.lock().seats.len())
    }

    /// The member is on its board, or on another one if that is named, and is sent what is there.
    pub fn enter(&self, connection: Connection<'_>, member: &Member, other: Option<usize>) {
        let seat = {
            let mut own = member.own.lock();
            own.board = other.unwrap_or(own.board);
            Seat {
                hue: member.hue,
                synthetic: member.synthetic,
                name: own.name.clone(),
                place: None,
            }
        };
        let (board, key) = self.board_of(member);
        let mut state = board.state.lock();
        let mut line = String::new();
        seat.write(&mut line, member.number);
        state.seats.insert(member.number, seat);
        board.tell(&mut state, connection.handle(), Publication::from(&line));
        // From here on it is told of changes; what was before them comes with the state.
        let _ = connection.join(&board.room);
        if !member.synthetic {
            let _ = connection.send(&state.lines(key));
        }
    }

    /// The member is no longer on its board.
    pub fn leave(&self, connection: Connection<'_>, member: &Member) {
        let (board, _) = self.board_of(member);
        let mut state = board.state.lock();
        state.seats.remove(&member.number);
        let _ = connection.leave(&board.room);
        let line = format!("q {}", member.number);
        board.tell(&mut state, connection.handle(), Publication::from(&line));
    }

    fn board_of(&self, member: &Member) -> (&Board, &'static str) {
        let i = member.own.lock().board;
        (&self.boards[i], BOARDS[i].0)
    }

    /// Does what a member's line says, as far as it makes sense.
    pub fn on_line(&self, connection: Connection<'_>, member: &Member, line: &Line<'_>) {
        match line {
            Line::Go(key) => {
                if let Some(other) = index_of(key) {
                    self.leave(connection, member);
                    self.enter(connection, member, Some(other));
                }
            }
            Line::Make(place) => self.make(connection, member, *place),
            line => {
                let (board, _) = self.board_of(member);
                let mut state = board.state.lock();
                let Some(told) = state.apply(member, line) else {
                    return;
                };
                let sender = [connection.id()];
                let publication = match line {
                    Line::Erase(_) | Line::Name(_) => Publication::from(&told),
                    _ => Publication::from(&told).except(&sender),
                };
                board.tell(&mut state, connection.handle(), publication);
            }
        }
    }

    fn make(&self, connection: Connection<'_>, member: &Member, place: Place) {
        let (board, _) = self.board_of(member);
        let mut state = board.state.lock();
        if state.notes.len() >= NOTES_MAX {
            let _ = connection.send(&format!("say A board holds {NOTES_MAX} notes at most."));
            return;
        }
        let (id, note) = self.note(place, "");
        let mut line = String::new();
        note.write(&mut line, id, member.number);
        state.notes.insert(id, note);
        board.tell(&mut state, connection.handle(), Publication::from(&line));
    }

    /// Publishes everything on those boards of which a change could not be published.
    pub fn refresh(&self, handle: &Handle) {
        for (board, (key, _)) in self.boards.iter().zip(BOARDS) {
            let mut state = board.state.lock();
            if std::mem::take(&mut state.untold) {
                let lines = state.lines(key);
                board.tell(&mut state, handle, Publication::from(&lines));
            }
        }
    }
}

impl Board {
    fn tell(&self, state: &mut State, handle: &Handle, publication: Publication<'_>) {
        state.untold |= handle.publish(&self.room, publication).is_err();
    }
}

impl State {
    /// Makes the change; answers the line that tells of it.
    fn apply(&mut self, member: &Member, line: &Line<'_>) -> Option<String> {
        let number = member.number;
        Some(match line {
            Line::Move(place) => {
                self.seats.get_mut(&number)?.place = Some(*place);
                format!("c {number} {} {}", place.x, place.y)
            }
            Line::Name(name) => {
                member.own.lock().name.clone_from(name);
                self.seats.get_mut(&number)?.name.clone_from(name);
                format!("w {number} {name}")
            }
            Line::Drag(id, place) => {
                self.notes.get_mut(id)?.place = *place;
                format!("d {id} {} {}", place.x, place.y)
            }
            Line::Write(id, text) => {
                self.notes.get_mut(id)?.text.clone_from(text);
                format!("t {id} {text}")
            }
            Line::Erase(id) => {
                self.notes.remove(id)?;
                format!("x {id}")
            }
            Line::Make(_) | Line::Go(_) | Line::Users(_) | Line::Echo(_) => return None,
        })
    }

    /// Everything on the board, as lines.
    fn lines(&self, key: &str) -> String {
        let mut lines = format!("room {key}");
        for (number, seat) in &self.seats {
            lines.push('\n');
            seat.write(&mut lines, *number);
        }
        for (id, note) in &self.notes {
            lines.push('\n');
            note.write(&mut lines, *id, 0);
        }
        lines
    }
}

impl Seat {
    fn write(&self, lines: &mut String, number: u64) {
        let kind = if self.synthetic { 's' } else { 'h' };
        let _ = write!(lines, "p {number} {} {kind}", self.hue);
        let _ = match self.place {
            Some(place) => write!(lines, " {} {}", place.x, place.y),
            None => write!(lines, " - -"),
        };
        let _ = write!(lines, " {}", self.name);
    }
}

impl Note {
    fn write(&self, lines: &mut String, id: u32, by: u64) {
        let Note { place, hue, text } = self;
        let _ = write!(lines, "n {id} {} {} {hue} {by} {text}", place.x, place.y);
    }
}

fn index_of(key: &str) -> Option<usize> {
    BOARDS.iter().position(|(known, _)| *known == key)
}
