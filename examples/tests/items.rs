//! The operations on items: writes, conditions, updates, what they answer and refuse.

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
    assert_eq!(
        (&item["n"], &item["s"]),
        (&n("150"), &json!({ "NS": ["1", "2"] }))
    );
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
fn update_expressions_do_what_they_say() {
    let client = Client::with_table();
    client.put(json!({
        "pk": s("a"),
        "n": n("1"),
        "list": { "L": [n("0"), n("1"), n("2"), n("3")] },
        "map": { "M": { "inner": { "M": { "x": n("5") } } } },
        "set": { "SS": ["a", "b"] },
        "old": s("gone"),
    }));
    // Every value is taken from the item as it was.
    let item = client.update("SET n = n + :one, m = n", json!({ ":one": n("1") }));
    assert_eq!((&item["n"], &item["m"]), (&n("2"), &n("1")));
    let item = client.update(
        "SET n = :ten - n, o = :ten REMOVE old",
        json!({ ":ten": n("10") }),
    );
    assert_eq!(item["n"], n("8"));
    assert!(item.get("old").is_none());
}

#[test]
fn update_functions_nested_paths_lists_and_sets() {
    let client = Client::with_table();
    client.put(json!({
        "pk": s("a"),
        "list": { "L": [n("0"), n("1"), n("2"), n("3")] },
        "map": { "M": { "inner": { "M": { "x": n("5") } } } },
        "set": { "SS": ["a", "b"] },
    }));
    let item = client.update(
        "SET map.inner.y = :v, list[1] = :v, count = if_not_exists(count, :v)",
        json!({ ":v": n("9") }),
    );
    assert_eq!(
        item["map"]["M"]["inner"]["M"],
        json!({ "x": n("5"), "y": n("9") })
    );
    assert_eq!(item["list"]["L"][1], n("9"));
    assert_eq!(item["count"], n("9"));
    let item = client.update(
        "SET count = if_not_exists(count, :v) + :v, list = list_append(list, :l)",
        json!({ ":v": n("1"), ":l": { "L": [s("end")] } }),
    );
    assert_eq!(item["count"], n("10"));
    assert_eq!(item["list"]["L"][4], s("end"));
    // Elements past the end append in the order of their indexes; nothing pads the gap.
    let item = client.update(
        "SET list[90] = :b, list[50] = :a",
        json!({ ":a": s("first"), ":b": s("second") }),
    );
    assert_eq!(item["list"]["L"].as_array().map(Vec::len), Some(7));
    assert_eq!(
        (&item["list"]["L"][5], &item["list"]["L"][6]),
        (&s("first"), &s("second"))
    );
    // Indexes mean places in the list as it was, whatever the order of the paths.
    let item = client.update("REMOVE list[0], list[2], list[6], list[77]", Value::Null);
    assert_eq!(
        item["list"],
        json!({ "L": [n("9"), n("3"), s("end"), s("first")] })
    );
    let item = client.update(
        "ADD set :more, fresh :more, tally :n DELETE other :more",
        json!({ ":more": { "SS": ["b", "c"] }, ":n": n("2") }),
    );
    assert_eq!(item["set"], json!({ "SS": ["a", "b", "c"] }));
    assert_eq!(item["fresh"], json!({ "SS": ["b", "c"] }));
    assert_eq!(item["tally"], n("2"));
    let item = client.update(
        "DELETE set :ab, fresh :bc",
        json!({ ":ab": { "SS": ["a", "b", "z"] }, ":bc": { "SS": ["b", "c"] } }),
    );
    assert_eq!(item["set"], json!({ "SS": ["c"] }));
    assert!(item.get("fresh").is_none(), "there are no empty sets");
}

