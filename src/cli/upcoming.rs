//! `bobsync upcoming`: whose access changes by itself, and when. It reads only the API server.

use std::{collections::BTreeMap, fmt::Write as _};

use clap::{Args, ValueEnum as _};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::{
    connection, moment,
    people::{Looking, NamedIntegration, ShownEmployee},
    table::{self, AnswerPage, Format},
};
use crate::api::{
    conditions,
    employee_sync::{Access, Because},
};

/// The longest line of an iCalendar file, in bytes.
const CALENDAR_LINE: usize = 75;

/// What `bobsync upcoming` is told.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// How far to look ahead: 7d, 12h, tomorrow, 2026-12-24, or RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment::until)]
    pub within: Timestamp,
    /// Employees who lose access.
    #[arg(long)]
    pub loses_access: bool,
    /// Employees who start.
    #[arg(long)]
    pub starts: bool,
    /// Employees with a leave that begins or ends.
    #[arg(long)]
    pub leave: bool,
    #[command(flatten)]
    pub looking: Looking,
    /// How the answer is shown: text, json, csv, markdown, html, or ics (a calendar).
    #[arg(long, short, value_name = "FORMAT", default_value = "text", value_parser = output)]
    pub output: Output,
}

/// How the dates are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Table(Format),
    Calendar,
}

fn output(text: &str) -> Result<Output, String> {
    if text == "ics" {
        return Ok(Output::Calendar);
    }
    Format::from_str(text, false)
        .map(Output::Table)
        .map_err(|_| "text, json, csv, markdown, html or ics".to_owned())
}

/// One date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Coming {
    at: Timestamp,
    integration: String,
    who: String,
    employee: String,
    zone: String,
    access: String,
    because: String,
}

/// Shows whose access changes.
///
/// # Errors
/// A sentence for the person at the terminal.
pub fn main(options: Options) -> Result<(), String> {
    connection::run(async {
        let (reader, integrations) = options.looking.begin().await?;
        let mut all = Vec::new();
        options.looking.each(&reader, |person| all.extend(coming(&options, &person))).await?;
        all.sort();
        let now = Timestamp::now();
        match options.output {
            Output::Calendar => table::print(&calendar(&all, now)),
            Output::Table(format) => page(&all, &integrations, now).print(format),
        }
    })
}

/// Returns the next date of an employee, if it is meant.
fn coming(options: &Options, person: &ShownEmployee) -> Option<Coming> {
    let next = person.0.status.as_ref()?.next_transition.as_ref()?;
    let at: Timestamp = next.instant.as_ref().unwrap_or(&next.at).parse().ok()?;
    let leave = matches!(next.because, Because::LeaveStart | Because::LeaveEnd);
    let asks = options.loses_access || options.starts || options.leave;
    let meant = (options.loses_access && next.access == Access::Suspended)
        || (options.starts && next.because == Because::StartDate)
        || (options.leave && leave);
    (at < options.within && (meant || !asks)).then(|| Coming {
        at,
        integration: person.integration(),
        who: person.who(),
        employee: person.0.spec.employee_id.clone(),
        zone: next.time_zone.clone(),
        access: format!("{:?}", next.access),
        because: format!("{:?}", next.because),
    })
}

impl Coming {
    fn there(&self) -> Zoned {
        self.at.to_zoned(TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC))
    }
}

fn page(all: &[Coming], integrations: &[NamedIntegration], now: Timestamp) -> AnswerPage {
    let day = |one: &Coming| one.there().strftime("%a %d %b %Y").to_string();
    // Days are in the order of their first date. Rows of one day follow each other.
    let mut order: Vec<String> = Vec::new();
    let mut days: BTreeMap<String, Vec<&Coming>> = BTreeMap::new();
    for one in all {
        let day = day(one);
        if !days.contains_key(&day) {
            order.push(day.clone());
        }
        days.entry(day).or_default().push(one);
    }
    let mut headings = BTreeMap::new();
    let mut rows = Vec::new();
    for day in &order {
        let ones = days.get(day).map(Vec::as_slice).unwrap_or_default();
        let said = budgets(ones, integrations);
        if !said.is_empty() {
            headings.insert(day.clone(), said);
        }
        for one in ones {
            rows.push(vec![
                day.clone().into(),
                one.there().strftime("%H:%M").to_string().into(),
                one.zone.clone().into(),
                one.at.to_string().into(),
                one.integration.clone().into(),
                one.who.clone().into(),
                one.employee.clone().into(),
                one.access.clone().into(),
                one.because.clone().into(),
            ]);
        }
    }
    let mut foot = vec![match all.len() {
        0 => "No access changes by a date in this time.".to_owned(),
        1 => "1 change by a date".to_owned(),
        several => format!("{several} changes by a date"),
    }];
    let overdue = all.iter().filter(|one| one.at <= now).count();
    if overdue > 0 {
        foot.push(format!("{overdue} of them are due already and not carried out yet."));
    }
    foot.extend(
        integrations
            .iter()
            .filter(|(_, object)| object.spec.suspend)
            .map(|(name, _)| format!("{name} is suspended: no date has an effect.")),
    );
    foot.extend(integrations.iter().filter_map(|(name, object)| {
        let status = object.status.as_ref()?;
        let zones = conditions::find(&status.conditions, conditions::Type::TimeZonesComplete)?;
        (zones.status == "False").then(|| format!("{name}: {}", zones.message))
    }));
    AnswerPage {
        name: "upcoming",
        columns: vec![
            "day",
            "time",
            "zone",
            "utc",
            "integration",
            "who",
            "employeeId",
            "access",
            "because",
        ],
        rows,
        grouped: true,
        headings,
        foot,
        next: all.first().map(|one| format!("bobsync explain {}", one.who)).into_iter().collect(),
        ..AnswerPage::default()
    }
}

