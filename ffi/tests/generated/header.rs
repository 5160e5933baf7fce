//! The header: cbindgen's declarations in the order of a manual, under headings, behind a page of
//! conventions that is written by hand (`ffi/header/`).

use std::path::PathBuf;

/// The sections, and the files of ffi/src whose items stand there, in their order.
const SECTIONS: &[(&str, &[&str])] = &[
    ("Versions", &["version"]),
    ("Statuses", &["status"]),
    ("Texts, bytes and finalizers", &["boundary"]),
    ("Limits", &["limits"]),
    ("Claims", &["claims"]),
    ("Requests", &["request"]),
    ("Events", &["delivery", "events"]),
    ("Pages", &["pages"]),
    ("Configuration", &["config"]),
    ("Options of rooms and listeners", &["options"]),
    ("Tokens", &["keys", "auth"]),
    ("TLS", &["tls"]),
    ("The engine", &["engine"]),
    ("Taking events", &["pull"]),
    ("Ways to be a member", &["join"]),
    ("Verdicts", &["verdict"]),
    ("Publishing", &["publish"]),
    ("Filters", &["labels", "filter"]),
    ("Connections", &["connections"]),
    ("Permission", &["wish"]),
    ("Rooms", &["rooms"]),
    ("Presence", &["presence"]),
    ("Lists and texts", &["lists"]),
    ("Sockets of your own HTTP server", &["adopt"]),
    ("Figures", &["metrics", "snapshot"]),
];

struct Item {
    text: String,
    name: String,
}

pub(super) fn header() -> String {
    let mut items = items(&declarations());
    let mut text = page("before.h");
    text += &heading("Handles");
    let (handles, rest): (Vec<_>, Vec<_>) = items.drain(..).partition(Item::is_handle);
    items = rest;
    let order = sources(SECTIONS.iter().flat_map(|(_, files)| *files));
    for handle in sorted(handles, &order) {
        text += &handle.text;
    }
    for (title, files) in SECTIONS {
        text += &heading(title);
        let order = sources(files.iter());
        let (here, rest) = items.into_iter().partition(|i| place(i, &order).is_some());
        items = rest;
        for item in sorted(here, &order) {
            text += &item.text;
        }
    }
    let left: Vec<_> = items.iter().map(|item| &item.name).collect();
    assert!(left.is_empty(), "in no section: {left:?}");
    text + &page("after.h")
}

fn page(name: &str) -> String {
    let file = super::root().join("ffi/header").join(name);
    std::fs::read_to_string(file).expect("the page is there")
}

fn heading(title: &str) -> String {
    format!("\n/* {:-<90}\n * {title}\n * {:-<90} */\n", "", "")
}

fn sources<'a>(files: impl Iterator<Item = &'a &'a str>) -> String {
    let read = |file: &&str| {
        let path = super::root().join(format!("ffi/src/{file}.rs"));
        std::fs::read_to_string(path).expect("the source is there")
    };
    files.map(read).collect()
}

/// Where an item is defined in the sources.
fn place(item: &Item, sources: &str) -> Option<usize> {
    let forms = ["fn {}(", "struct {} ", "enum {} ", "type {} ", "const {}:"];
    let found = forms.iter().filter_map(|form| {
        let definition = format!("pub {}", form.replace("{}", &item.name));
        let in_c = definition.replace("pub fn", "extern \"C\" fn");
        sources.find(&in_c)
    });
    found.min()
}

fn sorted(mut items: Vec<Item>, sources: &str) -> Vec<Item> {
    items.sort_by_key(|item| (item.is_function(), place(item, sources)));
    items
}

/// What cbindgen makes of the sources, in no order that a reader would want.
fn declarations() -> String {
    let config = cbindgen::Config::from_file(super::root().join("ffi/cbindgen.toml"));
    let mut builder = cbindgen::Builder::new().with_config(config.expect("the settings are read"));
    for source in plain_sources() {
        builder = builder.with_src(source);
    }
    let mut bytes = Vec::new();
    let bindings = builder.generate().expect("the sources are read");
    bindings.write(&mut bytes);
    untagged(&String::from_utf8(bytes).expect("cbindgen writes text"))
}

/// Every struct and enum has a typedef, so that only this needs its tag.
fn untagged(text: &str) -> String {
    let mut text = text.to_owned();
    for tag in ["struct", "enum"] {
        let (typedef, kept) = (format!("typedef {tag} "), format!("typedef {tag}-"));
        text = text.replace(&typedef, &kept);
        text = text.replace(&format!("{tag} roomcast_"), "roomcast_");
        text = text.replace(&kept, &typedef);
    }
    aligned(&text)
}

