//! Employees and list items in memory. A snapshot is cheap: a search renders from a snapshot while
//! edits go on.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::fields::Catalogue;

/// A stored value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(Box<str>),
    Number(i64),
    Bool(bool),
    Date(Date),
    /// Position of an item in its field's list.
    Item(u32),
    /// Another employee's id; need not exist.
    Person(u64),
}

/// One employee: an id and a row of cells in the catalogue's order.
#[derive(Debug, Clone)]
pub struct Employee {
    pub id: u64,
    pub cells: Vec<Option<Cell>>,
}

impl Employee {
    pub fn cell(&self, field: usize) -> Option<&Cell> {
        self.cells.get(field).and_then(Option::as_ref)
    }

    pub fn text(&self, field: usize) -> Option<&str> {
        match self.cell(field) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn set(&mut self, field: usize, cell: Option<Cell>) {
        if self.cells.len() <= field {
            self.cells.resize(field + 1, None);
        }
        self.cells[field] = cell;
    }
}

/// One item of a named list.
#[derive(Debug, Clone)]
pub struct Item {
    /// Text. The list decides whether JSON shows a number.
    pub id: String,
    pub label: String,
    pub archived: bool,
}

/// A named list. Names are case-sensitive.
#[derive(Debug, Clone, Default)]
pub struct List {
    pub items: Vec<Item>,
    by_label: HashMap<String, u32>,
}

impl List {
    pub fn position(&self, label: &str) -> Option<u32> {
        self.by_label.get(label).copied()
    }

    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(position) = self.by_label.remove(from) else { return false };
        self.by_label.insert(to.to_owned(), position);
        to.clone_into(&mut self.items[position as usize].label);
        true
    }
}

/// Lists whose item ids equal the label in lower case, or the label itself.
const NAMED_IDS: &[&str] = &["lifecycleStatus", "status", "state"];
/// Lists whose item ids are JSON numbers.
const NUMBER_IDS: &[&str] = &["site", "calendar"];

/// The whole company.
#[derive(Debug, Clone)]
pub struct Company {
    pub catalogue: Catalogue,
    pub lists: HashMap<String, List>,
    pub employees: Vec<Arc<Employee>>,
    index: HashMap<u64, usize>,
    next_item: u64,
    next_employee: u64,
    pub next_number: i64,
}

const FIRST_EMPLOYEE: u64 = 3_332_883_894_235_038_486;
/// Ids of neighbours differ by this, so that no two ids differ only in the last digits.
const EMPLOYEE_STEP: u64 = 7_919;

impl Default for Company {
    fn default() -> Self {
        let catalogue = Catalogue::default();
        let mut company = Self {
            lists: HashMap::new(),
            employees: Vec::new(),
            index: HashMap::new(),
            next_item: 209_192_163,
            next_employee: FIRST_EMPLOYEE,
            next_number: 1,
            catalogue,
        };
        for field in company.catalogue.fields.clone() {
            if let Some(list) = field.list {
                company.lists.entry(list).or_default();
            }
        }
        for label in ["Hired", "Employed", "Garden leave", "Leave", "Parental leave", "Terminated"]
        {
            company.item("lifecycleStatus", label);
        }
        for label in ["Active", "Inactive"] {
            company.item("status", label);
        }
        company
    }
}

impl Company {
    /// Returns the position of a label in a list, and adds a new label.
    pub fn item(&mut self, list: &str, label: &str) -> u32 {
        if let Some(position) = self.lists.get(list).and_then(|list| list.position(label)) {
            return position;
        }
        let id = if NAMED_IDS.contains(&list) {
            if list == "status" { label.to_owned() } else { label.to_lowercase() }
        } else {
            self.next_item += 7;
            self.next_item.to_string()
        };
        let list = self.lists.entry(list.to_owned()).or_default();
        let position = u32::try_from(list.items.len()).expect("a list of sensible length");
        list.items.push(Item { id, label: label.to_owned(), archived: false });
        list.by_label.insert(label.to_owned(), position);
        position
    }

