//! Limits as people write them: numbers, names of quantities and `+ - * / ( )`, `min(a, b)`, `max(a, b)`.
//!
//! A text is compiled once to postfix form over the slots of a [`Scope`], so that working out a limit during a drive
//! needs neither strings nor allocation.

use std::fmt;

/// Names that limits may use, each with a slot.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// The names; the position is the slot.
    pub names: &'static [&'static str],
}

impl Scope {
    fn slot(self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| *n == name)
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(String);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Number(f64),
    Slot(usize),
    Add,
    Subtract,
    Multiply,
    Divide,
    Negate,
    Min,
    Max,
}

/// Deepest stack that an expression may need.
const MAX_DEPTH: usize = 16;
/// Longest text of an expression.
const MAX_CHARS: usize = 400;

/// A compiled limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    ops: Vec<Op>,
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    /// Compiles a text.
    ///
    /// # Errors
    /// [`ExpressionError`] with the word that is wrong and what was expected.
    pub fn compile(text: &str, scope: Scope) -> Result<Self, ExpressionError> {
        if text.len() > MAX_CHARS {
            return Err(ExpressionError(format!(
                "a limit of {} characters, expected at most {MAX_CHARS}",
                text.len()
            )));
        }
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            scope,
            ops: Vec::new(),
            nested: 0,
        };
        parser.sum()?;
        if let Some(t) = parser.tokens.get(parser.at) {
            return Err(ExpressionError(format!(
                "\"{text}\" goes on with {t:?} where it should end"
            )));
        }
        let compiled = Self {
            text: text.to_string(),
            ops: parser.ops,
        };
        if compiled.depth() > MAX_DEPTH {
            return Err(ExpressionError(format!("\"{text}\" is nested too deeply")));
        }
        Ok(compiled)
    }

    /// A plain number.
    #[must_use]
    pub fn number(value: f64) -> Self {
        Self {
            text: format!("{value}"),
            ops: vec![Op::Number(value)],
        }
    }

    /// The value, with the scope's slots filled in.
    #[must_use]
    pub fn value(&self, slots: &[f64]) -> f64 {
        let mut stack = [0.0; MAX_DEPTH + 1];
        let mut top = 0usize;
        for op in &self.ops {
            let (a, b) = (stack[top.saturating_sub(2)], stack[top.saturating_sub(1)]);
            match *op {
                Op::Number(v) => {
                    stack[top] = v;
                    top += 1;
                    continue;
                }
                Op::Slot(i) => {
                    stack[top] = slots.get(i).copied().unwrap_or(f64::NAN);
                    top += 1;
                    continue;
                }
                Op::Negate => {
                    stack[top - 1] = -b;
                    continue;
                }
                Op::Add => stack[top - 2] = a + b,
                Op::Subtract => stack[top - 2] = a - b,
                Op::Multiply => stack[top - 2] = a * b,
                Op::Divide => stack[top - 2] = a / b,
                Op::Min => stack[top - 2] = a.min(b),
                Op::Max => stack[top - 2] = a.max(b),
            }
            top -= 1;
        }
        stack[0]
    }

    /// Stack that the evaluation needs.
    fn depth(&self) -> usize {
        let (mut now, mut most) = (0usize, 0);
        for op in &self.ops {
            match op {
                Op::Number(_) | Op::Slot(_) => now += 1,
                Op::Negate => {}
                _ => now = now.saturating_sub(1),
            }
            most = most.max(now);
        }
        most
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let start = i;
        if c.is_whitespace() {
            i += 1;
        } else if c.is_ascii_digit() {
            while chars
                .get(i)
                .is_some_and(|c| c.is_ascii_digit() || *c == '.')
            {
                i += 1;
            }
            let word: String = chars.get(start..i).unwrap_or_default().iter().collect();
            let number = word
                .parse::<f64>()
                .map_err(|_| ExpressionError(format!("\"{word}\" in \"{text}\" is no number")))?;
            out.push(Token::Number(number));
        } else if c.is_ascii_alphabetic() {
            while chars
                .get(i)
                .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
            {
                i += 1;
            }
            let word = chars.get(start..i).unwrap_or_default().iter().collect();
            out.push(Token::Name(word));
        } else if "+-*/(),".contains(c) {
            out.push(Token::Sign(c));
            i += 1;
        } else {
            return Err(ExpressionError(format!(
                "\"{c}\" in \"{text}\" is neither number, name nor + - * / ( ) ,"
            )));
        }
    }
    Ok(out)
}

