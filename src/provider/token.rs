//! The access token. One caller asks for it, all calls share it, and it is renewed before it ends
//! or after a 401.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::Error;
use crate::http::secret::Secret;

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a token is used at least, even if its dates say less: clocks differ, and a 401 renews
/// it anyway.
const SHORTEST: Duration = Duration::from_secs(30);

/// An older token may lack a right that was granted after it was issued. Another token is asked for
/// at most once in this time.
const RIGHTS: Duration = Duration::from_secs(20);

/// One token.
#[derive(Debug)]
pub struct Token {
    pub text: Secret,
    renew_at: Instant,
    /// When the provider last issued it.
    confirmed: Instant,
    /// The tenant that the token is for, if the token says so.
    tenant: Option<Box<str>>,
}

/// The tokens of one credential.
#[derive(Debug, Default)]
pub struct Tokens {
    held: Mutex<HeldToken>,
}

#[derive(Debug, Default)]
struct HeldToken {
    token: Option<Arc<Token>>,
    /// The last refusal, for callers that waited for the same answer.
    failed: Option<(Instant, Error)>,
}

/// The result of a renewal.
pub enum Renewed {
    /// Another token, which [`Tokens::get`] returns from now on.
    Other,
    /// The provider gave the same token that was refused.
    Same,
}

impl Tokens {
    /// Returns the token that is held, if it is still good.
    pub async fn good(&self) -> Option<Arc<Token>> {
        self.held.lock().await.token.clone().filter(|token| Instant::now() < token.renew_at)
    }

    /// Returns the tenant that the token is for, if a token says so.
    pub async fn tenant(&self) -> Option<Box<str>> {
        self.held.lock().await.token.as_ref()?.tenant.clone()
    }

    /// Returns whether a call that was refused at `sent`, because a right is missing, may be
    /// granted with the next token. That is so if there is a newer token. It is also so if the held
    /// token is not new, and that token is then dropped.
    pub async fn doubt(&self, sent: Instant) -> bool {
        let mut held = self.held.lock().await;
        let Some(token) = &held.token else { return true };
        let (newer, old) =
            (token.confirmed > sent, sent.saturating_duration_since(token.confirmed) >= RIGHTS);
        if old {
            held.token = None;
        }
        newer || old
    }

    /// Returns the token. If no good token is held, asks for one with `ask`. One caller asks, and
    /// all others wait.
    pub async fn get(
        &self,
        ask: impl Future<Output = Result<GrantedToken, Error>>,
    ) -> Result<Arc<Token>, Error> {
        let began = Instant::now();
        let mut held = self.held.lock().await;
        match &held.token {
            Some(token) if Instant::now() < token.renew_at => Ok(Arc::clone(token)),
            _ => held.ask(began, ask).await,
        }
    }

    /// Returns a token in place of `refused`. A call at `sent` was answered 401 with that token.
    pub async fn renew(
        &self,
        refused: &Token,
        sent: Instant,
        ask: impl Future<Output = Result<GrantedToken, Error>>,
    ) -> Result<Renewed, Error> {
        let mut held = self.held.lock().await;
        let token = match &held.token {
            // Another caller has asked in the meantime.
            Some(token) if token.text != refused.text || token.confirmed > sent => {
                Arc::clone(token)
            }
            _ => held.ask(sent, ask).await?,
        };
        Ok(if token.text == refused.text { Renewed::Same } else { Renewed::Other })
    }
}

