//! `load` itself: it counts right, notices a stream that does not tell the truth, and charges a server for
//! those who wait while it pauses.

// The program whole: what `cargo run --example load` runs, but for the arguments.
#[allow(dead_code, reason = "its main is not called here")]
#[path = "../load/main.rs"]
mod load;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use load::client::Endpoint;
use load::ledger::Verdict;
use load::report::{Part, Report};
use load::run::{Check, Plan, Workload, run};
use load::table::{Stream, Tables};
use load::write::Pace;
use serde_json::Value;
use streamcore_emulator::{Config, Emulator};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task;
use tokio::time::{Instant, sleep_until};

/// What a server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// One record is in no page.
    Loses,
    /// One record is in its page twice.
    Repeats,
    /// Two records of one key are exchanged.
    Exchanges,
    /// One put is acknowledged and not done.
    Forgets,
    /// One put is refused, and done all the same.
    Refuses,
    /// Nobody is answered for a while, once.
    Pauses,
}

/// The put that is treated wrongly.
const KEY: &str = "k000000004";
const VERSION: &str = "2";
const NEXT_VERSION: &str = "3";
/// The one after which the server pauses, and for how long.
const PAUSE_AT: u64 = 50;
const PAUSE: Duration = Duration::from_millis(300);

struct Server {
    emulator: Emulator,
    planted: Planted,
    done: AtomicBool,
    puts: AtomicU64,
    paused_until: Mutex<Instant>,
}

impl Server {
    /// Serves on a port that is free.
    async fn start(planted: Planted) -> (Arc<Self>, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Arc::new(Self {
            emulator: Emulator::new(Config { shards: 3, ..Config::default() }),
            planted,
            done: AtomicBool::new(false),
            puts: AtomicU64::new(0),
            paused_until: Mutex::new(Instant::now()),
        });
        let serving = Arc::clone(&server);
        task::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&serving);
                let service = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.respond(request).await) }
                });
                task::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (server, Endpoint::parse(&format!("http://{address}")).expect("an endpoint"))
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let target = request.headers()["x-amz-target"].to_str().expect("text").to_owned();
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let is_put = target.ends_with(".PutItem");
        if is_put && self.planted == Planted::Pauses {
            self.pause().await;
        }
        let given: Value = serde_json::from_slice(&body).expect("JSON");
        let is_it = is_put && is(&given["Item"], VERSION) && self.planted_now();
        if is_it && self.planted == Planted::Forgets {
            return Response::new(Full::from("{}"));
        }
        let answer = self.emulator.call(&target, &body, "localhost");
        let mut response = Response::default();
        let body = match answer {
            _ if is_it && self.planted == Planted::Refuses => Err(b"{}".to_vec()),
            Ok(body) if target.ends_with(".GetRecords") => Ok(self.records(&body)),
            answer => answer.map_err(|refused| refused.body),
        };
        *response.status_mut() =
            if body.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        *response.body_mut() = Full::from(body.unwrap_or_else(|body| body));
        response
    }

    /// Whether this is the first time.
    fn planted_now(&self) -> bool {
        matches!(self.planted, Planted::Forgets | Planted::Refuses)
            && !self.done.swap(true, Ordering::Relaxed)
    }

    async fn pause(&self) {
        let mut until = self.paused_until.lock().await;
        if self.puts.fetch_add(1, Ordering::Relaxed) == PAUSE_AT {
            *until = Instant::now() + PAUSE;
        }
        let until = *until;
        sleep_until(until).await;
    }

    fn records(&self, page: &[u8]) -> Vec<u8> {
        let mut page: Value = serde_json::from_slice(page).expect("JSON");
        let records = page["Records"].as_array_mut().expect("records");
        let at = |version| {
            records.iter().position(|record| is(&record["dynamodb"]["NewImage"], version))
        };
        match (self.planted, at(VERSION), at(NEXT_VERSION)) {
            (Planted::Loses, Some(it), _) => drop(records.remove(it)),
            (Planted::Repeats, Some(it), _) => records.push(records[it].clone()),
            (Planted::Exchanges, Some(one), Some(other)) => records.swap(one, other),
            _ => {}
        }
        page.to_string().into_bytes()
    }
}

fn is(item: &Value, version: &str) -> bool {
    item["pk"]["S"] == KEY && item["v"]["N"] == version
}

const PUTS: u64 = 300;
const CONSUMERS: u32 = 2;

