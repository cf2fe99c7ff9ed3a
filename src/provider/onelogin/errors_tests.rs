use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    domain::{account::AccountWrite, mapping::Mapping},
    http::scrub::shows,
    provider::fixtures::{self, answer},
};

const TARGETS: [&str; 7] = [
    "email",
    "username",
    "title",
    "custom_attributes.work_cell",
    "preferred_locale_code",
    "samaccountname",
    "lastname",
];
const VALUES: [&str; 7] = [
    "noa.lind@example.com",
    "noa.lind",
    "Head of Nothing",
    "+44 20 7946 0000",
    "tr_TR",
    "nlind",
    "Lind",
];

fn mapping() -> Mapping {
    fixtures::mapping(&TARGETS, 1)
}

fn write(values: &[&str]) -> AccountWrite {
    let values: Vec<_> = values.iter().copied().map(Some).collect();
    AccountWrite { mark: Some("3332883894235038486".into()), ..fixtures::write(&values) }
}

fn json_answer(status: u16, body: &Value) -> Answer {
    answer(status, "application/json; charset=utf-8", body.to_string())
}

fn refuse(route: Route, answer: &Answer) -> Error {
    let (mapping, write) = (mapping(), write(&VALUES));
    judge(route, answer, Sent::Write(&mapping, &write)).unwrap_err()
}

fn rejected(field: Option<&str>, said: &str) -> Error {
    Error::Rejected { field: field.map(str::to_owned), said: said.to_owned() }
}

fn duplicate(field: Option<&str>) -> Error {
    Error::Duplicate { field: field.map(str::to_owned) }
}

#[test]
fn every_shape_of_body_is_understood() {
    for (status, body, expected) in [
        (
            422,
            json!({"message": "Validation failed: Email must be unique within acme",
                "name": "UnprocessableEntityError", "statusCode": 422}),
            duplicate(Some("email")),
        ),
        (
            422,
            json!({"message": "Validation failed: Username must be unique within acme",
                "statusCode": 422}),
            duplicate(Some("username")),
        ),
        (
            422,
            json!({"message": "Validation failed: Value has already been taken"}),
            duplicate(None),
        ),
        (
            400,
            json!({"status": 400, "error": "BadRequestError",
                "description": "User name has already been taken"}),
            duplicate(Some("username")),
        ),
        (409, json!({"message": "Conflict"}), duplicate(None)),
        // This is not a key by which another account could be found.
        (
            422,
            json!({"message": "Samaccountname must be unique"}),
            rejected(Some("samaccountname"), "Samaccountname must be unique"),
        ),
        (
            422,
            json!({"message": "Validation failed: Title is too long"}),
            rejected(Some("title"), "Validation failed: Title is too long"),
        ),
        (
            422,
            json!({"message": "is too long", "field": "last name"}),
            rejected(Some("lastname"), "is too long"),
        ),
        (
            422,
            json!({"code": 422, "message": "Validation Failed",
                "errors": [{"field": "title", "message": ["is too long", "is odd"]}]}),
            rejected(Some("title"), "Validation Failed; is too long; is odd"),
        ),
        (
            400,
            json!({"status": {"error": true, "code": 400, "type": "bad request",
                "message": {"attribute": "title", "description": "Title is incorrect"}}}),
            rejected(Some("title"), "Title is incorrect"),
        ),
        (
            400,
            json!({"status": {"error": true, "code": 400, "type": "bad request",
                "message": "Wrong"}}),
            rejected(None, "Wrong"),
        ),
        (
            400,
            json!({"message": "input custom_attributes is not valid: work_cell"}),
            rejected(
                Some("custom_attributes.work_cell"),
                "input custom_attributes is not valid: work_cell",
            ),
        ),
        (
            422,
            json!({"message": "Preferred locale code is invalid"}),
            rejected(Some("preferred_locale_code"), "Preferred locale code is invalid"),
        ),
        // An error is only about what was sent.
        (
            400,
            json!({"message": "unknown attribute: mobile_phone", "statusCode": 400}),
            rejected(None, "unknown attribute: mobile_phone"),
        ),
        (400, json!({"error": "BadRequestError"}), rejected(None, "BadRequestError")),
        (422, json!([]), rejected(None, "HTTP 422")),
        // The quoted value may be the name of another attribute.
        (
            422,
            json!({"message": "Title 'Username' is odd"}),
            rejected(Some("title"), "Title … is odd"),
        ),
    ] {
        assert_eq!(refuse(Route::UPDATE, &json_answer(status, &body)), expected, "{body}");
    }
    assert_eq!(
        refuse(Route::CREATE, &answer(422, "application/json", "{")),
        rejected(None, "HTTP 422")
    );
    assert_eq!(refuse(Route::CREATE, &answer(422, "text/plain", "no")), rejected(None, "HTTP 422"));
}

