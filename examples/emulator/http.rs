//! HTTP: one request in, one response out, with the headers that AWS SDKs look for.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::calls::{Emulator, Failure};
use crate::control::{CONTROL_PATH, Refusal};
use crate::error::{ApiError, ErrorKind};
use crate::visible::Receipts;

/// The largest request body that is read. AWS API reference: BatchWriteItem takes 16 MB.
pub const MAX_BODY_BYTES: usize = 16 << 20;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const EXPOSED: &str = "x-amzn-requestid, x-amzn-errortype, x-amz-crc32, date";

/// Answers one request, whatever it is.
///
/// `POST` carries an operation in `X-Amz-Target`, for the tables (`DynamoDB_20120810.`)
/// and for their streams (`DynamoDBStreams_20120810.`) alike. `GET` gets a word of
/// welcome, `OPTIONS` what a browser wants to know. What lies under [`CONTROL_PATH`] goes to
/// [`Emulator::control`].
pub async fn respond<B>(emulator: &Emulator, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if *request.method() != Method::OPTIONS && request.uri().path().starts_with(CONTROL_PATH) {
        return control(emulator, request).await;
    }
    match *request.method() {
        Method::POST => {}
        Method::GET | Method::HEAD => return welcome(request.headers()),
        Method::OPTIONS => return preflight(request.headers()),
        _ => return failure(unknown_method(request.method()).into()),
    }
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let target = header("x-amz-target").unwrap_or_default();
    // Any credentials will do, as with DynamoDB Local; none at all is a client's mistake that
    // would surface only in front of the real service.
    let signed = parts.headers.contains_key(header::AUTHORIZATION)
        || parts.uri.query().is_some_and(|query| query.contains("X-Amz-Credential="));
    if !target.is_empty() && !signed {
        return failure(
            ApiError::new(
                ErrorKind::MissingAuthentication,
                "Request must contain either a valid (registered) AWS access key ID or X.509 \
                 certificate.",
            )
            .into(),
        );
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return failure(error.into()),
    };
    let mut receipts = Receipts::default();
    let host = header("host").unwrap_or("localhost");
    let answer = emulator.carry_out(target, &body, host, &mut receipts);
    receipts.seen().await;
    match answer {
        Ok(answer) => json(StatusCode::OK, answer),
        Err(refused) => failure(refused),
    }
}

/// Answers one request of the control API.
async fn control<B>(emulator: &Emulator, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let path = &parts.uri.path()[CONTROL_PATH.len()..];
    let mut receipts = Receipts::default();
    let answer = match read(body).await {
        Ok(body) => emulator.carry_out_control(parts.method.as_str(), path, &body, &mut receipts),
        Err(error) => Err(Refusal::Unread(error.status(), error.message().to_owned()).into()),
    };
    receipts.seen().await;
    let mut response = match answer {
        Ok(answer) => json(StatusCode::OK, answer),
        Err(refused) => failure(refused),
    };
    let plain = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

async fn read<B>(body: B) -> Result<Bytes, ApiError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        ApiError::new(
            ErrorKind::TooLarge,
            format!("The request body is larger than the {MAX_BODY_BYTES} bytes that are allowed"),
        )
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::new(
            ErrorKind::Serialization,
            format!("The request body could not be read: {error}"),
        )),
    }
}

fn unknown_method(method: &Method) -> ApiError {
    ApiError::new(
        ErrorKind::UnknownOperation,
        format!("Operations are sent with POST, not with {method}"),
    )
}

fn failure(refused: Failure) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refused.status);
    json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), refused.body)
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let crc32 = crc32fast::hash(&body);
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert(CRC32, HeaderValue::from(crc32));
    identify(headers);
    response
}

/// The headers of every response.
fn identify(headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::from_str(&request_id()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

fn preflight(asked: &HeaderMap) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    identify(headers);
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or(HeaderValue::from_static("*")),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST, GET, OPTIONS"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    response
}

fn welcome(asked: &HeaderMap) -> Response<Full<Bytes>> {
    let host =
        asked.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8000");
    let text = format!(
        "healthy: streamcore emulator {version}\n\n\
         This port speaks DynamoDB and DynamoDB Streams to AWS SDKs. Try:\n\n  \
         aws dynamodb list-tables --endpoint-url http://{host}\n  \
         aws dynamodbstreams list-streams --endpoint-url http://{host}\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    let mut response = Response::new(Full::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    identify(headers);
    response
}

/// An id in the form of DynamoDB's own: 52 capitals and digits.
fn request_id() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = String::with_capacity(52);
    let mut bits = 0;
    for index in 0..52 {
        if index % 12 == 0 {
            bits = random();
        }
        id.push(char::from(LETTERS[(bits & 31) as usize]));
        bits >>= 5;
    }
    id
}

/// A number to tell things apart by; of no use for secrets. SplitMix64, seeded per thread.
pub(crate) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
