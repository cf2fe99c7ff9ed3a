use super::*;

fn given(keys: &[(&str, &str)]) -> Result<Caller, Error> {
    let values = keys.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value)));
    Caller::read(Credential::new(values.collect()))
}

fn said(keys: &[(&str, &str)]) -> String {
    match given(keys).unwrap_err() {
        Error::Unauthorized { said } => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_has_one_kind_of_credential_and_what_is_wrong_with_it_is_told_without_it() {
    let token = given(&[("apiToken", "00aBc-dEf_1\n")]).unwrap();
    assert!(!format!("{token:?}").contains("00aBc"));
    assert!(matches!(token, Caller::ApiToken(header) if header == "SSWS 00aBc-dEf_1"));
    for both in ["clientId", "privateKey", "keyId"] {
        let error = given(&[("apiToken", "00aBc"), (both, "x")]).unwrap_err();
        assert!(
            matches!(&error, Error::Misconfigured { said } if said.contains("keep apiToken, or")),
            "{error:?}"
        );
    }
    for bad in ["SSWS 00aBc", "two\nlines", "swordfish!"] {
        let said = said(&[("apiToken", bad)]);
        assert!(said.contains("no API token") && !said.contains(bad), "{said}");
    }
    assert!(said(&[]).contains("set apiToken, or clientId, privateKey and keyId"));
    let (id, key, key_id) = (("clientId", "0oa1"), ("privateKey", "swordfish"), ("keyId", "k1"));
    for (keys, expected) in [
        (vec![key, key_id], "clientId is missing"),
        (vec![id, key_id], "privateKey is missing"),
        (vec![id, key], "keyId is missing"),
        (vec![id, key, key_id], "privateKey: the private key is not PEM"),
    ] {
        let said = said(&keys);
        assert!(said.contains(expected) && !said.contains("swordfish"), "{said}");
    }
}

fn dialect(domain: &str, base: &str) -> OktaDialect {
    let tenant = Tenant {
        domain: domain.to_owned(),
        base: base.to_owned(),
        mark: "bobsyncEmployeeId".to_owned(),
        leavers: Leavers::Suspend,
        not_suspendable: NotSuspendable::Deactivate,
        mails: true,
    };
    OktaDialect::new(Arc::new(tenant), given(&[("apiToken", "00aBc")]).unwrap()).unwrap()
}

#[test]
fn links_of_the_org_are_followed_at_the_address_of_the_calls_and_no_other_ones() {
    let own = dialect("Acme.okta.com", "https://acme.okta.com");
    let (org, page) = ("https://acme.okta.com", "/api/v1/users?after=1&limit=200");
    for (link, expected) in [
        (format!("{org}{page}"), Some(page.to_owned())),
        (format!("{org}.evil.example{page}"), None),
        (format!("{}{page}", org.replace("https", "http")), None),
        (page.to_owned(), None),
    ] {
        assert_eq!(own.next(&link).ok(), expected, "{link}");
    }
    let proxied = dialect("acme.okta.com", "http://127.0.0.1:8080/okta");
    assert_eq!(proxied.next(&format!("{org}{page}")).ok(), Some(format!("/okta{page}")));
    assert_eq!(
        proxied.next(&format!("{}/okta{page}", "http://127.0.0.1:8080")).ok(),
        Some(format!("/okta{page}"))
    );
}

#[test]
fn a_key_is_one_segment_of_a_path() {
    let okta = dialect("acme.okta.com", "https://acme.okta.com");
    assert_eq!(okta.user("00u1aB").as_deref(), Some("/api/v1/users/00u1aB"));
    for odd in ["", "../org", "00u1/lifecycle/deactivate", "a b"] {
        assert_eq!(okta.user(odd), None, "{odd}");
    }
    assert_eq!(
        okta.login("zoë+1@example.com").as_deref(),
        Some("/api/v1/users/zo%C3%AB%2B1@example.com")
    );
    for odd in ["..", "", "a/b@example.com"] {
        assert_eq!(okta.login(odd), None, "{odd}");
    }
}

#[test]
fn a_proof_names_the_org_and_the_key_and_is_used_once() {
    let okta = dialect("Acme.okta.com", "https://proxy.example.com/okta");
    let read = |proof: &Secret| {
        let part = |at: usize| {
            let text = proof.expose().split('.').nth(at).unwrap();
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        };
        (part(0), part(1))
    };
    let (head, claims) = read(&okta.proof("GET", "/api/v1/users", Some("token")).unwrap());
    assert_eq!((&head["typ"], &head["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!((&head["jwk"]["kty"], &head["jwk"]["crv"]), (&json!("EC"), &json!("P-256")));
    assert!(head["jwk"].get("d").is_none(), "the private part stays here");
    assert_eq!(
        (&claims["htm"], &claims["htu"], &claims["ath"]),
        (
            &json!("GET"),
            &json!("https://acme.okta.com/api/v1/users"),
            // The SHA-256 of "token".
            &json!("PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A"),
        )
    );
    assert!(claims.get("nonce").is_none());
    let (_, other) = read(&okta.proof("GET", "/api/v1/users", Some("token")).unwrap());
    assert_ne!(claims["jti"], other["jti"]);
    *okta.proofs.nonce.lock() = Some("n1".to_owned());
    let (_, claims) = read(&okta.proof("POST", TOKENS, None).unwrap());
    assert_eq!((&claims["nonce"], claims.get("ath")), (&json!("n1"), None));
}
