//! One employee in Bob's representations: slash keys for values, the nested form with nulls, and
//! the appended (or replacing) human-readable form.
//!
//! A request is turned into a [`Plan`] once. Then every employee is written directly into a byte
//! buffer, so that 100,000 employees take less than a second.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::company::{Cell, Company, Employee};
use super::fields::Kind;
use super::quirks::Quirks;

/// What `humanReadable` asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Human {
    Absent,
    Append,
    Replace,
}

#[derive(Debug)]
enum Node {
    Leaf(usize),
    Branch(Vec<(String, Node)>),
}

/// The employees and the settings that one answer is rendered from.
pub struct View {
    pub company: Arc<Company>,
    /// Older rows that a lagging read still shows.
    pub stale: HashMap<u64, Arc<Employee>>,
    pub quirks: Quirks,
}

/// Which fields to write, and where.
pub struct Plan {
    fields: Vec<(usize, String)>,
    tree: Vec<(String, Node)>,
    human: Human,
}

/// A field's value, seen without copying it.
enum Seen<'a> {
    Text(&'a str),
    Owned(String),
    Number(i64),
    Bool(bool),
    Date(jiff::civil::Date),
    Item(&'a str, &'a super::company::Item),
    Id(u64),
    Reference(u64),
    Person(&'a Employee),
}

impl Plan {
    /// Returns a plan for these field numbers.
    pub fn new(view: &View, numbers: &[usize], human: Human) -> Self {
        let mut tree = Vec::new();
        let fields = &view.company.catalogue.fields;
        for number in numbers {
            let path: Vec<&str> = fields[*number].json_path.split('.').collect();
            insert(&mut tree, &path, *number);
        }
        // Bob always answers the id.
        let id = view.company.catalogue.built_in("root.id");
        if !tree.iter().any(|(key, _)| key == "id") {
            tree.insert(0, ("id".into(), Node::Leaf(id)));
        }
        let fields = numbers
            .iter()
            .map(|number| (*number, format!("/{}", fields[*number].id.replace('.', "/"))))
            .collect();
        Self { fields, tree, human }
    }

    /// Writes one employee as a JSON object.
    pub fn write(&self, view: &View, employee: &Employee, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        if self.human == Human::Replace {
            view.write_human(employee, &self.tree, out, start);
        } else {
            if view.quirks.slash_keys {
                for (number, key) in &self.fields {
                    if let Some(seen) = view.seen(employee, *number) {
                        comma(out, start);
                        text(out, key);
                        out.extend_from_slice(b":{\"value\":");
                        view.machine(*number, &seen, out);
                        out.push(b'}');
                    }
                }
            }
            view.write_machine(employee, &self.tree, out, start);
            if self.human == Human::Append {
                comma(out, start);
                out.extend_from_slice(b"\"humanReadable\":{");
                let start = out.len();
                view.write_human(employee, &self.tree, out, start);
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
}

fn insert(nodes: &mut Vec<(String, Node)>, path: &[&str], number: usize) {
    let Some((key, rest)) = path.split_first() else { return };
    let existing = nodes.iter().position(|(name, _)| name == key);
    match (existing, rest.is_empty()) {
        // An object field (work.reportsTo) wins over its own parts (work.reportsTo.email).
        (Some(at), true) => nodes[at].1 = Node::Leaf(number),
        (Some(at), false) => {
            if let Node::Branch(inner) = &mut nodes[at].1 {
                insert(inner, rest, number);
            }
        }
        (None, true) => nodes.push(((*key).to_owned(), Node::Leaf(number))),
        (None, false) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, number);
            nodes.push(((*key).to_owned(), Node::Branch(inner)));
        }
    }
}

fn comma(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(out, value).expect("writing to memory");
}

impl View {
    fn write_machine(
        &self,
        employee: &Employee,
        nodes: &[(String, Node)],
        out: &mut Vec<u8>,
        start: usize,
    ) {
        for (key, node) in nodes {
            comma(out, start);
            text(out, key);
            out.push(b':');
            match node {
                Node::Leaf(number) => match self.seen(employee, *number) {
                    Some(seen) => self.machine(*number, &seen, out),
                    None => out.extend_from_slice(b"null"),
                },
                Node::Branch(nodes) => {
                    out.push(b'{');
                    let start = out.len();
                    self.write_machine(employee, nodes, out, start);
                    out.push(b'}');
                }
            }
        }
    }

    /// Only fields with a value; a branch without a value is left out.
    fn write_human(
        &self,
        employee: &Employee,
        nodes: &[(String, Node)],
        out: &mut Vec<u8>,
        start: usize,
    ) {
        for (key, node) in nodes {
            let before = out.len();
            match node {
                Node::Leaf(number) => {
                    let Some(seen) = self.seen(employee, *number) else { continue };
                    comma(out, start);
                    text(out, key);
                    out.push(b':');
                    self.human(&seen, out);
                }
                Node::Branch(nodes) => {
                    comma(out, start);
                    text(out, key);
                    out.extend_from_slice(b":{");
                    let inner = out.len();
                    self.write_human(employee, nodes, out, inner);
                    if out.len() == inner {
                        out.truncate(before);
                        continue;
                    }
                    out.push(b'}');
                }
            }
        }
    }

    fn employee(&self, id: u64) -> Option<&Employee> {
        self.stale.get(&id).or_else(|| self.company.employee(id)).map(AsRef::as_ref)
    }

    /// Returns the employee as this view shows it.
    pub fn current<'a>(&'a self, employee: &'a Arc<Employee>) -> &'a Employee {
        self.stale.get(&employee.id).unwrap_or(employee)
    }

    fn seen<'a>(&'a self, employee: &'a Employee, number: usize) -> Option<Seen<'a>> {
        let catalogue = &self.company.catalogue;
        let field = &catalogue.fields[number];
        let manager = || match employee.cell(catalogue.built_in("work.manager")) {
            Some(Cell::Person(id)) => self.employee(*id),
            _ => None,
        };
        match (field.kind, field.id.as_str()) {
            (_, "root.id") => return Some(Seen::Id(employee.id)),
            (Kind::Person, _) => return manager().map(Seen::Person),
            (Kind::Mirror, "work.reportsTo.email") => {
                return manager()
                    .and_then(|found| found.text(catalogue.built_in("root.email")))
                    .map(Seen::Text);
            }
            (Kind::Mirror, "work.site") => {
                return self.company.label(employee, "work.siteId").map(Seen::Text);
            }
            (Kind::Mirror, _) => {
                let part = |id: &str| employee.text(catalogue.built_in(id));
                let parts: Vec<&str> =
                    [part("root.firstName"), part("root.secondName"), part("root.surname")]
                        .into_iter()
                        .flatten()
                        .collect();
                return (!parts.is_empty()).then(|| Seen::Owned(parts.join(" ")));
            }
            _ => {}
        }
        let cell = employee.cell(number)?;
        Some(match cell {
            Cell::Text(text) => Seen::Text(text),
            Cell::Number(number) => Seen::Number(*number),
            Cell::Bool(flag) => Seen::Bool(*flag),
            Cell::Date(date) => Seen::Date(*date),
            Cell::Item(_) => {
                let (list, item) = self.company.item_of(number, cell)?;
                Seen::Item(list, item)
            }
            Cell::Person(id) => Seen::Reference(*id),
        })
    }

    fn name<'a>(&self, employee: &'a Employee) -> &'a str {
        employee.text(self.company.catalogue.built_in("root.displayName")).unwrap_or_default()
    }

    fn machine(&self, number: usize, seen: &Seen<'_>, out: &mut Vec<u8>) {
        match seen {
            Seen::Text(value) => text(out, value),
            Seen::Owned(value) => text(out, value),
            Seen::Number(value) => write!(out, "{value}").expect("writing to memory"),
            Seen::Bool(value) => write!(out, "{value}").expect("writing to memory"),
            Seen::Date(value) => write!(out, "\"{value}\"").expect("writing to memory"),
            Seen::Id(value) | Seen::Reference(value) => {
                write!(out, "\"{value}\"").expect("writing to memory")
            }
            Seen::Item(list, item) => {
                if self.company.catalogue.fields[number].id == "internal.lifecycleStatus" {
                    text(out, &self.quirks.lifecycle_casing.apply(&item.id, &item.label));
                } else {
                    let id = Company::item_id(list, item, self.quirks.numeric_list_ids());
                    serde_json::to_writer(out, &id).expect("writing to memory");
                }
            }
            Seen::Person(person) if self.quirks.reports_to_object() => {
                let part = |id: &str| person.text(self.company.catalogue.built_in(id));
                let object: Value = serde_json::json!({
                    "id": person.id.to_string(), "displayName": self.name(person), "email": part("root.email"),
                    "firstName": part("root.firstName"), "surname": part("root.surname"),
                });
                serde_json::to_writer(out, &object).expect("writing to memory");
            }
            Seen::Person(person) => text(out, self.name(person)),
        }
    }

    fn human(&self, seen: &Seen<'_>, out: &mut Vec<u8>) {
        match seen {
            Seen::Text(value) => text(out, value),
            Seen::Owned(value) => text(out, value),
            Seen::Number(value) => write!(out, "\"{value}\"").expect("writing to memory"),
            Seen::Bool(value) => text(out, if *value { "Yes" } else { "No" }),
            Seen::Date(value) if self.quirks.locale_dates() => {
                write!(out, "\"{:02}/{:02}/{:04}\"", value.day(), value.month(), value.year())
                    .expect("writing to memory");
            }
            Seen::Date(value) => write!(out, "\"{value}\"").expect("writing to memory"),
            Seen::Item(_, item) => text(out, &item.label),
            Seen::Id(value) => write!(out, "\"{value}\"").expect("writing to memory"),
            Seen::Reference(id) => match self.employee(*id) {
                Some(person) => text(out, self.name(person)),
                None => write!(out, "\"{id}\"").expect("writing to memory"),
            },
            Seen::Person(person) => text(out, self.name(person)),
        }
    }
}
