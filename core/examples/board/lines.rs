//! What a page says: one line per message, read and bounded here, before anything is done.
//!
//! | page to host | | host to page | |
//! |---|---|---|---|
//! | `m X Y` | my cursor | `c MEMBER X Y` | a cursor |
//! | `w NAME` | my name | `w MEMBER NAME` | a name |
//! | `n X Y` | make a note | `n NOTE X Y HUE BY TEXT` | a note, and who made it now (or 0) |
//! | `d NOTE X Y` | drag it | `d NOTE X Y` | it moved |
//! | `t NOTE TEXT` | write on it | `t NOTE TEXT` | its text |
//! | `x NOTE` | remove it | `x NOTE` | it is gone |
//! | `b BOARD` | go to a board | `room BOARD` | here begins all that is on it |
//! | `users N` | so many more, 0: none | `p MEMBER HUE KIND X Y NAME` | who is here |
//! | | | `q MEMBER` | who goes |
//! | `e MARK` | echo | `e MARK` | echo |
//! | | | `hello MEMBER`, `b BOARD TITLE` | who one is, which boards there are |
//! | | | `s KEY=N ...`, `say TEXT` | metrics, a word to the reader |
//!
//! Places are 0 to 10,000 both ways. Peers are not trusted: a line that is none is `None`.

/// The far edge of a board, both ways.
pub const PLACE_MAX: u16 = 10_000;
const NAME_CHARS_MAX: usize = 24;
const TEXT_CHARS_MAX: usize = 200;
const MARK_BYTES_MAX: usize = 24;
const USERS_MAX: usize = 1_000;

/// A place on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub x: u16,
    pub y: u16,
}

/// A line from a page, with everything in it bounded.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Move(Place),
    Name(String),
    Make(Place),
    Drag(u32, Place),
    Write(u32, String),
    Erase(u32),
    Go(&'a str),
    Users(usize),
    Echo(&'a str),
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(match word {
            "m" => Line::Move(place(rest)?),
            "d" => Line::Drag(first.parse().ok()?, place(after)?),
            "e" => Line::Echo(mark(rest)?),
            "n" => Line::Make(place(rest)?),
            "t" => Line::Write(first.parse().ok()?, clean(after, TEXT_CHARS_MAX)),
            "x" => Line::Erase(rest.parse().ok()?),
            "w" => match clean(rest, NAME_CHARS_MAX).trim() {
                "" => return None,
                name => Line::Name(name.into()),
            },
            "b" => Line::Go(rest),
            "users" => Line::Users(rest.parse::<usize>().ok()?.min(USERS_MAX)),
            _ => return None,
        })
    }
}

fn place(text: &str) -> Option<Place> {
    let (x, y) = text.split_once(' ')?;
    let number = |text: &str| text.parse().ok().filter(|n| *n <= PLACE_MAX);
    Some(Place {
        x: number(x)?,
        y: number(y)?,
    })
}

/// Digits and a point: what a page's clock says.
fn mark(text: &str) -> Option<&str> {
    let fits = text.len() <= MARK_BYTES_MAX;
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (fits && digits && !text.is_empty()).then_some(text)
}

/// Without control characters, among them the line break that would begin another line.
fn clean(text: &str, chars_max: usize) -> String {
    let kept = text.chars().filter(|c| !c.is_control());
    kept.take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let at = Place { x: 1, y: 10_000 };
        assert_eq!(Line::parse("m 1 10000"), Some(Line::Move(at)));
        assert_eq!(Line::parse("d 7 1 10000"), Some(Line::Drag(7, at)));
        assert_eq!(Line::parse("t 7 a b"), Some(Line::Write(7, "a b".into())));
        assert_eq!(Line::parse("t 7 "), Some(Line::Write(7, String::new())));
        assert_eq!(Line::parse("users 5000"), Some(Line::Users(1_000)));
    }

    #[test]
    fn hostile_lines_are_none_or_cut() {
        for line in [
            "",
            "m",
            "m 1",
            "m 1 10001",
            "m -1 2",
            "m 1 2 3",
            "e <b>",
            "w  ",
            "q 1",
            "x",
        ] {
            assert_eq!(Line::parse(line), None, "{line}");
        }
        assert_eq!(Line::parse("w a\nq 1"), Some(Line::Name("aq 1".into())));
        let Some(Line::Write(_, text)) = Line::parse(&format!("t 1 {}", "é".repeat(900))) else {
            panic!("a long text is cut, not refused");
        };
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX);
    }
}
