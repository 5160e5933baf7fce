//! Outbound against a naive model: random joins, leaves, publications, private messages, holes,
//! stuck sockets and budgets; what each connection's socket got must be what the model says, in
//! the model's order.
//!
//! The model keeps a list of owed frames for each connection, which is what outbound never does.
//! One file, though a long one: what is done to outbound and what the model says of it are read
//! side by side.

use std::collections::VecDeque;
use std::io::IoSlice;

use proptest::prelude::*;

use super::*;
use crate::config::SlowPolicy;
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

    fn is(&self, other: &Self) -> bool {
        std::rc::Rc::ptr_eq(self, other)
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

    fn on_sweep(&mut self, since_ns: u64, _interval_ns: u64, _small: bool) {
        assert!(since_ns > 0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Join(u32, usize),
    Leave(u32, usize),
    /// The member watches keys of the room: those whose bits are set.
    Watch(u32, usize, u8),
    Publish {
        rooms: Vec<usize>,
        except: Option<u32>,
        key: Option<u8>,
        len: usize,
    },
    Send(u32, usize),
    Pong(u32),
    Flush(u64),
    /// So many milliseconds pass.
    Wait(u64),
    /// Intervals are widened by so many steps.
    Widen(u32),
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
        2 => (slot.clone(), room.clone(), 0u8..16).prop_map(|(s, r, k)| Op::Watch(s, r, k)),
        12 => (
            prop_oneof![
                4 => prop::collection::vec(room.clone(), 1),
                1 => prop::collection::vec(room, 2),
            ],
            prop::option::weighted(0.2, slot.clone()),
            prop::option::weighted(0.7, 0..KEYS),
            len.clone(),
        )
            .prop_map(|(rooms, except, key, len)| Op::Publish { rooms, except, key, len }),
        4 => (slot.clone(), len).prop_map(|(s, l)| Op::Send(s, l)),
        1 => slot.clone().prop_map(Op::Pong),
        8 => (0u64..600).prop_map(Op::Flush),
        3 => (0u64..60).prop_map(Op::Wait),
        1 => (0u32..3).prop_map(Op::Widen),
        4 => (slot.clone(), prop_oneof![0usize..500, Just(usize::MAX)])
            .prop_map(|(s, n)| Op::Open(s, n)),
        2 => slot.clone().prop_map(Op::Shut),
        1 => slot.clone().prop_map(Op::Close),
        1 => slot.prop_map(Op::Detach),
    ]
}

/// Keys that publications have.
const KEYS: u8 = 4;
const KEY_NAMES: [&str; KEYS as usize] = ["a", "b", "c", "d"];

/// What a connection is sent differs in length from one kind to another.
fn kind(slot: u32) -> u8 {
    (slot % 3) as u8
}

/// Rooms 2 and 3 have intervals, room 3 and room 4 too conflate.
fn terms(slot: u32, room: usize, watches: bool) -> Terms {
    Terms {
        kind: kind(slot),
        policy: policy(slot),
        conflates: room >= 3,
        watches,
        interval_ms: [0, 0, 20, 20, 50][room],
        filter: 0,
    }
}

fn policy(slot: u32) -> SlowPolicy {
    match slot % 4 {
        0 => SlowPolicy::Disconnect,
        1 => SlowPolicy::Latest,
        2 => SlowPolicy::Volatile,
        _ => SlowPolicy::Skip,
    }
}

/// A publication, as far as the model needs it.
struct Told {
    rooms: Vec<usize>,
    key: Option<u8>,
}

/// What a slot is owed: numbers in order. And what it was not sent, by what the host is told.
#[derive(Clone, Default)]
struct Due {
    numbers: Vec<u64>,
    missed: u64,
    /// It has come anew, or has left while it was behind: what was told before is not counted on.
    inexact: bool,
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
    /// Of members that watch keys, which.
    keys: Vec<[Option<u8>; ROOMS]>,
    due: Vec<Due>,
    told: std::collections::HashMap<u64, Told>,
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
            pending_bytes_max: 100_000,
            interval_max_ms: 1000,
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
            keys: vec![[None; ROOMS]; slots],
            due: vec![Due::default(); slots],
            told: Default::default(),
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
                let joined = self.out.join(*slot, terms(*slot, *room, false), handle);
                assert_eq!(joined, !self.members[*room].contains(slot));
                if joined {
                    self.members[*room].push(*slot);
                }
            }
            Op::Watch(slot, room, keys) => self.watch(*slot, *room, *keys),
            Op::Leave(slot, room) => {
                let group = self.out.membership(*slot, &self.rooms[*room]);
                let left = group.is_some_and(|group| self.out.leave(*slot, group));
                assert_eq!(left, self.members[*room].contains(slot));
                self.forget(*slot, Some(*room));
            }
            Op::Publish {
                rooms,
                except,
                key,
                len,
            } => self.publish(rooms, *except, *key, *len),
            Op::Send(slot, len) => {
                let frame = self.frame(*len);
                let sequence = self.out.next_sequence();
                self.out.send(*slot, frame.clone(), sequence);
                if !self.closed[*slot as usize] {
                    self.due[*slot as usize].numbers.push(self.number);
                }
            }
            Op::Pong(slot) => self.out.pong(*slot, PONG),
            Op::Flush(budget) => {
                self.out.flush(&mut self.sinks, *budget);
            }
            Op::Widen(steps) => self.out.set_steps(*steps),
            Op::Wait(ms) => self.sinks.now += ms * 1_000_000,
            Op::Open(slot, place) => {
                self.sinks.place[*slot as usize] = *place;
                self.out.on_writable(*slot, &mut self.sinks);
            }
            Op::Shut(slot) => self.sinks.place[*slot as usize] = 0,
            Op::Close(slot) => {
                let frame = self.frame(4);
                self.out.close(*slot, frame.clone());
                if !std::mem::replace(&mut self.closed[*slot as usize], true) {
                    self.due[*slot as usize].numbers.push(self.number);
                }
                self.forget(*slot, None);
            }
            Op::Detach(slot) => {
                self.out.detach(*slot);
                self.out.attach(*slot);
                self.forget(*slot, None);
                self.due[*slot as usize] = Due {
                    inexact: true,
                    ..Due::default()
                };
                self.sinks.got[*slot as usize].clear();
                self.sinks.place[*slot as usize] = usize::MAX;
                self.closed[*slot as usize] = false;
            }
        }
        self.take_notices();
    }

    /// The slot is a member no more, of the room or of any.
    fn forget(&mut self, slot: u32, room: Option<usize>) {
        for at in 0..ROOMS {
            if room.is_none_or(|room| room == at) {
                self.members[at].retain(|s| *s != slot);
                self.keys[slot as usize][at] = None;
            }
        }
    }

    fn take_notices(&mut self) {
        let mut notices = Vec::new();
        self.out.take_notices(&mut notices);
        for notice in notices {
            if let Notice::Lagged(slot, _, missed) = notice {
                assert!(missed.count > 0 && missed.first <= missed.last);
                assert_eq!(missed.replaced, policy(slot) == SlowPolicy::Latest);
                self.due[slot as usize].missed += missed.count;
            }
        }
    }

    fn watch(&mut self, slot: u32, room: usize, keys: u8) {
        if self.closed[slot as usize] {
            return;
        }
        let handle = self.rooms[room].clone();
        if !self.members[room].contains(&slot) {
            assert!(self.out.join(slot, terms(slot, room, true), &handle));
            self.members[room].push(slot);
            self.keys[slot as usize][room] = Some(0);
        }
        let id = self.out.membership(slot, &handle).expect("it is a member");
        let name = |bits: u8| -> Vec<Box<str>> {
            let named = (0..KEYS).filter(|key| bits >> key & 1 != 0);
            named.map(|key| KEY_NAMES[key as usize].into()).collect()
        };
        self.out.watch(slot, id, &name(keys));
        self.out.unwatch(slot, id, &name(!keys));
        if let Some(watched) = &mut self.keys[slot as usize][room] {
            *watched = keys;
        }
    }

    fn publish(&mut self, rooms: &[usize], except: Option<u32>, key: Option<u8>, len: usize) {
        self.number += 1;
        let frames = [0, 1, 2].map(|kind| Arc::new(frame(self.number, len + kind)));
        let sequence = self.out.next_sequence();
        let mut rooms = rooms.to_vec();
        rooms.dedup();
        let is_member = |slot: &u32| rooms.iter().any(|r| self.members[*r].contains(slot));
        let left_out: Vec<u32> = except.into_iter().filter(is_member).collect();
        left_out
            .iter()
            .for_each(|slot| self.out.skip(*slot, sequence));
        let stamp = Stamp {
            sequence,
            offset: self.number,
            since_ns: self.sinks.now,
            key: key.map(|key| KEY_NAMES[key as usize]),
            is_union: rooms.len() > 1,
            except: &left_out,
            tracker: None,
        };
        for &room in &rooms {
            let handle = &self.rooms[room];
            let mut group = handle.group.get();
            while let Some(id) = group {
                group = self.out.next_group(id);
                let frame = &frames[self.out.terms(id).kind as usize];
                let cost = (frame.len() + FRAME_OVERHEAD) as i64;
                handle.ahead.set(handle.ahead.get() + cost);
                match self.out.terms(id).watches {
                    true => drop(self.out.append_watched(id, frame.clone(), &stamp)),
                    false => self.out.append(id, frame, &stamp),
                }
            }
        }
        for slot in 0..SLOTS {
            let is_sent = |room: &usize| {
                self.members[*room].contains(&slot)
                    && match self.keys[slot as usize][*room] {
                        None => true,
                        Some(keys) => key.is_some_and(|key| keys >> key & 1 != 0),
                    }
            };
            if rooms.iter().any(is_sent) && except != Some(slot) {
                self.due[slot as usize].numbers.push(self.number);
            }
        }
        self.told.insert(self.number, Told { rooms, key });
    }

    /// Everybody's socket takes everything: then everybody has got what the model says.
    fn settle(&mut self) {
        for slot in 0..SLOTS {
            self.sinks.place[slot as usize] = usize::MAX;
            self.out.on_writable(slot, &mut self.sinks);
        }
        self.sinks.now += 1_000_000_000;
        self.out.set_steps(0);
        let mut turns = 0;
        while self.out.flush(&mut self.sinks, 10_000) {
            turns += 1;
            assert!(turns < 10_000, "the flush comes to an end");
        }
        self.take_notices();
        assert_eq!(self.out.next_due_ns(), None, "nothing waits any more");
        // What one room of a union dropped, another may have sent.
        let mut exact = !self.has_unions();
        let (mut least, mut most) = (0, 0);
        for slot in 0..SLOTS {
            let missing = self.check(slot);
            if policy(slot) == SlowPolicy::Volatile {
                least += missing.uncounted;
                most += missing.places;
                exact &= !self.due[slot as usize].inexact;
            }
        }
        let counted = self.out.tally.volatile_dropped;
        assert!(counted >= least, "{counted} counted, {least} missing");
        assert!(
            !exact || counted <= most,
            "{counted} counted, {most} missing"
        );
        for room in &self.rooms {
            assert_eq!(room.ahead.get(), 0, "all that was published was swept");
        }
        assert_eq!(self.out.tape_bytes(), 0, "nobody needs a tape any more");
        assert_eq!(self.out.private_bytes(), 0);
    }

    fn has_unions(&self) -> bool {
        self.told.values().any(|told| told.rooms.len() > 1)
    }

    /// What the slot got is what it is owed, in order, but for what its rooms and policy let go.
    fn check(&self, slot: u32) -> Missing {
        let due = &self.due[slot as usize];
        let got = numbers(&self.sinks.got[slot as usize], kind(slot), |number| {
            self.told.contains_key(&number)
        });
        let mut at = 0;
        let mut missing = Vec::new();
        for &number in &due.numbers {
            match got.get(at) == Some(&number) {
                true => at += 1,
                false => missing.push(number),
            }
        }
        assert_eq!(at, got.len(), "slot {slot}: {got:?} of {:?}", due.numbers);
        let (mut uncounted, mut places) = (0, 0);
        for number in missing {
            let told = self.told.get(&number);
            let told = told.unwrap_or_else(|| panic!("slot {slot} did not get message {number}"));
            let is_newer = |(n, newer): (&u64, &Told)| {
                *n > number
                    && newer.key == told.key
                    && newer.rooms.iter().any(|room| told.rooms.contains(room))
            };
            let replaced = told.key.is_some() && self.told.iter().any(is_newer);
            let conflates = told.rooms.iter().any(|room| *room >= 3);
            let (latest, volatile) = match policy(slot) {
                SlowPolicy::Latest => (true, false),
                SlowPolicy::Volatile => (false, true),
                _ => (false, false),
            };
            assert!(
                volatile || (replaced && (conflates || latest)),
                "slot {slot} did not get {number}"
            );
            uncounted += u64::from(!(conflates && replaced));
            places += told.rooms.len() as u64;
        }
        if policy(slot) != SlowPolicy::Volatile && !due.inexact {
            assert!(due.missed >= uncounted, "each is told to the host");
        }
        // What one room of a union replaced, another may have sent.
        let is_exact = !due.inexact && !self.has_unions();
        if policy(slot) == SlowPolicy::Latest && is_exact {
            // What conflation let go was not missed by a slow peer.
            let rest = due.missed - uncounted;
            let conflated = due.numbers.len() as u64 - got.len() as u64 - uncounted;
            assert!(rest <= conflated, "{rest} told beyond what is missing");
        }
        Missing { uncounted, places }
    }
}