/// Parameters on lines of their own, moved to where the shorter line has its bracket.
fn aligned(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for line in text.lines() {
        if line.starts_with("         ") && column > 0 {
            lines += &format!("{:column$}{}", "", line.trim_start());
        } else {
            lines += line;
            column = line.rfind('(').map_or(0, |at| at + 1);
        }
        lines += "\n";
    }
    lines
}

/// Copies of the sources in which pointers are plain, which cbindgen understands.
fn plain_sources() -> Vec<PathBuf> {
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("header");
    std::fs::create_dir_all(&into).expect("a folder can be made");
    let files = SECTIONS.iter().flat_map(|(_, files)| *files);
    let copy = |file: &&str| {
        let text = sources(std::iter::once(file)).replace("crate::boundary::", "");
        let text = plain(&text);
        let path = into.join(format!("{file}.rs"));
        std::fs::write(&path, text).expect("a file can be written");
        path
    };
    files.map(copy).collect()
}

/// The pointer types of `boundary.rs` as plain pointers, and no lifetimes.
fn plain(text: &str) -> String {
    let mut text = text.replace("Option<Box<Held>>", "*mut c_void");
    text = text.replace("Lent<Caller<'static>>", "*const c_void");
    for lifetime in ["<'_>", "<'a>", "<'static>"] {
        for handle in ["roomcast_request", "roomcast_labels"] {
            text = text.replace(&format!("{handle}{lifetime}"), handle);
        }
    }
    for (wrapper, pointer) in [
        (": Out<'_, ", ": *mut "),
        (": OutGrowing<", ": *mut "),
        (": OutArray<", ": *mut "),
        (": In<", ": *const "),
        (": *const In<", ": *const *const "),
    ] {
        text = unwrapped(&text, wrapper, pointer);
    }
    text
}

/// `WRAPPER<T>` as `POINTER T`, up to the bracket that closes it.
fn unwrapped(text: &str, wrapper: &str, pointer: &str) -> String {
    let mut parts = text.split(wrapper);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut depth = 1;
        let end = part.find(|c: char| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0
        });
        let (inner, rest) = part.split_at(end.expect("the type is closed"));
        plain += &format!("{pointer}{inner}{}", &rest[1..]);
    }
    plain
}

/// Comment and declaration, one item each.
fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut lines = String::new();
    for line in text.lines() {
        if line.is_empty() && lines.is_empty() {
            continue;
        }
        if line.is_empty() && ends(&lines) {
            items.push(Item::new(&std::mem::take(&mut lines)));
            continue;
        }
        lines += line;
        lines += "\n";
    }
    if !lines.is_empty() {
        items.push(Item::new(&lines));
    }
    items
}

/// Whether a declaration is complete, so that a blank line ends it.
fn ends(lines: &str) -> bool {
    let last = lines.lines().last().unwrap_or_default();
    last.ends_with(';') || last.starts_with("#define")
}

impl Item {
    fn new(lines: &str) -> Self {
        let code = lines.split_once("*/").map_or(lines, |(_, code)| code);
        let text = lines.replace("ROOMCAST_EVENT_KIND_", "ROOMCAST_EVENT_");
        let text = text.replace(" *\n * # Safety\n", "");
        // Every struct has a typedef, so that only this needs the tag.
        let (typedef, typed) = ("typedef struct roomcast_", "typedef struct-roomcast_");
        let text = text
            .replace(typedef, typed)
            .replace("struct roomcast_", "roomcast_");
        let text = text.replace(typed, typedef);
        Item {
            text: format!("\n{text}"),
            name: name(code.trim()).unwrap_or_else(|| panic!("nameless: {lines}")),
        }
    }

    fn is_function(&self) -> bool {
        let code = self.text.rsplit("*/\n").next().unwrap_or_default();
        code.contains('(') && !code.starts_with("typedef")
    }

    fn is_handle(&self) -> bool {
        self.text
            .ends_with(&format!("\ntypedef struct {0} {0};\n", self.name))
    }
}

/// The name that a declaration gives.
fn name(code: &str) -> Option<String> {
    let word = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    if let Some(rest) = code.strip_prefix("#define ") {
        return Some(word(rest));
    }
    if code.starts_with("typedef") && code.contains("(*") {
        return Some(word(code.split("(*").nth(1)?));
    }
    if code.starts_with("typedef") {
        return Some(
            code.strip_suffix(';')?
                .rsplit([' ', '*'])
                .next()?
                .to_owned(),
        );
    }
    let before = code.split('(').next()?;
    Some(before.rsplit([' ', '*']).next()?.to_owned())
}
