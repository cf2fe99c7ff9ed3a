//! Cases that only Google has: the exact requests, arrays that are replaced as a whole, lag, and
//! the traps of the Directory API.

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite, NewValue},
        priority::Urgency,
    },
    engine::pass::outcome::{Failure, Outcome},
    http::secret::Secret,
    provider::{Error, Initial, Key, Provider as _, google},
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind, client::Service};

use super::workspace::{Workspace, mapping};
use crate::{
    passes::{pass, person},
    tenant::{Calls, Tenant as _, account, creation, listed, mark, rows, update, write},
};

/// Returns the query parameters, decoded.
fn parameters(query: &str) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://google/?{query}"))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[tokio::test]
async fn a_listing_goes_from_page_to_page_and_asks_for_what_is_mapped_and_no_more() {
    let google = Workspace::start().await;
    google
        .make(&(0..501).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    let plain = mapping(&["primaryEmail", "name.givenName", "phones.work"]);
    let listing = google.provider.list(&plain, &mut |_| ()).await.unwrap();
    assert_eq!((listing.accounts, listing.whole), (501, true));
    let log = google.log().await;
    assert_eq!(log.len(), 2);
    let fields = "nextPageToken,users(id,customerId,primaryEmail,suspended,archived,isAdmin,isDelegatedAdmin,name(givenName,familyName,displayName),phones,externalIds)";
    for (method, path, query, _) in &log {
        assert_eq!((method.as_str(), path.as_str()), ("GET", "/admin/directory/v1/users"));
        let named = |name| parameter(query, name);
        assert_eq!(named("customer").as_deref(), Some("my_customer"));
        assert_eq!(
            (named("maxResults").as_deref(), named("fields").as_deref(), named("projection")),
            (Some("500"), Some(fields), None)
        );
    }
    assert!(
        parameter(&log[0].2, "pageToken").is_none() && parameter(&log[1].2, "pageToken").is_some()
    );

    // Custom schemas are read by name, and their definitions once.
    for _ in 0..2 {
        google.provider.list(&google.mapping, &mut |_| ()).await.unwrap();
    }
    let log = google.log().await;
    let definitions: Vec<_> =
        log.iter().filter(|(_, path, ..)| path.ends_with("/schemas")).collect();
    assert_eq!(definitions.len(), 1, "and remembered for a while");
    assert_eq!(definitions[0].1, "/admin/directory/v1/customer/my_customer/schemas");
    let last = &log.last().unwrap().2;
    assert_eq!(
        (parameter(last, "projection").as_deref(), parameter(last, "customFieldMask").as_deref()),
        (Some("custom"), Some("Work"))
    );
}

#[tokio::test]
async fn a_page_that_points_back_or_is_none_ends_the_listing_as_an_error() {
    let google = Workspace::start().await;
    let user =
        json!({"id": "7", "primaryEmail": "noa@example.com", "name": {}, "suspended": false});
    for body in [
        json!({"users": [user], "nextPageToken": "again"}),
        json!({"users": [{"primaryEmail": "noa@example.com"}]}),
        json!({"users": [{"id": "seven", "suspended": false, "name": {}, "primaryEmail": "x@example.com"}]}),
        json!({"users": 7}),
        json!({"error": {"code": 500}}),
        json!([]),
        json!(null),
    ] {
        google
            .fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body.clone()))
            .await;
        let before = google.calls().await;
        let outcome = google.provider.list(&google.mapping, &mut |_| ()).await;
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{body}: {outcome:?}");
        assert!(google.calls().await <= before + 2, "{body}");
        google.heal().await;
    }
}

