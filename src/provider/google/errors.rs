//! What Google's answers mean, by the reason in the error body: the same status means many things.

use serde_json::Value;

use super::catalog::{MARK, Target, locate};
use crate::{
    http::client::Answer,
    provider::{
        Error,
        answers::{ERROR_BODY, Purpose, Route, Sent, field, retry_after, without_words},
    },
};

/// The organizational unit.
const ORG_UNIT: &str = "orgUnitPath";

/// Reasons that only mean "slow down", with any status (developers.google.com, "Directory API:
/// Limits and Quotas", and what Google's own command line tool tries again).
const SLOW_DOWN: [&str; 6] = [
    "quotaExceeded",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "dailyLimitExceeded",
    "concurrentLimitExceeded",
];

/// Returns whether an answer grants the call, and if not, what to do about it. `scope` is the scope
/// of the token.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(
    route: Route,
    answer: &Answer,
    sent: Sent<'_>,
    scope: &str,
) -> Result<(), Error> {
    let status = answer.status.as_u16();
    let body = Body::read(answer);
    if matches!(status, 403 | 429 | 503) && body.slows_down() {
        return Err(Error::Throttled { wait: retry_after(answer) });
    }
    if let Some(judged) = without_words(route, answer, retry_after(answer)) {
        return judged;
    }
    let clean = sent.clean(&body.message);
    let said = if clean.is_empty() { format!("HTTP {status}") } else { clean };
    if route.purpose == Purpose::Token {
        return Err(token_refused(status, &body, said, scope));
    }
    let reason = &*body.reason;
    Err(match (status, reason, route.purpose) {
        (401, ..) => Error::Unauthorized { said },
        (403, "insufficientPermissions" | "accessNotConfigured" | "domainCannotUseApis", _) => {
            denied(&said, scope)
        }
        // Only these calls name the account.
        (403, _, Purpose::List | Purpose::Definitions) => denied_listing(&said, scope),
        (400 | 404, _, Purpose::List | Purpose::Definitions)
            if body.message.to_lowercase().contains("customer") =>
        {
            denied_listing(&said, scope)
        }
        (403 | 404, "domainNotFound", Purpose::Create) => {
            Error::Rejected { field: Some("primaryEmail".to_owned()), said }
        }
        // This is Google's own suspension, and no privilege ends it.
        (403, "adminCannotUnsuspend", Purpose::Update) => Error::Forbidden { said },
        (403, _, Purpose::Update | Purpose::Find) => forbidden(&said),
        // The refusal is about this account, which may be in a domain of another customer.
        (403, _, Purpose::Create) => Error::Forbidden {
            said: format!(
                "the domain of primaryEmail has to be one of this Workspace's, and adminEmail an administrator who may make users in \
                 this organizational unit; Google said: {said}"
            ),
        },
        (403, ..) => denied(&said, scope),
        (404, _, Purpose::Find | Purpose::Update) => Error::NotFound,
        // Google answers "User is deleted." for a user that can still be restored.
        (412, "conditionNotMet", Purpose::Find | Purpose::Update)
            if body.message.to_lowercase().contains("deleted") =>
        {
            Error::NotFound
        }
        // The text is "User creation is not complete". Nothing was applied, and a later try will
        // succeed.
        (412, "conditionNotMet", _) => Error::Unavailable { said },
        (_, _, Purpose::List | Purpose::Definitions) => {
            Error::Unavailable { said: format!("HTTP {status}: {said}") }
        }
        // Another change of the same user is under way: "Conflicting requests. Please try again".
        (409, ..) if body.conflicts() || !sent.targets(MARK).contains(&"primaryEmail") => {
            Error::Unavailable { said: format!("HTTP 409: {said}") }
        }
        (409, ..) => Error::Duplicate { field: Some("primaryEmail".to_owned()) },
        (404, _, Purpose::Create) if body.message.to_lowercase().contains("domain") => {
            Error::Rejected { field: Some("primaryEmail".to_owned()), said }
        }
        (404, ..) => Error::Unavailable { said: format!("HTTP 404: {said}") },
        _ => refused(&body, said, &sent),
    })
}

/// Returns the error of a refused value: the initial password, an attribute, or the organizational
/// unit that the settings name.
fn refused(body: &Body, said: String, sent: &Sent<'_>) -> Error {
    if let Some(refused) = sent.password_refused(&said, "password", &said) {
        return refused;
    }
    let texts = [&*said, &body.message];
    if let Some(field) = field(&sent.targets(MARK), None, &texts, names) {
        return Error::Rejected { field: Some(field), said };
    }
    // No row maps it, so it is not among what was written.
    if matches!(sent, Sent::Create(..)) && field(&[ORG_UNIT], None, &texts, names).is_some() {
        let said = format!(
            "this is provider.googleWorkspace.orgUnitPath of the settings; Google said: {said}"
        );
        return Error::Rejected { field: Some(ORG_UNIT.to_owned()), said };
    }
    sent.password_refused(&body.message, "password", &said)
        .unwrap_or(Error::Rejected { field: None, said })
}

