//! What can go wrong at the API server.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use testbed::proxy::{Act, Method};

use super::{
    stage::{Done, Extras, Stage},
    table::{Ends, Row},
};
use crate::providers::{ENTRA, GOOGLE, JUMPCLOUD, ONE_LOGIN, Provider};

rows!(
    api_server_refuses_statuses,
    api_server_says_conflict,
    api_server_refuses_objects,
    api_server_refuses_the_integrations_status,
    api_server_is_away,
    lease_is_held_by_another,
    api_server_does_not_list,
    api_server_breaks_watches,
    api_server_hides_the_secrets,
);

async fn proxied(row: Row, tenant: Provider) -> Stage {
    Stage::set_with(row, tenant, Extras { proxied: true, ..Extras::default() }).await
}

fn objects(stage: &Stage) -> String {
    format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs", stage.story.namespace)
}

/// Answers these calls with this status until the fault ends by itself.
async fn with(mut stage: Stage, status: u16, method: Method, path: &str) -> Done {
    stage.proxy().rule(Act::Status(status), method, path, None);
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().proxy().clear();
    looked.ends(Ends::ByItself).await
}

async fn api_server_refuses_statuses(row: Row) -> Done {
    let stage = proxied(row, ONE_LOGIN).await;
    let path = format!("{}/*/status", objects(&stage));
    with(stage, 500, Method::PATCH, &path).await
}

async fn api_server_says_conflict(row: Row) -> Done {
    let stage = proxied(row, GOOGLE).await;
    let path = format!("{}/*/status", objects(&stage));
    with(stage, 409, Method::PATCH, &path).await
}

/// A quota is reached, or a policy refuses.
async fn api_server_refuses_objects(row: Row) -> Done {
    let stage = proxied(row, ENTRA).await;
    let path = objects(&stage);
    with(stage, 403, Method::POST, &path).await
}

async fn api_server_refuses_the_integrations_status(row: Row) -> Done {
    let stage = proxied(row, JUMPCLOUD).await;
    let path = format!(
        "/apis/bobsync.dev/v1alpha1/namespaces/{}/provisioningintegrations/*/status",
        stage.story.namespace
    );
    with(stage, 500, Method::PATCH, &path).await
}

/// Longer than writes may begin without a renewed Lease: another replica may lead meanwhile.
async fn api_server_is_away(row: Row) -> Done {
    let mut stage = proxied(row, ONE_LOGIN).await;
    stage.proxy().down();
    tokio::time::sleep(Duration::from_secs(33)).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().proxy().up();
    looked.ends(Ends::ByItself).await
}

/// Another process has taken the Lease, and gives it back.
async fn lease_is_held_by_another(row: Row) -> Done {
    let mut stage = Stage::set(row, JUMPCLOUD).await;
    let leases: Api<Lease> = Api::namespaced(stage.story.client.clone(), &stage.story.system);
    let hold = async |holder: &str, seconds: u32| {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let spec = json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": now, "renewTime": now}});
        leases
            .patch("bobsync", &PatchParams::default(), &Patch::Merge(spec))
            .await
            .expect("the Lease");
    };
    hold("another", 300).await;
    // The next renewal notices it.
    tokio::time::sleep(Duration::from_secs(12)).await;
    stage.people_move().await;
    let looked = stage.goes_as_the_row_says().await;
    hold("", 1).await;
    looked.ends(Ends::ByItself).await
}

/// A right is removed while the controller runs: lists and watches are refused.
async fn api_server_does_not_list(row: Row) -> Done {
    let stage = proxied(row, ENTRA).await;
    let path = objects(&stage);
    stage.proxy().rule(Act::Status(403), Method::GET, &path, None);
    stage.proxy().expire_watches();
    with(stage, 403, Method::GET, &path).await
}

async fn api_server_breaks_watches(row: Row) -> Done {
    let mut stage = proxied(row, GOOGLE).await;
    stage.proxy().expire_watches();
    stage.people_move().await;
    stage.proxy().expire_watches();
    let looked = stage.goes_as_the_row_says().await;
    looked.ends(Ends::ByItself).await
}

async fn api_server_hides_the_secrets(row: Row) -> Done {
    let stage = proxied(row, JUMPCLOUD).await;
    let path = format!("/api/v1/namespaces/{}/secrets/*", stage.story.namespace);
    with(stage, 403, Method::GET, &path).await
}
