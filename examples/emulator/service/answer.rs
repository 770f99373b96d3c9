//! Responses, with the headers that AWS SDKs look for.

use std::cell::Cell;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};

use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::Answer;
use super::body::AnswerBody;
use super::host::Failure;
use super::limits::Counted;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const EXPOSED: &str = "x-amzn-requestid, x-amzn-errortype, x-amz-crc32, date";

/// The answer to an operation.
pub(super) fn json(counted: Counted) -> Answer {
    let crc32 = counted.body.crc32();
    let mut response = Response::new(AnswerBody::known(counted.into_parts()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert(CRC32, HeaderValue::from(crc32));
    identify(headers);
    share(headers);
    response
}

/// A refusal.
pub(super) fn failure(refused: impl Into<Failure>) -> Answer {
    let refused = refused.into();
    let mut response = json(Counted::small(refused.body.into()));
    let status = StatusCode::from_u16(refused.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// What is no operation: a page, figures, an answer of another API.
pub fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(AnswerBody::known([body.into()]));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    identify(headers);
    response
}

/// What is made while it is sent.
pub fn stream<B>(content_type: &'static str, body: B) -> Answer
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(AnswerBody::made(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    identify(headers);
    response
}

/// The header of every response.
fn identify(headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::from_bytes(&request_id()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Lets pages from anywhere read what DynamoDB answers: whoever sends credentials may be a page.
fn share(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

pub(super) fn preflight(asked: &HeaderMap) -> Answer {
    let mut response = Response::new(AnswerBody::known([]));
    let headers = response.headers_mut();
    identify(headers);
    share(headers);
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

/// What somebody reads who looks at the port with a browser.
pub(super) fn welcome(authority: &str) -> Answer {
    let text = format!(
        "healthy: streamcore emulator {version}\n\n\
         This port speaks DynamoDB and DynamoDB Streams to AWS SDKs. Try:\n\n  \
         aws dynamodb list-tables --endpoint-url http://{authority}\n  \
         aws dynamodbstreams list-streams --endpoint-url http://{authority}\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    plain(StatusCode::OK, "text/plain; charset=utf-8", text)
}

/// An id in the form of DynamoDB's own: 52 capitals and digits.
fn request_id() -> [u8; 52] {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = [0; 52];
    for twelve in id.chunks_mut(12) {
        let mut bits = random();
        for letter in twelve {
            *letter = LETTERS[(bits & 31) as usize];
            bits >>= 5;
        }
    }
    id
}

/// A number to tell things apart by; of no use for secrets. SplitMix64, seeded per thread.
pub fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
