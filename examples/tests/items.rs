//! Putting, getting and deleting items, one by one and in batches.

mod common;

use common::{Client, update};
use serde_json::{Value, json};

fn key(pk: &str) -> Value {
    json!({ "pk": { "S": pk } })
}

fn n(number: &str) -> Value {
    json!({ "N": number })
}

fn s(text: &str) -> Value {
    json!({ "S": text })
}

#[test]
fn an_item_comes_back_as_it_was_put() {
    let client = Client::with_table();
    let item = json!({
        "pk": { "S": "a" },
        "number": { "N": "-12.5" },
        "bytes": { "B": "AAECAw==" },
        "yes": { "BOOL": true },
        "nothing": { "NULL": true },
        "strings": { "SS": ["x", "y"] },
        "numbers": { "NS": ["1", "2.5"] },
        "binaries": { "BS": ["AQ==", "Ag=="] },
        "list": { "L": [{ "S": "é\n\"" }, { "M": { "deep": { "N": "1" } } }] },
        "map": { "M": {} },
        "empty": { "S": "" },
    });
    client.put(item.clone());
    assert_eq!(client.get(key("a")), item);
    assert_eq!(client.get(key("b")), Value::Null);
    // Numbers come back in their one spelling.
    client.put(json!({ "pk": { "S": "n" }, "n": { "N": "1.50e2" }, "s": { "NS": ["01", "2.0"] } }));
    let item = client.get(key("n"));
    assert_eq!((&item["n"], &item["s"]), (&n("150"), &json!({ "NS": ["1", "2"] })));
}

#[test]
fn return_values_show_what_was_asked() {
    let client = Client::with_table();
    let put = |value: &str, show: &str| {
        client.ok(
            "PutItem",
            json!({
                "TableName": "things",
                "Item": { "pk": s("a"), "v": n(value) },
                "ReturnValues": show,
            }),
        )
    };
    assert_eq!(put("1", "ALL_OLD"), json!({}), "nothing was there");
    assert_eq!(put("2", "ALL_OLD")["Attributes"]["v"], n("1"));
    assert_eq!(put("3", "NONE"), json!({}));
    let change = |expression: &str, show: &str| {
        let mut request = update(expression, json!({ ":v": n("10") }));
        request["ReturnValues"] = json!(show);
        client.ok("UpdateItem", request)["Attributes"].clone()
    };
    assert_eq!(change("SET v = :v", "UPDATED_OLD"), json!({ "v": n("3") }));
    assert_eq!(change("ADD v :v", "UPDATED_NEW"), json!({ "v": n("20") }));
    assert_eq!(
        change("SET w = :v", "ALL_NEW"),
        json!({ "pk": s("a"), "v": n("20"), "w": n("10") })
    );
    assert_eq!(change("SET w = w + :v", "ALL_OLD")["w"], n("10"));
    assert_eq!(change("SET w = :v", "NONE"), Value::Null);
    let delete = || {
        client.ok(
            "DeleteItem",
            json!({ "TableName": "things", "Key": key("a"), "ReturnValues": "ALL_OLD" }),
        )
    };
    assert_eq!(delete()["Attributes"]["w"], n("10"));
    assert_eq!(delete(), json!({}));
    assert_eq!(
        client.invalid(
            "DeleteItem",
            json!({ "TableName": "things", "Key": key("a"), "ReturnValues": "ALL_NEW" })
        ),
        "Return values set to invalid value"
    );
}

