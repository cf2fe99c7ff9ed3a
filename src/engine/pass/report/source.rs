//! What the status says of Bob: whether Bob shows all employees, and whether every site has its
//! time zone.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Report, kept};
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, ConditionUpdate, merge},
        integration::Lifecycles,
        reasons::DetailReason,
    },
    domain::{calendar::Gaps, missing::StatusMemory},
};

/// If Bob shows at least this number of employees, some of them should be Hired or Terminated. An
/// answer without any suggests that the service user may not read these lifecycle statuses.
const SOME_SIZE: u32 = 50;
/// How many lifecycle statuses are written down at most. Bob has five, and companies add kinds of
/// leave.
const MOST_STATUSES: usize = 100;
/// How many sites a message names at most.
const MOST_SITES: usize = 10;

/// Returns what the status keeps of lifecycle statuses, in the form that decisions read.
#[must_use]
pub fn memory(kept: &Lifecycles) -> StatusMemory {
    StatusMemory {
        words: kept.shown.iter().map(String::as_str).collect(),
        incomplete: kept.incomplete,
        beyond_work: kept.hired_or_terminated,
        leavers: kept.terminated,
    }
}

/// Returns the same memory in the form of the status.
#[must_use]
pub fn lifecycles(memory: &StatusMemory) -> Lifecycles {
    let mut shown: Vec<String> = memory
        .words
        .texts()
        .filter(|text| text.chars().count() <= 100)
        .map(str::to_owned)
        .collect();
    // A status that is not written down is not known, and nothing rests on it.
    let incomplete = memory.incomplete
        || shown.len() < memory.words.texts().count()
        || shown.len() > MOST_STATUSES;
    shown.truncate(MOST_STATUSES);
    Lifecycles {
        shown,
        incomplete,
        hired_or_terminated: memory.beyond_work,
        terminated: memory.leavers,
    }
}

/// Returns the condition `BobConnected` after an answer of Bob.
pub(super) fn bob_connected(report: &Report) -> ConditionUpdate {
    let mut message = "The last call succeeded.".to_owned();
    let only_at_work = report.bob.absent.memory.as_ref().is_some_and(|memory| !memory.beyond_work);
    let in_bob = report.bob.in_bob.unwrap_or(0);
    let reason = if only_at_work && in_bob >= SOME_SIZE {
        message = format!(
            "Bob shows {in_bob} employees, and has never shown one who is Hired or Terminated: the \
             access rights of the service user's permission group probably leave out these \
             lifecycle statuses, so leavers would not be seen. Let it see every lifecycle status."
        );
        DetailReason::LifecyclesMissing
    } else if report.bob.absent.hides_leavers {
        message = String::from(
            "Bob has shown employees who are Terminated, and shows none now: the access rights of \
             the service user's permission group have probably lost this lifecycle status, so \
             employees who leave now are not seen. Let it see every lifecycle status.",
        );
        DetailReason::LifecyclesMissing
    } else {
        DetailReason::Connected
    };
    let forbidden = report.bob.absent.forbidden;
    if forbidden > 0 {
        let employees = if forbidden == 1 { "employee" } else { "employees" };
        let _ = write!(
            message,
            " Bob forbids the read of {forbidden} {employees} that it showed before; bobsync does \
             not act on that."
        );
    }
    ConditionUpdate {
        kind: conditions::Type::BobConnected,
        status: true,
        reason: reason.as_str(),
        message,
    }
}

/// Returns the condition that says whether every site of an employee is in `siteTimeZones`, and
/// whether every entry there is the site of an employee.
pub(super) fn time_zones_complete(
    report: &Report,
    before: &ProvisioningIntegrationStatus,
) -> Option<ConditionUpdate> {
    let kind = conditions::Type::TimeZonesComplete;
    let Some(gaps) = &report.bob.zones else { return kept(kind, before) };
    Some(if gaps.is_none() {
        let message = "Every site of an employee has its time zone.".to_owned();
        ConditionUpdate {
            kind,
            status: true,
            reason: DetailReason::SitesHaveZones.as_str(),
            message,
        }
    } else {
        ConditionUpdate {
            kind,
            status: false,
            reason: DetailReason::SiteWithoutZone.as_str(),
            message: told(gaps),
        }
    })
}

