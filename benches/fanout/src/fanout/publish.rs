//! The publishing half of the generator: which message is due, its masked frame, and how many of
//! its deliveries are still to come. In go completions and time, out go bytes to publishers.
//! Must never know how deliveries are read. One thread.

use roomcast_fanout::sys::{self, Fd};
use roomcast_fanout::wire;

use crate::plan::{Fan, Pace, Share};

/// Messages of a room that may be in flight; more are held back.
const RING: usize = 1024;
const KEY: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];

/// The first payload bytes: room and number, 4 bytes each.
pub const STAMP_BYTES: usize = 8;

struct Room {
    publisher: Fd,
    receivers: u32,
    next: u32,
    /// Deliveries of all messages still to come.
    owed: u64,
    /// Per message in flight, by its number: when it was sent, and its batch.
    sent_at: Vec<u64>,
    batch: Vec<u32>,
    /// Frames for the publisher's socket.
    out: Vec<u8>,
}

struct Batch {
    lane: u32,
    left: u32,
}

pub struct Publisher {
    rooms: Vec<Room>,
    lanes: Vec<(Vec<Share>, usize)>,
    batches: Vec<Batch>,
    /// Batches that are done, to be sent anew.
    done: Vec<u32>,
    /// Rooms with bytes for their publisher.
    unsent: Vec<u32>,
    template: Vec<u8>,
    payload_at: usize,
    rate: Option<Clockwork>,
    pub published: u64,
    /// Publications that the fixed rate demanded and a full ring forbade.
    pub held_back: u64,
}

struct Clockwork {
    hertz: u64,
    start_ns: u64,
    sent: u64,
}

impl Publisher {
    pub fn new(fan: Fan, fds: &[Fd]) -> Self {
        let room = |room: &crate::plan::Room| Room {
            publisher: fds[room.publisher as usize],
            receivers: room.receivers,
            next: 0,
            owed: 0,
            sent_at: vec![0; RING],
            batch: vec![u32::MAX; RING],
            out: Vec::new(),
        };
        let mut template = Vec::new();
        wire::push_masked(
            &mut template,
            wire::BINARY,
            KEY,
            &vec![b'.'; fan.payload_bytes],
        );
        let payload_at = template.len() - fan.payload_bytes;
        let (lanes, outstanding, rate) = match fan.pace {
            Pace::Closed { lanes, outstanding } => (lanes, outstanding, None),
            Pace::Rate(hertz) => (
                Vec::new(),
                0,
                Some(Clockwork {
                    hertz,
                    start_ns: 0,
                    sent: 0,
                }),
            ),
        };
        let count = (lanes.len() * outstanding) as u32;
        let batches = (0..count).map(|at| Batch {
            lane: at / outstanding as u32,
            left: 0,
        });
        Self {
            rooms: fan.rooms.iter().map(room).collect(),
            batches: batches.collect(),
            lanes: lanes.into_iter().map(|lane| (lane, 0)).collect(),
            done: (0..count).collect(),
            unsent: Vec::new(),
            template,
            payload_at,
            rate,
            published: 0,
            held_back: 0,
        }
    }

    /// Lets the clock of a fixed rate begin anew.
    pub fn start(&mut self, now: u64) {
        if let Some(rate) = &mut self.rate {
            (rate.start_ns, rate.sent) = (now, 0);
        }
    }

    /// One receiver got message `number` of `room`; returns when that was sent.
    #[inline]
    pub fn on_delivery(&mut self, room: u32, number: u32) -> u64 {
        let room = &mut self.rooms[room as usize];
        room.owed -= 1;
        let at = number as usize % RING;
        if let Some(batch) = self.batches.get_mut(room.batch[at] as usize) {
            batch.left -= 1;
            if batch.left == 0 {
                self.done.push(room.batch[at]);
            }
        }
        room.sent_at[at]
    }

    /// Whether every message has reached everybody.
    pub fn settled(&self) -> bool {
        self.rooms.iter().all(|room| room.owed == 0)
    }

    /// Publishes what is due.
    pub fn turn(&mut self, now: u64) {
        for at in 0..self.done.len() {
            self.publish_batch(self.done[at], now);
        }
        self.done.clear();
        let Some(rate) = &mut self.rate else { return };
        let due = (now - rate.start_ns) as u128 * u128::from(rate.hertz) / 1_000_000_000;
        let from = std::mem::replace(&mut rate.sent, due as u64);
        for nth in from..due as u64 {
            let room = (nth % self.rooms.len() as u64) as u32;
            let state = &self.rooms[room as usize];
            match state.owed / u64::from(state.receivers) < RING as u64 - 1 {
                true => self.publish(room, u32::MAX, now),
                false => self.held_back += 1,
            }
        }
    }

    /// Nanoseconds until the fixed rate demands something; `None` in a closed loop.
    pub fn next_due_ns(&self, now: u64) -> Option<u64> {
        let rate = self.rate.as_ref()?;
        let at = rate.start_ns + (rate.sent + 1) * 1_000_000_000 / rate.hertz;
        Some(at.saturating_sub(now))
    }

    fn publish_batch(&mut self, batch: u32, now: u64) {
        let lane = self.batches[batch as usize].lane as usize;
        let round = self.lanes[lane].1;
        self.lanes[lane].1 += 1;
        for share in 0..self.lanes[lane].0.len() {
            for nth in 0..self.lanes[lane].0[share].per_batch {
                let share = &self.lanes[lane].0[share];
                let room = share.rooms[(round * share.per_batch + nth) % share.rooms.len()];
                self.batches[batch as usize].left += self.rooms[room as usize].receivers;
                self.publish(room, batch, now);
            }
        }
    }

    fn publish(&mut self, number: u32, batch: u32, now: u64) {
        let room = &mut self.rooms[number as usize];
        let at = room.next as usize % RING;
        room.sent_at[at] = now;
        room.batch[at] = batch;
        room.owed += u64::from(room.receivers);
        if room.out.is_empty() {
            self.unsent.push(number);
        }
        let start = room.out.len() + self.payload_at;
        room.out.extend_from_slice(&self.template);
        let stamp = [number.to_le_bytes(), room.next.to_le_bytes()];
        for (at, four) in stamp.iter().enumerate() {
            for (nth, byte) in four.iter().enumerate() {
                room.out[start + 4 * at + nth] = byte ^ KEY[nth];
            }
        }
        room.next = room.next.wrapping_add(1);
        self.published += 1;
    }

    /// Gives publishers' sockets what they take, small rooms first; returns whether something is
    /// left. A server wakes for the first message: were that one for a large room, the rest of
    /// the batch would come during its sweep, and a loop without budgets would need two.
    pub fn flush(&mut self) -> bool {
        let rooms = &mut self.rooms;
        self.unsent
            .sort_unstable_by_key(|&room| rooms[room as usize].receivers);
        self.unsent.retain(|&room| {
            let room = &mut rooms[room as usize];
            if let Ok(sent) = sys::send(room.publisher, &room.out) {
                room.out.drain(..sent);
            }
            !room.out.is_empty()
        });
        !self.unsent.is_empty()
    }
}
