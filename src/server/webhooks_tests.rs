//! The address over real sockets. Evidence needs an API server, so the stories test it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::*;
use crate::engine::integration::status::Saying;
use crate::{
    api::key::IntegrationKey,
    bob::webhook::SigningSecrets,
    cluster::{leadership::Leadership, roster::Roster},
    domain::priority::Urgency,
    engine::{clock::Clock, intake::inbox::Mailbox},
    http::secret::Secret,
};

struct Scene {
    address: SocketAddr,
    mailbox: Arc<Mailbox>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
}

impl Scene {
    async fn start() -> Self {
        crate::cluster::connect::install_crypto();
        let nowhere = kube::Config::new("http://127.0.0.1:9".parse().expect("an address"));
        let client = kube::Client::try_from(nowhere).expect("a client");
        let inbox = Inbox::new(client, Roster::default(), Clock::system(), Leadership::always());
        let key = IntegrationKey { namespace: "people".into(), name: "onelogin".into() };
        let mailbox = inbox.open(&key, "uid".to_owned(), Arc::new(Saying::default()));
        inbox.listed();
        mailbox.sign_with(Some(SigningSecrets {
            current: Secret::new("new"),
            previous: Some(Secret::new("old")),
        }));
        let metrics = Arc::new(Metrics::new());
        let (stop, stopping) = watch::channel(false);
        // This port was free a moment ago, and nothing else in this process listens on fixed ports.
        let address = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .and_then(|l| l.local_addr())
            .expect("a port");
        listen(
            address,
            inbox,
            metrics.clone(),
            Parts::new(crate::telemetry::health::Health::new(), metrics.clone()),
            stopping,
        )
        .await
        .expect("listens");
        Self { address, mailbox, metrics, stop }
    }

    /// Sends one request and returns the whole answer.
    async fn send(&self, path: &str, signature: &str, body: &str) -> String {
        let signature = if signature.is_empty() {
            String::new()
        } else {
            format!("Bob-Signature: {signature}\r\n")
        };
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{signature}Content-Length: \
             {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).await.expect("sent");
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer))
            .await
            .expect("in time")
            .expect("text");
        answer
    }

    async fn deliver(&self, secret: &str, body: &str) -> String {
        self.send(PATH, &sign(secret, body), body).await
    }

    fn counted(&self, outcome: &str) -> bool {
        let (page, series) =
            (self.metrics.render(), format!("bobsync_webhooks_total{{outcome=\"{outcome}\"}} "));
        let count =
            page.lines().find_map(|line| line.strip_prefix(&series)).expect("shown from the start");
        count != "0"
    }

    fn lines(&self) -> usize {
        self.mailbox.lines.depths().iter().map(|(count, _)| count).sum()
    }
}

const PATH: &str = "/webhooks/bob/people/onelogin";

fn sign(secret: &str, body: &str) -> String {
    simulators::bob::webhooks::sign(secret, body.as_bytes())
}

fn event(employee: &str) -> String {
    format!(
        "{{\"companyId\":637323,\"type\":\"employee.updated\",\"version\":\"v2\",\
         \"data\":{{\"employeeId\":\"{employee}\"}}}}"
    )
}

fn without_date(answer: &str) -> String {
    answer.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect()
}

#[tokio::test]
async fn a_signed_event_is_in_line_and_a_repeated_one_does_nothing() {
    let scene = Scene::start().await;
    assert!(scene.deliver("new", &event("1")).await.starts_with("HTTP/1.1 200"));
    assert!(
        scene.deliver("old", &event("2")).await.starts_with("HTTP/1.1 200"),
        "the secret before is still valid"
    );
    assert_eq!(scene.lines(), 2);
    scene.mailbox.lines.wait(Urgency::Normal).await;
    assert_eq!(scene.mailbox.lines.take(Urgency::Normal, Instant::now()).len(), 2);
    assert!(scene.deliver("new", &event("1")).await.starts_with("HTTP/1.1 200"));
    assert_eq!(scene.lines(), 0);
    assert!(scene.counted("queued") && scene.counted("duplicate"));
}

