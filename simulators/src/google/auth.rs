//! Service accounts with domain-wide delegation: they accept signed assertions, and issue access
//! tokens.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::errors;
use crate::front::{Answer, Call};
use crate::rng::Rng;

/// The audience of an assertion; official clients write this even if they call another address.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const LIFETIME: i64 = 3600;

const PREFIX: &str = "https://www.googleapis.com/auth/";

/// A key made for the simulators; it is used nowhere else.
const SAMPLE_KEY: &str = include_str!("sample-key.pem");

/// The rights of the administrator behind a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rights {
    /// A super administrator.
    Manage,
    /// May read users.
    Read,
    /// An ordinary user.
    None,
}

#[derive(Debug)]
struct Live {
    scopes: HashSet<String>,
    rights: Rights,
    until: Timestamp,
}

/// The service account, its delegation, and the live tokens.
pub struct Tokens {
    pub client_email: String,
    key_id: String,
    /// Scopes that a super administrator delegated, without their prefix.
    pub delegated: Vec<String>,
    /// The users that the service account may act for, and their rights.
    pub admins: HashMap<String, Rights>,
    live: HashMap<String, Live>,
    public: Vec<u8>,
    rng: Rng,
}

impl Default for Tokens {
    fn default() -> Self {
        let seed = Timestamp::now().as_nanosecond().unsigned_abs();
        let der = PrivatePkcs8KeyDer::from_pem_slice(SAMPLE_KEY.as_bytes())
            .expect("the sample key is PEM");
        let pair =
            RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("the sample key is an RSA key");
        Self {
            client_email: "bobsync@sample-project.iam.gserviceaccount.com".into(),
            key_id: "sample-key-1".into(),
            delegated: vec![
                "admin.directory.user".into(),
                "admin.directory.userschema.readonly".into(),
            ],
            admins: HashMap::from([("admin@example.com".to_owned(), Rights::Manage)]),
            live: HashMap::new(),
            public: pair.public_key().as_ref().to_vec(),
            rng: Rng::new(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(1) ^ 0x6006_1e00),
        }
    }
}

/// The rights of a token.
#[derive(Debug, Clone, Copy)]
pub struct Granted {
    pub users: bool,
    pub users_write: bool,
    pub schemas: bool,
    pub rights: Rights,
}

impl Tokens {
    /// Returns the key file, as downloaded from Google Cloud.
    pub fn key_file(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": "sample-project",
            "private_key_id": self.key_id,
            "private_key": SAMPLE_KEY,
            "client_email": self.client_email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        })
    }

    pub fn revoke_all(&mut self) {
        self.live.clear();
    }

    /// Handles `POST /token`. Assertions are compared with wall time, because their signers do not
    /// know the simulators' clock.
    pub fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        if call.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
            return errors::token(400, "invalid_request", "Bad Request");
        }
        let form: HashMap<String, String> =
            form_urlencoded::parse(&call.body).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some(GRANT) {
            return errors::token(400, "unsupported_grant_type", "Invalid grant_type");
        }
        let Some(assertion) = form.get("assertion") else {
            return errors::token(400, "invalid_request", "Missing required parameter: assertion");
        };
        match self.grant(assertion, call) {
            Err(refused) => refused,
            Ok((scopes, rights)) => {
                let token = format!("ya29.{}", self.rng.hex(24));
                let until = now + SignedDuration::from_secs(LIFETIME);
                self.live.retain(|_, live| live.until > now);
                self.live.insert(token.clone(), Live { scopes, rights, until });
                Answer::json(
                    200,
                    &json!({"access_token": token, "expires_in": LIFETIME - 1, "token_type": "Bearer"}),
                )
            }
        }
    }

    fn grant(&self, assertion: &str, call: &Call) -> Result<(HashSet<String>, Rights), Answer> {
        let malformed = || {
            errors::token(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
            )
        };
        let bad_signature = || errors::token(400, "invalid_grant", "Invalid JWT Signature.");
        let (message, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
        let (head, claims) = message.split_once('.').ok_or_else(malformed)?;
        let read = |text: &str| -> Option<Value> {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        let (head, claims) =
            (read(head).ok_or_else(malformed)?, read(claims).ok_or_else(malformed)?);
        if head["alg"] != "RS256" || head["typ"].as_str().is_some_and(|kind| kind != "JWT") {
            return Err(errors::token(400, "invalid_grant", "Invalid JWT: Unsupported algorithm."));
        }
        if claims["iss"] != self.client_email.as_str() {
            return Err(errors::token(400, "invalid_grant", "Invalid grant: account not found"));
        }
        if head["kid"].as_str().is_some_and(|kid| kid != self.key_id) {
            return Err(bad_signature());
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| bad_signature())?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public);
        key.verify(message.as_bytes(), &signature).map_err(|_| bad_signature())?;
        let own = call.header("host").map(|host| format!("http://{host}{}", call.path));
        if claims["aud"] != AUDIENCE && claims["aud"].as_str() != own.as_deref() {
            return Err(errors::token(400, "invalid_grant", "Invalid JWT: Failed audience check."));
        }
        let (issued, ends) = (
            claims["iat"].as_i64().ok_or_else(malformed)?,
            claims["exp"].as_i64().ok_or_else(malformed)?,
        );
        let wall = Timestamp::now().as_second();
        if ends - issued > LIFETIME
            || ends <= wall
            || issued > wall + 300
            || issued < wall - LIFETIME
        {
            return Err(malformed());
        }
        let unauthorized = || {
            let why = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.";
            errors::token(401, "unauthorized_client", why)
        };
        let scope = claims["scope"].as_str().filter(|scope| !scope.is_empty());
        let scope = scope.ok_or_else(|| {
            errors::token(400, "invalid_scope", "Empty or missing scope not allowed.")
        })?;
        let scopes: HashSet<String> = scope
            .split(' ')
            .map(|scope| scope.strip_prefix(PREFIX).unwrap_or(scope).to_owned())
            .collect();
        if scopes.iter().any(|scope| !self.delegated.contains(scope)) {
            return Err(unauthorized());
        }
        let subject = claims["sub"].as_str().map(str::to_lowercase);
        let rights = match &subject {
            // The service account itself is not a user of the directory.
            None => Rights::None,
            Some(admin) => match self.admins.get(admin) {
                Some(rights) => *rights,
                None => {
                    return Err(errors::token(400, "invalid_grant", "Invalid email or User ID"));
                }
            },
        };
        Ok((scopes, rights))
    }

    /// Returns the rights of a call's bearer token.
    pub fn granted(&self, call: &Call, now: Timestamp) -> Option<Granted> {
        let (scheme, token) = call.header("authorization")?.split_once(' ')?;
        let live = self
            .live
            .get(token.trim())
            .filter(|live| scheme.eq_ignore_ascii_case("bearer") && live.until > now)?;
        let has = |scope: &str| live.scopes.contains(scope);
        // The administrator's rights are read when the call is made; the token only names the
        // administrator.
        Some(Granted {
            users: has("admin.directory.user") || has("admin.directory.user.readonly"),
            users_write: has("admin.directory.user"),
            schemas: has("admin.directory.userschema")
                || has("admin.directory.userschema.readonly"),
            rights: live.rights,
        })
    }

    /// Returns the rights of every administrator, including those with live tokens.
    pub fn set_rights(&mut self, admin: &str, rights: Option<Rights>) {
        match rights {
            Some(rights) => {
                self.admins.insert(admin.to_lowercase(), rights);
                self.live.values_mut().for_each(|live| live.rights = rights);
            }
            None => drop(self.admins.remove(&admin.to_lowercase())),
        }
    }
}
