//! Outbound against a naive model: random joins, leaves, publications, private messages, holes,
//! stuck sockets and budgets; what each connection's socket got must be what the model says, in
//! the model's order.
//!
//! The model keeps a list of owed frames for each connection, which is what outbound never does.

use std::collections::VecDeque;
use std::io::IoSlice;

use proptest::prelude::*;

use super::*;
use crate::sync::Arc;

const SLOTS: u32 = 24;
const ROOMS: usize = 5;

/// A room that knows its group and its *ahead*.
#[derive(Default)]
struct Room {
    group: std::cell::Cell<Option<GroupId>>,
    ahead: std::cell::Cell<i64>,
}

type RoomHandle = std::rc::Rc<Room>;

impl RoomRef for RoomHandle {
    fn on_swept(&self, _: usize, bytes: usize) {
        self.ahead.set(self.ahead.get() - bytes as i64);
        assert!(self.ahead.get() >= 0, "more swept than published");
    }

    fn first_group(&self, _: usize) -> Option<GroupId> {
        self.group.get()
    }

    fn set_first_group(&self, _: usize, group: Option<GroupId>) {
        self.group.set(group);
    }
}

/// Sockets that take so many bytes and remember them; time passes with each look at the clock.
struct Sinks {
    got: Vec<Vec<u8>>,
    place: Vec<usize>,
    now: u64,
}

impl Sinks {
    fn take(&mut self, slot: u32, bytes: &[u8]) -> usize {
        let place = &mut self.place[slot as usize];
        let n = bytes.len().min(*place);
        *place = place.saturating_sub(n);
        self.got[slot as usize].extend_from_slice(&bytes[..n]);
        n
    }
}

impl Wire for Sinks {
    fn write(&mut self, slot: u32, bytes: &[u8]) -> Wrote {
        self.now += 10;
        Wrote::Bytes(self.take(slot, bytes))
    }

