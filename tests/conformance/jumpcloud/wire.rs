//! Cases that only JumpCloud has: the exact requests, arrays that are replaced as a whole,
//! usernames with numbers, staged accounts, passwords that are expired afterwards, and refusals
//! that do not name the field.

use std::time::Duration;

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite, NewValue},
        priority::Urgency,
    },
    http::secret::Secret,
    provider::{Error, Initial, Key, Provider as _, jumpcloud},
};
use serde_json::json;
use simulators::{Fault, FaultKind, client::Service};

use super::organization::{KEY, Organization, TARGETS, attribute, choosing, mapping};
use crate::tenant::{Calls, Tenant as _, account, creation, listed, mark, rows, update, write};

/// Returns the query parameters, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://jumpcloud/?{query}")).unwrap();
    url.query_pairs().into_owned().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[tokio::test]
async fn a_listing_goes_from_page_to_page_in_the_order_of_ids_and_asks_for_what_is_mapped_and_no_more()
 {
    let jumpcloud = Organization::start().await;
    jumpcloud
        .make(&(0..101).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    let plain = mapping(&["email", "username", "phoneNumbers.work", "jobTitle"]);
    let listing = jumpcloud.provider.list(&plain, &mut |_| ()).await.unwrap();
    assert_eq!((listing.accounts, listing.whole), (101, true));
    let log = jumpcloud.log().await;
    assert_eq!(log.len(), 2, "the total tells that there is no third page");
    for ((method, path, query, _), skip) in log.iter().zip(["0", "100"]) {
        assert_eq!((method.as_str(), path.as_str()), ("GET", "/api/systemusers"));
        for (name, value) in [
            ("limit", "100"),
            ("skip", skip),
            ("sort", "_id"),
            (
                "fields",
                "_id email username state suspended restrictedFields admin externally_managed organization phoneNumbers attributes jobTitle",
            ),
        ] {
            assert_eq!(parameter(query, name).as_deref(), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_listing_that_goes_in_circles_or_is_none_ends_as_an_error() {
    let jumpcloud = Organization::start().await;
    let user = json!({"_id": "5f0c1b2c3d4e5f6071829304", "email": "noa@example.com", "username": "noa", "state": "ACTIVATED"});
    for body in [
        json!({"totalCount": 7, "results": [user]}),
        json!({"totalCount": 1, "results": [{"email": "noa@example.com"}]}),
        json!({"totalCount": 0}),
        json!({"results": 7}),
        json!({"message": "no", "code": 500}),
        json!([]),
        json!(null),
    ] {
        jumpcloud
            .fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body.clone()))
            .await;
        let before = jumpcloud.calls().await;
        let outcome = jumpcloud.provider.list(&jumpcloud.mapping, &mut |_| ()).await;
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{body}: {outcome:?}");
        assert!(jumpcloud.calls().await <= before + 2, "{body}");
        jumpcloud.heal().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_slips_from_one_page_to_another_is_seen_all_the_same() {
    let jumpcloud = Organization::start().await;
    let ids = jumpcloud
        .make(&(0..150).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    let mut seen = Vec::new();
    let listing = jumpcloud
        .provider
        .list(&jumpcloud.mapping, &mut |account| {
            seen.push(account.id.to_string());
            if seen.len() == 1 {
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(jumpcloud.delete(&ids[0]))
                });
            }
        })
        .await
        .unwrap();
    assert_eq!((listing.whole, listing.accounts), (false, 150));
    // User 101 moved to the first page, which had been read.
    assert!(seen.contains(&ids[100]));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 150, "and nobody twice");
}

#[tokio::test]
async fn an_account_is_looked_up_with_a_filter_that_looks_at_case() {
    let jumpcloud = Organization::start().await;
    jumpcloud.quirks(json!({"lowersAddresses": false})).await;
    let mut mixed = account("noa");
    mixed.attributes[rows::EMAIL] = Some("Noa.Lind@example.com".into());
    let id = jumpcloud.make(&[mixed, account("kim")]).await.remove(0);
    let found = jumpcloud
        .provider
        .find(&jumpcloud.mapping, Key::Email("Noa.Lind@example.com"))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(*found[0].id, *id);
    let log = jumpcloud.log().await;
    let filters: Vec<_> =
        log.iter().filter_map(|(.., query, _)| parameter(query, "filter")).collect();
    assert_eq!(filters, ["email:$eq:noa.lind@example.com", "email:$eq:Noa.Lind@example.com"]);
    for id in ["../systemusers", "a/b", "", " ", "é", "."] {
        let before = jumpcloud.calls().await;
        assert!(
            jumpcloud
                .provider
                .find(&jumpcloud.mapping, Key::Id(id))
                .await
                .is_ok_and(|found| found.is_empty())
                || id.trim().is_empty()
        );
        let written = jumpcloud
            .provider
            .update(&jumpcloud.mapping, id, &write(&[(rows::TITLE, Some("x"))]), Urgency::Normal)
            .await;
        assert_eq!(written, Err(Error::NotFound));
        assert_eq!(jumpcloud.calls().await, before, "{id} is no id");
    }
}

#[tokio::test]
async fn a_create_sends_everything_at_once_and_always_a_state() {
    let jumpcloud = Organization::start().await;
    let boss = jumpcloud.make(&[account("boss")]).await.remove(0);
    let targets = [
        "email",
        "username",
        "firstname",
        "middlename",
        "lastname",
        "displayname",
        "phoneNumbers.work",
        "phoneNumbers.work_mobile",
        "jobTitle",
        "department",
        "employeeIdentifier",
        "location",
        "employeeType",
        "manager",
        "addresses.work.locality",
        "addresses.work.country",
        "attributes.badge",
    ];
    let values = [
        "noa@example.com",
        "noa.lind",
        "Noa",
        "M",
        "Lind",
        "Noa Lind",
        "+44 1",
        "+44 2",
        "Lead",
        "Platform",
        "E-17",
        "London",
        "Full time",
        &boss,
        "London",
        "GB",
        "A-7",
    ];
    let attributes: Vec<_> =
        values.iter().enumerate().map(|(row, text)| (row, NewValue::Set((*text).into()))).collect();
    let mapping = mapping(&targets);
    let write = AccountWrite {
        occasion: bobsync::domain::account::Occasion::Other,
        attributes,
        mark: Some(mark("noa").into()),
        access: Some(Access::Suspended),
        foreign: None,
    };
    let made = jumpcloud.provider.create(&mapping, &write, &Initial::default()).await.unwrap();
    let (method, path, query, body) = jumpcloud.log().await.pop().unwrap();
    assert_eq!((method.as_str(), path.as_str(), query.as_str()), ("POST", "/api/systemusers", ""));
    let wanted = json!({
        "email": "noa@example.com", "username": "noa.lind", "firstname": "Noa", "middlename": "M", "lastname": "Lind",
        "displayname": "Noa Lind", "phoneNumbers": [{"type": "work", "number": "+44 1"}, {"type": "work_mobile", "number": "+44 2"}],
        "jobTitle": "Lead", "department": "Platform", "employeeIdentifier": "E-17", "location": "London", "employeeType": "Full time",
        "manager": boss, "addresses": [{"type": "work", "locality": "London", "country": "GB"}],
        "attributes": [{"name": "badge", "value": "A-7"}, {"name": "bobsyncEmployeeId", "value": mark("noa")}], "state": "SUSPENDED",
    });
    assert_eq!(body, wanted);
    let attributes: Vec<_> =
        made.account.attributes.iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(attributes, values);
}

#[tokio::test]
async fn an_active_account_without_a_password_is_activated_or_staged_as_the_settings_say() {
    let jumpcloud = Organization::start().await;
    let password = Secret::new("Correct-Horse-7");
    let with = Initial { password: Some(&password), change_at_first_login: false };
    for (number, (stages, access, initial, state)) in [
        (false, Access::Active, Initial::default(), "ACTIVATED"),
        (true, Access::Active, Initial::default(), "STAGED"),
        (true, Access::Active, with, "ACTIVATED"),
        (true, Access::Suspended, Initial::default(), "SUSPENDED"),
        (false, Access::Suspended, with, "SUSPENDED"),
    ]
    .into_iter()
    .enumerate()
    {
        let provider =
            jumpcloud.connected(jumpcloud::Tenant { stages, ..jumpcloud.settings() }, KEY, true);
        let wanted = creation(&account(&format!("noa-{number}")), access);
        let made = provider.create(&jumpcloud.mapping, &wanted, &initial).await.unwrap().account;
        assert_eq!(jumpcloud.last_body().await["state"], state);
        assert_eq!(jumpcloud.stored(&made.id).await["state"], state);
        if state == "STAGED" {
            assert_eq!(made.state, AccountState::Staged);
            // A leaver's account is suspended from here.
            let suspend =
                AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
            update(&jumpcloud, &made.id, &suspend).await.0.unwrap();
            assert_eq!(jumpcloud.last_body().await, json!({"state": "SUSPENDED"}));
        }
    }
}

#[tokio::test]
async fn a_password_is_expired_after_the_create_until_that_worked() {
    let jumpcloud = Organization::start().await;
    let password = Secret::new("Correct-Horse-7");
    let initial = Initial { password: Some(&password), change_at_first_login: true };
    let fault =
        Fault::new(FaultKind::Status).status(503).method("POST").path("/api/systemusers/").times(2);
    jumpcloud.control.fault(Service::JumpCloud, &fault).await.unwrap();
    let made = jumpcloud
        .provider
        .create(&jumpcloud.mapping, &creation(&account("noa"), Access::Active), &initial)
        .await
        .unwrap();
    let paths: Vec<_> = jumpcloud
        .log()
        .await
        .into_iter()
        .map(|(method, path, query, _)| format!("{method} {path}?{query}"))
        .collect();
    let expire = format!("POST /api/systemusers/{}/expire?", made.account.id);
    assert_eq!(
        paths,
        [
            "POST /api/systemusers?fullValidationDetails=password".to_owned(),
            expire.clone(),
            expire.clone(),
            expire
        ]
    );
    assert_eq!(jumpcloud.stored(&made.account.id).await["password_expired"], true);
    assert!(!format!("{:?}", jumpcloud.outcomes.lock()).contains("Horse"));

    // An account after a lost answer is completed in the same way.
    let other = jumpcloud.make(&[account("kim")]).await.remove(0);
    jumpcloud.provider.finish(&other, &initial).await.unwrap();
    assert_eq!(jumpcloud.stored(&other).await["password_expired"], true);
    let before = jumpcloud.calls().await;
    jumpcloud
        .provider
        .finish(&other, &Initial { password: Some(&password), change_at_first_login: false })
        .await
        .unwrap();
    assert_eq!(jumpcloud.calls().await, before);
}

#[tokio::test]
async fn a_password_that_the_policy_refuses_is_told_with_the_reason_and_without_the_password() {
    let jumpcloud = Organization::start().await;
    jumpcloud.quirks(json!({"passwordLength": 24})).await;
    let password = Secret::new("Correct-Horse-7");
    let initial = Initial { password: Some(&password), change_at_first_login: false };
    let made = jumpcloud
        .provider
        .create(&jumpcloud.mapping, &creation(&account("noa"), Access::Active), &initial)
        .await;
    let Err(Error::Rejected { field, said }) = made else { panic!("{made:?}") };
    assert_eq!(
        (field.as_deref(), said.contains("minLength"), said.contains("Horse")),
        (Some("password"), true, false),
        "{said}"
    );
}

#[tokio::test]
async fn a_username_that_is_chosen_gets_a_number_where_it_is_taken_and_one_that_is_mapped_does_not()
{
    let jumpcloud = Organization::start().await;
    let choosing = choosing(&TARGETS);
    let named = |name: &str, username: &str| {
        let mut wanted = account(name);
        wanted.attributes[rows::EMAIL + 1] = Some(username.to_owned().into());
        creation(&wanted, Access::Active)
    };
    for bare in [false, true] {
        jumpcloud.quirks(json!({"bareDuplicates": bare})).await;
        for (name, expected) in [("noa", "noa.lind"), ("kim", "noa.lind.2"), ("ola", "noa.lind.3")]
        {
            let (name, username) = (format!("{name}-{bare}"), format!("noa.lind{bare}"));
            let made = jumpcloud
                .provider
                .create(&choosing, &named(&name, &username), &Initial::default())
                .await
                .unwrap();
            let expected = expected.replace("noa.lind", &username);
            assert_eq!(
                (made.account.username.as_deref(), made.account.attributes[1].as_deref()),
                (Some(&*expected), Some(&*expected))
            );
        }
        // An employee with this e-mail gets no second account, even if the username is free.
        let again = jumpcloud
            .provider
            .create(&choosing, &named(&format!("noa-{bare}"), "somebody"), &Initial::default())
            .await;
        assert_eq!(again, Err(Error::Duplicate { field: Some("email".to_owned()) }));
        let mapped = jumpcloud
            .provider
            .create(
                &jumpcloud.mapping,
                &named("new", &format!("noa.lind{bare}")),
                &Initial::default(),
            )
            .await;
        assert_eq!(mapped, Err(Error::Duplicate { field: Some("username".to_owned()) }));
    }
    assert_eq!(jumpcloud.size().await, 6);
}

#[tokio::test]
async fn a_refusal_without_a_word_is_a_duplicate_only_where_looking_shows_one() {
    let jumpcloud = Organization::start().await;
    let mapping = mapping(&["email", "username", "jobTitle", "employeeIdentifier"]);
    let create = async |values: [&str; 4]| {
        let rows: Vec<_> =
            values.iter().enumerate().map(|(row, text)| (row, Some(*text))).collect();
        let write = AccountWrite {
            access: Some(Access::Active),
            mark: Some(mark(values[0]).into()),
            ..write(&rows)
        };
        jumpcloud.provider.create(&mapping, &write, &Initial::default()).await
    };
    let first =
        create(["noa@example.com", "noa", "Lead", "E-1"]).await.unwrap().account.id.to_string();
    let second =
        create(["kim@example.com", "kim", "Lead", "E-2"]).await.unwrap().account.id.to_string();
    jumpcloud.quirks(json!({"bareDuplicates": true, "bareRefusals": true})).await;
    for (values, field) in [
        (["noa@example.com", "new", "Lead", "E-3"], "email"),
        (["new@example.com", "noa", "Lead", "E-3"], "username"),
        (["new@example.com", "new", "Lead", "E-1"], "employeeIdentifier"),
    ] {
        assert_eq!(create(values).await, Err(Error::Duplicate { field: Some(field.to_owned()) }));
    }
    // The own account does not count as another one.
    let change = |row, text| write(&[(row, Some(text))]);
    let own =
        jumpcloud.provider.update(&mapping, &second, &change(3, "E-1"), Urgency::Normal).await;
    assert_eq!(own, Err(Error::Duplicate { field: Some("employeeIdentifier".to_owned()) }));
    let wrong = jumpcloud
        .provider
        .update(&mapping, &first, &change(2, &"x".repeat(2000)), Urgency::Normal)
        .await;
    assert!(matches!(wrong, Err(Error::Rejected { field: None, .. })), "{wrong:?}");
    let wrong = create(["new@example.com", "new", &"x".repeat(2000), "E-3"]).await;
    assert!(matches!(wrong, Err(Error::Rejected { field: None, .. })), "{wrong:?}");
    assert_eq!(jumpcloud.size().await, 2);
}

#[tokio::test]
async fn two_people_without_an_employee_number_are_not_in_each_others_way() {
    let jumpcloud = Organization::start().await;
    let mapping = mapping(&["email", "username", "employeeIdentifier", "manager"]);
    for (name, number) in [("noa", "E-1"), ("kim", "E-2")] {
        let rows = [(0, Some(&*format!("{name}@example.com"))), (1, Some(name)), (2, Some(number))]
            .map(|(row, text)| (row, text.map(str::to_owned)));
        let rows: Vec<_> = rows.iter().map(|(row, text)| (*row, text.as_deref())).collect();
        let made =
            jumpcloud.provider.create(&mapping, &write(&rows), &Initial::default()).await.unwrap();
        let cleared = jumpcloud
            .provider
            .update(&mapping, &made.account.id, &write(&[(2, None), (3, None)]), Urgency::Normal)
            .await;
        assert_eq!(cleared.unwrap().account.attributes[2], None);
        assert_eq!(
            jumpcloud.last_body().await,
            json!({"employeeIdentifier": null, "manager": null})
        );
    }
}

#[tokio::test]
async fn an_update_reads_the_entries_first_where_it_does_not_know_them() {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    jumpcloud.give_foreign(&id).await;
    let before = jumpcloud.calls().await;
    let marked = AccountWrite { mark: Some(mark("noa-2").into()), ..AccountWrite::default() };
    jumpcloud.provider.update(&jumpcloud.mapping, &id, &marked, Urgency::Normal).await.unwrap();
    assert_eq!(jumpcloud.calls().await, before + 2);
    let stored = jumpcloud.stored(&id).await;
    assert_eq!(
        (attribute(&stored, "bobsyncEmployeeId"), attribute(&stored, "badge")),
        (&json!(mark("noa-2")), &json!("A-7"))
    );
    assert_eq!(attribute(&stored, "shoe"), "46 \"wide\"");
    let foreign = listed(&jumpcloud, &id).await.foreign.unwrap();
    assert!(foreign.contains("shoe"), "{foreign}");
    jumpcloud
        .provider
        .update(&jumpcloud.mapping, &id, &write(&[(rows::TITLE, Some("Lead"))]), Urgency::Normal)
        .await
        .unwrap();
    assert_eq!(
        jumpcloud.last_body().await,
        json!({"jobTitle": "Lead"}),
        "what is no array goes out alone"
    );
}

#[tokio::test]
async fn a_field_that_another_directory_masters_is_named_and_the_rest_of_the_account_is_in_reach() {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    jumpcloud
        .edit(&id, json!({"restrictedFields": [{"field": "jobTitle", "id": "5f0c1b2c3d4e5f6071829305", "type": "active_directory"}]}))
        .await;
    let known: Option<Box<str>> =
        listed(&jumpcloud, &id).await.foreign.map(|foreign| foreign.as_ref().into());
    for (foreign, calls) in [(known, 0), (None, 1)] {
        let change = AccountWrite { foreign, ..write(&[(rows::TITLE, Some("Lead"))]) };
        let before = jumpcloud.calls().await;
        let written =
            jumpcloud.provider.update(&jumpcloud.mapping, &id, &change, Urgency::Normal).await;
        assert!(
            matches!(&written, Err(Error::Rejected { field: Some(field), .. }) if field == "jobTitle"),
            "{written:?}"
        );
        assert_eq!(jumpcloud.calls().await, before + calls, "what is known before is not asked");
    }
    update(&jumpcloud, &id, &write(&[(rows::DEPARTMENT, Some("Sales"))])).await.0.unwrap();
}

#[tokio::test]
async fn states_are_told_apart_and_being_locked_is_none() {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    jumpcloud.edit(&id, json!({"account_locked": true, "activated": false})).await;
    assert_eq!(listed(&jumpcloud, &id).await.state, AccountState::Active);
    for (answer, state) in [
        (json!({"state": "SUSPENDED"}), AccountState::Suspended),
        (json!({"state": "STAGED", "suspended": false}), AccountState::Staged),
        (json!({"suspended": true}), AccountState::Suspended),
        (json!({"suspended": false}), AccountState::Active),
        (json!({"state": "PENDING"}), AccountState::Other),
        (json!({}), AccountState::Other),
    ] {
        let mut body = json!({"id": id, "email": "noa@example.com", "attributes": null});
        body.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        jumpcloud.fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body)).await;
        assert_eq!(listed(&jumpcloud, &id).await.state, state, "{answer}");
        jumpcloud.heal().await;
    }
}

#[tokio::test]
async fn an_entry_of_another_shape_hides_neither_the_mark_nor_its_neighbours_and_goes_back_as_it_was()
 {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    let odd = json!([{"name": "floor", "value": 7}, 7, {"name": "badge", "value": "A-7"}, {"name": "bobsyncEmployeeId", "value": mark("noa")}]);
    let body = json!({"_id": id, "email": "noa@example.com", "username": "noa", "state": "ACTIVATED", "attributes": odd});
    jumpcloud.fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body)).await;
    let read = listed(&jumpcloud, &id).await;
    assert_eq!(
        (read.mark, read.attributes[rows::EXTENSION].as_deref()),
        (Some(mark("noa").into()), Some("A-7"))
    );
    let change = AccountWrite {
        foreign: read.foreign.map(|foreign| foreign.as_ref().into()),
        ..write(&[(rows::EXTENSION, Some("B-8"))])
    };
    drop(jumpcloud.provider.update(&jumpcloud.mapping, &id, &change, Urgency::Normal).await);
    let sent = jumpcloud.last_body().await;
    assert_eq!(
        (&sent["attributes"][0], &sent["attributes"][2]["value"]),
        (&json!({"name": "floor", "value": 7}), &json!("B-8"))
    );
}

