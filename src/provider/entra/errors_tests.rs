use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::json;

use super::*;
use crate::{
    domain::account::AccountWrite,
    provider::{
        answers::Password,
        fixtures::{self, answer},
    },
};

const EXTENSION_NAME: &str = "extension_0123456789abcdef0123456789abcdef_cell";
const TARGETS: [&str; 6] =
    ["userPrincipalName", "mail", "jobTitle", "businessPhones", "officeLocation", EXTENSION_NAME];
const VALUES: [&str; 6] = [
    "noa.lind@example.com",
    "noa@example.net",
    "Head of Nothing",
    "+44 20 7946 0000",
    "Nowhere",
    "B-17-X",
];

fn refused(status: u16, code: &str, message: &str, details: &Value) -> Answer {
    let body = json!({"error": {"code": code, "message": message, "details": details,
        "innerError": {"request-id": "7"}}});
    answer(status, "application/json", body.to_string())
}

fn judged(route: Route, answer: &Answer) -> Result<(), Error> {
    let mapping = fixtures::mapping(&TARGETS, 0);
    let mark = Some("3332883894235038486".into());
    let write = AccountWrite { mark, ..fixtures::write(&VALUES.map(Some)) };
    judge(
        route,
        answer,
        Sent::Create(&mapping, &write, Password::Default("Correct-Horse-7")),
        "employeeId",
    )
}

#[test]
fn status_purpose_and_code_say_what_to_do() {
    let taken = "Another object with the same value for property userPrincipalName already exists.";
    let undefined =
        "Property 'extension_0_x' does not exist as a declared property or extension property.";
    for (route, status, code, message, category) in [
        (
            Route::LIST,
            401,
            "InvalidAuthenticationToken",
            "Access token has expired or is not yet valid.",
            "unauthorized",
        ),
        (
            Route::LIST,
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "denied",
        ),
        (
            Route::FIND,
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "denied",
        ),
        (
            Route::CREATE,
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "forbidden",
        ),
        (
            Route::CREATE,
            403,
            "Directory_QuotaExceeded",
            "The directory object quota limit has been exceeded.",
            "forbidden",
        ),
        (
            Route::UPDATE,
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "forbidden",
        ),
        (
            MANAGER,
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            "forbidden",
        ),
        (
            Route::UPDATE,
            404,
            "Request_ResourceNotFound",
            "Resource '7' does not exist",
            "not_found",
        ),
        (Route::FIND, 404, "Request_ResourceNotFound", "Resource '7' does not exist", "not_found"),
        (Route::LIST, 404, "Request_ResourceNotFound", "Resource not found", "unavailable"),
        (Route::CREATE, 404, "Request_ResourceNotFound", "Resource not found", "unavailable"),
        (Route::CREATE, 400, "Request_BadRequest", taken, "duplicate"),
        (Route::UPDATE, 400, "Request_BadRequest", taken, "duplicate"),
        (Route::UPDATE, 409, "Request_MultipleObjectsWithSameKeyValue", taken, "duplicate"),
        (
            Route::UPDATE,
            409,
            "Directory_ConcurrencyViolation",
            "Unable to process the update due to concurrency violation.",
            "unavailable",
        ),
        (
            Route::UPDATE,
            400,
            "Request_BadRequest",
            "One or more properties contains invalid values.",
            "rejected",
        ),
        (MANAGER, 400, "Request_BadRequest", "Not a valid reference update.", "unavailable"),
        (Route::LIST, 400, "Request_UnsupportedQuery", "Unsupported query.", "unavailable"),
        (Route::FIND, 400, "Request_UnsupportedQuery", "Unsupported query.", "unavailable"),
        (
            Route::LIST,
            501,
            "NotImplemented",
            "Retrieval of this property is only supported on a single user.",
            "unavailable",
        ),
        (EXTENSION, 400, "Request_UnsupportedQuery", undefined, "not_found"),
        (EXTENSION, 400, "Request_UnsupportedQuery", "Unsupported query.", "unavailable"),
        (Route::UPDATE, 429, "TooManyRequests", "Too many requests.", "throttled"),
        (Route::LIST, 503, "serviceNotAvailable", "Try later.", "unavailable"),
        (Route::CREATE, 503, "serviceNotAvailable", "Try later.", "unknown"),
        (Route::UPDATE, 504, "UnknownError", "", "unknown"),
    ] {
        let error = judged(route, &refused(status, code, message, &json!([]))).unwrap_err();
        assert_eq!(
            error.category(),
            category,
            "{} {status} {code} {message}: {error:?}",
            route.name
        );
    }
}

