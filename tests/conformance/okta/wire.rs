//! The exact calls of Okta, and its traps: statuses and the steps between them, mails, passwords,
//! an index that lags, logins that collide, other masters, and maintenance.

use bobsync::{
    domain::{
        account::{Access, Account, AccountPhase, AccountState, AccountWrite, Occasion},
        priority::Urgency,
    },
    http::secret::Secret,
    provider::{
        Error, Initial, Key, Provider, Written,
        okta::{Leavers, NotSuspendable, Tenant as Settings},
    },
};
use serde_json::{Value, json};

use super::org::{MARK, Org, mapping};
use crate::tenant::{Tenant, account, creation, mark, rows, update, write};

const fn access(access: Access, occasion: Occasion) -> AccountWrite {
    AccountWrite {
        attributes: Vec::new(),
        mark: None,
        access: Some(access),
        occasion,
        foreign: None,
    }
}

const SUSPEND: AccountWrite = access(Access::Suspended, Occasion::Other);
const LEAVE: AccountWrite = access(Access::Suspended, Occasion::Leaves);
const ACTIVATE: AccountWrite = access(Access::Active, Occasion::Other);

/// Starts an org in which people need a password, with an index that shows changes at once.
async fn begin() -> Org {
    let org = Org::start().await;
    org.put("/quirks", json!({"optionalPassword": false})).await;
    org
}

fn user(name: &str, status: &str) -> Value {
    json!({
        "status": status, "lastLogin": "2026-11-01T09:00:00.000Z",
        "profile": {
            "login": format!("{name}@example.com"), "email": format!("{name}@example.com"),
            "firstName": "Noa", "lastName": "Lind", "title": "Engineer", MARK: mark(name),
        },
    })
}

async fn one(org: &Org, name: &str, status: &str) -> String {
    org.users(json!([user(name, status)])).await.remove(0)
}

async fn change(
    org: &Org,
    settings: Settings,
    id: &str,
    write: &AccountWrite,
) -> (Result<Written, Error>, Vec<String>) {
    let before = org.log().await.len();
    let okta = org.connected(settings);
    let written = okta.update(&org.mapping, id, write, Urgency::Urgent).await;
    (written, org.steps(before).await)
}

async fn status(org: &Org, id: &str) -> String {
    org.stored(id).await["status"].as_str().unwrap().to_owned()
}

async fn mails(org: &Org) -> usize {
    org.control.okta("GET", "/mails", Value::Null).await.unwrap().as_array().unwrap().len()
}

async fn all(org: &Org) -> Vec<Account<'static>> {
    let mut seen = Vec::new();
    org.provider.list(&org.mapping, &mut |account| seen.push(account.into_owned())).await.unwrap();
    seen
}

