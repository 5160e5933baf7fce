//! The judge: whether one connection was sent what it was owed, exactly once and in order.
//!
//! In: what the host said to it, in the order of arrival, and what it asked for. Out: the first
//! breach, in words. A membership is judged from the place that `join` returned to the places
//! before and after `leave`. Pure values, the generator's thread.

/// Publishers whose order across rooms is judged: the host's threads.
pub const THREADS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Joining,
    In,
    Leaving,
}

struct Membership {
    room: u16,
    stage: Stage,
    /// The newest number that is accounted for.
    last: u64,
    /// While joining or leaving, what came and can only be judged when the place is known. `true`
    /// if no other room could be the reason for it.
    open: Vec<(u64, bool)>,
    /// Numbers jumped over, under the policy that allows it.
    gap: u64,
}

/// What a member of a room jumped over in all, at least and at most, and what the host was told.
#[derive(Default)]
struct Gap {
    room: u16,
    least: u64,
    most: u64,
    told: u64,
}

/// The account of one connection.
pub struct Account {
    memberships: Vec<Membership>,
    gaps: Vec<Gap>,
    may_skip: bool,
    mail: u64,
    all: Option<u64>,
    by: [u64; THREADS],
    /// Publications accounted for, each once for each of its rooms that the connection is in.
    pub checked: u64,
}

type Verdict = Result<(), String>;

impl Account {
    pub fn new(may_skip: bool) -> Self {
        Account {
            memberships: Vec::new(),
            gaps: Vec::new(),
            may_skip,
            mail: 0,
            all: None,
            by: [0; THREADS],
            checked: 0,
        }
    }

    /// It asks to join.
    pub fn joins(&mut self, room: u16) {
        let (stage, open) = (Stage::Joining, Vec::new());
        self.memberships.push(Membership {
            room,
            stage,
            last: 0,
            open,
            gap: 0,
        });
    }

    /// It asks to leave a room that it is in.
    pub fn leaves(&mut self, room: u16) {
        if let Some(at) = self.at(room) {
            self.memberships[at].stage = Stage::Leaving;
        }
    }

    /// Rooms that it is in, and has not asked to leave.
    pub fn rooms(&self) -> impl Iterator<Item = u16> {
        let inside = self.memberships.iter().filter(|m| m.stage == Stage::In);
        inside.map(|m| m.room)
    }

    /// Whether an answer of the host to a join or a leave is awaited.
    pub fn is_waiting(&self) -> bool {
        self.memberships.iter().any(|m| m.stage != Stage::In)
    }

    pub fn knows(&self, room: u16) -> bool {
        self.at(room).is_some()
    }

    fn at(&self, room: u16) -> Option<usize> {
        self.memberships.iter().position(|m| m.room == room)
    }

    pub fn published(&mut self, by: u8, nth: u64, places: &[(u16, u64)]) -> Verdict {
        if let Some(last) = self.by.get_mut(usize::from(by)) {
            if nth <= *last {
                return Err(format!("publication {nth} of thread {by} after {last}"));
            }
            *last = nth;
        }
        self.placed(places)
    }

    fn placed(&mut self, places: &[(u16, u64)]) -> Verdict {
        let mine: Vec<(usize, u64)> = places
            .iter()
            .filter_map(|&(room, seq)| Some((self.at(room)?, seq)))
            .collect();
        if mine.is_empty() {
            return Err(format!("sent {places:?}, of which it is in no room"));
        }
        for &(at, seq) in &mine {
            match self.memberships[at].stage {
                Stage::In => self.advance(at, seq)?,
                _ => self.memberships[at].open.push((seq, mine.len() == 1)),
            }
        }
        Ok(())
    }

    fn advance(&mut self, at: usize, seq: u64) -> Verdict {
        let m = &mut self.memberships[at];
        if seq <= m.last || (seq > m.last + 1 && !self.may_skip) {
            return Err(format!("room {}: {seq} after {}", m.room, m.last));
        }
        m.gap += seq - m.last - 1;
        m.last = seq;
        self.checked += 1;
        Ok(())
    }