#[test]
fn what_may_not_be_written_says_which_right_it_takes() {
    let error = judged(
        Route::UPDATE,
        &refused(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
            &json!([]),
        ),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::Forbidden { .. })
            && text.contains(
                "User.ReadWrite.All, and for an administrator's account a directory role"
            ),
        "{text}"
    );
    // Ending sessions needs another permission, which its caller names.
    let sessions =
        judged(SESSIONS, &refused(403, "Authorization_RequestDenied", "No.", &json!([])))
            .unwrap_err()
            .to_string();
    assert!(!sessions.contains("User.ReadWrite.All"), "{sessions}");
}

#[test]
fn a_quota_that_is_used_up_is_no_missing_right() {
    let full = refused(
        403,
        "Directory_QuotaExceeded",
        "The directory object quota limit has been exceeded.",
        &json!([]),
    );
    let text = judged(Route::CREATE, &full).unwrap_err().to_string();
    assert!(text.contains("quota of objects") && !text.contains("permission"), "{text}");
}

#[test]
fn the_words_of_a_lag_are_told_from_those_of_a_bad_value() {
    for said in [
        "One or more property values specified are invalid.",
        "Not a valid reference update.",
        "The reference target 'User_7' of type 'DirectoryLinkChange' does not reference a valid \
         object.",
    ] {
        assert!(speaks_of_lag(said), "{said}");
    }
    assert!(!speaks_of_lag("One or more properties contains invalid values."));
}

#[test]
fn a_conflict_is_told_by_its_details_and_names_the_key() {
    for (target, field) in [
        ("userPrincipalName", "userPrincipalName"),
        ("proxyAddresses", "mail"),
        ("mail", "mail"),
        ("onPremisesImmutableId", "onPremisesImmutableId"),
    ] {
        let details = json!([{"code": "ObjectConflict", "target": target, "message": "x"},
            {"code": "ConflictingObjects", "target": target}]);
        let error = judged(Route::UPDATE, &refused(400, "Request_BadRequest", "No.", &details))
            .unwrap_err();
        assert_eq!(error, Error::Duplicate { field: Some(field.to_owned()) });
    }
}

