//! An older version of an object changes nothing, and an object that is missing from a list may be
//! newer than the list.

use std::collections::HashSet;

use kube::api::ObjectMeta;
use serde_json::json;

use super::{News, Roster, object_name};
use crate::{
    api::{EmployeeSync, EmployeeSyncSpec, employee_sync::IntegrationRef, key::IntegrationKey},
    domain::{employee::Cell, missing::Word},
};

const EMPLOYEE: &str = "7";

fn key() -> IntegrationKey {
    IntegrationKey { namespace: "people".into(), name: "onelogin".into() }
}

/// Returns a roster that knows of the integration.
fn existing() -> Roster {
    let roster = Roster::default();
    roster.come(&key());
    roster
}

fn object(version: u64, suspend: bool) -> EmployeeSync {
    let integration_ref = IntegrationRef { name: "onelogin".to_owned() };
    let spec = EmployeeSyncSpec {
        integration_ref,
        employee_id: EMPLOYEE.to_owned(),
        suspend,
        ..EmployeeSyncSpec::default()
    };
    let mut object = EmployeeSync::new(&object_name("onelogin", EMPLOYEE), spec);
    object.metadata = ObjectMeta {
        namespace: Some("people".to_owned()),
        resource_version: Some(version.to_string()),
        generation: Some(1),
        ..object.metadata
    };
    object
}

fn with_status(object: EmployeeSync, status: serde_json::Value) -> EmployeeSync {
    EmployeeSync { status: Some(serde_json::from_value(status).expect("a status")), ..object }
}

/// Returns whether the object exists, and whether it asks for hands off.
fn known(roster: &Roster) -> (bool, bool) {
    let hands_off = |entry: &super::Entry| {
        entry.overrides.as_ref().is_some_and(|overrides| overrides.hands_off)
    };
    roster.of(&key()).with(EMPLOYEE, |entry| {
        entry.map_or((false, false), |entry| (entry.exists, hands_off(entry)))
    })
}

#[test]
fn an_object_that_is_newer_than_the_list_is_not_gone() {
    let roster = existing();
    assert_eq!(roster.see(&object(5, true)), News::Wake);
    assert_eq!(roster.newest(Some("people")), 5);
    assert_eq!(
        roster.keep_only(Some("people"), 4, &HashSet::new()),
        [],
        "it was made while the list was read"
    );
    assert_eq!(known(&roster), (true, true));
    roster.see(&object(5, true));
    assert_eq!(known(&roster), (true, true));
    assert_eq!(roster.keep_only(Some("elsewhere"), 9, &HashSet::new()), []);
    assert_eq!(
        roster.keep_only(Some("people"), 5, &HashSet::new()),
        [key()],
        "the list is as new, and does not have it"
    );
    assert_eq!(known(&roster), (false, false));
    roster.of(&key()).wrote(&object(5, true), 0);
    assert_eq!(known(&roster), (false, false), "an answer that was under way brings nothing back");
    roster.see(&object(6, true));
    assert_eq!(known(&roster), (true, true), "another one");
}

#[test]
fn an_older_object_that_went_takes_nothing_with_it() {
    let roster = existing();
    roster.see(&object(8, true));
    assert_eq!(roster.gone(&object(7, false)), None);
    assert_eq!(known(&roster), (true, true));
    assert_eq!(roster.gone(&object(9, true)), Some((key(), EMPLOYEE.into())));
    assert_eq!(known(&roster), (false, false));
    roster.see(&object(9, true));
    assert_eq!(known(&roster), (false, false), "what is gone is no news");
    roster.see(&object(10, true));
    assert_eq!(known(&roster), (true, true));
}

#[test]
fn the_memory_of_a_deleted_file_outlives_its_object_until_access_is_taken() {
    let deleted = json!({"kind": "FileDeleted", "observedAt": "2026-11-20T10:00:00Z"});
    let status = |access: &str| {
        json!({"access": access,
        "account": {"id": "1", "matchedBy": "Mark"}, "evidence": deleted})
    };
    for (access, stays) in [("Active", true), ("Suspended", false)] {
        let roster = existing();
        roster.see(&with_status(object(5, false), status(access)));
        roster.gone(&object(6, false));
        assert_eq!(roster.of(&key()).get(EMPLOYEE).is_some(), stays, "{access}");
    }
}

