//! What all simulated services share: a request and an answer as plain data, the gate that logs
//! every call and injects faults, and the connections themselves.
//!
//! A service is a synchronous function from [`Call`] to [`Answer`]. It never sees a socket, so its
//! rules can be tested without one.

pub mod calls;
pub mod faults;
pub mod gate;
pub mod net;
pub mod window;

use std::net::IpAddr;

use bytes::Bytes;
use serde_json::Value;

pub use axum::http::{HeaderMap, Method};

/// One request, read as a whole.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    /// The path as sent, percent-encoding included.
    pub path: String,
    /// The raw query text; empty when there is no query.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub peer: IpAddr,
    /// How many calls the service is busy with, this one included.
    pub at_once: usize,
}

impl Call {
    /// Returns the decoded path segments; empty ones are kept, so `/v1/people/` differs from
    /// `/v1/people`.
    pub fn segments(&self) -> Vec<String> {
        self.path
            .trim_start_matches('/')
            .split('/')
            .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// Returns the query pairs by the rules of HTML forms: `+` is a blank, `%2B` a plus.
    pub fn pairs(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the media type without its parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        self.header("content-type")
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// Returns user and password of a Basic header.
    pub fn basic(&self) -> Option<(String, String)> {
        use base64::Engine as _;
        let value = self.header("authorization")?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }
}

/// A complete body, or one that is rendered while it is sent.
pub enum Content {
    Full(Bytes),
    Pieces(Box<dyn Iterator<Item = Bytes> + Send>),
}

/// One answer, before the gate changes it.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    /// Body keys that the service does not know and ignores, like the real one.
    pub unknown_keys: usize,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            content: Content::Full(body.into()),
            unknown_keys: 0,
        }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn html(status: u16, page: &'static str) -> Self {
        Self::new(status, "text/html; charset=utf-8", page)
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Content::Full(Bytes::new()), unknown_keys: 0 }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A simulated service, as the gate sees it.
pub trait Service: Send + Sync + 'static {
    /// Answers one call. The gate holds no lock during it.
    fn answer(&self, call: &Call) -> Answer;

    /// Returns the route's template, such as `PUT /api/2/users/{id}`, for the call counts.
    fn route(&self, call: &Call) -> String;

    /// Returns whether the call asks for a change of the service's data.
    fn is_write(&self, call: &Call) -> bool;

    /// Returns whether the body contains a credential, and must not be kept.
    fn is_secret(&self, call: &Call) -> bool;

    /// Returns the calls within this one and the statuses of their answers: recorded like any
    /// other.
    fn within(&self, _: &Call, _: &Answer) -> Vec<(Call, u16)> {
        Vec::new()
    }

    /// Returns the body of an injected error with this status, in the service's own shape.
    fn error_body(&self, status: u16) -> Value;
}
