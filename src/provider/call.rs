//! One HTTP call: paced, with a token, judged, counted. A 401 renews the token and repeats the call once; so does a 403 with
//! a token that is not new, because a token may carry the rights of the moment at which it was handed out.
//!
//! What differs between providers is their [`Dialect`]: addresses, how a call is authorised, what an answer means.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use reqwest::{
    Method, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};
use tokio::time::Instant;

use super::{
    Error, Urgency,
    answers::{Purpose, Route, Sent, retry_after},
    http::{self, Answer, Failure},
    limits::{Pacer, Ticket, Waits},
    token::{Granted, Renewed, Token, Tokens},
};

/// How long one call may take; a page of a listing may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_LISTS: Duration = Duration::from_secs(60);

/// How long a call stands in line before its caller is asked whether it is still wanted.
pub const IN_LINE: Duration = Duration::from_secs(10);
/// The pause before a caller who still wants a throttled call stands in line again: short, for whoever is in line when the window
/// opens goes first, and long enough that a call which is turned away at once does not spin.
pub const BACK_IN_LINE: Duration = Duration::from_millis(10);

/// Told of every call, those that went within another included: its name (`token`, `list`, `custom_attributes`, `find`, `create`, `update`, `sessions`) and its
/// outcome (`ok` or [`Error::category`]).
pub type Observer = Arc<dyn Fn(&'static str, &'static str) + Send + Sync>;

/// Asked right before a write is sent: whether this process may still write.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// What every call of a connection is told to and asked of.
#[derive(Clone)]
pub struct Ties {
    /// Counts calls.
    pub observer: Observer,
    /// Closed where a write must not begin: it is then given back as throttled, unsent.
    pub gate: Gate,
    /// Told of waits that calls meet.
    pub waits: Waits,
}

/// How one provider is spoken to.
pub trait Dialect: Send + Sync {
    /// Scheme, host, port and a path prefix if any, without a trailing slash.
    fn base(&self) -> &str;

    /// Whether calls are made with tokens; where not, a key goes with every call instead.
    fn has_tokens(&self) -> bool {
        true
    }

    /// The request for a token, and what of it is secret.
    ///
    /// # Errors
    /// The request cannot be made from this credential.
    fn ask_for_a_token(&self, _: &http::Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        Err(Error::Unavailable { said: "the provider hands out no tokens".to_owned() })
    }

    /// The token in a body, if there is one.
    fn granted(&self, _: &[u8]) -> Option<Granted> {
        None
    }

    /// Adds what authorises a call. `token` is there where the dialect has tokens.
    fn authorise(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder;

    /// Whether an answer grants the call, and if not, what to do about it. Throttling makes everybody wait.
    ///
    /// # Errors
    /// Everything that does not confirm the call.
    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error>;

    /// What the headers of an answer say of the window of calls.
    fn learn(&self, _: &Answer, _: &Ticket<'_>) {}

    /// A write that is refused as unauthorised with the very token that has just read. Default: the credential.
    fn refused_write(&self, said: String) -> Error {
        Error::Unauthorized { said }
    }
}

/// The service, as seen from one credential.
pub struct Service<D> {
    dialect: D,
    ties: Ties,
    http: http::Client,
    pacer: Arc<Pacer>,
    tokens: Tokens,
    /// The token with which a read was granted: a write that is refused with it lacks a right.
    granted: Mutex<Option<Arc<Token>>>,
}

/// What to call.
pub struct Call<'a> {
    /// The kind of call.
    pub route: Route,
    /// Who is asked first when calls are scarce.
    pub urgency: Urgency,
    /// The HTTP method.
    pub method: Method,
    /// Below the base, percent-encoded.
    pub path: &'a str,
    /// Query pairs, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// JSON.
    pub body: Option<Vec<u8>>,
    /// What goes out and must not come back in a text.
    pub sent: Sent<'a>,
}

impl<'a> Call<'a> {
    /// A read without haste of anybody else: reads may use the reserve.
    #[must_use]
    pub const fn get(route: Route, path: &'a str, query: &'a [(&'a str, &'a str)], sent: Sent<'a>) -> Self {
        Self { route, urgency: Urgency::Urgent, method: Method::GET, path, query, body: None, sent }
    }
}

impl<D: Dialect> Service<D> {
    /// Prepares the connection; nothing is called yet. The pacer is shared by all who call this tenant.
    ///
    /// # Errors
    /// The TLS settings of this machine cannot be used.
    pub fn new(dialect: D, ties: Ties, pacer: Arc<Pacer>) -> Result<Self, reqwest::Error> {
        let http = http::Client::new(dialect.base())?;
        Ok(Self { dialect, ties, http, pacer, tokens: Tokens::default(), granted: Mutex::default() })
    }

