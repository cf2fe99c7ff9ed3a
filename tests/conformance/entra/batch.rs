//! Writes that wait at the same time go in one batch, and each has its own outcome.

use bobsync::{
    domain::{
        account::{Access, AccountState, AccountWrite},
        priority::Urgency,
    },
    provider::{Error, Initial, Provider as _, Written},
};
use futures::future::join_all;
use serde_json::{Value, json};
use simulators::{Fault, FaultKind, client::Service};

use super::directory::Directory;
use crate::tenant::{Tenant as _, account, creation, rows, write};

/// Makes accounts with these names, and fetches a token.
async fn tenant(names: &[&str]) -> (Directory, Vec<String>) {
    let entra = Directory::start().await;
    let ids = entra.make(&names.iter().map(|name| account(name)).collect::<Vec<_>>()).await;
    entra.provider.list(&entra.mapping, &mut |_| ()).await.unwrap();
    (entra, ids)
}

/// Updates all accounts at once.
async fn all_at_once(
    entra: &Directory,
    writes: &[(&str, AccountWrite)],
) -> Vec<Result<Written, Error>> {
    join_all(
        writes
            .iter()
            .map(|(id, write)| entra.provider.update(&entra.mapping, id, write, Urgency::Normal)),
    )
    .await
}

/// Returns the batches that were sent: the requests of each.
async fn batches(entra: &Directory) -> Vec<Vec<Value>> {
    let log = entra.log().await.into_iter().filter(|(_, path, ..)| path == "/v1.0/$batch");
    log.map(|(.., body)| body["requests"].as_array().cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn nobody_waits_for_company_and_those_who_wait_go_together() {
    let (entra, ids) = tenant(&["noa", "kim", "ola", "pia", "boss"]).await;
    let title = |title: &str| write(&[(rows::TITLE, Some(title))]);
    let writes = [
        (&*ids[0], title("A")),
        (&*ids[1], title("B")),
        (&*ids[2], write(&[(rows::MANAGER, Some(&ids[4]))])),
        (&*ids[3], write(&[(rows::MANAGER, None)])),
    ];
    for written in all_at_once(&entra, &writes).await {
        assert!(written.is_ok(), "{written:?}");
    }
    let sent = batches(&entra).await;
    let reference = format!("https://graph.microsoft.com/v1.0/users/{}", ids[4]);
    let json = json!({"Content-Type": "application/json"});
    assert_eq!(
        sent,
        [[
            json!({"id": "0", "method": "PATCH", "url": format!("/users/{}", ids[1]), "headers": json, "body": {"jobTitle": "B"}}),
            json!({"id": "1", "method": "PUT", "url": format!("/users/{}/manager/$ref", ids[2]), "headers": json, "body": {"@odata.id": reference}}),
            json!({"id": "2", "method": "DELETE", "url": format!("/users/{}/manager/$ref", ids[3])}),
        ]]
    );
    assert_eq!(
        entra.look(&ids[2]).await.unwrap().attributes[rows::MANAGER].as_deref(),
        Some(&*ids[4])
    );
    let told = entra.outcomes.lock().clone();
    let expected = [
        ("update", "ok"),
        ("batch", "ok"),
        ("manager", "not_found"),
        ("manager", "ok"),
        ("update", "ok"),
    ];
    for one in &expected {
        assert!(told.contains(one), "{one:?} in {told:?}");
    }
    // A leaver does not wait for others.
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    let urgent = ids[..3]
        .iter()
        .map(|id| entra.provider.update(&entra.mapping, id, &suspend, Urgency::Urgent));
    assert!(join_all(urgent).await.iter().all(Result::is_ok));
    assert_eq!(batches(&entra).await.len(), 1);
}

#[tokio::test]
async fn each_write_in_a_batch_has_its_own_outcome() {
    let (entra, ids) = tenant(&["first", "refused", "taken", "gone", "admin", "fine"]).await;
    entra.refuse(rows::TITLE, "Forbidden Words").await;
    entra.protect(&ids[4]).await;
    entra.delete(&ids[3]).await;
    let title = |title: &str| write(&[(rows::TITLE, Some(title))]);
    let writes = [
        (&*ids[0], title("A")),
        (&*ids[1], title("Some Forbidden Words")),
        (&*ids[2], write(&[(rows::EMAIL, Some("first@example.com"))])),
        (&*ids[3], title("C")),
        (&*ids[4], title("D")),
        (&*ids[5], title("E")),
    ];
    let outcomes = all_at_once(&entra, &writes).await;
    assert_eq!(batches(&entra).await.len(), 1);
    assert!(outcomes[0].is_ok() && outcomes[5].is_ok(), "{outcomes:?}");
    match &outcomes[1] {
        Err(Error::Rejected { field, said }) => {
            assert_eq!(field.as_deref(), Some("jobTitle"));
            assert!(!said.contains("Words"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(outcomes[2], Err(Error::Duplicate { field: Some("userPrincipalName".to_owned()) }));
    assert_eq!(outcomes[3], Err(Error::NotFound));
    assert!(matches!(outcomes[4], Err(Error::Forbidden { .. })), "{outcomes:?}");
    assert_eq!(entra.look(&ids[5]).await.unwrap().attributes[rows::TITLE].as_deref(), Some("E"));
    let written = outcomes[5].as_ref().unwrap();
    assert!(written.request_id.is_some(), "each has its own request id");
}

#[tokio::test]
async fn a_batch_has_twenty_at_most_and_new_accounts_are_made_in_it_once_each() {
    let (entra, _) = tenant(&[]).await;
    let wanted: Vec<_> = (0..50)
        .map(|number| creation(&account(&format!("new-{number}")), Access::Suspended))
        .collect();
    let initial = Initial::default();
    let made =
        join_all(wanted.iter().map(|write| entra.provider.create(&entra.mapping, write, &initial)))
            .await;
    for one in &made {
        let account = &one.as_ref().unwrap().account;
        assert_eq!(account.state, AccountState::Suspended);
        assert_eq!(
            entra.look(&account.id).await.unwrap().email,
            account.email,
            "each got the answer to its own request"
        );
    }
    assert_eq!(entra.size().await, 50);
    let sent = batches(&entra).await;
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 9], "the first went alone");
    let writes = entra.control.calls(Service::Entra).await.unwrap().writes;
    assert_eq!(writes, 50, "what is in a batch is counted one by one, and the batch is none");
}

#[tokio::test]
async fn one_too_many_in_a_batch_is_throttled_for_as_long_as_it_says_and_the_others_are_done() {
    let (entra, ids) = tenant(&["noa", "kim", "ola", "pia", "rui", "sol"]).await;
    entra.put("/limits", json!({"limit": 3000, "remaining": 4})).await;
    let writes: Vec<_> =
        ids.iter().map(|id| (&**id, write(&[(rows::TITLE, Some("Lead"))]))).collect();
    let outcomes = all_at_once(&entra, &writes).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(done, 4, "{outcomes:?}");
    for outcome in outcomes.iter().filter(|outcome| outcome.is_err()) {
        assert!(
            matches!(outcome, Err(Error::Throttled { wait: Some(wait) }) if wait.as_secs() > 140),
            "{outcome:?}"
        );
    }
    let before = entra.calls().await;
    tokio::select! {
        biased;
        outcome = entra.provider.update(&entra.mapping, &ids[0], &writes[0].1, Urgency::Urgent) => panic!("{outcome:?}"),
        () = async { for _ in 0..50 { assert_eq!(entra.calls().await, before) } } => {}
    }
}

#[tokio::test]
async fn where_there_is_no_batch_everybody_goes_alone() {
    let (entra, ids) = tenant(&["noa", "kim", "ola", "pia"]).await;
    entra.put("/quirks", json!({"noBatch": true})).await;
    for round in ["A", "B"] {
        let writes: Vec<_> =
            ids.iter().map(|id| (&**id, write(&[(rows::TITLE, Some(round))]))).collect();
        assert!(all_at_once(&entra, &writes).await.iter().all(Result::is_ok));
        for id in &ids {
            assert_eq!(
                entra.look(id).await.unwrap().attributes[rows::TITLE].as_deref(),
                Some(round)
            );
        }
    }
    assert_eq!(batches(&entra).await.len(), 1, "and it is not asked for again");
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_or_worthless_is_of_unknown_outcome_for_everybody_in_it() {
    for fault in [
        Fault::new(FaultKind::ResetAfterApply),
        Fault::new(FaultKind::Truncate),
        Fault::new(FaultKind::ErrorObject),
        Fault::new(FaultKind::Html).status(502),
        Fault::new(FaultKind::Status)
            .status(200)
            .body(json!({"responses": [{"id": "0", "status": 204}]})),
    ] {
        let (entra, ids) = tenant(&["noa", "kim", "ola"]).await;
        entra.control.fault(Service::Entra, &fault.clone().path("/v1.0/$batch")).await.unwrap();
        let writes: Vec<_> =
            ids.iter().map(|id| (&**id, write(&[(rows::TITLE, Some("Lead"))]))).collect();
        let outcomes = all_at_once(&entra, &writes).await;
        assert!(outcomes[0].is_ok(), "went alone");
        assert!(matches!(outcomes[2], Err(Error::Unknown { .. })), "{fault:?}: {outcomes:?}");
        let applied = matches!(fault.kind, FaultKind::ResetAfterApply | FaultKind::Truncate);
        let title = entra.look(&ids[2]).await.unwrap().attributes[rows::TITLE].clone();
        assert_eq!(title.as_deref() == Some("Lead"), applied, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_ends_before_a_batch_is_renewed_and_a_closed_gate_lets_none_out() {
    let (entra, ids) = tenant(&["noa", "kim", "ola"]).await;
    let writes: Vec<_> =
        ids.iter().map(|id| (&**id, write(&[(rows::TITLE, Some("Lead"))]))).collect();
    entra.revoke_tokens().await;
    assert!(all_at_once(&entra, &writes).await.iter().all(Result::is_ok));

    let closed = entra.connect(crate::tenant::Through::AClosedGate);
    let before = entra.calls().await;
    let outcomes = join_all(
        writes.iter().map(|(id, write)| closed.update(&entra.mapping, id, write, Urgency::Normal)),
    )
    .await;
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Throttled { .. }))),
        "{outcomes:?}"
    );
    assert_eq!(entra.calls().await, before);
}
