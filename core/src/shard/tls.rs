//! TLS of a shard's sockets: a machine each, between the socket and what reads and writes it.
//!
//! In: ciphertext of peers, plaintext of ours. Out: the other of the two. A machine keeps nothing
//! between two calls but keys, the beginning of a record that has not come whole, and ciphertext
//! that the socket did not take; all else is in one scratch of the shard. Knows no HTTP and no
//! frames. Shard thread; what new handshakes are offered is any thread's to replace.

use std::io::{self, IoSlice};

use rustls::HandshakeKind;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::UnbufferedServerConnection as Session;
use rustls::server::{ProducesTickets, ServerConfig, ServerConnectionData};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, WriteTraffic,
};
use slab::Slab;

use super::net::{Left, TlsTally};
use crate::sync::{Arc, Mutex};
use crate::tls::{Tls, TlsError};

/// Plaintext of the largest record.
const RECORD: usize = 16 * 1024;
/// What a handshake may hold that has not come whole: whoever has not said who it is gets no more.
const HELLO_BYTES: usize = 16 * 1024;
/// The least that is asked of a socket at a time.
const READ_LEAST: usize = 1024;
/// What rustls and its keys hold on the heap of an idle connection, beside the machine: measured.
const SESSION_BYTES: usize = 2560;

/// What new handshakes are offered: replaced while connections live on.
pub(crate) struct Offer {
    config: Mutex<Arc<ServerConfig>>,
    /// Of all configs, so that sessions outlive a reload.
    ticketer: Arc<dyn ProducesTickets>,
}

impl Offer {
    pub(crate) fn new(tls: &Tls) -> Result<Self, TlsError> {
        let ticketer = Ticketer::new().map_err(|error| TlsError::BadKey(error.to_string()))?;
        let config = tls.server_config(ticketer.clone())?;
        Ok(Offer {
            config: Mutex::new(Arc::new(config)),
            ticketer,
        })
    }

    pub(crate) fn replace(&self, tls: &Tls) -> Result<(), TlsError> {
        let config = tls.server_config(self.ticketer.clone())?;
        let before = std::mem::replace(&mut *self.config.lock(), Arc::new(config));
        drop(before);
        Ok(())
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.config.lock().clone()
    }
}

/// What a machine stands on.
pub(super) trait Pipe {
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize>;
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Sends the end of our stream.
    fn end(&mut self);
}

/// The place of a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(u32);

/// The TLS sockets of a shard.
pub(super) struct Side<P> {
    pub(super) offer: Option<Arc<Offer>>,
    machines: Slab<Box<Machine<P>>>,
    scratch: Scratch,
    /// Bytes that machines hold in either direction.
    buffered: usize,
}

impl<P> Default for Side<P> {
    fn default() -> Self {
        Side {
            offer: None,
            machines: Slab::new(),
            scratch: Scratch::default(),
            buffered: 0,
        }
    }
}

/// What machines work in, one after the other. Empty until there is one.
#[derive(Default)]
struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
    joined: Vec<u8>,
    tally: TlsTally,
    records: usize,
}

impl<P: Pipe> Side<P> {
    /// What a new connection begins with.
    pub(super) fn session(&self) -> io::Result<Session> {
        let offer = self.offer.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        Session::new(offer.config()).map_err(io::Error::other)
    }

    /// Where the next machine will be.
    pub(super) fn next_key(&self) -> Key {
        Key(self.machines.vacant_key() as u32)
    }

    pub(super) fn insert(&mut self, pipe: P, session: Session, already_read: &[u8]) {
        self.buffered += already_read.len();
        self.machines
            .insert(Box::new(Machine::new(pipe, session, already_read)));
    }

    fn at<T>(&mut self, key: Key, work: impl FnOnce(&mut Machine<P>, &mut Scratch) -> T) -> T {
        let machine = &mut self.machines[key.0 as usize];
        let before = machine.buffered();
        let result = work(machine, &mut self.scratch);
        self.buffered = self.buffered + machine.buffered() - before;
        result
    }

    #[inline(never)]
    pub(super) fn read(&mut self, key: Key, into: &mut [u8]) -> io::Result<usize> {
        self.at(key, |machine, scratch| machine.read(scratch, into))
    }

    #[inline(never)]
    pub(super) fn write(&mut self, key: Key, bytes: &[u8]) -> io::Result<usize> {
        self.at(key, |machine, scratch| machine.write(scratch, bytes))
    }

    #[inline(never)]
    pub(super) fn write_slices(&mut self, key: Key, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.at(key, |machine, scratch| {
            machine.write_slices(scratch, slices)
        })
    }

