//! The official SDK's clients for an emulator, and its values as the library's own.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodbstreams as streams;
use aws_smithy_http_client::Builder;
use streamcore::model::{AttributeValue, Attributes};

/// What a client is told in either crate: where the emulator is, any credentials, no TLS, and no
/// retries, so that nothing is written twice and no failure goes unseen.
macro_rules! client {
    ($sdk:ident, $address:expr) => {{
        let config = $sdk::Config::builder()
            .endpoint_url(format!("http://{}", $address))
            .region($sdk::config::Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys("local", "local", None))
            .http_client(Builder::new().build_http())
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .build();
        $sdk::Client::from_conf(config)
    }};
}

/// A client for tables, with connections of its own.
pub fn tables(address: &str) -> dynamodb::Client {
    client!(dynamodb, address)
}

/// A client for streams, with connections of its own.
pub fn streams(address: &str) -> streams::Client {
    client!(streams, address)
}

/// The two crates have a type each for one and the same value.
macro_rules! convert {
    ($name:ident, $sdk:ident) => {
        fn $name(value: &$sdk::types::AttributeValue) -> AttributeValue {
            use $sdk::types::AttributeValue as Theirs;
            match value {
                Theirs::S(text) => AttributeValue::S(text.clone()),
                Theirs::N(text) => AttributeValue::N(text.clone()),
                Theirs::B(bytes) => AttributeValue::B(bytes.as_ref().to_vec()),
                Theirs::Ss(set) => AttributeValue::Ss(set.clone()),
                Theirs::Bool(flag) => AttributeValue::Bool(*flag),
                Theirs::L(list) => AttributeValue::L(list.iter().map($name).collect()),
                Theirs::M(map) => AttributeValue::M(
                    map.iter().map(|(name, value)| (name.clone(), $name(value))).collect(),
                ),
                other => panic!("not used by these tests: {other:?}"),
            }
        }
    };
}

convert!(streamed_value, streams);

/// An image in a record, as the library's own attributes.
pub fn streamed(image: &HashMap<String, streams::types::AttributeValue>) -> Attributes {
    image.iter().map(|(name, value)| (name.clone(), streamed_value(value))).collect()
}

/// An item to be put.
pub fn to_sdk(item: &Attributes) -> HashMap<String, dynamodb::types::AttributeValue> {
    fn value(ours: &AttributeValue) -> dynamodb::types::AttributeValue {
        use dynamodb::types::AttributeValue as Theirs;
        match ours {
            AttributeValue::S(text) => Theirs::S(text.clone()),
            AttributeValue::N(text) => Theirs::N(text.clone()),
            AttributeValue::B(bytes) => Theirs::B(dynamodb::primitives::Blob::new(bytes.clone())),
            AttributeValue::Ss(set) => Theirs::Ss(set.clone()),
            AttributeValue::Bool(flag) => Theirs::Bool(*flag),
            AttributeValue::L(list) => Theirs::L(list.iter().map(value).collect()),
            AttributeValue::M(map) => Theirs::M(to_sdk(map)),
            other => panic!("not used by these tests: {other:?}"),
        }
    }
    item.iter().map(|(name, ours)| (name.clone(), value(ours))).collect()
}

/// Makes table `name` of partition key `pk` (a string), with a stream; returns the stream's ARN.
pub async fn create_table(
    client: &dynamodb::Client,
    name: &str,
    view: dynamodb::types::StreamViewType,
) -> String {
    use dynamodb::types as t;
    let definition = t::AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(t::ScalarAttributeType::S)
        .build();
    let key =
        t::KeySchemaElement::builder().attribute_name("pk").key_type(t::KeyType::Hash).build();
    let made = client
        .create_table()
        .table_name(name)
        .attribute_definitions(definition.expect("complete"))
        .key_schema(key.expect("complete"))
        .billing_mode(t::BillingMode::PayPerRequest)
        .stream_specification(
            t::StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(view)
                .build()
                .expect("complete"),
        )
        .send()
        .await
        .expect("a table");
    let table = made.table_description.expect("a description");
    table.latest_stream_arn.expect("the stream's name is there at once")
}

/// Iterators at the beginning of each of a stream's shards, or at its latest.
pub async fn iterators(
    client: &streams::Client,
    arn: &str,
    kind: streams::types::ShardIteratorType,
) -> Vec<String> {
    let described = client.describe_stream().stream_arn(arn).send().await.expect("a stream");
    let shards = described.stream_description.expect("a description").shards.expect("shards");
    let mut iterators = Vec::new();
    for shard in shards {
        let id = shard.shard_id.expect("an id");
        let iterator = client
            .get_shard_iterator()
            .stream_arn(arn)
            .shard_id(id)
            .shard_iterator_type(kind.clone())
            .send()
            .await
            .expect("an iterator");
        iterators.extend(iterator.shard_iterator);
    }
    iterators
}
