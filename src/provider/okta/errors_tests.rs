use super::*;
use crate::provider::fixtures;

fn error(status: u16, code: &str, causes: &[&str]) -> Answer {
    let causes: Vec<Value> = causes.iter().map(|cause| json!({"errorSummary": cause})).collect();
    let body = json!({"errorCode": code, "errorSummary": "it failed", "errorCauses": causes});
    fixtures::answer(status, "application/json", body.to_string())
}

fn judged(route: Route, answer: &Answer) -> Error {
    judge(route, answer, Sent::Nothing, "bobsyncEmployeeId").unwrap_err()
}

#[test]
fn a_code_and_the_kind_of_call_say_what_to_do() {
    for (route, status, code, category) in [
        (Route::LIST, 401, "E0000011", "unauthorized"),
        (Route::UPDATE, 401, "E0000011", "unauthorized"),
        (Route::LIST, 403, "E0000006", "denied"),
        (Route::FIND, 403, "E0000006", "forbidden"),
        (Route::UPDATE, 403, "E0000006", "forbidden"),
        (Route::CREATE, 403, "E0000006", "forbidden"),
        (LIFECYCLE, 403, "E0000006", "forbidden"),
        (Route::LIST, 403, "E0000005", "unauthorized"),
        (Route::UPDATE, 404, "E0000007", "not_found"),
        (Route::FIND, 404, "E0000007", "not_found"),
        (Route::LIST, 404, "E0000007", "unavailable"),
        (Route::UPDATE, 409, "E0000112", "unavailable"),
        (LIFECYCLE, 409, "E0000112", "unavailable"),
        (LIFECYCLE, 400, "E0000001", "rejected"),
        (LIFECYCLE, 403, "E0000038", "rejected"),
        (Route::UPDATE, 503, "E0000010", "unavailable"),
        (Route::UPDATE, 500, "E0000009", "unknown"),
        (Route::LIST, 400, "E0000031", "unavailable"),
    ] {
        let error = judged(route, &error(status, code, &[]));
        assert_eq!(error.category(), category, "{route:?} {status} {code}: {error:?}");
    }
    let mastered = judged(Route::UPDATE, &error(403, "E0000023", &[]));
    assert!(matches!(mastered, Error::Mastered { .. }), "{mastered:?}");
}

#[test]
fn a_limit_of_zero_is_a_short_pause_and_any_other_waits_for_the_window() {
    let refused = |limit: &str| {
        let mut answer = error(429, "E0000047", &[]);
        for (name, value) in [
            ("x-rate-limit-limit", limit),
            ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-reset", "1795510830"),
            // 30 seconds earlier by the clock of Okta.
            ("date", "Tue, 24 Nov 2026 09:00:00 GMT"),
        ] {
            answer.headers.insert(name, value.parse().unwrap());
        }
        match judged(Route::UPDATE, &answer) {
            Error::Throttled { wait: Some(wait) } => wait,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("300").as_secs(), 30);
    let pauses: Vec<Duration> = (0..20).map(|_| refused("0")).collect();
    assert!(pauses.iter().all(|pause| (200..=1000).contains(&pause.as_millis())), "{pauses:?}");
}

#[test]
fn the_header_of_a_refused_token_names_the_missing_scope() {
    let mut answer = fixtures::answer(403, "application/json", "");
    let challenge = "Bearer authorization_uri=\"http://acme.okta.com/oauth2/v1/authorize\", \
        realm=\"http://acme.okta.com\", scope=\"okta.schemas.read\", error=\"insufficient_scope\", \
        error_description=\"The access token provided does not contain the required scopes.\", \
        resource=\"/api/v1/meta/schemas/user/default\"";
    answer.headers.insert("www-authenticate", challenge.parse().unwrap());
    let denied = judged(Route::new("schemas", Purpose::Definitions), &answer);
    assert!(
        matches!(&denied, Error::Denied { said } if said.contains("okta.schemas.read")),
        "{denied:?}"
    );
}