#[test]
fn a_refused_attribute_is_named_by_its_target() {
    for (message, target, field) in [
        (
            "Property userPrincipalName is invalid.",
            Some("userPrincipalName"),
            Some("userPrincipalName"),
        ),
        (
            "Invalid value specified for property 'jobTitle' of resource 'User'.",
            None,
            Some("jobTitle"),
        ),
        (
            "Invalid value specified for property 'physicalDeliveryOfficeName' of resource 'User'.",
            None,
            Some("officeLocation"),
        ),
        (
            "Invalid value specified for property 'telephoneNumber' of resource 'User'.",
            None,
            Some("businessPhones"),
        ),
        (
            &format!("The following extension properties are not available: {EXTENSION_NAME}."),
            None,
            Some(EXTENSION_NAME),
        ),
        (
            "The specified password does not comply with password complexity requirements.",
            None,
            Some("passwordProfile"),
        ),
        ("Property passwordProfile is invalid.", Some("passwordProfile"), Some("passwordProfile")),
        (
            "Invalid value specified for property 'usageLocation' of resource 'User'.",
            None,
            Some("usageLocation"),
        ),
        ("One or more properties contains invalid values.", None, None),
    ] {
        let details =
            target.map_or(json!([]), |target| json!([{"code": "InvalidValue", "target": target}]));
        match judged(Route::CREATE, &refused(400, "Request_BadRequest", message, &details))
            .unwrap_err()
        {
            Error::Rejected { field: named, .. } => {
                assert_eq!(named.as_deref(), field, "{message}")
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn a_refused_password_is_told_to_be_the_default_password() {
    let message = "The specified password does not comply with password complexity requirements.";
    let error = judged(Route::CREATE, &refused(400, "Request_BadRequest", message, &json!([])))
        .unwrap_err()
        .to_string();
    for told in [
        "refused passwordProfile",
        "the default password",
        "provisioning.defaultPasswordSecretRef",
        "complexity",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn nothing_that_was_sent_comes_back_the_password_least_of_all() {
    for status in [400, 401, 403, 404, 409, 412, 500] {
        let echo = format!(
            "{} and Correct-Horse-7 and 3332883894235038486",
            VALUES.join(", ").to_uppercase()
        );
        let text = format!(
            "{:?}",
            judged(Route::CREATE, &refused(status, "x", &echo, &json!([]))).unwrap_err()
        )
        .to_lowercase();
        for value in VALUES.iter().chain(&["Correct-Horse-7", "3332883894235038486"]) {
            assert!(!text.contains(&value.to_lowercase()), "{status}: {text}");
        }
    }
}

#[test]
fn what_is_said_of_a_batch_as_a_whole_gives_no_employee_away() {
    for (status, category) in [
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (501, "not_found"),
    ] {
        let answer = refused(status, "x", "Noa-Maria and Correct-Horse-7 are no batch", &json!([]));
        // The code that judges the whole batch does not know which employees have values in it.
        let error = judge(BATCH, &answer, Sent::Nothing, "employeeId").unwrap_err();
        assert_eq!(error.category(), category, "{status}: {error:?}");
        assert!(
            !format!("{error} {error:?}").contains("Noa-Maria")
                && !format!("{error:?}").contains("Horse"),
            "{error:?}"
        );
    }
}

#[test]
fn the_sign_in_service_says_whether_it_is_the_credential_or_a_right() {
    let token = |status, body: Value| {
        let answer = answer(status, "application/json", body.to_string());
        judge(Route::TOKEN, &answer, Sent::Credential("4711-client", "swordfish"), "employeeId")
            .unwrap_err()
    };
    for (status, error, number, category) in [
        (401, "invalid_client", 7_000_215, "unauthorized"),
        (401, "invalid_client", 700_027, "unauthorized"),
        (400, "unauthorized_client", 700_016, "unauthorized"),
        (400, "invalid_request", 900_023, "unauthorized"),
        (400, "access_denied", 530_003, "denied"),
        (400, "temporarily_unavailable", 90_033, "unavailable"),
        (404, "not_found", 0, "unavailable"),
        (500, "server_error", 0, "unavailable"),
    ] {
        let description = format!(
            "AADSTS{number}: Bad swordfish of 4711-client. Trace ID: 7b Correlation ID: 8c \
             Timestamp: now"
        );
        let refused = token(
            status,
            json!({"error": error, "error_description": description, "error_codes": [number]}),
        );
        assert_eq!(refused.category(), category, "{error}: {refused:?}");
        let text = format!("{refused:?}");
        assert!(
            !text.contains("swordfish") && !text.contains("4711-client") && !text.contains("Trace"),
            "{text}"
        );
        assert!(category == "unavailable" || text.contains(&format!("AADSTS{number}")), "{text}");
    }
}

#[test]
fn an_answer_without_a_body_confirms_a_change_and_nothing_else() {
    let nothing =
        Answer { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new() };
    for route in [Route::UPDATE, MANAGER, SESSIONS] {
        assert_eq!(judged(route, &nothing), Ok(()));
    }
    assert_eq!(judged(Route::CREATE, &nothing).unwrap_err().category(), "unknown");
    assert_eq!(judged(Route::LIST, &nothing).unwrap_err().category(), "unavailable");
    for status in [200, 302, 403, 502] {
        let page = answer(status, "text/html", "<html>");
        assert_eq!(judged(Route::LIST, &page).unwrap_err().category(), "unavailable", "{status}");
        assert_eq!(judged(Route::UPDATE, &page).unwrap_err().category(), "unknown", "{status}");
    }
}
