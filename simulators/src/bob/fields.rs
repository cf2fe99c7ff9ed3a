//! The catalogue of fields. Ids, types and categories follow Bob's people
//! metadata (apidocs.hibob.com, "Get all company fields").

use std::collections::HashMap;

use serde_json::{Value, json};

/// How a field's value is stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Boolean,
    Date,
    Time,
    /// An item of a named list.
    List,
    /// The same, but metadata calls the type `list_id`.
    ListId,
    /// Another employee's id.
    Reference,
    /// Another employee as an object; calculated from `work.manager`.
    Person,
    /// Text that is calculated from other fields.
    Mirror,
}

impl Kind {
    /// Returns the name that metadata uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Mirror => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Time => "time",
            Self::List => "list",
            Self::ListId => "list_id",
            Self::Reference => "employee-reference",
            Self::Person => "employee",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Text,
            Self::Number,
            Self::Boolean,
            Self::Date,
            Self::Time,
            Self::List,
            Self::ListId,
            Self::Reference,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

/// One field of the catalogue.
#[derive(Debug, Clone)]
pub struct Field {
    pub id: String,
    pub name: String,
    /// The category that decides about permission; it is not always the id's prefix.
    pub category: String,
    /// The place of the value in the nested representation.
    pub json_path: String,
    pub kind: Kind,
    /// The named list of a `List` or `ListId` field.
    pub list: Option<String>,
    pub historical: bool,
}

impl Field {
    pub fn is_custom(&self) -> bool {
        self.id.contains(".custom.") || self.id.contains(".customColumns.")
    }

    /// Returns whether a read without `fields` returns it: Basic info, About, Employment and Work,
    /// never custom fields.
    pub fn is_default(&self) -> bool {
        !self.is_custom()
            && ["root", "about", "employment", "work"].contains(&self.category.as_str())
    }

