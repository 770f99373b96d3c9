//! Updates: the tree of one, and an item with it applied.

use std::collections::{BTreeMap, BTreeSet};

use streamcore::model::{AttributeValue, Attributes};

use super::path::{Part, Path};
use crate::error::ApiError;
use crate::{item, number};

/// An `UpdateExpression`, or legacy `AttributeUpdates` brought into its form.
#[derive(Debug, Default)]
pub(crate) struct Update<'v> {
    pub(crate) set: Vec<(Path, SetValue<'v>)>,
    pub(crate) remove: Vec<Path>,
    pub(crate) add: Vec<(Path, &'v AttributeValue)>,
    pub(crate) delete: Vec<(Path, &'v AttributeValue)>,
}

/// The right side of a `SET`.
#[derive(Debug)]
pub(crate) enum SetValue<'v> {
    Is(SetOperand<'v>),
    Plus(SetOperand<'v>, SetOperand<'v>),
    Minus(SetOperand<'v>, SetOperand<'v>),
}

#[derive(Debug)]
pub(crate) enum SetOperand<'v> {
    Path(Path),
    Value(&'v AttributeValue),
    IfNotExists(Path, Box<SetOperand<'v>>),
    ListAppend(Box<SetOperand<'v>>, Box<SetOperand<'v>>),
    Group(Box<SetValue<'v>>),
}

const INVALID_PATH: &str =
    "The document path provided in the update expression is invalid for update";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const NO_ATTRIBUTE: &str =
    "The provided expression refers to an attribute that does not exist in the item";

impl Update<'_> {
    /// Every path that the update writes to.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Path> {
        let with_value = self.add.iter().chain(&self.delete).map(|(path, _)| path);
        self.set.iter().map(|(path, _)| path).chain(&self.remove).chain(with_value)
    }

    /// The item as the update leaves it. All values are taken from the item as it was,
    /// and list indexes mean places in the lists as they were.
    pub(crate) fn apply(&self, old: &Attributes) -> Result<Attributes, ApiError> {
        let mut new = old.clone();
        // In the order of their paths, so that elements past a list's end append in theirs.
        let mut values = self
            .set
            .iter()
            .map(|(path, value)| Ok((path, value.of(old)?)))
            .collect::<Result<Vec<_>, ApiError>>()?;
        values.sort_by(|(a, _), (b, _)| a.rest().cmp(b.rest()));
        for (path, value) in values {
            set(&mut new, path, value)?;
        }
        for (path, value) in &self.add {
            let sum = sum(path.get(old), value)?;
            set(&mut new, path, sum)?;
        }
        let mut removed: Vec<&Path> = self.remove.iter().collect();
        for (path, value) in &self.delete {
            match difference(path.get(old), value)? {
                Some(Left::Nothing) => removed.push(path),
                Some(Left::Some(rest)) => set(&mut new, path, rest)?,
                None => {}
            }
        }
        remove_all(&mut new, &removed)?;
        Ok(new)
    }
}

impl SetValue<'_> {
    fn of(&self, item: &Attributes) -> Result<AttributeValue, ApiError> {
        let (left, right, subtract) = match self {
            Self::Is(operand) => return operand.of(item),
            Self::Plus(left, right) => (left, right, false),
            Self::Minus(left, right) => (left, right, true),
        };
        match (left.of(item)?, right.of(item)?) {
            (AttributeValue::N(left), AttributeValue::N(right)) => {
                number::add(&left, &right, subtract).map(AttributeValue::N)
            }
            _ => Err(ApiError::validation(WRONG_TYPE)),
        }
    }
}

impl SetOperand<'_> {
    fn of(&self, item: &Attributes) -> Result<AttributeValue, ApiError> {
        match self {
            Self::Path(path) => {
                path.get(item).cloned().ok_or_else(|| ApiError::validation(NO_ATTRIBUTE))
            }
            Self::Value(value) => Ok((*value).clone()),
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => Ok(value.clone()),
                None => otherwise.of(item),
            },
            Self::ListAppend(first, second) => match (first.of(item)?, second.of(item)?) {
                (AttributeValue::L(mut first), AttributeValue::L(second)) => {
                    first.extend(second);
                    Ok(AttributeValue::L(first))
                }
                _ => Err(ApiError::validation(WRONG_TYPE)),
            },
            Self::Group(value) => value.of(item),
        }
    }
}

/// The map or list that holds the last part of a nested path.
fn parent<'i>(item: &'i mut Attributes, path: &Path) -> Option<&'i mut AttributeValue> {
    let (_, above) = path.rest().split_last()?;
    above.iter().try_fold(item.get_mut(path.attribute())?, |value, part| match (value, part) {
        (AttributeValue::M(map), Part::Name(name)) => map.get_mut(name),
        (AttributeValue::L(list), Part::Index(index)) => list.get_mut(*index),
        _ => None,
    })
}

fn set(item: &mut Attributes, path: &Path, value: AttributeValue) -> Result<(), ApiError> {
    let Some(last) = path.rest().last() else {
        item.insert(path.attribute().to_owned(), value);
        return Ok(());
    };
    match (parent(item, path), last) {
        (Some(AttributeValue::M(map)), Part::Name(name)) => {
            map.insert(name.clone(), value);
        }
        (Some(AttributeValue::L(list)), Part::Index(index)) => match list.get_mut(*index) {
            Some(element) => *element = value,
            None => list.push(value),
        },
        _ => return Err(ApiError::validation(INVALID_PATH)),
    }
    Ok(())
}