    pub fn joined(&mut self, room: u16, base: u64) -> Verdict {
        let at = self
            .at(room)
            .filter(|&at| self.memberships[at].stage == Stage::Joining);
        let at = at.ok_or_else(|| format!("joined room {room} unasked"))?;
        let m = &mut self.memberships[at];
        (m.stage, m.last) = (Stage::In, base);
        for (seq, alone) in std::mem::take(&mut m.open) {
            match (seq > base, alone) {
                (true, _) => self.advance(at, seq)?,
                (false, true) => {
                    return Err(format!("room {room}: {seq}, but joined behind {base}"));
                }
                // It came because of another room of the same union.
                (false, false) => {}
            }
        }
        Ok(())
    }

    pub fn left(&mut self, room: u16, low: u64, high: u64) -> Verdict {
        let at = self
            .at(room)
            .filter(|&at| self.memberships[at].stage == Stage::Leaving);
        let at = at.ok_or_else(|| format!("left room {room} unasked"))?;
        for (seq, alone) in std::mem::take(&mut self.memberships[at].open) {
            match (seq <= high, alone) {
                (true, _) => self.advance(at, seq)?,
                (false, true) => {
                    return Err(format!("room {room}: {seq}, but left at {high}"));
                }
                (false, false) => {}
            }
        }
        let m = self.memberships.swap_remove(at);
        if m.last < low && !self.may_skip {
            return Err(format!(
                "room {room}: {} is the last, left at {low}",
                m.last
            ));
        }
        let gap = self.gap(room);
        gap.least += m.gap + low.saturating_sub(m.last);
        gap.most += m.gap + high.saturating_sub(m.last);
        Ok(())
    }

    fn gap(&mut self, room: u16) -> &mut Gap {
        let found = self.gaps.iter().position(|gap| gap.room == room);
        let at = found.unwrap_or_else(|| {
            self.gaps.push(Gap {
                room,
                ..Gap::default()
            });
            self.gaps.len() - 1
        });
        &mut self.gaps[at]
    }

    /// The host was told that this connection jumped over so many publications of a room.
    pub fn missed(&mut self, room: u16, told: u64) -> Verdict {
        self.gap(room).told += told;
        match self.may_skip {
            true => Ok(()),
            false => Err(format!("room {room}: {told} missed, under another policy")),
        }
    }

    /// Whether something is missing of which the host was not told (yet).
    pub fn unexplained(&self) -> Option<String> {
        let known = |room| self.gaps.iter().find(|gap| gap.room == room);
        let told = |room| known(room).map_or(0, |gap| gap.told);
        let before = |room| known(room).map_or(0, |gap| gap.least);
        let rooms = self
            .memberships
            .iter()
            .map(|m| (m.room, m.gap + before(m.room)));
        let mut all = rooms.chain(self.gaps.iter().map(|gap| (gap.room, gap.least)));
        let (room, gap) = all.find(|&(room, gap)| gap > told(room))?;
        Some(format!(
            "room {room}: {gap} missing, the host was told of {}",
            told(room)
        ))
    }

    /// Whether the host was told of more than is missing, in a room that was left. In a room of
    /// unions (not exact) some of it may have come by way of another room.
    pub fn overstated(&self, is_exact: impl Fn(u16) -> bool) -> Option<String> {
        let left = |room| self.at(room).is_none();
        let mut gaps = self
            .gaps
            .iter()
            .filter(|gap| left(gap.room) && is_exact(gap.room));
        let gap = gaps.find(|gap| gap.told > gap.most)?;
        Some(format!(
            "room {}: told of {}, at most {} missing",
            gap.room, gap.told, gap.most
        ))
    }

    pub fn relayed(&mut self, room: u16, seq: u64) -> Verdict {
        match seq {
            0 => Ok(()),
            _ => self.placed(&[(room, seq)]),
        }
    }

    pub fn mail(&mut self, nth: u64) -> Verdict {
        self.mail += 1;
        match nth == self.mail {
            true => Ok(()),
            false => Err(format!("mail {nth} as the {}th", self.mail)),
        }
    }

    pub fn all(&mut self, nth: u64) -> Verdict {
        let expected = self.all.map_or(nth, |last| last + 1);
        self.all = Some(nth);
        match nth == expected {
            true => Ok(()),
            false => Err(format!("message {nth} for all, not {expected}")),
        }
    }

