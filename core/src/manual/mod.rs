//! The manual: how roomcast works, and why.
