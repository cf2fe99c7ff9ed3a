//! Who may call: an administrator's API token, and a service app with its keys, access tokens and
//! scopes.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dpop::{self, Nonces, Used};
use super::errors::{self, Challenge};
use crate::front::{Answer, Call};
use crate::jws::{Key, Token};
use crate::rng::Rng;

const ASSERTED: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const LIFETIME: i64 = 3600;

/// An API token dies after so long without use.
const UNUSED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Keys made for the simulators; they are used nowhere else.
const SAMPLE_RSA_KEY: &str = include_str!("sample-rsa-key.pem");
const SAMPLE_EC_KEY: &str = include_str!("sample-ec-key.pem");

/// The administrator's role behind a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rights {
    Manage,
    Read,
    /// No administrator's role.
    None,
}

/// The token that an administrator made.
pub struct ApiToken {
    pub value: String,
    pub rights: Rights,
    /// Whether it dies after 30 days without use. Off by default, because a test moves the clock
    /// further.
    pub expires: bool,
    pub used: Option<Timestamp>,
}

/// The service app.
pub struct App {
    pub client_id: String,
    /// The scopes that an administrator granted.
    pub scopes: Vec<String>,
    pub rights: Rights,
    /// Whether it requires proofs of possession.
    pub dpop: bool,
    /// Public keys by key id.
    pub keys: Vec<(String, Key)>,
}

/// Returns the sample keys: name, PEM and public key.
fn samples() -> [(&'static str, &'static str, Key); 2] {
    let der = |pem: &str| {
        PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a sample key is PEM")
    };
    let rsa = der(SAMPLE_RSA_KEY);
    let rsa = RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der()).expect("the sample is an RSA key");
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let ec = der(SAMPLE_EC_KEY);
    let ec = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        ec.secret_pkcs8_der(),
        &ring::rand::SystemRandom::new(),
    )
    .expect("the sample is an EC key");
    let point = ec.public_key().as_ref().to_vec();
    [("rsa", SAMPLE_RSA_KEY, Key::Rsa { n, e }), ("ec", SAMPLE_EC_KEY, Key::P256(point))]
}

impl Default for App {
    fn default() -> Self {
        let keys = samples().map(|(name, _, key)| (format!("sample-{name}-key"), key)).into();
        Self {
            client_id: "0oa1sample2service3d7".into(),
            scopes: ["okta.users.manage", "okta.users.read", "okta.schemas.read"]
                .map(str::to_owned)
                .into(),
            rights: Rights::Manage,
            dpop: false,
            keys,
        }
    }
}

#[derive(Debug)]
struct Live {
    scopes: HashSet<String>,
    until: Timestamp,
    /// The thumbprint of the key that the token is bound to.
    bound: Option<String>,
}

/// What a call may do.
#[derive(Debug, Clone)]
pub struct Granted {
    pub rights: Rights,
    /// `None`: an API token, which has no scopes.
    scopes: Option<HashSet<String>>,
    pub scheme: &'static str,
}

impl Granted {
    /// Returns whether the token has a scope: `okta.users.manage` contains `okta.users.read`.
    pub fn has(&self, scope: &str) -> bool {
        let wider = scope.replace(".read", ".manage");
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope) || scopes.contains(&wider))
    }
}

/// Returns whether the org's authorization server has a scope, such as `okta.users.read`.
fn is_known(scope: &str) -> bool {
    let mut parts = scope.split('.');
    parts.next() == Some("okta")
        && parts.next().is_some_and(|name| name.chars().all(|letter| letter.is_ascii_alphabetic()))
        && matches!(parts.next(), Some("read" | "manage"))
        && parts.next().is_none()
}

/// Why a call is refused before its route is looked at.
pub enum Stranger {
    /// A complete answer.
    Answer(Answer),
    Challenge(Challenge),
}

/// The API token, the service app, and the live access tokens.
pub struct Access {
    pub api_token: ApiToken,
    pub app: App,
    pub nonces: Nonces,
    live: HashMap<String, Live>,
    used: Used,
    pub rng: Rng,
}

impl Default for Access {
    fn default() -> Self {
        let seed = Timestamp::now().as_nanosecond().unsigned_abs();
        Self {
            api_token: ApiToken {
                value: "okta-token-1".into(),
                rights: Rights::Manage,
                expires: false,
                used: None,
            },
            app: App::default(),
            nonces: Nonces::default(),
            live: HashMap::new(),
            used: Used::default(),
            rng: Rng::new(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(1) ^ 0x0c7a),
        }
    }
}

