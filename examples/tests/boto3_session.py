"""boto3 against the emulator, parameter validation on: every id and token that the emulator hands out
goes back into the next call, so one that breaks AWS's service model would stop the client.

Run:  python boto3_session.py TARGET/release/emulator
It starts that binary on a free port, and exits with 0 if everything held.
"""

import random
import re
import subprocess
import sys
import threading
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from botocore.exceptions import ClientError

CLIENTS, ITEMS, MUTATIONS = 8, 100, 2000
VIEWS = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]


class Emulator:
    """The process under test."""

    def __init__(self, binary, *options):
        self.process = subprocess.Popen(
            [binary, "--port", "0", *options], stdout=subprocess.PIPE, text=True
        )
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def _args(self):
        return dict(
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            # No retries: a failure must be seen, and nothing written twice.
            config=Config(
                parameter_validation=True, retries={"total_max_attempts": 1}, max_pool_connections=1
            ),
        )

    def client(self, service):
        return boto3.session.Session().client(service, **self._args())

    def resource(self):
        return boto3.session.Session().resource("dynamodb", **self._args())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0, "a clean end"


def expect(error_code, text, call, **arguments):
    """The call must fail, with this code, and a message that contains this text."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == error_code, found
        assert text in found["Message"], found
        return error.response
    raise AssertionError(f"{arguments} was answered: {answer}")


def create(tables, name, view):
    made = tables.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
    )["TableDescription"]
    tables.get_waiter("table_exists").wait(TableName=name)
    return made["LatestStreamArn"]


def shards_of(streams, arn):
    """All shards, by pages of one, each page's token sent back."""
    shards, after = [], {}
    while True:
        described = streams.describe_stream(StreamArn=arn, Limit=1, **after)["StreamDescription"]
        shards += described["Shards"]
        if "LastEvaluatedShardId" not in described:
            return shards
        after = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}


def read(streams, iterator, limit=1000):
    """Records up to the first empty page; also the iterator to go on with."""
    records = []
    while iterator is not None:
        page = streams.get_records(ShardIterator=iterator, Limit=limit)
        iterator = page.get("NextShardIterator")
        records += page["Records"]
        if not page["Records"]:
            break
    return records, iterator


def read_stream(streams, arn):
    records = []
    for shard in shards_of(streams, arn):
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records += read(streams, iterator)[0]
    return records


def write(emulator, table, client, view, expected):
    """One client's share of the mutations, on items of its own; what the stream must say of them."""
    dice = random.Random(client)
    tables = emulator.resource().Table(table)
    items = {f"item-{index}": None for index in range(client, ITEMS, CLIENTS)}
    for number in range(client, MUTATIONS, CLIENTS):
        pk = dice.choice(list(items))
        old = items[pk]
        kind = dice.random()
        if kind < 0.4:
            new = {
                "pk": pk, "number": number, "text": "é🦀\"\\\n", "flag": number % 2 == 0,
                "none": None, "list": [Decimal("1.5"), {"deep": "x"}], "set": {"a", "b"},
            }
            tables.put_item(Item=new)
            if kind < 0.1:
                tables.put_item(Item=dict(reversed(new.items())))  # changes nothing
        elif kind < 0.8:
            new = dict(old or {"pk": pk}, number=number)
            new["count"] = new.get("count", 0) + 1
            answer = tables.update_item(
                Key={"pk": pk},
                UpdateExpression="SET #n = :n ADD #c :one",
                ExpressionAttributeNames={"#n": "number", "#c": "count"},
                ExpressionAttributeValues={":n": number, ":one": 1},
                ReturnValues="ALL_NEW",
            )
            assert answer["Attributes"] == new, (answer["Attributes"], new)
        else:
            new = None
            tables.delete_item(Key={"pk": pk})
        if (old, new) != (None, None):
            event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            expected.setdefault(pk, []).append((event, new, old))
        items[pk] = new