    /// Returns the metadata entry.
    pub fn metadata(&self) -> Value {
        let display = match self.category.as_str() {
            "root" => "Basic info",
            "work" => "Work",
            "workContact" => "Work contact details",
            "lifecycle" => "Lifecycle",
            "userData" => "User data",
            "payroll" => "Payroll",
            other => other,
        };
        json!({
            "id": self.id,
            "category": self.category,
            "categoryId": self.category,
            "categoryDisplayName": display,
            "name": self.name,
            "description": "",
            "jsonPath": self.json_path,
            "type": self.kind.name(),
            "typeData": self.list.as_ref().map_or_else(|| json!({}), |list| json!({"listId": list})),
            "historical": self.historical,
        })
    }
}

type Row = (&'static str, &'static str, &'static str, Kind, &'static str, bool);

/// Id, name, category, kind, list, historical.
const BUILT_IN: &[Row] = &[
    ("root.id", "Employee ID in Bob", "root", Kind::Text, "", false),
    ("root.companyId", "Company ID", "root", Kind::Number, "", false),
    ("root.email", "Email", "root", Kind::Text, "", false),
    ("root.firstName", "First name", "root", Kind::Text, "", false),
    ("root.secondName", "Middle name", "root", Kind::Text, "", false),
    ("root.surname", "Last name", "root", Kind::Text, "", false),
    ("root.fullName", "Full name", "root", Kind::Mirror, "", false),
    ("root.displayName", "Display name", "root", Kind::Text, "", false),
    ("root.creationDate", "Created on", "root", Kind::Date, "", false),
    ("root.creationDateTime", "Created at", "root", Kind::Time, "", false),
    ("root.state", "State", "userData", Kind::List, "state", false),
    ("home.mobilePhone", "Mobile phone", "home", Kind::Text, "", false),
    ("home.privateEmail", "Personal email", "home", Kind::Text, "", false),
    ("work.workPhone", "Work phone", "workContact", Kind::Text, "", false),
    ("work.workMobile", "Work mobile", "workContact", Kind::Text, "", false),
    ("work.employeeIdInCompany", "Employee ID", "work", Kind::Number, "", false),
    ("work.title", "Job title", "work", Kind::List, "title", true),
    ("work.department", "Department", "work", Kind::List, "department", true),
    ("work.site", "Site", "work", Kind::Mirror, "", false),
    ("work.siteId", "Site", "work", Kind::ListId, "site", true),
    ("work.manager", "Manager", "work", Kind::Reference, "", true),
    ("work.reportsTo", "Reports to", "work", Kind::Person, "", true),
    ("work.reportsTo.email", "Reports to email", "work", Kind::Mirror, "", false),
    ("work.startDate", "Start date", "work", Kind::Date, "", false),
    ("work.originalStartDate", "Original start date", "work", Kind::Date, "", false),
    ("employee.firstDayOfWork", "First day of work", "lifecycle", Kind::Date, "", false),
    ("employee.lastDayOfWork", "Last day of work", "lifecycle", Kind::Date, "", false),
    ("employee.recentLeaveStartDate", "Leave start date", "lifecycle", Kind::Date, "", false),
    ("employee.recentLeaveEndDate", "Leave end date", "lifecycle", Kind::Date, "", false),
    ("internal.terminationDate", "Termination date", "lifecycle", Kind::Date, "", false),
    (
        "internal.lifecycleStatus",
        "Lifecycle status",
        "lifecycle",
        Kind::List,
        "lifecycleStatus",
        true,
    ),
    ("internal.status", "Status", "lifecycle", Kind::List, "status", true),
    ("internal.currentActiveStatusStartDate", "Status since", "lifecycle", Kind::Date, "", false),
    ("employment.terminationDate", "Termination date", "employment", Kind::Date, "", false),
    (
        "payroll.employment.type",
        "Employment type",
        "payroll",
        Kind::List,
        "payrollEmploymentType",
        true,
    ),
    (
        "payroll.employment.contract",
        "Employment contract",
        "payroll",
        Kind::List,
        "employmentstatus",
        true,
    ),
    ("address.city", "City", "address", Kind::Text, "", false),
    ("address.country", "Country", "address", Kind::List, "countries", false),
];

/// All fields of the company; the position of a field is its number in an employee's row.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub fields: Vec<Field>,
    by_id: HashMap<String, usize>,
}

impl Default for Catalogue {
    fn default() -> Self {
        let mut catalogue = Self { fields: Vec::new(), by_id: HashMap::new() };
        for (id, name, category, kind, list, historical) in BUILT_IN {
            catalogue.add(Field {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                category: (*category).to_owned(),
                json_path: id.strip_prefix("root.").unwrap_or(id).to_owned(),
                kind: *kind,
                list: (!list.is_empty()).then(|| (*list).to_owned()),
                historical: *historical,
            });
        }
        catalogue
    }
}

impl Catalogue {
    pub fn number(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Returns the number of a built-in field.
    pub fn built_in(&self, id: &str) -> usize {
        self.number(id).expect("a built-in field")
    }

    /// Adds a field, or replaces its definition; answers its number.
    pub fn add(&mut self, field: Field) -> usize {
        if let Some(number) = self.number(&field.id) {
            self.fields[number] = field;
            return number;
        }
        let number = self.fields.len();
        self.by_id.insert(field.id.clone(), number);
        self.fields.push(field);
        number
    }

    /// Returns a custom field by its id (`<category>.custom.field_<n>`); a new one is made as text.
    pub fn custom(&mut self, id: &str, kind: Kind, list: Option<String>) -> Option<usize> {
        let category = id.split(".custom.").next().filter(|head| head.len() < id.len());
        let category = category
            .or_else(|| id.split(".customColumns.").next().filter(|head| head.len() < id.len()))?;
        Some(self.add(Field {
            id: id.to_owned(),
            name: id.rsplit('.').next().unwrap_or(id).to_owned(),
            category: category.to_owned(),
            json_path: id.strip_prefix("root.").unwrap_or(id).to_owned(),
            kind,
            list,
            historical: false,
        }))
    }
}
