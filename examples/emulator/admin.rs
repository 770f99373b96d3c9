//! Operations on tables: create, describe, update, delete, list, tags, limits.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::request;
use crate::schema::{CreateTable, StreamSpecification, Tag, Throughput, key_elements};
use crate::service;
use crate::table::{LatestStream, Settings, Table};
use crate::tables;
use crate::visible::Outlet;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableRequest {
    table_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTable {
    table_name: Option<String>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
    stream_specification: Option<StreamSpecification>,
    global_secondary_index_updates: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTables {
    exclusive_start_table_name: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    resource_arn: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// AWS developer guide, "Tagging restrictions".
const MAX_TAGS: usize = 50;

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Reads how a table is billed: by capacity unless it says otherwise.
fn billing(
    mode: Option<&str>,
    throughput: Option<Throughput>,
) -> Result<(bool, Throughput), ApiError> {
    let mode = request::one_of(mode, "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"])?;
    match (mode, throughput) {
        ("PROVISIONED", None) => Err(ApiError::invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is \
             PROVISIONED",
        )),
        ("PROVISIONED", Some(units)) => {
            if units.read_capacity_units == 0 || units.write_capacity_units == 0 {
                return Err(ApiError::constraint(
                    "'0'",
                    "provisionedThroughput",
                    "Member must have value greater than or equal to 1",
                ));
            }
            Ok((false, units))
        }
        (_, Some(units)) if units.read_capacity_units + units.write_capacity_units > 0 => {
            Err(ApiError::invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when \
                 BillingMode is PAY_PER_REQUEST",
            ))
        }
        _ => Ok((true, Throughput::default())),
    }
}

impl Emulator {
    pub(crate) fn create_table(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let mut request: CreateTable = request::parse(body)?;
        let name = request::table_name(request.table_name.as_deref())?.to_owned();
        let schema = request.schema()?;
        let (on_demand, throughput) =
            billing(request.billing_mode.as_deref(), request.provisioned_throughput)?;
        let view = match &request.stream_specification {
            Some(spec) if spec.stream_enabled => {
                Some(tables::view_type(spec.stream_view_type.as_deref())?)
            }
            _ => None,
        };
        check_tags(&request.tags)?;
        let tags = std::mem::take(&mut request.tags);
        let table = self.tables.create(&name, || {
            let open = |view| tables::open(&self.store, &self.config, &name, &schema.key, view);
            let stream = view.map(open).transpose()?;
            let arn = format!(
                "arn:aws:dynamodb:{}:{}:table/{name}",
                self.config.region, self.config.account
            );
            let settings = Settings { on_demand, throughput, tags, ..Settings::default() };
            let names = (name.clone(), arn, table_id());
            Ok(Table::new(names, self.store.now_ms(), schema, settings, stream))
        })?;
        tracing::info!(table = name, "created");
        self.watch.say();
        Ok(bytes(&json!({ "TableDescription": describe(&table, "ACTIVE") })))
    }

    pub(crate) fn describe_table(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TableRequest = request::parse(body)?;
        let table = self.tables.named(request.table_name.as_deref())?;
        Ok(bytes(&json!({ "Table": describe(&table, "ACTIVE") })))
    }

    pub(crate) fn update_table(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: UpdateTable = request::parse(body)?;
        let table = self.tables.named(request.table_name.as_deref())?;
        if request.global_secondary_index_updates.is_some() {
            return Err(ApiError::validation(
                "This emulator does not change the indexes of a table; name them in CreateTable",
            ));
        }
        let (mode, throughput) = (request.billing_mode, request.provisioned_throughput);
        if mode.is_none() && throughput.is_none() && request.stream_specification.is_none() {
            return Err(ApiError::validation(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
                 GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
            ));
        }
        {
            let mut settings = table.settings.lock();
            let billing = match (&mode, throughput) {
                (None, None) => None,
                (None, some) if settings.on_demand => Some(billing(Some("PAY_PER_REQUEST"), some)?),
                (mode, some) => Some(billing(mode.as_deref(), some)?),
            };
            if let Some(spec) = request.stream_specification {
                self.switch_stream(&table, &mut settings, &spec)?;
            }
            if let Some((on_demand, throughput)) = billing {
                (settings.on_demand, settings.throughput) = (on_demand, throughput);
            }
        }
        self.watch.say();
        Ok(bytes(&json!({ "TableDescription": describe(&table, "ACTIVE") })))
    }

    /// Turns a table's stream on or off. Whoever holds `settings` is alone at this.
    fn switch_stream(
        &self,
        table: &Table,
        settings: &mut Settings,
        wanted: &StreamSpecification,
    ) -> Result<(), ApiError> {
        if wanted.stream_enabled {
            let view = tables::view_type(wanted.stream_view_type.as_deref())?;
            if table.stream.load().is_some() {
                return Err(ApiError::validation("Table already has an enabled stream"));
            }
            let key = &table.schema.key;
            let stream = tables::open(&self.store, &self.config, &table.name, key, view)?;
            settings.latest_stream = Some(LatestStream::of(&stream));
            table.stream.store(Some(Outlet::new(stream).into()));
            tracing::info!(table = table.name, "stream enabled");
            return Ok(());
        }
        if table.end_stream() {
            tracing::info!(table = table.name, "stream disabled");
            Ok(())
        } else {
            Err(ApiError::validation("Table has no stream to disable"))
        }
    }

