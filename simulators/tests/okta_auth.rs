//! The simulated Okta's tokens, proofs of possession, scopes and limits over HTTP.

mod callers;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use callers::{Answer, OktaCaller, form, world};
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulators::{Fault, FaultKind};

const ASSERTED: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SCOPES: &str = "okta.users.manage okta.users.read okta.schemas.read";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Key {
    fn of_pem(pem: &str) -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let der = der.secret_pkcs8_der();
        RsaKeyPair::from_pkcs8(der).map_or_else(
            |_| {
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random);
                Self::Ec(pair.unwrap())
            },
            Self::Rsa,
        )
    }

    fn new() -> Self {
        let (random, how) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let der = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(how, der.as_ref(), &random).unwrap())
    }

    fn jwk(&self) -> Value {
        let Self::Ec(pair) = self else { panic!("only for proofs") };
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)})
    }

    fn sign(&self, mut head: Value, claims: &Value) -> String {
        head["alg"] = json!(if matches!(self, Self::Rsa(_)) { "RS256" } else { "ES256" });
        let message = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", encoded(signature))
    }
}

/// Returns a sample key of the service app, and its key id.
async fn sample(caller: &OktaCaller, name: &str) -> (Key, String, String) {
    let app = caller.control.okta("GET", "/app", Value::Null).await.unwrap();
    let key = &app["keys"][name];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (Key::of_pem(key["privateKey"].as_str().unwrap()), text(&key["keyId"]), text(&app["clientId"]))
}

fn claims(client: &str, endpoint: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let once = SystemRandom::new();
    let mut id = [0; 12];
    ring::rand::SecureRandom::fill(&once, &mut id).unwrap();
    json!({"iss": client, "sub": client, "aud": endpoint, "iat": now, "exp": now + 600, "jti": encoded(id)})
}

async fn ask(caller: &OktaCaller, pairs: &[(&str, &str)], proof: Option<&str>) -> Answer {
    let request = caller.http.post(format!("{}/oauth2/v1/token", caller.base));
    let mut request =
        request.header("content-type", "application/x-www-form-urlencoded").body(form(pairs));
    if let Some(proof) = proof {
        request = request.header("dpop", proof);
    }
    Answer::read(request.send().await.unwrap()).await
}

fn pairs<'a>(assertion: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("scope", scope),
        ("client_assertion_type", ASSERTED),
        ("client_assertion", assertion),
    ]
}

