//! Ten minutes of everything at once, at half of a core: joins, leaves, publications, unions,
//! private messages, slow peers, reconnect storms, handshakes that are broken off. Nothing may be
//! lost, and the server's memory may not grow. Run by hand:
//! `cargo run --release -p roomcast-benches --bin soak`.
//!
//! The server is a child process, pinned to one core; this process is the generator and the judge,
//! pinned to another, and steers the server's rate of publications to the share of CPU that is
//! asked for. Linux only. Exit code 1 on a miss.

mod check;
mod drive;
mod figures;
mod hall;
mod heap;
mod peers;
mod plan;
mod report;
mod server;
mod strangers;
mod wire;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use drive::Driver;
use peers::Peers;
use report::Outcome;
use strangers::Strangers;

type Failure = Box<dyn Error>;

/// What was asked for on the command line.
struct Asked {
    seconds: u64,
    peers: usize,
    storm_every: Duration,
    /// The share of its core that the server is to use, and in the first tenth of the time: so that
    /// pools soon have the size that they keep.
    share: f64,
    early_share: f64,
    markdown: Option<PathBuf>,
    smoke: bool,
}

impl Asked {
    fn read() -> Result<Option<Asked>, Failure> {
        let mut asked = Asked {
            seconds: 600,
            peers: 1_200,
            storm_every: Duration::from_secs(30),
            share: 0.5,
            early_share: 0.8,
            markdown: None,
            smoke: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match &*word {
                "--serve" => return Ok(None),
                "--seconds" => asked.seconds = value()?.parse()?,
                "--markdown" => asked.markdown = Some(value()?.into()),
                "--smoke" => {
                    asked.smoke = true;
                    (asked.seconds, asked.peers) = (5, 120);
                    asked.storm_every = Duration::from_secs(2);
                    (asked.share, asked.early_share) = (0.25, 0.25);
                }
                _ => {
                    return Err(format!("--seconds N, --markdown FILE, --smoke; not {word}").into());
                }
            }
        }
        Ok(Some(asked))
    }
}

/// The child process: orders in, reports out.
struct Server {
    child: Child,
    orders: ChildStdin,
    reports: Receiver<String>,
    faults: Vec<String>,
}

impl Server {
    fn start() -> Result<Server, Failure> {
        // `taskset` becomes the server, so the process id is the server's.
        let mut child = Command::new("taskset")
            .args(["--cpu-list", "0"])
            .arg(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no stdin")?;
        let output = child.stdout.take().ok_or("no stdout")?;
        let (sender, reports) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Server {
            child,
            orders,
            reports,
            faults: Vec::new(),
        })
    }