#[test]
fn statuses_say_what_to_do() {
    let said = json!({"message": "No", "name": "SomeError"});
    let owner = json!({"message": "You cannot edit the Account Owner"});
    for (route, status, body, category) in [
        (Route::TOKEN, 400, &said, "unauthorized"),
        (Route::TOKEN, 401, &said, "unauthorized"),
        (Route::TOKEN, 403, &said, "unauthorized"),
        (Route::TOKEN, 404, &said, "unavailable"),
        (Route::TOKEN, 500, &said, "unavailable"),
        (Route::LIST, 400, &said, "unavailable"),
        (Route::LIST, 401, &said, "unauthorized"),
        (Route::LIST, 403, &said, "denied"),
        (Route::LIST, 404, &said, "unavailable"),
        (Route::LIST, 502, &said, "unavailable"),
        (Route::LIST, 302, &said, "unavailable"),
        (Route::FIND, 404, &said, "not_found"),
        (Route::FIND, 403, &said, "denied"),
        (Route::FIND, 422, &said, "rejected"),
        (Route::CREATE, 403, &said, "forbidden"),
        (Route::CREATE, 403, &owner, "forbidden"),
        (Route::CREATE, 404, &said, "unavailable"),
        (Route::CREATE, 429, &said, "throttled"),
        (Route::CREATE, 500, &said, "unknown"),
        (Route::CREATE, 503, &said, "unknown"),
        (Route::CREATE, 307, &said, "unknown"),
        (Route::CREATE, 408, &said, "unknown"),
        (Route::UPDATE, 401, &said, "unauthorized"),
        (Route::UPDATE, 403, &said, "forbidden"),
        (Route::UPDATE, 403, &owner, "forbidden"),
        (Route::UPDATE, 404, &said, "not_found"),
        (Route::UPDATE, 409, &said, "duplicate"),
        (Route::UPDATE, 415, &said, "rejected"),
    ] {
        assert_eq!(
            refuse(route, &json_answer(status, body)).category(),
            category,
            "{route:?} {status}"
        );
    }
    let Error::Unavailable { said } = refuse(Route::TOKEN, &json_answer(500, &said)) else {
        panic!()
    };
    assert!(said.contains("may have been deleted"));
}

#[test]
fn a_page_for_people_is_no_answer() {
    for status in [200, 201, 400, 401, 403, 404, 422] {
        let page = answer(status, "text/html; charset=utf-8", "<html>Sign in</html>");
        assert_eq!(refuse(Route::LIST, &page).category(), "unavailable", "{status}");
        assert_eq!(refuse(Route::TOKEN, &page).category(), "unavailable", "{status}");
        assert_eq!(refuse(Route::UPDATE, &page).category(), "unknown", "{status}");
    }
    assert_eq!(refuse(Route::UPDATE, &answer(200, "text/plain", "ok")).category(), "unknown");
    assert_eq!(refuse(Route::UPDATE, &answer(204, "text/plain", "")).category(), "unknown");
    assert_eq!(refuse(Route::UPDATE, &answer(429, "text/html", "<html>")).category(), "throttled");
    assert!(judge(Route::UPDATE, &answer(200, "application/json", "{}"), Sent::Nothing).is_ok());
}

