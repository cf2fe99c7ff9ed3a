//! Cases of the three ways of authentication.

use std::sync::Arc;

use bobsync::{
    domain::account::Access,
    http::secret::Secret,
    provider::{
        Error, Initial, Provider,
        scim::{ScimServer, Tenant as Settings, Way, pacer},
    },
};
use serde_json::json;

use super::server::{Server, TOKEN, bearer};
use crate::tenant::{Tenant, account, creation, hooks, rows, untold, update, write};

fn client(secret: &str) -> Way {
    Way::Client("scim-client".to_owned(), Secret::new(secret))
}

fn basic(password: &str) -> Way {
    Way::Basic("scim-user".to_owned(), Secret::new(password))
}

/// Returns a connection with this credential.
fn connected(server: &Server, way: Way, scope: &str) -> ScimServer {
    let tokens = match way {
        Way::Client(..) => format!("{}/oauth/token", server.world.scim_url()),
        _ => String::new(),
    };
    let settings = Settings { tokens, scope: scope.to_owned(), ..server.settings() };
    let hooks = hooks(true, Arc::clone(&server.outcomes), untold());
    ScimServer::new(settings, way, hooks, Arc::new(pacer())).unwrap()
}

async fn listed(server: &Server, way: Way, scope: &str) -> Result<u32, Error> {
    let provider = connected(server, way, scope);
    provider.list(&server.mapping, &mut |_| ()).await.map(|listing| listing.accounts)
}

#[tokio::test]
async fn each_way_reads_and_writes_and_no_other_is_accepted_in_its_place() {
    let server = Server::start().await;
    server.make(&[account("noa")]).await;
    for (name, way) in [
        ("bearer", (|| bearer(TOKEN)) as fn() -> Way),
        ("basic", || basic("scim-password-1")),
        ("oauth", || client("scim-secret-1")),
    ] {
        server.control.scim("PUT", "/credentials", json!({"ways": [name]})).await.unwrap();
        let before = server.size().await;
        let provider = connected(&server, way(), "");
        let wanted = creation(&account(name), Access::Active);
        provider.create(&server.mapping, &wanted, &Initial::default()).await.unwrap();
        assert_eq!(
            listed(&server, way(), "").await,
            Ok(u32::try_from(before).unwrap() + 1),
            "{name}"
        );
        for wrong in [bearer("t"), basic("p"), client("s")] {
            let error = listed(&server, wrong, "").await.unwrap_err();
            assert!(matches!(error, Error::Unauthorized { .. }), "{name}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_scope_and_a_missing_one_is_named() {
    let server = Server::start().await;
    server.control.scim("PUT", "/credentials", json!({"scopeRequired": true})).await.unwrap();
    for (scope, granted) in [("", false), ("other", false), ("scim", true)] {
        match listed(&server, client("scim-secret-1"), scope).await {
            Ok(_) => assert!(granted, "{scope}"),
            Err(Error::Denied { said }) => {
                assert!(!granted && said.contains("tokenScope"), "{scope}: {said}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_and_the_call_repeated_once() {
    let server = Server::start().await;
    let provider = connected(&server, client("scim-secret-1"), "scim");
    let id = server.make(&[account("noa")]).await.remove(0);
    assert_eq!(provider.list(&server.mapping, &mut |_| ()).await.unwrap().accounts, 1);
    server.control.scim("POST", "/tokens/revoke", json!({})).await.unwrap();
    let (change, urgency) =
        (write(&[(rows::TITLE, Some("Lead"))]), bobsync::domain::priority::Urgency::Normal);
    provider.update(&server.mapping, &id, &change, urgency).await.unwrap();
    let tokens = server.log().await.iter().filter(|(_, path, ..)| path == "/oauth/token").count();
    assert_eq!(tokens, 2);
    // The same connection as any other one.
    assert!(update(&server, &id, &change).await.0.is_ok());
}
