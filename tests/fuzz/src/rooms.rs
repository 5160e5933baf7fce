//! The target `rooms`: operations on a whole engine in virtual time, held against a naive model.
//!
//! In: bytes, of which the first two choose bounds and a crowd, and each three more are an
//! operation with two arguments. Out: nothing, or a panic where a peer was not sent what it is
//! owed. With `ROOMS_TRACE` set each operation is printed as it runs. One thread.

mod asked;
mod host;
mod model;
mod stream;

use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{Config, ConnectionId, Handle, Room, SlowPolicy};

use self::asked::Asked;
use self::host::{By, Host, To, USERS};
use self::model::{Bounds, Model, Peer, ROOMS, room_name};

const OPERATIONS_MAX: usize = 250;
const PEERS_MAX: usize = 100;
/// How many peers there are to begin with: groups are swept in another way above 64.
const CROWDS: [usize; 8] = [2, 5, 20, 72, 3, 4, 6, 8];

/// Runs the operations that an input spells.
pub fn run(input: &[u8]) {
    let [first, second, operations @ ..] = input else {
        return;
    };
    let mut run = Run::new(*first);
    run.connect(CROWDS[usize::from(second & 7)], second >> 3);
    run.settle();
    for operation in operations.chunks_exact(3).take(OPERATIONS_MAX) {
        run.operate(operation[0], operation[1], operation[2]);
    }
    run.finish();
}

struct Run {
    sim: Sim,
    host: Host,
    held: [Option<Room>; ROOMS],
    /// Which peers take everything.
    takes: Vec<bool>,
    trace: bool,
}

impl Run {
    fn new(choice: u8) -> Run {
        let bit = |n: u8| choice >> n & 1 != 0;
        let tape_bytes = [2, 16, 128, 512][usize::from(choice >> 1 & 3)] * 1024;
        let outbox_bytes = [256, 2_048, 32_768, 1_048_576][usize::from(choice >> 3 & 3)];
        let bounds = Bounds {
            skip: bit(0),
            tape_bytes,
            outbox_bytes,
            narrow_shard: bit(6),
        };
        let policy = match bounds.skip {
            true => SlowPolicy::Skip,
            false => SlowPolicy::Disconnect,
        };
        let shard_tapes = if bounds.narrow_shard { 2 } else { 64 };
        let config = Config::new()
            .slow_policy(policy)
            .publication_bytes_max(tape_bytes / 4)
            .tape_bytes_max(tape_bytes)
            .shard_tape_bytes_max(tape_bytes * shard_tapes)
            .room_ahead_bytes_max(tape_bytes / 2)
            .inbox_bytes_max(tape_bytes)
            .outbox_bytes_max(outbox_bytes)
            .outbox_high_bytes(outbox_bytes / if bit(7) { 8 } else { 1 })
            .turn_budget_us(10)
            .ping_interval_ms(0)
            .close_timeout_ms(100);
        let host = Host(Arc::new(Mutex::new(Model::new(bounds))));
        let mut sim = Sim::new(config, host.clone());
        // With this the budget is over after the first sixteen writes.
        sim.set_look_ns(if bit(5) { 6_000 } else { 0 });
        let trace = std::env::var_os("ROOMS_TRACE").is_some();
        host.model().trace = trace;
        if trace {
            eprintln!("{bounds:?}, budgets {}", bit(5));
        }
        Run {
            sim,
            host,
            held: Default::default(),
            takes: Vec::new(),
            trace,
        }
    }

    fn operate(&mut self, what: u8, a: u8, b: u8) {
        let at = usize::from(a) % self.takes.len();
        let room = usize::from(b) % ROOMS;
        let (one, other) = (1 << (a & 7), 1 << (a >> 3 & 7));
        if self.trace {
            eprintln!(
                "{} {a} {b} (peer {at})",
                NAMES[usize::from(what) % NAMES.len()]
            );
        }
        match usize::from(what) % NAMES.len() {
            0 => self.with_peer(at, |host, handle, id| host.join(handle, id, room, None)),
            1 => self.with_peer(at, |host, handle, id| host.leave(handle, id, room)),
            2 => self.publish(one, 0, &[], b),
            3 => self.publish(one, 0, &[usize::from(a >> 3), usize::from(b) / 2], b),
            4 => self.publish(one, other, &[], b),
            5 => self.publish(a, 0, &[], b),
            6 => self.publish(a, 1 << (b >> 5), &[usize::from(b & 31)], b),
            7 => self.send(To::Peer(at), b),
            8 if at.is_multiple_of(4) => self.send(To::All, b),
            8 => self.send(To::User(at % USERS), b),
            9 => self.close(at, 4_000 + u16::from(b)),
            10 => self.stop(at, usize::from(b) * 8),
            11 => self.resume(at),
            12 => self.vanish(at, b),
            13 => self.sim.turn(),
            14 => self.settle(),
            15 => self.connect(1 + usize::from(b) % 8, a),
            16 => self.speak(at, b),
            17 => self.pass(8 * (1 + u64::from(a) % 8)),
            18 => self.hold(room, a),
            21 => {
                let asked = Some(Asked::from_byte(b));
                self.with_peer(at, |host, handle, id| host.join(handle, id, room, asked));
            }
            22 => self.with_peer(at, |host, handle, id| {
                host.watch(handle, id, room, b >> 4, b & 8 == 0);
            }),
            19 => (0..1 + b % 16).for_each(|_| self.publish(one, 0, &[], b / 16 * 12)),
            _ => {
                (0..self.takes.len()).for_each(|at| self.resume(at));
                self.settle();
            }
        }
    }

