//! System calls, thinly: sockets, epoll, affinity, limits. In go plain numbers and slices, out
//! come values or errno. The only file of this package (with `clocks`) that is unsafe. Must never
//! know frames or rooms. Any thread.

use std::ffi::c_int;
use std::io;
use std::mem;

pub type Fd = c_int;
pub use libc::epoll_event;

pub const READ: u32 = libc::EPOLLIN as u32;
pub const WRITE: u32 = libc::EPOLLOUT as u32;
pub const HANGUP: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

/// How a socket call ended when it moved no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing to read, or no space to write.
    Block,
    /// The peer is gone or the socket is broken.
    Gone,
}

fn check(ret: c_int) -> io::Result<c_int> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

fn moved(ret: isize) -> Result<usize, Stop> {
    if ret >= 0 {
        return Ok(ret as usize);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => Err(Stop::Block),
        _ => Err(Stop::Gone),
    }
}

/// Reads once. `Ok(0)` is the peer's end of stream.
#[inline]
pub fn recv(fd: Fd, buf: &mut [u8]) -> Result<usize, Stop> {
    // SAFETY: the pointer and the length are those of one exclusive slice.
    moved(unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), libc::MSG_DONTWAIT) })
}

/// Writes once, without SIGPIPE.
#[inline]
pub fn send(fd: Fd, buf: &[u8]) -> Result<usize, Stop> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the pointer and the length are those of one slice.
    moved(unsafe { libc::send(fd, buf.as_ptr().cast(), buf.len(), flags) })
}

pub fn close(fd: Fd) {
    // SAFETY: no memory is involved; a bad number is an error that is of no interest here.
    unsafe { libc::close(fd) };
}

/// A level-triggered epoll set; `data` comes back with each event.
pub struct Epoll(Fd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        Ok(Self(check(unsafe {
            libc::epoll_create1(libc::EPOLL_CLOEXEC)
        })?))
    }

    pub fn add(&self, fd: Fd, events: u32, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, data)
    }

    pub fn modify(&self, fd: Fd, events: u32, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, data)
    }

    /// Forgets a descriptor that stays open; closing one forgets it too.
    pub fn remove(&self, fd: Fd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, op: c_int, fd: Fd, events: u32, data: u64) -> io::Result<()> {
        let mut event = epoll_event { events, u64: data };
        // SAFETY: `event` lives across the call; the kernel copies it.
        check(unsafe { libc::epoll_ctl(self.0, op, fd, &mut event) }).map(drop)
    }

    /// Waits at most `timeout_ms` (-1: for ever); an interrupted wait is an empty one.
    #[inline]
    pub fn wait(&self, events: &mut [epoll_event], timeout_ms: i32) -> usize {
        let (at, len) = (events.as_mut_ptr(), events.len() as c_int);
        // SAFETY: the pointer and the length are those of one exclusive slice.
        unsafe { libc::epoll_wait(self.0, at, len, timeout_ms) }.max(0) as usize
    }

    /// Waits at most `timeout_ns`, without rounding to milliseconds.
    #[inline]
    pub fn wait_ns(&self, events: &mut [epoll_event], timeout_ns: u64) -> usize {
        let (tv_sec, tv_nsec) = (timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000);
        let timeout = libc::timespec {
            tv_sec: tv_sec as i64,
            tv_nsec: tv_nsec as i64,
        };
        let (at, len) = (events.as_mut_ptr(), events.len() as c_int);
        // SAFETY: pointer and length are those of one exclusive slice; `timeout` outlives the call.
        unsafe { libc::epoll_pwait2(self.0, at, len, &timeout, std::ptr::null()) }.max(0) as usize
    }
}

fn address(last: [u8; 4], port: u16) -> libc::sockaddr_in {
    // SAFETY: all zeroes is a valid sockaddr_in.
    let mut addr: libc::sockaddr_in = unsafe { mem::zeroed() };
    addr.sin_family = libc::AF_INET as libc::sa_family_t;
    addr.sin_port = port.to_be();
    addr.sin_addr.s_addr = u32::from_ne_bytes(last);
    addr
}

fn option(fd: Fd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` lives across the call and `len` is its size.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) }).map(drop)
}

fn tcp_socket() -> io::Result<Fd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    check(unsafe { libc::socket(libc::AF_INET, kind, 0) })
}

const ADDR_LEN: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn bind(fd: Fd, addr: &libc::sockaddr_in) -> io::Result<()> {
    // SAFETY: the address lives across the call and ADDR_LEN is its size.
    check(unsafe { libc::bind(fd, (&raw const *addr).cast(), ADDR_LEN) }).map(drop)
}

/// Listens on 127.0.0.1; says which port it got. Accepted sockets inherit TCP_NODELAY.
pub fn listen(port: u16) -> io::Result<(Fd, u16)> {
    let fd = tcp_socket()?;
    option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let mut addr = address([127, 0, 0, 1], port);
    bind(fd, &addr)?;
    // SAFETY: no memory is involved.
    check(unsafe { libc::listen(fd, 4096) })?;
    let mut len = ADDR_LEN;
    // SAFETY: `addr` and `len` live across the call and `len` is the size of `addr`.
    check(unsafe { libc::getsockname(fd, (&raw mut addr).cast(), &mut len) })?;
    Ok((fd, u16::from_be(addr.sin_port)))
}

/// The next waiting connection, non-blocking; `None` when there is none or no descriptor is left.
pub fn accept(listener: Fd) -> Option<Fd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let null = std::ptr::null_mut();
    // SAFETY: null means that the peer's address is not wanted.
    let fd = unsafe { libc::accept4(listener, null, std::ptr::null_mut(), flags) };
    (fd >= 0).then_some(fd)
}

/// Starts to connect from the loopback address `from` to 127.0.0.1:`port`.
pub fn connect(from: [u8; 4], port: u16) -> io::Result<Fd> {
    let fd = tcp_socket()?;
    option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    option(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    bind(fd, &address(from, 0))?;
    let addr = address([127, 0, 0, 1], port);
    // SAFETY: the address lives across the call and ADDR_LEN is its size.
    match check(unsafe { libc::connect(fd, (&raw const addr).cast(), ADDR_LEN) }) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
            close(fd);
            Err(error)
        }
        _ => Ok(fd),
    }
}

/// Whether `fd` becomes ready for `what` within `timeout_ms`.
pub fn ready(fd: Fd, what: u32, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: what as i16,
        revents: 0,
    };
    // SAFETY: `poll` lives across the call and is one entry.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) == 1 }
}

/// Pins the calling thread, and what it starts, to one core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: all zeroes is the empty set; CPU_SET checks its bound; size and pointer agree.
    check(unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), &set)
    })
    .map(drop)
}

/// Ends the calling process when its parent ends.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_nofile() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` lives across both calls.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(limit.rlim_cur)
}
