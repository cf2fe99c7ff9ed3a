//! Microsoft Entra ID, and the stories that only Entra has: administrators that it does not tell,
//! accounts that are mastered elsewhere, and sessions that stay open.

use bobsync::provider::{Catalog, entra::CATALOG};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    ENTRA, every,
    tenant::{First, Refusal, Rules, Scene, Setting, Tenant, leaves, text},
};
use crate::support::{Controller, condition, ready, until};

pub struct Entra;

/// Returns these keys of the app.
fn keys(app: &Value, keys: &[&'static str]) -> Vec<(&'static str, String)> {
    keys.iter().map(|key| (*key, text(&app[*key]))).collect()
}

impl Tenant for Entra {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn name(&self) -> &'static str {
        "entra"
    }

    fn spec(&self, url: &str) -> Value {
        json!({"entraID": {"tenantId": "example.com", "credentialsSecretRef": {"name": "entra"}, "endpoint": url, "tokenEndpoint": url}})
    }

    fn example(&self) -> &'static str {
        "entra-id.yaml"
    }

    fn credentials(&self) -> Option<&'static str> {
        Some("/entra/app")
    }

    fn secret(&self, app: &Value) -> Vec<(&'static str, String)> {
        keys(app, &["clientId", "clientSecret"])
    }

    fn secret_of_the_example(&self, app: &Value) -> Vec<(&'static str, String)> {
        keys(app, &["clientId", "clientCertificate", "clientKey"])
    }

    fn never_told(&self) -> &'static [&'static str] {
        &["BEGIN PRIVATE KEY", "eyJ0."]
    }

    fn users(&self) -> &'static str {
        "/v1.0/users"
    }

    fn update(&self) -> &'static str {
        "PATCH"
    }

    fn id(&self, user: &Value) -> String {
        text(&user["id"])
    }

    /// The mark is `bob` and the id in base 36.
    fn mark(&self, user: &Value) -> Option<String> {
        let digits = user["employeeId"].as_str()?.strip_prefix("bob")?;
        Some(u64::from_str_radix(digits, 36).ok()?.to_string())
    }

    fn is_open(&self, user: &Value) -> bool {
        user["accountEnabled"] == true
    }

    fn is_suspended(&self, user: &Value) -> bool {
        user["accountEnabled"] == false
    }

    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)> {
        let row = |target: &str, field| (user[target].clone(), field);
        vec![
            row("userPrincipalName", "root.email"),
            row("displayName", "root.displayName"),
            row("givenName", "root.firstName"),
            row("surname", "root.surname"),
            (user["businessPhones"][0].clone(), "work.workPhone"),
            row("mobilePhone", "work.workMobile"),
            row("jobTitle", "work.title"),
            row("department", "work.department"),
            row("officeLocation", "work.site"),
        ]
    }

    fn title(&self) -> &'static str {
        "jobTitle"
    }

    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)> {
        Some((user["manager"]["id"].clone(), manager["id"].clone()))
    }

    fn must_change_password(&self, user: &Value) -> Option<bool> {
        user["passwordProfile"]["forceChangePasswordNextSignIn"].as_bool()
    }

    fn sessions(&self, id: &str) -> Option<String> {
        Some(format!("/v1.0/users/{id}/revokeSignInSessions"))
    }

    fn first_sync(&self, first: &First) {
        let writes = first.wanted + first.managed;
        assert_eq!(first.writes, writes, "one write each, and one for each manager");
        assert_eq!(first.refused, 0, "Microsoft never had to say no");
        for user in &first.users {
            let forced = &user["passwordProfile"]["forceChangePasswordNextSignIn"];
            assert_eq!((&user["usageLocation"], forced), (&json!("GB"), &json!(true)), "{user}");
            assert_eq!(user["mail"], user["userPrincipalName"], "{user}");
        }
    }

    fn lag(&self) -> Option<Value> {
        Some(json!({"readLagSeconds": 3, "listLagSeconds": 20, "referenceLagSeconds": 4}))
    }

    fn old_account(&self, employee: &Value) -> Value {
        json!({"userPrincipalName": employee["root.email"], "displayName": "Old Name", "mailNickname": "old", "companyName": "Kept"})
    }

    /// The row of `mail` is for creations only, and touches no other account.
    fn kept(&self, user: &Value) -> Vec<Value> {
        vec![user["companyName"].clone(), user["mailNickname"].clone(), user["mail"].clone()]
    }

    fn mastered(&self) -> Option<Value> {
        Some(json!({"onPremisesSyncEnabled": true}))
    }

    fn protection(&self, ids: &[String]) -> Vec<Setting> {
        vec![Setting::Put("/entra/directory", json!({"restricted": ids}))]
    }

    fn refused(&self, rules: &Rules) -> Vec<Refusal> {
        let unknown = "Microsoft Entra ID has no such target";
        let extension = "extension_0123456789abcdef0123456789abcdef_bob";
        let mark = "this target holds the mark";
        let marked = rules.with(json!({"target": extension, "field": "work.title"}));
        let part = |field, value, said| (rules.changed(field, json!(value)), json!({}), said);
        vec![
            part("cloud", "Germany", "Unsupported value"),
            part("usageLocation", "Great Britain", "usageLocation"),
            part("markAttribute", "employeeType", "markAttribute"),
            rules.row("title", "work.title", unknown),
            rules.row("accountEnabled", "work.title", unknown),
            rules.row("manager", "work.title", "manager refers to an employee"),
            rules.row("employeeId", "work.employeeIdInCompany", mark),
            (rules.changed("markAttribute", json!(extension)), marked, mark),
        ]
    }

    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)> {
        ["employeeOrgData.costCenter", "employeeOrgData.division"]
            .map(|target| {
                let row = json!({"target": target, "field": "work.department"});
                (rules.provider.clone(), rules.with(row))
            })
            .to_vec()
    }
}

