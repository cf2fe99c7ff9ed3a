//! Entra's app registration: secret or certificate, clouds, permissions.

use std::{sync::Arc, time::Duration};

use bobsync::{
    domain::priority::Urgency,
    http::secret::Secret,
    provider::{
        Credential, Destination as _, Error, Provider as _,
        call::Hooks,
        entra::{self, App, Cloud, Entra},
    },
};
use serde_json::{Value, json};
use simulators::client::Service;

use super::directory::{Directory, credential, mapping};
use crate::tenant::{Tenant as _, account, rows, untold, update, write};

const CERTIFICATE: [&str; 3] = ["clientId", "clientCertificate", "clientKey"];

async fn list(provider: &Entra) -> Result<(), Error> {
    provider.list(&mapping(&["userPrincipalName"]), &mut |_| ()).await.map(drop).inspect_err(
        |error| {
            let text = format!("{error:?} {error}");
            assert!(
                !text.contains("entra-client-secret") && !text.contains("PRIVATE KEY"),
                "{text}"
            );
        },
    )
}

#[tokio::test]
async fn a_secret_and_a_certificate_both_open_the_door() {
    let entra = Directory::start().await;
    list(&entra.provider).await.unwrap();
    let provider = entra.connected_with(credential(&entra.app, &CERTIFICATE));
    for _ in 0..3 {
        list(&provider).await.unwrap();
    }
    assert_eq!(entra.token_calls().await, 2, "a token is fetched once");
    entra.revoke_tokens().await;
    list(&provider).await.unwrap();
    assert_eq!(entra.token_calls().await, 3, "and every assertion is another");
    let mut marked = entra.app.clone();
    for key in ["clientCertificate", "clientKey"] {
        marked[key] = json!(format!("\u{feff}{}", marked[key].as_str().unwrap()));
    }
    list(&entra.connected_with(credential(&marked, &CERTIFICATE)))
        .await
        .expect("files with a byte order mark are read");
    let log = entra.control.log(Service::Entra, 0).await.unwrap();
    let id = entra.app["tenantId"].as_str().unwrap();
    assert_eq!((&*log[0].method, &*log[0].path), ("POST", &*format!("/{id}/oauth2/v2.0/token")));
}

