//! What can go wrong between us and Bob, sorted by what to do about it.

use std::time::Duration;

use serde::Deserialize;

/// A read that failed. No variant carries personal data or a part of an answer beyond Bob's own error sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is wrong until somebody changes it (401). Bob blocks a caller that keeps trying, as its changelog
    /// says under "Authorization-related WAF rules" (apidocs.hibob.com).
    #[error("Bob refused the service user's credential (401)")]
    Unauthorized,
    /// The service user lacks a permission group or a right (403, in Bob's own words). To a read of one employee it says
    /// that this employee is outside of the service user's rights, and nothing else.
    #[error("Bob forbids the read: {said}")]
    Forbidden {
        /// Status and Bob's sentence, scrubbed.
        said: String,
    },
    /// Too many calls (429), or a call that was not made because of an earlier such answer.
    #[error("Bob throttles")]
    Throttled {
        /// When to come back.
        wait: Option<Duration>,
    },
    /// Anything else: no connection, a timeout, another status, a redirect, an HTML page, a cut or malformed body.
    #[error("Bob is unavailable: {said}")]
    Unavailable {
        /// What happened, without any part of a body but Bob's scrubbed error sentence.
        said: String,
    },
}

impl Error {
    /// A bounded word for metrics.
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

/// Longest text that is taken over from Bob, in characters.
const SENTENCE: usize = 160;

#[derive(Deserialize)]
struct Body {
    key: Option<String>,
    error: Option<String>,
}

/// `said` of an answer with an error status: the status, and the text of a `{key, error}` body if it is one.
pub(super) fn describe(status: u16, body: &[u8], secrets: &[&str]) -> String {
    match sentence(body, secrets) {
        Some(text) => format!("{status}: {text}"),
        None => status.to_string(),
    }
}

/// Bob's own words out of an error object, scrubbed; `None` if it is none (apidocs.hibob.com, "Error handling").
pub(super) fn sentence(body: &[u8], secrets: &[&str]) -> Option<String> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let text = match (body.key, body.error) {
        (Some(key), Some(error)) => format!("{key}: {error}"),
        (one, other) => one.or(other)?,
    };
    Some(scrub(&text, secrets))
}

/// Takes out of a text what may be a person's or a secret: words with `@`, runs of five or more digits, the given
/// secrets, control characters. Then cuts it to 160 characters.
pub(super) fn scrub(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "...");
    }
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut plain = String::new();
    for word in words {
        if !plain.is_empty() {
            plain.push(' ');
        }
        // A full-width or small at sign makes an address for a reader, too.
        if word.contains(['@', '\u{ff20}', '\u{fe6b}']) || word.to_ascii_lowercase().contains("%40") {
            plain.push_str("...");
        } else {
            push_without_numbers(&mut plain, word);
        }
        if plain.chars().count() > SENTENCE {
            break;
        }
    }
    if plain.chars().count() <= SENTENCE {
        return plain;
    }
    plain.chars().take(SENTENCE - 3).chain("...".chars()).collect()
}

fn push_without_numbers(plain: &mut String, word: &str) {
    let mut run = String::new();
    for c in word.chars().map(Some).chain([None]) {
        if let Some(digit) = c.filter(|c| c.is_numeric()) {
            run.push(digit);
            continue;
        }
        if run.chars().count() >= 5 {
            plain.push_str("...");
        } else {
            plain.push_str(&run);
        }
        run.clear();
        plain.extend(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_object_gives_its_words_and_nothing_else_does() {
        let body = br#"{"key":"bad.request.filter","error":"Only root.id may be filtered","data":{"email":"a@example.com"}}"#;
        assert_eq!(describe(400, body, &[]), "400: bad.request.filter: Only root.id may be filtered");
        assert_eq!(describe(503, b"<html>Noa Lind</html>", &[]), "503");
        assert_eq!(describe(500, br#"{"name":"Noa Lind"}"#, &[]), "500");
        assert_eq!(describe(500, br#"["Noa Lind"]"#, &[]), "500");
    }

    #[test]
    fn people_and_secrets_are_taken_out() {
        for (text, plain) in [
            ("no access to noa.lind@example.com here", "no access to ... here"),
            ("employee 3332883894235038486, not found", "employee ..., not found"),
            ("id=12345;n=1234", "id=...;n=1234"),
            ("token s3cr3t is wrong", "token ... is wrong"),
            ("two\nlines\tand\u{7}a bell", "two lines and a bell"),
        ] {
            assert_eq!(scrub(text, &["s3cr3t", ""]), plain, "{text}");
        }
        assert_eq!(scrub(&"word ".repeat(100), &[]).chars().count(), 160);
    }

    proptest! {
        #[test]
        fn nothing_personal_survives(before in ".{0,40}", user in "[a-z]{1,9}", id in "[0-9]{5,19}", after in ".{0,200}") {
            let said = scrub(&format!("{before} {user}@example.com {id}{after}"), &[]);
            prop_assert!(!said.contains('@'));
            prop_assert!(!said.contains(&id));
            prop_assert!(said.chars().count() <= 160);
        }
    }
}
