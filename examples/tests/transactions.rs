//! Transactions: all of them or nothing, in the items, in the streams, and in what is told of a failure.

mod common;

use common::{Client, table};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_795_348_800_000;

fn s(text: &str) -> Value {
    json!({ "S": text })
}

fn n(number: i64) -> Value {
    json!({ "N": number.to_string() })
}

fn key(pk: &str) -> Value {
    json!({ "pk": s(pk) })
}

fn item(pk: &str, v: i64) -> Value {
    json!({ "pk": s(pk), "v": n(v) })
}

fn put(pk: &str, v: i64) -> Value {
    json!({ "Put": { "TableName": "things", "Item": item(pk, v) } })
}

fn delete(pk: &str) -> Value {
    json!({ "Delete": { "TableName": "things", "Key": key(pk) } })
}

/// Adds to `v`, which must be there and not above `most`.
fn add(pk: &str, by: i64, most: i64) -> Value {
    json!({ "Update": {
        "TableName": "things",
        "Key": key(pk),
        "UpdateExpression": "ADD v :by",
        "ConditionExpression": "v <= :most",
        "ExpressionAttributeValues": { ":by": n(by), ":most": n(most) },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    } })
}

fn check(pk: &str, condition: &str) -> Value {
    json!({ "ConditionCheck": {
        "TableName": "things", "Key": key(pk), "ConditionExpression": condition,
    } })
}

fn items(actions: &[Value]) -> Value {
    json!({ "TransactItems": actions })
}

/// The whole body of a refusal.
#[track_caller]
fn refused(client: &Client, operation: &str, request: &Value) -> Value {
    let target = format!("DynamoDB_20120810.{operation}");
    match client.0.call(&target, request.to_string().as_bytes(), "host") {
        Ok(answer) => panic!("{request}: {}", String::from_utf8_lossy(&answer)),
        Err(failure) => {
            assert_eq!(failure.status, 400);
            serde_json::from_slice(&failure.body).expect("JSON")
        }
    }
}

fn canceled(codes: &str, reasons: Value) -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": reasons,
        "Message": format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        ),
    })
}

/// The events of the records in a table's stream, with their keys.
fn events(client: &Client, table: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let records = client.records(&client.stream_arn(table));
    let event = |record: &Value| {
        let key = text(&record["dynamodb"]["Keys"]["pk"]["S"]);
        format!("{} {key}", text(&record["eventName"]))
    };
    records.iter().map(event).collect()
}

#[test]
fn all_actions_happen_and_leave_one_record_each() {
    let client = Client::with_table();
    client.ok("CreateTable", table("others", &[("pk", "S", "HASH")], Some("KEYS_ONLY")));
    client.ok("CreateTable", table("silent", &[("pk", "S", "HASH")], None));
    for (pk, v) in [("gone", 1), ("counted", 1), ("same", 7), ("checked", 1)] {
        client.put(item(pk, v));
    }
    let other = |name: &str| json!({ "Put": { "TableName": name, "Item": item("x", 1) } });
    let request = items(&[
        put("new", 1),
        delete("gone"),
        other("others"),
        add("counted", 5, 10),
        check("checked", "attribute_exists(v)"),
        // These change nothing.
        put("same", 7),
        delete("none"),
        other("silent"),
    ]);
    assert_eq!(client.ok("TransactWriteItems", request), json!({}));
    assert_eq!(client.get(key("new")), item("new", 1));
    assert_eq!(client.get(key("gone")), Value::Null);
    assert_eq!(client.get(key("counted")), item("counted", 6));
    assert_eq!(client.get(key("checked")), item("checked", 1));
    let expected = ["INSERT new", "REMOVE gone", "MODIFY counted"];
    assert_eq!(events(&client, "things")[4..], expected);
    assert_eq!(events(&client, "others"), ["INSERT x"]);
    let get = |table: &str, pk: &str| json!({ "Get": { "TableName": table, "Key": key(pk) } });
    let mut part = get("things", "counted");
    part["Get"]["ProjectionExpression"] = json!("#v");
    part["Get"]["ExpressionAttributeNames"] = json!({ "#v": "v" });
    let request = items(&[get("silent", "x"), get("things", "none"), part, get("others", "x")]);
    let expected = json!({ "Responses": [
        { "Item": item("x", 1) }, {}, { "Item": { "v": n(6) } }, { "Item": item("x", 1) },
    ] });
    assert_eq!(client.ok("TransactGetItems", request), expected);
}

