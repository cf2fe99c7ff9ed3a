//! The attributes that users have, and the extensions.

use serde_json::{Value, json};

/// The schema of users (RFC 7643, 4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The enterprise extension (RFC 7643, 4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// An extension of this server's own.
pub const COMPANY: &str = "urn:example:params:scim:schemas:extension:company:2.0:User";

/// The data type of an attribute (RFC 7643, 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }

    /// Reads the name of a simple type.
    pub fn simple(name: &str) -> Option<Self> {
        let all = [
            Self::Text,
            Self::Boolean,
            Self::Integer,
            Self::DateTime,
            Self::Binary,
            Self::Reference,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// Who may set an attribute, and whether it is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadWrite,
    ReadOnly,
    /// Never returned.
    WriteOnly,
}

/// One attribute, or a part of one.
#[derive(Debug, Clone)]
pub struct Attribute {
    pub name: String,
    pub kind: Kind,
    /// Whether it is multi-valued.
    pub many: bool,
    pub access: Access,
    pub required: bool,
    /// Whether upper and lower case differ in comparisons.
    pub exact: bool,
    /// Values that the schema suggests.
    canonical: &'static [&'static str],
    references: &'static [&'static str],
    pub parts: Vec<Attribute>,
}

impl Attribute {
    fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            many: false,
            access: Access::ReadWrite,
            required: false,
            exact: matches!(kind, Kind::Binary | Kind::Reference),
            canonical: &[],
            references: &[],
            parts: Vec::new(),
        }
    }

    fn text(name: &str) -> Self {
        Self::new(name, Kind::Text)
    }

    fn reference(name: &str, references: &'static [&'static str]) -> Self {
        Self { references, ..Self::new(name, Kind::Reference) }
    }

    fn complex(name: &str, parts: Vec<Attribute>) -> Self {
        Self { parts, ..Self::new(name, Kind::Complex) }
    }

    /// Makes a multi-valued attribute with the parts of RFC 7643, 2.4.
    fn plural(name: &str, value: Attribute, types: &'static [&'static str]) -> Self {
        let parts = vec![
            value,
            Self::text("display"),
            Self { canonical: types, ..Self::text("type") },
            Self::new("primary", Kind::Boolean),
        ];
        Self { many: true, ..Self::complex(name, parts) }
    }

    fn read_only(self) -> Self {
        Self { access: Access::ReadOnly, ..self }
    }

    fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Returns the part with this name, in any case.
    pub fn part(&self, name: &str) -> Option<&Attribute> {
        find(&self.parts, name)
    }

    fn described(&self) -> Value {
        let mut shown = json!({
            "name": self.name,
            "type": self.kind.name(),
            "multiValued": self.many,
            "description": format!("The attribute {}.", self.name),
            "required": self.required,
            "mutability": match self.access {
                Access::ReadWrite => "readWrite",
                Access::ReadOnly => "readOnly",
                Access::WriteOnly => "writeOnly",
            },
            "returned": if self.access == Access::WriteOnly { "never" } else { "default" },
        });
        if !matches!(self.kind, Kind::Complex | Kind::Boolean) {
            shown["uniqueness"] = json!(if self.name == "userName" { "server" } else { "none" });
        }
        if matches!(self.kind, Kind::Text | Kind::Reference | Kind::Binary) {
            shown["caseExact"] = json!(self.exact);
        }
        if !self.canonical.is_empty() {
            shown["canonicalValues"] = json!(self.canonical);
        }
        if self.kind == Kind::Reference {
            shown["referenceTypes"] =
                if self.references.is_empty() { json!(["uri"]) } else { json!(self.references) };
        }
        if !self.parts.is_empty() {
            shown["subAttributes"] = self.parts.iter().map(Self::described).collect();
        }
        shown
    }
}

/// Returns the attribute with this name, in any case.
pub fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// A schema that adds attributes to users under its URN.
#[derive(Debug, Clone)]
pub struct Extension {
    pub urn: String,
    name: String,
    pub attributes: Vec<Attribute>,
}

