//! The servers under test: how each is started, on which core, and when it is up. In go names, out
//! come running processes that end when dropped. Must never know scenarios. Orchestrator only.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use roomcast_fanout::sys;

const START_DEADLINE: Duration = Duration::from_secs(20);

/// The bare loops that others are compared with.
pub const YARDSTICKS: [&str; 3] = ["limit", "coalesce", "gather"];

pub struct Server {
    pub name: String,
    /// Program and arguments, without those of the contract.
    command: Vec<String>,
}

/// Where the programs of the convenience names are.
pub struct Places {
    pub roomcast: Option<PathBuf>,
    pub tungstenite: Option<PathBuf>,
    pub peers: PathBuf,
}

impl Server {
    /// A server of the user's: `NAME=PROGRAM ARGUMENTS…`.
    pub fn custom(text: &str) -> Option<Self> {
        let (name, command) = text.split_once('=')?;
        let command = command.split_whitespace().map(String::from).collect();
        Some(Self {
            name: name.into(),
            command,
        })
    }

    /// A server by its convenience name.
    pub fn named(name: &str, places: &Places) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let beside = |program: &str| own.with_file_name(program);
        let peer = |path: &str| places.peers.join(path);
        let command = match name {
            "roomcast" => {
                let path = places
                    .roomcast
                    .clone()
                    .ok_or("roomcast needs --roomcast-bin PATH")?;
                vec![path]
            }
            "bun" => vec![peer("node_modules/.bin/bun"), peer("bun.js")],
            "ws" => vec!["node".into(), peer("ws.js")],
            "tungstenite" => {
                vec![
                    places
                        .tungstenite
                        .clone()
                        .unwrap_or(beside("fanout-tungstenite")),
                ]
            }
            _ if YARDSTICKS.contains(&name) => {
                vec![beside("limit"), "--mode".into(), name.into()]
            }
            _ => return Err(format!("no server is called {name}")),
        };
        let missing = |path: &&PathBuf| path.is_absolute() && !path.exists();
        if let Some(path) = command.iter().find(missing) {
            return Err(format!(
                "{name}: {} is not there (see benches/README.md)",
                path.display()
            ));
        }
        let word = |path: &PathBuf| path.to_string_lossy().into_owned();
        Ok(Self {
            name: name.into(),
            command: command.iter().map(word).collect(),
        })
    }

    pub fn is_yardstick(&self) -> bool {
        YARDSTICKS.contains(&self.name.as_str())
    }

    /// Starts it on a free port, pinned to `core`, and waits until it listens.
    pub fn start(&self, core: usize) -> Result<Running, String> {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["--port", "0", "--shards", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: between fork and exec only two system calls are made; nothing allocates.
        unsafe { command.pre_exec(move || sys::pin(core).and_then(|()| sys::die_with_parent())) };
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut running = Running { child, port: 0 };
        let (said, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let up = |line: &String| line.starts_with("listening on 127.0.0.1:");
            let _ = said.send(lines.by_ref().map_while(Result::ok).find(up));
            lines.for_each(drop);
        });
        let line = heard.recv_timeout(START_DEADLINE).ok().flatten();
        let port = line
            .as_deref()
            .and_then(|line| line.rsplit(':').next()?.trim().parse().ok());
        running.port = port.ok_or(format!("{} did not say where it listens", self.name))?;
        Ok(running)
    }
}

/// A running server; dropping it ends it.
pub struct Running {
    child: Child,
    pub port: u16,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Versions of what the peers' folder holds, from its package.json.
pub fn peer_versions(peers: &Path) -> String {
    let text = std::fs::read_to_string(peers.join("package.json")).unwrap_or_default();
    let pair = |line: &str| {
        let mut words = line.split('"').skip(1).step_by(2);
        let (name, version) = (words.next()?, words.next()?);
        matches!(name, "bun" | "ws").then(|| format!("{name} {version}"))
    };
    text.lines().filter_map(pair).collect::<Vec<_>>().join(", ")
}
