//! WebSocket frames (RFC 6455): what a peer sends, read; the headers of what we send, written.
//! Compressed messages (RFC 7692) are items of their own, which [`inflate`] opens.
//!
//! In come slices of the shard's read buffer, out go items: whole messages, pings, pongs, a close.
//! A frame that lies whole in the buffer is unmasked where it lies and nothing is allocated; what
//! straddles two reads, and every fragmented message, is assembled in a box that exists no longer
//! than that. Text is proven UTF-8, octet by octet as it arrives. Must never know sockets, time,
//! rooms or dialects, nor answer anybody: pongs and closes are the shard's. Runs on the
//! connection's shard thread.

use std::ops::Range;

use tungstenite::protocol::frame::coding::CloseCode;

use deflate::Inflater;
pub(crate) use frame::{
    CONTROL_BYTES_MAX, Opcode, RSV1, close_frame, control, split, write_header,
};
use frame::{Frame, parse_header, unmask};

pub(crate) mod deflate;
mod frame;

/// Nothing is reserved beyond this on the word of a header alone.
const RESERVE_BYTES_MAX: usize = 64 * 1024;

/// What one message may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    /// Payload bytes of a message, all fragments together.
    pub(crate) message_bytes_max: usize,
    /// Frames of a message; 0 counts as 1.
    pub(crate) fragments_max: u32,
}

/// Where the bytes of an item are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// In the buffer that was passed to [`Reader::next`], already unmasked.
    Range(Range<usize>),
    /// In an allocation of their own, since they did not arrive in one piece.
    Owned(Vec<u8>),
}

impl Payload {
    /// The bytes; `buf` is the buffer that was passed to [`Reader::next`].
    pub(crate) fn bytes<'a>(&'a self, buf: &'a [u8]) -> &'a [u8] {
        match self {
            Payload::Range(range) => &buf[range.clone()],
            Payload::Owned(bytes) => bytes,
        }
    }
}

/// What a peer said. Text and the close reason are proven UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Text(Payload),
    Binary(Payload),
    /// A message as the peer compressed it; inflated it may be anything.
    Deflated {
        text: bool,
        payload: Payload,
    },
    Ping(Payload),
    Pong(Payload),
    /// The last thing that a peer says; the code is one that RFC 6455 §7.4 lets it send.
    Close {
        code: Option<u16>,
        reason: Payload,
    },
}

macro_rules! violations {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)+) => {
        /// How a peer broke the protocol or a limit: the closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Violation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Violation {
            /// The code of the close frame that answers it.
            pub(crate) fn close_code(self) -> u16 {
                match self { $(Violation::$name => $code,)+ }
            }

            /// One line for the close frame, the host and the log.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Violation::$name => $text,)+ }
            }
        }
    };
}

violations! {
    /// A reserved bit is set to which no agreed extension gives a meaning there: RSV1 begins a
    /// compressed message where permessage-deflate was agreed on, and stands nowhere else.
    ReservedBits = 1002, "reserved bits are set";
    /// 3 to 7, 11 to 15.
    Opcode = 1002, "unknown opcode";
    /// A peer of a server masks every frame.
    Unmasked = 1002, "frame without a mask";
    /// A length in more bytes than it needs, or with the top bit of 64 set.
    Length = 1002, "malformed frame length";
    /// A ping, pong or close of more than 125 bytes.
    ControlLength = 1002, "control frame longer than 125 bytes";
    /// A ping, pong or close without FIN.
    ControlFragment = 1002, "fragmented control frame";
    /// A continuation and nothing to continue.
    Continuation = 1002, "continuation of no message";
    /// A new message before the end of the last one.
    Interrupted = 1002, "new message inside a fragmented one";
    /// A close payload of one byte.
    CloseLength = 1002, "close frame with half a code";
    /// A code that is not for sending (RFC 6455 §7.4).
    CloseCode = 1002, "close code that may not be sent";
    /// A text message or close reason that is not, or can no longer become, UTF-8.
    Utf8 = 1007, "text that is not UTF-8";
    /// A compressed message that is no deflate data (RFC 7692 §7.2.2).
    Inflate = 1007, "compressed message that does not inflate";
    /// Announced by a header (the bytes need not have come), or found while inflating.
    MessageBytes = 1009, "message larger than message_bytes_max";
    /// One frame too many.
    Fragments = 1009, "more fragments than message_fragments_max";
}

/// The reading end of one connection. Idle it is two words.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// After a violation or a close: whatever follows is not looked at.
    ended: bool,
    /// Reserved bits with a meaning.
    lawful: u8,
    /// Only while a frame or a message is incomplete.
    rest: Option<Box<Rest>>,
}

