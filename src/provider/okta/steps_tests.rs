use super::*;

fn tenant(leavers: Leavers, not_suspendable: NotSuspendable, mails: bool) -> Tenant {
    Tenant {
        domain: "acme.okta.com".to_owned(),
        base: "https://acme.okta.com".to_owned(),
        mark: "bobsyncEmployeeId".to_owned(),
        leavers,
        not_suspendable,
        mails,
    }
}

fn now(status: &str) -> Now {
    Now { status: status.to_owned(), changes: false, has_password: false, unused: false }
}

const ALL: [&str; 8] = [
    "STAGED",
    "PROVISIONED",
    "ACTIVE",
    "RECOVERY",
    "PASSWORD_EXPIRED",
    "LOCKED_OUT",
    "SUSPENDED",
    "DEPROVISIONED",
];

#[test]
fn access_is_taken_from_each_status_as_the_settings_say() {
    use Next::{ByHand, Done};
    let (suspend, unlock, deactivate) = (
        Next::Step(LifecycleStep::Suspend),
        Next::Step(LifecycleStep::Unlock),
        Next::Step(LifecycleStep::Deactivate),
    );
    let gone = [Occasion::Leaves, Occasion::Other];
    for (leavers, not_suspendable, [leaver, leave]) in [
        (
            Leavers::Suspend,
            NotSuspendable::Deactivate,
            [
                [Done, deactivate, suspend, deactivate, deactivate, unlock, Done, Done],
                [Done, ByHand, suspend, ByHand, ByHand, unlock, Done, Done],
            ],
        ),
        (
            Leavers::Suspend,
            NotSuspendable::Report,
            [
                [Done, ByHand, suspend, ByHand, ByHand, unlock, Done, Done],
                [Done, ByHand, suspend, ByHand, ByHand, unlock, Done, Done],
            ],
        ),
        (
            Leavers::Deactivate,
            NotSuspendable::Report,
            [
                [Done, deactivate, deactivate, deactivate, deactivate, deactivate, Done, Done],
                [Done, ByHand, suspend, ByHand, ByHand, unlock, Done, Done],
            ],
        ),
    ] {
        let tenant = tenant(leavers, not_suspendable, true);
        for (occasion, expected) in gone.into_iter().zip([leaver, leave]) {
            let goal = Goal { access: Access::Suspended, occasion, tenant: &tenant, locked: false };
            for (status, expected) in ALL.into_iter().zip(expected) {
                assert_eq!(
                    goal.next(&now(status)),
                    expected,
                    "{leavers:?} {not_suspendable:?} {occasion:?} {status}"
                );
            }
        }
    }
}

#[test]
fn an_account_that_cannot_be_unlocked_counts_as_one_that_cannot_be_suspended() {
    for (not_suspendable, occasion, expected) in [
        (NotSuspendable::Deactivate, Occasion::Leaves, Next::Step(LifecycleStep::Deactivate)),
        (NotSuspendable::Deactivate, Occasion::Other, Next::ByHand),
        (NotSuspendable::Report, Occasion::Leaves, Next::ByHand),
    ] {
        let tenant = tenant(Leavers::Suspend, not_suspendable, true);
        let goal = Goal { access: Access::Suspended, occasion, tenant: &tenant, locked: true };
        assert_eq!(goal.next(&now("LOCKED_OUT")), expected, "{not_suspendable:?} {occasion:?}");
    }
}

#[test]
fn access_is_given_and_only_who_has_no_password_is_mailed() {
    for mails in [true, false] {
        let tenant = tenant(Leavers::Suspend, NotSuspendable::Report, mails);
        let goal =
            |occasion| Goal { access: Access::Active, occasion, tenant: &tenant, locked: false };
        let activate = |mail| Next::Step(LifecycleStep::Activate { mail });
        let expected = [
            activate(mails),
            Next::Done,
            Next::Done,
            Next::Done,
            Next::Done,
            Next::Done,
            Next::Step(LifecycleStep::Unsuspend),
            activate(mails),
        ];
        for (status, expected) in ALL.into_iter().zip(expected) {
            assert_eq!(goal(Occasion::Other).next(&now(status)), expected, "{status}");
        }
        let with_password = Now { has_password: true, ..now("STAGED") };
        assert_eq!(goal(Occasion::Other).next(&with_password), activate(false));
        let unused = Now { unused: true, ..now("ACTIVE") };
        assert_eq!(goal(Occasion::Other).next(&unused), Next::Done);
        let first = goal(Occasion::FirstLogin);
        assert_eq!(first.next(&unused), Next::Step(LifecycleStep::ExpirePassword));
        assert_eq!(first.next(&now("ACTIVE")), Next::Done, "the password was used or chosen");
    }
}
