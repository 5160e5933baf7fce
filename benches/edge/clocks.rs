//! What servers, the generator and others used of the machine in between.
//!
//! In: servers. Out: parts of a core. Generator thread.

use std::io;

use roomcast_benches::figure::Busy;
use roomcast_benches::process::Server;
use roomcast_benches::sys;

/// Clocks at one moment.
pub struct Clocks {
    at_ns: u64,
    servers_ns: u64,
    machine_ns: u64,
    generator_ns: u64,
}

impl Clocks {
    pub fn now<'a>(servers: impl IntoIterator<Item = &'a Server>) -> io::Result<Clocks> {
        let each = servers.into_iter().map(Server::cpu_ns);
        Ok(Clocks {
            servers_ns: each.sum::<io::Result<u64>>()?,
            at_ns: sys::now_ns(),
            machine_ns: sys::machine_ns()?,
            generator_ns: sys::process_ns(),
        })
    }

    /// What was in use since then, the generator having been busy for so long.
    pub fn busy<'a>(
        &self,
        servers: impl IntoIterator<Item = &'a Server>,
        generator_busy_ns: u64,
    ) -> io::Result<Busy> {
        let now = Clocks::now(servers)?;
        let passed = (now.at_ns - self.at_ns) as f64;
        let servers = (now.servers_ns - self.servers_ns) as f64;
        let generator = (now.generator_ns - self.generator_ns) as f64;
        let machine = (now.machine_ns - self.machine_ns) as f64;
        Ok(Busy {
            server: servers / passed,
            generator: generator_busy_ns as f64 / passed,
            others: ((machine - servers - generator) / passed).max(0.0),
        })
    }
}
