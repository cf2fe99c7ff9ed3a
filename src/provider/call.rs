//! One HTTP call: it waits for a turn, has a token, is judged and is counted. A 401 renews the
//! token and repeats the call once. So does a 403 with a token that is not new, because a token may
//! have only the rights of the moment at which it was issued.
//!
//! The differences between providers are in their [`Dialect`]: addresses, how a call is authorised,
//! what an answer means.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Error,
    answers::{Purpose, Route, Sent, retry_after},
    limits::{Pacer, Ticket},
    token::{GrantedToken, Renewed, Token, Tokens},
};
use crate::{
    domain::priority::Urgency,
    http::{
        client::{self, Answer, CallFailure},
        waits::Waits,
    },
};

/// How long one call may take. A page of a listing may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_LISTS: Duration = Duration::from_secs(60);

/// How often a token is asked for if each refusal says what the next request needs.
const MOST_ASKED: u32 = 4;

/// How long a call waits in line before its caller is asked whether it still wants the call.
pub const IN_LINE: Duration = Duration::from_secs(10);
/// The pause before a caller that still wants a throttled call goes back in line. It is short,
/// because the first caller in line when the window opens goes first. It is long enough that a call
/// which is turned away at once does not spin.
pub const BACK_IN_LINE: Duration = Duration::from_millis(10);

/// Receives every call, also a call that went within another one. It gets the call's name (`token`,
/// `list`, `custom_attributes`, `find`, `create`, `update`, `sessions`) and its outcome (`ok` or
/// [`Error::category`]).
pub type Observer = Arc<dyn Fn(&'static str, &'static str) + Send + Sync>;

/// Returns whether this process may still write. It is asked right before a write is sent.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// The hooks of every call of a connection.
#[derive(Clone)]
pub struct Hooks {
    /// Counts calls.
    pub observer: Observer,
    /// Returns false if a write must not begin. The write is then not sent, and fails as throttled.
    pub gate: Gate,
    /// Receives the waits that calls meet.
    pub waits: Waits,
}

/// Whether an answer grants a call, and if not, what to do about it.
pub type Judged = Result<(), Error>;

/// How calls to one provider are written and read.
pub trait Dialect: Send + Sync {
    /// Returns scheme, host, port and a path prefix if any, without a trailing slash.
    fn base(&self) -> &str;

    /// Returns the media types that calls accept, and the one of their bodies.
    fn media_types(&self) -> (&'static str, &'static str) {
        ("application/json", "application/json; charset=utf-8")
    }

    /// Returns whether calls use tokens. If not, every call has a key instead.
    fn has_tokens(&self) -> bool {
        true
    }

    /// Returns the request for a token, and what of it is secret.
    ///
    /// # Errors
    /// The request cannot be made from this credential.
    fn ask_for_a_token(&self, _: &client::Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        Err(Error::Unavailable { said: "the provider gives no tokens".to_owned() })
    }

    /// Returns whether the refusal of the last request for a token says what the next request
    /// needs. The answer is true once for each such refusal.
    fn asks_otherwise(&self) -> bool {
        false
    }

    /// Returns the bucket of the pacer in which the provider counts a call.
    fn bucket(&self, _route: Route, _method: &Method) -> usize {
        0
    }

    /// Returns the token in a body, if there is one.
    fn granted(&self, _: &[u8]) -> Option<GrantedToken> {
        None
    }

    /// Adds what authorises a call. `token` is there if the dialect has tokens.
    fn authorise(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match token {
            Some(token) => request.bearer_auth(token.text.expose()),
            None => request,
        }
    }

    /// Returns whether an answer grants the call, and if not, what to do about it. A throttled call
    /// makes all callers wait.
    ///
    /// # Errors
    /// Everything that does not confirm the call.
    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error>;

    /// Reads what the headers of an answer say about the window of calls.
    fn learn(&self, _: &Answer, _: &Ticket<'_>) {}

    /// Returns the error for a write that is refused as unauthorised with the same token that has
    /// just read. By default the credential is refused.
    fn refused_write(&self, said: String) -> Error {
        Error::Unauthorized { said }
    }
}

/// The service, as one credential reaches it.
pub struct Service<D> {
    dialect: D,
    hooks: Hooks,
    http: client::Client,
    pacer: Arc<Pacer>,
    tokens: Tokens,
    /// The token with which a read succeeded. If a write is refused with it, a right is missing.
    granted: Mutex<Option<Arc<Token>>>,
}

/// What to call.
pub struct Call<'a> {
    /// The kind of call.
    pub route: Route,
    /// How urgent the call is when calls are scarce.
    pub urgency: Urgency,
    /// The HTTP method.
    pub method: Method,
    /// The path below the base, percent-encoded.
    pub path: &'a str,
    /// Query pairs, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The JSON body.
    pub body: Option<Vec<u8>>,
    /// The version that the account has to have, so that no other change is lost.
    pub version: Option<&'a str>,
    /// What the call sends and must not come back in a text.
    pub sent: Sent<'a>,
}

