//! Filters: which publications of a room a member is sent, by their labels.
