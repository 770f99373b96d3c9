//! Contract, GetShardIterator: where iterators start, and which cannot be made.

use serde_json::{Value, json};
use streamcore::wire::WireError;

use crate::host::{ARN, Host, NO_SHARD, UNKNOWN, broken, host, host_of, invalid, number, refused};

const TRIMMED: &str = "TrimmedDataAccessException";
const TRIMMED_TEXT: &str = "The data you are trying to access has been trimmed";
const OUTSIDE: &str = "Invalid SequenceNumber for the shard";
const NUMBERED: [&str; 2] = ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"];

fn get(host: &Host, body: Value) -> Result<Value, WireError> {
    host.iterator(body).map(Value::String)
}

/// What an iterator from this number on reads, or why there is none.
fn from(host: &Host, shard: &str, kind: &str, number: &str) -> Result<Value, WireError> {
    let iterator = host.numbered(shard, kind, number)?;
    Ok(json!(host.read(&iterator, None).0))
}

/// The answer has the iterator, and nothing else.
#[test]
fn the_whole_answer() {
    let host = host_of(|store| store.iterator_key([9; 16]).incarnation(1), |stream| stream);
    let request = json!({
        "StreamArn": ARN, "ShardId": host.shard(), "ShardIteratorType": "TRIM_HORIZON",
    });
    let answer = host.call("GetShardIterator", request).unwrap();
    assert_eq!(answer, json!({ "ShardIterator": host.of_type("TRIM_HORIZON") }));
}

/// LATEST starts behind what was put before it was made. Taken on an empty shard it reads the very first
/// record, also if it is used in between.
#[test]
fn latest_on_an_empty_shard_reads_the_first_record() {
    let host = host();
    let latest = host.of_type("LATEST");
    let (page, next) = host.read(&latest, None);
    assert!(page.is_empty());
    host.put(2);
    assert_eq!(host.read(&latest, None).0, [0, 1]);
    assert_eq!(host.read(&next.unwrap(), None).0, [0, 1]);
    let latest = host.of_type("LATEST");
    host.put(1);
    assert_eq!(host.read(&latest, None).0, [0]);
    // On a closed shard it is at the end.
    let shard = host.shard();
    host.roll(&shard);
    assert_eq!(host.read(&host.of_type("LATEST"), None), (vec![], None));
}

/// TRIM_HORIZON starts at the first record that is retained when it is used, whatever is trimmed since.
#[test]
fn trim_horizon_is_where_the_horizon_is_when_it_is_used() {
    let host = host();
    let shard = host.shard();
    let horizon = host.of_type("TRIM_HORIZON");
    host.put(10);
    assert_eq!(host.read(&horizon, Some(2)).0, [0, 1]);
    host.trim(&shard, 7);
    assert_eq!(host.read(&horizon, Some(2)).0, [7, 8]);
    assert_eq!(host.read(&host.of_type("TRIM_HORIZON"), None).0, [7, 8, 9]);
}

/// The StartingSequenceNumber of an empty shard, as it is described, can be used for both types; both read
/// everything that comes, and go on doing so when the first records are trimmed.
#[test]
fn the_starting_number_of_an_empty_shard_reads_everything() {
    let host = host();
    let shard = host.shard();
    let described = host.describe(json!({})).unwrap();
    let start = &described["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"];
    let start = start.as_str().unwrap();
    let taken = NUMBERED.map(|kind| host.numbered(&shard, kind, start).unwrap());
    assert!(taken.iter().all(|iterator| host.read(iterator, None).0.is_empty()));
    host.put(3);
    assert!(taken.iter().all(|iterator| host.read(iterator, None).0 == [0, 1, 2]));
    for kind in NUMBERED {
        assert_eq!(from(&host, &shard, kind, start), Ok(json!([0, 1, 2])));
    }
    // All records are greater than it.
    assert!(*number(0, 1) > *start);
    host.trim(&shard, 2);
    for kind in NUMBERED {
        assert_eq!(from(&host, &shard, kind, start), Ok(json!([2])));
    }
}

/// SequenceNumber is required for AT and AFTER, and forbidden for the others.
#[test]
fn numbers_where_they_are_needed_and_nowhere_else() {
    let host = host();
    host.put(1);
    let required = "One or more parameter values were invalid: SequenceNumber is required for this iterator type";
    for kind in NUMBERED {
        invalid(get(&host, json!({ "ShardIteratorType": kind })), required);
        let null = json!({ "ShardIteratorType": kind, "SequenceNumber": null });
        invalid(get(&host, null), required);
    }
    let forbidden = "One or more parameter values were invalid: SequenceNumber should not be passed \
                     for this iterator type";
    for kind in ["TRIM_HORIZON", "LATEST"] {
        let with = |number: &str| {
            get(&host, json!({ "ShardIteratorType": kind, "SequenceNumber": number }))
        };
        invalid(with(&number(0, 1)), forbidden);
        // It is not even looked at.
        invalid(with("not-a-number-but-long"), forbidden);
    }
}

