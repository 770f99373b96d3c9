//! DynamoDB JSON: what is written, what reads back, and what does not.

use proptest::prelude::*;
use proptest::sample::SizeRange;

use super::problem;
use crate::model::AttributeValue::{B, Bool, Bs, L, M, N, Ns, Null, S, Ss};
use crate::model::{AttributeValue, Attributes};

/// Any value that DynamoDB could hold, a few levels deep.
fn values() -> impl Strategy<Value = AttributeValue> {
    let size = || SizeRange::new(1..=4);
    let number = r"-?[0-9]{1,20}(\.[0-9]{1,18})?(e[+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![
        ".*".prop_map(AttributeValue::S),
        number.prop_map(AttributeValue::N),
        any::<Vec<u8>>().prop_map(AttributeValue::B),
        prop::collection::btree_set(".*", size())
            .prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        prop::collection::btree_set(-1000..1000, size())
            .prop_map(|set| AttributeValue::Ns(set.iter().map(i32::to_string).collect())),
        prop::collection::btree_set(any::<Vec<u8>>(), size())
            .prop_map(|set| AttributeValue::Bs(set.into_iter().collect())),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
    ];
    leaf.prop_recursive(4, 24, 4, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(AttributeValue::L),
            prop::collection::btree_map(".*", value, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

/// Any item.
pub(crate) fn items() -> impl Strategy<Value = Attributes> {
    prop::collection::btree_map("[a-z\"\\\\\u{e9}\n]{1,4}", values(), 0..6)
}

#[test]
fn each_type_is_written_as_dynamodb_does() {
    for (value, json) in [
        (S("a\"\u{e9}\n".into()), "{\"S\":\"a\\\"\u{e9}\\n\"}"),
        (N("-1.5".into()), r#"{"N":"-1.5"}"#),
        (B(vec![0xfb, 0xff]), r#"{"B":"+/8="}"#),
        (Ss(vec!["a".into(), "b".into()]), r#"{"SS":["a","b"]}"#),
        (Ns(vec!["1".into(), "2".into()]), r#"{"NS":["1","2"]}"#),
        (Bs(vec![vec![], vec![1]]), r#"{"BS":["","AQ=="]}"#),
        (M([("k".into(), Null(true))].into()), r#"{"M":{"k":{"NULL":true}}}"#),
        (L(vec![Bool(false), L(vec![])]), r#"{"L":[{"BOOL":false},{"L":[]}]}"#),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(serde_json::from_str::<AttributeValue>(json).unwrap(), value);
    }
}

/// `levels` values inside one another.
fn nested(levels: usize) -> String {
    let around = levels - 1;
    format!("{}{{\"S\":\"\"}}{}", "{\"L\":[".repeat(around), "]}".repeat(around))
}

#[test]
fn values_nest_32_levels() {
    assert!(serde_json::from_str::<AttributeValue>(&nested(32)).is_ok());
    for levels in [33, 100_000] {
        let error = serde_json::from_str::<AttributeValue>(&nested(levels)).unwrap_err();
        assert!(error.to_string().starts_with(problem::TOO_DEEP), "{error}");
    }
    let maps = "{\"M\":{\"a\":".repeat(100_000);
    assert!(serde_json::from_str::<AttributeValue>(&maps).is_err());
}

#[test]
fn what_dynamodb_refuses_is_refused_in_its_words() {
    for (json, words) in [
        ("{}", "is empty, must contain exactly one"),
        (r#"{"X":"1"}"#, "is empty, must contain exactly one"),
        (r#"{"S":"a","N":"1"}"#, "more than one datatypes set"),
        (r#"{"S":"a","S":"a"}"#, "more than one datatypes set"),
        (r#"{"N":""}"#, "cannot be converted to a numeric value"),
        (r#"{"N":"b"}"#, "cannot be converted to a numeric value: b"),
        (r#"{"N":"1e126"}"#, "Number overflow."),
        (r#"{"N":"1e-131"}"#, "Number underflow."),
        (r#"{"N":"123456789012345678901234567890123456789"}"#, "more than 38 significant"),
        (r#"{"N":1}"#, "invalid type: integer"),
        (r#"{"S":null}"#, "invalid type: null"),
        (r#"{"B":"A"}"#, "not Base64"),
        (r#"{"B":"AQ"}"#, "not Base64"),
        (r#"{"B":"_w=="}"#, "not Base64"),
        (r#"{"SS":[]}"#, "An string set  may not be empty"),
        (r#"{"NS":[]}"#, "An number set  may not be empty"),
        (r#"{"BS":[]}"#, "Binary sets should not be empty"),
        (r#"{"SS":["a","b","a"]}"#, "Input collection [a, b, a] contains duplicates."),
        (r#"{"NS":["1","1.0"]}"#, "Input collection contains duplicates"),
        (r#"{"BS":["AQ==","AQ=="]}"#, "[AQ==, AQ==]of type BS contains duplicates."),
        (r#"{"NULL":false}"#, "must have the value of true"),
        (r#"{"BOOL":"true"}"#, "invalid type: string"),
        (r#"{"M":{"a":{"S":""},"\u0061":{"S":""}}}"#, "names an attribute twice"),
        (r#"{"L":[{}]}"#, "is empty, must contain exactly one"),
        (r#""S""#, "expected an attribute value"),
    ] {
        let error = serde_json::from_str::<AttributeValue>(json).unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in values()) {
        let json = serde_json::to_vec(&value).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<AttributeValue>(&json).unwrap(), &value);
        let tree = serde_json::to_value(&value).unwrap();
        prop_assert_eq!(&serde_json::from_value::<AttributeValue>(tree).unwrap(), &value);
    }
}
