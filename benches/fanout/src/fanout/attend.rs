//! One server under one generator process: start both, let windows run, take the results. In come
//! a server and a scenario, out come numbers. Must never know other servers or repetitions.
//! Orchestrator only.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::orchestrate::Args;
use crate::plan::{Figure, Plan};
use crate::servers::{Running, Server};
use crate::tally::Results;

const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;

/// A running server and its generator; dropping it ends both.
pub struct Drive {
    what: String,
    generator: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _server: Running,
}

impl Drive {
    /// A fresh server on its core and a generator on the other, with `seconds` for each window.
    pub fn start(
        args: &Args,
        scenario: &str,
        plan: &Plan,
        seconds: f64,
        server: &Server,
    ) -> Result<Self, String> {
        let running = server.start(SERVER_CORE)?;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        // Latency is that of a reader which looks all the time; CPU is that of a server which
        // does not pay for waking its readers, as it would only over loopback.
        let wait = match (&args.wait, plan.figure) {
            (Some(wait), _) => wait,
            (None, Figure::Latency) => "spin",
            (None, _) => "nap",
        };
        let mut generator = Command::new(own)
            .args(["generate", "--scenario", scenario, "--wait", wait])
            .args(["--port", &running.port.to_string()])
            .args(["--pid", &running.pid().to_string()])
            .args(["--seconds", &seconds.to_string(), "--warmup", &args.warmup])
            .args(["--smoke", if args.smoke { "yes" } else { "no" }])
            .args(["--server-core", &SERVER_CORE.to_string()])
            .args(["--own-core", &OWN_CORE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let answers = generator.stdout.take().expect("stdout is piped");
        Ok(Self {
            what: format!("{scenario} against {}", server.name),
            orders: generator.stdin.take(),
            answers: BufReader::new(answers),
            generator,
            _server: running,
        })
    }

    /// Lets the next window run.
    pub fn go(&mut self) -> Result<(), String> {
        let orders = self.orders.as_mut().expect("orders end with finish");
        orders.write_all(b"go\n").map_err(|_| self.broken())
    }

    pub fn wait_for(&mut self, state: &str) -> Result<(), String> {
        match self.line()?.trim() {
            said if said == state => Ok(()),
            _ => Err(self.broken()),
        }
    }

    /// No more windows: the results of all.
    pub fn finish(mut self) -> Result<Results, String> {
        self.orders = None;
        let (mut last, mut next) = (String::new(), self.line()?);
        while !next.is_empty() {
            last = next;
            next = self.line()?;
        }
        let status = self.generator.wait().map_err(|error| error.to_string())?;
        let pair = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        match status.success() {
            true => Ok(last.split_whitespace().filter_map(pair).collect()),
            false => Err(self.broken()),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        read.map(|_| line).map_err(|error| error.to_string())
    }

    fn broken(&self) -> String {
        format!("{} broke off", self.what)
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let _ = self.generator.kill();
        let _ = self.generator.wait();
    }
}
