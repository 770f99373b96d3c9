//! The page at [`PAGE_PATH`]: its files, which are part of the binary, and where its events come from.
//!
//! The page is written by hand and needs nothing from elsewhere: its browser is told to load from here only,
//! and to run no script but these files.

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};

use crate::calls::Emulator;
use crate::control::Refusal;
use crate::service::{Answer, plain};
use crate::watch;

/// Where the page lies.
pub const PAGE_PATH: &str = "/_streams";

/// What browsers may load: what lies here, and nothing inside of the page itself.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const fn script(name: &'static str, text: &'static str) -> File {
    File { name, kind: "text/javascript; charset=utf-8", text }
}

static FILES: [File; 11] = [
    File { name: "", kind: "text/html; charset=utf-8", text: include_str!("page/index.html") },
    File { name: "page.css", kind: "text/css; charset=utf-8", text: include_str!("page/page.css") },
    File { name: "icon.svg", kind: "image/svg+xml", text: include_str!("page/icon.svg") },
    script("page.js", include_str!("page/page.js")),
    script("dom.js", include_str!("page/dom.js")),
    script("tree.js", include_str!("page/tree.js")),
    script("line.js", include_str!("page/line.js")),
    script("records.js", include_str!("page/records.js")),
    script("difference.js", include_str!("page/difference.js")),
    script("list.js", include_str!("page/list.js")),
    script("actions.js", include_str!("page/actions.js")),
];

/// Answers a request for the page, its files, or its events; `None` if it is for somebody else.
pub(crate) fn answer(
    emulator: &Arc<Emulator>,
    method: &Method,
    path: &str,
    query: &str,
) -> Option<Result<Answer, Refusal>> {
    let name = path.strip_prefix(PAGE_PATH)?;
    if name == "/api/events" && *method == Method::GET {
        return Some(events(emulator, query));
    }
    let name = if name.is_empty() { name } else { name.strip_prefix('/')? };
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(match *method {
        Method::GET | Method::HEAD => Ok(show(file)),
        _ => Err(Refusal::WrongMethod("GET")),
    })
}

fn show(file: &File) -> Answer {
    let mut answer = plain(StatusCode::OK, file.kind, file.text);
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A new binary has new files.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn events(emulator: &Arc<Emulator>, query: &str) -> Result<Answer, Refusal> {
    let mut shown = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "stream" {
            return Err(Refusal::BadRequest(format!("events takes stream, not `{name}`")));
        }
        shown = Some(value.into_owned());
    }
    watch::events(emulator, shown).map_err(Refusal::Pages)
}