/// Returns the error of the token service. It refuses the key, the delegation, or the administrator
/// (RFC 7523, 3.2, and developers.google.com, "Using OAuth 2.0 for Server to Server Applications").
fn token_refused(status: u16, body: &Body, said: String, scope: &str) -> Error {
    let speaks_of_the_administrator = body.message.to_lowercase().contains("email or user");
    match &*body.reason {
        "unauthorized_client" | "access_denied" | "invalid_scope" => denied(&said, scope),
        "invalid_grant" if speaks_of_the_administrator => Error::Denied {
            said: format!(
                "the service account may not act for the user in adminEmail; Google said: {said}"
            ),
        },
        _ if matches!(status, 400 | 401 | 403) => Error::Unauthorized { said },
        _ => Error::Unavailable { said: format!("HTTP {status}: {said}") },
    }
}

/// Returns the error of a credential that may not do this to this account.
fn forbidden(said: &str) -> Error {
    let needs =
        "the administrator in adminEmail needs a role whose privileges over users reach this one";
    Error::Forbidden { said: format!("{needs}; Google said: {said}") }
}

/// Returns the error of a credential that may not make this kind of call.
fn denied(said: &str, scope: &str) -> Error {
    Error::Denied {
        said: format!(
            "the service account needs domain-wide delegation for the scope {scope}, the project the Admin SDK API, and adminEmail has to be \
             an administrator who may manage users; Google said: {said}"
        ),
    }
}

/// Returns the same error for a call that names the account by `customer`.
fn denied_listing(said: &str, scope: &str) -> Error {
    denied(
        &format!(
            "{said}; if customer is set, it has to be that administrator's own account (my_customer)"
        ),
        scope,
    )
}

/// What an error body says: `{error: {code, message, errors: [{reason, message}]}}` from the
/// Directory API, `{error, error_description}` from the token service.
#[derive(Debug, Default)]
struct Body {
    reason: String,
    message: String,
}

impl Body {
    fn read(answer: &Answer) -> Self {
        if answer.status.is_success() || answer.body.len() > ERROR_BODY {
            return Self::default();
        }
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            return Self::default();
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = &body["error"];
        if error.is_string() {
            let description = text(&body["error_description"]);
            let message = if description.is_empty() { text(error) } else { description };
            return Self { reason: text(error), message };
        }
        let first = &error["errors"][0];
        let message = text(&error["message"]);
        Self {
            reason: text(&first["reason"]),
            message: if message.is_empty() { text(&first["message"]) } else { message },
        }
    }

    /// Returns whether a 409 is about another change and not about an address.
    fn conflicts(&self) -> bool {
        self.reason == "conflict" || self.message.to_lowercase().contains("conflicting request")
    }

    fn slows_down(&self) -> bool {
        let message = self.message.to_lowercase();
        SLOW_DOWN.contains(&&*self.reason)
            || message.starts_with("quota exceeded for the current request")
            || message.contains("quota exceeded for quota metric")
    }
}

/// Returns the words by which a refusal may name an attribute, as in
/// `Invalid Input: primary_user_email` or `Invalid Given Name`.
fn names(target: &str) -> Vec<String> {
    let mut names = vec![target.to_owned()];
    let both = |name: &str| [snake(name), snake(name).replace('_', " ")];
    match locate(target) {
        Some(Target::Text("primaryEmail")) => {
            names.extend(["primary_user_email", "primary email", "email"].map(str::to_owned))
        }
        Some(Target::Text(ORG_UNIT)) => {
            names.extend(["invalid ou id", "invalid_ou_id", "org unit", "ou"].map(str::to_owned))
        }
        Some(Target::Text(name)) => names.extend(both(name)),
        Some(Target::Name(name)) => names.extend([name.to_owned()].into_iter().chain(both(name))),
        Some(Target::Entry(array, kind)) => {
            names.extend([
                format!("{}.{kind}", array.name()),
                kind.to_owned(),
                snake(array.name()),
                array.name().to_owned(),
            ]);
        }
        Some(Target::Part(array, kind, part)) => {
            let array = array.name();
            names.extend([
                format!("{array}.{kind}"),
                format!("{array} {part}"),
                part.to_owned(),
                kind.to_owned(),
                array.to_owned(),
            ]);
            names.extend(both(part));
        }
        Some(Target::Organization(name)) => names.extend(
            [name.to_owned(), format!("organizations {name}"), "organizations".to_owned()]
                .into_iter()
                .chain(both(name)),
        ),
        Some(Target::Custom(schema, name)) => {
            names.extend([
                format!("{schema}.{name}"),
                name.to_owned(),
                schema.to_owned(),
                "custom_schema".to_owned(),
            ]);
        }
        None => {}
    }
    names
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
