"""boto3 against shards that are rolled, split and forgotten: every id, number and token that the emulator hands
out goes back into every call that takes one, with parameter validation on.

Run:  python boto3_lineage.py TARGET/release/emulator
It starts that binary on a free port with a clock that stands still, and exits with 0 if everything held.
"""

import re
import sys

from boto3_control import START_MS, control
from boto3_session import Emulator, create, expect, read, shards_of

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
ITEMS = 12
SHARD_ID = r"shardId-[0-9]{20}-[0-9a-f]{8}"
NUMBER = r"[0-9]{21,40}"


class Lineage:
    """A stream of two shards at first, of which one is rolled, and its child split."""

    def __init__(self, emulator, name):
        self.emulator, self.name = emulator, name
        self.tables = emulator.client("dynamodb")
        self.streams = emulator.client("dynamodbstreams")
        self.arn = create(self.tables, name, "NEW_IMAGE")
        self.version = 0
        self.write()
        [first, _] = self.ids()
        [child] = self.close("roll", first)
        self.write()
        self.grandchildren = self.close("split", child)
        self.write()
        self.first, self.child = first, child

    def ids(self):
        return [shard["ShardId"] for shard in shards_of(self.streams, self.arn)]

    def close(self, how, shard):
        status, answer = control(self.emulator, how, {"streamArn": self.arn, "shardId": shard})
        assert status == 200, answer
        return answer["children"]

    def write(self):
        for number in range(ITEMS):
            item = {"pk": {"S": f"item-{number}"}, "version": {"N": str(self.version)}}
            self.tables.put_item(TableName=self.name, Item=item)
        self.version += 1

    def iterator(self, shard, kind, **more):
        answer = self.streams.get_shard_iterator(
            StreamArn=self.arn, ShardId=shard, ShardIteratorType=kind, **more
        )
        assert answer["ShardIterator"].startswith(self.arn + "|"), answer
        return answer["ShardIterator"]

    def numbers(self, shard, kind, limit=5, **more):
        """The numbers of the records from there on, by pages, and whether the shard has ended."""
        records, after = read(self.streams, self.iterator(shard, kind, **more), limit)
        return [record["dynamodb"]["SequenceNumber"] for record in records], after is None

    def children(self, shard):
        described = self.streams.describe_stream(
            StreamArn=self.arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shard}
        )["StreamDescription"]
        return [child["ShardId"] for child in described["Shards"]]


def every_id_and_number(emulator):
    lineage = Lineage(emulator, "lineage")
    streams, tables = lineage.streams, lineage.tables
    shards = shards_of(streams, lineage.arn)
    assert [shard["ShardId"] for shard in shards] == sorted(shard["ShardId"] for shard in shards)
    parents = {shard["ShardId"]: shard.get("ParentShardId") for shard in shards}
    left, right = lineage.grandchildren
    assert (parents[lineage.child], parents[left], parents[right]) == (
        lineage.first, lineage.child, lineage.child
    )
    assert len(shards) == 5 and list(parents.values()).count(None) == 2

    read_in_all = 0
    for at, shard in enumerate(shards):
        name, numbers_range = shard["ShardId"], shard["SequenceNumberRange"]
        assert re.fullmatch(SHARD_ID, name), name
        start, end = (numbers_range.get(f"{which}SequenceNumber") for which in ("Starting", "Ending"))
        closed = name in (lineage.first, lineage.child)
        assert (end is not None) == closed, shard
        numbers, ended = lineage.numbers(name, "TRIM_HORIZON")
        read_in_all += len(numbers)
        assert ended == closed and all(re.fullmatch(NUMBER, number) for number in numbers)
        as_integers = list(map(int, [start, *numbers]))
        assert as_integers == sorted(set(as_integers)), as_integers
        assert lineage.numbers(name, "LATEST") == ([], closed)
        for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            assert lineage.numbers(name, kind, SequenceNumber=start) == (numbers, closed)
        if closed:
            assert end == numbers[-1]
            assert lineage.numbers(name, "AT_SEQUENCE_NUMBER", SequenceNumber=end) == ([end], True)
            assert lineage.numbers(name, "AFTER_SEQUENCE_NUMBER", SequenceNumber=end) == ([], True)
        for index, number in enumerate(numbers):
            found = lineage.numbers(name, "AT_SEQUENCE_NUMBER", SequenceNumber=number)
            assert found == (numbers[index:], closed)
            found = lineage.numbers(name, "AFTER_SEQUENCE_NUMBER", SequenceNumber=number)
            assert found == (numbers[index + 1:], closed)
        # The number of another shard is none of this one.
        other = shards[at - 1]["SequenceNumberRange"]["StartingSequenceNumber"]
        expect(
            "ValidationException", "Invalid SequenceNumber for the shard", lineage.iterator,
            shard=name, kind="AT_SEQUENCE_NUMBER", SequenceNumber=other,
        )
        # As the parent of others, and as the last one of a page.
        assert lineage.children(name) == [id for id, parent in parents.items() if parent == name]
        rest = streams.describe_stream(StreamArn=lineage.arn, ExclusiveStartShardId=name)
        assert rest["StreamDescription"]["Shards"] == shards[at + 1:]
    assert read_in_all == 3 * ITEMS

    # The ARN and the label, from wherever they come.
    [listed] = streams.list_streams(TableName="lineage")["Streams"]
    table = tables.describe_table(TableName="lineage")["Table"]
    described = streams.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]
    assert lineage.arn == listed["StreamArn"] == table["LatestStreamArn"] == described["StreamArn"]
    label = listed["StreamLabel"]
    assert label == table["LatestStreamLabel"] == described["StreamLabel"]
    assert lineage.arn == f"{table['TableArn']}/stream/{label}"
    after = streams.list_streams(ExclusiveStartStreamArn=lineage.arn, TableName="lineage")
    assert after["Streams"] == []


