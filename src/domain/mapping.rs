//! Maps Bob's fields to the provider's attributes: rows, formulas, and the value that each row
//! gives for one employee.

use std::borrow::Cow;

use super::{
    employee::{Cell, Employee, FieldIndex, Fields, known_to_bob},
    expression::{Evaluated, Expression},
    visible::{fault, trimmed, trimmed_of},
};

/// How values of a target are compared. A provider that lower-cases or trims must not cause endless
/// updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Equal after trimming.
    Exact,
    /// Equal after trimming, ignoring case: e-mail addresses and usernames.
    IgnoringCase,
    /// The same, for a username that gets a number if it is taken and that is chosen once
    /// ([`Mapping::numbers_username`]).
    Numbered,
    /// The id of another account.
    Person,
    /// The e-mail of another account, which is known before that account is made.
    PersonByEmail,
}

impl Compare {
    /// Returns whether the target refers to another employee.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::Person | Self::PersonByEmail)
    }
}

/// One row of the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The provider's own name of the attribute.
    pub target: Box<str>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether the value is set only when the account is made.
    pub on_create_only: bool,
    /// How values are compared.
    pub compare: Compare,
    /// Whether an account must have a value.
    pub required: bool,
}

/// Where a row's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One field.
    Field(FieldIndex),
    /// Fields with literal text between them.
    Formula(Vec<Part>),
    /// A CEL expression.
    Expression(Expression),
    /// No source in the settings. Only an `EmployeeSync` that pins this target gives it a value.
    PinnedOnly,
}

/// One part of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Literal text.
    Literal(Box<str>),
    /// A field's value.
    Field(FieldIndex),
}

/// All rows, and the fields that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The rows, in the order of the settings.
    pub rows: Vec<Row>,
    /// The fields that Bob is asked for.
    pub fields: Fields,
    /// The row of the account's e-mail.
    pub email: usize,
    /// The row of the account's username.
    pub username: usize,
    /// The row of an e-mail that several accounts may have, if the provider has such a target. It
    /// decides only where no account has the username.
    pub address: Option<usize>,
    /// The row that refers to the manager, if there is one.
    pub manager: Option<usize>,
}

/// The value that one row gives for one employee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired<'a> {
    /// This text.
    Text(Cow<'a, str>),
    /// The account of this employee.
    Person(&'a str),
    /// No value, because the field is empty in Bob.
    Empty,
    /// Bob does not show the field. The attribute stays as it is.
    Keep,
    /// The expression failed for this employee, or the address has a character that cannot be
    /// typed, for this reason. The attribute stays as it is.
    Failed(Box<str>),
}

/// A row of the mapping, and where the value of one employee comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The index of the row.
    pub row: usize,
    /// Whether the employee's `EmployeeSync` pins the value.
    pub is_pinned: bool,
}

impl Origin {
    /// Returns where this employee's value of the row comes from.
    #[must_use]
    pub fn of(row: usize, employee: &Employee) -> Self {
        Self { row, is_pinned: employee.pinned(row).is_some() }
    }
}