/// Returns what an administrator puts into a Secret.
pub fn shown(access: &Access) -> Value {
    let keys: Value = samples()
        .into_iter()
        .map(|(name, pem, key)| {
            let known = access.app.keys.iter().find(|(_, known)| *known == key);
            let id = known.map(|(id, _)| id.clone());
            (name.to_owned(), json!({"keyId": id, "privateKey": pem}))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({"apiToken": access.api_token.value, "clientId": access.app.client_id, "keys": keys})
}

impl Access {
    /// Registers these sample keys, `rsa` and `ec`, under these key ids, and no others.
    ///
    /// # Errors
    /// When there is no sample of a name.
    pub fn register(&mut self, ids: &HashMap<String, String>) -> Result<(), &'static str> {
        let samples = samples();
        let key = |name: &str| samples.iter().find(|(known, ..)| *known == name);
        let keys: Option<Vec<(String, Key)>> = ids
            .iter()
            .map(|(name, id)| key(name).map(|(_, _, key)| (id.clone(), key.clone())))
            .collect();
        self.app.keys = keys.ok_or("the sample keys are rsa and ec")?;
        Ok(())
    }

    pub fn revoke_all(&mut self) {
        self.live.clear();
    }

    /// Handles `POST /oauth2/v1/token`. `addresses` are the addresses of this endpoint.
    pub fn issue(&mut self, call: &Call, addresses: &[String], now: Timestamp) -> Answer {
        let done = self.client(call, addresses).and_then(|scopes| {
            let bound = self.proven(call, addresses, now)?;
            Ok((scopes, bound))
        });
        let (scopes, bound) = match done {
            Ok(granted) => granted,
            Err(refused) => return refused,
        };
        let token = format!("eyJraWQi.{}", self.rng.hex(48));
        let kind = if bound.is_some() { "DPoP" } else { "Bearer" };
        let mut named: Vec<&str> = scopes.iter().map(String::as_str).collect();
        named.sort_unstable();
        let answer = json!({
            "token_type": kind, "expires_in": LIFETIME, "access_token": token,
            "scope": named.join(" "),
        });
        self.live.retain(|_, live| live.until > now);
        let until = now + SignedDuration::from_secs(LIFETIME);
        self.live.insert(token, Live { scopes, until, bound });
        Answer::json(200, &answer).with("cache-control", "no-cache, no-store")
    }

    /// Returns the thumbprint of a proof's key; `None` when the client sends no proof and needs
    /// none.
    fn proven(
        &mut self,
        call: &Call,
        addresses: &[String],
        now: Timestamp,
    ) -> Result<Option<String>, Answer> {
        if !self.app.dpop && call.header("dpop").is_none() {
            return Ok(None);
        }
        let proof = dpop::check(call, addresses, None, &mut self.used)
            .map_err(|why| errors::oauth(400, "invalid_dpop_proof", why))?;
        let current = self.nonces.current(now, &mut self.rng);
        if proof.nonce.is_none_or(|nonce| !self.nonces.is_valid(&nonce, now)) {
            let why = "Authorization server requires nonce in DPoP proof.";
            return Err(errors::oauth(400, "use_dpop_nonce", why).with("dpop-nonce", current));
        }
        Ok(Some(proof.thumbprint))
    }

    /// Checks form, client and scopes.
    fn client(&mut self, call: &Call, addresses: &[String]) -> Result<HashSet<String>, Answer> {
        let bad = |error: &str, why: &str| errors::oauth(400, error, why);
        if call.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(bad("invalid_request", "The request must be of a form."));
        }
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(&call.body).into_owned().collect();
        let form: HashMap<String, String> = pairs.iter().cloned().collect();
        if form.len() != pairs.len() {
            return Err(bad("invalid_request", "Duplicate parameters are not allowed."));
        }
        let given = |name: &str| form.get(name).map(String::as_str).filter(|text| !text.is_empty());
        match given("grant_type") {
            Some("client_credentials") => {}
            Some(_) => {
                let why = "The authorization grant type is not supported by the authorization server. Configured grant types: [client_credentials].";
                return Err(bad("unsupported_grant_type", why));
            }
            None => return Err(bad("invalid_request", "The request requires a grant_type.")),
        }
        if call.header("authorization").is_some() && given("client_assertion").is_some() {
            let why = "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body.";
            return Err(bad("invalid_request", why));
        }
        let stranger = |why: &str| errors::oauth(401, "invalid_client", why);
        if call.header("authorization").is_some() || given("client_secret").is_some() {
            let why = "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.";
            return Err(stranger(why));
        }
        let assertion =
            given("client_assertion").ok_or_else(|| stranger("No client credentials found."))?;
        if given("client_assertion_type") != Some(ASSERTED) {
            let why = format!("The client_assertion_type must be {ASSERTED}.");
            return Err(bad("invalid_request", &why));
        }
        if given("client_id").is_some_and(|id| id != self.app.client_id) {
            return Err(stranger("Invalid value for 'client_id' parameter."));
        }
        self.asserted(assertion, addresses).map_err(stranger)?;
        let scope = given("scope").ok_or_else(|| {
            let why = "The authorization server resource does not have any configured default scopes, 'scope' must be provided.";
            bad("invalid_scope", why)
        })?;
        let asked: HashSet<String> =
            scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        if asked.is_empty() || !asked.iter().all(|scope| is_known(scope)) {
            let why =
                "One or more scopes are not configured for the authorization server resource.";
            return Err(bad("invalid_scope", why));
        }
        // The token has those of the scopes that were granted.
        let scopes: HashSet<String> =
            asked.into_iter().filter(|scope| self.app.scopes.contains(scope)).collect();
        if scopes.is_empty() {
            return Err(bad(
                "consent_required",
                "You are not allowed any of the requested scopes.",
            ));
        }
        Ok(scopes)
    }

    /// Checks an assertion. Its times are compared with wall time, because its signer does not know
    /// the simulators' clock.
    fn asserted(&mut self, assertion: &str, addresses: &[String]) -> Result<(), &'static str> {
        let unreadable = "The parsing of the client_assertion failed.";
        let token = Token::parse(assertion).ok_or(unreadable)?;
        let claims = &token.claims;
        let id = &*self.app.client_id;
        if claims["iss"] != id {
            return Err("The issuer claim for client_assertion is not a valid client_id.");
        }
        if claims["sub"] != id {
            return Err("The subject claim for client_assertion is not a valid client_id.");
        }
        if !token.has_known_algorithm() {
            return Err("The client_assertion JWT signature algorithm is invalid.");
        }
        let key = match token.head.get("kid") {
            Some(kid) => self.app.keys.iter().find(|(known, _)| kid == known),
            // An app with one key needs no key id.
            None => self.app.keys.first().filter(|_| self.app.keys.len() == 1),
        };
        let (_, key) = key.ok_or("The client_assertion JWT kid is invalid.")?;
        if !token.is_signed_by(key) {
            return Err("The client_assertion signature is invalid.");
        }
        if !claims["aud"].as_str().is_some_and(|aud| addresses.iter().any(|known| known == aud)) {
            return Err(
                "The audience claim for client_assertion must be the endpoint invoked for the request.",
            );
        }
        let wall = Timestamp::now().as_second();
        let ends = claims["exp"]
            .as_i64()
            .ok_or("The client_assertion must contain the 'exp' claim as seconds since epoch.")?;
        if ends <= wall {
            return Err("The client_assertion token is expired.");
        }
        if ends > wall + LIFETIME {
            return Err("The client_assertion token has an expiration too far into the future.");
        }
        if claims["iat"].as_i64().is_some_and(|issued| issued > wall + 5) {
            return Err("The client_assertion token must be issued before the current time.");
        }
        let once = claims["jti"].as_str();
        if once.is_some_and(|once| !self.used.add(format!("assertion {once}"), ends, wall)) {
            return Err("The client_assertion token has already been used.");
        }
        Ok(())
    }

    /// Returns what a call may do. `addresses` are the addresses of the resource.
    pub fn granted(
        &mut self,
        call: &Call,
        addresses: &[String],
        now: Timestamp,
    ) -> Result<Granted, Stranger> {
        let known = |code: &str| Stranger::Answer(errors::known(code));
        let header = call.header("authorization").ok_or_else(|| known("E0000005"))?;
        // Okta's Python SDK writes no blank after this scheme.
        if let Some(token) = header.strip_prefix("SSWS") {
            return self.by_api_token(token.trim(), now).ok_or_else(|| known("E0000011"));
        }
        let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
        let token = token.trim();
        let scheme = match scheme {
            "Bearer" => "Bearer",
            "DPoP" => "DPoP",
            _ => return Err(known("E0000005")),
        };
        let refused = |status, error, description| {
            Err(Stranger::Challenge(Challenge { scheme, status, error, description }))
        };
        let Some(live) = self.live.get(token) else {
            return refused(401, "invalid_token", "The access token is invalid.");
        };
        if live.until <= now {
            return refused(401, "invalid_token", "The token has expired.");
        }
        match (&live.bound, scheme) {
            (None, "Bearer") => {}
            (Some(bound), "DPoP") => {
                let proof = dpop::check(call, addresses, Some(token), &mut self.used);
                match proof {
                    Err(why) => return refused(400, "invalid_dpop_proof", why),
                    Ok(proof) if proof.thumbprint != *bound => {
                        let why = "The access_token is not bound to the provided DPoP proof.";
                        return refused(400, "invalid_dpop_proof", why);
                    }
                    Ok(_) => {}
                }
            }
            (Some(_), _) => {
                let why = "The DPoP proof JWT header is missing.";
                return refused(400, "invalid_dpop_proof", why);
            }
            (None, _) => return refused(401, "invalid_token", "The access token is invalid."),
        }
        let scopes = Some(live.scopes.clone());
        Ok(Granted { rights: self.app.rights, scopes, scheme })
    }

    fn by_api_token(&mut self, token: &str, now: Timestamp) -> Option<Granted> {
        let known = &mut self.api_token;
        let unused = known.used.is_some_and(|used| now.duration_since(used) > UNUSED);
        if token != known.value || (known.expires && unused) {
            return None;
        }
        known.used = Some(now);
        Some(Granted { rights: known.rights, scopes: None, scheme: "SSWS" })
    }
}
