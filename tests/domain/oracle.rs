//! The access that an employee may have: the contract's sentences, one after the other, without
//! regard to speed or elegance. This file does not call the code that it judges; it shares only the
//! vocabulary (`Access`, `Missing`, `Why`, `Because`).

use std::{cell::RefCell, collections::HashMap};

use bobsync::domain::{
    access::Missing,
    account::Access,
    employment::Because,
    settings::{AccessEnds, Create, UserStatus},
    why::Why,
};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

/// One cell of Bob's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Left out: the service user may not see it.
    Hidden,
    /// null.
    Empty,
    /// Text.
    Text(String),
}

impl Shown {
    /// Returns text as Bob would send it.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn word(&self) -> Option<String> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        }
    }

    fn date(&self) -> Option<Date> {
        self.word().and_then(|text| text.strip_suffix("T00:00:00").unwrap_or(&text).parse().ok())
    }
}

/// What Bob says about one employee, as far as access depends on it.
#[derive(Clone, Debug)]
pub struct Facts {
    pub email: Shown,
    pub lifecycle: Shown,
    pub status: Shown,
    pub start: Shown,
    pub termination: Shown,
    pub last_day: Shown,
    pub site: Shown,
    pub leave_start: Shown,
    pub leave_end: Shown,
    /// Bob reported that access is revoked at once, and the start date at that time.
    pub revoked: Option<Shown>,
    /// The result of an earlier pass for this employee.
    pub before: Before,
    /// The file is confirmed to be gone; only the id is left.
    pub deleted: bool,
}

/// The result of an earlier pass for an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was no earlier pass.
    Nothing,
    /// The settings left the employee alone.
    LeftAlone,
    /// The settings managed the employee.
    Managed,
}

/// The settings of the integration.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub create: Create,
    pub user_status: UserStatus,
    pub domains: Vec<String>,
    pub trigger: bool,
    pub ends: AccessEnds,
    pub default_zone: &'static str,
    pub sites: Vec<(&'static str, &'static str)>,
    pub hands_off: bool,
}

/// The oracle's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub managed: bool,
    pub existing: Option<Access>,
    pub missing: Missing,
    pub why: Why,
}

/// Returns the first instant of this date in this zone. It walks through time in quarters of an
/// hour: the offsets of all zones in these tests, and their changes, are multiples of that. It
/// walks once for each day and zone.
pub fn midnight(date: Date, zone: &str) -> Timestamp {
    thread_local! {
        static WALKED: RefCell<HashMap<(Date, String), Timestamp>> = RefCell::default();
    }
    let key = (date, zone.to_owned());
    if let Some(at) = WALKED.with_borrow(|walked| walked.get(&key).copied()) {
        return at;
    }
    let zone = TimeZone::get(zone).expect("a zone of the bundled database");
    let mut at =
        date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).expect("within the calendar").timestamp()
            - 36.hours();
    while zone.to_datetime(at).date() < date {
        at += 15.minutes();
    }
    WALKED.with_borrow_mut(|walked| walked.insert(key, at));
    at
}

/// "In the site's zone", "for sites not listed" the integration's.
pub fn zone_of(wishes: &Wishes, facts: &Facts) -> &'static str {
    let site = facts.site.word();
    wishes
        .sites
        .iter()
        .find(|(name, _)| Some((*name).to_owned()) == site)
        .map_or(wishes.default_zone, |(_, zone)| zone)
}

/// Returns the instant of the start date, if Bob shows one.
pub fn starts(wishes: &Wishes, facts: &Facts) -> Option<Timestamp> {
    facts.start.date().map(|date| midnight(date, zone_of(wishes, facts)))
}