#[test]
fn updates_that_cannot_be_are_refused_and_change_nothing() {
    let client = Client::with_table();
    client.put(json!({ "pk": s("a"), "n": n("1"), "t": s("text"), "l": { "L": [] } }));
    let before = client.get(key("a"));
    let v = json!({ ":v": n("1") });
    let cases = [
        (
            "SET n",
            v.clone(),
            "Invalid UpdateExpression: Syntax error; token: \"<EOF>\", near: \"n\"",
        ),
        (
            "SET n = :v extra",
            v.clone(),
            "Syntax error; token: \"extra\", near: \":v extra\"",
        ),
        (
            "SET n = :v, € = :v",
            v.clone(),
            "Syntax error; token: \"€\", near: \", € =\"",
        ),
        (
            "   ",
            Value::Null,
            "Syntax error; token: \"<EOF>\", near: \"   \"",
        ),
        (
            "",
            Value::Null,
            "Invalid UpdateExpression: The expression can not be empty;",
        ),
        (
            "SET n = :v SET m = :v",
            v.clone(),
            "The \"SET\" section can only be used once",
        ),
        (
            "SET n = :v, n.x = :v",
            v.clone(),
            "Two document paths overlap with each other",
        ),
        (
            "SET q.x = :v, q[0] = :v",
            v.clone(),
            "Two document paths conflict with each other",
        ),
        (
            "SET pk = :v",
            v.clone(),
            "Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            "SET n = missing",
            Value::Null,
            "refers to an attribute that does not exist in the item",
        ),
        (
            "SET n = t + :v",
            v.clone(),
            "An operand in the update expression has an incorrect data type",
        ),
        (
            "SET none.x = :v",
            v.clone(),
            "The document path provided in the update expression is invalid",
        ),
        (
            "SET n[0] = :v",
            v.clone(),
            "The document path provided in the update expression is invalid",
        ),
        (
            "REMOVE none.x",
            Value::Null,
            "The document path provided in the update expression is invalid",
        ),
        (
            "ADD t :v",
            v.clone(),
            "An operand in the update expression has an incorrect data type",
        ),
        (
            "ADD n :v",
            json!({ ":v": s("x") }),
            "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE n :v",
            v.clone(),
            "operator: DELETE, operand type: NUMBER",
        ),
        (
            "SET n = :w",
            v.clone(),
            "An expression attribute value used in expression is not defined",
        ),
        (
            "SET n = :v, #m = :v",
            v.clone(),
            "attribute name used in the document path is not defined",
        ),
        (
            "SET n = fly(:v)",
            v.clone(),
            "Invalid function name; function: fly",
        ),
        (
            "SET n = size(t)",
            Value::Null,
            "not allowed in an update expression; function: size",
        ),
        (
            "SET n = :v",
            json!({ ":v": n("1"), ":w": n("2") }),
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
        ),
    ];
    for (expression, values, said) in cases {
        let message = client.invalid("UpdateItem", update(expression, values));
        assert!(message.contains(said), "{expression}: {message}");
    }
    let deep = format!("SET n = {}:v{}", "(".repeat(1000), ")".repeat(1000));
    let message = client.invalid("UpdateItem", update(&deep, v.clone()));
    assert!(message.contains("nested too deeply"), "{message}");
    let long = format!("SET {} = :v", "a".repeat(4096));
    let message = client.invalid("UpdateItem", update(&long, v));
    assert!(
        message.contains("exceeded the maximum allowed size"),
        "{message}"
    );
    assert_eq!(client.get(key("a")), before);
}

