//! Cases that only OneLogin has: the exact requests, and the traps of its users API.

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite},
        priority::Urgency,
    },
    provider::{Error, Initial, Key, Provider as _},
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind, client::Service};

use super::acme::{Acme, Config, mapping};
use crate::tenant::{Calls, Tenant as _, account, creation, listed, mark, rows, update, write};

/// Returns the query parameters, decoded.
fn parameters(query: &str) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://acme/?{query}"))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_listing_names_the_fields_of_the_mapping_and_no_others() {
    let acme = Acme::start().await;
    acme.make(&(0..201).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    acme.provider.list(&acme.mapping, &mut |_| ()).await.unwrap();
    let log = acme.log().await;
    let fields = "id,external_id,email,username,status,state,directory_id,trusted_idp_id,title,department,manager_user_id,firstname,lastname,custom_attributes";
    assert_eq!(log.len(), 3);
    for (page, (method, path, query, _)) in ["1", "2", "3"].iter().zip(&log) {
        assert_eq!((method.as_str(), path.as_str()), ("GET", "/api/2/users"));
        assert_eq!(
            parameters(query),
            pairs(&[("limit", "100"), ("page", page), ("fields", fields)])
        );
    }

    // Without custom attributes in the mapping neither they nor their definitions are read.
    acme.control.delete_users().await.unwrap();
    acme.provider.list(&mapping(&["username", "email"]), &mut |_| ()).await.unwrap();
    let log = acme.log().await;
    assert_eq!(log.len(), 4);
    assert_eq!(
        parameters(&log[3].2)[2].1,
        "id,external_id,email,username,status,state,directory_id,trusted_idp_id"
    );
}

#[tokio::test]
async fn look_ups_filter_by_the_exact_text_and_name_the_fields() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa+1&a=b")]).await.remove(0);
    let mark = mark("noa+1&a=b");
    for (key, filter) in [
        (Key::Mark(&mark), ("external_id", &*mark)),
        (Key::Email("noa+1&a=b@example.com"), ("email", "noa+1&a=b@example.com")),
    ] {
        let found = acme.provider.find(&acme.mapping, key).await.unwrap();
        assert_eq!(found.iter().map(|account| &*account.id).collect::<Vec<_>>(), [&*id]);
        let (_, path, query, _) = acme.log().await.pop().unwrap();
        assert_eq!(path, "/api/2/users");
        assert_eq!(parameters(&query)[0], pairs(&[filter])[0]);
        assert_eq!(parameters(&query)[1].0, "fields");
    }
    acme.provider.find(&acme.mapping, Key::Id(&id)).await.unwrap();
    let (method, path, query, _) = acme.log().await.pop().unwrap();
    assert_eq!(
        (method, path, query),
        ("GET".to_owned(), format!("/api/2/users/{id}"), String::new())
    );
}

#[tokio::test]
async fn an_id_that_is_no_number_never_becomes_an_address() {
    let acme = Acme::start().await;
    for id in ["7/unlock", "../1", "custom_attributes", "-7", " 7"] {
        assert_eq!(acme.provider.find(&acme.mapping, Key::Id(id)).await, Ok(vec![]), "{id}");
        let change = write(&[(rows::TITLE, Some("Lead"))]);
        assert_eq!(
            acme.provider.update(&acme.mapping, id, &change, Urgency::Normal).await,
            Err(Error::NotFound),
            "{id}"
        );
    }
    assert_eq!(acme.calls().await + acme.token_calls().await, 0);
}

