//! Conditions: the tree of one, and whether it holds of an item.

use std::cmp::Ordering;

use streamcore::model::{AttributeValue, Attributes};

use super::path::Path;
use crate::key::type_name;
use crate::number;

/// A condition or a filter over one item.
#[derive(Debug)]
pub(crate) enum Condition<'v> {
    Compare(Operand<'v>, Comparison, Operand<'v>),
    Between(Operand<'v>, Operand<'v>, Operand<'v>),
    In(Operand<'v>, Vec<Operand<'v>>),
    Exists(Path),
    HasType(Operand<'v>, Operand<'v>),
    BeginsWith(Operand<'v>, Operand<'v>),
    Contains(Operand<'v>, Operand<'v>),
    And(Vec<Condition<'v>>),
    Or(Vec<Condition<'v>>),
    Not(Box<Condition<'v>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn parse(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "=" => Self::Equal,
            "<>" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The same comparison with its sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    pub(crate) fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Operand<'v> {
    Path(Path),
    Value(&'v AttributeValue),
    Size(Path),
}

/// What an operand stands for in one item.
enum Found<'i> {
    Value(&'i AttributeValue),
    Size(AttributeValue),
}

impl Found<'_> {
    fn value(&self) -> &AttributeValue {
        match self {
            Self::Value(value) => value,
            Self::Size(value) => value,
        }
    }
}

impl Operand<'_> {
    fn find<'i>(&'i self, item: &'i Attributes) -> Option<Found<'i>> {
        match self {
            Self::Path(path) => path.get(item).map(Found::Value),
            Self::Value(value) => Some(Found::Value(value)),
            Self::Size(path) => {
                let size = size_of(path.get(item)?)?;
                Some(Found::Size(AttributeValue::N(size.to_string())))
            }
        }
    }
}

/// The function `size`; numbers, booleans and nulls have none.
fn size_of(value: &AttributeValue) -> Option<usize> {
    Some(match value {
        AttributeValue::S(text) => text.chars().count(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.len(),
        AttributeValue::Bs(set) => set.len(),
        AttributeValue::M(map) => map.len(),
        AttributeValue::L(list) => list.len(),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null(_) => return None,
    })
}

impl Condition<'_> {
    /// Whether the condition holds; an item that does not exist is an empty one.
    pub(crate) fn holds(&self, item: &Attributes) -> bool {
        match self {
            Self::Compare(left, how, right) => match (left.find(item), right.find(item)) {
                (Some(left), Some(right)) => compare(left.value(), *how, right.value()),
                // What is missing differs from everything and has no order.
                _ => *how == Comparison::NotEqual,
            },
            Self::Between(operand, low, high) => {
                let (Some(value), Some(low), Some(high)) =
                    (operand.find(item), low.find(item), high.find(item))
                else {
                    return false;
                };
                compare(value.value(), Comparison::GreaterOrEqual, low.value())
                    && compare(value.value(), Comparison::LessOrEqual, high.value())
            }
            Self::In(operand, choices) => operand.find(item).is_some_and(|value| {
                choices
                    .iter()
                    .filter_map(|choice| choice.find(item))
                    .any(|choice| value.value().same_as(choice.value()))
            }),
            Self::Exists(path) => path.get(item).is_some(),
            Self::HasType(operand, wanted) => match (operand.find(item), wanted.find(item)) {
                (Some(value), Some(wanted)) => {
                    matches!(wanted.value(), AttributeValue::S(name) if name == type_name(value.value()))
                }
                _ => false,
            },
            Self::BeginsWith(operand, prefix) => match (operand.find(item), prefix.find(item)) {
                (Some(value), Some(prefix)) => match (value.value(), prefix.value()) {
                    (AttributeValue::S(text), AttributeValue::S(start)) => text.starts_with(start),
                    (AttributeValue::B(bytes), AttributeValue::B(start)) => {
                        bytes.starts_with(start)
                    }
                    _ => false,
                },
                _ => false,
            },
            Self::Contains(operand, sought) => match (operand.find(item), sought.find(item)) {
                (Some(value), Some(sought)) => contains(value.value(), sought.value()),
                _ => false,
            },
            Self::And(all) => all.iter().all(|condition| condition.holds(item)),
            Self::Or(any) => any.iter().any(|condition| condition.holds(item)),
            Self::Not(condition) => !condition.holds(item),
        }
    }

    /// Every top-level attribute that the condition looks at.
    pub(crate) fn attributes(&self, visit: &mut impl FnMut(&str)) {
        let mut operand = |operand: &Operand<'_>| match operand {
            Operand::Path(path) | Operand::Size(path) => visit(path.attribute()),
            Operand::Value(_) => {}
        };
        match self {
            Self::Compare(a, _, b)
            | Self::HasType(a, b)
            | Self::BeginsWith(a, b)
            | Self::Contains(a, b) => [a, b].into_iter().for_each(operand),
            Self::Between(a, b, c) => [a, b, c].into_iter().for_each(operand),
            Self::In(a, choices) => {
                operand(a);
                choices.iter().for_each(operand);
            }
            Self::Exists(path) => visit(path.attribute()),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.attributes(visit)),
            Self::Not(one) => one.attributes(visit),
        }
    }
}

fn compare(left: &AttributeValue, how: Comparison, right: &AttributeValue) -> bool {
    match how {
        Comparison::Equal => left.same_as(right),
        Comparison::NotEqual => !left.same_as(right),
        _ => order(left, right).is_some_and(|order| how.admits(order)),
    }
}

/// The order of two strings, numbers or binaries; other pairs have none.
fn order(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::S(a), AttributeValue::S(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (AttributeValue::N(a), AttributeValue::N(b)) => Some(number::compare(a, b)),
        (AttributeValue::B(a), AttributeValue::B(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn contains(value: &AttributeValue, sought: &AttributeValue) -> bool {
    match (value, sought) {
        (AttributeValue::S(text), AttributeValue::S(part)) => text.contains(part.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(part)) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        }
        (AttributeValue::Ss(set), AttributeValue::S(member))
        | (AttributeValue::Ns(set), AttributeValue::N(member)) => set.contains(member),
        (AttributeValue::Bs(set), AttributeValue::B(member)) => set.contains(member),
        (AttributeValue::L(list), sought) => list.iter().any(|element| element.same_as(sought)),
        _ => false,
    }
}
