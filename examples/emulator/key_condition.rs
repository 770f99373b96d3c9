//! Key conditions of a query: the partition, and a range of sort keys.

use std::ops::Bound;

use streamcore::model::AttributeValue;

use crate::error::ApiError;
use crate::expr::{Comparison, Condition, Operand};
use crate::key::{Key, KeyPart, write_sort};

/// What a `KeyConditionExpression` asks for.
pub(crate) struct KeyCondition<'v> {
    pub(crate) hash: &'v AttributeValue,
    range: Option<RangeCondition<'v>>,
}

enum RangeCondition<'v> {
    Compare(Comparison, &'v AttributeValue),
    Between(&'v AttributeValue, &'v AttributeValue),
    BeginsWith(&'v AttributeValue),
}

/// A range of encoded keys.
pub(crate) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

const NOT_SUPPORTED: &str = "Query key condition not supported";

impl<'v> KeyCondition<'v> {
    pub(crate) fn new(condition: &Condition<'v>, key: &Key) -> Result<Self, ApiError> {
        let conditions = match condition {
            Condition::And(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let (mut hash, mut range) = (None, None);
        for condition in conditions {
            let (name, condition) = simple(condition)?;
            let expect = |part: &KeyPart, value: &AttributeValue| {
                if part.kind.matches(value) {
                    return Ok(());
                }
                Err(ApiError::invalid("Condition parameter type does not match schema type"))
            };
            match condition {
                RangeCondition::Compare(Comparison::Equal, value) if name == key.hash.name => {
                    expect(&key.hash, value)?;
                    twice(hash.replace(value).is_some())?;
                }
                _ if name == key.hash.name => return Err(ApiError::validation(NOT_SUPPORTED)),
                condition => {
                    let Some(part) = key.range.as_ref().filter(|part| part.name == name) else {
                        // Some other attribute: then one of the key's own is not named.
                        continue;
                    };
                    match &condition {
                        RangeCondition::Compare(_, value) | RangeCondition::BeginsWith(value) => {
                            expect(part, value)?;
                        }
                        RangeCondition::Between(low, high) => {
                            expect(part, low)?;
                            expect(part, high)?;
                        }
                    }
                    twice(range.replace(condition).is_some())?;
                }
            }
        }
        let missed = |name: &str| {
            ApiError::validation(format!("Query condition missed key schema element: {name}"))
        };
        let hash = hash.ok_or_else(|| missed(&key.hash.name))?;
        match (conditions.len(), &range, &key.range) {
            (1, None, _) | (2, Some(_), _) => Ok(Self { hash, range }),
            (_, None, Some(part)) => Err(missed(&part.name)),
            _ => Err(ApiError::validation(NOT_SUPPORTED)),
        }
    }

    /// The range of keys, each behind `prefix`.
    pub(crate) fn bounds_in(&self, prefix: &[u8]) -> Result<Bounds, ApiError> {
        let key = |value: &AttributeValue| {
            let mut bytes = prefix.to_vec();
            write_sort(value, &mut bytes).map(|()| bytes)
        };
        let all = (Bound::Included(prefix.to_vec()), end_of(prefix));
        Ok(match &self.range {
            None => all,
            Some(RangeCondition::Compare(comparison, value)) => match comparison {
                Comparison::Less => (all.0, Bound::Excluded(key(value)?)),
                Comparison::LessOrEqual => (all.0, Bound::Included(key(value)?)),
                Comparison::Greater => (Bound::Excluded(key(value)?), all.1),
                Comparison::GreaterOrEqual => (Bound::Included(key(value)?), all.1),
                Comparison::Equal | Comparison::NotEqual => {
                    (Bound::Included(key(value)?), Bound::Included(key(value)?))
                }
            },
            Some(RangeCondition::Between(low, high)) => {
                let (low, high) = (key(low)?, key(high)?);
                if low > high {
                    return Err(ApiError::validation(
                        "Invalid KeyConditionExpression: The BETWEEN operator requires upper \
                         bound to be greater than or equal to lower bound",
                    ));
                }
                (Bound::Included(low), Bound::Included(high))
            }
            Some(RangeCondition::BeginsWith(value)) => {
                let low = key(value)?;
                let high = end_of(&low);
                (Bound::Included(low), high)
            }
        })
    }
}

/// The least bytes above all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

fn twice(seen: bool) -> Result<(), ApiError> {
    if !seen {
        return Ok(());
    }
    Err(ApiError::validation(
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition \
         per key",
    ))
}

/// One of the conditions that a key may have: on an attribute, with values.
fn simple<'c, 'v>(condition: &'c Condition<'v>) -> Result<(&'c str, RangeCondition<'v>), ApiError> {
    let path = |operand: &'c Operand<'v>| match operand {
        Operand::Path(path) if path.is_top_level() => Ok(path.attribute()),
        Operand::Path(_) => Err(ApiError::validation(
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on \
             nested attributes",
        )),
        _ => Err(ApiError::validation(NOT_SUPPORTED)),
    };
    let value = |operand: &Operand<'v>| match operand {
        Operand::Value(value) => Ok(*value),
        _ => Err(ApiError::validation(NOT_SUPPORTED)),
    };
    match condition {
        Condition::Compare(_, Comparison::NotEqual, _) => {
            Err(ApiError::validation("Invalid operator used in KeyConditionExpression: <>"))
        }
        Condition::Compare(left @ Operand::Value(_), how, right) => {
            Ok((path(right)?, RangeCondition::Compare(how.flipped(), value(left)?)))
        }
        Condition::Compare(left, how, right) => {
            Ok((path(left)?, RangeCondition::Compare(*how, value(right)?)))
        }
        Condition::Between(operand, low, high) => {
            Ok((path(operand)?, RangeCondition::Between(value(low)?, value(high)?)))
        }
        Condition::BeginsWith(operand, prefix) => {
            let prefix = value(prefix)?;
            if matches!(prefix, AttributeValue::N(_)) {
                return Err(ApiError::validation(NOT_SUPPORTED));
            }
            Ok((path(operand)?, RangeCondition::BeginsWith(prefix)))
        }
        Condition::And(_) => Err(ApiError::validation(
            "Invalid KeyConditionExpression: The expression has redundant parentheses;",
        )),
        _ => Err(ApiError::validation(
            "Invalid operator used in KeyConditionExpression: only comparisons, BETWEEN and \
             begins_with may be used",
        )),
    }
}
