//! How real servers differ from the standard, or from each other, as switches.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::errors::MEDIA;
use crate::texts::Forms;

/// The switches, in groups. Seconds are of the simulators' clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quirks {
    pub routes: Routes,
    pub patch: Patch,
    pub writes: Writes,
    pub filters: Filters,
    pub paging: Paging,
    pub values: Values,
    pub errors: Errors,
}

/// How a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Served {
    /// As the standard says.
    #[default]
    Yes,
    /// 404.
    Absent,
    /// 403.
    Forbidden,
    /// A page in HTML, with 200.
    Page,
}

/// Whether a method exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    #[default]
    Supported,
    /// 501.
    NotImplemented,
    /// 405.
    NotAllowed,
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routes {
    pub users: Served,
    /// The three routes of discovery.
    pub discovery: Served,
    pub put: Method,
    pub patch: Method,
    /// Whether `ServiceProviderConfig` says that there is PATCH.
    pub patch_announced: bool,
    pub search: bool,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            users: Served::Yes,
            discovery: Served::Yes,
            put: Method::Supported,
            patch: Method::Supported,
            patch_announced: true,
            search: true,
        }
    }
}

/// Which operations of a PATCH are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PatchPaths {
    #[default]
    Any,
    /// An operation with a path: 400 `invalidPath`.
    Pathless,
    /// An operation without a path: 500.
    Required,
    /// An operation without a path is answered with success and changes nothing.
    PathlessIgnored,
    /// An operation with a path into an extension: 400 `invalidPath`.
    NoExtensions,
    /// An operation with a filter in its path: 400 `invalidPath`.
    NoFilters,
}

/// How the name of an operation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationNames {
    /// `replace`.
    #[default]
    Lower,
    /// `Replace`, as Entra ID writes it.
    Capitalised,
    Any,
}

/// What an operation does when its filter matches no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missed {
    /// 400 `noTarget`.
    #[default]
    Refused,
    /// `add` makes a value from the filter.
    Added,
    /// `add` and `replace` make a value from the filter, and `remove` does nothing.
    Tolerated,
}

/// The dialect of PATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    pub paths: PatchPaths,
    pub names: OperationNames,
    /// The most operations in one request.
    pub most_operations: Option<usize>,
    pub missed: Missed,
    /// Whether a change is answered 204.
    pub no_content: bool,
    /// Whether a change is answered 200 with an empty object.
    pub empty_answer: bool,
}

/// What a write does not do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Writes {
    /// Whether changes are answered with success and change nothing.
    pub change_nothing: bool,
    /// Attributes that writes do not change, such as `title` or an extension's
    /// `urn:…:User:department`.
    pub ignored: Vec<String>,
    /// Whether a PUT keeps attributes that it does not name.
    pub put_merges: bool,
    /// Whether unknown attributes of POST and PUT are ignored.
    pub ignores_unknown: bool,
    /// Whether `active` has no default value: a user without it does not show it.
    pub no_default_active: bool,
    /// Whether a create makes an active user, whatever it says.
    pub create_is_active: bool,
    /// Whether a password is refused.
    pub no_passwords: bool,
    /// Whether a multi-valued attribute takes one value only; a second one: 400.
    pub one_value: bool,
    /// Whether a second e-mail is dropped.
    pub one_email: bool,
    /// Whether e-mails are unique.
    pub unique_emails: bool,
}

/// A filter that the server does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unfiltered {
    /// 400 `invalidFilter`.
    #[default]
    Refused,
    /// No user.
    Empty,
    /// All users, as without a filter.
    All,
}

/// What filters find.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filters {
    /// The only attributes that can be filtered, such as `userName`.
    pub attributes: Option<Vec<String>>,
    /// The only operators, such as `eq` and `and`.
    pub operators: Option<Vec<String>>,
    /// What is answered to any other filter.
    pub otherwise: Unfiltered,
    /// Whether every filter is ignored.
    pub ignored: bool,
    /// How long a filter does not show what was written.
    pub lag_seconds: i64,
    /// The most users that a filter may find; more: 400 `tooMany`.
    pub most: Option<usize>,
    /// Whether a filter in the address with an e-mail or a name is refused: 403 `sensitive`.
    pub sensitive: bool,
    /// Whether filters distinguish upper and lower case in every attribute.
    pub exact: bool,
}

