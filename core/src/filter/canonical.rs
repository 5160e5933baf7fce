//! The canonical text of a filter: how nodes are ordered, and how they are written.
//!
//! In: nodes. Out: text in the parser's own syntax. What is written the same means the same, so
//! the text is the key by which filters are compared. Any thread.

use std::fmt::{self, Display, Formatter};

use super::tree::{Affix, Cast, Comparison, Field, Native, Node, Number};

/// Words that stand for something else in CEL, so that no tag can be written behind a dot by them.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Orders operands by their text, and leaves one of each.
pub(super) fn sort(nodes: &mut Vec<Node>) {
    let mut keyed: Vec<(String, Node)> = nodes
        .drain(..)
        .map(|node| (node.to_string(), node))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.dedup_by(|(a, _), (b, _)| a == b);
    nodes.extend(keyed.into_iter().map(|(_, node)| node));
}

/// The one way to write this number beside this cast, without a change of its value.
pub(super) fn number(cast: Cast, bound: Number) -> Number {
    match (cast, bound) {
        (Cast::Double, Number::Int(whole)) if whole as f64 as i128 == i128::from(whole) => {
            Number::Float(whole as f64)
        }
        (Cast::Int, Number::Float(value)) if i128::from(value as i64) as f64 == value => {
            Number::Int(value as i64)
        }
        // Not `-0.0`, which compares like this one.
        (_, Number::Float(0.0)) => Number::Float(0.0),
        _ => bound,
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Node::Constant(value) => write!(f, "{value}"),
            Node::All(nodes) => joined(f, nodes, " && "),
            Node::Any(nodes) => joined(f, nodes, " || "),
            Node::Not(inner) => match **inner {
                Node::Has(Field::Tag(ref name)) if !is_word(name) => write!(f, "!({inner})"),
                Node::Has(_) | Node::Affix { .. } | Node::Native(_) => write!(f, "!{inner}"),
                _ => write!(f, "!({inner})"),
            },
            Node::Has(Field::Event) => f.write_str("has(publication.event)"),
            Node::Has(Field::Key) => f.write_str("has(publication.key)"),
            Node::Has(Field::Tag(name)) if is_word(name) => write!(f, "has(tags.{name})"),
            Node::Has(Field::Tag(name)) => write!(f, "{} in tags", Quoted(name)),
            Node::Equal {
                field,
                value,
                negated,
            } => {
                let sign = if *negated { "!=" } else { "==" };
                write!(f, "{field} {sign} {}", Quoted(value))
            }
            Node::OneOf {
                field,
                values,
                negated: true,
            } => write!(f, "!({field} in {})", List(values)),
            Node::OneOf { field, values, .. } => write!(f, "{field} in {}", List(values)),
            Node::Affix {
                field,
                affix,
                value,
            } => write!(f, "{field}.{affix}({})", Quoted(value)),
            Node::Number {
                field,
                cast,
                comparison,
                bound,
            } => write!(f, "{cast}({field}) {comparison} {bound}"),
            Node::Native(Native { name, .. }) => write!(f, "native({})", Quoted(name)),
        }
    }
}

fn joined(f: &mut Formatter<'_>, nodes: &[Node], sign: &str) -> fmt::Result {
    for (i, node) in nodes.iter().enumerate() {
        if i > 0 {
            f.write_str(sign)?;
        }
        match node {
            // Only inside of `All`, whose sign binds closer.
            Node::Any(_) => write!(f, "({node})")?,
            _ => write!(f, "{node}")?,
        }
    }
    Ok(())
}

impl Display for Field {
    /// As it is written in a filter's text.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Field::Event => f.write_str("event"),
            Field::Key => f.write_str("key"),
            Field::Tag(name) if is_word(name) => write!(f, "tags.{name}"),
            Field::Tag(name) => write!(f, "tags[{}]", Quoted(name)),
        }
    }
}

impl Display for Affix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Affix::Start => "startsWith",
            Affix::End => "endsWith",
            Affix::Anywhere => "contains",
        })
    }
}

impl Display for Cast {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cast::Double => "double",
            Cast::Int => "int",
        })
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        })
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(whole) => write!(f, "{whole}"),
            // The shortest digits that read back as the same number.
            Number::Float(value) => write!(f, "{value:?}"),
        }
    }
}

fn is_word(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
        && !RESERVED.contains(&name)
}

struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

struct List<'a>(&'a [String]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", Quoted(value))?;
        }
        f.write_str("]")
    }
}
