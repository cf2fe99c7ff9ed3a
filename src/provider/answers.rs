//! What answers mean before a provider's own words are read, and which of the sent attributes these
//! words name.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Error, Key, limits::LONGEST_WAIT};
use crate::{
    domain::{
        account::{Account, AccountWrite, NewValue},
        mapping::{Compare, Mapping, equal},
    },
    http::{client::Answer, scrub::Scrubber},
};

/// The most bytes of an error body that is read.
pub const ERROR_BODY: usize = 64 * 1024;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Asks for a token.
    Token,
    /// Reads one page of the listing.
    List,
    /// Reads what the tenant defines itself.
    Definitions,
    /// Looks up an account.
    Find,
    /// Makes an account.
    Create,
    /// Changes an account, or finishes one that was made.
    Update,
}

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The word for metrics, from a fixed list.
    pub name: &'static str,
    /// What the call is for.
    pub purpose: Purpose,
}

impl Route {
    /// Asks for a token.
    pub const TOKEN: Self = Self::new("token", Purpose::Token);
    /// Reads one page of the listing.
    pub const LIST: Self = Self::new("list", Purpose::List);
    /// Looks up an account.
    pub const FIND: Self = Self::new("find", Purpose::Find);
    /// Makes an account.
    pub const CREATE: Self = Self::new("create", Purpose::Create);
    /// Changes an account.
    pub const UPDATE: Self = Self::new("update", Purpose::Update);

    /// Returns a kind of call that only one provider has.
    #[must_use]
    pub const fn new(name: &'static str, purpose: Purpose) -> Self {
        Self { name, purpose }
    }

    /// Returns whether the call changes something.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self.purpose, Purpose::Create | Purpose::Update)
    }

    /// Returns the error for a call that may have arrived and has no answer that can be trusted.
    /// For a write, the outcome is unknown.
    pub fn no_answer(self, said: impl Into<String>) -> Error {
        let said = said.into();
        if self.writes() { Error::Unknown { said } } else { Error::Unavailable { said } }
    }
}

/// What a call sent, and what must not come back in a text.
#[derive(Clone, Copy)]
pub enum Sent<'a> {
    /// Nothing about an employee, and nothing secret.
    Nothing,
    /// A key that was looked up.
    Key(&'a str),
    /// Id and secret of a credential.
    Credential(&'a str, &'a str),
    /// A write.
    Write(&'a Mapping, &'a AccountWrite),
    /// The write that makes an account, and its initial password.
    Create(&'a Mapping, &'a AccountWrite, Password<'a>),
}

/// The initial password of a new account.
#[derive(Clone, Copy)]
pub enum Password<'a> {
    /// No password.
    Absent,
    /// The default password of the settings.
    Default(&'a str),
    /// A generated password that no person knows.
    Generated(&'a str),
}

impl Password<'_> {
    /// Returns which password a refusal is about and what to do, or `None` if no password was sent.
    const fn which(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::Default(_) => Some(
                "this is the default password: replace it in the Secret that \
                 provisioning.defaultPasswordSecretRef names",
            ),
            Self::Generated(_) => Some(
                "this is a generated password: set a password that the provider accepts with \
                 provisioning.defaultPasswordSecretRef",
            ),
        }
    }
}

impl<'a> Sent<'a> {
    const fn write(&self) -> Option<(&'a Mapping, &'a AccountWrite)> {
        match *self {
            Self::Write(mapping, write) | Self::Create(mapping, write, _) => Some((mapping, write)),
            Self::Nothing | Self::Key(_) | Self::Credential(..) => None,
        }
    }

    /// Returns the provider's names of the attributes that were sent. `mark` is its name of the
    /// mark.
    #[must_use]
    pub fn targets(&self, mark: &'a str) -> Vec<&'a str> {
        let Some((mapping, write)) = self.write() else { return Vec::new() };
        let rows = write.attributes.iter().filter_map(|(row, _)| mapping.rows.get(*row));
        rows.map(|row| &*row.target).chain(write.mark.as_ref().map(|_| mark)).collect()
    }

    /// Returns the refusal of the initial password, if one was sent and `text` is about it. `name`
    /// is the provider's name of the password.
    #[must_use]
    pub fn password_refused(&self, text: &str, name: &str, said: &str) -> Option<Error> {
        let Self::Create(_, _, password) = self else { return None };
        let (which, text) = (password.which()?, text.to_lowercase());
        let speaks =
            word(&text, "password").or_else(|| word(&text, &name.to_lowercase())).is_some();
        speaks.then(|| Error::Rejected {
            field: Some(name.to_owned()),
            said: format!("{which}; the answer was: {said}"),
        })
    }

    /// Returns the text without anything that was sent. Names of attributes stay.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let Some((mapping, write)) = self.write() else {
            return match *self {
                Self::Key(key) => Scrubber { values: &[key], ..Scrubber::default() }.clean(text),
                Self::Credential(id, secret) => {
                    Scrubber { secrets: &[secret], values: &[id], ..Scrubber::default() }
                        .clean(text)
                }
                Self::Nothing | Self::Write(..) | Self::Create(..) => {
                    Scrubber::default().clean(text)
                }
            };
        };
        let foreign =
            write.foreign.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let mut values: Vec<&str> = Vec::new();
        if let Some(foreign) = &foreign {
            texts_in(foreign, &mut values);
        }
        values.extend(write.attributes.iter().filter_map(|(_, value)| match value {
            NewValue::Set(text) => Some(&**text),
            NewValue::Clear => None,
        }));
        values.extend(write.mark.as_deref());
        let names: Vec<&str> = mapping.rows.iter().map(|row| &*row.target).collect();
        let password = match self {
            Self::Create(_, _, Password::Default(password) | Password::Generated(password)) => {
                Some(*password)
            }
            _ => None,
        };
        Scrubber { secrets: password.as_slice(), values: &values, names: &names }.clean(text)
    }
}

