//! Rust text taken apart: code without comments and literals, comments, and what is only a test.
//!
//! Comes in: the text of one `.rs` file. Goes out: a `Source`, in which `code` has the length and
//! the lines of the text, with blanks where comments and the insides of literals were. It is a
//! scanner, not a parser: enough for rules that look for words, paths and braces.

pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
    pub(crate) code: Vec<u8>,
    /// Per line: it belongs to an item under `#[test]` or `#[cfg(test)]`, or to a test file.
    pub(crate) test: Vec<bool>,
    starts: Vec<usize>,
}

/// A path such as `crate::outbound::Tape`, groups of a `use` taken apart, and where it starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Source {
        let code = blank(text.as_bytes());
        let mut starts = vec![0];
        starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i + 1),
        );
        let mut source = Source {
            path: path.to_string(),
            lines: text.lines().map(str::to_string).collect(),
            code,
            test: vec![is_test_file(path); starts.len()],
            starts,
        };
        source.mark_tests();
        source
    }

    /// The line, counted from 1, of a place in `code`.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test[line - 1]
    }

    /// Whether the file belongs to the engine itself.
    pub(crate) fn is_core(&self) -> bool {
        self.path.starts_with("core/src/")
    }

    /// Every identifier with its place.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < self.code.len() {
                let start = at;
                at = word_end(&self.code, start);
                if at > start {
                    return std::str::from_utf8(&self.code[start..at])
                        .ok()
                        .map(|w| (start, w));
                }
                at += 1;
            }
            None
        })
    }

    /// The place of the next byte that is not a blank, from `at` on.
    pub(crate) fn skip_blanks(&self, at: usize) -> usize {
        let blanks = self.code[at..]
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        at + blanks
    }

    /// Every path in the code.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.code.len() {
            let end = word_end(&self.code, at);
            if end == at {
                at += 1;
                continue;
            }
            at = self.path_from(at, &mut Vec::new(), &mut found).max(end);
        }
        found
    }

    /// Reads one path (or each path of a group) behind `prefix`; where it ends.
    fn path_from(&self, start: usize, prefix: &mut Vec<String>, found: &mut Vec<Path>) -> usize {
        let depth = prefix.len();
        let mut at = start;
        loop {
            let end = word_end(&self.code, at);
            prefix.push(String::from_utf8_lossy(&self.code[at..end]).into_owned());
            let next = self.skip_blanks(end);
            if !self.code[next..].starts_with(b"::") {
                found.push(Path {
                    line: self.line(start),
                    segments: prefix.clone(),
                });
                prefix.truncate(depth);
                return end;
            }
            at = self.skip_blanks(next + 2);
            if word_end(&self.code, at) > at {
                continue;
            }
            if self.code.get(at) == Some(&b'{') {
                at = self.group(at + 1, prefix, found);
            } else {
                found.push(Path {
                    line: self.line(start),
                    segments: prefix.clone(),
                });
            }
            prefix.truncate(depth);
            return at;
        }
    }

    fn group(&self, mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Path>) -> usize {
        while at < self.code.len() && self.code[at] != b'}' {
            at = match word_end(&self.code, at) {
                end if end > at => self.path_from(at, prefix, found).max(end),
                _ => at + 1,
            };
        }
        at + 1
    }

    /// The place behind the block or the `;` that ends the item which starts at `at`.
    pub(crate) fn item_end(&self, at: usize) -> usize {
        let mut round = 0i32;
        for (i, byte) in self.code.iter().enumerate().skip(at) {
            match byte {
                b'(' | b'[' => round += 1,
                b')' | b']' => round -= 1,
                b';' if round == 0 => return i + 1,
                b'{' if round == 0 => return self.block_end(i),
                _ => {}
            }
        }
        self.code.len()
    }

    /// The place behind the brace that closes the one at `open`.
    fn block_end(&self, open: usize) -> usize {
        let mut depth = 0i32;
        for (i, byte) in self.code.iter().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return i + 1;
            }
        }
        self.code.len()
    }

    fn mark_tests(&mut self) {
        let mut at = 0;
        while let Some(found) = find(&self.code[at..], b"#[") {
            let open = at + found;
            let close = open + find(&self.code[open..], b"]").unwrap_or(0);
            at = close.max(open + 2);
            let attribute = String::from_utf8_lossy(&self.code[open + 2..at]).into_owned();
            if is_test_attribute(&attribute) {
                let last = self.line(self.item_end(at + 1).saturating_sub(1));
                let first = self.line(open);
                self.test[first - 1..last].fill(true);
            }
        }
    }
}

fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || name == "tests.rs"
}

fn is_test_attribute(attribute: &str) -> bool {
    let bare = attribute.trim();
    let names_test = bare
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| word == "test");
    bare == "test" || (bare.starts_with("cfg") && names_test && !bare.contains("not(test"))
}

pub(crate) fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

/// The end of the identifier at `at`, or `at` where none starts there.
fn word_end(code: &[u8], at: usize) -> usize {
    let starts = code
        .get(at)
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    let inside = at > 0 && is_word(code[at - 1]);
    if !starts || inside {
        return at;
    }
    at + code[at..].iter().take_while(|b| is_word(**b)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The text with blanks for comments and for what stands inside literals; lines stay.
fn blank(text: &[u8]) -> Vec<u8> {
    let mut code = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = if rest.starts_with(b"//") {
            find(rest, b"\n").unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(text, at) {
            length
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if rest[0] == b'\'' && is_char_literal(rest) {
            quoted(rest, b'\'')
        } else {
            at += 1;
            continue;
        };
        let end = at + length;
        code[at..end]
            .iter_mut()
            .filter(|b| **b != b'\n')
            .for_each(|b| *b = b' ');
        at = end;
    }
    code
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string(text: &[u8], at: usize) -> Option<usize> {
    let rest = text[at..].strip_prefix(b"r")?;
    let prefixed = at > 0 && is_word(text[at - 1]) && !matches!(text[at - 1], b'b' | b'c');
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    if prefixed || rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let body = &rest[hashes + 1..];
    let length = find(body, &end).map_or(body.len(), |found| found + end.len());
    Some(1 + hashes + 1 + length)
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(first) if first.is_ascii() => rest.get(2) == Some(&b'\''),
        Some(_) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        String::from_utf8(blank(text.as_bytes())).unwrap()
    }

    #[test]
    fn literals_and_comments_become_blanks() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(code("a /* b /* c */ d */ e"), "a                   e");
        assert_eq!(code(r##"f("x\"y", r#"z"w"#)"##), "f(      ,         )");
        assert_eq!(code("'a' 'b: &'static"), "    'b: &'static");
        assert_eq!(code(r"'\'' x"), "     x");
    }

    #[test]
    fn groups_of_a_use_are_taken_apart() {
        let source = Source::parse(
            "a.rs",
            "use crate::{a::B, c::{self, D as E}};\nf(std::x());",
        );
        let paths: Vec<_> = source
            .paths()
            .iter()
            .map(|path| path.segments.join("::"))
            .collect();
        assert!(paths.contains(&"crate::a::B".to_string()), "{paths:?}");
        assert!(paths.contains(&"crate::c::self".to_string()), "{paths:?}");
        assert!(paths.contains(&"crate::c::D".to_string()), "{paths:?}");
        assert!(paths.contains(&"std::x".to_string()), "{paths:?}");
    }

    #[test]
    fn tests_are_told_from_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        let source = Source::parse("core/src/a.rs", text);
        assert_eq!(source.test[..6], [false, true, true, true, true, false]);
        assert!(Source::parse("core/src/a/tests.rs", "fn a() {}").is_test(1));
        assert!(!Source::parse("a.rs", "#[cfg(not(test))]\nfn a() {}").is_test(2));
        assert!(Source::parse("a.rs", "#[cfg(all(test, loom))]\nmod m;\nfn a() {}").is_test(2));
    }
}
