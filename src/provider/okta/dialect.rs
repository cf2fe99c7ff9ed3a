//! How calls to Okta are made: with an administrator's API token, or by a service app that signs
//! its requests for tokens and, where the org asks for it, proves that it has the key of its token
//! (DPoP, RFC 9449).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    CATALOG, Okta,
    errors::{SCOPES, judge, until_reset},
};
use crate::provider::prelude::*;

/// How long a token is good if the answer does not say (developer.okta.com, "Implement OAuth for
/// Okta with a service app").
const PUBLISHED: Duration = Duration::from_secs(3600);

/// How long an assertion is good: an hour is the most that Okta takes.
const ASSERTED: Duration = Duration::from_secs(300);

const TOKENS: &str = "/oauth2/v1/token";
const USERS: &str = "/api/v1/users";

/// What happens with the account of an employee who leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leavers {
    /// It is suspended.
    Suspend,
    /// It is deactivated.
    Deactivate,
}

/// What happens with the account of an employee who leaves, in a status from which Okta does not
/// suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSuspendable {
    /// It is deactivated.
    Deactivate,
    /// A person is told.
    Report,
}

/// An Okta org, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The host of the org. Tokens and proofs are for this host, even if calls go to another
    /// address.
    pub domain: String,
    /// Scheme, host, port and a path prefix if any, without a trailing slash. Calls go to
    /// `<base>/api/v1/...` and `<base>/oauth2/v1/token`.
    pub base: String,
    /// The profile attribute that holds the mark.
    pub mark: String,
    /// What happens with the account of an employee who leaves.
    pub leavers: Leavers,
    /// What happens with it if Okta does not suspend it.
    pub not_suspendable: NotSuspendable,
    /// Whether Okta mails the owners of accounts that are activated without a password.
    pub mails: bool,
}

impl Destination for Tenant {
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

    fn tenant(&self) -> String {
        format!("{} {}", self.base, self.domain.to_lowercase())
    }

    fn keys(&self) -> Keys {
        Keys { required: &[], optional: &["apiToken", "clientId", "privateKey", "keyId"] }
    }

    fn reserved(&self) -> Option<&str> {
        Some(&self.mark)
    }

    fn connect(&self, credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        Ok(Box::new(Okta::new(self.clone(), Caller::read(credential)?, hooks, pacer)?))
    }
}

/// How calls are authorised.
#[derive(Debug)]
pub enum Caller {
    /// By an API token. The header is marked as sensitive, so that it is not printed.
    ApiToken(HeaderValue),
    /// By a service app.
    App(Box<ServiceApp>),
}

/// A service app and its key.
#[derive(Debug)]
pub struct ServiceApp {
    key: SigningKey,
    key_id: String,
    client_id: String,
}

impl Caller {
    /// Reads the keys of the Secret.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if there are both kinds of credentials, [`Error::Unauthorized`] if
    /// no kind can be valid. No error has anything of their content.
    pub fn read(mut credential: Credential) -> Result<Self, Error> {
        let refuse = |why: &str| Error::Unauthorized { said: why.to_owned() };
        let mut given =
            |key: &str| credential.take(key).filter(|value| !value.expose().trim().is_empty());
        let token = given("apiToken");
        let app = [given("clientId"), given("privateKey"), given("keyId")];
        if token.is_some() && app.iter().any(Option::is_some) {
            let said = "the Secret has both kinds of credentials: keep apiToken, or clientId, \
                privateKey and keyId";
            return Err(Error::Misconfigured { said: said.to_owned() });
        }
        if let Some(token) = token {
            let token = token.expose().trim();
            let no_token = "apiToken: this is no API token of Okta, which is one line of letters, \
                digits, - and _, without SSWS before it";
            let is_plain = token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            let header = HeaderValue::from_str(&format!("SSWS {token}")).ok();
            let mut header = header.filter(|_| is_plain).ok_or_else(|| refuse(no_token))?;
            header.set_sensitive(true);
            return Ok(Self::ApiToken(header));
        }
        match app {
            [Some(client_id), Some(key), Some(key_id)] => Ok(Self::App(Box::new(ServiceApp {
                client_id: client_id.expose().trim().to_owned(),
                key_id: key_id.expose().trim().to_owned(),
                key: SigningKey::read_either(&key)
                    .map_err(|why| refuse(&format!("privateKey: {why}")))?,
            }))),
            [None, None, None] => Err(refuse("set apiToken, or clientId, privateKey and keyId")),
            [client_id, key, _] => Err(refuse(match (client_id, key) {
                (None, _) => "clientId is missing: it belongs to privateKey and keyId",
                (_, None) => "privateKey is missing: it belongs to clientId and keyId",
                _ => "keyId is missing: Okta shows it next to the public key of the app",
            })),
        }
    }
}