    fn order(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.orders, "{text}")?)
    }

    /// A report of this kind, if it has come.
    fn report(&mut self, kind: &str) -> Option<String> {
        while let Ok(line) = self.reports.try_recv() {
            if let Some(text) = self.sort(line, kind) {
                return Some(text);
            }
        }
        None
    }

    /// Waits for a report of this kind.
    fn await_report(&mut self, kind: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.reports.recv_timeout(left);
            let line = line.map_err(|_| format!("the server does not say {kind}"))?;
            if let Some(text) = self.sort(line, kind) {
                return Ok(text);
            }
        }
    }

    fn sort(&mut self, line: String, kind: &str) -> Option<String> {
        let (first, text) = line.split_once(' ').unwrap_or((&line, ""));
        if first == "fault" {
            if self.faults.len() < 20 {
                eprintln!("FAULT server: {text}");
            }
            self.faults.push(format!("server: {text}"));
        }
        (first == kind).then(|| text.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(' ')
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// What was sampled each second.
#[derive(Default)]
struct Samples {
    rss: Vec<f64>,
    heap: Vec<f64>,
    share: Vec<f64>,
    rate: f64,
}

/// Looks at the server each second, and steers its rate towards the share.
struct Steering {
    samples: Samples,
    cpu_ns: u64,
    at: Instant,
    /// The share, smoothed, so that storms do not throw the rate about.
    smooth: f64,
}

impl Steering {
    fn new(pid: u32) -> Self {
        Steering {
            samples: Samples {
                rate: 100.0,
                ..Samples::default()
            },
            cpu_ns: figures::cpu_ns(pid),
            at: Instant::now(),
            smooth: 0.0,
        }
    }

    fn step(&mut self, pid: u32, target: f64) {
        let cpu_ns = figures::cpu_ns(pid);
        let passed = self.at.elapsed();
        let share = cpu_ns.saturating_sub(self.cpu_ns) as f64 / passed.as_nanos() as f64;
        (self.cpu_ns, self.at) = (cpu_ns, Instant::now());
        let early = self.samples.share.len() < 10;
        let weight = if early { 0.7 } else { 0.2 };
        self.smooth += weight * (share - self.smooth);
        let (least, most) = if early { (0.5, 1.6) } else { (0.95, 1.05) };
        let factor = (target / self.smooth.max(0.01)).clamp(least, most);
        self.samples.rate = (self.samples.rate * factor).clamp(20.0, 8_000.0);
        self.samples.share.push(share);
        self.samples.rss.push(figures::rss_bytes(pid) as f64);
    }
}

fn run(asked: &Asked) -> Result<Outcome, Failure> {
    let mut server = Server::start()?;
    let me = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["--cpu-list", "--pid", "1", &me])
        .output();
    let is_pinned = pinned.is_ok_and(|done| done.status.success());
    let pid = server.child.id();
    let ports = numbers(&server.await_report("listening")?);
    let address = |at: usize| -> Result<SocketAddr, Failure> {
        let port = *ports.get(at).ok_or("two ports are expected")?;
        Ok(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?)))
    };
    let addresses = [address(0)?, address(1)?];
    let peers = Peers::new(asked.peers, addresses)?;
    let mut driver = Driver::new(peers, asked.storm_every);
    let mut strangers = Strangers::start(addresses);
    let began = Instant::now();
    let mut steering = Steering::new(pid);
    let mut seconds = 0;
    while seconds < asked.seconds {
        driver.turn()?;
        if began.elapsed().as_secs() <= seconds {
            continue;
        }
        seconds += 1;
        let share = match seconds <= asked.seconds / 10 {
            true => asked.early_share,
            false => asked.share,
        };
        steering.step(pid, share);
        // Two threads share it.
        let rate = steering.samples.rate / 2.0;
        server.order(&format!("rate {}", rate.round() as u64))?;
        server.order("counts")?;
        let counts = server.report("counts").unwrap_or_default();
        let heap = report::pairs(&counts).get("heap").copied();
        steering.samples.heap.extend(heap.map(|bytes| bytes as f64));
        if seconds % 10 == 0 || asked.smoke {
            progress(seconds, &steering.samples, &driver);
            eprintln!("     {counts}");
        }
        if server.child.try_wait()?.is_some() {
            return Err("the server has ended".into());
        }
    }
    strangers.end();
    server.order("pause")?;
    if !driver.read_until(|| server.report("paused").is_some())? {
        return Err("the server does not pause".into());
    }
    driver.finish()?;
    server.order("counts")?;
    let counts = server.await_report("counts")?;
    let outcome = end(&mut server)?;
    let mut faults = std::mem::take(&mut server.faults);
    faults.append(&mut driver.peers.faults);
    faults.extend(strangers.found.faults());
    Ok(Outcome {
        asked_seconds: asked.seconds,
        smoke: asked.smoke,
        is_pinned,
        target_share: asked.share,
        rss: steering.samples.rss,
        heap: steering.samples.heap,
        share: steering.samples.share,
        peers: asked.peers,
        tally: std::mem::take(&mut driver.peers.tally),
        storms: driver.storms,
        longest_pause: driver.longest_pause,
        broken_off: strangers
            .found
            .broken_off
            .load(std::sync::atomic::Ordering::Relaxed),
        scrapes: strangers
            .found
            .scrapes
            .load(std::sync::atomic::Ordering::Relaxed),
        counts: report::pairs(&counts),
        ended: std::mem::take(&mut driver.peers.ended),
        faults,
        ..outcome
    })
}

fn progress(seconds: u64, samples: &Samples, driver: &Driver) {
    let last = |series: &[f64]| series.last().copied().unwrap_or(0.0);
    let tally = &driver.peers.tally;
    eprintln!(
        "{seconds:4} s: {:.0} % of a core, {:.1} MiB, heap {:.1} MiB, {:.0} publications/s, \
         {} frames, {} opened, {} thrown out, {} faults",
        last(&samples.share) * 100.0,
        last(&samples.rss) / (1024.0 * 1024.0),
        last(&samples.heap) / (1024.0 * 1024.0),
        samples.rate,
        tally.frames,
        tally.opened,
        tally.thrown_out,
        driver.peers.faults.len() + driver.peers.ended.len(),
    );
}

/// What is left when all have gone, and how the engines stop.
fn end(server: &mut Server) -> Result<Outcome, Failure> {
    server.order("rest")?;
    let gauges = numbers(&server.await_report("gauges")?);
    let heap_at_rest = numbers(&server.await_report("heap")?);
    let empty = numbers(&server.await_report("empty")?);
    server.order("stop")?;
    let first = numbers(&server.await_report("stopped")?);
    let second = numbers(&server.await_report("stopped")?);
    let bare = numbers(&server.await_report("bare")?);
    server.child.wait()?;
    Ok(Outcome {
        gauges,
        heap_at_rest,
        empty,
        bare,
        stops: [first, second],
        ..Outcome::default()
    })
}

fn main() -> ExitCode {
    let done = match Asked::read() {
        Ok(None) => server::serve().map(|()| true),
        Ok(Some(asked)) => run(&asked).and_then(|outcome| {
            let is_reached = report::tell(&outcome, asked.markdown.as_deref())?;
            Ok(is_reached)
        }),
        Err(error) => Err(error),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}