#[test]
fn an_account_that_was_only_found_is_nobodys() {
    let roster = existing();
    let condition = |reason: &str| {
        json!([{"type": "Provisioned", "status": "True",
        "reason": reason, "message": "", "lastTransitionTime": "2026-11-20T10:00:00Z"}])
    };
    let status = |reason: &str| {
        json!({"access": "Active",
        "account": {"id": "1", "matchedBy": "Email"}, "conditions": condition(reason)})
    };
    for (version, reason, ours) in
        [(1, "WouldAdopt", false), (2, "NotAdopted", false), (3, "Matched", true)]
    {
        roster.see(&with_status(object(version, false), status(reason)));
        let entry = roster.of(&key()).get(EMPLOYEE).expect("known");
        assert_eq!(
            (entry.account.is_some(), entry.has_managed_account(), entry.known_account()),
            (ours, ours, Some("1")),
            "{reason}"
        );
    }
}

#[test]
fn a_leaver_on_record_is_one_until_bob_shows_another_status() {
    let message = |text: &str| {
        json!([{"type": "AccessSynced", "status": "False",
        "reason": "NotAsDecided", "message": text, "lastTransitionTime": "2026-11-20T10:00:00Z"}])
    };
    let status = |text: &str| {
        json!({"access": "Active",
        "account": {"id": "1", "matchedBy": "Mark"}, "conditions": message(text)})
    };
    let now = "2026-11-24T10:00:00Z".parse().expect("a time");
    let has_left = |roster: &Roster| {
        roster.of(&key()).with(EMPLOYEE, |entry| entry.is_some_and(|entry| entry.has_left(now)))
    };
    let terminated =
        "Not as decided yet: Bob's lifecycle status (internal.lifecycleStatus) is Terminated.";
    let roster = existing();
    roster.see(&with_status(object(1, false), status(terminated)));
    assert!(has_left(&roster), "as a process that has just begun reads it");
    assert_eq!(
        roster.of(&key()).get(EMPLOYEE).map(|entry| entry.lifecycle),
        Some(Word::terminated())
    );
    roster.of(&key()).shown([(EMPLOYEE, Word::of(Cell::Text("Employed")))].into_iter());
    assert!(!has_left(&roster), "Bob has shown another status since");
    roster.see(&with_status(
        object(2, false),
        status("The last day of work (employee.lastDayOfWork) has come: 2026-11-20."),
    ));
    assert!(has_left(&roster));
    roster.see(&with_status(object(3, false), status("At work.")));
    assert!(!has_left(&roster));
    let mut ahead = status("At work.");
    for (version, at, because, left) in [
        (4, "2026-11-24T00:00:00Z", "LastDayOfWork", true),
        (5, "2026-11-25T00:00:00Z", "TerminationDate", false),
        (6, "2026-11-24T00:00:00Z", "LeaveStart", false),
    ] {
        ahead["nextTransition"] =
            json!({"at": at, "timeZone": "UTC", "access": "Suspended", "because": because});
        roster.see(&with_status(object(version, false), ahead.clone()));
        assert_eq!(has_left(&roster), left, "{because} {at}");
    }
}

fn is_open(roster: &Roster) -> bool {
    roster
        .of(&key())
        .with(EMPLOYEE, |entry| entry.is_some_and(super::Entry::is_open_against_evidence))
}

#[test]
fn an_object_that_has_evidence_alone_says_nothing_of_the_account() {
    let account = json!({"id": "31", "matchedBy": "Created"});
    let evidence = json!({"kind": "AccessRevoked", "observedAt": "2026-01-01T00:00:00Z"});
    let roster = existing();
    let at_work = with_status(object(5, false), json!({"access": "Active", "account": account}));
    roster.see(&at_work);
    roster.gone(&EmployeeSync {
        metadata: ObjectMeta { resource_version: Some("6".to_owned()), ..at_work.metadata.clone() },
        ..at_work
    });
    roster.of(&key()).wrote(&with_status(object(7, false), json!({ "evidence": evidence })), 0);
    assert!(is_open(&roster), "the account is there, whatever became of the object");
    let unknown = existing();
    unknown.of(&key()).wrote(&with_status(object(7, false), json!({ "evidence": evidence })), 0);
    assert!(is_open(&unknown), "nothing is known of an account");
    unknown.of(&key()).without_account(None);
    assert!(is_open(&unknown), "a full pass says so in the status");
    unknown.of(&key()).without_account(Some(EMPLOYEE));
    assert!(!is_open(&unknown));
}

