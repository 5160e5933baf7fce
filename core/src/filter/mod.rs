//! Filters: which publications of a room a member is sent, by their labels.
//!
//! In: a tree from the builders, or a text in CEL's syntax. Out: yes or no for each publication.
//! Filters with the same canonical text are one filter, which is decided once for all members that
//! have it. Rank 0: it knows labels, no sockets and no clock; filters are shared by all threads.

mod canonical;
mod error;
mod evaluate;
mod lexer;
mod text;
mod tree;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops;

pub use self::error::FilterError;
use self::evaluate::Program;
pub use self::tree::Field;
use self::tree::{Affix, Cast, Comparison, Native, Node, Number};
use crate::labels::Labels;
use crate::sync::Arc;

const BYTES_MAX: usize = 16 * 1024;
const DEPTH_MAX: usize = 32;
const NODES_MAX: usize = 256;

/// Which publications of a room a member is sent, decided by their labels.
///
/// Built in the program, or read from a text in [CEL](https://cel.dev)'s syntax:
///
/// ```
/// use roomcast::{Filter, Labels};
///
/// let built = Filter::all([
///     Filter::eq("symbol", "BTC"),
///     Filter::gt("price", 100.5),
///     !Filter::one_of("side", ["ask", "test"]),
/// ]);
/// let written = Filter::text(
///     r#"tags.symbol == "BTC" && double(tags.price) > 100.5 && !(tags.side in ["ask", "test"])"#,
/// )?;
/// assert_eq!(built, written);
///
/// let tags = [("symbol", "BTC"), ("price", "101"), ("side", "bid")];
/// assert!(written.matches(&Labels::new(None, None, &tags), b""));
/// # Ok::<(), roomcast::FilterError>(())
/// ```
///
/// # What is missing
///
/// A tag that the publication has not, and a value that is no number where one is asked for, make
/// a comparison neither true nor false but unknown, in either polarity, as NULL does in SQL. A
/// filter that is unknown as a whole does not match; `unknown && false` is false,
/// `unknown || true` is true, and `!unknown` is unknown.
///
/// ```
/// use roomcast::{Filter, Labels};
///
/// let nothing = Labels::default();
/// assert!(!Filter::eq("side", "ask").matches(&nothing, b""));
/// assert!(!Filter::neq("side", "ask").matches(&nothing, b""));
/// assert!(Filter::missing("side").matches(&nothing, b""));
/// assert!((Filter::missing("side") | Filter::neq("side", "ask")).matches(&nothing, b""));
/// ```
///
/// # Text
///
/// | text | builder |
/// |---|---|
/// | `tags.side == "ask"`, `!=` | [`eq`](Self::eq), [`neq`](Self::neq) |
/// | `tags.side in ["ask", "bid"]` | [`one_of`](Self::one_of), [`none_of`](Self::none_of) |
/// | `has(tags.side)`, `"side" in tags` | [`exists`](Self::exists), [`missing`](Self::missing) |
/// | `tags.side.startsWith("a")`, `endsWith`, `contains` | [`starts_with`](Self::starts_with) … |
/// | `double(tags.price) > 100.5`, `>= < <= == !=` | [`gt`](Self::gt), [`gte`](Self::gte) … |
/// | `int(tags.count) >= 5` | none: a value such as `5.5` is unknown here |
/// | `a && b`, `a \|\| b` | [`all`](Self::all) or `a & b`, [`any`](Self::any) or `a \| b` |
/// | `!a`, `(a)`, `true`, `false` | `!a`, none, `Filter::all([])`, `Filter::any([])` |
///
/// `tags["any name"]` stands for a tag whose name is no word. `event` and `key` stand for those of
/// the publication, like [`Field::Event`] and [`Field::Key`]; whether there is one is asked by
/// `has(publication.event)` and `has(publication.key)`.
///
/// # One filter for many members
///
/// Filters are equal if their canonical texts are ([`Display`](fmt::Display) writes it). There
/// operands and lists are sorted and occur once, and a number has one spelling. The members of a
/// room whose filters are equal are one group, for which a publication is decided once.
///
/// # Bounds
///
/// A text has at most [`BYTES_MAX`](Self::BYTES_MAX) bytes, a filter at most
/// [`DEPTH_MAX`](Self::DEPTH_MAX) levels and [`NODES_MAX`](Self::NODES_MAX) nodes.
/// [`text`](Self::text) refuses what is beyond. The builders cannot fail: such a filter, and one
/// that compares with NaN or an infinity, has a [`fault`](Self::fault) and matches nothing.
#[derive(Clone)]
pub struct Filter(Arc<Inner>);

