//! The data mapping: which Bob field goes to which attribute.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One row of the data mapping.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.field), has(self.formula), has(self.cel)].filter(set, \
    set).size() == 1")
    .message("a mapping row has exactly one of field, formula and cel: remove the others"))]
#[x_kube(validation = Rule::new("!self.target.startsWith('custom_attributes.') || \
    self.target.matches('^custom_attributes[.][A-Za-z0-9_]{1,64}$')")
    .message("write a custom attribute as custom_attributes.<shortname>, with letters, digits and \
        underscores only"))]
pub struct MappingRow {
    /// The attribute that gets the value, by the provider's own name for it.
    #[schemars(length(min = 1, max = 128))]
    pub target: String,
    /// One Bob field, by its id, such as `work.title`. A list field gives the label that people
    /// see. A date is `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\s{}/]+( [^\s{}/]+)*$"))]
    pub field: Option<String>,
    /// Several Bob fields in braces, with text between them, such as
    /// `{work.department} - {work.site}`. Write `{{` and `}}` for a brace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub formula: Option<String>,
    /// A CEL expression that gives the value, such as
    /// `employee.work.site == 'Paris' ? 'Acme SAS' : 'Acme Ltd'`. See docs/expressions.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub cel: Option<String>,
    /// When the value is written. `Always`: whenever it differs. `OnCreate`: when the account is
    /// created, and never again. Absent: Always.
    // The schema has no default: a default inside an item of a list is a difference for tools that
    // compare the list with Git.
    #[serde(default, skip_serializing_if = "Apply::is_always")]
    pub apply: Apply,
}

/// When the value is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apply {
    /// Whenever it differs.
    #[default]
    Always,
    /// When the account is created, and never again.
    OnCreate,
}

impl Apply {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    const fn is_always(&self) -> bool {
        matches!(self, Self::Always)
    }
}
