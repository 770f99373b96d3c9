//! Conditions: when they hold, what a failed one tells, and what is none.

mod common;

use common::Client;
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
    match client.0.call(target, request.to_string().as_bytes(), "host") {
        Ok(_) => true,
        Err(failure) => {
            let text = String::from_utf8(failure.body).expect("UTF-8");
            assert!(text.contains("ConditionalCheckFailed"), "{condition}: {text}");
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
        Value::Object(all.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
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
        ("attribute_exists(map.z) or attribute_exists(list[1])", &Value::Null, true),
    ] {
        assert_eq!(holds(&client, condition, with), expected, "{condition}");
    }
    let more = values(&[(":a", s("h")), (":b", s("i"))]);
    assert!(holds(&client, "name BETWEEN :a AND :b", &more));
    assert!(holds(&client, "begins_with(name, :a) AND NOT begins_with(name, :b)", &more));
    assert!(!holds(&client, "name IN (:a, :b)", &more));
    let more = values(&[(":a", s("x")), (":b", s("llo")), (":c", n("1")), (":d", n("5"))]);
    assert!(holds(
        &client,
        "contains(set, :a) AND contains(name, :b) AND contains(list, :c) AND size(name) = :d",
        &more
    ));
    assert!(holds(&client, "attribute_type(bin, :t)", &values(&[(":t", s("B"))])));
    assert!(!holds(&client, "attribute_type(bin, :t)", &values(&[(":t", s("S"))])));
    // Sets have no order; numbers have no spelling.
    assert!(holds(&client, "set = :v", &values(&[(":v", json!({ "SS": ["y", "x"] }))])));
    assert!(holds(&client, "map = :v", &values(&[(":v", json!({ "M": { "k": n("1") } }))])));
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
        ("contains(a)", "Incorrect number of operands for operator or function"),
        ("attribute_exists(:v)", "Operator or function requires a document path"),
        ("begins_with(a, :v)", "operator or function: begins_with, operand type: N"),
        ("attribute_type(a, :v)", "operator or function: attribute_type, operand type: N"),
        ("a < :w", "not defined; attribute value: :w"),
        ("a[x] = :v", "Syntax error; token: \"x\""),
        ("a.99 = :v", "Syntax error; token: \"99\""),
        ("a ! :v", "Syntax error; token: \"!\", near: \"a ! :v\""),
    ] {
        let message = refused(condition, json!({ ":v": n("1") }));
        assert!(message.starts_with("Invalid ConditionExpression: "), "{message}");
        let spaced = message.replace(":v)", ":v )");
        assert!(message.contains(said) || spaced.contains(said), "{condition}: {message}");
    }
    let message = refused("a < :v", json!({ ":v": { "BOOL": true } }));
    assert!(message.contains("operator: <, operand type: BOOL"), "{message}");
    let deep = format!("{} a = :v", "NOT ".repeat(1000));
    assert!(refused(&deep, json!({ ":v": n("1") })).contains("nested too deeply"));
    let deep = format!("{}a = :v{}", "(".repeat(2000), ")".repeat(2000));
    assert!(refused(&deep, json!({ ":v": n("1") })).contains("nested too deeply"));
    let message = refused("a = :v", json!({ "v": n("1") }));
    assert_eq!(message, "ExpressionAttributeValues contains invalid key: Syntax error; key: \"v\"");
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
        let failure =
            client.0.call("DynamoDB_20120810.DeleteItem", body.as_bytes(), "h").expect_err("fails");
        serde_json::from_slice::<Value>(&failure.body).expect("JSON")
    };
    let shown = fail("ALL_OLD");
    assert_eq!(shown["message"], "The conditional request failed");
    assert_eq!(shown["Item"], json!({ "pk": s("a"), "v": n("7") }));
    assert!(fail("NONE").get("Item").is_none());
    assert_eq!(client.get(key("a"))["v"], n("7"), "and it is still there");
}
