//! The scenarios: who connects where, who publishes what and when, and against which yardstick.
//!
//! In goes a scenario's name, out comes a plan. Must never know sockets, servers or results.

/// What a scenario's figure is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    CpuPerDelivery,
    CpuPerCycle,
    BytesPerConnection,
    Latency,
    RssGrowth,
}

impl Figure {
    /// The figure with its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::CpuPerDelivery => format!("{value:.0} ns"),
            Self::CpuPerCycle => format!("{:.1} us", value / 1e3),
            Self::BytesPerConnection => format!("{value:.0} B"),
            Self::Latency => format!("{:.2} ms", value / 1e6),
            Self::RssGrowth => format!("{value:.3}"),
        }
    }

    /// What is measured, for the head of a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::CpuPerDelivery => "CPU per delivery",
            Self::CpuPerCycle => "CPU per cycle",
            Self::BytesPerConnection => "RSS per connection",
            Self::Latency => "p99 latency",
            Self::RssGrowth => "RSS after the second cycle to that after the first",
        }
    }
}

#[derive(Clone, Copy)]
pub enum Target {
    /// This ratio to the yardstick.
    Ratio(f64),
    /// This figure, in its unit.
    Figure(f64),
}

pub struct Plan {
    pub yardstick: &'static str,
    pub figure: Figure,
    /// What roomcast must not exceed.
    pub target: Target,
    /// The shortest window that shows what the scenario is about.
    pub seconds_min: f64,
    /// Whether the window is cut into slices, between which the servers take turns.
    pub sliced: bool,
    pub work: Work,
}

pub enum Work {
    Fan(Fan),
    /// This many idle connections.
    Idle(usize),
    /// Connect, join, close, this many at a time.
    Cycles(usize),
    /// This many come, talk and leave, twice.
    Churn(usize),
}

pub struct Member {
    pub path: String,
    /// Its rooms, the one that it publishes to first.
    pub rooms: Vec<u32>,
}

pub struct Room {
    /// The member that publishes to it.
    pub publisher: u32,
    /// How many get each message.
    pub receivers: u32,
}

/// Rooms of which each batch of a lane takes some in turn.
pub struct Share {
    pub rooms: Vec<u32>,
    pub per_batch: usize,
}

pub enum Pace {
    /// Each lane keeps this many batches in flight; one is done when all receivers have all of it.
    Closed {
        lanes: Vec<Vec<Share>>,
        outstanding: usize,
    },
    /// This many publications a second, over the rooms in turn.
    Rate(u64),
}

pub struct Fan {
    pub members: Vec<Member>,
    pub rooms: Vec<Room>,
    pub payload_bytes: usize,
    pub pace: Pace,
    /// The last so many members do not read.
    pub stopped: usize,
}

/// Every scenario that `all` means, in the order of the table. `echo`, which Python servers are
/// compared in, is run by name: 100 rooms of one, a message in flight in each.
pub const NAMES: [&str; 11] = [
    "fan64", "fan1k", "rate50", "rooms100", "fan5000", "multi", "idle", "cycles", "latency",
    "stalled", "churn",
];

/// The plan of a scenario; `smoke` makes it tiny.
pub fn plan(name: &str, smoke: bool) -> Option<Plan> {
    use Target::{Figure as Value, Ratio};
    let few = |full: usize, tiny: usize| if smoke { tiny } else { full };
    let (cpu, coalesce) = (Figure::CpuPerDelivery, "coalesce");
    let (yardstick, figure, target, work) = match name {
        "fan64" => (coalesce, cpu, Ratio(1.10), closed(1, few(1000, 50), 64, 16)),
        "fan1k" => (
            coalesce,
            cpu,
            Ratio(1.10),
            closed(1, few(1000, 50), 1024, 16),
        ),
        "rate50" => ("limit", cpu, Ratio(1.08), rate(1, few(1000, 50), 64, 50, 0)),
        "rooms100" => (coalesce, cpu, Ratio(1.10), closed(few(100, 10), 10, 64, 4)),
        "fan5000" => (
            coalesce,
            cpu,
            Ratio(1.15),
            closed(1, few(5000, 100), 64, 16),
        ),
        "multi" => (
            "gather",
            cpu,
            Ratio(1.25),
            multi(few(1000, 100), few(100, 50)),
        ),
        "echo" => (coalesce, cpu, Ratio(f64::INFINITY), closed(100, 1, 64, 1)),
        "idle" => (
            "limit",
            Figure::BytesPerConnection,
            Value(300.0),
            Work::Idle(few(19_500, 300)),
        ),
        "cycles" => ("limit", Figure::CpuPerCycle, Ratio(1.10), Work::Cycles(64)),
        "latency" => (
            coalesce,
            Figure::Latency,
            Value(5e6),
            rate(30, 10, 64, 300, 0),
        ),
        "stalled" => (
            coalesce,
            Figure::Latency,
            Ratio(1.25),
            rate(1, 100, 4096, 500, 10),
        ),
        "churn" => (
            coalesce,
            Figure::RssGrowth,
            Value(1.02),
            Work::Churn(few(10_000, 300)),
        ),
        _ => return None,
    };
    // A stopped reader's kernel buffers alone take 4 MiB, two seconds' worth.
    let seconds_min = if name == "stalled" && !smoke {
        6.0
    } else {
        0.0
    };
    Some(Plan {
        yardstick,
        figure,
        target,
        seconds_min,
        sliced: figure == Figure::CpuPerDelivery && !smoke,
        work,
    })
}