fn plan(endpoint: Endpoint, workloads: &[Workload]) -> Plan {
    Plan {
        endpoint,
        workloads: workloads.to_vec(),
        puts: PUTS,
        at_most: None,
        connections: 3,
        batch: 7,
        consumers: CONSUMERS,
        item_bytes: 20,
        keys: 50,
        pace: Pace::Closed,
        stream: Stream::On,
        check: Check::On,
        patience: Duration::from_secs(30),
        reading: Duration::from_millis(100),
    }
}

/// Runs, and deletes what was created, as the program does.
async fn ran(plan: &Plan) -> Report {
    let tables = Tables::new(plan.endpoint.clone());
    let report = run(plan, &tables).await;
    tables.delete_all().await.expect("deleted");
    report.unwrap_or_else(|why| panic!("{why}"))
}

fn part<'r>(report: &'r Report, name: &str) -> &'r Part {
    report.parts.iter().find(|part| part.name == name).expect("a part of that name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_is_what_was_done() {
    let (server, endpoint) = Server::start(Planted::Nothing).await;
    let all = [Workload::Put, Workload::Records, Workload::Batch, Workload::Tail];
    let report = ran(&plan(endpoint, &all)).await;
    assert!(report.is_right(), "{}", report.table());
    let seen = PUTS * u64::from(CONSUMERS);
    let right = Some(Verdict { records: seen, ..Verdict::default() });

    let put = part(&report, "put");
    assert_eq!((put.done, put.requests, put.refused), (PUTS, PUTS, 0));
    assert_eq!(put.rates_of_tenths.len(), 10);
    let batch = part(&report, "batch");
    assert_eq!((batch.done, batch.requests, batch.verdict), (PUTS, PUTS.div_ceil(7), right));
    let records = part(&report, "records");
    assert_eq!(records.verdict, right);
    assert!(records.done >= PUTS && records.bytes > 100 * records.done, "{}", records.done);
    let tail = part(&report, "tail");
    assert_eq!((tail.done, tail.verdict), (seen, right));

    let tables = server.emulator.call("DynamoDB_20120810.ListTables", b"{}", "localhost");
    assert_eq!(tables.expect("a list"), br#"{"TableNames":[]}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_tell_the_truth_is_noticed() {
    let each = |lost, repeated| Verdict { lost, repeated, ..Verdict::default() };
    for (planted, wrong) in [
        (Planted::Loses, each(1, 0)),
        (Planted::Repeats, each(0, 1)),
        // One is not in its place, and comes late.
        (Planted::Exchanges, each(1, 1)),
        (Planted::Forgets, each(1, 0)),
    ] {
        let (_, endpoint) = Server::start(planted).await;
        // It never comes.
        let patience = Duration::from_millis(200);
        let report = ran(&Plan { patience, ..plan(endpoint, &[Workload::Records]) }).await;
        assert!(!report.is_right());
        let mut verdict = part(&report, "records").verdict.expect("it was checked");
        verdict.records = 0;
        assert_eq!(verdict, wrong.and(wrong), "of {CONSUMERS} consumers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_put_is_told_and_may_have_happened() {
    let (_, endpoint) = Server::start(Planted::Refuses).await;
    let report = ran(&plan(endpoint, &[Workload::Records])).await;
    let put = part(&report, "put");
    assert_eq!((put.done, put.refused), (PUTS - 1, 1));
    assert_eq!(put.first_refusal.as_deref(), Some("400 Bad Request: {}"));
    let verdict = part(&report, "records").verdict.expect("it was checked");
    assert!(verdict.is_right() && !report.is_right(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_counts_waiting() {
    let mut p90 = Vec::new();
    for pace in [Pace::Open(1000.0), Pace::Closed] {
        let (_, endpoint) = Server::start(Planted::Pauses).await;
        let plan = Plan { puts: 1000, pace, ..plan(endpoint, &[Workload::Put]) };
        p90.push(part(&ran(&plan).await, "put").latency.p90);
    }
    // Of 1000 requests 300 were due while the server paused, a third of them in its first 100 ms. A closed
    // loop sends three, and waits.
    let pause = PAUSE.as_micros() as f64;
    assert!(p90[0] > pause / 2.0, "open loop: {} us", p90[0]);
    assert!(p90[1] < p90[0], "closed loop: {} us, open loop: {} us", p90[1], p90[0]);
}
