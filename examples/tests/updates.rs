//! UpdateItem: what expressions and their forerunners do, and what is refused.

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
    let item = client.update("SET n = :ten - n, o = :ten REMOVE old", json!({ ":ten": n("10") }));
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
    assert_eq!(item["map"]["M"]["inner"]["M"], json!({ "x": n("5"), "y": n("9") }));
    assert_eq!(item["list"]["L"][1], n("9"));
    assert_eq!(item["count"], n("9"));
    let item = client.update(
        "SET count = if_not_exists(count, :v) + :v, list = list_append(list, :l)",
        json!({ ":v": n("1"), ":l": { "L": [s("end")] } }),
    );
    assert_eq!(item["count"], n("10"));
    assert_eq!(item["list"]["L"][4], s("end"));
    // Elements past the end append in the order of their indexes; nothing pads the gap.
    let item = client
        .update("SET list[90] = :b, list[50] = :a", json!({ ":a": s("first"), ":b": s("second") }));
    assert_eq!(item["list"]["L"].as_array().map(Vec::len), Some(7));
    assert_eq!((&item["list"]["L"][5], &item["list"]["L"][6]), (&s("first"), &s("second")));
    // Indexes mean places in the list as it was, whatever the order of the paths.
    let item = client.update("REMOVE list[0], list[2], list[6], list[77]", Value::Null);
    assert_eq!(item["list"], json!({ "L": [n("9"), n("3"), s("end"), s("first")] }));
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
        ("SET n = :v extra", v.clone(), "Syntax error; token: \"extra\", near: \":v extra\""),
        ("SET n = :v, € = :v", v.clone(), "Syntax error; token: \"€\", near: \", € =\""),
        ("   ", Value::Null, "Syntax error; token: \"<EOF>\", near: \"   \""),
        ("", Value::Null, "Invalid UpdateExpression: The expression can not be empty;"),
        ("SET n = :v SET m = :v", v.clone(), "The \"SET\" section can only be used once"),
        ("SET n = :v, n.x = :v", v.clone(), "Two document paths overlap with each other"),
        ("SET q.x = :v, q[0] = :v", v.clone(), "Two document paths conflict with each other"),
        ("SET pk = :v", v.clone(), "Cannot update attribute pk. This attribute is part of the key"),
        ("SET n = missing", Value::Null, "refers to an attribute that does not exist in the item"),
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
        ("ADD t :v", v.clone(), "An operand in the update expression has an incorrect data type"),
        (
            "ADD n :v",
            json!({ ":v": s("x") }),
            "operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        ("DELETE n :v", v.clone(), "operator: DELETE, operand type: NUMBER"),
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
        ("SET n = fly(:v)", v.clone(), "Invalid function name; function: fly"),
        ("SET n = size(t)", Value::Null, "not allowed in an update expression; function: size"),
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
    assert!(message.contains("exceeded the maximum allowed size"), "{message}");
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
    let said =
        client.invalid("UpdateItem", request(json!({ "n": { "Action": "put", "Value": n("1") } })));
    assert!(said.contains("[ADD, DELETE, PUT]"), "{said}");
    let mut both = request(json!({ "n": { "Value": n("1") } }));
    both["UpdateExpression"] = json!("REMOVE n");
    let said = client.invalid("UpdateItem", both);
    assert!(said.starts_with("Can not use both expression and non-expression"), "{said}");
}
