//! Every message that a person's status can have.

use super::*;
use crate::domain::{
    account::AccountState,
    employee::Fields,
    expression::Expression,
    mapping::{Compare, Origin, Row, Source},
    plan::Conflict,
    safety::ProtectedBy,
};
use crate::engine::pass::outcome::RefusedPart;

const WHYS: [Why; 23] = [
    Why::HandsOff,
    Why::DomainNotListed,
    Why::OutOfScope,
    Why::ScopeUnknown,
    Why::AwaitingChange,
    Why::NotInBob,
    Why::LeftAloneBefore,
    Why::FileDeleted,
    Why::AccessRevoked,
    Why::Terminated,
    Why::LastDayOfWork,
    Why::TerminationDate,
    Why::BeforeStart,
    Why::NoStartDate,
    Why::AtWork,
    Why::LeaveWithAccess,
    Why::LeaveWithoutAccess,
    Why::InactiveInBob,
    Why::AlwaysActive,
    Why::AlwaysInactive,
    Why::DatesHidden,
    Why::NoEvidence,
    Why::Unreadable,
];

fn mapping() -> Mapping {
    let mut fields = Fields::default();
    let row = |target: &str, source| Row {
        target: target.into(),
        source,
        on_create_only: false,
        compare: Compare::IgnoringCase,
        required: target != "title",
    };
    let (email, title) =
        (Source::Field(fields.want("root.email")), Source::Field(fields.want("work.title")));
    let rule = Expression::compile("employee.work.title + ''", &mut fields).expect("an expression");
    let rows = vec![
        row("email", email.clone()),
        row("username", email),
        row("title", title),
        row("company", Source::Expression(rule)),
    ];
    Mapping { rows, fields, email: 0, username: 1, address: None, manager: None }
}

fn decision(why: Why) -> Decision {
    let managed = !matches!(
        why,
        Why::HandsOff
            | Why::DomainNotListed
            | Why::OutOfScope
            | Why::ScopeUnknown
            | Why::AwaitingChange
            | Why::NotInBob
            | Why::LeftAloneBefore
    );
    let ends = matches!(
        why,
        Why::FileDeleted
            | Why::AccessRevoked
            | Why::Terminated
            | Why::LastDayOfWork
            | Why::TerminationDate
    );
    let existing = managed.then_some(if ends { Access::Suspended } else { Access::Active });
    Decision { managed, existing, missing: Missing::Never, why, also: None, date: None, next: None }
}

fn verdict(trouble: Trouble, why: Why, state: Option<AccountState>) -> Verdict<'static> {
    Verdict {
        generation: 1,
        username: None,
        account: state.map(|_| (Cow::Borrowed("4711"), MatchedBy::Mark)),
        only_found: false,
        state,
        beside: None,
        several: false,
        unread: false,
        nameless: false,
        provider: "Google Workspace",
        phrases: &crate::provider::google::CATALOG.capabilities.phrases,
        decision: decision(why),
        unreadable: None,
        trouble,
        differs: Vec::new(),
        access_as_decided: true,
        manager: Manager::Nothing,
        adopts: true,
        manager_mapped: true,
        zone: "UTC",
        baseline: None,
        drifted: false,
        in_place: None,
        kept: Kept::default(),
        part: None,
        sync_handled: None,
    }
}

const fn mapped(row: usize) -> Origin {
    Origin { row, is_pinned: false }
}

const fn pinned(row: usize) -> Origin {
    Origin { row, is_pinned: true }
}