#[tokio::test]
async fn rsa_and_ec_assertions_give_a_token_for_the_users_api() {
    let world = world(0).await;
    let mut caller = OktaCaller::of(&world).await;
    for (name, endpoint) in [("rsa", "https://sample.okta.com"), ("ec", world.okta_url())] {
        let (key, id, client) = sample(&caller, name).await;
        let claims = claims(&client, &format!("{endpoint}/oauth2/v1/token"));
        let assertion = key.sign(json!({"kid": id}), &claims);
        let answer = ask(&caller, &pairs(&assertion, SCOPES), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let token = answer.json();
        assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(3600)));
        caller.authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
        assert_eq!(caller.get("/users").await.status, 200);
        let again = ask(&caller, &pairs(&assertion, SCOPES), None).await;
        assert_eq!(
            (again.status.as_u16(), &again.json()["error"]),
            (401, &json!("invalid_client"))
        );
        assert!(again.text.contains("already been used"));
    }
    caller.control.advance(3601).await.unwrap();
    let expired = caller.get("/users").await;
    assert_eq!((expired.status.as_u16(), &*expired.text), (401, ""));
    assert!(expired.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn assertions_and_requests_that_are_refused() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let (key, id, client) = sample(&caller, "ec").await;
    let endpoint = format!("{}/oauth2/v1/token", world.okta_url());
    let now = jiff::Timestamp::now().as_second();
    let cases = [
        (json!({"aud": [endpoint]}), "audience claim"),
        (json!({"aud": world.okta_url()}), "audience claim"),
        (json!({"iss": "other"}), "issuer claim"),
        (json!({"sub": "other"}), "subject claim"),
        (json!({"exp": now - 1}), "is expired"),
        (json!({"exp": now + 3700}), "too far into the future"),
        (json!({"exp": null}), "must contain the 'exp' claim"),
        (json!({"iat": now + 600}), "issued before the current time"),
    ];
    for (more, why) in cases {
        let mut claims = claims(&client, &endpoint);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let assertion = key.sign(json!({"kid": id}), &claims);
        let answer = ask(&caller, &pairs(&assertion, SCOPES), None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (401, &json!("invalid_client")),
            "{why}"
        );
        assert!(answer.text.contains(why), "{} should say {why}", answer.text);
    }
    let good = || claims(&client, &endpoint);
    for (assertion, why) in [
        (key.sign(json!({"kid": "other"}), &good()), "kid is invalid"),
        (key.sign(json!({}), &good()), "kid is invalid"),
        (Key::new().sign(json!({"kid": id}), &good()), "signature is invalid"),
        ("no.token".to_owned(), "parsing of the client_assertion failed"),
    ] {
        let answer = ask(&caller, &pairs(&assertion, SCOPES), None).await;
        assert!(answer.status == 401 && answer.text.contains(why), "{} {why}", answer.text);
    }
    for (scope, error) in [
        ("okta.apps.manage", "consent_required"),
        ("okta.users.manage okta.people.write", "invalid_scope"),
        ("", "invalid_scope"),
        ("openid", "invalid_scope"),
    ] {
        let assertion = key.sign(json!({"kid": id}), &good());
        let answer = ask(&caller, &pairs(&assertion, scope), None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (400, &json!(error)),
            "{scope}"
        );
    }
    let assertion = key.sign(json!({"kid": id}), &good());
    let some = ask(&caller, &pairs(&assertion, "okta.users.read okta.apps.manage"), None).await;
    assert_eq!(some.json()["scope"], "okta.users.read");
    let secret = [
        ("grant_type", "client_credentials"),
        ("scope", SCOPES),
        ("client_id", &*client),
        ("client_secret", "x"),
    ];
    let answer = ask(&caller, &secret, None).await;
    assert!(answer.status == 401 && answer.text.contains("private_key_jwt"), "{}", answer.text);
    let other = [("grant_type", "password"), ("scope", SCOPES)];
    assert_eq!(ask(&caller, &other, None).await.json()["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn scopes_roles_and_tokens_decide_what_a_call_may_do() {
    let world = world(0).await;
    let mut caller = OktaCaller::of(&world).await;
    let (key, id, client) = sample(&caller, "rsa").await;
    let endpoint = format!("{}/oauth2/v1/token", world.okta_url());
    let assertion = key.sign(json!({"kid": id}), &claims(&client, &endpoint));
    let answer = ask(&caller, &pairs(&assertion, "okta.users.read"), None).await;
    caller.authorization = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
    assert_eq!(caller.get("/users").await.status, 200);
    let refused = caller.get("/meta/schemas/user/default").await;
    let header = refused.header("www-authenticate").unwrap();
    assert!(refused.status == 403 && refused.text.is_empty());
    assert!(
        header.contains("insufficient_scope") && header.contains("scope=\"okta.schemas.read\"")
    );
    caller.quirks(json!({"bareTokenRefusals": false})).await;
    let refused = caller.post("/users", json!({})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errorCode"]), (403, &json!("E0000006")));
    caller.control.okta("PUT", "/app", json!({"rights": "none"})).await.unwrap();
    let refused = caller.get("/users").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errorCode"]), (403, &json!("E0000006")));
    for (authorization, status, code) in
        [("SSWS wrong", 401, "E0000011"), ("Basic x", 403, "E0000005")]
    {
        caller.authorization = authorization.into();
        let refused = caller.get("/users").await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errorCode"]), (status, &json!(code)));
    }
    caller.authorization = "SSWS okta-token-1".into();
    caller.control.okta("PUT", "/token", json!({"rights": "read", "expires": true})).await.unwrap();
    assert_eq!(caller.get("/meta/schemas/user/default").await.status, 200);
    assert_eq!(caller.post("/users", json!({})).await.json()["errorCode"], "E0000006");
    caller.control.advance(31 * 24 * 3600).await.unwrap();
    assert_eq!(caller.get("/users").await.json()["errorCode"], "E0000011");
}

#[tokio::test]
async fn proofs_of_possession_need_nonce_key_address_and_token() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    caller.control.okta("PUT", "/app", json!({"dpop": true})).await.unwrap();
    let (key, id, client) = sample(&caller, "ec").await;
    let endpoint = format!("{}/oauth2/v1/token", world.okta_url());
    let assertion = || key.sign(json!({"kid": id}), &claims(&client, &endpoint));
    let owner = Key::new();
    let proof = |owner: &Key, method: &str, uri: &str, more: Value| {
        let mut all = claims("", uri);
        let once = all["jti"].take();
        all = json!({"htm": method, "htu": uri, "iat": jiff::Timestamp::now().as_second(), "jti": once});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        owner.sign(json!({"typ": "dpop+jwt", "jwk": owner.jwk()}), &all)
    };
    let refusal = |answer: &Answer, error: &str, why: &str| {
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]),
            (400, &json!(error)),
            "{why}"
        );
        assert!(answer.text.contains(why), "{} should say {why}", answer.text);
    };
    let answer = ask(&caller, &pairs(&assertion(), SCOPES), None).await;
    refusal(&answer, "invalid_dpop_proof", "header is missing");
    let first = proof(&owner, "POST", &endpoint, json!({}));
    let answer = ask(&caller, &pairs(&assertion(), SCOPES), Some(&first)).await;
    refusal(&answer, "use_dpop_nonce", "requires nonce");
    let nonce = answer.header("dpop-nonce").unwrap().to_owned();
    let answer = ask(&caller, &pairs(&assertion(), SCOPES), Some(&first)).await;
    refusal(&answer, "invalid_dpop_proof", "already been used");
    for (method, uri, more, why) in [
        ("GET", &*endpoint, json!({}), "'htm' claim"),
        ("POST", "https://elsewhere.example.com/oauth2/v1/token", json!({}), "'htu' claim"),
        ("POST", &*endpoint, json!({"iat": 1}), "five minutes in the past"),
        ("POST", &*endpoint, json!({"jti": ""}), "'jti' claim"),
    ] {
        let proof = proof(&owner, method, uri, more);
        let answer = ask(&caller, &pairs(&assertion(), SCOPES), Some(&proof)).await;
        refusal(&answer, "invalid_dpop_proof", why);
    }
    let right = proof(&owner, "POST", &endpoint, json!({"nonce": nonce}));
    let answer = ask(&caller, &pairs(&assertion(), SCOPES), Some(&right)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["token_type"]), (200, &json!("DPoP")));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let uri = format!("{}/api/v1/users", world.okta_url());
    let hash = encoded(Sha256::digest(token.as_bytes()));
    let call = async |scheme: &str, proof: Option<String>| {
        let request = caller.http.get(format!("{uri}?limit=2"));
        let mut request = request.header("authorization", format!("{scheme} {token}"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let answer = Answer::read(request.send().await.unwrap()).await;
        let header = answer.header("www-authenticate").unwrap_or_default().to_owned();
        (answer.status.as_u16(), header)
    };
    let good = || Some(proof(&owner, "GET", &uri, json!({"ath": hash})));
    assert_eq!(call("DPoP", good()).await.0, 200);
    for (scheme, proof, why) in [
        ("Bearer", good(), "header is missing"),
        ("DPoP", None, "header is missing"),
        ("DPoP", Some(proof(&owner, "GET", &uri, json!({}))), "'ath' claim"),
        ("DPoP", Some(proof(&Key::new(), "GET", &uri, json!({"ath": hash}))), "not bound"),
        (
            "DPoP",
            Some(proof(&owner, "GET", &format!("{uri}?limit=2"), json!({"ath": hash}))),
            "'htu' claim",
        ),
    ] {
        let (status, header) = call(scheme, proof).await;
        assert!(status == 400 && header.contains(why), "{status} {header} should say {why}");
    }
    caller.control.okta("POST", "/nonce", json!({"forget": true})).await.unwrap();
    let old = proof(&owner, "POST", &endpoint, json!({"nonce": nonce}));
    let answer = ask(&caller, &pairs(&assertion(), SCOPES), Some(&old)).await;
    refusal(&answer, "use_dpop_nonce", "requires nonce");
    assert_ne!(answer.header("dpop-nonce").unwrap(), nonce);
    assert_eq!(call("DPoP", good()).await.0, 200);
}

#[tokio::test]
async fn every_endpoint_has_its_own_limit_and_headers() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let number = |answer: &Answer, name: &str| -> i64 {
        answer.header(&format!("x-rate-limit-{name}")).unwrap().parse().unwrap()
    };
    let limit = json!({"bucket": "users", "limit": 2});
    caller.control.okta("PUT", "/limits", limit).await.unwrap();
    let answer = caller.get("/users").await;
    assert_eq!((number(&answer, "limit"), number(&answer, "remaining")), (2, 1));
    let now = caller.control.now().await.unwrap().as_second();
    assert!((1..=61).contains(&(number(&answer, "reset") - now)));
    caller.create("mia", "", json!({}), true).await;
    let answer = caller.get("/users").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errorCode"]), (429, &json!("E0000047")));
    assert_eq!((number(&answer, "limit"), number(&answer, "remaining")), (2, 0));
    assert!(answer.header("retry-after").is_none());
    assert!(answer.header("date").unwrap().contains("24 Nov 2026"));
    assert_eq!(number(&caller.get("/users/mia@example.com").await, "limit"), 1000);
    caller.control.advance(60).await.unwrap();
    assert_eq!(caller.get("/users").await.status, 200);
}

