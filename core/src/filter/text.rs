//! A filter's text: the part of CEL's syntax that a filter needs.
//!
//! In: text, perhaps of a stranger. Out: a tree, or what is wrong and at which byte. One pass with
//! bounded depth; words and strings are borrowed until they are part of the tree. Any thread.

use super::FilterError;
use super::lexer::{Lexer, Token};
use super::tree::{Affix, Cast, Comparison, Field, Node, Number};
use super::{DEPTH_MAX, NODES_MAX};

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    let mut parser = Parser {
        lexer: Lexer::new(text)?,
        open: 0,
        leaves: 0,
    };
    let node = parser.condition()?;
    match parser.lexer.token {
        Token::End => Ok(node),
        _ => Err(parser.expected("`&&`, `||`, a comparison or the end")),
    }
}

/// What an expression stands for, before it is known what is done with it.
enum Operand {
    Condition(Node),
    /// `tags` itself.
    Tags,
    /// `publication` itself.
    Publication,
    Field {
        field: Field,
        /// Written with a dot, as `has` wants it.
        selected: bool,
    },
    Cast(Cast, Field),
    Text(String),
    Number(Number),
    List(Vec<String>),
}

#[derive(Clone, Copy)]
enum Relation {
    Compare(Comparison),
    In,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Parentheses that are open.
    open: usize,
    leaves: usize,
}

impl<'a> Parser<'a> {
    fn expected(&self, expected: &'static str) -> FilterError {
        let at = self.lexer.at;
        FilterError::Syntax { at, expected }
    }

    fn accept(&mut self, sign: &str) -> Result<bool, FilterError> {
        let found = self.lexer.token == Token::Sign(sign);
        if found {
            self.lexer.advance()?;
        }
        Ok(found)
    }

    fn demand(&mut self, sign: &str, expected: &'static str) -> Result<(), FilterError> {
        match self.accept(sign)? {
            true => Ok(()),
            false => Err(self.expected(expected)),
        }
    }

    /// An expression that is true or false.
    fn condition(&mut self) -> Result<Node, FilterError> {
        let at = self.lexer.at;
        let operand = self.either()?;
        condition(operand, at)
    }

    fn either(&mut self) -> Result<Operand, FilterError> {
        self.chain("||", Node::any, Self::both)
    }

    fn both(&mut self) -> Result<Operand, FilterError> {
        self.chain("&&", Node::all, Self::relation)
    }

    fn chain(
        &mut self,
        sign: &'static str,
        join: impl FnOnce(Vec<Node>) -> Node,
        part: fn(&mut Self) -> Result<Operand, FilterError>,
    ) -> Result<Operand, FilterError> {
        let at = self.lexer.at;
        let first = part(self)?;
        if self.lexer.token != Token::Sign(sign) {
            return Ok(first);
        }
        let mut nodes = vec![condition(first, at)?];
        while self.accept(sign)? {
            let at = self.lexer.at;
            let operand = part(self)?;
            nodes.push(condition(operand, at)?);
        }
        Ok(Operand::Condition(join(nodes)))
    }

    fn relation(&mut self) -> Result<Operand, FilterError> {
        let left_at = self.lexer.at;
        let left = self.negation()?;
        let Some(relation) = self.sign_of_relation() else {
            return Ok(left);
        };
        self.lexer.advance()?;
        let right_at = self.lexer.at;
        let right = self.negation()?;
        let node = related((left, left_at), relation, (right, right_at))?;
        if self.sign_of_relation().is_some() {
            return Err(self.expected("`&&`, `||` or the end, since comparisons make no chain"));
        }
        self.leaf(node)
    }

    fn sign_of_relation(&self) -> Option<Relation> {
        Some(match self.lexer.token {
            Token::Sign("==") => Relation::Compare(Comparison::Equal),
            Token::Sign("!=") => Relation::Compare(Comparison::NotEqual),
            Token::Sign("<") => Relation::Compare(Comparison::Less),
            Token::Sign("<=") => Relation::Compare(Comparison::LessOrEqual),
            Token::Sign(">") => Relation::Compare(Comparison::Greater),
            Token::Sign(">=") => Relation::Compare(Comparison::GreaterOrEqual),
            Token::Word("in") => Relation::In,
            _ => return None,
        })
    }

    fn leaf(&mut self, node: Node) -> Result<Operand, FilterError> {
        self.leaves += 1;
        match self.leaves > NODES_MAX {
            true => Err(FilterError::TooLarge),
            false => Ok(Operand::Condition(node)),
        }
    }