#[tokio::test]
async fn a_certificate_that_is_not_registered_or_a_foreign_key_is_unauthorized() {
    let entra = Directory::start().await;
    // Google's sample key is a valid key that does not belong to the app.
    let key =
        entra.control.google("GET", "/service-account", Value::Null).await.unwrap()["private_key"]
            .clone();
    let mut foreign = entra.app.clone();
    foreign["clientKey"] = key;
    let refused = list(&entra.connected_with(credential(&foreign, &CERTIFICATE))).await;
    assert!(
        matches!(&refused, Err(Error::Unauthorized { said }) if said.contains("AADSTS700027")),
        "{refused:?}"
    );
    let mut unknown = entra.app.clone();
    unknown["clientId"] = json!("c11e0000-0000-4000-8000-0000000000ff");
    let refused =
        list(&entra.connected_with(credential(&unknown, &["clientId", "clientSecret"]))).await;
    assert!(
        matches!(&refused, Err(Error::Unauthorized { said }) if said.contains("AADSTS700016")),
        "{refused:?}"
    );
    let refused = list(
        &entra.connected(entra::Tenant { id: "elsewhere.example".to_owned(), ..entra.settings() }),
    )
    .await;
    assert!(
        matches!(&refused, Err(Error::Unauthorized { said }) if said.contains("AADSTS90002")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn scopes_audiences_and_references_are_the_clouds() {
    for cloud in [Cloud::GLOBAL, Cloud::US_GOVERNMENT, Cloud::US_GOVERNMENT_DOD, Cloud::CHINA] {
        let entra = Directory::start().await;
        let ids = entra.make(&[account("noa"), account("boss")]).await;
        entra.put("/app", json!({"graph": cloud.graph.strip_prefix("https://")})).await;
        for keys in [&CERTIFICATE[..], &["clientId", "clientSecret"]] {
            let app = App::read(credential(&entra.app, keys)).unwrap();
            let hooks =
                Hooks { observer: Arc::new(|_, _| ()), gate: Arc::new(|| true), waits: untold() };
            let settings = entra::Tenant { cloud, ..entra.settings() };
            let provider = Entra::new(settings, app, hooks, Arc::new(entra::pacer())).unwrap();
            list(&provider).await.unwrap();
            let change = write(&[(rows::MANAGER, Some(&ids[1]))]);
            provider
                .update(
                    &entra.mapping,
                    &ids[0],
                    &change,
                    bobsync::domain::priority::Urgency::Normal,
                )
                .await
                .unwrap();
        }
        if cloud != Cloud::GLOBAL {
            let refused = list(&entra.provider).await;
            assert!(
                matches!(refused, Err(Error::Unauthorized { .. })),
                "another cloud: {refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_permission_is_denied_and_named() {
    let entra = Directory::start().await;
    entra.put("/app", json!({"permissions": []})).await;
    let refused = list(&entra.provider).await;
    assert!(
        matches!(&refused, Err(Error::Denied { said }) if said.contains("User.ReadWrite.All")),
        "{refused:?}"
    );
    entra.put("/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    // The token contains the permissions of its issue, and a new token is not replaced.
    assert!(matches!(list(&entra.provider).await, Err(Error::Denied { .. })));
    assert_eq!(entra.token_calls().await, 1);
    let soon = Duration::from_secs(20);
    tokio::time::pause();
    tokio::time::advance(soon).await;
    tokio::time::resume();
    list(&entra.provider).await.unwrap();
    assert_eq!(entra.token_calls().await, 2, "a consent is noticed with the next refusal");
}

#[tokio::test]
async fn rights_that_stay_away_cost_one_token_now_and_then_and_a_batch_notices_them_too() {
    let entra = Directory::start().await;
    let ids = entra.make(&[account("noa"), account("kim"), account("ola")]).await;
    entra.only_reads().await;
    let lead = write(&[(rows::TITLE, Some("Lead"))]);
    let all = || {
        futures::future::join_all(
            ids.iter()
                .map(|id| entra.provider().update(entra.mapping(), id, &lead, Urgency::Normal)),
        )
    };
    for tokens in [1, 2] {
        for _ in 0..3 {
            assert!(
                all().await.iter().all(|written| matches!(written, Err(Error::Forbidden { .. })))
            );
        }
        assert_eq!(entra.token_calls().await, tokens);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::resume();
    }
    entra.put("/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    for written in all().await {
        written.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_credential_is_unauthorized_and_gives_nothing_away() {
    let entra = Directory::start().await;
    let good = |key: &str| entra.app[key].as_str().unwrap().to_owned();
    let broken =
        "-----BEGIN PRIVATE KEY-----\nc3dvcmRmaXNo\n-----END PRIVATE KEY-----\n".to_owned();
    for (keys, said) in [
        (vec![], "clientSecret, or clientCertificate and clientKey"),
        (
            vec![("clientSecret", "  ".to_owned())],
            "clientSecret, or clientCertificate and clientKey",
        ),
        (
            vec![("clientSecret", "swordfish".to_owned()), ("clientKey", good("clientKey"))],
            "and not both",
        ),
        (
            vec![("clientCertificate", good("clientCertificate"))],
            "needs its private key as clientKey",
        ),
        (vec![("clientKey", good("clientKey"))], "needs its certificate as clientCertificate"),
        (
            vec![("clientCertificate", "swordfish".to_owned()), ("clientKey", good("clientKey"))],
            "clientCertificate",
        ),
        (
            vec![
                ("clientCertificate", good("clientCertificate")),
                ("clientKey", "swordfish".to_owned()),
            ],
            "clientKey",
        ),
        (
            vec![("clientCertificate", good("clientCertificate")), ("clientKey", broken)],
            "clientKey",
        ),
        (
            vec![
                ("clientCertificate", good("clientCertificate")),
                ("clientKey", good("clientCertificate")),
            ],
            "clientKey: this is a certificate",
        ),
        (
            vec![("clientCertificate", good("clientKey")), ("clientKey", good("clientKey"))],
            "clientCertificate: this is a private key",
        ),
    ] {
        let all = keys.into_iter().chain([("clientId", good("clientId"))]);
        let credential =
            Credential::new(all.map(|(key, text)| (key.to_owned(), Secret::new(text))).collect());
        let hooks =
            Hooks { observer: Arc::new(|_, _| ()), gate: Arc::new(|| true), waits: untold() };
        match entra.settings().connect(credential, hooks, Arc::new(entra::pacer())) {
            Err(error @ Error::Unauthorized { .. }) => {
                let text = format!("{error} {error:?}");
                assert!(
                    text.contains(said) && !text.contains("swordfish") && !text.contains("c3dv"),
                    "{text}"
                );
            }
            other => panic!("{said}: {:?}", other.err()),
        }
    }
    let app = App::read(credential(&entra.app, &CERTIFICATE)).unwrap();
    assert!(!format!("{app:?}").contains("BEGIN"));
    let app = App::read(credential(&entra.app, &["clientId", "clientSecret"])).unwrap();
    assert!(!format!("{app:?}").contains("entra-client-secret"));
}

#[tokio::test]
async fn a_refusal_for_the_number_of_writes_says_when_to_come_back() {
    let entra = Directory::start().await;
    let id = entra.make(&[account("noa")]).await.remove(0);
    list(&entra.provider).await.unwrap();
    entra.put("/limits", json!({"limit": 3000, "remaining": 0})).await;
    let (written, calls) = update(&entra, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
    assert!(
        matches!(written, Err(Error::Throttled { wait: Some(wait) }) if (149..=150).contains(&wait.as_secs())),
        "{written:?}"
    );
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn a_new_secret_that_is_not_known_everywhere_yet_is_asked_with_again_at_the_next_call() {
    let entra = Directory::start().await;
    list(&entra.provider).await.unwrap();
    entra.put("/quirks", json!({"secretLagSeconds": 15})).await;
    entra.put("/app", json!({"clientSecret": "another~Secret-1"})).await;
    let mut app = entra.app.clone();
    app["clientSecret"] = json!("another~Secret-1");
    let renewed = entra.connected_with(credential(&app, &["clientId", "clientSecret"]));
    for _ in 0..3 {
        let refused = list(&renewed).await;
        assert!(
            matches!(&refused, Err(Error::Unauthorized { said }) if said.contains("AADSTS7000215")),
            "{refused:?}"
        );
        entra.control.advance(4).await.unwrap();
    }
    assert_eq!(
        entra.token_calls().await,
        1 + 3,
        "each of them asks once: a refusal is not remembered"
    );
    entra.control.advance(4).await.unwrap();
    list(&renewed).await.unwrap();
    // The old secret is still valid while its token is.
    list(&entra.provider).await.unwrap();
}