#[test]
fn legacy_attribute_updates_work() {
    let client = Client::with_table();
    client.put(json!({
        "pk": s("a"), "n": n("1"), "set": { "SS": ["x"] }, "gone": s("v"), "list": { "L": [n("1")] },
    }));
    let request = |updates: Value| json!({ "TableName": "things", "Key": key("a"), "AttributeUpdates": updates });
    client.ok(
        "UpdateItem",
        request(json!({
            "n": { "Action": "ADD", "Value": n("41") },
            "set": { "Action": "ADD", "Value": { "SS": ["y"] } },
            "list": { "Action": "ADD", "Value": { "L": [n("2")] } },
            "gone": { "Action": "DELETE" },
            "new": { "Value": s("v") },
        })),
    );
    assert_eq!(
        client.get(key("a")),
        json!({
            "pk": s("a"), "n": n("42"), "set": { "SS": ["x", "y"] },
            "list": { "L": [n("1"), n("2")] }, "new": s("v"),
        })
    );
    let said = client.invalid("UpdateItem", request(json!({ "n": { "Action": "PUT" } })));
    assert!(said.contains("Only DELETE action is allowed"), "{said}");
    let said = client.invalid(
        "UpdateItem",
        request(json!({ "n": { "Action": "put", "Value": n("1") } })),
    );
    assert!(said.contains("[ADD, DELETE, PUT]"), "{said}");
    let mut both = request(json!({ "n": { "Value": n("1") } }));
    both["UpdateExpression"] = json!("REMOVE n");
    let said = client.invalid("UpdateItem", both);
    assert!(
        said.starts_with("Can not use both expression and non-expression"),
        "{said}"
    );
}

/// Whether a condition holds of one and the same item.
fn holds(client: &Client, condition: &str, values: &Value) -> bool {
    let mut request = json!({
        "TableName": "things", "Key": key("a"), "ConditionExpression": condition,
        "UpdateExpression": "SET touched = touched",
    });
    if !values.is_null() {
        request["ExpressionAttributeValues"] = values.clone();
    }
    let condition = condition.to_owned();
    let target = "DynamoDB_20120810.UpdateItem";
    match client
        .0
        .call(target, request.to_string().as_bytes(), "host")
    {
        Ok(_) => true,
        Err(failure) => {
            let text = String::from_utf8(failure.body).expect("UTF-8");
            assert!(
                text.contains("ConditionalCheckFailed"),
                "{condition}: {text}"
            );
            false
        }
    }
}

#[test]
fn conditions_hold_or_fail() {
    let client = Client::with_table();
    client.put(json!({
        "pk": s("a"), "touched": n("0"), "n": n("5"), "name": s("héllo"), "set": { "SS": ["x", "y"] },
        "list": { "L": [n("1"), s("two")] }, "map": { "M": { "k": n("1.0") } }, "bin": { "B": "AAEC" },
    }));
    let values = |all: &[(&str, Value)]| {
        Value::Object(
            all.iter()
                .map(|(k, v)| ((*k).to_owned(), v.clone()))
                .collect(),
        )
    };
    let five = values(&[(":v", n("5.00"))]);
    let four = values(&[(":v", n("4"))]);
    for (condition, with, expected) in [
        ("n = :v", &five, true),
        ("n <> :v", &five, false),
        ("missing <> :v", &five, true),
        ("missing = :v", &five, false),
        ("missing < :v", &five, false),
        ("n > :v", &four, true),
        (":v < n", &four, true),
        ("n <= :v", &four, false),
        ("map.k < :v AND list[0] < :v", &four, true),
        ("NOT n = :v", &four, true),
        ("n = :v OR n > :v AND n < :v", &four, false),
        ("(n = :v OR n > :v) AND attribute_exists(n)", &four, true),
        ("size(name) = :v", &five, true),
        ("size(n) = :v", &five, false),
        ("attribute_not_exists(missing.x[3])", &Value::Null, true),
        ("attribute_exists(map.k)", &Value::Null, true),
        (
            "attribute_exists(map.z) or attribute_exists(list[1])",
            &Value::Null,
            true,
        ),
    ] {
        assert_eq!(holds(&client, condition, with), expected, "{condition}");
    }
    let more = values(&[(":a", s("h")), (":b", s("i"))]);
    assert!(holds(&client, "name BETWEEN :a AND :b", &more));
    assert!(holds(
        &client,
        "begins_with(name, :a) AND NOT begins_with(name, :b)",
        &more
    ));
    assert!(!holds(&client, "name IN (:a, :b)", &more));
    let more = values(&[
        (":a", s("x")),
        (":b", s("llo")),
        (":c", n("1")),
        (":d", n("5")),
    ]);
    assert!(holds(
        &client,
        "contains(set, :a) AND contains(name, :b) AND contains(list, :c) AND size(name) = :d",
        &more
    ));
    assert!(holds(
        &client,
        "attribute_type(bin, :t)",
        &values(&[(":t", s("B"))])
    ));
    assert!(!holds(
        &client,
        "attribute_type(bin, :t)",
        &values(&[(":t", s("S"))])
    ));
    // Sets have no order; numbers have no spelling.
    assert!(holds(
        &client,
        "set = :v",
        &values(&[(":v", json!({ "SS": ["y", "x"] }))])
    ));
    assert!(holds(
        &client,
        "map = :v",
        &values(&[(":v", json!({ "M": { "k": n("1") } }))])
    ));
}