def mutations(emulator, view):
    """Many clients write; the stream tells each change once, in each item's order, with its images."""
    streams, table = emulator.client("dynamodbstreams"), f"mutations-{view}"
    arn = create(emulator.client("dynamodb"), table, view)
    shares = [{} for _ in range(CLIENTS)]
    failures = []

    def share(client):
        try:
            write(emulator, table, client, view, shares[client])
        except BaseException as failure:  # raised again below, in the main thread
            failures.append(failure)

    threads = [threading.Thread(target=share, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    expected = {pk: changes for share in shares for pk, changes in share.items()}

    plain = TypeDeserializer().deserialize
    found, last = {}, 0
    for record in read_stream(streams, arn):
        data = record["dynamodb"]
        number = int(data["SequenceNumber"])
        assert number > last, "numbers rise"
        last = number
        assert list(data["Keys"]) == ["pk"]
        assert re.fullmatch("[0-9a-f]{32}", record["eventID"]), record["eventID"]
        assert (record["eventVersion"], record["eventSource"]) == ("1.1", "aws:dynamodb")
        assert data["StreamViewType"] == view and data["SizeBytes"] > 0
        image = lambda name: (
            {key: plain(value) for key, value in data[name].items()} if name in data else None
        )
        found.setdefault(data["Keys"]["pk"]["S"], []).append(
            (record["eventName"], image("NewImage"), image("OldImage"))
        )
    shows_new, shows_old = view.startswith("NEW"), "OLD" in view
    for pk in expected:
        wanted = [
            (event, new if shows_new else None, old if shows_old else None)
            for event, new, old in expected[pk]
        ]
        assert found.get(pk) == wanted, (view, pk, found.get(pk), wanted)
    assert found.keys() == expected.keys()
    return sum(map(len, expected.values()))


def put_then_read(emulator, times=200):
    """What is acknowledged is there for another client at once."""
    tables, streams = emulator.client("dynamodb"), emulator.client("dynamodbstreams")
    arn = create(tables, "at-once", "NEW_IMAGE")
    [shard] = shards_of(streams, arn)
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="LATEST"
    )["ShardIterator"]
    for number in range(times):
        item = {"pk": {"S": "one"}, "number": {"N": str(number)}}
        tables.put_item(TableName="at-once", Item=item)
        page = streams.get_records(ShardIterator=iterator)
        assert [r["dynamodb"]["NewImage"] for r in page["Records"]] == [item], number
        iterator = page["NextShardIterator"]


def round_trips(emulator):
    """Each id, number and token goes back to where it came from."""
    tables, streams = emulator.client("dynamodb"), emulator.client("dynamodbstreams")
    arns = {create(tables, f"listed-{index}", "KEYS_ONLY") for index in range(5)}
    listed, after = [], {}
    while True:
        page = streams.list_streams(Limit=2, **after)
        listed += page["Streams"]
        if "LastEvaluatedStreamArn" not in page:
            break
        after = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert arns <= {stream["StreamArn"] for stream in listed}
    [stream] = streams.list_streams(TableName="listed-0")["Streams"]
    arn = stream["StreamArn"]
    assert arn.endswith("/stream/" + stream["StreamLabel"])
    for number in range(10):
        tables.put_item(TableName="listed-0", Item={"pk": {"S": str(number)}})

    description = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert description["StreamStatus"] == "ENABLED"
    assert description["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    [shard] = description["Shards"]
    start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
    assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]

    def from_(kind, **more):
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind, **more
        )["ShardIterator"]
        return [r["dynamodb"]["SequenceNumber"] for r in read(streams, iterator, limit=3)[0]]

    numbers = from_("TRIM_HORIZON")
    assert len(numbers) == 10 and from_("LATEST") == []
    assert from_("AT_SEQUENCE_NUMBER", SequenceNumber=start) == numbers
    for index, number in enumerate(numbers):
        assert from_("AT_SEQUENCE_NUMBER", SequenceNumber=number) == numbers[index:]
        assert from_("AFTER_SEQUENCE_NUMBER", SequenceNumber=number) == numbers[index + 1 :]

    # One iterator, read twice, gives the same records and event ids.
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    once, again = (streams.get_records(ShardIterator=iterator)["Records"] for _ in range(2))
    assert once == again

    # Disabled: closed, with an end, readable to its last record, and then no iterator more.
    tables.update_table(TableName="listed-0", StreamSpecification={"StreamEnabled": False})
    description = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert description["StreamStatus"] == "DISABLED"
    [closed] = description["Shards"]
    assert closed["SequenceNumberRange"]["EndingSequenceNumber"] == numbers[-1]
    page = streams.get_records(ShardIterator=iterator)
    assert page["Records"] == once and "NextShardIterator" not in page

    expect(
        "ValidationException", "Table has no stream to disable", tables.update_table,
        TableName="listed-0", StreamSpecification={"StreamEnabled": False},
    )
    missing = arn[:-3] + "000" if not arn.endswith("000") else arn[:-3] + "001"
    expect(
        "ResourceNotFoundException", f"Stream: {missing} not found",
        streams.describe_stream, StreamArn=missing,
    )
    expect(
        "ValidationException", "Invalid ShardIterator", streams.get_records,
        ShardIterator=f"{arn}|1|AAAA",
    )