#[tokio::test]
async fn calls_at_once_have_a_limit_that_the_headers_tell_apart() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    caller.control.okta("PUT", "/limits", json!({"atOnce": 1})).await.unwrap();
    assert_eq!(caller.get("/users").await.status, 200);
    let held = Fault::new(FaultKind::Hold).path("/api/v1/org");
    caller.control.fault(simulators::client::Service::Okta, &held).await.unwrap();
    let url = format!("{}/api/v1/org", caller.base);
    let call = caller.http.get(url).header("authorization", &caller.authorization);
    let holding = tokio::spawn(call.send());
    let mut refused = caller.get("/users").await;
    for _ in 0..100 {
        if refused.status == 429 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        refused = caller.get("/users").await;
    }
    assert_eq!((refused.status.as_u16(), &refused.json()["errorCode"]), (429, &json!("E0000047")));
    for name in ["x-rate-limit-limit", "x-rate-limit-remaining"] {
        assert_eq!(refused.header(name), Some("0"));
    }
    holding.abort();
}

#[tokio::test]
async fn the_schema_can_grow_and_the_org_tells_its_name() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let path = "/meta/schemas/user/default";
    let schema = caller.get(path).await.json();
    assert_eq!(schema["definitions"]["base"]["properties"].as_object().unwrap().len(), 31);
    let custom =
        |property: Value| json!({"definitions": {"custom": {"properties": {"badge": property}}}});
    let badge = json!({"title": "Badge", "type": "string", "permissions": [{"principal": "SELF", "action": "HIDE"}]});
    let grown = caller.post(path, custom(badge)).await.json();
    let badge = &grown["definitions"]["custom"]["properties"]["badge"];
    assert_eq!(
        (&badge["permissions"][0]["action"], &badge["master"]["type"]),
        (&json!("HIDE"), &json!("PROFILE_MASTER"))
    );
    caller.create("mia", "", json!({"badge": "7"}), true).await;
    let refused = caller.post(path, custom(json!({"type": "string"}))).await;
    assert_eq!(refused.status, 200, "a known property may be changed in part");
    assert_eq!(
        caller.post(path, custom(json!({"type": "boolean"}))).await.json()["errorCode"],
        "E0000001"
    );
    let shrunk = caller.post(path, custom(Value::Null)).await.json();
    assert_eq!(shrunk["definitions"]["custom"]["properties"], json!({}));
    let base = json!({"definitions": {"base": {"properties": {"title": {"maxLength": 5}}}}});
    assert_eq!(caller.post(path, base).await.json()["errorCode"], "E0000001");
    assert_eq!(caller.get("/org").await.json()["subdomain"], "sample");
    assert_eq!(caller.get("/apps").await.json()["errorCode"], "E0000008");
    assert_eq!(caller.call(Method::PATCH, "/users", None).await.json()["errorCode"], "E0000022");
}
