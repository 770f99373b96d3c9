//! Whatever text arrives: an answer or a refusal, never a panic, and never a change by a refused write.

mod common;

use common::Client;
use serde_json::{Value, json};
use streamcore_emulator::Failure;

/// A plain pseudo-random sequence: the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'p>(&mut self, from: &[&'p str]) -> &'p str {
        from[self.roll(from.len())]
    }
}

const TOKENS: [&str; 48] = [
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "set",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "pk",
    "sk",
    "a",
    "b",
    "#n",
    "#m",
    ":v",
    ":w",
    ":n",
    ":s",
    ":l",
    ":x",
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "(",
    ")",
    "[",
    "]",
    "[0]",
    "[9999999999999999999999]",
    ".",
    ",",
    "attribute_exists(",
    "size(",
    "contains(",
    "begins_with(",
    "if_not_exists(",
    "list_append(",
    "attribute_type(",
    "€",
    "\u{1f980}",
    "!",
];

/// Pieces that make sense, some of them together.
const PIECES: [&str; 16] = [
    "SET a.b[1] = :v",
    "SET b = b + :n",
    "SET #m = if_not_exists(#m, :l)",
    "REMOVE a.b[0]",
    "ADD b :n",
    "DELETE c :s",
    ", c = list_append(:l, a.b)",
    ", #n.z",
    "a.b[0], b",
    "pk = :v",
    "b < :n",
    " AND ",
    " OR ",
    "NOT contains(pk, :v)",
    "(size(a) BETWEEN :n AND b)",
    "attribute_type(a, :v)",
];

fn soup(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..1 + dice.roll(3) {
        text.push_str(dice.pick(&PIECES));
    }
    for _ in 0..dice.roll(2) * dice.roll(6) {
        text.push_str(dice.pick(&TOKENS));
        text.push_str(dice.pick(&["", " "]));
    }
    text
}

fn values() -> Value {
    json!({
        ":v": { "S": "x" }, ":w": { "BOOL": true }, ":n": { "N": "1" }, ":s": { "SS": ["x"] },
        ":l": { "L": [{ "N": "1" }] }, ":x": { "M": {} },
    })
}

/// Only those placeholders that a text uses: others would be refused before it is read.
fn bindings(text: &str, request: &mut Value) {
    let mut used = values();
    used.as_object_mut().expect("an object").retain(|name, _| text.contains(name.as_str()));
    let names: serde_json::Map<String, Value> = [("#n", "a"), ("#m", "odd name")]
        .into_iter()
        .filter(|(name, _)| text.contains(name))
        .map(|(name, bound)| (name.to_owned(), json!(bound)))
        .collect();
    if used != json!({}) {
        request["ExpressionAttributeValues"] = used;
    }
    if !names.is_empty() {
        request["ExpressionAttributeNames"] = Value::Object(names);
    }
}

#[test]
fn soup_of_tokens_is_answered_or_refused() {
    let client = Client::with_table();
    let seed = json!({
        "pk": { "S": "a" }, "a": { "M": { "b": { "L": [{ "N": "1" }, { "S": "x" }] } } }, "b": { "N": "2" },
    });
    client.put(seed.clone());
    let mut dice = Dice(7);
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let text = soup(&mut dice);
        let (operation, parameter) = [
            ("UpdateItem", "UpdateExpression"),
            ("PutItem", "ConditionExpression"),
            ("Scan", "FilterExpression"),
            ("GetItem", "ProjectionExpression"),
            ("Query", "KeyConditionExpression"),
        ][dice.roll(5)];
        let mut request = json!({ "TableName": "things" });
        match operation {
            "PutItem" => request["Item"] = seed.clone(),
            "UpdateItem" | "GetItem" => request["Key"] = json!({ "pk": { "S": "a" } }),
            _ => {}
        }
        request[parameter] = json!(text);
        bindings(&text, &mut request);
        let before = client.get(json!({ "pk": { "S": "a" } }));
        let target = format!("DynamoDB_20120810.{operation}");
        match client.0.call(&target, request.to_string().as_bytes(), "host") {
            Ok(_) => answered += 1,
            Err(failure) => {
                assert_eq!(failure.status, 400, "{request}: {failure:?}");
                assert_eq!(client.get(json!({ "pk": { "S": "a" } })), before, "{request}");
                refused += 1;
            }
        }
    }
    assert!(answered > 500 && refused > 500, "{answered} answered, {refused} refused");
}