#[tokio::test]
async fn a_create_sends_everything_at_once_the_manager_by_email() {
    let google = Workspace::start().await;
    let mapping = mapping(&[
        "primaryEmail",
        "name.givenName",
        "name.familyName",
        "phones.mobile",
        "phones.work",
        "organizations.department",
        "organizations.title",
        "relations.manager",
        "externalIds.organization",
        "organizations.description",
    ]);
    let values = [
        "noa@example.com",
        "Noa",
        "Lind",
        "+44 1",
        "+44 2",
        "Platform",
        "Lead",
        "boss@example.com",
        "E-17",
        "Full time",
    ];
    let attributes =
        values.iter().enumerate().map(|(row, text)| (row, NewValue::Set((*text).into()))).collect();
    let write = AccountWrite {
        occasion: bobsync::domain::account::Occasion::Other,
        attributes,
        mark: Some(mark("noa").into()),
        access: Some(Access::Suspended),
        foreign: None,
    };
    let password = Secret::new("Correct-Horse-7");
    let initial = Initial { password: Some(&password), change_at_first_login: true };
    google.provider.create(&mapping, &write, &initial).await.unwrap();
    let (method, path, _, body) = google.log().await.pop().unwrap();
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/admin/directory/v1/users"));
    let wanted = json!({
        "primaryEmail": "noa@example.com", "name": {"givenName": "Noa", "familyName": "Lind"},
        "phones": [{"type": "mobile", "value": "+44 1"}, {"type": "work", "value": "+44 2"}],
        "organizations": [{"type": "work", "primary": true, "department": "Platform", "title": "Lead", "description": "Full time"}],
        "relations": [{"type": "manager", "value": "boss@example.com"}],
        "externalIds": [{"type": "organization", "value": "E-17"}, {"type": "custom", "customType": "bobsync", "value": mark("noa")}],
        "suspended": true, "password": "Correct-Horse-7", "changePasswordAtNextLogin": true, "orgUnitPath": "/",
    });
    assert_eq!(body, wanted);
}

