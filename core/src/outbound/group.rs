//! A delivery group: the members of one room that are sent the same bytes, and their tape.
//!
//! Members stand in order of arrival in a dense array. A plain member shares the group's cursor
//! (it is *in step*); a member with OWN keeps a cursor of its own in its link; one with BLOCKED
//! waits for its socket. Shard thread only.

use smallvec::SmallVec;

use super::RoomRef;
use super::newest::Newest;
use super::tape::{Pool, Tape};
use super::terms::Terms;
use super::watch::Watch;
use crate::delivery::SharedTracker;

/// The member keeps its own cursor.
pub(crate) const OWN: u32 = 1 << 31;
/// The member's socket refused bytes.
pub(crate) const BLOCKED: u32 = 1 << 30;
/// A member that left; removed between sweeps.
pub(crate) const TOMB: u32 = u32::MAX;
/// The bits that are the connection's slot.
pub(crate) const SLOT: u32 = BLOCKED - 1;

/// Groups of at most this many members are swept first.
pub(crate) const SMALL: usize = 64;

/// The end of a room's chain of groups.
pub(crate) const NO_GROUP: u32 = u32::MAX;

pub(crate) struct Group<R> {
    pub(crate) room: R,
    pub(crate) members: SmallVec<[u32; 4]>,
    /// What every plain member has been sent, where no sweep says otherwise.
    pub(crate) cursor: u64,
    pub(crate) head: u64,
    /// There while somebody still has to be sent from it.
    pub(crate) tape: Option<Box<Tape>>,
    pub(crate) tombs: u32,
    /// Members with BLOCKED.
    pub(crate) laggards: u32,
    /// Waits in one of the sweep queues.
    pub(crate) queued: bool,
    /// Waits for the end of its flush interval.
    pub(crate) held: bool,
    /// It matters which publications have the same key.
    pub(crate) keyed: bool,
    /// What its members are sent, and when: a room has one group for each terms here, in a chain.
    pub(crate) terms: Terms,
    /// The next one, or [`NO_GROUP`].
    pub(crate) next: u32,
    /// What only some groups have.
    pub(crate) extra: Option<Box<Extra>>,
}

/// What a group has whose frames wait, replace each other, are watched for or tracked.
#[derive(Default)]
pub(crate) struct Extra {
    /// When the interval ends for which the group is held.
    pub(super) due_ms: u64,
    pub(super) newest: Newest,
    pub(super) watch: Watch,
    pub(super) tracked: Vec<TrackedFrame>,
    /// The number of the last publication that the group was given; where members may replay.
    pub(super) applied: u64,
}

/// A frame on the tape whose fate is to be reported.
pub(super) struct TrackedFrame {
    pub(super) sequence: u64,
    pub(super) tracker: SharedTracker,
    /// Members before this index were there when it was appended.
    pub(super) until: usize,
    /// Those of them that are passed over, whose fate was told already.
    pub(super) except: SmallVec<[u32; 2]>,
}

impl<R: RoomRef> Group<R> {
    pub(crate) fn new(room: R, terms: Terms, next: u32) -> Self {
        Group {
            room,
            members: SmallVec::new(),
            cursor: 0,
            head: 0,
            tape: None,
            tombs: 0,
            laggards: 0,
            queued: false,
            held: false,
            keyed: terms.is_keyed(),
            terms,
            next,
            extra: None,
        }
    }

    /// Its members are about to be counted anew, without those that have left.
    pub(super) fn forget_tombs_of_tracked(&mut self) {
        if let Some(extra) = &mut self.extra {
            for tracked in &mut extra.tracked {
                let there = &self.members[..tracked.until];
                tracked.until = there.iter().filter(|&&word| word != TOMB).count();
            }
        }
    }

    /// What it has beside the common.
    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Where what has not been offered to anybody begins.
    pub(crate) fn offered(&self) -> u64 {
        match &self.tape {
            Some(tape) if tape.sweep.active => tape.sweep.cut,
            _ => self.cursor,
        }
    }

    /// Members that have not left.
    pub(crate) fn alive(&self) -> usize {
        self.members.len() - self.tombs as usize
    }

    /// What the plain member at `index` has been sent.
    pub(crate) fn step_of(&self, index: usize) -> u64 {
        match &self.tape {
            Some(tape) if tape.sweep.active && index < tape.sweep.at => tape.sweep.cut,
            _ => self.cursor,
        }
    }

    /// Gives the tape back when nobody needs it, else drops what nobody needs. `oldest` is the
    /// smallest cursor of any member.
    pub(crate) fn let_go(&mut self, id: u32, oldest: u64, pool: &mut Pool) {
        let Some(tape) = &mut self.tape else { return };
        if oldest == self.head && !tape.sweep.active {
            debug_assert_eq!(self.cursor, self.head, "plain members have all of it");
            pool.recycle(id, self.tape.take().expect("it is there"));
        } else {
            tape.trim(oldest, pool);
        }
    }
}
