use serde_json::json;

use super::*;
use crate::provider::fixtures::{answer, mapping, write};

const TARGETS: [&str; 4] = ["userName", "emails.work", "title", "enterprise.department"];
const VALUES: [&str; 4] = ["noa.lind@example.com", "noa@example.com", "Boss", "Ops"];

fn refused(status: u16, code: &str, detail: &str) -> Answer {
    let body = json!({"status": status.to_string(), "scimType": code, "detail": detail});
    answer(status, "application/scim+json", body.to_string())
}

fn judged(route: Route, answer: &Answer) -> Judged {
    let (mapping, mut write) = (mapping(&TARGETS, 0), write(&VALUES.map(Some)));
    write.mark = Some("3332883894235038486".into());
    let sent = Sent::Create(&mapping, &write, Password::Default("Correct-Horse-7"));
    judge(route, answer, sent, MarkPlace::ExternalId)
}

#[test]
fn status_and_kind_say_what_to_do() {
    for (route, status, code, category) in [
        (Route::LIST, 401, "", "unauthorized"),
        (Route::UPDATE, 401, "", "unauthorized"),
        (Route::LIST, 403, "", "denied"),
        (Route::FIND, 403, "", "forbidden"),
        (Route::CREATE, 403, "", "forbidden"),
        (Route::UPDATE, 403, "", "forbidden"),
        (Route::LIST, 404, "", "unavailable"),
        (Route::CREATE, 404, "", "unavailable"),
        (Route::FIND, 404, "", "not_found"),
        (Route::UPDATE, 404, "", "not_found"),
        (Route::UPDATE, 410, "", "not_found"),
        (Route::LIST, 400, "invalidCursor", "unavailable"),
        (Route::FIND, 400, "invalidFilter", "rejected"),
        (Route::FIND, 501, "", "rejected"),
        (Route::FIND, 413, "", "unavailable"),
        (Route::CREATE, 409, "uniqueness", "duplicate"),
        (Route::CREATE, 409, "", "duplicate"),
        (Route::UPDATE, 409, "uniqueness", "duplicate"),
        (Route::UPDATE, 409, "mutability", "unavailable"),
        (Route::CREATE, 400, "uniqueness", "duplicate"),
        (Route::CREATE, 400, "invalidValue", "rejected"),
        (Route::UPDATE, 400, "mutability", "rejected"),
        (Route::UPDATE, 412, "", "unavailable"),
        (Route::UPDATE, 400, "noTarget", "unavailable"),
        (Route::UPDATE, 405, "", "unavailable"),
        (Route::UPDATE, 501, "", "unavailable"),
        (Route::UPDATE, 429, "", "throttled"),
        (Route::UPDATE, 500, "", "unknown"),
        (Route::CREATE, 501, "", "unknown"),
        (Route::LIST, 502, "", "unavailable"),
    ] {
        let error = judged(route, &refused(status, code, "No")).unwrap_err();
        assert_eq!(error.category(), category, "{} {status} {code}", route.name);
    }
}

#[test]
fn a_change_may_be_confirmed_without_content_and_nothing_else_may() {
    let empty = answer(204, "text/plain", "");
    assert_eq!(judged(Route::UPDATE, &empty), Ok(()));
    assert!(judged(Route::CREATE, &empty).is_err() && judged(Route::LIST, &empty).is_err());
    for media in ["application/json", "application/scim+json; charset=utf-8"] {
        assert_eq!(judged(Route::LIST, &answer(200, media, "{}")), Ok(()), "{media}");
    }
}

#[test]
fn a_refusal_names_the_attribute_or_the_password_and_no_value() {
    for (detail, field) in [
        ("title is too long", Some("title")),
        ("The value of department is wrong: Ops", Some("enterprise.department")),
        ("An e-mail address is malformed: noa@example.com", Some("emails.work")),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            Some("enterprise.department"),
        ),
        ("password is too weak: Correct-Horse-7", Some("password")),
        ("Something is wrong with noa.lind@example.com", None),
    ] {
        match judged(Route::CREATE, &refused(400, "invalidValue", detail)) {
            Err(Error::Rejected { field: named, said }) => {
                assert_eq!(named.as_deref(), field, "{detail}");
                for value in VALUES.iter().chain(&["Correct-Horse-7", "3332883894235038486"]) {
                    assert!(!said.contains(value), "{said}");
                }
            }
            other => panic!("{detail}: {other:?}"),
        }
    }
}

#[test]
fn a_token_service_says_whether_the_client_or_its_scope_is_wrong() {
    for (status, code, category) in [
        (401, "invalid_client", "unauthorized"),
        (400, "invalid_client", "unauthorized"),
        (400, "unauthorized_client", "unauthorized"),
        (400, "invalid_scope", "denied"),
        (400, "invalid_request", "unavailable"),
        (404, "", "unavailable"),
    ] {
        let body = json!({"error": code, "error_description": "no"}).to_string();
        let refused = answer(status, "application/json", body);
        let error = judged(Route::TOKEN, &refused).unwrap_err();
        assert_eq!(error.category(), category, "{status} {code}");
    }
}
