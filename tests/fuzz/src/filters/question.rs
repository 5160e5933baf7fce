//! A filter as a plain tree, read in the simplest way: what the engine's filters are held against.
//!
//! In: bytes that spell a tree or a publication. Out: the filter that the builders make of it, one
//! of its many texts, and its value by CEL's rules without any short cut. One thread.

use std::cmp::Ordering;

use roomcast::{Field, Filter, Labels};

const NAMES: &[&str] = &["a", "b", "c", "a b", "while", "", "\u{e9}\"", "_1"];
const VALUES: &[&str] = &[
    "x",
    "",
    "xy",
    "y",
    "5",
    "5.0",
    "7.25",
    "-3",
    "1e3",
    "NaN",
    "inf",
    "+5",
    " 5",
    "9007199254740993",
    "x\"\\\n\t'\u{7}",
    "\u{e9}\u{1f600}",
    "0x5",
    "-0",
    "5.",
    ".5",
    "-9223372036854775808",
    "9223372036854775807",
    "1_0",
    "\u{0}",
];
const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    5.0,
    7.25,
    -3.0,
    -2.5,
    1e3,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    -9_223_372_036_854_775_808.0,
    1e19,
    1e300,
    f64::MIN_POSITIVE,
    f64::NAN,
    f64::NEG_INFINITY,
];
const WHOLES: &[i64] = &[
    0,
    5,
    7,
    -3,
    1_000,
    9_007_199_254_740_993,
    i64::MIN,
    i64::MAX,
];
const LEVELS_MAX: usize = 40;

