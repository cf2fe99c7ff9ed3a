//! What can go wrong between bobsync and Bob, sorted by what to do about it.

use std::time::Duration;

use serde::Deserialize;

use crate::http::scrub::Scrubber;

/// A read that failed. No variant has personal data. No variant has a part of an answer, except
/// Bob's own error sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is wrong until a person changes it (401). Bob blocks a caller that keeps
    /// trying, as its changelog says under "Authorization-related WAF rules" (apidocs.hibob.com).
    #[error("Bob refused the service user's credential (401)")]
    Unauthorized,
    /// The service user lacks a permission group or a right (403, in Bob's own words). For a read
    /// of one employee it only says that the service user has no right to this employee.
    #[error("Bob forbids the read: {said}")]
    Forbidden {
        /// Status and Bob's sentence, scrubbed.
        said: String,
    },
    /// There were too many calls (429), or the call was not made because of an earlier such answer.
    #[error("Bob throttles")]
    Throttled {
        /// When to come back.
        wait: Option<Duration>,
    },
    /// Anything else: no connection, a timeout, another status, a redirect, an HTML page, a cut or
    /// malformed body.
    #[error("Bob is unavailable: {said}")]
    Unavailable {
        /// What happened, without any part of a body except Bob's scrubbed error sentence.
        said: String,
    },
}

impl Error {
    /// Returns the word for metrics, from a fixed list.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    pub(super) fn unavailable(said: impl Into<String>) -> Self {
        Self::Unavailable { said: said.into() }
    }
}

#[derive(Deserialize)]
struct Body {
    key: Option<String>,
    error: Option<String>,
}

/// Returns the `said` of an answer with an error status: the status, and the text of a
/// `{key, error}` body if it is one.
pub(super) fn describe(status: u16, body: &[u8], secrets: &[&str]) -> String {
    match sentence(body, secrets) {
        Some(text) => format!("{status}: {text}"),
        None => format!("{status} without Bob's words"),
    }
}

/// Returns Bob's own words in an error object, scrubbed, or `None` if the body is not one
/// (apidocs.hibob.com, "Error handling").
pub(super) fn sentence(body: &[u8], secrets: &[&str]) -> Option<String> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let texts: Vec<String> = body
        .key
        .into_iter()
        .chain(body.error)
        .map(|text| scrub(&text, secrets))
        .filter(|text| !text.is_empty())
        .collect();
    (!texts.is_empty()).then(|| texts.join(": "))
}

/// Takes out of a text what may be an employee's value or a secret.
pub(super) fn scrub(text: &str, secrets: &[&str]) -> String {
    Scrubber { secrets, ..Scrubber::default() }.clean(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_object_gives_its_words_and_nothing_else_does() {
        let body = br#"{"key":"bad.request.filter","error":"Only root.id may be filtered",
            "data":{"email":"a@example.com"}}"#;
        assert_eq!(
            describe(400, body, &[]),
            "400: bad.request.filter: Only root.id may be filtered"
        );
        for body in [
            &b"<html>Noa Lind</html>"[..],
            br#"{"name":"Noa Lind"}"#,
            br#"["Noa Lind"]"#,
            br#"{"error":""}"#,
        ] {
            assert_eq!(describe(503, body, &[]), "503 without Bob's words");
        }
        let body = br#"{"key":"no.access",
            "error":"s3cr3t may not see noa.lind@example.com, 3332883894235038486"}"#;
        assert_eq!(describe(403, body, &["s3cr3t", ""]), "403: no.access: … may not see … …");
    }
}
