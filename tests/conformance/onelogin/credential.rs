//! OneLogin's token and its window of calls.

use std::time::Duration;

use bobsync::{
    domain::{
        account::{Access, AccountWrite},
        priority::Urgency,
    },
    http::secret::Secret,
    provider::{
        Error, Initial, Key, Provider as _,
        limits::Pacer,
        onelogin::{OneLogin, pacer},
    },
};
use serde_json::json;
use simulators::{Fault, FaultKind, client::Service};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

use super::acme::{Acme, Config, connected, paced};
use crate::tenant::{Tenant as _, account, creation, rows, update, write};

async fn list(provider: &OneLogin, acme: &Acme) -> Result<(), Error> {
    use bobsync::provider::Provider;
    provider.list(&acme.mapping, &mut |_| ()).await.map(drop)
}

async fn calls_and_tokens(acme: &Acme) -> (u64, u64) {
    (acme.calls().await, acme.token_calls().await)
}

#[tokio::test]
async fn the_token_is_fetched_once_and_used_by_everybody() {
    let acme = Acme::start().await;
    let ids = acme
        .make(&(0..5).map(|number| account(&format!("person-{number}"))).collect::<Vec<_>>())
        .await;
    let change = write(&[(rows::TITLE, Some("Lead"))]);
    // The first callers fetch it together.
    futures::future::join_all(ids.iter().map(|id| async {
        acme.provider.update(&acme.mapping, id, &change, Urgency::Normal).await.unwrap()
    }))
    .await;
    list(&acme.provider, &acme).await.unwrap();
    acme.provider
        .create(&acme.mapping, &creation(&account("noa"), Access::Active), &Initial::default())
        .await
        .unwrap();
    assert_eq!(calls_and_tokens(&acme).await, (7, 1), "five updates, a listing, and a create");
    let log = acme.control.log(Service::OneLogin, 0).await.unwrap();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str(), log[0].query.as_str()),
        ("POST", "/auth/oauth2/v2/token", "")
    );
}

#[tokio::test]
async fn a_revoked_or_expired_token_is_renewed_with_one_call() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    list(&acme.provider, &acme).await.unwrap();
    assert_eq!(calls_and_tokens(&acme).await, (1, 1));

    acme.control.revoke_tokens().await.unwrap();
    list(&acme.provider, &acme).await.unwrap();
    assert_eq!(
        calls_and_tokens(&acme).await,
        (3, 2),
        "the refused call, the token, the call again"
    );

    acme.control.advance(36_000).await.unwrap();
    update(&acme, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.unwrap();
    assert_eq!(calls_and_tokens(&acme).await, (5, 3));
    assert_eq!(
        acme.outcomes.lock()[4..],
        [("list", "ok"), ("update", "unauthorized"), ("token", "ok"), ("update", "ok")]
    );

    // Many refusals at once renew it once.
    acme.control.revoke_tokens().await.unwrap();
    futures::future::join_all((0..4).map(|_| async { list(&acme.provider, &acme).await.unwrap() }))
        .await;
    assert_eq!(acme.token_calls().await, 4);
}

#[tokio::test]
async fn a_secret_that_was_rotated_away_is_noticed_and_the_new_one_works() {
    let acme = Acme::start().await;
    list(&acme.provider, &acme).await.unwrap();
    acme.control.onelogin_credentials("client-1", "secret-2", "Manage users").await.unwrap();
    list(&acme.provider, &acme).await.expect("the old token still lives");
    acme.control.revoke_tokens().await.unwrap();
    let refused = list(&acme.provider, &acme).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    let renewed = connected(Config { client_secret: Secret::new("secret-2"), ..acme.config() });
    list(&renewed, &acme).await.unwrap();
}

