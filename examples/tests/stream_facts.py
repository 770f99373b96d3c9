"""What an endpoint's streams do, asked of the endpoint: one line for each fact, `yes` or `no`.

Usage: python stream_facts.py http://127.0.0.1:8000 [another ...]
Needs boto3. The rules are those of the Amazon DynamoDB Streams API Reference and the Developer Guide.
"""

import sys
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

FACTS = []


def fact(text):
    def keep(ask):
        FACTS.append((text, ask))
        return ask

    return keep


class Endpoint:
    def __init__(self, url):
        settings = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="local",
                        aws_secret_access_key="local", config=Config(retries={"max_attempts": 0}))
        self.tables = boto3.client("dynamodb", **settings)
        self.streams = boto3.client("dynamodbstreams", **settings)

    def table(self, view="NEW_AND_OLD_IMAGES"):
        name = f"facts-{uuid.uuid4().hex[:8]}"
        self.tables.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view})
        return name

    def put(self, name, key="a", **more):
        self.tables.put_item(TableName=name, Item={"id": {"S": key}, **more})

    def arn(self, name):
        return self.tables.describe_table(TableName=name)["Table"]["LatestStreamArn"]

    def shards(self, name):
        described = self.streams.describe_stream(StreamArn=self.arn(name))
        return described["StreamDescription"]["Shards"]

    def iterator(self, name, kind="TRIM_HORIZON", **more):
        return self.streams.get_shard_iterator(
            StreamArn=self.arn(name), ShardId=self.shards(name)[-1]["ShardId"],
            ShardIteratorType=kind, **more)["ShardIterator"]

    def records(self, name):
        return self.streams.get_records(ShardIterator=self.iterator(name))["Records"]


@fact("a write that changes nothing leaves no record")
def no_op(endpoint):
    name = endpoint.table()
    endpoint.put(name)
    endpoint.put(name)
    return len(endpoint.records(name)) == 1


@fact("a delete of nothing leaves no record")
def no_delete(endpoint):
    name = endpoint.table()
    endpoint.put(name)
    endpoint.tables.delete_item(TableName=name, Key={"id": {"S": "none"}})
    return len(endpoint.records(name)) == 1


@fact("a record is there when its write is acknowledged, 200 times of 200")
def at_once(endpoint):
    name = endpoint.table()
    endpoint.put(name, "first")
    iterator = endpoint.iterator(name)
    iterator = endpoint.streams.get_records(ShardIterator=iterator)["NextShardIterator"]
    for number in range(200):
        endpoint.put(name, str(number))
        page = endpoint.streams.get_records(ShardIterator=iterator)
        if [record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]] != [str(number)]:
            return False
        iterator = page["NextShardIterator"]
    return True


@fact("LATEST gets the first record after it")
def latest(endpoint):
    name = endpoint.table()
    endpoint.put(name, "before")
    iterator = endpoint.iterator(name, "LATEST")
    endpoint.put(name, "after")
    records = endpoint.streams.get_records(ShardIterator=iterator)["Records"]
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records] == ["after"]


@fact("sequence numbers have 21 to 40 digits and rise")
def numbers(endpoint):
    name = endpoint.table()
    for number in range(20):
        endpoint.put(name, str(number))
    given = [record["dynamodb"]["SequenceNumber"] for record in endpoint.records(name)]
    rising = [int(number) for number in given]
    return len(given) == 20 and rising == sorted(set(rising)) and all(21 <= len(number) <= 40 for number in given)


@fact("a transaction's changes are in the stream, all of them")
def transaction(endpoint):
    name = endpoint.table()
    put = lambda key: {"Put": {"TableName": name, "Item": {"id": {"S": key}}}}
    endpoint.tables.transact_write_items(TransactItems=[put("a"), put("b"), put("c")])
    return len(endpoint.records(name)) == 3


@fact("a view of keys only shows keys only")
def keys_only(endpoint):
    name = endpoint.table("KEYS_ONLY")
    endpoint.put(name, x={"S": "secret"})
    record = endpoint.records(name)[0]["dynamodb"]
    return "NewImage" not in record and "OldImage" not in record and "Keys" in record


@fact("a disabled stream stays readable, its shards closed")
def disabled(endpoint):
    name = endpoint.table()
    endpoint.put(name)
    arn = endpoint.arn(name)
    endpoint.tables.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    described = endpoint.streams.describe_stream(StreamArn=arn)["StreamDescription"]
    shard = described["Shards"][-1]
    iterator = endpoint.streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    page = endpoint.streams.get_records(ShardIterator=iterator)
    return (described["StreamStatus"] == "DISABLED" and len(page["Records"]) == 1
            and "EndingSequenceNumber" in shard["SequenceNumberRange"])


@fact("a new stream of the table has a new ARN")
def again(endpoint):
    name = endpoint.table()
    before = endpoint.arn(name)
    endpoint.tables.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    endpoint.tables.update_table(
        TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    return endpoint.arn(name) != before


@fact("an iterator that was changed is refused")
def changed(endpoint):
    name = endpoint.table()
    endpoint.put(name)
    iterator = endpoint.iterator(name)
    place = len(iterator) - 8
    other = "A" if iterator[place] != "A" else "B"
    try:
        endpoint.streams.get_records(ShardIterator=iterator[:place] + other + iterator[place + 1:])
    except ClientError:
        return True
    return False


@fact("GetRecords refuses a limit of 1001")
def limit(endpoint):
    name = endpoint.table()
    endpoint.put(name)
    try:
        endpoint.streams.get_records(ShardIterator=endpoint.iterator(name), Limit=1001)
    except ClientError:
        return True
    return False


@fact("an item that expires leaves a record of the service's own (within 5 s)")
def expires(endpoint):
    name = endpoint.table()
    endpoint.tables.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
    endpoint.put(name, ends={"N": str(int(time.time()) - 60)})
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        removed = [record for record in endpoint.records(name) if record["eventName"] == "REMOVE"]
        if removed:
            return removed[0].get("userIdentity", {}).get("PrincipalId") == "dynamodb.amazonaws.com"
    return False


def ask(endpoint, question):
    try:
        return "yes" if question(endpoint) else "no"
    except Exception as error:  # Whatever the endpoint answers, the next question is asked.
        return f"no ({type(error).__name__})"


def main(urls):
    endpoints = [Endpoint(url) for url in urls]
    print("| | " + " | ".join(urls) + " |\n|---|" + "---|" * len(urls))
    for text, question in FACTS:
        print(f"| {text} | " + " | ".join(ask(endpoint, question) for endpoint in endpoints) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
