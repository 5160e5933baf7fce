//! Fan-out over TLS beside plain: one server, two rooms of as many members, which take turns. And
//! certificates that change while messages go round.
//!
//! In: a plan. Out: CPU of the server's process for each delivery, and their ratio; what the
//! changes dropped. The generator's own TLS is in no figure. Generator thread.

use std::error::Error;
use std::time::{Duration, Instant};

use roomcast_benches::figure::{Outcome, Unit};
use roomcast_benches::process::{Figures, Server};

use crate::client::Client;
use crate::clocks::Clocks;
use crate::hall::Hall;
use crate::peers;
use crate::plan::Plan;

const RATIO_MAX: f64 = 1.8;
/// How long a room's turn is, about.
const SLICE_SECONDS: f64 = 0.3;
/// Between two changes of the certificate.
const RELOAD: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Sum {
    cpu_ns: u64,
    deliveries: u64,
    writes: u64,
}

impl Sum {
    fn add(&mut self, server: &mut Server, hall: &mut Hall, time: Duration) -> Fallible {
        let writes = |server: &mut Server| -> Result<u64, Box<dyn Error>> {
            Ok(Figures::from(&server.ask("figures")?).of("writes"))
        };
        let before = writes(server)?;
        let cpu_ns = server.cpu_ns()?;
        self.deliveries += hall.run(time, || Ok(()))?;
        self.cpu_ns += server.cpu_ns()? - cpu_ns;
        self.writes += writes(server)? - before;
        Ok(())
    }

    fn delivery_ns(&self) -> f64 {
        self.cpu_ns as f64 / self.deliveries as f64
    }

    fn joined(&self) -> f64 {
        self.deliveries as f64 / self.writes as f64
    }
}

type Fallible = Result<(), Box<dyn Error>>;

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let members = plan.of(1_000, 50);
    let certificates = &plan.certificates;
    let mut server = peers::ours(&certificates.first)?;
    let (plain_at, secure_at) = (server.addresses[0], server.addresses[1]);
    let mut plain = Hall::open(plain_at, None, members)?;
    let mut secure = Hall::open(secure_at, Some(&certificates.client), members)?;
    let time = Duration::from_secs_f64(SLICE_SECONDS.min(plan.seconds));
    for hall in [&mut plain, &mut secure] {
        hall.run(time, || Ok(()))?;
        hall.busy_ns = 0;
    }
    let clocks = Clocks::now([&server])?;
    let (mut of_plain, mut of_secure) = (Sum::default(), Sum::default());
    let slices = (plan.seconds / SLICE_SECONDS).ceil() as usize;
    for nth in 0..slices * 2 {
        match [0, 3].contains(&((nth + 2 * run) % 4)) {
            true => of_secure.add(&mut server, &mut secure, time)?,
            false => of_plain.add(&mut server, &mut plain, time)?,
        }
    }
    let mut outcome = Outcome::new("fan-out");
    outcome.busy = clocks.busy([&server], plain.busy_ns + secure.busy_ns)?;
    let (own, of) = (of_secure.delivery_ns(), of_plain.delivery_ns());
    outcome.most(
        "CPU per delivery, TLS to plain",
        Unit::Ratio,
        RATIO_MAX,
        own / of,
    );
    outcome.tell("CPU per delivery, TLS", Unit::Nanoseconds, own);
    outcome.tell("CPU per delivery, plain", Unit::Nanoseconds, of);
    outcome.tell("TLS above plain, per delivery", Unit::Nanoseconds, own - of);
    let write_ns = (own - of) * of_secure.joined();
    outcome.tell("TLS above plain, per write", Unit::Nanoseconds, write_ns);
    outcome.tell("frames per write, TLS", Unit::Ratio, of_secure.joined());
    outcome.tell("frames per write, plain", Unit::Ratio, of_plain.joined());
    outcome.faults.append(&mut plain.faults);
    outcome.faults.append(&mut secure.faults);
    Ok(vec![outcome])
}

/// Changes the certificate again and again while messages go round.
pub fn reload(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let members = plan.of(1_000, 50);
    let certificates = &plan.certificates;
    let mut server = peers::ours(&certificates.first)?;
    let at = server.addresses[1];
    let mut hall = Hall::open(at, Some(&certificates.client), members)?;
    let mut outcome = Outcome::new("reload");
    let (mut ordered, mut answered, mut next) = (0, 0, Instant::now());
    let clocks = Clocks::now([&server])?;
    let deliveries = hall.run(Duration::from_secs_f64(plan.seconds), || {
        answered += usize::from(server.answer()?.is_some());
        if Instant::now() >= next && ordered == answered {
            let pairs = [&certificates.second, &certificates.first];
            let pair = pairs[ordered % 2];
            server.order(&format!("reload {} {}", pair.cert, pair.key))?;
            (ordered, next) = (ordered + 1, Instant::now() + RELOAD);
        }
        Ok(())
    })?;
    outcome.busy = clocks.busy([&server], hall.busy_ns)?;
    while answered < ordered {
        answered += usize::from(server.answer()?.is_some());
    }
    // Whoever comes now sees the last one.
    let last = &certificates.second;
    server.ask(&format!("reload {} {}", last.cert, last.key))?;
    let (late, _) = Client::open(at, Some(&certificates.client), "/room/late")?;
    outcome.fault_if(late.shown() != Some(&last.der), || {
        "a new connection was not shown the new certificate".into()
    });
    outcome.fault_if(answered == 0, || "nothing was reloaded".into());
    let dropped = "connections dropped";
    outcome.most(dropped, Unit::Count, 0.0, hall.gone() as f64);
    outcome.tell("connections", Unit::Count, hall.members() as f64);
    outcome.tell("certificates changed", Unit::Count, answered as f64);
    outcome.tell("deliveries meanwhile", Unit::Count, deliveries as f64);
    outcome.faults.append(&mut hall.faults);
    Ok(vec![outcome])
}
