//! TransactWriteItems: up to a hundred actions on items of several tables, all or none of them.
//!
//! All items are locked together; every condition is checked before anything is written; the records of a
//! table go into its stream as one batch. So who reads an item, a transaction that reads several, and a
//! snapshot of a shard see all of a transaction or nothing. Source of the rules: AWS API reference,
//! `TransactWriteItems`. What of an action depends on the table or on the item is told as the reason of a
//! cancellation; what is wrong by itself is refused at once.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use streamcore::model::{Attributes, Change, Image};

use crate::at_most::AtMost;
use crate::calls::Emulator;
use crate::error::{ApiError, Reason};
use crate::expr::{Bindings, Update};
use crate::key::ItemKey;
use crate::locked::{Locked, Place};
use crate::table::Table;
use crate::tokens::Begun;
use crate::visible::Receipts;
use crate::write::{Guard, Write, check_targets, checked, updated};
use crate::{item, request};

/// AWS API reference, `TransactWriteItems` and `TransactGetItems`.
pub(crate) const MAX_ACTIONS: usize = 100;
/// AWS API reference, `TransactWriteItems` and `TransactGetItems`: all items together.
pub(crate) const MAX_BYTES: u64 = 4 << 20;
/// AWS API reference, `ClientRequestToken`.
const MAX_TOKEN: usize = 36;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactWrite {
    transact_items: Option<AtMost<TransactItem, MAX_ACTIONS>>,
    client_request_token: Option<String>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    put: Option<Write>,
    update: Option<Write>,
    delete: Option<Write>,
    condition_check: Option<Write>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Update,
    Delete,
    Check,
}

impl TransactItem {
    fn into_action(self) -> Result<(Kind, Write), ApiError> {
        let mut given = [
            (Kind::Put, self.put),
            (Kind::Update, self.update),
            (Kind::Delete, self.delete),
            (Kind::Check, self.condition_check),
        ]
        .into_iter()
        .filter_map(|(kind, write)| Some((kind, write?)));
        match (given.next(), given.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(ApiError::validation(
                "TransactItems can only contain one of Check, Put, Update or Delete",
            )),
        }
    }
}

/// What an action does to its item, once its condition holds.
enum Action<'v> {
    Put(Image),
    Update { key: Attributes, update: Update<'v> },
    Delete,
    Check,
}

/// An action that was read.
struct Planned<'v> {
    place: Place,
    guard: Guard<'v>,
    action: Action<'v>,
}

impl Planned<'_> {
    /// The change that it makes of what is there; `None`: nothing changes.
    fn change(&self, old: Option<&Image>) -> Result<Option<Change>, ApiError> {
        self.guard.check(old)?;
        let new = match &self.action {
            Action::Put(image) => Some(image.clone()),
            Action::Update { key, update } => Some(updated(&self.place.table, update, old, key)?),
            Action::Delete => None,
            Action::Check => return Ok(None),
        };
        let change = match (old.cloned(), new) {
            (None, None) => return Ok(None),
            (None, Some(new)) => Change::insert(new),
            (Some(old), Some(new)) => Change::modify(old, new),
            (Some(old), None) => Change::remove(old),
        };
        Ok(Some(change).filter(|change| !change.is_no_op()))
    }
}

/// What failed of one action: the rest is checked all the same, to tell every reason.
type Checked<T> = Result<T, Reason>;

/// All that was checked, unless there is a reason to cancel.
pub(crate) fn all_or_canceled<T>(checked: Vec<Checked<T>>) -> Result<Vec<T>, ApiError> {
    if checked.iter().all(Result::is_ok) {
        return Ok(checked.into_iter().flatten().collect());
    }
    Err(ApiError::canceled(checked.into_iter().map(Result::err).collect()))
}

/// A failure as the reason of a cancellation, or, if it is none of those, as what it is.
pub(crate) fn or_reason<T>(result: Result<T, ApiError>) -> Result<Checked<T>, ApiError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.into_reason().map(Err),
    }
}

/// Checks how many actions there are.
pub(crate) fn check_count(count: usize) -> Result<(), ApiError> {
    let rule = match count {
        0 => "Member must have length greater than or equal to 1".to_owned(),
        1..=MAX_ACTIONS => return Ok(()),
        _ => format!("Member must have length less than or equal to {MAX_ACTIONS}"),
    };
    Err(ApiError::constraint(&format!("'{count} members'"), "transactItems", &rule))
}

/// Refuses a transaction that names an item twice.
pub(crate) fn check_distinct<'p>(places: impl Iterator<Item = &'p Place>) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    for place in places {
        if !seen.insert((Arc::as_ptr(&place.table), &place.key.bytes)) {
            return Err(ApiError::validation(
                "Transaction request cannot include multiple operations on one item",
            ));
        }
    }
    Ok(())
}

/// Refuses a transaction whose items are too large together.
pub(crate) fn check_bytes(bytes: u64) -> Result<(), ApiError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "The items of a transaction have at most {MAX_BYTES} bytes together; these have {bytes}"
    )))
}