impl HeldToken {
    async fn ask(
        &mut self,
        began: Instant,
        ask: impl Future<Output = Result<GrantedToken, Error>>,
    ) -> Result<Arc<Token>, Error> {
        if let Some((at, error)) = &self.failed
            && *at > began
        {
            return Err(error.clone());
        }
        match ask.await {
            Ok(granted) => {
                let token = Arc::new(granted.token(Instant::now()));
                self.failed = None;
                self.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(error) => {
                self.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// A token as the provider issued it.
#[derive(Debug)]
pub struct GrantedToken {
    /// The token itself.
    pub text: Secret,
    /// How long the token is good from now on. The provider's answer says so, or otherwise its
    /// documentation.
    pub lifetime: Duration,
    /// The tenant that the token is for, if the answer says so.
    pub tenant: Option<Box<str>>,
}

impl GrantedToken {
    /// Returns the token in the answer of a token endpoint (RFC 6749, 5.1). `published` is how long
    /// it is good if the answer does not say.
    #[must_use]
    pub fn read(body: &[u8], published: Duration) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answered {
            access_token: String,
            #[serde(default)]
            expires_in: Option<u64>,
        }
        let answered: Answered = serde_json::from_slice(body).ok()?;
        let text = Some(answered.access_token).filter(|text| !text.trim().is_empty())?;
        let lifetime = answered.expires_in.map_or(published, Duration::from_secs);
        let lifetime = lifetime.min(published * 24);
        Some(Self { text: Secret::new(text), lifetime, tenant: None })
    }

    fn token(self, now: Instant) -> Token {
        let good_for = self.lifetime.saturating_sub(MARGIN).max(SHORTEST);
        Token { text: self.text, renew_at: now + good_for, confirmed: now, tenant: self.tenant }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::advance;

    use super::*;

    fn granted(text: &str, seconds: u64) -> GrantedToken {
        GrantedToken {
            text: Secret::new(text),
            lifetime: Duration::from_secs(seconds),
            tenant: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends_and_used_for_a_while_whatever_it_says() {
        let now = Instant::now();
        for (seconds, used) in [(36_000, 35_940), (600, 540), (60, 30), (0, 30)] {
            assert_eq!(
                (granted("t", seconds).token(now).renew_at - now).as_secs(),
                used,
                "{seconds}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_all_wait() {
        let (tokens, asked) = (Tokens::default(), Cell::new(0));
        let get = || {
            tokens.get(async {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(granted("t", 600))
            })
        };
        let (a, b) = futures::join!(get(), get());
        assert_eq!(
            (a.unwrap().text.expose(), b.unwrap().text.expose(), asked.get()),
            ("t", "t", 1)
        );
        advance(Duration::from_secs(541)).await;
        get().await.unwrap();
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_for_a_refusal_share_it() {
        let (tokens, asked) = (Tokens::default(), Cell::new(0));
        let get = || {
            tokens.get(async {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(Error::Unauthorized { said: "no".to_owned() })
            })
        };
        let (a, b) = futures::join!(get(), get());
        assert!(a.is_err() && b.is_err());
        assert_eq!(asked.get(), 1);
        assert!(get().await.is_err());
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_lacks_a_right_is_given_up_unless_it_is_new() {
        let tokens = Tokens::default();
        let get = |text: &'static str| tokens.get(async move { Ok(granted(text, 3600)) });
        get("one").await.unwrap();
        assert!(!tokens.doubt(Instant::now()).await, "its rights are those of now");
        advance(RIGHTS).await;
        let sent = Instant::now();
        assert!(tokens.doubt(sent).await && tokens.good().await.is_none());
        assert!(tokens.doubt(sent).await, "another caller that was refused with it");
        advance(Duration::from_secs(1)).await;
        assert_eq!(get("two").await.unwrap().text.expose(), "two");
        assert!(tokens.doubt(sent).await, "there is a newer one by now");
        assert!(
            !tokens.doubt(Instant::now()).await && tokens.good().await.is_some(),
            "not at every refusal"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_401_asks_once() {
        let (tokens, asked) = (Tokens::default(), Cell::new(0));
        let ask = |text: &'static str| async {
            let text = text.to_owned();
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(granted(&text, 36_000))
        };
        let first = tokens.get(ask("one")).await.unwrap();
        let sent = Instant::now();
        advance(Duration::from_secs(1)).await;
        let (a, b) = futures::join!(
            tokens.renew(&first, sent, ask("two")),
            tokens.renew(&first, sent, ask("three"))
        );
        assert!(matches!((a, b), (Ok(Renewed::Other), Ok(Renewed::Other))));
        let second = tokens.get(ask("four")).await.unwrap();
        assert_eq!(second.text.expose(), "two");
        let sent = Instant::now();
        let (a, b) = futures::join!(
            tokens.renew(&second, sent, ask("two")),
            tokens.renew(&second, sent, ask("two"))
        );
        assert!(matches!((a, b), (Ok(Renewed::Same), Ok(Renewed::Same))));
        assert_eq!(asked.get(), 3);
    }
}
