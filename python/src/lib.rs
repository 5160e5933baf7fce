//! The native module `roomcast._roomcast`: the engine, reachable from Python.
//!
//! The package around it (`pysrc/roomcast`) is what Python hosts use; this is its lower half and
//! knows only the public API of the core. Shards never take the GIL and own no Python object: what
//! they have to tell waits in a queue that one wake-up announces and one batch empties.

mod auth;
mod buffer;
mod claims;
mod client;
mod connection;
mod core;
mod errors;
mod event;
#[cfg(feature = "internal-testing")]
mod figures;
mod filter;
mod join;
mod labels;
mod link;
mod named;
mod options;
mod payload;
mod policy;
mod presence;
mod publish;
mod room;
mod running;
mod settings;
mod sockets;
mod stats;
mod tls;
mod upgrade;
mod values;
mod wish;

use pyo3::prelude::*;

/// The native half of roomcast.
#[pymodule(gil_used = true)]
mod _roomcast {
    #[pymodule_export]
    use crate::auth::{Auth, Jwt};
    #[pymodule_export]
    use crate::buffer::Buffer;
    #[pymodule_export]
    use crate::claims::Claims;
    #[pymodule_export]
    use crate::connection::Connection;
    #[pymodule_export]
    use crate::core::Core;
    #[pymodule_export]
    use crate::errors::statuses;
    #[pymodule_export]
    use crate::event::PulledEvent;
    #[cfg(feature = "internal-testing")]
    #[pymodule_export]
    use crate::figures::{Flood, Publisher};
    #[pymodule_export]
    use crate::filter::{Field, Filter};
    #[pymodule_export]
    use crate::join::Join;
    #[pymodule_export]
    use crate::link::on_fork;
    #[pymodule_export]
    use crate::options::{ListenOptions, RoomOptions};
    #[pymodule_export]
    use crate::presence::{Presence, PresencePage, Present};
    #[pymodule_export]
    use crate::room::Room;
    #[pymodule_export]
    use crate::settings::limits;
    #[pymodule_export]
    use crate::tls::Tls;
    #[pymodule_export]
    use crate::upgrade::Upgrade;
    #[pymodule_export]
    use crate::values::{CloseReason, Delivery, Missed, Position, Published, StopReport, Tracked};
    #[pymodule_export]
    use crate::wish::Wish;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