    pub(super) fn shutdown(&mut self, key: Key) {
        self.at(key, Machine::shutdown);
    }

    pub(super) fn on_writable(&mut self, key: Key) {
        // A broken socket is found broken by the next read.
        let _ = self.at(key, |machine, _| machine.flush());
    }

    pub(super) fn left(&mut self, key: Key) -> Left {
        Left {
            again: self.machines[key.0 as usize].again,
            records: std::mem::take(&mut self.scratch.records),
        }
    }

    pub(super) fn shakes_hands(&self, key: Key) -> bool {
        !self.machines[key.0 as usize].agreed
    }

    pub(super) fn close(&mut self, key: Key) {
        let mut machine = self.machines.remove(key.0 as usize);
        self.buffered -= machine.buffered();
        machine.say_goodbye(&mut self.scratch);
        if self.machines.is_empty() {
            self.machines.shrink_to_fit();
        }
    }

    pub(super) fn take_tally(&mut self) -> Option<TlsTally> {
        self.offer.as_ref()?;
        let mut tally = std::mem::take(&mut self.scratch.tally);
        tally.connections = self.machines.len() as u64;
        Some(tally)
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    pub(super) fn session_bytes(&self) -> usize {
        let each = size_of::<Machine<P>>() + SESSION_BYTES;
        self.machines.len() * each + self.machines.capacity() * size_of::<usize>()
    }
}

/// One connection.
struct Machine<P> {
    pipe: P,
    session: Session,
    /// Ciphertext of the peer's that is not deciphered yet.
    held: Vec<u8>,
    /// Plaintext that the last read had no place for, and how much of it was taken since.
    plain: Vec<u8>,
    plain_at: usize,
    /// Ciphertext of ours that the socket did not take.
    waiting: Vec<u8>,
    /// All of a write is in `waiting`, but its last byte was not reported: it is written again, and
    /// then passed over.
    ahead: bool,
    /// `held` may have whole records.
    ready: bool,
    /// The last read is to be followed by another.
    again: bool,
    /// The handshake is complete.
    agreed: bool,
    /// The peer has ended its stream.
    ended: bool,
    failed: bool,
    end: End,
}

/// How far the end of our stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// Said, and to be sent once nothing waits.
    Said,
    Sent,
}

/// What is to be enciphered.
#[derive(Clone, Copy)]
enum Text<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

impl<P: Pipe> Machine<P> {
    fn new(pipe: P, session: Session, already_read: &[u8]) -> Self {
        Machine {
            pipe,
            session,
            held: already_read.to_vec(),
            plain: Vec::new(),
            plain_at: 0,
            waiting: Vec::new(),
            ahead: false,
            ready: !already_read.is_empty(),
            again: false,
            agreed: false,
            ended: false,
            failed: false,
            end: End::Open,
        }
    }

    fn buffered(&self) -> usize {
        self.held.capacity() + self.plain.capacity() + self.waiting.capacity()
    }