def order_through_the_lineage(emulator):
    """A consumer that reads parents before children is told each item's versions in order."""
    lineage = Lineage(emulator, "in-order")
    shards = shards_of(lineage.streams, lineage.arn)
    told, ids, done = {}, set(), set()
    while len(done) < len(shards):
        for shard in shards:
            name = shard["ShardId"]
            if name in done or shard.get("ParentShardId") not in {None, *done}:
                continue
            for record in read(lineage.streams, lineage.iterator(name, "TRIM_HORIZON"), limit=1)[0]:
                image = record["dynamodb"]["NewImage"]
                told.setdefault(image["pk"]["S"], []).append(int(image["version"]["N"]))
                assert re.fullmatch("[0-9a-f]{32}", record["eventID"])
                ids.add(record["eventID"])
            done.add(name)
    assert told == {f"item-{number}": [0, 1, 2] for number in range(ITEMS)}, told
    assert len(ids) == 3 * ITEMS, "each record has an id of its own"


def iterators_through_time(emulator):
    """Tokens from before a roll and a split go on, also behind a trim, until they are 15 minutes old."""
    lineage = Lineage(emulator, "through-time")
    streams = lineage.streams
    left = lineage.grandchildren[0]
    horizon = lineage.iterator(left, "TRIM_HORIZON")
    numbers, _ = lineage.numbers(left, "TRIM_HORIZON")
    assert len(numbers) >= 2, "enough for a page and more"
    page = streams.get_records(ShardIterator=horizon, Limit=1)
    token = page["NextShardIterator"]
    [grandchild] = lineage.close("roll", left)
    rest, after = read(streams, token)
    assert [record["dynamodb"]["SequenceNumber"] for record in rest] == numbers[1:]
    assert after is None and lineage.children(left) == [grandchild]
    assert control(emulator, "clock", {"advanceMs": 15 * MINUTE_MS})[0] == 200
    assert len(streams.get_records(ShardIterator=token)["Records"]) == len(numbers) - 1
    assert control(emulator, "clock", {"advanceMs": 1})[0] == 200
    for expired in (horizon, token):
        try:
            streams.get_records(ShardIterator=expired)
            raise AssertionError("it is too old")
        except streams.exceptions.ExpiredIteratorException as error:
            assert error.response["Error"]["Message"] == "Shard iterator has expired"

    # A day after they were put, the records are gone; the open shards' iterators say so.
    assert control(emulator, "clock", {"advanceMs": 24 * HOUR_MS - 16 * MINUTE_MS})[0] == 200
    right = lineage.grandchildren[1]
    first = lineage.numbers(right, "TRIM_HORIZON")[0][0]
    at_first = lineage.iterator(right, "AT_SEQUENCE_NUMBER", SequenceNumber=first)
    assert control(emulator, "clock", {"advanceMs": MINUTE_MS})[0] == 200
    try:
        streams.get_records(ShardIterator=at_first)
        raise AssertionError("it is trimmed")
    except streams.exceptions.TrimmedDataAccessException as error:
        assert "has been trimmed" in error.response["Error"]["Message"]

    # Those that were closed a day ago have expired. Their ids still name their children's parent.
    known = lineage.ids()
    assert not {lineage.first, lineage.child, left} & set(known) and right in known
    assert lineage.children(lineage.child) == [right]
    expect(
        "ResourceNotFoundException", "Shard does not exist", lineage.iterator,
        shard=lineage.first, kind="TRIM_HORIZON",
    )
    behind = streams.describe_stream(StreamArn=lineage.arn, ExclusiveStartShardId=lineage.first)
    behind = [shard["ShardId"] for shard in behind["StreamDescription"]["Shards"]]
    assert behind == [name for name in known if name > lineage.first] and right in behind


def rates(binary):
    """What is throttled has the names that boto3 knows."""
    options = ("--rate-limits", "--manual-clock", str(START_MS))
    emulator = Emulator(binary, *options)
    try:
        streams = emulator.client("dynamodbstreams")
        arn = create(emulator.client("dynamodb"), "rates", "KEYS_ONLY")
        for _ in range(10):
            described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        expect("ThrottlingException", "DescribeStream", streams.describe_stream, StreamArn=arn)
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=described["Shards"][0]["ShardId"], ShardIteratorType="LATEST"
        )["ShardIterator"]
        for _ in range(10):
            iterator = streams.get_records(ShardIterator=iterator)["NextShardIterator"]
        try:
            streams.get_records(ShardIterator=iterator)
            raise AssertionError("the eleventh in a second")
        except streams.exceptions.LimitExceededException as error:
            assert "10 times per second" in error.response["Error"]["Message"]
        assert control(emulator, "clock", {"advanceMs": 1000})[0] == 200
        assert streams.get_records(ShardIterator=iterator)["Records"] == []
    finally:
        emulator.stop()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    emulator = Emulator(sys.argv[1], "--manual-clock", str(START_MS), "--shards", "2")
    passed = 0
    try:
        for name, test in [
            ("every id and number, through a roll and a split", every_id_and_number),
            ("order through the lineage", order_through_the_lineage),
            ("iterators through time", iterators_through_time),
            ("rates", lambda _: rates(sys.argv[1])),
        ]:
            test(emulator)
            print(f"ok: {name}", flush=True)
            passed += 1
    finally:
        emulator.stop()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