    fn negation(&mut self) -> Result<Operand, FilterError> {
        let mut times = 0;
        while self.accept("!")? {
            times += 1;
        }
        let at = self.lexer.at;
        let operand = self.member()?;
        if times == 0 {
            return Ok(operand);
        }
        let node = condition(operand, at)?;
        let negated = if times % 2 == 1 { node.negated() } else { node };
        Ok(Operand::Condition(negated))
    }

    /// A value with what hangs on it: `.name`, `["name"]`, `.startsWith("piece")`.
    fn member(&mut self) -> Result<Operand, FilterError> {
        let mut operand = self.primary()?;
        loop {
            operand = if self.accept(".")? {
                self.selection(operand)?
            } else if self.lexer.token == Token::Sign("[") {
                if !matches!(operand, Operand::Tags) {
                    return Err(self.expected("no `[`, since only `tags` has parts of any name"));
                }
                self.lexer.advance()?;
                let name = self.string("the name of a tag, in quotes")?;
                self.demand("]", "`]`")?;
                let (field, selected) = (Field::Tag(name), false);
                Operand::Field { field, selected }
            } else {
                return Ok(operand);
            };
        }
    }

    /// What follows a dot.
    fn selection(&mut self, of: Operand) -> Result<Operand, FilterError> {
        let Token::Word(name) = self.lexer.token else {
            return Err(self.expected("a name"));
        };
        let at_name = self.expected("`startsWith`, `endsWith` or `contains` of a text");
        let field = match (of, name) {
            (Operand::Tags, "in" | "true" | "false" | "null") => {
                return Err(self.expected("another name; write `tags[\"in\"]` for this one"));
            }
            (Operand::Tags, name) => Field::Tag(name.to_owned()),
            (Operand::Publication, "event") => Field::Event,
            (Operand::Publication, "key") => Field::Key,
            (Operand::Publication, "tags") => {
                self.lexer.advance()?;
                return Ok(Operand::Tags);
            }
            (Operand::Publication, _) => return Err(self.expected("`event`, `key` or `tags`")),
            (Operand::Field { field, .. }, name) => return self.affix(field, name),
            _ => return Err(at_name),
        };
        self.lexer.advance()?;
        let selected = true;
        Ok(Operand::Field { field, selected })
    }

    fn affix(&mut self, field: Field, name: &str) -> Result<Operand, FilterError> {
        let affix = match name {
            "startsWith" => Affix::Start,
            "endsWith" => Affix::End,
            "contains" => Affix::Anywhere,
            _ => return Err(self.expected("`startsWith`, `endsWith` or `contains`")),
        };
        self.lexer.advance()?;
        self.demand("(", "`(`")?;
        let value = self.string("a text in quotes")?;
        self.demand(")", "`)`")?;
        self.leaf(Node::Affix {
            field,
            affix,
            value,
        })
    }

    fn string(&mut self, expected: &'static str) -> Result<String, FilterError> {
        match self.lexer.token {
            Token::Text(_) => self.lexer.take_text(),
            _ => Err(self.expected(expected)),
        }
    }

    fn primary(&mut self) -> Result<Operand, FilterError> {
        match self.lexer.token {
            Token::Sign("(") => self.enclosed(Self::either),
            Token::Sign("[") => self.list(),
            Token::Sign("-") => {
                self.lexer.advance()?;
                self.number(true)
            }
            Token::Number(_) => self.number(false),
            Token::Text(_) => Ok(Operand::Text(self.lexer.take_text()?)),
            Token::Word(word) => self.word(word),
            _ => Err(self.expected("a condition or a value")),
        }
    }

    fn number(&mut self, negative: bool) -> Result<Operand, FilterError> {
        let Token::Number(_) = self.lexer.token else {
            return Err(self.expected("a number"));
        };
        Ok(Operand::Number(self.lexer.take_number(negative)?))
    }

