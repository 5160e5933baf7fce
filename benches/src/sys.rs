//! What std does not offer of the system: epoll, a core to run on, a small receive buffer, clocks.
//!
//! In: descriptors and numbers. Out: readiness, sockets, nanoseconds. Any thread.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// CPU time of the machine is counted in these.
const TICK_NS: u64 = 10_000_000;

/// Sockets that are looked at together, by whether there is something to read.
pub struct Watch {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Watch {
    pub fn new(batch: usize) -> io::Result<Watch> {
        let none = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        Ok(Watch {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: vec![none; batch],
        })
    }

    pub fn add(&self, socket: &TcpStream, key: usize) -> io::Result<()> {
        let data = EventData::new_u64(key as u64);
        Ok(epoll::add(
            &self.epoll,
            socket.as_fd(),
            data,
            EventFlags::IN,
        )?)
    }

    pub fn remove(&self, socket: &TcpStream) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket.as_fd())?)
    }

    /// Keys of those with something to read now.
    pub fn ready(&mut self, into: &mut Vec<usize>) {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = epoll::wait(&self.epoll, &mut self.events[..], Some(&none)).unwrap_or(0);
        into.clear();
        into.extend(self.events[..ready].iter().map(|event| {
            let data = event.data;
            data.u64() as usize
        }));
    }
}

/// Runs this thread, and what it starts, on one core: this one, or the last where it is not there.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core.min(cores() - 1));
    Ok(sched_setaffinity(None, &set)?)
}

/// Cores of the machine, whichever of them this thread may run on.
fn cores() -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = online.trim().rsplit(['-', ',']).next();
    last.and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) + 1
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

/// Connects; `receive_bytes` bounds what the kernel keeps for a socket that is not read.
pub fn connect(to: SocketAddr, receive_bytes: Option<usize>) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(bytes) = receive_bytes {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    rustix::net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

/// Has the end of a connection be abrupt, by a reset: the port is free again at once.
pub fn end_abruptly(socket: &TcpStream) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(socket, Some(Duration::ZERO))?)
}

fn clock_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of a clock that is the same in all processes.
pub fn now_ns() -> u64 {
    clock_ns(ClockId::Monotonic)
}

/// Nanoseconds of CPU that this process has used.
pub fn process_ns() -> u64 {
    clock_ns(ClockId::ProcessCPUTime)
}

/// Nanoseconds of CPU that this thread has used.
pub fn thread_ns() -> u64 {
    clock_ns(ClockId::ThreadCPUTime)
}

/// Nanoseconds of CPU that the threads of a process have used. Of one that runs at this moment, up
/// to its last tick: exact once it sleeps.
pub fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // It may have ended since.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        sum += first.unwrap_or(0);
    }
    Ok(sum)
}

/// Nanoseconds in which the machine's cores were busy, to a tick each.
pub fn machine_ns() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let all = text.lines().next().unwrap_or_default();
    let times = all.split_whitespace().skip(1);
    let times: Vec<u64> = times.filter_map(|n| n.parse().ok()).collect();
    // All but idle and waiting for I/O; stolen time is somebody else's too.
    let busy = [0, 1, 2, 5, 6, 7].map(|n| times.get(n).copied().unwrap_or(0));
    Ok(busy.iter().sum::<u64>() * TICK_NS)
}

/// Octets of memory that a process has in use.
pub fn rss_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = text.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    Ok(pages.unwrap_or(0) * rustix::param::page_size() as u64)
}

/// The machine in words.
pub fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}, {} cores, loopback", kernel.trim(), cores())
}
