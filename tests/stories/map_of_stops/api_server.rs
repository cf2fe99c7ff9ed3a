//! What can go wrong at the API server.

use testbed::proxy::{Act, Method};

use super::{
    stage::{Done, Extras, Stage},
    table::{Ends, Row},
    tenant::Tenant,
};

rows!(
    api_server_refuses_statuses,
    api_server_says_conflict,
    api_server_refuses_objects,
    api_server_refuses_the_integrations_status,
    api_server_is_away,
    api_server_refuses_the_lease,
    api_server_does_not_list,
    api_server_breaks_watches,
    api_server_hides_the_secrets,
);

async fn proxied(row: Row, tenant: Tenant) -> Stage {
    Stage::set_with(row, tenant, Extras { proxied: true, ..Extras::default() }).await
}

fn objects(stage: &Stage) -> String {
    format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/employeesyncs", stage.story.namespace)
}

/// These calls are answered so until it ends by itself.
async fn with(mut stage: Stage, status: u16, method: Method, path: &str) -> Done {
    stage.proxy().rule(Act::Status(status), method, path, None);
    stage.people_move().await;
    let mut looked = stage.is_as_the_row_says().await;
    looked.stage().proxy().clear();
    looked.ends(Ends::ByItself).await
}

async fn api_server_refuses_statuses(row: Row) -> Done {
    let stage = proxied(row, Tenant::OneLogin).await;
    let path = format!("{}/*/status", objects(&stage));
    with(stage, 500, Method::PATCH, &path).await
}

async fn api_server_says_conflict(row: Row) -> Done {
    let stage = proxied(row, Tenant::Google).await;
    let path = format!("{}/*/status", objects(&stage));
    with(stage, 409, Method::PATCH, &path).await
}

/// A quota is reached, or a policy refuses.
async fn api_server_refuses_objects(row: Row) -> Done {
    let stage = proxied(row, Tenant::Entra).await;
    let path = objects(&stage);
    with(stage, 403, Method::POST, &path).await
}

async fn api_server_refuses_the_integrations_status(row: Row) -> Done {
    let stage = proxied(row, Tenant::JumpCloud).await;
    let path = format!("/apis/bobsync.dev/v1alpha1/namespaces/{}/provisioningintegrations/*/status", stage.story.namespace);
    with(stage, 500, Method::PATCH, &path).await
}

async fn api_server_is_away(row: Row) -> Done {
    let mut stage = proxied(row, Tenant::OneLogin).await;
    stage.proxy().down();
    stage.people_move().await;
    let mut looked = stage.is_as_the_row_says().await;
    looked.stage().proxy().up();
    looked.ends(Ends::ByItself).await
}

/// The Lease cannot be renewed: another replica may lead.
async fn api_server_refuses_the_lease(row: Row) -> Done {
    let mut stage = proxied(row, Tenant::JumpCloud).await;
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases*", stage.story.system);
    for method in [Method::GET, Method::PUT, Method::PATCH] {
        stage.proxy().rule(Act::Status(500), method, &leases, None);
    }
    stage.loses_the_lease().await;
    stage.people_move().await;
    let mut looked = stage.is_as_the_row_says().await;
    looked.stage().proxy().clear();
    looked.ends(Ends::ByItself).await
}

/// A right is taken away while the controller runs: lists and watches are refused.
async fn api_server_does_not_list(row: Row) -> Done {
    let stage = proxied(row, Tenant::Entra).await;
    let path = objects(&stage);
    stage.proxy().rule(Act::Status(403), Method::GET, &path, None);
    stage.proxy().expire_watches();
    with(stage, 403, Method::GET, &path).await
}

async fn api_server_breaks_watches(row: Row) -> Done {
    let mut stage = proxied(row, Tenant::Google).await;
    stage.proxy().expire_watches();
    stage.people_move().await;
    stage.proxy().expire_watches();
    let looked = stage.is_as_the_row_says().await;
    looked.ends(Ends::ByItself).await
}

async fn api_server_hides_the_secrets(row: Row) -> Done {
    let stage = proxied(row, Tenant::JumpCloud).await;
    let path = format!("/api/v1/namespaces/{}/secrets/*", stage.story.namespace);
    with(stage, 403, Method::GET, &path).await
}
