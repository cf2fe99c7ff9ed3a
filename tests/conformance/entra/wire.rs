//! Cases that only Entra has: the exact requests, references, sessions, lag, administrators, and
//! the traps of Microsoft Graph.

use std::time::Duration;

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite, NewValue},
        priority::Urgency,
    },
    engine::pass::outcome::{Failure, Outcome},
    http::secret::Secret,
    provider::{
        Error, Initial, Key, Provider as _,
        entra::{self, Mark},
    },
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind, client::Service};

use super::directory::{Directory, EXTENSION, employee_id, mapping};
use crate::{
    passes::{pass, pass_that_may_stop, person},
    tenant::{Calls, Tenant as _, account, creation, listed, mark, rows, update, write},
};

const SUSPEND: AccountWrite = AccountWrite {
    occasion: bobsync::domain::account::Occasion::Other,
    attributes: Vec::new(),
    mark: None,
    access: Some(Access::Suspended),
    foreign: None,
};

#[tokio::test]
async fn a_listing_selects_what_is_mapped_and_has_large_pages_where_no_manager_is() {
    let entra = Directory::start().await;
    let ids = entra
        .make(&(0..1_000).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    let plain = mapping(&[
        "userPrincipalName",
        "displayName",
        "businessPhones",
        "onPremisesExtensionAttributes.extensionAttribute1",
    ]);
    let listing = entra.provider.list(&plain, &mut |_| ()).await.unwrap();
    assert_eq!((listing.accounts, listing.whole), (1_000, true));
    let log = entra.log().await;
    let always = "id,userPrincipalName,accountEnabled,userType,onPremisesSyncEnabled";
    let select = format!(
        "$select={always},displayName,businessPhones,onPremisesExtensionAttributes,employeeId"
    );
    assert_eq!(log.len(), 2);
    assert_eq!((&*log[0].1, &*log[0].2), ("/v1.0/users", &*format!("{select}&$top=999")));
    assert!(log[1].2.contains("skiptoken"), "{}", log[1].2);

    let managed = mapping(&["userPrincipalName", "displayName", "manager"]);
    assert_eq!(entra.provider.list(&managed, &mut |_| ()).await.unwrap().accounts, 1_000);
    let log = entra.log().await;
    assert_eq!(log.len(), 2 + 10);
    assert_eq!(
        log[2].2,
        format!("$select={always},displayName,employeeId&$expand=manager($select=id)&$top=100")
    );
    assert_eq!(ids.len(), 1_000);
}

#[tokio::test]
async fn cost_centre_and_division_are_set_changed_and_cleared_and_the_other_one_is_kept() {
    let entra = Directory::start().await;
    let mapping = mapping(&[
        "userPrincipalName",
        "displayName",
        "employeeOrgData.costCenter",
        "employeeOrgData.division",
    ]);
    let both = [
        (0, Some("noa@example.com")),
        (1, Some("Noa Lind")),
        (2, Some("CC-1")),
        (3, Some("North")),
    ];
    let made = entra.provider.create(&mapping, &write(&both), &Initial::default()).await.unwrap();
    let id = made.account.id.to_string();
    assert_eq!(
        entra.stored(&id).await["employeeOrgData"],
        json!({"costCenter": "CC-1", "division": "North"})
    );
    let found = async || entra.provider.find(&mapping, Key::Id(&id)).await.unwrap().remove(0);
    for knows in [true, false] {
        let steps = [
            (2, Some("CC-2"), Some("CC-2"), Some("North")),
            (3, Some("South"), Some("CC-2"), Some("South")),
            (2, None, None, Some("South")),
            (3, None, None, None),
            (3, Some("North"), None, Some("North")),
        ];
        for (row, text, centre, division) in steps {
            let foreign = if knows {
                found().await.foreign.map(|foreign| foreign.as_ref().into())
            } else {
                None
            };
            let change = AccountWrite { foreign, ..write(&[(row, text)]) };
            entra.provider.update(&mapping, &id, &change, Urgency::Normal).await.unwrap();
            let read = found().await;
            assert_eq!(
                (read.attributes[2].as_deref(), read.attributes[3].as_deref()),
                (centre, division),
                "{row} {text:?}"
            );
        }
    }
    // A mapping of single attributes keeps the others.
    let alone = super::directory::mapping(&[
        "userPrincipalName",
        "displayName",
        "employeeOrgData.costCenter",
    ]);
    entra
        .provider
        .update(&alone, &id, &write(&[(2, Some("CC-9"))]), Urgency::Normal)
        .await
        .unwrap();
    assert_eq!(
        entra.stored(&id).await["employeeOrgData"],
        json!({"costCenter": "CC-9", "division": "North"})
    );
}

/// The tenant's user names differ from the mail addresses, and the mapping uses one for the other.
#[tokio::test]
async fn nobody_gets_a_second_account_where_people_log_in_by_another_name_than_their_mail() {
    let entra = Directory::start().await;
    let mut theirs = account("noa");
    (theirs.mark, theirs.attributes[rows::EMAIL]) = (None, Some("n.lind@example.com".into()));
    let id = entra.make(&[theirs]).await.remove(0);
    let held = entra.stored(&id).await;
    let (_, outcomes) = pass(&entra, &[person(&account("noa"), None, Access::Active)]).await;
    let Outcome::Failed { failure: Failure::Conflict(said), .. } = &outcomes[&0] else {
        panic!("{outcomes:?}")
    };
    assert!(said.contains("map userPrincipalName") && said.contains("mail"), "{said}");
    assert_eq!(
        (entra.size().await, entra.stored(&id).await == held),
        (1, true),
        "no second account, and nothing written"
    );
    // As the message says.
    let mut named = account("noa");
    named.attributes[rows::EMAIL] = Some("n.lind@example.com".into());
    let (_, outcomes) = pass(&entra, &[person(&named, None, Access::Active)]).await;
    assert!(matches!(&outcomes[&0], Outcome::Done(done) if *done.account == *id), "{outcomes:?}");
    // An address on another employee's account does not prevent an account.
    let mut other = account("kim");
    other.attributes[1] = Some("noa@example.com".into());
    let (_, outcomes) =
        pass(&entra, &[person(&named, None, Access::Active), person(&other, None, Access::Active)])
            .await;
    assert!(
        matches!(&outcomes[&1], Outcome::Done(done) if matches!(&done.refused, Some((Failure::Conflict(_), left)) if *left == [1])),
        "{outcomes:?}"
    );
    assert_eq!(entra.size().await, 2);
}

#[tokio::test]
async fn a_page_that_points_back_or_elsewhere_or_is_none_ends_the_listing_as_an_error() {
    let entra = Directory::start().await;
    let user = json!({"id": "7", "userPrincipalName": "noa@example.com", "accountEnabled": true});
    let plain = mapping(&["userPrincipalName"]);
    let own = format!("{}/v1.0/users?$skiptoken=x", entra.world.entra_url());
    for (body, calls) in [
        (json!({"value": [user], "@odata.nextLink": own}), 2),
        (
            json!({"value": [user], "@odata.nextLink": "https://graph.microsoft.com/v1.0/users?$skiptoken=x"}),
            1,
        ),
        (json!({"value": [user], "@odata.nextLink": own.replace("http://", "https://")}), 1),
        (json!({"value": [user], "@odata.nextLink": "/v1.0/users?$skiptoken=x"}), 1),
        (json!({"value": [{"userPrincipalName": "noa@example.com"}]}), 1),
        (json!({"value": 7}), 1),
        (json!({"error": {"code": "x"}}), 1),
        (json!({}), 1),
        (json!([]), 1),
        (json!(null), 1),
    ] {
        entra
            .fault(Calls::Reads, Fault::new(FaultKind::Status).status(200).body(body.clone()))
            .await;
        let before = entra.calls().await;
        let outcome = entra.provider.list(&plain, &mut |_| ()).await;
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{body}: {outcome:?}");
        assert_eq!(entra.calls().await, before + calls, "{body}");
        entra.heal().await;
    }
    // "@odata.nextLink may point at the page just read."
    entra.make(&[account("noa")]).await;
    entra.put("/quirks", json!({"lastPagePointsBack": true})).await;
    let outcome = entra.provider.list(&plain, &mut |_| ()).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_create_sends_everything_but_the_manager_who_is_a_reference() {
    let entra = Directory::start().await;
    let boss = entra.make(&[account("boss")]).await.remove(0);
    let mapping = mapping(&[
        "userPrincipalName",
        "mail",
        "displayName",
        "givenName",
        "surname",
        "businessPhones",
        "mobilePhone",
        "jobTitle",
        "department",
        "officeLocation",
        "manager",
    ]);
    let values = [
        "noa.lind@example.com",
        "noa@example.org",
        "Noa Lind",
        "Noa",
        "Lind",
        "+44 1",
        "+44 2",
        "Lead",
        "Platform",
        "London",
        &boss,
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
    let written = entra.provider.create(&mapping, &write, &initial).await.unwrap();
    let log = entra.log().await;
    let wanted = json!({
        "userPrincipalName": "noa.lind@example.com", "mail": "noa@example.org", "displayName": "Noa Lind", "givenName": "Noa",
        "surname": "Lind", "businessPhones": ["+44 1"], "mobilePhone": "+44 2", "jobTitle": "Lead", "department": "Platform",
        "officeLocation": "London", "employeeId": employee_id(&mark("noa")), "accountEnabled": false, "mailNickname": "noa.lind",
        "usageLocation": "GB", "passwordProfile": {"password": "Correct-Horse-7", "forceChangePasswordNextSignIn": true},
    });
    let [create, manager] = &log[..] else { panic!("{log:?}") };
    assert_eq!((&*create.0, &*create.1, &create.3), ("POST", "/v1.0/users", &wanted));
    assert_eq!(
        (&*manager.0, &*manager.1),
        ("PUT", &*format!("/v1.0/users/{}/manager/$ref", written.account.id))
    );
    // The reference has the root of the cloud, whatever address is called.
    assert_eq!(
        manager.3,
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/users/{boss}")})
    );
}

#[tokio::test]
async fn an_update_sends_what_differs_and_each_kind_of_change_in_its_own_call() {
    let entra = Directory::start().await;
    let ids = entra.make(&[account("noa"), account("boss")]).await;
    let path = format!("/v1.0/users/{}", ids[0]);
    let reference =
        json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/users/{}", ids[1])});
    let only = |access| AccountWrite { access: Some(access), ..AccountWrite::default() };
    let all = AccountWrite {
        access: Some(Access::Suspended),
        ..write(&[(rows::TITLE, Some("Boss")), (rows::MANAGER, None)])
    };
    let patch = |body: Value| vec![("PATCH", path.clone(), body)];
    let sessions = ("POST", format!("{path}/revokeSignInSessions"), Value::Null);
    for (change, sent) in [
        (write(&[(rows::TITLE, Some("Lead"))]), patch(json!({"jobTitle": "Lead"}))),
        (
            write(&[(rows::TITLE, None), (rows::EXTENSION, None)]),
            patch(json!({"jobTitle": null, EXTENSION: null})),
        ),
        (
            write(&[(rows::MANAGER, Some(&ids[1]))]),
            vec![("PUT", format!("{path}/manager/$ref"), reference)],
        ),
        (
            all,
            vec![
                ("PATCH", path.clone(), json!({"jobTitle": "Boss", "accountEnabled": false})),
                sessions.clone(),
                ("DELETE", format!("{path}/manager/$ref"), Value::Null),
            ],
        ),
        (only(Access::Active), patch(json!({"accountEnabled": true}))),
        (
            only(Access::Suspended),
            vec![("PATCH", path.clone(), json!({"accountEnabled": false})), sessions],
        ),
        (
            AccountWrite { mark: Some(mark("kim").into()), ..AccountWrite::default() },
            patch(json!({"employeeId": employee_id(&mark("kim"))})),
        ),
        // The manager is gone already, as wanted.
        (
            write(&[(rows::MANAGER, None)]),
            vec![("DELETE", format!("{path}/manager/$ref"), Value::Null)],
        ),
    ] {
        let before = entra.log().await.len();
        update(&entra, &ids[0], &change).await.0.unwrap();
        let log = entra.log().await;
        let calls: Vec<_> = log[before..]
            .iter()
            .map(|(method, path, _, body)| (method.as_str(), path.clone(), body.clone()))
            .collect();
        assert_eq!(calls, sent);
    }
    assert_eq!(
        entra.ended().await,
        [ids[0].clone(), ids[0].clone()],
        "every suspension ends sessions"
    );
}

#[tokio::test]
async fn a_numbered_attribute_and_a_day_are_written_as_graph_keeps_them_and_come_back() {
    let entra = Directory::start().await;
    let mapping = mapping(&[
        "userPrincipalName",
        "displayName",
        "onPremisesExtensionAttributes.extensionAttribute3",
        "employeeHireDate",
        "businessPhones",
    ]);
    let wanted = write(&[
        (0, Some("noa@example.com")),
        (1, Some("Noa")),
        (2, Some("three")),
        (3, Some("2026-11-24")),
        (4, Some("+44 1")),
    ]);
    let made = entra.provider.create(&mapping, &wanted, &Initial::default()).await.unwrap();
    let log = entra.log().await;
    assert!(
        log[0].3.get("onPremisesExtensionAttributes").is_none(),
        "a new user is refused with them"
    );
    assert_eq!(
        log[1].3,
        json!({"onPremisesExtensionAttributes": {"extensionAttribute3": "three"}})
    );
    let found = entra.provider.find(&mapping, Key::Id(&made.account.id)).await.unwrap().remove(0);
    let values: Vec<_> = found.attributes.iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(values, ["noa@example.com", "Noa", "three", "2026-11-24", "+44 1"]);
    let cleared = write(&[(2, None), (3, None), (4, None)]);
    entra.provider.update(&mapping, &made.account.id, &cleared, Urgency::Normal).await.unwrap();
    let found = entra.provider.find(&mapping, Key::Id(&made.account.id)).await.unwrap().remove(0);
    assert_eq!(found.attributes[2..], [None, None, None]);
}

#[tokio::test]
async fn whether_an_extension_is_defined_is_asked_once_and_a_mark_needs_its_own() {
    let entra = Directory::start().await;
    for _ in 0..3 {
        entra.provider.list(&entra.mapping, &mut |_| ()).await.unwrap();
    }
    let log = entra.log().await;
    let asked: Vec<_> =
        log.iter().filter(|(_, _, query, _)| query.starts_with("$filter")).collect();
    assert_eq!(asked.len(), 1, "and remembered for a while");
    assert_eq!(asked[0].2, format!("$filter={EXTENSION}%20eq%20%27-%27&$select=id&$top=1"));

    let marking = "extension_0123456789abcdef0123456789abcdef_bob";
    let settings = || entra::Tenant { mark: Mark::named(marking).unwrap(), ..entra.settings() };
    let refused = entra.connected(settings()).list(&entra.mapping, &mut |_| ()).await;
    assert!(
        matches!(&refused, Err(Error::Denied { said }) if said.contains("markAttribute")),
        "{refused:?}"
    );
    entra.put("/directory", json!({"extensions": [EXTENSION, marking]})).await;
    let provider = entra.connected(settings());
    let made = provider
        .create(&entra.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap();
    assert_eq!(entra.stored(&made.account.id).await[marking], mark("noa"), "the id itself");
    entra.control.advance(31).await.unwrap();
    assert_eq!(provider.find(&entra.mapping, Key::Mark(&mark("noa"))).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_that_somebody_else_put_where_the_mark_goes_makes_the_account_a_strangers() {
    let entra = Directory::start().await;
    let mut noa = account("noa");
    noa.mark = None;
    let id = entra.make(&[noa]).await.remove(0);
    entra.edit(&id, json!({"employeeId": "4711"})).await;
    let found = listed(&entra, &id).await;
    assert!(found.mark.is_some_and(|mark| mark.parse::<u64>().is_err()), "a mark, and nobody's");
}

#[tokio::test]
async fn guests_and_users_who_are_synchronised_from_elsewhere_are_told() {
    let entra = Directory::start().await;
    let ids = entra.make(&["noa", "kim", "ola", "pia"].map(account)).await;
    entra.edit(&ids[0], json!({"onPremisesSyncEnabled": true})).await;
    entra.edit(&ids[1], json!({"userType": "Guest"})).await;
    entra.edit(&ids[2], json!({"userPrincipalName": "ola_x.example#EXT#@example.com"})).await;
    let mut elsewhere = Vec::new();
    entra
        .provider
        .list(&entra.mapping, &mut |account| {
            elsewhere.push((account.id.to_string(), account.elsewhere))
        })
        .await
        .unwrap();
    for (index, id) in ids.iter().enumerate() {
        assert!(elsewhere.contains(&(id.clone(), index < 3)), "{index}");
    }
}

#[tokio::test]
async fn a_name_is_found_whatever_it_holds() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    for name in ["o'lind@example.com", "noa#1@example.com", "noa!lind^x~@example.com"] {
        entra.edit(&id, json!({"userPrincipalName": name})).await;
        assert_eq!(
            entra.provider.find(&entra.mapping, Key::Email(name)).await.unwrap().len(),
            1,
            "{name}"
        );
    }
    for name in [
        "$nobody@example.com",
        "a/b@example.com",
        "../users",
        "..",
        "a?b@example.com",
        "nobody@example.com",
    ] {
        assert_eq!(
            entra.provider.find(&entra.mapping, Key::Email(name)).await,
            Ok(vec![]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_a_filter_does_not_show_yet_a_read_by_key_does() {
    let entra = Directory::start().await;
    let made = entra
        .provider
        .create(&entra.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap();
    let mark = mark("noa");
    assert_eq!(
        entra.provider.find(&entra.mapping, Key::Mark(&mark)).await,
        Ok(vec![]),
        "filters lag"
    );
    for key in [Key::Email("noa@example.com"), Key::Id(&made.account.id)] {
        let found = entra.provider.find(&entra.mapping, key).await.unwrap();
        assert_eq!(found[0].mark.as_deref(), Some(&*mark), "{key:?}");
    }
    entra.control.advance(31).await.unwrap();
    assert_eq!(entra.provider.find(&entra.mapping, Key::Mark(&mark)).await.unwrap().len(), 1);
}

/// Moves the simulators' clock while something waits in real time.
async fn pass_time(entra: &Directory, seconds: i64) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    entra.control.advance(seconds).await.unwrap();
}

#[tokio::test]
async fn a_manager_of_somebody_who_was_just_made_is_set_as_soon_as_that_can_be() {
    for bad_request in [false, true] {
        let entra = Directory::start().await;
        let boss = entra.make(&[account("boss")]).await.remove(0);
        entra
            .put(
                "/quirks",
                json!({"referenceLagSeconds": 60, "referenceLagIsBadRequest": bad_request}),
            )
            .await;
        let mut wanted = account("noa");
        wanted.attributes[rows::MANAGER] = Some(boss.clone().into());
        let wanted = creation(&wanted, Access::Active);
        let initial = Initial::default();
        let (made, ()) = tokio::join!(
            entra.provider.create(&entra.mapping, &wanted, &initial),
            pass_time(&entra, 60)
        );
        let made = made.unwrap().account;
        assert_eq!(made.attributes[rows::MANAGER].as_deref(), Some(&*boss));
        assert_eq!(
            entra.look(&made.id).await.unwrap().attributes[rows::MANAGER].as_deref(),
            Some(&*boss)
        );
        let creates = entra.log().await.iter().filter(|(method, ..)| method == "POST").count();
        assert_eq!(creates, 1, "one account, however long the reference takes");
    }
}

#[tokio::test]
async fn a_manager_who_cannot_be_set_yet_fails_no_creation_and_is_not_told_as_set() {
    let entra = Directory::start().await;
    let boss = entra.make(&[account("boss")]).await.remove(0);
    entra.put("/quirks", json!({"referenceLagSeconds": 3600})).await;
    let mut wanted = account("noa");
    wanted.attributes[rows::MANAGER] = Some(boss.into());
    let made = entra
        .provider
        .create(&entra.mapping, &creation(&wanted, Access::Active), &Initial::default())
        .await
        .unwrap();
    assert_eq!(made.account.attributes[rows::MANAGER], None);
    assert_eq!(made.account.attributes[rows::TITLE].as_deref(), Some("Engineer"));
}

#[tokio::test]
async fn a_suspension_whose_sessions_could_not_be_ended_has_failed_and_is_made_again() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    let fault =
        Fault::new(FaultKind::Status).status(503).method("POST").path("/v1.0/users").times(1);
    entra.control.fault(Service::Entra, &fault).await.unwrap();
    let (written, _) = update(&entra, &id, &SUSPEND).await;
    assert!(
        matches!(written, Err(Error::Unavailable { .. })),
        "to be tried again, and not unknown: {written:?}"
    );
    assert_eq!(entra.look(&id).await.unwrap().state, AccountState::Suspended);
    assert!(entra.ended().await.is_empty());
    update(&entra, &id, &SUSPEND).await.0.unwrap();
    assert_eq!(entra.ended().await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_ended_although_the_answer_to_the_suspension_was_lost() {
    let entra = Directory::start().await;
    let noa = account("noa");
    let id = entra.make(std::slice::from_ref(&noa)).await.remove(0);
    entra.fault(Calls::Updates, Fault::new(FaultKind::ResetAfterApply).times(1)).await;
    let (_, outcomes) = pass(&entra, &[person(&noa, None, Access::Suspended)]).await;
    assert!(matches!(outcomes[&0], Outcome::Done(_)), "{outcomes:?}");
    assert_eq!(entra.ended().await, [id]);
}

#[tokio::test]
async fn of_an_administrator_the_harmless_part_lands_and_the_rest_is_named() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    entra.put("/directory", json!({"administrators": [id]})).await;
    let mixed = write(&[(rows::TITLE, Some("Lead")), (rows::EMAIL, Some("n@example.com"))]);
    let (written, calls) = update(&entra, &id, &mixed).await;
    let left = written.unwrap().left.expect("a part is refused");
    let Error::Forbidden { said } = &left.error else { panic!("{left:?}") };
    assert!(
        said.contains("userPrincipalName of an administrator")
            && left.rows == [rows::EMAIL]
            && !left.sessions,
        "{left:?}"
    );
    assert_eq!(calls, 2);
    // Access that is to be taken is written alone next.
    let (written, calls) =
        update(&entra, &id, &AccountWrite { access: Some(Access::Suspended), ..mixed }).await;
    assert!(matches!(written, Err(Error::Forbidden { .. })), "{written:?}");
    assert_eq!(calls, 1);
    let stored = entra.look(&id).await.unwrap();
    assert_eq!(
        (stored.attributes[rows::TITLE].as_deref(), stored.state),
        (Some("Lead"), AccountState::Active)
    );
    assert_eq!(stored.email.as_deref(), Some("noa@example.com"));
    assert!(entra.ended().await.is_empty());
    // Harmless attributes alone need one call.
    assert_eq!(update(&entra, &id, &write(&[(rows::TITLE, Some("Boss"))])).await.1, 1);
}

#[tokio::test]
async fn an_address_that_another_user_has_is_a_duplicate_of_mail_and_a_foreign_domain_a_refusal() {
    let entra = Directory::start().await;
    let mut kim = account("kim");
    kim.attributes[1] = Some("sales@example.com".into());
    entra.make(&[kim]).await;
    for (name, mail, expected) in [
        (
            "noa@example.com",
            "SALES@example.com",
            Error::Duplicate { field: Some("mail".to_owned()) },
        ),
        (
            "noa@elsewhere.example",
            "noa@example.com",
            Error::Rejected { field: Some("userPrincipalName".to_owned()), said: String::new() },
        ),
        (
            "n(o)a@example.com",
            "noa@example.com",
            Error::Rejected { field: Some("userPrincipalName".to_owned()), said: String::new() },
        ),
    ] {
        let mut wanted = account("noa");
        wanted.attributes[rows::EMAIL] = Some(name.into());
        wanted.attributes[1] = Some(mail.into());
        let mut refused = entra
            .provider
            .create(&entra.mapping, &creation(&wanted, Access::Active), &Initial::default())
            .await
            .unwrap_err();
        if let Error::Rejected { said, .. } = &mut refused {
            said.clear();
        }
        assert_eq!(refused, expected, "{name} {mail}");
    }
    assert_eq!(entra.size().await, 1);
}

#[tokio::test]
async fn a_weak_default_password_is_named_and_not_told() {
    let entra = Directory::start().await;
    let weak = Secret::new("swordfish");
    let initial = Initial { password: Some(&weak), change_at_first_login: false };
    match entra
        .provider
        .create(&entra.mapping, &creation(&account("noa"), Access::Active), &initial)
        .await
    {
        Err(Error::Rejected { field, said }) => {
            assert_eq!(field.as_deref(), Some("passwordProfile"));
            assert!(!said.contains("swordfish"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_that_answers_a_change_with_the_user_confirms_it_as_well() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    entra.put("/quirks", json!({"answersChanges": true})).await;
    update(&entra, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    let other = json!({"id": "5ea70000-0000-4000-8000-0000000000ff"});
    entra.fault(Calls::Updates, Fault::new(FaultKind::Status).status(200).body(other)).await;
    let (written, _) = update(&entra, &id, &write(&[(rows::TITLE, Some("Boss"))])).await;
    assert!(
        matches!(written, Err(Error::Unknown { .. })),
        "another account is no confirmation: {written:?}"
    );
}

#[tokio::test]
async fn a_restored_user_is_the_same_account() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    entra.delete(&id).await;
    assert_eq!(
        entra.provider.find(&entra.mapping, Key::Email("noa@example.com")).await,
        Ok(vec![]),
        "the name is free at once"
    );
    entra.control.entra("POST", &format!("/users/{id}/restore"), json!({})).await.unwrap();
    let found = entra.provider.find(&entra.mapping, Key::Email("noa@example.com")).await.unwrap();
    assert_eq!((&*found[0].id, found[0].mark.as_deref()), (&*id, Some(&*mark("noa"))));
}

#[tokio::test]
async fn every_call_is_told_with_its_outcome() {
    let entra = Directory::start().await;
    let ids = entra.make(&[account("noa"), account("boss")]).await;
    entra.provider.list(&entra.mapping, &mut |_| ()).await.unwrap();
    entra.provider.find(&entra.mapping, Key::Mark(&mark("x"))).await.unwrap();
    entra.provider.find(&entra.mapping, Key::Id("1")).await.unwrap();
    entra
        .provider
        .create(&entra.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap_err();
    let change = AccountWrite {
        access: Some(Access::Suspended),
        ..write(&[(rows::MANAGER, Some(&ids[1]))])
    };
    update(&entra, &ids[0], &change).await.0.unwrap();
    let told = [
        ("token", "ok"),
        ("extensions", "ok"),
        ("list", "ok"),
        ("find", "ok"),
        ("find", "not_found"),
        ("create", "duplicate"),
        ("update", "ok"),
        ("sessions", "ok"),
        ("manager", "ok"),
    ];
    assert_eq!(*entra.outcomes.lock(), told);
}

#[tokio::test]
async fn without_the_right_to_end_sessions_access_is_taken_and_the_right_is_named_and_made_up_for()
{
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    entra.put("/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    let left = update(&entra, &id, &SUSPEND).await.0.unwrap().left.expect("sessions are left");
    let Error::Forbidden { said } = &left.error else { panic!("{left:?}") };
    assert!(
        said.contains("access is taken")
            && said.contains("User.RevokeSessions.All")
            && left.sessions,
        "{left:?}"
    );
    assert_eq!(entra.look(&id).await.unwrap().state, AccountState::Suspended);
    entra
        .put("/app", json!({"permissions": ["User.ReadWrite.All", "User.RevokeSessions.All"]}))
        .await;
    // A token contains the permissions of its issue.
    entra.revoke_tokens().await;
    update(&entra, &id, &SUSPEND).await.0.unwrap();
    assert_eq!(entra.ended().await, [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_who_cannot_be_set_yet_is_told_as_pending_and_set_by_the_next_pass() {
    let entra = Directory::start().await;
    entra.put("/quirks", json!({"referenceLagSeconds": 3600})).await;
    let people = [
        person(&account("noa"), Some("boss"), Access::Active),
        person(&account("boss"), None, Access::Active),
    ];
    for pending in [true, false] {
        let (_, outcomes) = pass(&entra, &people).await;
        let Outcome::Done(done) = &outcomes[&0] else { panic!("{outcomes:?}") };
        assert_eq!(done.manager_pending, pending);
        assert_eq!(
            entra.look(&done.account).await.unwrap().attributes[rows::MANAGER].is_none(),
            pending
        );
        entra.control.advance(3_601).await.unwrap();
    }
    assert_eq!(entra.size().await, 2);
}

#[tokio::test]
async fn a_manager_who_is_not_everywhere_yet_keeps_nothing_else_back() {
    let directory = Directory::start().await;
    let ids = directory.make(&[account("noa"), account("boss")]).await;
    let fault = Fault::new(FaultKind::Status).status(404).method("PUT");
    directory.control.fault(Service::Entra, &fault).await.unwrap();
    let change = write(&[(rows::TITLE, Some("Lead")), (rows::MANAGER, Some(&ids[1]))]);
    let written = directory
        .provider
        .update(&directory.mapping, &ids[0], &change, Urgency::Urgent)
        .await
        .unwrap();
    assert_eq!(
        written.account.attributes[rows::MANAGER],
        None,
        "it is told that the manager is not set"
    );
    assert_eq!(written.account.attributes[rows::TITLE].as_deref(), Some("Lead"));
    assert_eq!(
        directory.look(&ids[0]).await.unwrap().attributes[rows::TITLE].as_deref(),
        Some("Lead")
    );
}

#[tokio::test]
async fn a_federated_domain_is_named() {
    let directory = Directory::start().await;
    let body = json!({"error": {"code": "Request_BadRequest", "message": "Property onPremisesImmutableId is required for federated users."}});
    let fault =
        Fault::new(FaultKind::Status).status(400).body(body).method("POST").path("/v1.0/users");
    directory.control.fault(Service::Entra, &fault).await.unwrap();
    let made = directory
        .provider
        .create(&directory.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await;
    let Err(Error::Rejected { said, .. }) = made else { panic!("{made:?}") };
    assert!(
        said.contains("the domain example.com is federated") && !said.contains("noa"),
        "{said}"
    );
}

#[tokio::test]
async fn an_extension_that_is_refused_in_other_words_concerns_its_row_alone() {
    for listing in [false, true] {
        let directory = Directory::start().await;
        let mut one = account("noa");
        one.attributes[rows::EXTENSION] = None;
        directory.make(&[one]).await;
        let body = json!({"error": {"code": "Request_BadRequest", "message": format!("No such thing as {EXTENSION} here.")}});
        // The probe comes first, and the listing after it.
        let fault = Fault::new(FaultKind::Status)
            .status(400)
            .body(body)
            .method("GET")
            .after(u64::from(listing))
            .times(1);
        directory.control.fault(Service::Entra, &fault).await.unwrap();
        let mut seen = 0;
        let listed = directory.provider.list(&directory.mapping, &mut |_| seen += 1).await.unwrap();
        assert_eq!(
            (listed.unavailable, seen),
            (vec![rows::EXTENSION], 1),
            "in the listing: {listing}"
        );
    }
}

/// Moves only the time that code measures by the machine.
async fn grow_old() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(150)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_refusal_in_the_words_of_a_lag_is_tried_again_while_the_user_is_new() {
    for words in [
        "One or more property values specified are invalid.",
        "Not a valid reference update.",
        "The reference does not reference a valid 'directoryObject'.",
    ] {
        let entra = Directory::start().await;
        let titled = |title: &'static str| {
            let mut wanted = account("noa");
            wanted.attributes[rows::TITLE] = Some(title.into());
            [person(&wanted, None, Access::Active)]
        };
        let (_, outcomes) = pass(&entra, &titled("Engineer")).await;
        let Outcome::Done(made) = &outcomes[&0] else { panic!("{outcomes:?}") };
        // Longer than one pass tries.
        entra.put("/quirks", json!({"updateLagSeconds": 60, "updateLagSays": words})).await;
        let (_, outcomes) = pass(&entra, &titled("Lead")).await;
        let Outcome::Failed { failure: Failure::Retrying(said), .. } = &outcomes[&0] else {
            panic!("{words}: {outcomes:?}")
        };
        assert!(
            said.contains("jobTitle") && said.contains("new user") && said.contains("tries"),
            "{said}"
        );
        // The trouble is short: within the tries of one pass.
        entra.put("/quirks", json!({"updateLagSeconds": 1})).await;
        let made_again = account("kim");
        let mut lead = account("kim");
        lead.attributes[rows::TITLE] = Some("Lead".into());
        pass(&entra, &[person(&made_again, None, Access::Active)]).await;
        let (_, outcomes) = pass(&entra, &[person(&lead, None, Access::Suspended)]).await;
        let Outcome::Done(done) = &outcomes[&0] else { panic!("{words}: {outcomes:?}") };
        assert!(done.refused.is_none(), "{words}: {done:?}");
        let stored = entra.look(&done.account).await.unwrap();
        assert_eq!(
            (stored.attributes[rows::TITLE].as_deref(), stored.state),
            (Some("Lead"), AccountState::Suspended)
        );
        // For an older user the same words concern a value.
        entra.put("/quirks", json!({"updateLagSeconds": 3600})).await;
        grow_old().await;
        let (_, outcomes) = pass(&entra, &titled("Lead")).await;
        assert!(
            matches!(&outcomes[&0], Outcome::Failed { failure: Failure::Rejected(..), .. }),
            "{words}: {outcomes:?}"
        );
        entra.put("/quirks", json!({"updateLagSeconds": 0})).await;
        let (_, outcomes) = pass(&entra, &titled("Lead")).await;
        assert!(
            matches!(&outcomes[&0], Outcome::Done(done) if done.account == made.account),
            "{outcomes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_full_says_so_and_only_creates_wait() {
    let entra = Directory::start().await;
    let leaver = account("ola");
    entra.make(&[leaver.clone(), account("pia")]).await;
    let mut titled = account("pia");
    titled.attributes[rows::TITLE] = Some("Lead".into());
    let others =
        || vec![person(&leaver, None, Access::Suspended), person(&titled, None, Access::Active)];
    entra.put("/directory", json!({"quota": 2})).await;
    let joiners = |count: usize| {
        (0..count).map(|number| person(&account(&format!("new-{number}")), None, Access::Active))
    };
    // Few failures: each is reported.
    let people: Vec<_> = joiners(3).chain(others()).collect();
    let (_, outcomes) = pass(&entra, &people).await;
    for joiner in 0..3 {
        let Outcome::Failed { failure: Failure::Forbidden(said), .. } = &outcomes[&joiner] else {
            panic!("{outcomes:?}")
        };
        assert!(
            said.contains("quota") && !said.contains("User.ReadWrite.All"),
            "no right is missing: {said}"
        );
    }
    assert!(
        matches!(&outcomes[&3], Outcome::Done(done) if done.state == AccountState::Suspended),
        "{outcomes:?}"
    );
    assert!(matches!(&outcomes[&4], Outcome::Done(_)), "{outcomes:?}");
    // Many failures: after some in a row the others are not tried in this pass, and a leaver loses
    // access.
    entra
        .edit(
            &entra.provider.find(&entra.mapping, Key::Email("ola@example.com")).await.unwrap()[0]
                .id,
            json!({"accountEnabled": true}),
        )
        .await;
    let people: Vec<_> = joiners(60).chain(others()).collect();
    let before = entra
        .log()
        .await
        .iter()
        .filter(|(method, path, ..)| method == "POST" && path == "/v1.0/users")
        .count();
    let (_, outcomes, summary) = pass_that_may_stop(&entra, &people).await;
    let stop = summary.stop.expect("creates wait");
    assert_eq!(stop.reason, bobsync::api::reasons::IntegrationReason::ProviderForbidden);
    assert!(stop.message.contains("quota"), "{}", stop.message);
    let waiting = outcomes.values().filter(|outcome| matches!(outcome, Outcome::Waiting)).count();
    assert!((25..=40).contains(&waiting), "{waiting} wait");
    let after = entra
        .log()
        .await
        .iter()
        .filter(|(method, path, ..)| method == "POST" && path == "/v1.0/users")
        .count();
    assert!(after - before <= 35, "{} creates", after - before);
    assert!(
        matches!(&outcomes[&60], Outcome::Done(done) if done.state == AccountState::Suspended),
        "{outcomes:?}"
    );
    // With room again each account is made.
    entra.put("/directory", json!({"quota": 100})).await;
    let (_, outcomes) = pass(&entra, &people).await;
    assert!((0..60).all(|joiner| matches!(outcomes[&joiner], Outcome::Done(_))), "{outcomes:?}");
    assert_eq!(entra.size().await, 62);
}
