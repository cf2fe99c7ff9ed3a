//! The events that Bob pushes: their signature, and what they say. Bob's own advice is to treat an
//! event as a notice and to read the API. So an event names an employee and a kind, and never a
//! value (apidocs.hibob.com, "Webhook events v2").

use std::borrow::Cow;

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha512;

use crate::http::secret::Secret;

/// Length of an HMAC-SHA512 in bytes.
const TAG: usize = 64;
/// How many field ids of an update are looked at. More of them say nothing more.
const MOST_FIELDS: usize = 400;
/// The most bytes of a ping.
const PING: usize = 64;

/// The secrets that may sign a delivery: one, and also the one before while it is being changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecrets {
    /// The secret that Bob shows now.
    pub current: Secret,
    /// The secret before. It is valid as long as it is in the Kubernetes Secret.
    pub previous: Option<Secret>,
}

/// The signature, which tells one delivery from another. Bob sends no id.
pub type Tag = [u8; TAG];

/// Returns the tag of a delivery if one of the secrets signed exactly this body. `signature` is the
/// header `Bob-Signature`: base64 of HMAC-SHA512 over the raw body, keyed with the secret as UTF-8
/// (apidocs.hibob.com, "Working with webhooks").
///
/// The check takes the same time for every error, and also without secrets: it always computes two
/// tags and compares all of both. It ends earlier only if the header is not a signature, which the
/// sender knows anyway.
#[must_use]
pub fn verify(secrets: Option<&SigningSecrets>, signature: &[u8], body: &[u8]) -> Option<Tag> {
    let sent: Tag =
        base64::engine::general_purpose::STANDARD.decode(signature).ok()?.try_into().ok()?;
    let signs = |secret: Option<&Secret>| {
        // If there is no secret, an empty key takes its place. Its result does not count.
        let key = secret.map_or(&[][..], |secret| secret.expose().as_bytes());
        let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key) else { return false };
        mac.update(body);
        mac.verify_slice(&sent).is_ok() & secret.is_some()
    };
    let current = signs(secrets.map(|secrets| &secrets.current));
    let previous = signs(secrets.and_then(|secrets| secrets.previous.as_ref()));
    (current | previous).then_some(sent)
}

/// Returns whether this is the test that Bob sends when a webhook is set up: the text `Ping test`,
/// or an object with it.
#[must_use]
pub fn is_ping(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Ping<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }
    if body.len() > PING {
        return false;
    }
    let text = body.trim_ascii();
    text == b"Ping test"
        || text == b"\"Ping test\""
        || object::<Ping<'_>>(text).is_some_and(|ping| ping.text == "Ping test")
}

/// Reads a JSON object. An array with the members in order does not count as one.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok()).flatten()
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `employee.created`: a profile was made.
    Created,
    /// `employee.updated`: fields changed.
    Updated,
    /// `employee.deleted`: the file is gone and cannot be read any more.
    Deleted,
    /// `employee.joined`: the start date has come.
    Joined,
    /// `employee.left`: terminated or on garden leave.
    Left,
    /// `employee.activated`: access to Bob was given, also after a leave.
    Activated,
    /// `employee.inactivated`: access to Bob was taken away.
    Inactivated,
    /// `employee.temporaryLeave`: on leave. Bob's status says whether that takes access.
    TemporaryLeave,
    /// `employee.access.revoked.immediately`: no later read shows it.
    AccessRevoked,
    /// `table.entry.created`, `table.entry.updated`: a row of a table, in force now or later.
    TableEntry,
    /// Another event about an employee, of a kind that is not known here.
    Employee,
    /// Anything else: time off, tasks, documents, hiring.
    Other,
}

impl Kind {
    fn read(word: &str) -> Self {
        match word {
            "employee.created" => Self::Created,
            "employee.updated" => Self::Updated,
            "employee.deleted" => Self::Deleted,
            "employee.joined" => Self::Joined,
            "employee.left" => Self::Left,
            "employee.activated" => Self::Activated,
            "employee.inactivated" => Self::Inactivated,
            "employee.temporaryLeave" => Self::TemporaryLeave,
            "employee.access.revoked.immediately" => Self::AccessRevoked,
            word if word.starts_with("table.entry.") => Self::TableEntry,
            word if word.starts_with("employee.") => Self::Employee,
            _ => Self::Other,
        }
    }