/// What a slot is owed and did not get.
struct Missing {
    /// Conflation apart.
    uncounted: u64,
    /// All of it, once for each room.
    places: u64,
}

/// Numbers of the frames of a stream, pongs between them taken out; each frame is whole.
fn numbers(stream: &[u8], kind: u8, is_publication: impl Fn(u64) -> bool) -> Vec<u64> {
    let whole = without_pongs(stream);
    let (mut numbers, mut rest) = (Vec::new(), &whole[..]);
    while !rest.is_empty() {
        let word = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().expect("whole"));
        let (len, number) = (word(0) as usize, word(8));
        let sent = match is_publication(number) {
            true => len - usize::from(kind),
            false => len,
        };
        assert!(sent >= 4, "a frame of its own kind");
        assert_eq!(
            &rest[..16 + len],
            frame(number, len),
            "frame {number} is whole"
        );
        numbers.push(number);
        rest = &rest[16 + len..];
    }
    numbers
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

/// Appends a frame to the room's only group.
fn publish(
    out: &mut Outbound<RoomHandle>,
    room: &RoomHandle,
    frame: &Arc<Vec<u8>>,
    number: u64,
    key: Option<&str>,
) {
    let cost = (frame.len() + FRAME_OVERHEAD) as i64;
    room.ahead.set(room.ahead.get() + cost);
    let stamp = Stamp {
        sequence: out.next_sequence(),
        offset: number,
        since_ns: 1,
        key,
        is_union: false,
        except: &[],
        tracker: None,
    };
    out.append(room.group.get().expect("it has members"), frame, &stamp);
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
        pending_bytes_max: 1 << 20,
        interval_max_ms: 1000,
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
            assert!(out.join(slot, Terms::default(), room));
        }
    }
    let mut owed = Vec::new();
    for number in 0..2000u64 {
        let room = &rooms[(number % 2) as usize];
        let frame = Arc::new(frame(number, 600));
        publish(&mut out, room, &frame, number, None);
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
    for policy in [SlowPolicy::Disconnect, SlowPolicy::Skip] {
        let bounds = Bounds {
            tape_bytes_max: 64 << 10,
            shard_tape_bytes_max: 1 << 20,
            outbox_bytes_max: 16 << 10,
            outbox_high_bytes: 8 << 10,
            pending_bytes_max: 32 << 10,
            interval_max_ms: 1000,
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
            let terms = Terms {
                policy,
                ..Terms::default()
            };
            assert!(out.join(slot, terms, &room));
        }
        sinks.place[1] = 100;
        let mut owed: VecDeque<u8> = VecDeque::new();
        for number in 0..500u64 {
            let frame = Arc::new(frame(number, 1000));
            publish(&mut out, &room, &frame, number, None);
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
        match policy {
            SlowPolicy::Skip => {
                assert!(matches!(notices[0], Notice::Lagged(1, _, missed) if missed.count > 10));
            }
            _ => assert!(matches!(notices[..], [Notice::TooSlow(1)])),
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
        key: None,
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

/// A slow reader of many keys gets the newest of each and no more, in bounded memory, and the host
/// is told how many older ones it did not get.
#[test]
fn a_slow_reader_gets_the_newest_of_each_key() {
    let bounds = Bounds {
        tape_bytes_max: 256 << 10,
        shard_tape_bytes_max: 1 << 20,
        outbox_bytes_max: 16 << 10,
        outbox_high_bytes: 8 << 10,
        pending_bytes_max: 64 << 10,
        interval_max_ms: 1000,
    };
    let mut out: Outbound<RoomHandle> = Outbound::new(0, bounds);
    let room = RoomHandle::default();
    let mut sinks = Sinks {
        got: vec![Vec::new(); 2],
        place: vec![usize::MAX, 0],
        now: 1,
    };
    let terms = Terms {
        policy: SlowPolicy::Latest,
        ..Terms::default()
    };
    for slot in 0..2 {
        out.attach(slot);
        assert!(out.join(slot, terms, &room));
    }
    const KEYS: u64 = 500;
    for number in 0..20 * KEYS {
        let frame = Arc::new(frame(number, 100));
        let key = (number % KEYS).to_string();
        publish(&mut out, &room, &frame, number, Some(&key));
        if number % 10 == 0 {
            while out.flush(&mut sinks, 1_000_000) {}
        }
        assert!(out.tape_bytes() <= 512 << 10, "{}", out.tape_bytes());
    }
    sinks.place[1] = usize::MAX;
    out.on_writable(1, &mut sinks);
    while out.flush(&mut sinks, 1_000_000) {}
    let all: Vec<u64> = (0..20 * KEYS).collect();
    assert_eq!(numbers(&sinks.got[0], 0, |_| false), all);
    let newest: Vec<u64> = (19 * KEYS..20 * KEYS).collect();
    assert_eq!(numbers(&sinks.got[1], 0, |_| false), newest);
    let mut notices = Vec::new();
    out.take_notices(&mut notices);
    let missed = notices.iter().map(|notice| match notice {
        Notice::Lagged(1, _, missed) if missed.replaced => missed.count,
        _ => panic!("another notice"),
    });
    assert_eq!(missed.sum::<u64>(), 19 * KEYS);
    assert_eq!((out.tape_bytes(), room.ahead.get()), (0, 0));
}

/// What waits for its interval leaves at its end, in one write, or with whatever else is written.
#[test]
fn what_waits_for_its_interval_is_written_once() {
    let mut model = Model::new();
    let publish = |model: &mut Model, room| {
        model.apply(&Op::Publish {
            rooms: vec![room],
            except: None,
            key: None,
            len: 10,
        });
    };
    // Slots 4 and 16: plain readers.
    for slot in [4, 16] {
        model.apply(&Op::Join(slot, 2));
    }
    model.apply(&Op::Join(16, 1));
    for _ in 0..5 {
        publish(&mut model, 2);
        model.apply(&Op::Flush(1_000_000));
    }
    let sent = |model: &Model, slot: usize| model.sinks.got[slot].len();
    assert_eq!((sent(&model, 4), sent(&model, 16)), (0, 0));
    assert_eq!(model.out.next_due_ns(), Some(20_000_000));
    model.apply(&Op::Pong(4));
    model.apply(&Op::Flush(1_000_000));
    assert_eq!(sent(&model, 4), PONG.len(), "a pong takes nothing along");
    publish(&mut model, 1);
    model.apply(&Op::Flush(1_000_000));
    assert!(
        sent(&model, 16) > 5 * 26,
        "nothing is overtaken across rooms"
    );
    assert_eq!(sent(&model, 4), PONG.len());
    let writes = model.out.tally.writes;
    model.apply(&Op::Wait(20));
    model.apply(&Op::Flush(1_000_000));
    assert_eq!(
        model.out.tally.writes,
        writes + 1,
        "to the one who had not got them"
    );
    model.settle();
}

/// Volatile members are sent what comes while they are writable, and the rest is counted.
#[test]
fn a_volatile_member_is_sent_what_comes_while_it_is_writable() {
    let mut model = Model::new();
    let publish = |model: &mut Model, count: usize| {
        for _ in 0..count {
            model.apply(&Op::Publish {
                rooms: vec![0],
                except: None,
                key: None,
                len: 10,
            });
            model.apply(&Op::Flush(1_000_000));
        }
    };
    model.apply(&Op::Join(2, 0));
    model.apply(&Op::Join(4, 0));
    publish(&mut model, 3);
    model.apply(&Op::Shut(2));
    publish(&mut model, 10);
    // The first of them was offered, so it waits at the socket.
    assert_eq!(model.out.tally.volatile_dropped, 10);
    assert_eq!(model.out.tape_bytes(), 0, "it holds no tape");
    model.apply(&Op::Open(2, usize::MAX));
    publish(&mut model, 2);
    model.settle();
    assert_eq!(model.check(2).uncounted, 10);
    assert_eq!(model.check(4).places, 0);
}

/// A member that lost its place on the tape catches up from the history, in order and without a
/// hole, while the room goes on; what the history does not have is told.
#[test]
fn a_slow_reader_catches_up_from_the_history() {
    for kept in [u64::MAX, 300] {
        let bounds = Bounds {
            tape_bytes_max: 64 << 10,
            shard_tape_bytes_max: 1 << 20,
            outbox_bytes_max: 1 << 20,
            outbox_high_bytes: 256 << 10,
            pending_bytes_max: 32 << 10,
            interval_max_ms: 1000,
        };
        let mut out: Outbound<RoomHandle> = Outbound::new(0, bounds);
        let room = RoomHandle::default();
        let mut sinks = Sinks {
            got: vec![Vec::new(); 2],
            place: vec![usize::MAX, 100],
            now: 1,
        };
        let terms = Terms {
            policy: SlowPolicy::Replay,
            ..Terms::default()
        };
        for slot in 0..2 {
            out.attach(slot);
            assert!(out.join(slot, terms, &room));
        }
        let mut missed = Vec::new();
        for number in 1..=1000u64 {
            publish(&mut out, &room, &Arc::new(frame(number, 500)), number, None);
            if number == 700 {
                sinks.place[1] = 3_000;
                out.on_writable(1, &mut sinks);
            }
            if number > 700 && number % 3 == 0 {
                sinks.place[1] = 2_000;
                out.on_writable(1, &mut sinks);
            }
            answer_replays(&mut out, number.saturating_sub(kept) + 1, &mut missed);
            while out.flush(&mut sinks, 1_000_000) {}
            assert!(out.tape_bytes() <= 192 << 10);
        }
        sinks.place[1] = usize::MAX;
        out.on_writable(1, &mut sinks);
        for _ in 0..200 {
            answer_replays(&mut out, 1000u64.saturating_sub(kept) + 1, &mut missed);
            while out.flush(&mut sinks, 1_000_000) {}
        }
        let lost = |number: &u64| {
            missed
                .iter()
                .any(|m: &Missed| (m.first..=m.last).contains(number))
        };
        let expected: Vec<u64> = (1..=1000).filter(|number| !lost(number)).collect();
        assert_eq!(numbers(&sinks.got[1], 0, |_| false), expected);
        assert_eq!(missed.is_empty(), kept == u64::MAX, "{missed:?}");
        assert!(out.tally.replayed > 200);
        assert_eq!((out.tape_bytes(), room.ahead.get()), (0, 0));
    }
}

/// Gives those who ask what the history has, from `first` on, 20 publications at a time.
fn answer_replays(out: &mut Outbound<RoomHandle>, first: u64, missed: &mut Vec<Missed>) {
    let mut notices = Vec::new();
    out.take_notices(&mut notices);
    for notice in notices {
        match notice {
            Notice::Lagged(1, _, m) => missed.push(m),
            Notice::Replay(slot) => {
                for (id, next, applied) in out.replays(slot) {
                    if next < first {
                        out.miss(slot, id, next, first - 1);
                    }
                    let last = applied.min(next.max(first) + 19);
                    for number in next.max(first)..=last {
                        out.send_replayed(slot, Arc::new(frame(number, 500)));
                    }
                    out.on_replayed(slot, id, last + 1, last == applied);
                }
            }
            _ => {}
        }
    }
}
