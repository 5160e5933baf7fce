//! A process that has no file descriptor left: it waits, it does not spin, it goes on.
//!
//! In: this test binary once more, under a low `ulimit -n`, as a server. Out: its own figures,
//! asked for over its standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::house::{config, open, until};

/// The server: run by the test below only.
#[test]
fn server_with_few_descriptors() {
    if std::env::var_os("ROOMCAST_IT_CHILD").is_none() {
        return;
    }
    let house = open(config().shards(1));
    println!("\nchild: {} 0", house.address());
    for _ in std::io::stdin().lines() {
        let now = house.engine.snapshot();
        println!("\nchild: {} {}", now.accept_exhausted, now.turns);
    }
}

struct Server {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> (Server, SocketAddr) {
        let mut child = Command::new("bash")
            .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "files::server_with_few_descriptors"])
            .args(["--nocapture", "--test-threads=1"])
            .env("ROOMCAST_IT_CHILD", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server {
            child,
            asks,
            answers,
        };
        let address = server.line().0.parse().unwrap();
        (server, address)
    }

    fn line(&mut self) -> (String, u64) {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "it died");
            if let Some(line) = line.strip_prefix("child: ") {
                let (first, second) = line.trim().split_once(' ').unwrap();
                return (first.to_string(), second.parse().unwrap());
            }
        }
    }

    /// How often accepting failed for want of descriptors, and turns.
    fn figures(&mut self) -> (u64, u64) {
        self.asks.write_all(b"?\n").unwrap();
        let (exhausted, turns) = self.line();
        (exhausted.parse().unwrap(), turns)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_descriptor_left_the_listener_neither_spins_nor_dies() {
    let (mut server, address) = Server::start();
    let mut served = Client::open(address, "/r");
    served.id();
    let crowd: Vec<_> = (0..60).map(|_| Client::bare(address)).collect();
    until("descriptors to run out", || server.figures().0 > 0);
    let before = server.figures();
    let began = Instant::now();
    assert!(served.next_in(Duration::from_millis(500)).is_none());
    let after = server.figures();
    let rate = (after.1 - before.1) as f64 / began.elapsed().as_secs_f64();
    assert!(rate < 500.0, "{rate} turns a second: it spins");
    assert!(after.0 > before.0, "and it tries again");
    served.frame(crate::client::PING, b"who is in is served");
    assert_eq!(served.next().data, b"who is in is served");
    drop(crowd);
    let mut late = Client::open(address, "/r");
    late.id();
}
