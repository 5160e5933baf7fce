//! TLS, and proxies in front: who ends the encryption, and whose address a connection has.
//!
//! # TLS by the engine itself
//!
//! A listener with [`ListenOptions::tls`] speaks TLS 1.2 and 1.3 (feature `tls`; rustls with
//! aws-lc), with the certificates of [`Config::tls`]. Only suites with forward secrecy are offered,
//! and the key exchanges of current browsers, the one against later quantum computers among them.
//! There is no renegotiation, no compression, no client certificate, and ALPN names `http/1.1`.
//!
//! ```
//! # #[cfg(feature = "tls")] {
//! use roomcast::{Config, Engine, Handler, ListenOptions, Tls, TlsError};
//!
//! fn config() -> Result<Config, TlsError> {
//!     let tls = Tls::new()
//!         .files("/etc/ssl/chat.example/fullchain.pem", "/etc/ssl/chat.example/key.pem")?
//!         .files("/etc/ssl/other.example/fullchain.pem", "/etc/ssl/other.example/key.pem")?;
//!     Ok(Config::new()
//!         .tls(tls)
//!         .listen_with("[::]:443", ListenOptions::new().tls(true)))
//! }
//!
//! let error = config().unwrap_err();
//! assert!(error.to_string().contains("/etc/ssl/chat.example/fullchain.pem"), "{error}");
//! # }
//! ```
//!
//! Of several certificates a peer is shown the one that has the name it asks for (SNI); the first
//! is for all others. Let keys be ECDSA P-256: a handshake with RSA costs several times as much.
//!
//! When a certificate is renewed, read it again and call
//! [`Handle::reload_tls`](crate::Handle::reload_tls). New handshakes are served with the new one
//! from then on, and nobody is dropped.
//!
//! What it costs: a few kilobytes for each connection (`tls_bytes` says how much), some nanoseconds
//! for each frame, since all that leaves for a peer in one write is enciphered in one piece, and
//! the handshake, which costs as much as thousands of frames. A turn spends no more than
//! [`tls_budget_us`] on handshakes, so that a flood of them holds nobody up; the others wait, and
//! `tls_put_off` counts them. Peers that come back resume their session by a ticket, at a fraction
//! of the cost.
//!
//! What is not TLS on such a listener is ended with an alert, and counted (`tls_failed`).
//!
//! # A proxy in front
//!
//! A proxy that ends TLS connects to the engine itself, so the other end of each connection is the
//! proxy. Whose connection it is, the proxy says in a header; anybody else could write that too. So
//! name the proxies whose word counts: [`Config::trusted_proxies`]. From all others the header is
//! ignored.
//!
//! ```
//! use roomcast::{Config, ForwardedHeader, ListenOptions};
//!
//! // nginx on this machine, over a unix socket that its group may use.
//! let behind_nginx = Config::new()
//!     .listen_unix_with("/run/chat.sock", ListenOptions::new().unix_mode(0o660))
//!     .trusted_proxies(["unix"]);
//!
//! // A load balancer of layer 4, which passes TLS through and tells addresses by PROXY headers.
//! let behind_balancer = Config::new()
//!     .listen_with("10.0.0.5:8443", ListenOptions::new().proxy_protocol(true))
//!     .trusted_proxies(["10.0.0.0/24"]);
//!
//! // A proxy that speaks RFC 7239.
//! let modern = Config::new()
//!     .listen("127.0.0.1:8080")
//!     .trusted_proxies(["127.0.0.1", "::1"])
//!     .forwarded_header(ForwardedHeader::Forwarded);
//! # for config in [behind_nginx, behind_balancer, modern] {
//! #     assert!(config.check().is_ok());
//! # }
//! ```
//!
//! | | the other end | the peer |
//! |---|---|---|
//! | directly | [`Request::peer`] | the same |
//! | `X-Forwarded-For`, `Forwarded` | the proxy | the nearest address there that is not trusted |
//! | PROXY header | what the header says | the same, or further by a forwarded header |
//!
//! [`Request::peer_ip`] is the last column, and what [`address_connections_max`] and
//! [`token_failures_max`] count by. Use it for logs and bans, and nothing else to decide who
//! somebody is.
//!
//! - Exactly one header is believed. A proxy that sets one passes the others on as a peer wrote
//!   them.
//! - The list in the header is read from its end, where the proxy nearest to us wrote. It ends at
//!   the first address that is not trusted, so what a peer put in front of it says nothing.
//! - With [`proxy_protocol`](crate::ListenOptions::proxy_protocol) every connection of the listener
//!   must begin with such a header, of version 1 or 2, and come from a trusted proxy. All others
//!   are dropped, and counted (`rejected_proxy`). TLS, if the listener speaks it, begins behind it.
//!
//! # What the proxy has to do
//!
//! Pass on `Upgrade`, `Connection` and `Host`, let idle connections live longer than
//! [`ping_interval_ms`], and set the header itself:
//!
//! ```text
//! location /ws/ {
//!     proxy_pass http://unix:/run/chat.sock;
//!     proxy_http_version 1.1;
//!     proxy_set_header Upgrade $http_upgrade;
//!     proxy_set_header Connection "upgrade";
//!     proxy_set_header Host $http_host;
//!     proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
//!     proxy_read_timeout 60s;
//! }
//! ```
//!
//! `Host` matters for [`Config::origins`](crate::Config::origins), which by default lets in pages
//! of the same host only. A proxy opens a connection of its own for each peer: on TCP it has 28,000
//! ports for one address of the engine's, on a unix socket no such limit. The proxy buffers too, so
//! a slow peer shows later here.
//!
//! [`ListenOptions::tls`]: crate::ListenOptions
//! [`Config::tls`]: crate::Config
//! [`Config::trusted_proxies`]: crate::Config::trusted_proxies
//! [`Request::peer`]: crate::Request::peer
//! [`Request::peer_ip`]: crate::Request::peer_ip
//! [`tls_budget_us`]: crate::Config::tls_budget_us
//! [`address_connections_max`]: crate::Config::address_connections_max
//! [`token_failures_max`]: crate::Config::token_failures_max
//! [`ping_interval_ms`]: crate::Config::ping_interval_ms