struct Inner {
    root: Node,
    key: String,
    depth: usize,
    nodes: usize,
    program: Program,
    fault: Option<FilterError>,
}

impl Filter {
    /// Bytes of a filter's text, as written and in its canonical form.
    pub const BYTES_MAX: usize = BYTES_MAX;
    /// Levels of a filter; parentheses in a text.
    pub const DEPTH_MAX: usize = DEPTH_MAX;
    /// Questions and what puts them together.
    pub const NODES_MAX: usize = NODES_MAX;

    /// A filter from its text in CEL's syntax.
    ///
    /// ```
    /// use roomcast::{Filter, FilterError};
    ///
    /// let wrong = Filter::text("tags.price > 100").unwrap_err();
    /// assert!(matches!(wrong, FilterError::Syntax { at: 0, .. }), "{wrong}");
    /// ```
    pub fn text(text: &str) -> Result<Filter, FilterError> {
        if text.len() > BYTES_MAX {
            return Err(FilterError::TooLarge);
        }
        Inner::checked(text::parse(text)?).map(|inner| Filter(Arc::new(inner)))
    }

    /// Matches what all of these match; everything if there are none.
    #[must_use]
    pub fn all(filters: impl IntoIterator<Item = Filter>) -> Filter {
        Filter::gathered(filters, Node::all)
    }

    /// Matches what one of these matches; nothing if there are none.
    #[must_use]
    pub fn any(filters: impl IntoIterator<Item = Filter>) -> Filter {
        Filter::gathered(filters, Node::any)
    }

    /// It has this value.
    #[must_use]
    pub fn eq(field: impl Into<Field>, value: impl Into<String>) -> Filter {
        Filter::one_of(field, [value])
    }

    /// It has another value than this.
    #[must_use]
    pub fn neq(field: impl Into<Field>, value: impl Into<String>) -> Filter {
        Filter::none_of(field, [value])
    }

    /// It has one of these values.
    #[must_use]
    pub fn one_of<V: Into<String>>(
        field: impl Into<Field>,
        values: impl IntoIterator<Item = V>,
    ) -> Filter {
        let values = values.into_iter().map(Into::into).collect();
        Filter::of(Node::one_of(field.into(), values))
    }

    /// It has a value, which is none of these.
    #[must_use]
    pub fn none_of<V: Into<String>>(
        field: impl Into<Field>,
        values: impl IntoIterator<Item = V>,
    ) -> Filter {
        let values = values.into_iter().map(Into::into).collect();
        Filter::of(Node::one_of(field.into(), values).negated())
    }

    /// The publication has it, of whatever value.
    #[must_use]
    pub fn exists(field: impl Into<Field>) -> Filter {
        Filter::of(Node::Has(field.into()))
    }

    /// The publication has it not.
    #[must_use]
    pub fn missing(field: impl Into<Field>) -> Filter {
        Filter::of(Node::Has(field.into()).negated())
    }

    /// Its value begins with this.
    #[must_use]
    pub fn starts_with(field: impl Into<Field>, piece: impl Into<String>) -> Filter {
        Filter::affix(field, Affix::Start, piece)
    }

    /// Its value ends with this.
    #[must_use]
    pub fn ends_with(field: impl Into<Field>, piece: impl Into<String>) -> Filter {
        Filter::affix(field, Affix::End, piece)
    }

    /// This is somewhere in its value.
    #[must_use]
    pub fn contains(field: impl Into<Field>, piece: impl Into<String>) -> Filter {
        Filter::affix(field, Affix::Anywhere, piece)
    }

    /// Its value is a number greater than this.
    #[must_use]
    pub fn gt(field: impl Into<Field>, bound: f64) -> Filter {
        Filter::number(field, Comparison::Greater, bound)
    }

    /// Its value is a number, this or greater.
    #[must_use]
    pub fn gte(field: impl Into<Field>, bound: f64) -> Filter {
        Filter::number(field, Comparison::GreaterOrEqual, bound)
    }

    /// Its value is a number less than this.
    #[must_use]
    pub fn lt(field: impl Into<Field>, bound: f64) -> Filter {
        Filter::number(field, Comparison::Less, bound)
    }

