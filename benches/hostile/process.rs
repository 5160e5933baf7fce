//! The server's process, seen from outside: started, asked, measured, ended.
//!
//! In: limits. Out: its address, figures, memory and CPU time. Generator thread.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Memory is counted in these, on the machines that the bench is for.
const PAGE: u64 = 4_096;
/// CPU time is counted in these.
const TICK_MS: u64 = 10;

pub struct Server {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    /// Starts this program again, as a server with these limits.
    pub fn start(limits: &[(&str, u64)]) -> io::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        for (name, value) in limits {
            command.env(
                format!("ROOMCAST_{}", name.to_uppercase()),
                value.to_string(),
            );
        }
        let pipes = command
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = pipes.spawn()?;
        let asks = child.stdin.take();
        let stdout = child.stdout.take().expect("it was asked for above");
        let mut answers = BufReader::new(stdout);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let address = address.and_then(|a| a.parse().ok());
        let address = address.ok_or_else(|| io::Error::other("the server did not start"))?;
        Ok(Server {
            child,
            asks,
            answers,
            address,
        })
    }

    /// The engine's figures, by name.
    pub fn figures(&mut self) -> io::Result<HashMap<String, u64>> {
        let asks = self.asks.as_mut().expect("until it is dropped");
        asks.write_all(b"figures\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let pairs = line.split_whitespace().filter_map(|w| w.split_once('='));
        let numbers = pairs.filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
        Ok(numbers.collect())
    }

    /// Octets of memory in use.
    pub fn memory(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages = text.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
        Ok(pages.unwrap_or(0) * PAGE)
    }

    /// Milliseconds of CPU time, its kernel part included.
    pub fn cpu_ms(&self) -> io::Result<u64> {
        process_cpu_ms(&self.child.id().to_string())
    }

    /// Milliseconds that the machine was busy with neither the server nor this process.
    pub fn others_ms(&self) -> io::Result<u64> {
        let text = fs::read_to_string("/proc/stat")?;
        let all = text.lines().next().unwrap_or_default();
        let times: Vec<u64> = all
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        // All but idle and waiting for I/O; stolen time is somebody else's too.
        let busy = [0, 1, 2, 5, 6, 7].map(|n| times.get(n).copied().unwrap_or(0));
        let ours = process_cpu_ms("self")? + self.cpu_ms()?;
        Ok((busy.iter().sum::<u64>() * TICK_MS).saturating_sub(ours))
    }
}

fn process_cpu_ms(process: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may contain anything, times are the 12th and the 13th.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let times = rest.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>() * TICK_MS)
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its stdin is the end of it; a server that hangs is ended all the same.
        self.asks = None;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while std::time::Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
