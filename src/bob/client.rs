//! The calls to Bob. No call is ever repeated here, because the engine decides when to try again.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;

use super::{
    catalogue::Catalogue,
    error::{Error, describe, scrub},
    pace::{BobPace, BobRoute, left_of, wait_of},
    people::{People, Reader},
    row,
    wanted::FieldPaths,
};
use crate::{
    domain::{
        employee::{Employee, Fields},
        priority::Urgency,
    },
    http::{
        client,
        reach::{root_cause, why},
        secret::Secret,
        waits::{Wait, WaitReason, Waits},
    },
};

/// Receives every HTTP call: its name (`search`, `read`, `metadata`) and its outcome (`ok`,
/// `not_found` or [`Error::category`]).
pub type CallObserver = Arc<dyn Fn(&'static str, &'static str) + Send + Sync>;

/// How to reach one company's Bob.
#[derive(Clone)]
pub struct Config {
    /// Scheme, host, port and a path prefix if any: `https://api.hibob.com`,
    /// `https://api.sandbox.hibob.com`. Calls go to `<base>/v1/...`.
    pub base: String,
    /// The service user's id: the user name of Basic authentication (apidocs.hibob.com, "API
    /// service users").
    pub service_user_id: String,
    /// The service user's token: the password.
    pub service_user_token: Secret,
    /// Counts calls.
    pub observer: CallObserver,
    /// Keeps all callers with this service user below Bob's limits.
    pub pace: Arc<BobPace>,
    /// Receives the pauses that Bob asked for and that calls meet.
    pub waits: Waits,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("base", &self.base).finish_non_exhaustive()
    }
}

/// How long a call may take, once connected. The time until Bob begins to answer a search depends
/// on the size of the company, so the head has no bound of its own.
#[derive(Clone, Copy, Debug)]
struct Patience {
    between_chunks: Duration,
    /// The time for a search, which returns all employees at once.
    search: Duration,
    /// The time for a read of one employee, and for the list of fields.
    small: Duration,
}

const PATIENCE: Patience = Patience {
    between_chunks: Duration::from_secs(30),
    search: Duration::from_secs(600),
    small: Duration::from_secs(60),
};

/// The most bytes of one employee's JSON, of the metadata of all fields, and of an error body.
const EMPLOYEE: usize = 1 << 20;
const METADATA: usize = 16 << 20;
const ERROR_BODY: usize = 16 << 10;

/// Reads one company's employees. Its limits hold for all its callers together, so callers share
/// one client.
pub struct Client {
    config: Config,
    http: client::Client,
    patience: Patience,
    catalogue: Mutex<Option<Arc<Catalogue>>>,
    /// Paths of fields that are not where their ids say, as far as they were asked for.
    moved: Mutex<HashMap<Box<str>, Box<str>>>,
    /// Whether Bob has granted a read to this service user since this client was made.
    granted: AtomicBool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.config.base).finish_non_exhaustive()
    }
}

/// Body of a search or a read. Bob ignores keys that it does not know, so the body has only these.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ask<'a> {
    fields: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<[Filter<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_inactive: Option<bool>,
    /// A word and not a boolean: it keeps machine values and adds labels next to them.
    human_readable: &'static str,
}

/// The only filter that Bob takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    field_path: &'static str,
    operator: &'static str,
    values: &'a [&'a str],
}