    fn write_slices(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> Wrote {
        self.now += 10;
        let mut all = 0;
        for slice in slices {
            let n = self.take(slot, slice);
            all += n;
            if n < slice.len() {
                break;
            }
        }
        Wrote::Bytes(all)
    }

    fn now_ns(&mut self) -> u64 {
        self.now
    }

    fn on_sweep(&mut self, since_ns: u64, _small: bool) {
        assert!(since_ns > 0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Join(u32, usize),
    Leave(u32, usize),
    Publish {
        rooms: Vec<usize>,
        except: Option<u32>,
        len: usize,
    },
    Send(u32, usize),
    Pong(u32),
    Flush(u64),
    /// The socket takes so many bytes from now on, and becomes writable.
    Open(u32, usize),
    /// The socket takes nothing.
    Shut(u32),
    Close(u32),
    Detach(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0..SLOTS;
    let room = 0..ROOMS;
    let len = prop_oneof![8 => 4usize..200, 1 => 200usize..3000, 1 => 16_000usize..20_000];
    prop_oneof![
        6 => (slot.clone(), room.clone()).prop_map(|(s, r)| Op::Join(s, r)),
        3 => (slot.clone(), room.clone()).prop_map(|(s, r)| Op::Leave(s, r)),
        12 => (prop::collection::vec(room, 1..3), prop::option::of(slot.clone()), len.clone())
            .prop_map(|(rooms, except, len)| Op::Publish { rooms, except, len }),
        4 => (slot.clone(), len).prop_map(|(s, l)| Op::Send(s, l)),
        1 => slot.clone().prop_map(Op::Pong),
        8 => (0u64..600).prop_map(Op::Flush),
        4 => (slot.clone(), prop_oneof![0usize..500, Just(usize::MAX)])
            .prop_map(|(s, n)| Op::Open(s, n)),
        2 => slot.clone().prop_map(Op::Shut),
        1 => slot.clone().prop_map(Op::Close),
        1 => slot.prop_map(Op::Detach),
    ]
}

/// What a connection is sent differs in length from one kind to another.
fn kind(slot: u32) -> u8 {
    (slot % 3) as u8
}

/// A frame that says which it is and how long, so that a mix-up shows.
fn frame(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = (len as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.resize(16 + len, number as u8);
    bytes
}

const PONG: &[u8] = b"<pong>";

struct Model {
    out: Outbound<RoomHandle>,
    rooms: Vec<RoomHandle>,
    sinks: Sinks,
    members: Vec<Vec<u32>>,
    /// All frames that each connection is to get, in order; pongs are looked for apart.
    owed: Vec<Vec<u8>>,
    closed: Vec<bool>,
    number: u64,
}

impl Model {
    fn new() -> Self {
        let bounds = Bounds {
            tape_bytes_max: 64 << 20,
            shard_tape_bytes_max: 1 << 30,
            outbox_bytes_max: 64 << 20,
            outbox_high_bytes: 32 << 20,
            skip: false,
        };
        let mut out = Outbound::new(0, bounds);
        (0..SLOTS).for_each(|slot| out.attach(slot));
        let slots = SLOTS as usize;
        Model {
            out,
            rooms: (0..ROOMS).map(|_| RoomHandle::default()).collect(),
            sinks: Sinks {
                got: vec![Vec::new(); slots],
                place: vec![usize::MAX; slots],
                now: 1,
            },
            members: vec![Vec::new(); ROOMS],
            owed: vec![Vec::new(); slots],
            closed: vec![false; slots],
            number: 0,
        }
    }

    fn frame(&mut self, len: usize) -> Arc<Vec<u8>> {
        self.number += 1;
        Arc::new(frame(self.number, len))
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Join(slot, room) => {
                if self.closed[*slot as usize] {
                    return;
                }
                let handle = &self.rooms[*room];
                let joined = self.out.join(*slot, kind(*slot), handle);
                assert_eq!(joined, !self.members[*room].contains(slot));
                if joined {
                    self.members[*room].push(*slot);
                }
            }
            Op::Leave(slot, room) => {
                let handle = &self.rooms[*room];
                let group = self
                    .out
                    .groups_of(handle)
                    .find(|&id| self.out.is_member(*slot, id));
                let left = group.is_some_and(|group| self.out.leave(*slot, group));
                assert_eq!(left, self.members[*room].contains(slot));
                self.members[*room].retain(|s| s != slot);
            }
            Op::Publish { rooms, except, len } => self.publish(rooms, *except, *len),
            Op::Send(slot, len) => {
                let frame = self.frame(*len);
                let sequence = self.out.next_sequence();
                self.out.send(*slot, frame.clone(), sequence);
                if !self.closed[*slot as usize] {
                    self.owed[*slot as usize].extend_from_slice(&frame);
                }
            }
            Op::Pong(slot) => self.out.pong(*slot, PONG),
            Op::Flush(budget) => {
                self.out.flush(&mut self.sinks, *budget);
            }
            Op::Open(slot, place) => {
                self.sinks.place[*slot as usize] = *place;
                self.out.on_writable(*slot, &mut self.sinks);
            }
            Op::Shut(slot) => self.sinks.place[*slot as usize] = 0,
            Op::Close(slot) => {
                let frame = self.frame(4);
                self.out.close(*slot, frame.clone());
                if !std::mem::replace(&mut self.closed[*slot as usize], true) {
                    self.owed[*slot as usize].extend_from_slice(&frame);
                }
                self.members
                    .iter_mut()
                    .for_each(|m| m.retain(|s| s != slot));
            }
            Op::Detach(slot) => {
                self.out.detach(*slot);
                self.out.attach(*slot);
                self.members
                    .iter_mut()
                    .for_each(|m| m.retain(|s| s != slot));
                self.owed[*slot as usize].clear();
                self.sinks.got[*slot as usize].clear();
                self.sinks.place[*slot as usize] = usize::MAX;
                self.closed[*slot as usize] = false;
            }
        }
    }

    fn publish(&mut self, rooms: &[usize], except: Option<u32>, len: usize) {
        self.number += 1;
        let frames = [0, 1, 2].map(|kind| Arc::new(frame(self.number, len + kind)));
        let sequence = self.out.next_sequence();
        let mut rooms = rooms.to_vec();
        rooms.dedup();
        if let Some(slot) = except
            && rooms.iter().any(|r| self.members[*r].contains(&slot))
        {
            self.out.skip(slot, sequence);
        }
        for &room in &rooms {
            let handle = &self.rooms[room];
            let mut group = handle.group.get();
            while let Some(id) = group {
                group = self.out.next_group(id);
                let frame = &frames[self.out.kind(id) as usize];
                let cost = (frame.len() + FRAME_OVERHEAD) as i64;
                handle.ahead.set(handle.ahead.get() + cost);
                self.out.append(id, frame, sequence, 1);
            }
        }
        for slot in 0..SLOTS {
            let member = rooms.iter().any(|r| self.members[*r].contains(&slot));
            if member && except != Some(slot) {
                self.owed[slot as usize].extend_from_slice(&frames[kind(slot) as usize]);
            }
        }
    }

    /// Everybody's socket takes everything: then everybody has got what the model says.
    fn settle(&mut self) {
        for slot in 0..SLOTS {
            self.sinks.place[slot as usize] = usize::MAX;
            self.out.on_writable(slot, &mut self.sinks);
        }
        let mut turns = 0;
        while self.out.flush(&mut self.sinks, 10_000) {
            turns += 1;
            assert!(turns < 10_000, "the flush comes to an end");
        }
        for slot in 0..SLOTS as usize {
            let got = without_pongs(&self.sinks.got[slot]);
            assert!(
                got == self.owed[slot],
                "slot {slot}: {:?}",
                first_difference(&got, &self.owed[slot])
            );
        }
        for room in &self.rooms {
            assert_eq!(room.ahead.get(), 0, "all that was published was swept");
        }
        assert_eq!(self.out.tape_bytes(), 0, "nobody needs a tape any more");
        assert_eq!(self.out.private_bytes(), 0);
    }
}

/// The frames of a stream, pongs between them taken out.
fn without_pongs(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        if rest.starts_with(PONG) {
            rest = &rest[PONG.len()..];
            continue;
        }
        let len = u64::from_le_bytes(rest[..8].try_into().expect("a whole frame"));
        let frame = &rest[..(16 + len as usize).min(rest.len())];
        out.extend_from_slice(frame);
        rest = &rest[frame.len()..];
    }
    out
}

fn first_difference(got: &[u8], owed: &[u8]) -> (usize, usize, Option<usize>) {
    (
        got.len(),
        owed.len(),
        got.iter().zip(owed).position(|(a, b)| a != b),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn everybody_gets_what_the_model_says(ops in prop::collection::vec(op(), 1..150)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.settle();
    }
}

/// 1,000 stuck members of two rooms that publish in turn: nothing is lost or reordered when they
/// come back, and the memory was bounded by the two tapes.
#[test]
fn stuck_members_of_two_rooms_come_back_in_order() {
    let bounds = Bounds {
        tape_bytes_max: 4 << 20,
        shard_tape_bytes_max: 256 << 20,
        outbox_bytes_max: 1 << 20,
        outbox_high_bytes: 256 << 10,
        skip: false,
    };
    let mut out: Outbound<RoomHandle> = Outbound::new(0, bounds);
    let rooms = [RoomHandle::default(), RoomHandle::default()];
    let mut sinks = Sinks {
        got: vec![Vec::new(); 1000],
        place: vec![0; 1000],
        now: 1,
    };
    for slot in 0..1000 {
        out.attach(slot);
        for room in &rooms {
            assert!(out.join(slot, 0, room));
        }
    }
    let mut owed = Vec::new();
    for number in 0..2000u64 {
        let room = &rooms[(number % 2) as usize];
        let frame = Arc::new(frame(number, 600));
        room.ahead
            .set(room.ahead.get() + (frame.len() + FRAME_OVERHEAD) as i64);
        let sequence = out.next_sequence();
        out.append(room.group.get().unwrap(), &frame, sequence, 1);
        owed.extend_from_slice(&frame);
        if number % 8 == 0 {
            out.flush(&mut sinks, 1_000_000);
        }
    }
    assert!(out.tape_bytes() < 2 * (4 << 20));
    for slot in 0..1000 {
        sinks.place[slot as usize] = usize::MAX;
        out.on_writable(slot, &mut sinks);
        assert_eq!(sinks.got[slot as usize], owed, "slot {slot}");
        sinks.got[slot as usize] = Vec::new();
    }
    while out.flush(&mut sinks, 1_000_000) {}
    assert_eq!(out.tape_bytes(), 0);
}

/// A stuck member meets its policy when the tape is full; the others lose nothing.
#[test]
fn a_full_tape_costs_the_slow_alone() {
    for skip in [false, true] {
        let bounds = Bounds {
            tape_bytes_max: 64 << 10,
            shard_tape_bytes_max: 1 << 20,
            outbox_bytes_max: 16 << 10,
            outbox_high_bytes: 8 << 10,
            skip,
        };
        let mut out: Outbound<RoomHandle> = Outbound::new(0, bounds);
        let room = RoomHandle::default();
        let mut sinks = Sinks {
            got: vec![Vec::new(); 3],
            place: vec![usize::MAX; 3],
            now: 1,
        };
        for slot in 0..3 {
            out.attach(slot);
            assert!(out.join(slot, 0, &room));
        }
        sinks.place[1] = 100;
        let mut owed: VecDeque<u8> = VecDeque::new();
        for number in 0..500u64 {
            let frame = Arc::new(frame(number, 1000));
            room.ahead
                .set(room.ahead.get() + (frame.len() + FRAME_OVERHEAD) as i64);
            let sequence = out.next_sequence();
            out.append(room.group.get().unwrap(), &frame, sequence, 1);
            owed.extend(frame.iter());
            while out.flush(&mut sinks, 1_000_000) {}
            assert!(
                out.tape_bytes() <= 192 << 10,
                "bounded: {}",
                out.tape_bytes()
            );
        }
        assert_eq!(sinks.got[0], owed.make_contiguous());
        assert_eq!(sinks.got[2], owed.make_contiguous());
        let mut notices = Vec::new();
        out.take_notices(&mut notices);
        match skip {
            true => assert!(matches!(notices[0], Notice::Lagged(1, _, n) if n > 10)),
            false => assert!(matches!(notices[..], [Notice::TooSlow(1)])),
        }
    }
}

/// A pong queued while the socket was stuck went out with the tape; the place in the queue of
/// dirty connections that it left behind must not send the next publication a second time.
#[test]
fn a_spent_place_among_the_dirty_sends_nothing() {
    let mut model = Model::new();
    let publish = Op::Publish {
        rooms: vec![2],
        except: None,
        len: 4,
    };
    let open = Op::Open(10, usize::MAX);
    for op in [
        Op::Join(10, 2),
        Op::Shut(10),
        publish.clone(),
        Op::Flush(0),
        Op::Pong(10),
        open,
        publish,
    ] {
        model.apply(&op);
    }
    model.settle();
}
