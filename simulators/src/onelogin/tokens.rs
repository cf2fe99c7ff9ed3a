//! Access tokens and the rights of the credential behind them
//! (developers.onelogin.com, "Generate Tokens", "Working with API Credentials").

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::rng::Rng;

pub const LIFETIME: i64 = 36_000;

/// The rights of a credential, as the admin portal names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    AuthenticationOnly,
    ReadUsers,
    ManageUsers,
    ReadAll,
    ManageAll,
}

impl Scope {
    const ALL: [(Self, &str); 5] = [
        (Self::AuthenticationOnly, "Authentication Only"),
        (Self::ReadUsers, "Read Users"),
        (Self::ManageUsers, "Manage users"),
        (Self::ReadAll, "Read All"),
        (Self::ManageAll, "Manage All"),
    ];

    /// Returns the scope with the portal's name, ignoring case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| own.eq_ignore_ascii_case(name)).map(|(scope, _)| *scope)
    }

    pub fn reads_users(self) -> bool {
        self != Self::AuthenticationOnly
    }

    pub fn writes_users(self) -> bool {
        matches!(self, Self::ManageUsers | Self::ManageAll)
    }

    pub fn manages_all(self) -> bool {
        self == Self::ManageAll
    }

    pub fn logs_out(self) -> bool {
        self.writes_users() || self == Self::AuthenticationOnly
    }
}

#[derive(Debug, Clone)]
struct Token {
    access: String,
    refresh: String,
    created: Timestamp,
}

/// The one credential of the tenant and its live token.
pub struct Tokens {
    pub client_id: String,
    client_secret: String,
    pub scope: Scope,
    live: Option<Token>,
    rng: Rng,
    /// The number of the account.
    account: u64,
}

/// The number of the next account: no two that are simulated in one process are the same.
static ACCOUNT: AtomicU64 = AtomicU64::new(123_456);

impl Default for Tokens {
    fn default() -> Self {
        // Tokens of two simulators must differ, because otherwise one would accept the other's
        // clients.
        let seed = Timestamp::now().as_nanosecond().unsigned_abs();
        let seed =
            u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(1) ^ u64::from(std::process::id());
        Self {
            client_id: "client-1".into(),
            client_secret: "secret-1".into(),
            scope: Scope::ManageUsers,
            live: None,
            rng: Rng::new(seed),
            account: ACCOUNT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Tokens {
    pub fn request_id(&mut self) -> String {
        let id = self.rng.hex(16).to_uppercase();
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
    }

    /// Sets another credential. A token stays valid when only the secret or the scope changed.
    pub fn set(&mut self, client_id: &str, client_secret: &str, scope: Scope) {
        if self.client_id != client_id {
            self.live = None;
        }
        client_id.clone_into(&mut self.client_id);
        client_secret.clone_into(&mut self.client_secret);
        self.scope = scope;
    }

    pub fn knows(&self, client_id: &str, client_secret: &str) -> bool {
        self.client_id == client_id && self.client_secret == client_secret
    }

    /// Returns the token object; the same token until it expires or is revoked.
    pub fn issue(&mut self, now: Timestamp) -> Value {
        if self.live.as_ref().is_none_or(|token| !alive(token, now)) {
            self.live =
                Some(Token { access: self.rng.hex(32), refresh: self.rng.hex(32), created: now });
        }
        let Some(token) = &self.live else { return Value::Null };
        json!({
            "access_token": token.access,
            "created_at": crate::clock::millis(token.created),
            "expires_in": LIFETIME,
            "refresh_token": token.refresh,
            "token_type": "bearer",
            "account_id": self.account,
        })
    }

    /// Revokes this token; false when it is not the live one.
    pub fn revoke(&mut self, access: &str) -> bool {
        let live = self.live.as_ref().is_some_and(|token| token.access == access);
        if live {
            self.live = None;
        }
        live
    }

    pub fn revoke_all(&mut self) {
        self.live = None;
    }

    pub fn accepts(&self, access: &str, now: Timestamp) -> bool {
        self.live.as_ref().is_some_and(|token| token.access == access && alive(token, now))
    }
}

fn alive(token: &Token, now: Timestamp) -> bool {
    now < token.created + SignedDuration::from_secs(LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_token_until_it_expires_or_is_revoked() {
        let mut tokens = Tokens::default();
        let now: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let first = tokens.issue(now);
        let access = first["access_token"].as_str().unwrap().to_owned();
        assert_eq!(tokens.issue(now + SignedDuration::from_secs(LIFETIME - 1)), first);
        assert!(tokens.accepts(&access, now + SignedDuration::from_secs(LIFETIME - 1)));
        assert!(!tokens.accepts(&access, now + SignedDuration::from_secs(LIFETIME)));
        assert_ne!(tokens.issue(now + SignedDuration::from_secs(LIFETIME)), first);
        assert!(!tokens.revoke(&access));
        let second = tokens.issue(now + SignedDuration::from_secs(LIFETIME));
        assert!(tokens.revoke(second["access_token"].as_str().unwrap()));
    }
}
