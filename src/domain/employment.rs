//! The employment that Bob's dates and statuses show: its part at a moment, and its end. It says
//! nothing about access.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    calendar::{end_of, start_of},
    employee::{Day, Employee, Lifecycle, SITE},
    settings::{AccessEnds, Settings},
};

/// The date that decides a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// `work.startDate`
    StartDate,
    /// `employee.lastDayOfWork`
    LastDayOfWork,
    /// `internal.terminationDate`
    TerminationDate,
    /// `employee.recentLeaveStartDate`
    LeaveStart,
    /// `employee.recentLeaveEndDate`
    LeaveEnd,
}

/// Which part of an employment a moment is in, no matter whether the settings give access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It has not begun.
    Ahead,
    /// It goes on, also during leaves.
    Employed,
    /// It is over, because of a status, a date, or the deletion of the file.
    Ended,
}

/// Returns which part of an employment `now` is in.
#[must_use]
pub fn phase(settings: &Settings, employee: &Employee, now: Timestamp) -> Phase {
    let dates = Dates::of(settings, employee);
    if employee.deleted
        || employee.lifecycle == Lifecycle::Terminated
        || dates.end.is_some_and(|end| end.at <= now)
    {
        Phase::Ended
    } else if dates.start.map_or(employee.lifecycle == Lifecycle::Hired, |(at, _)| at > now) {
        Phase::Ahead
    } else {
        Phase::Employed
    }
}

/// The instants that the dates of an employment mean at the employee's site.
pub(super) struct Dates<'a> {
    pub(super) start: Option<(Timestamp, Date)>,
    pub(super) end: Option<End>,
    pub(super) zone: &'a TimeZone,
}

/// The end that the dates of an employment announce.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) date: Date,
    pub(super) because: Because,
}

impl<'a> Dates<'a> {
    /// Reads the dates of the current employment.
    pub(super) fn of(settings: &'a Settings, employee: &Employee) -> Self {
        let zone = settings.zones.of(employee.values.get(SITE).text());
        let end = last_day(employee).map(|(date, because)| End {
            at: match settings.access_ends {
                AccessEnds::EndOfDay => end_of(date, zone),
                AccessEnds::StartOfDay => start_of(date, zone),
            },
            date,
            because,
        });
        Self { start: employee.start.date().map(|date| (start_of(date, zone), date)), end, zone }
    }
}

/// Returns the earlier one of last day of work and termination date, within the current employment.
fn last_day(employee: &Employee) -> Option<(Date, Because)> {
    let last = current(employee, employee.last_day).map(|date| (date, Because::LastDayOfWork));
    let termination =
        current(employee, employee.termination).map(|date| (date, Because::TerminationDate));
    match (last, termination) {
        (Some(last), Some(termination)) => {
            Some(if termination.0 < last.0 { termination } else { last })
        }
        (last, termination) => last.or(termination),
    }
}

/// Returns `day` if it is in the current employment. A date before the start date is left over from
/// an earlier one. If the start date is hidden, the two cannot be told apart.
pub(super) fn current(employee: &Employee, day: Day) -> Option<Date> {
    day.date().filter(|date| match employee.start {
        Day::On(start) => *date >= start,
        Day::None => true,
        Day::Unknown => false,
    })
}
