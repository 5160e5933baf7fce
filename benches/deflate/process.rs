//! The server's process, seen from outside: started, told what to do, measured, ended.
//!
//! In: level and shards. Out: its address, its CPU clock, its memory. Generator thread.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Runs this thread, and what it starts, on one core: this one, or the last where it is not there.
pub fn pin(core: usize) -> io::Result<()> {
    let last = std::thread::available_parallelism()?.get() - 1;
    let mut set = CpuSet::new();
    set.set(core.min(last));
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the limit of open files as far as it goes.
pub fn raise_nofile() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

pub struct Server {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    /// Starts this program again; level 0 does not compress.
    pub fn start(level: u32, shards: usize) -> Result<Server, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &level.to_string(), &shards.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("it was asked for above"));
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let address = address.ok_or("the server did not start")?.parse()?;
        Ok(Server {
            child,
            orders,
            answers,
            address,
        })
    }

    pub fn order(&mut self, line: &str) -> io::Result<()> {
        let orders = self.orders.as_mut().expect("until it is dropped");
        writeln!(orders, "{line}")
    }

    /// The number that an order is answered with.
    pub fn answer(&mut self) -> Result<u64, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    pub fn ask(&mut self, order: &str) -> Result<u64, Box<dyn Error>> {
        self.order(order)?;
        self.answer()
    }

    /// Octets of memory in use.
    pub fn memory(&self) -> Result<u64, Box<dyn Error>> {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: u64 = text.split(' ').nth(1).ok_or("no figure")?.parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its stdin is the end of it; a server that hangs is ended all the same.
        self.orders = None;
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
