//! The tree of a filter: what is asked, and how it is put together.
//!
//! In: parts from the builders or from the parser. Out: nodes in canonical form, since each way to
//! put nodes together here keeps that form. Any thread.

use std::fmt;

use super::canonical;
use crate::labels::Labels;
use crate::sync::Arc;

/// What of a publication a filter looks at. A `&str` or a `String` is the name of a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The event's name: `event` in text.
    Event,
    /// The key: `key` in text.
    Key,
    /// The tag of this name: `tags.name` or `tags["name"]` in text.
    Tag(String),
}

impl From<&str> for Field {
    fn from(name: &str) -> Self {
        Field::Tag(name.to_owned())
    }
}

impl From<String> for Field {
    fn from(name: String) -> Self {
        Field::Tag(name)
    }
}

/// A question, or several put together, in canonical form.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(bool),
    /// At least two, sorted by their text, all different, none of them `All` or a constant.
    All(Vec<Node>),
    /// At least two, sorted by their text, all different, none of them `Any` or a constant.
    Any(Vec<Node>),
    /// Of a node that has no other way to say its negation.
    Not(Box<Node>),
    Has(Field),
    Equal {
        field: Field,
        value: String,
        negated: bool,
    },
    /// Sorted values, all different, of any number but one.
    OneOf {
        field: Field,
        values: Vec<String>,
        negated: bool,
    },
    Affix {
        field: Field,
        affix: Affix,
        value: String,
    },
    Number {
        field: Field,
        cast: Cast,
        comparison: Comparison,
        bound: Number,
    },
    Native(Native),
}

/// Where in a value a piece of text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affix {
    Start,
    End,
    Anywhere,
}

/// As what a value is read before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Double,
    Int,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The same comparison with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            equality => equality,
        }
    }

    /// The comparison that holds where this does not. What has no order is unknown to both.
    fn negated(self) -> Self {
        match self {
            Comparison::Equal => Comparison::NotEqual,
            Comparison::NotEqual => Comparison::Equal,
            Comparison::Less => Comparison::GreaterOrEqual,
            Comparison::LessOrEqual => Comparison::Greater,
            Comparison::Greater => Comparison::LessOrEqual,
            Comparison::GreaterOrEqual => Comparison::Less,
        }
    }
}

/// A number to compare with; finite, and never `-0.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// A host's own predicate. Its name says which it is.
#[derive(Clone)]
pub(super) struct Native {
    pub(super) name: String,
    pub(super) decide: Arc<Predicate>,
}

pub(super) type Predicate = dyn Fn(&Labels, &[u8]) -> bool + Send + Sync;

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Native").field(&self.name).finish()
    }
}

impl Node {
    /// True if all are.
    pub(super) fn all(nodes: impl IntoIterator<Item = Node>) -> Node {
        Node::gathered(nodes, false)
    }

    /// True if one of them is.
    pub(super) fn any(nodes: impl IntoIterator<Item = Node>) -> Node {
        Node::gathered(nodes, true)
    }

    /// `decisive` is the constant that alone decides: false among all, true among any.
    fn gathered(nodes: impl IntoIterator<Item = Node>, decisive: bool) -> Node {
        let mut flat = Vec::new();
        for node in nodes {
            match (node, decisive) {
                (Node::Constant(value), _) if value == decisive => return Node::Constant(value),
                (Node::Constant(_), _) => {}
                (Node::All(inner), false) | (Node::Any(inner), true) => flat.extend(inner),
                (node, _) => flat.push(node),
            }
        }
        canonical::sort(&mut flat);
        match (flat.len(), decisive) {
            (0, _) => Node::Constant(!decisive),
            (1, _) => flat.swap_remove(0),
            (_, false) => Node::All(flat),
            (_, true) => Node::Any(flat),
        }
    }

    pub(super) fn negated(self) -> Node {
        match self {
            Node::Constant(value) => Node::Constant(!value),
            Node::Not(inner) => *inner,
            Node::Equal {
                field,
                value,
                negated,
            } => Node::Equal {
                field,
                value,
                negated: !negated,
            },
            Node::OneOf {
                field,
                values,
                negated,
            } => Node::OneOf {
                field,
                values,
                negated: !negated,
            },
            Node::Number {
                field,
                cast,
                comparison,
                bound,
            } => Node::Number {
                field,
                cast,
                comparison: comparison.negated(),
                bound,
            },
            node => Node::Not(Box::new(node)),
        }
    }

    pub(super) fn one_of(field: Field, mut values: Vec<String>) -> Node {
        values.sort_unstable();
        values.dedup();
        let negated = false;
        match values.len() {
            1 => Node::Equal {
                field,
                value: values.swap_remove(0),
                negated,
            },
            _ => Node::OneOf {
                field,
                values,
                negated,
            },
        }
    }

    pub(super) fn number(field: Field, cast: Cast, comparison: Comparison, bound: Number) -> Node {
        Node::Number {
            field,
            cast,
            comparison,
            bound: canonical::number(cast, bound),
        }
    }

    fn operands(&self) -> &[Node] {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes,
            Node::Not(inner) => std::slice::from_ref(inner),
            _ => &[],
        }
    }

    /// Levels, this one included.
    pub(super) fn depth(&self) -> usize {
        1 + self.operands().iter().map(Node::depth).max().unwrap_or(0)
    }

    /// Nodes, this one included.
    pub(super) fn count(&self) -> usize {
        1 + self.operands().iter().map(Node::count).sum::<usize>()
    }
}