#[test]
fn items_that_are_none_are_refused_in_awss_words() {
    let client = Client::with_table();
    for (item, said) in [
        (json!({}), "One or more parameter values were invalid: Missing the key pk in the item"),
        (json!({ "pk": n("1") }), "Type mismatch for key pk expected: S actual: N"),
        (json!({ "pk": s("") }), "cannot contain an empty string value. Key: pk"),
        (json!({ "pk": s("a"), "n": n("one") }), "cannot be converted to a numeric value: one"),
        (json!({ "pk": s("a"), "n": n("1e126") }), "Number overflow"),
        (json!({ "pk": s("a"), "s": { "SS": [] } }), "An string set  may not be empty"),
        (json!({ "pk": s("a"), "s": { "SS": ["x", "x"] } }), "contains duplicates"),
        (json!({ "pk": s("a"), "s": { "NS": ["1", "1.0"] } }), "contains duplicates"),
        (json!({ "pk": s("a"), "n": { "NULL": false } }), "must have the value of true"),
        (json!({ "pk": s("a"), "n": {} }), "Supplied AttributeValue is empty"),
        (json!({ "pk": s("a"), "n": { "S": "x", "N": "1" } }), "more than one datatypes set"),
        (json!({ "pk": s(&"x".repeat(2049)) }), "Size of hashkey has exceeded"),
        (
            json!({ "pk": s("a"), "big": s(&"x".repeat(400 * 1024)) }),
            "Item size has exceeded the maximum allowed size",
        ),
    ] {
        let request = json!({ "TableName": "things", "Item": item });
        let message = client.invalid("PutItem", request);
        assert!(message.contains(said), "{message}");
    }
    for wrong in [json!({}), json!({ "pk": n("1") }), json!({ "pk": s("a"), "x": s("b") })] {
        let request = json!({ "TableName": "things", "Key": wrong });
        for operation in ["GetItem", "DeleteItem", "UpdateItem"] {
            assert_eq!(
                client.invalid(operation, request.clone()),
                "The provided key element does not match the schema"
            );
        }
    }
    let (name, _) =
        client.refused("PutItem", json!({ "TableName": "things", "Item": { "pk": 5 } }));
    assert_eq!(name, "SerializationException");
    // What is not read must not be ignored either.
    let legacy = json!({ "TableName": "things", "Item": key("a"), "Expected": {} });
    assert!(client.invalid("PutItem", legacy).contains("Expected is not supported"));
}

#[test]
fn batches_write_and_read_many_tables_items() {
    let client = Client::with_table();
    client.put(json!({ "pk": s("old"), "v": n("1") }));
    let put = |pk: &str| json!({ "PutRequest": { "Item": { "pk": s(pk), "v": n("2") } } });
    let answer = client.ok(
        "BatchWriteItem",
        json!({ "RequestItems": { "things": [
            put("a"), put("b"), { "DeleteRequest": { "Key": key("old") } },
        ] } }),
    );
    assert_eq!(answer, json!({ "UnprocessedItems": {} }));
    let answer = client.ok(
        "BatchGetItem",
        json!({ "RequestItems": { "things": {
            "Keys": [key("a"), key("b"), key("old"), key("none")],
            "ProjectionExpression": "#v",
            "ExpressionAttributeNames": { "#v": "v" },
        } } }),
    );
    assert_eq!(
        answer,
        json!({ "Responses": { "things": [{ "v": n("2") }, { "v": n("2") }] }, "UnprocessedKeys": {} })
    );
    let twice = json!({ "RequestItems": { "things": [put("a"), put("a")] } });
    assert_eq!(
        client.invalid("BatchWriteItem", twice),
        "Provided list of item keys contains duplicates"
    );
    let many: Vec<Value> = (0..26).map(|i| put(&format!("m{i}"))).collect();
    assert_eq!(
        client.invalid("BatchWriteItem", json!({ "RequestItems": { "things": many } })),
        "Too many items requested for the BatchWriteItem call"
    );
    assert_eq!(client.get(key("m0")), Value::Null, "all or nothing of what is invalid");
    let twice = json!({ "RequestItems": { "things": { "Keys": [key("a"), key("a")] } } });
    assert_eq!(
        client.invalid("BatchGetItem", twice),
        "Provided list of item keys contains duplicates"
    );
}

#[test]
fn a_batch_larger_than_an_answer_comes_in_parts() {
    let client = Client::with_table();
    let keys: Vec<Value> = (0..60).map(|i| key(&format!("k{i}"))).collect();
    for key in &keys {
        client.put(json!({ "pk": key["pk"], "fill": s(&"x".repeat(350_000)) }));
    }
    let mut wanted = json!({ "things": { "Keys": keys } });
    let (mut got, mut calls) = (0, 0);
    while wanted != json!({}) {
        let answer = client.ok("BatchGetItem", json!({ "RequestItems": wanted }));
        got += answer["Responses"]["things"].as_array().expect("items").len();
        calls += 1;
        wanted = answer["UnprocessedKeys"].clone();
    }
    assert_eq!((got, calls), (60, 2));
}