/// Bytes that are taken one by one; zeros when they are at their end.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Bytes(bytes)
    }

    fn next(&mut self) -> u8 {
        match self.0 {
            [] => 0,
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn float(&mut self) -> f64 {
        match self.below(FLOATS.len() + 2).checked_sub(2) {
            Some(at) => FLOATS[at],
            None => f64::from_be_bytes(std::array::from_fn(|_| self.next())),
        }
    }
}

/// What a filter is asked about.
#[derive(Debug)]
pub struct Publication {
    pub event: Option<String>,
    pub key: Option<String>,
    pub tags: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl Publication {
    pub fn decode(bytes: &mut Bytes<'_>) -> Self {
        let shape = bytes.next();
        let event = (shape & 1 != 0).then(|| bytes.pick(VALUES).to_string());
        let key = (shape & 2 != 0).then(|| bytes.pick(VALUES).to_string());
        let tags = (0..shape >> 2 & 7)
            .map(|_| {
                (
                    bytes.pick(NAMES).to_string(),
                    bytes.pick(VALUES).to_string(),
                )
            })
            .collect();
        let data = vec![7; usize::from(shape >> 5)];
        Publication {
            event,
            key,
            tags,
            data,
        }
    }

    pub fn labels(&self) -> Labels {
        let tags: Vec<_> = self
            .tags
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        Labels::new(self.event.as_deref(), self.key.as_deref(), &tags)
    }

    fn read(&self, field: &Field) -> Option<&str> {
        match field {
            Field::Event => self.event.as_deref(),
            Field::Key => self.key.as_deref(),
            Field::Tag(name) => {
                let mut tags = self.tags.iter();
                tags.find(|(n, _)| n == name)
                    .map(|(_, value)| value.as_str())
            }
            _ => panic!("a field that this does not know"),
        }
    }
}

#[derive(Debug)]
pub enum Question {
    All(Vec<Question>),
    Any(Vec<Question>),
    Not(Box<Question>),
    Has(Field),
    Equal(Field, String),
    NotEqual(Field, String),
    OneOf(Field, Vec<String>),
    NoneOf(Field, Vec<String>),
    Affix(Field, Affix, String),
    /// By a builder: an order only.
    Double(Field, Sign, f64),
    /// By a text: of a whole number of either cast, with all signs.
    Whole(Field, Cast, Sign, i64),
    /// The data has more bytes.
    Native(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Affix {
    Start,
    End,
    Anywhere,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cast {
    Double,
    Int,
}

/// A sign of comparison, turned around, and when it holds.
type Sign = (
    &'static str,
    &'static str,
    fn(Option<Ordering>) -> Option<bool>,
);

/// NaN is in no order with any number, which is an error, and equals none, which is none.
const SIGNS: [Sign; 6] = [
    ("<", ">", |order| order.map(|order| order == Ordering::Less)),
    ("<=", ">=", |order| {
        order.map(|order| order != Ordering::Greater)
    }),
    (">", "<", |order| {
        order.map(|order| order == Ordering::Greater)
    }),
    (">=", "<=", |order| {
        order.map(|order| order != Ordering::Less)
    }),
    ("==", "==", |order| Some(order == Some(Ordering::Equal))),
    ("!=", "!=", |order| Some(order != Some(Ordering::Equal))),
];

impl Question {
    pub fn decode(bytes: &mut Bytes<'_>) -> Self {
        Question::at_level(bytes, LEVELS_MAX)
    }

    fn at_level(bytes: &mut Bytes<'_>, left: usize) -> Self {
        let kind = bytes.below(if left == 0 { 9 } else { 14 });
        if kind >= 9 {
            let mut inner = || Question::at_level(bytes, left - 1);
            return match kind {
                9 => Question::Not(Box::new(inner())),
                10 | 11 => Question::All(several(bytes, left)),
                _ => Question::Any(several(bytes, left)),
            };
        }
        let field = match bytes.below(NAMES.len() + 2) {
            0 => Field::Event,
            1 => Field::Key,
            at => Field::from(NAMES[at - 2]),
        };
        let value = |bytes: &mut Bytes<'_>| bytes.pick(VALUES).to_string();
        let values = |bytes: &mut Bytes<'_>| (0..bytes.below(5)).map(|_| value(bytes)).collect();
        match kind {
            0 => Question::Equal(field, value(bytes)),
            1 => Question::NotEqual(field, value(bytes)),
            2 => Question::OneOf(field, values(bytes)),
            3 => Question::NoneOf(field, values(bytes)),
            4 => Question::Has(field),
            5 => {
                let affix = bytes.pick(&[Affix::Start, Affix::End, Affix::Anywhere]);
                Question::Affix(field, affix, value(bytes))
            }
            6 => Question::Double(field, bytes.pick(&SIGNS[..4]), bytes.float()),
            7 => {
                let cast = bytes.pick(&[Cast::Double, Cast::Int]);
                Question::Whole(field, cast, bytes.pick(&SIGNS), bytes.pick(WHOLES))
            }
            _ => Question::Native(bytes.next() % 4),
        }
    }

    /// What the builders make of it.
    pub fn filter(&self) -> Filter {
        let field = |field: &Field| field.clone();
        match self {
            Question::All(inner) => Filter::all(inner.iter().map(Question::filter)),
            Question::Any(inner) => Filter::any(inner.iter().map(Question::filter)),
            Question::Not(inner) => !inner.filter(),
            Question::Has(of) => Filter::exists(field(of)),
            Question::Equal(of, value) => Filter::eq(field(of), value),
            Question::NotEqual(of, value) => Filter::neq(field(of), value),
            Question::OneOf(of, values) => Filter::one_of(field(of), values),
            Question::NoneOf(of, values) => Filter::none_of(field(of), values),
            Question::Affix(of, Affix::Start, value) => Filter::starts_with(field(of), value),
            Question::Affix(of, Affix::End, value) => Filter::ends_with(field(of), value),
            Question::Affix(of, Affix::Anywhere, value) => Filter::contains(field(of), value),
            Question::Double(of, ("<", ..), bound) => Filter::lt(field(of), *bound),
            Question::Double(of, ("<=", ..), bound) => Filter::lte(field(of), *bound),
            Question::Double(of, (">", ..), bound) => Filter::gt(field(of), *bound),
            Question::Double(of, _, bound) => Filter::gte(field(of), *bound),
            Question::Whole(..) => Filter::text(&self.spelled()).expect("it is well spelled"),
            Question::Native(than) => {
                let than = usize::from(*than);
                let longer = move |_: &Labels, data: &[u8]| data.len() > than;
                Filter::native(format!("longer than {than}"), longer)
            }
        }
    }

    /// Yes, no or unknown, with every part of it asked.
    pub fn value(&self, publication: &Publication) -> Option<bool> {
        let read = |field| publication.read(field);
        let values = |inner: &[Question]| -> Vec<_> {
            inner
                .iter()
                .map(|question| question.value(publication))
                .collect()
        };
        match self {
            Question::All(inner) => match values(inner) {
                values if values.contains(&Some(false)) => Some(false),
                values if values.contains(&None) => None,
                _ => Some(true),
            },
            Question::Any(inner) => match values(inner) {
                values if values.contains(&Some(true)) => Some(true),
                values if values.contains(&None) => None,
                _ => Some(false),
            },
            Question::Not(inner) => inner.value(publication).map(|value| !value),
            Question::Has(field) => Some(read(field).is_some()),
            Question::Equal(field, value) => read(field).map(|is| is == value),
            Question::NotEqual(field, value) => read(field).map(|is| is != value),
            Question::OneOf(field, values) => read(field).map(|is| values.iter().any(|v| v == is)),
            Question::NoneOf(field, values) => read(field).map(|is| values.iter().all(|v| v != is)),
            Question::Affix(field, affix, value) => read(field).map(|is| match affix {
                Affix::Start => is.starts_with(value),
                Affix::End => is.ends_with(value),
                Affix::Anywhere => is.contains(value),
            }),
            Question::Double(field, (.., holds), bound) => {
                let is: f64 = read(field)?.parse().ok()?;
                holds(is.partial_cmp(bound))
            }
            Question::Whole(field, Cast::Int, (.., holds), bound) => {
                let is: i64 = read(field)?.parse().ok()?;
                holds(Some(is.cmp(bound)))
            }
            Question::Whole(field, Cast::Double, (.., holds), bound) => {
                let is: f64 = read(field)?.parse().ok()?;
                holds(beside(is, *bound))
            }
            Question::Native(than) => Some(publication.data.len() > usize::from(*than)),
        }
    }

    /// One of its texts, and not the canonical one.
    pub fn spelled(&self) -> String {
        let joined = |inner: &[Question], sign: &str, none: &str| {
            let parts: Vec<_> = inner
                .iter()
                .map(|part| format!("({})", part.spelled()))
                .collect();
            if parts.is_empty() {
                none.to_string()
            } else {
                parts.join(sign)
            }
        };
        match self {
            Question::All(inner) => joined(inner, "&&", "true"),
            Question::Any(inner) => joined(inner, "\n|| ", "!true"),
            Question::Not(inner) => format!("!!!({})", inner.spelled()),
            Question::Has(Field::Tag(name)) => format!("({} in tags)", quoted(name)),
            Question::Has(Field::Event) => "has(publication.event)".into(),
            Question::Has(_) => "has((publication).key)".into(),
            Question::Equal(of, value) => format!("{}=={}", quoted(value), spelled(of)),
            Question::NotEqual(of, value) => format!("!({} == {})", spelled(of), quoted(value)),
            Question::OneOf(of, values) => format!("{} in {}", spelled(of), list(values)),
            Question::NoneOf(of, values) => format!("!({} in {})", spelled(of), list(values)),
            Question::Affix(of, affix, value) => {
                let name = match affix {
                    Affix::Start => "startsWith",
                    Affix::End => "endsWith",
                    Affix::Anywhere => "contains",
                };
                format!("{} . {name} ( {} )", spelled(of), quoted(value))
            }
            Question::Double(of, (_, turned, _), bound) => {
                format!("{bound:e} {turned} double({})", spelled(of))
            }
            Question::Whole(of, cast, (sign, ..), bound) => {
                let cast = if *cast == Cast::Int { "int" } else { "double" };
                format!("{cast}({}) {sign} {bound}", spelled(of))
            }
            Question::Native(_) => panic!("a native predicate has no text"),
        }
    }

    fn parts(&self) -> &[Question] {
        match self {
            Question::All(inner) | Question::Any(inner) => inner,
            Question::Not(inner) => std::slice::from_ref(inner),
            _ => &[],
        }
    }

    pub fn depth(&self) -> usize {
        1 + self.parts().iter().map(Question::depth).max().unwrap_or(0)
    }

    pub fn nodes(&self) -> usize {
        1 + self.parts().iter().map(Question::nodes).sum::<usize>()
    }

    pub fn is_finite(&self) -> bool {
        let own = !matches!(self, Question::Double(.., bound) if !bound.is_finite());
        own && self.parts().iter().all(Question::is_finite)
    }

    /// Whether a whole number that is no double is compared with a double. CEL's rule is that both
    /// lie on one line of numbers, so that neither is rounded; some of its evaluators round.
    pub fn is_beyond_doubles(&self) -> bool {
        let beyond = |bound: i64| bound as f64 as i128 != i128::from(bound);
        let own = matches!(self, Question::Whole(_, Cast::Double, _, bound) if beyond(*bound));
        own || self.parts().iter().any(Question::is_beyond_doubles)
    }

    /// Without a native predicate.
    pub fn is_text(&self) -> bool {
        !matches!(self, Question::Native(_)) && self.parts().iter().all(Question::is_text)
    }
}

fn several(bytes: &mut Bytes<'_>, left: usize) -> Vec<Question> {
    (0..bytes.below(4))
        .map(|_| Question::at_level(bytes, left - 1))
        .collect()
}

fn beside(value: f64, bound: i64) -> Option<Ordering> {
    let floor = value.floor();
    match value.is_nan() {
        true => None,
        false => Some(
            (floor as i128)
                .cmp(&bound.into())
                .then(value.total_cmp(&floor)),
        ),
    }
}

fn spelled(field: &Field) -> String {
    match field {
        Field::Event => "publication.event".into(),
        Field::Tag(name) => format!("tags[{}]", quoted(name)),
        _ => "(key)".into(),
    }
}

/// In single quotes, with escapes wherever a character is not plain.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        match u32::from(c) {
            _ if c.is_ascii_alphanumeric() => quoted.push(c),
            code @ ..0x40 => quoted += &format!("\\{code:03o}"),
            code @ ..0x100 => quoted += &format!("\\x{code:02X}"),
            code => quoted += &format!("\\U{code:08x}"),
        }
    }
    quoted + "'"
}

fn list(values: &[String]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", quoted.join(","))
}
