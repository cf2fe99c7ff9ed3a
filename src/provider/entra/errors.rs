//! What the answers of Microsoft Graph and of the sign-in service mean, by status, purpose and the
//! code in the body.

use super::catalog::{NUMBERED, SENSITIVE, TABLE};
use crate::provider::prelude::*;

/// Sets or removes a manager.
pub(super) const MANAGER: Route = Route::new("manager", Purpose::Update);
/// Ends the sessions of a user.
pub(super) const SESSIONS: Route = Route::new("sessions", Purpose::Update);
/// Makes several writes in one call.
pub(super) const BATCH: Route = Route::new("batch", Purpose::Update);
/// Asks whether a directory extension is defined.
pub(super) const EXTENSION: Route = Route::new("extensions", Purpose::Definitions);

/// The attribute that holds the password of a new user.
const PASSWORD: &str = "passwordProfile";

/// What a refusal means that is not about a value.
const RULES: [Rule; 12] = [
    // The sign-in service (RFC 6749, 5.2, and Microsoft's "Authentication and authorization error
    // codes").
    Rule::on(&[], Means::Unavailable, "{said}")
        .of(TOKEN)
        .code(&["temporarily_unavailable", "server_error"]),
    Rule::on(&[], Means::Denied, NEEDS).of(TOKEN).code(&[
        "access_denied",
        "interaction_required",
        "consent_required",
        "invalid_resource",
    ]),
    Rule::on(&[400, 401, 403], Means::Unauthorized, "{said}").of(TOKEN),
    // No right is missing: the directory has no room for another object.
    Rule::on(&[403], Means::Forbidden, QUOTA)
        .of(&[Purpose::Create, Purpose::Update])
        .code(&["Directory_QuotaExceeded"]),
    // The caller knows which permission ending sessions needs.
    Rule::on(&[403], Means::Forbidden, "{said}").at(SESSIONS),
    Rule::on(&[403], Means::Forbidden, TOO_LOW).of(&[Purpose::Update]),
    Rule::on(&[403], Means::Forbidden, NEEDS).of(&[Purpose::Create]),
    Rule::on(&[403], Means::Denied, NEEDS),
    Rule::on(&[404], Means::NotFound, "").of(&[Purpose::Find, Purpose::Update]),
    // The words do not matter, because the call asks about only one property.
    Rule::on(&[400], Means::NotFound, "")
        .of(&[Purpose::Definitions])
        .word(&["does not exist as a declared property or extension property", "extension_"]),
    Rule::on(&[], Means::Unavailable, STATUS).of(&[Purpose::Find]),
    // Not all of the directory knows a new user yet: "Not a valid reference update", "does not
    // reference a valid object". Nothing was applied.
    Rule::on(&[400], Means::Unavailable, STATUS).at(MANAGER),
];

/// The directory could not write now, because another write was under way.
const BUSY: [Rule; 1] = [Rule::on(&[404, 409, 412, 423], Means::Unavailable, STATUS)];

const TOKEN: &[Purpose] = &[Purpose::Token];
const QUOTA: &str = "the quota of objects in this directory is used up; Microsoft said: {said}";
const TOO_LOW: &str = "the app registration needs the application permission User.ReadWrite.All, \
    and for an administrator's account a directory role that is high enough; Microsoft said: \
    {said}";
const NEEDS: &str = "the app registration needs the application permission User.ReadWrite.All of \
    Microsoft Graph, with admin consent; Microsoft said: {said}";

/// Returns whether an answer grants the call, and if not, what to do about it. `mark` is the
/// attribute that holds the mark.
///
/// # Errors
/// Every answer except a 2xx with JSON or, for a change, with an empty body.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>, mark: &str) -> Judged {
    let status = answer.status.as_u16();
    if answer.status.is_success() && route.purpose == Purpose::Update && answer.body.is_empty() {
        return Ok(());
    }
    if route == BATCH && matches!(status, 404 | 405 | 501) {
        return Err(Error::NotFound);
    }
    if let Some(judged) = by_status(route, answer, retry_after(answer)) {
        return judged;
    }
    let body = Body::read(answer);
    // The message about a whole batch may be about any employee in it.
    let text = if route == BATCH { "" } else { &body.message };
    let (code, named) = (&*body.code, body.target.as_deref());
    let mut refusal = Refusal { code, named, ..Refusal::new(route, answer, sent, text) };
    if let Some(number) = body.number {
        refusal.said = format!("{} (AADSTS{number})", refusal.said);
    }
    if let (400, Purpose::List, extension @ Some(_)) = (status, route.purpose, body.extension()) {
        // The refusal is about the row with this target, and about no other row.
        return Err(Error::Rejected { field: extension, said: refusal.said });
    }
    if let Some(error) = refusal.by(&RULES) {
        return Err(error);
    }
    if matches!(status, 400 | 409) && body.conflicts() {
        return Err(Error::Duplicate { field: duplicate(&body, &sent.targets(mark)) });
    }
    Err(refusal.by(&BUSY).unwrap_or_else(|| refused(refusal, &body.message, mark)))
}