#[tokio::test]
async fn what_is_not_signed_has_no_effect_and_tells_nothing() {
    let scene = Scene::start().await;
    let body = event("1");
    let wrong = scene.deliver("wrong", &body).await;
    assert!(wrong.starts_with("HTTP/1.1 401"), "{wrong}");
    for (path, signature) in [
        (PATH, String::new()),
        (PATH, "nonsense".to_owned()),
        (PATH, sign("new", "another body")),
        ("/webhooks/bob/people/other", sign("new", &body)),
        ("/webhooks/bob/elsewhere/onelogin", sign("new", &body)),
        ("/webhooks/bob/people", sign("new", &body)),
        ("/webhooks/bob/people/onelogin/more", sign("new", &body)),
    ] {
        assert_eq!(
            without_date(&scene.send(path, &signature, &body).await),
            without_date(&wrong),
            "{path} {signature}"
        );
    }
    scene.mailbox.sign_with(None);
    assert_eq!(
        without_date(&scene.deliver("", &body).await),
        without_date(&wrong),
        "no secret, and an empty key"
    );
    assert_eq!(scene.lines(), 0);
    assert!(scene.counted("refused") && !scene.counted("queued"));
}

#[tokio::test]
async fn the_ping_is_answered_anywhere_and_what_says_nothing_is_answered_and_left() {
    let scene = Scene::start().await;
    for path in [PATH, "/webhooks/bob/people/not-there", "/webhooks/bob/x", "/webhooks/bob/a/b/c"] {
        for ping in ["Ping test", "{\"text\":\"Ping test\"}"] {
            assert!(scene.send(path, "", ping).await.starts_with("HTTP/1.1 200"), "{path} {ping}");
        }
    }
    scene.mailbox.company(Some(637_323));
    let other = event("1").replace("637323", "1");
    for (body, outcome) in [
        (other.as_str(), "other_company"),
        ("{\"type\":\"timeoff.request.created\"}", "ignored"),
        ("no event", "unreadable"),
    ] {
        assert!(scene.deliver("new", body).await.starts_with("HTTP/1.1 200"), "{body}");
        assert!(scene.counted(outcome), "{outcome}");
    }
    assert_eq!(scene.lines(), 0);
    assert!(
        scene
            .deliver("new", "{\"type\":\"employee.promoted\",\"data\":{}}")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(scene.mailbox.lines.everybody_due().is_some(), "an employee, and it is not said which");
}

#[tokio::test]
async fn a_revocation_that_is_not_evidence_is_in_line_and_counted_by_its_own_word() {
    let scene = Scene::start().await;
    let revoked = |id: &str, envelope: &str| {
        format!(
            "{{\"type\":\"employee.access.revoked.immediately\",\
             \"data\":{{\"employeeId\":\"{id}\"}},\"triggeredAt\":\"{envelope}\"}}"
        )
    };
    let day = |days: i64| {
        (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days))
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string()
    };
    // Nothing can be written here, because there is no API server.
    for (number, body) in [revoked("1", &day(1)), revoked("2", &day(-5))].iter().enumerate() {
        assert!(scene.deliver("new", body).await.starts_with("HTTP/1.1 200"), "{body}");
        assert_eq!(scene.lines(), number + 1);
    }
    assert!(scene.counted("not_evidence") && !scene.counted("queued"));
    assert!(scene.deliver("new", &revoked("no-id", &day(0))).await.starts_with("HTTP/1.1 200"));
    assert!(
        scene.mailbox.lines.everybody_due().is_some() && !scene.counted("queued"),
        "an employee, and it is not said which"
    );
    assert!(
        scene.deliver("new", &revoked("3", &day(0))).await.starts_with("HTTP/1.1 503"),
        "this one would be evidence"
    );
}

#[tokio::test]
async fn a_huge_body_costs_nothing() {
    let scene = Scene::start().await;
    let mut stream = TcpStream::connect(scene.address).await.expect("connects");
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The body is refused because of its announced length, or once it has passed the limit. It is
    // never read to its end.
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0_usize;
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let sending = async {
        while write.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = sending => {}
        () = tokio::time::sleep(Duration::from_secs(15)) => panic!("still reading"),
    }
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(sent < 32 << 20, "{sent} bytes were taken");
    assert!(scene.counted("too_large"));
    assert!(
        scene.deliver("new", &event("1")).await.starts_with("HTTP/1.1 200"),
        "and the next is served"
    );
}

