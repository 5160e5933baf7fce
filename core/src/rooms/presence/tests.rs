//! Rosters by example, and against a list: random joins, leaves, pages and notices. Who applies
//! the notices in their order has the members, whatever could not be told at first.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const EVERYBODY: usize = usize::MAX;

fn id(number: u64) -> ConnectionId {
    ConnectionId::from_u64(number)
}

fn member(number: u64) -> Present {
    Present {
        id: id(number),
        user: (!number.is_multiple_of(4)).then(|| format!("user {}", number % 3).into()),
        info: number.is_multiple_of(2).then(|| r#"{"a":1}"#.into()),
    }
}

fn roster(interval_ms: u32, names_max: usize) -> Roster {
    let bounds = RosterBounds {
        interval_ms,
        names_max,
    };
    Roster::new(bounds, &Arc::default())
}

fn come(roster: &Roster, numbers: std::ops::Range<u64>) {
    for number in numbers {
        roster.come(member(number));
    }
}

fn go(roster: &Roster, numbers: std::ops::Range<u64>) {
    for number in numbers {
        roster.go(id(number));
    }
}

fn changed(round: Round) -> Changes {
    match round {
        Round::Changed(changes) => changes,
        other => panic!("changes, not {other:?}"),
    }
}

fn came(changes: &Changes) -> Vec<u64> {
    changes.came.iter().map(|p| p.id.as_u64()).collect()
}

fn gone(changes: &Changes) -> Vec<u64> {
    changes.gone.iter().map(|(_, p)| p.id.as_u64()).collect()
}

#[test]
fn a_round_is_scheduled_once_and_told_in_the_order_of_joining() {
    let roster = roster(100, 10);
    assert!(roster.come(member(5)), "the first change");
    assert!(!roster.come(member(3)) && !roster.come(member(7)));
    let changes = changed(roster.end_round(EVERYBODY));
    assert_eq!((came(&changes), changes.came_count), (vec![5, 3, 7], 3));
    assert!(!roster.go(id(3)), "one is being told");
    assert!(roster.finish(), "what changed meanwhile");
    roster.go(id(5));
    let changes = changed(roster.end_round(EVERYBODY));
    assert_eq!((gone(&changes), changes.gone_count), (vec![5, 3], 2));
    assert_eq!((changes.members, changes.users), (1, 1));
    assert!(!roster.finish());
    assert!(roster.go(id(7)), "the first change of another round");
    assert!(matches!(roster.end_round(EVERYBODY), Round::Quiet));
}

#[test]
fn who_comes_and_goes_in_one_round_is_not_told_nor_who_comes_back() {
    let roster = roster(100, 1);
    roster.come(member(1));
    roster.come(member(2));
    roster.end_round(EVERYBODY);
    roster.finish();
    roster.come(member(3));
    roster.go(id(3));
    roster.go(id(1));
    roster.come(member(1));
    assert!(matches!(roster.end_round(EVERYBODY), Round::Quiet));
    roster.finish();
    roster.go(id(1));
    assert_eq!(gone(&changed(roster.end_round(EVERYBODY))), [1]);
}

#[test]
fn beyond_the_bound_changes_are_counted_and_not_named() {
    let roster = roster(100, 3);
    come(&roster, 0..10);
    let changes = changed(roster.end_round(EVERYBODY));
    assert_eq!((came(&changes), changes.came_count), (vec![0, 1, 2], 10));
    go(&roster, 0..8);
    let changes = changed(roster.end_round(EVERYBODY));
    assert_eq!((gone(&changes), changes.gone_count), (vec![0, 1, 2], 8));
    assert_eq!(changes.members, 2);
}

#[test]
fn a_crowd_is_not_told_and_what_changed_is_forgotten() {
    let roster = roster(100, 10);
    come(&roster, 0..4);
    assert!(matches!(roster.end_round(3), Round::Crowded));
    roster.go(id(0));
    let changes = changed(roster.end_round(3));
    assert_eq!((changes.came_count, changes.gone_count), (0, 1));
}

#[test]
fn a_notice_has_the_promised_form() {
    let roster = roster(100, 10);
    let present = |number, user: Option<&str>, info: Option<&str>| Present {
        id: id(number),
        user: user.map(Into::into),
        info: info.map(Into::into),
    };
    roster.come(present(9, Some("bob"), Some("1")));
    roster.end_round(EVERYBODY);
    roster.go(id(9));
    roster.come(present(1 << 60, Some("a\"da"), Some(r#"{"name": "Ada"}"#)));
    roster.come(present(2, None, None));
    let changes = changed(roster.end_round(EVERYBODY));
    let text = changes.text("lob\\by", 1000);
    let whole = concat!(
        r#"{"presence":{"room":"lob\\by","members":2,"users":1,"#,
        r#""came":[{"id":"1152921504606846976","user":"a\"da","info":{"name": "Ada"}},"#,
        r#"{"id":"2"}],"#,
        r#""came_count":2,"gone":[{"id":"9","user":"bob"}],"gone_count":1}}"#
    );
    assert_eq!(text, whole);
    for bytes_max in 0..whole.len() {
        let text = changes.text("lob\\by", bytes_max);
        let value: Value = serde_json::from_str(&text).expect("it is JSON with names left out");
        assert_eq!(value["presence"]["came_count"], 2);
        let bare = changes.text("lob\\by", 0).len();
        assert!(text.len() <= bytes_max.max(bare), "{text}");
    }
}

#[test]
fn a_cursor_of_an_earlier_life_stands_before_everybody() {
    let rosters = Arc::default();
    let bounds = RosterBounds {
        interval_ms: 0,
        names_max: 0,
    };
    let first = Roster::new(bounds, &rosters);
    come(&first, 0..3);
    let (_, cursor) = first.page(None, 2);
    go(&first, 0..3);
    drop(first);
    assert_eq!(rosters.bytes(), 0);
    let second = Roster::new(bounds, &rosters);
    come(&second, 5..8);
    let (page, _) = second.page(cursor, 10);
    assert_eq!(page, [5, 6, 7].map(member));
}

#[derive(Clone, Debug)]
enum Act {
    /// Comes, or goes where it is there.
    Turn(u64),
    /// Takes the next page.
    Page(usize),
    /// Ends the round.
    Take,
    /// What was taken is told, or it is put back.
    Tell(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (0..24u64).prop_map(Act::Turn),
        2 => (1..5usize).prop_map(Act::Page),
        3 => Just(Act::Take),
        3 => any::<bool>().prop_map(Act::Tell),
    ]
}

/// A roster, and a list of who is there in the order of joining.
struct Hall {
    roster: Roster,
    members: Vec<u64>,
    taken: Option<Changes>,
    /// Who follows the notices, and how many he was told of by the counts.
    follower: BTreeSet<u64>,
    counted: i64,
    awaited: bool,
    names_max: usize,
    /// The pages of one reader: its cursor, what it got, and who has been there since its first.
    after: Option<Cursor>,
    read: Vec<u64>,
    steady: BTreeSet<u64>,
}

impl Hall {
    fn new(names_max: usize) -> Hall {
        Hall {
            roster: roster(100, names_max),
            members: Vec::new(),
            taken: None,
            follower: BTreeSet::new(),
            counted: 0,
            awaited: false,
            names_max,
            after: None,
            read: Vec::new(),
            steady: BTreeSet::new(),
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Turn(number) => self.turn(number),
            Act::Page(limit) => self.page(limit),
            Act::Take if self.taken.is_none() && self.awaited => {
                match self.roster.end_round(EVERYBODY) {
                    Round::Changed(changes) => self.taken = Some(changes),
                    // Whoever followed has gone with the last member.
                    Round::Quiet if self.members.is_empty() => {
                        (self.follower, self.counted) = (BTreeSet::new(), 0);
                        self.finish();
                    }
                    _ => self.finish(),
                }
            }
            Act::Take => {}
            Act::Tell(is_told) => self.tell(is_told),
        }
        let members = &self.members;
        let users: BTreeSet<_> = members.iter().filter_map(|n| member(*n).user).collect();
        assert_eq!(self.roster.counts(), (members.len(), users.len()));
    }

    fn turn(&mut self, number: u64) {
        let was_there = self.members.contains(&number);
        self.members.retain(|other| *other != number);
        let first = match was_there {
            true => self.roster.go(id(number)),
            false => {
                self.members.push(number);
                self.roster.come(member(number))
            }
        };
        self.steady.remove(&number);
        assert_eq!(first, !self.awaited, "scheduled once");
        self.awaited = true;
    }

    fn page(&mut self, limit: usize) {
        if self.after.is_none() {
            self.read.clear();
            self.steady = self.members.iter().copied().collect();
        }
        let (page, next) = self.roster.page(self.after, limit);
        assert!(page.len() <= limit && (page.len() == limit || next.is_none()));
        for present in page {
            let number = present.id.as_u64();
            assert_eq!(present, member(number));
            assert!(self.members.contains(&number));
            self.read.push(number);
        }
        self.after = next;
        if next.is_none() {
            let count = |n: &u64| self.read.iter().filter(|other| *other == n).count();
            assert!(self.steady.iter().all(|n| count(n) == 1), "on one page");
            let place = |n: &u64| self.members.iter().position(|m| m == n);
            let steady = self.read.iter().filter(|n| self.steady.contains(n));
            assert!(steady.map(place).is_sorted(), "in the order of joining");
        }
    }

    fn tell(&mut self, is_told: bool) {
        let Some(changes) = self.taken.take() else {
            return;
        };
        match is_told {
            true => self.follow(&changes),
            false => self.roster.put_back(changes),
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.awaited = self.roster.finish();
    }

    fn follow(&mut self, changes: &Changes) {
        let text = changes.text("r", EVERYBODY);
        let value: Value = serde_json::from_str(&text).expect("it is JSON");
        let notice = &value["presence"];
        let names = |list: &str| -> Vec<u64> {
            let list = notice[list].as_array().expect("a list").iter();
            list.map(|one| {
                one["id"]
                    .as_str()
                    .expect("a string")
                    .parse()
                    .expect("digits")
            })
            .collect()
        };
        let (came, gone) = (names("came"), names("gone"));
        let count = |name: &str| notice[name].as_u64().expect("a count") as i64;
        self.counted += count("came_count") - count("gone_count");
        assert_eq!(self.counted, count("members"));
        assert!(came.len() <= self.names_max && gone.len() <= self.names_max);
        if self.names_max == EVERYBODY {
            assert_eq!((came.len() as i64, gone.len() as i64), {
                (count("came_count"), count("gone_count"))
            });
            assert!(came.iter().all(|n| !gone.contains(n)), "net changes");
            for n in gone {
                assert!(self.follower.remove(&n), "it was there");
            }
            for n in came {
                assert!(self.follower.insert(n), "it was not there");
            }
        }
    }

    /// Everything is told.
    fn end(mut self) {
        self.tell(true);
        if self.awaited {
            self.act(&Act::Take);
            self.tell(true);
        }
        assert!(!self.awaited);
        let members: BTreeSet<u64> = self.members.iter().copied().collect();
        assert_eq!(self.counted, members.len() as i64);
        if self.names_max == EVERYBODY {
            assert_eq!(self.follower, members);
        }
    }
}

proptest! {
    #[test]
    fn who_follows_the_notices_has_the_members(acts in prop::collection::vec(act(), 0..200)) {
        let mut hall = Hall::new(EVERYBODY);
        acts.iter().for_each(|act| hall.act(act));
        hall.end();
    }

    #[test]
    fn with_names_left_out_the_counts_are_right(
        acts in prop::collection::vec(act(), 0..200),
        names_max in 0..4usize,
    ) {
        let mut hall = Hall::new(names_max);
        acts.iter().for_each(|act| hall.act(act));
        hall.end();
    }
}

#[test]
fn users_are_counted_once_and_tables_give_places_back() {
    let roster = roster(0, 0);
    come(&roster, 0..10_000);
    assert_eq!(roster.counts(), (10_000, 3));
    assert_eq!(roster.rosters.bytes(), 10_000 * MEMBER_BYTES);
    go(&roster, 1..10_000);
    let state = roster.state.lock();
    assert!(state.numbers.capacity() <= 2 * PLACES_MIN);
    assert_eq!((state.entries.len(), state.users.len()), (1, 0));
}