/// Recursive descent; writes postfix.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
    scope: Scope,
    ops: Vec<Op>,
    nested: usize,
}

impl Parser {
    fn takes(&mut self, sign: char) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), ExpressionError> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(ExpressionError(format!("a \"{sign}\" is missing")))
        }
    }

    fn sum(&mut self) -> Result<(), ExpressionError> {
        self.product()?;
        loop {
            let op = if self.takes('+') {
                Op::Add
            } else if self.takes('-') {
                Op::Subtract
            } else {
                return Ok(());
            };
            self.product()?;
            self.ops.push(op);
        }
    }

    fn product(&mut self) -> Result<(), ExpressionError> {
        self.factor()?;
        loop {
            let op = if self.takes('*') {
                Op::Multiply
            } else if self.takes('/') {
                Op::Divide
            } else {
                return Ok(());
            };
            self.factor()?;
            self.ops.push(op);
        }
    }

    fn factor(&mut self) -> Result<(), ExpressionError> {
        self.nested += 1;
        if self.nested > MAX_DEPTH {
            return Err(ExpressionError("it is nested too deeply".into()));
        }
        if self.takes('-') {
            self.factor()?;
            self.ops.push(Op::Negate);
        } else if self.takes('(') {
            self.sum()?;
            self.expect(')')?;
        } else {
            self.atom()?;
        }
        self.nested -= 1;
        Ok(())
    }

    fn atom(&mut self) -> Result<(), ExpressionError> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Number(v)) => self.ops.push(Op::Number(v)),
            Some(Token::Name(name)) if name == "min" || name == "max" => {
                self.expect('(')?;
                self.sum()?;
                self.expect(',')?;
                self.sum()?;
                self.expect(')')?;
                self.ops.push(if name == "min" { Op::Min } else { Op::Max });
            }
            Some(Token::Name(name)) => match self.scope.slot(&name) {
                Some(slot) => self.ops.push(Op::Slot(slot)),
                None => {
                    return Err(ExpressionError(format!(
                        "\"{name}\" is none of the names that a limit may use: {}",
                        self.scope.names.join(", ")
                    )));
                }
            },
            Some(Token::Sign(c)) => {
                return Err(ExpressionError(format!(
                    "a number or a name is missing before \"{c}\""
                )));
            }
            None => return Err(ExpressionError("it ends where a value is missing".into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCOPE: Scope = Scope {
        names: &["a", "rover.limits.tilt_deg"],
    };

    fn value(text: &str) -> Result<f64, String> {
        Expression::compile(text, SCOPE)
            .map(|e| e.value(&[3.0, 25.0]))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_usual_rules_hold() {
        for (text, expected) in [
            ("2 + 3 * 4", 14.0),
            ("(2 + 3) * 4", 20.0),
            ("-a + 1", -2.0),
            ("8 / 2 / 2", 2.0),
            ("0.8 * rover.limits.tilt_deg", 20.0),
            ("min(a, 1) - max(2, -a)", -1.0),
        ] {
            assert!((value(text).unwrap() - expected).abs() < 1e-12, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("tilt", "tilt"),
            ("1 +", "ends"),
            ("(1", ")"),
            ("1 2", "2"),
            ("1 ; 2", ";"),
            ("1.2.3", "1.2.3"),
            ("* 2", "*"),
            ("", "ends"),
        ] {
            let said = value(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(value(&"(".repeat(100)).is_err());
        assert!(value(&"1+".repeat(300)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression_or_an_error(text in "[-+*/()., a0-9min]{0,60}") {
            let _ = value(&text);
        }

        #[test]
        fn sums_are_sums(a in -1e6f64..1e6, b in 0.0f64..1e6) {
            let v = Expression::compile(&format!("a + {b:.3}"), SCOPE).unwrap().value(&[a]);
            prop_assert!((v - (a + b)).abs() < 1e-3);
        }
    }
}