/// A number that is too short or too long breaks the model's rule; one that is not numeric is refused too.
#[test]
fn texts_that_are_no_numbers() {
    let host = host();
    let shard = host.shard();
    let (least, most) =
        ("have length greater than or equal to 21", "have length less than or equal to 40");
    let numeric =
        "One or more parameter values were invalid: SequenceNumber is not a decimal number";
    for kind in NUMBERED {
        let at = |number: &str| from(&host, &shard, kind, number);
        for short in ["1", "", &"1".repeat(20)] {
            broken(at(short), &format!("'{short}'"), "sequenceNumber", least);
        }
        let long = "1".repeat(41);
        broken(at(&long), &format!("'{long}'"), "sequenceNumber", most);
        for junk in ["not-a-number-but-long", "+00000000000000000000", &"\u{661}".repeat(21)] {
            invalid(at(junk), numeric);
        }
    }
}

/// Where `Invalid SequenceNumber for the shard` ends and TrimmedDataAccessException begins: a number below the
/// shard's start, or at or behind its end, is invalid; one from the start to the horizon is trimmed.
#[test]
fn the_border_between_invalid_and_trimmed() {
    let host = host();
    let shard = host.shard();
    host.put(10);
    host.trim(&shard, 4);
    let at = |n: &str| from(&host, &shard, "AT_SEQUENCE_NUMBER", n);
    let after = |n: &str| from(&host, &shard, "AFTER_SEQUENCE_NUMBER", n);
    let record = |n: u64| number(0, n);
    // Below the start, by one and by far; also by a number that no shard has.
    for below in ["099999999999999999999", "000000000000000000000", "000000000000000000001"] {
        invalid(at(below), OUTSIDE);
        invalid(after(below), OUTSIDE);
    }
    // The start itself is before the first record, which nobody asks for by it: no error.
    assert_eq!(at(&record(0)), Ok(json!([4, 5, 6, 7, 8, 9])));
    assert_eq!(after(&record(0)), Ok(json!([4, 5, 6, 7, 8, 9])));
    // From the first record to the last one before the horizon.
    for trimmed in 1..=4 {
        refused(at(&record(trimmed)), TRIMMED, TRIMMED_TEXT);
    }
    for trimmed in 1..=3 {
        refused(after(&record(trimmed)), TRIMMED, TRIMMED_TEXT);
    }
    // Behind the last trimmed record nothing is missing.
    assert_eq!(after(&record(4)), Ok(json!([4, 5, 6, 7, 8, 9])));
    assert_eq!(at(&record(5)), Ok(json!([4, 5, 6, 7, 8, 9])));
    assert_eq!(at(&record(10)), Ok(json!([9])));
    assert_eq!(after(&record(10)), Ok(json!([])));
    // At the end, where the next record will be, and behind it.
    for beyond in [record(11), record(12), number(1, 0), number(1, 1), "9".repeat(40)] {
        invalid(at(&beyond), OUTSIDE);
        invalid(after(&beyond), OUTSIDE);
    }
}

/// The same border in a closed shard, at its EndingSequenceNumber, and in one of which all is trimmed.
#[test]
fn the_border_in_a_closed_shard() {
    let host = host();
    let shard = host.shard();
    host.put(3);
    let child = host.roll(&shard);
    host.put(1);
    let described = host.describe(json!({})).unwrap();
    let end = &described["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"];
    let end = end.as_str().unwrap();
    assert_eq!(from(&host, &shard, "AT_SEQUENCE_NUMBER", end), Ok(json!([2])));
    assert_eq!(from(&host, &shard, "AFTER_SEQUENCE_NUMBER", end), Ok(json!([])));
    for kind in NUMBERED {
        invalid(from(&host, &shard, kind, &number(0, 4)), OUTSIDE);
        // The parent's numbers are not the child's, nor the child's the parent's.
        invalid(from(&host, &child, kind, end), OUTSIDE);
        invalid(from(&host, &shard, kind, &number(1, 1)), OUTSIDE);
    }
    host.trim(&shard, 3);
    refused(from(&host, &shard, "AT_SEQUENCE_NUMBER", end), TRIMMED, TRIMMED_TEXT);
    assert_eq!(from(&host, &shard, "AFTER_SEQUENCE_NUMBER", end), Ok(json!([])));
    invalid(from(&host, &shard, "AT_SEQUENCE_NUMBER", &number(0, 4)), OUTSIDE);
    // An empty shard ends at its start.
    let grandchild = host.roll(&child);
    host.roll(&grandchild);
    for kind in NUMBERED {
        assert_eq!(from(&host, &grandchild, kind, &number(2, 0)), Ok(json!([])));
        invalid(from(&host, &grandchild, kind, &number(2, 1)), OUTSIDE);
    }
}

