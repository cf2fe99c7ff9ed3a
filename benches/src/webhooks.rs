//! Webhooks per second on one core, compared with the same server and a handler that does nothing.
//! The difference is the cost of checking the signature, reading the event and putting it in line.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
};

use anyhow::{Context as _, Result, bail};
use axum::{Router, http::StatusCode, routing::post};
use bobsync::{
    api::key::IntegrationKey,
    bob::webhook::SigningSecrets,
    cluster::{leadership::Leadership, roster::Roster},
    engine::{clock::Clock, intake::inbox::Inbox},
    http::secret::Secret,
    server::{front, webhooks},
    telemetry::metrics::Metrics,
};
use serde_json::json;
use simulators::bob::webhooks::{event, sign};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

use crate::{Ratio, process::thread_cpu_seconds};

const DELIVERIES: usize = 30_000;
const SENDERS: usize = 8;
const PATH: &str = "/webhooks/bob/people/onelogin";
const SECRET: &str = "s3cret";

/// Measures both servers in turn, several times, and takes the median.
pub async fn measure() -> Result<Vec<Ratio>> {
    let (mut ours, mut empty) = (Vec::new(), Vec::new());
    for round in 0..3 {
        empty.push(
            per_second(
                Router::new().route("/webhooks/bob/{*place}", post(async || StatusCode::OK)),
                round,
            )
            .await?,
        );
        ours.push(per_second(real()?, round).await?);
    }
    let (ours, empty) = (crate::ratios::median(ours), crate::ratios::median(empty));
    eprintln!(
        "bench:   {ours:.0} webhooks in a second of CPU, and {empty:.0} with an empty handler"
    );
    let row = |what, value, goal, met| Ratio {
        id: "-",
        what,
        employees: 0,
        value,
        goal,
        met,
        provider: "-",
    };
    Ok(vec![
        row("webhooks per second of one core", ours, ">= 5000", ours >= 5000.0),
        row(
            "the same / the same server with an empty handler",
            ours / empty,
            ">= 0.5",
            ours / empty >= 0.5,
        ),
    ])
}

/// Returns what the product serves: one integration with a secret, and no worker on its line.
fn real() -> Result<Router> {
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().context("an address")?);
    let inbox = Inbox::new(
        kube::Client::try_from(nowhere)?,
        Roster::default(),
        Clock::system(),
        Leadership::always(),
    );
    let key = IntegrationKey { namespace: "people".into(), name: "onelogin".into() };
    inbox
        .open(
            &key,
            "uid".to_owned(),
            Arc::new(bobsync::engine::integration::status::Saying::default()),
        )
        .sign_with(Some(SigningSecrets { current: Secret::new(SECRET), previous: None }));
    inbox.listed();
    Ok(webhooks::router(inbox, Arc::new(Metrics::new())))
}

/// Returns the deliveries in a second of the one thread that serves them.
async fn per_second(router: Router, round: usize) -> Result<f64> {
    let (told, address) = mpsc::channel::<Result<(SocketAddr, u64), String>>();
    let (stop, stopped) = oneshot::channel::<()>();
    // A runtime of its own on a thread of its own: one core.
    let serving = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let own = std::fs::read_link("/proc/thread-self")
                .ok()
                .and_then(|link| link.file_name()?.to_str()?.parse().ok());
            let place = own
                .ok_or_else(|| "no thread id".to_owned())
                .and_then(|own: u64| Ok((listener.local_addr().map_err(|e| e.to_string())?, own)));
            let _ = told.send(place);
            front::serve(listener, router, webhooks::LIMITS, async { drop(stopped.await) }).await;
        });
    });
    let (address, thread) = address.recv()?.map_err(anyhow::Error::msg)?;
    let requests: Vec<Vec<u8>> = (0..DELIVERIES).map(|number| request(number, round)).collect();
    // Connections and caches are warm before the count starts.
    deliver(address, &requests[..1000]).await?;
    let before = thread_cpu_seconds(thread)?;
    deliver(address, &requests[1000..]).await?;
    let cpu = thread_cpu_seconds(thread)? - before;
    drop(stop);
    serving.join().map_err(|_| anyhow::anyhow!("the server panicked"))?;
    #[allow(clippy::cast_precision_loss)]
    Ok((DELIVERIES - 1000) as f64 / cpu)
}

async fn deliver(address: SocketAddr, requests: &[Vec<u8>]) -> Result<()> {
    let share = requests.len().div_ceil(SENDERS);
    let senders = requests.chunks(share).map(|own| async move {
        let mut stream = TcpStream::connect(address).await?;
        let mut answer = [0_u8; 1024];
        for request in own {
            stream.write_all(request).await?;
            let read = stream.read(&mut answer).await?;
            if !answer[..read].starts_with(b"HTTP/1.1 200") {
                bail!("{}", String::from_utf8_lossy(&answer[..read]));
            }
        }
        Ok(())
    });
    futures::future::try_join_all(senders).await.map(drop)
}

/// As Bob sends it: about one of a thousand employees, and never the same twice.
fn request(number: usize, round: usize) -> Vec<u8> {
    let data = json!({"employeeId": (1_000_000 + number % 1000).to_string(), "fieldUpdates": [{"id": "work.title"}, {"id": "work.department"}]});
    let mut body = event("employee.updated", &data, jiff::Timestamp::now());
    body["triggeredAt"] = format!("2026-10-14T09:21:{round:02}.{number:06}").into();
    let body = body.to_string();
    let signature = sign(SECRET, body.as_bytes());
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: bobsync.example.com\r\nUser-Agent: Bob\r\nContent-Type: application/json\r\nBob-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
