//! A room of members, plain or over TLS, and a closed loop of messages to them.
//!
//! In: an address and a number of members, then windows. Out: what was delivered; every member must
//! get every message once and in order. The first member says them; so many are on their way all
//! the time, and the next is said when all members have one. Generator thread.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomcast_benches::sys::{self, Watch};
use rustls::ClientConfig;

use crate::client::{self, Client};

/// Messages on their way.
pub const OUTSTANDING: usize = 16;
/// Bytes of each.
const MESSAGE: usize = 64;
const BINARY: u8 = 2;
/// Between two looks: over the loopback a sender would pay for waking who sleeps on a socket.
const NAP: Duration = Duration::from_micros(100);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(10);

struct Member {
    client: Client,
    /// Of a frame that came in part.
    rest: Vec<u8>,
    /// The number of the next message.
    next: u64,
    is_gone: bool,
}

pub struct Hall {
    members: Vec<Member>,
    watch: Watch,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    /// Members that do not have it yet, by the number of the message.
    owed: [usize; OUTSTANDING],
    said: u64,
    done: u64,
    /// Nanoseconds in which there was something to read.
    pub busy_ns: u64,
    pub faults: Vec<String>,
}

impl Hall {
    pub fn open(
        at: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        members: usize,
    ) -> Result<Hall, Box<dyn Error>> {
        let watch = Watch::new(1024)?;
        let path = match tls {
            Some(_) => "/room/secure",
            None => "/room/plain",
        };
        let mut all = Vec::with_capacity(members);
        for nth in 0..members {
            let (client, rest) = Client::open(at, tls, path)?;
            watch.add(&client.socket, nth)?;
            all.push(Member {
                client,
                rest,
                next: 0,
                is_gone: false,
            });
        }
        Ok(Hall {
            members: all,
            watch,
            ready: Vec::new(),
            buffer: vec![0; 64 * 1024],
            owed: [0; OUTSTANDING],
            said: 0,
            done: 0,
            busy_ns: 0,
            faults: Vec::new(),
        })
    }

    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// How many were closed.
    pub fn gone(&self) -> usize {
        self.members.iter().filter(|member| member.is_gone).count()
    }

    /// Lets messages go round for so long, doing `meanwhile` too, and waits for those on their way;
    /// gives how many were delivered.
    pub fn run(
        &mut self,
        time: Duration,
        mut meanwhile: impl FnMut() -> Result<(), Box<dyn Error>>,
    ) -> Result<u64, Box<dyn Error>> {
        let before = self.done;
        let (until, mut came) = (Instant::now() + time, Instant::now());
        self.say(OUTSTANDING as u64)?;
        while self.done < self.said && self.faults.is_empty() {
            meanwhile()?;
            let done = self.done;
            if self.read()? {
                came = Instant::now();
            } else if came.elapsed() > PATIENCE {
                let missing = self.said - self.done;
                self.fault(format!("{missing} messages did not come to everybody"));
            }
            if Instant::now() < until {
                self.say(self.done - done)?;
            }
            std::thread::sleep(NAP);
        }
        Ok((self.done - before) * self.members.len() as u64)
    }

    fn say(&mut self, count: u64) -> Result<(), Box<dyn Error>> {
        let mut frames = Vec::new();
        for number in self.said..self.said + count {
            let mut payload = [b'.'; MESSAGE];
            payload[..8].copy_from_slice(&number.to_le_bytes());
            frames.extend(client::masked(BINARY, &payload));
            self.owed[number as usize % OUTSTANDING] = self.members.len();
        }
        self.said += count;
        match count {
            0 => Ok(()),
            _ => Ok(self.members[0].client.write(&frames)?),
        }
    }

    /// Reads once what is ready. False when nothing was.
    fn read(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut ready = std::mem::take(&mut self.ready);
        let began = sys::now_ns();
        self.watch.ready(&mut ready);
        for &nth in &ready {
            self.read_one(nth)?;
        }
        let any = !ready.is_empty();
        if any {
            self.busy_ns += sys::now_ns() - began;
        }
        self.ready = ready;
        Ok(any)
    }

    fn read_one(&mut self, nth: usize) -> Result<(), Box<dyn Error>> {
        let member = &mut self.members[nth];
        let mut buffer = std::mem::take(&mut self.buffer);
        let held = member.rest.len();
        buffer[..held].copy_from_slice(&member.rest);
        match member.client.read(&mut buffer[held..]) {
            Ok(read @ 1..) => self.hear(nth, &buffer[..held + read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            end => {
                member.is_gone = true;
                self.watch.remove(&member.client.socket)?;
                self.fault(format!("member {nth} was closed: {end:?}"));
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    fn hear(&mut self, nth: usize, mut bytes: &[u8]) {
        while let Some((opcode, payload, behind)) = client::frame(bytes) {
            bytes = behind;
            let number = payload.first_chunk().map(|b| u64::from_le_bytes(*b));
            let expected = self.members[nth].next;
            if opcode != BINARY || payload.len() != MESSAGE || number != Some(expected) {
                self.fault(format!("member {nth} got {number:?} for {expected}"));
                continue;
            }
            self.members[nth].next += 1;
            let owed = &mut self.owed[expected as usize % OUTSTANDING];
            *owed -= 1;
            self.done += u64::from(*owed == 0);
        }
        let rest = &mut self.members[nth].rest;
        rest.clear();
        rest.extend_from_slice(bytes);
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < 5 {
            self.faults.push(text);
        }
    }
}