every::every_provider!(ENTRA);

async fn ended(story: &Scene) -> Vec<Value> {
    story.simulated.get("/entra/sessions").await.as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_a_number_of_somebody_else_is_a_conflict() {
    let story = Scene::begin(ENTRA, "number", 12).await;
    let (id, employee) = story.simulated.somebody().await;
    let mut user = Entra.old_account(&employee);
    user["employeeId"] = json!("4711");
    let taken = story.simulated.post("/entra/users", user).await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    story.ready("Converged").await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Conflict".into()));
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(message.contains("markAttribute") && !message.contains("4711"), "{message}");
    let held = story.simulated.get(&story.path(&taken)).await;
    assert_eq!(held, taken, "the number is never overwritten, nor anything else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_are_mastered_elsewhere_and_administrators_are_told_and_left() {
    let (story, _controller) = Scene::converged(ENTRA, "elsewhere", 20, json!({})).await;
    story.sync().await;
    let (id, employee) = story.simulated.somebody().await;
    let admin = employee["work.manager"].as_str().unwrap().to_owned();
    let (synced, boss) = (story.account(&id).await, story.account(&admin).await);
    let path = format!("/entra/users/{}", synced["id"].as_str().unwrap());
    story.simulated.patch(&path, json!({"onPremisesSyncEnabled": true})).await;
    story.simulated.put("/entra/directory", json!({"administrators": [boss["id"]]})).await;
    story.forget_calls().await;
    story
        .simulated
        .change(&id, json!({"work.title": "Elsewhere", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}))
        .await;
    story
        .simulated
        .change(&admin, json!({"work.title": "Chief", "work.workMobile": "+44 20 7946 0001"}))
        .await;
    story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "ManagedElsewhere".into()));
    assert_eq!(condition(&person, "Stalled").unwrap().0, "True");
    assert_eq!(story.simulated.get(&path).await["accountEnabled"], true);

    let person = story.person(&admin).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Forbidden".into()));
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(message.contains("mobilePhone") && !message.contains("7946"), "{message}");
    let now = story.account(&admin).await;
    assert_eq!(
        (&now["jobTitle"], &now["mobilePhone"]),
        (&json!("Chief"), &boss["mobilePhone"]),
        "the harmless part lands"
    );

    // An administrator leaves: the account stays open, and a person must suspend it.
    let leaves = leaves();
    story.simulated.change(&admin, leaves).await;
    story.sync().await;
    let person = story.person(&admin).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "SuspendByHand".into()));
    assert_eq!(condition(&person, "Stalled").unwrap().0, "True");
    let (_, _, message) = condition(&person, "Ready").unwrap();
    assert!(
        message.contains("suspend the account by hand") && message.contains("Microsoft said"),
        "{message}"
    );
    let failing = story
        .integration()
        .await
        .status
        .unwrap()
        .conditions
        .into_iter()
        .find(|one| one.type_ == "EmployeesFailing")
        .unwrap();
    assert!(failing.message.contains("1 SuspendByHand"), "{}", failing.message);
    let by_hand = json!({"accountEnabled": false, "mobilePhone": "+44 20 7946 0001"});
    story.simulated.patch(&format!("/entra/users/{}", boss["id"].as_str().unwrap()), by_hand).await;
    until("what was done by hand is believed", || async {
        story.sync().await;
        let person = ready(&story.person(&admin).await.unwrap());
        if person == ("True".into(), "InSync".into()) { Ok(()) } else { Err(format!("{person:?}")) }
    })
    .await;

    let log = story.simulated.get("/entra/log?since=0").await;
    let of_synced = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"].as_str().unwrap().contains(synced["id"].as_str().unwrap()));
    assert_eq!(of_synced.count(), 0, "not one call for an account that is not ours to change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_a_missing_permission_and_two_proofs_are_told_apart() {
    let story = Scene::begin(ENTRA, "secret", 8).await;
    let app = story.simulated.get("/entra/app").await;
    story
        .secret(
            "entra",
            &[("clientId", app["clientId"].as_str().unwrap()), ("clientSecret", "wrong-secret")],
        )
        .await;
    let _controller = Controller::start(&story).await;
    story.integrate(json!({})).await;
    let message = |integration: bobsync::api::ProvisioningIntegration| {
        let conditions = integration.status.unwrap().conditions;
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().message
    };
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("AADSTS7000215") && !said.contains("wrong-secret"), "{said}");

    story.simulated.put("/entra/app", json!({"permissions": []})).await;
    ENTRA.write_secret(&story, &keys(&app, &["clientId", "clientSecret"])).await;
    let said = message(story.ready("ProviderForbidden").await);
    assert!(said.contains("User.ReadWrite.All"), "{said}");
    story.simulated.put("/entra/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    story.sync().await;
    story.ready("Converged").await;

    // The controller does not guess between two proofs.
    let both = keys(&app, &["clientId", "clientSecret", "clientCertificate", "clientKey"]);
    ENTRA.write_secret(&story, &both).await;
    let said = message(story.ready("ProviderUnauthorized").await);
    assert!(said.contains("clientCertificate") && said.contains("not both"), "{said}");
}

