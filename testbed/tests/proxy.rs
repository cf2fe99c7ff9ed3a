//! The promises of the proxy, in front of a real kube-apiserver.

use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, Config, ResourceExt as _};
use testbed::proxy::{Act, Method, Only};
use testbed::{ControlPlane, Options, Proxy};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

/// Returns ConfigMaps through the proxy, as the administrator, and directly.
async fn both(plane: &ControlPlane, proxy: &Proxy) -> (Api<ConfigMap>, Api<ConfigMap>) {
    let mut file = kube::config::Kubeconfig::read_from(plane.kubeconfig()).expect("a kubeconfig");
    file.clusters[0].cluster.as_mut().expect("a cluster").server = Some(proxy.server());
    let mut config =
        Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
            .await
            .expect("a configuration");
    config.default_retry = false;
    let through = Client::try_from(config).expect("a client");
    (Api::namespaced(through, "default"), Api::namespaced(plane.client(), "default"))
}

/// Returns whether there is no answer for a while.
async fn unanswered<T>(call: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(1500), call).await.is_err()
}

/// Returns the next event, soon.
async fn within<T>(next: impl Future<Output = T>) -> Result<T, tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_secs(10), next).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_held_refused_cut_or_passed_on_as_ordered() {
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    let proxy = plane.proxy().await.expect("a proxy");
    let (through, direct) = both(&plane, &proxy).await;
    let create = async |name: &str| through.create(&PostParams::default(), &map(name)).await;
    create("plain").await.expect("nothing stands in the way");

    // Held before: the object never exists. Held after: it exists, without an answer. Both for
    // exactly as many requests as the rule says.
    proxy.rule(Act::HoldBefore, Method::POST, MAPS, Some(1));
    assert!(unanswered(create("before")).await);
    assert!(direct.get_opt("before").await.unwrap().is_none());
    proxy.rule(Act::HoldAfter, Method::POST, MAPS, Some(1));
    assert!(unanswered(create("after")).await);
    assert!(direct.get_opt("after").await.unwrap().is_some());
    assert_eq!(
        proxy.struck().iter().map(|held| (held.act, held.answered)).collect::<Vec<_>>(),
        [(Act::HoldBefore, None), (Act::HoldAfter, Some(201))]
    );
    proxy.rule(Act::Status(409), Method::GET, &format!("{MAPS}/*"), Some(1));
    assert!(
        matches!(through.get("plain").await, Err(kube::Error::Api(status)) if status.code == 409)
    );
    through.get("plain").await.expect("once only");
    proxy.rule(Act::Cut, Method::GET, &format!("{MAPS}/*"), Some(1));
    assert!(
        matches!(through.get("plain").await, Err(kube::Error::SerdeError(error)) if error.is_eof()),
        "a brace is missing"
    );
    through.get("plain").await.expect("once only");
    proxy.rule(Act::Delay(Duration::from_secs(3)), Method::GET, &format!("{MAPS}/*"), None);
    assert!(unanswered(through.get("plain")).await);
    proxy.clear();

    // A watch streams, and ends with 410 on request; another one goes on from there.
    let now = through
        .list(&kube::api::ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let mut watch = Box::pin(through.watch(&WatchParams::default(), &now).await.unwrap());
    direct.create(&PostParams::default(), &map("watched")).await.unwrap();
    let event = within(watch.try_next()).await.expect("streamed at once").unwrap();
    assert!(matches!(event, Some(WatchEvent::Added(map)) if map.name_any() == "watched"));
    proxy.expire_watches();
    let event = within(watch.try_next()).await.expect("cut at once").unwrap();
    assert!(matches!(event, Some(WatchEvent::Error(status)) if status.code == 410));
    assert!(within(watch.try_next()).await.expect("ended").unwrap().is_none());

    // Down: running requests are cut, new ones are not served. Up: as before.
    let mut watch = Box::pin(through.watch(&WatchParams::default(), &now).await.unwrap());
    within(watch.try_next()).await.expect("streamed at once").unwrap();
    proxy.down();
    assert!(!matches!(within(watch.try_next()).await.expect("cut at once"), Ok(Some(_))));
    assert!(through.get("plain").await.is_err());
    proxy.up();
    through.get("plain").await.expect("back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_halved_strange_or_on_dead_connections_as_ordered() {
    let plane = ControlPlane::start(Options::default()).await.expect("a control plane");
    let proxy = plane.proxy().await.expect("a proxy");
    let (through, direct) = both(&plane, &proxy).await;
    direct.create(&PostParams::default(), &map("one")).await.expect("made");

    // A cut list, and the page of another server; watches are not struck.
    proxy.rule_for(Only::Lists, Act::Half, Method::GET, MAPS, Some(1));
    proxy.rule_for(Only::Lists, Act::Page, Method::GET, MAPS, Some(1));
    let watch = through.watch(&WatchParams::default(), "0").await.expect("a watch is no list");
    let mut watch = std::pin::pin!(watch);
    assert!(matches!(
        within(watch.try_next()).await.expect("soon"),
        Ok(Some(WatchEvent::Added(_)))
    ));
    let cut = through.list(&ListParams::default()).await.expect_err("half of it");
    assert!(!matches!(cut, kube::Error::Api(_)), "{cut:?}");
    assert!(matches!(through.list(&ListParams::default()).await, Err(kube::Error::SerdeError(_))));
    assert!(!through.list(&ListParams::default()).await.expect("once only").items.is_empty());

    // Half of the first event, and then silence.
    proxy.rule_for(Only::Watches, Act::Half, Method::GET, MAPS, Some(1));
    let halved = through.watch(&WatchParams::default(), "0").await.expect("accepted");
    assert!(unanswered(std::pin::pin!(halved).try_next()).await);

    // Connections are dead without a sign; new ones work.
    while !unanswered(watch.try_next()).await {}
    through.get("one").await.expect("a connection that waits for the next request");
    proxy.forget_connections();
    direct.create(&PostParams::default(), &map("two")).await.expect("made");
    assert!(unanswered(watch.try_next()).await);
    assert!(unanswered(through.get("two")).await);
    let (fresh, _) = both(&plane, &proxy).await;
    fresh.get("two").await.expect("a new connection");
}