impl Mapping {
    /// Returns the value that `row` gives for `employee`.
    ///
    /// A formula joins its parts. A part that is empty in Bob adds nothing, the result is trimmed,
    /// and a formula with only empty fields is empty. One hidden field keeps the whole attribute as
    /// it is. A value that the employee's `EmployeeSync` pins comes before everything else. In an
    /// address, invisible characters at the ends are removed, and one inside makes the row fail.
    #[must_use]
    pub fn desired<'a>(&self, row: usize, employee: &'a Employee) -> Desired<'a> {
        match self.said(row, employee) {
            Desired::Text(text) if !text.is_ascii() && self.is_address(row) => address(text),
            said => said,
        }
    }

    /// Returns whether this row holds an address or a login name.
    #[must_use]
    pub fn is_address(&self, row: usize) -> bool {
        let is_key = row == self.email || row == self.username;
        is_key || matches!(self.rows[row].compare, Compare::IgnoringCase | Compare::Numbered)
    }

    /// Returns the value of the row as it is written in Bob or pinned.
    fn said<'a>(&self, row: usize, employee: &'a Employee) -> Desired<'a> {
        let pinned = employee.pinned(row);
        let row = &self.rows[row];
        if let Some(value) = pinned {
            return match value.trim() {
                "" => Desired::Empty,
                id if row.compare.is_person() => Desired::Person(id),
                text => Desired::Text(Cow::Borrowed(text)),
            };
        }
        match &row.source {
            Source::Field(field) => match employee.values.get(*field) {
                Cell::Absent => Desired::Keep,
                cell => match cell.text() {
                    None => Desired::Empty,
                    Some(id) if row.compare.is_person() => Desired::Person(id),
                    Some(text) => Desired::Text(Cow::Borrowed(text)),
                },
            },
            Source::Formula(parts) => join(parts, employee),
            Source::Expression(expression) => match expression.text(employee) {
                Ok(Evaluated::Known(Some(text))) => {
                    Desired::Text(Cow::Owned(text.trim().to_owned()))
                }
                Ok(Evaluated::Known(None)) => Desired::Empty,
                Ok(Evaluated::Hidden) => Desired::Keep,
                Err(failure) => Desired::Failed(failure.to_string().into()),
            },
            Source::PinnedOnly => Desired::Keep,
        }
    }

    /// Returns a required target without a value for this employee. An account that exists keeps a
    /// value that Bob does not show, and a new account needs one.
    #[must_use]
    pub fn missing_required(&self, employee: &Employee, exists: bool) -> Option<usize> {
        (0..self.rows.len()).filter(|&row| self.rows[row].required).find(|&row| {
            match self.desired(row, employee) {
                Desired::Empty => true,
                Desired::Keep => !exists,
                Desired::Text(_) | Desired::Person(_) | Desired::Failed(_) => false,
            }
        })
    }

    /// Returns a row with an expression that fails for this employee, or with an address that
    /// cannot be typed, and the reason.
    #[must_use]
    pub fn failed(&self, employee: &Employee) -> Option<(usize, Box<str>)> {
        let may_fail = |row: &usize| {
            matches!(self.rows[*row].source, Source::Expression(_)) || self.is_address(*row)
        };
        (0..self.rows.len()).filter(may_fail).find_map(|row| match self.desired(row, employee) {
            Desired::Failed(why) => Some((row, why)),
            Desired::Text(_) | Desired::Person(_) | Desired::Empty | Desired::Keep => None,
        })
    }

    /// Returns whether the attribute of this row is kept equal on an account that exists.
    #[must_use]
    pub fn keeps(&self, row: usize, employee: &Employee) -> bool {
        !self.rows[row].on_create_only || employee.pinned(row).is_some()
    }

    /// Returns whether this employee's username is chosen when the account is made, with a number
    /// if it is taken. Such a username is not known before, and no other account can block it.
    #[must_use]
    pub fn numbers_username(&self, employee: &Employee) -> bool {
        self.rows[self.username].compare == Compare::Numbered
            && !self.keeps(self.username, employee)
    }

    /// Adds rows for targets that an `EmployeeSync` pins and the settings do not map. `compare`
    /// knows the provider's targets, and a target that the provider does not have gets no row.
    pub fn pin_also<'t>(
        &mut self,
        targets: impl Iterator<Item = &'t str>,
        compare: impl Fn(&str) -> Option<Compare>,
    ) {
        for target in targets {
            if let Some(compare) = compare(target).filter(|_| self.position(target).is_none()) {
                let row = Row {
                    target: target.into(),
                    source: Source::PinnedOnly,
                    on_create_only: false,
                    compare,
                    required: false,
                };
                self.rows.push(row);
                if compare.is_person() && self.manager.is_none() {
                    self.manager = Some(self.rows.len() - 1);
                }
            }
        }
    }

    /// Returns the ids of the Bob fields that a row uses.
    #[must_use]
    pub fn fields_of(&self, row: usize) -> Vec<&str> {
        let id = |field: FieldIndex| self.fields.ids().get(field).map_or("", |id| known_to_bob(id));
        match &self.rows[row].source {
            Source::Field(field) => vec![id(*field)],
            Source::Formula(parts) => parts
                .iter()
                .filter_map(
                    |part| if let Part::Field(field) = part { Some(id(*field)) } else { None },
                )
                .collect(),
            Source::Expression(expression) => expression.fields().map(id).collect(),
            Source::PinnedOnly => Vec::new(),
        }
    }

    /// Returns the row of this target.
    #[must_use]
    pub fn position(&self, target: &str) -> Option<usize> {
        self.rows.iter().position(|row| *row.target == *target)
    }

    /// Returns whether a row uses this field.
    #[must_use]
    pub fn uses(&self, field: FieldIndex) -> bool {
        self.rows.iter().any(|row| match &row.source {
            Source::Field(used) => *used == field,
            Source::Formula(parts) => parts.contains(&Part::Field(field)),
            Source::Expression(expression) => expression.fields().any(|used| used == field),
            Source::PinnedOnly => false,
        })
    }

    /// Returns the value of a text row, if it has one.
    #[must_use]
    pub fn text<'a>(&self, row: usize, employee: &'a Employee) -> Option<Cow<'a, str>> {
        match self.desired(row, employee) {
            Desired::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Returns an address without invisible characters at its ends. An address with such a character
/// inside fails.
fn address(text: Cow<'_, str>) -> Desired<'_> {
    match trimmed_of(text) {
        None => Desired::Empty,
        Some(text) => fault(&text).map_or(Desired::Text(text), |why| Desired::Failed(why.into())),
    }
}

fn join<'a>(parts: &[Part], employee: &Employee) -> Desired<'a> {
    let mut text = String::new();
    let mut any = false;
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Field(field) => match employee.values.get(*field) {
                Cell::Absent => return Desired::Keep,
                cell => {
                    if let Some(value) = cell.text() {
                        any = true;
                        text.push_str(value);
                    }
                }
            },
        }
    }
    let trimmed = text.trim();
    if any && !trimmed.is_empty() {
        Desired::Text(Cow::Owned(trimmed.to_owned()))
    } else {
        Desired::Empty
    }
}

