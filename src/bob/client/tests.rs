//! The client against a scripted server: what it sends, and what it does with every kind of answer.

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Then {
    /// Sends these bytes and closes.
    Close(&'static str),
    /// Does the same after a while.
    CloseAfter(Duration, &'static str),
    /// Sends these bytes and keeps the connection open.
    Hang(&'static str),
}

type Outcomes = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

/// Returns a client with a server that answers each connection in turn, what the server received,
/// and what the observer received.
async fn against(script: Vec<Then>) -> (Client, oneshot::Receiver<Vec<String>>, Outcomes) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/prefix//", listener.local_addr().unwrap());
    let (done, requests) = oneshot::channel();
    tokio::spawn(async move {
        let (mut heard, mut open) = (Vec::new(), Vec::new());
        for then in script {
            let (mut socket, _) = listener.accept().await.unwrap();
            heard.push(request(&mut socket).await);
            if let Then::CloseAfter(pause, _) = then {
                tokio::time::sleep(pause).await;
            }
            let (Then::Close(bytes) | Then::CloseAfter(_, bytes) | Then::Hang(bytes)) = then;
            let _ = socket.write_all(bytes.as_bytes()).await;
            if matches!(then, Then::Hang(_)) {
                open.push(socket);
            }
        }
        let _ = done.send(heard);
        // A connection that hangs does so until the test ends.
        std::future::pending::<()>().await;
        drop(open);
    });
    let outcomes = Outcomes::default();
    let told = Arc::clone(&outcomes);
    let config = Config {
        base,
        service_user_id: "SERVICE-77".to_owned(),
        service_user_token: Secret::new("t0ken-very-secret"),
        pace: Arc::default(),
        observer: Arc::new(move |call, outcome| told.lock().push((call, outcome))),
        waits: Arc::new(|_| ()),
    };
    let patience = Patience {
        between_chunks: Duration::from_millis(300),
        search: Duration::from_secs(2),
        small: Duration::from_millis(400),
    };
    (Client::with_patience(config, patience).unwrap(), requests, outcomes)
}

/// Reads one request with its body, which the client sends with a length.
async fn request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    loop {
        let read = socket.read(&mut piece).await.unwrap();
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        if read == 0 || length.is_none_or(|length: usize| body.len() >= length) {
            return text;
        }
    }
}

async fn search(then: Then) -> (Result<People, Error>, &'static str) {
    let (client, _requests, outcomes) = against(vec![then]).await;
    let result = client.everybody(&Fields::default()).await;
    let told = outcomes.lock().clone();
    assert_eq!(told.len(), 1, "one call, told once");
    assert_eq!(told[0].0, "search");
    (result, told[0].1)
}

#[tokio::test]
async fn a_search_is_one_post_with_exactly_the_fields() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\nconnection: \
        close\r\n\r\n{\"employees\":[{\"id\":\"5\"}]}";
    let (client, requests, outcomes) = against(vec![Then::Close(answer)]).await;
    let mut fields = Fields::default();
    fields.want("work.title");
    let people = client.everybody(&fields).await.unwrap();
    assert_eq!(people.employees[0].id(), "5");
    let sent = requests.await.unwrap().remove(0);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /prefix/v1/people/search HTTP/1.1\r\n"), "{head}");
    // base64 of "SERVICE-77:t0ken-very-secret"
    assert!(
        head.contains("authorization: Basic U0VSVklDRS03Nzp0MGtlbi12ZXJ5LXNlY3JldA=="),
        "{head}"
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).unwrap(),
        serde_json::json!({
            "fields": ["root.id", "root.email", "internal.lifecycleStatus", "internal.status",
            "work.startDate",
                       "internal.terminationDate", "employee.lastDayOfWork", "work.site",
                       "employee.recentLeaveStartDate", "employee.recentLeaveEndDate",
                       "work.title"],
            "showInactive": true,
            "humanReadable": "APPEND",
        })
    );
    assert_eq!(*outcomes.lock(), [("search", "ok")]);
}