#[test]
fn a_throttle_says_when_to_come_back() {
    let with = |headers: &[(&'static str, &str)]| {
        let mut answer = answer(429, "application/json", "{}");
        answer.headers.extend(
            headers
                .iter()
                .map(|(name, value)| (name.parse().ok(), value.parse().unwrap()))
                .collect::<Vec<_>>(),
        );
        wait(&answer).map(|wait| wait.as_secs())
    };
    assert_eq!(with(&[]), None);
    assert_eq!(with(&[("retry-after", "7"), ("x-ratelimit-reset", "100")]), Some(7));
    assert_eq!(with(&[("x-ratelimit-reset", "832")]), Some(832));
    // The value is not an epoch, even if a server takes it for one.
    assert_eq!(with(&[("x-ratelimit-reset", "1795500000")]), Some(3600));
    assert_eq!(with(&[("retry-after", "0")]), Some(1));
    let soon = Timestamp::now() + jiff::SignedDuration::from_secs(90);
    let date = soon.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    assert!(with(&[("retry-after", &date)]).is_some_and(|seconds| (85..=90).contains(&seconds)));
    assert_eq!(with(&[("retry-after", "Tue, 01 Jan 2019 00:00:00 GMT")]), None);
}

#[test]
fn credentials_and_keys_do_not_come_back() {
    let body = json!({"message": "client_id abcdef, client_secret s3cr3t refused"});
    let Error::Unauthorized { said } =
        judge(Route::TOKEN, &json_answer(401, &body), Sent::Credential("abcdef", "s3cr3t"))
            .unwrap_err()
    else {
        panic!()
    };
    assert_eq!(said, "client_id …, client_secret … refused");
    let body = json!({"message": "bad filter NOA"});
    assert_eq!(
        judge(Route::FIND, &json_answer(400, &body), Sent::Key("noa")).unwrap_err(),
        rejected(None, "bad filter …")
    );
}

proptest! {
    #[test]
    fn what_is_said_holds_no_value_that_was_sent(
        values in proptest::collection::vec("[A-Za-z+@. ÄÖé0-9-]{3,20}", 1..6),
        foreign in "[A-Za-z0-9 ]{3,12}",
        around in proptest::collection::vec("[A-Za-z :,'\"]{0,10}", 7),
        status in prop::sample::select(vec![400u16, 401, 403, 405, 409, 422]),
        shape in 0u8..4,
        loud in any::<bool>(),
    ) {
        let mapping = mapping();
        let given: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut write = write(&given);
        write.foreign = Some(json!({"badge": foreign}).to_string().into());
        let mut text = String::new();
        for (value, around) in values.iter().chain([&foreign]).zip(&around) {
            text.push_str(around);
            text.push_str(&if loud { value.to_uppercase() } else { value.clone() });
        }
        let body = match shape {
            0 => json!({"message": text}),
            1 => json!({"status": status, "error": text, "description": text}),
            2 => json!({"errors": [{"field": text, "message": [text]}]}),
            _ => json!({"status": {"message": {"attribute": text, "description": text}}}),
        };
        let answer = json_answer(status, &body);
        let error = judge(Route::UPDATE, &answer, Sent::Write(&mapping, &write)).unwrap_err();
        if let Error::Rejected { field: Some(field), .. }
        | Error::Duplicate { field: Some(field) } = &error
        {
            prop_assert!(TARGETS.contains(&field.as_str()) || field == "external_id");
        }
        if let Error::Rejected { said, .. }
        | Error::Forbidden { said }
        | Error::Denied { said }
        | Error::Unauthorized { said } = &error
        {
            for value in values.iter().chain([&foreign]) {
                // HTTP and the status may be there if nothing else is left.
                let ours = format!("http {status}").contains(&value.trim().to_lowercase());
                prop_assert!(ours || !shows(said, value), "{value:?} in {said:?}");
            }
        }
    }
}