/// Whether and how the service app proves that it has the key of its token.
struct Proofs {
    /// A key of this connection. Tokens are bound to it.
    key: SigningKey,
    /// Whether the org asks for proofs.
    needed: AtomicBool,
    /// The nonce that the org wants in the next proof to its token service. It changes every day.
    nonce: Mutex<Option<String>>,
    /// Whether the last refusal says what the next request for a token needs.
    told: AtomicBool,
}

/// One credential at one org.
pub(super) struct OktaDialect {
    pub(super) tenant: Arc<Tenant>,
    caller: Caller,
    proofs: Proofs,
    address: Address,
}

impl OktaDialect {
    /// Returns the dialect of this credential.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if this machine gives no randomness.
    pub(super) fn new(tenant: Arc<Tenant>, caller: Caller) -> Result<Self, Error> {
        let address = Address::of(&tenant.base);
        let proofs = Proofs {
            key: SigningKey::generated().map_err(unreadable)?,
            needed: AtomicBool::new(false),
            nonce: Mutex::default(),
            told: AtomicBool::new(false),
        };
        Ok(Self { tenant, caller, proofs, address })
    }

    /// Returns the path of a call.
    pub(super) fn path(&self, below: &str) -> String {
        self.address.path(below)
    }

    /// Returns the path and query of a link to the next page, at the org or at the address of the
    /// calls.
    ///
    /// # Errors
    /// The link leads to another address.
    pub(super) fn next(&self, link: &str) -> Result<String, Error> {
        path_of_link(&self.address.origin, link).or_else(|elsewhere| {
            let own = path_of_link(&self.vendor(""), link).map_err(|_| elsewhere)?;
            Ok(self.address.path(&own))
        })
    }

    /// Returns the address of a path at the org itself.
    fn vendor(&self, path: &str) -> String {
        format!("https://{}{path}", self.tenant.domain.to_lowercase())
    }

    /// Returns a proof for one call (RFC 9449, 4.2). `token` is there if the call has one.
    fn proof(&self, method: &str, path: &str, token: Option<&str>) -> Result<Secret, Error> {
        let mut claims = json!({
            "htm": method, "htu": self.vendor(path), "iat": now(), "jti": unique()?,
        });
        match token {
            Some(token) => {
                let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()));
                claims["ath"] = json!(hash);
            }
            None => {
                if let Some(nonce) = &*self.proofs.nonce.lock() {
                    claims["nonce"] = json!(nonce);
                }
            }
        }
        let header = [("typ", json!("dpop+jwt")), ("jwk", self.proofs.key.public())];
        self.proofs.key.sign(Algorithm::Rs256, &header, &claims)
    }

    /// Notes what an answer says about the proofs that the org wants.
    fn learn_of_proofs(&self, answer: &Answer) {
        let refused = matches!(answer.status.as_u16(), 400 | 401);
        let Some((code, _)) = oauth_error(&error_body(answer)).filter(|_| refused) else { return };
        let news = match &*code {
            "invalid_dpop_proof" => !self.proofs.needed.swap(true, Ordering::AcqRel),
            "use_dpop_nonce" => {
                self.proofs.needed.store(true, Ordering::Release);
                let nonce = answer.header("dpop-nonce").map(str::to_owned);
                nonce.is_some()
                    && std::mem::replace(&mut *self.proofs.nonce.lock(), nonce.clone()) != nonce
            }
            _ => false,
        };
        if news {
            self.proofs.told.store(true, Ordering::Release);
        }
    }

    /// Adds a token that is bound to a key, and the proof for this call. A call without a proof is
    /// refused, and the refusal is reported.
    fn bound(&self, request: RequestBuilder, token: &str) -> RequestBuilder {
        let built = request.try_clone().and_then(|request| request.build().ok());
        let proof = built.and_then(|built| {
            let path = built.url().path();
            let path = path.strip_prefix(&*self.address.prefix).unwrap_or(path);
            self.proof(built.method().as_str(), path, Some(token)).ok()
        });
        let request = match proof {
            Some(proof) => request.header("DPoP", proof.expose()),
            None => request,
        };
        match HeaderValue::from_str(&format!("DPoP {token}")) {
            Ok(mut header) => {
                header.set_sensitive(true);
                request.header(AUTHORIZATION, header)
            }
            Err(_) => request.bearer_auth(token),
        }
    }
}

