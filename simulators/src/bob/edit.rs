//! Edits through the control API: field ids to human values.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::company::{Cell, Company, Employee};
use super::fields::Kind;

impl Company {
    /// Creates an employee. Missing values are invented, `null` leaves a field empty.
    ///
    /// # Errors
    /// Unknown fields, values of a wrong kind, an id that is taken.
    pub fn create(&mut self, given: &Map<String, Value>, now: Timestamp) -> Result<u64, String> {
        let id = match given.get("root.id") {
            None => self.fresh_id(),
            Some(Value::String(text)) => {
                let id =
                    text.parse().map_err(|_| "root.id must be a number in a string".to_owned())?;
                if self.employee(id).is_some() {
                    return Err(format!("employee {id} exists"));
                }
                id
            }
            Some(_) => return Err("root.id must be a number in a string".into()),
        };
        let mut employee = Employee { id, cells: Vec::new() };
        let mut all = self.invented(given, id, now);
        all.extend(given.clone());
        self.apply(&mut employee, &all)?;
        self.next_number += 1;
        self.put(employee);
        Ok(id)
    }

    /// Changes the given fields of an employee; `None` when there is no such employee.
    ///
    /// # Errors
    /// Unknown fields or values of a wrong kind; then nothing is changed.
    pub fn change(&mut self, id: u64, given: &Map<String, Value>) -> Option<Result<(), String>> {
        let mut employee = Employee::clone(self.employee(id)?);
        let done = self.apply(&mut employee, given);
        if done.is_ok() {
            self.put(employee);
        }
        Some(done)
    }

    fn invented(&self, given: &Map<String, Value>, id: u64, now: Timestamp) -> Map<String, Value> {
        let number = self.next_number;
        let text = |field: &str| given.get(field).and_then(Value::as_str);
        let first = text("root.firstName").unwrap_or("Robin").to_owned();
        let last = text("root.surname").map_or_else(|| format!("Person{number}"), str::to_owned);
        let start = text("work.startDate").unwrap_or("2022-03-01").to_owned();
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let future = start.parse::<Date>().is_ok_and(|start| start > today);
        let (lifecycle, status) =
            if future { ("Hired", "Inactive") } else { ("Employed", "Active") };
        let site = match text("work.site") {
            Some(site) => site.to_owned(),
            None => "London".to_owned(),
        };
        let invented = json!({
            "root.email": format!("person.{number}@example.com"),
            "root.firstName": first,
            "root.surname": last,
            "root.displayName": format!("{first} {last}"),
            "root.companyId": 637_323,
            "root.creationDate": today.to_string(),
            "root.creationDateTime": now.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
            "work.employeeIdInCompany": number,
            "work.title": "Engineer",
            "work.department": "Engineering",
            "work.siteId": site,
            "work.startDate": start,
            "work.originalStartDate": start,
            "work.workPhone": format!("+44 20 7946 {:04}", id % 10_000),
            "work.workMobile": format!("+44 7700 {:06}", id % 1_000_000),
            "payroll.employment.type": "Permanent",
            "payroll.employment.contract": "Full time",
            "internal.lifecycleStatus": lifecycle,
            "internal.status": status,
        });
        let Value::Object(invented) = invented else { return Map::new() };
        invented
    }

    /// Sets the cells for `given`, after checking all of it.
    fn apply(&mut self, employee: &mut Employee, given: &Map<String, Value>) -> Result<(), String> {
        for (id, value) in given {
            // Bob keeps these two equal to a field that can be written.
            let id = match id.as_str() {
                "root.id" => continue,
                "work.site" => "work.siteId",
                other => other,
            };
            let known = self.catalogue.number(id);
            let number = match known {
                Some(number) => number,
                None => self
                    .catalogue
                    .custom(id, Kind::Text, None)
                    .ok_or_else(|| format!("unknown field {id}"))?,
            };
            let cell =
                self.cell_from(number, value).map_err(|wanted| format!("{id} takes {wanted}"))?;
            employee.set(number, cell);
        }
        Ok(())
    }

    fn cell_from(&mut self, number: usize, value: &Value) -> Result<Option<Cell>, &'static str> {
        if value.is_null() {
            return Ok(None);
        }
        let field = &self.catalogue.fields[number];
        let cell = match field.kind {
            Kind::Text | Kind::Time => Cell::Text(value.as_str().ok_or("text")?.into()),
            Kind::Number => Cell::Number(value.as_i64().ok_or("a whole number")?),
            Kind::Boolean => Cell::Bool(value.as_bool().ok_or("true or false")?),
            Kind::Date => Cell::Date(
                value.as_str().and_then(|text| text.parse().ok()).ok_or("a date, YYYY-MM-DD")?,
            ),
            Kind::List | Kind::ListId => {
                let label = value.as_str().ok_or("the label of a list item")?;
                let list = field.list.clone().ok_or("nothing: the field has no list")?;
                Cell::Item(self.item(&list, label))
            }
            Kind::Reference => {
                let text = value.as_str().ok_or("an employee's id or e-mail")?;
                match text.parse() {
                    Ok(id) => Cell::Person(id),
                    Err(_) => {
                        Cell::Person(self.by_email(text).ok_or("an employee's id or e-mail")?.id)
                    }
                }
            }
            Kind::Person | Kind::Mirror => return Err("no value: it is calculated"),
        };
        Ok(Some(cell))
    }

    /// Returns an employee as the control API shows it: field ids to human values, dates as
    /// `YYYY-MM-DD`, references as ids; empty fields are left out.
    pub fn human(&self, employee: &Employee) -> Value {
        let mut map = Map::new();
        map.insert("id".into(), employee.id.to_string().into());
        for (number, field) in self.catalogue.fields.iter().enumerate() {
            let value = match (field.id.as_str(), employee.cell(number)) {
                ("root.id", _) => employee.id.to_string().into(),
                ("work.site", _) => {
                    self.label(employee, "work.siteId").map_or(Value::Null, Value::from)
                }
                (_, None) => continue,
                (_, Some(cell)) => match cell {
                    Cell::Text(text) => Value::from(&**text),
                    Cell::Number(number) => (*number).into(),
                    Cell::Bool(flag) => (*flag).into(),
                    Cell::Date(date) => date.to_string().into(),
                    Cell::Item(_) => self
                        .item_of(number, cell)
                        .map_or(Value::Null, |(_, item)| json!(item.label)),
                    Cell::Person(id) => id.to_string().into(),
                },
            };
            if !value.is_null() {
                map.insert(field.id.clone(), value);
            }
        }
        Value::Object(map)
    }
}
