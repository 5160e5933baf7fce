//! Hosting beside another HTTP server: one port for your application's routes and its rooms.
//!
//! An engine needs no listener of its own. A host that has an HTTP server gives it single sockets,
//! through one of two doors.
//!
//! # The server keeps the request: `upgrade`
//!
//! Most HTTP servers read the request themselves and can hand over the socket after a 101. Give the
//! request's parts to [`Engine::upgrade`](crate::Engine::upgrade). It checks that this is a
//! WebSocket from an allowed origin, and makes the response. Let your server send that. Then give
//! the socket to [`Upgrade::adopt`](crate::Upgrade::adopt), with the bytes that your server has
//! read beyond the head.
//!
//! Your server has decided by then who may come in, so there is no connecting event, and no
//! verdict: user, rooms, data and subprotocol are said with
//! [`Upgrade::accept`](crate::Upgrade::accept). The connection is in its rooms once its shard has
//! taken it over, which `opened` tells.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use roomcast::{Accept, Config, Engine, Event};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (engine, events) = Engine::start_with_events(Config::new().shards(1))?;
//!
//! // Your server: here one that serves one request.
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let client = std::thread::spawn(move || {
//!     let socket = TcpStream::connect(address).unwrap();
//!     let (mut peer, _) = tungstenite::client(format!("ws://{address}/ws"), socket).unwrap();
//!     peer.read().unwrap().to_text().unwrap().to_owned()
//! });
//! let (mut socket, _) = listener.accept()?;
//! let parts = read_head(&mut socket)?;
//!
//! let upgrade = engine.upgrade(&parts)?.accept(Accept::new().user("ada").room("lobby"));
//! write!(socket, "HTTP/1.1 101 Switching Protocols\r\n")?;
//! for (name, value) in upgrade.response().headers() {
//!     write!(socket, "{name}: {}\r\n", value.to_str()?)?;
//! }
//! write!(socket, "\r\n")?;
//! upgrade.adopt(socket, b"")?;
//!
//! let Some(Event::Opened { peer }) = events.recv() else { panic!("it opens first") };
//! assert_eq!(peer.user(), Some("ada"));
//! engine.send(peer.id(), "welcome")?;
//! assert_eq!(client.join().unwrap(), "welcome");
//! # Ok(())
//! # }
//! #
//! # fn read_head(
//! #     socket: &mut TcpStream,
//! # ) -> Result<http::request::Parts, Box<dyn std::error::Error>> {
//! #     let mut head = Vec::new();
//! #     while !head.ends_with(b"\r\n\r\n") {
//! #         let mut byte = [0];
//! #         socket.read_exact(&mut byte)?;
//! #         head.extend_from_slice(&byte);
//! #     }
//! #     let head = String::from_utf8(head)?;
//! #     let mut lines = head.lines();
//! #     let path = lines.next().and_then(|l| l.split(' ').nth(1)).unwrap_or("/");
//! #     let mut request = http::Request::builder().uri(path);
//! #     for (name, value) in lines.filter_map(|l| l.split_once(": ")) {
//! #         request = request.header(name, value);
//! #     }
//! #     Ok(request.body(())?.into_parts().0)
//! # }
//! ```
//!
//! In an asynchronous server the response leaves later, in another task. There
//! [`Upgrade::detach`](crate::Upgrade::detach) gives a value without a borrow. The example
//! `core/examples/axum` does all of this in an axum application.
//!
//! A request that is no WebSocket, or comes from a foreign page, is
//! [`AdoptError::NotUpgrade`](crate::AdoptError::NotUpgrade), with the status and the text to
//! answer it with.
//!
//! # The server gives the socket away: `adopt`
//!
//! A host that accepts sockets and looks at the first bytes, no more, gives socket and bytes to
//! [`Engine::adopt`](crate::Engine::adopt). The engine reads the head, and from there on it is as
//! if the connection had come through a listener: connecting event, verdict, pages, health path.
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//! use roomcast::{Config, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(Config::new().shards(1), ())?;
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let client = std::thread::spawn(move || {
//!     let socket = TcpStream::connect(address).unwrap();
//!     tungstenite::client(format!("ws://{address}/"), socket).unwrap().1.status().as_u16()
//! });
//! let (socket, _) = listener.accept()?;
//! engine.adopt(socket, b"")?; // Nothing was read of it.
//! assert_eq!(client.join().unwrap(), 101);
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//!
//! - Adopted are TCP and unix stream sockets. They become non-blocking, and get the settings that a
//!   listener of the engine gives to its own.
//! - A socket that your server speaks TLS on cannot be adopted. Let a proxy end it, or give the
//!   engine a [listener of its own](super::tls_and_proxies) for it.
//! - [`Config::auth`](crate::Config::auth) holds for both doors; a token that is to come in the
//!   first message is possible through `adopt` only.
//! - [`Config::origins`](crate::Config::origins) is checked on both doors. Behind a proxy, `Host`
//!   has to be passed on as the browser sent it, or the origin has to be listed.
//! - A refused or failed adoption drops the socket, and so closes it.
//! - Without another server, [`Config::pages`](crate::Config::pages) serves a page or two from
//!   memory on the engine's own port. It is no web server: each request has a connection of its
//!   own.