#[test]
fn a_status_of_a_spec_that_kept_hands_off_does_not_keep_evidence_from_the_account() {
    let status = json!({
        "observedGeneration": 1, "access": "Unmanaged",
        "account": {"id": "31", "matchedBy": "Created"},
        "evidence": {"kind": "AccessRevoked", "observedAt": "2026-01-01T00:00:00Z"},
    });
    let roster = existing();
    roster.see(&with_status(object(5, true), status.clone()));
    assert!(!is_open(&roster), "hands off");
    let mut lifted = with_status(object(6, false), status.clone());
    lifted.metadata.generation = Some(2);
    roster.see(&lifted);
    assert!(is_open(&roster));
    roster.see(&with_status(object(7, false), status));
    assert!(!is_open(&roster), "a status of this very spec leaves the account alone");
}

#[test]
fn nothing_is_left_of_an_integration_that_is_gone_but_objects_and_revocations() {
    let employee = |integration: &str, id: u32| {
        let integration_ref = IntegrationRef { name: integration.to_owned() };
        let spec = EmployeeSyncSpec {
            integration_ref,
            employee_id: id.to_string(),
            ..EmployeeSyncSpec::default()
        };
        let mut object = EmployeeSync::new(&object_name(integration, &id.to_string()), spec);
        object.metadata.namespace = Some("people".to_owned());
        object.metadata.resource_version = Some((id + 1).to_string());
        let ready = json!([{"type": "Ready", "status": "True", "reason": "InSync", "message": "",
            "lastTransitionTime": "2026-03-01T00:00:00Z"}]);
        with_status(
            object,
            json!({"access": "Active", "account": {"id": "1", "matchedBy": "Mark"},
                "conditions": ready}),
        )
    };
    let roster = Roster::default();
    for number in 0..100 {
        let name = format!("onelogin-{number}");
        let key = IntegrationKey { namespace: "people".into(), name: name.as_str().into() };
        roster.come(&key);
        let people: Vec<EmployeeSync> = (0..20).map(|id| employee(&name, id)).collect();
        people.iter().for_each(|object| _ = roster.see(object));
        // Half of them are deleted before their integration, and half after it.
        people[..10].iter().for_each(|object| drop(roster.gone(object)));
        assert_eq!(
            roster.of(&key).sums(|sums| (sums.objects, sums.counts.ready)),
            (10, 20),
            "they come back while it is there"
        );
        roster.leave(&key);
        assert_eq!(
            roster.of(&key).sums(|sums| (sums.objects, sums.counts.ready)),
            (10, 10),
            "an object that outlives it is known"
        );
        people[10..].iter().for_each(|object| drop(roster.gone(object)));
    }
    assert_eq!(roster.integrations(), []);
    // One object has evidence that no read of Bob would show.
    roster.come(&key());
    let revoked =
        json!({"evidence": {"kind": "AccessRevoked", "observedAt": "2026-03-01T00:00:00Z"}});
    roster.see(&with_status(object(1, false), revoked));
    roster.gone(&object(2, false));
    roster.leave(&key());
    assert_eq!(
        roster.of(&key()).revoked().len(),
        1,
        "it holds for an integration that is applied again"
    );
}