    /// Reads plaintext: `Ok(0)` is the end, and an error that is none but would-block is the end
    /// too, behind all that was deciphered.
    fn read(&mut self, scratch: &mut Scratch, into: &mut [u8]) -> io::Result<usize> {
        self.again = false;
        self.flush()?;
        let mut n = self.take_plain(into);
        if n == 0 && !self.ended && !self.failed {
            n = self.receive(scratch, into)?;
        }
        let is_over = self.ended || self.failed;
        self.again |= !self.plain.is_empty() || self.ready || (n > 0 && is_over);
        match n {
            0 if self.failed => Err(io::ErrorKind::ConnectionAborted.into()),
            0 if self.ended => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }

    fn take_plain(&mut self, into: &mut [u8]) -> usize {
        let left = &self.plain[self.plain_at..];
        let n = left.len().min(into.len());
        into[..n].copy_from_slice(&left[..n]);
        self.plain_at += n;
        if self.plain_at == self.plain.len() {
            (self.plain, self.plain_at) = (Vec::new(), 0);
        }
        n
    }

    /// Asks the socket once, and deciphers what there is until `into` is full.
    fn receive(&mut self, scratch: &mut Scratch, into: &mut [u8]) -> io::Result<usize> {
        let mut input = std::mem::take(&mut scratch.input);
        let mut end = self.held.len();
        let most = into.len().max(READ_LEAST);
        if input.len() < end + most {
            input.resize(end + most, 0);
        }
        input[..end].copy_from_slice(&self.held);
        let before = end;
        if self.ready {
            // The socket was not asked, so it may have more.
            (self.ready, self.again) = (false, true);
        } else {
            match self.pipe.receive(&mut input[end..end + most]) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    end += n;
                    self.again = n == most;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    scratch.input = input;
                    return Err(error);
                }
            }
        }
        let (n, used) = self.decipher(scratch, &mut input[..end], into);
        // What held nothing to be told may be followed by the end, of which no edge tells again.
        self.again |= n == 0 && end > before;
        if !self.agreed && !self.failed && end - used > HELLO_BYTES {
            self.failed = true;
            scratch.tally.failed += 1;
        }
        match used < end && !self.failed {
            true => {
                self.held.clear();
                self.held.extend_from_slice(&input[used..end]);
            }
            false => self.held = Vec::new(),
        }
        scratch.input = input;
        Ok(n)
    }

    /// Deciphers records into `into`, and answers those of the handshake. Gives the bytes of
    /// plaintext, and how many of `input` are done with.
    fn decipher(
        &mut self,
        scratch: &mut Scratch,
        input: &mut [u8],
        into: &mut [u8],
    ) -> (usize, usize) {
        let (mut n, mut used, mut out) = (0, 0, 0);
        loop {
            let status = self.session.process_tls_records(&mut input[used..]);
            let mut discard = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        let fits = record.payload.len().min(into.len() - n);
                        let (now, later) = record.payload.split_at(fits);
                        into[n..n + fits].copy_from_slice(now);
                        self.plain.extend_from_slice(later);
                        (n, scratch.records) = (n + fits, scratch.records + 1);
                    }
                    if n == into.len() {
                        used += discard;
                        self.ready = used < input.len();
                        break;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    out += encode(&mut data, &mut scratch.output, out);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    self.give(&scratch.output[..std::mem::take(&mut out)]);
                }
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => {
                    used += discard;
                    break;
                }
                Ok(_) => {
                    self.ended = true;
                    break;
                }
                Err(_) => {
                    self.fail(scratch, &mut input[used + discard..]);
                    break;
                }
            }
            used += discard;
        }
        if !self.agreed && !self.failed && !self.session.is_handshaking() {
            self.agreed = true;
            scratch.tally.handshakes += 1;
            let is_resumed = self.session.handshake_kind() == Some(HandshakeKind::Resumed);
            scratch.tally.resumed += u64::from(is_resumed);
        }
        (n, used)
    }

    /// Says why, as far as the socket takes it, and that is the end.
    fn fail(&mut self, scratch: &mut Scratch, rest: &mut [u8]) {
        self.failed = true;
        scratch.tally.failed += 1;
        let mut out = 0;
        // Only what is ready to be sent is asked for: behind an error nothing is read on.
        while self.session.wants_write() {
            match self.session.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    out += encode(&mut data, &mut scratch.output, out);
                }
                _ => break,
            }
        }
        self.give(&scratch.output[..out]);
    }

    /// Sends ciphertext; what the socket does not take waits.
    fn give(&mut self, bytes: &[u8]) {
        let sent = match self.waiting.is_empty() {
            true => self.pipe.send(bytes).unwrap_or(0),
            false => 0,
        };
        self.waiting.extend_from_slice(&bytes[sent..]);
    }

    /// Sends what waits: whether all of it went.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.waiting.is_empty() {
            match self.pipe.send(&self.waiting) {
                Ok(n) if n == self.waiting.len() => self.waiting = Vec::new(),
                Ok(n) => {
                    self.waiting.drain(..n);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.end == End::Said {
            self.pipe.end();
            self.end = End::Sent;
        }
        Ok(true)
    }

    /// Writes in records. A number below that of the bytes is what is enciphered: more waits for
    /// the socket, at most a record of it. Where all were enciphered and some wait, the last byte
    /// is held back, so that nobody thinks that all is out; a slice ends where a frame does, so
    /// that byte continues a frame that has begun.
    fn write(&mut self, scratch: &mut Scratch, bytes: &[u8]) -> io::Result<usize> {
        let mut done = self.begin_write(bytes.len())?;
        while done < bytes.len() {
            let piece = &bytes[done..bytes.len().min(done + RECORD)];
            let sent = self.send_record(scratch, piece)?;
            done += piece.len();
            if !sent {
                return Ok(self.hold_back(done, bytes.len()));
            }
        }
        Ok(done)
    }

    /// The same of several slices, joined into records.
    fn write_slices(&mut self, scratch: &mut Scratch, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = slices.iter().map(|slice| slice.len()).sum();
        let mut done = self.begin_write(total)?;
        let mut joined = std::mem::take(&mut scratch.joined);
        let mut pass = done;
        let mut result = Ok(true);
        for slice in slices {
            let (passed, mut rest) = slice.split_at(pass.min(slice.len()));
            pass -= passed.len();
            while !rest.is_empty() && matches!(result, Ok(true)) {
                let whole = joined.is_empty() && rest.len() >= RECORD;
                let (piece, later) = rest.split_at(rest.len().min(RECORD - joined.len()));
                rest = later;
                if whole {
                    result = self.send_record(scratch, piece);
                    done += RECORD;
                    continue;
                }
                joined.extend_from_slice(piece);
                if joined.len() == RECORD {
                    result = self.send_record(scratch, &joined);
                    done += RECORD;
                    joined.clear();
                }
            }
        }
        if !joined.is_empty() && matches!(result, Ok(true)) {
            result = self.send_record(scratch, &joined);
            done += joined.len();
        }
        joined.clear();
        scratch.joined = joined;
        match result? {
            true => Ok(total),
            false => Ok(self.hold_back(done, total)),
        }
    }

    /// Sends what waits, and gives how many bytes of a write are enciphered already.
    fn begin_write(&mut self, len: usize) -> io::Result<usize> {
        if self.failed || !self.agreed || self.end != End::Open {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if len == 0 {
            return Ok(0);
        }
        Ok(usize::from(std::mem::take(&mut self.ahead)))
    }

    fn hold_back(&mut self, done: usize, of: usize) -> usize {
        self.ahead = done == of;
        done - usize::from(self.ahead)
    }

    /// Enciphers a record and sends it: whether the socket took all of it.
    fn send_record(&mut self, scratch: &mut Scratch, piece: &[u8]) -> io::Result<bool> {
        let n = self.encipher(scratch, Text::Data(piece))?;
        let bytes = &scratch.output[..n];
        let sent = loop {
            match self.pipe.send(bytes) {
                Ok(sent) => break sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if sent < n {
            self.waiting = bytes[sent..].to_vec();
        }
        Ok(sent == n)
    }

    /// Enciphers into the scratch, behind what the session has to say by itself; gives the length.
    fn encipher(&mut self, scratch: &mut Scratch, text: Text<'_>) -> io::Result<usize> {
        let mut out = 0;
        let mut held = std::mem::take(&mut self.held);
        let mut used = 0;
        let result = loop {
            let status = self.session.process_tls_records(&mut held[used..]);
            let discard = status.discard;
            match status.state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    used += discard;
                    break seal(&mut traffic, text, &mut scratch.output, out);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    out += encode(&mut data, &mut scratch.output, out);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(_) => break Err(io::ErrorKind::NotConnected.into()),
                Err(_) => {
                    self.fail(scratch, &mut held[used + discard..]);
                    break Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            used += discard;
        };
        held.drain(..used);
        if !held.is_empty() {
            self.held = held;
        }
        result
    }

    /// Says that nothing more comes, and ends our stream.
    fn shutdown(&mut self, scratch: &mut Scratch) {
        self.say_goodbye(scratch);
        self.end = End::Said;
        // Where something waits the end comes behind it.
        let _ = self.flush();
    }

    fn say_goodbye(&mut self, scratch: &mut Scratch) {
        if self.agreed
            && !self.failed
            && self.end == End::Open
            && let Ok(n) = self.encipher(scratch, Text::CloseNotify)
        {
            self.give(&scratch.output[..n]);
        }
    }
}

fn encode(
    data: &mut EncodeTlsData<'_, ServerConnectionData>,
    output: &mut Vec<u8>,
    at: usize,
) -> usize {
    loop {
        match data.encode(&mut output[at..]) {
            Ok(n) => return n,
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                output.resize(at + required_size, 0);
            }
            Err(EncodeError::AlreadyEncoded) => return 0,
        }
    }
}

/// Enciphers behind `at`; gives where that ends.
fn seal(
    traffic: &mut WriteTraffic<'_, ServerConnectionData>,
    text: Text<'_>,
    output: &mut Vec<u8>,
    at: usize,
) -> io::Result<usize> {
    loop {
        let sealed = match text {
            Text::Data(bytes) => traffic.encrypt(bytes, &mut output[at..]),
            Text::CloseNotify => traffic.queue_close_notify(&mut output[at..]),
        };
        match sealed {
            Ok(n) => return Ok(at + n),
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                output.resize(at + required_size, 0);
            }
            Err(EncryptError::EncryptExhausted) => {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
