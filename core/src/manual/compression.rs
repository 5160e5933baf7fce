//! Compression: permessage-deflate (RFC 7692), once for a whole room.
//!
//! It is off until you set a level. Then it is agreed on with each peer that offers it, as browsers
//! do, and nothing else changes: the host publishes and is told plain messages.
//!
//! ```
//! use roomcast::Config;
//!
//! let config = Config::new().deflate_level(1).deflate_bytes_min(512);
//! config.check()?;
//! # Ok::<(), roomcast::ConfigError>(())
//! ```
//!
//! # What is sent
//!
//! A publication is compressed once, by the first shard that has a member who agreed, and shared by
//! all such members on all shards. So the cost is that of one message, however large the room: some
//! 6 us for 1 KiB of JSON at level 1, some 16 us at level 6, which makes it a fifth smaller still.
//! Other members of the room are sent the plain frame. Messages to single connections are
//! compressed too.
//!
//! What is shorter than [`deflate_bytes_min`](crate::Config::deflate_bytes_min), or does not become
//! smaller, goes as it is. So there is no need to sort out what is compressed already.
//!
//! # Where it is not worth it
//!
//! A room or a listener may be left out: [`RoomOptions::deflate`](crate::RoomOptions::deflate) for
//! rooms whose publications are dense, [`ListenOptions::deflate`](crate::ListenOptions::deflate)
//! for peers on a fast network of your own.
//!
//! ```
//! use roomcast::{Config, ListenOptions, RoomOptions};
//!
//! let config = Config::new()
//!     .deflate_level(1)
//!     .listen("127.0.0.1:0")
//!     .listen_with("127.0.0.1:0", ListenOptions::new().deflate(false))
//!     .room_options("images:", RoomOptions::new().deflate(false));
//! # assert!(config.check().is_ok());
//! ```
//!
//! A room whose publications turn out not to shrink by a tenth is switched off by itself: the next
//! thousand go as they are, then a few are tried again. The figures `deflate_switched_off` and
//! `deflate_passed` count that; `deflate_ns` says how long compressing took, to be held against the
//! bytes that it saved.
//!
//! # What is agreed on
//!
//! Each message is compressed by itself (`server_no_context_takeover` and
//! `client_no_context_takeover` are in every answer). That makes messages larger than a shared
//! context would, by a third or so for short JSON. In return one frame serves all members, and a
//! connection needs no memory for it: a window for each would be 300 KiB for what we send and
//! 40 KiB for what we read.
//!
//! A peer may ask for a window of 15 bits, the usual one, or fewer (`server_max_window_bits`). For
//! fewer it is sent messages compressed with a window of 9 bits, 512 bytes. So a room is compressed
//! twice at most. 8 bits are declined, since zlib cannot keep to that. `client_max_window_bits` may
//! be offered and changes nothing. Offers that cannot be kept are passed over, and the WebSocket
//! opens without compression if none is left.
//!
//! With an HTTP server of your own ([`Engine::upgrade`](crate::Engine::upgrade)) the answer is one
//! of the header fields of the response: send all of them.
//!
//! # What peers send
//!
//! [`message_bytes_max`](crate::Config::message_bytes_max) holds for a message before and after
//! inflating. One that would become larger is given up as soon as that shows, and the connection is
//! closed with 1009; what does not inflate at all, with 1007.
//!
//! A kilobyte on the wire may stand for a megabyte. So a turn inflates 256 KiB at most, and one
//! message more; of one connection it is 64 KiB. What was read beyond that waits for the next turn
//! (the figure `intake_paused`), and so do others who may compress. Those who may not are read in
//! this one.
//!
//! # What it costs
//!
//! Each shard that compresses keeps one compressor for each window and one inflater, half a
//! megabyte in all. Nothing is kept for a connection. The figures `deflated`, `deflate_bytes_in`
//! and `deflate_bytes_out` say how many messages were compressed and what became of them;
//! `inflated`, `inflate_bytes_in` and `inflate_bytes_out` say the same of what peers sent.
//!
//! Compressing tells whoever can see the lengths of messages something about their contents. Do not
//! put a secret and what a stranger may choose into one message.
