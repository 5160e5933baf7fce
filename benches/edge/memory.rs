//! Memory of idle TLS connections beside other servers, one at a time.
//!
//! In: a plan. Out: how much the RSS of each server's process grew for each connection, and what
//! our engine says of it. Generator thread.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use roomcast_benches::figure::{Outcome, Unit};
use roomcast_benches::process::{Figures, Server};

use crate::client::Client;
use crate::peers;
use crate::plan::Plan;

/// Connections made before any are counted, so that code and first buffers are in.
const FIRST: usize = 100;

pub fn run(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let count = plan.of(2_000, 200);
    let mut outcome = Outcome::new("memory");
    let mut ours = peers::ours(&plan.certificates.first)?;
    let secure = ours.addresses[1];
    let figures = Figures::from(&ours.ask("figures")?);
    let (own, kept) = growth(plan, &ours, secure, true, count)?;
    let after = Figures::from(&ours.ask("figures")?);
    let counted = after.since(&figures, "connection_bytes") as f64 / kept.len() as f64;
    drop(kept);
    drop(ours);
    let server = peers::ours(&plan.certificates.first)?;
    let (without, _) = growth(plan, &server, server.addresses[0], false, count)?;
    drop(server);
    let mut least = f64::INFINITY;
    outcome.tell("roomcast, TLS", Unit::Bytes, own);
    outcome.tell("roomcast, plain", Unit::Bytes, without);
    outcome.tell("roomcast, TLS, by its own figure", Unit::Bytes, counted);
    for nth in 0..plan.peers.commands.len() {
        let name = plan.peers.commands[nth].0;
        let server = plan.peers.start(nth, &plan.certificates.first)?;
        let (other, _) = growth(plan, &server, server.address, true, count)?;
        outcome.tell(format!("{name}, TLS"), Unit::Bytes, other);
        least = least.min(other);
    }
    if least.is_finite() {
        outcome.most(
            "TLS, to the lesser of the others",
            Unit::Ratio,
            1.0,
            own / least,
        );
    }
    Ok(vec![outcome])
}

/// Bytes for each of `count` connections, and all connections.
fn growth(
    plan: &Plan,
    server: &Server,
    at: SocketAddr,
    tls: bool,
    count: usize,
) -> Result<(f64, Vec<Client>), Box<dyn Error>> {
    let tls = tls.then_some(&plan.certificates.client);
    let mut kept = Vec::new();
    let open = |kept: &mut Vec<Client>| -> Result<(), Box<dyn Error>> {
        kept.push(Client::open(at, tls, "/room/idle")?.0);
        Ok(())
    };
    (0..FIRST).try_for_each(|_| open(&mut kept))?;
    let before = settled(server)?;
    (0..count).try_for_each(|_| open(&mut kept))?;
    let after = settled(server)?;
    let each = after.saturating_sub(before) as f64 / count as f64;
    Ok((each, kept))
}

/// RSS once it has not changed for a while.
fn settled(server: &Server) -> Result<u64, Box<dyn Error>> {
    let (mut last, mut same) = (0, 0);
    for _ in 0..50 {
        let now = server.memory()?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 4 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(last)
}
