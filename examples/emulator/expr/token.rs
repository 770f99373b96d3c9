//! Tokens of the expression language, and the syntax error that names one.

use super::Bindings;

/// One token: its text and where it lies in the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    pub(super) text: &'s str,
    start: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An attribute name, a keyword, a function, or `#placeholder`.
    Name,
    /// `:placeholder`.
    Value,
    /// Digits: a list index.
    Index,
    /// An operator or a bracket.
    Symbol,
}

/// The tokens of one expression with a place among them.
pub(super) struct Tokens<'s> {
    source: &'s str,
    tokens: Vec<Token<'s>>,
    next: usize,
    depth: usize,
}

/// How deep parentheses, `NOT` and functions may nest. An expression has at most
/// 4096 bytes, but 4096 parentheses would still be too many for a thread's stack.
const MAX_DEPTH: usize = 100;

impl<'s> Tokens<'s> {
    pub(super) fn new(source: &'s str) -> Result<Self, String> {
        let mut this = Self { source, tokens: Vec::new(), next: 0, depth: 0 };
        let mut at = 0;
        let mut unreadable = None;
        while let Some(first) = source[at..].chars().next() {
            if first.is_ascii_whitespace() {
                at += 1;
                continue;
            }
            let (kind, length) = lex(&source[at..]);
            this.tokens.push(Token {
                kind: kind.unwrap_or(Kind::Symbol),
                text: &source[at..at + length],
                start: at,
            });
            if kind.is_none() && unreadable.is_none() {
                unreadable = Some(this.tokens.len() - 1);
            }
            at += length;
        }
        match unreadable {
            Some(index) => {
                this.next = index;
                Err(this.syntax_error())
            }
            None => Ok(this),
        }
    }

    pub(super) fn peek(&self) -> Option<Token<'s>> {
        self.tokens.get(self.next).copied()
    }

    /// The text of the token `ahead` places on, or "".
    pub(super) fn text_at(&self, ahead: usize) -> &'s str {
        self.tokens.get(self.next + ahead).map_or("", |token| token.text)
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    pub(super) fn at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    /// Takes the token if it is this symbol.
    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let found = self.peek().is_some_and(|t| t.kind == Kind::Symbol && t.text == symbol);
        self.next += usize::from(found);
        found
    }

    /// Takes the token if it is this keyword, in any case.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        self.peek().is_some_and(|t| t.kind == Kind::Name && t.text.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.eat(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Takes a token of this kind.
    pub(super) fn take(&mut self, kind: Kind) -> Result<&'s str, String> {
        match self.peek() {
            Some(token) if token.kind == kind => {
                self.next += 1;
                Ok(token.text)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// Takes a function's name with its opening parenthesis, if that is what comes.
    pub(super) fn eat_function(&mut self) -> Option<&'s str> {
        let name = self.peek().filter(|t| t.kind == Kind::Name && !t.text.starts_with('#'))?;
        if self.text_at(1) != "(" {
            return None;
        }
        self.next += 2;
        Some(name.text)
    }

    /// Enters one level of nesting.
    pub(super) fn deeper(&mut self) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            return Err(format!(
                "The expression is nested too deeply; allowed levels: {MAX_DEPTH}"
            ));
        }
        self.depth += 1;
        Ok(())
    }

    /// Leaves it.
    pub(super) fn shallower(&mut self) {
        self.depth -= 1;
    }

    /// DynamoDB's complaint about the token at hand: `near` shows it with its neighbours.
    pub(super) fn syntax_error(&self) -> String {
        let end = |token: &Token<'_>| token.start + token.text.len();
        let Some(offending) = self.tokens.get(self.next) else {
            let near = self.tokens.last().map_or(self.source, |last| last.text);
            return format!("Syntax error; token: \"<EOF>\", near: \"{near}\"");
        };
        let first = self.tokens.get(self.next.wrapping_sub(1)).unwrap_or(offending);
        let last = self.tokens.get(self.next + 1).unwrap_or(offending);
        let near = &self.source[first.start..end(last)];
        format!("Syntax error; token: \"{}\", near: \"{near}\"", offending.text)
    }

    /// A document path: `a`, `#a.b[2].c`.
    pub(super) fn path(&mut self, bindings: &Bindings) -> Result<super::Path, String> {
        let mut path = super::Path::of(bindings.name(self.take(Kind::Name)?)?);
        loop {
            if self.eat(".") {
                path.push_name(bindings.name(self.take(Kind::Name)?)?);
            } else if self.eat("[") {
                let index = self.take(Kind::Index)?;
                let index = index.parse().map_err(|_| {
                    format!("List index is not within the allowable range; index: [{index}]")
                })?;
                self.expect("]")?;
                path.push_index(index);
            } else {
                return Ok(path);
            }
        }
    }
}

/// The kind and the length of the token at the start of `rest`; no kind if
/// nothing in the language begins like this.
fn lex(rest: &str) -> (Option<Kind>, usize) {
    let bytes = rest.as_bytes();
    let word = |from: usize| {
        from + bytes[from..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
    };
    match bytes[0] {
        b'#' | b':' => match word(1) {
            1 => (None, 1),
            end if bytes[0] == b'#' => (Some(Kind::Name), end),
            end => (Some(Kind::Value), end),
        },
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => (Some(Kind::Name), word(0)),
        b'0'..=b'9' => (Some(Kind::Index), bytes.iter().take_while(|b| b.is_ascii_digit()).count()),
        b'<' if matches!(bytes.get(1), Some(b'=' | b'>')) => (Some(Kind::Symbol), 2),
        b'>' if bytes.get(1) == Some(&b'=') => (Some(Kind::Symbol), 2),
        b'<' | b'>' | b'=' | b'(' | b')' | b'[' | b']' | b'.' | b',' | b'+' | b'-' => {
            (Some(Kind::Symbol), 1)
        }
        _ => (None, rest.chars().next().map_or(1, char::len_utf8)),
    }
}