    pub(crate) fn delete_table(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TableRequest = request::parse(body)?;
        let table = self.tables.delete(request.table_name.as_deref())?;
        tracing::info!(table = table.name, "deleted");
        self.watch.say();
        Ok(bytes(&json!({ "TableDescription": describe(&table, "DELETING") })))
    }

    pub(crate) fn list_tables(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: ListTables = request::parse(body)?;
        let limit = request::limit(request.limit, Some(100))?.unwrap_or(100);
        let after = request.exclusive_start_table_name;
        let mut names = self.tables.names();
        names.retain(|name| after.as_ref().is_none_or(|after| name > after));
        let more = names.len() > limit;
        names.truncate(limit);
        let mut answer = json!({ "TableNames": names });
        if more {
            answer["LastEvaluatedTableName"] = json!(names.last());
        }
        Ok(bytes(&answer))
    }

    pub(crate) fn tag_resource(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TagRequest = request::parse(body)?;
        let table = self.tables.with_arn(request.resource_arn.as_deref())?;
        let mut settings = table.settings.lock();
        let mut tags = settings.tags.clone();
        tags.retain(|old| !request.tags.iter().any(|new| new.key == old.key));
        tags.extend(request.tags);
        check_tags(&tags)?;
        settings.tags = tags;
        Ok(Vec::new())
    }

    pub(crate) fn untag_resource(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TagRequest = request::parse(body)?;
        let table = self.tables.with_arn(request.resource_arn.as_deref())?;
        table.settings.lock().tags.retain(|tag| !request.tag_keys.contains(&tag.key));
        Ok(Vec::new())
    }

    pub(crate) fn list_tags_of_resource(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: TagRequest = request::parse(body)?;
        let table = self.tables.with_arn(request.resource_arn.as_deref())?;
        let tags = table.settings.lock().tags.clone();
        Ok(bytes(&json!({ "Tags": tags })))
    }

    pub(crate) fn describe_limits(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        request::parse::<Value>(body)?;
        // AWS developer guide, "Quotas": the defaults of an account. Nothing is enforced.
        Ok(bytes(&json!({
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        })))
    }

    pub(crate) fn describe_endpoints(&self, body: &[u8], host: &str) -> Result<Vec<u8>, ApiError> {
        request::parse::<Value>(body)?;
        let endpoint = json!({ "Address": host, "CachePeriodInMinutes": 1440 });
        Ok(bytes(&json!({ "Endpoints": [endpoint] })))
    }
}

fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(ApiError::invalid(format_args!(
            "Number of tags exceeds the limit of {MAX_TAGS} per resource"
        )));
    }
    match tags.iter().find(|tag| tag.key.is_empty() || tag.key.chars().count() > 128) {
        Some(tag) => Err(ApiError::constraint(
            &format!("'{}'", tag.key),
            "tags.1.member.key",
            "Member must have length between 1 and 128",
        )),
        None => Ok(()),
    }
}

/// An id in the form of a UUID, different for every table that this process makes.
fn table_id() -> String {
    let bits = u128::from(service::random()) << 64 | u128::from(service::random());
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

/// A `TableDescription`.
fn describe(table: &Table, status: &str) -> Value {
    let settings = table.settings.lock();
    let (count, size) = table.totals();
    let mut description = json!({
        "TableName": table.name,
        "TableArn": table.arn,
        "TableId": table.id,
        "TableStatus": status,
        "CreationDateTime": table.created_ms as f64 / 1000.0,
        "KeySchema": key_elements(&table.schema.key),
        "AttributeDefinitions": table.schema.definitions,
        "ItemCount": count,
        "TableSizeBytes": size,
        "DeletionProtectionEnabled": false,
        "ProvisionedThroughput": {
            "NumberOfDecreasesToday": 0,
            "ReadCapacityUnits": settings.throughput.read_capacity_units,
            "WriteCapacityUnits": settings.throughput.write_capacity_units,
        },
    });
    if settings.on_demand {
        description["BillingModeSummary"] = json!({ "BillingMode": "PAY_PER_REQUEST" });
    }
    if let Some(stream) = &settings.latest_stream {
        describe_stream(&mut description, stream, table.stream.load().is_some());
    }
    for (local, member) in [(true, "LocalSecondaryIndexes"), (false, "GlobalSecondaryIndexes")] {
        let indexes = table.schema.indexes.iter().filter(|index| index.local == local);
        let shown: Vec<Value> = indexes
            .map(|index| {
                let mut shown = json!({
                    "IndexName": index.name,
                    "IndexArn": format!("{}/index/{}", table.arn, index.name),
                    "KeySchema": key_elements(&index.key),
                    "Projection": index.projection,
                    "ItemCount": count,
                    "IndexSizeBytes": size,
                });
                if !local {
                    shown["IndexStatus"] = json!("ACTIVE");
                    shown["ProvisionedThroughput"] = description["ProvisionedThroughput"].clone();
                }
                shown
            })
            .collect();
        if !shown.is_empty() {
            description[member] = Value::Array(shown);
        }
    }
    description
}

/// The newest stream stays in the description after it is disabled; the specification goes.
fn describe_stream(description: &mut Value, stream: &LatestStream, enabled: bool) {
    description["LatestStreamArn"] = json!(stream.arn);
    description["LatestStreamLabel"] = json!(stream.label);
    if enabled {
        description["StreamSpecification"] = json!({
            "StreamEnabled": true,
            "StreamViewType": stream.view_type.as_str(),
        });
    }
}