/// "Access ends at the end (default) of the earliest of last day of work and termination date";
/// "dates before the current start date belong to an earlier employment"; only with the disabling
/// trigger.
pub fn ends(wishes: &Wishes, facts: &Facts) -> Option<(Timestamp, Because)> {
    if !wishes.trigger {
        return None;
    }
    let mut dates = Vec::new();
    if let Some(date) = facts.last_day.date() {
        dates.push((date, Because::LastDayOfWork));
    }
    if let Some(date) = facts.termination.date() {
        dates.push((date, Because::TerminationDate));
    }
    if untold(&facts.start) {
        // No date can be separated from one of an earlier employment.
        return None;
    }
    if let Some(start) = facts.start.date() {
        dates.retain(|(date, _)| *date >= start);
    }
    let (date, because) = dates.into_iter().min_by_key(|(date, _)| *date)?;
    let first_without = match wishes.ends {
        AccessEnds::StartOfDay => date,
        AccessEnds::EndOfDay => date + 1.day(),
    };
    Some((midnight(first_without, zone_of(wishes, facts)), because))
}

/// Returns whether Bob shows a last day of work of the current employment.
fn last_day_is_dated(facts: &Facts) -> bool {
    !untold(&facts.start)
        && facts
            .last_day
            .date()
            .is_some_and(|day| facts.start.date().is_none_or(|start| day >= start))
}

/// "Blank means all". Upper and lower case are the same, and so are the two ways to write an
/// international domain.
fn listed(wishes: &Wishes, facts: &Facts) -> bool {
    if wishes.domains.is_empty() {
        return true;
    }
    let Some(email) = facts.email.word() else { return false };
    let Some(at) = email.rfind('@') else { return false };
    let domain = email[at + 1..].to_lowercase().replace("münchen", "xn--mnchen-3ya");
    wishes.domains.contains(&domain)
}

/// Returns whether Bob shows nothing of this date: hidden, or not a date. Empty is an answer.
fn untold(shown: &Shown) -> bool {
    shown.word().is_some() && shown.date().is_none() || *shown == Shown::Hidden
}

/// Returns the access that an employee may have at this moment. "Absence is not evidence": if a
/// deciding date is not shown, access is neither given nor taken on a guess. A status or a deletion
/// still takes access.
pub fn answer(wishes: &Wishes, facts: &Facts, now: Timestamp) -> Answer {
    let shown = answer_as_shown(wishes, facts, now);
    let ended = matches!(
        shown.why,
        Why::FileDeleted
            | Why::AccessRevoked
            | Why::Terminated
            | Why::LastDayOfWork
            | Why::TerminationDate
    );
    if !shown.managed || ended {
        return shown;
    }
    let nothing =
        Answer { managed: true, existing: None, missing: Missing::Never, why: Why::DatesHidden };
    let by_status = matches!(shown.why, Why::InactiveInBob | Why::LeaveWithoutAccess);
    if untold(&facts.start) {
        return if by_status || shown.existing.is_none() { shown } else { nothing };
    }
    let gives =
        shown.existing == Some(Access::Active) || shown.missing == Missing::Create(Access::Active);
    if wishes.trigger && (untold(&facts.last_day) || untold(&facts.termination)) && gives {
        nothing
    } else {
        shown
    }
}

/// Returns what has ended the employment, if anything has: "at once when Bob's lifecycle status
/// says Terminated, when Bob reports an immediate revocation, or when the deletion of the employee
/// file is confirmed", or one of the dates.
fn over(wishes: &Wishes, facts: &Facts, now: Timestamp) -> Option<Why> {
    if !wishes.trigger {
        return None;
    }
    if facts.deleted {
        return Some(Why::FileDeleted);
    }
    if let Some(then) = &facts.revoked
        && !matches!((then.date(), facts.start.date()), (Some(then), Some(now)) if now > then)
    {
        return Some(Why::AccessRevoked);
    }
    if facts.lifecycle.word().is_some_and(|word| word.to_lowercase() == "terminated") {
        return Some(Why::Terminated);
    }
    let (_, because) = ends(wishes, facts).filter(|(at, _)| now >= *at)?;
    Some(if because == Because::TerminationDate {
        Why::TerminationDate
    } else {
        Why::LastDayOfWork
    })
}

