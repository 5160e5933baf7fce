//! Who is in a room, as values.
