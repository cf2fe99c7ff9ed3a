//! Error answers, with Okta's codes (developer.okta.com, "Okta Error Codes and Descriptions").

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::front::{Answer, Call};

/// Statuses and summaries by code.
const KNOWN: [(&str, u16, &str); 21] = [
    ("E0000003", 400, "The request body was not well-formed."),
    ("E0000005", 403, "Invalid session"),
    ("E0000006", 403, "You do not have permission to perform the requested action"),
    ("E0000008", 404, "The requested path was not found"),
    ("E0000009", 500, "Internal Server Error"),
    ("E0000010", 503, "Service is in read only mode"),
    ("E0000011", 401, "Invalid token provided"),
    ("E0000014", 403, "Update of credentials failed"),
    ("E0000016", 403, "Activation failed because the user is already active"),
    (
        "E0000021",
        400,
        "Bad request.  Accept and/or Content-Type headers likely do not match supported values.",
    ),
    ("E0000022", 405, "The endpoint does not support the provided HTTP method"),
    ("E0000023", 403, "Operation failed because user profile is mastered under another system"),
    ("E0000029", 400, "Invalid paging request."),
    ("E0000031", 400, "Invalid search criteria."),
    ("E0000032", 403, "Unlock is not allowed for this user."),
    ("E0000033", 400, "Bad request. Can't specify a search query and filter in the same request."),
    ("E0000038", 403, "This operation is not allowed in the user's current status."),
    ("E0000047", 429, "API call exceeded rate limit due to too many requests."),
    ("E0000093", 400, "Target count limit exceeded"),
    (
        "E0000112",
        409,
        "Cannot update this user because they are still being activated. Please try again in a few minutes.",
    ),
    ("E0000122", 406, "Accept Header did not contain supported media type 'application/json'"),
];

/// Returns a number that no other error of this process has.
fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("oae{:019x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn body(code: &str, summary: &str, causes: &[String]) -> Value {
    let causes: Vec<Value> = causes.iter().map(|cause| json!({"errorSummary": cause})).collect();
    json!({
        "errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": next_id(),
        "errorCauses": causes,
    })
}

/// Returns the refusal with one of the known codes.
pub fn known(code: &str) -> Answer {
    let (code, status, summary) =
        KNOWN.iter().find(|(known, ..)| *known == code).unwrap_or(&KNOWN[4]);
    Answer::json(*status, &body(code, summary, &[]))
}

/// Returns a refusal with a summary of its own, which is also its only cause.
pub fn explained(status: u16, code: &str, summary: &str) -> Answer {
    Answer::json(status, &body(code, summary, &[summary.to_owned()]))
}

/// Codes that say more than that a call of this status was refused.
const SPECIAL: [&str; 2] = ["E0000005", "E0000010"];

/// Returns the body of an error with this status.
pub fn for_status(status: u16) -> Value {
    let usual = |row: &&(&str, u16, &str)| row.1 == status && !SPECIAL.contains(&row.0);
    let (code, _, summary) = KNOWN.iter().find(usual).unwrap_or(&KNOWN[4]);
    body(code, summary, &[])
}

/// Returns `E0000001` for what `subject` is, with its causes.
pub fn invalid(subject: &str, causes: &[String]) -> Answer {
    Answer::json(400, &body("E0000001", &format!("Api validation failed: {subject}"), causes))
}

/// Returns `E0000001` with one cause about one field.
pub fn field(name: &str, cause: &str) -> Answer {
    invalid(name, &[format!("{name}: {cause}")])
}

pub const TAKEN: &str = "An object with this field already exists in the current organization";

/// Returns `E0000007` for a resource of this kind.
pub fn missing(id: &str, kind: &str) -> Answer {
    let summary = format!("Not found: Resource not found: {id} ({kind})");
    Answer::json(404, &body("E0000007", &summary, &[]))
}

/// Returns the form of errors at the token endpoint.
pub fn oauth(status: u16, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({"error": error, "error_description": description}))
}

/// A refused access token: the scheme, the status, the code and the description.
#[derive(Debug, Clone, Copy)]
pub struct Challenge {
    pub scheme: &'static str,
    pub status: u16,
    pub error: &'static str,
    pub description: &'static str,
}

impl Challenge {
    /// Returns the answer: its header says everything, and it has no body unless the org is asked
    /// for one.
    pub fn answer(self, call: &Call, domain: &str, scope: &str, bare: bool) -> Answer {
        let algorithms = if self.scheme == "DPoP" {
            "algs=\"RS256 RS384 RS512 ES256 ES384 ES512\", "
        } else {
            ""
        };
        let header = format!(
            "{} {algorithms}authorization_uri=\"http://{domain}/oauth2/v1/authorize\", realm=\"http://{domain}\", scope=\"{scope}\", error=\"{}\", error_description=\"{}\", resource=\"{}\"",
            self.scheme, self.error, self.description, call.path,
        );
        let answer = if bare {
            Answer::empty(self.status)
        } else {
            let code = if self.status == 403 { "E0000006" } else { "E0000011" };
            let summary = KNOWN.iter().find(|(known, ..)| *known == code).map_or("", |row| row.2);
            Answer::json(self.status, &body(code, summary, &[]))
        };
        answer.with("www-authenticate", header)
    }
}
