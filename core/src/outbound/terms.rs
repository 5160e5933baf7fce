//! Terms: what decides the bytes that members of a room are sent, and when.
//!
//! Members with equal terms form one delivery group. In: the router's reading of a room's options
//! and of how a member joined. Numbers of wire kinds and filters are the router's: here they are
//! only compared. Plain values.

use crate::config::SlowPolicy;

/// How a delivery group is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// The wire kind's number, 0 for plain frames.
    pub(crate) kind: u8,
    /// What happens to members that are too slow.
    pub(crate) policy: SlowPolicy,
    /// Only the newest publication of a key leaves with an interval.
    pub(crate) conflates: bool,
    /// Members are sent the publications of the keys that they watch, each from its own outbox.
    pub(crate) watches: bool,
    /// Milliseconds within which publications wait for each other, 0 for each turn.
    pub(crate) interval_ms: u32,
    /// The filter's number, 0 for none.
    pub(crate) filter: u32,
}

impl Terms {
    /// Whether every publication is sent to every member in its plain frame.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == 0 && self.filter == 0 && !self.watches
    }

    /// Whether it matters which publications have the same key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.conflates || self.policy == SlowPolicy::Latest
    }

    /// The interval, after so many steps of widening; never beyond `max_ms` because of them. What
    /// leaves in each turn does so under pressure too.
    pub(crate) fn interval_ms(&self, steps: u32, max_ms: u32) -> u64 {
        let own = u64::from(self.interval_ms);
        own.max((own << steps.min(32)).min(max_ms.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_widens_up_to_its_bound_and_never_narrows() {
        let of = |interval_ms, steps| {
            let terms = Terms {
                interval_ms,
                ..Terms::default()
            };
            terms.interval_ms(steps, 1000)
        };
        assert_eq!([0, 1, 2, 3].map(|steps| of(8, steps)), [8, 16, 32, 64]);
        assert_eq!(
            [0, 1, 4, 60].map(|steps| of(100, steps)),
            [100, 200, 1000, 1000]
        );
        assert_eq!((of(5000, 3), of(0, 3)), (5000, 0));
    }
}
