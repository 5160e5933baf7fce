//! Rules about Rust code: what it calls, how long it is, how it is named, what heads it.
//!
//! Comes in: one `Source`. Goes out: breaches. Rules about the engine look at core/src outside
//! tests; those about form look at every Rust file.

use crate::Breach;
use crate::source::Source;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
const COMMENT_LINES_MAX: usize = 3;
const PAGE_LINES_MIN: usize = 3;

const MACROS: &[&str] = &[
    "todo",
    "unimplemented",
    "dbg",
    "print",
    "println",
    "eprint",
    "eprintln",
];
const VAGUE_NAMES: &[&str] = &[
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utilities",
    "utils",
];

pub(crate) fn check(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    found.extend(calls(source));
    found.extend(ignored_tests(source));
    found.extend(file_length(source));
    found.extend(function_lengths(source));
    found.extend(line_lengths(source));
    found.extend(comment_blocks(source));
    found.extend(module_page(source));
    found.extend(vague_name(source));
    found.extend(getters(source));
    found.extend(unsafe_words(source));
    found
}

/// What the engine must not do outside tests: panic without a reason, or print.
fn calls(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    for (at, word) in source.words() {
        let line = source.line(at);
        if !source.is_core() || source.is_test(line) {
            continue;
        }
        let next = source.code.get(source.skip_blanks(at + word.len()));
        let method = at > 0 && source.code[at - 1] == b'.';
        if word == "unwrap" && method && next == Some(&b'(') {
            let says = "`unwrap` says nothing: `expect` carries the invariant".to_string();
            found.push(breach(source, "call", line, word, says));
        } else if MACROS.contains(&word) && next == Some(&b'!') {
            found.push(breach(
                source,
                "call",
                line,
                word,
                format!("`{word}!` in the engine"),
            ));
        }
    }
    found
}

fn ignored_tests(source: &Source) -> Vec<Breach> {
    let code = String::from_utf8_lossy(&source.code);
    let lines = code.lines().enumerate();
    lines
        .filter(|(_, line)| line.contains("#[ignore"))
        .map(|(i, _)| {
            breach(
                source,
                "ignored",
                i + 1,
                "ignore",
                "a test that never runs".to_string(),
            )
        })
        .collect()
}

fn file_length(source: &Source) -> Option<Breach> {
    let whole_test = source.test.first() == Some(&true) && source.test.iter().all(|test| *test);
    let lines = if whole_test {
        source.lines.len()
    } else {
        (1..=source.lines.len())
            .filter(|line| !source.is_test(*line))
            .count()
    };
    let says = format!("{lines} lines without tests; the alarm is at {FILE_LINES_MAX}");
    (lines > FILE_LINES_MAX).then(|| breach(source, "file-length", 1, "-", says))
}

fn function_lengths(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut words = source.words().peekable();
    while let Some((at, word)) = words.next() {
        let named = |(name_at, _): &(usize, &str)| word == "fn" && *name_at == at + "fn ".len();
        // Without a name behind it, it is a type.
        let Some((name_at, name)) = words.peek().copied().filter(named) else {
            continue;
        };
        let first = source.line(at);
        let lines = source.line(source.item_end(name_at).saturating_sub(1)) + 1 - first;
        if lines > FUNCTION_LINES_MAX && !source.is_test(first) {
            let says = format!("`{name}` has {lines} lines; the alarm is at {FUNCTION_LINES_MAX}");
            found.push(breach(source, "function-length", first, name, says));
        }
    }
    found
}

fn line_lengths(source: &Source) -> Vec<Breach> {
    crate::text::long_lines(
        &source.path,
        source.lines.iter().map(String::as_str),
        LINE_COLUMNS_MAX,
    )
}

/// Plain comments say why, in one to three lines; more is a page or a doc comment.
fn comment_blocks(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut length = 0;
    for (i, line) in source.lines.iter().enumerate() {
        let text = line.trim_start();
        let plain = text.starts_with("//") && !text.starts_with("//!") && !text.starts_with("///");
        length = if plain { length + 1 } else { 0 };
        if length == COMMENT_LINES_MAX + 1 {
            let says = format!("a plain comment of more than {COMMENT_LINES_MAX} lines");
            found.push(breach(source, "comment-block", i + 1, "-", says));
        }
    }
    found
}

/// Each file says what it is; in core/src in three lines or more. A file of tests: one line.
fn module_page(source: &Source) -> Option<Breach> {
    let page = source
        .lines
        .iter()
        .filter(|line| line.starts_with("//!"))
        .count();
    let tests = source.test.first() == Some(&true) || !source.is_core();
    let least = if tests { 1 } else { PAGE_LINES_MIN };
    let first = source
        .lines
        .iter()
        .find(|line| !line.is_empty() && !line.starts_with("#!"));
    let leads = first.is_none_or(|line| line.starts_with("//!"));
    let says = format!("its page (`//!`) has {page} lines and leads the file with {least} or more");
    (page < least || !leads).then(|| breach(source, "page", 1, "-", says))
}

