//! A filter as it is run: one flat list of steps, no pointer from one to the next, no allocation.
//!
//! In: a tree, once; then labels and data, many times. Out: yes, no or unknown, CEL's three values:
//! what is missing or no number is unknown, and only a yes of the whole is a match. Any thread.

use std::cmp::Ordering;

use super::tree::{Affix, Cast, Comparison, Field, Native, Node, Number, Predicate};
use crate::labels::Labels;
use crate::sync::Arc;

/// Steps in the order of the tree, each node before its operands.
#[derive(Default)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// All strings of all steps.
    text: String,
    /// Values of lists, sorted within each list.
    values: Vec<Span>,
    natives: Vec<Arc<Predicate>>,
}

struct Step {
    /// The step behind this one's last operand.
    end: u32,
    does: Does,
}

enum Does {
    Constant(bool),
    All,
    Any,
    Not,
    Has(Place),
    Equal(Place, Span, bool),
    /// The second is where in `values` the list is.
    OneOf(Place, Span, bool),
    Affix(Place, Affix, Span),
    Number(Place, Cast, Comparison, Number),
    Native(u32),
}

#[derive(Clone, Copy)]
enum Place {
    Event,
    Key,
    Tag(Span),
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Program {
    /// The tree's bounds were checked, so that spans and steps fit.
    pub(super) fn compile(root: &Node) -> Program {
        let mut program = Program::default();
        program.push(root);
        program
    }

    pub(super) fn decides(&self, labels: &Labels, data: &[u8]) -> bool {
        self.value(0, labels, data) == Some(true)
    }

    fn push(&mut self, node: &Node) {
        let at = self.steps.len();
        let does = self.step(node);
        self.steps.push(Step { end: 0, does });
        match node {
            Node::All(nodes) | Node::Any(nodes) => {
                // The order is free, so a host's code runs only when nothing else has decided.
                let (last, first): (Vec<_>, Vec<_>) = nodes.iter().partition(|n| has_native(n));
                first.into_iter().chain(last).for_each(|n| self.push(n));
            }
            Node::Not(inner) => self.push(inner),
            _ => {}
        }
        self.steps[at].end = self.steps.len() as u32;
    }

    fn step(&mut self, node: &Node) -> Does {
        match node {
            Node::Constant(value) => Does::Constant(*value),
            Node::All(_) => Does::All,
            Node::Any(_) => Does::Any,
            Node::Not(_) => Does::Not,
            Node::Has(field) => Does::Has(self.place(field)),
            Node::Equal {
                field,
                value,
                negated,
            } => Does::Equal(self.place(field), self.span(value), *negated),
            Node::OneOf {
                field,
                values,
                negated,
            } => {
                let place = self.place(field);
                let start = self.values.len() as u32;
                for value in values {
                    let span = self.span(value);
                    self.values.push(span);
                }
                let end = self.values.len() as u32;
                Does::OneOf(place, Span { start, end }, *negated)
            }
            Node::Affix {
                field,
                affix,
                value,
            } => Does::Affix(self.place(field), *affix, self.span(value)),
            Node::Number {
                field,
                cast,
                comparison,
                bound,
            } => Does::Number(self.place(field), *cast, *comparison, *bound),
            Node::Native(Native { decide, .. }) => {
                self.natives.push(decide.clone());
                Does::Native(self.natives.len() as u32 - 1)
            }
        }
    }

    fn place(&mut self, field: &Field) -> Place {
        match field {
            Field::Event => Place::Event,
            Field::Key => Place::Key,
            Field::Tag(name) => Place::Tag(self.span(name)),
        }
    }

    fn span(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        let end = self.text.len() as u32;
        Span { start, end }
    }

    fn str(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn read<'a>(&self, place: Place, labels: &'a Labels) -> Option<&'a str> {
        match place {
            Place::Event => labels.event(),
            Place::Key => labels.key(),
            Place::Tag(name) => labels.tag(self.str(name)),
        }
    }

    /// The value of the step at `at`; none if it is unknown.
    fn value(&self, at: usize, labels: &Labels, data: &[u8]) -> Option<bool> {
        let step = &self.steps[at];
        match step.does {
            Does::Constant(value) => Some(value),
            Does::All => self.gathered(at, false, labels, data),
            Does::Any => self.gathered(at, true, labels, data),
            Does::Not => self.value(at + 1, labels, data).map(|value| !value),
            Does::Has(place) => Some(self.read(place, labels).is_some()),
            Does::Equal(place, value, negated) => {
                Some((self.read(place, labels)? == self.str(value)) != negated)
            }
            Does::OneOf(place, Span { start, end }, negated) => {
                let value = self.read(place, labels)?;
                let values = &self.values[start as usize..end as usize];
                let found = values.binary_search_by(|span| self.str(*span).cmp(value));
                Some(found.is_ok() != negated)
            }
            Does::Affix(place, affix, piece) => {
                let (value, piece) = (self.read(place, labels)?, self.str(piece));
                Some(match affix {
                    Affix::Start => value.starts_with(piece),
                    Affix::End => value.ends_with(piece),
                    Affix::Anywhere => value.contains(piece),
                })
            }
            Does::Number(place, cast, comparison, bound) => {
                holds(comparison, order(self.read(place, labels)?, cast, bound)?)
            }
            Does::Native(native) => Some(self.natives[native as usize](labels, data)),
        }
    }

    /// The first operand of the `decisive` value decides; else one that is unknown makes all so.
    fn gathered(&self, at: usize, decisive: bool, labels: &Labels, data: &[u8]) -> Option<bool> {
        let (mut next, end) = (at + 1, self.steps[at].end as usize);
        let mut value = Some(!decisive);
        while next < end {
            match self.value(next, labels, data) {
                Some(operand) if operand == decisive => return Some(decisive),
                Some(_) => {}
                None => value = None,
            }
            next = self.steps[next].end as usize;
        }
        value
    }
}

fn has_native(node: &Node) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(has_native),
        Node::Not(inner) => has_native(inner),
        Node::Native(_) => true,
        _ => false,
    }
}

/// How a value stands to the bound; the outer none is no number, the inner one NaN.
fn order(value: &str, cast: Cast, bound: Number) -> Option<Option<Ordering>> {
    Some(match (cast, bound) {
        (Cast::Double, Number::Float(bound)) => value.parse::<f64>().ok()?.partial_cmp(&bound),
        (Cast::Double, Number::Int(bound)) => {
            let value = value.parse::<f64>().ok()?;
            whole_beside(bound, value).map(Ordering::reverse)
        }
        (Cast::Int, Number::Int(bound)) => Some(value.parse::<i64>().ok()?.cmp(&bound)),
        (Cast::Int, Number::Float(bound)) => whole_beside(value.parse().ok()?, bound),
    })
}

/// Compares without rounding either.
fn whole_beside(whole: i64, value: f64) -> Option<Ordering> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if value.is_nan() {
        None
    } else if value >= END {
        Some(Ordering::Less)
    } else if value < -END {
        Some(Ordering::Greater)
    } else {
        let floor = value.floor();
        Some(whole.cmp(&(floor as i64)).then(floor.total_cmp(&value)))
    }
}

/// NaN equals nothing; whether it is less or greater is unknown.
fn holds(comparison: Comparison, order: Option<Ordering>) -> Option<bool> {
    Some(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order?.is_lt(),
        Comparison::LessOrEqual => order?.is_le(),
        Comparison::Greater => order?.is_gt(),
        Comparison::GreaterOrEqual => order?.is_ge(),
    })
}
