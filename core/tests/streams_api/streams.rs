//! ListStreams and DescribeStream.

use serde_json::{Value, json};

use crate::host::{ARN, NO_SHARD, UNKNOWN, broken, host, invalid, refused, register};

#[test]
fn a_stream_is_described() {
    let host = host();
    let shard = host.shard();
    let answer = host.call("DescribeStream", json!({ "StreamArn": ARN })).unwrap();
    let expected = json!({ "StreamDescription": {
        "CreationRequestDateTime": 1_432_155_070.252,
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "Shards": [{
            "SequenceNumberRange": { "StartingSequenceNumber": "100000000000000000000" },
            "ShardId": shard,
        }],
        "StreamArn": ARN,
        "StreamLabel": "2015-05-20T20:51:10.252",
        "StreamStatus": "ENABLED",
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "TableName": "Orders",
    }});
    assert_eq!(answer, expected);
}

#[test]
fn shards_are_described_in_pages_and_by_parent() {
    let host = host();
    host.put(2);
    let first = host.shard();
    let children = host.stream.split(&first).unwrap();
    let ids = |answer: Value| -> Vec<String> {
        let shards = answer["StreamDescription"]["Shards"].as_array().unwrap().clone();
        shards.iter().map(|shard| shard["ShardId"].as_str().unwrap().to_owned()).collect()
    };
    let describe = |mut body: Value| {
        body["StreamArn"] = json!(ARN);
        host.call("DescribeStream", body)
    };
    let all = [first.clone(), children[0].to_string(), children[1].to_string()];

    let answer = describe(json!({})).unwrap();
    let parent = &answer["StreamDescription"]["Shards"][0];
    let range = json!({
        "StartingSequenceNumber": "100000000000000000000",
        "EndingSequenceNumber": "100000000000000000002",
    });
    assert_eq!(parent["SequenceNumberRange"], range);
    assert_eq!(answer["StreamDescription"]["Shards"][1]["ParentShardId"], json!(first));
    assert_eq!(ids(answer), all);

    let page = describe(json!({ "Limit": 2 })).unwrap();
    let last = page["StreamDescription"]["LastEvaluatedShardId"].clone();
    assert_eq!((ids(page), &last), (all[..2].to_vec(), &json!(all[1])));
    let page = describe(json!({ "Limit": 2, "ExclusiveStartShardId": last })).unwrap();
    assert!(page["StreamDescription"].get("LastEvaluatedShardId").is_none());
    assert_eq!(ids(page), all[2..]);
    assert!(ids(describe(json!({ "ExclusiveStartShardId": all[2] })).unwrap()).is_empty());
    assert_eq!(ids(describe(json!({ "ExclusiveStartShardId": NO_SHARD })).unwrap()), all);

    let filter = |shard: &str| json!({ "Type": "CHILD_SHARDS", "ShardId": shard });
    assert_eq!(ids(describe(json!({ "ShardFilter": filter(&first) })).unwrap()), all[1..]);
    assert!(ids(describe(json!({ "ShardFilter": filter(&all[1]) })).unwrap()).is_empty());
    assert!(ids(describe(json!({ "ShardFilter": filter(NO_SHARD) })).unwrap()).is_empty());
    let page = describe(json!({ "ShardFilter": filter(&first), "Limit": 1 })).unwrap();
    let last = page["StreamDescription"]["LastEvaluatedShardId"].clone();
    assert_eq!((ids(page), &last), (all[1..2].to_vec(), &json!(all[1])));

    let null = "not be null";
    for (body, value, at, rule) in [
        (json!({ "ShardFilter": { "ShardId": first } }), "null", "shardFilter.type", null),
        (json!({ "ShardFilter": { "Type": "CHILD_SHARDS" } }), "null", "shardFilter.shardId", null),
        (
            json!({ "ShardFilter": { "Type": "ALL", "ShardId": first } }),
            "'ALL'",
            "shardFilter.type",
            "satisfy enum value set: [CHILD_SHARDS]",
        ),
        (
            json!({ "ShardFilter": filter("short") }),
            "'short'",
            "shardFilter.shardId",
            "have length greater than or equal to 28",
        ),
        (
            json!({ "ExclusiveStartShardId": "x".repeat(66) }),
            &*format!("'{}'", "x".repeat(66)),
            "exclusiveStartShardId",
            "have length less than or equal to 65",
        ),
        (json!({ "Limit": 0 }), "'0'", "limit", "have value greater than or equal to 1"),
    ] {
        broken(describe(body), value, at, rule);
    }
    let limit = "One or more parameter values were invalid: Limit cannot be greater than the \
                 maximum: 100";
    invalid(describe(json!({ "Limit": 101 })), limit);
}

#[test]
fn unknown_and_malformed_streams() {
    let host = host();
    let with = |arn: &str| host.call("DescribeStream", json!({ "StreamArn": arn }));
    let message = format!("Requested resource not found: Stream: {UNKNOWN} not found");
    refused(with(UNKNOWN), "ResourceNotFoundException", &message);
    for arn in ["fake-stream", &ARN.replace("/stream/", "/"), &"x".repeat(2000)] {
        invalid(with(arn), "Invalid StreamArn");
    }
    broken(host.call("DescribeStream", json!({})), "null", "streamArn", "not be null");
}

#[test]
fn streams_are_listed_in_pages() {
    let host = host();
    for n in 0..4 {
        register(&host.store, &format!("Table{n}"));
    }
    let mut tables = Vec::new();
    let mut after = Value::Null;
    for pages in 1.. {
        let request = json!({ "Limit": 2, "ExclusiveStartStreamArn": after });
        let page = host.call("ListStreams", request).unwrap();
        let streams = page["Streams"].as_array().unwrap();
        tables.extend(streams.iter().map(|stream| stream["TableName"].clone()));
        match page.get("LastEvaluatedStreamArn") {
            Some(last) => after = last.clone(),
            None => {
                assert_eq!((pages, streams.len()), (3, 1));
                break;
            }
        }
    }
    assert_eq!(tables, ["Orders", "Table0", "Table1", "Table2", "Table3"]);

    let answer = host.call("ListStreams", json!({ "TableName": "Orders" })).unwrap();
    let expected = json!({ "Streams": [{
        "StreamArn": ARN,
        "StreamLabel": "2015-05-20T20:51:10.252",
        "TableName": "Orders",
    }]});
    assert_eq!(answer, expected);
    let nobody = host.call("ListStreams", json!({ "TableName": "Nobody" })).unwrap();
    assert_eq!(nobody, json!({ "Streams": [] }));
    let past = host.call("ListStreams", json!({ "ExclusiveStartStreamArn": UNKNOWN })).unwrap();
    assert_eq!(past["Streams"].as_array().unwrap().len(), 5);

    let list = |body| host.call("ListStreams", body);
    let least = "have value greater than or equal to 1";
    broken(list(json!({ "Limit": 0 })), "'0'", "limit", least);
    let limit = "One or more parameter values were invalid: Limit cannot be greater than the \
                 maximum allowed size: 100";
    invalid(list(json!({ "Limit": 101 })), limit);
    invalid(list(json!({ "ExclusiveStartStreamArn": "junk" })), "Invalid StreamArn");
    let pattern = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    broken(list(json!({ "TableName": "a b c" })), "'a b c'", "tableName", pattern);
    let several = list(json!({ "TableName": "a ", "Limit": -5 })).unwrap_err().message;
    assert!(several.starts_with("3 validation errors detected: Value '-5' at 'limit'"));
    assert_eq!(several.matches("; Value 'a ' at 'tableName'").count(), 2, "{several}");
}
