//! Writes that wait together go together: one `$batch` for up to 20 of them (Microsoft Graph,
//! "Combine multiple HTTP requests using JSON batching").
//!
//! No write waits for others to come. While one call is under way, new writes wait in line. Then
//! the first write takes along the writes in line that have a turn. Each write has its own turn in
//! the window, because Graph counts the requests of a batch one by one. Each write has its own
//! outcome too, which goes through the same table of errors as an answer that came alone.

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::value::RawValue;
use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::{sync::oneshot, time::Instant};

use super::{dialect::EntraDialect, errors::BATCH};
use crate::provider::prelude::*;

/// "JSON batch requests are currently limited to 20 individual requests."
const MOST: usize = 20;

/// The line in which writes wait.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Waiting>>,
    numbers: AtomicU64,
    /// The lock that the caller of a batch holds.
    turn: tokio::sync::Mutex<()>,
    /// Whether the service has no `$batch`.
    off: AtomicBool,
}

/// One write in line.
#[derive(Debug)]
struct Waiting {
    number: u64,
    request: Request,
    tell: oneshot::Sender<Told>,
}

/// A request as a batch has it, except for its id.
struct Request {
    method: Method,
    url: String,
    body: Option<Vec<u8>>,
}

/// `Debug` does not show bodies, because they hold employees' data and passwords.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What happened to a write that another caller sent.
#[derive(Debug)]
enum Told {
    /// This is its answer.
    Answer(Answer),
    /// The whole batch failed.
    Failed(Error),
    /// Nothing was sent, so the write has to go alone.
    Alone,
}

impl Lane {
    /// Makes the call, alone or with others.
    ///
    /// # Errors
    /// As the error table sorts them.
    pub(super) async fn send(
        &self,
        graph: &Service<EntraDialect>,
        call: &Call<'_>,
    ) -> Result<Answer, Error> {
        if self.off.load(Ordering::Relaxed) {
            return graph.call(call).await;
        }
        let (tell, mut told) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let url = graph.dialect().within(call.path).to_owned();
        let request = Request { method: call.method.clone(), url, body: call.body.clone() };
        self.waiting().push_back(Waiting { number, request, tell });
        let _turn = tokio::select! {
            biased;
            told = &mut told => return finish(graph, call, told.ok()).await,
            turn = self.turn.lock() => turn,
            () = tokio::time::sleep(IN_LINE) => {
                // The caller has to say whether it still wants the write, unless the write is on
                // its way.
                return match self.withdraw(number) {
                    Some(_) => Err(Error::Throttled { wait: None }),
                    None => finish(graph, call, told.await.ok()).await,
                };
            }
        };
        // An earlier caller may have taken the write along.
        let Some(own) = self.withdraw(number) else {
            return finish(graph, call, told.await.ok()).await;
        };
        let ticket = graph.turn(call.urgency).await?;
        let mut turns = Vec::new();
        let others = {
            let mut waiting = self.waiting();
            while turns.len() + 1 < MOST.min(waiting.len() + 1) {
                let Some(turn) = graph.turn_now(call.urgency) else { break };
                turns.push(turn);
            }
            waiting.drain(..turns.len()).collect::<Vec<_>>()
        };
        if others.is_empty() {
            return graph.call_in_turn(call, ticket).await;
        }
        let requests =
            [&own.request].into_iter().chain(others.iter().map(|other| &other.request)).enumerate();
        let requests: Vec<_> = requests.map(|(id, request)| request.within(id)).collect();
        let body = Map::from_iter([("requests".to_owned(), Value::Array(requests))]);
        let path = graph.dialect().path("/$batch");
        let to = (Method::POST, &*path);
        let batch = Call::write(BATCH, call.urgency, to, Some(body), Sent::Nothing);
        let outcome = graph.call_in_turn(&batch, ticket).await;
        let tell = |each: &mut dyn FnMut(usize) -> Told| {
            for (at, other) in others.into_iter().enumerate() {
                // A caller that left does not receive it.
                let _ = other.tell.send(each(at + 1));
            }
            each(0)
        };
        let told = match outcome {
            Ok(answer) => match responses(&answer) {
                Some(mut answers) => tell(&mut |id| match answers.remove(&id.to_string()) {
                    Some(answer) => Told::Answer(answer),
                    None => Told::Failed(unknown("the answer to the batch leaves this call out")),
                }),
                None => tell(&mut |_| Told::Failed(unknown("the answer is not that of a batch"))),
            },
            // The batch is refused as a whole: nothing of it was carried out, and each write can go
            // alone.
            Err(Error::NotFound | Error::Rejected { .. }) => {
                self.off.store(true, Ordering::Relaxed);
                tell(&mut |_| Told::Alone)
            }
            Err(error) => {
                if matches!(error, Error::Unavailable { .. }) {
                    turns.into_iter().for_each(crate::provider::limits::Ticket::unused);
                }
                tell(&mut |_| Told::Failed(error.clone()))
            }
        };
        finish(graph, call, Some(told)).await
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock()
    }