#[tokio::test]
async fn a_leaver_loses_access_in_every_status_as_the_settings_say() {
    let org = begin().await;
    let unlocked = [
        "GET {id}",
        "POST lifecycle/unlock",
        "GET {id}",
        "POST lifecycle/suspend",
        "GET {id}",
        "DELETE sessions",
    ];
    let suspended =
        ["GET {id}", "POST lifecycle/suspend", "GET {id}", "DELETE sessions"].as_slice();
    let deactivated =
        ["GET {id}", "POST lifecycle/deactivate?sendEmail=false", "GET {id}"].as_slice();
    for (leavers, from, to, steps) in [
        (Leavers::Suspend, "ACTIVE", "SUSPENDED", suspended),
        (Leavers::Suspend, "LOCKED_OUT", "SUSPENDED", &unlocked),
        (Leavers::Suspend, "PROVISIONED", "DEPROVISIONED", deactivated),
        (Leavers::Suspend, "PASSWORD_EXPIRED", "DEPROVISIONED", deactivated),
        (Leavers::Suspend, "RECOVERY", "DEPROVISIONED", deactivated),
        (Leavers::Suspend, "STAGED", "STAGED", &["GET {id}"]),
        (Leavers::Suspend, "DEPROVISIONED", "DEPROVISIONED", &["GET {id}"]),
        (Leavers::Suspend, "SUSPENDED", "SUSPENDED", &["GET {id}", "DELETE sessions"]),
        (Leavers::Deactivate, "ACTIVE", "DEPROVISIONED", deactivated),
        (Leavers::Deactivate, "LOCKED_OUT", "DEPROVISIONED", deactivated),
        (Leavers::Deactivate, "PROVISIONED", "DEPROVISIONED", deactivated),
        (Leavers::Deactivate, "STAGED", "STAGED", &["GET {id}"]),
    ] {
        let id = one(&org, &format!("{leavers:?}-{from}").to_lowercase(), from).await;
        let settings = Settings { leavers, ..org.settings() };
        let (written, made) = change(&org, settings, &id, &LEAVE).await;
        assert_eq!(written.unwrap().account.state, AccountState::Suspended, "{from}");
        assert_eq!(
            (status(&org, &id).await.as_str(), made),
            (to, steps.to_vec().iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
            "{leavers:?} {from}"
        );
    }
}

#[tokio::test]
async fn what_okta_does_not_suspend_is_reported_and_its_sessions_end_once() {
    let org = begin().await;
    let report = || Settings { not_suspendable: NotSuspendable::Report, ..org.settings() };
    for from in ["PROVISIONED", "PASSWORD_EXPIRED", "RECOVERY"] {
        let id = one(&org, &from.to_lowercase(), from).await;
        let okta = org.connected(report());
        for write in [&LEAVE, &SUSPEND, &LEAVE] {
            let by_hand = okta.update(&org.mapping, &id, write, Urgency::Urgent).await.unwrap_err();
            assert!(
                matches!(&by_hand, Error::ByHand { said } if said.contains(from)),
                "{by_hand:?}"
            );
        }
        assert_eq!(status(&org, &id).await, from);
        let ended = org.control.okta("GET", "/sessions", Value::Null).await.unwrap();
        let times = ended.as_array().unwrap().iter().filter(|user| **user == *id).count();
        assert_eq!(times, 1, "{from}");
        // A leave never deactivates, whatever the settings say of leavers.
        let settings = Settings { leavers: Leavers::Deactivate, ..org.settings() };
        let (written, _) = change(&org, settings, &id, &SUSPEND).await;
        assert!(matches!(written, Err(Error::ByHand { .. })), "{written:?}");
    }
    let id = one(&org, "leave", "ACTIVE").await;
    let settings = Settings { leavers: Leavers::Deactivate, ..org.settings() };
    change(&org, settings, &id, &SUSPEND).await.0.unwrap();
    assert_eq!(status(&org, &id).await, "SUSPENDED", "a leave only suspends");
}

#[tokio::test]
async fn attributes_go_out_before_a_deactivation_and_after_an_activation() {
    let org = begin().await;
    let id = one(&org, "noa", "ACTIVE").await;
    let settings = || Settings { leavers: Leavers::Deactivate, ..org.settings() };
    let last =
        AccountWrite { attributes: write(&[(rows::TITLE, Some("Alumna"))]).attributes, ..LEAVE };
    let (written, steps) = change(&org, settings(), &id, &last).await;
    assert_eq!((written.unwrap().left, steps[1].as_str()), (None, "POST {id}"));
    let gone = org.stored(&id).await;
    assert_eq!(
        (&gone["status"], &gone["profile"]["title"]),
        (&json!("DEPROVISIONED"), &json!("Alumna"))
    );
    let listed = all(&org).await.remove(0);
    assert_eq!((listed.state, listed.phase), (AccountState::Suspended, AccountPhase::Deactivated));

    let before = mails(&org).await;
    let back =
        AccountWrite { attributes: write(&[(rows::TITLE, Some("Lead"))]).attributes, ..ACTIVATE };
    let (written, steps) = change(&org, settings(), &id, &back).await;
    let written = written.unwrap();
    assert_eq!((written.left, written.account.state), (None, AccountState::Other));
    assert_eq!(
        steps,
        ["GET {id}", "POST lifecycle/activate?sendEmail=true", "GET {id}", "POST {id}"]
    );
    let again = org.stored(&id).await;
    assert_eq!(
        (&again["status"], &again["profile"]["title"]),
        (&json!("PROVISIONED"), &json!("Lead"))
    );
    assert_eq!(mails(&org).await - before, 1, "a rehire is one mail");
}

#[tokio::test]
async fn a_transition_is_waited_for_and_tried_again_if_it_takes_long() {
    let org = begin().await;
    let id = one(&org, "noa", "PROVISIONED").await;
    org.put("/quirks", json!({"transitionSeconds": 1})).await;
    let (written, _) = change(&org, org.settings(), &id, &LEAVE).await;
    assert_eq!(written.unwrap().account.state, AccountState::Suspended);
    assert_eq!(status(&org, &id).await, "DEPROVISIONED");
    org.put("/quirks", json!({"transitionSeconds": 600})).await;
    let (written, steps) = change(&org, org.settings(), &id, &ACTIVATE).await;
    assert!(matches!(written, Err(Error::Unavailable { .. })), "{written:?}");
    assert_eq!(steps.iter().filter(|step| step.contains("activate")).count(), 1);
    let titled = write(&[(rows::TITLE, Some("Lead"))]);
    let (written, _) = update(&org, &id, &titled).await;
    assert!(
        matches!(&written, Err(Error::Unavailable { .. } | Error::NotFound)),
        "409 E0000112 is tried again: {written:?}"
    );
    org.control.advance(601).await.unwrap();
    let (written, steps) = change(&org, org.settings(), &id, &ACTIVATE).await;
    assert_eq!(written.unwrap().account.state, AccountState::Other);
    assert_eq!(steps, ["GET {id}"], "it is there already");
}

#[tokio::test]
async fn mails_and_passwords_follow_the_settings() {
    let org = begin().await;
    let password = Secret::new("Correct-Horse-7-Battery");
    let with = |change| Initial { password: Some(&password), change_at_first_login: change };
    for (name, initial, sends, access, expected, sent, query) in [
        ("zza", Initial::default(), true, Access::Active, "PROVISIONED", 1, vec!["activate=true"]),
        (
            "zzb",
            Initial::default(),
            false,
            Access::Active,
            "PROVISIONED",
            0,
            vec!["activate=false", "sendEmail=false"],
        ),
        ("zzc", with(false), true, Access::Active, "ACTIVE", 0, vec!["activate=true"]),
        (
            "zzd",
            with(true),
            true,
            Access::Active,
            "PASSWORD_EXPIRED",
            0,
            vec!["activate=true&nextLogin=changePassword"],
        ),
        ("zze", with(true), true, Access::Suspended, "STAGED", 0, vec!["activate=false"]),
        ("zzf", Initial::default(), true, Access::Suspended, "STAGED", 0, vec!["activate=false"]),
    ] {
        let (before, log) = (mails(&org).await, org.log().await.len());
        let okta = org.connected(Settings { mails: sends, ..org.settings() });
        let wanted = creation(&account(name), access);
        let made = okta.create(&org.mapping, &wanted, &initial).await.unwrap();
        assert_eq!(status(&org, &made.account.id).await, expected, "{name}");
        assert_eq!(mails(&org).await - before, sent, "{name}");
        let told = org.log().await.into_iter().skip(log);
        let queries: Vec<String> =
            told.filter(|call| call.0 == "POST").map(|(_, _, query, _)| query).collect();
        assert_eq!(queries, query, "{name}");
        assert!(!format!("{made:?}").contains("/tokens/"), "no link to log in with: {made:?}");
    }
    let weak = Secret::new("weak");
    let initial = Initial { password: Some(&weak), change_at_first_login: false };
    let wanted = creation(&account("zzg"), Access::Active);
    let refused = org.provider.create(&org.mapping, &wanted, &initial).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Rejected { field: Some(field), said }
            if field == "password" && said.contains("defaultPasswordSecretRef") && !said.contains("weak")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_password_of_a_starter_expires_after_the_activation_also_when_that_was_interrupted() {
    let org = begin().await;
    let password = Secret::new("Correct-Horse-7-Battery");
    let initial = Initial { password: Some(&password), change_at_first_login: true };
    let wanted = creation(&account("early"), Access::Suspended);
    let id = org.provider.create(&org.mapping, &wanted, &initial).await.unwrap().account.id;
    let first = AccountWrite { occasion: Occasion::FirstLogin, ..ACTIVATE };
    let (written, steps) = change(&org, org.settings(), &id, &first).await;
    written.unwrap();
    assert_eq!(
        steps,
        [
            "GET {id}",
            "POST lifecycle/activate?sendEmail=false",
            "GET {id}",
            "POST lifecycle/expire_password",
            "GET {id}"
        ]
    );
    assert_eq!((status(&org, &id).await.as_str(), mails(&org).await), ("PASSWORD_EXPIRED", 0));

    // A process that ended between the two calls leaves an account that says so.
    let wanted = creation(&account("late"), Access::Suspended);
    let id = org.provider.create(&org.mapping, &wanted, &initial).await.unwrap().account.id;
    change(&org, org.settings(), &id, &ACTIVATE).await.0.unwrap();
    let phase = |seen: &[Account<'_>]| seen.iter().find(|one| one.id == id).unwrap().phase;
    assert_eq!(phase(&all(&org).await), AccountPhase::Unused);
    change(&org, org.settings(), &id, &first).await.0.unwrap();
    assert_eq!(status(&org, &id).await, "PASSWORD_EXPIRED");
    assert_eq!(phase(&all(&org).await), AccountPhase::Usual);
}

#[tokio::test]
async fn what_was_just_written_is_listed_although_the_index_lags() {
    let org = begin().await;
    let id = one(&org, "noa", "ACTIVE").await;
    org.put("/quirks", json!({"searchLagSeconds": 60})).await;
    update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    let wanted = creation(&account("kim"), Access::Active);
    org.provider.create(&org.mapping, &wanted, &Initial::default()).await.unwrap();
    let seen = all(&org).await;
    let title = |name: &str| {
        let login = format!("{name}@example.com");
        let one = seen.iter().find(|one| one.email.as_deref() == Some(&*login));
        one.and_then(|one| one.attributes[rows::TITLE].as_deref().map(str::to_owned))
    };
    assert_eq!((seen.len(), title("noa").as_deref()), (2, Some("Lead")));
    assert_eq!(title("kim").as_deref(), Some("Engineer"), "it is in no list yet");
    // Another connection has written nothing, so it reads what the index shows.
    let (before, other) = (org.log().await.len(), org.connected(org.settings()));
    let mut count = 0;
    other.list(&org.mapping, &mut |_| count += 1).await.unwrap();
    assert_eq!((count, org.log().await.len() - before), (1, 1));
    let found = other.find(&org.mapping, Key::Email("KIM@example.com")).await.unwrap();
    assert_eq!(found.len(), 1, "a look-up by login does not lag");
    org.control.advance(61).await.unwrap();
    let before = org.log().await.len();
    assert_eq!((all(&org).await.len(), org.log().await.len() - before), (2, 1));
}

#[tokio::test]
async fn a_listing_is_one_search_and_ends_where_it_repeats_itself_or_leaves_the_org() {
    let org = begin().await;
    let users: Vec<Value> = (0..250)
        .map(|n| user(&format!("p{n}"), if n % 50 == 0 { "DEPROVISIONED" } else { "ACTIVE" }))
        .collect();
    org.users(json!(users)).await;
    let before = org.log().await.len();
    assert_eq!(all(&org).await.len(), 250, "with those who are deactivated");
    let calls: Vec<String> = org.log().await.into_iter().skip(before).map(|call| call.2).collect();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|query| query.contains("search=") && query.contains("limit=200")));
    for (next, said) in [("samePage", "repeat themselves"), ("otherHost", "at another address")] {
        org.put("/quirks", json!({"next": next})).await;
        let outcome = org.provider.list(&org.mapping, &mut |_| ()).await;
        assert!(
            matches!(&outcome, Err(Error::Unavailable { said: text }) if text.contains(said)),
            "{next}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn logins_that_differ_in_case_or_accents_collide_and_a_slash_is_searched_for() {
    let org = begin().await;
    one(&org, "zoe", "ACTIVE").await;
    let gone = one(&org, "kim", "DEPROVISIONED").await;
    for (login, field) in [("ZOE@example.com", "login"), ("zoë@example.com", "login")] {
        let mut wanted = creation(&account("x"), Access::Active);
        wanted.attributes[0].1 = bobsync::domain::account::NewValue::Set(login.into());
        let refused =
            org.provider.create(&org.mapping, &wanted, &Initial::default()).await.unwrap_err();
        assert_eq!(refused, Error::Duplicate { field: Some(field.to_owned()) }, "{login}");
    }
    let find = |login: &'static str| org.provider.find(&org.mapping, Key::Email(login));
    assert_eq!(find("Zoe@Example.com").await.unwrap().len(), 1);
    assert_eq!(find("zoë@example.com").await.unwrap().len(), 0, "it is another person's");
    assert_eq!(find("zoe").await.unwrap().len(), 0, "and the first part of a login is no login");
    assert_eq!(find("kim@example.com").await.unwrap()[0].id, gone, "who is deactivated owns it");
    // A mark or an e-mail is one search.
    let (noa, before) = (mark("zoe"), org.log().await.len());
    let key = Key::MarkOrAddress(&noa, "kim@example.com");
    assert_eq!(org.provider.find(&org.mapping, key).await.unwrap().len(), 2);
    assert_eq!(org.log().await.len() - before, 1);
    let mut slashed = user("slash", "ACTIVE");
    slashed["profile"]["login"] = json!("eu/noa@example.com");
    org.users(json!([slashed])).await;
    let before = org.log().await.len();
    assert_eq!(find("eu/noa@example.com").await.unwrap().len(), 1);
    assert_eq!(org.log().await.len() - before, 1);
    org.put("/quirks", json!({"uniqueEmails": true})).await;
    let mut wanted = creation(&account("y"), Access::Active);
    wanted.attributes[1].1 = bobsync::domain::account::NewValue::Set("zoe@example.com".into());
    let refused =
        org.provider.create(&org.mapping, &wanted, &Initial::default()).await.unwrap_err();
    assert_eq!(refused, Error::Duplicate { field: Some("email".to_owned()) });
}

#[tokio::test]
async fn another_master_is_told_and_access_still_goes() {
    let org = begin().await;
    let mut mastered = user("noa", "ACTIVE");
    mastered["provider"] = json!("ACTIVE_DIRECTORY");
    let id = org.users(json!([mastered])).await.remove(0);
    let titled = || write(&[(rows::TITLE, Some("Lead"))]);
    let (refused, _) = update(&org, &id, &titled()).await;
    assert!(matches!(refused, Err(Error::Mastered { .. })), "{refused:?}");
    org.put("/quirks", json!({"mastered": "ignore"})).await;
    let foreign = all(&org).await.remove(0).foreign.map(|text| text.as_ref().into());
    let ignored = AccountWrite { foreign, ..titled() };
    let (refused, _) = update(&org, &id, &ignored).await;
    assert!(matches!(refused, Err(Error::Mastered { .. })), "{refused:?}");
    let (written, _) = change(&org, org.settings(), &id, &LEAVE).await;
    assert_eq!(written.unwrap().account.state, AccountState::Suspended);
}

#[tokio::test]
async fn a_success_without_the_change_is_a_refusal() {
    let org = begin().await;
    let id = one(&org, "noa", "ACTIVE").await;
    org.put("/org", json!({"ignored": ["title"]})).await;
    let foreign = all(&org).await.remove(0).foreign.map(|text| text.as_ref().into());
    let both = AccountWrite {
        foreign,
        ..write(&[(rows::TITLE, Some("Lead")), (rows::DEPARTMENT, Some("Sea"))])
    };
    let (written, _) = update(&org, &id, &both).await;
    let left = written.unwrap().left.expect("the title");
    assert_eq!(left.rows, [rows::TITLE]);
    assert!(
        matches!(&left.error, Error::Rejected { field: Some(field), .. } if field == "title"),
        "{left:?}"
    );
    let (refused, _) = update(&org, &id, &write(&[(rows::TITLE, None)])).await;
    assert!(matches!(refused, Err(Error::Rejected { .. })), "{refused:?}");
    assert_eq!(org.stored(&id).await["profile"]["department"], "Sea");
}

#[tokio::test]
async fn maintenance_takes_no_writes_and_too_many_calls_at_once_are_no_spent_window() {
    let org = begin().await;
    let id = one(&org, "noa", "ACTIVE").await;
    org.put("/org", json!({"readOnly": true})).await;
    let (refused, _) = update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(
        matches!(&refused, Err(Error::Unavailable { said }) if said.contains("maintenance")),
        "{refused:?}"
    );
    assert_eq!(all(&org).await.len(), 1, "reads go on");
    org.put("/org", json!({"readOnly": false})).await;
    org.put("/limits", json!({"atOnce": 0})).await;
    let begun = std::time::Instant::now();
    let (refused, _) = update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(matches!(refused, Err(Error::Throttled { .. })), "{refused:?}");
    org.put("/limits", json!({"atOnce": 75})).await;
    let (written, _) = update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    written.unwrap();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn buckets_are_counted_apart() {
    let org = begin().await;
    let id = one(&org, "noa", "ACTIVE").await;
    // Writes of one user are spent for a minute, and lists are not.
    org.put("/limits", json!({"bucket": "userWrites", "limit": 300, "remaining": 1})).await;
    update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    let next = write(&[(rows::TITLE, Some("Head"))]);
    tokio::select! {
        biased;
        outcome = org.provider.update(&org.mapping, &id, &next, Urgency::Normal) => panic!("{outcome:?}"),
        () = tokio::time::sleep(std::time::Duration::from_millis(300)) => {}
    }
    assert_eq!(all(&org).await.len(), 1);
    // Access that ends is counted in another window.
    let outcome = org.provider.update(&org.mapping, &id, &LEAVE, Urgency::Urgent).await;
    assert_eq!(outcome.unwrap().account.state, AccountState::Suspended);
}

#[tokio::test]
async fn values_follow_the_schema_and_what_it_lacks_is_named() {
    let org = begin().await;
    let custom = json!({
        "floor": {"title": "Floor", "type": "integer"},
        "remote": {"title": "Remote", "type": "boolean"},
    });
    org.put("/schema", json!({"custom": custom})).await;
    let targets = ["login", "email", "firstName", "lastName", "floor", "remote", "shoe"];
    let mapping = mapping(&targets);
    let listing = org.provider.list(&mapping, &mut |_| ()).await.unwrap();
    assert_eq!(listing.unavailable, [6]);
    let id = one(&org, "noa", "ACTIVE").await;
    let change = write(&[(4, Some("7")), (5, Some("true"))]);
    let written = org.provider.update(&mapping, &id, &change, Urgency::Normal).await.unwrap();
    assert_eq!(
        (written.account.attributes[4].as_deref(), written.account.attributes[5].as_deref()),
        (Some("7"), Some("true"))
    );
    let stored = &org.stored(&id).await["profile"];
    assert_eq!((&stored["floor"], &stored["remote"]), (&json!(7), &json!(true)));
    org.put("/schema", json!({"custom": {MARK: null}})).await;
    let other = org.connected(org.settings());
    let refused = other.list(&mapping, &mut |_| ()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Misconfigured { said }
            if said.contains("markAttribute") && said.contains(MARK)),
        "{refused:?}"
    );
}
