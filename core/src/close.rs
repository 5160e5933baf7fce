//! Why a connection ended: one closed list, told to the host, counted by name.
//!
//! Rank 0: plain values. `transport` and `shard` decide the reason; nobody else turns errors into
//! close codes.

use std::fmt;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent a close frame (RFC 6455 §7.1.5); 1005 when it carried no code.
    Peer {
        /// The peer's code.
        code: u16,
        /// The peer's text.
        text: String,
    },
    /// The host closed it.
    Host {
        /// The code that the host gave.
        code: u16,
    },
    /// The engine stopped (1001).
    Stopping,
    /// The peer went without a close frame (end of file, reset).
    Vanished,
    /// The peer broke RFC 6455; the code was sent to it.
    Protocol {
        /// 1002, 1007 or 1009.
        code: u16,
        /// Which rule, in words.
        text: &'static str,
    },
    /// Too slow for its rooms or its own messages (4008).
    TooSlow,
    /// Beyond a limit that the host has set for its peers (1008): `message_rate_max`, under
    /// [`MessageRatePolicy::Close`](crate::MessageRatePolicy::Close).
    Limit {
        /// The limit's name.
        name: &'static str,
    },
    /// Its token expired and it brought no new one (4003).
    TokenExpired,
    /// It, its token or its user was revoked (4004).
    Revoked,
    /// Its first message was no valid token (4401), where the token was to come so.
    Unauthorized,
    /// No sign of life after a ping (`ping_timeout_ms`).
    PingTimeout,
    /// No message for `idle_timeout_ms` (4001).
    IdleTimeout,
    /// The head did not arrive within `handshake_timeout_ms` (408, or no answer to a peer that said
    /// nothing), or the host gave no verdict within `verdict_timeout_ms` (503).
    HandshakeTimeout,
    /// Ended as an HTTP request: a page, or a refusal with this status.
    Http {
        /// The status that was answered.
        status: u16,
    },
}

/// Names of all reasons, as metrics and logs show them, in the order of [`CloseReason::index`].
pub(crate) const NAMES: [&str; 14] = [
    "peer",
    "host",
    "stopping",
    "vanished",
    "protocol",
    "too_slow",
    "ping_timeout",
    "idle_timeout",
    "handshake_timeout",
    "http",
    "limit",
    "token_expired",
    "revoked",
    "unauthorized",
];

impl CloseReason {
    pub(crate) fn index(&self) -> usize {
        match self {
            CloseReason::Peer { .. } => 0,
            CloseReason::Host { .. } => 1,
            CloseReason::Stopping => 2,
            CloseReason::Vanished => 3,
            CloseReason::Protocol { .. } => 4,
            CloseReason::TooSlow => 5,
            CloseReason::PingTimeout => 6,
            CloseReason::IdleTimeout => 7,
            CloseReason::HandshakeTimeout => 8,
            CloseReason::Http { .. } => 9,
            CloseReason::Limit { .. } => 10,
            CloseReason::TokenExpired => 11,
            CloseReason::Revoked => 12,
            CloseReason::Unauthorized => 13,
        }
    }

    /// The stable name: `peer`, `host`, `too_slow`, ...
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES[self.index()]
    }

    /// The WebSocket close code that the reason stands for; 1006 where no close frame passed.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            CloseReason::Peer { code, .. }
            | CloseReason::Host { code }
            | CloseReason::Protocol { code, .. } => *code,
            CloseReason::Stopping => 1001,
            CloseReason::TooSlow => TOO_SLOW,
            CloseReason::IdleTimeout => IDLE,
            CloseReason::Limit { .. } => POLICY,
            CloseReason::TokenExpired => TOKEN_EXPIRED,
            CloseReason::Revoked => REVOKED,
            CloseReason::Unauthorized => UNAUTHORIZED,
            CloseReason::Vanished
            | CloseReason::PingTimeout
            | CloseReason::HandshakeTimeout
            | CloseReason::Http { .. } => 1006,
        }
    }
}

/// Close code of a peer that was too slow; it may come back and recover.
pub const TOO_SLOW: u16 = 4008;
/// Close code of RFC 6455 for a peer that does what the server does not allow.
pub(crate) const POLICY: u16 = 1008;
/// Close code of a peer that was idle for `idle_timeout_ms`.
pub const IDLE: u16 = 4001;
/// Close code of a peer whose token expired; it may come back with a new one.
pub const TOKEN_EXPIRED: u16 = 4003;
/// Close code of a peer that was revoked; it had better not come back with the same token.
pub const REVOKED: u16 = 4004;
/// Close code of a peer whose first message was no valid token.
pub const UNAUTHORIZED: u16 = 4401;

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Protocol { code, text } => write!(f, "protocol {code}: {text}"),
            CloseReason::Http { status } => write!(f, "http {status}"),
            CloseReason::Limit { name } => write!(f, "limit {name}"),
            other => write!(f, "{} {}", other.name(), other.code()),
        }
    }
}

/// Whether an application may send this close code (RFC 6455 §7.4).
pub(crate) fn may_send(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_index() {
        assert_eq!(CloseReason::TooSlow.name(), "too_slow");
        assert_eq!(CloseReason::Http { status: 404 }.name(), "http");
        let limit = CloseReason::Limit { name: "n" };
        assert_eq!((limit.name(), limit.code()), ("limit", 1008));
    }

    #[test]
    fn reserved_codes_are_not_for_sending() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert!(!may_send(code), "{code}");
        }
        assert!(may_send(1000) && may_send(4008));
    }
}