/// `rooms` rooms of `size` members; the first member of each publishes.
fn rooms_of(rooms: usize, size: usize, payload_bytes: usize, pace: Pace, stopped: usize) -> Work {
    let member = |at: usize| {
        let room = at / size;
        Member {
            path: format!("/room/r{room}"),
            rooms: vec![room as u32],
        }
    };
    let receivers = (size - stopped) as u32;
    let room = |at: usize| Room {
        publisher: (at * size) as u32,
        receivers,
    };
    let members = (0..rooms * size).map(member).collect();
    Work::Fan(Fan {
        members,
        rooms: (0..rooms).map(room).collect(),
        payload_bytes,
        pace,
        stopped,
    })
}

fn closed(rooms: usize, size: usize, payload_bytes: usize, outstanding: usize) -> Work {
    let lane = |room| {
        vec![Share {
            rooms: vec![room as u32],
            per_batch: 1,
        }]
    };
    let lanes = (0..rooms).map(lane).collect();
    rooms_of(
        rooms,
        size,
        payload_bytes,
        Pace::Closed { lanes, outstanding },
        0,
    )
}

fn rate(rooms: usize, size: usize, payload_bytes: usize, hertz: u64, stopped: usize) -> Work {
    rooms_of(rooms, size, payload_bytes, Pace::Rate(hertz), stopped)
}

/// Everybody in a room of all, one of `mid` members and one of 10. Each room has one publisher,
/// a member that lists it first; those of the smaller rooms do not get their own messages. A
/// batch is one message to the room of all, three to middle rooms and ten to small ones.
fn multi(all: usize, mid: usize) -> Work {
    const SMALL: usize = 10;
    let (mids, smalls) = (all / mid, all / SMALL);
    let (mid_at, small_at) = (1, 1 + mids);
    let member = |at: usize| {
        let (big, middle, small) = (0, mid_at + at / mid, small_at + at / SMALL);
        let (rooms, skip) = match (at % SMALL, at % mid, at) {
            (0, _, _) => ([small, middle, big], "?skip=1"),
            (_, 1, _) => ([middle, small, big], "?skip=1"),
            _ => ([big, middle, small], ""),
        };
        let path = format!("/rooms/r{},r{},r{}{skip}", rooms[0], rooms[1], rooms[2]);
        Member {
            path,
            rooms: rooms.map(|room| room as u32).to_vec(),
        }
    };
    let mut rooms = vec![Room {
        publisher: 2,
        receivers: all as u32,
    }];
    let publisher = |at: usize| at as u32;
    rooms.extend((0..mids).map(|room| Room {
        publisher: publisher(room * mid + 1),
        receivers: mid as u32 - 1,
    }));
    rooms.extend((0..smalls).map(|room| Room {
        publisher: publisher(room * SMALL),
        receivers: SMALL as u32 - 1,
    }));
    let share = |from: usize, count: usize, per_batch| Share {
        rooms: (from..from + count).map(|room| room as u32).collect(),
        per_batch,
    };
    let lane = vec![
        share(0, 1, 1),
        share(mid_at, mids, 3),
        share(small_at, smalls, 10),
    ];
    let pace = Pace::Closed {
        lanes: vec![lane],
        outstanding: 16,
    };
    let members = (0..all).map(member).collect();
    Work::Fan(Fan {
        members,
        rooms,
        payload_bytes: 64,
        pace,
        stopped: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_counts_its_receivers_and_lists_the_published_room_first() {
        for name in NAMES {
            let Work::Fan(fan) = plan(name, false).expect("a plan").work else {
                continue;
            };
            for (number, room) in fan.rooms.iter().enumerate() {
                let number = number as u32;
                let inside = fan
                    .members
                    .iter()
                    .filter(|member| member.rooms.contains(&number));
                let publisher = &fan.members[room.publisher as usize];
                let skipped = usize::from(publisher.path.ends_with("?skip=1"));
                let expected = inside.count() - skipped - fan.stopped;
                assert_eq!(room.receivers as usize, expected, "{name}, room {number}");
                assert_eq!(publisher.rooms[0], number, "{name}, room {number}");
            }
        }
    }
}
