//! What gives way: the ladder of the memory budget, and intervals that widen under pressure.
//!
//! Load rises and falls, once by the book and then at random; rungs are entered and left one after
//! the other, and all that was taken is sent or accounted for.

use roomcast::{Config, ConnectionId, Join, Refused, SlowPolicy, Snapshot};
use roomcast_sim::{Dice, each_seed};

use super::desk::Desk;

const BUDGET: usize = 1 << 20;
const PIECE: usize = 8 * 1024;

fn small() -> Config {
    Config::new()
        .memory_bytes_max(BUDGET)
        .publication_bytes_max(32 * 1024)
        .tape_bytes_max(128 * 1024)
        .room_ahead_bytes_max(64 * 1024)
        .outbox_bytes_max(4 << 20)
        .outbox_high_bytes(4 << 20)
}

/// How many of the rungs one shard stands on; each does what those before it do.
fn rung(now: &Snapshot) -> usize {
    let rungs = [
        now.memory_widen,
        now.memory_volatile_off,
        now.memory_short_tapes,
        now.memory_no_connections,
        now.memory_full,
    ];
    let reached = rungs.iter().take_while(|on| **on > 0).count();
    assert!(rungs[reached..].iter().all(|on| *on == 0), "{rungs:?}");
    reached
}

/// The rungs in the order in which they were seen.
struct Climb(Vec<usize>);

impl Climb {
    fn look(&mut self, desk: &Desk) -> usize {
        let now = rung(&desk.handle().snapshot());
        if self.0.last() != Some(&now) {
            self.0.push(now);
        }
        now
    }
}

#[test]
fn every_rung_is_entered_in_order_and_left_in_order() {
    let mut desk = Desk::new(small());
    let readers: Vec<_> = (0..8).map(|_| desk.enter()).collect();
    readers
        .iter()
        .for_each(|(number, _)| desk.set_place(*number, 0));
    let handle = desk.handle();
    let (mut climb, mut sent) = (Climb(Vec::new()), 0);
    climb.look(&desk);
    let text = "x".repeat(PIECE);
    while handle.send(readers[sent % 8].1, &text).is_ok() {
        sent += 1;
        desk.settle();
        let used = handle.snapshot().memory_bytes as usize;
        assert!(used <= BUDGET + 2 * PIECE, "{used} of {BUDGET}");
        let percent = used * 100 / BUDGET;
        let due = [60, 70, 80, 90, 100]
            .iter()
            .filter(|from| percent >= **from)
            .count();
        assert_eq!(climb.look(&desk), due, "at {percent} %");
        assert!(sent < 1_000, "the budget is never used up");
    }
    assert_eq!(
        handle.send(readers[0].1, "one more"),
        Err(Refused::Overloaded)
    );
    assert_eq!(handle.publish("r", "nobody is here").unwrap().members, 0);
    let mut got = 0;
    for (number, _) in &readers {
        // A piece after the other.
        for _ in 0..sent.div_ceil(8) + 1 {
            desk.set_place(*number, PIECE + 10);
            desk.settle();
            let percent = handle.snapshot().memory_bytes as usize * 100 / BUDGET;
            let most = [50, 60, 70, 80, 90]
                .iter()
                .filter(|to| percent >= **to)
                .count();
            assert_eq!(climb.look(&desk), most.min(5), "down at {percent} %");
        }
        desk.set_place(*number, usize::MAX);
        desk.settle();
        got += desk.got(*number).len();
    }
    assert_eq!(climb.0, [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]);
    assert_eq!(got, sent, "what was taken is sent");
    let now = handle.snapshot();
    assert_eq!((now.memory_rungs_entered, now.memory_rungs_left), (5, 5));
    assert_eq!((now.memory_bytes, now.interval_steps), (0, 0));
}

