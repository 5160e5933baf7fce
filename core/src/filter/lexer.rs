//! A filter's text cut into words, signs, numbers and quoted texts, as CEL writes them.
//!
//! In: text, perhaps of a stranger. Out: one token at a time, borrowed; numbers and quoted texts
//! are read when the parser takes them. Any thread.

use super::FilterError;
use super::tree::Number;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
    /// Without a minus, which is a sign of its own.
    Number(&'a str),
    /// What stands between the quotes, escapes unread.
    Text(&'a str),
    End,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The current token, and where it starts and ends.
    pub(super) token: Token<'a>,
    pub(super) at: usize,
    end: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, FilterError> {
        let mut lexer = Lexer {
            text,
            token: Token::End,
            at: 0,
            end: 0,
        };
        lexer.advance()?;
        Ok(lexer)
    }

    pub(super) fn advance(&mut self) -> Result<(), FilterError> {
        self.at = self.end + blank(&self.text[self.end..]);
        let rest = &self.text[self.at..];
        let (token, len) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b'"' | b'\'', ..] => {
                let len = self.quoted(rest)?;
                (Token::Text(&rest[1..len - 1]), len)
            }
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
                let len = number_len(rest.as_bytes());
                (Token::Number(&rest[..len]), len)
            }
            [first, ..] if is_word(*first) => {
                let len = rest.bytes().take_while(|byte| is_word(*byte)).count();
                (Token::Word(&rest[..len]), len)
            }
            [b'=', b'=', ..]
            | [b'!', b'=', ..]
            | [b'<', b'=', ..]
            | [b'>', b'=', ..]
            | [b'&', b'&', ..]
            | [b'|', b'|', ..] => (Token::Sign(&rest[..2]), 2),
            [
                b'!' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'.' | b',' | b'-',
                ..,
            ] => (Token::Sign(&rest[..1]), 1),
            _ => {
                return Err(wrong(
                    self.at,
                    "a word, a sign, a number or a text in quotes",
                ));
            }
        };
        (self.token, self.end) = (token, self.at + len);
        Ok(())
    }

    /// Bytes of a quoted text with its quotes.
    fn quoted(&self, rest: &str) -> Result<usize, FilterError> {
        let quote = rest.as_bytes()[0];
        let mut bytes = rest.bytes().enumerate().skip(1);
        while let Some((i, byte)) = bytes.next() {
            match byte {
                b'\\' => {
                    bytes.next();
                }
                b'\n' | b'\r' => return Err(wrong(self.at + i, "an escape for the end of a line")),
                byte if byte == quote => return Ok(i + 1),
                _ => {}
            }
        }
        Err(wrong(self.text.len(), "a closing quote"))
    }

    /// The current token, which is a quoted text, with its escapes read.
    pub(super) fn take_text(&mut self) -> Result<String, FilterError> {
        let Token::Text(raw) = self.token else {
            return Err(wrong(self.at, "a text in quotes"));
        };
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(slash) = rest.find('\\') {
            text.push_str(&rest[..slash]);
            let at = self.at + 1 + raw.len() - rest.len() + slash;
            let (c, len) = escape(&rest[slash + 1..])
                .ok_or_else(|| wrong(at, "an escape of CEL, as in `\\\\`, `\\n` or `\\u0041`"))?;
            text.push(c);
            rest = &rest[slash + 1 + len..];
        }
        text.push_str(rest);
        self.advance()?;
        Ok(text)
    }

    /// The current token, which is a number.
    pub(super) fn take_number(&mut self, negative: bool) -> Result<Number, FilterError> {
        let Token::Number(raw) = self.token else {
            return Err(wrong(self.at, "a number"));
        };
        let sign = if negative { -1 } else { 1 };
        let number = match raw.strip_prefix("0x").or_else(|| raw.strip_prefix("0X")) {
            Some(digits) => whole(digits, 16, sign),
            None if raw.bytes().all(|byte| byte.is_ascii_digit()) => whole(raw, 10, sign),
            None => fraction(raw).map(|value| Number::Float(f64::from(sign) * value)),
        };
        let expected = "a number of 64 bits: `5`, `5.0`, `5e3` or `0x5`";
        let number = number.ok_or_else(|| wrong(self.at, expected))?;
        self.advance()?;
        Ok(number)
    }
}

fn wrong(at: usize, expected: &'static str) -> FilterError {
    FilterError::Syntax { at, expected }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Bytes of blanks and comments before the next token.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
        if !rest.starts_with("//") {
            return text.len() - rest.len();
        }
        rest = rest.find('\n').map_or("", |end| &rest[end..]);
    }
}

/// Bytes that belong to a number or are glued to it, so that `5x` is one wrong number.
fn number_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Some(&byte) = bytes.get(len) {
        let signed = len > 0 && matches!(bytes[len - 1], b'e' | b'E');
        match byte {
            b'.' => {}
            b'+' | b'-' if signed => {}
            byte if is_word(byte) => {}
            _ => break,
        }
        len += 1;
    }
    len
}

fn whole(digits: &str, radix: u32, sign: i32) -> Option<Number> {
    // The standard library's parser takes a sign of its own.
    let bare = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let value = i128::from_str_radix(digits, radix).ok().filter(|_| bare)?;
    i64::try_from(value * i128::from(sign))
        .ok()
        .map(Number::Int)
}

/// `5.0`, `.5`, `5e3`: a digit behind each dot, and nothing but digits, one dot, one exponent.
fn fraction(raw: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match raw.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (raw, None),
    };
    let lawful = match mantissa.split_once('.') {
        Some((whole, part)) => (whole.is_empty() || digits(whole)) && digits(part),
        None => digits(mantissa),
    };
    let exponent =
        exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    let value: f64 = raw.parse().ok().filter(|_| lawful && exponent)?;
    value.is_finite().then_some(value)
}

/// The character that an escape stands for, and its bytes behind the backslash.
fn escape(text: &str) -> Option<(char, usize)> {
    let code = |from: usize, len: usize, radix| {
        let digits = text.get(from..from + len)?;
        let bare = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| bare)?;
        Some((char::from_u32(code)?, from + len))
    };
    let c = match *text.as_bytes().first()? {
        b'a' => '\x07',
        b'b' => '\x08',
        b'f' => '\x0c',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\x0b',
        byte @ (b'\\' | b'?' | b'"' | b'\'' | b'`') => char::from(byte),
        b'x' | b'X' => return code(1, 2, 16),
        b'u' => return code(1, 4, 16),
        b'U' => return code(1, 8, 16),
        b'0'..=b'3' => return code(0, 3, 8),
        _ => return None,
    };
    Some((c, 1))
}
