//! The exceptions to the rules, each with its reason.
//!
//! Comes in: the text of `allow.txt`, then the breaches. Goes out: those that no entry excuses,
//! and the entries that are malformed, give no reason or excuse nothing any more.

use crate::Breach;

const LIST: &str = "tests/tidy/allow.txt";
const REASON_LETTERS_MIN: usize = 20;

#[derive(Debug)]
pub struct Allowed {
    entries: Vec<Entry>,
    faults: Vec<Breach>,
}

#[derive(Debug)]
struct Entry {
    line: usize,
    rule: String,
    path: String,
    item: String,
}

impl Allowed {
    /// Lines of the form `RULE PATH ITEM: REASON`; empty lines and `#` lines are passed over.
    pub fn parse(text: &str) -> Allowed {
        let mut allowed = Allowed {
            entries: Vec::new(),
            faults: Vec::new(),
        };
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            match Entry::parse(i + 1, line) {
                Some(entry) => allowed.entries.push(entry),
                None => allowed
                    .faults
                    .push(fault(i + 1, "not of the form RULE PATH ITEM: REASON")),
            }
        }
        allowed
    }

    /// What remains of the breaches, and what is wrong with the exceptions themselves.
    pub fn filter(self, breaches: Vec<Breach>) -> Vec<Breach> {
        let Allowed {
            entries,
            mut faults,
        } = self;
        for entry in &entries {
            if !breaches.iter().any(|breach| entry.excuses(breach)) {
                faults.push(fault(entry.line, "this exception excuses nothing any more"));
            }
        }
        let open = |breach: &Breach| !entries.iter().any(|entry| entry.excuses(breach));
        faults.extend(breaches.into_iter().filter(open));
        faults
    }
}

impl Entry {
    fn parse(line: usize, text: &str) -> Option<Entry> {
        let (what, reason) = text.split_once(": ")?;
        let [rule, path, item] = what.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let entry = Entry {
            line,
            rule: rule.into(),
            path: path.into(),
            item: item.into(),
        };
        (reason.trim().len() >= REASON_LETTERS_MIN).then_some(entry)
    }

    fn excuses(&self, breach: &Breach) -> bool {
        let item = self.item == "-" || self.item == breach.item;
        self.rule == breach.rule && self.path == breach.path && item
    }
}

fn fault(line: usize, says: &str) -> Breach {
    let (path, item) = (LIST.to_string(), "-".to_string());
    Breach {
        rule: "exception",
        path,
        line,
        item,
        says: says.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(item: &str) -> Breach {
        let (path, says) = ("core/src/a.rs".to_string(), String::new());
        Breach {
            rule: "function-length",
            path,
            line: 1,
            item: item.to_string(),
            says,
        }
    }

    fn left(list: &str, breaches: Vec<Breach>) -> Vec<&'static str> {
        Allowed::parse(list)
            .filter(breaches)
            .iter()
            .map(|breach| breach.rule)
            .collect()
    }

    #[test]
    fn an_exception_excuses_what_it_names_and_nothing_else() {
        let list = "# a list\nfunction-length core/src/a.rs turn: the whole turn on one screen\n";
        assert!(left(list, vec![breach("turn")]).is_empty());
        assert_eq!(
            left(list, vec![breach("turn"), breach("other")]),
            ["function-length"]
        );
    }

    #[test]
    fn an_exception_can_fail() {
        let stale = "function-length core/src/a.rs turn: the whole turn on one screen\n";
        assert_eq!(left(stale, vec![]), ["exception"]);
        let no_reason = "function-length core/src/a.rs turn: because\n";
        assert_eq!(
            left(no_reason, vec![breach("turn")]),
            ["exception", "function-length"]
        );
    }
}
