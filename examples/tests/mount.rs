//! The HTTP layer, mounted in a server with tables of its own: what `examples/mount.rs` promises.

#[allow(dead_code, missing_docs, reason = "an example, with a main of its own")]
#[path = "../mount.rs"]
mod mount;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

struct Client(axum::Router);

impl Client {
    async fn ask(&mut self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let answer: Response<Body> = self.0.call(request).await.expect("infallible");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a body").to_bytes().into())
    }

    async fn call(&mut self, target: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post("/")
            .header("x-amz-target", target)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=x")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let (status, body) = self.ask(request).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn ok(&mut self, target: &str, body: Value) -> Value {
        let (status, answer) = self.call(target, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

#[tokio::test]
async fn a_host_with_a_table_of_its_own_has_streams_and_its_other_routes() {
    let mut client = Client(mount::router().expect("a router"));
    let hello = Request::get("/hello").body(Body::empty()).expect("a request");
    assert_eq!(client.ask(hello).await.1, b"a server with notes");

    for text in ["first", "second"] {
        let item = json!({ "id": { "S": "a" }, "text": { "S": text } });
        client.ok("DynamoDB_20120810.PutItem", json!({ "TableName": "Notes", "Item": item })).await;
    }
    let key = json!({ "TableName": "Notes", "Key": { "id": { "S": "a" } } });
    let note = client.ok("DynamoDB_20120810.GetItem", key).await;
    assert_eq!(note["Item"]["text"], json!({ "S": "second" }));

    let streams = client.ok("DynamoDBStreams_20120810.ListStreams", json!({})).await;
    let arn = &streams["Streams"][0]["StreamArn"];
    let described =
        client.ok("DynamoDBStreams_20120810.DescribeStream", json!({ "StreamArn": arn })).await;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let from = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = client.ok("DynamoDBStreams_20120810.GetShardIterator", from).await;
    let records = client.ok("DynamoDBStreams_20120810.GetRecords", iterator).await;
    let names: Vec<_> = records["Records"].as_array().expect("records").iter().collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0]["eventName"], "INSERT");
    assert_eq!(names[1]["eventName"], "MODIFY");
    assert_eq!(names[1]["dynamodb"]["OldImage"]["text"], json!({ "S": "first" }));
}

#[tokio::test]
async fn what_the_host_does_not_serve_is_refused_by_name() {
    let mut client = Client(mount::router().expect("a router"));
    let (status, answer) = client.call("DynamoDB_20120810.Fly", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["message"], "This endpoint does not serve the operation Fly");
    let (status, answer) =
        client.call("DynamoDB_20120810.PutItem", json!({ "TableName": "x", "Item": {} })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["message"], "there is one table: Notes");
}