/// Cuts a body off, and damages it, at every byte; refusals must be of the client's making.
fn damage(body: &[u8], call: impl Fn(&[u8]) -> Result<Vec<u8>, Failure>) {
    assert!(call(body).is_ok());
    for end in 0..body.len() {
        let failure = call(&body[..end]).expect_err("half a body");
        assert_eq!(failure.status, 400);
    }
    let mut dice = Dice(5);
    for at in 0..body.len() {
        let mut damaged = body.to_vec();
        let harm = b"{}[]\":,x\\\xff\0 5-";
        damaged[at] = harm[dice.roll(harm.len())];
        if let Err(failure) = call(&damaged) {
            let said = String::from_utf8_lossy(&failure.body).into_owned();
            assert!(matches!(failure.status, 400 | 404 | 409), "{said}");
            assert!(serde_json::from_slice::<Value>(&failure.body).is_ok(), "{said}");
        }
    }
}

#[test]
fn transactions_and_control_requests_take_any_damage() {
    let client = Client::with_table_at(1_795_348_800_000);
    let transaction = json!({
        "ClientRequestToken": "token",
        "TransactItems": [
            { "Put": { "TableName": "things", "Item": { "pk": { "S": "a" }, "n": { "N": "1" } } } },
            { "Update": {
                "TableName": "things", "Key": { "pk": { "S": "b" } },
                "UpdateExpression": "SET #n = :v", "ConditionExpression": "attribute_not_exists(x)",
                "ExpressionAttributeNames": { "#n": "n" },
                "ExpressionAttributeValues": { ":v": { "N": "2" } },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            } },
        ],
    });
    let read = json!({ "TransactItems": [{ "Get": {
        "TableName": "things", "Key": { "pk": { "S": "a" } }, "ProjectionExpression": "n",
    } }] });
    let live = json!({
        "TableName": "things", "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "n" },
    });
    for (operation, request) in [("TransactWriteItems", transaction), ("TransactGetItems", read)] {
        let target = format!("DynamoDB_20120810.{operation}");
        damage(request.to_string().as_bytes(), |body| client.0.call(&target, body, "host"));
    }
    damage(live.to_string().as_bytes(), |body| {
        // A table of its own for each: it can be turned on only once.
        let client = Client::with_table();
        client.0.call("DynamoDB_20120810.UpdateTimeToLive", body, "host")
    });
    let arn = client.stream_arn("things");
    let open = client.0.store().describe_stream(&arn).expect("a stream").shards.remove(0);
    let of_shard = json!({ "streamArn": arn, "shardId": open.shard_id.as_str() }).to_string();
    damage(of_shard.as_bytes(), |body| client.0.control("POST", "roll", body));
    damage(br#"{"advanceMs": 10}"#, |body| client.0.control("POST", "clock", body));
}

#[test]
fn bodies_cut_off_or_damaged_anywhere_are_refused_or_answered() {
    let client = Client::with_table();
    let body = json!({
        "TableName": "things",
        "Item": { "pk": { "S": "a" }, "l": { "L": [{ "M": { "x": { "NS": ["1", "2"] } } }] } },
        "ConditionExpression": "attribute_not_exists(pk) OR size(l) < :v",
        "ExpressionAttributeValues": { ":v": { "N": "9" } },
    })
    .to_string()
    .into_bytes();
    let call = |body: &[u8]| client.0.call("DynamoDB_20120810.PutItem", body, "host");
    assert!(call(&body).is_ok());
    for end in 0..body.len() {
        let failure = call(&body[..end]).expect_err("half a body");
        assert!(String::from_utf8_lossy(&failure.body).contains("SerializationException"));
    }
    let mut dice = Dice(3);
    for at in 0..body.len() {
        let mut damaged = body.clone();
        let harm = b"{}[]\":,x\\\xff\0 5-";
        damaged[at] = harm[dice.roll(harm.len())];
        if let Err(failure) = call(&damaged) {
            assert_eq!(failure.status, 400, "{}", String::from_utf8_lossy(&damaged));
        }
    }
}
