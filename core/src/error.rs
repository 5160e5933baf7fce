//! Errors as values with names: one small enum per operation, one closed list of numbers.
//!
//! [`Status`] is the list that the C ABI and the Python exceptions are generated from; its
//! numbers are never reused. Rank 0: plain values, any thread.

use std::fmt;

macro_rules! statuses {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// The closed list of what can go wrong. The number is stable and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum Status {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Status {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Status] = &[$(Status::$name),+];

            /// The stable number.
            #[must_use]
            pub fn number(self) -> u32 {
                self as u32
            }

            /// One sentence for a log.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Status::$name => $text,)+
                }
            }
        }
    };
}

statuses! {
    /// Nothing went wrong.
    Ok = 0, "ok";
    /// A setting has a value that cannot work.
    Config = 1, "a setting has a value that cannot work";
    /// The operating system refused (bind, thread, descriptor).
    Io = 2, "the operating system refused";
    /// The engine is stopping or has stopped.
    Stopped = 3, "the engine is stopping or has stopped";
    /// A call that waits for a shard was made on a shard's own thread.
    OnShard = 4, "this call waits for a shard and cannot be made on a shard's thread";
    /// The room's members have not been offered what was published before.
    Behind = 10, "the room is behind its publishers (room_ahead_bytes_max)";
    /// A shard has no place for more commands or tapes.
    Overloaded = 11,
        "overloaded (inbox_bytes_max, shard_tape_bytes_max or memory_bytes_max)";
    /// A payload is larger than its setting allows.
    PayloadTooLarge = 12, "the payload and its labels are larger than publication_bytes_max";
    /// A room name is empty or longer than its setting allows.
    RoomName = 13, "the room name is empty or longer than room_name_bytes_max";
    /// A publication's key, or one to watch, is longer than its setting allows.
    Key = 14, "the key is longer than key_bytes_max";
    /// A filter that matches nothing because it cannot be what was meant.
    Filter = 15, "the filter is not valid";
    /// No such connection, any more or ever.
    Gone = 20, "no such connection";
    /// A close code that an application may not send.
    CloseCode = 21, "close codes are 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999";
    /// The request is not a WebSocket upgrade.
    NotUpgrade = 30, "the request is not a WebSocket upgrade";
    /// The connection waits for a verdict no longer.
    Answered = 31, "the connection waits for a verdict no longer";
    /// A pointer is null where it must not be, or a number or a text cannot be what it should.
    InvalidArgument = 40, "an argument is null, out of range or not UTF-8";
    /// The program was compiled with a header of another version than the library's.
    VersionMismatch = 41, "the header and the library are of different versions";
    /// The engine was started for another way of being told of events, or of being turned.
    WrongMode = 42, "the engine was not started for this call";
    /// Nothing came in time.
    TimedOut = 43, "nothing came in time";
    /// An internal error happened in this call or before; the engine can only be stopped.
    Broken = 44, "the engine is broken by an internal error and can only be stopped";
    /// The library was built without what this needs.
    NotBuilt = 45, "the library was built without this feature";
    /// A certificate or its key cannot be used.
    Certificate = 50, "a certificate or its key cannot be used";
    /// A key that tokens are signed with cannot be used.
    TokenKey = 51, "a key for tokens cannot be used";
    /// A token that is malformed, or signed by nobody we know, or not meant for us.
    Token = 52, "the token is not valid";
    /// A token whose time is over.
    TokenExpired = 53, "the token has expired";
    /// A token that was revoked, or whose user was.
    TokenRevoked = 54, "the token has been revoked";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a publication or a message was not taken. Nothing of it was sent to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// The members have not been offered what was published before; try again after a moment, or
    /// raise `room_ahead_bytes_max`.
    Behind,
    /// A shard has no place for more (`inbox_bytes_max`, `shard_tape_bytes_max`), or the engine has
    /// none (`memory_bytes_max`).
    Overloaded,
    /// Larger, with its labels, than `publication_bytes_max`.
    TooLarge,
    /// A room name that is empty or longer than `room_name_bytes_max`.
    RoomName,
    /// A key longer than `key_bytes_max`.
    Key,
    /// The connection id was never given out by this engine.
    Gone,
    /// The engine is stopping or has stopped.
    Stopped,
}

