//! Reads a condition: `OR` over `AND` over `NOT` over comparisons and functions.

use streamcore::model::AttributeValue;

use super::Bindings;
use super::condition::{Comparison, Condition, Operand};
use super::token::{Kind, Tokens};
use crate::key::type_name;

pub(super) fn read<'v>(text: &str, bindings: &'v Bindings) -> Result<Condition<'v>, String> {
    let mut reader = Reader { tokens: Tokens::new(text)?, bindings };
    let (condition, _) = reader.any()?;
    if !reader.tokens.at_end() {
        return Err(reader.tokens.syntax_error());
    }
    Ok(condition)
}

struct Reader<'s, 'v> {
    tokens: Tokens<'s>,
    bindings: &'v Bindings,
}

/// A condition, and whether it was one group in parentheses and nothing else.
type Read<'v> = Result<(Condition<'v>, bool), String>;

impl<'v> Reader<'_, 'v> {
    fn any(&mut self) -> Read<'v> {
        let (first, group) = self.all()?;
        if !self.tokens.is_keyword("OR") {
            return Ok((first, group));
        }
        let mut any = vec![first];
        while self.tokens.eat_keyword("OR") {
            any.push(self.all()?.0);
        }
        Ok((Condition::Or(any), false))
    }

    fn all(&mut self) -> Read<'v> {
        let (first, group) = self.one()?;
        if !self.tokens.is_keyword("AND") {
            return Ok((first, group));
        }
        let mut all = vec![first];
        while self.tokens.eat_keyword("AND") {
            all.push(self.one()?.0);
        }
        Ok((Condition::And(all), false))
    }

    fn one(&mut self) -> Read<'v> {
        if self.tokens.eat_keyword("NOT") {
            let (condition, _) = self.nested(Self::one)?;
            return Ok((Condition::Not(Box::new(condition)), false));
        }
        if self.tokens.eat("(") {
            let (condition, group) = self.nested(Self::any)?;
            self.tokens.expect(")")?;
            if group {
                return Err("The expression has redundant parentheses;".to_owned());
            }
            return Ok((condition, true));
        }
        Ok((self.leaf()?, false))
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.tokens.deeper()?;
        let result = read(self)?;
        self.tokens.shallower();
        Ok(result)
    }

    fn leaf(&mut self) -> Result<Condition<'v>, String> {
        if self.tokens.text_at(0) != "size"
            && let Some(function) = self.tokens.eat_function()
        {
            return self.function(function);
        }
        let left = self.operand()?;
        if self.tokens.eat_keyword("BETWEEN") {
            let low = self.operand()?;
            if !self.tokens.eat_keyword("AND") {
                return Err(self.tokens.syntax_error());
            }
            let high = self.operand()?;
            [&low, &high].into_iter().try_for_each(|bound| check_ordered("BETWEEN", bound))?;
            return Ok(Condition::Between(left, low, high));
        }
        if self.tokens.eat_keyword("IN") {
            self.tokens.expect("(")?;
            let mut choices = vec![self.operand()?];
            while self.tokens.eat(",") {
                choices.push(self.operand()?);
            }
            self.tokens.expect(")")?;
            return Ok(Condition::In(left, choices));
        }
        let symbol = self.tokens.text_at(0);
        let Some(comparison) = Comparison::parse(symbol) else {
            return Err(self.tokens.syntax_error());
        };
        self.tokens.advance();
        let right = self.operand()?;
        check_distinct(symbol, &left, &right)?;
        if !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            [&left, &right].into_iter().try_for_each(|side| check_ordered(symbol, side))?;
        }
        Ok(Condition::Compare(left, comparison, right))
    }

    /// A function's arguments; its name and parenthesis are taken.
    fn function(&mut self, name: &str) -> Result<Condition<'v>, String> {
        if !matches!(
            name,
            "attribute_exists"
                | "attribute_not_exists"
                | "attribute_type"
                | "begins_with"
                | "contains"
        ) {
            return Err(format!("Invalid function name; function: {name}"));
        }
        let mut arguments = vec![self.operand()?];
        while self.tokens.eat(",") {
            arguments.push(self.operand()?);
        }
        self.tokens.expect(")")?;
        let given = arguments.len();
        let mut arguments = arguments.into_iter();
        match (name, arguments.next(), arguments.next(), given) {
            ("attribute_exists", Some(Operand::Path(path)), None, 1) => Ok(Condition::Exists(path)),
            ("attribute_not_exists", Some(Operand::Path(path)), None, 1) => {
                Ok(Condition::Not(Box::new(Condition::Exists(path))))
            }
            ("attribute_exists" | "attribute_not_exists", Some(_), None, 1) => Err(format!(
                "Operator or function requires a document path; operator or function: {name}"
            )),
            ("attribute_type", Some(first), Some(second), 2) => {
                check_type_name(&second)?;
                Ok(Condition::HasType(first, second))
            }
            ("begins_with", Some(first), Some(second), 2) => {
                check_prefix(&second)?;
                Ok(Condition::BeginsWith(first, second))
            }
            ("contains", Some(first), Some(second), 2) => {
                check_distinct("contains", &first, &second)?;
                Ok(Condition::Contains(first, second))
            }
            _ => Err(format!(
                "Incorrect number of operands for operator or function; operator or function: \
                 {name}, number of operands: {given}"
            )),
        }
    }

    fn operand(&mut self) -> Result<Operand<'v>, String> {
        match self.tokens.peek() {
            Some(token) if token.kind == Kind::Value => {
                self.tokens.advance();
                Ok(Operand::Value(self.bindings.value(token.text)?))
            }
            _ => match self.tokens.eat_function() {
                Some("size") => {
                    let path = self.tokens.path(self.bindings)?;
                    self.tokens.expect(")")?;
                    Ok(Operand::Size(path))
                }
                Some(other) => Err(format!("Invalid function name; function: {other}")),
                None => Ok(Operand::Path(self.tokens.path(self.bindings)?)),
            },
        }
    }
}