/// Which pages an index leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Index {
    #[default]
    Honoured,
    /// Everything is in one answer.
    OnePage,
    /// Always the first page.
    FirstPage,
    /// Beyond the end comes the first page again.
    Wraps,
    /// There are only cursors: 501 for `startIndex`.
    Absent,
}

/// What `totalResults` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Totals {
    #[default]
    All,
    /// The number of users on this page.
    Page,
    /// It is missing.
    Absent,
}

/// How a listing is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Paging {
    pub index: Index,
    /// Whether there are cursors.
    pub cursors: bool,
    /// Whether a listing without `startIndex` and `cursor` is divided by cursor.
    pub cursor_by_default: bool,
    /// How long a cursor is valid.
    pub cursor_seconds: i64,
    /// The most users on a page.
    pub cap: usize,
    pub totals: Totals,
    /// Whether `itemsPerPage` repeats the request's `count`.
    pub items_as_asked: bool,
    /// Whether a listing has no `Resources`.
    pub without_resources: bool,
    /// Whether an empty listing has no `Resources`, which the standard allows.
    pub omits_empty: bool,
    /// So many users of a page disappear as soon as the page was answered.
    pub deletes_after_page: usize,
    /// How long a listing without a filter does not show what was written.
    pub lag_seconds: i64,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            index: Index::Honoured,
            cursors: true,
            cursor_by_default: false,
            cursor_seconds: 3_600,
            cap: 200,
            totals: Totals::All,
            items_as_asked: false,
            without_resources: false,
            omits_empty: false,
            deletes_after_page: 0,
            lag_seconds: 0,
        }
    }
}

/// How values are stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Values {
    /// Whether `active` is shown as "True" or "False".
    pub active_is_text: bool,
    /// Whether user names that differ in case only are different.
    pub user_names_by_case: bool,
    /// Whether user names are stored in lower case.
    pub lowers_user_names: bool,
    /// Whether users have versions.
    pub etags: bool,
    /// Stored texts have one blank for every run of blanks.
    pub fold_blanks: bool,
    /// Stored texts have composed letters (NFC).
    pub compose_letters: bool,
    /// Stored texts have at most this many characters. User names, e-mails, types and ids are never
    /// cut.
    pub cut_texts: Option<usize>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            active_is_text: false,
            user_names_by_case: false,
            lowers_user_names: false,
            etags: true,
            fold_blanks: false,
            compose_letters: false,
            cut_texts: None,
        }
    }
}

impl Values {
    /// Changes the texts of a checked write into their stored form.
    pub fn keep(&self, resource: &mut Map<String, Value>) {
        const WHOLE: &[&str] = &[
            "userName",
            "externalId",
            "emails",
            "manager",
            "employeeNumber",
            "password",
            "type",
            "id",
            "meta",
        ];
        let Self { fold_blanks, compose_letters, cut_texts, .. } = *self;
        Forms { fold_blanks, compose_letters, cut_texts }.keep(resource, WHOLE);
        if self.lowers_user_names
            && let Some(Value::String(name)) = resource.get_mut("userName")
        {
            *name = name.to_lowercase();
        }
    }
}

/// The form of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // independent switches, not a state
pub struct Errors {
    pub status_is_number: bool,
    /// Whether refusals have a `scimType`.
    pub scim_type: bool,
    /// Whether refusals are pages.
    pub html: bool,
    /// `Retry-After` of a call beyond the limit.
    pub retry_after: Option<u64>,
    /// Whether answers are `application/json`.
    pub plain_json: bool,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            status_is_number: false,
            scim_type: true,
            html: false,
            retry_after: None,
            plain_json: false,
        }
    }
}

impl Errors {
    /// Returns the media type of answers.
    pub fn media(&self) -> &'static str {
        if self.plain_json { "application/json" } else { MEDIA }
    }
}

/// A value that is refused: `field` is an attribute, or a part such as `value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseRule {
    pub field: String,
    pub contains: String,
}
