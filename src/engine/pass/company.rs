//! What Bob's answers showed of the company as a whole: the site of each employee, and the fields
//! that Bob sent for no employee. With it, partial passes keep the status correct.

use std::{collections::BTreeMap, hash::BuildHasher as _};

use parking_lot::{Mutex, MutexGuard};

use crate::domain::{
    calendar::{Gaps, Zones},
    employee::{Employee, SITE},
};

/// What was seen in this process.
#[derive(Debug, Default)]
pub struct Company {
    sites: Mutex<Option<Sites>>,
    unseen: Mutex<Vec<String>>,
}

/// The site of each employee, by a hash of the employee's id.
#[derive(Debug, Default)]
struct Sites {
    names: Vec<Box<str>>,
    of: foldhash::HashMap<u64, u16>,
}

impl Sites {
    fn see(&mut self, employee: &Employee) {
        let id = id(employee);
        let site =
            if employee.is_without_a_row() { None } else { employee.values.get(SITE).text() };
        let place = site.map(|site| {
            self.names.iter().position(|name| **name == *site).unwrap_or_else(|| {
                self.names.push(site.into());
                self.names.len() - 1
            })
        });
        match place.and_then(|place| u16::try_from(place).ok()) {
            Some(place) => drop(self.of.insert(id, place)),
            None => drop(self.of.remove(&id)),
        }
    }

    fn counts(&self) -> BTreeMap<&str, u32> {
        let mut counts = BTreeMap::new();
        self.of
            .values()
            .for_each(|place| *counts.entry(&*self.names[usize::from(*place)]).or_default() += 1);
        counts
    }
}

fn id(employee: &Employee) -> u64 {
    foldhash::quality::FixedState::default().hash_one(employee.id())
}

impl Company {
    fn sites(&self) -> MutexGuard<'_, Option<Sites>> {
        self.sites.lock()
    }

    /// Takes in an answer about all employees. For employees that are `newer` than the answer, what
    /// is known stays.
    pub fn see_all<'a>(
        &self,
        employees: impl Iterator<Item = &'a Employee>,
        newer: impl Fn(&str) -> bool,
    ) {
        let mut known = self.sites();
        let before = known.take().unwrap_or_default();
        let mut sites = Sites { names: before.names.clone(), of: foldhash::HashMap::default() };
        for employee in employees {
            match before.of.get(&id(employee)).filter(|_| newer(employee.id())) {
                Some(place) => drop(sites.of.insert(id(employee), *place)),
                None => sites.see(employee),
            }
        }
        *known = Some(sites);
    }

    /// Takes in an answer about some employees. Before an answer about all of them, nothing is
    /// known of the others.
    pub fn see_some<'a>(&self, employees: impl Iterator<Item = &'a Employee>) {
        if let Some(sites) = self.sites().as_mut() {
            // Nothing new is known of employees that were not read.
            employees.filter(|employee| !employee.unread).for_each(|employee| sites.see(employee));
        }
    }

    /// Returns the sites without a time zone and the time zones without a site.
    #[must_use]
    pub fn gaps(&self, zones: &Zones) -> Option<Gaps> {
        self.sites().as_ref().map(|sites| zones.gaps_in(&sites.counts()))
    }

    /// Takes in the fields that Bob sent for no employee in an answer about all employees.
    pub fn hide(&self, unseen: &[String]) {
        unseen.clone_into(&mut self.unseen.lock());
    }

    /// Takes in the fields that Bob sent for some employees. Returns the fields that Bob still sent
    /// for no employee, if one of the unseen fields came now.
    #[must_use]
    pub fn shown(&self, came: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut unseen = self.unseen.lock();
        let before = unseen.len();
        unseen.retain(|field| !came(field));
        (unseen.len() < before).then(|| unseen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::employee::{Cell, Values};

    #[test]
    fn sites_follow_the_employees_and_nothing_is_known_before_all_were_seen() {
        let employee = |id: &str, site: &str| {
            let mut cells = vec![Cell::Null; SITE + 1];
            (cells[0], cells[SITE]) =
                (Cell::Text(id), if site.is_empty() { Cell::Null } else { Cell::Text(site) });
            Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id")
        };
        let zones = Zones::new("UTC", [("Berlin", "Europe/Berlin"), ("Oslo", "Europe/Oslo")])
            .expect("zones");
        let company = Company::default();
        let told = || {
            let gaps = company.gaps(&zones)?;
            let unlisted = gaps.unlisted.into_iter().map(|(site, count)| format!("{site} {count}"));
            Some(
                unlisted
                    .chain(gaps.unused.into_iter().map(|(site, _)| format!("no {site}")))
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        };
        company.see_some([employee("1", "Tokyo")].iter());
        assert_eq!(told(), None);
        let all = [employee("1", "Berlin"), employee("2", " Oslo "), employee("3", "")];
        company.see_all(all.iter(), |_| false);
        assert_eq!(told().as_deref(), Some(""));
        company.see_some([employee("2", "Tokyo"), employee("3", "Tokyo")].iter());
        assert_eq!(told().as_deref(), Some("Tokyo 2, no Oslo"));
        company.see_all(all.iter(), |id| id == "2");
        assert_eq!(
            told().as_deref(),
            Some("Tokyo 1, no Oslo"),
            "the answer about all employees is older for one of them"
        );
        company.see_some([Employee::gone("2"), employee("4", "Oslo")].iter());
        assert_eq!(told().as_deref(), Some(""));
        company.see_all(all[..1].iter(), |_| false);
        assert_eq!(told().as_deref(), Some("no Oslo"));
    }

    #[test]
    fn a_field_that_comes_with_one_employee_is_not_hidden_any_more() {
        let company = Company::default();
        company.hide(&["work.title".to_owned(), "work.site".to_owned()]);
        assert_eq!(company.shown(|field| field == "root.email"), None);
        assert_eq!(
            company.shown(|field| field == "work.title"),
            Some(vec!["work.site".to_owned()])
        );
        assert_eq!(company.shown(|field| field == "work.site"), Some(Vec::new()));
        assert_eq!(company.shown(|_| true), None);
    }
}
