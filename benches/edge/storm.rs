//! A storm of joins into one room whose members are told of them.
//!
//! In: a plan. Out: notices for each interval, and what a member who was there is sent, on the
//! simulated network in virtual time; what the joins cost with notices and without. The bound on
//! the room's size is lifted, so that notices go on to the end: the most that they may cost.
//! Generator thread.

use std::error::Error;

use roomcast::testing::Sim;
use roomcast::{Config, RoomOptions};
use roomcast_benches::figure::{Outcome, Unit};
use roomcast_benches::sys;

use crate::client::frame;
use crate::plan::Plan;
use crate::presence::Host;

const INTERVAL_MS: u64 = 100;
/// How long the storm lasts.
const STORM_MS: u64 = 1_000;

pub fn run(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let joins = plan.of(10_000, 500);
    let told = RoomOptions::new().presence(true);
    let told = told.presence_interval_ms(INTERVAL_MS as u32);
    let storm = Storm::pass(joins, told);
    let quiet = Storm::pass(joins, RoomOptions::new());
    let mut outcome = Outcome::new("storm");
    let intervals = (STORM_MS / INTERVAL_MS) as f64;
    let each = |notices: u64| notices as f64 / intervals;
    let text = "notices per interval";
    outcome.most(text, Unit::Ratio, 1.0, each(storm.notices));
    let text = "notices per interval and member";
    outcome.most(text, Unit::Ratio, 1.0, each(storm.heard));
    let bytes = storm.bytes as f64 / storm.heard.max(1) as f64;
    outcome.tell("bytes of a notice to a member", Unit::Bytes, bytes);
    let sent = storm.sent.saturating_sub(quiet.sent) as f64 / joins as f64;
    outcome.tell("bytes of notices per join, to all", Unit::Bytes, sent);
    let cost = |storm: &Storm| storm.took_ns as f64 / joins as f64 / 1e3;
    outcome.tell("CPU per join, notices", Unit::Microseconds, cost(&storm));
    outcome.tell(
        "CPU per join, no presence",
        Unit::Microseconds,
        cost(&quiet),
    );
    outcome.fault_if(storm.heard == 0, || "nobody was told of the storm".into());
    let far = |notices: u64| each(notices) > 1.0;
    outcome.fault_if(far(storm.notices) || far(storm.heard), || {
        "more than one notice in an interval".into()
    });
    outcome.fault_if(storm.last_members != joins as u64 + 1, || {
        format!("the last notice counts {} members", storm.last_members)
    });
    Ok(vec![outcome])
}

#[derive(Default)]
struct Storm {
    took_ns: u64,
    /// That the engine made.
    notices: u64,
    /// That the first member was sent, and their bytes.
    heard: u64,
    bytes: u64,
    /// To everybody, what opened their WebSockets included.
    sent: u64,
    /// That the last one counts.
    last_members: u64,
}

impl Storm {
    fn pass(joins: usize, options: RoomOptions) -> Storm {
        let config = Config::new()
            .connections_max(1 << 20)
            .presence_notice_members_max(1 << 20)
            .ping_interval_ms(0)
            .room_options("hall", options);
        let mut sim = Sim::new(config, Host::default());
        let first = sim.connect("/first", true);
        sim.settle();
        sim.run_ms(2 * INTERVAL_MS);
        sim.take_output(first);
        let before = sim.handle().snapshot();
        let (mut storm, mut came) = (Storm::default(), 0);
        for ms in 0..STORM_MS + 2 * INTERVAL_MS {
            let by_now = (joins as u64 * (ms + 1) / STORM_MS).min(joins as u64);
            for nth in came..by_now {
                sim.connect_null(&format!("/{nth}"));
            }
            came = by_now;
            let began = sys::thread_ns();
            sim.run_ms(1);
            storm.took_ns += sys::thread_ns() - began;
        }
        let after = sim.handle().snapshot();
        storm.notices = after.presence_notices - before.presence_notices;
        let output = sim.take_output(first);
        let mut bytes = &output[..];
        while let Some((_, payload, behind)) = frame(bytes) {
            storm.heard += 1;
            storm.bytes += payload.len() as u64;
            storm.last_members = members_of(payload);
            bytes = behind;
        }
        storm.sent = after.bytes_out - before.bytes_out;
        storm
    }
}

/// What a notice says of the room's size.
fn members_of(notice: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(notice);
    let behind = text.split_once("\"members\":").map_or("", |(_, rest)| rest);
    let digits = behind.trim_start().split(|c: char| !c.is_ascii_digit());
    digits
        .into_iter()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
