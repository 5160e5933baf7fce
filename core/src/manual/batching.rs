//! Batching: fewer writes for what comes often, and only the newest of what changes often.
//!
//! Under load batching comes by itself: what was published during a turn leaves together. Where a
//! room has several publications within the time in which nobody would notice the difference, a
//! flush interval makes that deliberate. At 60 messages a second to each of a thousand members, an
//! interval of 100 ms saves most of the CPU.
//!
//! ```
//! use roomcast::{Config, RoomOptions};
//!
//! let config = Config::new()
//!     // Everywhere, if nothing else is said. The default is 0: each turn.
//!     .flush_interval_ms(0)
//!     // In rooms whose names begin so.
//!     .room_options("chart:", RoomOptions::new().flush_interval_ms(100))
//!     .room_options("ticker:", RoomOptions::new().flush_interval_ms(100).conflate(true));
//! config.check()?;
//! # Ok::<(), roomcast::ConfigError>(())
//! ```
//!
//! One member may have an interval of its own:
//! [`Join::flush_interval_ms`](crate::Join::flush_interval_ms).
//!
//! # What an interval is
//!
//! Time is cut into intervals that end at multiples of their length, for all rooms alike. What is
//! published within one leaves at its end, in one write to each member; a member of several rooms
//! with the same interval is written once. Nothing waits for longer than an interval.
//!
//! All that a call may rely on holds as before. Joins and leaves are exact. A room has one order,
//! and the order of one publisher's calls is kept across rooms and messages: so whatever else a
//! member is written takes along what waits for it. Pings and pongs do not.
//!
//! An interval ends early where more than half of
//! [`room_ahead_bytes_max`](crate::Config::room_ahead_bytes_max) waits, so that publishers are not
//! refused because of it.
//!
//! An interval pays where a room has more than one publication within it. Elsewhere it only adds
//! latency.
//!
//! # Conflation
//!
//! In a room that conflates, a publication takes the place of the one with the same
//! [key](crate::Publication::key) that waits in the same interval. So a member is sent each key
//! once for each interval at most, with its newest value, in the order of these values. What has no
//! key is all sent. The last value of each key always arrives.
//!
//! A filter is asked before that: a member is sent the newest value that its filter matches. The
//! publications of a union are conflated in each of their rooms by themselves.
//!
//! The ones that were replaced keep their offsets, so a room's numbering has no holes, whoever is
//! sent what. The newest publication of an interval is never replaced: what leaves with an interval
//! stands for all that was published up to its last offset. So a position stays a proof of what a
//! member has. The figure `conflated` counts what was replaced, and a tracked publication reports
//! its members as `conflated`.
//!
//! # Under pressure
//!
//! When publications come out late, in all turns of a tenth of a second (later than
//! [`pressure_us`](crate::Config::pressure_us)), the intervals of that shard double. When half a
//! second was calm they halve again, down to what they were. So a machine that is too small sends
//! larger batches before it sends late ones. Rooms without an interval are left alone: what leaves
//! in each turn batches by itself, and a small room is not to wait for a large one. An engine that
//! the host turns is as late as the host makes it, and widens nothing.
//! [`flush_interval_max_ms`](crate::Config::flush_interval_max_ms) bounds it; the figures
//! `interval_steps`, `intervals_widened` and `intervals_narrowed` show it.
