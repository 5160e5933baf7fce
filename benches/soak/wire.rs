//! What the two processes say to each other over the connections under test: client frames, and
//! the payloads in which everything is numbered. Bytes in, values out; any thread.

/// One frame of a server: opcode, payload, and where it ends in the buffer.
pub struct Frame {
    pub opcode: u8,
    pub start: usize,
    pub end: usize,
}

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The frame at the start of `buf`, `None` while it is not there in full. Servers do not mask.
pub fn frame(buf: &[u8]) -> Option<Frame> {
    let (&first, &second) = (buf.first()?, buf.get(1)?);
    let (start, len) = match second & 0x7f {
        126 => (
            4,
            u64::from(u16::from_be_bytes(buf.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(buf.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = start + len as usize;
    let opcode = first & 0x0f;
    (end <= buf.len()).then_some(Frame { opcode, start, end })
}

/// Appends a client's frame; `first` is its first byte, so that messages can come in fragments.
pub fn push(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    const KEY: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];
    out.push(first);
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => out.push(0x80 | len as u8),
        Ok(len) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    let masked = payload.iter().zip(KEY.iter().cycle());
    out.extend(masked.map(|(byte, key)| byte ^ key));
}

/// The head of an upgrade request.
pub fn head(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// What the host says. Rooms go by number; a place is a room and a number in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A publication: who published, which of its publications it is, and its places.
    Published {
        by: u8,
        nth: u64,
        places: Vec<(u16, u64)>,
    },
    /// You joined behind this place.
    Joined(u16, u64),
    /// You left: everything up to the first number is yours, nothing behind the second is.
    Left(u16, u64, u64),
    /// The nth message for you alone.
    Mail(u64),
    /// The nth message for everybody.
    All(u64),
    /// Your nth message came.
    Echo(u64),
    /// What you asked me to publish got this number; 0 if it was refused.
    Relayed(u16, u64),
    /// So many more publications of that room you jumped over.
    Missed(u16, u64),
    /// Farewell: how much mail you have had, and how far your rooms are.
    Bye { mail: u64, places: Vec<(u16, u64)> },
}

/// The rest of a publication is filled with this byte, which depends on its number.
fn filler(nth: u64) -> u8 {
    nth as u8 | 0x80
}

impl Said {
    /// The bytes, made `size` long with filler where they are shorter.
    pub fn write(&self, size: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size.max(64));
        let mut put = |tag: u8, room: Option<u16>, numbers: &[u64]| {
            out.push(tag);
            out.extend(room.into_iter().flat_map(u16::to_le_bytes));
            out.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        };
        match self {
            Said::Published { by, nth, .. } => put(b'R', Some(u16::from(*by)), &[*nth]),
            Said::Joined(room, base) => put(b'J', Some(*room), &[*base]),
            Said::Left(room, low, high) => put(b'L', Some(*room), &[*low, *high]),
            Said::Mail(nth) => put(b'P', None, &[*nth]),
            Said::All(nth) => put(b'A', None, &[*nth]),
            Said::Echo(nth) => put(b'E', None, &[*nth]),
            Said::Relayed(room, nth) => put(b'X', Some(*room), &[*nth]),
            Said::Missed(room, count) => put(b'G', Some(*room), &[*count]),
            Said::Bye { mail, .. } => put(b'B', None, &[*mail]),
        }
        if let Said::Published { places, .. } | Said::Bye { places, .. } = self {
            out.push(places.len() as u8);
            for (room, nth) in places {
                out.extend_from_slice(&room.to_le_bytes());
                out.extend_from_slice(&nth.to_le_bytes());
            }
        }
        if let Said::Published { nth, .. } = self {
            out.resize(out.len().max(size), filler(*nth));
        }
        out
    }

    /// What these bytes say; `None` when they are not what [`Said::write`] made.
    pub fn read(bytes: &[u8]) -> Option<Said> {
        let mut rest = bytes.get(1..)?;
        let rest = &mut rest;
        let said = match bytes[0] {
            b'R' => {
                let (by, nth) = (u8::try_from(room(rest)?).ok()?, number(rest)?);
                let places = places(rest)?;
                if std::mem::take(rest).iter().any(|&byte| byte != filler(nth)) {
                    return None;
                }
                Said::Published { by, nth, places }
            }
            b'J' => Said::Joined(room(rest)?, number(rest)?),
            b'L' => Said::Left(room(rest)?, number(rest)?, number(rest)?),
            b'P' => Said::Mail(number(rest)?),
            b'A' => Said::All(number(rest)?),
            b'E' => Said::Echo(number(rest)?),
            b'X' => Said::Relayed(room(rest)?, number(rest)?),
            b'G' => Said::Missed(room(rest)?, number(rest)?),
            b'B' => Said::Bye {
                mail: number(rest)?,
                places: places(rest)?,
            },
            _ => return None,
        };
        rest.is_empty().then_some(said)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn room(rest: &mut &[u8]) -> Option<u16> {
    take(rest).map(u16::from_le_bytes)
}

fn places(rest: &mut &[u8]) -> Option<Vec<(u16, u64)>> {
    let [count] = take(rest)?;
    (0..count)
        .map(|_| Some((room(rest)?, number(rest)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let places = vec![(3, 70_000), (4, 1)];
        let publication = Said::Published {
            by: 1,
            nth: 300,
            places: places.clone(),
        };
        let all = [
            publication.clone(),
            Said::Joined(7, 1),
            Said::Left(7, 1, u64::MAX),
            Said::Mail(1),
            Said::All(2),
            Said::Echo(3),
            Said::Relayed(9, 4),
            Said::Missed(9, 5),
            Said::Bye { mail: 6, places },
        ];
        for said in all {
            assert_eq!(Said::read(&said.write(200)), Some(said));
        }
        let mut bytes = publication.write(200);
        assert_eq!(bytes.len(), 200);
        bytes[150] ^= 1;
        assert_eq!(Said::read(&bytes), None);
    }

    #[test]
    fn frames_are_found_when_they_are_whole() {
        for len in [0, 5, 125, 126, 70_000] {
            let mut bytes = Vec::new();
            push(&mut bytes, 0x82, &vec![1; len]);
            let frame = frame(&bytes).expect("it is whole");
            // A client's frame has four bytes of key more, which a server's does not.
            assert_eq!((frame.opcode, frame.end + 4), (2, bytes.len()));
            assert!(super::frame(&bytes[..frame.end - 1]).is_none());
        }
    }
}
