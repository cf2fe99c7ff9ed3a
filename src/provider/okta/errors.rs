//! What Okta's answers mean: a code with causes, or for an access token the header of the challenge
//! (developer.okta.com, "Error codes").

use std::hash::{BuildHasher as _, RandomState};

use jiff::Timestamp;

use super::catalog::TABLE;
use crate::provider::prelude::*;

/// Steps of the life cycle.
pub(super) const LIFECYCLE: Route = Route::new("lifecycle", Purpose::Update);

/// Ends the sessions of a user.
pub(super) const SESSIONS: Route = Route::new("sessions", Purpose::Update);

/// The longest wait that a refusal names. Windows last a minute, and clocks differ.
const LONGEST: u64 = 90;

/// What a refusal means that is not about a value.
const RULES: [Rule; 19] = [
    // Okta carries out nothing in this mode.
    Rule::on(&[503], Means::Unavailable, "Okta is in maintenance and takes no changes now: {said}")
        .code(&["E0000010"]),
    Rule::on(&[400, 401], Means::Unauthorized, CLOCK).code(&["invalid_dpop_proof"]),
    Rule::on(&[], Means::Unavailable, "{said}").code(&["use_dpop_nonce"]),
    Rule::on(&[400, 403], Means::Denied, SCOPE).code(&[
        "invalid_scope",
        "consent_required",
        "insufficient_scope",
    ]),
    Rule::on(&[401], Means::Unauthorized, "{said}"),
    Rule::on(&[400], Means::Unauthorized, "{said}").of(&[Purpose::Token]),
    Rule::on(&[403], Means::Unauthorized, "{said}").code(&["E0000005"]),
    Rule::on(&[403], Means::Mastered, "{said}").code(&["E0000023"]),
    Rule::on(&[409], Means::Unavailable, "the account is changing its status: {said}")
        .code(&["E0000112", "E0000113"]),
    Rule::on(&[403], Means::Denied, SCHEMAS).of(&[Purpose::Definitions]),
    // The status is another one than expected. The caller looks again.
    Rule::on(&[400], Means::Rejected("status"), "{said}").at(LIFECYCLE).code(&["E0000001"]),
    Rule::on(&[403], Means::Rejected("status"), "{said}")
        .at(LIFECYCLE)
        .code(&["E0000016", "E0000032", "E0000038"]),
    Rule::on(&[403], Means::Rejected("credentials.password.value"), "{said}").code(&["E0000080"]),
    Rule::on(&[403], Means::Forbidden, ROLE_FOR_ONE).of(ONE_USER),
    Rule::on(&[403], Means::Forbidden, ROLE).of(&[Purpose::Create]),
    Rule::on(&[403], Means::Denied, ROLE),
    // No status of an account lets its profile be written any more.
    Rule::on(&[404], Means::NotFound, "").of(ONE_USER),
    Rule::on(&[405], Means::NotFound, "").of(&[Purpose::Find]),
    Rule::on(&[], Means::Unavailable, STATUS).of(&[Purpose::Find]),
];

const ONE_USER: &[Purpose] = &[Purpose::Find, Purpose::Update];
const CLOCK: &str = "Okta refused the proof of possession (DPoP), and the clock of this machine \
    may be wrong; Okta said: {said}";
const SCOPE: &str = "grant the service app the scopes {scope} in Okta, tab Okta API Scopes of the \
    app; Okta said: {said}";
const SCHEMAS: &str = "the attributes of users cannot be read: the API token or the service app \
    needs an administrator role that may read the profile schema (scope okta.schemas.read); Okta \
    said: {said}";
const ROLE_FOR_ONE: &str = "the API token or the service app needs an administrator role that may \
    change this user; Okta said: {said}";
const ROLE: &str = "the API token or the service app needs an administrator role that may manage \
    users; Okta said: {said}";

/// Words about a value that another account has (Okta has one code for every refused value).
const TAKEN: &str = "already exists";

/// The scopes that bobsync asks for.
pub(super) const SCOPES: &str = "okta.users.manage okta.users.read okta.schemas.read";