/// Says how many suspensions there are in each integration, and how many its budget allows.
fn budgets(ones: &[&Coming], integrations: &[NamedIntegration]) -> String {
    let said = integrations.iter().filter_map(|(name, object)| {
        let count =
            ones.iter().filter(|one| one.integration == *name && one.access == "Suspended").count();
        let limit = object
            .status
            .as_ref()?
            .budgets
            .as_ref()?
            .disables
            .as_ref()
            .map(|budget| budget.limit)?;
        (count > 0)
            .then(|| format!("{name}: suspensions {count}, the budget of a window allows {limit}"))
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Returns an iCalendar file (RFC 5545).
fn calendar(all: &[Coming], now: Timestamp) -> String {
    let utc = |time: Timestamp| time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut text = String::new();
    let mut put = |line: String| text.push_str(&folded(&line));
    put("BEGIN:VCALENDAR".to_owned());
    put("VERSION:2.0".to_owned());
    put("PRODID:-//bobsync//upcoming//EN".to_owned());
    for one in all {
        put("BEGIN:VEVENT".to_owned());
        let place = one.integration.replace('/', ".");
        put(format!("UID:{}.{}.{}@bobsync", one.employee, one.at.as_second(), in_calendar(&place)));
        put(format!("DTSTAMP:{}", utc(now)));
        put(format!("DTSTART:{}", utc(one.at)));
        put(format!("SUMMARY:{}: {}", in_calendar(&one.who), one.access));
        put(format!(
            "DESCRIPTION:{} {} ({}\\, {})",
            in_calendar(&one.integration),
            one.because,
            one.there().strftime("%Y-%m-%d %H:%M"),
            in_calendar(&one.zone)
        ));
        put("END:VEVENT".to_owned());
    }
    put("END:VCALENDAR".to_owned());
    text
}

fn in_calendar(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '\\' | ';' | ',') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

/// Breaks a line so that no part is too long. A part that goes on begins with a blank.
fn folded(line: &str) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for c in line.chars() {
        if used + c.len_utf8() > CALENDAR_LINE {
            text.push_str("\r\n ");
            used = 1;
        }
        let _ = write!(text, "{c}");
        used += c.len_utf8();
    }
    text.push_str("\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(at: &str, who: &str, zone: &str) -> Coming {
        Coming {
            at: at.parse().expect("a time"),
            integration: "people/onelogin".to_owned(),
            who: who.to_owned(),
            employee: "7".to_owned(),
            zone: zone.to_owned(),
            access: "Suspended".to_owned(),
            because: "LastDayOfWork".to_owned(),
        }
    }

    #[test]
    fn days_are_those_of_the_employee_and_follow_each_other() {
        let all = [
            one("2026-12-08T11:00:00Z", "a", "Pacific/Auckland"),
            one("2026-12-08T23:00:00Z", "b", "Europe/Berlin"),
            one("2026-12-09T08:00:00Z", "c", "America/Los_Angeles"),
        ];
        let now = "2026-12-08T12:00:00Z".parse().expect("a time");
        let page = page(&all, &[], now);
        let days: Vec<_> = page.rows.iter().map(|row| row[..2].to_vec()).collect();
        let midnight = |_: usize| vec!["Wed 09 Dec 2026".into(), "00:00".into()];
        assert_eq!(days, (0..3).map(midnight).collect::<Vec<_>>());
        assert!(page.foot[1].starts_with("1 of them are due"), "{:?}", page.foot);
    }

    #[test]
    fn a_calendar_has_one_event_for_each_date_and_no_line_is_too_long() {
        let who = format!("{};\r\nBEGIN:VALARM,x@example.com", "สมชาย".repeat(9));
        let text = calendar(
            &[one("2026-12-08T11:00:00Z", &who, "Asia/Bangkok")],
            "2026-12-01T00:00:00Z".parse().expect("a time"),
        );
        assert_eq!(text.matches("BEGIN:VEVENT\r\n").count(), 1);
        assert!(text.contains("DTSTART:20261208T110000Z\r\n"), "{text}");
        assert!(!text.contains("\nBEGIN:VALARM"), "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= CALENDAR_LINE), "{text}");
        let whole = text.replace("\r\n ", "");
        assert!(whole.contains("\\;BEGIN:VALARM\\,x@example.com: Suspended"), "{whole}");
    }
}