/// Returns the same, from Bob's data alone.
fn answer_as_shown(wishes: &Wishes, facts: &Facts, now: Timestamp) -> Answer {
    let unmanaged = |why| Answer { managed: false, existing: None, missing: Missing::Never, why };
    let suspended_for_good = |why| Answer {
        managed: true,
        existing: Some(Access::Suspended),
        missing: Missing::Never,
        why,
    };

    // "spec.suspend: true: hands off this account."
    if wishes.hands_off {
        return unmanaged(Why::HandsOff);
    }
    // "An end takes access, whatever the settings say now": also from an employee that the settings
    // leave out.
    let end = over(wishes, facts, now);
    let unmanaged = |why| match end {
        Some(ended_by) => Answer { existing: Some(Access::Suspended), ..unmanaged(ended_by) },
        None => unmanaged(why),
    };
    // Only the id is left. An employee who was left alone before loses access, and nothing else.
    if facts.deleted && facts.before == Before::LeftAlone {
        return unmanaged(Why::LeftAloneBefore);
    }
    if facts.deleted {
        let ended = suspended_for_good(Why::FileDeleted);
        return if wishes.trigger { ended } else { Answer { existing: None, ..ended } };
    }
    // "Only employees with a work e-mail in a listed domain." A hidden e-mail decides nothing: a
    // managed employee stays managed, and no other becomes managed.
    let managed = facts.before == Before::Managed;
    let hidden = !wishes.domains.is_empty()
        && (facts.email == Shown::Hidden || (managed && facts.email.word().is_none()));
    if hidden && !managed {
        return unmanaged(Why::ScopeUnknown);
    }
    if !hidden && !listed(wishes, facts) {
        return unmanaged(Why::DomainNotListed);
    }

    let word = facts.lifecycle.word().map(|word| word.to_lowercase());
    let lifecycle = match word.as_deref() {
        None => "unknown",
        Some("hired") => "hired",
        Some("employed") => "employed",
        Some("terminated") => "left",
        Some("garden leave") => "garden leave",
        // "Companies can add custom leave types."
        Some(_) => "leave",
    };
    let status = facts.status.word().map(|word| word.to_lowercase());
    let active_in_bob = status.as_deref() == Some("active");
    let inactive_in_bob = status.as_deref() == Some("inactive");

    // "An immediate revocation holds ... until ... a later start date."
    if let Some(then) = &facts.revoked
        && wishes.trigger
        && !matches!((then.date(), facts.start.date()), (Some(then), Some(now)) if now > then)
    {
        return suspended_for_good(Why::AccessRevoked);
    }
    // "At once when Bob's lifecycle status says Terminated."
    if wishes.trigger && lifecycle == "left" {
        return suspended_for_good(Why::Terminated);
    }
    let end = ends(wishes, facts);
    if let Some((at, because)) = end
        && now >= at
    {
        return suspended_for_good(if because == Because::TerminationDate {
            Why::TerminationDate
        } else {
            Why::LastDayOfWork
        });
    }

    // "The start date decides, whether or not Bob has already turned Hired into Employed." Without
    // a date, Hired means that the employee has not started. An employee who left, with dates that
    // take no access, starts nothing.
    let start = starts(wishes, facts);
    let before_start =
        lifecycle != "left" && start.map_or(lifecycle == "hired", |start| now < start);
    if before_start {
        let why = if start.is_some() { Why::BeforeStart } else { Why::NoStartDate };
        let (existing, created_with) = match wishes.user_status {
            // "Future starter: suspended until the start date."
            UserStatus::AccordingToBob => (Some(Access::Suspended), Access::Suspended),
            // "Always active: created active."
            UserStatus::AlwaysActive => (Some(Access::Active), Access::Active),
            // "Created inactive; a person may activate it later and bobsync leaves that alone."
            UserStatus::AlwaysInactive => (None, Access::Suspended),
        };
        let missing = if wishes.create == Create::OnCreation {
            Missing::Create(created_with)
        } else {
            Missing::NotYet
        };
        return Answer { managed: true, existing, missing, why };
    }

    // Started. "Left: not created."
    let created =
        |access| if lifecycle == "left" { Missing::Never } else { Missing::Create(access) };
    let is = |existing, missing, why| Answer { managed: true, existing, missing, why };
    match wishes.user_status {
        // "Always active never suspends for a leave", and does not bring a leaver back either.
        UserStatus::AlwaysActive if lifecycle == "left" => {
            is(None, Missing::Never, Why::AlwaysActive)
        }
        UserStatus::AlwaysActive => {
            is(Some(Access::Active), created(Access::Active), Why::AlwaysActive)
        }
        // "Always inactive speaks of the creation only."
        UserStatus::AlwaysInactive => is(None, created(Access::Suspended), Why::AlwaysInactive),
        UserStatus::AccordingToBob => {
            let active = |why| is(Some(Access::Active), created(Access::Active), why);
            let on_leave = lifecycle == "leave" || lifecycle == "garden leave";
            if lifecycle == "hired" {
                // Bob has not changed the status yet, and the start date decides.
                active(Why::AtWork)
            } else if lifecycle == "garden leave" && end.is_some() && last_day_is_dated(facts) {
                // The last day of work is known and has not come: "access ends at the end of" that
                // day, not before it.
                active(Why::AtWork)
            } else if inactive_in_bob && on_leave {
                // "On leave after the start date: created suspended."
                is(Some(Access::Suspended), created(Access::Suspended), Why::LeaveWithoutAccess)
            } else if inactive_in_bob {
                is(Some(Access::Suspended), created(Access::Suspended), Why::InactiveInBob)
            } else if active_in_bob && on_leave {
                active(Why::LeaveWithAccess)
            } else if lifecycle == "employed" || (active_in_bob && lifecycle == "unknown") {
                active(Why::AtWork)
            } else {
                // Nothing positive in either direction: "absence is not evidence".
                is(None, Missing::Never, Why::NoEvidence)
            }
        }
    }
}