/// Returns whether a refusal that names no attribute may be about a new user that not all of the
/// directory knows yet. For an older user the same words are about a value.
pub(super) fn speaks_of_lag(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "one or more property values specified are invalid",
        "not a valid reference update",
        "does not reference a valid",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// Returns which of the sent keys another object has. Another object may have an address in its
/// `mail`.
fn duplicate(body: &Body, targets: &[&str]) -> Option<String> {
    let named = field(targets, body.target.as_deref(), &[&body.message], names);
    named.or_else(|| {
        body.target.clone().filter(|target| target.bytes().all(|b| b.is_ascii_alphanumeric()))
    })
}

/// Returns the error of a refused value: the initial password, or an attribute. A new user also
/// gets attributes that no row maps.
fn refused(refusal: Refusal<'_>, message: &str, mark: &str) -> Error {
    let of_password = |text: &str| refusal.of_password(PASSWORD, text);
    let named = of_password(refusal.named.unwrap_or_default());
    if let Some(refused) = named.or_else(|| of_password(&refusal.said)) {
        return refused;
    }
    let mut targets = refusal.sent.targets(mark);
    if matches!(refusal.sent, Sent::Create(..)) {
        targets.extend(["mailNickname", "usageLocation"]);
    }
    let field = field(&targets, refusal.named, &[&refusal.said, message], names);
    if let Some(refused) = of_password(message).filter(|_| field.is_none()) {
        return refused;
    }
    let said = match federated(&refusal.sent, message) {
        Some(domain) => format!(
            "the domain {domain} is federated: Entra ID takes a new user of it only with an \
             onPremisesImmutableId, so either the directory that federates it makes the account, \
             or userPrincipalName is mapped to a managed domain; Microsoft said: {}",
            refusal.said
        ),
        None => refusal.said,
    };
    Error::Rejected { field, said }
}

/// Returns the domain of a new user, if the refusal says that the domain is federated (Microsoft
/// Graph, "Create user").
fn federated<'s>(sent: &Sent<'s>, message: &str) -> Option<&'s str> {
    let Sent::Create(mapping, write, _) = sent else { return None };
    let message = message.to_lowercase();
    if !message.contains("immutableid") && !message.contains("federated") {
        return None;
    }
    write.text(mapping.username)?.rsplit_once('@').map(|(_, domain)| domain)
}

/// Returns the names of the attributes among these that only high roles may write on an
/// administrator's account.
pub(super) fn sensitive(names: &[&str]) -> String {
    names.iter().copied().filter(|name| SENSITIVE.contains(name)).collect::<Vec<_>>().join(", ")
}

/// What an error body says: `{error: {code, message, details: [{code, target, message}]}}` from
/// Graph, `{error, error_description, error_codes}` from the sign-in service.
#[derive(Debug, Default)]
struct Body {
    code: String,
    message: String,
    /// The attribute that the first detail names.
    target: Option<String>,
    details: Vec<String>,
    number: Option<u64>,
}

impl Body {
    fn read(answer: &Answer) -> Self {
        let body = error_body(answer);
        if let Some((code, description)) = oauth_error(&body) {
            // The text is "AADSTS7000215: Invalid client secret provided. ... Trace ID: ...
            // Correlation ID: ...". The code is kept as a number, and the ids are of no use to a
            // reader.
            let told = description
                .split_once(": ")
                .filter(|(code, _)| code.starts_with("AADSTS"))
                .map_or(&*description, |(_, told)| told);
            let told = told.split(" Trace ID:").next().unwrap_or(told);
            let message = if told.is_empty() { code.clone() } else { told.to_owned() };
            let number = body["error_codes"][0].as_u64();
            return Self { code, message, number, ..Self::default() };
        }
        let error = &body["error"];
        let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
        let target = details
            .iter()
            .find_map(|detail| detail["target"].as_str())
            .or(error["target"].as_str());
        Self {
            code: text_of(&error["code"]),
            message: text_of(&error["message"]),
            target: target.map(str::to_owned),
            details: details.iter().map(|detail| text_of(&detail["code"])).collect(),
            number: None,
        }
    }

    /// Returns whether another object has the value. Not every answer has details.
    fn conflicts(&self) -> bool {
        let message = self.message.to_lowercase();
        self.details.iter().any(|code| code == "ObjectConflict" || code == "ConflictingObjects")
            || message.contains("another object with the same value")
            || message
                .contains("conflicting object with one or more of the specified property values")
    }

    /// Returns the directory extension that the message names.
    fn extension(&self) -> Option<String> {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.message
            .split(|c| !name(c))
            .find(|word| word.starts_with("extension_"))
            .map(str::to_owned)
    }
}

/// Returns the words by which a refusal may name an attribute: its name in Graph, or the
/// directory's own older name.
fn names(target: &str) -> Vec<String> {
    let words = TABLE.locate(target).map_or(&[][..], |place| place.field.words);
    let numbered = target.strip_prefix(NUMBERED).map(|name| name.trim_start_matches('.'));
    [target].into_iter().chain(numbered).chain(words.iter().copied()).map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
