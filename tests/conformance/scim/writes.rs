//! Cases of creates and changes in the dialects that servers speak.

use std::time::{Duration, Instant};

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite},
        matching::Matcher,
        priority::Urgency,
    },
    engine::pass::outcome::{Failure, Outcome},
    provider::{
        Error, Initial, Provider, Written,
        scim::{MarkPlace, ScimServer, Tenant as Settings, UpdateMethod},
    },
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind};

use super::server::{COMPANY, ENTERPRISE, Server, TOKEN, bearer, mapping};
use crate::{
    passes::{active, done, execute_plan},
    tenant::{Calls, Tenant, account, creation, listed, mark, rows, write},
};

/// Changes an account by this connection, with what the plan knows of it.
async fn update(
    server: &Server,
    provider: &ScimServer,
    id: &str,
    change: &AccountWrite,
) -> Result<Written, Error> {
    let foreign = listed(server, id).await.foreign.map(|foreign| foreign.as_ref().into());
    let change = AccountWrite { foreign, ..change.clone() };
    provider.update(&server.mapping, id, &change, Urgency::Normal).await
}

fn mixed() -> AccountWrite {
    AccountWrite {
        access: Some(Access::Suspended),
        ..write(&[
            (1, Some("noa.2@example.com")),
            (rows::TITLE, None),
            (rows::DEPARTMENT, Some("Sales")),
            (rows::EXTENSION, Some("B-8")),
            (rows::FIRST, None),
        ])
    }
}

#[tokio::test]
async fn a_create_and_a_change_have_exactly_these_requests() {
    let server = Server::start().await;
    let made = server
        .provider
        .create(&server.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap();
    assert_eq!(
        server.last_body().await,
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", COMPANY, ENTERPRISE],
            "externalId": mark("noa"), "userName": "noa@example.com", "active": true,
            "title": "Engineer", "name": {"givenName": "Noa", "familyName": "Lind"},
            "emails": [{"type": "work", "value": "noa@example.com", "primary": true}],
            ENTERPRISE: {"department": "Platform"}, COMPANY: {"badge": "A-7"},
        })
    );
    update(&server, &server.provider, &made.account.id, &mixed()).await.unwrap();
    assert_eq!(
        server.last_body().await,
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                {"op": "replace", "path": "emails[type eq \"work\"].value",
                    "value": "noa.2@example.com"},
                {"op": "remove", "path": "title"},
                {"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Sales"},
                {"op": "replace", "path": format!("{COMPANY}:badge"), "value": "B-8"},
                {"op": "remove", "path": "name.givenName"},
                {"op": "replace", "path": "active", "value": false},
            ],
        })
    );
}

