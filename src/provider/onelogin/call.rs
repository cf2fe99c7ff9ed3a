//! One HTTP call: paced, with a token, judged, counted. A 401 renews the token and repeats the call once.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::time::Instant;

use super::{
    errors::{Route, Sent, denied, judge, wait},
    token::{Answered, Renewed, Token, Tokens},
};
use crate::provider::{
    Error, Urgency,
    http::{self, Answer, Failure, Secret},
    limits::{Pacer, Ticket},
};

/// How long one call may take; a page of a listing may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_LISTS: Duration = Duration::from_secs(60);

/// How long a call stands in line before its caller is asked whether it is still wanted.
const IN_LINE: Duration = Duration::from_secs(10);

/// Told of every HTTP call: its name (`token`, `list`, `custom_attributes`, `find`, `create`, `update`) and its
/// outcome (`ok` or [`Error::category`]).
pub type Observer = Arc<dyn Fn(&'static str, &'static str) + Send + Sync>;

/// Asked right before a write is sent: whether this process may still write.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// How to reach one `OneLogin` account.
#[derive(Clone)]
pub struct Config {
    /// Scheme, host, port and a path prefix if any: called at `<base>/auth/...` and `<base>/api/2/...`.
    pub base: String,
    /// The API credential's id.
    pub client_id: String,
    /// The API credential's secret.
    pub client_secret: Secret,
    /// Counts calls.
    pub observer: Observer,
    /// Closed where a write must not begin: it is then given back as throttled, unsent.
    pub gate: Gate,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The service, as seen from one credential.
pub(super) struct Service {
    config: Config,
    http: http::Client,
    pacer: Arc<Pacer>,
    tokens: Tokens,
    /// The token with which a read was granted: a write that is refused with it lacks a scope.
    granted: Mutex<Option<Arc<Token>>>,
}

/// What to call.
pub(super) struct Call<'a> {
    pub(super) route: Route,
    pub(super) urgency: Urgency,
    pub(super) method: Method,
    /// Below the base.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Vec<u8>>,
    pub(super) sent: Sent<'a>,
}

impl Service {
    pub(super) fn new(config: Config, pacer: Arc<Pacer>) -> Result<Self, reqwest::Error> {
        let config = Config { base: config.base.trim_end_matches('/').to_owned(), ..config };
        let http = http::Client::new(&config.base)?;
        Ok(Self { config, http, pacer, tokens: Tokens::default(), granted: Mutex::default() })
    }

    /// Makes the call.
    ///
    /// # Errors
    /// As [`judge`] sorts them.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let (token, sent, outcome) = self.with_token(call).await?;
        let Err(Error::Unauthorized { said }) = outcome else { return outcome };
        match self.tokens.renew(&token, sent, self.ask_for_a_token()).await? {
            Renewed::Same => Err(self.refused(call.route, &token, said)),
            Renewed::Other => match self.with_token(call).await? {
                (token, _, Err(Error::Unauthorized { said })) => Err(self.refused(call.route, &token, said)),
                (_, _, outcome) => outcome,
            },
        }
    }

    /// One attempt, with the token it was made with and when.
    async fn with_token(&self, call: &Call<'_>) -> Result<(Arc<Token>, Instant, Result<Answer, Error>), Error> {
        // The turn comes first: a token that is fetched before a long wait may be over after it.
        let Ok(ticket) = tokio::time::timeout(IN_LINE, self.pacer.admit(call.urgency)).await else {
            return Err(Error::Throttled { wait: None });
        };
        let token = match self.tokens.get(self.ask_for_a_token()).await {
            Ok(token) => token,
            Err(error) => {
                ticket.unused();
                return Err(error);
            }
        };
        let request = match self.request(call) {
            Ok(request) => request.bearer_auth(token.text.expose()),
            Err(error) => {
                ticket.unused();
                return Err(error);
            }
        };
        if call.route.writes() && !(self.config.gate)() {
            ticket.unused();
            return Err(Error::Throttled { wait: None });
        }
        let sent = Instant::now();
        let outcome = self.exchange(call.route, request, call.sent, ticket).await;
        if outcome.is_ok() && !call.route.writes() {
            *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        }
        Ok((token, sent, outcome))
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, Error> {
        let url = self.url(call.path, call.query)?;
        let request = self.http.request(call.method.clone(), url.as_str()).header(ACCEPT, "application/json");
        Ok(match &call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.clone()),
            None => request,
        })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        let text = format!("{}{path}", self.config.base);
        let url = if query.is_empty() { Url::parse(&text) } else { Url::parse_with_params(&text, query) };
        url.map_err(|_| Error::Unavailable { said: "the address of the OneLogin account is not a URL".to_owned() })
    }

    /// Asks for a token: form 2 of developers.onelogin.com, "Generate Tokens", which needs no region.
    async fn ask_for_a_token(&self) -> Result<Answered, Error> {
        let url = self.url("/auth/oauth2/v2/token", &[])?;
        let (id, secret) = (&self.config.client_id, self.config.client_secret.expose());
        let request = self.http.request(Method::POST, url.as_str()).header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8").basic_auth(id, Some(secret));
        let ticket = self.pacer.admit(Urgency::Urgent).await;
        let answer = self
            .exchange(Route::Token, request.body(r#"{"grant_type":"client_credentials"}"#), Sent::Credential(id, secret), ticket)
            .await?;
        Answered::read(&answer.body).ok_or_else(|| Error::Unavailable { said: "the answer for the token holds none".to_owned() })
    }

    /// Sends, learns the limits, judges, counts.
    async fn exchange(&self, route: Route, request: RequestBuilder, sent: Sent<'_>, ticket: Ticket<'_>) -> Result<Answer, Error> {
        let patience = if route == Route::List { PATIENCE_WITH_LISTS } else { PATIENCE };
        let outcome = match self.http.send(request, patience).await {
            Err(Failure::NotSent(said)) => {
                ticket.unused();
                Err(Error::Unavailable { said: said.to_owned() })
            }
            Err(Failure::NoAnswer(said)) => Err(route.no_answer(said)),
            Ok(answer) => {
                self.learn(&answer, &ticket);
                judge(route, &answer, sent).map(|()| answer)
            }
        };
        (self.config.observer)(route.name(), outcome.as_ref().map_or_else(Error::category, |_| "ok"));
        outcome
    }

    fn learn(&self, answer: &Answer, ticket: &Ticket<'_>) {
        let number = |name| answer.number(name).and_then(|number| u32::try_from(number).ok());
        if let (Some(limit), Some(remaining), Some(reset)) =
            (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), answer.number("x-ratelimit-reset"))
        {
            ticket.learn(limit, remaining, Duration::from_secs(reset));
        }
        if answer.status.as_u16() == 429 {
            self.pacer.throttled(wait(answer));
        }
    }

    /// A call that is refused with the newest token. Routes that do not exist and missing scopes are answered 401 as
    /// well as bad tokens; where the same token has just read, it is the scope.
    fn refused(&self, route: Route, token: &Token, said: String) -> Error {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if route.writes() && granted.as_ref().is_some_and(|granted| granted.text == token.text) {
            denied(&said)
        } else {
            Error::Unauthorized { said }
        }
    }
}
