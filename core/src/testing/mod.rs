//! Inner stages for this project's own tests, fuzz targets and benches; no promise is made of it.
//!
//! Only with the feature `internal-testing`. `sim` is an engine on a simulated network, `probe`
//! opens the transports, `peers` who is at the other end, `tokens` the claims of tokens.

pub mod peers;
mod sim;

pub use self::sim::Sim;
#[cfg(feature = "jwt")]
pub use crate::auth::probe as tokens;
pub use crate::transport::probe;
