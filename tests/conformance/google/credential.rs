//! Google's service account, its delegation, and the limits.

use std::time::Duration;

use bobsync::{
    domain::account::Access,
    http::secret::Secret,
    provider::{
        Credential, Destination as _, Error, Initial, Provider as _,
        call::Hooks,
        google::{self, ServiceAccount},
    },
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind, client::Service};

use super::workspace::{Workspace, mapping};
use crate::tenant::{Tenant as _, account, creation, rows, untold, update, write};

async fn list(google: &Workspace, provider: &google::Google) -> Result<(), Error> {
    provider.list(&mapping(&["primaryEmail"]), &mut |_| ()).await.map(drop).inspect_err(|error| {
        assert!(!format!("{error:?} {error}").contains("PRIVATE KEY"));
        let _ = google;
    })
}

#[tokio::test]
async fn one_scope_is_asked_for_and_the_schemas_only_where_they_are_mapped() {
    let google = Workspace::start().await;
    google
        .control
        .google("PUT", "/delegation", json!({"scopes": ["admin.directory.user"]}))
        .await
        .unwrap();
    list(&google, &google.provider).await.unwrap();
    let refused = google.provider.list(&google.mapping, &mut |_| ()).await;
    let Err(Error::Denied { said }) = refused else { panic!("{refused:?}") };
    assert!(
        said.contains("admin.directory.userschema.readonly") && said.contains("delegation"),
        "{said}"
    );
}

#[tokio::test]
async fn a_missing_delegation_or_a_powerless_administrator_is_denied_and_a_wrong_key_unauthorized()
{
    let google = Workspace::start().await;
    let delegate = |body: Value| async {
        google.control.google("PUT", "/delegation", body).await.map(drop).unwrap()
    };
    let fresh = || google.connected(google.settings(), &google.key(), true);

    delegate(json!({"scopes": []})).await;
    let refused = list(&google, &fresh()).await;
    assert!(
        matches!(&refused, Err(Error::Denied { said }) if said.contains("domain-wide delegation")),
        "{refused:?}"
    );
    delegate(json!({"scopes": ["admin.directory.user"]})).await;

    for (admin, what) in [
        (json!(null), "the service account may not act for the user in adminEmail"),
        (json!("none"), "an administrator who may manage users"),
    ] {
        delegate(json!({"admins": {"admin@example.com": admin}})).await;
        let refused = list(&google, &fresh()).await;
        assert!(
            matches!(&refused, Err(Error::Denied { said }) if said.contains(what) && !said.contains("admin@")),
            "{refused:?}"
        );
    }
    delegate(json!({"admins": {"admin@example.com": "manage"}})).await;
    list(&google, &fresh()).await.unwrap();

    for (member, value) in [
        ("client_email", "other@sample-project.iam.gserviceaccount.com"),
        ("private_key_id", "other-key"),
    ] {
        let mut key = google.key();
        key[member] = json!(value);
        let refused = list(&google, &google.connected(google.settings(), &key, true)).await;
        assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{member}: {refused:?}");
    }
}

#[tokio::test]
async fn a_key_file_with_a_byte_order_mark_is_read() {
    let google = Workspace::start().await;
    ServiceAccount::read(&Secret::new(format!("\u{feff}{}", google.key()))).expect("a key file");
}

#[tokio::test]
async fn the_address_in_the_key_file_is_not_believed() {
    let google = Workspace::start().await;
    let mut key = google.key();
    key["token_uri"] = json!("http://127.0.0.1:1/token");
    list(&google, &google.connected(google.settings(), &key, true)).await.unwrap();
    assert_eq!(google.token_calls().await, 1);
}

#[tokio::test]
async fn what_is_no_key_file_is_unauthorized_and_gives_nothing_away() {
    let google = Workspace::start().await;
    let mut broken = google.key();
    broken["private_key"] =
        json!("-----BEGIN PRIVATE KEY-----\nc3dvcmRmaXNo\n-----END PRIVATE KEY-----\n");
    let mut other = google.key();
    other["type"] = json!("authorized_user");
    for file in [
        "swordfish".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        broken.to_string(),
        other.to_string(),
    ] {
        let credential =
            Credential::new([("serviceAccount.json".to_owned(), Secret::new(&*file))].into());
        let hooks = Hooks {
            observer: std::sync::Arc::new(|_, _| ()),
            gate: std::sync::Arc::new(|| true),
            waits: untold(),
        };
        let pacer = std::sync::Arc::new(google::pacer());
        match google.settings().connect(credential, hooks, pacer) {
            Err(error @ Error::Unauthorized { .. }) => {
                let text = format!("{error} {error:?}");
                assert!(
                    text.contains("serviceAccount.json")
                        && !text.contains("swordfish")
                        && !text.contains("c3dv"),
                    "{text}"
                );
            }
            other => panic!("{:?}", other.err()),
        }
    }
    let account = ServiceAccount::read(&Secret::new(google.key().to_string())).unwrap();
    assert!(!format!("{account:?}").contains("BEGIN"));
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_over() {
    let google = Workspace::start().await;
    for _ in 0..3 {
        list(&google, &google.provider).await.unwrap();
    }
    assert_eq!(google.token_calls().await, 1);
    google.revoke_tokens().await;
    list(&google, &google.provider).await.unwrap();
    assert_eq!(google.token_calls().await, 2);
}

#[tokio::test]
async fn slow_down_is_heard_in_every_form_and_is_no_refusal() {
    for throttle in ["forbidden", "tooMany", "unavailable"] {
        let google = Workspace::start().await;
        google.quirks(json!({"throttle": throttle})).await;
        let id = google.make(&[account("noa")]).await.remove(0);
        list(&google, &google.provider).await.unwrap();
        google.exhaust().await;
        let (written, calls) = update(&google, &id, &write(&[(rows::TITLE, Some("Lead"))])).await;
        assert_eq!((written, calls), (Err(Error::Throttled { wait: None }), 1), "{throttle}");
    }
    // A 403 without such a reason stays a 403.
    let google = Workspace::start().await;
    let id = google.make(&[account("noa")]).await.remove(0);
    google.protect(&id).await;
    assert!(matches!(
        update(&google, &id, &write(&[(rows::TITLE, Some("Lead"))])).await.0,
        Err(Error::Forbidden { .. })
    ));
}

#[tokio::test]
async fn a_storm_of_refusals_is_waited_out_ever_longer() {
    let google = Workspace::start().await;
    list(&google, &google.provider).await.unwrap();
    let storm = Fault::new(FaultKind::Status)
        .status(403)
        .body(json!({"error": {"errors": [{"reason": "quotaExceeded"}], "message": "Quota"}}));
    google.control.fault(Service::Google, &storm.path("/admin/").times(2)).await.unwrap();
    let began = std::time::Instant::now();
    for _ in 0..2 {
        assert_eq!(list(&google, &google.provider).await, Err(Error::Throttled { wait: None }));
    }
    list(&google, &google.provider).await.unwrap();
    // One second, then two, each up to a tenth longer.
    assert!((3.0..6.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_second_sees_more_than_ten_new_accounts() {
    let google = Workspace::start().await;
    let began = std::time::Instant::now();
    let makes = (0..25).map(|number| {
        let google = &google;
        async move {
            let wanted = creation(&account(&format!("new-{number}")), Access::Active);
            google.provider.create(&google.mapping, &wanted, &Initial::default()).await.map(drop)
        }
    });
    for made in futures::future::join_all(makes).await {
        made.expect("Google never had to say no");
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}
