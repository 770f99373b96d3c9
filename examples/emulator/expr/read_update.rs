//! Reads an update: up to four clauses, each at most once.

use streamcore::model::AttributeValue;

use super::Bindings;
use super::path::{Path, check_clashes};
use super::token::{Kind, Tokens};
use super::update::{SetOperand, SetValue, Update};

pub(super) fn read<'v>(text: &str, bindings: &'v Bindings) -> Result<Update<'v>, String> {
    let mut reader = Reader { tokens: Tokens::new(text)?, bindings };
    let update = reader.clauses()?;
    check_clashes(&update.targets().collect::<Vec<_>>())?;
    Ok(update)
}

struct Reader<'s, 'v> {
    tokens: Tokens<'s>,
    bindings: &'v Bindings,
}

const CLAUSES: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

impl<'v> Reader<'_, 'v> {
    fn clauses(&mut self) -> Result<Update<'v>, String> {
        let mut update = Update::default();
        let mut seen = [false; CLAUSES.len()];
        loop {
            let Some(clause) = CLAUSES.iter().position(|name| self.tokens.is_keyword(name)) else {
                return Err(self.tokens.syntax_error());
            };
            if std::mem::replace(&mut seen[clause], true) {
                return Err(format!(
                    "The \"{}\" section can only be used once in an update expression;",
                    CLAUSES[clause]
                ));
            }
            self.tokens.advance();
            loop {
                let path = self.tokens.path(self.bindings)?;
                match CLAUSES[clause] {
                    "SET" => {
                        self.tokens.expect("=")?;
                        update.set.push((path, self.set_value()?));
                    }
                    "REMOVE" => update.remove.push(path),
                    "ADD" => update.add.push(self.with_value(path, "ADD")?),
                    _ => update.delete.push(self.with_value(path, "DELETE")?),
                }
                if !self.tokens.eat(",") {
                    break;
                }
            }
            if self.tokens.at_end() {
                return Ok(update);
            }
        }
    }

    fn with_value(
        &mut self,
        path: Path,
        clause: &str,
    ) -> Result<(Path, &'v AttributeValue), String> {
        let value = self.bindings.value(self.tokens.take(Kind::Value)?)?;
        let set =
            matches!(value, AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_));
        if set || (clause == "ADD" && matches!(value, AttributeValue::N(_))) {
            return Ok((path, value));
        }
        Err(format!(
            "Incorrect operand type for operator or function; operator: {clause}, operand type: \
             {}, typeSet: ALLOWED_FOR_{clause}_OPERAND",
            long_type_name(value)
        ))
    }

    fn set_value(&mut self) -> Result<SetValue<'v>, String> {
        let left = self.operand()?;
        if self.tokens.eat("+") {
            Ok(SetValue::Plus(left, self.operand()?))
        } else if self.tokens.eat("-") {
            Ok(SetValue::Minus(left, self.operand()?))
        } else {
            Ok(SetValue::Is(left))
        }
    }

    fn operand(&mut self) -> Result<SetOperand<'v>, String> {
        if self.tokens.eat("(") {
            self.tokens.deeper()?;
            let value = self.set_value()?;
            self.tokens.shallower();
            self.tokens.expect(")")?;
            return Ok(SetOperand::Group(Box::new(value)));
        }
        if let Some(token) = self.tokens.peek()
            && token.kind == Kind::Value
        {
            self.tokens.advance();
            return Ok(SetOperand::Value(self.bindings.value(token.text)?));
        }
        let Some(function) = self.tokens.eat_function() else {
            return Ok(SetOperand::Path(self.tokens.path(self.bindings)?));
        };
        self.tokens.deeper()?;
        let operand = match function {
            "if_not_exists" => {
                let path = self.tokens.path(self.bindings)?;
                self.tokens.expect(",")?;
                SetOperand::IfNotExists(path, Box::new(self.operand()?))
            }
            "list_append" => {
                let first = self.operand()?;
                self.tokens.expect(",")?;
                SetOperand::ListAppend(Box::new(first), Box::new(self.operand()?))
            }
            "attribute_exists"
            | "attribute_not_exists"
            | "attribute_type"
            | "begins_with"
            | "contains"
            | "size" => {
                return Err(format!(
                    "The function is not allowed in an update expression; function: {function}"
                ));
            }
            other => return Err(format!("Invalid function name; function: {other}")),
        };
        self.tokens.shallower();
        self.tokens.expect(")")?;
        Ok(operand)
    }
}

/// The names that this one error uses for types.
fn long_type_name(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "STRING",
        AttributeValue::N(_) => "NUMBER",
        AttributeValue::B(_) => "BINARY",
        AttributeValue::Ss(_) => "STRING_SET",
        AttributeValue::Ns(_) => "NUMBER_SET",
        AttributeValue::Bs(_) => "BINARY_SET",
        AttributeValue::M(_) => "MAP",
        AttributeValue::L(_) => "LIST",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::Bool(_) => "BOOLEAN",
    }
}