#[tokio::test]
async fn fewer_users_a_page_than_asked_for_are_no_end() {
    let acme = Acme::start().await;
    acme.make(&(0..120).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    acme.control.onelogin_quirks(json!({"pageSizeCap": 50})).await.unwrap();
    let listing = acme.provider.list(&acme.mapping, &mut |_| ()).await.unwrap();
    assert_eq!((listing.accounts, listing.whole, acme.calls().await), (120, true, 3));
}

#[tokio::test]
async fn thirty_pages_get_through_twenty_calls_at_a_time() {
    let acme = Acme::start().await;
    acme.make(&(0..2_950).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    acme.control.onelogin_window(20, 2).await.unwrap();
    let mut seen = 0;
    let listing = acme.provider.list(&acme.mapping, &mut |_| seen += 1).await.unwrap();
    assert_eq!((listing.accounts, seen, listing.whole), (2_950, 2_950, true));
}

#[tokio::test]
async fn pages_without_their_counts_end_where_the_rows_do() {
    let acme = Acme::start().await;
    let row = |id: u64| json!({"id": id, "email": format!("{id}@example.com"), "username": id.to_string(), "status": 1});
    let page = |from: u64, to: u64| Value::Array((from..to).map(row).collect());
    for (first, second, accounts, whole) in
        [(page(0, 100), page(100, 130), 130, true), (page(0, 100), page(99, 120), 120, false)]
    {
        for (body, times) in [(first, 1), (second, 1)] {
            let fault = Fault::new(FaultKind::Status).status(200).body(body).times(times);
            acme.control.fault(Service::OneLogin, &fault.path("/api/2/users")).await.unwrap();
        }
        let listing =
            acme.provider.list(&mapping(&["email", "username"]), &mut |_| ()).await.unwrap();
        assert_eq!((listing.accounts, listing.whole), (accounts, whole));
        acme.heal().await;
    }
    // The same page again and again is an error, not an endless listing.
    acme.fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(page(0, 100))).await;
    let outcome = acme.provider.list(&mapping(&["email", "username"]), &mut |_| ()).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_user_without_an_id_spoils_the_listing() {
    let acme = Acme::start().await;
    for body in [
        json!([{"id": 7}, {"email": "noa@example.com"}]),
        json!([{"id": "seven"}]),
        json!([7]),
        json!({"users": []}),
        json!(null),
    ] {
        acme.fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body.clone()))
            .await;
        let outcome = acme.provider.list(&acme.mapping, &mut |_| ()).await;
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{body}: {outcome:?}");
        acme.heal().await;
    }
}

#[tokio::test]
async fn definitions_are_asked_for_only_where_nobody_tells_them() {
    let acme = Acme::start().await;
    let definitions = || async {
        acme.log().await.iter().filter(|(_, path, ..)| path.ends_with("/custom_attributes")).count()
    };
    for _ in 0..2 {
        let listing = acme.provider.list(&acme.mapping, &mut |_| ()).await.unwrap();
        assert_eq!(listing.unavailable, [] as [usize; 0]);
    }
    assert_eq!(definitions().await, 1, "and remembered for a while");
    let mut noa = account("noa");
    noa.attributes[rows::EXTENSION] = None;
    acme.make(&[noa]).await;
    assert_eq!(
        acme.provider.list(&acme.mapping, &mut |_| ()).await.unwrap().unavailable,
        [] as [usize; 0],
        "null is defined"
    );
    assert_eq!(definitions().await, 1);
}