#[tokio::test]
async fn a_body_that_dawdles_or_breaks_off_is_counted_and_has_no_effect() {
    let scene = Scene::start().await;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{\"type\"");
    let mut broken = TcpStream::connect(scene.address).await.expect("connects");
    broken.write_all(head.as_bytes()).await.expect("sent");
    drop(broken);
    let mut slow = TcpStream::connect(scene.address).await.expect("connects");
    slow.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    tokio::time::timeout(LIMITS.body + Duration::from_secs(5), slow.read_to_end(&mut answer))
        .await
        .expect("an end")
        .expect("read");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert!(
        scene.counted("too_slow") && scene.counted("broken_off") && !scene.counted("too_large")
    );
    assert_eq!(scene.lines(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_dawdles_or_is_none_is_counted_and_an_idle_connection_is_not() {
    let scene = Scene::start().await;
    let end = async |head: &[u8]| {
        let mut stream = TcpStream::connect(scene.address).await.expect("connects");
        // The listener may end the connection before everything is sent.
        let _ = stream.write_all(head).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(
            LIMITS.head + Duration::from_secs(5),
            stream.read_to_end(&mut answer),
        )
        .await
        .expect("an end");
    };
    end(b"").await;
    assert!(!["too_large", "too_slow", "broken_off"].iter().any(|word| scene.counted(word)));
    end(&[b"POST / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 64 * 1024]].concat()).await;
    assert!(scene.counted("too_large") && !scene.counted("too_slow"));
    end(b"POST / HTTP/1.1\r\nHost: ").await;
    assert!(scene.counted("too_slow") && !scene.counted("broken_off"));
    end(b"what?\r\n\r\n").await;
    assert!(scene.counted("broken_off"));
}

#[tokio::test]
async fn slow_senders_on_every_place_keep_no_other_out_for_long() {
    let scene = Scene::start().await;
    let mut slow = Vec::new();
    for _ in 0..LIMITS.connections {
        let mut stream = TcpStream::connect(scene.address).await.expect("connects");
        stream
            .write_all(b"POST /webhooks/bob/people/onelogin HTTP/1.1\r\nHost: ")
            .await
            .expect("sent");
        slow.push(stream);
    }
    let began = Instant::now();
    assert!(scene.deliver("new", &event("1")).await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < LIMITS.head + Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn before_the_secrets_are_known_every_sender_is_asked_to_come_again() {
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().expect("an address"));
    crate::cluster::connect::install_crypto();
    let inbox = Inbox::new(
        kube::Client::try_from(nowhere).expect("a client"),
        Roster::default(),
        Clock::system(),
        Leadership::always(),
    );
    let knock = async |name: &str| inbox.receive("people", name, Some(b"x"), b"{}").await;
    assert_eq!(
        (knock("onelogin").await, knock("other").await),
        (Received::Starting, Received::Starting)
    );
    let key = |name: &str| IntegrationKey { namespace: "people".into(), name: name.into() };
    let (one, other) = (
        inbox.open(&key("onelogin"), String::new(), Arc::new(Saying::default())),
        inbox.open(&key("other"), String::new(), Arc::new(Saying::default())),
    );
    inbox.listed();
    one.sign_with(None);
    assert_eq!(
        (knock("onelogin").await, knock("unknown").await),
        (Received::Starting, Received::Starting),
        "one Secret is not read yet"
    );
    other.sign_with(None);
    assert_eq!(
        (knock("onelogin").await, knock("unknown").await),
        (Received::Refused, Received::Refused)
    );
    let _later = inbox.open(&key("later"), String::new(), Arc::new(Saying::default()));
    assert_eq!(knock("onelogin").await, Received::Refused, "and stays so");
}

#[tokio::test]
async fn a_replica_that_does_not_lead_asks_for_another_try_and_a_stopped_listener_is_gone() {
    let scene = Scene::start().await;
    let following = Leadership::always();
    following.release().await;
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().expect("an address"));
    let inbox = Inbox::new(
        kube::Client::try_from(nowhere).expect("a client"),
        Roster::default(),
        Clock::system(),
        following,
    );
    assert_eq!(inbox.receive("people", "onelogin", Some(b"x"), b"{}").await, Received::NotLeading);
    scene.stop.send_replace(true);
    let began = Instant::now();
    while TcpStream::connect(scene.address).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "still listening");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