/// Returns whether an answer grants the call, and if not, what to do about it. `mark` is the
/// attribute that holds the mark.
///
/// # Errors
/// Every answer except a 2xx with JSON, and the empty one to a call that ends sessions.
pub(super) fn judge(
    route: Route,
    answer: &Answer,
    sent: Sent<'_>,
    mark: &str,
) -> Result<(), Error> {
    if route == SESSIONS && answer.status.is_success() && answer.body.is_empty() {
        return Ok(());
    }
    let body = if answer.status.is_success() { Body::default() } else { Body::read(answer) };
    // Okta carries out no write in this mode.
    let is_refused = route.writes() && answer.status.as_u16() == 503 && body.code == "E0000010";
    if !is_refused && let Some(judged) = by_status(route, answer, wait(answer)) {
        return judged;
    }
    let taken = body.causes.iter().find_map(|cause| {
        let (name, said) = cause.split_once(':')?;
        said.contains(TAKEN).then(|| name.trim().to_owned())
    });
    let targets = sent.targets(mark);
    if let Some(field) = taken.filter(|name| targets.contains(&&**name)) {
        return Err(Error::Duplicate { field: Some(field) });
    }
    let text = body.text();
    let named = body.causes.iter().find_map(|cause| Some(cause.split_once(':')?.0));
    let refusal = Refusal {
        code: &body.code,
        named,
        names: &[("{scope}", &body.scope)],
        ..Refusal::new(route, answer, sent, &text)
    };
    let names = |target: &str| TABLE.names(target);
    Err(refusal.by(&RULES).unwrap_or_else(|| refusal.of_value(mark, &[], &[], names)))
}

/// Returns when to come back after a refusal for the number of calls. A limit of 0 is the limit of
/// calls at the same time, which is free again soon (developer.okta.com, "Rate limits").
fn wait(answer: &Answer) -> Option<Duration> {
    if answer.number("x-rate-limit-limit") == Some(0) {
        let chance = RandomState::new().hash_one(0_u8) % 800;
        return Some(Duration::from_millis(200 + chance));
    }
    let reset = || Some(clamp_wait(until_reset(answer)?.as_secs().min(LONGEST)));
    retry_after(answer).or_else(reset)
}

/// Returns the time until the window of calls is over. Okta names the second of the epoch, which is
/// compared with the time of the answer.
pub(super) fn until_reset(answer: &Answer) -> Option<Duration> {
    let reset = i64::try_from(answer.number("x-rate-limit-reset")?).ok()?;
    let date = answer.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let now = date.map_or_else(Timestamp::now, |date| date.timestamp());
    Some(Duration::from_secs(u64::try_from(reset - now.as_second()).unwrap_or(0)))
}

/// What an error body, or the header of a refused access token, says.
#[derive(Debug, Default)]
struct Body {
    summary: String,
    code: String,
    causes: Vec<String>,
    /// The scope that was missing, or all.
    scope: String,
}

impl Body {
    fn read(answer: &Answer) -> Self {
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let scope = within(challenge, "scope").unwrap_or(SCOPES).to_owned();
        if let Some(error) = within(challenge, "error") {
            let summary = within(challenge, "error_description").unwrap_or_default().to_owned();
            return Self { code: error.to_owned(), summary, causes: Vec::new(), scope };
        }
        let body = error_body(answer);
        if let Some((code, summary)) = oauth_error(&body) {
            return Self { code, summary, causes: Vec::new(), scope };
        }
        let causes = body["errorCauses"].as_array().into_iter().flatten();
        Self {
            code: text_of(&body["errorCode"]),
            summary: text_of(&body["errorSummary"]),
            causes: causes.map(|cause| text_of(&cause["errorSummary"])).collect(),
            scope,
        }
    }

    /// Returns what was said. The causes say more than the summary.
    fn text(&self) -> String {
        if self.causes.is_empty() { self.summary.clone() } else { self.causes.join("; ") }
    }
}

/// Returns a parameter of a challenge (RFC 9110, 11.6.1).
fn within<'h>(challenge: &'h str, name: &str) -> Option<&'h str> {
    let key = format!("{name}=\"");
    let at = challenge.match_indices(&key).map(|(at, _)| at).find(|at| {
        challenge[..*at].chars().next_back().is_none_or(|before| " ,".contains(before))
    })?;
    challenge[at + key.len()..].split('"').next()
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