/// Returns a token of the chart's ServiceAccount for this audience, as kubelet writes it into a
/// volume.
async fn projected(story: &Scene, audience: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(story.client.clone(), &story.system);
    let spec = json!({"audiences": [audience], "expirationSeconds": 3600});
    let request = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
    let issued = accounts.create_token_request("bobsync", &PostParams::default(), &request).await;
    issued.unwrap().status.unwrap().token
}

/// Lets the app of the simulator trust the tokens of this API server for the chart's
/// ServiceAccount, by the keys that the API server publishes.
async fn trusted(story: &Scene) {
    let read = async |path: &str| -> Value {
        story
            .client
            .request(axum::http::Request::get(path).body(Vec::new()).unwrap())
            .await
            .unwrap()
    };
    let issuer = read("/.well-known/openid-configuration").await["issuer"].clone();
    let keys = read("/openid/v1/jwks").await["keys"].clone();
    let subject = format!("system:serviceaccount:{}:bobsync", story.system);
    let federated = json!({"issuer": issuer, "subject": subject, "keys": keys});
    story.simulated.put("/entra/app", json!({"federated": federated})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_api_server_takes_the_place_of_a_secret() {
    let story = Scene::begin(ENTRA, "federated", 8).await;
    trusted(&story).await;
    let app = story.simulated.get("/entra/app").await;
    // The Secret may have been made with a client secret before.
    let secrets: Api<Secret> = Api::namespaced(story.client.clone(), &story.namespace);
    secrets.delete("entra", &DeleteParams::default()).await.unwrap();
    story.secret("entra", &[("clientId", app["clientId"].as_str().unwrap())]).await;
    let file = std::env::temp_dir().join(format!("{}-token", story.namespace));
    let path = file.to_str().unwrap();
    let told = async || {
        let conditions = story.integration().await.status.unwrap().conditions;
        let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
        (ready.reason, ready.message)
    };
    let unauthorized = async |what: &str, said: &str| {
        until(what, async || {
            story.sync().await;
            let (reason, message) = told().await;
            let is_told = reason == "ProviderUnauthorized" && message.contains(said);
            if is_told { Ok(()) } else { Err(format!("{reason}: {message}")) }
        })
        .await;
        let (_, message) = told().await;
        assert!(message.contains("It has to trust the token of the controller"), "{message}");
        assert!(!message.contains("eyJ"), "{message}");
    };

    // The operator trusts another namespace with the controller's identity.
    let flags = ["--federated-token-file", path, "--federated-namespace", "elsewhere"];
    let controller = Controller::with(&story, &flags).await;
    story.integrate(json!({})).await;
    let trust = format!("--federated-namespace {}", story.namespace);
    unauthorized("the namespace is not trusted", &trust).await;
    assert!(controller.stop().await);

    let controller = Controller::with(&story, &["--federated-token-file", path]).await;
    unauthorized("the file is missing", &format!("the file {path}")).await;
    std::fs::write(&file, "\n").unwrap();
    unauthorized("the file is empty", "is empty").await;
    let foreign = projected(&story, "https://vault.example.com").await;
    std::fs::write(&file, &foreign).unwrap();
    unauthorized("a token for another audience", "AADSTS700212").await;

    let right = projected(&story, "api://AzureADTokenExchange").await;
    std::fs::write(&file, &right).unwrap();
    story.sync().await;
    story.ready("Converged").await;

    // The file is read for each request for a token: kubelet replaces its content.
    std::fs::write(&file, &foreign).unwrap();
    story.simulated.post("/entra/tokens/revoke", json!({})).await;
    unauthorized("the token that is in the file now", "AADSTS700212").await;
    std::fs::write(&file, projected(&story, "api://AzureADTokenExchange").await).unwrap();
    story.sync().await;
    story.ready("Converged").await;
    for token in [&right, &foreign] {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!controller.log().contains(signature), "no token in a log");
    }

    // A client secret in the Secret decides, whatever identity the controller has.
    ENTRA.write_secret(&story, &keys(&app, &["clientId", "clientSecret"])).await;
    std::fs::remove_file(&file).unwrap();
    story.simulated.post("/entra/tokens/revoke", json!({})).await;
    story.sync().await;
    story.ready("Converged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_mounts_a_token_for_the_audience_that_entra_takes() {
    let story = Scene::begin(ENTRA, "mounted", 2).await;
    let pod = async |federation: Value| {
        let values = json!({"federation": federation, "crds": {"install": false}});
        let chart = story.plane.helm_template("bobsync", &story.system, values).await.unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&chart).unwrap();
        let deployment = documents.into_iter().find(|document| document["kind"] == "Deployment");
        deployment.unwrap()
    };
    let mut mounted = pod(json!({"token": true, "namespaces": ["people"]})).await;
    let spec = &mounted["spec"]["template"]["spec"];
    let source = &spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(source["audience"], "api://AzureADTokenExchange");
    let container = &spec["containers"][0];
    let (mount, file) = (&container["volumeMounts"][0], source["path"].as_str().unwrap());
    let flag = format!("--federated-token-file={}/{file}", mount["mountPath"].as_str().unwrap());
    let arguments = container["args"].as_array().unwrap();
    assert!(arguments.contains(&json!(flag)), "{arguments:?}");
    assert!(arguments.contains(&json!("--federated-namespace=people")), "{arguments:?}");
    assert_eq!(mount["name"], spec["volumes"][0]["name"]);
    // The API server takes it, and no pod begins.
    mounted["spec"]["replicas"] = json!(0);
    mounted["metadata"]["name"] = json!("mounted");
    story.plane.apply_yaml(&mounted.to_string()).await.unwrap();

    let usual = pod(json!({})).await;
    let spec = &usual["spec"]["template"]["spec"];
    assert_eq!(
        (&spec["volumes"], &spec["containers"][0]["volumeMounts"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_attribute_never_stops_a_suspension_and_sessions_that_stayed_open_are_ended_later()
 {
    let (story, controller) = Scene::converged(ENTRA, "refused", 12, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put("/entra/refuse", json!({"rules": [{"field": "jobTitle", "contains": "Xylophonist"}]}))
        .await;
    // More failures than there are tries in one pass.
    let down = json!({"kind": "status", "status": 503, "method": "POST", "pathPrefix": "/v1.0/users/", "times": 400});
    story.simulated.post("/entra/faults", down).await;
    let leaves = json!({"work.title": "Chief Xylophonist", "internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"});
    story.simulated.change(&id, leaves).await;
    story.sync().await;
    let user = story.account(&id).await;
    assert_eq!(user["accountEnabled"], false);
    assert!(ended(&story).await.is_empty());
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Retrying".into()));

    // Until the sessions are ended, access does not count as taken, in any process. The knowledge
    // of one process may be lost.
    let access = async || {
        serde_json::to_value(story.person(&id).await.unwrap().status.unwrap().access).unwrap()
    };
    assert_eq!(access().await, "Active");
    assert!(controller.stop().await);
    story.simulated.delete("/entra/faults").await;
    let _controller = Controller::start(&story).await;
    until("the sessions are ended", async || {
        ended(&story).await.pop().filter(|ended| *ended == user["id"]).ok_or("none".into())
    })
    .await;
    story.sync().await;
    story.sync().await;
    assert_eq!(ended(&story).await.len(), 1, "once");
    assert_eq!(access().await, "Suspended");
    let (_, reason, message) = condition(&story.person(&id).await.unwrap(), "Stalled").unwrap();
    assert!(
        reason == "Rejected" && message.contains("jobTitle") && !message.contains("Xylophonist"),
        "{message}"
    );
}