impl Client {
    /// Returns a client for this company. Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no HTTPS client can be set up on this machine.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_patience(config, PATIENCE)
    }

    fn with_patience(mut config: Config, patience: Patience) -> Result<Self, Error> {
        config.base.truncate(config.base.trim_end_matches('/').len());
        let http = client::Client::new(&config.base).map_err(|error| {
            Error::unavailable(format!("no HTTPS client: {}", root_cause(&error)))
        })?;
        Ok(Self {
            config,
            http,
            patience,
            catalogue: Mutex::default(),
            moved: Mutex::default(),
            granted: AtomicBool::new(false),
        })
    }

    /// Returns all employees in Bob that the service user may see, also employees who left and
    /// those who have not started yet. It is one call (apidocs.hibob.com, "Search for employees";
    /// there are no pages). The call waits for its turn if 50 have been made in the last minute.
    ///
    /// # Errors
    /// [`Error`]. An answer that is not complete is [`Error::Unavailable`], and never a shorter
    /// list.
    pub async fn everybody(&self, fields: &Fields) -> Result<People, Error> {
        self.searched(fields, None, Urgency::Normal).await
    }

    /// Returns those of these employees who are in Bob, active or not. It is one call for all of
    /// them: a search with a filter on `root.id`. The number of ids that a filter takes is not
    /// published, so callers use at most a hundred.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn some(
        &self,
        fields: &Fields,
        ids: &[&str],
        urgency: Urgency,
    ) -> Result<People, Error> {
        self.searched(fields, Some(ids), urgency).await
    }

    /// Waits until a call may start. Reports a pause that Bob asked for.
    async fn admit(&self, route: BobRoute, urgency: Urgency) -> Result<(), Error> {
        self.config.pace.admit(route, urgency).await.inspect_err(|error| {
            if let Error::Throttled { wait: Some(wait) } = error {
                self.tell_wait(*wait);
            }
        })
    }

    fn tell_wait(&self, wait: Duration) {
        (self.config.waits)(Wait {
            until: tokio::time::Instant::now() + wait,
            why: WaitReason::Asked,
        });
    }

    async fn searched(
        &self,
        fields: &Fields,
        ids: Option<&[&str]>,
        urgency: Urgency,
    ) -> Result<People, Error> {
        self.admit(BobRoute::Search, urgency).await?;
        let outcome = self
            .in_time(self.patience.search, self.search(fields, ids))
            .await
            .map_err(|error| self.if_granted_before(error));
        self.granted.fetch_or(outcome.is_ok(), Ordering::Relaxed);
        self.tell(BobRoute::Search, outcome.as_ref().map(|_| "ok"));
        outcome
    }

    /// Turns a 403 to a search into a temporary failure if this service user was granted a search
    /// before. A firewall in front of Bob may block an address for a while.
    fn if_granted_before(&self, error: Error) -> Error {
        match error {
            Error::Forbidden { said } if self.granted.load(Ordering::Relaxed) => {
                Error::unavailable(format!("Bob allowed the search before, and now answers {said}"))
            }
            other => other,
        }
    }

    /// Returns how many reads of one employee may begin now without waiting.
    #[must_use]
    pub fn free_reads(&self, urgency: Urgency) -> usize {
        self.config.pace.free(BobRoute::Read, urgency)
    }

    /// Returns one employee by id, active or not, in one call. Returns `None` if Bob says that
    /// there is no such file (apidocs.hibob.com, "Read company employee fields by employee ID").
    ///
    /// A 404 may take an employee's access away, so it counts only as an answer of Bob's API. A
    /// page that a gateway made, or a 404 without a JSON object, is [`Error::Unavailable`]. A 403
    /// is [`Error::Forbidden`], and is about this employee only. A page with 403 comes from a
    /// firewall and is [`Error::Unavailable`].
    ///
    /// # Errors
    /// [`Error`]. An id that is not all digits is [`Error::Unavailable`] without a call: Bob also
    /// takes e-mail addresses there, and could return another employee.
    pub async fn one(
        &self,
        fields: &Fields,
        id: &str,
        urgency: Urgency,
    ) -> Result<Option<Employee>, Error> {
        if id.is_empty() || id.len() > 40 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::unavailable("not a Bob employee id"));
        }
        self.admit(BobRoute::Read, urgency).await?;
        let outcome = self.in_time(self.patience.small, self.read(fields, id)).await;
        let word = outcome.as_ref().map(|found| if found.is_some() { "ok" } else { "not_found" });
        self.tell(BobRoute::Read, word);
        outcome
    }

    /// Returns what Bob says about its own fields. It is one call, unless an earlier answer knows
    /// all of `ids`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn catalogue(&self, ids: &[&str]) -> Result<Arc<Catalogue>, Error> {
        let known = self.catalogue.lock().clone();
        if let Some(known) = known.filter(|known| ids.iter().all(|id| known.has(id))) {
            return Ok(known);
        }
        self.admit(BobRoute::Metadata, Urgency::Normal).await?;
        let outcome = self.in_time(self.patience.small, self.metadata()).await;
        self.tell(BobRoute::Metadata, outcome.as_ref().map(|_| "ok"));
        let catalogue = Arc::new(outcome?);
        *self.catalogue.lock() = Some(catalogue.clone());
        Ok(catalogue)
    }

    /// Looks for these fields where the catalogue says from now on. Returns whether that is new for
    /// one of them.
    pub fn look_where(&self, catalogue: &Catalogue, ids: &[&str]) -> bool {
        let mut moved = self.moved.lock();
        let before = moved.clone();
        moved.extend(ids.iter().filter_map(|id| Some(((*id).into(), catalogue.moved(id)?.into()))));
        *moved != before
    }

    fn moved(&self) -> HashMap<Box<str>, Box<str>> {
        self.moved.lock().clone()
    }

    async fn metadata(&self) -> Result<Catalogue, Error> {
        // Bob answers some GETs that name a content type with 400.
        let request = self.request(Method::GET, "company/people/fields");
        let answer = self.send(BobRoute::Metadata, request).await?;
        let mut answer = self.accept(answer).await?;
        let body = self.body(&mut answer, METADATA).await?;
        Catalogue::read(&body)
            .ok_or_else(|| Error::unavailable("the answer is not a list of fields"))
    }

    async fn search(&self, fields: &Fields, ids: Option<&[&str]>) -> Result<People, Error> {
        let filters =
            ids.map(|values| [Filter { field_path: "root.id", operator: "equals", values }]);
        let ask = Ask {
            fields: &fields.asked(),
            filters,
            show_inactive: Some(true),
            human_readable: "APPEND",
        };
        let answer = self.post(BobRoute::Search, "search", &ask).await?;
        let mut answer = self.accept(answer).await?;
        let mut reader = Reader::with_paths(fields, &self.moved());
        while let Some(chunk) = self.chunk(&mut answer).await? {
            reader.feed(&chunk).map_err(|error| self.without_secrets(error))?;
        }
        reader.finish().map_err(|error| self.without_secrets(error))
    }

    async fn read(&self, fields: &Fields, id: &str) -> Result<Option<Employee>, Error> {
        let ask = Ask {
            fields: &fields.asked(),
            filters: None,
            show_inactive: None,
            human_readable: "APPEND",
        };
        let mut answer = self.post(BobRoute::Read, id, &ask).await?;
        if answer.status() == StatusCode::NOT_FOUND && is_json(&answer) {
            let body = self.body(&mut answer, ERROR_BODY).await?;
            return match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
            {
                Ok(members) if !members.is_empty() => Ok(None),
                Ok(_) | Err(_) => Err(Error::unavailable("404 without Bob's words")),
            };
        }
        answer = self.accept(answer).await?;
        let body = self.body(&mut answer, EMPLOYEE).await?;
        let employee = row::read(&FieldPaths::new(fields, &self.moved()), &body)
            .and_then(Employee::from_values);
        match employee {
            Some(employee) if employee.id() == id => Ok(Some(employee)),
            Some(_) => Err(Error::unavailable("200 with another employee than was asked for")),
            None => Err(Error::unavailable(match super::error::sentence(&body, &self.secrets()) {
                Some(said) => format!("200 with an error object: {said}"),
                None => "the answer is not an employee with an id".to_owned(),
            })),
        }
    }

    async fn post(&self, route: BobRoute, last: &str, ask: &Ask<'_>) -> Result<Response, Error> {
        self.send(route, self.request(Method::POST, &format!("people/{last}")).json(ask)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, &format!("{}/v1/{path}", self.config.base))
            .basic_auth(&self.config.service_user_id, Some(self.config.service_user_token.expose()))
            .header(header::ACCEPT, "application/json")
    }

    async fn send(&self, route: BobRoute, request: RequestBuilder) -> Result<Response, Error> {
        let answer = request.send().await.map_err(|error| self.no_answer(&error))?;
        if let Some((left, limit, ends)) = left_of(answer.headers(), Timestamp::now()) {
            self.config.pace.told(route, left, limit, ends);
        }
        Ok(answer)
    }

    /// Returns the answer if it is a 200 with JSON, and otherwise what is wrong with it.
    async fn accept(&self, mut answer: Response) -> Result<Response, Error> {
        let status = answer.status();
        match status {
            StatusCode::OK if is_json(&answer) => Ok(answer),
            StatusCode::OK => Err(Error::unavailable(
                "200, but not with JSON: it is a log-in page, or another server answers",
            )),
            StatusCode::UNAUTHORIZED => Err(Error::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = wait_of(answer.headers(), Timestamp::now());
                self.config.pace.be_silent(wait);
                self.tell_wait(wait);
                Err(Error::Throttled { wait: Some(wait) })
            }
            _ if status.is_redirection() => {
                Err(Error::unavailable(format!("{}: redirects are not followed", status.as_u16())))
            }
            _ => {
                let is_json = is_json(&answer);
                let mut body = Vec::new();
                while let Ok(Some(chunk)) = self.chunk(&mut answer).await {
                    body.extend_from_slice(&chunk);
                    if body.len() > ERROR_BODY {
                        break;
                    }
                }
                let said = describe(status.as_u16(), &body, &self.secrets());
                Err(match status {
                    StatusCode::FORBIDDEN if is_json => Error::Forbidden { said },
                    StatusCode::FORBIDDEN => Error::unavailable(format!(
                        "{} without Bob's words: a firewall in front of Bob may have blocked this \
                         address for some minutes",
                        status.as_u16()
                    )),
                    _ => Error::Unavailable { said },
                })
            }
        }
    }

    /// Returns the whole body of a small answer.
    async fn body(&self, answer: &mut Response, most: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk(answer).await? {
            if body.len() + chunk.len() > most {
                return Err(Error::unavailable(format!(
                    "the answer passes the limit of {} MiB",
                    most >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn chunk(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, Error> {
        let silence = self.patience.between_chunks;
        match tokio::time::timeout(silence, answer.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(self.no_answer(&error.with_url(answer.url().clone()))),
            Err(_) => {
                Err(Error::unavailable(format!("the answer stopped for {} s", silence.as_secs())))
            }
        }
    }

    async fn in_time<T>(
        &self,
        whole: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(whole, call).await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!(
                "the answer was not complete after {} s",
                whole.as_secs()
            )))
        })
    }

    fn no_answer(&self, error: &reqwest::Error) -> Error {
        Error::unavailable(why(error, &self.secrets()))
    }

    /// Takes secrets out of an error. The reader does not know them, and a wrong server may send
    /// back anything.
    fn without_secrets(&self, error: Error) -> Error {
        match error {
            Error::Unavailable { said } => {
                Error::Unavailable { said: scrub(&said, &self.secrets()) }
            }
            other => other,
        }
    }

    fn secrets(&self) -> [&str; 2] {
        [self.config.service_user_token.expose(), &self.config.service_user_id]
    }

    fn tell(&self, route: BobRoute, outcome: Result<&'static str, &Error>) {
        (self.config.observer)(route.word(), outcome.unwrap_or_else(Error::category));
    }
}

fn is_json(answer: &Response) -> bool {
    let content_type =
        answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

#[cfg(test)]
mod tests;