#[test]
fn conditions_that_are_none_are_refused() {
    let client = Client::with_table();
    let refused = |condition: &str, values: Value| {
        let mut request = json!({
            "TableName": "things", "Item": key("a"), "ConditionExpression": condition,
        });
        if !values.is_null() {
            request["ExpressionAttributeValues"] = values;
        }
        client.invalid("PutItem", request)
    };
    for (condition, said) in [
        ("a = ", "Syntax error; token: \"<EOF>\", near: \"=\""),
        ("a b", "Syntax error; token: \"b\", near: \"a b\""),
        ("(a = :v", "Syntax error; token: \"<EOF>\", near: \":v\""),
        ("a = :v)", "Syntax error; token: \")\", near: \":v )\""),
        ("((a = :v))", "The expression has redundant parentheses;"),
        ("a = a AND b = :v", "first operand: [a]"),
        ("size(a)", "Syntax error; token: \"<EOF>\", near: \")\""),
        ("fly(a)", "Invalid function name; function: fly"),
        (
            "contains(a)",
            "Incorrect number of operands for operator or function",
        ),
        (
            "attribute_exists(:v)",
            "Operator or function requires a document path",
        ),
        (
            "begins_with(a, :v)",
            "operator or function: begins_with, operand type: N",
        ),
        (
            "attribute_type(a, :v)",
            "operator or function: attribute_type, operand type: N",
        ),
        ("a < :w", "not defined; attribute value: :w"),
        ("a[x] = :v", "Syntax error; token: \"x\""),
        ("a.99 = :v", "Syntax error; token: \"99\""),
        ("a ! :v", "Syntax error; token: \"!\", near: \"a ! :v\""),
    ] {
        let message = refused(condition, json!({ ":v": n("1") }));
        assert!(
            message.starts_with("Invalid ConditionExpression: "),
            "{message}"
        );
        let spaced = message.replace(":v)", ":v )");
        assert!(
            message.contains(said) || spaced.contains(said),
            "{condition}: {message}"
        );
    }
    let message = refused("a < :v", json!({ ":v": { "BOOL": true } }));
    assert!(
        message.contains("operator: <, operand type: BOOL"),
        "{message}"
    );
    let deep = format!("{} a = :v", "NOT ".repeat(1000));
    assert!(refused(&deep, json!({ ":v": n("1") })).contains("nested too deeply"));
    let deep = format!("{}a = :v{}", "(".repeat(2000), ")".repeat(2000));
    assert!(refused(&deep, json!({ ":v": n("1") })).contains("nested too deeply"));
    let message = refused("a = :v", json!({ "v": n("1") }));
    assert_eq!(
        message,
        "ExpressionAttributeValues contains invalid key: Syntax error; key: \"v\""
    );
}