/// Sets, changes and clears the rows after the e-mail, with and without knowledge of the other
/// entries.
#[tokio::test]
async fn addresses_locations_and_fields_with_several_values_keep_what_is_not_ours() {
    let google = Workspace::start().await;
    google
        .control
        .google(
            "PUT",
            "/schemas",
            json!({"Work": {"cell": "STRING", "skills": "STRING[]", "years": "INT64[]"}}),
        )
        .await
        .unwrap();
    let targets = [
        "primaryEmail",
        "addresses.work.locality",
        "addresses.work.country",
        "addresses.site.formatted",
        "locations.desk.buildingId",
        "locations.desk.deskCode",
        "customSchemas.Work.skills",
        "customSchemas.Work.years",
    ];
    let mapping = mapping(&targets);
    let id = google.make(&[account("noa")]).await.remove(0);
    let (home, area) = (
        json!({"type": "home", "locality": "Leeds", "primary": true}),
        json!({"type": "default", "area": "North"}),
    );
    let (rust, chess) = (
        json!({"type": "custom", "customType": "main", "value": "Rust"}),
        json!({"type": "home", "value": "Chess"}),
    );
    let foreign = json!({
        "addresses": [home, {"type": "work", "streetAddress": "1 High Road", "locality": "Hull"}],
        "locations": [area],
        "customSchemas": {"Work": {"cell": "+44 1", "skills": [rust, {"type": "work", "value": "C"}, chess]}},
    });
    google.edit(&id, foreign).await;
    let found = async || google.provider.find(&mapping, Key::Id(&id)).await.unwrap().remove(0);
    let read = found().await;
    let text = |row: usize| read.attributes[row].as_deref();
    assert_eq!(
        (text(1), text(3), text(4), text(6), text(7)),
        (Some("Hull"), None, None, Some("C"), None)
    );
    let change = async |rows: &[(usize, Option<&str>)], knows: bool| {
        let foreign =
            if knows { found().await.foreign.map(|foreign| foreign.as_ref().into()) } else { None };
        let write = AccountWrite { foreign, ..write(rows) };
        google.provider.update(&mapping, &id, &write, Urgency::Normal).await.unwrap();
        let read = found().await;
        for (row, text) in rows {
            assert_eq!(read.attributes[*row].as_deref(), *text, "{}", targets[*row]);
        }
        google.stored(&id).await
    };
    for knows in [true, false] {
        for (place, number) in [("York", "7"), ("Bath", "8")] {
            let rows = [
                (1, place),
                (2, "UK"),
                (3, "Dock 4"),
                (4, "B-7"),
                (5, number),
                (6, "Go"),
                (7, number),
            ]
            .map(|(row, text)| (row, Some(text)));
            let stored = change(&rows, knows).await;
            let work = json!({"type": "work", "streetAddress": "1 High Road", "locality": place, "country": "UK"});
            let site = json!({"type": "custom", "customType": "site", "formatted": "Dock 4"});
            assert_eq!(stored["addresses"], json!([home, work, site]));
            assert_eq!(
                stored["locations"],
                json!([area, {"type": "desk", "buildingId": "B-7", "deskCode": number}])
            );
            let work = &stored["customSchemas"]["Work"];
            assert_eq!(work["cell"], "+44 1");
            let skills = work["skills"].as_array().unwrap();
            assert!(
                skills.len() == 3
                    && [&rust, &chess, &json!({"type": "work", "value": "Go"})]
                        .iter()
                        .all(|one| skills.contains(one)),
                "{work}"
            );
            assert_eq!(
                work["years"],
                json!([{"type": "work", "value": number.parse::<i64>().unwrap()}])
            );
        }
        let rows = [1, 2, 3, 4, 5, 6, 7].map(|row| (row, None));
        let stored = change(&rows, knows).await;
        assert_eq!(
            stored["addresses"],
            json!([home, {"type": "work", "streetAddress": "1 High Road"}])
        );
        let work = &stored["customSchemas"]["Work"];
        assert_eq!(
            (&stored["locations"], &work["years"], &work["skills"]),
            (&json!([area]), &json!([]), &json!([rust, chess]))
        );
    }
    // A refusal that names the array concerns the rows in it.
    google
        .control
        .google("PUT", "/refuse", json!({"rules": [{"field": "locations", "contains": "nowhere"}]}))
        .await
        .unwrap();
    let refused = google
        .provider
        .update(&mapping, &id, &write(&[(4, Some("nowhere"))]), Urgency::Normal)
        .await;
    assert!(
        matches!(&refused, Err(Error::Rejected { field: Some(field), .. }) if field == targets[4]),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_organizational_unit_is_the_settings_unless_a_row_says_otherwise_and_a_hash_is_sent_as_one()
 {
    let google = Workspace::start().await;
    google
        .control
        .google("PUT", "/directory", json!({"orgUnits": ["/", "/Staff", "/Staff/Berlin"]}))
        .await
        .unwrap();
    let settings = google::Tenant { org_unit: "/Staff".to_owned(), ..google.settings() };
    let provider = google.connected(settings, &google.key(), true);
    let hash = Secret::new(format!("$6$salt${}", "a".repeat(86)));
    let mapping = mapping(&["primaryEmail", "name.givenName", "name.familyName", "orgUnitPath"]);
    for (name, unit) in [("noa", None), ("kim", Some("/Staff/Berlin"))] {
        let email = format!("{name}@example.com");
        let rows = [(0, Some(&*email)), (1, Some("A")), (2, Some("B")), (3, unit)];
        let given: Vec<_> = rows.into_iter().filter(|(_, value)| value.is_some()).collect();
        provider
            .create(
                &mapping,
                &write(&given),
                &Initial { password: Some(&hash), change_at_first_login: false },
            )
            .await
            .unwrap();
        let body = google.last_body().await;
        assert_eq!(body["orgUnitPath"], unit.unwrap_or("/Staff"));
        assert_eq!(
            (&body["hashFunction"], &body["password"]),
            (&json!("crypt"), &json!(hash.expose()))
        );
    }
    let wrong = write(&[
        (0, Some("ola@example.com")),
        (1, Some("A")),
        (2, Some("B")),
        (3, Some("/Nowhere")),
    ]);
    match provider.create(&mapping, &wrong, &Initial::default()).await {
        Err(Error::Rejected { field, .. }) => assert_eq!(field.as_deref(), Some("orgUnitPath")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_update_sends_what_differs_and_arrays_whole() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    google.give_foreign(&id).await;
    let stored = google.stored(&id).await;
    let (organizations, ids) = (stored["organizations"].clone(), stored["externalIds"].clone());
    let school = organizations[1].clone();
    let assistant = json!({"type": "assistant", "value": "kim@example.com"});
    let only = |access| AccountWrite { access: Some(access), ..AccountWrite::default() };
    for (change, body) in [
        (write(&[(rows::FIRST, Some("Noah"))]), json!({"name": {"givenName": "Noah"}})),
        (
            write(&[(rows::TITLE, Some("Lead"))]),
            json!({"organizations": [{"type": "work", "primary": true, "title": "Lead", "department": "Platform"}, school]}),
        ),
        (
            write(&[(rows::TITLE, None)]),
            json!({"organizations": [{"type": "work", "primary": true, "department": "Platform"}, school]}),
        ),
        (
            write(&[(rows::MANAGER, Some("boss@example.com"))]),
            json!({"relations": [assistant, {"type": "manager", "value": "boss@example.com"}]}),
        ),
        (write(&[(rows::MANAGER, None)]), json!({"relations": [assistant]})),
        (
            write(&[(rows::EXTENSION, Some("B-8"))]),
            json!({"customSchemas": {"Work": {"cell": "B-8"}}}),
        ),
        (write(&[(rows::EXTENSION, None)]), json!({"customSchemas": {"Work": {"cell": null}}})),
        (only(Access::Suspended), json!({"suspended": true})),
        (only(Access::Active), json!({"suspended": false})),
        (
            AccountWrite { mark: Some("333".into()), ..AccountWrite::default() },
            json!({"externalIds": [{"type": "custom", "customType": "bobsync", "value": "333"}, ids[1]]}),
        ),
    ] {
        let (written, calls) = update(&google, &id, &change).await;
        written.unwrap();
        let (method, path, _, sent) = google.log().await.pop().unwrap();
        assert_eq!(
            (method.as_str(), path, sent),
            ("PUT", format!("/admin/directory/v1/users/{id}"), body)
        );
        assert_eq!(calls, 1);
    }
}

#[tokio::test]
async fn the_last_entry_of_an_array_goes_with_an_empty_array() {
    let google = Workspace::start().await;
    let mut noa = account("noa");
    noa.attributes[rows::MANAGER] = Some("boss@example.com".into());
    let id = google.make(&[noa]).await.remove(0);
    update(
        &google,
        &id,
        &write(&[(rows::MANAGER, None), (rows::TITLE, None), (rows::DEPARTMENT, None)]),
    )
    .await
    .0
    .unwrap();
    assert_eq!(google.last_body().await, json!({"relations": [], "organizations": []}));
    let stored = google.stored(&id).await;
    assert!(stored.get("relations").is_none() && stored.get("organizations").is_none());
}

#[tokio::test]
async fn of_two_entries_of_one_type_the_first_is_ours_and_the_primary_organization_is() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    let phones = json!([{"type": "home", "value": "1"}, {"type": "work", "value": "2"}, {"type": "work", "value": "3", "primary": true}]);
    let organizations = json!([
        {"type": "school", "title": "Pupil"},
        {"type": "work", "title": "Second job"},
        {"title": "Engineer", "primary": true, "type": "domain_only"},
    ]);
    google.edit(&id, json!({"phones": phones, "organizations": organizations})).await;
    let mapping = mapping(&["primaryEmail", "phones.work", "organizations.title", "phones.desk"]);
    let found = google.provider.find(&mapping, Key::Id(&id)).await.unwrap().remove(0);
    assert_eq!(
        (found.attributes[1].as_deref(), found.attributes[2].as_deref()),
        (Some("2"), Some("Engineer"))
    );
    let change = AccountWrite {
        foreign: found.foreign.as_deref().map(Into::into),
        ..write(&[(1, Some("4")), (2, Some("Lead")), (3, Some("5"))])
    };
    google.provider.update(&mapping, &id, &change, Urgency::Normal).await.unwrap();
    let body = google.last_body().await;
    let custom = json!({"type": "custom", "customType": "desk", "value": "5"});
    assert_eq!(
        body["phones"],
        json!([phones[0], {"type": "work", "value": "4"}, phones[2], custom])
    );
    assert_eq!(body["organizations"][2]["title"], "Lead");
    assert_eq!(
        (&body["organizations"][0], &body["organizations"][1]),
        (&organizations[0], &organizations[1])
    );
}

#[tokio::test]
async fn an_update_that_has_to_know_the_arrays_and_does_not_reads_them_first() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    google.give_foreign(&id).await;
    let before = google.calls().await;
    google
        .provider
        .update(
            &google.mapping,
            &id,
            &write(&[(rows::MANAGER, Some("boss@example.com"))]),
            Urgency::Normal,
        )
        .await
        .unwrap();
    assert_eq!(google.calls().await, before + 2);
    assert_eq!(
        google.stored(&id).await["relations"].as_array().unwrap().len(),
        2,
        "the assistant is still there"
    );
}

#[tokio::test]
async fn a_rename_and_a_suspension_go_out_one_after_the_other() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    let change = AccountWrite {
        access: Some(Access::Suspended),
        ..write(&[(rows::EMAIL, Some("noa.2@example.com")), (rows::TITLE, Some("Lead"))])
    };
    let (written, calls) = update(&google, &id, &change).await;
    assert_eq!((written.unwrap().account.state, calls), (AccountState::Suspended, 2));
    let stored = google.look(&id).await.unwrap();
    assert_eq!(
        (stored.email.as_deref(), stored.state),
        (Some("noa.2@example.com"), AccountState::Suspended)
    );
    assert_eq!(google.last_body().await, json!({"suspended": true}), "the suspension comes last");
}

#[tokio::test]
async fn an_alias_finds_nobody_else() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    update(&google, &id, &write(&[(rows::EMAIL, Some("noa.lind@example.com"))])).await.0.unwrap();
    // The old address is an alias now, and the API returns the same user for it.
    assert_eq!(
        google.provider.find(&google.mapping, Key::Email("noa@example.com")).await,
        Ok(vec![])
    );
    let found =
        google.provider.find(&google.mapping, Key::Email("Noa.Lind@example.com")).await.unwrap();
    assert_eq!(*found[0].id, *id);
}