#[tokio::test]
async fn every_wrong_answer_has_its_error() {
    let unavailable = |said: &str| Error::Unavailable { said: said.to_owned() };
    let page = "200, but not with JSON: it is a log-in page, or another server answers";
    let broke = "the answer from 127.0.0.1:";
    for (answer, expected) in [
        (
            "401 X\r\ncontent-type: application/json\r\n\r\n{\"key\":\"k\",\"error\":\"e\"}",
            Error::Unauthorized,
        ),
        (
            "403 X\r\ncontent-type: application/json\r\n\r\n{\"key\":\"no.right\",\"error\":\"Ask \
             ada@example.com about 123456\"}",
            Error::Forbidden { said: "403: no.right: Ask … about …".to_owned() },
        ),
        (
            "403 X\r\ncontent-type: text/html\r\n\r\n<b>Blocked, Ada</b>",
            Error::Unavailable {
                said: "403 without Bob's words: a firewall in front of Bob may have blocked this \
                    address for some minutes"
                    .to_owned(),
            },
        ),
        (
            "429 X\r\nretry-after: 9\r\n\r\n",
            Error::Throttled { wait: Some(Duration::from_secs(9)) },
        ),
        (
            "400 X\r\n\r\n{\"key\":\"k\",\"error\":\"t0ken-very-secret of SERVICE-77\"}",
            unavailable("400: k: … of …"),
        ),
        ("500 X\r\n\r\nAda Okoro", unavailable("500 without Bob's words")),
        (
            "302 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
            unavailable("302: redirects are not followed"),
        ),
        ("204 X\r\n\r\n", unavailable("204 without Bob's words")),
        ("200 X\r\ncontent-type: text/html\r\n\r\n{\"employees\":[]}", unavailable(page)),
        ("200 X\r\n\r\n{\"employees\":[]}", unavailable(page)),
        (
            "200 X\r\ncontent-type: application/json\r\n\r\n{\"error\":\"t0ken-very-secret\"}",
            unavailable("200 with an error object: …"),
        ),
        (
            "200 X\r\ncontent-type: application/json\r\ncontent-length: \
            99\r\n\r\n{\"employees\":[]}",
            unavailable(broke),
        ),
        (
            "200 X\r\ncontent-type: application/json\r\n\r\n{\"employees\":[]",
            unavailable("the answer was cut off"),
        ),
        (
            "200 X\r\ncontent-type: application/json\r\ntransfer-encoding: \
            chunked\r\n\r\n10\r\n{\"employees\":[]}\r\n",
            unavailable(broke),
        ),
    ] {
        let whole: &'static str = Box::leak(format!("HTTP/1.1 {answer}").into_boxed_str());
        let (result, told) = search(Then::Close(whole)).await;
        assert_eq!(told, expected.category(), "{answer}");
        match (result.unwrap_err(), &expected) {
            (Error::Unavailable { said }, Error::Unavailable { said: expected })
                if expected == broke =>
            {
                assert!(
                    said.starts_with(broke) && said.contains("was cut off: "),
                    "{answer}: {said}"
                );
            }
            (error, expected) => assert_eq!(error, *expected, "{answer}"),
        }
    }
}

