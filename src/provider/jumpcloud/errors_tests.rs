use serde_json::json;

use super::*;
use crate::provider::{
    answers::Password,
    fixtures::{answer, mapping, write},
};

const TARGETS: [&str; 6] = [
    "email",
    "username",
    "jobTitle",
    "phoneNumbers.work",
    "attributes.badge",
    "employeeIdentifier",
];
const VALUES: [&str; 6] =
    ["noa.lind@example.com", "noa.lind", "Head of Nothing", "+44 20 7946 0000", "B-17-X", "E-4711"];

fn refused(status: u16, message: &str) -> Answer {
    answer(status, "application/json; charset=utf-8", json!({"message": message}).to_string())
}

fn judged(route: Route, answer: &Answer) -> Result<(), Error> {
    let mapping = mapping(&TARGETS, 1);
    let mut write = write(&VALUES.map(Some));
    write.mark = Some("3332883894235038486".into());
    judge(route, answer, Sent::Create(&mapping, &write, Password::Default("Correct-Horse-7")))
}

#[test]
fn status_and_message_say_what_to_do() {
    for (route, status, message, category) in [
        (Route::LIST, 401, "Unauthorized", "unauthorized"),
        (Route::UPDATE, 401, "Unauthorized", "unauthorized"),
        (Route::LIST, 403, "Forbidden", "denied"),
        (Route::CREATE, 403, "Forbidden", "forbidden"),
        (Route::UPDATE, 403, "Forbidden", "forbidden"),
        (Route::LIST, 403, "Your IP has been blocked due to suspected abuse", "unavailable"),
        (Route::UPDATE, 403, "Your IP has been blocked due to suspected abuse", "unknown"),
        (Route::LIST, 400, "x-org-id and Organization path ID do not match", "denied"),
        (Route::LIST, 404, "Organization ID Not Found.", "denied"),
        (Route::LIST, 404, "Not Found", "unavailable"),
        (Route::LIST, 400, "Bad Request", "unavailable"),
        (Route::FIND, 404, "Not Found", "not_found"),
        (Route::UPDATE, 404, "Not Found", "not_found"),
        (Route::CREATE, 404, "Not Found", "unavailable"),
        (Route::UPDATE, 429, "Too Many Requests", "throttled"),
        (Route::UPDATE, 500, "Internal", "unknown"),
        (Route::LIST, 502, "Bad Gateway", "unavailable"),
        (EXPIRE, 500, "Internal", "unknown"),
        (Route::CREATE, 400, "Bad Request", "rejected"),
        (Route::CREATE, 409, "Conflict", "duplicate"),
    ] {
        assert_eq!(
            judged(route, &refused(status, message)).unwrap_err().category(),
            category,
            "{} {status} {message}",
            route.name
        );
    }
    assert_eq!(judged(Route::LIST, &answer(200, "application/json", "{}")), Ok(()));
    assert_eq!(
        judged(Route::UPDATE, &answer(200, "text/html", "<html>")).unwrap_err().category(),
        "unknown"
    );
    for empty in [
        answer(200, "text/plain", ""),
        answer(200, "application/json", "{}"),
        answer(204, "application/json", ""),
    ] {
        assert_eq!(judged(EXPIRE, &empty), Ok(()), "nothing is said of an expired password");
    }
    assert!(judged(EXPIRE, &answer(200, "text/html", "<html>")).is_err());
}

#[test]
fn what_may_not_be_written_says_which_right_it_takes() {
    let error = judged(Route::UPDATE, &refused(403, "Forbidden")).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::Forbidden { .. })
            && text.contains("the administrator who owns the API key needs a role"),
        "{text}"
    );
}

#[test]
fn a_duplicate_is_told_by_its_words_and_names_what_has_to_be_unique() {
    for (message, field) in [
        ("User with email already exists", Some("email")),
        ("username is already in use", Some("username")),
        ("employeeIdentifier must be unique", Some("employeeIdentifier")),
        ("The employee identifier is a duplicate", Some("employeeIdentifier")),
        ("User already exists", None),
    ] {
        assert_eq!(
            judged(Route::CREATE, &refused(400, message)),
            Err(Error::Duplicate { field: field.map(str::to_owned) }),
            "{message}"
        );
    }
    let plain = answer(400, "text/plain", "Username already taken");
    assert_eq!(
        judged(Route::CREATE, &plain),
        Err(Error::Duplicate { field: Some("username".to_owned()) })
    );
}

#[test]
fn a_refusal_names_its_attribute_and_no_value() {
    for (message, field) in [
        ("jobTitle \"Head of Nothing\" is too long", Some("jobTitle")),
        ("Validation failed: phoneNumbers of +44 20 7946 0000", Some("phoneNumbers.work")),
        ("attributes: badge B-17-X may not be", Some("attributes.badge")),
        ("bobsyncEmployeeId 3332883894235038486 may not be", Some("bobsyncEmployeeId")),
        ("attributes: badge is a duplicate", Some("attributes.badge")),
        ("Head of Nothing is no good", None),
    ] {
        let Err(Error::Rejected { field: named, said }) =
            judged(Route::UPDATE, &refused(400, message))
        else {
            panic!("{message}")
        };
        assert_eq!(named.as_deref(), field, "{message}");
        assert!(
            !VALUES.iter().any(|value| said.contains(value)) && !said.contains("333288"),
            "{said}"
        );
    }
    let body = json!({"code": 400, "message": "Password validation fail",
        "status": "INVALID_ARGUMENT", "details": [
        {"fieldViolationsList": [{"field": "password", "description": "specialCharacter"}],
            "@type": "type.googleapis.com/google.rpc.BadRequest"}
    ]});
    let refused = judged(Route::CREATE, &answer(400, "application/json", body.to_string()));
    let Err(Error::Rejected { field, said }) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (field.as_deref(), said.contains("specialCharacter")),
        (Some("password"), true),
        "{said}"
    );
    assert!(
        said.contains("the default password")
            && said.contains("provisioning.defaultPasswordSecretRef"),
        "{said}"
    );
}
