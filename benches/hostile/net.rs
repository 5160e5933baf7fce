//! What std does not offer of the system: epoll, a core to run on, a source address, a clock that
//! two processes share. In: descriptors and numbers. Out: readiness, sockets. Any thread.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};

pub use rustix::event::epoll::EventFlags as Flags;

/// Sockets that are looked at together, by their level.
pub struct Watch {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Watch {
    pub fn new(batch: usize) -> io::Result<Watch> {
        let none = Event {
            flags: Flags::empty(),
            data: EventData::new_u64(0),
        };
        Ok(Watch {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: vec![none; batch],
        })
    }

    pub fn add(&self, socket: &TcpStream, key: usize, flags: Flags) -> io::Result<()> {
        let data = EventData::new_u64(key as u64);
        Ok(epoll::add(&self.epoll, socket.as_fd(), data, flags)?)
    }

    /// What is ready now: keys, and for what.
    pub fn ready(&mut self, into: &mut Vec<(usize, Flags)>) {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = epoll::wait(&self.epoll, &mut self.events[..], Some(&none)).unwrap_or(0);
        let told = self.events[..ready].iter();
        into.clear();
        into.extend(told.map(|event| {
            let (data, flags) = (event.data, event.flags);
            (data.u64() as usize, flags)
        }));
    }
}

/// Runs this thread, and what it starts, on one core.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Nanoseconds of a clock that is the same in all processes.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Raises the limit of open files as far as it goes; gives it.
pub fn raise_nofile() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Begins to connect from an address and a port of the loopback; never blocks. The port is named,
/// since the kernel looks long for a free one where many connections have just ended.
pub fn connect(from: SocketAddrV4, to: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &from)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}