impl Dialect for OktaDialect {
    fn base(&self) -> &str {
        &self.address.origin
    }

    fn has_tokens(&self) -> bool {
        matches!(self.caller, Caller::App(_))
    }

    /// Asks for a token (developer.okta.com, "Implement OAuth for Okta with a service app"). The
    /// assertion and the proof are for the org, even if the call goes to another address.
    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let Caller::App(app) = &self.caller else {
            return Err(unreadable("an API token is no service app"));
        };
        let ServiceApp { client_id, key_id, key } = &**app;
        let issued = now();
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": self.vendor(TOKENS),
            "jti": unique()?, "iat": issued, "exp": issued + ASSERTED.as_secs(),
        });
        let assertion = key.sign(Algorithm::Rs256, &[("kid", json!(key_id))], &claims)?;
        let url = format!("{}{}", self.address.origin, self.path(TOKENS));
        let mut pairs = vec![("grant_type", "client_credentials"), ("scope", SCOPES)];
        pairs.extend(asserted(&assertion));
        let request = form(http.request(Method::POST, &url), &pairs);
        let request = if self.proofs.needed.load(Ordering::Acquire) {
            request.header("DPoP", self.proof("POST", TOKENS, None)?.expose())
        } else {
            request
        };
        Ok((request, Sent::Credential(client_id, key_id)))
    }

    fn asks_otherwise(&self) -> bool {
        self.proofs.told.swap(false, Ordering::AcqRel)
    }

    fn granted(&self, body: &[u8]) -> Option<GrantedToken> {
        GrantedToken::read(body, PUBLISHED)
    }

    fn authorise(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match (&self.caller, token) {
            (Caller::ApiToken(header), _) => request.header(AUTHORIZATION, header.clone()),
            (Caller::App(_), Some(token)) if self.proofs.needed.load(Ordering::Acquire) => {
                self.bound(request, token.text.expose())
            }
            (Caller::App(_), Some(token)) => request.bearer_auth(token.text.expose()),
            (Caller::App(_), None) => request,
        }
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        judge(route, answer, sent, &self.tenant.mark)
    }

    /// Okta counts calls by endpoint (developer.okta.com, "Rate limits").
    fn bucket(&self, route: Route, method: &Method) -> usize {
        match route.purpose {
            Purpose::List | Purpose::Create => 0,
            Purpose::Find => 1,
            Purpose::Update if route == Route::UPDATE && *method == Method::POST => 2,
            Purpose::Update | Purpose::Definitions => 3,
            Purpose::Token => 4,
        }
    }

    fn learn(&self, answer: &Answer, ticket: &Ticket<'_>) {
        self.learn_of_proofs(answer);
        let number = |name: &str| u32::try_from(answer.number(name)?).ok();
        let (limit, remaining) = (number("x-rate-limit-limit"), number("x-rate-limit-remaining"));
        // A limit of 0 is the one of calls at the same time.
        if let (Some(limit @ 1..), Some(remaining), Some(reset)) =
            (limit, remaining, until_reset(answer))
        {
            ticket.learn(limit, remaining, reset);
        }
    }
}

impl OktaDialect {
    /// Returns the path of one user, or `None` if this is no id.
    pub(super) fn user(&self, id: &str) -> Option<String> {
        let plain = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| self.path(&format!("{USERS}/{id}")))
    }

    /// Returns the path of the user with this login. A login with a slash has none (okta-sdk-nodejs
    /// issue 430), and dots alone would be another address.
    pub(super) fn login(&self, login: &str) -> Option<String> {
        let has_path = !login.contains('/') && login.bytes().any(|b| b != b'.');
        has_path.then(|| self.path(&format!("{USERS}/{}", encoded(login))))
    }

    /// Returns the path of all users.
    pub(super) fn users(&self) -> String {
        self.path(USERS)
    }
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