impl Emulator {
    pub(crate) fn transact_write_items(
        &self,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, ApiError> {
        let request: TransactWrite = request::parse(body)?;
        let items = request.transact_items.ok_or_else(|| ApiError::required("transactItems"))?;
        check_count(items.given())?;
        let items = items.into_members();
        let attempt = match request.client_request_token {
            None => None,
            Some(token) => match self.begin(token, body)? {
                Begun::First(attempt) => Some(attempt),
                Begun::Again => return Ok(b"{}".to_vec()),
            },
        };
        let mut actions = Vec::with_capacity(items.len());
        for item in items {
            actions.push(item.into_action()?);
        }
        let bindings = actions.iter_mut().map(|(_, write)| write.bindings());
        let bindings: Vec<Bindings> = bindings.collect::<Result<_, _>>()?;
        let mut planned = Vec::with_capacity(actions.len());
        for (index, ((kind, write), bindings)) in actions.into_iter().zip(&bindings).enumerate() {
            planned.push(self.plan(index + 1, kind, write, bindings)?);
        }
        let planned = all_or_canceled(planned)?;
        check_distinct(planned.iter().map(|planned| &planned.place))?;
        carry_out(&planned, receipts)?;
        if let Some(attempt) = attempt {
            attempt.succeed(self.store.now_ms());
        }
        Ok(b"{}".to_vec())
    }

    fn begin(&self, token: String, body: &[u8]) -> Result<Begun<'_>, ApiError> {
        let rule = match token.chars().count() {
            0 => "Member must have length greater than or equal to 1".to_owned(),
            1..=MAX_TOKEN => {
                return self.tokens.begin(token, fingerprint(body)?, self.store.now_ms());
            }
            _ => format!("Member must have length less than or equal to {MAX_TOKEN}"),
        };
        Err(ApiError::constraint(&format!("'{token}'"), "clientRequestToken", &rule))
    }

    /// Reads the action with this number, from 1.
    fn plan<'v>(
        &self,
        number: usize,
        kind: Kind,
        mut write: Write,
        bindings: &'v Bindings,
    ) -> Result<Checked<Planned<'v>>, ApiError> {
        let required =
            |member: &str| ApiError::required(&format!("transactItems.{number}.member.{member}"));
        // What is wrong by itself comes first: it is refused whatever the table is like.
        let mut attributes = match kind {
            Kind::Put => write.item.take().ok_or_else(|| required("put.item"))?,
            Kind::Update => write.key.take().ok_or_else(|| required("update.key"))?,
            Kind::Delete => write.key.take().ok_or_else(|| required("delete.key"))?,
            Kind::Check => write.key.take().ok_or_else(|| required("conditionCheck.key"))?,
        };
        item::normalize(&mut attributes)?;
        if kind == Kind::Check && write.condition_expression.is_none() {
            return Err(required("conditionCheck.conditionExpression"));
        }
        let guard = write.guard(bindings)?;
        let update = match (kind, &write.update_expression) {
            (Kind::Update, Some(text)) => Some(bindings.update(text)?),
            (Kind::Update, None) => return Err(required("update.updateExpression")),
            _ => None,
        };
        bindings.check_all_used()?;
        let table = self.tables.of_items(write.table_name.as_deref())?;
        or_reason(target(&table, kind, attributes, update).map(|(key, action)| Planned {
            place: Place { table, key },
            guard,
            action,
        }))
    }
}

/// What the table makes of an action.
fn target<'v>(
    table: &Table,
    kind: Kind,
    attributes: Attributes,
    update: Option<Update<'v>>,
) -> Result<(ItemKey, Action<'v>), ApiError> {
    if kind == Kind::Put {
        let (key, image) = checked(table, attributes)?;
        return Ok((key, Action::Put(image)));
    }
    let key = table.schema.key.of_request(&attributes)?;
    let action = match (kind, update) {
        (_, Some(update)) => {
            check_targets(table, &update)?;
            Action::Update { key: attributes, update }
        }
        (Kind::Delete, None) => Action::Delete,
        (_, None) => Action::Check,
    };
    Ok((key, action))
}

/// Checks and writes everything, or nothing.
fn carry_out(planned: &[Planned<'_>], receipts: &mut Receipts) -> Result<(), ApiError> {
    let mut locked = Locked::of(planned.iter().map(|planned| &planned.place));
    let mut changes = Vec::with_capacity(planned.len());
    for planned in planned {
        changes.push(or_reason(planned.change(locked.get(&planned.place)))?);
    }
    let changes = all_or_canceled(changes)?;
    let new = |change: &Change| change.new_image().map_or(0, Image::size_bytes);
    check_bytes(changes.iter().flatten().map(new).sum())?;

    // The changes of each table, in the order of the actions.
    let mut tables: Vec<(&Table, Vec<Change>)> = Vec::new();
    for (planned, change) in planned.iter().zip(&changes) {
        let Some(change) = change.clone() else {
            continue;
        };
        let table = &*planned.place.table;
        match tables.iter_mut().find(|(known, _)| std::ptr::eq(*known, table)) {
            Some((_, changes)) => changes.push(change),
            None => tables.push((table, vec![change])),
        }
    }
    // A stream refuses a change only for want of a key, and keys were checked: from here on nothing fails.
    for (table, changes) in tables {
        table.record_all(changes, receipts)?;
    }
    for (planned, change) in planned.iter().zip(changes) {
        if let Some(change) = change {
            locked.set(&planned.place, change.new_image().cloned());
        }
    }
    Ok(())
}

/// What tells the actions of one transaction from those of another, however they are spelled.
fn fingerprint(body: &[u8]) -> Result<u128, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Actions {
        transact_items: Value,
    }
    let actions: Actions = request::parse(body)?;
    let mut hasher = SipHasher13::new();
    hash(&actions.transact_items, &mut hasher);
    Ok(hasher.finish128().into())
}

/// Feeds JSON to a hasher, the members of objects by name.
fn hash(value: &Value, hasher: &mut SipHasher13) {
    use std::hash::Hash;
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            (b'{', members.len()).hash(hasher);
            for (name, value) in members {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
        Value::Array(values) => {
            (b'[', values.len()).hash(hasher);
            values.iter().for_each(|value| hash(value, hasher));
        }
        scalar => scalar.to_string().hash(hasher),
    }
}