/// Reads a formula: fields in braces, `{{` and `}}` for braces.
///
/// # Errors
/// A sentence for a person that says what is wrong.
pub fn formula(text: &str, fields: &mut Fields) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                literal.push(c);
            }
            '{' => {
                let mut id = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some('{') | None => {
                            return Err(format!(
                                "the formula has an opening brace without its closing one after \
                                 `{{{id}`; write {{{{ for a brace"
                            ));
                        }
                        Some(c) => id.push(c),
                    }
                }
                let id = id.trim();
                if id.is_empty() || id.contains('/') {
                    return Err("the formula has braces without a Bob field id in them, such as \
                        {work.department}"
                        .to_owned());
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into_boxed_str()));
                }
                parts.push(Part::Field(fields.want(id)));
            }
            '}' => {
                return Err(
                    "the formula has a closing brace without its opening one; write }} for a brace"
                        .to_owned(),
                );
            }
            c => literal.push(c),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into_boxed_str()));
    }
    if parts.iter().any(|part| matches!(part, Part::Field(_))) {
        Ok(parts)
    } else {
        Err("the formula names no Bob field; put field ids in braces, such as {work.department}"
            .to_owned())
    }
}

/// Returns whether the provider's value is already the desired text.
#[must_use]
pub fn equal(compare: Compare, have: &str, want: &str) -> bool {
    let (have, want) = (have.trim(), want.trim());
    match compare {
        Compare::Exact | Compare::Person => have == want,
        Compare::IgnoringCase | Compare::Numbered | Compare::PersonByEmail => {
            have == want || key(have) == key(want)
        }
    }
}

/// Returns whether the provider's address has invisible characters at its ends. bobsync then writes
/// it again without them.
#[must_use]
pub fn is_disguised(have: &str) -> bool {
    !have.is_ascii() && trimmed(have).len() != have.trim().len()
}