#[tokio::test]
async fn the_organization_goes_with_every_call_and_a_wrong_one_is_told_from_a_wrong_key() {
    let jumpcloud = Organization::start().await;
    jumpcloud.control.jumpcloud("PUT", "/credentials", json!({"several": true})).await.unwrap();
    let list = async |organization: &str| {
        let settings =
            jumpcloud::Tenant { organization: organization.to_owned(), ..jumpcloud.settings() };
        jumpcloud
            .connected(settings, KEY, true)
            .list(&jumpcloud.mapping, &mut |_| ())
            .await
            .map(drop)
    };
    let said = |outcome: Result<(), Error>| outcome.unwrap_err().to_string();
    assert!(list("5f0c1b2c3d4e5f6071829304").await.is_ok());
    let without = list("").await;
    assert!(matches!(without, Err(Error::Unauthorized { .. })), "{without:?}");
    assert!(said(without).contains("organizationId"));
    for wrong in ["5f0c1b2c3d4e5f6071829305", "acme"] {
        let outcome = list(wrong).await;
        assert!(matches!(outcome, Err(Error::Denied { .. })), "{outcome:?}");
        assert!(said(outcome).contains("organizationId"));
    }
}

#[tokio::test]
async fn a_blocked_address_is_an_outage_and_no_lack_of_rights() {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    jumpcloud.control.jumpcloud("PUT", "/organization", json!({"blocked": true})).await.unwrap();
    let listing = jumpcloud.provider.list(&jumpcloud.mapping, &mut |_| ()).await;
    assert!(matches!(listing, Err(Error::Unavailable { .. })), "{listing:?}");
    let (written, _) = update(&jumpcloud, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(matches!(written, Err(Error::Unknown { .. })), "{written:?}");
}

#[tokio::test]
async fn whatever_says_when_to_come_back_is_believed() {
    let jumpcloud = Organization::start().await;
    jumpcloud.quirks(json!({"retryAfter": 7})).await;
    jumpcloud.exhaust().await;
    let listing = jumpcloud.provider.list(&jumpcloud.mapping, &mut |_| ()).await;
    assert_eq!(
        listing.map(drop),
        Err(Error::Throttled { wait: Some(std::time::Duration::from_secs(7)) })
    );
}

#[tokio::test]
async fn nothing_of_the_key_is_told() {
    let jumpcloud = Organization::start().await;
    let settings = jumpcloud.settings();
    let provider = jumpcloud.connected(settings.clone(), "wrong-key-1", true);
    let error = provider.list(&jumpcloud.mapping, &mut |_| ()).await.unwrap_err();
    assert!(
        !format!("{settings:?} {error} {error:?} {:?}", jumpcloud.outcomes.lock())
            .contains("wrong-key-1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_pages_get_through_twenty_calls_a_minute() {
    let organization = Organization::start().await;
    organization
        .make(&(0..2_950).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    organization.control.jumpcloud("PUT", "/limits", json!({"limit": 20})).await.unwrap();
    let mut seen = 0;
    let mut sink = |_: bobsync::domain::account::Account<'_>| seen += 1;
    let listing = organization.provider.list(&organization.mapping, &mut sink);
    // The next minute comes once a call of this one was refused, on any machine.
    let minutes = async {
        let mut refused = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let log = organization.control.log(Service::JumpCloud, 0).await.unwrap();
            let now = log.iter().filter(|entry| entry.status == 429).count();
            if std::mem::replace(&mut refused, now) < now {
                organization.control.advance(60).await.unwrap();
            }
        }
    };
    let listing = tokio::select! {
        listing = listing => listing.unwrap(),
        () = minutes => unreachable!("minutes go on"),
    };
    assert_eq!((listing.accounts, seen, listing.whole), (2_950, 2_950, true));
    let calls = organization.calls().await;
    assert!((31..35).contains(&calls), "30 pages, and few that were refused: {calls}");
}

#[tokio::test]
async fn a_user_who_is_not_found_in_the_organization_says_nothing_of_the_organization() {
    let jumpcloud = Organization::start().await;
    let id = jumpcloud.make(&[account("noa")]).await.remove(0);
    for status in [400, 404] {
        let fault = Fault::new(FaultKind::Status)
            .status(status)
            .body(json!({"message": "User not found in organization"}));
        jumpcloud.control.fault(Service::JumpCloud, &fault).await.unwrap();
        assert_eq!(jumpcloud.provider.find(&jumpcloud.mapping, Key::Id(&id)).await, Ok(vec![]));
        let change = write(&[(rows::TITLE, Some("Lead"))]);
        assert_eq!(
            jumpcloud.provider.update(&jumpcloud.mapping, &id, &change, Urgency::Normal).await,
            Err(Error::NotFound)
        );
        jumpcloud.heal().await;
    }
    let fault = Fault::new(FaultKind::Status)
        .status(404)
        .body(json!({"message": "Organization not found"}));
    jumpcloud.control.fault(Service::JumpCloud, &fault).await.unwrap();
    let listing = jumpcloud.provider.list(&jumpcloud.mapping, &mut |_| ()).await;
    assert!(matches!(listing, Err(Error::Denied { .. })), "{listing:?}");
}
