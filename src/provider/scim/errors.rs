//! What a SCIM server's answers mean: the status, the `scimType`, and a detail in words (RFC 7644,
//! 3.12).

use super::catalog::{MarkPlace, names};
use crate::provider::prelude::*;

/// The text of an update that met another state of the user than the one that was read.
pub(super) const CHANGED: &str = "the user was changed at the server in between";

/// The text of a change that the server has no call for.
pub(super) const NO_SUCH_CALL: &str = "the server does not have this call";

/// What the SCIM base URL has to be.
pub(super) const EXPECTED: &str = "spec.provider.scim.endpoint has to be the SCIM base URL, below \
    which GET /Users answers a ListResponse, such as https://idp.example.com/scim/v2";

/// What a refusal means that is not about a value.
const RULES: [Rule; 12] = [
    Rule::on(&[400, 401], Means::Unauthorized, CLIENT)
        .at(Route::TOKEN)
        .code(&["invalid_client", "unauthorized_client"]),
    Rule::on(&[400, 401, 403], Means::Denied, SCOPE).at(Route::TOKEN).code(&["invalid_scope"]),
    Rule::on(&[401], Means::Unauthorized, "{said}"),
    // RFC 7644, 3.14.
    Rule::on(&[412], Means::Unavailable, CHANGED).of(&[Purpose::Update]),
    // A path with a filter that fits no value (RFC 7644, 3.5.2.3).
    Rule::on(&[400], Means::Unavailable, CHANGED).of(&[Purpose::Update]).code(&["noTarget"]),
    // A server need not say anything about itself.
    Rule::on(&[400, 403, 404, 405], Means::NotFound, "").of(&[Purpose::Definitions]),
    Rule::on(&[403], Means::Denied, NEEDS_LIST).of(&[Purpose::List]),
    Rule::on(&[403], Means::Forbidden, "{said}").of(&OF_ONE),
    Rule::on(&[404], Means::Unavailable, NO_USERS).of(&[Purpose::List, Purpose::Create]),
    // 410 is an expired link, or a user who is being deleted.
    Rule::on(&[404, 410], Means::NotFound, "").of(&[Purpose::Find, Purpose::Update]),
    Rule::on(&[400], Means::Rejected(FILTER), "{said}").of(&[Purpose::Find]),
    Rule::on(&[], Means::Unavailable, STATUS).of(&[Purpose::Find]),
];

const OF_ONE: [Purpose; 3] = [Purpose::Find, Purpose::Create, Purpose::Update];

/// The name of a search in a refusal.
pub(super) const FILTER: &str = "filter";

const CLIENT: &str = "the token service refused clientId and clientSecret: {said}";
const SCOPE: &str = "the token service refused the scope; set spec.provider.scim.tokenScope to a \
    scope that the client has: {said}";
const NEEDS_LIST: &str = "the credential may not list users: {said}";
const NO_USERS: &str = "HTTP 404 for /Users: {expected}";

/// Returns whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Every answer except a success with JSON, or without content if a change is confirmed.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>, mark: MarkPlace) -> Judged {
    let status = answer.status.as_u16();
    let update = route.purpose == Purpose::Update;
    match status {
        // RFC 7644, 3.5.2: a change may be confirmed without the user.
        200..=299 if update && answer.body.is_empty() => return Ok(()),
        405 | 501 if update => return Err(Error::Unavailable { said: NO_SUCH_CALL.to_owned() }),
        // The server has no such filter.
        501 if route.purpose == Purpose::Find => {
            return Err(Error::Rejected {
                field: Some(FILTER.to_owned()),
                said: NO_SUCH_CALL.to_owned(),
            });
        }
        200..=299 if route.purpose == Purpose::List && !answer.is_json() => {
            let what = if answer.is_html() { "an HTML page" } else { "something that is not JSON" };
            return Err(Error::Unavailable {
                said: format!("{what} came from /Users: {EXPECTED}"),
            });
        }
        _ => {}
    }
    if let Some(judged) = by_status(route, answer, retry_after(answer)) {
        return judged;
    }
    let (code, text) = told(answer);
    let refusal = Refusal {
        code: &code,
        names: &[("{expected}", EXPECTED)],
        ..Refusal::new(route, answer, sent, &text)
    };
    if let Some(error) = refusal.by(&RULES) {
        return Err(error);
    }
    let field = refusal.field(&sent.targets(mark.attribute()), names);
    // 409 is for a value that another user has (RFC 7644, 3.3 and 3.5). Not every server says so in
    // `scimType`.
    if code == "uniqueness" || status == 409 && code.is_empty() {
        return Err(Error::Duplicate { field });
    }
    if status == 409 {
        return Err(Error::Unavailable { said: format!("HTTP 409: {}", refusal.said) });
    }
    Err(refusal
        .of_password("password", &text)
        .filter(|_| field.is_none())
        .unwrap_or(Error::Rejected { field, said: refusal.said }))
}

/// Returns whether an error says that the server does not have the filter of a search.
pub(super) fn is_about_filters(error: &Error) -> bool {
    matches!(error, Error::Rejected { field: Some(field), .. } if field == FILTER)
}

/// Returns the code of an error body, and what it says.
fn told(answer: &Answer) -> (String, String) {
    let all = error_body(answer);
    if let Some((code, said)) = oauth_error(&all) {
        let said = if said.is_empty() { code.clone() } else { said };
        return (code, said);
    }
    // Some gateways in front of a server have words of their own.
    let texts = [&all["detail"], &all["message"], &all["title"], &all["description"], &all];
    let said = texts.into_iter().map(text_of).find(|text| !text.is_empty());
    (text_of(&all["scimType"]), said.unwrap_or_default())
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