fn vague_name(source: &Source) -> Option<Breach> {
    let vague = |part: &&str| VAGUE_NAMES.contains(&part.trim_end_matches(".rs"));
    let part = source.path.split('/').find(vague)?;
    let says = "name the stage or the thing that it holds".to_string();
    Some(breach(source, "name", 1, part, says))
}

fn getters(source: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut before = "";
    for (at, word) in source.words() {
        if before == "fn" && word.starts_with("get_") {
            let says = format!("`{word}`: a getter is named for what it gives");
            found.push(breach(source, "getter", source.line(at), word, says));
        }
        before = word;
    }
    found
}

/// Unsafe code stands only in files that the list of exceptions names, with the reason.
fn unsafe_words(source: &Source) -> Option<Breach> {
    // The attribute `#[unsafe(no_mangle)]` names a symbol; it does nothing at run time.
    let mut words = source.words().peekable();
    let at = loop {
        let (at, word) = words.next()?;
        let next = words.peek().map(|(_, next)| *next);
        if word == "unsafe" && next != Some("no_mangle") {
            break at;
        }
    };
    let says = "unsafe code outside the files that are named for it".to_string();
    Some(breach(source, "unsafe", source.line(at), "-", says))
}

fn breach(source: &Source, rule: &'static str, line: usize, item: &str, says: String) -> Breach {
    Breach {
        rule,
        path: source.path.clone(),
        line,
        item: item.to_string(),
        says,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules_broken;

    const PAGE: &str = "//! One.\n//!\n//! Two.\n\n";
    const FILE: &str = "core/src/close.rs";

    fn broken(body: &str) -> Vec<&'static str> {
        rules_broken(FILE, &format!("{PAGE}{body}"))
    }

    #[test]
    fn calls_can_fail() {
        for body in [
            "a.unwrap()",
            "todo!()",
            "println!(\"x\")",
            "dbg!(a)",
            "unimplemented!()",
        ] {
            assert_eq!(
                broken(&format!("fn a() {{ {body} }}\n")),
                ["call"],
                "{body}"
            );
        }
        let fine = "fn a() { b.unwrap_or(1); c(\"todo!()\") } // d.unwrap()\n";
        assert!(broken(fine).is_empty());
        assert!(broken("#[cfg(test)]\nmod tests {\n fn a() { b.unwrap() }\n}\n").is_empty());
    }

    #[test]
    fn ignored_tests_can_fail() {
        let hidden = "#[cfg(test)]\nmod tests {\n #[test]\n #[ignore = \"slow\"]\n fn a() {}\n}\n";
        assert_eq!(broken(hidden), ["ignored"]);
    }

    #[test]
    fn lengths_can_fail() {
        assert_eq!(broken(&"const A: u8 = 0;\n".repeat(800)), ["file-length"]);
        assert!(broken(&"const A: u8 = 0;\n".repeat(790)).is_empty());
        let body = |lines| format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines));
        assert_eq!(broken(&body(69)), ["function-length"]);
        assert!(broken(&body(68)).is_empty());
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "const A: u8 = 0;\n".repeat(900)
        );
        assert!(broken(&tests).is_empty());
        assert_eq!(
            broken(&format!("const A: &str = \"{}\";\n", "é".repeat(90))),
            ["line-length"]
        );
    }

    #[test]
    fn comments_can_fail() {
        assert_eq!(broken(&"// why\n".repeat(4)), ["comment-block"]);
        assert!(broken(&"// why\n".repeat(3)).is_empty());
        assert!(broken(&"/// contract\n".repeat(9)).is_empty());
    }

    #[test]
    fn pages_can_fail() {
        assert_eq!(
            rules_broken(FILE, "//! One.\n//! Two.\nfn a() {}\n"),
            ["page"]
        );
        assert_eq!(
            rules_broken(FILE, "fn a() {}\n//! 1\n//! 2\n//! 3\n"),
            ["page"]
        );
        assert_eq!(
            rules_broken("core/examples/echo.rs", "fn main() {}\n"),
            ["page"]
        );
    }

    #[test]
    fn names_can_fail() {
        assert_eq!(rules_broken("core/src/shard/util.rs", PAGE), ["name"]);
        assert_eq!(rules_broken("core/src/shard/helper/a.rs", PAGE), ["name"]);
        assert_eq!(broken("fn get_name() {}\n"), ["getter"]);
        assert!(broken("fn a() { b.get_mut(c) }\n").is_empty());
    }

    #[test]
    fn unsafe_can_fail() {
        assert_eq!(broken("fn a() { unsafe { b() } }\n"), ["unsafe"]);
        assert!(broken("#![deny(unsafe_code)]\n// unsafe\n").is_empty());
        assert!(broken("#[unsafe(no_mangle)]\nfn a() {}\n").is_empty());
    }
}
