//! The hostile loads: what each peer says, how many there are, and the figure that counts them.
//!
//! In: how long a run lasts. Out: the list. A new load is one more entry: words, and limits of the
//! server that are not the defaults.

use std::time::Duration;

use crate::honest::upgrade;

/// What a peer does when all is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Says the body again.
    Again,
    /// Is silent until it is cut.
    Wait,
    /// Goes.
    Part,
    /// Goes as soon as anything was answered.
    PartWhenAnswered,
}

pub struct Load {
    pub name: &'static str,
    pub what: &'static str,
    /// Peers at once, and in all.
    pub peers: usize,
    pub peers_max: usize,
    pub hello: Vec<u8>,
    pub body: Vec<u8>,
    pub then: Then,
    /// One octet at a time, this far apart.
    pub drips: Option<Duration>,
    pub reads: bool,
    /// Limits of the server, by name.
    pub limits: Vec<(&'static str, u64)>,
    /// The figure that counts it; `-` where there is none yet.
    pub figure: &'static str,
}

impl Load {
    fn new(name: &'static str, what: &'static str, peers: usize, figure: &'static str) -> Load {
        Load {
            name,
            what,
            peers,
            peers_max: 100_000,
            hello: Vec::new(),
            body: Vec::new(),
            then: Then::Wait,
            drips: None,
            reads: false,
            limits: Vec::new(),
            figure,
        }
    }

    /// A load of members who say a body again and again and read nothing.
    fn flood(
        name: &'static str,
        what: &'static str,
        peers: usize,
        figure: &'static str,
        body: Vec<u8>,
    ) -> Load {
        Load {
            hello: upgrade("hostile"),
            body,
            then: Then::Again,
            ..Load::new(name, what, peers, figure)
        }
    }

    pub fn says_nothing(&self) -> bool {
        self.hello.is_empty() && self.body.is_empty()
    }

    /// Whether there is an end to what it says.
    pub fn is_said_once(&self) -> bool {
        self.then != Then::Again
    }
}

/// A client frame, masked by zeroes.
fn frame(first: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match data.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(data);
    out
}

fn said(texts: impl Iterator<Item = String>) -> Vec<u8> {
    texts
        .flat_map(|text| frame(0x81, text.as_bytes()))
        .collect()
}

/// Octets of all values, from a fixed seed.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..n).map(|_| next()).collect()
}

/// All loads; those that wait for a timeout meet it several times in a run of this length.
pub fn all(run: Duration) -> Vec<Load> {
    let timeout_ms = (run.as_millis() as u64 / 4).max(100);
    let mut loads = on_the_way_in(timeout_ms);
    loads.extend(in_frames());
    loads.extend(compressed());
    loads.extend(through_the_host());
    loads.extend(of_silence(timeout_ms));
    loads
}

fn on_the_way_in(timeout_ms: u64) -> Vec<Load> {
    let in_time = vec![("handshake_timeout_ms", timeout_ms)];
    let mut headers = b"GET / HTTP/1.1\r\nHost: bench\r\n".to_vec();
    headers.extend(
        format!("X-Long: {}\r\n", "v".repeat(200))
            .repeat(5_000)
            .bytes(),
    );
    let mut behind = upgrade("");
    behind.push(0xff);
    behind.extend(noise(256 * 1024));
    let mut long = b"GET / HTTP/1.1\r\nX-Long: ".to_vec();
    long.extend([b'v'; 20 * 1024]);
    vec![
        Load {
            hello: upgrade(""),
            drips: Some(Duration::from_secs(1)),
            limits: in_time.clone(),
            ..Load::new(
                "drip",
                "heads, an octet a second",
                1_000,
                "rejected_head_timeout",
            )
        },
        Load {
            hello: long,
            drips: Some(Duration::ZERO),
            ..Load::new(
                "trickle",
                "long heads, octet by octet, fast",
                2,
                "rejected_head_size",
            )
        },
        Load {
            hello: headers,
            ..Load::new("headers", "1 MiB of headers", 20, "rejected_head_size")
        },
        Load {
            limits: in_time,
            peers_max: 20_000,
            ..Load::new(
                "half-open",
                "nothing is said",
                10_000,
                "rejected_head_timeout",
            )
        },
        Load {
            hello: upgrade(""),
            then: Then::PartWhenAnswered,
            reads: true,
            ..Load::new("comers", "handshakes, gone when answered", 64, "opened")
        },
        Load {
            hello: upgrade(""),
            then: Then::PartWhenAnswered,
            reads: true,
            limits: vec![("accept_rate_max", 2_000)],
            ..Load::new("paced", "the same, beyond a rate", 64, "accept_paced")
        },
        Load {
            hello: upgrade(""),
            then: Then::PartWhenAnswered,
            reads: true,
            limits: vec![("address_connections_max", 10)],
            ..Load::new(
                "address",
                "the same from one address, refused",
                64,
                "rejected_address",
            )
        },
        Load {
            hello: noise(64 * 1024),
            ..Load::new(
                "noise",
                "garbage instead of a handshake",
                16,
                "rejected_invalid",
            )
        },
        Load {
            hello: behind,
            ..Load::new("noise-behind", "garbage behind one", 16, "closed.protocol")
        },
    ]
}

