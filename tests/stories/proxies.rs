//! The command line on a laptop or a runner of a company: the API server is behind a proxy.

use std::process::{Command, Output};

use serde_json::json;

use crate::support::{
    Story,
    proxies::{CompanyProxy, Kind},
};

/// Runs `bobsync sync onelogin --wait` with this kubeconfig and these variables, and no other of
/// its kind.
async fn sync(
    story: &Story,
    kubeconfig: std::path::PathBuf,
    variables: &[(&'static str, String)],
) -> Output {
    let (namespace, variables) = (story.namespace.clone(), variables.to_vec());
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobsync"));
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(name);
        }
        command.args(["sync", "onelogin", "--namespace", &namespace, "--wait", "--timeout", "50s"]);
        command.env("KUBECONFIG", kubeconfig).envs(variables).output().expect("it runs")
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_goes_through_a_proxy_and_past_it_where_the_server_is_named() {
    let (story, _controller) = Story::converged("proxied", 4, json!({})).await;
    let direct = story.plane.kubeconfig();
    let http = CompanyProxy::start(Kind::Http).await;
    let proxy = format!("http://{}", http.address);
    succeeded(&sync(&story, direct.clone(), &[("HTTPS_PROXY", proxy.clone())]).await);
    let through = http.through();
    assert!(through > 0, "it went through the proxy");
    for named in ["127.0.0.1", "localhost,127.0.0.0/8", "*"] {
        succeeded(
            &sync(
                &story,
                direct.clone(),
                &[("HTTPS_PROXY", proxy.clone()), ("NO_PROXY", named.to_owned())],
            )
            .await,
        );
        assert_eq!(http.through(), through, "{named}: it went past the proxy");
    }
    // If a proxy is named and does not answer, there is no direct way.
    let output =
        sync(&story, direct.clone(), &[("HTTPS_PROXY", "http://127.0.0.1:9".to_owned())]).await;
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("cannot be reached"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // The kubeconfig names it.
    let socks = CompanyProxy::start(Kind::Socks5).await;
    for (proxy, url) in [
        (&socks, format!("socks5://{}", socks.address)),
        (&http, format!("http://{}", http.address)),
    ] {
        let before = proxy.through();
        let mut file = kube::config::Kubeconfig::read_from(&direct).expect("a kubeconfig");
        file.clusters[0].cluster.as_mut().expect("a cluster").proxy_url = Some(url.clone());
        let path = std::env::temp_dir().join(format!(
            "bobsync-story-{}-{}.kubeconfig",
            std::process::id(),
            story.namespace
        ));
        std::fs::write(&path, serde_json::to_string(&file).expect("JSON is YAML")).expect("a file");
        let output = sync(&story, path.clone(), &[]).await;
        std::fs::remove_file(&path).expect("it is there");
        succeeded(&output);
        assert!(proxy.through() > before, "{url}");
    }
}
