//! App registrations: they accept secrets and certificate assertions, and issue access tokens.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::errors;
use crate::front::{Answer, Call};
use crate::jws::{Key, Token};
use crate::rng::Rng;

const LIFETIME: i64 = 3599;

/// "Slightly less than an hour" for tokens; an assertion is "short-lived", and beyond a day it is
/// refused.
const LONGEST_ASSERTION: f64 = 86_400.0;

const ASSERTED: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key and a certificate made for the simulators; they are used nowhere else.
const SAMPLE_KEY: &str = include_str!("sample-key.pem");
const SAMPLE_CERTIFICATE: &str = include_str!("sample-certificate.pem");

/// The hosts of the clouds: sign-in service and Microsoft Graph.
pub const CLOUDS: [(&str, &str); 4] = [
    ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
];

/// The app registration, and the live tokens.
pub struct Tokens {
    /// GUID and verified domains of the tenant.
    pub tenants: Vec<String>,
    pub client_id: String,
    pub client_secret: String,
    /// The instant from which the secret is valid.
    pub secret_since: Option<Timestamp>,
    /// Application permissions with admin consent: the next token will contain them.
    pub permissions: Vec<String>,
    /// The cloud of the tenant.
    pub cloud: usize,
    /// The end of each token, and its permissions.
    live: HashMap<String, (Timestamp, Vec<String>)>,
    /// Assertions are valid once.
    used: Vec<String>,
    public: Vec<u8>,
    thumbprint: String,
    /// Whose tokens the app trusts.
    pub federated: Option<Federated>,
    rng: Rng,
}

/// A federated credential of the app: tokens of another issuer that it trusts. The keys are those
/// that the issuer publishes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federated {
    pub issuer: String,
    pub subject: String,
    #[serde(default = "exchange")]
    pub audience: String,
    pub keys: Vec<Value>,
}

fn exchange() -> String {
    "api://AzureADTokenExchange".to_owned()
}

impl Default for Tokens {
    fn default() -> Self {
        let seed = Timestamp::now().as_nanosecond().unsigned_abs();
        let key = PrivatePkcs8KeyDer::from_pem_slice(SAMPLE_KEY.as_bytes())
            .expect("the sample key is PEM");
        let pair =
            RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("the sample key is an RSA key");
        let certificate = CertificateDer::from_pem_slice(SAMPLE_CERTIFICATE.as_bytes())
            .expect("the sample certificate is PEM");
        Self {
            tenants: vec!["5ea70000-0000-4000-8000-00000000e17a".into(), "example.com".into()],
            client_id: "c11e0000-0000-4000-8000-0000000000a9".into(),
            client_secret: "entra-client-secret".into(),
            secret_since: None,
            permissions: vec!["User.ReadWrite.All".into(), "User.RevokeSessions.All".into()],
            cloud: 0,
            live: HashMap::new(),
            used: Vec::new(),
            public: pair.public_key().as_ref().to_vec(),
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)),
            federated: None,
            rng: Rng::new(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(1) ^ 0xe17a_1d00),
        }
    }
}

/// Returns whether an assertion names no certificate of the app, so that another issuer made it.
fn is_foreign(assertion: &str) -> bool {
    Token::parse(assertion)
        .is_some_and(|token| token.head.get("x5t#S256").or(token.head.get("x5t")).is_none())
}

impl Tokens {
    /// Returns what an administrator puts into a Secret.
    pub fn app(&self) -> Value {
        json!({
            "tenantId": self.tenants[0], "clientId": self.client_id, "clientSecret": self.client_secret,
            "clientCertificate": SAMPLE_CERTIFICATE, "clientKey": SAMPLE_KEY,
        })
    }

    pub fn revoke_all(&mut self) {
        self.live.clear();
    }