impl Refused {
    /// The number of the closed list.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Refused::Behind => Status::Behind,
            Refused::Overloaded => Status::Overloaded,
            Refused::TooLarge => Status::PayloadTooLarge,
            Refused::RoomName => Status::RoomName,
            Refused::Key => Status::Key,
            Refused::Gone => Status::Gone,
            Refused::Stopped => Status::Stopped,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

impl std::error::Error for Refused {}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Below what it must be at least.
    TooSmall {
        /// Name of the setting.
        setting: &'static str,
        /// What it was set to.
        value: u64,
        /// What it must be at least.
        least: u64,
    },
    /// Above what it may be at most.
    TooLarge {
        /// Name of the setting.
        setting: &'static str,
        /// What it was set to.
        value: u64,
        /// What it may be at most.
        most: u64,
        /// Why.
        because: &'static str,
    },
    /// The environment holds something that is not a number.
    Unreadable {
        /// Name of the setting.
        setting: &'static str,
        /// What the variable holds.
        value: String,
    },
    /// No setting has this name.
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// A text that cannot be read as what its setting is.
    Invalid {
        /// Name of the setting.
        setting: &'static str,
        /// The text.
        value: String,
        /// How it is written.
        because: &'static str,
    },
    /// A setting has no use, or would be dangerous, without another one.
    Missing {
        /// Name of the setting that was made.
        setting: &'static str,
        /// Name of the one that was not.
        needs: &'static str,
        /// Why.
        because: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::TooSmall {
                setting,
                value,
                least,
            } => {
                write!(f, "{setting} is {value}, but must be at least {least}")
            }
            ConfigError::TooLarge {
                setting,
                value,
                most,
                because,
            } => {
                write!(
                    f,
                    "{setting} is {value}, but may be at most {most}: {because}"
                )
            }
            ConfigError::Unreadable { setting, value } => {
                let variable = setting.to_uppercase();
                write!(
                    f,
                    "{setting} cannot be read from ROOMCAST_{variable}={value:?}: \
                     a whole number is wanted"
                )
            }
            ConfigError::Unknown { name } => write!(f, "no setting is called {name:?}"),
            ConfigError::Invalid {
                setting,
                value,
                because,
            } => write!(f, "{setting} cannot be {value:?}: {because}"),
            ConfigError::Missing {
                setting,
                needs,
                because,
            } => write!(f, "{setting} needs {needs}: {because}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why an engine did not start. Nothing of it is left running.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot work.
    Config(ConfigError),
    /// A listener could not be opened.
    Listen {
        /// The address or path as configured.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A poller or a thread could not be had.
    Io(std::io::Error),
}

impl StartError {
    /// The number of the closed list.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            StartError::Config(_) => Status::Config,
            StartError::Listen { .. } | StartError::Io(_) => Status::Io,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(e) => e.fmt(f),
            StartError::Listen { address, source } => {
                write!(f, "cannot listen on {address}: {source}")?;
                match source.kind() {
                    std::io::ErrorKind::AddrInUse => f.write_str(
                        " (another process has it; Config::reuse_port(true) would share it)",
                    ),
                    _ => Ok(()),
                }
            }
            StartError::Io(e) => write!(f, "cannot start: {e}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Config(e) => Some(e),
            StartError::Listen { source, .. } | StartError::Io(source) => Some(source),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(e: ConfigError) -> Self {
        StartError::Config(e)
    }
}

impl From<std::io::Error> for StartError {
    fn from(e: std::io::Error) -> Self {
        StartError::Io(e)
    }
}

/// Why a command about one connection or a question to the shards was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandError {
    /// The connection id was never given out by this engine. (An id whose connection has closed
    /// is not an error: peers leave at any moment.)
    Gone,
    /// A room name that is empty or longer than `room_name_bytes_max`.
    RoomName,
    /// A key longer than `key_bytes_max`.
    Key,
    /// A filter with a [`fault`](crate::Filter::fault).
    Filter,
    /// A close code that an application may not send.
    CloseCode,
    /// The answer comes from the shards, and this is a shard's thread.
    OnShard,
    /// The engine is stopping or has stopped.
    Stopped,
}

impl CommandError {
    /// The number of the closed list.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            CommandError::Gone => Status::Gone,
            CommandError::RoomName => Status::RoomName,
            CommandError::Key => Status::Key,
            CommandError::Filter => Status::Filter,
            CommandError::CloseCode => Status::CloseCode,
            CommandError::OnShard => Status::OnShard,
            CommandError::Stopped => Status::Stopped,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

impl std::error::Error for CommandError {}

/// Why a socket was not adopted. It is dropped, and so closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdoptError {
    /// The request is not a WebSocket upgrade, or its origin is not allowed; this is the response
    /// to send.
    NotUpgrade {
        /// HTTP status: 400, 403, 405 or 426.
        status: u16,
        /// What to tell the client.
        text: &'static str,
    },
    /// The socket could not be made ready (non-blocking mode).
    Io(std::io::Error),
    /// The engine holds `connections_max` connections.
    Full,
    /// The engine is stopping or has stopped.
    Stopped,
}

impl AdoptError {
    /// The number of the closed list.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            AdoptError::NotUpgrade { .. } => Status::NotUpgrade,
            AdoptError::Io(_) => Status::Io,
            AdoptError::Full => Status::Overloaded,
            AdoptError::Stopped => Status::Stopped,
        }
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdoptError::NotUpgrade { status, text } => write!(f, "{status}: {text}"),
            AdoptError::Io(e) => write!(f, "cannot adopt the socket: {e}"),
            AdoptError::Full => f.write_str("connections_max connections are open"),
            AdoptError::Stopped => f.write_str(Status::Stopped.text()),
        }
    }
}

impl std::error::Error for AdoptError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending() {
        let numbers: Vec<u32> = Status::ALL.iter().map(|s| s.number()).collect();
        assert!(numbers.windows(2).all(|w| w[0] < w[1]), "{numbers:?}");
    }

    #[test]
    fn a_refusal_names_the_setting_to_change() {
        assert!(Refused::Behind.to_string().contains("room_ahead_bytes_max"));
        assert!(Refused::Overloaded.to_string().contains("inbox_bytes_max"));
        assert!(
            Refused::TooLarge
                .to_string()
                .contains("publication_bytes_max")
        );
    }
}