#[tokio::test]
async fn a_scope_that_is_answered_401_is_told_from_a_bad_token() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    acme.control.onelogin_quirks(json!({"missingScopeStatus": 401})).await.unwrap();
    acme.only_reads().await;
    list(&acme.provider, &acme).await.unwrap();
    let (written, calls) = update(&acme, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    let Err(Error::Denied { said }) = written else { panic!("{written:?}") };
    assert!(said.contains("Manage users"), "{said}");
    assert_eq!(calls, 1);
    assert!(acme.token_calls().await <= 2, "the token is asked for once more, and it is the same");

    acme.control.onelogin_credentials("client-1", "secret-1", "Authentication Only").await.unwrap();
    let refused = list(&acme.provider, &acme).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    acme.control.onelogin_quirks(json!({"missingScopeStatus": 403})).await.unwrap();
    let refused = list(&acme.provider, &acme).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_fetched_is_an_outage_and_writes_nothing() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    for fault in [
        Fault::new(FaultKind::Status),
        Fault::new(FaultKind::Html),
        Fault::new(FaultKind::Reset),
        Fault::new(FaultKind::Truncate),
        Fault::new(FaultKind::ErrorObject),
    ] {
        acme.control.fault(Service::OneLogin, &fault.clone().path("/auth/")).await.unwrap();
        let before = acme.token_calls().await;
        let (written, calls) = update(&acme, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
        // The write never left: its outcome is known.
        assert!(matches!(written, Err(Error::Unavailable { .. })), "{fault:?}: {written:?}");
        assert_eq!((calls, acme.token_calls().await), (0, before + 1));
        acme.heal().await;
    }
    acme.control.onelogin_quirks(json!({"credentialOwnerDeleted": true})).await.unwrap();
    match list(&acme.provider, &acme).await {
        Err(Error::Unavailable { said }) => {
            assert!(said.contains("the OneLogin user who made the API credential"), "{said}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_for_too_many_calls_says_when_to_come_back() {
    for (headers, seconds) in [
        (vec![("retry-after", "7")], Some(7)),
        (vec![("x-ratelimit-reset", "832")], Some(832)),
        (vec![("retry-after", "9"), ("x-ratelimit-reset", "832")], Some(9)),
        (vec![("retry-after", "999999")], Some(3600)),
        (vec![], None),
    ] {
        let acme = Acme::start().await;
        let fault = headers
            .iter()
            .fold(Fault::new(FaultKind::Status).status(429), |fault, (name, value)| {
                fault.header(name, value)
            });
        acme.control.fault(Service::OneLogin, &fault.path("/api/")).await.unwrap();
        let refused = list(&acme.provider, &acme).await;
        assert_eq!(
            refused,
            Err(Error::Throttled { wait: seconds.map(Duration::from_secs) }),
            "{headers:?}"
        );
        // Without headers of a window, too, no call is made before that time.
        acme.heal().await;
        tokio::select! {
            biased;
            outcome = list(&acme.provider, &acme) => panic!("{outcome:?}"),
            () = async { for _ in 0..50 { assert_eq!(acme.calls().await, 1) } } => {}
        }
    }
}

/// Gives a token to the first caller, which is gone by the time the token arrives.
async fn gone_after_the_token() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let token = r#"{"access_token": "t", "expires_in": 36000}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            token.len()
        );
        let _ = socket.write_all((head + token).as_bytes()).await;
    });
    base
}

#[tokio::test]
async fn a_write_that_never_left_is_not_of_unknown_outcome() {
    let acme = Acme::start().await;
    for new in [true, false] {
        let provider = connected(Config { base: gone_after_the_token().await, ..acme.config() });
        let outcome = if new {
            provider
                .create(
                    &acme.mapping,
                    &creation(&account("noa"), Access::Active),
                    &Initial::default(),
                )
                .await
        } else {
            provider
                .update(&acme.mapping, "7", &write(&[(rows::TITLE, Some("Lead"))]), Urgency::Urgent)
                .await
        };
        let refused = |said: &str| {
            said.starts_with("no connection to 127.0.0.1:") && said.contains("refused")
        };
        assert!(
            matches!(&outcome, Err(Error::Unavailable { said }) if refused(said)),
            "{outcome:?}"
        );
    }
    let call = |name, outcome| [("token", "ok"), (name, outcome)];
    assert_eq!(
        *acme.outcomes.lock(),
        [call("create", "unavailable"), call("update", "unavailable")].concat()
    );
}

/// The published window: 5,000 calls an hour, with 15 % for urgent calls.
#[tokio::test(start_paused = true)]
async fn the_published_window_is_spent_at_once_down_to_the_reserve() {
    let (pacer, began) = (pacer(), Instant::now());
    for _ in 0..4250 {
        drop(pacer.admit(Urgency::Normal).await);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(pacer.admit(Urgency::Normal).await);
    assert!(began.elapsed() > Duration::ZERO);
}

#[tokio::test]
async fn what_onelogin_says_of_its_window_is_kept_and_the_reserve_is_for_the_urgent() {
    let acme = Acme::start().await;
    let id = acme.make(&[account("noa")]).await.remove(0);
    acme.control.onelogin_limits(20, None).await.unwrap();
    // The pacer assumes 5,000 calls until OneLogin's first answer: 20, and 19 of them left.
    let provider = paced(acme.config(), Pacer::new(5000, Duration::from_secs(3600)));
    list(&provider, &acme).await.unwrap();
    for number in 0..16 {
        let change = write(&[(rows::TITLE, Some(&format!("Title {number}")))]);
        provider.update(&acme.mapping, &id, &change, Urgency::Normal).await.unwrap();
    }
    let change = write(&[(rows::TITLE, Some("one too many"))]);
    tokio::select! {
        biased;
        outcome = provider.update(&acme.mapping, &id, &change, Urgency::Normal) => panic!("{outcome:?}"),
        () = async { for _ in 0..50 { assert_eq!(acme.calls().await, 17) } } => {}
    }
    // Three of twenty are reserved: a read, and a suspension with the end of sessions.
    assert_eq!(provider.find(&acme.mapping, Key::Id(&id)).await.unwrap().len(), 1);
    let suspend = AccountWrite { access: Some(Access::Suspended), ..AccountWrite::default() };
    provider.update(&acme.mapping, &id, &suspend, Urgency::Urgent).await.unwrap();
    tokio::select! {
        biased;
        outcome = provider.update(&acme.mapping, &id, &suspend, Urgency::Urgent) => panic!("{outcome:?}"),
        () = async { for _ in 0..50 { assert_eq!(acme.calls().await, 20) } } => {}
    }
    let refused = acme
        .control
        .log(Service::OneLogin, 0)
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.status == 429)
        .count();
    assert_eq!(refused, 0, "OneLogin never had to say no");
}
