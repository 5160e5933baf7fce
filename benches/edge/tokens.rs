//! What tokens cost: the check of one, a check of permission, a connection with one beside one
//! without.
//!
//! In: a plan. Out: nanoseconds of each check, of this thread or of the server's, and CPU of the
//! server's process for each connection. `micro` has the other algorithms. Generator thread.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use roomcast::{Keys, Verify};
use roomcast_benches::figure::{Outcome, Unit};
use roomcast_benches::sys;

use crate::client::{self, Client};
use crate::clocks::Clocks;
use crate::comers::Comers;
use crate::peers;
use crate::plan::Plan;

const CHECK_MAX_NS: f64 = 3_000.0;
const PERMISSION_MAX_NS: f64 = 100.0;
/// How long a server's turn is, about.
const SLICE_SECONDS: f64 = 0.5;
const TEXT: u8 = 1;

pub const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";
/// `{"alg":"HS256","typ":"JWT"}` and `{"sub":"user-12345","jti":"b2c1f0a7","iat":1700000000,
/// "exp":4102444800,"rooms":{"hall":"join","board:*":"join publish"},"info":{"name":"Ada"}}`.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\
    .eyJzdWIiOiJ1c2VyLTEyMzQ1IiwianRpIjoiYjJjMWYwYTciLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwM\
    Cwicm9vbXMiOnsiaGFsbCI6ImpvaW4iLCJib2FyZDoqIjoiam9pbiBwdWJsaXNoIn0sImluZm8iOnsibmFtZSI6IkFkYSJ\
    9fQ\
    .5n1BUjT79fJXnRLjJbtyriWtL8p0JnSiYCXABK9iVVQ";
/// Between `iat` and `exp`.
const NOW_S: u64 = 1_800_000_000;

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let mut outcome = Outcome::new("tokens");
    let check = check_ns(plan)?;
    outcome.most(
        "check of a JWT by HS256",
        Unit::Nanoseconds,
        CHECK_MAX_NS,
        check,
    );
    let permission = permission_ns(plan)?;
    let most = PERMISSION_MAX_NS;
    outcome.most("check of a permission", Unit::Nanoseconds, most, permission);
    let [with, without] = connections_ns(plan, run, &mut outcome)?;
    outcome.tell(
        "CPU per connection, with a token",
        Unit::Microseconds,
        with / 1e3,
    );
    outcome.tell(
        "CPU per connection, without",
        Unit::Microseconds,
        without / 1e3,
    );
    let above = (with - without) / 1e3;
    outcome.tell("a token above none", Unit::Microseconds, above);
    Ok(vec![outcome])
}

fn check_ns(plan: &Plan) -> Result<f64, Box<dyn Error>> {
    let keys = Keys::new().hs256(SECRET)?;
    keys.verify(TOKEN, NOW_S)?;
    Ok(each_ns(plan, || {
        black_box(keys.verify(black_box(TOKEN), NOW_S)).is_ok()
    }))
}

/// Nanoseconds of this thread for one call: the median of batches.
pub fn each_ns(plan: &Plan, mut call: impl FnMut() -> bool) -> f64 {
    let (batches, calls) = plan.of((41, 1_000), (3, 100));
    let mut batch = || {
        let began = sys::thread_ns();
        for _ in 0..calls {
            assert!(call(), "it was tried before");
        }
        (sys::thread_ns() - began) as f64 / f64::from(calls)
    };
    let mut times: Vec<f64> = (0..batches).map(|_| batch()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// As the server finds it for a connection of its own.
fn permission_ns(plan: &Plan) -> Result<f64, Box<dyn Error>> {
    let server = peers::ours_with(&plan.certificates.first, &["--auth"])?;
    let path = format!("/room/board:7?token={TOKEN}");
    let (mut client, _) = Client::open(server.address, None, &path)?;
    client.write(&client::masked(TEXT, b"may board:7"))?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 256]);
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        match client.read(&mut chunk) {
            Ok(n @ 1..) => answer.extend_from_slice(&chunk[..n]),
            Ok(_) => break,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        if let Some((TEXT, text, _)) = client::frame(&answer) {
            return Ok(str::from_utf8(text)?.parse()?);
        }
    }
    Err("the server did not say what a permission costs".into())
}

/// Of a server that asks for tokens and of one that does not, in turns.
fn connections_ns(
    plan: &Plan,
    run: usize,
    outcome: &mut Outcome,
) -> Result<[f64; 2], Box<dyn Error>> {
    let pair = &plan.certificates.first;
    let servers = [peers::ours_with(pair, &["--auth"])?, peers::ours(pair)?];
    let path = format!("/room/board:7?token={TOKEN}");
    let mut comers = [
        Comers::new(servers[0].address, None, &path)?,
        Comers::new(servers[1].address, None, "/room/board:7")?,
    ];
    let time = Duration::from_secs_f64(SLICE_SECONDS.min(plan.seconds));
    for comers in &mut comers {
        comers.warm(time)?;
    }
    let clocks = Clocks::now(&servers)?;
    let mut cpu_ns = [0; 2];
    let slices = (plan.seconds / SLICE_SECONDS).ceil() as usize;
    for nth in 0..slices * 2 {
        let which = (nth + run) % 2;
        let before = servers[which].cpu_ns()?;
        comers[which].run(time)?;
        cpu_ns[which] += servers[which].cpu_ns()? - before;
    }
    let busy_ns = comers.iter().map(|comers| comers.busy_ns).sum();
    outcome.busy = clocks.busy(&servers, busy_ns)?;
    for comers in &mut comers {
        outcome.faults.append(&mut comers.faults);
    }
    Ok([0, 1].map(|which| cpu_ns[which] as f64 / comers[which].came as f64))
}