    fn with_peer(&self, at: usize, act: impl Fn(&Host, &Handle, ConnectionId)) {
        let id = self.host.model().peers[at].id;
        if let Some(id) = id {
            act(&self.host, self.sim.handle(), id);
        }
    }

    /// Small ones mostly; some as large as may be, and one byte more.
    fn len(&self, size: u8) -> usize {
        let most = self.host.model().publication_bytes_max() - asked::BYTES;
        match usize::from(size) {
            size @ ..128 => size,
            size @ ..192 => ((size - 127) * 16).min(most),
            size @ ..240 => most * (size - 191) / 48,
            ..252 => most,
            _ => most + 1,
        }
    }

    fn publish(&self, to: u8, but: u8, except: &[usize], size: u8) {
        let id = |at: &usize| self.host.model().peers[at % self.takes.len()].id;
        let except: Vec<ConnectionId> = except.iter().filter_map(id).collect();
        let by = By {
            handle: self.sim.handle(),
            held: None,
        };
        self.host.publish(&by, to, but, &except, self.len(size));
    }

    fn send(&self, to: To, size: u8) {
        self.host.send(self.sim.handle(), to, self.len(size));
    }

    fn close(&self, at: usize, code: u16) {
        self.with_peer(at, |host, handle, id| {
            handle.close(id, code, "enough").expect("it is taken");
            host.model().on_host_close(at, code);
        });
    }

    fn stop(&mut self, at: usize, place: usize) {
        self.takes[at] = false;
        self.host.model().on_stop(at);
        self.sim.set_place(at as u32, place);
    }

    fn resume(&mut self, at: usize) {
        self.takes[at] = true;
        self.sim.set_place(at as u32, usize::MAX);
    }

    fn vanish(&mut self, at: usize, how: u8) {
        self.host.model().peers[at].left = true;
        let at = at as u32;
        match how % 4 {
            0 => self.sim.reset(at),
            1 => self.sim.end(at),
            2 => self.sim.feed_frame(at, 8, &1000u16.to_be_bytes()),
            _ => {
                self.sim.feed_frame(at, 8, &1000u16.to_be_bytes());
                self.sim.end(at);
            }
        }
    }

    fn connect(&mut self, count: usize, rooms: u8) {
        for _ in 0..count.min(PEERS_MAX - self.takes.len()) {
            let at = self.takes.len();
            self.host.model().peers.push(Peer::default());
            self.takes.push(true);
            let number = self.sim.connect(&format!("/{at}/{rooms}"), true);
            assert_eq!(number as usize, at);
        }
    }

    fn speak(&mut self, at: usize, what: u8) {
        if what & 0x80 != 0 {
            return self.sim.feed_frame(at as u32, 9, b"ping");
        }
        self.host.model().on_said(at);
        self.sim.feed_frame(at as u32, 2, &[what]);
    }

    fn pass(&mut self, ms: u64) {
        self.host.model().hurried = true;
        self.sim.advance_ms(ms);
        self.settle();
    }

    fn hold(&mut self, room: usize, what: u8) {
        let handle = self.sim.handle();
        match (&self.held[room], what % 4) {
            (Some(_), 0) => self.held[room] = None,
            (Some(held), 1) => assert_eq!(held.clone().name(), room_name(room)),
            (Some(held), _) => {
                let by = By {
                    handle,
                    held: Some(held),
                };
                self.host.publish(&by, 1 << room, 0, &[], self.len(what));
            }
            (None, _) => {
                let mut model = self.host.model();
                model.look(&handle.rooms());
                let held = handle.room(&room_name(room)).expect("a name");
                model.on_position(room, held.position());
                drop(model);
                self.held[room] = Some(held);
            }
        }
    }

    fn settle(&mut self) {
        self.sim.settle();
        self.host.model().on_rest(&self.takes);
    }

    fn collect(&mut self) {
        for (at, peer) in self.host.model().peers.iter_mut().enumerate() {
            peer.stream.extend(self.sim.take_output(at as u32));
        }
    }

    /// Everybody takes what there is; then all is looked at, and at the end nothing is left.
    fn finish(mut self) {
        (0..self.takes.len()).for_each(|at| self.resume(at));
        self.settle();
        self.collect();
        for at in 0..self.takes.len() {
            let model = self.host.model();
            let (frames, _) = stream::frames(&model.peers[at].stream);
            let closes = frames.iter().any(|(opcode, _)| *opcode == stream::CLOSE);
            drop(model);
            if closes {
                self.sim.end(at as u32);
            }
        }
        self.settle();
        self.collect();
        let handle = self.sim.handle().clone();
        self.host.model().check();
        self.host.model().check_counts(&handle.rooms());
        self.held = Default::default();
        for at in 0..self.takes.len() {
            self.vanish(at, 1);
        }
        self.settle();
        self.host.model().check_ends();
        let figures = handle.snapshot();
        assert_eq!((figures.rooms, figures.connections), (0, 0));
        assert_eq!((figures.tape_bytes, figures.outbox_bytes), (0, 0));
        assert_eq!(figures.inbox_bytes, 0);
        assert_eq!(figures.joins, figures.leaves);
    }
}

/// The operations, in the order of their numbers.
const NAMES: [&str; 23] = [
    "join",
    "leave",
    "publish",
    "publish except",
    "publish except rooms",
    "union",
    "union except",
    "send",
    "send all or user",
    "close",
    "stop reading",
    "resume reading",
    "vanish",
    "turn",
    "settle",
    "connect",
    "speak",
    "time",
    "hold",
    "burst",
    "all resume",
    "join with",
    "watch",
];