#[tokio::test]
async fn every_dialect_makes_the_same_of_a_change_and_keeps_what_is_not_ours() {
    for (updates, quirks, methods) in [
        (UpdateMethod::Auto, json!({}), &["PATCH"][..]),
        (UpdateMethod::Auto, json!({"patch": {"noContent": true}}), &["PATCH", "GET"]),
        (UpdateMethod::Auto, json!({"patch": {"emptyAnswer": true}}), &["PATCH", "GET"]),
        (UpdateMethod::Auto, json!({"patch": {"mostOperations": 6}}), &["PATCH"]),
        (
            UpdateMethod::Auto,
            json!({"routes": {"patch": "notImplemented"}}),
            &["PATCH", "GET", "PUT"],
        ),
        (UpdateMethod::Auto, json!({"routes": {"patch": "notAllowed"}}), &["PATCH", "GET", "PUT"]),
        (UpdateMethod::Auto, json!({"routes": {"patchAnnounced": false}}), &["GET", "PUT"]),
        (UpdateMethod::Patch, json!({"routes": {"patchAnnounced": false}}), &["PATCH"]),
        (UpdateMethod::Put, json!({}), &["GET", "PUT"]),
        (UpdateMethod::Put, json!({"values": {"etags": false}}), &["GET", "PUT"]),
        (
            UpdateMethod::Put,
            json!({"writes": {"putMerges": true, "noDefaultActive": true}}),
            &["GET", "PUT"],
        ),
        (UpdateMethod::Put, json!({"values": {"activeIsText": true}}), &["GET", "PUT"]),
        (UpdateMethod::Auto, json!({"errors": {"plainJson": true}}), &["PATCH"]),
    ] {
        let server = Server::start().await;
        let id = server.make(&[account("noa")]).await.remove(0);
        server.give_foreign(&id).await;
        let rest = server.rest(&id).await;
        server.quirks(quirks.clone()).await;
        let provider = server.updating(updates);
        let change = if quirks["writes"]["putMerges"] == true {
            // Such a server cannot clear anything.
            AccountWrite {
                attributes: write(&[(rows::DEPARTMENT, Some("Sales"))]).attributes,
                ..mixed()
            }
        } else {
            mixed()
        };
        let foreign = listed(&server, &id).await.foreign.map(|foreign| foreign.as_ref().into());
        let change = AccountWrite { foreign, ..change };
        let before = server.methods().await.len();
        let written = provider.update(&server.mapping, &id, &change, Urgency::Normal).await;
        let written = written.unwrap_or_else(|error| panic!("{updates:?} {quirks}: {error:?}"));
        assert_eq!(server.methods().await[before..], *methods, "{updates:?} {quirks}");
        let stored = server.look(&id).await.unwrap();
        assert_eq!(crate::tenant::plain(written.account), stored, "{updates:?} {quirks}");
        assert_eq!(
            (stored.state, stored.mark.as_deref(), stored.attributes[rows::DEPARTMENT].as_deref()),
            (AccountState::Suspended, Some(&*mark("noa")), Some("Sales")),
            "{updates:?} {quirks}"
        );
        if quirks["writes"]["putMerges"] != true {
            assert_eq!(stored.attributes[rows::TITLE], None);
            assert_eq!(stored.attributes[1].as_deref(), Some("noa.2@example.com"));
        }
        assert_eq!(server.rest(&id).await, rest, "{updates:?} {quirks}");
        // What was learned of the server holds for the next change.
        let before = server.methods().await.len();
        let again = AccountWrite { access: Some(Access::Active), ..AccountWrite::default() };
        provider.update(&server.mapping, &id, &again, Urgency::Urgent).await.unwrap();
        let last = methods.last().filter(|last| **last == "PUT").map_or("PATCH", |_| "PUT");
        assert!(server.methods().await[before..].contains(&last.to_owned()), "{quirks}");
        assert_eq!(server.look(&id).await.unwrap().state, AccountState::Active, "{quirks}");
    }
}

#[tokio::test]
async fn a_server_without_the_call_of_the_settings_says_what_to_set() {
    let server = Server::start().await;
    let id = server.make(&[account("noa")]).await.remove(0);
    server.quirks(json!({"routes": {"patch": "notAllowed", "put": "notImplemented"}})).await;
    for updates in [UpdateMethod::Auto, UpdateMethod::Patch, UpdateMethod::Put] {
        let provider = server.updating(updates);
        let refused = update(&server, &provider, &id, &mixed()).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Rejected { said, .. } if said.contains("scim.updates")),
            "{updates:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_user_who_was_changed_in_between_is_read_again_once() {
    for updates in [UpdateMethod::Patch, UpdateMethod::Put] {
        let server = Server::start().await;
        let id = server.make(&[account("noa")]).await.remove(0);
        let foreign = listed(&server, &id).await.foreign.map(|foreign| foreign.as_ref().into());
        let change = AccountWrite { foreign, ..mixed() };
        server
            .edit(
                &id,
                json!({"nickName": "Other", "emails": [
            {"type": "home", "value": "home@example.org", "primary": true},
            {"type": "work", "value": "noa@example.com"}]}),
            )
            .await;
        let rest = server.rest(&id).await;
        let before = server.methods().await.len();
        let provider = server.updating(updates);
        provider.update(&server.mapping, &id, &change, Urgency::Normal).await.unwrap();
        let methods = server.methods().await.split_off(before);
        let expected: &[&str] = if updates == UpdateMethod::Patch {
            &["PATCH", "GET", "PATCH"]
        } else {
            &["GET", "PUT"]
        };
        assert_eq!(methods, expected);
        assert_eq!(server.rest(&id).await, rest, "the change of the other tool stays");
        assert_eq!(server.look(&id).await.unwrap().state, AccountState::Suspended);
    }
}

#[tokio::test]
async fn a_value_that_has_gone_is_added_whole() {
    let server = Server::start().await;
    server.quirks(json!({"values": {"etags": false}})).await;
    let id = server.make(&[account("noa")]).await.remove(0);
    let foreign = listed(&server, &id).await.foreign.map(|foreign| foreign.as_ref().into());
    let change = AccountWrite { foreign, ..write(&[(1, Some("noa.2@example.com"))]) };
    server.edit(&id, json!({"emails": null})).await;
    server.provider.update(&server.mapping, &id, &change, Urgency::Normal).await.unwrap();
    assert_eq!(
        server.stored(&id).await["emails"],
        json!([{"type": "work", "value": "noa.2@example.com", "primary": true}])
    );
}

