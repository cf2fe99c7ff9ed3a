//! The profile schema of the default user type, and checks by it.

use serde_json::{Map, Value, json};

/// Okta's own attributes: name, title, shortest, longest, format.
type Base = (&'static str, &'static str, Option<usize>, Option<usize>, Option<&'static str>);

const BASE: [Base; 31] = [
    ("login", "Username", Some(5), Some(100), None),
    ("firstName", "First name", Some(1), Some(50), None),
    ("lastName", "Last name", Some(1), Some(50), None),
    ("middleName", "Middle name", None, None, None),
    ("honorificPrefix", "Honorific prefix", None, None, None),
    ("honorificSuffix", "Honorific suffix", None, None, None),
    ("email", "Primary email", Some(5), Some(100), Some("email")),
    ("title", "Title", None, None, None),
    ("displayName", "Display name", None, None, None),
    ("nickName", "Nickname", None, None, None),
    ("profileUrl", "Profile Url", None, None, Some("uri")),
    ("secondEmail", "Secondary email", Some(5), Some(100), Some("email")),
    ("mobilePhone", "Mobile phone", None, Some(100), None),
    ("primaryPhone", "Primary phone", None, Some(100), None),
    ("streetAddress", "Street address", None, Some(1024), None),
    ("city", "City", None, Some(128), None),
    ("state", "State", None, Some(128), None),
    ("zipCode", "Zip code", None, Some(50), None),
    ("countryCode", "Country code", None, Some(2), Some("country-code")),
    ("postalAddress", "Postal Address", None, Some(4096), None),
    ("preferredLanguage", "Preferred language", None, None, Some("language-code")),
    ("locale", "Locale", None, None, Some("locale")),
    ("timezone", "Time zone", None, None, Some("timezone")),
    ("userType", "User type", None, None, None),
    ("employeeNumber", "Employee number", None, None, None),
    ("costCenter", "Cost center", None, None, None),
    ("organization", "Organization", None, None, None),
    ("division", "Division", None, None, None),
    ("department", "Department", None, None, None),
    ("managerId", "ManagerId", None, None, None),
    ("manager", "Manager", None, None, None),
];

const REQUIRED: [&str; 4] = ["login", "firstName", "lastName", "email"];

/// A mistake: the attribute, and what is wrong with it.
pub type Mistake = (String, String);

/// Okta's own attributes, and those that the org has added.
#[derive(Debug, Clone)]
pub struct Schema {
    pub base: Map<String, Value>,
    pub custom: Map<String, Value>,
}

impl Default for Schema {
    fn default() -> Self {
        let property = |(name, title, shortest, longest, format): Base| {
            let mut property = json!({
                "title": title, "type": "string", "mutability": "READ_WRITE", "scope": "NONE",
                "permissions": [{"principal": "SELF", "action": "READ_ONLY"}],
                "master": {"type": "PROFILE_MASTER"},
            });
            if REQUIRED.contains(&name) {
                property["required"] = json!(true);
            }
            if name == "login" {
                property["pattern"] = Value::Null;
                property["uniqueness"] = json!("UNIQUE_VALIDATED");
            }
            for (member, number) in [("minLength", shortest), ("maxLength", longest)] {
                if let Some(number) = number {
                    property[member] = json!(number);
                }
            }
            if let Some(format) = format {
                property["format"] = json!(format);
            }
            (name.to_owned(), property)
        };
        Self { base: BASE.into_iter().map(property).collect(), custom: Map::new() }
    }
}

/// Returns whether a text has the form of an address.
fn is_address(text: &str) -> bool {
    let bad = |part: &str| part.is_empty() || part.contains(char::is_whitespace);
    text.rsplit_once('@').is_some_and(|(name, host)| {
        !bad(name)
            && !bad(host)
            && !name.contains('@')
            && host.contains('.')
            && !host.ends_with('.')
    })
}

/// Returns whether a text has this format of a schema; a format without a rule is always right.
fn has_format(text: &str, format: &str) -> bool {
    let letters = |text: &str, count: usize| {
        text.len() == count && text.chars().all(|letter| letter.is_ascii_alphabetic())
    };
    match format {
        "email" => is_address(text),
        "uri" => text.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty() && scheme.chars().all(|letter| letter.is_ascii_alphanumeric())
        }),
        "country-code" => letters(text, 2),
        "language-code" | "locale" => {
            let mut parts = text.split(['-', '_', ';', ',']);
            parts.next().is_some_and(|part| letters(part, 2) || letters(part, 3))
        }
        "timezone" => text.contains('/') || text == "UTC",
        _ => true,
    }
}