fn in_frames() -> Vec<Load> {
    let fragments = |n: usize| {
        let mut all = frame(0x02, b"x");
        all.extend(frame(0x00, b"x").repeat(n - 2));
        all.extend(frame(0x80, b"x"));
        all
    };
    let (million, taken) = (fragments(1_000_000), fragments(1_000_000));
    let many = "messages of a million fragments";
    let pings = |data: &[u8]| frame(0x89, data).repeat(2_000);
    vec![
        Load::flood("fragments", many, 4, "closed.protocol", million),
        Load {
            limits: vec![("message_fragments_max", 2_000_000)],
            ..Load::flood(
                "fragments-taken",
                "the same, no limit",
                4,
                "messages_in",
                taken,
            )
        },
        Load::flood(
            "pings",
            "empty pings, answers unread",
            8,
            "bytes_in",
            pings(b""),
        ),
        Load::flood(
            "pings-125",
            "large pings, unread",
            8,
            "bytes_in",
            pings(&[b'p'; 125]),
        ),
    ]
}

/// The hello of a member who may compress.
fn deflating() -> Vec<u8> {
    let mut hello = upgrade("hostile");
    hello.truncate(hello.len() - 2);
    hello.extend(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    hello
}

/// A compressed text message of so many letters, all the same.
fn bomb(letters: usize) -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut out = Vec::with_capacity(letters / 500 + 1_024);
    let text = vec![b'x'; letters];
    let flush = flate2::FlushCompress::Sync;
    let done = deflate.compress_vec(&text, &mut out, flush);
    done.expect("there is space for it");
    // Without the empty block at its end (RFC 7692 §7.2.1).
    frame(0xc1, &out[..out.len() - 4])
}

fn compressed() -> Vec<Load> {
    let on = vec![("deflate_level", 1)];
    vec![
        Load {
            hello: deflating(),
            limits: on.clone(),
            ..Load::flood(
                "bomb",
                "8 MiB in 8 KiB",
                8,
                "closed.protocol",
                bomb(8 << 20),
            )
        },
        Load {
            hello: deflating(),
            limits: on.clone(),
            ..Load::flood(
                "bomb-taken",
                "1 MB in 1 KiB, taken",
                8,
                "messages_in",
                bomb(1_000_000),
            )
        },
        Load {
            hello: deflating(),
            limits: on,
            ..Load::flood(
                "compressed-control",
                "pings with RSV1",
                8,
                "closed.protocol",
                frame(0xc9, b"ping"),
            )
        },
    ]
}

fn through_the_host() -> Vec<Load> {
    let names = said((0..100_000).map(|n| format!("+room {n}")));
    let joins = said(["+a", "-a"].map(String::from).into_iter()).repeat(1_000);
    let talk = said((0..1_000).map(|n| format!("m {n}")));
    vec![
        Load::flood("joins", "joins and leaves", 8, "leaves", joins),
        Load::flood("names", "joins of ever new rooms", 8, "joins", names),
        Load::flood(
            "messages",
            "messages of 7 octets",
            8,
            "messages_in",
            talk.clone(),
        ),
        Load::flood(
            "message-one",
            "the same from one peer",
            1,
            "messages_in",
            talk.clone(),
        ),
        Load::flood(
            "message-crowd",
            "the same from a hundred",
            100,
            "messages_in",
            talk.clone(),
        ),
        Load {
            limits: vec![("message_rate_max", 1_000)],
            ..Load::flood(
                "rated",
                "the same, beyond a rate",
                8,
                "messages_refused",
                talk,
            )
        },
    ]
}

fn of_silence(timeout_ms: u64) -> Vec<Load> {
    let loud = frame(0x82, &[b's'; 4_096]).repeat(16);
    vec![
        Load {
            hello: upgrade("hostile"),
            limits: vec![
                ("ping_interval_ms", timeout_ms),
                ("ping_timeout_ms", timeout_ms),
            ],
            ..Load::new(
                "vanish",
                "members who answer no ping",
                1_000,
                "closed.ping_timeout",
            )
        },
        Load::flood(
            "stalled",
            "a room of which nobody reads",
            20,
            "too_slow",
            loud,
        ),
    ]
}