def table_side(emulator):
    """What a producer does with tables, through boto3's own helpers."""
    tables, resource = emulator.client("dynamodb"), emulator.resource()
    table = resource.create_table(
        TableName="songs",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in [("artist", "S"), ("song", "S"), ("year", "N")]
        ],
        KeySchema=[
            {"AttributeName": "artist", "KeyType": "HASH"},
            {"AttributeName": "song", "KeyType": "RANGE"},
        ],
        LocalSecondaryIndexes=[{
            "IndexName": "by-year",
            "KeySchema": [
                {"AttributeName": "artist", "KeyType": "HASH"},
                {"AttributeName": "year", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    table.wait_until_exists()
    with table.batch_writer() as batch:
        for number in range(60):
            batch.put_item(
                Item={"artist": "a", "song": f"s{number:02}", "year": 2000 - number, "n": number}
            )
    pages = tables.get_paginator("query").paginate(
        TableName="songs",
        KeyConditionExpression="artist = :a",
        ExpressionAttributeValues={":a": {"S": "a"}},
        PaginationConfig={"PageSize": 7},
    )
    songs = [item["song"]["S"] for page in pages for item in page["Items"]]
    assert songs == [f"s{number:02}" for number in range(60)]
    by_year = table.query(
        IndexName="by-year",
        KeyConditionExpression=Key("artist").eq("a") & Key("year").between(1950, 1952),
    )["Items"]
    assert [int(item["n"]) for item in by_year] == [50, 49, 48]
    found = table.scan(
        FilterExpression=(Attr("n").gte(10) & Attr("n").lt(20)) | Attr("song").begins_with("s5"),
        ProjectionExpression="n",
    )["Items"]
    assert sorted(int(item["n"]) for item in found) == [*range(10, 20), *range(50, 60)]
    keys = [{"artist": "a", "song": f"s{number:02}"} for number in range(3)]
    got = resource.batch_get_item(RequestItems={"songs": {"Keys": keys}})
    assert len(got["Responses"]["songs"]) == 3
    response = expect(
        "ConditionalCheckFailedException", "The conditional request failed", tables.put_item,
        TableName="songs", Item={"artist": {"S": "a"}, "song": {"S": "s00"}},
        ConditionExpression="attribute_not_exists(artist)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert response["Item"]["n"] == {"N": "0"}
    arn = table.table_arn
    tables.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "x"}])
    tags = tables.list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "team", "Value": "x"}]
    tables.untag_resource(ResourceArn=arn, TagKeys=["team"])
    names = [
        name
        for page in tables.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
        for name in page["TableNames"]
    ]
    assert "songs" in names and names == sorted(names)
    assert tables.describe_limits()["AccountMaxReadCapacityUnits"] > 0
    assert tables.describe_endpoints()["Endpoints"]
    tables.delete_table(TableName="songs")
    tables.get_waiter("table_not_exists").wait(TableName="songs")
    expect(
        "ResourceNotFoundException", "Requested resource not found", tables.get_item,
        TableName="songs", Key={"artist": {"S": "a"}, "song": {"S": "s00"}},
    )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    emulator = Emulator(sys.argv[1])
    passed = 0
    try:
        for name, test in [
            ("round trips of ids and tokens", round_trips),
            ("the table side", table_side),
            ("put, then read at once", put_then_read),
            *((f"mutations, {view}", lambda e, view=view: mutations(e, view)) for view in VIEWS),
        ]:
            result = test(emulator)
            print(f"ok: {name}" + (f" ({result} records)" if result else ""), flush=True)
            passed += 1
    finally:
        emulator.stop()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