impl Schema {
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.base.get(name).or_else(|| self.custom.get(name))
    }

    pub fn is_required(&self, name: &str) -> bool {
        self.property(name).is_some_and(|property| property["required"] == true)
    }

    /// Returns the attributes that must have a value.
    pub fn required(&self) -> impl Iterator<Item = &String> {
        let all = self.base.iter().chain(&self.custom);
        all.filter(|(_, property)| property["required"] == true).map(|(name, _)| name)
    }

    /// Returns whether Okta masters this attribute even where another system masters the profile.
    pub fn is_oktas_own(&self, name: &str) -> bool {
        self.property(name).is_some_and(|property| property["master"]["type"] == "OKTA")
    }

    /// Returns the custom attributes whose values are unique.
    pub fn unique(&self) -> impl Iterator<Item = &str> {
        let all = self.custom.iter();
        all.filter(|(_, property)| property["unique"] == "UNIQUE_VALIDATED")
            .map(|(name, _)| name.as_str())
    }

    /// Checks one value, which is not null.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, name: &str, value: &Value) -> Result<(), String> {
        let Some(property) = self.property(name) else { return Ok(()) };
        let fits = |kind: &str, value: &Value| match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            _ => false,
        };
        let kind = property["type"].as_str().unwrap_or_default();
        if kind == "array" {
            let of = property["items"]["type"].as_str().unwrap_or("string");
            let right = value.as_array().is_some_and(|all| all.iter().all(|one| fits(of, one)));
            return if right { Ok(()) } else { Err("Incorrect type".to_owned()) };
        }
        if !fits(kind, value) {
            return Err("Incorrect type".to_owned());
        }
        if property["mutability"] == "READ_ONLY" {
            return Err("The field is read-only".to_owned());
        }
        let allowed = property["enum"].as_array().filter(|all| !all.is_empty());
        if allowed.is_some_and(|all| !all.contains(value)) {
            return Err("Value must be one of the enumerated values".to_owned());
        }
        value.as_str().map_or(Ok(()), |text| Self::check_text(name, property, text))
    }

    fn check_text(name: &str, property: &Value, text: &str) -> Result<(), String> {
        if text.chars().any(|letter| letter.len_utf8() > 3) {
            return Err("The field contains characters that are not supported".to_owned());
        }
        if text.is_empty() {
            return Ok(());
        }
        let length = text.encode_utf16().count() as u64;
        if property["maxLength"].as_u64().is_some_and(|most| length > most) {
            return Err("The field is too long".to_owned());
        }
        if property["minLength"].as_u64().is_some_and(|least| length < least) {
            return Err("The field is too short".to_owned());
        }
        // An org can let logins be no addresses; then the pattern is `.+`.
        if name == "login" && property["pattern"].is_null() && !is_address(text) {
            return Err("Username must be in the form of an email address".to_owned());
        }
        if property["format"].as_str().is_some_and(|format| !has_format(text, format)) {
            return Err("Does not match required pattern".to_owned());
        }
        Ok(())
    }

    /// Changes the schema as `POST /api/v1/meta/schemas/user/default` does: null removes a custom
    /// attribute.
    ///
    /// # Errors
    /// The first mistake; then nothing is changed.
    pub fn change(&mut self, definitions: &Value) -> Result<(), Mistake> {
        let mut changed = self.clone();
        let properties = |part: &str| definitions[part]["properties"].as_object().cloned();
        for (name, property) in properties("base").unwrap_or_default() {
            changed.change_base(&name, &property)?;
        }
        for (name, property) in properties("custom").unwrap_or_default() {
            changed.change_custom(name, property)?;
        }
        *self = changed;
        Ok(())
    }

    /// Of Okta's own attributes, only permissions, the master, whether names are required and the
    /// pattern of logins can change.
    fn change_base(&mut self, name: &str, property: &Value) -> Result<(), Mistake> {
        let wrong = |what: &str| (name.to_owned(), what.to_owned());
        let known = self.base.get_mut(name).ok_or_else(|| wrong("is not a base property"))?;
        let given = property.as_object().ok_or_else(|| wrong("cannot be removed"))?;
        for (member, value) in given {
            let changes = matches!(
                (name, &**member),
                (_, "permissions" | "master")
                    | ("firstName" | "lastName", "required")
                    | ("login", "pattern")
            );
            if changes {
                known[member] = value.clone();
            } else if known.get(member) != Some(value) {
                return Err(wrong(&format!("{member} of a base property cannot change")));
            }
        }
        Ok(())
    }

    fn change_custom(&mut self, name: String, property: Value) -> Result<(), Mistake> {
        let wrong = |what: &str| Err((name.clone(), what.to_owned()));
        if self.base.contains_key(&name) {
            return wrong("The field name is already used by a base property");
        }
        let Value::Object(mut given) = property else {
            if property.is_null() && self.custom.remove(&name).is_some() {
                return Ok(());
            }
            return wrong("is not a property");
        };
        let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            || !name.chars().all(letters)
        {
            return wrong("The variable name must begin with a letter or an underscore");
        }
        if let Some(known) = self.custom.get(&name) {
            if given.get("type").is_some_and(|kind| *kind != known["type"]) {
                return wrong("The data type cannot change");
            }
            let mut merged = known.as_object().cloned().unwrap_or_default();
            merged.extend(given);
            given = merged;
        }
        let text = |member: &str| given.get(member).and_then(Value::as_str).unwrap_or_default();
        if text("title").is_empty() {
            return wrong("title: The field cannot be left blank");
        }
        if !["string", "boolean", "number", "integer", "array"].contains(&text("type")) {
            return wrong("type: Invalid data type");
        }
        for (member, usual) in [
            ("mutability", json!("READ_WRITE")),
            ("scope", json!("NONE")),
            ("permissions", json!([{"principal": "SELF", "action": "READ_ONLY"}])),
            ("master", json!({"type": "PROFILE_MASTER"})),
        ] {
            given.entry(member).or_insert(usual);
        }
        if given.get("unique") == Some(&json!(true)) {
            given.insert("unique".into(), json!("UNIQUE_VALIDATED"));
        }
        self.custom.insert(name, Value::Object(given));
        Ok(())
    }
}