/// What is kept of a frame or message whose end has not arrived.
#[derive(Debug, Default)]
struct Rest {
    /// The beginning of a header; at most 13 bytes.
    head: [u8; 14],
    head_len: u8,
    /// A frame whose header is complete and whose payload is not.
    frame: Option<Frame>,
    /// The payload so far when `frame` is a control frame; it may come amid a message.
    control: Vec<u8>,
    /// A data message that has begun and not ended.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    text: bool,
    compressed: bool,
    data: Vec<u8>,
    /// `data[..proven]` is UTF-8 and ends between characters; 0 in binary and compressed ones.
    proven: usize,
    fragments: u32,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Reader::default()
    }

    /// permessage-deflate was agreed on: messages may be compressed.
    pub(crate) fn allow_deflate(&mut self) {
        self.lawful = RSV1;
    }

    /// Whether messages may be compressed.
    pub(crate) fn allows_deflate(&self) -> bool {
        self.lawful != 0
    }

    /// What follows is not looked at any more.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.rest = None;
    }

    /// Consumes `buf[*at..]` up to the end of the next item and returns that; `None` when all is
    /// consumed (what is incomplete is kept inside). `buf` must be the same slice until `None`.
    /// After an error or a close all further bytes are swallowed.
    pub(crate) fn next(
        &mut self,
        buf: &mut [u8],
        at: &mut usize,
        limits: &ReadLimits,
    ) -> Result<Option<Item>, Violation> {
        if self.rest.is_none() && !self.ended {
            // The usual frame; whatever is unusual about one is found again, and named, below.
            match parse_header(&buf[*at..], self.lawful) {
                Ok(Some((frame, taken))) if frame.is_message() => {
                    let start = *at + taken;
                    if frame.left <= limits.message_bytes_max.min(buf.len() - start) {
                        *at = start + frame.left;
                        return self.whole(frame, buf, start..*at);
                    }
                }
                _ => {}
            }
        }
        self.unusual(buf, at, limits)
    }

    /// A message in one frame that lies whole in the buffer.
    #[inline]
    fn whole(
        &mut self,
        frame: Frame,
        buf: &mut [u8],
        range: Range<usize>,
    ) -> Result<Option<Item>, Violation> {
        let payload = &mut buf[range.clone()];
        unmask(payload, frame.mask);
        if frame.opcode == Opcode::Binary {
            return Ok(Some(Item::Binary(Payload::Range(range))));
        }
        match simdutf8::basic::from_utf8(payload) {
            Ok(_) => Ok(Some(Item::Text(Payload::Range(range)))),
            Err(_) => {
                self.ended = true;
                Err(Violation::Utf8)
            }
        }
    }

    #[inline(never)]
    fn unusual(
        &mut self,
        buf: &mut [u8],
        at: &mut usize,
        limits: &ReadLimits,
    ) -> Result<Option<Item>, Violation> {
        if self.ended {
            *at = buf.len();
            return Ok(None);
        }
        let step = self.step(buf, at, limits);
        if matches!(step, Err(_) | Ok(Some(Item::Close { .. }))) {
            self.end();
        }
        step
    }

    /// Heap memory held for what is incomplete; 0 when idle.
    pub(crate) fn held_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| {
            let data = rest
                .message
                .as_ref()
                .map_or(0, |message| message.data.capacity());
            size_of::<Rest>() + rest.control.capacity() + data
        })
    }

    fn step(
        &mut self,
        buf: &mut [u8],
        at: &mut usize,
        limits: &ReadLimits,
    ) -> Result<Option<Item>, Violation> {
        while *at < buf.len() {
            let Some(frame) = self.take_frame(buf, at, limits)? else {
                return Ok(None);
            };
            let item = match frame.opcode.is_control() {
                true => self.control(frame, buf, at)?,
                false => self.data(frame, buf, at)?,
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// The frame that the byte at `at` belongs to, its header consumed; `None` when the header is
    /// not complete.
    fn take_frame(
        &mut self,
        buf: &[u8],
        at: &mut usize,
        limits: &ReadLimits,
    ) -> Result<Option<Frame>, Violation> {
        let Some(rest) = &mut self.rest else {
            let Some((frame, taken)) = parse_header(&buf[*at..], self.lawful)? else {
                self.keep_head(buf, at);
                return Ok(None);
            };
            admit(&frame, None, limits)?;
            *at += taken;
            return Ok(Some(frame));
        };
        if let Some(frame) = rest.frame.take() {
            return Ok(Some(frame));
        }
        let kept = usize::from(rest.head_len);
        let mut head = rest.head;
        let more = (head.len() - kept).min(buf.len() - *at);
        head[kept..kept + more].copy_from_slice(&buf[*at..*at + more]);
        let Some((frame, taken)) = parse_header(&head[..kept + more], self.lawful)? else {
            self.keep_head(buf, at);
            return Ok(None);
        };
        admit(&frame, rest.message.as_mut(), limits)?;
        rest.head_len = 0;
        // Bytes that did not complete a header are all inside the header.
        *at += taken - kept;
        Ok(Some(frame))
    }

    /// Puts the rest of `buf`, the beginning of a header, aside.
    fn keep_head(&mut self, buf: &[u8], at: &mut usize) {
        let rest = self.rest.get_or_insert_default();
        for &byte in &buf[*at..] {
            rest.head[usize::from(rest.head_len)] = byte;
            rest.head_len += 1;
        }
        *at = buf.len();
    }

    fn control(
        &mut self,
        mut frame: Frame,
        buf: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Item>, Violation> {
        let arrived = take_payload(&mut frame, buf, at);
        let kept = self.rest.as_ref().map_or(0, |rest| rest.control.len());
        if kept == 0 && frame.left == 0 {
            self.settle();
            return control_item(frame.opcode, Payload::Range(arrived), buf).map(Some);
        }
        let rest = self.rest.get_or_insert_default();
        rest.control.extend_from_slice(&buf[arrived]);
        if frame.left > 0 {
            rest.frame = Some(frame);
            return Ok(None);
        }
        let payload = std::mem::take(&mut rest.control);
        self.settle();
        control_item(frame.opcode, Payload::Owned(payload), buf).map(Some)
    }

    fn data(
        &mut self,
        mut frame: Frame,
        buf: &mut [u8],
        at: &mut usize,
    ) -> Result<Option<Item>, Violation> {
        let announced = frame.left;
        let arrived = take_payload(&mut frame, buf, at);
        let begun = self
            .rest
            .as_ref()
            .is_some_and(|rest| rest.message.is_some());
        if !begun && frame.fin && frame.left == 0 {
            self.settle();
            let text = frame.opcode == Opcode::Text;
            let payload = Payload::Range(arrived.clone());
            if frame.compressed {
                return Ok(Some(Item::Deflated { text, payload }));
            }
            if text && simdutf8::basic::from_utf8(&buf[arrived.clone()]).is_err() {
                return Err(Violation::Utf8);
            }
            return Ok(Some(data_item(text, payload)));
        }
        let rest = self.rest.get_or_insert_default();
        let message = rest.message.get_or_insert_with(|| Message::new(&frame));
        message.append(&buf[arrived], announced, frame.fin)?;
        if frame.left > 0 {
            rest.frame = Some(frame);
            return Ok(None);
        }
        if !frame.fin {
            return Ok(None);
        }
        let message = rest.message.take().expect("it was put there above");
        self.settle();
        message.finish().map(Some)
    }

    /// Gives the box back when nothing is left in it.
    fn settle(&mut self) {
        if self
            .rest
            .as_ref()
            .is_some_and(|rest| rest.message.is_none())
        {
            debug_assert!(self.rest.as_ref().is_some_and(|rest| {
                rest.head_len == 0 && rest.frame.is_none() && rest.control.is_empty()
            }));
            self.rest = None;
        }
    }
}

impl Message {
    fn new(first: &Frame) -> Self {
        Message {
            text: first.opcode == Opcode::Text,
            compressed: first.compressed,
            data: Vec::new(),
            proven: 0,
            fragments: 1,
        }
    }

    /// Adds the next octets; `announced` is how many the frame they belong to still had coming,
    /// these included, and `last` says that no frame follows it. Fails as soon as no octet that
    /// may follow could make it UTF-8.
    fn append(&mut self, octets: &[u8], announced: usize, last: bool) -> Result<(), Violation> {
        let len = self.data.len();
        if self.data.capacity() - len < octets.len() {
            // Doubles what has arrived, so that a header alone buys a peer little memory. Only the
            // last frame may be given no more than it can fill: an exact fit for each of many
            // small fragments would move the whole message as often.
            let room = len.max(RESERVE_BYTES_MAX).min(announced).max(octets.len());
            match last {
                true => self.data.reserve_exact(room),
                false => self.data.reserve(room),
            }
        }
        self.data.extend_from_slice(octets);
        if self.text && !self.compressed {
            let fresh = &self.data[self.proven..];
            self.proven += match simdutf8::compat::from_utf8(fresh) {
                Ok(_) => fresh.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err(Violation::Utf8),
            };
        }
        Ok(())
    }

    fn finish(self) -> Result<Item, Violation> {
        let (text, payload) = (self.text, Payload::Owned(self.data));
        if self.compressed {
            return Ok(Item::Deflated { text, payload });
        }
        match text && self.proven < payload.bytes(&[]).len() {
            true => Err(Violation::Utf8),
            false => Ok(data_item(text, payload)),
        }
    }
}

/// Checks what a header can break given what came before it; counts a message's fragments.
fn admit(
    frame: &Frame,
    message: Option<&mut Message>,
    limits: &ReadLimits,
) -> Result<(), Violation> {
    let begins = matches!(frame.opcode, Opcode::Text | Opcode::Binary);
    if frame.compressed && !begins {
        return Err(Violation::ReservedBits);
    }
    if frame.opcode.is_control() {
        return match frame {
            Frame { fin: false, .. } => Err(Violation::ControlFragment),
            Frame { left, .. } if *left > CONTROL_BYTES_MAX => Err(Violation::ControlLength),
            _ => Ok(()),
        };
    }
    let compressed = match &message {
        Some(message) => message.compressed,
        None => frame.compressed,
    };
    let before = match (frame.opcode, message) {
        (Opcode::Continue, None) => return Err(Violation::Continuation),
        (Opcode::Continue, Some(message)) => {
            if message.fragments >= limits.fragments_max {
                return Err(Violation::Fragments);
            }
            message.fragments += 1;
            message.data.len()
        }
        (_, Some(_)) => return Err(Violation::Interrupted),
        (_, None) => 0,
    };
    let most = match compressed {
        // Data that cannot be compressed grows by that; what it inflates to is limited for itself.
        true => {
            let more = limits.message_bytes_max / 8 + 64;
            limits.message_bytes_max.saturating_add(more)
        }
        false => limits.message_bytes_max,
    };
    match frame.left > most.saturating_sub(before) {
        true => Err(Violation::MessageBytes),
        false => Ok(()),
    }
}

/// The message that a peer has compressed.
pub(crate) fn inflate(
    inflater: &mut Inflater,
    text: bool,
    compressed: &[u8],
    limits: &ReadLimits,
) -> Result<Item, Violation> {
    let payload = inflater.inflate(compressed, limits.message_bytes_max)?;
    match text && simdutf8::basic::from_utf8(&payload).is_err() {
        true => Err(Violation::Utf8),
        false => Ok(data_item(text, Payload::Owned(payload))),
    }
}

/// Unmasks and consumes what is there of a frame's payload.
fn take_payload(frame: &mut Frame, buf: &mut [u8], at: &mut usize) -> Range<usize> {
    let arrived = *at..*at + frame.left.min(buf.len() - *at);
    unmask(&mut buf[arrived.clone()], frame.mask);
    frame.mask.rotate_left(arrived.len() % 4);
    frame.left -= arrived.len();
    *at = arrived.end;
    arrived
}

fn data_item(text: bool, payload: Payload) -> Item {
    match text {
        true => Item::Text(payload),
        false => Item::Binary(payload),
    }
}

fn control_item(opcode: Opcode, payload: Payload, buf: &[u8]) -> Result<Item, Violation> {
    match opcode {
        Opcode::Ping => Ok(Item::Ping(payload)),
        Opcode::Pong => Ok(Item::Pong(payload)),
        _ => close_item(payload, buf),
    }
}

fn close_item(mut payload: Payload, buf: &[u8]) -> Result<Item, Violation> {
    let code = match payload.bytes(buf) {
        [] => {
            return Ok(Item::Close {
                code: None,
                reason: payload,
            });
        }
        [_] => return Err(Violation::CloseLength),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if simdutf8::basic::from_utf8(reason).is_err() {
                return Err(Violation::Utf8);
            }
            if !peer_may_send(code) {
                return Err(Violation::CloseCode);
            }
            code
        }
    };
    match &mut payload {
        Payload::Range(range) => range.start += 2,
        Payload::Owned(bytes) => drop(bytes.drain(..2)),
    }
    Ok(Item::Close {
        code: Some(code),
        reason: payload,
    })
}

/// 1014 (bad gateway) was registered after the RFC and tungstenite does not know it.
fn peer_may_send(code: u16) -> bool {
    code == 1014 || CloseCode::from(code).is_allowed()
}

#[cfg(any(test, feature = "internal-testing"))]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;
