//! A connection to an endpoint: one HTTP/1.1 connection, one request at a time, no SDK.
//!
//! The client shares the machine with what it measures, so it does little: headers are made once, and
//! answers are not read further than whoever asked for them reads.

use std::fmt;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::{self, AbortHandle};

/// Why the run cannot go on.
#[derive(Debug)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Broken {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Where the server listens: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Reads `http://host:port`, with or without the scheme.
    ///
    /// # Errors
    ///
    /// Anything else, HTTPS among it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = || format!("an endpoint is http://host:port, and not {text}");
        let uri: Uri = text.parse().map_err(|_| allowed())?;
        let plain = matches!(uri.scheme_str(), None | Some("http"));
        match uri.authority() {
            Some(authority) if plain => Ok(Self(match authority.port_u16() {
                Some(_) => authority.to_string(),
                None => format!("{authority}:80"),
            })),
            _ => Err(allowed()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// An operation, as its header names it.
#[derive(Clone)]
pub struct Target(HeaderValue);

impl Target {
    /// An operation on tables.
    pub fn tables(operation: &str) -> Self {
        Self::of("DynamoDB_20120810", operation)
    }

    /// An operation on streams.
    pub fn streams(operation: &str) -> Self {
        Self::of("DynamoDBStreams_20120810", operation)
    }

    fn of(api: &str, operation: &str) -> Self {
        let text = format!("{api}.{operation}");
        Self(HeaderValue::from_str(&text).expect("operations have plain names"))
    }
}

/// An answer.
pub enum Answer {
    Done(Bytes),
    /// Any status but 200.
    Refused(String),
}

/// One connection, and the next one if the server closes it after an answer, as HTTP/1.0 does.
pub struct Connection {
    endpoint: Endpoint,
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    driver: AbortHandle,
}

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const DATE: HeaderValue = HeaderValue::from_static("20260101T000000Z");
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
/// Local servers check no signature, but some want one that is whole, or look in it for the region.
const SIGNATURE: HeaderValue = HeaderValue::from_static(
    "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
     Signature=0000000000000000000000000000000000000000000000000000000000000000",
);

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Nobody listens, or they do not speak HTTP.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, Broken> {
        let broken =
            |error: &dyn fmt::Display| Broken(format!("no connection to {endpoint}: {error}"));
        let stream = TcpStream::connect(&endpoint.0).await.map_err(|error| broken(&error))?;
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let (sender, driver) =
            handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // How it ends is seen by whoever waits for an answer.
        let driver = task::spawn(async move { drop(driver.await) }).abort_handle();
        let host = HeaderValue::from_str(&endpoint.0).map_err(|error| broken(&error))?;
        Ok(Self { endpoint: endpoint.clone(), sender, host, driver })
    }

    /// Carries out one operation.
    ///
    /// # Errors
    ///
    /// The connection broke. A refusal is an [`Answer`].
    pub async fn call(
        &mut self,
        target: &Target,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Broken> {
        let request = Request::post("/")
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, JSON)
            .header(X_AMZ_TARGET, &target.0)
            .header(X_AMZ_DATE, DATE)
            .header(AUTHORIZATION, SIGNATURE)
            .body(Full::new(body.into()))
            .map_err(|error| Broken(error.to_string()))?;
        let broken = |error| Broken(format!("the server broke the connection off: {error}"));
        if self.sender.ready().await.is_err() {
            // Nothing of this request was sent, so nothing can happen twice.
            *self = Self::open(&self.endpoint).await?;
            self.sender.ready().await.map_err(broken)?;
        }
        let answer = self.sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
        if status == 200 {
            return Ok(Answer::Done(body));
        }
        Ok(Answer::Refused(format!("{status}: {}", String::from_utf8_lossy(&body))))
    }

    /// Carries out an operation without which nothing goes on.
    ///
    /// # Errors
    ///
    /// The connection broke, the operation was refused, or the answer is no JSON.
    pub async fn must(&mut self, target: &Target, body: &Value) -> Result<Value, Broken> {
        let name = target.0.to_str().unwrap_or_default();
        match self.call(target, body.to_string()).await? {
            Answer::Refused(why) => Err(Broken(format!("{name} was refused: {why}"))),
            Answer::Done(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Broken(format!("the answer to {name} is no JSON: {error}"))),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