/// All schemas of users.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// `id`, `externalId` and `meta`, which belong to no schema.
    common: Vec<Attribute>,
    core: Vec<Attribute>,
    pub extensions: Vec<Extension>,
}

impl Default for Schemas {
    fn default() -> Self {
        let company = [("badge", Kind::Text), ("site", Kind::Text), ("floor", Kind::Integer)];
        let company = company.map(|(name, kind)| Attribute::new(name, kind));
        let extensions = vec![
            Extension {
                urn: ENTERPRISE.to_owned(),
                name: "EnterpriseUser".to_owned(),
                attributes: enterprise(),
            },
            Extension {
                urn: COMPANY.to_owned(),
                name: "CompanyUser".to_owned(),
                attributes: company.to_vec(),
            },
        ];
        Self { common: common(), core: core(), extensions }
    }
}

fn common() -> Vec<Attribute> {
    let text = Attribute::text;
    let meta = vec![
        text("resourceType").exact(),
        Attribute::new("created", Kind::DateTime),
        Attribute::new("lastModified", Kind::DateTime),
        Attribute::reference("location", &["uri"]),
        text("version").exact(),
    ];
    vec![
        text("id").exact().read_only(),
        text("externalId").exact(),
        Attribute::complex("meta", meta.into_iter().map(Attribute::read_only).collect())
            .read_only(),
    ]
}

fn core() -> Vec<Attribute> {
    const PLACES: &[&str] = &["work", "home", "other"];
    let text = Attribute::text;
    let names = [
        "formatted",
        "familyName",
        "givenName",
        "middleName",
        "honorificPrefix",
        "honorificSuffix",
    ];
    let address = ["formatted", "streetAddress", "locality", "region", "postalCode", "country"];
    let mut address: Vec<Attribute> = address.map(text).to_vec();
    address.push(Attribute { canonical: PLACES, ..text("type") });
    address.push(Attribute::new("primary", Kind::Boolean));
    let groups = vec![
        text("value").exact().read_only(),
        Attribute::reference("$ref", &["User", "Group"]).read_only(),
        text("display").read_only(),
        Attribute { canonical: &["direct", "indirect"], ..text("type").read_only() },
    ];
    let phones: &[&str] = &["work", "home", "mobile", "fax", "pager", "other"];
    let chats: &[&str] = &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"];
    let photo = Attribute::reference("value", &["external"]);
    let password = Attribute { access: Access::WriteOnly, ..text("password").exact() };
    vec![
        Attribute { required: true, ..text("userName") },
        Attribute::complex("name", names.map(text).to_vec()),
        text("displayName"),
        text("nickName"),
        Attribute::reference("profileUrl", &["external"]),
        text("title"),
        text("userType"),
        text("preferredLanguage"),
        text("locale"),
        text("timezone"),
        Attribute::new("active", Kind::Boolean),
        password,
        Attribute::plural("emails", text("value"), PLACES),
        Attribute::plural("phoneNumbers", text("value"), phones),
        Attribute::plural("ims", text("value"), chats),
        Attribute::plural("photos", photo, &["photo", "thumbnail"]),
        Attribute { many: true, ..Attribute::complex("addresses", address) },
        Attribute { many: true, ..Attribute::complex("groups", groups) }.read_only(),
        Attribute::plural("entitlements", text("value"), &[]),
        Attribute::plural("roles", text("value"), &[]),
        Attribute::plural("x509Certificates", Attribute::new("value", Kind::Binary), &[]),
    ]
}

fn enterprise() -> Vec<Attribute> {
    let text = Attribute::text;
    let manager = vec![
        text("value").exact(),
        Attribute::reference("$ref", &["User"]),
        text("displayName").read_only(),
    ];
    let texts = ["employeeNumber", "costCenter", "organization", "division", "department"];
    let mut all: Vec<Attribute> = texts.map(text).to_vec();
    all.push(Attribute::complex("manager", manager));
    all
}