impl<'a> Call<'a> {
    /// Returns a read. Reads may use the reserve.
    #[must_use]
    pub const fn get(
        route: Route,
        path: &'a str,
        query: &'a [(&'a str, &'a str)],
        sent: Sent<'a>,
    ) -> Self {
        let (urgency, method) = (Urgency::Urgent, Method::GET);
        Self { route, urgency, method, path, query, body: None, version: None, sent }
    }

    /// Returns a write without a body.
    #[must_use]
    pub const fn write(
        route: Route,
        urgency: Urgency,
        method: Method,
        path: &'a str,
        sent: Sent<'a>,
    ) -> Self {
        Self { route, urgency, method, path, query: &[], body: None, version: None, sent }
    }

    /// Returns the write that makes an account.
    #[must_use]
    pub const fn create(path: &'a str, sent: Sent<'a>) -> Self {
        Self::write(Route::CREATE, Urgency::Normal, Method::POST, path, sent)
    }

    /// Returns the call with these members as its JSON body.
    #[must_use]
    pub fn with(self, members: Map<String, Value>) -> Self {
        Self { body: Some(Value::Object(members).to_string().into_bytes()), ..self }
    }
}

/// One attempt at a call that was sent.
struct Attempt {
    token: Option<Arc<Token>>,
    sent: Instant,
    outcome: Result<Answer, Error>,
}

impl<D: Dialect> Service<D> {
    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the TLS settings of this machine cannot be used.
    pub fn new(dialect: D, hooks: Hooks, pacer: Arc<Pacer>) -> Result<Self, Error> {
        let http = client::Client::new(dialect.base())
            .map_err(|error| Error::Unavailable { said: error.to_string() })?;
        Ok(Self {
            dialect,
            hooks,
            http,
            pacer,
            tokens: Tokens::default(),
            granted: Mutex::default(),
        })
    }

    /// Returns the dialect of this provider.
    pub const fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Makes a read.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub async fn get(
        &self,
        route: Route,
        path: &str,
        query: &[(&str, &str)],
        sent: Sent<'_>,
    ) -> Result<Answer, Error> {
        self.call(&Call::get(route, path, query, sent)).await
    }