    /// Takes a write out of the line, if it is still in it.
    fn withdraw(&self, number: u64) -> Option<Waiting> {
        let mut waiting = self.waiting();
        let at = waiting.iter().position(|one| one.number == number)?;
        waiting.remove(at)
    }
}

fn unknown(said: &str) -> Error {
    Error::Unknown { said: said.to_owned() }
}

/// Judges what was told of a write. `told` is `None` if the caller that sent it was dropped
/// halfway.
async fn finish(
    graph: &Service<EntraDialect>,
    call: &Call<'_>,
    told: Option<Told>,
) -> Result<Answer, Error> {
    match told {
        None => Err(unknown("the batch with this call was given up")),
        Some(Told::Failed(error)) => Err(error),
        Some(Told::Alone) => graph.call(call).await,
        Some(Told::Answer(answer)) => match graph.settle(call.route, answer, call.sent) {
            // The token ended on the way, so the call is made once more with a fresh token.
            Err(Error::Unauthorized { .. }) => graph.call(call).await,
            Err(Error::Forbidden { .. } | Error::Denied { .. })
                if graph.doubts_rights(Instant::now()).await =>
            {
                graph.call(call).await
            }
            outcome => outcome,
        },
    }
}

impl Request {
    /// Returns the request as a batch has it. Each request has its own headers.
    fn within(&self, id: usize) -> Value {
        let mut request =
            json!({"id": id.to_string(), "method": self.method.as_str(), "url": self.url});
        if let Some(body) = &self.body {
            request["headers"] = json!({"Content-Type": "application/json"});
            request["body"] = serde_json::from_slice(body).unwrap_or_default();
        }
        request
    }
}

/// One answer within the answer to a batch.
#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Vec<Response<'a>>,
}

/// Returns the answers by id, as if each had come alone. They come in any order.
fn responses(answer: &Answer) -> Option<HashMap<String, Answer>> {
    let Responses { responses } = serde_json::from_slice(&answer.body).ok()?;
    let mut answers = HashMap::new();
    for Response { id, status, headers: named, body } in responses {
        let mut headers = HeaderMap::new();
        for (name, value) in &named {
            let value = value.as_str().and_then(|text| HeaderValue::try_from(text).ok());
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value) {
                headers.insert(name, value);
            }
        }
        let body = body.map(RawValue::get).filter(|body| *body != "null").unwrap_or_default();
        // A body that is not JSON comes as a text. Within a batch, JSON need not say that it is
        // JSON.
        let body = match serde_json::from_str::<String>(body) {
            Ok(text) => Bytes::from(text),
            Err(_) => {
                if !body.is_empty() {
                    headers
                        .entry(CONTENT_TYPE)
                        .or_insert(HeaderValue::from_static("application/json"));
                }
                Bytes::copy_from_slice(body.as_bytes())
            }
        };
        answers.insert(id, Answer { status: StatusCode::from_u16(status).ok()?, headers, body });
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    #[test]
    fn answers_are_told_apart_by_their_ids_and_are_as_if_they_had_come_alone() {
        let body = json!({"responses": [
            {"id": "1", "status": 204, "headers": {"request-id": "r-1"}},
            {"id": "0", "status": 429, "headers": {"Retry-After": "7",
                "Content-Type": "application/json"}, "body": {"error": {"code": "x"}}},
            {"id": "2", "status": 503, "body": "<html>"},
            {"id": "3", "status": 204, "body": null},
            {"id": "4", "status": 201, "body": {"id": "7"}},
        ]});
        let answers = responses(&answer(&body)).unwrap();
        assert_eq!((answers["0"].header("retry-after"), answers["0"].is_json()), (Some("7"), true));
        assert_eq!(
            (
                answers["1"].status.as_u16(),
                answers["1"].header("request-id"),
                answers["1"].body.len()
            ),
            (204, Some("r-1"), 0)
        );
        assert!(answers["2"].is_html() && answers["3"].body.is_empty() && answers["4"].is_json());
        for worthless in [
            json!({}),
            json!([]),
            json!({"responses": {}}),
            json!({"responses": [{"id": "1"}]}),
            json!({"error": {"code": "x"}}),
        ] {
            assert!(responses(&answer(&worthless)).is_none(), "{worthless}");
        }
    }

    #[test]
    fn nothing_of_a_waiting_write_shows() {
        let request = Request {
            method: Method::POST,
            url: "/users/noa@example.com".to_owned(),
            body: Some(b"swordfish".to_vec()),
        };
        assert!(
            !format!("{request:?}").contains("noa") && !format!("{request:?}").contains("sword")
        );
    }
}