/// Members that name the kind of an entry of an array.
const KINDS: [&str; 2] = ["type", "customType"];

fn texts_in<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts_in(item, texts)),
        // The kind of an entry says nothing about an employee, and is a word of the provider's own
        // messages.
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !KINDS.contains(&&***name))
            .for_each(|(_, member)| texts_in(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns what an answer means, if that does not depend on the provider's words. Such answers are
/// a success with JSON, an HTML page, a redirect, too many calls, and a service in trouble. Returns
/// `None` if the error body has to be read. `wait` is when to come back, if the answer says so.
#[must_use]
pub fn by_status(
    route: Route,
    answer: &Answer,
    wait: Option<Duration>,
) -> Option<Result<(), Error>> {
    let status = answer.status.as_u16();
    Some(match status {
        200..=299 if answer.is_json() => Ok(()),
        200..=299 if answer.is_html() => Err(route.no_answer(
            "an HTML page came instead of JSON, such as a firewall, a proxy or a log-in sends",
        )),
        200..=299 => Err(route.no_answer(format!("HTTP {status} without JSON"))),
        300..=399 => {
            Err(route.no_answer(format!("HTTP {status}, a redirect, which is never followed")))
        }
        429 => Err(Error::Throttled { wait }),
        // A read changes nothing, so only the named time counts.
        500.. if wait.is_some() && !route.writes() => Err(Error::Throttled { wait }),
        408 | 500.. => Err(route.no_answer(format!("HTTP {status}"))),
        _ if answer.is_html() => Err(route.no_answer(format!(
            "HTTP {status} with an HTML page, such as a firewall, a proxy or a log-in sends"
        ))),
        _ => return None,
    })
}

/// Returns a wait that a provider asks for, between 1 second and [`LONGEST_WAIT`].
#[must_use]
pub fn clamp_wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds.max(1)).min(LONGEST_WAIT)
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, 10.2.3).
#[must_use]
pub fn retry_after(answer: &Answer) -> Option<Duration> {
    let after = answer.header("retry-after")?;
    let until = || {
        let date = jiff::fmt::rfc2822::parse(after).ok()?.timestamp();
        u64::try_from(date.duration_since(Timestamp::now()).as_secs()).ok()
    };
    after.parse().ok().or_else(until).map(clamp_wait)
}

/// Returns the sent attribute that an error is about. That is the one that the error names.
/// Otherwise it is the first attribute after the last colon of a text, or the first one in the
/// whole text.
///
/// `names` gives the words by which a refusal may name an attribute. If one word is the name of
/// several of the sent attributes, it is the array that they share, and the array is returned.
#[must_use]
pub fn field(
    targets: &[&str],
    named: Option<&str>,
    texts: &[&str],
    names: impl Fn(&str) -> Vec<String>,
) -> Option<String> {
    let called = |target: &&str, name: &str| {
        names(target).iter().any(|known| known.eq_ignore_ascii_case(name.trim()))
    };
    if let Some(target) = named.and_then(|name| targets.iter().find(|target| called(target, name)))
    {
        return Some((*target).to_owned());
    }
    texts.iter().find_map(|text| {
        let text = text.to_lowercase();
        let last = text.rfind(": ").map(|at| &text[at + 2..]);
        last.into_iter().chain([&*text]).find_map(|text| first_named(text, targets, &names))
    })
}