/// Everything that can stand in the way.
fn troubles() -> Vec<Trouble> {
    let said = || "the provider said so".to_owned();
    let conflicts = [
        Conflict::Stranger("31".into()),
        Conflict::Marked("31".into()),
        Conflict::Employee { account: "31".into(), employee: "4110000000000000017".into() },
        Conflict::SameEmail("4110000000000000017".into()),
        Conflict::Several,
    ];
    let failures = [
        Failure::Rejected(said(), RefusedPart::Value),
        Failure::Rejected(said(), RefusedPart::Other),
        Failure::Conflict(said()),
        Failure::Ambiguous,
        Failure::Protected(ProtectedBy::Role),
        Failure::Protected(ProtectedBy::Settings),
        Failure::ManagedElsewhere,
        Failure::Forbidden(said()),
        Failure::Sessions(said()),
        Failure::Retrying(said()),
    ];
    let blocks = [
        Block::ClaimedBy("people/other".into()),
        Block::Ambiguous,
        Block::Protected(ProtectedBy::Role),
        Block::Protected(ProtectedBy::Settings),
        Block::ManagedElsewhere,
        Block::MissingAttribute(mapped(0)),
        Block::MissingAttribute(pinned(0)),
        Block::MappingFailed(mapped(2), "it failed".into()),
        Block::MappingFailed(pinned(2), "it failed".into()),
        Block::ScopeFailed("it failed".into()),
        Block::UnknownTarget("tittle".into()),
        Block::Frozen(2),
    ];
    let planned = [
        PlannedChange::Create(Access::Active),
        PlannedChange::Create(Access::Suspended),
        PlannedChange::Suspend,
        PlannedChange::Reactivate,
        PlannedChange::Update,
    ];
    let mut all = vec![Trouble::None, Trouble::Unlisted];
    all.extend(planned.iter().flat_map(|planned| {
        let planned = *planned;
        [
            Trouble::Waiting { planned, dry_run: true },
            Trouble::Waiting { planned, dry_run: false },
            Trouble::Held { planned },
        ]
    }));
    all.extend(conflicts.map(|conflict| Trouble::Blocked(Block::Conflict(conflict))));
    all.extend(blocks.map(Trouble::Blocked));
    all.extend(failures.clone().map(Trouble::Failed));
    all.extend(failures.map(Trouble::Several));
    all
}

