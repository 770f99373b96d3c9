//! What lies where on the emulator's port: its own pages under `/_`, DynamoDB everywhere else.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::body::Body;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode};

use crate::calls::Emulator;
use crate::control::{CONTROL_PATH, Refusal, off_the_runtime};
use crate::metrics::{self, CONTENT_TYPE, METRICS_PATH, Metrics};
use crate::page;
use crate::service::{Answer, Answering, DynamoDb, Failure, Gate, caught, plain};
use crate::visible::Receipts;

/// The emulator as a service: a [`tower_service::Service`], to be [served](crate::service::serve) or mounted.
#[derive(Clone)]
pub struct Routes {
    dynamodb: DynamoDb<Emulator>,
    own: Arc<Own>,
}

/// What the emulator answers by itself.
struct Own {
    emulator: Arc<Emulator>,
    gate: Arc<Gate>,
    metrics: Metrics,
}

impl Routes {
    /// All of an emulator, behind `gate`.
    pub fn new(emulator: Arc<Emulator>, gate: Arc<Gate>) -> Self {
        let streams = emulator.api.clone();
        let dynamodb = DynamoDb::new(Arc::clone(&emulator), streams, Arc::clone(&gate));
        let metrics = Metrics::new(&emulator, &gate);
        Self { dynamodb, own: Arc::new(Own { emulator, gate, metrics }) }
    }
}

impl<B> tower_service::Service<Request<B>> for Routes
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        if *request.method() != Method::OPTIONS && request.uri().path().starts_with("/_") {
            let own = Arc::clone(&self.own);
            return Box::pin(caught(async move { own.answer(request).await }));
        }
        let operation = request.headers().get("x-amz-target").map(|target| target.as_bytes());
        let operation = metrics::operation(operation.unwrap_or_default());
        let (began, own) = (Instant::now(), Arc::clone(&self.own));
        let answering = self.dynamodb.call(request);
        Box::pin(async move {
            let answer = answering.await;
            if let Ok(answer) = &answer {
                let (status, took) = (answer.status().as_u16(), began.elapsed());
                own.metrics.count(operation, status, took);
                tracing::debug!(operation, status, micros = took.as_micros() as u64, "answered");
            }
            answer
        })
    }
}

impl Own {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        if let Some(origin) = foreign_origin(&parts.headers) {
            return refused(Refusal::ForeignPage(origin).into());
        }
        let query = parts.uri.query().unwrap_or_default();
        if let Some(answer) = page::answer(&self.emulator, &parts.method, parts.uri.path(), query) {
            return answer.unwrap_or_else(|refusal| refused(refusal.into()));
        }
        match parts.uri.path() {
            path if path.starts_with(CONTROL_PATH) => {
                let path = parts.uri.path_and_query().map_or(path, |both| both.as_str());
                self.control(parts.method.as_str(), &path[CONTROL_PATH.len()..], body).await
            }
            METRICS_PATH if parts.method != Method::GET => {
                refused(Refusal::WrongMethod("GET").into())
            }
            METRICS_PATH => {
                let figures = off_the_runtime(|| self.metrics.show());
                plain(StatusCode::OK, CONTENT_TYPE, figures)
            }
            path => refused(Refusal::NoSuchPath(path.to_owned()).into()),
        }
    }

    /// Answers one request of the control API.
    async fn control<B>(&self, method: &str, path: &str, body: B) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = match self.gate.read(body).await {
            Ok(body) => body,
            Err(refusal) => return refused(Refusal::Unread(refusal).into()),
        };
        let mut receipts = Receipts::default();
        // A clock that is turned lets all items expire that are due.
        let answer = off_the_runtime(|| {
            self.emulator.carry_out_control(method, path, body.bytes(), &mut receipts)
        });
        receipts.seen().await;
        match answer {
            Ok(answer) => plain(StatusCode::OK, JSON, answer),
            Err(failure) => refused(failure),
        }
    }
}

/// The page that a browser sends this request for, if it is not one of this server's. Nobody has to show
/// credentials here, so a page from elsewhere could disable streams unseen.
///
/// Source: RFC 6454, "The Web Origin Concept", section 7.
fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let own = headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
    let is_own = origin.as_bytes().strip_prefix(b"http://").is_some_and(|origin| origin == own);
    (!is_own).then(|| String::from_utf8_lossy(origin.as_bytes()).into_owned())
}

const JSON: &str = "application/json";

/// A refusal of the control API, as JSON.
fn refused(failure: Failure) -> Answer {
    let status = StatusCode::from_u16(failure.status);
    plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), JSON, failure.body)
}
