//! The servers: ours, and the others beside which it is measured.
//!
//! In: names. Out: running servers on their core, over TLS. All keep the contract of `fanout`:
//! `--port P --shards N`, and `/room/NAME` joins. Generator thread.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use roomcast_benches::process::Server;
use roomcast_benches::sys;

use crate::certificates::Pair;

/// The generator's core; servers have the first.
pub const OWN_CORE: usize = 1;

/// The others: each a name and a command.
#[derive(Default)]
pub struct Peers {
    pub commands: Vec<(&'static str, Vec<PathBuf>)>,
    folder: PathBuf,
}

impl Peers {
    pub fn find(names: &str, folder: PathBuf) -> Result<Peers, Box<dyn Error>> {
        let path = |path: &str| folder.join(path);
        let mut commands = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let (name, command, needs) = match name {
                "bun" => {
                    let bun = path("node_modules/.bin/bun");
                    ("Bun", vec![bun.clone(), path("bun.js")], bun)
                }
                "ws" => (
                    "ws",
                    vec!["node".into(), path("ws.js")],
                    path("node_modules/ws"),
                ),
                _ => return Err(format!("no server is called {name}; see --help").into()),
            };
            if !needs.exists() {
                return Err(format!("{name} is not installed: see benches/README.md").into());
            }
            commands.push((name, command));
        }
        Ok(Peers { commands, folder })
    }

    /// All servers, ours first, each running.
    pub fn start_all(&self, pair: &Pair) -> Result<Vec<(&'static str, Server)>, Box<dyn Error>> {
        let mut servers = vec![("roomcast", ours(pair)?)];
        for nth in 0..self.commands.len() {
            servers.push((self.commands[nth].0, self.start(nth, pair)?));
        }
        Ok(servers)
    }

    /// One of the others.
    pub fn start(&self, nth: usize, pair: &Pair) -> Result<Server, Box<dyn Error>> {
        let (_, command) = &self.commands[nth];
        let mut command = {
            let mut program = Command::new(&command[0]);
            program.args(&command[1..]);
            program
        };
        command.args(["--port", "0", "--shards", "1"]);
        command.args(["--cert", &pair.cert, "--key", &pair.key]);
        // What a thread starts begins on its cores, with all its threads.
        sys::pin(0)?;
        let server = Server::start_other(&mut command);
        sys::pin(OWN_CORE)?;
        server
    }

    /// Their versions, from what is pinned.
    pub fn versions(&self) -> String {
        let text = fs::read_to_string(self.folder.join("package.json")).unwrap_or_default();
        let mut versions = String::new();
        for (name, _) in &self.commands {
            let pair = format!("\"{}\": \"", name.to_lowercase());
            let behind = text.split_once(&pair).map_or("", |(_, behind)| behind);
            let version = behind.split('"').next().unwrap_or_default();
            versions += &format!("; {name} {version}");
        }
        versions
    }
}

/// A server of ours, with these words besides.
pub fn ours_with(pair: &Pair, more: &[&str]) -> Result<Server, Box<dyn Error>> {
    let words = ["--cert", &pair.cert, "--key", &pair.key];
    Server::start(&[], &[&words[..], more].concat())
}

pub fn ours(pair: &Pair) -> Result<Server, Box<dyn Error>> {
    ours_with(pair, &[])
}
