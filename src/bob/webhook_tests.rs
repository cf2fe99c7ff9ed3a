use proptest::prelude::*;

use super::*;

fn secrets(current: &str, previous: Option<&str>) -> SigningSecrets {
    SigningSecrets { current: Secret::new(current), previous: previous.map(Secret::new) }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

fn passes(secrets: &SigningSecrets, signature: &str, body: &[u8]) -> bool {
    verify(Some(secrets), signature.as_bytes(), body).is_some()
}

#[test]
fn the_signature_is_base64_of_hmac_sha512_over_the_raw_body() {
    // `printf '{"type":"x"}' | openssl dgst -sha512 -hmac swordfish -binary | base64 -w0`
    let signature =
        "uaQXG4l0xLGIh0GHI2Kv3t3xhw88z2xgK5RcHBfNTDSbqa+yRdalqpIIcQ3+glllBQ8rhZJTdUQ2YRBQdcRGzQ==";
    assert!(passes(&secrets("swordfish", None), signature, b"{\"type\":\"x\"}"));
    assert!(passes(&secrets("swordfish", None), &sign("swordfish", b"{}"), b"{}"));
    assert!(!passes(&secrets("swordfish", None), &sign("swordfish", b"{}"), b"{} "));
    assert!(!passes(&secrets("swordfish", None), &sign("Swordfish", b"{}"), b"{}"));
}

#[test]
fn two_secrets_are_valid_while_one_takes_over_from_the_other() {
    let both = secrets("new", Some("old"));
    assert!(passes(&both, &sign("new", b"x"), b"x") && passes(&both, &sign("old", b"x"), b"x"));
    assert!(!passes(&both, &sign("older", b"x"), b"x"));
    assert!(
        !passes(&secrets("new", None), &sign("old", b"x"), b"x"),
        "the old one ends with its key"
    );
}

#[test]
fn without_a_secret_nothing_passes_not_even_an_empty_key() {
    assert!(verify(None, sign("", b"x").as_bytes(), b"x").is_none());
    assert!(
        !passes(&secrets("new", None), &sign("", b"x"), b"x"),
        "the stand-in for the missing second secret is no secret"
    );
    for header in ["", "=", "swordfish", "Basic abc"] {
        assert!(!passes(&secrets("new", None), header, b"x"), "{header}");
    }
}

#[test]
fn both_pings_are_known_and_nothing_else_is_one() {
    for body in
        ["Ping test", "\"Ping test\"", "{\"text\":\"Ping test\"}", " {\"text\": \"Ping test\"}\n"]
    {
        assert!(is_ping(body.as_bytes()), "{body}");
    }
    for body in [
        "",
        "ping",
        "{\"text\":\"Ping\"}",
        "{\"text\":\"Ping test\",\"type\":\"employee.left\"}",
        "[\"Ping test\"]",
    ] {
        assert!(!is_ping(body.as_bytes()), "{body}");
    }
}

fn v2(kind: &str, data: &str) -> String {
    format!(
        "{{\"companyId\":637323,\"type\":\"{kind}\",\"triggeredBy\":\"system\",\
         \"triggeredAt\":\"2026-10-14T09:21:07.118204\",\"version\":\"v2\",\"data\":{data}}}"
    )
}

#[test]
fn every_type_of_the_second_version_is_read() {
    for (word, kind) in [
        ("employee.created", Kind::Created),
        ("employee.updated", Kind::Updated),
        ("employee.deleted", Kind::Deleted),
        ("employee.joined", Kind::Joined),
        ("employee.left", Kind::Left),
        ("employee.activated", Kind::Activated),
        ("employee.inactivated", Kind::Inactivated),
        ("employee.temporaryLeave", Kind::TemporaryLeave),
        ("employee.access.revoked.immediately", Kind::AccessRevoked),
        ("table.entry.created", Kind::TableEntry),
        ("table.entry.updated", Kind::TableEntry),
        ("employee.promoted", Kind::Employee),
        ("timeoff.request.created", Kind::Other),
    ] {
        let body = v2(
            word,
            "{\"employeeId\":\"3332883894235038486\",\"email\":\"noa.lind@example.com\",\
             \"tableId\":\"work\"}",
        );
        let event = Event::read(body.as_bytes()).expect("an event");
        assert_eq!((event.kind, event.legacy), (kind, false), "{word}");
        assert_eq!(
            (event.company, event.employee.as_deref()),
            (Some(637_323), Some("3332883894235038486"))
        );
        assert_eq!(event.at, Some("2026-10-14T09:21:07.118204Z".parse().unwrap()));
    }
}

#[test]
fn updated_fields_come_in_two_shapes_and_ids_as_text_or_number() {
    for updates in [
        "[\"work.title\",\"root.email\"]",
        "[{\"id\":\"work.title\",\"x\":1},{\"id\":\"root.email\"}]",
    ] {
        let body = v2(
            "employee.updated",
            &format!("{{\"employeeId\":3332883894235038486,\"fieldUpdates\":{updates}}}"),
        );
        let event = Event::read(body.as_bytes()).expect("an event");
        assert_eq!(event.fields, ["work.title".into(), "root.email".into()]);
        assert_eq!(event.employee.as_deref(), Some("3332883894235038486"));
    }
    for id in ["\"noa@example.com\"", "-1", "1.5", "null", "{}", "\"\"", "\"../etc\""] {
        let event =
            Event::read(v2("employee.updated", &format!("{{\"employeeId\":{id}}}")).as_bytes())
                .expect("an event");
        assert_eq!(event.employee, None, "{id}");
    }
}

#[test]
fn the_first_version_is_known_for_what_it_is() {
    let body = "{\"type\":\"employee.left\",\"creationDate\":\"2024-01-01\",\
        \"changedBy\":{\"displayName\":\"Ada\"},\
        \"employee\":{\"id\":\"7\",\"firstName\":\"Noa\",\"site\":\"London\"}}";
    let event = Event::read(body.as_bytes()).expect("an event");
    assert_eq!(
        (event.kind, event.legacy, event.employee.as_deref()),
        (Kind::Left, true, Some("7"))
    );
}

#[test]
fn what_is_no_event_is_said_to_be_none() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"type\":7}",
        "{\"type\":\"employee.left\"",
        "{\"type\":\"a\",\"type\":\"b\"}",
        "\u{0}",
    ] {
        assert_eq!(Event::read(body.as_bytes()), Err(NotAnEvent), "{body}");
    }
    let deep = format!(
        "{{\"type\":\"employee.left\",\"data\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(
        Event::read(deep.as_bytes()).is_err()
            || Event::read(deep.as_bytes()).is_ok_and(|event| event.employee.is_none())
    );
}

