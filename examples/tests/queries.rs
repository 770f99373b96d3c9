//! Query and Scan: ranges, order, pages, filters, projections, indexes.

mod common;

use common::{Client, table};
use serde_json::{Value, json};

fn client_with_songs() -> Client {
    let client = Client::with_sorted_table();
    for pk in ["a", "b"] {
        for sk in [-10, -2, 0, 1, 2, 10, 100] {
            client.put(json!({
                "pk": { "S": pk },
                "sk": { "N": sk.to_string() },
                "even": { "BOOL": sk % 2 == 0 },
            }));
        }
    }
    client
}

fn query(condition: &str, values: Value) -> Value {
    json!({
        "TableName": "things",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
    })
}

fn sort_keys(answer: &Value) -> Vec<i64> {
    let items = answer["Items"].as_array().expect("items");
    let number = |item: &Value| item["sk"]["N"].as_str().expect("N").parse().expect("a number");
    items.iter().map(number).collect()
}

fn n(number: i64) -> Value {
    json!({ "N": number.to_string() })
}

#[test]
fn a_partition_is_read_in_the_order_of_its_numbers() {
    let client = client_with_songs();
    let a = json!({ ":p": { "S": "a" } });
    let mut request = query("pk = :p", a.clone());
    let answer = client.ok("Query", request.clone());
    assert_eq!(sort_keys(&answer), [-10, -2, 0, 1, 2, 10, 100]);
    assert_eq!((&answer["Count"], &answer["ScannedCount"]), (&json!(7), &json!(7)));
    assert!(answer.get("LastEvaluatedKey").is_none());
    request["ScanIndexForward"] = json!(false);
    assert_eq!(sort_keys(&client.ok("Query", request)), [100, 10, 2, 1, 0, -2, -10]);
    for (condition, expected) in [
        ("pk = :p AND sk = :v", vec![2]),
        ("pk = :p AND sk < :v", vec![-10, -2, 0, 1]),
        ("pk = :p AND sk <= :v", vec![-10, -2, 0, 1, 2]),
        ("sk > :v AND pk = :p", vec![10, 100]),
        ("pk = :p AND sk >= :v", vec![2, 10, 100]),
        (":v <= sk AND :p = pk", vec![2, 10, 100]),
        ("(pk = :p) AND (sk BETWEEN :v AND :w)", vec![2, 10]),
    ] {
        let mut values = json!({ ":p": { "S": "a" }, ":v": n(2) });
        if condition.contains(":w") {
            values[":w"] = n(50);
        }
        assert_eq!(
            sort_keys(&client.ok("Query", query(condition, values))),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn pages_join_to_the_whole_in_both_directions() {
    let client = client_with_songs();
    for (forward, limit) in [(true, 1), (true, 2), (true, 7), (false, 3), (false, 100)] {
        let mut all = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut request =
                query("pk = :p AND sk > :v", json!({ ":p": { "S": "b" }, ":v": n(-5) }));
            request["Limit"] = json!(limit);
            request["ScanIndexForward"] = json!(forward);
            request["ExclusiveStartKey"] = start.clone();
            let page = client.ok("Query", request);
            all.extend(sort_keys(&page));
            match page.get("LastEvaluatedKey") {
                Some(last) => start = last.clone(),
                None => break,
            }
        }
        let mut expected = vec![-2, 0, 1, 2, 10, 100];
        if !forward {
            expected.reverse();
        }
        assert_eq!(all, expected, "{forward} {limit}");
    }
    let mut request = query("pk = :p", json!({ ":p": { "S": "a" } }));
    request["ExclusiveStartKey"] = json!({ "pk": { "S": "b" }, "sk": n(1) });
    let said = client.invalid("Query", request.clone());
    assert!(said.starts_with("The provided starting key is outside query boundaries"), "{said}");
    request["ExclusiveStartKey"] = json!({ "pk": { "S": "a" } });
    let said = client.invalid("Query", request);
    assert!(said.starts_with("The provided starting key is invalid"), "{said}");
}

#[test]
fn prefixes_are_bytes_and_one_partition_never_runs_into_another() {
    let client = Client::new();
    let keys = [("pk", "B", "HASH"), ("sk", "S", "RANGE")];
    client.ok("CreateTable", table("things", &keys, None));
    for pk in ["AA==", "AAA=", "AAE=", "/w=="] {
        for sk in ["a", "ab", "ab\u{10ffff}", "abc", "b", "\u{10ffff}x"] {
            client.put(json!({ "pk": { "B": pk }, "sk": { "S": sk } }));
        }
    }
    for pk in ["AA==", "AAA=", "AAE=", "/w=="] {
        let request = |prefix: &str| {
            query(
                "pk = :p AND begins_with(sk, :v)",
                json!({ ":p": { "B": pk }, ":v": { "S": prefix } }),
            )
        };
        for (prefix, count) in [("", 6), ("a", 4), ("ab", 3), ("\u{10ffff}", 1), ("z", 0)] {
            assert_eq!(client.ok("Query", request(prefix))["Count"], count, "{pk} {prefix}");
        }
        let whole = client.ok("Query", query("pk = :p", json!({ ":p": { "B": pk } })));
        assert_eq!(whole["Count"], 6);
    }
}

#[test]
fn filters_and_projections_come_after_the_page_is_cut() {
    let client = client_with_songs();
    let mut request = query("pk = :p", json!({ ":p": { "S": "a" }, ":e": { "BOOL": true } }));
    request["FilterExpression"] = json!("even = :e");
    request["ProjectionExpression"] = json!("sk");
    let answer = client.ok("Query", request.clone());
    assert_eq!(sort_keys(&answer), [-10, -2, 0, 2, 10, 100]);
    assert_eq!(answer["Items"][0], json!({ "sk": n(-10) }));
    assert_eq!((&answer["Count"], &answer["ScannedCount"]), (&json!(6), &json!(7)));
    request["Limit"] = json!(4);
    let answer = client.ok("Query", request.clone());
    assert_eq!((&answer["Count"], &answer["ScannedCount"]), (&json!(3), &json!(4)));
    request.as_object_mut().expect("an object").remove("ProjectionExpression");
    request["Select"] = json!("COUNT");
    let answer = client.ok("Query", request.clone());
    assert!(answer.get("Items").is_none());
    assert_eq!(answer["Count"], 3);
    request["FilterExpression"] = json!("sk > :e");
    let said = client.invalid("Query", request);
    assert!(said.contains("operand type: BOOL"), "{said}");
    let mut request = query("pk = :p", json!({ ":p": { "S": "a" } }));
    request["FilterExpression"] = json!("attribute_exists(sk)");
    let said = client.invalid("Query", request);
    assert!(said.ends_with("Primary key attribute: sk"), "{said}");
}

#[test]
fn projections_reach_into_items() {
    let client = Client::with_table();
    client.put(json!({
        "pk": { "S": "a" },
        "m": { "M": { "x": n(1), "y": { "M": { "z": n(2), "w": n(3) } } } },
        "l": { "L": [n(0), n(1), { "M": { "q": n(5), "r": n(6) } }] },
    }));
    let get = |projection: &str| {
        client.ok(
            "GetItem",
            json!({
                "TableName": "things",
                "Key": { "pk": { "S": "a" } },
                "ProjectionExpression": projection,
                "ExpressionAttributeNames": { "#y": "y" },
            }),
        )["Item"]
            .clone()
    };
    assert_eq!(
        get("m.#y.z, m.x, l[2].q, l[0], l[9], none"),
        json!({
            "m": { "M": { "x": n(1), "y": { "M": { "z": n(2) } } } },
            "l": { "L": [n(0), { "M": { "q": n(5) } }] },
        })
    );
    assert_eq!(get("m.#y.z.deeper"), json!({}));
    let said = client.invalid(
        "GetItem",
        json!({
            "TableName": "things", "Key": { "pk": { "S": "a" } }, "ProjectionExpression": "m, m.x",
        }),
    );
    assert!(said.contains("path one: [m], path two: [m, x]"), "{said}");
}

#[test]
fn a_scan_sees_everything_once_in_pages_and_in_segments() {
    let client = client_with_songs();
    let scan = |extra: Value| {
        let mut seen = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut request = extra.clone();
            request["TableName"] = json!("things");
            request["ExclusiveStartKey"] = start;
            let page = client.ok("Scan", request);
            let items = page["Items"].as_array().expect("items");
            seen.extend(items.iter().map(|item| format!("{}/{}", item["pk"], item["sk"])));
            match page.get("LastEvaluatedKey") {
                Some(last) => start = last.clone(),
                None => break,
            }
        }
        seen.sort();
        seen
    };
    let whole = scan(json!({}));
    assert_eq!(whole.len(), 14);
    for limit in [1, 3, 5, 14] {
        assert_eq!(scan(json!({ "Limit": limit })), whole, "{limit}");
    }
    let mut parts: Vec<String> = (0..3)
        .flat_map(|s| scan(json!({ "Segment": s, "TotalSegments": 3, "Limit": 2 })))
        .collect();
    parts.sort();
    assert_eq!(parts, whole);
    let filtered = client.ok(
        "Scan",
        json!({
            "TableName": "things",
            "FilterExpression": "sk > :v",
            "ExpressionAttributeValues": { ":v": n(5) },
        }),
    );
    assert_eq!((&filtered["Count"], &filtered["ScannedCount"]), (&json!(4), &json!(14)));
    client.invalid("Scan", json!({ "TableName": "things", "Segment": 3, "TotalSegments": 3 }));
    client.invalid("Scan", json!({ "TableName": "things", "TotalSegments": 3 }));
    client.invalid("Scan", json!({ "TableName": "things", "Limit": 0 }));
}

#[test]
fn a_page_ends_at_a_megabyte() {
    let client = Client::with_sorted_table();
    for sk in 0..10 {
        let fill = "x".repeat(300_000);
        client.put(json!({ "pk": { "S": "a" }, "sk": n(sk), "fill": { "S": fill } }));
    }
    let answer = client.ok("Query", query("pk = :p", json!({ ":p": { "S": "a" } })));
    assert_eq!(answer["Count"], 4);
    assert_eq!(answer["LastEvaluatedKey"], json!({ "pk": { "S": "a" }, "sk": n(3) }));
}

#[test]
fn secondary_indexes_sort_what_they_would_hold() {
    let client = Client::new();
    let mut request = table("things", &[("pk", "S", "HASH"), ("sk", "N", "RANGE")], None);
    let definitions = request["AttributeDefinitions"].as_array_mut().expect("definitions");
    definitions.push(json!({ "AttributeName": "year", "AttributeType": "N" }));
    let index = |name: &str, hash: &str, range: Option<&str>, projection: &str| {
        let mut schema = vec![json!({ "AttributeName": hash, "KeyType": "HASH" })];
        schema.extend(range.map(|range| json!({ "AttributeName": range, "KeyType": "RANGE" })));
        json!([{
            "IndexName": name, "KeySchema": schema, "Projection": { "ProjectionType": projection },
        }])
    };
    request["LocalSecondaryIndexes"] = index("local", "pk", Some("year"), "KEYS_ONLY");
    request["GlobalSecondaryIndexes"] = index("global", "year", None, "ALL");
    client.ok("CreateTable", request);
    for (pk, sk, year) in [
        ("a", 1, Some(30)),
        ("a", 2, Some(10)),
        ("a", 3, None),
        ("a", 4, Some(10)),
        ("b", 1, Some(10)),
    ] {
        let mut item = json!({ "pk": { "S": pk }, "sk": n(sk), "extra": n(0) });
        if let Some(year) = year {
            item["year"] = n(year);
        }
        client.put(item);
    }
    let mut request = query("pk = :p", json!({ ":p": { "S": "a" } }));
    request["IndexName"] = json!("local");
    let answer = client.ok("Query", request.clone());
    assert_eq!(sort_keys(&answer), [2, 4, 1], "by year, then by key; 3 has no year");
    assert_eq!(answer["Items"][0], json!({ "pk": { "S": "a" }, "sk": n(2), "year": n(10) }));
    let mut all = Vec::new();
    request["Limit"] = json!(1);
    request["ScanIndexForward"] = json!(false);
    loop {
        let page = client.ok("Query", request.clone());
        all.extend(sort_keys(&page));
        match page.get("LastEvaluatedKey") {
            Some(last) => request["ExclusiveStartKey"] = last.clone(),
            None => break,
        }
    }
    assert_eq!(all, [1, 4, 2]);
    let mut request = query("#y = :y", json!({ ":y": n(10) }));
    request["ExpressionAttributeNames"] = json!({ "#y": "year" });
    request["IndexName"] = json!("global");
    let answer = client.ok("Query", request.clone());
    assert_eq!(answer["Count"], 3);
    assert_eq!(answer["Items"][0]["extra"], n(0));
    assert_eq!(
        client.ok("Scan", json!({ "TableName": "things", "IndexName": "local" }))["Count"],
        4
    );
    request["IndexName"] = json!("none");
    let said = client.invalid("Query", request);
    assert_eq!(said, "The table does not have the specified index: none");
    let said = client.invalid(
        "PutItem",
        json!({ "TableName": "things", "Item": { "pk": { "S": "a" }, "sk": n(9), "year": { "S": "x" } } }),
    );
    assert!(said.contains("Type mismatch for Index Key year Expected: N Actual: S"), "{said}");
}

#[test]
fn key_conditions_that_are_none_are_refused() {
    let client = client_with_songs();
    for (condition, said) in [
        ("sk = :v", "Query condition missed key schema element: pk"),
        ("pk > :p", "Query key condition not supported"),
        ("pk = :p AND other = :v", "Query condition missed key schema element: sk"),
        ("pk = :p OR sk = :v", "Invalid operator used in KeyConditionExpression"),
        ("pk = :p AND sk <> :v", "Invalid operator used in KeyConditionExpression: <>"),
        ("pk = :p AND pk = :p", "must only contain one condition per key"),
        ("pk = :p AND sk.x = :v", "cannot have conditions on nested attributes"),
        ("pk = :v", "Condition parameter type does not match schema type"),
        ("pk = :p AND contains(sk, :v)", "Invalid operator used in KeyConditionExpression"),
        ("pk = :p AND begins_with(sk, :p)", "Condition parameter type does not match schema type"),
    ] {
        let mut values = json!({});
        for (name, value) in [(":p", json!({ "S": "a" })), (":v", n(1))] {
            if condition.contains(name) {
                values[name] = value;
            }
        }
        let message = client.invalid("Query", query(condition, values));
        assert!(message.contains(said), "{condition}: {message}");
    }
    let said = client.invalid("Query", json!({ "TableName": "things" }));
    assert!(said.starts_with("Either the KeyConditions or KeyConditionExpression"), "{said}");
}