#[tokio::test]
async fn a_success_without_the_change_is_rejected() {
    for updates in [UpdateMethod::Patch, UpdateMethod::Put] {
        let server = Server::start().await;
        let id = server.make(&[account("noa")]).await.remove(0);
        let provider = server.updating(updates);
        server.quirks(json!({"writes": {"changeNothing": true}})).await;
        for change in [
            write(&[(rows::TITLE, Some("Lead"))]),
            write(&[(rows::TITLE, None)]),
            AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() },
            AccountWrite { mark: Some("4711".into()), ..AccountWrite::default() },
        ] {
            let refused = update(&server, &provider, &id, &change).await.unwrap_err();
            assert!(
                matches!(&refused, Error::Rejected { field: Some(_), .. }),
                "{updates:?} {change:?}: {refused:?}"
            );
        }
        // The rest of a change is made, and what was not is told.
        let quirks = json!({"writes": {"changeNothing": false, "oneEmail": true,
            "ignored": ["title", format!("{ENTERPRISE}:department")]}});
        server.quirks(quirks).await;
        let change = write(&[
            (rows::TITLE, Some("Lead")),
            (rows::DEPARTMENT, Some("Sales")),
            (rows::FIRST, Some("Noah")),
        ]);
        let written = update(&server, &provider, &id, &change).await.unwrap();
        let left = written.left.expect("a part is left");
        assert_eq!(left.rows, [rows::TITLE, rows::DEPARTMENT]);
        assert_eq!(
            server.look(&id).await.unwrap().attributes[rows::FIRST].as_deref(),
            Some("Noah")
        );
    }
}

