//! The server's process, seen from outside: started, told what to do, asked, ended.
//!
//! In: how to start it. Out: its addresses, its answers, without a wait where its peers must be
//! read meanwhile. Generator thread, and one that reads the answers.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::sys;

/// `name=value` of an answer.
#[derive(Clone, Debug, Default)]
pub struct Figures(HashMap<String, u64>);

impl Figures {
    pub fn from(line: &str) -> Self {
        let pairs = line.split_whitespace().filter_map(|w| w.split_once('='));
        let numbers = pairs.filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
        Figures(numbers.collect())
    }

    /// The figure of this name, which has to be there.
    pub fn of(&self, name: &str) -> u64 {
        let figure = self.0.get(name).copied();
        figure.unwrap_or_else(|| panic!("the server has no figure {name}"))
    }

    /// How much it has grown.
    pub fn since(&self, before: &Figures, name: &str) -> u64 {
        self.of(name) - before.of(name)
    }
}

pub struct Server {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
    /// Where it listens: the first of those that it names.
    pub address: SocketAddr,
    /// All of them.
    pub addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts this program again as `serve` with these words, and these limits. It ends with its
    /// stdin.
    pub fn start(limits: &[(&str, u64)], words: &[&str]) -> Result<Server, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        for (name, value) in limits {
            let name = format!("ROOMCAST_{}", name.to_uppercase());
            command.env(name, value.to_string());
        }
        Server::spawn(command.arg("serve").args(words).stdin(Stdio::piped()))
    }

    /// Starts a program that takes no orders; it ends when it is killed.
    pub fn start_other(command: &mut Command) -> Result<Server, Box<dyn Error>> {
        Server::spawn(command.stdin(Stdio::null()))
    }

    fn spawn(command: &mut Command) -> Result<Server, Box<dyn Error>> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = lines(child.stdout.take().expect("it was asked for above"));
        let line = answers.recv().map_err(|_| "the server did not start")?;
        let said = line.strip_prefix("listening on ");
        let said = said.ok_or("the server did not start")?.split(' ');
        let addresses: Vec<SocketAddr> = said.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Server {
            child,
            orders,
            answers,
            address: *addresses.first().ok_or("the server listens nowhere")?,
            addresses,
        })
    }

    pub fn order(&mut self, line: &str) -> io::Result<()> {
        let orders = self.orders.as_mut().expect("until it is dropped");
        writeln!(orders, "{line}")
    }

    /// A line of what it answers, if there is one by now.
    pub fn answer(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        match self.answers.try_recv() {
            Ok(line) => Ok(Some(line)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err("the server has ended".into()),
        }
    }

    /// The answer to an order, for callers with nothing else to do.
    pub fn ask(&mut self, line: &str) -> Result<String, Box<dyn Error>> {
        self.order(line)?;
        Ok(self.answers.recv().map_err(|_| "the server has ended")?)
    }

    /// Nanoseconds of CPU that it has used: exact while it sleeps.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        sys::cpu_ns(self.child.id())
    }

    /// Octets of memory in use.
    pub fn memory(&self) -> io::Result<u64> {
        sys::rss_bytes(self.child.id())
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its stdin is the end of it; a server that hangs is ended all the same.
        let takes_orders = self.orders.take().is_some();
        let until = Instant::now() + Duration::from_secs(10);
        while takes_orders && Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