#[tokio::test]
async fn a_create_sends_what_was_written_and_nothing_else() {
    let acme = Acme::start().await;
    let boss = acme.make(&[account("boss")]).await.remove(0);
    let mut noa = account("noa");
    noa.attributes[rows::MANAGER] = Some(boss.clone().into());
    let mut creation = creation(&noa, Access::Active);
    // A new account has nothing to clear.
    creation.attributes.retain(|(row, _)| *row != rows::DEPARTMENT);
    creation.attributes.push((rows::DEPARTMENT, bobsync::domain::account::NewValue::Clear));
    acme.provider.create(&acme.mapping, &creation, &Initial::default()).await.unwrap();
    let mut log = acme.log().await;
    let (method, path, query, body) = log.pop().unwrap();
    assert_eq!((method.as_str(), path.as_str(), query.as_str()), ("POST", "/api/2/users", ""));
    let wanted = json!({
        "email": "noa@example.com", "username": "noa@example.com", "title": "Engineer", "manager_user_id": boss.parse::<u64>().unwrap(),
        "custom_attributes": {"work_cell": "A-7"}, "external_id": mark("noa"), "status": 1, "firstname": "Noa", "lastname": "Lind",
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn an_update_sends_the_keys_that_differ_and_custom_attributes_all_or_none() {
    let acme = Acme::start().await;
    let ids = acme.make(&[account("noa"), account("boss")]).await;
    acme.give_foreign(&ids[0]).await;
    let boss: u64 = ids[1].parse().unwrap();
    let only = |access| AccountWrite { access: Some(access), ..AccountWrite::default() };
    let others = json!({"work_cell": "B-8", "badge": "4711 \"gold\"", "shoe_size": "46"});
    for (change, body) in [
        (write(&[(rows::TITLE, Some("Lead"))]), json!({"title": "Lead"})),
        (write(&[(rows::TITLE, None)]), json!({"title": ""})),
        (write(&[(rows::MANAGER, Some(&ids[1]))]), json!({"manager_user_id": boss})),
        (write(&[(rows::MANAGER, None)]), json!({"manager_user_id": null})),
        (write(&[(rows::EXTENSION, Some("B-8"))]), json!({"custom_attributes": others})),
        (
            write(&[(rows::EXTENSION, None)]),
            json!({"custom_attributes": {"work_cell": "", "badge": "4711 \"gold\"", "shoe_size": "46"}}),
        ),
        (only(Access::Suspended), json!({"status": 2})),
        (only(Access::Active), json!({"status": 1})),
        (
            AccountWrite { mark: Some("333".into()), ..AccountWrite::default() },
            json!({"external_id": "333"}),
        ),
    ] {
        let change = AccountWrite {
            foreign: listed(&acme, &ids[0]).await.foreign.map(|foreign| foreign.as_ref().into()),
            ..change
        };
        update(&acme, &ids[0], &change).await.0.unwrap();
        assert_eq!(acme.last_body().await, body);
    }
    assert_eq!(
        acme.stored(&ids[0]).await["custom_attributes"],
        json!({"work_cell": null, "badge": "4711 \"gold\"", "shoe_size": "46"})
    );
}

#[tokio::test]
async fn tenants_that_merge_custom_attributes_or_keep_empty_texts_come_out_the_same() {
    for quirks in [
        json!({"customAttributes": "merge"}),
        json!({"emptyText": "null"}),
        json!({"trim": true, "lowercase": true}),
    ] {
        let acme = Acme::start().await;
        acme.control.onelogin_quirks(quirks.clone()).await.unwrap();
        crate::writing::what_we_do_not_own_survives(&acme).await;
        acme.control.delete_users().await.unwrap();
        crate::writing::an_attribute_is_cleared(&acme).await;
    }
}

#[tokio::test]
async fn a_tenant_that_refuses_null_says_which_attribute() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    acme.control.onelogin_quirks(json!({"nullValue": "refuse"})).await.unwrap();
    match update(&acme, &id, &write(&[(rows::MANAGER, None)])).await.0 {
        Err(Error::Rejected { field: Some(field), .. }) => assert_eq!(field, "manager_user_id"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn locks_and_passwords_are_states_of_their_own() {
    let acme = Acme::start().await;
    let mut users = Vec::new();
    for (status, state) in [
        (0, AccountState::Unactivated),
        (1, AccountState::Active),
        (2, AccountState::Suspended),
        (3, AccountState::Other),
        (4, AccountState::Other),
        (5, AccountState::Other),
        (7, AccountState::Other),
        (8, AccountState::Other),
    ] {
        let email = format!("status-{status}@example.com");
        let user = acme
            .control
            .create_user(json!({"email": email, "username": email, "status": status}))
            .await
            .unwrap();
        users.push((user["id"].to_string(), state));
    }
    let mut seen = Vec::new();
    acme.provider
        .list(&acme.mapping, &mut |account| seen.push((account.id.to_string(), account.state)))
        .await
        .unwrap();
    assert_eq!(seen, users);
}

#[tokio::test]
async fn a_status_that_did_not_take_is_no_confirmation() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    let number: u64 = id.parse().unwrap();
    for body in [
        json!({"id": number, "status": 1}),
        json!({"id": number + 1, "status": 2}),
        json!({"status": 2}),
        json!([]),
        json!({}),
    ] {
        acme.fault(Calls::Updates, Fault::new(FaultKind::Status).status(200).body(body.clone()))
            .await;
        let (written, _) = update(&acme, &id, &suspend).await;
        assert!(matches!(written, Err(Error::Unknown { .. })), "{body}: {written:?}");
        acme.heal().await;
    }
    // A short answer that names the account without an objection counts as an answer.
    acme.fault(Calls::Updates, Fault::new(FaultKind::Status).status(200).body(json!({"id": id})))
        .await;
    assert_eq!(
        update(&acme, &id, &suspend).await.0.unwrap().account.state,
        AccountState::Suspended
    );
}

#[tokio::test]
async fn a_manager_who_is_no_number_is_refused_before_anything_is_sent() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    let (written, calls) =
        update(&acme, &id, &write(&[(rows::TITLE, Some("Lead")), (rows::MANAGER, Some("boss"))]))
            .await;
    assert!(
        matches!(&written, Err(Error::Rejected { field: Some(field), .. }) if field == "manager_user_id"),
        "{written:?}"
    );
    assert_eq!(calls, 0);
    // A manager who was deleted since the listing.
    match update(&acme, &id, &write(&[(rows::MANAGER, Some("190009999"))])).await {
        (Err(Error::Rejected { field: Some(field), said }), 1) => {
            assert_eq!(field, "manager_user_id");
            assert!(!said.contains("190009999"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_call_is_told_with_its_outcome() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    acme.provider.list(&acme.mapping, &mut |_| ()).await.unwrap();
    acme.provider.find(&acme.mapping, Key::Mark("nobody")).await.unwrap();
    acme.provider.find(&acme.mapping, Key::Id("1")).await.unwrap();
    acme.provider
        .create(&acme.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap_err();
    update(&acme, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    let told = [
        ("token", "ok"),
        ("list", "ok"),
        ("find", "ok"),
        ("find", "not_found"),
        ("create", "duplicate"),
        ("update", "ok"),
    ];
    assert_eq!(*acme.outcomes.lock(), told);
}

#[tokio::test]
async fn accounts_without_a_licence_are_told_by_one_read_and_in_a_listing() {
    let acme = Acme::start().await;
    acme.control.onelogin_quirks(json!({"licences": 1})).await.unwrap();
    let make = async |name: &str, access| {
        let made = acme
            .provider
            .create(&acme.mapping, &creation(&account(name), access), &Initial::default())
            .await
            .unwrap();
        (made.account.id.to_string(), made.account.state)
    };
    let (noa, _) = make("noa", Access::Active).await;
    let (kim, state) = make("kim", Access::Active).await;
    assert_eq!(state, AccountState::Active, "the answer says that there is a licence");
    let (ola, _) = make("ola", Access::Suspended).await;
    let told = async || {
        let before = acme.outcomes.lock().len();
        let told = acme.provider.unlicensed(&acme.mapping, &[&noa, &kim, &ola]).await.unwrap();
        assert_eq!(acme.outcomes.lock().len(), before + 1, "one call for all of them");
        told
    };
    assert_eq!(told().await, [kim.clone().into()]);
    let states = async || {
        let mut states = Vec::new();
        acme.provider.list(&acme.mapping, &mut |account| states.push(account.state)).await.unwrap();
        states
    };
    assert_eq!(
        states().await,
        [AccountState::Active, AccountState::Unlicensed, AccountState::Suspended]
    );
    for (access, told_then) in
        [(Access::Suspended, vec![]), (Access::Active, vec![kim.clone().into()])]
    {
        let change = AccountWrite { access: Some(access), ..AccountWrite::default() };
        acme.provider.update(&acme.mapping, &kim, &change, Urgency::Normal).await.unwrap();
        assert_eq!(told().await, told_then);
    }
    acme.control.onelogin_quirks(json!({"licences": 5, "licensesWaiting": true})).await.unwrap();
    assert_eq!(
        states().await,
        [AccountState::Active, AccountState::Active, AccountState::Suspended],
        "it comes right by itself"
    );
    assert_eq!(told().await, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn a_suspension_ends_sessions_and_is_not_done_before() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    let suspended =
        async || acme.provider.update(&acme.mapping, &id, &suspend, Urgency::Urgent).await;
    suspended().await.unwrap();
    let log = acme.log().await;
    let calls: Vec<_> =
        log.iter().map(|(method, path, ..)| (method.as_str(), path.as_str())).collect();
    assert_eq!(
        calls,
        [("PUT", &*format!("/api/2/users/{id}")), ("PUT", &*format!("/api/1/users/{id}/logout"))]
    );

    // The second call fails: the suspension stays, and the change is made again.
    for (fault, known) in [
        (Fault::new(FaultKind::Status).status(503), true),
        (Fault::new(FaultKind::ResetAfterApply), true),
    ] {
        acme.control.fault(Service::OneLogin, &fault.path("/api/1/").times(1)).await.unwrap();
        let outcome = suspended().await;
        assert_eq!(matches!(outcome, Err(Error::Unavailable { .. })), known, "{outcome:?}");
        assert_eq!(acme.look(&id).await.unwrap().state, AccountState::Suspended);
        acme.heal().await;
        suspended().await.unwrap();
    }
    // A refusal of this call does not count as a refusal of the account.
    for status in [403, 404, 400] {
        let fault = Fault::new(FaultKind::Status).status(status).path("/api/1/").times(1);
        acme.control.fault(Service::OneLogin, &fault).await.unwrap();
        let outcome = suspended().await;
        let left = outcome.unwrap().left.expect("something is left");
        assert!(
            left.sessions
                && matches!(&left.error, Error::Forbidden { said } if said.contains("logout")),
            "{status}: {left:?}"
        );
        acme.heal().await;
    }
}

#[tokio::test]
async fn directories_that_only_check_passwords_are_no_masters_where_the_settings_say_so() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    for (named, elsewhere) in [
        (json!({"directory_id": 7}), true),
        (json!({"directory_id": null, "trusted_idp_id": 9}), true),
    ] {
        acme.control.change_user(id.parse().unwrap(), named).await.unwrap();
        assert_eq!(listed(&acme, &id).await.elsewhere, elsewhere);
    }
    let provider = super::acme::connected(Config { mastered: false, ..acme.config() });
    let mut seen = Vec::new();
    provider.list(&acme.mapping, &mut |account| seen.push(account.elsewhere)).await.unwrap();
    assert_eq!(seen, [false]);
    assert!(!provider.find(&acme.mapping, Key::Id(&id)).await.unwrap()[0].elsewhere);
}

#[tokio::test]
async fn a_refusal_while_calls_are_left_is_no_reason_to_wait_for_the_reset() {
    let acme = Acme::start().await;
    for (left, least, most) in [("4981", 1, 10), ("0", 3_590, 3_600)] {
        let fault = Fault::new(FaultKind::Status)
            .status(429)
            .header("x-ratelimit-remaining", left)
            .header("x-ratelimit-reset", "3599");
        acme.control.fault(Service::OneLogin, &fault.path("/api/2/users").times(1)).await.unwrap();
        let provider = super::acme::connected(acme.config());
        match provider.list(&acme.mapping, &mut |_| ()).await {
            Err(Error::Throttled { wait: Some(wait) }) => {
                assert!((least..=most).contains(&wait.as_secs()), "{left} left: {wait:?}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_group_is_set_changed_and_cleared_by_its_number() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    let mapping = mapping(&["email", "username", "group_id"]);
    for (text, stored) in [(Some("17"), json!(17)), (Some("18"), json!(18)), (None, Value::Null)] {
        acme.provider.update(&mapping, &id, &write(&[(2, text)]), Urgency::Normal).await.unwrap();
        assert_eq!(acme.stored(&id).await["group_id"], stored);
        let found = acme.provider.find(&mapping, Key::Id(&id)).await.unwrap();
        assert_eq!(found[0].attributes[2].as_deref(), text);
    }
    let refused =
        acme.provider.update(&mapping, &id, &write(&[(2, Some("Sales"))]), Urgency::Normal).await;
    assert!(
        matches!(&refused, Err(Error::Rejected { field: Some(field), .. }) if field == "group_id"),
        "{refused:?}"
    );
}
