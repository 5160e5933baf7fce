//! The claims of a JWT, read from its JSON.