#[tokio::test]
async fn a_closed_port_and_a_closed_connection_are_unavailable() {
    let (result, _) = search(Then::Close("")).await;
    assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
    let (mut client, _requests, _) = against(Vec::new()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    client.config.base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    match client.everybody(&Fields::default()).await {
        Err(Error::Unavailable { said }) => {
            assert!(said.starts_with("no connection to 127.0.0.1:"), "{said}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_head_of_a_search_may_take_as_long_as_the_whole_answer() {
    // This is longer than any pause within an answer may be, and than a read of one employee may
    // take.
    let (client, _requests, _) = against(vec![Then::CloseAfter(
        Duration::from_millis(1200),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"employees\":[{\"id\":\"5\"}]}",
    )])
    .await;
    assert_eq!(client.everybody(&Fields::default()).await.unwrap().employees.len(), 1);
    let (client, _requests, _) = against(vec![Then::Hang("")]).await;
    let slow = client.one(&Fields::default(), "7", Urgency::Normal).await;
    assert_eq!(slow.unwrap_err(), Error::unavailable("the answer was not complete after 0 s"));
}

#[tokio::test]
async fn a_403_after_a_granted_search_passes_and_before_one_is_a_missing_right() {
    let granted = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: \
        close\r\n\r\n{\"employees\":[{\"id\":\"5\"}]}";
    let refused = "HTTP/1.1 403 X\r\ncontent-type: application/json\r\nconnection: \
        close\r\n\r\n{\"key\":\"k\",\"error\":\"No\"}";
    let (client, _requests, _) = against(vec![
        Then::Close(refused),
        Then::Close(granted),
        Then::Close(refused),
        Then::Close(refused),
    ])
    .await;
    let fields = Fields::default();
    assert_eq!(
        client.everybody(&fields).await.unwrap_err(),
        Error::Forbidden { said: "403: k: No".to_owned() }
    );
    client.everybody(&fields).await.unwrap();
    let passing = client.everybody(&fields).await.unwrap_err();
    assert_eq!(
        passing,
        Error::unavailable("Bob allowed the search before, and now answers 403: k: No")
    );
    // For the read of one employee it is about that employee.
    assert!(matches!(
        client.one(&fields, "7", Urgency::Normal).await,
        Err(Error::Forbidden { .. })
    ));
}

#[tokio::test]
async fn every_wait_for_an_answer_ends() {
    let (result, _) = search(Then::Hang("")).await;
    assert_eq!(result.unwrap_err(), Error::unavailable("the answer was not complete after 2 s"));
    let (result, _) = search(Then::Hang(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"employees\":[",
    ))
    .await;
    assert_eq!(result.unwrap_err(), Error::unavailable("the answer stopped for 0 s"));
    // An error status with a body that never ends is still that status.
    let (result, _) = search(Then::Hang("HTTP/1.1 503 X\r\n\r\n{")).await;
    assert_eq!(result.unwrap_err(), Error::unavailable("503 without Bob's words"));

    let (mut client, _requests, _) = against(vec![Then::Hang("")]).await;
    client.patience.search = Duration::from_millis(50);
    let result = client.everybody(&Fields::default()).await;
    assert_eq!(result.unwrap_err(), Error::unavailable("the answer was not complete after 0 s"));
}

#[tokio::test]
async fn after_a_429_nothing_is_sent_until_its_time() {
    let (client, requests, outcomes) =
        against(vec![Then::Close("HTTP/1.1 429 X\r\nretry-after: 600\r\n\r\n")]).await;
    let fields = Fields::default();
    assert!(client.everybody(&fields).await.is_err());
    for refused in [
        client.everybody(&fields).await.unwrap_err(),
        client.one(&fields, "7", Urgency::Normal).await.unwrap_err(),
    ] {
        match refused {
            Error::Throttled { wait: Some(wait) } => assert!(wait.as_secs() >= 590, "{wait:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(requests.await.unwrap().len(), 1);
    assert_eq!(*outcomes.lock(), [("search", "throttled")], "only calls that were made are told");
}

async fn read(
    id: &str,
    answer: &'static str,
) -> (Result<Option<Employee>, Error>, Vec<(&'static str, &'static str)>) {
    let (client, _requests, outcomes) = against(vec![Then::Close(answer)]).await;
    let result = client.one(&Fields::default(), id, Urgency::Normal).await;
    let told = outcomes.lock().clone();
    (result, told)
}

#[tokio::test]
async fn one_employee_is_read_by_id_only() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n \
        {\"id\":\"4110000000000000017\",\"email\":\"a@example.com\"} ";
    let (client, requests, outcomes) = against(vec![Then::Close(answer)]).await;
    let found = client
        .one(&Fields::default(), "4110000000000000017", Urgency::Normal)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.email(), Some("a@example.com"));
    let sent = requests.await.unwrap().remove(0);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /prefix/v1/people/4110000000000000017 HTTP/1.1\r\n"), "{head}");
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).unwrap();
    assert_eq!(body.keys().collect::<Vec<_>>(), ["fields", "humanReadable"]);
    assert_eq!(body["humanReadable"], "APPEND");
    assert_eq!(*outcomes.lock(), [("read", "ok")]);

    for id in [
        "",
        "ada@example.com",
        "7/../search",
        "7 ",
        "\u{0661}",
        "search",
        "77777777777777777777777777777777777777777",
    ] {
        let (result, told) = read(id, answer).await;
        assert_eq!(result.unwrap_err(), Error::unavailable("not a Bob employee id"), "{id}");
        assert!(told.is_empty(), "no call is made for {id}");
    }
}

#[tokio::test]
async fn only_bobs_own_404_says_that_a_file_is_gone() {
    for (answer, gone) in [
        (
            "HTTP/1.1 404 X\r\ncontent-type: \
             application/json\r\n\r\n{\"key\":\"k\",\"error\":\"Employee not found\"}",
            true,
        ),
        ("HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 404 X\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 404 X\r\ncontent-type: application/json\r\n\r\n{}", false),
        ("HTTP/1.1 404 X\r\ncontent-type: application/json\r\n\r\n\"no\"", false),
        ("HTTP/1.1 404 X\r\ncontent-type: text/html\r\n\r\n<h1>Not found</h1>", false),
        ("HTTP/1.1 404 X\r\ncontent-type: text/plain\r\n\r\ndefault backend - 404", false),
        ("HTTP/1.1 410 X\r\ncontent-type: application/json\r\n\r\n{}", false),
    ] {
        let (result, told) = read("7", answer).await;
        if gone {
            assert_eq!(result, Ok(None), "{answer}");
            assert_eq!(told, [("read", "not_found")]);
        } else {
            assert!(matches!(result, Err(Error::Unavailable { .. })), "{answer}: {result:?}");
            assert_eq!(told, [("read", "unavailable")]);
        }
    }
}

#[tokio::test]
async fn anybody_else_is_not_the_one() {
    for (body, said) in [
        ("{\"id\":\"8\"}", "200 with another employee than was asked for"),
        ("{\"email\":\"a@example.com\"}", "the answer is not an employee with an id"),
        ("{\"id\":\"7\"}x", "the answer is not an employee with an id"),
        ("{\"id\":\"7\"", "the answer is not an employee with an id"),
        ("{\"employees\":[{\"id\":\"7\"}]}", "the answer is not an employee with an id"),
        (
            "{\"key\":\"k\",\"error\":\"No such thing\"}",
            "200 with an error object: k: No such thing",
        ),
        ("", "the answer is not an employee with an id"),
    ] {
        let answer: &'static str = Box::leak(
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{body}")
                .into_boxed_str(),
        );
        let (result, _) = read("7", answer).await;
        assert_eq!(result.unwrap_err(), Error::unavailable(said), "{body}");
    }
}

#[tokio::test]
async fn the_token_is_never_shown() {
    let (client, _requests, _) = against(Vec::new()).await;
    let shown = format!("{client:?} {:?}", client.config);
    assert!(!shown.contains("t0ken") && !shown.contains("SERVICE-77"), "{shown}");
}