impl Schemas {
    /// Returns an attribute without an extension's URN: of users, or common.
    pub fn plain(&self, name: &str) -> Option<&Attribute> {
        find(&self.core, name).or_else(|| find(&self.common, name))
    }

    /// Returns the extension with this URN, in any case.
    pub fn extension(&self, urn: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.urn.eq_ignore_ascii_case(urn))
    }

    /// Sets an extension: names and types, such as `("badge", "string")`; a type with `[]` is
    /// multi-valued. Without attributes there is no such extension.
    pub fn set(&mut self, urn: &str, attributes: &[(String, String)]) -> Result<(), String> {
        if !urn.starts_with("urn:") || [USER, ENTERPRISE].contains(&urn) {
            return Err(format!("not the URN of an extension: {urn}"));
        }
        let mut made = Vec::new();
        for (name, kind) in attributes {
            let (simple, many) =
                kind.strip_suffix("[]").map_or((kind.as_str(), false), |kind| (kind, true));
            let kind = Kind::simple(simple).ok_or_else(|| format!("not a type: {kind}"))?;
            made.push(Attribute { many, ..Attribute::new(name, kind) });
        }
        self.extensions.retain(|extension| extension.urn != urn);
        if !made.is_empty() {
            let name = urn.trim_end_matches(":2.0:User").rsplit(':').next().unwrap_or_default();
            self.extensions.push(Extension {
                urn: urn.to_owned(),
                name: format!("{name}User"),
                attributes: made,
            });
        }
        Ok(())
    }

    /// Returns the schemas as `/Schemas` shows them, without `meta`.
    pub fn described(&self) -> Vec<Value> {
        let shown = |urn: &str, name: &str, attributes: &[Attribute]| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
                "id": urn,
                "name": name,
                "description": format!("The schema {name}."),
                "attributes": attributes.iter().map(Attribute::described).collect::<Vec<_>>(),
            })
        };
        let mut all = vec![shown(USER, "User", &self.core)];
        for extension in &self.extensions {
            all.push(shown(&extension.urn, &extension.name, &extension.attributes));
        }
        all.extend(own());
        all
    }
}

/// Returns the schemas of what the server says about itself (RFC 7643, 5 to 7).
fn own() -> Vec<Value> {
    let attribute = |name: &str, kind: &str, many: bool, parts: Vec<Value>| {
        let mut shown = json!({
            "name": name, "type": kind, "multiValued": many, "required": false,
            "description": format!("The attribute {name}."),
            "mutability": "readOnly", "returned": "default",
        });
        match kind {
            "complex" => shown["subAttributes"] = Value::Array(parts),
            "reference" => shown["referenceTypes"] = json!(["uri"]),
            "string" => shown["caseExact"] = json!(true),
            _ => {}
        }
        shown
    };
    let one = |name: &str, kind: &str| attribute(name, kind, false, Vec::new());
    let schema = |name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
            "name": name,
            "description": format!("The schema {name}."),
            "attributes": attributes,
        })
    };
    let supported =
        |name: &str| attribute(name, "complex", false, vec![one("supported", "boolean")]);
    let config = vec![
        one("documentationUri", "reference"),
        supported("patch"),
        supported("bulk"),
        supported("filter"),
        supported("changePassword"),
        supported("sort"),
        supported("etag"),
        attribute(
            "authenticationSchemes",
            "complex",
            true,
            vec![one("type", "string"), one("name", "string"), one("description", "string")],
        ),
    ];
    let resource_type = vec![
        one("name", "string"),
        one("endpoint", "reference"),
        one("schema", "reference"),
        attribute(
            "schemaExtensions",
            "complex",
            true,
            vec![one("schema", "reference"), one("required", "boolean")],
        ),
    ];
    let described = vec![
        one("name", "string"),
        one("description", "string"),
        attribute(
            "attributes",
            "complex",
            true,
            vec![one("name", "string"), one("type", "string")],
        ),
    ];
    vec![
        schema("ServiceProviderConfig", config),
        schema("ResourceType", resource_type),
        schema("Schema", described),
    ]
}
