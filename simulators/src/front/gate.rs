//! The gate before a service: reads the request, injects faults, records the call.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use super::calls::{Finished, Record};
use super::faults::{Fault, Faults, Kind};
use super::{Answer, Call, Content, Service};
use crate::clock::Clock;

/// Requests with a larger body are refused with 413.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The longest time that a call is held; then its connection is reset.
const HELD_AT_MOST: Duration = Duration::from_mins(2);

/// Blanks that make a body too large for any caller.
const BLANKS: usize = 9 * 1024 * 1024;

const PAGE: &str = "<!doctype html><html><head><title>Service</title></head><body><h1>Something went wrong</h1></body></html>";

/// Marks a response that must not be sent: the connection is reset instead.
#[derive(Debug, Clone, Copy)]
pub struct CutOff;

/// One simulated service with its faults and its record.
pub struct Gate {
    service: Arc<dyn Service>,
    clock: Arc<Clock>,
    pub faults: Faults,
    record: Mutex<Record>,
    busy: AtomicUsize,
}

/// One call that the service is busy with, until this is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub fn new(service: Arc<dyn Service>, clock: Arc<Clock>) -> Self {
        Self {
            service,
            clock,
            faults: Faults::default(),
            record: Mutex::default(),
            busy: AtomicUsize::new(0),
        }
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("record lock")
    }

    /// Answers one HTTP request. The extension [`CutOff`] on the response asks for a reset.
    pub async fn handle(&self, request: Request, peer: IpAddr) -> Result<Response, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
            return Ok(sent(Answer::html(413, PAGE)));
        };
        let at_once = self.busy.fetch_add(1, Ordering::Relaxed) + 1;
        let _busy = Busy(&self.busy);
        let call = Call {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: body.to_bytes(),
            peer,
            at_once,
        };
        let cleared = self.faults.until_cleared();
        let fault = self.faults.strike(call.method.as_str(), &call.path, &call.body);
        if let Some(delay) = fault.as_ref().and_then(|fault| fault.delay_ms) {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let response = self.settle(&call, fault.as_ref());
        if fault.is_some_and(|fault| fault.kind.holds()) {
            let _ = tokio::time::timeout(HELD_AT_MOST, cleared).await;
        }
        Ok(response)
    }

    /// Applies the call or the fault, and records what was sent.
    fn settle(&self, call: &Call, fault: Option<&Fault>) -> Response {
        let kind = fault.map(|fault| fault.kind);
        let apply = !matches!(
            kind,
            Some(Kind::Status | Kind::Html | Kind::ErrorObject | Kind::Reset | Kind::Hold)
        );
        let answer = apply.then(|| self.service.answer(call));
        let applied = answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.status));
        let within =
            answer.as_ref().map(|answer| self.service.within(call, answer)).unwrap_or_default();
        let unknown_keys = answer.as_ref().map_or(0, |answer| answer.unknown_keys);
        let (status, response) = match (kind, answer) {
            (Some(Kind::Reset | Kind::ResetAfterApply | Kind::Hold | Kind::HoldAfterApply), _) => {
                (0, cut_off())
            }
            (Some(Kind::Truncate), Some(answer)) => (answer.status, truncated(answer)),
            (Some(Kind::Oversize), Some(answer)) => (answer.status, oversized(answer)),
            (None | Some(Kind::Delay), Some(answer)) => (answer.status, sent(answer)),
            (_, _) => {
                let answer = fault.map_or_else(|| Answer::empty(500), |fault| self.injected(fault));
                (answer.status, with_fault_headers(sent(answer), fault))
            }
        };
        self.note(call, status, applied, unknown_keys);
        for (one, status) in within {
            self.note(&one, status, (200..300).contains(&status), 0);
        }
        response
    }

    fn note(&self, call: &Call, status: u16, applied: bool, unknown_keys: usize) {
        self.record().add(Finished {
            at: self.clock.now(),
            method: call.method.as_str(),
            path: &call.path,
            query: &call.query,
            body: &call.body,
            route: self.service.route(call),
            status,
            write: self.service.is_write(call),
            secret: self.service.is_secret(call),
            applied,
            unknown_keys,
        });
    }

    fn injected(&self, fault: &Fault) -> Answer {
        let status = fault.status.unwrap_or(match fault.kind {
            Kind::Html | Kind::ErrorObject => 200,
            _ => 503,
        });
        match (&fault.body, fault.kind) {
            (None, Kind::Html) => Answer::html(status, PAGE),
            (Some(Value::String(page)), Kind::Html) => {
                Answer::new(status, "text/html; charset=utf-8", page.clone())
            }
            (Some(Value::String(text)), _) => {
                Answer::new(status, "text/plain; charset=utf-8", text.clone())
            }
            (Some(body), _) => Answer::json(status, body),
            (None, _) => Answer::json(status, &self.service.error_body(status)),
        }
    }
}

fn cut_off() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutOff);
    response
}

fn head(answer: &Answer) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

fn sent(answer: Answer) -> Response {
    let head = head(&answer);
    let body = match answer.content {
        Content::Full(bytes) => Body::from(bytes),
        Content::Pieces(pieces) => Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))),
    };
    head.map(|()| body)
}

/// Sends the head of the whole answer and about half of its body, then nothing.
fn truncated(answer: Answer) -> Response {
    let mut head = head(&answer);
    let first: Bytes = match answer.content {
        Content::Full(bytes) => {
            head.headers_mut().insert("content-length", HeaderValue::from(bytes.len().max(1)));
            bytes.slice(..bytes.len() / 2)
        }
        // Chunked: the end of the body never comes.
        Content::Pieces(mut pieces) => {
            let piece = pieces.next().unwrap_or_default();
            piece.slice(..piece.len() / 2)
        }
    };
    // The pause lets the first half leave before the connection breaks.
    let rest = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("cut by a fault"))
    });
    let pieces = stream::iter([Ok(first)]).chain(rest);
    head.map(|()| Body::from_stream(pieces))
}

/// Returns the answer followed by blanks, which have no meaning in JSON.
fn oversized(mut answer: Answer) -> Response {
    let mut body: Vec<u8> = match answer.content {
        Content::Full(bytes) => bytes.into(),
        Content::Pieces(pieces) => pieces.flatten().collect(),
    };
    body.resize(body.len() + BLANKS, b' ');
    answer.content = Content::Full(body.into());
    sent(answer)
}

fn with_fault_headers(mut response: Response, fault: Option<&Fault>) -> Response {
    for (name, value) in fault.and_then(|fault| fault.headers.as_ref()).into_iter().flatten() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
