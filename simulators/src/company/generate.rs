//! The generator.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::people::{DEPARTMENTS, FIRST, LAST, MIDDLE, TITLES};
use super::places::SITES;
use crate::bob::company::{Cell, Company, Employee};
use crate::bob::fields::{Catalogue, Kind};
use crate::rng::Rng;

/// A custom field that every employee has, with a badge number.
pub const BADGE_FIELD: &str = "work.custom.field_1716900000001";

/// Reports of one manager.
const SPAN: usize = 8;

/// An employee's stage, with the share in percent among those without reports.
const STAGES: &[(Stage, usize)] = &[
    (Stage::FutureStarter, 5),
    (Stage::Leaver, 11),
    (Stage::LeaveActive, 1),
    (Stage::LeaveInactive, 2),
    (Stage::ParentalLeave, 1),
    (Stage::GardenLeave, 1),
    (Stage::OnNotice, 2),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Employed,
    FutureStarter,
    Leaver,
    LeaveActive,
    LeaveInactive,
    ParentalLeave,
    GardenLeave,
    OnNotice,
}

struct Builder {
    company: Company,
    rng: Rng,
    today: Date,
    /// How often an e-mail's local part was used.
    taken: HashMap<String, u32>,
    ids: Vec<u64>,
}

/// Generates `count` employees as of `now`; the first one leads the company.
pub fn generate(count: usize, seed: u64, now: Timestamp) -> Company {
    let mut company = Company::default();
    company.catalogue.custom(BADGE_FIELD, Kind::Text, None);
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut builder = Builder {
        company,
        rng: Rng::new(seed),
        today,
        taken: HashMap::new(),
        ids: Vec::with_capacity(count),
    };
    for position in 0..count {
        builder.hire(position, count);
    }
    builder.company
}

fn text(value: impl AsRef<str>) -> Cell {
    Cell::Text(value.as_ref().into())
}

/// An employee under construction.
struct Draft<'a> {
    catalogue: &'a Catalogue,
    employee: Employee,
}

impl Draft<'_> {
    fn set(&mut self, field: &str, cell: Option<Cell>) {
        self.employee.set(self.catalogue.built_in(field), cell);
    }
}

impl Builder {
    fn days(&mut self, from: usize, to: usize) -> i64 {
        i64::try_from(from + self.rng.below(to - from + 1)).unwrap_or(0)
    }

    fn in_days(&self, days: i64) -> Date {
        self.today.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap_or(self.today)
    }

    fn stage(&mut self, leads: bool) -> Stage {
        let mut dice = self.rng.below(100);
        // No manager is away, so that tests choose that case themselves.
        if leads {
            return Stage::Employed;
        }
        for (stage, share) in STAGES {
            if dice < *share {
                return *stage;
            }
            dice -= share;
        }
        Stage::Employed
    }

    fn address(&mut self, first: &str, last: &str) -> String {
        let local = format!("{first}.{last}");
        let count = self.taken.entry(local.clone()).or_default();
        *count += 1;
        match *count {
            1 => format!("{local}@example.com"),
            more => format!("{local}{more}@example.com"),
        }
    }