/// After a change of the CRD, the API server shows other fields of the same version.
#[test]
fn a_spec_that_the_same_version_shows_differently_counts_and_the_status_stays() {
    let roster = existing();
    let account = json!({"access": "Active", "account": {"id": "31", "matchedBy": "Created"}});
    roster.see(&object(4, false));
    roster.of(&key()).wrote(&with_status(object(5, false), account.clone()), 17);
    let of_status = |roster: &Roster| {
        let entry = roster.of(&key()).get(EMPLOYEE).expect("known");
        (entry.digest, entry.verdict, entry.account.is_some())
    };
    let written = of_status(&roster);
    assert_eq!(roster.see(&with_status(object(5, false), account.clone())), News::Nothing);
    assert!(roster.knows(&object(5, false)) && !roster.knows(&object(5, true)));
    // The watch may bring the object without the status that was just written.
    for (suspend, news) in
        [(true, News::Wake), (true, News::Nothing), (false, News::Wake), (true, News::Wake)]
    {
        assert_eq!(roster.see(&object(5, suspend)), news, "{suspend}");
        assert_eq!((known(&roster), of_status(&roster)), ((true, suspend), written));
    }
    assert_eq!(roster.see(&object(4, false)), News::Nothing, "an older version");
    assert_eq!((known(&roster), of_status(&roster)), ((true, true), written));
    roster.gone(&object(6, true));
    assert_eq!(roster.see(&object(6, false)), News::Nothing, "it is gone");
    assert_eq!(known(&roster), (false, false));
}

/// A person changes the spec between the read and the write of a status.
#[test]
fn a_spec_that_came_with_the_answer_to_a_write_is_news_once_the_watch_brings_it() {
    let second = |version, suspend| {
        let mut object = object(version, suspend);
        object.metadata.generation = Some(2);
        object
    };
    let asking = |version| {
        let mut object = object(version, false);
        object.metadata.annotations =
            Some([(crate::api::SYNC_REQUESTED.to_owned(), "now".to_owned())].into());
        object
    };
    // The first event that comes after the write may be older than the write, or its own.
    for event in [6, 7, 8] {
        for changed in [second(7, true), asking(7)] {
            let roster = existing();
            roster.see(&object(5, false));
            roster.of(&key()).wrote(&changed, 0);
            roster.of(&key()).wrote(&EmployeeSync { status: None, ..changed.clone() }, 0);
            let with_version = |version: u64| {
                let mut object = changed.clone();
                object.metadata.resource_version = Some(version.to_string());
                object
            };
            assert_eq!(roster.see(&with_version(event)), News::Wake, "{event}");
            assert_eq!(roster.see(&with_version(7)), News::Nothing, "{event}");
        }
        let roster = existing();
        roster.see(&object(5, false));
        roster.of(&key()).wrote(&object(7, false), 0);
        assert_eq!(roster.see(&object(event, false)), News::Nothing, "only a status was written");
        let roster = existing();
        roster.of(&key()).wrote(&object(7, true), 0);
        assert_eq!(roster.see(&object(event, true)), News::Wake, "a person made the object first");
        let roster = existing();
        roster.of(&key()).wrote(&object(7, false), 0);
        assert_eq!(roster.see(&object(7, false)), News::Nothing, "the controller made it");
    }
}

#[test]
fn a_refused_status_counts_as_not_recorded_until_it_is_written_or_needs_no_write() {
    use crate::api::reasons::EmployeeReason::NotRecorded;
    let failing = |roster: &Roster| {
        roster.of(&key()).sums(|sums| {
            sums.counts.failing().any(|(reason, count)| reason == NotRecorded && count == 1)
        })
    };
    let refused = || {
        let roster = existing();
        roster.see(&object(5, false));
        roster.of(&key()).refused(EMPLOYEE, "exceeded quota");
        assert!(failing(&roster));
        roster
    };
    let told = ("onelogin-7".into(), "exceeded quota".into());
    assert_eq!(refused().of(&key()).refusal(), Some(told));
    // Another writer changes the object, or a full pass leaves it to another pass.
    let roster = refused();
    roster.see(&object(6, true));
    assert!(failing(&roster));
    roster.of(&key()).refused_among(&HashSet::from([EMPLOYEE]));
    assert!(failing(&roster));
    roster.of(&key()).refused_among(&HashSet::from(["8"]));
    assert!(!failing(&roster), "the employee is not in Bob any more");
    let ends: [fn(&Roster); 3] = [
        |roster| roster.of(&key()).wrote(&object(6, false), 1),
        |roster| roster.of(&key()).confirm(EMPLOYEE, 1),
        |roster| roster.of(&key()).recorded(EMPLOYEE),
    ];
    for end in ends {
        let roster = refused();
        end(&roster);
        assert!(!failing(&roster));
    }
}