    /// Handles `POST /{tenant}/oauth2/v2.0/token`. Assertions are compared with wall time, because
    /// their signers do not know the simulators' clock. A secret that is younger than `lag` is not
    /// known everywhere yet.
    pub fn answer(
        &mut self,
        call: &Call,
        tenant: &str,
        lag: SignedDuration,
        now: Timestamp,
    ) -> Answer {
        let known = self.secret_since.is_none_or(|since| now >= since + lag);
        match self.grant(call, tenant, known) {
            Err(refused) => refused,
            Ok(()) => {
                // A token for Microsoft Graph is a JWT, and names its directory by its GUID, whatever name was asked by.
                let claims =
                    BASE64_URL_SAFE_NO_PAD.encode(json!({"tid": self.tenants[0]}).to_string());
                let token = format!("eyJ0.{claims}.{}", self.rng.hex(24));
                self.live.retain(|_, (until, _)| *until > now);
                self.live.insert(
                    token.clone(),
                    (now + SignedDuration::from_secs(LIFETIME), self.permissions.clone()),
                );
                Answer::json(
                    200,
                    &json!({"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": token}),
                )
            }
        }
    }

    fn grant(&mut self, call: &Call, tenant: &str, known: bool) -> Result<(), Answer> {
        let bad = |number, why: &str| errors::token(400, "invalid_request", number, why);
        if call.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(bad(
                900_144,
                "The request body must contain the following parameter: 'grant_type'.",
            ));
        }
        if !self.tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant)) {
            return Err(bad(
                90_002,
                "Tenant not found. Check to make sure you have the correct tenant ID.",
            ));
        }
        let mut form: HashMap<String, String> = HashMap::new();
        for (name, value) in form_urlencoded::parse(&call.body).into_owned() {
            if form.insert(name, value).is_some() {
                return Err(bad(900_143, "A parameter is there twice."));
            }
        }
        let given = |name: &str| form.get(name).map(String::as_str);
        if given("grant_type") != Some("client_credentials") {
            return Err(errors::token(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
            ));
        }
        let (_, graph) = CLOUDS[self.cloud];
        if given("scope") != Some(&format!("{graph}/.default")) {
            return Err(errors::token(
                400,
                "invalid_scope",
                1_002_012,
                "The provided value for scope is not valid.",
            ));
        }
        if given("client_id") != Some(&self.client_id) {
            return Err(errors::token(
                400,
                "unauthorized_client",
                700_016,
                "Application was not found in the directory.",
            ));
        }
        match (given("client_secret"), given("client_assertion"), given("client_assertion_type")) {
            (Some(secret), None, None) if known && secret == self.client_secret => Ok(()),
            (Some(_), None, None) => Err(errors::token(
                401,
                "invalid_client",
                7_000_215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
            )),
            (None, Some(assertion), Some(ASSERTED)) if is_foreign(assertion) => self
                .trusted(assertion)
                .map_err(|(number, why)| errors::token(401, "invalid_client", number, &why)),
            (None, Some(assertion), Some(ASSERTED)) => {
                let id = self
                    .verified(assertion, tenant)
                    .map_err(|(number, why)| errors::token(401, "invalid_client", number, why))?;
                if self.used.contains(&id) {
                    return Err(errors::token(
                        401,
                        "invalid_client",
                        700_023,
                        "Client assertion was used before.",
                    ));
                }
                self.used.push(id);
                Ok(())
            }
            (Some(_), Some(_), _) => {
                Err(bad(7_000_216, "Both a client secret and a client assertion were given."))
            }
            _ => Err(errors::token(
                401,
                "invalid_client",
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )),
        }
    }

    /// Returns whether an assertion is a token of another issuer that the app trusts. It is good
    /// until it ends, so it may come again.
    fn trusted(&self, assertion: &str) -> Result<(), (u64, String)> {
        let unknown = |number, what: &str, claim: &Value| {
            let (say, claim) = ("No matching federated identity record found for", claim.as_str());
            let claim = claim.unwrap_or_default();
            Err((number, format!("{say} presented assertion {what} '{claim}'.")))
        };
        let Some(token) = Token::parse(assertion) else {
            return Err((50_027, "JWT token is invalid or malformed.".to_owned()));
        };
        let claims = &token.claims;
        let audience = match &claims["aud"] {
            // Kubernetes issues tokens with a list. A token for others too is not accepted.
            Value::Array(one) if one.len() == 1 => &one[0],
            other => other,
        };
        let Some(federated) = &self.federated else {
            return unknown(70_021, "subject", &claims["sub"]);
        };
        if claims["iss"] != *federated.issuer {
            return unknown(700_211, "issuer", &claims["iss"]);
        }
        if *audience != *federated.audience {
            return unknown(700_212, "audience", audience);
        }
        if claims["sub"] != *federated.subject {
            return unknown(700_213, "subject", &claims["sub"]);
        }
        let key = federated.keys.iter().find(|key| key["kid"] == token.head["kid"]);
        let is_signed = key.and_then(Key::read).is_some_and(|key| token.is_signed_by(&key));
        if token.head["alg"] != "RS256" || !is_signed {
            return Err((700_027, "Client assertion failed signature validation.".to_owned()));
        }
        let wall = Timestamp::now().as_duration().as_secs_f64();
        let from = claims["nbf"].as_f64().unwrap_or_default();
        if claims["exp"].as_f64().is_none_or(|ends| ends <= wall) || from > wall + 300.0 {
            let why = "Client assertion is not within its valid time range.";
            return Err((700_024, why.to_owned()));
        }
        Ok(())
    }

    /// Returns the id of a valid assertion.
    fn verified(&self, assertion: &str, tenant: &str) -> Result<String, (u64, &'static str)> {
        const MALFORMED: (u64, &str) = (50_027, "JWT token is invalid or malformed.");
        let (message, signature) = assertion.rsplit_once('.').ok_or(MALFORMED)?;
        let (head, claims) = message.split_once('.').ok_or(MALFORMED)?;
        let read = |text: &str| -> Option<Value> {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        let (head, claims) = (read(head).ok_or(MALFORMED)?, read(claims).ok_or(MALFORMED)?);
        if head["alg"] != "PS256" || head["typ"] != "JWT" {
            return Err((5_002_723, "The JWT header has no algorithm that is accepted."));
        }
        // Microsoft's own library pads it; the standard does not.
        if head["x5t#S256"].as_str().map(|text| text.trim_end_matches('='))
            != Some(&self.thumbprint)
        {
            return Err((
                700_027,
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            ));
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &self.public);
        key.verify(message.as_bytes(), &signature)
            .map_err(|_| (700_027, "Client assertion failed signature validation."))?;
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", CLOUDS[self.cloud].0);
        if claims["aud"] != audience.as_str() {
            return Err((700_023, "Client assertion audience claim does not match Realm issuer."));
        }
        if claims["iss"] != self.client_id.as_str() || claims["sub"] != self.client_id.as_str() {
            return Err((
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ));
        }
        let id = claims["jti"].as_str().filter(|id| !id.is_empty()).ok_or(MALFORMED)?;
        // Times may have fractions (RFC 7519, 2).
        let (from, ends) =
            (claims["nbf"].as_f64().unwrap_or_default(), claims["exp"].as_f64().ok_or(MALFORMED)?);
        let wall = Timestamp::now().as_duration().as_secs_f64();
        if ends <= wall || from > wall + 300.0 || ends > wall + LONGEST_ASSERTION {
            return Err((700_024, "Client assertion is not within its valid time range."));
        }
        Ok(id.to_owned())
    }

    /// Returns the permissions of a call's bearer token, if it is valid: those of the moment when
    /// it was issued.
    pub fn granted(&self, call: &Call, now: Timestamp) -> Option<&[String]> {
        let (scheme, token) =
            call.header("authorization").and_then(|header| header.split_once(' '))?;
        let (until, permissions) =
            self.live.get(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        (*until > now).then_some(permissions)
    }
}