#[test]
fn one_failure_undoes_everything_and_every_failure_is_told() {
    let client = Client::with_table();
    client.put(item("full", 11));
    client.put(json!({ "pk": s("text"), "v": s("no number") }));
    client.put(json!({ "pk": s("big"), "v": s(&"x".repeat(400_000)) }));
    let before = events(&client, "things");
    let mut unseen = add("full", 1, 10);
    unseen["Update"]["ReturnValuesOnConditionCheckFailure"] = json!("NONE");
    let update = |pk: &str, expression: &str, value: Value| {
        json!({ "Update": {
            "TableName": "things",
            "Key": key(pk),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": { ":v": value },
        } })
    };
    let failed =
        json!({ "Code": "ConditionalCheckFailed", "Message": "The conditional request failed" });
    let invalid = |said: &str| json!({ "Code": "ValidationError", "Message": said });
    let none = json!({ "Code": "None" });
    for (action, reason) in [
        (unseen, failed.clone()),
        (
            add("full", 1, 10),
            json!({
                "Code": "ConditionalCheckFailed",
                "Item": item("full", 11),
                "Message": "The conditional request failed",
            }),
        ),
        // There is no item to show.
        (add("missing", 1, 10), failed.clone()),
        (check("full", "attribute_not_exists(pk)"), failed.clone()),
        (
            update("text", "ADD v :v", n(1)),
            invalid("An operand in the update expression has an incorrect data type"),
        ),
        (
            update("full", "SET v.w = :v", n(1)),
            invalid("The document path provided in the update expression is invalid for update"),
        ),
        (
            update("missing", "SET w = v + :v", n(1)),
            invalid(
                "The provided expression refers to an attribute that does not exist in the item",
            ),
        ),
        (
            update("big", "SET w = :v", s(&"x".repeat(20_000))),
            invalid("Item size to update has exceeded the maximum allowed size"),
        ),
        (
            update("full", "SET pk = :v", s("other")),
            invalid(
                "One or more parameter values were invalid: Cannot update attribute pk. This \
                 attribute is part of the key",
            ),
        ),
        (
            json!({ "Delete": { "TableName": "things", "Key": { "pk": n(1) } } }),
            invalid("The provided key element does not match the schema"),
        ),
        (
            json!({ "Put": { "TableName": "things", "Item": { "pk": n(1) } } }),
            invalid(
                "One or more parameter values were invalid: Type mismatch for key pk expected: S \
                 actual: N",
            ),
        ),
    ] {
        let code = reason["Code"].as_str().expect("a code").to_owned();
        let request = items(&[put("new", 1), action, delete("full2")]);
        let expected = canceled(&format!("None, {code}, None"), json!([none, reason, none]));
        assert_eq!(refused(&client, "TransactWriteItems", &request), expected);
        assert_eq!(client.get(key("new")), Value::Null);
    }
    let request = items(&[check("full", "v = pk"), put("new", 1), check("big", "v = pk")]);
    let codes = "ConditionalCheckFailed, None, ConditionalCheckFailed";
    let expected = canceled(codes, json!([failed, none, failed]));
    assert_eq!(refused(&client, "TransactWriteItems", &request), expected);
    assert_eq!(events(&client, "things"), before);
}

