//! Comers: they connect, shake hands, ask for a WebSocket and break off when they have it, so many
//! at a time.
//!
//! In: an address and a path, then windows. Out: how many came in. Generator thread.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_benches::sys::{self, Watch};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion};

use crate::client::{Client, upgrade};

/// How many come at a time.
const TOGETHER: usize = 32;
/// Between two looks: over the loopback a sender would pay for waking who sleeps on a socket.
const NAP: Duration = Duration::from_micros(50);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);

struct Comer {
    client: Client,
    asked: bool,
    answer: Vec<u8>,
}

pub struct Comers {
    at: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    request: String,
    watch: Watch,
    ready: Vec<usize>,
    comers: Vec<Option<Comer>>,
    pub came: u64,
    /// In windows.
    pub wall_ns: u64,
    /// Nanoseconds in which there was something to do.
    pub busy_ns: u64,
    pub faults: Vec<String>,
}

impl Comers {
    pub fn new(
        at: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        path: &str,
    ) -> Result<Comers, Box<dyn Error>> {
        Ok(Comers {
            at,
            tls: tls.cloned(),
            request: upgrade(path),
            watch: Watch::new(TOGETHER)?,
            ready: Vec::new(),
            comers: Vec::new(),
            came: 0,
            wall_ns: 0,
            busy_ns: 0,
            faults: Vec::new(),
        })
    }

    /// Lets them come for so long, and waits for those on their way.
    pub fn run(&mut self, time: Duration) -> Result<(), Box<dyn Error>> {
        let began = sys::now_ns();
        let (until, mut moved) = (Instant::now() + time, Instant::now());
        self.comers.clear();
        for nth in 0..TOGETHER {
            let comer = self.next(nth)?;
            self.comers.push(comer);
        }
        let mut ready = std::mem::take(&mut self.ready);
        while self.comers.iter().any(Option::is_some) && self.faults.is_empty() {
            let look = sys::now_ns();
            self.watch.ready(&mut ready);
            if ready.is_empty() {
                if moved.elapsed() > PATIENCE {
                    self.faults.push("who came was not let in".into());
                }
                std::thread::sleep(NAP);
                continue;
            }
            for &nth in &ready {
                let goes_on = Instant::now() < until;
                self.go_on(nth, goes_on)?;
            }
            self.busy_ns += sys::now_ns() - look;
            moved = Instant::now();
        }
        self.ready = ready;
        self.wall_ns += sys::now_ns() - began;
        Ok(())
    }

    /// The same, and forgets it: whoever compiles what often runs wants to be warm.
    pub fn warm(&mut self, time: Duration) -> Result<(), Box<dyn Error>> {
        self.run(time)?;
        (self.came, self.wall_ns, self.busy_ns) = (0, 0, 0);
        Ok(())
    }

    fn next(&self, nth: usize) -> Result<Option<Comer>, Box<dyn Error>> {
        let client = Client::connect(self.at, self.tls.as_ref())?;
        sys::end_abruptly(&client.socket)?;
        self.watch.add(&client.socket, nth)?;
        let mut comer = Comer {
            client,
            asked: false,
            answer: Vec::new(),
        };
        if self.tls.is_none() {
            comer.client.write(self.request.as_bytes())?;
            comer.asked = true;
        }
        Ok(Some(comer))
    }

    fn go_on(&mut self, nth: usize, goes_on: bool) -> Result<(), Box<dyn Error>> {
        let Some(comer) = &mut self.comers[nth] else {
            return Ok(());
        };
        let mut chunk = [0; 4096];
        match comer.client.read(&mut chunk) {
            Ok(0) => self.faults.push("a handshake was broken off".into()),
            Ok(n) => comer.answer.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.faults.push(format!("a handshake failed: {error}")),
        }
        if !comer.asked && !comer.client.shakes_hands() {
            comer.client.write(self.request.as_bytes())?;
            comer.asked = true;
        }
        if comer.answer.windows(4).any(|four| four == b"\r\n\r\n") {
            if !comer.answer.starts_with(b"HTTP/1.1 101") {
                let said = String::from_utf8_lossy(&comer.answer).into_owned();
                self.faults.push(format!("who came was refused: {said}"));
            }
            if !is_equal(&comer.client) {
                self.faults.push("another version or key exchange".into());
            }
            self.came += 1;
            self.comers[nth] = None;
            if goes_on {
                self.comers[nth] = self.next(nth)?;
            }
        }
        Ok(())
    }
}

/// Whether the session is as those of all servers are to be.
fn is_equal(client: &Client) -> bool {
    client.session.as_ref().is_none_or(|session| {
        let group = session.negotiated_key_exchange_group();
        session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && group.is_some_and(|group| group.name() == NamedGroup::X25519)
    })
}
