//! What Google's answers mean, by the reason in the error body: the same status means many things.

use super::catalog::{CUSTOM, MARK, TABLE};
use crate::provider::prelude::*;

/// The organizational unit, and the name of the address, which the provider's refusals name.
const ORG_UNIT: &str = "orgUnitPath";
const EMAIL: &str = "primaryEmail";

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

/// What a refusal means that is not about a value.
const RULES: [Rule; 18] = [
    // The token service refuses the key, the delegation, or the administrator (RFC 7523, 3.2, and
    // developers.google.com, "Using OAuth 2.0 for Server to Server Applications").
    Rule::on(&[], Means::Denied, NEEDS).of(TOKEN).code(&[
        "unauthorized_client",
        "access_denied",
        "invalid_scope",
    ]),
    Rule::on(&[], Means::Denied, NO_SUBJECT)
        .of(TOKEN)
        .code(&["invalid_grant"])
        .word(&["email or user"]),
    Rule::on(&[400, 401, 403], Means::Unauthorized, "{said}").of(TOKEN),
    Rule::on(&[403], Means::Denied, NEEDS).code(&[
        "insufficientPermissions",
        "accessNotConfigured",
        "domainCannotUseApis",
    ]),
    // Only these calls name the account.
    Rule::on(&[403], Means::Denied, NEEDS_ACCOUNT).of(LISTS),
    Rule::on(&[400, 404], Means::Denied, NEEDS_ACCOUNT).of(LISTS).word(&["customer"]),
    Rule::on(&[403, 404], Means::Rejected(EMAIL), "{said}").of(CREATE).code(&["domainNotFound"]),
    // This is Google's own suspension, and no privilege ends it.
    Rule::on(&[403], Means::Forbidden, GOOGLE_SUSPENDED)
        .of(&[Purpose::Update])
        .code(&["adminCannotUnsuspend"]),
    Rule::on(&[403], Means::Forbidden, NOT_REACHED).of(ONE_USER),
    // The refusal is about this account, which may be in a domain of another customer.
    Rule::on(&[403], Means::Forbidden, NOT_THEIRS).of(CREATE),
    Rule::on(&[403], Means::Denied, NEEDS),
    // Google answers "User is deleted." for a user that can still be restored.
    Rule::on(&[412], Means::NotFound, "")
        .of(ONE_USER)
        .code(&["conditionNotMet"])
        .word(&["deleted"]),
    // The text is "User creation is not complete". Nothing was applied, and a later try will
    // succeed.
    Rule::on(&[412], Means::Unavailable, "{said}").code(&["conditionNotMet"]),
    // Another change of the same user is under way: "Conflicting requests. Please try again".
    Rule::on(&[409], Means::Unavailable, STATUS).code(&["conflict"]),
    Rule::on(&[409], Means::Unavailable, STATUS).word(&["conflicting request"]),
    Rule::on(&[409], Means::Duplicate(EMAIL), "").sending(EMAIL),
    Rule::on(&[409], Means::Unavailable, STATUS),
    Rule::on(&[404], Means::Rejected(EMAIL), "{said}").of(CREATE).word(&["domain"]),
];

const TOKEN: &[Purpose] = &[Purpose::Token];
const LISTS: &[Purpose] = &[Purpose::List, Purpose::Definitions];
const CREATE: &[Purpose] = &[Purpose::Create];
const ONE_USER: &[Purpose] = &[Purpose::Find, Purpose::Update];
const GOOGLE_SUSPENDED: &str =
    "Google itself suspended this account, and only Google gives access back; Google said: {said}";
const NOT_REACHED: &str = "the administrator in adminEmail needs a role whose privileges over \
    users reach this one; Google said: {said}";
const NOT_THEIRS: &str = "the domain of primaryEmail has to be one of this Workspace's, and \
    adminEmail an administrator who may make users in this organizational unit; Google said: \
    {said}";
const NO_SUBJECT: &str =
    "the service account may not act for the user in adminEmail; Google said: {said}";
const NEEDS: &str = "the service account needs domain-wide delegation for the scope {scope}, the \
    project the Admin SDK API, and adminEmail has to be an administrator who may manage users; \
    Google said: {said}";
const NEEDS_ACCOUNT: &str = "the service account needs domain-wide delegation for the scope \
    {scope}, the project the Admin SDK API, and adminEmail has to be an administrator who may \
    manage users; Google said: {said}; if customer is set, it has to be that administrator's own \
    account (my_customer)";

/// Returns whether an answer grants the call, and if not, what to do about it. `scope` is the scope
/// of the token.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>, scope: &str) -> Judged {
    let body = Body::read(answer);
    if matches!(answer.status.as_u16(), 403 | 429 | 503) && body.slows_down() {
        return Err(Error::Throttled { wait: retry_after(answer) });
    }
    if let Some(judged) = by_status(route, answer, retry_after(answer)) {
        return judged;
    }
    let (code, scope) = (&*body.reason, [("{scope}", scope)]);
    let refusal =
        Refusal { code, names: &scope, ..Refusal::new(route, answer, sent, &body.message) };
    Err(refusal.by(&RULES).unwrap_or_else(|| refused(refusal)))
}

/// Returns the error of a refused value: the initial password, an attribute, or the organizational
/// unit that the settings name.
fn refused(refusal: Refusal<'_>) -> Error {
    if let Some(refused) = refusal.of_password("password", &refusal.said) {
        return refused;
    }
    if let Some(field) = refusal.field(&refusal.sent.targets(MARK), names) {
        return Error::rejected(&field, refusal.said);
    }
    // No row maps it, so it is not among what was written.
    let is_new = matches!(refusal.sent, Sent::Create(..));
    if is_new && refusal.field(&[ORG_UNIT], names).is_some() {
        let said = format!(
            "this is provider.googleWorkspace.orgUnitPath of the settings: correct it there; \
             Google said: {}",
            refusal.said
        );
        return Error::rejected(ORG_UNIT, said);
    }
    let of_password = refusal.of_password("password", refusal.text);
    of_password.unwrap_or(Error::Rejected { field: None, said: refusal.said })
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
        if answer.status.is_success() {
            return Self::default();
        }
        let body = error_body(answer);
        if let Some((reason, told)) = oauth_error(&body) {
            return Self { message: if told.is_empty() { reason.clone() } else { told }, reason };
        }
        let (error, first) = (&body["error"], &body["error"]["errors"][0]);
        let told = [&error["message"], &first["message"]].map(text_of);
        let message = told.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        Self { reason: text_of(&first["reason"]), message }
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
    let Some(place) = TABLE.locate(target) else { return vec![target.to_owned()] };
    let (outer, key, member) = (place.outer, place.key, place.member);
    let mut names = vec![target.to_owned()];
    let last = if member.is_empty() { outer } else { member };
    match place.field.at {
        _ if !place.field.words.is_empty() => {}
        At::Entry(array) if member == array.value => names.extend([key.to_owned(), snake(outer)]),
        _ if outer == CUSTOM => {
            names.extend([format!("{key}.{member}"), key.to_owned(), "custom_schema".to_owned()]);
            names.push(member.to_owned());
        }
        _ => names.extend([last.to_owned(), snake(last), snake(last).replace('_', " ")]),
    }
    if place.array().is_some() {
        names.push(outer.to_owned());
        names.extend(Some(format!("{outer} {member}")).filter(|_| member != "value"));
        names.extend(
            [key.to_owned(), format!("{outer}.{key}")].into_iter().filter(|_| !key.is_empty()),
        );
    }
    names.extend(place.field.words.iter().map(|word| (*word).to_owned()));
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