/// Returns the status after a partial pass. It changes what a full pass would also say about Bob.
#[must_use]
pub fn after_some(
    before: &ProvisioningIntegrationStatus,
    report: &Report,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let is = |kind: conditions::Type, reason: DetailReason| {
        conditions::find(&before.conditions, kind)
            .is_some_and(|known| known.reason == reason.as_str())
    };
    let hidden = report
        .bob
        .unseen_now
        .as_ref()
        .filter(|_| is(conditions::Type::MappingComplete, DetailReason::SourceUnavailable));
    let mapping = hidden.map(|unseen| super::mapped(&[], unseen));
    let zones = report.bob.zones.as_ref().and_then(|_| time_zones_complete(report, before));
    let mut status = before.clone();
    for condition in &mut status.conditions {
        let wanted = mapping.iter().chain(&zones).find(|wanted| wanted.kind == condition.type_);
        let generation = condition.observed_generation.unwrap_or(0);
        let fresh = wanted.and_then(|wanted| {
            merge(&before.conditions, std::slice::from_ref(wanted), generation, now).pop()
        });
        fresh.into_iter().for_each(|fresh| *condition = fresh);
    }
    status
}

fn told(gaps: &Gaps) -> String {
    let few = |names: Vec<String>| {
        let more = names.len().saturating_sub(MOST_SITES);
        let shown = names.into_iter().take(MOST_SITES).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let mut sentences = Vec::new();
    if !gaps.unlisted.is_empty() {
        let employees: u32 = gaps.unlisted.iter().map(|(_, count)| count).sum();
        let mut sites = gaps.unlisted.clone();
        sites.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let one = sites.len() == 1;
        sentences.push(format!(
            "{} in Bob {} not in spec.bob.siteTimeZones, so dates of {employees} {} count in {}: \
             {}. List every site there as Bob writes it.",
            if one { "1 site".to_owned() } else { format!("{} sites", sites.len()) },
            if one { "is" } else { "are" },
            if employees == 1 { "employee" } else { "employees" },
            gaps.zone,
            few(sites.into_iter().map(|(site, count)| format!("{site} ({count})")).collect()),
        ));
    }
    if !gaps.unused.is_empty() {
        let named = gaps.unused.iter().map(|(site, meant)| match meant {
            Some(meant) => format!("{site} (did you mean {meant}?)"),
            None => site.to_string(),
        });
        sentences.push(format!(
            "The list spec.bob.siteTimeZones has sites that no employee has: {}. Correct or remove \
             them.",
            few(named.collect())
        ));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pass::report::{BobFound, ProviderFound};

    #[test]
    fn gaps_are_told_with_sites_numbers_and_what_may_be_meant() {
        let gaps = Gaps {
            unlisted: vec![("Berlin".into(), 2), ("Tokyo".into(), 5)],
            unused: vec![("Berln".into(), Some("Berlin".into())), ("Lagos".into(), None)],
            zone: "Europe/London".into(),
        };
        assert_eq!(
            told(&gaps),
            "2 sites in Bob are not in spec.bob.siteTimeZones, so dates of 7 employees count in \
             Europe/London: Tokyo (5), Berlin (2). List every site there as Bob writes it. The \
             list spec.bob.siteTimeZones has sites that no employee has: Berln (did you mean \
             Berlin?), Lagos. Correct or remove them."
        );
        let many = (0..12).map(|site| (format!("Site {site}").into(), 1)).collect();
        let message = told(&Gaps { unlisted: many, unused: Vec::new(), zone: "UTC".into() });
        assert!(message.contains(" and 2 more. List every site"), "{message}");
    }

    #[test]
    fn a_company_that_is_never_seen_to_hire_or_leave_is_told() {
        let report = |in_bob, beyond_work| Report {
            bob: BobFound {
                in_bob: Some(in_bob),
                absent: crate::engine::pass::report::Absent {
                    memory: Some(StatusMemory { beyond_work, ..StatusMemory::default() }),
                    ..Default::default()
                },
                ..BobFound::default()
            },
            ..Report::default()
        };
        assert_eq!(bob_connected(&report(200, false)).reason, "LifecyclesMissing");
        assert_eq!(bob_connected(&report(200, true)).reason, "Connected");
        assert_eq!(bob_connected(&report(49, false)).reason, "Connected");
        let mut hides_leavers = report(12, true);
        hides_leavers.bob.absent.hides_leavers = true;
        let told = bob_connected(&hides_leavers);
        assert!(
            told.status
                && told.reason == "LifecyclesMissing"
                && told.message.contains("Terminated"),
            "{}",
            told.message
        );
    }

    #[test]
    fn a_pass_over_single_people_says_what_it_showed_of_the_company() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let gaps = |unlisted: &[(&str, u32)]| Gaps {
            unlisted: unlisted.iter().map(|(site, count)| (Box::from(*site), *count)).collect(),
            unused: Vec::new(),
            zone: "UTC".into(),
        };
        let said = |unavailable: &[&str], unseen: &[&str]| {
            let owned =
                |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            let report = Report {
                tally: Some(crate::engine::pass::record::Tally::default()),
                provider: ProviderFound {
                    unavailable_targets: owned(unavailable),
                    ..ProviderFound::default()
                },
                bob: BobFound {
                    unseen_fields: owned(unseen),
                    zones: Some(gaps(&[])),
                    ..BobFound::default()
                },
                ..Report::default()
            };
            crate::engine::pass::report::after(
                &ProvisioningIntegrationStatus::default(),
                &report,
                &std::collections::BTreeMap::new(),
                3,
                at(100),
            )
        };
        let words = |status: &ProvisioningIntegrationStatus, kind| {
            let found = conditions::find(&status.conditions, kind).expect("the condition");
            (
                found.reason.clone(),
                found.message.clone(),
                found.observed_generation,
                found.last_transition_time.0,
            )
        };
        let moved = |unseen: Option<&[&str]>| Report {
            bob: BobFound {
                zones: Some(gaps(&[("Tokyo", 1)])),
                unseen_now: unseen.map(|list| list.iter().map(|&text| text.to_owned()).collect()),
                ..BobFound::default()
            },
            ..Report::default()
        };
        let before = said(&[], &["work.title", "work.phone"]);
        let after = after_some(&before, &moved(Some(&["work.phone"])), at(200));
        let zones = words(&after, "TimeZonesComplete");
        assert!(
            zones.0 == "SiteWithoutZone"
                && zones.1.contains("Tokyo (1)")
                && (zones.2, zones.3) == (Some(3), at(200)),
            "{zones:?}"
        );
        let mapping = words(&after, "MappingComplete");
        assert!(
            mapping.0 == "SourceUnavailable"
                && mapping.1.starts_with("Bob sends work.phone for no employee")
                && mapping.3 == at(100)
        );
        let all = after_some(&before, &moved(Some(&[])), at(200));
        assert_eq!(words(&all, "MappingComplete").0, "Complete");
        assert_eq!(words(&all, "Ready"), words(&before, "Ready"));
        let unavailable = said(&["custom_attributes.desk"], &["work.title"]);
        assert_eq!(
            words(&after_some(&unavailable, &moved(Some(&[])), at(200)), "MappingComplete").0,
            "TargetUnavailable"
        );
        assert_eq!(after_some(&before, &Report::default(), at(200)), before);
    }

    #[test]
    fn what_is_kept_is_what_is_read() {
        let memory = StatusMemory {
            words: ["Employed", "Parental leave"].into_iter().collect(),
            incomplete: true,
            beyond_work: true,
            leavers: true,
        };
        assert_eq!(crate::engine::pass::report::source::memory(&lifecycles(&memory)), memory);
        let long = StatusMemory {
            words: ["Employed", &"x".repeat(101)].into_iter().collect(),
            ..StatusMemory::default()
        };
        assert!(lifecycles(&long).incomplete);
    }
}
