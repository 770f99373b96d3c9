//! The operations on tables: what they answer, and what they refuse in which words.

mod common;

use common::{Client, table};
use serde_json::{Value, json};

const KEY: [(&str, &str, &str); 1] = [("pk", "S", "HASH")];

#[test]
fn a_table_is_created_described_and_deleted() {
    let client = Client::new();
    let made = client.ok("CreateTable", table("music", &KEY, Some("NEW_IMAGE")));
    let made = &made["TableDescription"];
    assert_eq!(made["TableStatus"], "ACTIVE");
    assert_eq!(made["TableArn"], "arn:aws:dynamodb:us-east-1:000000000000:table/music");
    assert_eq!(made["KeySchema"], json!([{ "AttributeName": "pk", "KeyType": "HASH" }]));
    assert_eq!(made["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(
        made["StreamSpecification"],
        json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" })
    );
    // The stream's name is there at once.
    let arn = made["LatestStreamArn"].as_str().expect("an ARN");
    let label = made["LatestStreamLabel"].as_str().expect("a label");
    assert_eq!(arn, format!("{}/stream/{label}", made["TableArn"].as_str().expect("an ARN")));

    let described = client.ok("DescribeTable", json!({ "TableName": "music" }));
    assert_eq!(&described["Table"], made);
    let by_arn = client.ok("DescribeTable", json!({ "TableName": made["TableArn"] }));
    assert_eq!(&by_arn["Table"], made);

    let gone = client.ok("DeleteTable", json!({ "TableName": "music" }));
    assert_eq!(gone["TableDescription"]["TableStatus"], "DELETING");
    let missing = (
        "ResourceNotFoundException".to_owned(),
        "Requested resource not found: Table: music not found".to_owned(),
    );
    assert_eq!(client.refused("DescribeTable", json!({ "TableName": "music" })), missing);
    assert_eq!(client.refused("DeleteTable", json!({ "TableName": "music" })), missing);
    assert_eq!(
        client.refused("GetItem", json!({ "TableName": "music", "Key": {} })),
        ("ResourceNotFoundException".to_owned(), "Requested resource not found".to_owned())
    );
}

#[test]
fn a_name_is_taken_only_once() {
    let client = Client::new();
    client.ok("CreateTable", table("music", &KEY, None));
    assert_eq!(
        client.refused("CreateTable", table("music", &KEY, None)),
        ("ResourceInUseException".to_owned(), "Table already exists: music".to_owned())
    );
}

#[test]
fn what_is_wrong_with_a_table_is_said_in_awss_words() {
    let client = Client::new();
    let good = table("music", &[("pk", "S", "HASH"), ("sk", "N", "RANGE")], None);
    let cases: &[(&str, Value, &str)] = &[
        (
            "/TableName",
            json!("no"),
            "1 validation error detected: Value 'no' at 'tableName' failed to satisfy \
             constraint: Member must have length greater than or equal to 3",
        ),
        (
            "/TableName",
            json!("a b c"),
            "1 validation error detected: Value 'a b c' at 'tableName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            "/TableName",
            Value::Null,
            "1 validation error detected: Value null at 'tableName' failed to satisfy \
             constraint: Member must not be null",
        ),
        (
            "/KeySchema/0/KeyType",
            json!("RANGE"),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            "/KeySchema/1/KeyType",
            json!("HASH"),
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            "/KeySchema/1/AttributeName",
            json!("pk"),
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            "/KeySchema/1/AttributeName",
            json!("other"),
            "One or more parameter values were invalid: Some index key attributes are not \
             defined in AttributeDefinitions. Keys: [pk, other], AttributeDefinitions: [pk, sk]",
        ),
        (
            "/KeySchema",
            json!([{ "AttributeName": "pk", "KeyType": "HASH" }]),
            "One or more parameter values were invalid: Number of attributes in KeySchema does \
             not exactly match number of attributes defined in AttributeDefinitions",
        ),
        (
            "/AttributeDefinitions/0/AttributeType",
            json!("BOOL"),
            "1 validation error detected: Value 'BOOL' at \
             'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member \
             must satisfy enum value set: [B, N, S]",
        ),
        (
            "/BillingMode",
            json!("PROVISIONED"),
            "One or more parameter values were invalid: ReadCapacityUnits and \
             WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
    ];
    for (at, value, said) in cases {
        let mut request = good.clone();
        *request.pointer_mut(at).expect("the member is there") = value.clone();
        assert_eq!(client.invalid("CreateTable", request), *said, "{at} {value}");
    }
    let view = table("music", &KEY, Some("EVERYTHING"));
    let said = client.invalid("CreateTable", view);
    assert!(said.contains("[NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]"), "{said}");
    assert_eq!(client.ok("ListTables", json!({}))["TableNames"], json!([]));
}

#[test]
fn indexes_are_described_and_their_keys_checked() {
    let client = Client::new();
    let mut request = table("music", &[("pk", "S", "HASH"), ("sk", "S", "RANGE")], None);
    request["AttributeDefinitions"] = json!([
        { "AttributeName": "pk", "AttributeType": "S" },
        { "AttributeName": "sk", "AttributeType": "S" },
        { "AttributeName": "year", "AttributeType": "N" },
    ]);
    let index = json!([{
        "IndexName": "by-year",
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "year", "KeyType": "RANGE" },
        ],
        "Projection": { "ProjectionType": "ALL" },
    }]);
    request["LocalSecondaryIndexes"] = index.clone();
    let made = client.ok("CreateTable", request.clone());
    let shown = &made["TableDescription"]["LocalSecondaryIndexes"][0];
    assert_eq!(shown["IndexName"], "by-year");
    assert_eq!(shown["KeySchema"], index[0]["KeySchema"]);
    assert_eq!(shown["Projection"], json!({ "ProjectionType": "ALL" }));

    request["TableName"] = json!("other");
    request["LocalSecondaryIndexes"][0]["KeySchema"] =
        json!([{ "AttributeName": "year", "KeyType": "HASH" }]);
    let said = client.invalid("CreateTable", request);
    assert!(said.contains("Index KeySchema does not have a range key"), "{said}");
}