#[test]
fn every_message_is_a_sentence_and_names_the_provider() {
    let (mapping, now) = (mapping(), Timestamp::UNIX_EPOCH);
    let states = [
        None,
        Some(AccountState::Active),
        Some(AccountState::Suspended),
        Some(AccountState::Staged),
        Some(AccountState::Unlicensed),
    ];
    let mut seen = 0;
    for trouble in troubles() {
        for (why, state) in WHYS.into_iter().flat_map(|why| states.map(|state| (why, state))) {
            let plain = verdict(trouble.clone(), why, state);
            let differs = Verdict {
                differs: vec!["title".into()],
                access_as_decided: false,
                drifted: true,
                adopts: false,
                ..plain.clone()
            };
            let found = Verdict {
                only_found: true,
                several: true,
                manager: Manager::NotManaged,
                ..plain.clone()
            };
            for verdict in [plain, differs, found] {
                let status = verdict.status(
                    &mapping,
                    &EmployeeSyncStatus::default(),
                    Proof::default(),
                    &[],
                    now,
                );
                for condition in &status.conditions {
                    let message = &*condition.message;
                    let told = format!("{}: {message}", condition.type_);
                    assert!(message.starts_with(|c: char| c.is_uppercase()), "{told}");
                    assert!(
                        message.ends_with('.')
                            && !message.ends_with("..")
                            && !message.contains(";.")
                            && !message.contains(".;"),
                        "{told}"
                    );
                    assert!(!message.to_lowercase().contains("the provider"), "{told}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10_000, "{seen}");
}

#[test]
fn a_conflict_says_which_and_whose() {
    let message = |conflict, adopts| {
        let verdict = Verdict {
            adopts,
            ..verdict(Trouble::Blocked(Block::Conflict(conflict)), Why::AtWork, None)
        };
        assert_eq!(verdict.reason(), EmployeeReason::Conflict);
        verdict.message(&mapping())
    };
    let stranger = || Conflict::Stranger("31".into());
    let employee =
        Conflict::Employee { account: "31".into(), employee: "4110000000000000017".into() };
    for (message, said) in [
        (
            message(stranger(), true),
            "The account 31 at Google Workspace has this employee's email or username, has no mark \
             and cannot be adopted, because its e-mail and its username are not both this \
             employee's: free it there, or correct it in Bob.",
        ),
        (
            message(stranger(), false),
            "The account 31 at Google Workspace has this employee's email or username, and with \
             spec.safety.adoption: Never an account without a mark is not adopted: free it there, \
             or put the mark on it by hand.",
        ),
        (
            message(employee, true),
            "The account 31 at Google Workspace has this employee's email or username and belongs \
             to employee 4110000000000000017 in Bob: correct one of the two in Bob, or hand the \
             account over by setting its mark to this employee's id.",
        ),
        (
            message(Conflict::SameEmail("4110000000000000017".into()), true),
            "Employee 4110000000000000017 in Bob has the same email, and one account cannot belong \
             to both: correct one of the two in Bob, or \
             hand the account over by setting its mark to this employee's id.",
        ),
    ] {
        assert_eq!(message, said);
    }
    let open = verdict(
        Trouble::Blocked(Block::Conflict(stranger())),
        Why::Terminated,
        Some(AccountState::Active),
    );
    assert!(
        open.message(&mapping()).ends_with("; access is still open: suspend the account by hand.")
    );
}

#[test]
fn a_missing_value_is_told_with_bobs_field_and_the_name_stays_in_the_status() {
    let nameless = Verdict {
        nameless: true,
        differs: vec!["email".into()],
        ..verdict(
            Trouble::Blocked(Block::MissingAttribute(mapped(0))),
            Why::AtWork,
            Some(AccountState::Active),
        )
    };
    let before = EmployeeSyncStatus {
        username: Some("noa.lind@example.com".to_owned()),
        ..EmployeeSyncStatus::default()
    };
    let status = nameless.status(&mapping(), &before, Proof::default(), &[], Timestamp::UNIX_EPOCH);
    assert_eq!(status.username, before.username);
    let said = |kind| {
        conditions::find(&status.conditions, kind)
            .map(|condition| (&*condition.status, &*condition.message))
            .unwrap()
    };
    let message = "The required target email has no value: Bob has no value in root.email, or \
                   hides it. Fill it in in Bob, or let the service user view it.";
    assert_eq!(said("Ready"), ("False", message));
    assert_eq!(said("AttributesSynced"), ("False", "Not as decided: email."));
}

#[test]
fn a_leaver_whose_account_the_credential_may_not_change_is_to_be_suspended_by_hand() {
    let refused = || {
        Trouble::Failed(Failure::Forbidden(
            "the credential may not change this account: no".to_owned(),
        ))
    };
    let reason = |trouble, why, state| verdict(trouble, why, Some(state)).reason();
    assert_eq!(
        reason(refused(), Why::Terminated, AccountState::Active),
        EmployeeReason::SuspendByHand
    );
    assert_eq!(
        reason(refused(), Why::Terminated, AccountState::Suspended),
        EmployeeReason::Forbidden
    );
    assert_eq!(reason(refused(), Why::AtWork, AccountState::Active), EmployeeReason::Forbidden);
    let sessions = Trouble::Failed(Failure::Sessions("no".to_owned()));
    assert_eq!(
        reason(sessions, Why::Terminated, AccountState::Other),
        EmployeeReason::Forbidden,
        "access is taken"
    );
}

#[test]
fn each_cause_of_suspend_by_hand_says_what_ends_it() {
    let said = |trouble, why| {
        let verdict = verdict(trouble, why, Some(AccountState::Active));
        assert_eq!(verdict.reason(), EmployeeReason::SuspendByHand);
        verdict.message(&mapping())
    };
    let protected =
        |by| [Trouble::Blocked(Block::Protected(by)), Trouble::Failed(Failure::Protected(by))];
    for trouble in protected(ProtectedBy::Role) {
        let message = said(trouble, Why::Terminated);
        let way = "suspend the account by hand, or set spec.safety.administrators: Suspend to let \
                   bobsync do it.";
        assert!(message.ends_with(way), "{message}");
    }
    for trouble in protected(ProtectedBy::Settings) {
        let message = said(trouble, Why::Terminated);
        assert!(
            message.contains("spec.safety.protectedAccounts")
                && message.contains("suspend the account by hand, or take it off that list"),
            "{message}"
        );
    }
    let refused = Failure::Forbidden("The credential may not change this account: no.".to_owned());
    let message = said(Trouble::Failed(refused), Why::Terminated);
    assert!(message.contains("by hand, or give the credential the right"), "{message}");
    // That setting does not suspend administrators who are on leave.
    for trouble in protected(ProtectedBy::Role) {
        let leave = Verdict {
            decision: Decision {
                existing: Some(Access::Suspended),
                ..decision(Why::LeaveWithoutAccess)
            },
            ..verdict(trouble, Why::LeaveWithoutAccess, Some(AccountState::Active))
        };
        assert_eq!(leave.reason(), EmployeeReason::SuspendByHand);
        let message = leave.message(&mapping());
        assert!(
            message.ends_with("access is still open: suspend the account by hand."),
            "{message}"
        );
    }
}

/// The sums of an integration are made from the statuses, and those of a pass from the verdicts.
#[test]
fn an_employee_counts_by_the_status_as_by_the_verdict_whichever_way_the_settings_leave_one_out() {
    let (mapping, now) = (mapping(), Timestamp::UNIX_EPOCH);
    let states = [
        None,
        Some(AccountState::Active),
        Some(AccountState::Suspended),
        Some(AccountState::Staged),
        Some(AccountState::Unlicensed),
    ];
    let ways = [
        Why::DomainNotListed,
        Why::OutOfScope,
        Why::ScopeUnknown,
        Why::LeftAloneBefore,
        Why::AwaitingChange,
    ];
    let left = |why, also| Decision { managed: false, also: Some(also), ..decision(why) };
    let kept = |also| Decision { also: Some(also), ..decision(Why::HandsOff) };
    let ends = [Why::FileDeleted, Why::AccessRevoked, Why::Terminated, Why::LastDayOfWork];
    let decisions = WHYS
        .into_iter()
        .map(decision)
        .chain(ends.iter().flat_map(|why| ways.map(|way| left(*why, way))))
        .chain(ends.map(kept));
    let mut left_out = 0;
    for decision in decisions {
        for (trouble, state) in
            troubles().into_iter().flat_map(|trouble| states.map(|state| (trouble.clone(), state)))
        {
            let verdict = Verdict { decision, ..verdict(trouble, decision.why, state) };
            // Without an account there is no access to take, and only of an employee who is to get
            // one it is said that the accounts are not known yet.
            if decision.only_ends_access() && state.is_none()
                || verdict.trouble == Trouble::Unlisted && !decision.managed
            {
                continue;
            }
            let status = verdict.status(
                &mapping,
                &EmployeeSyncStatus::default(),
                Proof::default(),
                &[],
                now,
            );
            let told = format!("{:?} {:?} {state:?}", verdict.trouble, verdict.decision);
            assert_eq!(Standing::of(&status), verdict.standing(), "{told}");
            if decision.only_ends_access() && verdict.trouble == Trouble::None {
                let counts = matches!(verdict.standing(), Standing::Ready | Standing::Unready(_));
                assert!(counts, "{told}");
                left_out += 1;
            }
        }
    }
    assert!(left_out > 50, "{left_out}");
}

#[test]
fn an_account_that_is_kept_hands_off_is_told_as_it_is() {
    let access = |why, state| verdict(Trouble::None, why, state).access();
    assert_eq!(access(Why::HandsOff, Some(AccountState::Active)), Some(api::Access::Active));
    assert_eq!(access(Why::HandsOff, Some(AccountState::Suspended)), Some(api::Access::Suspended));
    assert_eq!(access(Why::HandsOff, None), Some(api::Access::Unmanaged));
    assert_eq!(access(Why::OutOfScope, Some(AccountState::Active)), Some(api::Access::Unmanaged));
}

#[test]
fn the_field_that_cannot_be_read_is_named_and_is_what_has_to_be_corrected() {
    let message = |why, also, field: Option<&str>| {
        let decided = Decision { managed: false, existing: None, also, ..decision(why) };
        let verdict = Verdict {
            decision: decided,
            unreadable: field.map(Into::into),
            ..verdict(Trouble::None, why, Some(AccountState::Active))
        };
        verdict.message(&mapping())
    };
    let field = Some("spec.suspendUntil");
    assert_eq!(
        message(Why::Unreadable, None, field),
        "Not managed: this version of bobsync cannot read spec.suspendUntil of the EmployeeSync, \
         so what it asks for is not known: the account is left as it is."
    );
    let leaver = message(Why::Unreadable, Some(Why::Terminated), field);
    assert!(
        leaver.ends_with(
            "is Terminated; access is still open: suspend the account by hand, or correct \
             spec.suspendUntil, or run a version that can read it."
        ),
        "{leaver}"
    );
    let pinned = message(Why::HandsOff, Some(Why::Terminated), None);
    assert!(pinned.ends_with("suspend the account by hand, or remove spec.suspend."), "{pinned}");
}

/// Every case in which an employee fails, and what its message says that helps.
fn failing() -> Vec<(Verdict<'static>, &'static str)> {
    let active = Some(AccountState::Active);
    let blocked = |block, why| verdict(Trouble::Blocked(block), why, active);
    let failed = |failure| verdict(Trouble::Failed(failure), Why::AtWork, active);
    let said = || "the provider refused title: too long".to_owned();
    let conflict = |conflict| blocked(Block::Conflict(conflict), Why::AtWork);
    let employee = || "4110000000000000017".into();
    let hand_over = "hand the account over by setting its mark to this employee's id";
    let mut list = vec![
        (conflict(Conflict::Stranger("31".into())), "free it there, or correct it in Bob"),
        (conflict(Conflict::Marked("31".into())), "correct the mark there"),
        (conflict(Conflict::Employee { account: "31".into(), employee: employee() }), hand_over),
        (conflict(Conflict::SameEmail(employee())), hand_over),
        (conflict(Conflict::Several), "leave one of them with it"),
        (
            blocked(Block::ClaimedBy("people/other".into()), Why::AtWork),
            "let only one of the two do so",
        ),
        (blocked(Block::Ambiguous, Why::AtWork), "leave one of them"),
        (blocked(Block::ManagedElsewhere, Why::AtWork), "change it there"),
        (
            blocked(Block::MissingAttribute(mapped(0)), Why::AtWork),
            "Fill it in in Bob, or let the service user view it",
        ),
        (blocked(Block::MissingAttribute(pinned(0)), Why::AtWork), "Give it a value there"),
        (
            blocked(Block::MappingFailed(mapped(0), "it has no form".into()), Why::AtWork),
            "Type the value of root.email again in Bob",
        ),
        (
            blocked(Block::MappingFailed(pinned(0), "it has no form".into()), Why::AtWork),
            "(from spec.attributes of this EmployeeSync) has no usable value: it has no form; the \
             attribute is left as it is. Type the value again there",
        ),
        (
            blocked(Block::MappingFailed(mapped(3), "it failed".into()), Why::AtWork),
            "Correct the expression, or work.title in Bob",
        ),
        (
            blocked(Block::ScopeFailed("it failed".into()), Why::AtWork),
            "Correct the expression, or in Bob the fields",
        ),
        (
            blocked(Block::UnknownTarget("tittle".into()), Why::AtWork),
            "correct the name there, or remove it",
        ),
        (verdict(Trouble::None, Why::ScopeUnknown, active), "Let the service user view the fields"),
        (failed(Failure::Rejected(said(), RefusedPart::Value)), "Correct the value in Bob"),
        (failed(Failure::Rejected(said(), RefusedPart::Other)), "tries again by itself"),
        (failed(Failure::Forbidden("no".into())), "set spec.suspend on this EmployeeSync"),
        (failed(Failure::Sessions("no".into())), "tries again by itself"),
        (failed(Failure::Retrying("no".into())), "tries again by itself"),
        (
            verdict(
                Trouble::RefusedBefore(EmployeeReason::Rejected),
                Why::AtWork,
                Some(AccountState::Active),
            ),
            "tries again by itself",
        ),
        (verdict(Trouble::None, Why::AtWork, Some(AccountState::Unlicensed)), "Free or buy one"),
    ];
    let by_hand = [
        Block::Protected(ProtectedBy::Role),
        Block::Protected(ProtectedBy::Settings),
        Block::Conflict(Conflict::Several),
    ];
    list.extend(by_hand.map(|block| (blocked(block, Why::Terminated), "by hand")));
    let contested = SetBack::read("title".into(), 1, vec![1, 2, 3, 4, 5, 6], true);
    list.push((
        Verdict {
            kept: Kept::default().with_set_back(vec![contested]),
            ..verdict(Trouble::None, Why::AtWork, active)
        },
        "Stop the other writer",
    ));
    list
}

/// An event repeats this message, so nothing else can contradict it.
#[test]
fn the_message_of_every_reason_that_fails_says_what_helps_in_this_case() {
    let mapping = mapping();
    let mut reasons = std::collections::BTreeSet::new();
    for (verdict, helps) in failing() {
        let (reason, message) = (verdict.reason(), verdict.message(&mapping));
        assert!(reason.is_failure(), "{reason}: {message}");
        assert!(message.contains(helps), "{reason}: {message}");
        reasons.insert(reason);
    }
    // No verdict tells of these two: their messages are in `record::unwritten` and in
    // `integration::absent`.
    reasons.extend([EmployeeReason::NotRecorded, EmployeeReason::NoIntegration]);
    let all = EmployeeReason::ALL.iter().copied().filter(|reason| reason.is_failure());
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), all.collect::<Vec<_>>());
}

#[test]
fn what_is_said_does_not_contradict_the_case() {
    let message = |trouble| verdict(trouble, Why::AtWork, None).message(&mapping());
    let claimed = message(Trouble::Blocked(Block::ClaimedBy("people/other".into())));
    let unknown = message(Trouble::Blocked(Block::UnknownTarget("tittle".into())));
    let emptied = message(Trouble::Blocked(Block::MissingAttribute(pinned(0))));
    assert!(!claimed.contains("e-mail"), "{claimed}");
    assert!(!unknown.contains("Bob") && !unknown.contains("expression"), "{unknown}");
    assert!(!emptied.contains("Bob"), "{emptied}");
    let listed = verdict(
        Trouble::Blocked(Block::Protected(ProtectedBy::Settings)),
        Why::Terminated,
        Some(AccountState::Active),
    );
    let listed = listed.message(&mapping());
    assert!(!listed.contains("credential") && !listed.contains("administrators"), "{listed}");
    let password = message(Trouble::Failed(Failure::Rejected(
        "the provider refused password: this is the default password: replace it".into(),
        RefusedPart::Other,
    )));
    assert!(!password.contains("in Bob"), "{password}");
}

#[test]
fn an_employee_whom_another_integration_manages_is_not_told_to_have_no_account() {
    let claimed =
        verdict(Trouble::Blocked(Block::ClaimedBy("people/other".into())), Why::AtWork, None);
    let claimed = Verdict { access_as_decided: false, ..claimed };
    let status = claimed.status(
        &mapping(),
        &EmployeeSyncStatus::default(),
        Proof::default(),
        &[],
        Timestamp::UNIX_EPOCH,
    );
    for kind in [conditions::Type::Provisioned, conditions::Type::AccessSynced] {
        let told = conditions::find(&status.conditions, kind).expect("the condition");
        assert_eq!(
            (&*told.status, &*told.message),
            ("False", "The integration people/other manages this employee's account."),
            "{kind:?}"
        );
    }
}

/// The decision is about access. It gives no reason for a write of attributes.
#[test]
fn a_new_title_of_a_leaver_is_not_written_because_the_employment_ended() {
    let planned = |planned| {
        [
            Trouble::Waiting { planned, dry_run: true },
            Trouble::Waiting { planned, dry_run: false },
            Trouble::Held { planned },
        ]
    };
    let message = |trouble| {
        let leaver = verdict(trouble, Why::Terminated, Some(AccountState::Suspended));
        Verdict { differs: vec!["title".into()], ..leaver }.message(&mapping())
    };
    for trouble in planned(PlannedChange::Update) {
        let message = message(trouble);
        assert!(message.ends_with("update the account; not as decided: title."), "{message}");
    }
    for trouble in planned(PlannedChange::Suspend) {
        let message = message(trouble);
        assert!(message.contains("suspend the account; Bob's lifecycle status"), "{message}");
    }
}