/// Returns the attribute with the first name in a text, and the longest of those that begin at this
/// place.
fn first_named<'t>(
    text: &str,
    targets: &[&'t str],
    names: &impl Fn(&str) -> Vec<String>,
) -> Option<String> {
    let places = targets.iter().filter_map(|target| {
        let found = names(target).into_iter().filter_map(|name| {
            Some((word(text, &name.to_lowercase())?, std::cmp::Reverse(name.len())))
        });
        found.min().map(|place| (place, *target))
    });
    let (place, target) = places.min()?;
    let shares = |other: &&&str| {
        let found = names(other).into_iter().filter_map(|name| {
            Some((word(text, &name.to_lowercase())?, std::cmp::Reverse(name.len())))
        });
        found.min() == Some(place)
    };
    let sharing: Vec<_> = targets.iter().filter(shares).collect();
    let outer = |name: &&'t str| name.rsplit_once('.').map(|(outer, _)| outer);
    let within = |array: &&str| {
        sharing
            .iter()
            .all(|other| other.strip_prefix(array).is_some_and(|rest| rest.starts_with('.')))
    };
    let array =
        std::iter::successors(outer(&target), outer).find(within).filter(|_| sharing.len() > 1);
    Some(array.unwrap_or(target).to_owned())
}

/// Returns the position of `name` as a whole word in `text`.
fn word(text: &str, name: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|&at| {
        let after = text[at + name.len()..].chars().next();
        !text[..at].chars().next_back().is_some_and(part) && !after.is_some_and(part)
    })
}

/// Returns the error of an answer that cannot be what was asked for.
pub(super) fn unreadable(said: &str) -> Error {
    Error::Unavailable { said: said.to_owned() }
}

/// Returns the answer to a read of one account, or `None` if there is no such account.
///
/// # Errors
/// As the error table sorts them, except for a missing account.
pub fn unless_gone(outcome: Result<Answer, Error>) -> Result<Option<Answer>, Error> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the outcome of ending sessions. Ending them twice does no harm, so an unknown outcome is
/// tried again.
///
/// # Errors
/// As the error table sorts them, except for an unknown outcome.
pub fn repeatable(outcome: Result<Answer, Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::Unknown { said }) => Err(Error::Unavailable { said }),
        outcome => outcome.map(drop),
    }
}

/// Returns the JSON of an error body. It is null if the body is not JSON, or is too large.
#[must_use]
pub fn error_body(answer: &Answer) -> Value {
    let body = Some(&answer.body[..]).filter(|body| body.len() <= ERROR_BODY);
    body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
}

/// Returns the text of a value, which is empty if it is not a text.
#[must_use]
pub fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the code and the description in the error body of a token service (RFC 6749, 5.2).
#[must_use]
pub fn oauth_error(body: &Value) -> Option<(String, String)> {
    let code = body["error"].as_str()?;
    Some((code.to_owned(), text_of(&body["error_description"])))
}

/// Returns the outcome of a search for accounts. A search that finds none is answered with an empty
/// list, so a 404 means a wrong address. A refusal is about the search and not about one account.
///
/// # Errors
/// As the error table sorts them, except for these two.
pub fn searched(outcome: Result<Answer, Error>) -> Result<Answer, Error> {
    outcome.map_err(|error| match error {
        Error::NotFound => Error::Unavailable { said: "HTTP 404 for the list of users".to_owned() },
        Error::Forbidden { said } => Error::Denied { said },
        error => error,
    })
}

/// Keeps the accounts that have this key. Searches find more than was asked for: an alias, a
/// wildcard, another case.
pub fn keep_those_with(key: Key<'_>, found: &mut Vec<Account<'static>>) {
    let equals =
        |compare, have: Option<&str>, want| have.is_some_and(|have| equal(compare, have, want));
    found.retain(|account| match key {
        Key::Id(id) => *account.id == *id,
        Key::Mark(mark) | Key::MarkOrAddress(mark, _) => {
            equals(Compare::Exact, account.mark.as_deref(), mark)
        }
        Key::Email(email) => equals(Compare::IgnoringCase, account.email.as_deref(), email),
    });
}

/// Returns the provider's request id in this header, for its support. It is printable and short.
#[must_use]
pub fn request_id(answer: &Answer, header: &str) -> Option<String> {
    let id: String =
        answer.header(header)?.chars().filter(char::is_ascii_graphic).take(64).collect();
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::employee::Fields;

    #[test]
    fn a_secret_is_taken_out_of_every_place() {
        assert_eq!(
            Sent::Credential("me", "Lap1s").clean("xLap1sx is refused, and so is Lap1s"),
            "x…x is refused, and so is …"
        );
        let mapping = Mapping {
            address: None,
            rows: Vec::new(),
            fields: Fields::default(),
            email: 0,
            username: 0,
            manager: None,
        };
        let write = AccountWrite::default();
        for password in [Password::Default("Lap1s"), Password::Generated("Lap1s")] {
            assert_eq!(
                Sent::Create(&mapping, &write, password).clean("xLap1sx is refused"),
                "x…x is refused"
            );
        }
    }
}