#[test]
fn tables_are_listed_in_pages() {
    let client = Client::new();
    for index in (0..7).rev() {
        client.ok("CreateTable", table(&format!("table-{index}"), &KEY, None));
    }
    let mut names = Vec::new();
    let mut after = Value::Null;
    let mut pages = 0;
    loop {
        let page = client.ok("ListTables", json!({ "Limit": 3, "ExclusiveStartTableName": after }));
        names.extend(page["TableNames"].as_array().expect("names").iter().cloned());
        pages += 1;
        after = page["LastEvaluatedTableName"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(names, (0..7).map(|i| json!(format!("table-{i}"))).collect::<Vec<_>>());
    let said = client.invalid("ListTables", json!({ "Limit": 0 }));
    assert!(said.ends_with("Member must have value greater than or equal to 1"), "{said}");
    let said = client.invalid("ListTables", json!({ "Limit": 101 }));
    assert!(said.ends_with("Member must have value less than or equal to 100"), "{said}");
}

/// Contract, lifecycle: enabling what is enabled, with the same or another view type, and disabling what is not,
/// are refused in these words.
#[test]
fn a_stream_is_switched_on_and_off() {
    let client = Client::new();
    client.ok("CreateTable", table("music", &KEY, None));
    let switch = |on: bool, view: Option<&str>| {
        let mut spec = json!({ "StreamEnabled": on });
        if let Some(view) = view {
            spec["StreamViewType"] = json!(view);
        }
        json!({ "TableName": "music", "StreamSpecification": spec })
    };
    assert_eq!(
        client.invalid("UpdateTable", switch(false, None)),
        "Table has no stream to disable"
    );
    let on = client.ok("UpdateTable", switch(true, Some("KEYS_ONLY")));
    let first = on["TableDescription"]["LatestStreamArn"].clone();
    assert!(first.is_string());
    for view in ["KEYS_ONLY", "NEW_IMAGE"] {
        assert_eq!(
            client.invalid("UpdateTable", switch(true, Some(view))),
            "Table already has an enabled stream"
        );
    }
    let off = client.ok("UpdateTable", switch(false, None));
    assert_eq!(off["TableDescription"]["LatestStreamArn"], first, "its name stays");
    assert!(off["TableDescription"]["StreamSpecification"].is_null());
    let again = client.ok("UpdateTable", switch(true, Some("KEYS_ONLY")));
    assert_ne!(again["TableDescription"]["LatestStreamArn"], first, "a new stream");
}

#[test]
fn streams_that_begin_in_one_millisecond_are_told_apart() {
    let client = Client::new();
    let mut arns = std::collections::HashSet::new();
    for _ in 0..50 {
        let made = client.ok("CreateTable", table("music", &KEY, Some("KEYS_ONLY")));
        let arn = made["TableDescription"]["LatestStreamArn"].as_str().expect("an ARN").to_owned();
        assert!(arns.insert(arn));
        client.ok("DeleteTable", json!({ "TableName": "music" }));
    }
}

#[test]
fn billing_changes_and_an_empty_update_is_refused() {
    let client = Client::new();
    client.ok("CreateTable", table("music", &KEY, None));
    let units = json!({ "ReadCapacityUnits": 3, "WriteCapacityUnits": 4 });
    let updated = client.ok(
        "UpdateTable",
        json!({
            "TableName": "music",
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": units,
        }),
    );
    let shown = &updated["TableDescription"];
    assert_eq!(shown["ProvisionedThroughput"]["WriteCapacityUnits"], 4);
    assert!(shown["BillingModeSummary"].is_null());
    let said = client.invalid("UpdateTable", json!({ "TableName": "music" }));
    assert!(said.starts_with("At least one of ProvisionedThroughput, BillingMode"), "{said}");
}

#[test]
fn tags_are_set_replaced_and_taken_away() {
    let client = Client::new();
    let made = client.ok("CreateTable", table("music", &KEY, None));
    let arn = &made["TableDescription"]["TableArn"];
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let tags = || client.ok("ListTagsOfResource", json!({ "ResourceArn": arn }))["Tags"].clone();
    client.ok("TagResource", json!({ "ResourceArn": arn, "Tags": [tag("a", "1"), tag("b", "2")] }));
    client.ok("TagResource", json!({ "ResourceArn": arn, "Tags": [tag("a", "3")] }));
    assert_eq!(tags(), json!([tag("b", "2"), tag("a", "3")]));
    client.ok("UntagResource", json!({ "ResourceArn": arn, "TagKeys": ["b"] }));
    assert_eq!(tags(), json!([tag("a", "3")]));
    let many: Vec<Value> = (0..51).map(|i| tag(&i.to_string(), "")).collect();
    client.invalid("TagResource", json!({ "ResourceArn": arn, "Tags": many }));
    assert_eq!(tags(), json!([tag("a", "3")]), "nothing of it");
    let (name, _) = client.refused(
        "ListTagsOfResource",
        json!({ "ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/none" }),
    );
    assert_eq!(name, "ResourceNotFoundException");
}

#[test]
fn limits_and_endpoints_are_described() {
    let client = Client::new();
    assert_eq!(client.ok("DescribeLimits", json!({}))["TableMaxReadCapacityUnits"], 40_000);
    let endpoints = client.ok("DescribeEndpoints", json!({}));
    assert_eq!(endpoints["Endpoints"][0]["Address"], "host:1");
}

#[test]
fn bodies_and_operations_that_are_none_are_refused() {
    let client = Client::new();
    for body in ["", "{", "[]", "null", "\"x\"", r#"{"TableName":3}"#, "{}garbage", "\u{feff}{}"] {
        let failure = client
            .0
            .call("DynamoDB_20120810.DescribeTable", body.as_bytes(), "host")
            .expect_err(body);
        let text = String::from_utf8(failure.body).expect("UTF-8");
        assert!(text.contains("#SerializationException"), "{body}: {text}");
        assert_eq!(failure.status, 400);
    }
    for target in ["", "DynamoDB_20120810.", "DynamoDB_20120810.Fly", "Other.ListTables"] {
        let failure = client.0.call(target, b"{}", "host").expect_err(target);
        let text = String::from_utf8(failure.body).expect("UTF-8");
        assert!(text.contains("#UnknownOperationException"), "{target}: {text}");
    }
}
