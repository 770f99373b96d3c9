//! Requests: members of the right types, within the rules of the service model.
//!
//! AWS looks at a request in three passes: first the types of all members, then the rules of all of
//! them at once (so that an answer may name several), then what they mean.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::errors::{Refusal, WireError};

/// The members of a request, or of a structure in one. `null` is as good as absent; members that
/// nobody asks for are ignored.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Reads the body of a request.
    pub(super) fn parse(body: &[u8]) -> Result<Self, WireError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(Refusal::NotAnObject.into()),
            Err(error) => Err(Refusal::NotJson(error.to_string()).into()),
        }
    }

    /// A member that is a string.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, WireError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Array(_)) => Err(Refusal::List("java.lang.String").into()),
            Some(Value::Object(_)) => Err(Refusal::Structure.into()),
            Some(scalar) => Err(Refusal::WrongScalar(token(scalar), "String").into()),
        }
    }

    /// A member that is an integer; a fraction is cut off.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, WireError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                // The cast saturates, so that what is far out of range stays out of range.
                let cut = || number.as_f64().map(|float| float as i64);
                Ok(number.as_i64().or_else(cut))
            }
            Some(Value::Array(_)) => Err(Refusal::List("java.lang.Integer").into()),
            Some(Value::Object(_)) => Err(Refusal::Structure.into()),
            Some(scalar) => Err(Refusal::WrongScalar(token(scalar), "Integer").into()),
        }
    }

    /// A member that is a structure of this Java class.
    pub(super) fn structure(
        &self,
        name: &str,
        class: &'static str,
    ) -> Result<Option<Self>, WireError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self(members.clone()))),
            Some(Value::Array(_)) => Err(Refusal::List(class).into()),
            Some(_) => Err(Refusal::Scalar.into()),
        }
    }
}

/// What AWS's parser calls a scalar.
fn token(scalar: &Value) -> &'static str {
    match scalar {
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        _ => "STRING_VALUE",
    }
}

/// Collects what breaks the rules of the service model.
#[derive(Default)]
pub(super) struct Rules {
    violations: Vec<String>,
}

impl Rules {
    /// The member must be there.
    pub(super) fn required<'a>(&mut self, at: &str, given: Option<&'a str>) -> &'a str {
        if given.is_none() {
            self.violate("null", at, "Member must not be null");
        }
        given.unwrap_or_default()
    }

    /// The member, if it is there, must have so many characters.
    pub(super) fn length(&mut self, at: &str, given: Option<&str>, allowed: RangeInclusive<usize>) {
        let Some(text) = given else { return };
        let (least, most) = allowed.into_inner();
        let length = text.chars().count();
        if length < least {
            let rule = format!("Member must have length greater than or equal to {least}");
            self.violate_with(text, at, &rule);
        } else if length > most {
            let rule = format!("Member must have length less than or equal to {most}");
            self.violate_with(text, at, &rule);
        }
    }

    /// The member, if it is there, must be made of these characters.
    pub(super) fn pattern(
        &mut self,
        at: &str,
        given: Option<&str>,
        pattern: &str,
        allowed: impl Fn(char) -> bool,
    ) {
        if let Some(text) = given
            && !text.chars().all(allowed)
        {
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            self.violate_with(text, at, &rule);
        }
    }

    /// The member, if it is there, must be one of these words.
    pub(super) fn word(&mut self, at: &str, given: Option<&str>, allowed: &[&str]) {
        if let Some(text) = given
            && !allowed.contains(&text)
        {
            let rule = format!("Member must satisfy enum value set: [{}]", allowed.join(", "));
            self.violate_with(text, at, &rule);
        }
    }

    /// The member must be at least 1; absent, it is `default`.
    pub(super) fn limit(&mut self, given: Option<i64>, default: usize) -> usize {
        let Some(limit) = given else { return default };
        if limit < 1 {
            let rule = "Member must have value greater than or equal to 1";
            self.violate_with(&limit.to_string(), "limit", rule);
        }
        usize::try_from(limit).unwrap_or_default()
    }

    fn violate_with(&mut self, text: &str, at: &str, rule: &str) {
        self.violate(&format!("'{text}'"), at, rule);
    }

    fn violate(&mut self, value: &str, at: &str, rule: &str) {
        self.violations
            .push(format!("Value {value} at '{at}' failed to satisfy constraint: {rule}"));
    }

    /// Refuses the request if any rule is broken.
    pub(super) fn check(self) -> Result<(), WireError> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Constraints(&self.violations).into())
        }
    }
}