/// Returns the next moment at which time alone changes the answer. It asks again at every date that
/// could matter.
pub fn next(
    wishes: &Wishes,
    facts: &Facts,
    now: Timestamp,
) -> Option<(Timestamp, Access, Because)> {
    let current = answer(wishes, facts, now);
    if facts.deleted {
        return None;
    }
    // A revocation without an end has nothing after it.
    if current.why == Why::AccessRevoked {
        return None;
    }
    let mut moments: Vec<(Timestamp, Because)> = ends(wishes, facts).into_iter().collect();
    moments.extend(starts(wishes, facts).map(|at| (at, Because::StartDate)));
    moments.retain(|(at, _)| *at > now);
    // If the start and the end are one moment, it is the end.
    moments.sort_by_key(|(at, because)| (*at, *because == Because::StartDate));
    // A leave: its dates say when to look, Bob's status says what changes. It ends with the
    // employment.
    let zone = zone_of(wishes, facts);
    let leave = match current.why {
        _ if wishes.user_status != UserStatus::AccordingToBob => None,
        Why::AtWork => facts
            .leave_start
            .date()
            .map(|date| (midnight(date, zone), Access::Suspended, Because::LeaveStart)),
        Why::LeaveWithoutAccess => facts
            .leave_end
            .date()
            .map(|date| (midnight(date + 1.day(), zone), Access::Active, Because::LeaveEnd)),
        _ => None,
    };
    if let Some((at, access, because)) = leave.filter(|(at, _, _)| *at > now)
        && ends(wishes, facts).is_none_or(|(end, _)| at < end)
    {
        return Some((at, access, because));
    }
    for (at, because) in moments {
        let then = answer(wishes, facts, at);
        let access = then.existing.or(match then.missing {
            Missing::Create(access) => Some(access),
            Missing::NotYet | Missing::Never => None,
        });
        if let Some(access) = access
            && (then.existing, then.missing) != (current.existing, current.missing)
        {
            return Some((at, access, because));
        }
    }
    None
}