    fn enclosed<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        self.demand("(", "`(`")?;
        self.open += 1;
        if self.open > DEPTH_MAX {
            return Err(FilterError::TooDeep);
        }
        let found = inner(self)?;
        self.demand(")", "`)`")?;
        self.open -= 1;
        Ok(found)
    }

    fn word(&mut self, word: &str) -> Result<Operand, FilterError> {
        let at = self.lexer.at;
        if word == "native" {
            return Err(self.expected("something else: a native predicate is no text"));
        }
        let operand = match word {
            "true" | "false" => {
                self.lexer.advance()?;
                return self.leaf(Node::Constant(word == "true"));
            }
            "tags" => Operand::Tags,
            "publication" => Operand::Publication,
            "event" => Operand::of(Field::Event),
            "key" => Operand::of(Field::Key),
            "double" | "int" => {
                let cast = if word == "int" {
                    Cast::Int
                } else {
                    Cast::Double
                };
                self.lexer.advance()?;
                return self.enclosed(|parser| parser.cast(cast));
            }
            "has" => {
                self.lexer.advance()?;
                return self.enclosed(Self::presence);
            }
            _ => {
                let expected = "`tags`, `event`, `key`, `has`, `double`, `int`, `true` or `false`";
                return Err(FilterError::Syntax { at, expected });
            }
        };
        self.lexer.advance()?;
        Ok(operand)
    }

    fn cast(&mut self, cast: Cast) -> Result<Operand, FilterError> {
        let at = self.lexer.at;
        match self.either()? {
            Operand::Field { field, .. } => Ok(Operand::Cast(cast, field)),
            _ => {
                let expected = "a tag, `event` or `key`";
                Err(FilterError::Syntax { at, expected })
            }
        }
    }

    fn presence(&mut self) -> Result<Operand, FilterError> {
        let at = self.lexer.at;
        match self.either()? {
            Operand::Field {
                field,
                selected: true,
            } => self.leaf(Node::Has(field)),
            _ => {
                let expected = "`tags.name`, `publication.event` or `publication.key`";
                Err(FilterError::Syntax { at, expected })
            }
        }
    }

    fn list(&mut self) -> Result<Operand, FilterError> {
        self.lexer.advance()?;
        let mut values = Vec::new();
        while !self.accept("]")? {
            values.push(self.string("a text in quotes, or `]`")?);
            if !self.accept(",")? {
                self.demand("]", "`,` or `]`")?;
                break;
            }
        }
        Ok(Operand::List(values))
    }
}

impl Operand {
    fn of(field: Field) -> Operand {
        let selected = false;
        Operand::Field { field, selected }
    }
}

fn condition(operand: Operand, at: usize) -> Result<Node, FilterError> {
    match operand {
        Operand::Condition(node) => Ok(node),
        _ => {
            let expected = "a condition, which is true or false";
            Err(FilterError::Syntax { at, expected })
        }
    }
}

fn related(
    (left, left_at): (Operand, usize),
    relation: Relation,
    (right, right_at): (Operand, usize),
) -> Result<Node, FilterError> {
    let wrong = |at, expected| Err(FilterError::Syntax { at, expected });
    match (left, relation, right) {
        (Operand::Field { field, .. }, Relation::In, Operand::List(values)) => {
            Ok(Node::one_of(field, values))
        }
        (Operand::Text(name), Relation::In, Operand::Tags) => Ok(Node::Has(Field::Tag(name))),
        (Operand::Field { .. }, Relation::In, _) => wrong(right_at, "a list of texts"),
        (Operand::Text(_), Relation::In, _) => wrong(right_at, "`tags`"),
        (_, Relation::In, _) => wrong(left_at, "a tag, `event`, `key` or a text before `in`"),
        (Operand::Field { field, .. }, Relation::Compare(how), Operand::Text(value))
        | (Operand::Text(value), Relation::Compare(how), Operand::Field { field, .. }) => {
            let negated = match how {
                Comparison::Equal => false,
                Comparison::NotEqual => true,
                _ => {
                    return wrong(
                        left_at,
                        "`double(...)` or `int(...)`: texts have no order here",
                    );
                }
            };
            Ok(Node::Equal {
                field,
                value,
                negated,
            })
        }
        (Operand::Cast(cast, field), Relation::Compare(how), Operand::Number(bound)) => {
            Ok(Node::number(field, cast, how, bound))
        }
        (Operand::Number(bound), Relation::Compare(how), Operand::Cast(cast, field)) => {
            Ok(Node::number(field, cast, how.flipped(), bound))
        }
        (Operand::Field { .. }, _, Operand::Number(_)) => wrong(
            left_at,
            "`double(...)` or `int(...)` around what is compared with a number",
        ),
        (Operand::Number(_), _, Operand::Field { .. }) => wrong(
            right_at,
            "`double(...)` or `int(...)` around what is compared with a number",
        ),
        (Operand::Field { .. }, _, _) => wrong(right_at, "a text in quotes"),
        (Operand::Cast(..), _, _) => wrong(right_at, "a number"),
        (Operand::Text(_), _, _) => wrong(right_at, "a tag, `event` or `key`"),
        (Operand::Number(_), _, _) => wrong(right_at, "`double(...)` or `int(...)` of a tag"),
        _ => wrong(
            left_at,
            "a tag, `event`, `key`, a text or a number to compare",
        ),
    }
}