#[test]
fn a_shard_without_load_learns_of_the_budget_and_of_its_relief() {
    let mut desk = Desk::shards(small(), 2);
    let (full, id) = desk.enter();
    let (idle, other) = desk.enter();
    let handle = desk.handle();
    handle.join(other, "r").unwrap();
    desk.settle();
    desk.set_place(full, 0);
    let text = "x".repeat(PIECE);
    while handle.send(id, &text).is_ok() {
        desk.settle();
    }
    // Nobody publishes until the budget is used up, so this one may be taken.
    let _ = handle.publish("r", "one");
    desk.settle();
    assert_eq!(handle.publish("r", "two"), Err(Refused::Overloaded));
    desk.set_place(full, usize::MAX);
    desk.run_ms(200);
    handle.publish("r", "three").expect("there is place again");
    desk.run_ms(200);
    assert_eq!(desk.got(idle).last().map(String::as_str), Some("three"));
    assert_eq!(rung(&handle.snapshot()), 0);
}

#[test]
fn nobody_new_comes_in_above_ninety_hundredths() {
    let mut desk = Desk::new(small());
    let (full, id) = desk.enter();
    desk.set_place(full, 0);
    let handle = desk.handle();
    let text = "x".repeat(PIECE);
    while handle.snapshot().memory_no_connections == 0 {
        handle.send(id, &text).unwrap();
        desk.settle();
    }
    let late = desk.sim().connect("/late", true);
    desk.settle();
    let response = String::from_utf8(desk.sim().take_output(late)).unwrap();
    assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    assert!(
        response.to_lowercase().contains("retry-after: "),
        "{response}"
    );
    assert_eq!(handle.snapshot().rejected_memory, 1);
    desk.set_place(full, usize::MAX);
    desk.settle();
    desk.enter();
}

/// Members of one room for each policy, who stall and go on as they like.
struct Town {
    desk: Desk,
    dice: Dice,
    peers: Vec<(u32, ConnectionId, usize)>,
    published: [usize; 4],
    rungs: [u64; 6],
}

const POLICIES: [SlowPolicy; 4] = [
    SlowPolicy::Disconnect,
    SlowPolicy::Skip,
    SlowPolicy::Latest,
    SlowPolicy::Volatile,
];

#[test]
fn whatever_the_load_all_that_was_taken_is_sent_or_accounted_for() {
    each_seed(|dice| Town::new(dice).run());
}

impl Town {
    fn new(dice: Dice) -> Town {
        let mut desk = Desk::new(small());
        let mut peers = Vec::new();
        for n in 0..24 {
            let (number, id) = desk.enter();
            let how = Join::new().slow_policy(POLICIES[n % 4]);
            desk.handle()
                .join_with(id, &format!("r{}", n % 4), how)
                .unwrap();
            peers.push((number, id, n % 4));
        }
        desk.settle();
        Town {
            desk,
            dice,
            peers,
            published: [0; 4],
            rungs: [0; 6],
        }
    }

    fn run(mut self) {
        for step in 0..1_600 {
            if step % 800 == 0 {
                let slow = self.peers.iter().filter(|(.., of)| *of % 2 > 0);
                slow.for_each(|(number, ..)| self.desk.set_place(*number, 0));
            }
            self.step(step / 400 % 2 == 0);
        }
        for (number, ..) in &self.peers {
            self.desk.set_place(*number, usize::MAX);
        }
        self.desk.run_ms(2_000);
        let notes = self.desk.notes();
        let closed = notes.closed.clone();
        let missed: u64 = notes.missed.iter().map(|(.., missed)| missed.count).sum();
        drop(notes);
        let mut missing = [0; 4];
        for (number, id, of) in self.peers.clone() {
            let texts = self.desk.got(number);
            let got = texts.iter().filter(|text| !text.starts_with('p')).count();
            if !closed.contains(&id) {
                missing[of] += self.published[of] - got;
            }
        }
        let now = self.desk.handle().snapshot();
        assert_eq!(missing[0], 0, "of those who were not closed");
        assert_eq!(missing[1] + missing[2], missed as usize, "told");
        assert_eq!(missing[3], now.volatile_dropped as usize, "counted");
        assert_eq!(
            (now.tape_bytes, now.outbox_bytes, now.memory_bytes),
            (0, 0, 0)
        );
        assert_eq!(rung(&now), 0);
        assert!(
            self.rungs.iter().all(|turns| *turns > 0),
            "{:?}",
            self.rungs
        );
    }

