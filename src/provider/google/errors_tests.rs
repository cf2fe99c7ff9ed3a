use serde_json::json;

use super::*;
use crate::{
    domain::account::AccountWrite,
    provider::{
        answers::Password,
        fixtures::{self, answer},
    },
};

const TARGETS: [&str; 10] = [
    "primaryEmail",
    "name.familyName",
    "name.givenName",
    "organizations.department",
    "organizations.description",
    "organizations.title",
    "phones.work",
    "orgUnitPath",
    "customSchemas.Work.cell",
    "externalIds.organization",
];
const VALUES: [&str; 10] = [
    "noa.lind@example.com",
    "Lindqvist",
    "Noa-Maria",
    "Ministry of Walks",
    "Permanent-ish",
    "Head of Nothing",
    "+44 20 7946 0000",
    "/Nowhere/Else",
    "B-17-X",
    "E-1007-Z",
];

fn refused(status: u16, reason: &str, message: &str) -> Answer {
    let body = json!({"error": {"code": status, "message": message,
        "errors": [{"domain": "global", "reason": reason, "message": message}]}});
    answer(status, "application/json; charset=UTF-8", body.to_string())
}

fn judged(route: Route, answer: &Answer) -> Result<(), Error> {
    let mapping = fixtures::mapping(&TARGETS, 0);
    let mark = Some("3332883894235038486".into());
    let write = AccountWrite { mark, ..fixtures::write(&VALUES.map(Some)) };
    judge(
        route,
        answer,
        Sent::Create(&mapping, &write, Password::Default("Correct-Horse-7")),
        "the-scope",
    )
}

#[test]
fn the_reason_says_what_a_status_means() {
    for (route, status, reason, message, category) in [
        (Route::LIST, 401, "authError", "Invalid Credentials", "unauthorized"),
        (Route::LIST, 403, "forbidden", "Not Authorized to access this resource/api", "denied"),
        (
            Route::LIST,
            403,
            "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            "denied",
        ),
        (
            Route::UPDATE,
            403,
            "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            "denied",
        ),
        (
            Route::UPDATE,
            403,
            "forbidden",
            "Not Authorized to access this resource/api",
            "forbidden",
        ),
        (Route::UPDATE, 403, "adminCannotUnsuspend", "Admin cannot unsuspend", "forbidden"),
        (
            Route::CREATE,
            403,
            "forbidden",
            "Not Authorized to access this resource/api",
            "forbidden",
        ),
        (Route::FIND, 403, "forbidden", "Not Authorized to access this resource/api", "forbidden"),
        (Route::UPDATE, 403, "quotaExceeded", "Quota", "throttled"),
        (Route::UPDATE, 403, "userRateLimitExceeded", "Slow", "throttled"),
        (Route::CREATE, 403, "forbidden", "Quota exceeded for quota metric 'Queries'", "throttled"),
        (Route::UPDATE, 429, "rateLimitExceeded", "Slow", "throttled"),
        (
            Route::UPDATE,
            503,
            "backendError",
            "Quota exceeded for the current request.",
            "throttled",
        ),
        (Route::UPDATE, 503, "backendError", "Backend Error", "unknown"),
        (Route::CREATE, 500, "internalError", "Internal", "unknown"),
        (Route::LIST, 500, "internalError", "Internal", "unavailable"),
        (Route::CREATE, 409, "conflict", "Conflicting requests. Please try again.", "unavailable"),
        (Route::UPDATE, 409, "conflict", "Conflicting requests. Please try again.", "unavailable"),
        (Route::UPDATE, 409, "aborted", "Conflicting requests. Please try again.", "unavailable"),
        (Route::CREATE, 409, "duplicate", "Entity already exists.", "duplicate"),
        (Route::UPDATE, 409, "duplicate", "Entity already exists.", "duplicate"),
        (Route::UPDATE, 404, "notFound", "Resource Not Found: userKey", "not_found"),
        (Route::FIND, 404, "notFound", "Resource Not Found: userKey", "not_found"),
        (Route::CREATE, 404, "notFound", "Domain not found.", "rejected"),
        (Route::CREATE, 403, "domainNotFound", "Domain not found.", "rejected"),
        (Route::CREATE, 404, "notFound", "Not Found", "unavailable"),
        (Route::UPDATE, 412, "conditionNotMet", "User creation is not complete.", "unavailable"),
        (Route::UPDATE, 412, "", "Insufficient archived user licenses", "rejected"),
        (Route::LIST, 400, "invalid", "Invalid Input: INVALID_PAGE_TOKEN", "unavailable"),
        (Route::CREATE, 400, "limitExceeded", "Domain user limit reached", "rejected"),
    ] {
        let error = judged(route, &refused(status, reason, message)).unwrap_err();
        assert_eq!(
            error.category(),
            category,
            "{} {status} {reason} {message}: {error:?}",
            route.name
        );
    }
}

