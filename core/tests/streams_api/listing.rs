//! Contract, ListStreams: pages, and what is listed.

use serde_json::{Value, json};

use crate::host::{ARN, Host, UNKNOWN, arn_of, broken, host, invalid, register};

fn listed(table: &str) -> Value {
    json!({
        "StreamArn": arn_of(table),
        "StreamLabel": "2015-05-20T20:51:10.252",
        "TableName": table,
    })
}

fn list(host: &Host, body: Value) -> Value {
    host.call("ListStreams", body).unwrap()
}

/// Pages go by ExclusiveStartStreamArn and LastEvaluatedStreamArn, the last one returned; it is absent on a
/// page that is not full.
#[test]
fn a_full_page_names_its_last_stream_and_one_that_is_not_full_does_not() {
    let host = host();
    register(&host.store, "Prices");
    register(&host.store, "Quotes");
    let page = list(&host, json!({ "Limit": 2 }));
    let expected = json!({
        "LastEvaluatedStreamArn": arn_of("Prices"),
        "Streams": [listed("Orders"), listed("Prices")],
    });
    assert_eq!(page, expected);
    let after = |arn: &str, limit: u64| {
        list(&host, json!({ "ExclusiveStartStreamArn": arn, "Limit": limit }))
    };
    assert_eq!(after(&arn_of("Prices"), 2), json!({ "Streams": [listed("Quotes")] }));
    // A page that is just full names its last stream; behind that one there is nothing.
    let full = json!({ "LastEvaluatedStreamArn": arn_of("Quotes"), "Streams": [listed("Quotes")] });
    assert_eq!(after(&arn_of("Prices"), 1), full);
    assert_eq!(after(&arn_of("Quotes"), 1), json!({ "Streams": [] }));
    let all = json!({ "Streams": [listed("Orders"), listed("Prices"), listed("Quotes")] });
    assert_eq!(list(&host, json!({})), all);
}

/// Resuming survives the deletion of the table that the last page ended with, and new tables.
#[test]
fn a_list_goes_on_behind_a_stream_that_is_gone_and_shows_new_ones() {
    let host = host();
    for table in ["Prices", "Quotes", "Returns"] {
        register(&host.store, table);
    }
    let page = list(&host, json!({ "Limit": 2 }));
    assert_eq!(page["LastEvaluatedStreamArn"], arn_of("Prices"));
    host.store.remove_stream(&arn_of("Prices")).unwrap();
    host.store.remove_stream(ARN).unwrap();
    register(&host.store, "Quanta");
    register(&host.store, "Accounts");
    let rest = list(&host, json!({ "ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"] }));
    let expected = json!({ "Streams": [listed("Quanta"), listed("Quotes"), listed("Returns")] });
    assert_eq!(rest, expected);
}

/// TableName picks the streams of one table; those of a table that is not known are an empty list.
#[test]
fn the_streams_of_one_table() {
    let host = host();
    register(&host.store, "Orders2");
    register(&host.store, "Books");
    let only = json!({ "Streams": [listed("Orders")] });
    assert_eq!(list(&host, json!({ "TableName": "Orders" })), only);
    let before = json!({ "TableName": "Orders", "ExclusiveStartStreamArn": arn_of("Accounts") });
    assert_eq!(list(&host, before), only, "what the page goes on behind may be of another table");
    for nothing in [
        json!({ "TableName": "Nobody" }),
        json!({ "TableName": "Order" }),
        json!({ "TableName": "Orders", "ExclusiveStartStreamArn": ARN }),
        json!({ "TableName": "Orders", "ExclusiveStartStreamArn": arn_of("Orders2") }),
    ] {
        assert_eq!(list(&host, nothing), json!({ "Streams": [] }));
    }
}

/// Limit is 1 to 100, which is also the default.
#[test]
fn a_hundred_streams_are_a_page() {
    let host = host();
    for n in 0..101 {
        register(&host.store, &format!("Table{n:03}"));
    }
    for body in [json!({}), json!({ "Limit": 100 }), json!({ "Limit": null })] {
        let page = list(&host, body);
        assert_eq!(page["Streams"].as_array().unwrap().len(), 100);
        assert_eq!(page["LastEvaluatedStreamArn"], arn_of("Table098"));
    }
}

/// Limit 0 or above 100, a table's name that is none, and junk in ExclusiveStartStreamArn: ValidationException.
#[test]
fn lists_that_cannot_be_made() {
    let host = host();
    let list = |body: Value| host.call("ListStreams", body);
    let least = "have value greater than or equal to 1";
    broken(list(json!({ "Limit": 0 })), "'0'", "limit", least);
    broken(list(json!({ "Limit": -1 })), "'-1'", "limit", least);
    let most = "One or more parameter values were invalid: Limit cannot be greater than the \
                maximum allowed size: 100";
    invalid(list(json!({ "Limit": 101 })), most);
    let short = "have length greater than or equal to 3";
    broken(list(json!({ "TableName": "ab" })), "'ab'", "tableName", short);
    let long = "x".repeat(256);
    let value = format!("'{long}'");
    let most = "have length less than or equal to 255";
    broken(list(json!({ "TableName": long })), &value, "tableName", most);
    let pattern = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    broken(list(json!({ "TableName": "a/b" })), "'a/b'", "tableName", pattern);
    for junk in ["", "junk", "arn:aws:dynamodb:us-east-1:000000000000:table/Orders", &ARN[1..]] {
        invalid(list(json!({ "ExclusiveStartStreamArn": junk })), "Invalid StreamArn");
    }
    // One that is well formed need not exist.
    let before = json!({ "ExclusiveStartStreamArn": UNKNOWN });
    assert_eq!(list(before), Ok(json!({ "Streams": [listed("Orders")] })));
}

/// The rules of the model come first, all of them; then what the members mean.
#[test]
fn the_order_in_which_a_list_is_refused() {
    let host = host();
    let list = |body: Value| host.call("ListStreams", body);
    let all = "2 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: \
               Member must have value greater than or equal to 1; Value 'ab' at 'tableName' failed \
               to satisfy constraint: Member must have length greater than or equal to 3";
    let junk = "junk";
    let body = json!({ "TableName": "ab", "Limit": 0, "ExclusiveStartStreamArn": junk });
    invalid(list(body), all);
    let most = "One or more parameter values were invalid: Limit cannot be greater than the \
                maximum allowed size: 100";
    invalid(list(json!({ "Limit": 101, "ExclusiveStartStreamArn": junk })), most);
}