    /// How this provider is spoken to.
    pub const fn dialect(&self) -> &D {
        &self.dialect
    }

    /// Makes the call.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Error> {
        self.renewing(call, self.once(call).await?).await
    }

    /// Waits for a turn, for a call that is put together when it has come.
    ///
    /// # Errors
    /// [`Error::Throttled`] where the wait is so long that the caller is to be asked whether the call is still wanted.
    pub async fn turn(&self, urgency: Urgency) -> Result<Ticket<'_>, Error> {
        self.in_line(urgency, self.pacer.admit(urgency)).await
    }

    /// Stands in line for a turn, not longer than [`IN_LINE`], and tells what is waited for.
    async fn in_line<T>(&self, urgency: Urgency, turn: impl Future<Output = T>) -> Result<T, Error> {
        self.tell_wait(urgency);
        let outcome = tokio::time::timeout(IN_LINE, turn).await;
        // The wait may have begun meanwhile.
        outcome.map_err(|_| self.tell_wait(urgency)).map_err(|()| Error::Throttled { wait: None })
    }

    fn tell_wait(&self, urgency: Urgency) {
        if let Some(wait) = self.pacer.wait(urgency) {
            (self.ties.waits)(wait);
        }
    }

    /// Another turn, if there is one right now.
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

    /// Makes the call again with a fresh token, where the one it was made with was refused.
    async fn renewing(
        &self,
        call: &Call<'_>,
        (token, sent, outcome): (Option<Arc<Token>>, Instant, Result<Answer, Error>),
    ) -> Result<Answer, Error> {
        let Some(token) = token else { return outcome };
        match outcome {
            Err(Error::Unauthorized { said }) => match self.renewed(&token, sent).await? {
                Renewed::Same => Err(self.refused(call.route, &token, said)),
                Renewed::Other => match self.once(call).await? {
                    (Some(token), _, Err(Error::Unauthorized { said })) => Err(self.refused(call.route, &token, said)),
                    (_, _, outcome) => outcome,
                },
            },
            Err(Error::Forbidden { .. } | Error::Denied { .. }) if self.doubts_rights(sent).await => self.once(call).await?.2,
            outcome => outcome,
        }
    }

    /// Whether a call that was refused at `sent` for want of a right is worth another try, because the rights of the token
    /// are not the newest. Such a token is given up.
    pub async fn doubts_rights(&self, sent: Instant) -> bool {
        self.dialect.has_tokens() && self.tokens.doubt(sent).await
    }

    /// One attempt, with the token it was made with and when.
    async fn once(&self, call: &Call<'_>) -> Result<(Option<Arc<Token>>, Instant, Result<Answer, Error>), Error> {
        // The turn comes first: a token that is fetched before a long wait may be over after it.
        let turn = async {
            let slot = if call.route.purpose == Purpose::Create { Some(self.pacer.creation().await) } else { None };
            (slot, self.pacer.admit(call.urgency).await)
        };
        let (_slot, ticket) = self.in_line(call.urgency, turn).await?;
        self.attempt(call, ticket).await
    }

    async fn attempt(&self, call: &Call<'_>, ticket: Ticket<'_>) -> Result<(Option<Arc<Token>>, Instant, Result<Answer, Error>), Error> {
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
        if call.route.writes() && !(self.ties.gate)() {
            ticket.unused();
            return Err(Error::Throttled { wait: None });
        }
        let sent = Instant::now();
        let outcome = self.exchange(call.route, request, call.sent, ticket).await;
        if outcome.is_ok() && !call.route.writes() {
            self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&token);
        }
        Ok((token, sent, outcome))
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, Error> {
        let text = format!("{}{}", self.dialect.base(), call.path);
        let url = if call.query.is_empty() { Url::parse(&text) } else { Url::parse_with_params(&text, call.query) };
        let url = url.map_err(|_| Error::Unavailable { said: "the provider's address is not a URL".to_owned() })?;
        let request = self.http.request(call.method.clone(), url.as_str()).header(ACCEPT, "application/json");
        Ok(match &call.body {
            Some(body) => request.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.clone()),
            // Not every server takes a POST that does not say that it has no body.
            None if call.method == Method::POST => request.header(CONTENT_LENGTH, 0),
            None => request,
        })
    }

    /// The token that calls are made with now. Whoever has to ask for one waits for the turn before anybody waits for the
    /// answer, and not longer than any other call.
    async fn held(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.tokens.good().await {
            return Ok(token);
        }
        let mut turn = Some(self.turn(Urgency::Urgent).await?);
        let token = self.tokens.get(self.token(&mut turn)).await;
        turn.into_iter().for_each(Ticket::unused);
        token
    }

    /// A token in place of one that was refused.
    async fn renewed(&self, refused: &Token, sent: Instant) -> Result<Renewed, Error> {
        let mut turn = Some(self.turn(Urgency::Urgent).await?);
        let renewed = self.tokens.renew(refused, sent, self.token(&mut turn)).await;
        turn.into_iter().for_each(Ticket::unused);
        renewed
    }

    /// The tenant that the token is for, where it says so. A token is asked for only where `ask` and there is none.
    pub async fn tenant(&self, ask: bool) -> Option<Box<str>> {
        if ask && self.dialect.has_tokens() && self.tokens.good().await.is_none() {
            let mut turn = Some(self.turn(Urgency::Urgent).await.ok()?);
            // Whatever is wrong with it, the next call meets it as well, and says so.
            let _ = self.tokens.get(self.token(&mut turn)).await;
            turn.into_iter().for_each(Ticket::unused);
        }
        self.tokens.tenant().await
    }

    /// Asks for a token, in this turn.
    async fn token(&self, turn: &mut Option<Ticket<'_>>) -> Result<Granted, Error> {
        let (request, sent) = self.dialect.ask_for_a_token(&self.http)?;
        let Some(ticket) = turn.take() else { return Err(Error::Throttled { wait: None }) };
        let answer = self.exchange(Route::TOKEN, request.header(ACCEPT, "application/json"), sent, ticket).await?;
        self.dialect.granted(&answer.body).ok_or_else(|| Error::Unavailable { said: "the answer for the token holds none".to_owned() })
    }

    /// Sends, learns the limits, judges, counts.
    async fn exchange(&self, route: Route, request: RequestBuilder, sent: Sent<'_>, ticket: Ticket<'_>) -> Result<Answer, Error> {
        let patience = if route.purpose == Purpose::List { PATIENCE_WITH_LISTS } else { PATIENCE };
        let outcome = match self.http.send(request, patience).await {
            Err(Failure::NotSent(said)) => {
                ticket.unused();
                Err(Error::Unavailable { said })
            }
            Err(Failure::NoAnswer(said)) => Err(route.no_answer(said)),
            Ok(answer) => {
                self.dialect.learn(&answer, &ticket);
                return self.settle(route, answer, sent);
            }
        };
        self.tell(route, outcome)
    }

    /// Judges an answer, and tells of it as of any other: for answers that came within another.
    ///
    /// # Errors
    /// As [`Dialect::judge`] sorts them.
    pub fn settle(&self, route: Route, answer: Answer, sent: Sent<'_>) -> Result<Answer, Error> {
        if let Some(wait) = retry_after(&answer).filter(|_| answer.status.is_server_error()) {
            // In trouble, and says for how long: what cannot wait is still tried.
            self.pacer.hold_back(wait);
            self.tell_wait(Urgency::Normal);
        }
        let outcome = self.dialect.judge(route, &answer, sent).map(|()| answer);
        self.tell(route, outcome)
    }

    /// Throttling makes everybody wait, and every call is counted.
    fn tell(&self, route: Route, outcome: Result<Answer, Error>) -> Result<Answer, Error> {
        match &outcome {
            Err(Error::Throttled { wait }) => {
                self.pacer.throttled(*wait);
                self.tell_wait(Urgency::Urgent);
            }
            Ok(_) => self.pacer.granted(),
            Err(_) => {}
        }
        (self.ties.observer)(route.name, outcome.as_ref().map_or_else(Error::category, |_| "ok"));
        outcome
    }

    /// A call that is refused with the newest token. Missing rights are answered 401 by some, as bad tokens are; where
    /// the same token has just read, it is the rights.
    fn refused(&self, route: Route, token: &Token, said: String) -> Error {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
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
    use crate::provider::limits::{Wait, Why};

    struct Silent;

    impl Dialect for Silent {
        fn base(&self) -> &'static str {
            "http://127.0.0.1:1"
        }

        fn ask_for_a_token(&self, http: &http::Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
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
    async fn who_needs_a_token_and_has_no_turn_for_it_is_asked_soon_whether_the_call_is_still_wanted() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let waits: Waits = Arc::new({
            let told = told.clone();
            move |wait| told.lock().expect("no panic").push(wait)
        });
        let ties = Ties { observer: Arc::new(|_, _| ()), gate: Arc::new(|| true), waits };
        let pacer = Arc::new(Pacer::new(1, Duration::from_hours(1)));
        let service = Service::new(Silent, ties, Arc::clone(&pacer)).expect("a client");
        let suspend = || {
            let (route, urgency, method, sent) = (Route::UPDATE, Urgency::Urgent, Method::PUT, Sent::Nothing);
            Call { route, urgency, method, path: "/7", query: &[], body: None, sent }
        };
        let began = Instant::now();
        // The call takes the last turn of the hour, and its token needs one more.
        let (one, other) = (suspend(), suspend());
        let outcomes = futures::join!(service.call(&one), service.call(&other));
        assert!(matches!(outcomes, (Err(Error::Throttled { .. }), Err(Error::Throttled { .. }))), "{outcomes:?}");
        assert!(began.elapsed() <= 2 * IN_LINE, "{:?}", began.elapsed());
        let waits = told.lock().expect("no panic");
        let (why, until) = (Why::Spent, began + Duration::from_hours(1));
        assert!(!waits.is_empty() && waits.iter().all(|wait| *wait == Wait { until, why }), "{waits:?}");
        drop(pacer.admit(Urgency::Urgent).now_or_never().expect("the turn was not used"));
    }

    /// Every call but the one for a token is answered 401.
    struct Refusing(String);

    impl Dialect for Refusing {
        fn base(&self) -> &str {
            &self.0
        }

        fn ask_for_a_token(&self, http: &http::Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
            Ok((http.request(Method::POST, &format!("{}/token", self.0)), Sent::Nothing))
        }

        fn granted(&self, _: &[u8]) -> Option<Granted> {
            Some(Granted { text: http::Secret::new("t"), lifetime: Duration::from_hours(1), tenant: None })
        }

        fn authorise(&self, request: RequestBuilder, _: Option<&Token>) -> RequestBuilder {
            request
        }

        fn judge(&self, route: Route, _: &Answer, _: Sent<'_>) -> Result<(), Error> {
            if route.purpose == Purpose::Token { Ok(()) } else { Err(Error::Unauthorized { said: "no".to_owned() }) }
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
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn who_needs_another_token_and_has_no_turn_for_it_is_asked_soon_whether_the_call_is_still_wanted() {
        let ties = Ties { observer: Arc::new(|_, _| ()), gate: Arc::new(|| true), waits: Arc::new(|_| ()) };
        // A turn for the token and one for the call; the next token would need a third.
        let pacer = Arc::new(Pacer::new(2, Duration::from_hours(1)));
        let service = Arc::new(Service::new(Refusing(answering().await), ties, pacer).expect("a client"));
        let calling = tokio::spawn(async move {
            let (route, urgency, method, sent) = (Route::UPDATE, Urgency::Urgent, Method::PUT, Sent::Nothing);
            service.call(&Call { route, urgency, method, path: "/7", query: &[], body: None, sent }).await
        });
        // Both calls are answered; from then on only time goes by.
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::time::pause();
        let began = Instant::now();
        let outcome = calling.await.expect("no panic");
        assert!(matches!(outcome, Err(Error::Throttled { .. })), "{outcome:?}");
        assert!(began.elapsed() <= IN_LINE, "{:?}", began.elapsed());
    }
}
