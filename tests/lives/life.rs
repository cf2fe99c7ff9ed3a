//! A life as data: dated steps. Each step says what happens in Bob, at the provider, in the
//! settings and in the `EmployeeSync`s. `golden/README.md` describes the YAML.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::Value;

/// A life.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// The title.
    pub title: String,
    /// An explanation, if the title does not give it.
    #[serde(default)]
    pub about: String,
    /// Merged into the integration's `spec` before the first step.
    #[serde(default)]
    pub settings: Fragment,
    /// The steps, in the order of time.
    pub steps: Vec<Step>,
}

/// Keys and values of a change: only what changes is in it, null empties.
pub type Fragment = BTreeMap<String, Value>;

/// The events of one moment. An empty step is only a look at the clock.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Moment,
    /// The description in plain words.
    #[serde(default)]
    pub note: String,
    /// Merged into the integration's `spec`.
    #[serde(default)]
    pub settings: Fragment,
    /// By employee: Bob's fields, and `delete`, `unlisted`.
    #[serde(default)]
    pub bob: BTreeMap<String, Fragment>,
    /// By account: what a person does at the provider.
    #[serde(default)]
    pub provider: BTreeMap<String, Fragment>,
    /// By employee: merged into the `spec` of the `EmployeeSync`.
    #[serde(default)]
    pub overrides: BTreeMap<String, Fragment>,
}

impl Step {
    /// A look at the clock.
    pub fn at(at: Timestamp) -> Self {
        Self {
            at: Moment { at, zone: "UTC".to_owned() },
            note: String::new(),
            settings: Fragment::new(),
            bob: BTreeMap::new(),
            provider: BTreeMap::new(),
            overrides: BTreeMap::new(),
        }
    }
}

/// A moment and its zone: `2026-03-28T10:00 Europe/Berlin`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment {
    /// The instant.
    pub at: Timestamp,
    /// IANA name.
    pub zone: String,
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (local, zone) = text
            .split_once(' ')
            .ok_or_else(|| format!("`{text}`: write 2026-03-28T10:00 Europe/Berlin"))?;
        let local: DateTime = local.parse().map_err(|error| format!("`{text}`: {error}"))?;
        let tz = TimeZone::get(zone).map_err(|error| format!("`{text}`: {error}"))?;
        let at = local.to_zoned(tz).map_err(|error| format!("`{text}`: {error}"))?.timestamp();
        Ok(Self { at, zone: zone.to_owned() })
    }
}

impl Life {
    /// Reads one.
    pub fn read(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    /// Prints YAML that [`Life::read`] reads. The output of a failed property can be kept as a
    /// golden life.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = writeln!(out, "title: {}", quoted(&self.title));
        if !self.about.is_empty() {
            let _ = writeln!(out, "about: {}", quoted(&self.about));
        }
        if !self.settings.is_empty() {
            let _ = writeln!(out, "settings: {}", flow(&self.settings));
        }
        let _ = writeln!(out, "steps:");
        for step in &self.steps {
            let local =
                TimeZone::get(&step.at.zone).unwrap_or(TimeZone::UTC).to_datetime(step.at.at);
            let _ =
                writeln!(out, "  - at: {} {}", local.strftime("%Y-%m-%dT%H:%M:%S"), step.at.zone);
            if !step.note.is_empty() {
                let _ = writeln!(out, "    note: {}", quoted(&step.note));
            }
            if !step.settings.is_empty() {
                let _ = writeln!(out, "    settings: {}", flow(&step.settings));
            }
            for (name, things) in
                [("bob", &step.bob), ("provider", &step.provider), ("overrides", &step.overrides)]
            {
                if !things.is_empty() {
                    let _ = writeln!(out, "    {name}:");
                }
                for (key, fragment) in things {
                    let _ = writeln!(out, "      {}: {}", quoted(key), flow(fragment));
                }
            }
        }
        out
    }
}

/// JSON is YAML.
fn flow(fragment: &Fragment) -> String {
    let pairs: Vec<_> =
        fragment.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// The form that proptest prints for a failed case.
impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a life:\n\n{}", self.yaml())
    }
}
