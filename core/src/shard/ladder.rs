//! The ladder: what a shard does when publications are late, and when the engine's memory runs out.
//!
//! In: how late the publications of each turn were; how much of the budget is in use; the time.
//! Out: by how many steps flush intervals are widened, and which rung of saving memory is reached.
//! Knows no rooms and no clock. Shard thread.

/// Lateness is judged over windows of so long.
const WINDOW_NS: u64 = 100_000_000;
/// Windows in a row that must be calm before an interval narrows by a step.
const CALM_WINDOWS: u32 = 5;
/// As many steps as any interval needs.
const STEPS_MAX: u32 = 12;

/// How much memory is saved; each rung does what those before it do, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    /// There is enough.
    #[default]
    Ground,
    /// Flush intervals are widened by two steps.
    Widen,
    /// Volatile members are sent nothing.
    VolatileOff,
    /// Tapes may hold a quarter of what they else may: who is behind meets the policy earlier.
    ShortTapes,
    /// New connections are turned away with 503 and Retry-After.
    NoConnections,
    /// Publications are refused, and messages that take long to arrive are given up.
    Full,
}

/// The rungs, with the hundredths of the budget from which each is entered.
const RUNGS: [(Rung, u64); 5] = [
    (Rung::Widen, 60),
    (Rung::VolatileOff, 70),
    (Rung::ShortTapes, 80),
    (Rung::NoConnections, 90),
    (Rung::Full, 100),
];
/// So many hundredths less than where it is entered, a rung is left.
const SLACK: u64 = 10;

/// The rung for so much in use of the budget, from the rung that was reached.
pub(crate) fn rung(before: Rung, used: usize, budget: usize) -> Rung {
    if budget == 0 {
        return Rung::Ground;
    }
    let hundredths = used as u64 * 100 / budget as u64;
    let is_reached = |(rung, from): &&(Rung, u64)| {
        let slack = if *rung <= before { SLACK } else { 0 };
        hundredths >= from - slack
    };
    let reached = RUNGS.iter().rev().find(is_reached);
    reached.map_or(Rung::Ground, |(rung, _)| *rung)
}

/// How far intervals are widened because publications are late.
#[derive(Debug)]
pub(crate) struct Pressure {
    bound_ns: u64,
    steps: u32,
    window_ns: u64,
    /// The least and the most lateness in this window; none was seen while the least is the
    /// maximum.
    least_ns: u64,
    most_ns: u64,
    calm: u32,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Widened,
    Narrowed,
}

impl Pressure {
    /// Above `bound_ns` publications are late; 0 for never.
    pub(crate) fn new(bound_ns: u64) -> Self {
        Pressure {
            bound_ns,
            steps: 0,
            window_ns: 0,
            least_ns: u64::MAX,
            most_ns: 0,
            calm: 0,
        }
    }

    /// Steps by which intervals are widened.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// The publications of this turn were so late.
    pub(crate) fn on_late(&mut self, late_ns: u64) {
        self.least_ns = self.least_ns.min(late_ns);
        self.most_ns = self.most_ns.max(late_ns);
    }

    /// Whether anything may still change without another publication.
    pub(crate) fn is_settled(&self) -> bool {
        self.steps == 0
    }

    /// It is so late: a window may be over. Late in all of its turns, so that one pause of the
    /// machine is none, widens; early in all of them, several times in a row, narrows.
    pub(crate) fn judge(&mut self, now_ns: u64) -> Option<Change> {
        if self.bound_ns == 0 || now_ns < self.window_ns + WINDOW_NS {
            return None;
        }
        self.window_ns = now_ns;
        let (least, most) = (self.least_ns, self.most_ns);
        (self.least_ns, self.most_ns) = (u64::MAX, 0);
        if least != u64::MAX && least > self.bound_ns {
            self.calm = 0;
            if self.steps < STEPS_MAX {
                self.steps += 1;
                return Some(Change::Widened);
            }
            return None;
        }
        self.calm = if most < self.bound_ns / 2 {
            self.calm + 1
        } else {
            0
        };
        if self.calm >= CALM_WINDOWS && self.steps > 0 {
            self.calm = 0;
            self.steps -= 1;
            return Some(Change::Narrowed);
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_entered_in_order_and_left_later() {
        let mut now = Rung::Ground;
        let mut seen = Vec::new();
        for used in (0..=110).chain((0..110).rev()) {
            let next = rung(now, used, 100);
            if next != now {
                seen.push((used, next));
                now = next;
            }
        }
        let expected = [
            (60, Rung::Widen),
            (70, Rung::VolatileOff),
            (80, Rung::ShortTapes),
            (90, Rung::NoConnections),
            (100, Rung::Full),
            (89, Rung::NoConnections),
            (79, Rung::ShortTapes),
            (69, Rung::VolatileOff),
            (59, Rung::Widen),
            (49, Rung::Ground),
        ];
        assert_eq!(seen, expected);
        assert_eq!(rung(Rung::Ground, usize::MAX / 100, 0), Rung::Ground);
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn intervals_widen_while_all_is_late_and_narrow_when_it_is_calm() {
        let mut pressure = Pressure::new(50 * MS);
        let mut now = 0;
        let mut turn = |pressure: &mut Pressure, late: u64| {
            now += 10 * MS;
            pressure.on_late(late * MS);
            pressure.judge(now)
        };
        for n in 0..30 {
            // One pause of the machine is not pressure.
            let late = if n == 15 { 400 } else { 1 };
            assert_eq!(turn(&mut pressure, late), None);
        }
        let widened = (0..30)
            .filter(|_| turn(&mut pressure, 80).is_some())
            .count();
        assert!((2..=3).contains(&widened), "{widened}");
        let steps = pressure.steps();
        assert_eq!(steps, widened as u32);
        for _ in 0..50 {
            assert_eq!(turn(&mut pressure, 30), None, "neither late nor calm");
        }
        let narrowed = (0..60 * steps)
            .filter(|_| turn(&mut pressure, 2).is_some())
            .count();
        assert_eq!((narrowed as u32, pressure.steps()), (steps, 0));
        assert!(pressure.is_settled());
    }

    #[test]
    fn it_widens_to_a_bound_and_can_be_switched_off() {
        let mut pressure = Pressure::new(1);
        let mut off = Pressure::new(0);
        for n in 1..100 {
            pressure.on_late(100);
            pressure.judge(n * WINDOW_NS);
            off.on_late(100);
            assert_eq!(off.judge(n * WINDOW_NS), None);
        }
        assert_eq!(pressure.steps(), STEPS_MAX);
    }
}