fn check_distinct(operator: &str, left: &Operand<'_>, right: &Operand<'_>) -> Result<(), String> {
    match (left, right) {
        (Operand::Path(first), Operand::Path(second)) if first == second => Err(format!(
            "The first operand must be distinct from the remaining operands for this operator or \
             function; operator: {operator}, first operand: {first}"
        )),
        _ => Ok(()),
    }
}

/// `<` and its kin, and `BETWEEN`, take strings, numbers and binaries.
fn check_ordered(operator: &str, operand: &Operand<'_>) -> Result<(), String> {
    match operand {
        Operand::Value(AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_))
        | Operand::Path(_)
        | Operand::Size(_) => Ok(()),
        Operand::Value(other) => Err(format!(
            "Incorrect operand type for operator or function; operator: {operator}, operand type: \
             {}",
            type_name(other)
        )),
    }
}

fn check_prefix(operand: &Operand<'_>) -> Result<(), String> {
    match operand {
        Operand::Value(AttributeValue::S(_) | AttributeValue::B(_)) | Operand::Path(_) => Ok(()),
        Operand::Size(_) => Err(wrong_prefix("N")),
        Operand::Value(other) => Err(wrong_prefix(type_name(other))),
    }
}

fn wrong_prefix(given: &str) -> String {
    format!(
        "Incorrect operand type for operator or function; operator or function: begins_with, \
         operand type: {given}"
    )
}

fn check_type_name(operand: &Operand<'_>) -> Result<(), String> {
    const TYPES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];
    match operand {
        Operand::Value(AttributeValue::S(name)) if !TYPES.contains(&name.as_str()) => Err(format!(
            "Invalid attribute type name found; type: {name}, valid types: {{{}}}",
            TYPES.join(",")
        )),
        Operand::Value(AttributeValue::S(_)) => Ok(()),
        Operand::Value(other) => Err(format!(
            "Incorrect operand type for operator or function; operator or function: \
             attribute_type, operand type: {}",
            type_name(other)
        )),
        Operand::Path(_) | Operand::Size(_) => {
            Err("Incorrect operand type for operator or function; operator or function: \
             attribute_type, operand type: M"
                .to_owned())
        }
    }
}
