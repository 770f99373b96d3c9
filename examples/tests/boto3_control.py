"""boto3 against the emulator's transactions, its time to live, and what the control API makes happen.

Run:  python boto3_control.py TARGET/release/emulator
It starts that binary on a free port with a clock that stands still, and exits with 0 if everything held.
"""

import json
import sys
import urllib.error
import urllib.request

from boto3_session import Emulator, create, expect

START_MS = 1_795_348_800_000


def control(emulator, path, body=None):
    """A request of the control API: the status, and the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{emulator.url}/_streams/api/{path}", data=data)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def transactions(emulator):
    tables = emulator.client("dynamodb")
    create(tables, "accounts", "NEW_IMAGE")

    def put(pk, v, **more):
        item = {"pk": {"S": pk}, "v": {"N": str(v)}}
        return {"Put": {"TableName": "accounts", "Item": item, **more}}

    tables.transact_write_items(TransactItems=[put("a", 1), put("b", 2)])
    kept = dict(
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    response = expect(
        "TransactionCanceledException", "[None, ConditionalCheckFailed]",
        tables.transact_write_items, TransactItems=[put("c", 3), put("a", 9, **kept)],
    )
    assert response["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Item": {"pk": {"S": "a"}, "v": {"N": "1"}},
            "Message": "The conditional request failed",
        },
    ], response
    token = {"ClientRequestToken": "once"}
    add = {"Update": {
        "TableName": "accounts", "Key": {"pk": {"S": "a"}}, "UpdateExpression": "ADD v :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }}
    for _ in range(3):
        tables.transact_write_items(TransactItems=[add], **token)
    expect(
        "IdempotentParameterMismatchException", "other parameters",
        tables.transact_write_items, TransactItems=[put("a", 5)], **token,
    )
    keys = [{"Get": {"TableName": "accounts", "Key": {"pk": {"S": pk}}}} for pk in "abc"]
    found = tables.transact_get_items(TransactItems=keys)["Responses"]
    assert [one.get("Item", {}).get("v") for one in found] == [{"N": "2"}, {"N": "2"}, None], found


def time_to_live(emulator):
    tables, streams = emulator.client("dynamodb"), emulator.client("dynamodbstreams")
    arn = create(tables, "sessions", "OLD_IMAGE")
    on = {"Enabled": True, "AttributeName": "ends"}
    answer = tables.update_time_to_live(TableName="sessions", TimeToLiveSpecification=on)
    assert answer["TimeToLiveSpecification"] == on
    described = tables.describe_time_to_live(TableName="sessions")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}
    expect(
        "ValidationException", "TimeToLive is already enabled",
        tables.update_time_to_live, TableName="sessions", TimeToLiveSpecification=on,
    )
    _, clock = control(emulator, "clock")
    ends = clock["nowMs"] // 1000 + 3600
    item = {"pk": {"S": "a"}, "ends": {"N": str(ends)}}
    tables.put_item(TableName="sessions", Item=item)
    status, clock = control(emulator, "clock", {"advanceMs": 3_601_000})
    assert (status, clock["expired"]) == (200, 1), clock
    assert "Item" not in tables.get_item(TableName="sessions", Key={"pk": {"S": "a"}})
    records = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records += streams.get_records(ShardIterator=iterator)["Records"]
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]
    service = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert "userIdentity" not in records[0] and records[1]["userIdentity"] == service
    assert records[1]["dynamodb"]["OldImage"] == item


def shards(emulator):
    tables, streams = emulator.client("dynamodb"), emulator.client("dynamodbstreams")
    arn = create(tables, "things", "KEYS_ONLY")
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert len(described) == 2
    first = described[0]["ShardId"]
    status, answer = control(emulator, "split", {"streamArn": arn, "shardId": first})
    assert status == 200 and len(answer["children"]) == 2, answer
    # What is shown goes into the next call: boto3 checks it.
    filtered = streams.describe_stream(
        StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": first}
    )["StreamDescription"]["Shards"]
    assert [shard["ShardId"] for shard in filtered] == answer["children"]
    for child in answer["children"]:
        assert control(emulator, "roll", {"streamArn": arn, "shardId": child})[0] == 200
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert len(described) == 6
    _, shown = control(emulator, "streams")
    [stream] = [stream for stream in shown["streams"] if stream["streamArn"] == arn]
    assert [shard["shardId"] for shard in stream["shards"]] == [s["ShardId"] for s in described]
    status, answer = control(emulator, "roll", {"streamArn": arn, "shardId": "none"})
    assert (status, answer["code"]) == (404, "ShardNotFound"), answer


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    emulator = Emulator(sys.argv[1], "--manual-clock", str(START_MS), "--shards", "2")
    passed = 0
    try:
        for name, test in [
            ("transactions", transactions),
            ("shards that are split and rolled", shards),
            ("time to live", time_to_live),
        ]:
            test(emulator)
            print(f"ok: {name}", flush=True)
            passed += 1
    finally:
        emulator.stop()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