    /// Its value is a number, this or less.
    #[must_use]
    pub fn lte(field: impl Into<Field>, bound: f64) -> Filter {
        Filter::number(field, Comparison::LessOrEqual, bound)
    }

    /// A predicate of the program, over a publication's labels and data.
    ///
    /// It is asked on a shard's thread, once per publication for all members with an equal filter,
    /// and only if the rest of the filter has not decided. Its name says which predicate it is:
    /// two of one name are taken for the same. It can be put together with other filters, and has
    /// no text that [`Filter::text`] would read.
    ///
    /// ```
    /// use roomcast::{Filter, Labels};
    ///
    /// let short = Filter::native("short", |_: &Labels, data: &[u8]| data.len() < 5);
    /// let filter = short & Filter::exists("symbol");
    /// assert!(filter.matches(&Labels::new(None, None, &[("symbol", "BTC")]), b"data"));
    /// ```
    #[must_use]
    pub fn native(
        name: impl Into<String>,
        predicate: impl Fn(&Labels, &[u8]) -> bool + Send + Sync + 'static,
    ) -> Filter {
        let (name, decide) = (name.into(), Arc::new(predicate));
        Filter::of(Node::Native(Native { name, decide }))
    }

    /// Whether a publication with these labels and data is one of those.
    #[must_use]
    pub fn matches(&self, labels: &Labels, data: &[u8]) -> bool {
        self.0.program.decides(labels, data)
    }

    /// Why this filter matches nothing and no engine takes it, if so.
    #[must_use]
    pub fn fault(&self) -> Option<&FilterError> {
        self.0.fault.as_ref()
    }

    /// The canonical text, by which filters are compared. [`Filter::text`] makes an equal filter
    /// of it, unless there is a native predicate in it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.key
    }

    /// Bytes of the canonical text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.key.len()
    }

    /// Levels: 1 for a single question.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// Questions, and what puts them together.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.nodes
    }

    fn gathered(
        filters: impl IntoIterator<Item = Filter>,
        join: impl FnOnce(Vec<Node>) -> Node,
    ) -> Filter {
        let mut nodes = Vec::new();
        for filter in filters {
            if filter.0.fault.is_some() {
                return filter;
            }
            nodes.push(filter.0.root.clone());
        }
        Filter::of(join(nodes))
    }

    fn affix(field: impl Into<Field>, affix: Affix, piece: impl Into<String>) -> Filter {
        let (field, value) = (field.into(), piece.into());
        Filter::of(Node::Affix {
            field,
            affix,
            value,
        })
    }

    fn number(field: impl Into<Field>, comparison: Comparison, bound: f64) -> Filter {
        if !bound.is_finite() {
            return Filter(Arc::new(Inner::faulty(FilterError::NotFinite)));
        }
        let bound = Number::Float(bound);
        Filter::of(Node::number(field.into(), Cast::Double, comparison, bound))
    }

    fn of(root: Node) -> Filter {
        Filter(Arc::new(Inner::checked(root).unwrap_or_else(Inner::faulty)))
    }
}

impl Inner {
    fn checked(root: Node) -> Result<Inner, FilterError> {
        let (depth, nodes) = (root.depth(), root.count());
        if depth > DEPTH_MAX {
            return Err(FilterError::TooDeep);
        }
        let key = root.to_string();
        if nodes > NODES_MAX || key.len() > BYTES_MAX {
            return Err(FilterError::TooLarge);
        }
        Ok(Inner {
            program: Program::compile(&root),
            root,
            key,
            depth,
            nodes,
            fault: None,
        })
    }

    fn faulty(fault: FilterError) -> Inner {
        let root = Node::Constant(false);
        Inner {
            program: Program::compile(&root),
            key: root.to_string(),
            root,
            depth: 1,
            nodes: 1,
            fault: Some(fault),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.as_str())
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl ops::Not for Filter {
    type Output = Filter;

    /// What is unknown stays unknown.
    fn not(self) -> Filter {
        match self.0.fault {
            Some(_) => self,
            None => Filter::of(self.0.root.clone().negated()),
        }
    }
}

impl ops::BitAnd for Filter {
    type Output = Filter;

    fn bitand(self, other: Filter) -> Filter {
        Filter::all([self, other])
    }
}

impl ops::BitOr for Filter {
    type Output = Filter;

    fn bitor(self, other: Filter) -> Filter {
        Filter::any([self, other])
    }
}

impl std::str::FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        Filter::text(text)
    }
}

#[cfg(test)]
mod tests;
