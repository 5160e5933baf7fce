//! Those who are no members: handshakes that are broken off, and whoever reads the figures over
//! HTTP. Threads of the generator with plain blocking sockets; what they find goes to a list.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use crate::wire;

#[derive(Default)]
pub struct Found {
    over: AtomicBool,
    pub broken_off: AtomicU64,
    pub scrapes: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Found {
    fn fault(&self, text: String) {
        eprintln!("FAULT {text}");
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }

    pub fn faults(&self) -> Vec<String> {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub struct Strangers {
    pub found: Arc<Found>,
    threads: Vec<JoinHandle<()>>,
}

impl Strangers {
    pub fn start(addresses: [SocketAddr; 2]) -> Self {
        let found = Arc::new(Found::default());
        let breaking = found.clone();
        let scraping = found.clone();
        let threads = vec![
            std::thread::spawn(move || break_off(&breaking, addresses)),
            std::thread::spawn(move || scrape(&scraping, addresses)),
        ];
        Strangers { found, threads }
    }

    pub fn end(&mut self) {
        self.found.over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.found
                    .fault("a thread of the strangers panicked".into());
            }
        }
    }
}

/// Twenty a second, each broken off at another place.
fn break_off(found: &Found, addresses: [SocketAddr; 2]) {
    let mut held = std::collections::VecDeque::new();
    let mut nth = 0;
    while !found.over.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        nth += 1;
        let Ok(mut stream) = TcpStream::connect(addresses[nth % 2]) else {
            found.fault("a stranger finds no connection".into());
            continue;
        };
        found.broken_off.fetch_add(1, Relaxed);
        let head = wire::head("/soak?rooms=2,3,4");
        let bytes = match nth / 2 % 6 {
            // Nothing, half, all of it and away, all of it and a reset, garbage.
            0 => "",
            1 => &head[..head.len() / 2],
            2 | 3 => &head,
            4 => "\u{0}\u{1}\u{2} what is this?\r\n\r\n",
            // Half of it, and the engine has to lose patience.
            _ => {
                let _ = stream.write_all(&head.as_bytes()[..60]);
                held.push_back(stream);
                if held.len() > 20 {
                    held.pop_front();
                }
                continue;
            }
        };
        // What the engine has already ended cannot be written to.
        let _ = stream.write_all(bytes.as_bytes());
        if nth / 2 % 6 == 3 {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn scrape(found: &Found, addresses: [SocketAddr; 2]) {
    let mut before = [0.0; 2];
    while !found.over.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(250));
        for (address, before) in addresses.into_iter().zip(&mut before) {
            match deliveries(address) {
                Ok(now) if now >= *before => {
                    *before = now;
                    found.scrapes.fetch_add(1, Relaxed);
                }
                Ok(now) => found.fault(format!("/metrics: {now} deliveries after {before}")),
                Err(error) => found.fault(format!("/metrics: {error}")),
            }
        }
    }
}

/// The figure of deliveries, as the engine's own page tells it.
fn deliveries(address: SocketAddr) -> Result<f64, Box<dyn std::error::Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let _ = stream.shutdown(Shutdown::Both);
    if !text.starts_with("HTTP/1.1 200 ") {
        return Err(text.lines().next().unwrap_or("nothing").into());
    }
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("roomcast_deliveries_total "));
    Ok(line.ok_or("no deliveries in it")?.parse()?)
}
