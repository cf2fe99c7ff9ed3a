//! Writes that wait together go together, in one call for several of them.
//!
//! No write waits for others to come. While one call is under way, new writes wait in line. Then
//! the first write takes along the writes in line that have a turn. Each write has its own turn in
//! the window, because services count the requests of a batch one by one. Each write has its own
//! outcome too, which goes through the same table of errors as an answer that came alone.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Error,
    answers::{Route, Sent},
    call::{Call, Dialect, IN_LINE, Service},
    limits::Ticket,
};
use crate::http::client::Answer;

/// How a provider writes several calls as one.
pub(super) trait Batch: Dialect {
    /// The kind of call.
    const BATCH: Route;
    /// The most writes of one batch.
    const MOST: usize;

    /// Returns the path of a batch.
    fn batch(&self) -> String;

    /// Returns the path of a call as it is written within a batch.
    fn within<'p>(&self, path: &'p str) -> &'p str;

    /// Returns a request as a batch has it. `id` tells its answer from the others.
    fn request(id: usize, request: &BatchRequest) -> Value;

    /// Returns the answers by id, as if each had come alone.
    fn answers(answer: &Answer) -> Option<HashMap<String, Answer>>;
}

/// The line in which writes wait.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<WaitingWrite>>,
    numbers: AtomicU64,
    /// The lock that the caller of a batch holds.
    turn: tokio::sync::Mutex<()>,
    /// Whether the service has no `$batch`.
    off: AtomicBool,
}

/// One write in line.
#[derive(Debug)]
struct WaitingWrite {
    number: u64,
    request: BatchRequest,
    tell: oneshot::Sender<Batched>,
}

/// A request as a batch has it, except for its id.
pub(super) struct BatchRequest {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) body: Option<Vec<u8>>,
}

/// `Debug` does not show bodies, because they hold employees' data and passwords.
impl fmt::Debug for BatchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What happened to a write that another caller sent.
#[derive(Debug)]
enum Batched {
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
    pub(super) async fn send<D: Batch>(
        &self,
        service: &Service<D>,
        call: &Call<'_>,
    ) -> Result<Answer, Error> {
        if self.off.load(Ordering::Relaxed) {
            return service.call(call).await;
        }
        let (tell, mut told) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (method, url) = (call.method.clone(), service.dialect().within(call.path).to_owned());
        let request = BatchRequest { method, url, body: call.body.clone() };
        self.waiting().push_back(WaitingWrite { number, request, tell });
        let _turn = tokio::select! {
            biased;
            told = &mut told => return finish(service, call, told.ok()).await,
            turn = self.turn.lock() => turn,
            () = tokio::time::sleep(IN_LINE) => {
                // The caller has to say whether it still wants the write, unless the write is on
                // its way.
                return match self.withdraw(number) {
                    Some(_) => Err(Error::Throttled { wait: None }),
                    None => finish(service, call, told.await.ok()).await,
                };
            }
        };
        // An earlier caller may have taken the write along.
        let Some(own) = self.withdraw(number) else {
            return finish(service, call, told.await.ok()).await;
        };
        let ticket = service.turn(call.urgency).await?;
        let mut turns = Vec::new();
        let others = {
            let mut waiting = self.waiting();
            while turns.len() + 1 < D::MOST.min(waiting.len() + 1) {
                let Some(turn) = service.turn_now(call.urgency) else { break };
                turns.push(turn);
            }
            waiting.drain(..turns.len()).collect::<Vec<_>>()
        };
        if others.is_empty() {
            return service.call_in_turn(call, ticket).await;
        }
        let requests = [&own.request].into_iter().chain(others.iter().map(|other| &other.request));
        let requests = requests.enumerate().map(|(id, request)| D::request(id, request)).collect();
        let body = Map::from_iter([("requests".to_owned(), Value::Array(requests))]);
        let path = service.dialect().batch();
        let batch = Call::write(D::BATCH, call.urgency, Method::POST, &path, Sent::Nothing);
        let batch = batch.with(body);
        let outcome = service.call_in_turn(&batch, ticket).await;
        let tell = |each: &mut dyn FnMut(usize) -> Batched| {
            for (at, other) in others.into_iter().enumerate() {
                // A caller that left does not receive it.
                let _ = other.tell.send(each(at + 1));
            }
            each(0)
        };
        let told = match outcome {
            Ok(answer) => match D::answers(&answer) {
                Some(mut answers) => tell(&mut |id| match answers.remove(&id.to_string()) {
                    Some(answer) => Batched::Answer(answer),
                    None => Batched::Failed(Error::unknown(
                        "the answer to the batch leaves this call out",
                    )),
                }),
                None => tell(&mut |_| {
                    Batched::Failed(Error::unknown("the answer is not that of a batch"))
                }),
            },
            // The batch is refused as a whole: nothing of it was carried out, and each write can go
            // alone.
            Err(Error::NotFound | Error::Rejected { .. }) => {
                self.off.store(true, Ordering::Relaxed);
                tell(&mut |_| Batched::Alone)
            }
            Err(error) => {
                if matches!(error, Error::Unavailable { .. }) {
                    turns.into_iter().for_each(Ticket::unused);
                }
                tell(&mut |_| Batched::Failed(error.clone()))
            }
        };
        finish(service, call, Some(told)).await
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<WaitingWrite>> {
        self.waiting.lock()
    }

    /// Takes a write out of the line, if it is still in it.
    fn withdraw(&self, number: u64) -> Option<WaitingWrite> {
        let mut waiting = self.waiting();
        let at = waiting.iter().position(|one| one.number == number)?;
        waiting.remove(at)
    }
}

/// Judges what was told of a write. `told` is `None` if the caller that sent it was dropped
/// halfway.
async fn finish<D: Batch>(
    service: &Service<D>,
    call: &Call<'_>,
    told: Option<Batched>,
) -> Result<Answer, Error> {
    match told {
        None => Err(Error::unknown("the batch with this call was given up")),
        Some(Batched::Failed(error)) => Err(error),
        Some(Batched::Alone) => service.call(call).await,
        Some(Batched::Answer(answer)) => match service.settle(call.route, answer, call.sent) {
            // The token ended on the way, so the call is made once more with a fresh token.
            Err(Error::Unauthorized { .. }) => service.call(call).await,
            Err(Error::Forbidden { .. } | Error::Denied { .. })
                if service.doubts_rights(Instant::now()).await =>
            {
                service.call(call).await
            }
            outcome => outcome,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_waiting_write_shows() {
        let request = BatchRequest {
            method: Method::POST,
            url: "/users/noa@example.com".to_owned(),
            body: Some(b"swordfish".to_vec()),
        };
        assert!(
            !format!("{request:?}").contains("noa") && !format!("{request:?}").contains("sword")
        );
    }
}