    /// Makes the call.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.renewing(call, self.once(call).await?).await
    }

    /// Waits for a turn, for a call that is put together when the turn comes.
    ///
    /// # Errors
    /// [`Error::Throttled`] if the wait is so long that the caller has to say whether it still
    /// wants the call.
    pub async fn turn(&self, urgency: Urgency) -> Result<Ticket<'_>, Error> {
        self.in_line(urgency, &self.pacer, self.pacer.admit(urgency)).await
    }

    /// Waits for a turn to ask for a token.
    async fn turn_for_a_token(&self) -> Result<Ticket<'_>, Error> {
        let pacer = self.pacer.bucket(self.dialect.bucket(Route::TOKEN, &Method::POST));
        self.in_line(Urgency::Urgent, pacer, pacer.admit(Urgency::Urgent)).await
    }

    /// Waits in line for a turn, at most [`IN_LINE`], and reports what it waits for.
    async fn in_line<T>(
        &self,
        urgency: Urgency,
        pacer: &Pacer,
        turn: impl Future<Output = T>,
    ) -> Result<T, Error> {
        self.tell_wait(urgency, pacer);
        let outcome = tokio::time::timeout(IN_LINE, turn).await;
        // The wait may have begun in the meantime.
        let over = outcome.map_err(|_| self.tell_wait(urgency, pacer));
        over.map_err(|()| Error::Throttled { wait: None })
    }

    fn tell_wait(&self, urgency: Urgency, pacer: &Pacer) {
        if let Some(wait) = pacer.wait(urgency) {
            (self.hooks.waits)(wait);
        }
    }

    /// Returns another turn, if there is one right now.
    pub fn turn_now(&self, urgency: Urgency) -> Option<Ticket<'_>> {
        self.pacer.admit(urgency).now_or_never()
    }

    /// Makes the call in a turn that has come.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub async fn call_in_turn(&self, call: &Call<'_>, ticket: Ticket<'_>) -> Result<Answer, Error> {
        self.renewing(call, self.attempt(call, ticket).await?).await
    }

    /// Makes the call again with a fresh token, if the first token was refused.
    async fn renewing(&self, call: &Call<'_>, first: Attempt) -> Result<Answer, Error> {
        let Attempt { token, sent, outcome } = first;
        let Some(token) = token else { return outcome };
        match outcome {
            Err(Error::Unauthorized { said }) => match self.renewed(&token, sent).await? {
                Renewed::Same => Err(self.refused(call.route, &token, said)),
                Renewed::Other => match self.once(call).await? {
                    Attempt {
                        token: Some(token),
                        outcome: Err(Error::Unauthorized { said }),
                        ..
                    } => Err(self.refused(call.route, &token, said)),
                    again => again.outcome,
                },
            },
            Err(Error::Forbidden { .. } | Error::Denied { .. })
                if self.doubts_rights(sent).await =>
            {
                self.once(call).await?.outcome
            }
            outcome => outcome,
        }
    }

    /// Returns whether a call that was refused at `sent`, because a right is missing, is worth
    /// another try. It is if the rights of the token are not the newest. Such a token is dropped.
    pub async fn doubts_rights(&self, sent: Instant) -> bool {
        self.dialect.has_tokens() && self.tokens.doubt(sent).await
    }

    /// Makes one attempt.
    async fn once(&self, call: &Call<'_>) -> Result<Attempt, Error> {
        // The turn comes first: a token that is fetched before a long wait may have expired after
        // it.
        let pacer = self.pacer.bucket(self.dialect.bucket(call.route, &call.method));
        let turn = async {
            let slot = if call.route.purpose == Purpose::Create {
                Some(self.pacer.creation().await)
            } else {
                None
            };
            (slot, pacer.admit(call.urgency).await)
        };
        let (_slot, ticket) = self.in_line(call.urgency, pacer, turn).await?;
        self.attempt(call, ticket).await
    }

    async fn attempt(&self, call: &Call<'_>, ticket: Ticket<'_>) -> Result<Attempt, Error> {
        let prepared = async {
            let token = if self.dialect.has_tokens() { Some(self.held().await?) } else { None };
            Ok((self.dialect.authorise(self.request(call)?, token.as_deref()), token))
        };
        let (request, token) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                ticket.unused();
                return Err(error);
            }
        };
        if call.route.writes() && !(self.hooks.gate)() {
            ticket.unused();
            return Err(Error::Throttled { wait: None });
        }
        let sent = Instant::now();
        let outcome = self.exchange(call.route, request, call.sent, ticket).await;
        if outcome.is_ok() && !call.route.writes() {
            self.granted.lock().clone_from(&token);
        }
        Ok(Attempt { token, sent, outcome })
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, Error> {
        let text = format!("{}{}", self.dialect.base(), call.path);
        let url = if call.query.is_empty() {
            Url::parse(&text)
        } else {
            Url::parse_with_params(&text, call.query)
        };
        let url = url.map_err(|_| Error::Unavailable {
            said: "the provider's address is not a URL".to_owned(),
        })?;
        let (accepted, content) = self.dialect.media_types();
        let request = self.http.request(call.method.clone(), url.as_str()).header(ACCEPT, accepted);
        let request = match call.version {
            Some(version) => request.header(IF_MATCH, version),
            None => request,
        };
        Ok(match &call.body {
            Some(body) => request.header(CONTENT_TYPE, content).body(body.clone()),
            // Some servers refuse a POST that does not say that it has no body.
            None if call.method == Method::POST => request.header(CONTENT_LENGTH, 0),
            None => request,
        })
    }

    /// Returns the token that calls use now. A caller that has to ask for one waits for the turn
    /// before other callers wait for the answer, and not longer than any other call.
    async fn held(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.tokens.good().await {
            return Ok(token);
        }
        let mut turn = Some(self.turn_for_a_token().await?);
        let token = self.tokens.get(self.token(&mut turn)).await;
        turn.into_iter().for_each(Ticket::unused);
        token
    }

    /// Returns a token in place of one that was refused.
    async fn renewed(&self, refused: &Token, sent: Instant) -> Result<Renewed, Error> {
        let mut turn = Some(self.turn_for_a_token().await?);
        let renewed = self.tokens.renew(refused, sent, self.token(&mut turn)).await;
        turn.into_iter().for_each(Ticket::unused);
        renewed
    }

    /// Returns the tenant that the token is for, if the token says so. Asks for a token only if
    /// `ask` is true and there is no token.
    pub async fn tenant(&self, ask: bool) -> Option<Box<str>> {
        if ask && self.dialect.has_tokens() && self.tokens.good().await.is_none() {
            let mut turn = Some(self.turn_for_a_token().await.ok()?);
            // The next call meets the same error and reports it.
            let _ = self.tokens.get(self.token(&mut turn)).await;
            turn.into_iter().for_each(Ticket::unused);
        }
        self.tokens.tenant().await
    }

    /// Asks for a token in this turn. If a refusal says what the next request needs, asks again.
    async fn token<'t>(&'t self, turn: &mut Option<Ticket<'t>>) -> Result<GrantedToken, Error> {
        let mut asked = 1;
        let answer = loop {
            let (request, sent) = self.dialect.ask_for_a_token(&self.http)?;
            let Some(ticket) = turn.take() else { return Err(Error::Throttled { wait: None }) };
            let request = request.header(ACCEPT, "application/json");
            let answer = self.exchange(Route::TOKEN, request, sent, ticket).await;
            if answer.is_ok() || !self.dialect.asks_otherwise() || asked == MOST_ASKED {
                break answer?;
            }
            asked += 1;
            *turn = Some(self.turn_for_a_token().await?);
        };
        self.dialect.granted(&answer.body).ok_or_else(|| Error::Unavailable {
            said: "the answer to the request for a token has no token".to_owned(),
        })
    }

    /// Sends the request, reads the limits, judges the answer and counts the call.
    async fn exchange(
        &self,
        route: Route,
        request: RequestBuilder,
        sent: Sent<'_>,
        ticket: Ticket<'_>,
    ) -> Result<Answer, Error> {
        let patience = if route.purpose == Purpose::List { PATIENCE_WITH_LISTS } else { PATIENCE };
        let outcome = match self.http.send(request, patience).await {
            Err(CallFailure::NotSent(said)) => {
                ticket.unused();
                Err(Error::Unavailable { said })
            }
            Err(CallFailure::NoAnswer(said)) => Err(route.no_answer(said)),
            Ok(answer) => {
                self.dialect.learn(&answer, &ticket);
                return self.settle(route, answer, sent);
            }
        };
        self.tell(route, outcome)
    }

    /// Judges an answer and counts it as any other. This is for answers that came within another
    /// answer.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub fn settle(&self, route: Route, answer: Answer, sent: Sent<'_>) -> Result<Answer, Error> {
        if let Some(wait) = retry_after(&answer).filter(|_| answer.status.is_server_error()) {
            // The service is in trouble and says for how long. Urgent calls are still tried.
            self.pacer.hold_back(wait);
            self.tell_wait(Urgency::Normal, &self.pacer);
        }
        let outcome = self.dialect.judge(route, &answer, sent).map(|()| answer);
        self.tell(route, outcome)
    }

    /// Makes all callers wait after a throttled call, and counts every call.
    fn tell(&self, route: Route, outcome: Result<Answer, Error>) -> Result<Answer, Error> {
        match &outcome {
            Err(Error::Throttled { wait }) => {
                self.pacer.throttled(*wait);
                self.tell_wait(Urgency::Urgent, &self.pacer);
            }
            Ok(_) => self.pacer.granted(),
            Err(_) => {}
        }
        (self.hooks.observer)(route.name, outcome.as_ref().map_or_else(Error::category, |_| "ok"));
        outcome
    }

    /// Returns the error for a call that is refused with the newest token. Some services answer 401
    /// both for a missing right and for a bad token. If the same token has just read, a right is
    /// missing.
    fn refused(&self, route: Route, token: &Token, said: String) -> Error {
        let granted = self.granted.lock();
        if route.writes() && granted.as_ref().is_some_and(|granted| granted.text == token.text) {
            self.dialect.refused_write(said)
        } else {
            Error::Unauthorized { said }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        secret::Secret,
        waits::{Wait, WaitReason},
    };

    struct Silent;

    impl Dialect for Silent {
        fn base(&self) -> &'static str {
            "http://127.0.0.1:1"
        }

        fn ask_for_a_token(
            &self,
            http: &client::Client,
        ) -> Result<(RequestBuilder, Sent<'_>), Error> {
            Ok((http.request(Method::POST, "http://127.0.0.1:1/token"), Sent::Nothing))
        }

        fn authorise(&self, request: RequestBuilder, _: Option<&Token>) -> RequestBuilder {
            request
        }

        fn judge(&self, _: Route, _: &Answer, _: Sent<'_>) -> Result<(), Error> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_a_token_is_asked_soon_whether_it_is_still_wanted() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let waits: Waits = Arc::new({
            let told = told.clone();
            move |wait| told.lock().push(wait)
        });
        let hooks = Hooks { observer: Arc::new(|_, _| ()), gate: Arc::new(|| true), waits };
        let pacer = Arc::new(Pacer::new(1, Duration::from_hours(1)));
        let service = Service::new(Silent, hooks, Arc::clone(&pacer)).expect("a client");
        let suspend = || {
            let (route, urgency, method, sent) =
                (Route::UPDATE, Urgency::Urgent, Method::PUT, Sent::Nothing);
            Call::write(route, urgency, method, "/7", sent)
        };
        let began = Instant::now();
        // The call takes the last turn of the hour, and its token needs one more.
        let (one, other) = (suspend(), suspend());
        let outcomes = futures::join!(service.call(&one), service.call(&other));
        assert!(
            matches!(outcomes, (Err(Error::Throttled { .. }), Err(Error::Throttled { .. }))),
            "{outcomes:?}"
        );
        assert!(began.elapsed() <= 2 * IN_LINE, "{:?}", began.elapsed());
        let waits = told.lock();
        let (why, until) = (WaitReason::Spent, began + Duration::from_hours(1));
        assert!(
            !waits.is_empty() && waits.iter().all(|wait| *wait == Wait { until, why }),
            "{waits:?}"
        );
        drop(pacer.admit(Urgency::Urgent).now_or_never().expect("the turn was not used"));
    }

    /// Answers every call with 401, except the call for a token.
    struct Refusing(String);

    impl Dialect for Refusing {
        fn base(&self) -> &str {
            &self.0
        }

        fn ask_for_a_token(
            &self,
            http: &client::Client,
        ) -> Result<(RequestBuilder, Sent<'_>), Error> {
            Ok((http.request(Method::POST, &format!("{}/token", self.0)), Sent::Nothing))
        }

        fn granted(&self, _: &[u8]) -> Option<GrantedToken> {
            Some(GrantedToken {
                text: Secret::new("t"),
                lifetime: Duration::from_hours(1),
                tenant: None,
            })
        }

        fn authorise(&self, request: RequestBuilder, _: Option<&Token>) -> RequestBuilder {
            request
        }

        fn judge(&self, route: Route, _: &Answer, _: Sent<'_>) -> Result<(), Error> {
            if route.purpose == Purpose::Token {
                Ok(())
            } else {
                Err(Error::Unauthorized { said: "no".to_owned() })
            }
        }
    }

    /// Answers every request with an empty object, until the test ends.
    async fn answering() -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: \
                        application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_call_that_waits_for_another_token_is_asked_soon_whether_it_is_still_wanted() {
        let hooks = Hooks {
            observer: Arc::new(|_, _| ()),
            gate: Arc::new(|| true),
            waits: Arc::new(|_| ()),
        };
        // There is one turn for the token and one for the call. The next token would need a third
        // turn.
        let pacer = Arc::new(Pacer::new(2, Duration::from_hours(1)));
        let service =
            Arc::new(Service::new(Refusing(answering().await), hooks, pacer).expect("a client"));
        let calling = tokio::spawn(async move {
            let (route, urgency, method, sent) =
                (Route::UPDATE, Urgency::Urgent, Method::PUT, Sent::Nothing);
            service.call(&Call::write(route, urgency, method, "/7", sent)).await
        });
        // Both calls are answered. After that only time passes.
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::time::pause();
        let began = Instant::now();
        let outcome = calling.await.expect("no panic");
        assert!(matches!(outcome, Err(Error::Throttled { .. })), "{outcome:?}");
        assert!(began.elapsed() <= IN_LINE, "{:?}", began.elapsed());
    }
}