#[test]
fn what_is_wrong_by_itself_is_refused_as_a_whole() {
    let client = Client::with_table();
    client.put(item("a", 1));
    let twice = "Transaction request cannot include multiple operations on one item";
    let one_of = "TransactItems can only contain one of Check, Put, Update or Delete";
    let mut both = put("a", 1);
    both["Delete"] = delete("a")["Delete"].clone();
    let empty = json!({ "Delete": { "TableName": "things", "Key": key("") } });
    let mut unused = put("b", 1);
    unused["Put"]["ExpressionAttributeNames"] = json!({ "#v": "v" });
    let unreadable = client.invalid("TransactWriteItems", items(&[check("a", "v =")]));
    assert!(unreadable.starts_with("Invalid ConditionExpression: Syntax error"), "{unreadable}");
    for (actions, said) in [
        (vec![put("a", 1), put("a", 2)], twice.to_owned()),
        (vec![check("a", "v = pk"), delete("a")], twice.to_owned()),
        (vec![both], one_of.to_owned()),
        (vec![json!({})], one_of.to_owned()),
        (
            vec![put("b", 1), empty],
            "One or more parameter values are not valid. The AttributeValue for a key attribute \
             cannot contain an empty string value. Key: pk"
                .to_owned(),
        ),
        (
            vec![unused],
            "ExpressionAttributeNames can only be specified when using expressions".to_owned(),
        ),
        (
            vec![put("b", 1), json!({ "Update": { "TableName": "things", "Key": key("a") } })],
            "1 validation error detected: Value null at \
             'transactItems.2.member.update.updateExpression' failed to satisfy constraint: Member \
             must not be null"
                .to_owned(),
        ),
        (
            (0..101).map(|i| put(&format!("k{i}"), 1)).collect(),
            "1 validation error detected: Value '101 members' at 'transactItems' failed to satisfy \
             constraint: Member must have length less than or equal to 100"
                .to_owned(),
        ),
        (
            vec![],
            "1 validation error detected: Value '0 members' at 'transactItems' failed to satisfy \
             constraint: Member must have length greater than or equal to 1"
                .to_owned(),
        ),
    ] {
        assert_eq!(client.invalid("TransactWriteItems", items(&actions)), said);
    }
    let nowhere = json!({ "Delete": { "TableName": "nowhere", "Key": key("a") } });
    let missing = "Requested resource not found".to_owned();
    assert_eq!(
        client.refused("TransactWriteItems", items(&[put("b", 1), nowhere])),
        ("ResourceNotFoundException".to_owned(), missing.clone())
    );
    // Each fits, all together do not.
    let large = |i: i64| {
        let item = json!({ "pk": s(&format!("l{i}")), "fill": s(&"x".repeat(390_000)) });
        json!({ "Put": { "TableName": "things", "Item": item } })
    };
    let message =
        client.invalid("TransactWriteItems", items(&(0..11).map(large).collect::<Vec<_>>()));
    assert!(
        message.starts_with("The items of a transaction have at most 4194304 bytes"),
        "{message}"
    );
    assert_eq!(events(&client, "things"), ["INSERT a"]);
    client.ok("TransactWriteItems", items(&(0..10).map(large).collect::<Vec<_>>()));
    let hundred: Vec<Value> = (0..100).map(|i| put(&format!("k{i}"), 1)).collect();
    client.ok("TransactWriteItems", items(&hundred));
    assert_eq!(events(&client, "things").len(), 111);

    let get = |pk: Value| json!({ "Get": { "TableName": "things", "Key": { "pk": pk } } });
    let read = |actions: &[Value]| client.invalid("TransactGetItems", items(actions));
    assert_eq!(read(&[get(s("a")), get(s("a"))]), twice);
    assert!(read(&[]).contains("greater than or equal to 1"));
    assert!(read(&vec![get(s("a")); 101]).contains("less than or equal to 100"));
    assert!(read(&[json!({})]).contains("Value null at 'transactItems.1.member.get'"));
    let mut large: Vec<Value> = (0..10).map(|i| get(s(&format!("l{i}")))).collect();
    client.put(json!({ "pk": s("m"), "fill": s(&"x".repeat(390_000)) }));
    large.push(get(s("m")));
    assert!(read(&large).starts_with("The items of a transaction have at most 4194304 bytes"));
    let expected = canceled(
        "None, ValidationError",
        json!([{ "Code": "None" }, {
            "Code": "ValidationError",
            "Message": "The provided key element does not match the schema",
        }]),
    );
    let request = items(&[get(s("a")), get(n(1))]);
    assert_eq!(refused(&client, "TransactGetItems", &request), expected);
}

#[test]
fn a_token_makes_a_transaction_happen_once() {
    let client = Client::with_table_at(NOW_MS);
    client.put(item("a", 1));
    let request = |by: i64, token: &str| {
        let mut request = items(&[add("a", by, 100)]);
        request["ClientRequestToken"] = json!(token);
        request
    };
    let v = || client.get(key("a"))["v"]["N"].as_str().expect("a number").to_owned();
    for _ in 0..3 {
        assert_eq!(client.ok("TransactWriteItems", request(1, "one")), json!({}));
        assert_eq!(v(), "2");
    }
    // The same, spelled in another way, and with what does not count.
    let text = request(1, "one").to_string().replace(
        r#""ClientRequestToken""#,
        r#" "ReturnConsumedCapacity": "TOTAL", "ClientRequestToken""#,
    );
    let reordered = text.replacen(
        r#"{":by":{"N":"1"},":most":{"N":"100"}}"#,
        r#"{ ":most": {"N": "100"}, ":by": {"N": "1"} }"#,
        1,
    );
    assert_ne!(text, reordered);
    for body in [text, reordered] {
        let target = "DynamoDB_20120810.TransactWriteItems";
        assert!(client.0.call(target, body.as_bytes(), "host").is_ok());
    }
    assert_eq!(v(), "2");
    let expected = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
        "Message": "The ClientRequestToken was used before, with other parameters",
    });
    assert_eq!(refused(&client, "TransactWriteItems", &request(2, "one")), expected);
    client.ok("TransactWriteItems", request(1, "two"));
    assert_eq!(v(), "3");
    client.0.advance_clock(599_999).expect("a manual clock");
    client.ok("TransactWriteItems", request(1, "one"));
    assert_eq!(v(), "3");
    client.0.advance_clock(1).expect("a manual clock");
    client.ok("TransactWriteItems", request(2, "one"));
    assert_eq!(v(), "5");
    // One that failed can be tried again.
    let mut fails = items(&[add("a", 1, 0)]);
    fails["ClientRequestToken"] = json!("three");
    for _ in 0..2 {
        let refused = refused(&client, "TransactWriteItems", &fails);
        assert_eq!(refused["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
    }
    client.ok("TransactWriteItems", request(1, "three"));
    assert_eq!(v(), "6");
    for (token, rule) in
        [("", "greater than or equal to 1"), (&*"x".repeat(37), "less than or equal to 36")]
    {
        assert_eq!(
            client.invalid("TransactWriteItems", request(1, token)),
            format!(
                "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to \
                 satisfy constraint: Member must have length {rule}"
            )
        );
    }
}