/// An unknown shard: ResourceNotFoundException; an unknown stream too, with its ARN; a malformed ARN, and an id
/// of the wrong length: ValidationException.
#[test]
fn shards_and_streams_that_are_not_known() {
    let host = host();
    let shard = host.shard();
    let latest = |arn: &str, shard: &str| {
        let body = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "LATEST" });
        host.call("GetShardIterator", body)
    };
    let no_shard = "Requested resource not found: Shard does not exist";
    for other in [NO_SHARD, &shard.replace('-', "_"), &"x".repeat(28), &"x".repeat(65)] {
        refused(latest(ARN, other), "ResourceNotFoundException", no_shard);
    }
    let no_stream = format!("Requested resource not found: Stream: {UNKNOWN} not found");
    refused(latest(UNKNOWN, &shard), "ResourceNotFoundException", &no_stream);
    invalid(latest("junk", &shard), "Invalid StreamArn");
    let (short, long) = ("x".repeat(27), "x".repeat(66));
    let least = "have length greater than or equal to 28";
    broken(latest(ARN, &short), &format!("'{short}'"), "shardId", least);
    let most = "have length less than or equal to 65";
    broken(latest(ARN, &long), &format!("'{long}'"), "shardId", most);
}

/// Regression: the id of a shard that closed more than 24 hours ago was taken until somebody described the
/// stream.
#[test]
fn a_shard_that_has_expired_is_not_known_even_if_nobody_has_looked() {
    let host = host_of(|store| store, |stream| stream.roll_never());
    let shard = host.shard();
    host.put(1);
    host.roll(&shard);
    host.clock.advance_ms(24 * 60 * 60 * 1000);
    let horizon = || {
        let body = json!({
            "StreamArn": ARN, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        });
        host.call("GetShardIterator", body)
    };
    assert!(horizon().is_ok(), "it is still listed");
    host.clock.advance_ms(1);
    let no_shard = "Requested resource not found: Shard does not exist";
    refused(horizon(), "ResourceNotFoundException", no_shard);
}

/// First the types, then the model's rules for all members, then whether type and number fit, then the number,
/// then the stream, then the shard, then the place in it.
#[test]
fn the_order_in_which_an_iterator_is_refused() {
    let host = host();
    let get = |body: &Value| host.call("GetShardIterator", body.clone());
    let mut body = json!({ "ShardId": 1, "SequenceNumber": "1" });
    let wrong = "NUMBER_VALUE cannot be converted to String";
    refused(get(&body), "SerializationException", wrong);
    body["ShardId"] = json!("short");
    let must = "failed to satisfy constraint: Member must";
    let all = format!(
        "4 validation errors detected: Value null at 'streamArn' {must} not be null; Value 'short' at \
         'shardId' {must} have length greater than or equal to 28; Value null at \
         'shardIteratorType' {must} not be null; Value '1' at 'sequenceNumber' {must} have length \
         greater than or equal to 21"
    );
    invalid(get(&body), &all);
    body = json!({
        "StreamArn": "junk", "ShardId": NO_SHARD, "ShardIteratorType": "LATEST",
        "SequenceNumber": "no number, but long enough",
    });
    let forbidden = "One or more parameter values were invalid: SequenceNumber should not be passed \
                     for this iterator type";
    invalid(get(&body), forbidden);
    body["ShardIteratorType"] = json!("AT_SEQUENCE_NUMBER");
    let numeric =
        "One or more parameter values were invalid: SequenceNumber is not a decimal number";
    invalid(get(&body), numeric);
    body["SequenceNumber"] = json!(number(7, 7));
    invalid(get(&body), "Invalid StreamArn");
    body["StreamArn"] = json!(ARN);
    let no_shard = "Requested resource not found: Shard does not exist";
    refused(get(&body), "ResourceNotFoundException", no_shard);
    body["ShardId"] = json!(host.shard());
    invalid(get(&body), OUTSIDE);
    body["SequenceNumber"] = json!(number(0, 0));
    assert!(get(&body).is_ok());
    let words =
        "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]";
    for junk in ["AT_TIMESTAMP", "latest", ""] {
        body["ShardIteratorType"] = json!(junk);
        broken(get(&body), &format!("'{junk}'"), "shardIteratorType", words);
    }
}