    fn hire(&mut self, position: usize, count: usize) {
        let stage = self.stage(position * SPAN + 1 < count);
        let id = self.company.fresh_id();
        let (first, first_romanised) = *self.rng.pick(FIRST);
        let (last, last_romanised) = *self.rng.pick(LAST);
        let email = self.address(first_romanised, last_romanised);
        let site = *self.rng.pick(SITES);
        let middle = self.rng.chance(0.15).then(|| *self.rng.pick(MIDDLE));
        let title = match position {
            0 => "Chief Executive Officer",
            1..=8 => "Vice President",
            _ => self.rng.pick(TITLES),
        };
        let department = *self.rng.pick(DEPARTMENTS);
        let work_phone =
            self.rng.chance(0.8).then(|| format!("{} {:04}", site.phone, self.rng.below(10_000)));
        let mobile = self
            .rng
            .chance(0.93)
            .then(|| format!("{} {:06}", site.phone, self.rng.below(1_000_000)));
        let dates = self.dates(stage);
        let (lifecycle, status) = match stage {
            Stage::Employed | Stage::OnNotice => ("Employed", "Active"),
            Stage::FutureStarter => ("Hired", "Inactive"),
            Stage::Leaver => ("Terminated", "Inactive"),
            Stage::LeaveActive => ("Leave", "Active"),
            Stage::LeaveInactive => ("Leave", "Inactive"),
            Stage::ParentalLeave => ("Parental leave", "Inactive"),
            Stage::GardenLeave => ("Garden leave", "Inactive"),
        };
        let mut item = |list: &str, label: &str| Some(Cell::Item(self.company.item(list, label)));
        let lists = [
            ("work.title", item("title", title)),
            ("work.department", item("department", department)),
            ("work.siteId", item("site", site.name)),
            ("internal.lifecycleStatus", item("lifecycleStatus", lifecycle)),
            ("internal.status", item("status", status)),
            ("payroll.employment.type", item("payrollEmploymentType", "Permanent")),
            ("payroll.employment.contract", item("employmentstatus", "Full time")),
        ];
        let number = self.company.next_number;
        self.company.next_number += 1;
        let badge = self.company.catalogue.built_in(BADGE_FIELD);
        let mut draft = Draft {
            catalogue: &self.company.catalogue,
            employee: Employee { id, cells: Vec::new() },
        };
        for (field, cell) in lists.into_iter().chain(dates) {
            draft.set(field, cell);
        }
        draft.set("root.email", Some(text(email)));
        draft.set("root.firstName", Some(text(first)));
        draft.set("root.secondName", middle.map(text));
        draft.set("root.surname", Some(text(last)));
        draft.set("root.displayName", Some(text(format!("{first} {last}"))));
        draft.set("root.companyId", Some(Cell::Number(637_323)));
        draft.set("work.employeeIdInCompany", Some(Cell::Number(number)));
        draft.set("work.workPhone", work_phone.map(text));
        draft.set("work.workMobile", mobile.map(text));
        if position > 0 {
            draft.set("work.manager", Some(Cell::Person(self.ids[(position - 1) / SPAN])));
        }
        draft.employee.set(badge, Some(text(format!("B-{number:06}"))));
        let employee = draft.employee;
        self.ids.push(id);
        self.company.put(employee);
    }

    /// Returns the dates of a stage, relative to today.
    fn dates(&mut self, stage: Stage) -> Vec<(&'static str, Option<Cell>)> {
        let mut dates = Vec::new();
        let start = match stage {
            Stage::FutureStarter => self.days(1, 90),
            _ => -self.days(800, 4_000),
        };
        dates.push(("work.startDate", start));
        dates.push(("work.originalStartDate", start));
        dates.push(("employee.firstDayOfWork", start));
        dates.push(("root.creationDate", start.min(0) - 14));
        match stage {
            Stage::Leaver => {
                let end = -self.days(1, 700);
                dates.push(("internal.terminationDate", end));
                dates.push(("employee.lastDayOfWork", end - self.days(0, 30)));
            }
            Stage::GardenLeave => {
                dates.push(("internal.terminationDate", self.days(5, 60)));
                dates.push(("employee.lastDayOfWork", -self.days(1, 20)));
            }
            Stage::OnNotice => {
                let last = self.days(1, 60);
                dates.push(("employee.lastDayOfWork", last));
                dates.push(("internal.terminationDate", last + self.days(0, 15)));
            }
            Stage::LeaveActive | Stage::LeaveInactive | Stage::ParentalLeave => {
                dates.push(("employee.recentLeaveStartDate", -self.days(1, 60)));
                dates.push(("employee.recentLeaveEndDate", self.days(5, 180)));
            }
            Stage::Employed | Stage::FutureStarter => {}
        }
        dates
            .into_iter()
            .map(|(field, days)| (field, Some(Cell::Date(self.in_days(days)))))
            .collect()
    }
}