#[test]
fn a_failed_condition_shows_the_item_if_asked() {
    let client = Client::with_table();
    client.put(json!({ "pk": s("a"), "v": n("7") }));
    let request = |show: &str| {
        json!({
            "TableName": "things", "Key": key("a"), "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": show,
        })
    };
    let fail = |show: &str| {
        let body = request(show).to_string();
        let failure = client
            .0
            .call("DynamoDB_20120810.DeleteItem", body.as_bytes(), "h")
            .expect_err("fails");
        serde_json::from_slice::<Value>(&failure.body).expect("JSON")
    };
    let shown = fail("ALL_OLD");
    assert_eq!(shown["message"], "The conditional request failed");
    assert_eq!(shown["Item"], json!({ "pk": s("a"), "v": n("7") }));
    assert!(fail("NONE").get("Item").is_none());
    assert_eq!(client.get(key("a"))["v"], n("7"), "and it is still there");
}

#[test]
fn items_that_are_none_are_refused_in_awss_words() {
    let client = Client::with_table();
    for (item, said) in [
        (
            json!({}),
            "One or more parameter values were invalid: Missing the key pk in the item",
        ),
        (
            json!({ "pk": n("1") }),
            "Type mismatch for key pk expected: S actual: N",
        ),
        (
            json!({ "pk": s("") }),
            "cannot contain an empty string value. Key: pk",
        ),
        (
            json!({ "pk": s("a"), "n": n("one") }),
            "cannot be converted to a numeric value: one",
        ),
        (json!({ "pk": s("a"), "n": n("1e126") }), "Number overflow"),
        (
            json!({ "pk": s("a"), "s": { "SS": [] } }),
            "An string set  may not be empty",
        ),
        (
            json!({ "pk": s("a"), "s": { "SS": ["x", "x"] } }),
            "contains duplicates",
        ),
        (
            json!({ "pk": s("a"), "s": { "NS": ["1", "1.0"] } }),
            "contains duplicates",
        ),
        (
            json!({ "pk": s("a"), "n": { "NULL": false } }),
            "must have the value of true",
        ),
        (
            json!({ "pk": s("a"), "n": {} }),
            "Supplied AttributeValue is empty",
        ),
        (
            json!({ "pk": s("a"), "n": { "S": "x", "N": "1" } }),
            "more than one datatypes set",
        ),
        (
            json!({ "pk": s(&"x".repeat(2049)) }),
            "Size of hashkey has exceeded",
        ),
        (
            json!({ "pk": s("a"), "big": s(&"x".repeat(400 * 1024)) }),
            "Item size has exceeded the maximum allowed size",
        ),
    ] {
        let request = json!({ "TableName": "things", "Item": item });
        let message = client.invalid("PutItem", request);
        assert!(message.contains(said), "{message}");
    }
    for wrong in [
        json!({}),
        json!({ "pk": n("1") }),
        json!({ "pk": s("a"), "x": s("b") }),
    ] {
        let request = json!({ "TableName": "things", "Key": wrong });
        for operation in ["GetItem", "DeleteItem", "UpdateItem"] {
            assert_eq!(
                client.invalid(operation, request.clone()),
                "The provided key element does not match the schema"
            );
        }
    }
    let (name, _) = client.refused(
        "PutItem",
        json!({ "TableName": "things", "Item": { "pk": 5 } }),
    );
    assert_eq!(name, "SerializationException");
    // What is not read must not be ignored either.
    let legacy = json!({ "TableName": "things", "Item": key("a"), "Expected": {} });
    assert!(
        client
            .invalid("PutItem", legacy)
            .contains("Expected is not supported")
    );
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
        client.invalid(
            "BatchWriteItem",
            json!({ "RequestItems": { "things": many } })
        ),
        "Too many items requested for the BatchWriteItem call"
    );
    assert_eq!(
        client.get(key("m0")),
        Value::Null,
        "all or nothing of what is invalid"
    );
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
        got += answer["Responses"]["things"]
            .as_array()
            .expect("items")
            .len();
        calls += 1;
        wanted = answer["UnprocessedKeys"].clone();
    }
    assert_eq!((got, calls), (60, 2));
}
