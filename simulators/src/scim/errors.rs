//! Refusals, and the form in which they are answered (RFC 7644, 3.12).

use serde_json::{Value, json};

use super::quirks::Errors;
use crate::front::Answer;

/// The media type of SCIM.
pub const MEDIA: &str = "application/scim+json";

const PAGE: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>The request could not be processed</h1></body></html>";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// The `scimType`.
    pub kind: Option<&'static str>,
    pub detail: String,
}

pub type Checked<T> = Result<T, Refused>;

impl Refused {
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into() }
    }

    /// Makes a 400 with a `scimType`.
    pub fn bad(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status: 400, kind: Some(kind), detail: detail.into() }
    }

    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::bad("invalidSyntax", detail)
    }

    pub fn value(detail: impl Into<String>) -> Self {
        Self::bad("invalidValue", detail)
    }

    pub fn path(detail: impl Into<String>) -> Self {
        Self::bad("invalidPath", detail)
    }

    pub fn filter(detail: impl Into<String>) -> Self {
        Self::bad("invalidFilter", detail)
    }

    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::bad("noTarget", detail)
    }

    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::bad("mutability", detail)
    }

    pub fn taken(detail: impl Into<String>) -> Self {
        Self { status: 409, kind: Some("uniqueness"), detail: detail.into() }
    }

    /// Refuses personal data in an address (RFC 7644, 7.5.2, erratum 6893).
    pub fn sensitive(detail: impl Into<String>) -> Self {
        Self { status: 403, kind: Some("sensitive"), detail: detail.into() }
    }

    pub fn absent(id: &str) -> Self {
        Self::new(404, format!("Resource {id} not found"))
    }

    /// Returns the body.
    pub fn body(&self, form: &Errors) -> Value {
        let status =
            if form.status_is_number { json!(self.status) } else { json!(self.status.to_string()) };
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status,
            "detail": self.detail,
        });
        if let Some(kind) = self.kind.filter(|_| form.scim_type) {
            body["scimType"] = json!(kind);
        }
        body
    }

    /// Returns the answer.
    pub fn answer(&self, form: &Errors) -> Answer {
        if form.html {
            return Answer::html(self.status, PAGE);
        }
        Answer::new(self.status, form.media(), self.body(form).to_string())
    }
}
