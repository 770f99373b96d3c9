//! Contract, DescribeStream: a stream and its shards, by pages and by parent.

use serde_json::{Value, json};
use streamcore::model::{KeySchema, StreamViewType};
use streamcore::{StreamConfig, wire::WireError};

use crate::host::{
    ARN, CREATED_MS, Host, NO_SHARD, UNKNOWN, broken, host, host_of, invalid, number, refused,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn open(id: &str, ordinal: u64, parent: Option<&str>) -> Value {
    let mut shard = json!({
        "SequenceNumberRange": { "StartingSequenceNumber": number(ordinal, 0) },
        "ShardId": id,
    });
    if let Some(parent) = parent {
        shard["ParentShardId"] = json!(parent);
    }
    shard
}

fn closed(id: &str, ordinal: u64, parent: Option<&str>, records: u64) -> Value {
    let mut shard = open(id, ordinal, parent);
    shard["SequenceNumberRange"]["EndingSequenceNumber"] = json!(number(ordinal, records));
    shard
}

fn shards(host: &Host, body: Value) -> Value {
    host.describe(body).unwrap()["Shards"].take()
}

fn children_of(parent: &str) -> Value {
    json!({ "Type": "CHILD_SHARDS", "ShardId": parent })
}

/// The members of a description, compared as a whole: also the key schema with both keys, the label, the
/// status and the view type.
#[test]
fn the_whole_description_of_a_stream() {
    let host = host();
    let schema = KeySchema::new("pk", Some("sk")).unwrap();
    let config = StreamConfig::new("Sorted", schema, StreamViewType::OldImage);
    let stream = host.store.register_stream(config.created_ms(CREATED_MS + 1_000)).unwrap();
    let arn = stream.info().arn().as_str();
    let shard = stream.describe().shards[0].shard_id.to_string();
    let mut expected = json!({ "StreamDescription": {
        "CreationRequestDateTime": 1_432_155_071.252,
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "Shards": [open(&shard, 0, None)],
        "StreamArn": arn,
        "StreamLabel": "2015-05-20T20:51:11.252",
        "StreamStatus": "ENABLED",
        "StreamViewType": "OLD_IMAGE",
        "TableName": "Sorted",
    }});
    let describe = || host.call("DescribeStream", json!({ "StreamArn": arn })).unwrap();
    assert_eq!(describe(), expected);
    stream.disable();
    expected["StreamDescription"]["StreamStatus"] = json!("DISABLED");
    expected["StreamDescription"]["Shards"] = json!([closed(&shard, 0, None, 0)]);
    assert_eq!(describe(), expected);
}

/// A shard has its StartingSequenceNumber always, its EndingSequenceNumber if it is closed (an empty one too:
/// then it is the starting number), and its ParentShardId if it is a child.
#[test]
fn shards_open_and_closed_with_and_without_records() {
    let host = host();
    let first = host.shard();
    assert_eq!(shards(&host, json!({})), json!([open(&first, 0, None)]), "new and empty");
    host.put(3);
    assert_eq!(shards(&host, json!({})), json!([open(&first, 0, None)]), "open: it has no end");
    let second = host.roll(&first);
    let third = host.roll(&second);
    let expected = json!([
        closed(&first, 0, None, 3),
        closed(&second, 1, Some(&first), 0),
        open(&third, 2, Some(&second)),
    ]);
    assert_eq!(shards(&host, json!({})), expected);
    // Giving up records changes neither number.
    host.trim(&first, 3);
    assert_eq!(shards(&host, json!({})), expected);
}

/// Pages go by ExclusiveStartShardId, in the order of the ids as texts; an id that is not known is no error,
/// and behind the last one there is nothing.
#[test]
fn shards_are_paged_in_the_order_of_their_ids() {
    let host = host_of(|store| store, |stream| stream.shards(3));
    let ids = host.shards();
    let page = |body: Value| {
        let description = host.describe(body).unwrap();
        let shards = description["Shards"].as_array().unwrap();
        let ids: Vec<String> =
            shards.iter().map(|shard| shard["ShardId"].as_str().unwrap().to_owned()).collect();
        (ids, description.get("LastEvaluatedShardId").cloned())
    };
    let after = |id: &str, limit: u64| page(json!({ "ExclusiveStartShardId": id, "Limit": limit }));
    assert_eq!(page(json!({ "Limit": 2 })), (ids[..2].to_vec(), Some(json!(ids[1]))));
    assert_eq!(after(&ids[1], 2), (ids[2..].to_vec(), None));
    assert_eq!(after(&ids[2], 2), (vec![], None), "behind the last one");
    assert_eq!(page(json!({ "Limit": 3 })), (ids.clone(), None), "a full page with nothing behind");
    // Ids that nobody has: before all, between two, behind all.
    assert_eq!(after(NO_SHARD, 1), (ids[..1].to_vec(), Some(json!(ids[0]))));
    let between = format!("{}-zzzzzzzz", &ids[0][..28]);
    assert_eq!(after(&between, 100), (ids[1..].to_vec(), None));
    assert_eq!(after(&"z".repeat(65), 100), (vec![], None));
}

/// Limit is 1 to 100, which is also the default.
#[test]
fn a_hundred_shards_are_a_page() {
    let host = host_of(|store| store, |stream| stream.shards(101));
    for body in [json!({}), json!({ "Limit": 100 })] {
        let description = host.describe(body).unwrap();
        let shards = description["Shards"].as_array().unwrap();
        assert_eq!(
            (shards.len(), shards.last().unwrap().get("ShardId")),
            (100, Some(&description["LastEvaluatedShardId"]))
        );
    }
    let least = "have value greater than or equal to 1";
    broken(host.describe(json!({ "Limit": 0 })), "'0'", "limit", least);
    broken(host.describe(json!({ "Limit": -5 })), "'-5'", "limit", least);
    let most = "One or more parameter values were invalid: Limit cannot be greater than the \
                maximum: 100";
    invalid(host.describe(json!({ "Limit": 101 })), most);
}

/// ShardFilter CHILD_SHARDS: the shards whose parent that is, none of them `[]`. By pages like all others.
#[test]
fn the_children_of_a_shard() {
    let host = host();
    let first = host.shard();
    host.stream.split(&first).unwrap();
    let ids = host.shards();
    let (left, right) = (&ids[1], &ids[2]);
    let grandchild = host.roll(left);
    let of = |parent: &str| host.describe(json!({ "ShardFilter": children_of(parent) })).unwrap();
    let (left_shard, right_shard) =
        (closed(left, 1, Some(&first), 0), open(right, 2, Some(&first)));
    let children = of(&first);
    assert_eq!(children["Shards"], json!([left_shard, right_shard]));
    let mut whole = host.describe(json!({})).unwrap();
    whole["Shards"] = children["Shards"].clone();
    assert_eq!(children, whole, "all else is as in the whole description");
    assert_eq!(of(left)["Shards"], json!([open(&grandchild, 3, Some(left))]));
    for childless in [right, &grandchild, NO_SHARD] {
        assert_eq!(of(childless)["Shards"], json!([]));
    }
    let page = |body: Value| {
        let mut request = json!({ "ShardFilter": children_of(&first) });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let description = host.describe(request).unwrap();
        (description["Shards"].clone(), description.get("LastEvaluatedShardId").cloned())
    };
    assert_eq!(page(json!({ "Limit": 1 })), (json!([left_shard]), Some(json!(left))));
    let rest = page(json!({ "Limit": 1, "ExclusiveStartShardId": left }));
    assert_eq!(rest, (json!([right_shard]), None));
    let rest = page(json!({ "ExclusiveStartShardId": right }));
    assert_eq!(rest, (json!([]), None));
}

/// A parent's id may name a shard that has expired; its children are found by it all the same.
#[test]
fn the_children_of_a_shard_that_has_expired() {
    let host = host_of(|store| store, |stream| stream.roll_never());
    let first = host.shard();
    let second = host.roll(&first);
    host.clock.advance_ms(DAY_MS + 1);
    let expected = json!([open(&second, 1, Some(&first))]);
    assert_eq!(shards(&host, json!({})), expected);
    assert_eq!(shards(&host, json!({ "ShardFilter": children_of(&first) })), expected);
}

/// A bad or missing Type, a missing or short or long ShardId: ValidationException that names the member.
#[test]
fn filters_that_are_none() {
    let host = host();
    let first = host.shard();
    let with = |filter: Value| host.describe(json!({ "ShardFilter": filter }));
    let (kind, shard) = ("shardFilter.type", "shardFilter.shardId");
    let null = "not be null";
    broken(with(json!({ "ShardId": first })), "null", kind, null);
    let words = "satisfy enum value set: [CHILD_SHARDS]";
    broken(with(json!({ "Type": "ALL", "ShardId": first })), "'ALL'", kind, words);
    broken(with(json!({ "Type": "", "ShardId": first })), "''", kind, words);
    broken(with(json!({ "Type": "CHILD_SHARDS" })), "null", shard, null);
    let short = "have length greater than or equal to 28";
    broken(with(children_of("shardId-1")), "'shardId-1'", shard, short);
    let long = "x".repeat(66);
    let value = format!("'{long}'");
    broken(with(children_of(&long)), &value, shard, "have length less than or equal to 65");
    let both = "2 validation errors detected: Value null at 'shardFilter.type' failed to satisfy \
                constraint: Member must not be null; Value null at 'shardFilter.shardId' failed to \
                satisfy constraint: Member must not be null";
    invalid(with(json!({})), both);
    for junk in [json!({ "Type": 1 }), json!({ "ShardId": [] }), json!(true)] {
        let name = with(junk).map_err(|error| error.name);
        assert_eq!(name, Err("SerializationException"));
    }
    // null is as good as no filter.
    assert_eq!(with(Value::Null), host.describe(json!({})));
}

/// A stream that is not known: ResourceNotFoundException with its ARN. An ARN that is malformed:
/// ValidationException.
#[test]
fn streams_that_are_not_known() {
    let host = host();
    let with = |arn: &str| host.call("DescribeStream", json!({ "StreamArn": arn }));
    let unknown = |arn: &str| format!("Requested resource not found: Stream: {arn} not found");
    for arn in [UNKNOWN, &ARN.replace("252", "253"), &ARN.replace("us-east-1", "eu-west-1")] {
        refused(with(arn), "ResourceNotFoundException", &unknown(arn));
    }
    for arn in ["", "fake-stream", &ARN[..ARN.len() - 1], &format!("{ARN}Z"), &"x".repeat(1025)] {
        invalid(with(arn), "Invalid StreamArn");
    }
    broken(host.call("DescribeStream", json!({})), "null", "streamArn", "not be null");
}

/// First the types of all members, then the rules of the model for all of them, then limits, then what
/// there is.
#[test]
fn the_order_in_which_a_description_is_refused() {
    let host = host();
    let describe = |body: Value| -> Result<Value, WireError> { host.call("DescribeStream", body) };
    let mut body = json!({
        "ExclusiveStartShardId": "short", "Limit": 0, "ShardFilter": { "Type": 1 },
    });
    let wrong = "NUMBER_VALUE cannot be converted to String";
    refused(describe(body.clone()), "SerializationException", wrong);
    body["ShardFilter"] = json!({ "Type": "ALL", "ShardId": "short" });
    let must = "failed to satisfy constraint: Member must";
    let all = format!(
        "5 validation errors detected: Value null at 'streamArn' {must} not be null; Value 'short' at \
         'exclusiveStartShardId' {must} have length greater than or equal to 28; Value '0' at \
         'limit' {must} have value greater than or equal to 1; Value 'ALL' at 'shardFilter.type' \
         {must} satisfy enum value set: [CHILD_SHARDS]; Value 'short' at 'shardFilter.shardId' \
         {must} have length greater than or equal to 28"
    );
    invalid(describe(body), &all);
    let most = "One or more parameter values were invalid: Limit cannot be greater than the \
                maximum: 100";
    invalid(describe(json!({ "StreamArn": "junk", "Limit": 101 })), most);
    invalid(describe(json!({ "StreamArn": "junk", "Limit": 100 })), "Invalid StreamArn");
}