#[tokio::test]
async fn a_second_email_that_a_server_drops_is_named() {
    let server = Server::start().await;
    let mapping = mapping(&["userName", "emails.work", "emails.home", "title"]);
    let id = server.make(&[account("noa")]).await.remove(0);
    server.quirks(json!({"writes": {"oneEmail": true}})).await;
    let change = write(&[(2, Some("home@example.org")), (3, Some("Lead"))]);
    let written = server.provider.update(&mapping, &id, &change, Urgency::Normal).await.unwrap();
    assert_eq!(written.left.expect("a part is left").rows, [2]);
    server.quirks(json!({"writes": {"oneEmail": false, "oneValue": true}})).await;
    let refused = server.provider.update(&mapping, &id, &change, Urgency::Normal).await;
    assert!(
        matches!(&refused, Err(Error::Rejected { field: Some(field), .. }) if field == "emails.home"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_new_user_whom_the_server_lets_in_anyway_is_an_unknown_outcome() {
    let server = Server::start().await;
    server.quirks(json!({"writes": {"createIsActive": true}})).await;
    let wanted = creation(&account("noa"), Access::Suspended);
    let made = server.provider.create(&server.mapping, &wanted, &Initial::default()).await;
    assert!(matches!(made, Err(Error::Unknown { .. })), "{made:?}");
}

#[tokio::test]
async fn a_user_without_active_can_be_used_and_is_suspended_like_any_other() {
    let server = Server::start().await;
    server.quirks(json!({"writes": {"noDefaultActive": true}})).await;
    let id = server.make(&[account("noa")]).await.remove(0);
    server.edit(&id, json!({"active": null})).await;
    assert_eq!(listed(&server, &id).await.state, AccountState::Active);
    for updates in [UpdateMethod::Patch, UpdateMethod::Put] {
        let provider = server.updating(updates);
        let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
        provider.update(&server.mapping, &id, &suspend, Urgency::Urgent).await.unwrap();
        assert_eq!(server.stored(&id).await["active"], json!(false));
        // A PUT of an attribute leaves it so.
        update(&server, &provider, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.unwrap();
        assert_eq!(server.stored(&id).await["active"], json!(false));
        server.edit(&id, json!({"active": null, "title": "Engineer"})).await;
    }
}

#[tokio::test]
async fn a_taken_name_is_told_whatever_form_the_refusal_has() {
    let server = Server::start().await;
    server.make(&[account("noa"), account("kim")]).await;
    for (quirks, row, field) in [
        (json!({"errors": {"statusIsNumber": true}}), 0, Some("userName")),
        (json!({"errors": {"scimType": false}}), 0, Some("userName")),
        (json!({"writes": {"uniqueEmails": true}}), 1, Some("emails.work")),
    ] {
        server.quirks(quirks.clone()).await;
        let mut wanted = account("ola");
        wanted.attributes[row] = Some("noa@example.com".into());
        let wanted = creation(&wanted, Access::Active);
        let made = server.provider.create(&server.mapping, &wanted, &Initial::default()).await;
        let field = field.map(str::to_owned);
        assert_eq!(made, Err(Error::Duplicate { field }), "{quirks}");
    }
}

#[tokio::test]
async fn a_taken_value_is_looked_for_by_the_login_and_then_by_the_mark() {
    for filters in [json!(null), json!(["userName"])] {
        let server = Server::start().await;
        let mut renamed = account("renamed");
        renamed.mark = Some(mark("noa").into());
        let id = server.make(&[renamed]).await.remove(0);
        server.quirks(json!({"filters": {"attributes": filters}})).await;
        let taken = json!({"status": "409", "scimType": "uniqueness", "detail": "It exists."});
        let fault = Fault::new(FaultKind::Status).status(409).body(taken);
        server.fault(Calls::Creates, fault).await;
        // The plan did not see the account.
        let (people, mapping) = ([active("noa")], crate::passes::mapping(&server));
        let plan = bobsync::domain::plan::plan(Matcher::new(&mapping, &people, true), true);
        let (_, outcomes) = execute_plan(&server, plan, &[]).await;
        let searches = server.log().await.into_iter();
        let searches = searches.filter(|(_, _, query, _)| query.contains("filter=")).count();
        assert_eq!(searches, 2, "{filters}");
        if filters.is_null() {
            assert_eq!(done(&outcomes, 0), id);
        } else {
            let Outcome::Failed { failure: Failure::Conflict(said), .. } = &outcomes[&0] else {
                panic!("{outcomes:?}")
            };
            assert!(said.contains("no account shows it"), "{said}");
        }
    }
}

#[tokio::test]
async fn numbers_of_an_extension_are_written_as_numbers() {
    let server = Server::start().await;
    let id = server.make(&[account("noa")]).await.remove(0);
    let mapping = mapping(&["userName", &format!("{COMPANY}:floor")]);
    let set = |text| server.provider.update(&mapping, &id, text, Urgency::Normal);
    let change = write(&[(1, Some("3"))]);
    assert_eq!(set(&change).await.unwrap().account.attributes[1].as_deref(), Some("3"));
    assert_eq!(server.stored(&id).await[COMPANY]["floor"], json!(3));
    let refused = set(&write(&[(1, Some("third"))])).await;
    assert!(matches!(refused, Err(Error::Rejected { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_mark_may_be_the_employee_number() {
    let server = Server::start().await;
    let settings = Settings { mark: MarkPlace::EmployeeNumber, ..server.settings() };
    let provider = server.connected(settings, bearer(TOKEN), true);
    let wanted = creation(&account("noa"), Access::Active);
    let made = provider.create(&server.mapping, &wanted, &Initial::default()).await.unwrap();
    let stored = server.stored(&made.account.id).await;
    assert_eq!(
        (&stored[ENTERPRISE]["employeeNumber"], &stored["externalId"]),
        (&json!(mark("noa")), &Value::Null)
    );
    let key = mark("noa");
    let found = provider.find(&server.mapping, bobsync::provider::Key::Mark(&key)).await.unwrap();
    assert_eq!((found.len(), found[0].mark.as_deref()), (1, Some(&*key)));
    let other = mark("other");
    let change = AccountWrite { mark: Some(other.as_str().into()), ..AccountWrite::default() };
    provider.update(&server.mapping, &made.account.id, &change, Urgency::Normal).await.unwrap();
    assert_eq!(server.stored(&made.account.id).await[ENTERPRISE]["employeeNumber"], json!(other));
}

#[tokio::test]
async fn a_refusal_for_the_number_of_calls_without_a_time_makes_calls_slower() {
    let server = Server::start().await;
    let ids = server.make(&[account("noa")]).await;
    let change = write(&[(rows::TITLE, Some("Lead"))]);
    update(&server, &server.provider, &ids[0], &change).await.unwrap();
    server.control.scim("PUT", "/limits", json!({"limit": 6000, "remaining": 0})).await.unwrap();
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    let once = || server.provider.update(&server.mapping, &ids[0], &suspend, Urgency::Urgent);
    assert_eq!(once().await, Err(Error::Throttled { wait: None }));
    server.control.scim("PUT", "/limits", json!({"limit": 6000})).await.unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        once().await.unwrap();
    }
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(950)..Duration::from_secs(20)).contains(&took),
        "five calls a second: {took:?}"
    );
}