    /// Returns whether the event says what no later read shows, so that the event itself has to be
    /// trusted.
    #[must_use]
    pub const fn is_evidence(self) -> bool {
        matches!(self, Self::AccessRevoked | Self::Deleted)
    }

    /// Returns whether the event is about an employee, who may have an account.
    #[must_use]
    pub const fn is_about_people(self) -> bool {
        !matches!(self, Self::Other)
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the event is about.
    pub kind: Kind,
    /// Whether the event came in the old envelope (v1). Such an event is never evidence: it names
    /// an employee, and Bob is asked.
    pub legacy: bool,
    /// Bob's `companyId`, which equals `root.companyId` of its employees.
    pub company: Option<u64>,
    /// Bob's `root.id`, which has only digits.
    pub employee: Option<Box<str>>,
    /// When the event happened. Bob names no zone, so UTC is assumed.
    pub at: Option<Timestamp>,
    /// For `employee.updated`: the ids of the fields that were written. Calculated fields are not
    /// among them.
    pub fields: Vec<Box<str>>,
}

/// A body that is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no event")]
pub struct NotAnEvent;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    company_id: Option<Loose<'a>>,
    #[serde(borrow)]
    triggered_at: Option<Loose<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    /// v1: `{type, creationDate, changedBy, employee: {id, ...}}`.
    #[serde(borrow)]
    employee: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    employee_id: Option<Loose<'a>>,
    #[serde(borrow)]
    field_updates: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LegacyEmployee<'a> {
    #[serde(borrow)]
    id: Option<Loose<'a>>,
}

/// The two forms of an element of `fieldUpdates`. Bob does not publish which one it uses.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldUpdate<'a> {
    Id(#[serde(borrow)] Cow<'a, str>),
    Object {
        #[serde(borrow)]
        id: Cow<'a, str>,
    },
}

/// A text or a number. Any other value counts as no value.
struct Loose<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(json)?.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<Cow<'de, str>>(raw).ok(),
            Some(b'0'..=b'9') => Some(Cow::Borrowed(raw)),
            _ => None,
        };
        Ok(Self(text))
    }
}

impl Loose<'_> {
    fn employee(&self) -> Option<Box<str>> {
        let id = self.0.as_deref()?;
        let good = !id.is_empty() && id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| id.into())
    }
}

impl Event {
    /// Reads a body after its signature was checked.
    ///
    /// # Errors
    /// [`NotAnEvent`] if it is not an object with a `type`.
    pub fn read(body: &[u8]) -> Result<Self, NotAnEvent> {
        let envelope: Envelope<'_> = object(body).ok_or(NotAnEvent)?;
        let data: Option<Data<'_>> = envelope.data.and_then(|raw| object(raw.get().as_bytes()));
        let v1: Option<LegacyEmployee<'_>> =
            envelope.employee.and_then(|raw| object(raw.get().as_bytes()));
        let legacy = data.is_none() && v1.is_some();
        let employee = data
            .as_ref()
            .and_then(|data| data.employee_id.as_ref())
            .or_else(|| v1.as_ref()?.id.as_ref());
        Ok(Self {
            kind: Kind::read(&envelope.kind),
            legacy,
            company: envelope.company_id.and_then(|id| id.0?.parse().ok()),
            employee: employee.and_then(Loose::employee),
            at: envelope.triggered_at.and_then(|at| instant(&at.0?)),
            fields: data.and_then(|data| data.field_updates).map(fields).unwrap_or_default(),
        })
    }
}

fn fields(raw: &RawValue) -> Vec<Box<str>> {
    let updates: Vec<FieldUpdate<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
    let ids = updates.into_iter().map(|update| match update {
        FieldUpdate::Id(id) | FieldUpdate::Object { id } => id.into(),
    });
    ids.take(MOST_FIELDS).collect()
}

fn instant(text: &str) -> Option<Timestamp> {
    let zoned = text.parse::<Timestamp>().ok();
    zoned.or_else(|| Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
