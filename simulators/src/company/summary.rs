//! How many of each kind a company has, counted from its current state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::places::SITES;
use crate::bob::company::Company;

/// Counts of a company.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub employees: usize,
    /// `internal.status` Active.
    pub active: usize,
    pub inactive: usize,
    /// Lifecycle Hired.
    pub future_starters: usize,
    /// Lifecycle Terminated.
    pub leavers: usize,
    /// Lifecycle Leave or Parental leave, still with access.
    pub on_leave_active: usize,
    pub on_leave_inactive: usize,
    pub garden_leave: usize,
    /// Lifecycle Employed with a last day of work.
    pub on_notice: usize,
    pub without_mobile: usize,
    pub without_manager: usize,
    /// Employees by lifecycle label.
    pub lifecycle: BTreeMap<String, usize>,
    /// Employees by site.
    pub sites: BTreeMap<String, usize>,
    /// Returns the IANA zone of every site of the generator.
    pub site_time_zones: BTreeMap<String, String>,
}

impl Summary {
    pub fn of(company: &Company) -> Self {
        let number = |field: &str| company.catalogue.built_in(field);
        let (mobile, manager, last) =
            (number("work.workMobile"), number("work.manager"), number("employee.lastDayOfWork"));
        let mut summary = Self { employees: company.employees.len(), ..Self::default() };
        for site in SITES {
            summary.site_time_zones.insert(site.name.into(), site.zone.into());
        }
        for employee in &company.employees {
            let lifecycle = company.label(employee, "internal.lifecycleStatus").unwrap_or_default();
            let active = company.label(employee, "internal.status") == Some("Active");
            *if active { &mut summary.active } else { &mut summary.inactive } += 1;
            match (lifecycle, active) {
                ("Hired", _) => summary.future_starters += 1,
                ("Terminated", _) => summary.leavers += 1,
                ("Leave" | "Parental leave", true) => summary.on_leave_active += 1,
                ("Leave" | "Parental leave", false) => summary.on_leave_inactive += 1,
                ("Garden leave", _) => summary.garden_leave += 1,
                ("Employed", _) if employee.cell(last).is_some() => summary.on_notice += 1,
                _ => {}
            }
            summary.without_mobile += usize::from(employee.cell(mobile).is_none());
            summary.without_manager += usize::from(employee.cell(manager).is_none());
            *summary.lifecycle.entry(lifecycle.to_owned()).or_default() += 1;
            if let Some(site) = company.label(employee, "work.siteId") {
                *summary.sites.entry(site.to_owned()).or_default() += 1;
            }
        }
        summary
    }
}