#[test]
fn what_may_not_be_written_says_which_right_it_takes() {
    let error = judged(
        Route::UPDATE,
        &refused(403, "forbidden", "Not Authorized to access this resource/api"),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::Forbidden { .. })
            && text.contains("a role whose privileges over users"),
        "{text}"
    );
    // No privilege ends a suspension by Google itself.
    let own =
        judged(Route::UPDATE, &refused(403, "adminCannotUnsuspend", "Admin cannot unsuspend"))
            .unwrap_err()
            .to_string();
    assert!(!own.contains("privileges"), "{own}");
}

#[test]
fn a_refused_attribute_is_named_by_its_target() {
    for (reason, message, field) in [
        ("invalid", "Invalid Input: primary_user_email", Some("primaryEmail")),
        ("invalid", "Invalid Given Name", Some("name.givenName")),
        ("invalid", "Invalid Given/Family Name: GivenName", Some("name.givenName")),
        ("invalid", "Invalid Given/Family Name: FamilyName", Some("name.familyName")),
        ("invalid", "Invalid Input: organizations", Some("organizations")),
        ("invalid", "Invalid Input: externalIds", Some("externalIds.organization")),
        ("invalid", "Invalid Ou Id", Some("orgUnitPath")),
        ("invalid", "Invalid Input: INVALID_OU_ID", Some("orgUnitPath")),
        ("invalid", "Invalid Input: custom_schema", Some("customSchemas.Work.cell")),
        ("invalid", "Invalid Input: phones", Some("phones.work")),
        ("invalid", "Invalid Input: organizations title", Some("organizations.title")),
        ("invalid", "Invalid Password", Some("password")),
        ("invalid", "", None),
    ] {
        match judged(Route::UPDATE, &refused(400, reason, message)).unwrap_err() {
            Error::Rejected { field: named, .. } => {
                assert_eq!(named.as_deref(), field, "{message}")
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

fn rejected(
    targets: &[(&str, &str)],
    password: Password<'_>,
    message: &str,
) -> (Option<String>, String) {
    let (names, values): (Vec<&str>, Vec<&str>) = targets.iter().copied().unzip();
    let values: Vec<_> = values.into_iter().map(Some).collect();
    let (mapping, write) = (fixtures::mapping(&names, 0), fixtures::write(&values));
    let sent = Sent::Create(&mapping, &write, password);
    match judge(Route::CREATE, &refused(400, "invalid", message), sent, "the-scope").unwrap_err() {
        Error::Rejected { field, said } => (field, said),
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn a_409_to_a_write_without_an_address_speaks_of_no_address() {
    let mapping = fixtures::mapping(&["organizations.title"], 0);
    let titled = fixtures::write(&[Some("Lead")]);
    for write in [titled, AccountWrite::default()] {
        for (reason, message) in [
            ("duplicate", "Entity already exists."),
            ("conflict", "Conflicting requests. Please try again."),
        ] {
            let error = judge(
                Route::UPDATE,
                &refused(409, reason, message),
                Sent::Write(&mapping, &write),
                "the-scope",
            )
            .unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{reason}: {error:?}");
        }
    }
}

#[test]
fn the_providers_own_words_are_kept_and_the_persons_are_not() {
    let mapping = fixtures::mapping(&[], 0);
    let foreign = r#"{"externalIds": [
        {"type": "custom", "customType": "payroll", "value": "QX-Personnel-77"}]}"#;
    let write = AccountWrite { foreign: Some(foreign.into()), ..AccountWrite::default() };
    let said = Sent::Write(&mapping, &write)
        .clean("Invalid Input: custom_schema custom payroll QX-Personnel-77");
    assert_eq!(said, "Invalid Input: custom_schema custom payroll …");
}

#[test]
fn what_the_settings_add_to_a_new_account_is_named_with_the_setting() {
    let name = [("primaryEmail", "noa.lind@example.com")];
    let (field, said) = rejected(&name, Password::Default("Correct-Horse-7"), "Invalid Password");
    assert_eq!(field.as_deref(), Some("password"));
    assert!(
        said.contains("default password") && said.contains("provisioning.defaultPasswordSecretRef"),
        "{said}"
    );
    let (field, said) = rejected(&name, Password::Generated("Correct-Horse-7"), "Invalid Password");
    assert!(
        field.as_deref() == Some("password")
            && said.contains("generated")
            && !said.contains("the default"),
        "{said}"
    );
    let (field, said) = rejected(&name, Password::Generated("Correct-Horse-7"), "Invalid Ou Id");
    assert!(
        field.as_deref() == Some("orgUnitPath")
            && said.contains("provider.googleWorkspace.orgUnitPath"),
        "{said}"
    );
    let (field, said) =
        rejected(&[name[0], ("orgUnitPath", "/Nowhere")], Password::Absent, "Invalid Ou Id");
    assert!(
        field.as_deref() == Some("orgUnitPath") && !said.contains("settings"),
        "a row's own value: {said}"
    );
    // A word of a value is not a word of Google's.
    let title = [name[0], ("organizations.title", "Password Clerk")];
    let (field, _) = rejected(
        &title,
        Password::Default("Correct-Horse-7"),
        "Invalid Input: organizations title Password Clerk",
    );
    assert_eq!(field.as_deref(), Some("organizations.title"));
}

#[test]
fn a_listing_that_is_refused_names_the_customer_as_a_cause() {
    for (route, status, reason, message) in [
        (Route::LIST, 403, "forbidden", "Not Authorized to access this resource/api"),
        (
            Route::new("schemas", Purpose::Definitions),
            404,
            "notFound",
            "Resource Not Found: customer",
        ),
    ] {
        let refused = judge(route, &refused(status, reason, message), Sent::Nothing, "the-scope")
            .unwrap_err();
        let Error::Denied { said } = refused else { panic!("{refused:?}") };
        assert!(said.contains("if customer is set") && said.contains("my_customer"), "{said}");
    }
    let made = judge(
        Route::CREATE,
        &refused(403, "forbidden", "Not Authorized"),
        Sent::Nothing,
        "the-scope",
    )
    .unwrap_err();
    assert!(!made.to_string().contains("customer"), "a create does not name it: {made}");
}

#[test]
fn nothing_that_was_sent_comes_back_the_password_least_of_all() {
    for status in [400, 401, 403, 404, 409, 412, 500] {
        let echo = format!(
            "{} and Correct-Horse-7 and 3332883894235038486",
            VALUES.join(", ").to_uppercase()
        );
        let text =
            format!("{:?}", judged(Route::CREATE, &refused(status, "invalid", &echo)).unwrap_err())
                .to_lowercase();
        for value in VALUES.iter().chain(&["Correct-Horse-7", "3332883894235038486"]) {
            assert!(!text.contains(&value.to_lowercase()), "{status}: {text}");
        }
    }
}

#[test]
fn the_token_service_says_whether_it_is_the_key_the_delegation_or_the_administrator() {
    let token = |status, body: Value| {
        let answer = answer(status, "application/json", body.to_string());
        judge(
            Route::TOKEN,
            &answer,
            Sent::Credential("bob@x.iam.example", "admin@example.com"),
            "the-scope",
        )
        .unwrap_err()
    };
    for (status, error, description, category) in [
        (400, "invalid_grant", "Invalid JWT Signature.", "unauthorized"),
        (400, "invalid_grant", "Invalid grant: account not found", "unauthorized"),
        (400, "invalid_grant", "Invalid email or User ID", "denied"),
        (
            401,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method",
            "denied",
        ),
        (403, "access_denied", "Requested client not authorized.", "denied"),
        (400, "invalid_scope", "Bad scope", "denied"),
        (401, "invalid_client", "Unknown", "unauthorized"),
        (404, "not_found", "", "unavailable"),
        (500, "internal_failure", "", "unavailable"),
    ] {
        let refused = token(status, json!({"error": error, "error_description": description}));
        assert_eq!(refused.category(), category, "{error} {description}: {refused:?}");
    }
}

#[test]
fn pages_for_people_and_redirects_are_an_outage_or_an_unknown_outcome() {
    for status in [200, 302, 403, 502] {
        let page = answer(status, "text/html", "<html>");
        assert_eq!(judged(Route::LIST, &page).unwrap_err().category(), "unavailable", "{status}");
        assert_eq!(judged(Route::CREATE, &page).unwrap_err().category(), "unknown", "{status}");
    }
    assert!(judged(Route::CREATE, &answer(200, "application/json", "{}")).is_ok());
}