/// Returns a key for e-mails and usernames. Upper and lower case and invisible characters at the
/// ends do not change the key.
#[must_use]
pub fn key(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    match text {
        // Most texts are their own key.
        _ if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) => {
            Cow::Borrowed(text)
        }
        _ if text.is_ascii() => Cow::Owned(text.to_ascii_lowercase()),
        _ => Cow::Owned(text.to_lowercase()),
    }
}

/// Returns the [`key`] of a text that may be owned.
#[must_use]
pub fn key_of(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => key(text),
        Cow::Owned(text) => Cow::Owned(key(&text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::employee::Values;

    fn employee(cells: &[Cell<'_>]) -> Employee {
        let mut row = vec![Cell::Null; Fields::default().ids().len()];
        row[0] = Cell::Text("1");
        row.extend_from_slice(cells);
        Employee::from_values(Values::from_cells(row.into_iter())).unwrap()
    }

    #[test]
    fn formulas_join_escape_and_refuse() {
        let mut fields = Fields::default();
        let parts = formula("{{{work.department}}} - {work.title}", &mut fields).unwrap();
        assert_eq!(
            join(&parts, &employee(&[Cell::Text("Finance"), Cell::Text("Lead")])),
            Desired::Text("{Finance} - Lead".into())
        );
        assert_eq!(join(&parts, &employee(&[Cell::Text("Finance"), Cell::Absent])), Desired::Keep);
        let parts = formula("{work.department} - {work.title}", &mut fields).unwrap();
        assert_eq!(
            join(&parts, &employee(&[Cell::Text("Finance"), Cell::Null])),
            Desired::Text("Finance -".into())
        );
        assert_eq!(join(&parts, &employee(&[Cell::Null, Cell::Null])), Desired::Empty);
        for bad in ["{work.title", "work.title}", "{}", "plain", "{work.{title}}"] {
            assert!(formula(bad, &mut fields).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_compare_as_the_provider_keeps_them() {
        assert!(equal(Compare::IgnoringCase, "Noa.Lind@Example.com ", "noa.lind@example.com"));
        assert!(!equal(Compare::Exact, "engineer", "Engineer"));
        assert!(equal(Compare::Exact, " Engineer", "Engineer "));
        assert!(equal(Compare::IgnoringCase, "\u{feff}Noa@Example.com\u{200b}", "noa@example.com"));
        assert!(
            is_disguised("noa@example.com\u{200b}") && !is_disguised(" noa@m\u{fc}nchen.example ")
        );
    }

    #[test]
    fn an_address_that_cannot_be_typed_fails_and_one_with_unseen_ends_is_trimmed() {
        let row = |target: &str, field, compare| Row {
            target: target.into(),
            source: Source::Field(field),
            on_create_only: false,
            compare,
            required: true,
        };
        let mut fields = Fields::default();
        let title = fields.want("work.title");
        let rows =
            vec![row("email", 1, Compare::IgnoringCase), row("title", title, Compare::Exact)];
        let mapping = Mapping { address: None, rows, fields, email: 0, username: 0, manager: None };
        let says = |email: &str, title: &str| {
            let mut cells = vec![Cell::Null; mapping.fields.ids().len()];
            (cells[0], cells[1]) = (Cell::Text("1"), Cell::Text(email));
            *cells.last_mut().unwrap() = Cell::Text(title);
            Employee::from_values(Values::from_cells(cells.into_iter())).unwrap()
        };
        let employee = says("\u{feff}noa@example.com\u{200b}", "Head\u{200b}");
        assert_eq!(mapping.text(0, &employee).as_deref(), Some("noa@example.com"));
        assert_eq!(employee.email(), Some("noa@example.com"));
        assert_eq!(
            (mapping.text(1, &employee).as_deref(), mapping.failed(&employee)),
            (Some("Head\u{200b}"), None),
            "no address"
        );
        let (row, why) = mapping.failed(&says("noa\u{ad}@example.com", "Head")).unwrap();
        assert!(row == 0 && why.contains("U+00AD") && !why.contains("noa"), "{why}");
        assert_eq!(mapping.desired(0, &says("\u{200b}", "Head")), Desired::Empty);
    }
}