/// Removes what lies at `paths`; several elements of one list from its end, so that each
/// index still means what it meant.
fn remove_all(item: &mut Attributes, paths: &[&Path]) -> Result<(), ApiError> {
    let mut paths = paths.to_vec();
    paths.sort_by(|a, b| b.rest().cmp(a.rest()));
    for path in paths {
        let Some(last) = path.rest().last() else {
            item.remove(path.attribute());
            continue;
        };
        match (parent(item, path), last) {
            (Some(AttributeValue::M(map)), Part::Name(name)) => {
                map.remove(name);
            }
            (Some(AttributeValue::L(list)), Part::Index(index)) => {
                if *index < list.len() {
                    list.remove(*index);
                }
            }
            _ => return Err(ApiError::validation(INVALID_PATH)),
        }
    }
    Ok(())
}

/// `ADD`: a number is added, a set is united; what is missing counts as nothing.
fn sum(old: Option<&AttributeValue>, given: &AttributeValue) -> Result<AttributeValue, ApiError> {
    fn union<T: Ord + Clone>(old: &[T], given: &[T]) -> Vec<T> {
        let present: BTreeSet<&T> = old.iter().collect();
        let new = given.iter().filter(|member| !present.contains(member));
        old.iter().chain(new).cloned().collect()
    }
    Ok(match (old, given) {
        (
            None,
            AttributeValue::N(_)
            | AttributeValue::Ss(_)
            | AttributeValue::Ns(_)
            | AttributeValue::Bs(_),
        ) => given.clone(),
        (Some(AttributeValue::N(old)), AttributeValue::N(given)) => {
            AttributeValue::N(number::add(old, given, false)?)
        }
        (Some(AttributeValue::Ss(a)), AttributeValue::Ss(b)) => AttributeValue::Ss(union(a, b)),
        (Some(AttributeValue::Ns(a)), AttributeValue::Ns(b)) => AttributeValue::Ns(union(a, b)),
        (Some(AttributeValue::Bs(a)), AttributeValue::Bs(b)) => AttributeValue::Bs(union(a, b)),
        _ => return Err(ApiError::validation(WRONG_TYPE)),
    })
}

/// What a `DELETE` leaves of a set.
enum Left {
    Some(AttributeValue),
    /// The last member went, and with it the attribute: there are no empty sets.
    Nothing,
}

/// `DELETE`: members go from a set. `None`: there was no set to begin with.
fn difference(
    old: Option<&AttributeValue>,
    given: &AttributeValue,
) -> Result<Option<Left>, ApiError> {
    fn without<T: Ord + Clone>(old: &[T], given: &[T], into: fn(Vec<T>) -> AttributeValue) -> Left {
        let gone: BTreeSet<&T> = given.iter().collect();
        let rest: Vec<T> = old.iter().filter(|member| !gone.contains(member)).cloned().collect();
        if rest.is_empty() { Left::Nothing } else { Left::Some(into(rest)) }
    }
    Ok(Some(match (old, given) {
        (None, _) => return Ok(None),
        (Some(AttributeValue::Ss(a)), AttributeValue::Ss(b)) => without(a, b, AttributeValue::Ss),
        (Some(AttributeValue::Ns(a)), AttributeValue::Ns(b)) => without(a, b, AttributeValue::Ns),
        (Some(AttributeValue::Bs(a)), AttributeValue::Bs(b)) => without(a, b, AttributeValue::Bs),
        _ => return Err(ApiError::validation(WRONG_TYPE)),
    }))
}

/// One entry of the legacy parameter `AttributeUpdates`.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LegacyUpdate {
    action: Option<String>,
    value: Option<AttributeValue>,
}

/// Brings `AttributeUpdates` into the form of an `UpdateExpression`.
/// Rules: AWS developer guide, "Legacy conditional parameters", AttributeUpdates.
pub(crate) fn from_legacy(
    updates: &mut BTreeMap<String, LegacyUpdate>,
) -> Result<Update<'_>, ApiError> {
    let mut update = Update::default();
    for (name, LegacyUpdate { action, value }) in updates {
        let path = Path::of(name.as_str());
        if let Some(value) = value.as_mut() {
            item::normalize_value(value)?;
        }
        match (action.as_deref().unwrap_or("PUT"), value.as_ref()) {
            ("PUT", Some(value)) => {
                update.set.push((path, SetValue::Is(SetOperand::Value(value))));
            }
            ("ADD", Some(value @ AttributeValue::L(_))) => {
                // Only the legacy form appends to lists; what is no list yet becomes one.
                let old =
                    SetOperand::IfNotExists(path.clone(), Box::new(SetOperand::Value(&EMPTY)));
                let both =
                    SetOperand::ListAppend(Box::new(old), Box::new(SetOperand::Value(value)));
                update.set.push((path, SetValue::Is(both)));
            }
            ("ADD", Some(value)) => update.add.push((path, value)),
            ("DELETE", Some(value)) => update.delete.push((path, value)),
            ("DELETE", None) => update.remove.push(path),
            ("PUT" | "ADD", None) => {
                return Err(ApiError::invalid(
                    "Only DELETE action is allowed when no attribute value is specified",
                ));
            }
            (other, _) => {
                return Err(ApiError::constraint(
                    &format!("'{other}'"),
                    &format!("attributeUpdates.{name}.member.action"),
                    "Member must satisfy enum value set: [ADD, DELETE, PUT]",
                ));
            }
        }
    }
    Ok(update)
}

static EMPTY: AttributeValue = AttributeValue::L(Vec::new());