    /// The host's last word before it closes: all of this must have come.
    pub fn bye(&mut self, mail: u64, places: &[(u16, u64)]) -> Verdict {
        if mail != self.mail {
            return Err(format!("{} messages of mail, {mail} were sent", self.mail));
        }
        if places.len() != self.memberships.len() || self.is_waiting() {
            let rooms: Vec<u16> = self.memberships.iter().map(|m| m.room).collect();
            return Err(format!("in rooms {rooms:?}, the host says {places:?}"));
        }
        for &(room, low) in places {
            let last = self.at(room).map(|at| self.memberships[at].last);
            if last.is_none_or(|last| last < low && !self.may_skip) {
                return Err(format!(
                    "room {room}: {last:?} is the last, closed at {low}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Account {
        let mut account = Account::new(false);
        account.joins(1);
        account.joined(1, 10).expect("it asked");
        account
    }

    #[test]
    fn a_membership_is_exact() {
        let mut account = member();
        account.published(0, 1, &[(1, 11)]).expect("in order");
        account
            .published(0, 2, &[(1, 12), (2, 5)])
            .expect("a union");
        account.leaves(1);
        account.published(0, 3, &[(1, 13)]).expect("judged later");
        account.left(1, 12, 13).expect("all came");
        assert_eq!(account.checked, 3);
    }

    #[test]
    fn lost_doubled_and_early_are_breaches() {
        assert!(member().published(0, 1, &[(1, 12)]).is_err(), "lost");
        assert!(member().published(0, 1, &[(1, 10)]).is_err(), "from before");
        assert!(member().published(0, 1, &[(2, 1)]).is_err(), "not a member");
        let mut account = member();
        account.published(0, 1, &[(1, 11)]).expect("in order");
        assert!(account.published(0, 2, &[(1, 11)]).is_err(), "doubled");
        assert!(
            account.published(0, 2, &[(1, 12)]).is_err(),
            "thread's order"
        );
        let mut account = member();
        account.leaves(1);
        assert!(account.left(1, 11, 11).is_err(), "the tail is lost");
        let mut account = member();
        account.leaves(1);
        account.published(0, 1, &[(1, 11)]).expect("judged later");
        assert!(account.left(1, 10, 10).is_err(), "from after");
    }

    #[test]
    fn what_comes_by_another_room_is_no_breach() {
        let mut account = member();
        account.joins(2);
        account
            .published(0, 1, &[(1, 11), (2, 5)])
            .expect("by room 1");
        account.published(0, 2, &[(2, 6)]).expect("judged later");
        account.joined(2, 5).expect("6 is the first");
        account.leaves(2);
        account
            .published(0, 3, &[(1, 12), (2, 7)])
            .expect("by room 1");
        account.left(2, 6, 6).expect("7 came by room 1");
    }

    #[test]
    fn gaps_are_counted_where_they_are_allowed() {
        let mut account = Account::new(true);
        account.joins(1);
        account.joined(1, 0).expect("it asked");
        account.published(0, 1, &[(1, 4)]).expect("3 are missed");
        account.leaves(1);
        account.left(1, 6, 7).expect("2 or 3 more");
        account.missed(1, 4).expect("it may skip");
        assert!(account.unexplained().is_some(), "one at least is not told");
        account.missed(1, 2).expect("it may skip");
        assert!(account.unexplained().is_none() && account.overstated(|_| true).is_none());
        account.missed(1, 2).expect("it may skip");
        assert!(account.overstated(|_| true).is_some());
        assert!(
            account.overstated(|_| false).is_none(),
            "it may have come by another room"
        );
        assert!(member().missed(1, 1).is_err());
    }

    #[test]
    fn mail_is_counted_to_the_end() {
        let mut account = member();
        account.mail(1).expect("the first");
        account.bye(1, &[(1, 10)]).expect("all came");
        assert!(account.bye(2, &[(1, 10)]).is_err());
        assert!(account.bye(1, &[(1, 11)]).is_err());
        assert!(account.mail(3).is_err());
    }
}
