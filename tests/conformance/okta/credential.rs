//! Okta's two kinds of credentials: an API token, and a service app that signs and proves.

use bobsync::domain::account::Access;
use bobsync::provider::{Error, Initial, Key, Provider};
use serde_json::{Value, json};
use simulators::client::Service;

use super::org::{Org, app_with, credential, settings};
use crate::tenant::{Tenant, account, creation, rows, update, write};

async fn begin() -> Org {
    let org = Org::start().await;
    org.make(&[account("noa")]).await;
    org
}

async fn lists(org: &Org, okta: &dyn Provider) -> Result<u32, Error> {
    okta.list(&org.mapping, &mut |_| ()).await.map(|listing| listing.accounts)
}

#[tokio::test]
async fn an_api_token_and_both_kinds_of_keys_read_and_write() {
    let org = begin().await;
    let token = org.app["apiToken"].as_str().unwrap().to_owned();
    for (name, with) in [
        ("token", credential(&[("apiToken", &token)])),
        ("rsa", app_with(&org.app, "rsa")),
        ("ec", app_with(&org.app, "ec")),
    ] {
        let okta = org.connected_with(org.settings(), with);
        let before = org.token_calls().await;
        assert!(lists(&org, &okta).await.unwrap() > 0, "{name}");
        let wanted = creation(&account(name), Access::Active);
        okta.create(&org.mapping, &wanted, &Initial::default()).await.unwrap();
        assert_eq!(org.token_calls().await - before, u64::from(name != "token"), "{name}");
    }
}

#[tokio::test]
async fn proofs_are_made_where_the_org_asks_for_them_and_nonces_rotate() {
    let org = begin().await;
    org.put("/app", json!({"dpop": true})).await;
    for key in ["rsa", "ec"] {
        let okta = org.connected_with(org.settings(), app_with(&org.app, key));
        let before = org.token_calls().await;
        assert!(lists(&org, &okta).await.unwrap() > 0);
        assert_eq!(org.token_calls().await - before, 3, "no proof, no nonce, and then both");
        // The next token needs no question.
        org.revoke_tokens().await;
        let before = org.token_calls().await;
        let noa = okta.find(&org.mapping, Key::Email("noa@example.com")).await.unwrap();
        assert_eq!((noa.len(), org.token_calls().await - before), (1, 1));
        // The nonce is another one, and the older ones are refused.
        org.control.okta("POST", "/nonce", json!({"forget": true})).await.unwrap();
        org.revoke_tokens().await;
        let before = org.token_calls().await;
        let wanted = creation(&account(key), Access::Active);
        okta.create(&org.mapping, &wanted, &Initial::default()).await.unwrap();
        assert_eq!(org.token_calls().await - before, 2);
    }
}

#[tokio::test]
async fn an_app_that_begins_to_ask_for_proofs_gets_them() {
    let org = begin().await;
    let id = org.make(&[account("kim")]).await.remove(0);
    assert!(update(&org, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0.is_ok());
    org.put("/app", json!({"dpop": true})).await;
    org.revoke_tokens().await;
    let (written, _) = update(&org, &id, &write(&[(rows::TITLE, Some("Head"))])).await;
    assert!(written.is_ok(), "{written:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_credential_is_told() {
    let org = begin().await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, key) = (text(&org.app["clientId"]), &org.app["keys"]["rsa"]);
    let (pem, key_id) = (text(&key["privateKey"]), text(&key["keyId"]));
    for (keys, expected) in [
        ([("clientId", "0oa0other"), ("privateKey", &pem), ("keyId", &key_id)], "issuer claim"),
        ([("clientId", &id), ("privateKey", &pem), ("keyId", "other")], "kid is invalid"),
    ] {
        let okta = org.connected_with(org.settings(), credential(&keys));
        let refused = lists(&org, &okta).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Unauthorized { said } if said.contains(expected)),
            "{refused:?}"
        );
    }
    let okta = org.connected_with(org.settings(), credential(&[("apiToken", "00wrong")]));
    let refused = lists(&org, &okta).await.unwrap_err();
    assert!(matches!(refused, Error::Unauthorized { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_missing_scope_or_role_is_told_by_its_name() {
    let org = begin().await;
    for (scopes, expected) in [
        (json!(["okta.users.manage"]), "okta.schemas.read"),
        (json!(["okta.schemas.read"]), "okta.users.read"),
        (json!([]), "okta.users.manage okta.users.read okta.schemas.read"),
    ] {
        org.put("/app", json!({"scopes": scopes})).await;
        let denied = lists(&org, &org.connected(org.settings())).await.unwrap_err();
        assert!(
            matches!(&denied, Error::Denied { said } if said.contains(expected)),
            "{scopes}: {denied:?}"
        );
    }
    let all = json!(["okta.users.manage", "okta.users.read", "okta.schemas.read"]);
    org.put("/app", json!({"scopes": all, "rights": "none"})).await;
    let denied = lists(&org, &org.connected(org.settings())).await.unwrap_err();
    assert!(
        matches!(&denied, Error::Denied { said } if said.contains("administrator role")),
        "{denied:?}"
    );
}

#[tokio::test]
async fn a_token_is_asked_for_the_org_whatever_the_address_of_the_calls() {
    let org = begin().await;
    // The org has another domain than the settings say, so the audience is wrong.
    let elsewhere = bobsync::provider::okta::Tenant {
        domain: "other.okta.com".to_owned(),
        ..settings(org.world.okta_url())
    };
    let refused = lists(&org, &org.connected(elsewhere)).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Unauthorized { said } if said.contains("audience")),
        "{refused:?}"
    );
    let log = org.control.log(Service::Okta, 0).await.unwrap();
    assert!(log.iter().all(|entry| entry.path == "/oauth2/v1/token"), "no call without a token");
}