#[tokio::test]
async fn what_a_search_does_not_show_yet_a_read_by_key_does() {
    let google = Workspace::start().await;
    let wanted = creation(&account("noa"), Access::Active);
    let made = google.provider.create(&google.mapping, &wanted, &Initial::default()).await.unwrap();
    let mark = mark("noa");
    assert_eq!(
        google.provider.find(&google.mapping, Key::Mark(&mark)).await,
        Ok(vec![]),
        "searches lag"
    );
    for key in [Key::Email("noa@example.com"), Key::Id(&made.account.id)] {
        let found = google.provider.find(&google.mapping, key).await.unwrap();
        assert_eq!(found[0].mark.as_deref(), Some(&*mark), "{key:?}");
    }
    google.control.advance(3_601).await.unwrap();
    google.revoke_tokens().await;
    assert_eq!(google.provider.find(&google.mapping, Key::Mark(&mark)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_user_who_comes_without_flags_is_read_again_and_is_never_taken_for_suspended_or_active() {
    let google = Workspace::start().await;
    google.quirks(json!({"flagLagSeconds": 600})).await;
    google
        .provider
        .create(&google.mapping, &creation(&account("noa"), Access::Suspended), &Initial::default())
        .await
        .unwrap();
    let before = google.calls().await;
    let mut states = Vec::new();
    google
        .provider
        .list(&google.mapping, &mut |account| {
            states.push((account.state, account.attributes[rows::FIRST].is_some()))
        })
        .await
        .unwrap();
    assert_eq!(states, [(AccountState::Suspended, true)]);
    assert_eq!(google.calls().await, before + 2, "the page, and the user by id");
    // If that read does not help either, nothing is concluded.
    google.quirks(json!({"getLagSeconds": 600})).await;
    states.clear();
    google
        .provider
        .list(&google.mapping, &mut |account| {
            states.push((account.state, account.attributes[rows::FIRST].is_some()))
        })
        .await
        .unwrap();
    assert_eq!(states, [(AccountState::Other, false)]);
}

#[tokio::test]
async fn a_user_who_is_not_finished_yet_is_no_unknown_outcome_and_no_refusal() {
    let google = Workspace::start().await;
    google.quirks(json!({"updateLagSeconds": 60})).await;
    let made = google
        .provider
        .create(&google.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap();
    let (written, calls) =
        update(&google, &made.account.id, &write(&[(rows::FIRST, Some("Noah"))])).await;
    assert!(matches!(written, Err(Error::Unavailable { .. })), "{written:?}");
    assert_eq!(calls, 1);
    google.control.advance(61).await.unwrap();
    update(&google, &made.account.id, &write(&[(rows::FIRST, Some("Noah"))])).await.0.unwrap();
}

#[tokio::test]
async fn a_new_account_that_did_not_take_its_suspension_is_no_confirmation() {
    let google = Workspace::start().await;
    google.quirks(json!({"createIgnoresSuspended": true})).await;
    let made = google
        .provider
        .create(&google.mapping, &creation(&account("noa"), Access::Suspended), &Initial::default())
        .await;
    assert!(matches!(made, Err(Error::Unknown { .. })), "{made:?}");
}

#[tokio::test]
async fn what_google_itself_suspended_and_administrators_out_of_reach_are_forbidden() {
    let google = Workspace::start().await;
    let mut noa = account("noa");
    noa.state = AccountState::Suspended;
    let id = google.make(&[noa]).await.remove(0);
    google.control.google("PUT", "/directory", json!({"suspendedByGoogle": [id]})).await.unwrap();
    let (written, _) = update(
        &google,
        &id,
        &AccountWrite { access: Some(Access::Active), ..AccountWrite::default() },
    )
    .await;
    assert!(matches!(written, Err(Error::Forbidden { .. })), "{written:?}");
    assert!(
        update(&google, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.is_ok(),
        "the rest can be changed"
    );
}

#[tokio::test]
async fn an_address_of_a_group_or_of_a_foreign_domain_is_told_apart() {
    let google = Workspace::start().await;
    google
        .control
        .google("PUT", "/directory", json!({"groups": ["sales@example.com"]}))
        .await
        .unwrap();
    for (email, duplicate) in [("sales@example.com", true), ("noa@elsewhere.example", false)] {
        let mut wanted = account("noa");
        wanted.attributes[rows::EMAIL] = Some(email.into());
        match google
            .provider
            .create(&google.mapping, &creation(&wanted, Access::Active), &Initial::default())
            .await
        {
            Err(Error::Duplicate { field }) if duplicate => {
                assert_eq!(field.as_deref(), Some("primaryEmail"))
            }
            Err(Error::Rejected { field, .. }) if !duplicate => {
                assert_eq!(field.as_deref(), Some("primaryEmail"))
            }
            other => panic!("{email}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_custom_field_is_written_as_its_type() {
    let google = Workspace::start().await;
    let kinds =
        json!({"Work": {"remote": "BOOL", "badge": "INT64", "share": "DOUBLE", "cell": "STRING"}});
    google.control.google("PUT", "/schemas", kinds).await.unwrap();
    let targets = [
        "primaryEmail",
        "customSchemas.Work.remote",
        "customSchemas.Work.badge",
        "customSchemas.Work.share",
        "customSchemas.Work.cell",
    ];
    let mapping = mapping(&targets);
    let id = google.make(&[account("noa")]).await.remove(0);
    let change = write(&[(1, Some("true")), (2, Some("4711")), (3, Some("0.5")), (4, Some("7"))]);
    google.provider.update(&mapping, &id, &change, Urgency::Normal).await.unwrap();
    let sent: Value = google.last_body().await;
    assert_eq!(
        sent["customSchemas"]["Work"],
        json!({"remote": true, "badge": 4711, "share": 0.5, "cell": "7"})
    );
    let read = google.provider.find(&mapping, Key::Id(&id)).await.unwrap().remove(0);
    let values: Vec<_> = read.attributes.iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(values[1..], ["true", "4711", "0.5", "7"]);
}

#[tokio::test]
async fn every_call_is_told_with_its_outcome() {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    google.provider.list(&google.mapping, &mut |_| ()).await.unwrap();
    google.provider.find(&google.mapping, Key::Mark("333")).await.unwrap();
    google.provider.find(&google.mapping, Key::Id("1")).await.unwrap();
    google
        .provider
        .create(&google.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap_err();
    update(&google, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    assert_eq!(*listed(&google, &id).await.id, *id);
    let told = [
        ("token", "ok"),
        ("schemas", "ok"),
        ("token", "ok"),
        ("list", "ok"),
        ("find", "ok"),
        ("find", "not_found"),
        ("create", "duplicate"),
        ("update", "ok"),
        ("find", "ok"),
    ];
    assert_eq!(*google.outcomes.lock(), told);
}

#[tokio::test]
async fn an_entry_of_another_shape_hides_neither_the_mark_nor_its_neighbours_and_goes_back_as_it_was()
 {
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    let odd = json!([{"type": 7, "value": "F-1"}, 7, {"type": "custom", "customType": "bobsync", "value": mark("noa")}]);
    let phones =
        json!([{"type": "home", "value": 7}, {"type": "work", "value": "+44 20 7946 0000"}]);
    let body = json!({"id": id, "primaryEmail": "noa@example.com", "suspended": false, "name": {}, "externalIds": odd, "phones": phones,
        "organizations": [7]});
    google.fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body)).await;
    let plain = mapping(&["primaryEmail", "phones.work", "organizations.title"]);
    let read = google.provider.find(&plain, Key::Id(&id)).await.unwrap().remove(0);
    assert_eq!(
        (read.mark, read.attributes[1].as_deref()),
        (Some(mark("noa").into()), Some("+44 20 7946 0000"))
    );
    let change = AccountWrite {
        foreign: read.foreign.map(|foreign| foreign.as_ref().into()),
        ..write(&[(1, Some("+44 20 7946 0001")), (2, Some("Lead"))])
    };
    drop(google.provider.update(&plain, &id, &change, Urgency::Normal).await);
    let sent = google.last_body().await;
    assert_eq!(
        sent["phones"],
        json!([{"type": "home", "value": 7}, {"type": "work", "value": "+44 20 7946 0001"}])
    );
    assert_eq!(
        sent["organizations"],
        json!([7, {"type": "work", "primary": true, "title": "Lead"}])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_change_that_is_under_way_is_waited_for_and_is_no_refusal() {
    let google = Workspace::start().await;
    let titled = |title: &'static str, access| {
        let mut wanted = account("noa");
        wanted.attributes[rows::TITLE] = Some(title.into());
        [person(&wanted, None, access)]
    };
    pass(&google, &titled("Engineer", Access::Active)).await;
    google.quirks(json!({"conflictSeconds": 1})).await;
    // Each of these comes within a second after the one before: an attribute, access, and both.
    for (title, access) in [
        ("Lead", Access::Active),
        ("Boss", Access::Active),
        ("Boss", Access::Suspended),
        ("Boss", Access::Active),
        ("Keeper", Access::Suspended),
    ] {
        let (_, outcomes) = pass(&google, &titled(title, access)).await;
        let Outcome::Done(done) = &outcomes[&0] else { panic!("{title} {access:?}: {outcomes:?}") };
        assert!(done.refused.is_none(), "{title} {access:?}: {done:?}");
        let stored = google.look(&done.account).await.unwrap();
        assert_eq!(
            (stored.attributes[rows::TITLE].as_deref(), stored.state == AccountState::Suspended),
            (Some(title), access == Access::Suspended)
        );
    }
    let refused = google
        .control
        .log(Service::Google, 0)
        .await
        .unwrap()
        .into_iter()
        .filter(|call| call.status == 409)
        .count();
    assert!(refused >= 4, "the simulator did refuse: {refused}");
    // A create has an address, and the message does not concern it.
    let body = json!({"error": {"code": 409, "message": "Conflicting requests. Please try again.", "errors": [{"reason": "conflict"}]}});
    google
        .fault(Calls::Creates, Fault::new(FaultKind::Status).status(409).body(body).times(1))
        .await;
    let people = [
        person(&account("noa"), None, Access::Active),
        person(&account("kim"), None, Access::Active),
    ];
    let (_, outcomes) = pass(&google, &people).await;
    assert!(matches!(&outcomes[&1], Outcome::Done(done) if done.refused.is_none()), "{outcomes:?}");
    assert_eq!(google.size().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_a_foreign_domain_concerns_that_employee_only_whatever_google_answers() {
    for forbidden in [true, false] {
        let google = Workspace::start().await;
        google.quirks(json!({"foreignDomainIsForbidden": forbidden})).await;
        let foreign = |name: &str| {
            let mut wanted = account(name);
            wanted.attributes[rows::EMAIL] = Some(format!("{name}@typo.example").into());
            person(&wanted, None, Access::Active)
        };
        let own = |name: &str| person(&account(name), None, Access::Active);
        // The refused ones come first, and are more than any count of refusals that could concern
        // all.
        let mut people: Vec<_> =
            (0..12).map(|number| foreign(&format!("foreign-{number}"))).collect();
        people.extend((0..6).map(|number| own(&format!("own-{number}"))));
        let (_, outcomes) = pass(&google, &people).await;
        for person in 0..12 {
            let Outcome::Failed { failure, .. } = &outcomes[&person] else {
                panic!("{outcomes:?}")
            };
            match failure {
                Failure::Forbidden(said) if forbidden => {
                    assert!(said.contains("domain of primaryEmail"), "{said}")
                }
                Failure::Rejected(said, _) if !forbidden => {
                    assert!(said.contains("primaryEmail"), "{said}")
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            (12..18).all(|person| matches!(outcomes[&person], Outcome::Done(_))),
            "{outcomes:?}"
        );
        assert_eq!(google.size().await, 6);
    }
}