    /// Load rises, or falls.
    fn step(&mut self, rises: bool) {
        let at = self.dice.below(self.peers.len() as u64) as usize;
        let (number, id, _) = self.peers[at];
        let handle = self.desk.handle();
        match self.dice.below(10) {
            0 if rises => self.desk.set_place(number, 0),
            0..3 if !rises => self.desk.set_place(number, usize::MAX),
            1..5 if rises => {
                let text = format!("p{}", "x".repeat(3 * PIECE));
                // To those only who are not closed for being slow.
                if self.peers[at].2 > 0 {
                    let _ = handle.send(id, &text);
                }
            }
            1..8 => {
                let of = self.dice.below(4) as usize;
                let text = "x".repeat(1 + self.dice.below(4_000) as usize);
                if handle.publish(&format!("r{of}"), &text).is_ok() {
                    self.published[of] += 1;
                }
            }
            _ => self.desk.run_ms(1),
        }
        self.desk.settle();
        let now = handle.snapshot();
        self.rungs[rung(&now)] += 1;
        let used = now.memory_bytes as usize;
        assert!(used <= BUDGET + BUDGET / 4, "{used} of {BUDGET}");
    }
}

#[test]
fn intervals_widen_while_turns_are_late_and_narrow_when_they_are_not() {
    let mut desk = Desk::new(Config::new().flush_interval_ms(2));
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle.join(id, "r").unwrap();
    desk.settle();
    let mut n = 0;
    let mut publish = || {
        handle.publish("r", &n.to_string()).unwrap();
        n += 1;
        assert!(n < 1_000, "nothing changes");
    };
    // With each look at the clock a part of a tenth of a second passes.
    desk.sim().set_look_ns(40_000_000);
    while handle.snapshot().interval_steps < 3 {
        publish();
        desk.turn(0);
    }
    desk.sim().set_look_ns(0);
    let wide = handle.snapshot();
    assert_eq!((wide.intervals_widened, wide.intervals_narrowed), (3, 0));
    desk.run_ms(20);
    // Eight times as long as the shortest: what comes within leaves in one write.
    let before = handle.snapshot().writes;
    for _ in 0..5 {
        publish();
        desk.settle();
    }
    desk.run_ms(20);
    let writes = handle.snapshot().writes - before;
    assert_eq!(writes, 1);
    desk.run_ms(3 * 600);
    let calm = handle.snapshot();
    assert_eq!((calm.interval_steps, calm.intervals_narrowed), (0, 3));
    let all: Vec<String> = (0..n).map(|n| n.to_string()).collect();
    assert_eq!(desk.got(peer), all);
}

#[test]
fn a_pause_is_no_pressure_and_none_is_felt_where_it_is_switched_off() {
    let bound = |us| Config::new().pressure_us(us);
    // Who turns the engine makes it late.
    let turned = bound(50_000).own_threads(false);
    for (config, late) in [(bound(50_000), 1), (bound(0), 100), (turned, 100)] {
        let mut desk = Desk::new(config);
        let (_, id) = desk.enter();
        let handle = desk.handle();
        handle.join(id, "r").unwrap();
        for n in 0..100 {
            handle.publish("r", "on time").unwrap();
            if n >= 100 - late {
                desk.sim().pass_ns(200_000_000);
            }
            desk.run_ms(10);
        }
        desk.run_ms(1_000);
        assert_eq!(handle.snapshot().intervals_widened, 0, "{late}");
    }
}