/// Pieces of bodies, so that random bodies are similar to real ones.
fn near_miss() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"type\"",
        "\"employee.left\"",
        "\"data\"",
        "\"employeeId\"",
        "\"companyId\"",
        "\"fieldUpdates\"",
        "\"employee\"",
        "\"id\"",
        "7",
        "-1e999",
        "null",
        "\"\\ud800\"",
        "\"\\u0000\"",
        " ",
        "\"triggeredAt\"",
        "\"2026-10-14T09:21:07\"",
        "\"-9999-01-01T00:00:00\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..400),
        signature in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let _ = Event::read(&body);
        let _ = is_ping(&body);
        prop_assert!(verify(Some(&secrets("swordfish", Some("old"))), &signature, &body).is_none());
    }

    #[test]
    fn no_near_miss_makes_it_panic(body in near_miss()) {
        let _ = Event::read(body.as_bytes());
        let _ = is_ping(body.as_bytes());
    }

    #[test]
    fn a_changed_signature_or_body_never_passes(
        body in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in 0_usize..88,
    ) {
        let known = secrets("swordfish", Some("old"));
        let signature = sign("swordfish", &body);
        prop_assert!(passes(&known, &signature, &body));
        let mut other = signature.clone().into_bytes();
        let place = at.index(other.len());
        if other[place] != to {
            other[place] = to;
            prop_assert!(verify(Some(&known), &other, &body).is_none());
        }
        prop_assert!(!passes(&known, &signature[..cut], &body));
        let longer = signature.clone() + "A";
        prop_assert!(!passes(&known, &longer, &body));
        let mut changed = body.clone();
        let place = at.index(changed.len());
        if changed[place] != to {
            changed[place] = to;
            prop_assert!(!passes(&known, &signature, &changed));
        }
    }
}
