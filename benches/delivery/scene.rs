//! A scene: a server, its members, and the ledger of what they have got.
//!
//! In: orders. Out: answers, while the members are read; what the server and others used of the
//! machine. Generator thread.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::figure::Busy;
use crate::ledger::Ledger;
use crate::process::{Figures, Server};
use crate::readers::Readers;
use crate::sys::{machine_ns, now_ns, process_ns};

/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an order may take: more than any load asks for.
const ANSWER: Duration = Duration::from_secs(600);
/// How long the generator sleeps when there is nothing to read, unless it looks all the time.
const NAP: Duration = Duration::from_micros(100);
/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What a server is started with.
pub struct Stage<'a> {
    pub limits: &'a [(&'a str, u64)],
    /// Options of rooms, as [`crate::server`] reads them.
    pub rooms: &'a [&'a str],
    /// The members: see [`crate::server`].
    pub paths: Vec<String>,
    /// Bytes that the kernel may keep for a member that is not read.
    pub receive_bytes: Option<usize>,
    /// Keys of which the newest number is kept.
    pub keys: usize,
}

/// Clocks at one moment.
pub struct Clocks {
    at_ns: u64,
    server_ns: u64,
    machine_ns: u64,
    generator_ns: u64,
    generator_busy_ns: u64,
}

pub struct Scene {
    pub readers: Readers,
    pub ledger: Ledger,
    /// Looks at the sockets all the time: for latencies.
    pub is_awake: bool,
    /// The most memory that was seen since it was set to 0.
    pub rss_most: u64,
    looked: Instant,
    /// Gone behind its members, whose goodbyes it would wait for.
    server: Server,
}

/// A notice of the engine to its host: what a slow reader missed.
pub struct Notice {
    pub reader: usize,
    pub count: u64,
    pub first: u64,
    pub last: u64,
    pub replaced: bool,
}

impl Scene {
    pub fn open(stage: Stage<'_>) -> Result<Scene, Box<dyn Error>> {
        let server = Server::start(stage.limits, stage.rooms)?;
        let mut scene = Scene {
            readers: Readers::connect(server.address, &stage.paths, stage.receive_bytes)?,
            ledger: Ledger::new(stage.paths.len(), stage.keys),
            is_awake: false,
            rss_most: 0,
            looked: Instant::now(),
            server,
        };
        let members = stage.paths.len() as u64;
        let until = Instant::now() + PATIENCE;
        while scene.figures()?.of("joins") < members {
            if Instant::now() > until {
                return Err("not everybody could join".into());
            }
        }
        Ok(scene)
    }

    /// Reads what is there, and looks at the server's memory now and then.
    fn pump(&mut self) -> Result<(), Box<dyn Error>> {
        if !self.readers.read(&mut self.ledger)? && !self.is_awake {
            std::thread::sleep(NAP);
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.rss_most = self.rss_most.max(self.server.memory()?);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let until = Instant::now() + ANSWER;
        loop {
            if let Some(line) = self.server.answer()? {
                return Ok(line);
            }
            if Instant::now() > until {
                return Err("the server does not answer".into());
            }
            self.pump()?;
        }
    }

    /// Reads until that is answered.
    pub fn ask(&mut self, order: &str) -> Result<Figures, Box<dyn Error>> {
        self.server.order(order)?;
        Ok(Figures::from(&self.answer()?))
    }

    pub fn figures(&mut self) -> Result<Figures, Box<dyn Error>> {
        self.ask("figures")
    }

    /// Reads until it is so. False when that takes too long.
    pub fn until(&mut self, is_so: impl Fn(&Scene) -> bool) -> Result<bool, Box<dyn Error>> {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > until {
                return Ok(false);
            }
            self.pump()?;
        }
        Ok(true)
    }

    /// Reads until a figure is so. False when that takes too long.
    pub fn until_figures(
        &mut self,
        is_so: impl Fn(&Figures) -> bool,
    ) -> Result<bool, Box<dyn Error>> {
        let until = Instant::now() + PATIENCE;
        loop {
            if is_so(&self.figures()?) {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            self.pass(Duration::from_millis(20))?;
        }
    }

    /// Reads for so long.
    pub fn pass(&mut self, time: Duration) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.pump()?;
        }
        Ok(())
    }

    /// What the host was told since the last call.
    pub fn notices(&mut self) -> Result<Vec<Notice>, Box<dyn Error>> {
        self.server.order("missed")?;
        let count: usize = self.answer()?.trim().parse()?;
        let mut notices = Vec::with_capacity(count);
        for _ in 0..count {
            let line = self.answer()?;
            let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            let &[reader, count, first, last, replaced] = &numbers[..] else {
                return Err("a notice is five numbers".into());
            };
            notices.push(Notice {
                reader: reader as usize,
                count,
                first,
                last,
                replaced: replaced == 1,
            });
        }
        Ok(notices)
    }

    /// Octets of memory that the server has in use.
    pub fn memory(&self) -> Result<u64, Box<dyn Error>> {
        Ok(self.server.memory()?)
    }

    pub fn clocks(&mut self) -> Result<Clocks, Box<dyn Error>> {
        let server_ns = self.figures()?.of("process_ns");
        Ok(Clocks {
            at_ns: now_ns(),
            server_ns,
            machine_ns: machine_ns()?,
            generator_ns: process_ns(),
            generator_busy_ns: self.readers.busy_ns,
        })
    }

    /// What was in use since then.
    pub fn busy(&mut self, since: &Clocks) -> Result<Busy, Box<dyn Error>> {
        let now = self.clocks()?;
        let passed = (now.at_ns - since.at_ns) as f64;
        let server = (now.server_ns - since.server_ns) as f64;
        let generator = (now.generator_ns - since.generator_ns) as f64;
        let machine = (now.machine_ns - since.machine_ns) as f64;
        Ok(Busy {
            server: server / passed,
            generator: (now.generator_busy_ns - since.generator_busy_ns) as f64 / passed,
            others: ((machine - server - generator) / passed).max(0.0),
        })
    }
}
