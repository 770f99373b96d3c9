//! All tables by name, and their streams' beginnings and ends.

use std::sync::Arc;

use papaya::HashMap;
use parking_lot::{Mutex, MutexGuard};
use streamcore::model::{KeySchema, StreamArn, StreamViewType};
use streamcore::{Store, Stream, StreamConfig};

use crate::calls::Config;
use crate::error::{ApiError, ErrorKind};
use crate::key::Key;
use crate::request;
use crate::table::Table;

/// The registry: found without a lock, changed under one.
pub(crate) struct Tables {
    by_name: HashMap<String, Arc<Table>>,
    /// Held while a table is made or deleted; no item operation takes it.
    making: Mutex<()>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self { by_name: HashMap::new(), making: Mutex::new(()) }
    }

    fn find(&self, name: &str) -> Option<Arc<Table>> {
        self.by_name.pin().get(name).cloned()
    }

    /// The table of an item operation.
    pub(crate) fn of_items(&self, given: Option<&str>) -> Result<Arc<Table>, ApiError> {
        self.find(request::table_name(given)?).ok_or_else(ApiError::no_table)
    }

    /// The table of a table operation.
    pub(crate) fn named(&self, given: Option<&str>) -> Result<Arc<Table>, ApiError> {
        let name = request::table_name(given)?;
        self.find(name).ok_or_else(|| ApiError::no_table_named(name))
    }

    /// The table that a `ResourceArn` means.
    pub(crate) fn with_arn(&self, given: Option<&str>) -> Result<Arc<Table>, ApiError> {
        let arn = given.ok_or_else(|| ApiError::required("resourceArn"))?;
        let Some((_, name)) = arn.split_once(":table/").filter(|_| arn.starts_with("arn:")) else {
            return Err(ApiError::validation(format!(
                "Invalid TableArn: Invalid ResourceArn provided as input {arn}"
            )));
        };
        self.find(name).filter(|table| table.arn == arn).ok_or_else(|| {
            ApiError::new(
                ErrorKind::NotFound,
                // Spelled like this by AWS.
                format!("Requested resource not found: ResourcArn: {arn} not found"),
            )
        })
    }

    /// Adds the table that `make` makes, unless there is one of that name.
    pub(crate) fn create(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Table, ApiError>,
    ) -> Result<Arc<Table>, ApiError> {
        let _making = self.making.lock();
        if self.find(name).is_some() {
            let message = format!("Table already exists: {name}");
            return Err(ApiError::new(ErrorKind::InUse, message));
        }
        let table = Arc::new(make()?);
        self.by_name.pin().insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    /// Removes a table. Its stream is closed, and stays readable for as long as streams do.
    pub(crate) fn delete(&self, given: Option<&str>) -> Result<Arc<Table>, ApiError> {
        let _making = self.making.lock();
        let table = self.named(given)?;
        self.by_name.pin().remove(&table.name);
        table.end_stream();
        Ok(table)
    }

    /// Keeps tables from being made and deleted; none of those that are there is left out of [`Tables::all`].
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.making.lock()
    }

    /// Adds a table that is restored; `false` if there is one of its name.
    pub(crate) fn add(&self, table: Table) -> bool {
        let _making = self.making.lock();
        let is_new = self.find(&table.name).is_none();
        if is_new {
            self.by_name.pin().insert(table.name.clone(), Arc::new(table));
        }
        is_new
    }

    /// All tables, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> = self.by_name.pin().values().cloned().collect();
        tables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.by_name.pin().keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

/// Opens a stream for a table. The caller holds what keeps another one of the same table out.
pub(crate) fn open(
    store: &Store,
    config: &Config,
    table: &str,
    key: &Key,
    view: StreamViewType,
) -> Result<Stream, ApiError> {
    let internal = |error: streamcore::Error| ApiError::new(ErrorKind::Internal, error.to_string());
    let range = key.range.as_ref().map(|part| part.name.as_str());
    let schema = KeySchema::new(&key.hash.name, range).map_err(internal)?;
    // Registering an ARN twice gives the same stream; two streams of a table that begin in
    // one millisecond must not become one.
    let mut created_ms = store.now_ms();
    loop {
        let arn =
            StreamArn::new(&config.region, &config.account, table, created_ms).map_err(internal)?;
        if store.stream(arn.as_str()).is_err() {
            break;
        }
        created_ms += 1;
    }
    let mut stream = StreamConfig::new(table, schema, view)
        .region(&config.region)
        .account(&config.account)
        .created_ms(created_ms)
        .shards(config.shards);
    if let Some(age) = config.retain_for {
        stream = stream.retain_for(age);
    }
    if let Some(records) = config.retain_records {
        stream = stream.retain_last(records);
    }
    if let Some(age) = config.roll_after {
        stream = stream.roll_after(age);
    }
    store.register_stream(stream).map_err(internal)
}

/// Reads a `StreamViewType`.
pub(crate) fn view_type(given: Option<&str>) -> Result<StreamViewType, ApiError> {
    let given = given.ok_or_else(|| {
        ApiError::invalid("StreamViewType must be specified when StreamEnabled is true")
    })?;
    given.parse().map_err(|_| {
        ApiError::constraint(
            &format!("'{given}'"),
            "streamSpecification.streamViewType",
            "Member must satisfy enum value set: [NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, \
             KEYS_ONLY]",
        )
    })
}
