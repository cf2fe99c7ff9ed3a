//! The access token: asked for once, shared by all calls, renewed before it ends or after a 401.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use crate::provider::{Error, http::Secret};

/// A token is renewed this long before it ends.
const MARGIN: Duration = Duration::from_secs(60);

/// A token is used this long at least, whatever its dates say: clocks differ, and a 401 renews it anyway.
const SHORTEST: Duration = Duration::from_secs(30);

/// developers.onelogin.com, "Generate Tokens": ten hours. Used where the answer does not say.
const PUBLISHED: Duration = Duration::from_secs(36_000);

/// One token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: Secret,
    renew_at: Instant,
    /// When the provider last handed it out.
    confirmed: Instant,
}

/// The tokens of one credential.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Arc<Token>>,
    /// The last refusal, for those who waited for the same answer.
    failed: Option<(Instant, Error)>,
}

/// What a renewal brought.
pub(super) enum Renewed {
    /// Another token, which [`Tokens::get`] now gives.
    Other,
    /// The provider insists on the one that was refused.
    Same,
}

impl Tokens {
    /// The token, asked for with `ask` if there is none that is still good. One asks, all wait.
    pub(super) async fn get(&self, ask: impl Future<Output = Result<Answered, Error>>) -> Result<Arc<Token>, Error> {
        let began = Instant::now();
        let mut held = self.held.lock().await;
        match &held.token {
            Some(token) if Instant::now() < token.renew_at => Ok(Arc::clone(token)),
            _ => held.ask(began, ask).await,
        }
    }

    /// A token in place of `refused`, which a call that was sent at `sent` was answered 401 for.
    pub(super) async fn renew(
        &self,
        refused: &Token,
        sent: Instant,
        ask: impl Future<Output = Result<Answered, Error>>,
    ) -> Result<Renewed, Error> {
        let mut held = self.held.lock().await;
        let token = match &held.token {
            // Somebody else has asked since.
            Some(token) if token.text != refused.text || token.confirmed > sent => Arc::clone(token),
            _ => held.ask(sent, ask).await?,
        };
        Ok(if token.text == refused.text { Renewed::Same } else { Renewed::Other })
    }
}

impl Held {
    async fn ask(&mut self, began: Instant, ask: impl Future<Output = Result<Answered, Error>>) -> Result<Arc<Token>, Error> {
        if let Some((at, error)) = &self.failed
            && *at > began
        {
            return Err(error.clone());
        }
        match ask.await {
            Ok(answered) => {
                let token = Arc::new(answered.token(Instant::now(), Timestamp::now()));
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

/// What the token endpoint answers (developers.onelogin.com, "Generate Tokens").
#[derive(Deserialize)]
pub(super) struct Answered {
    access_token: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Answered {
    /// The token in a body, if there is one.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|answered| !answered.access_token.trim().is_empty())
    }

    /// `OneLogin` hands the same token out again until it ends, so its age counts, not the time of asking.
    fn token(self, now: Instant, today: Timestamp) -> Token {
        let lifetime = self.expires_in.map_or(PUBLISHED, Duration::from_secs).min(PUBLISHED * 24);
        let created: Option<Timestamp> = self.created_at.as_deref().and_then(|text| text.parse().ok());
        let age = created.and_then(|created| Duration::try_from(today.duration_since(created)).ok()).unwrap_or_default();
        let good_for = lifetime.saturating_sub(age).saturating_sub(MARGIN).max(SHORTEST);
        Token { text: Secret::new(self.access_token), renew_at: now + good_for, confirmed: now }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::advance;

    use super::*;

    fn answered(text: &str, created_at: Option<&str>, expires_in: Option<u64>) -> Answered {
        Answered { access_token: text.to_owned(), created_at: created_at.map(str::to_owned), expires_in }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_by_its_own_age() {
        let today: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let now = Instant::now();
        for (created_at, expires_in, seconds) in [
            (Some("2026-11-24T09:00:00.000Z"), Some(36_000), 35_940),
            (Some("2026-11-24T01:00:00.000Z"), Some(36_000), 7_140),
            // Clocks that disagree shorten or lengthen nothing beyond what was published.
            (Some("2026-11-25T09:00:00.000Z"), Some(36_000), 35_940),
            (Some("2026-11-01T09:00:00.000Z"), Some(36_000), 30),
            (None, Some(600), 540),
            (Some("yesterday"), None, 35_940),
        ] {
            let token = answered("t", created_at, expires_in).token(now, today);
            assert_eq!((token.renew_at - now).as_secs(), seconds, "{created_at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_all_wait() {
        let (tokens, asked) = (Tokens::default(), Cell::new(0));
        let get = || {
            tokens.get(async {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(answered("t", None, Some(600)))
            })
        };
        let (a, b) = futures::join!(get(), get());
        assert_eq!((a.unwrap().text.expose(), b.unwrap().text.expose(), asked.get()), ("t", "t", 1));
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
    async fn a_storm_of_401_asks_once() {
        let (tokens, asked) = (Tokens::default(), Cell::new(0));
        let ask = |text: &'static str| async {
            let text = text.to_owned();
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(answered(&text, None, None))
        };
        let first = tokens.get(ask("one")).await.unwrap();
        let sent = Instant::now();
        advance(Duration::from_secs(1)).await;
        let (a, b) = futures::join!(tokens.renew(&first, sent, ask("two")), tokens.renew(&first, sent, ask("three")));
        assert!(matches!((a, b), (Ok(Renewed::Other), Ok(Renewed::Other))));
        let second = tokens.get(ask("four")).await.unwrap();
        assert_eq!(second.text.expose(), "two");
        let sent = Instant::now();
        let (a, b) = futures::join!(tokens.renew(&second, sent, ask("two")), tokens.renew(&second, sent, ask("two")));
        assert!(matches!((a, b), (Ok(Renewed::Same), Ok(Renewed::Same))));
        assert_eq!(asked.get(), 3);
    }
}