    /// Returns the item of a list field's cell.
    pub fn item_of(&self, field: usize, cell: &Cell) -> Option<(&str, &Item)> {
        let Cell::Item(position) = cell else { return None };
        let list = self.catalogue.fields[field].list.as_deref()?;
        Some((list, self.lists.get(list)?.items.get(*position as usize)?))
    }

    /// Returns the human label of a list field.
    pub fn label(&self, employee: &Employee, field: &str) -> Option<&str> {
        let field = self.catalogue.number(field)?;
        Some(&self.item_of(field, employee.cell(field)?)?.1.label)
    }

    pub fn fresh_id(&mut self) -> u64 {
        while self.index.contains_key(&self.next_employee) {
            self.next_employee += EMPLOYEE_STEP;
        }
        let id = self.next_employee;
        self.next_employee += EMPLOYEE_STEP;
        id
    }

    pub fn employee(&self, id: u64) -> Option<&Arc<Employee>> {
        self.index.get(&id).map(|position| &self.employees[*position])
    }

    /// Finds an employee by work e-mail, ignoring case.
    pub fn by_email(&self, email: &str) -> Option<&Arc<Employee>> {
        let field = self.catalogue.built_in("root.email");
        self.employees.iter().find(|employee| {
            employee.text(field).is_some_and(|own| own.eq_ignore_ascii_case(email))
        })
    }

    /// Adds an employee or replaces the one with the same id.
    pub fn put(&mut self, employee: Employee) {
        if let Some(position) = self.index.get(&employee.id) {
            self.employees[*position] = Arc::new(employee);
        } else {
            self.index.insert(employee.id, self.employees.len());
            self.employees.push(Arc::new(employee));
        }
    }

    pub fn remove(&mut self, id: u64) -> bool {
        let Some(position) = self.index.remove(&id) else { return false };
        self.employees.remove(position);
        for later in self.index.values_mut().filter(|later| **later > position) {
            *later -= 1;
        }
        true
    }

    /// Returns a list item's id as JSON shows it; `numbers` turns every numeric id into a number.
    pub fn item_id(list: &str, item: &Item, numbers: bool) -> Value {
        let number = || item.id.parse::<i64>().ok();
        if NUMBER_IDS.contains(&list) || numbers {
            number().map_or_else(|| json!(item.id), Value::from)
        } else {
            json!(item.id)
        }
    }

    /// Returns a list as `GET /v1/company/named-lists/{name}` answers it, with the items twice.
    pub fn list_json(&self, name: &str, archived: bool, numbers: bool) -> Option<Value> {
        let list = self.lists.get(name)?;
        let items: Vec<Value> = list
            .items
            .iter()
            .filter(|item| archived || !item.archived)
            .map(|item| {
                json!({"id": Self::item_id(name, item, numbers), "value": item.label, "name": item.label,
                       "archived": item.archived, "children": []})
            })
            .collect();
        Some(json!({"name": name, "values": items, "items": items}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_someone_keeps_everybody_else_reachable() {
        let mut company = Company::default();
        let ids: Vec<u64> = (0..5).map(|_| company.fresh_id()).collect();
        for id in &ids {
            company.put(Employee { id: *id, cells: Vec::new() });
        }
        assert!(company.remove(ids[1]));
        assert!(!company.remove(ids[1]));
        for id in [ids[0], ids[2], ids[3], ids[4]] {
            assert_eq!(company.employee(id).map(|employee| employee.id), Some(id));
        }
        assert!(company.employee(ids[1]).is_none());
    }

    #[test]
    fn site_ids_are_numbers_and_the_others_text() {
        let mut company = Company::default();
        company.item("site", "London");
        company.item("department", "Sales");
        let site = company.list_json("site", false, false).unwrap();
        let department = company.list_json("department", false, false).unwrap();
        assert!(site["items"][0]["id"].is_i64());
        assert!(department["items"][0]["id"].is_string());
        assert!(company.list_json("Department", false, false).is_none());
        assert!(company.list_json("department", false, true).unwrap()["values"][0]["id"].is_i64());
    }
}
