//! Inner stages for this project's own tests, fuzz targets and benches; no promise is made of it.
//!
//! Only with the feature `internal-testing`.

pub use crate::transport::probe;
