//! What refusals say to a reader: error bodies as the services send them, and the whole text that
//! comes of each. The texts have no employee's data, no secret, no id, no page and no code.

use bobsync::{
    domain::{account::Access, priority::Urgency},
    provider::{Error, Initial, Key},
};
use serde_json::{Value, json};
use simulators::{Fault, FaultKind};

use crate::tenant::{Calls, Tenant, account, creation, rows, untold, write};

/// One answer to one call.
struct Row {
    calls: Calls,
    status: u16,
    /// A text is sent as it is.
    body: Value,
    /// The whole text of the error.
    says: &'static str,
}

const fn row(calls: Calls, status: u16, body: Value, says: &'static str) -> Row {
    Row { calls, status, body, says }
}

/// The values that the calls send, and what the answers show of other employees and of the
/// credential. No error shows one of them.
const HIDDEN: [&str; 16] = [
    "lindstr",
    "prüfwesen",
    "prufwesen",
    "pr%c3%bcfwesen",
    "walks",
    "B-17-X",
    "noa.lind",
    "kim.park",
    "901 82",
    "3332883894235038486",
    "5f1e7c0b",
    "8f3c1c2e",
    "eyJ",
    "ya29",
    ".rb",
    ".java",
];

const TITLE: &str = "Leiterin Prüfwesen";
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJvaWQiOiI4ZjNjMWMyZSJ9.c2lnbmF0dXJl";
const KEY: &str = "5f1e7c0b9d10a4b3c2d1e0f95f1e7c0b9d10a4b3";
const GUID: &str = "8f3c1c2e-7d1b-4c55-9a53-2f1e7c0b9d10";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Attention required</title></head><body><h1>Sorry, you have been blocked</h1>\
                    <p>kim.park@example.com, ray 5f1e7c0b9d10a4b3</p></body></html>";

fn onelogin() -> Vec<Row> {
    use Calls::{Creates, Reads, Tokens, Updates};
    let said = |text: String| json!({"message": text, "name": "UnprocessableEntityError", "statusCode": 422});
    vec![
        row(
            Updates,
            422,
            said("Validation failed: Title is too long (maximum is 128 characters)".into()),
            "the provider refused title: Validation failed: Title is too long (maximum is 128 characters)",
        ),
        row(
            Updates,
            400,
            json!({"status": {"error": true, "code": 400, "type": "bad request",
                "message": {"attribute": "title", "description": "Title is incorrect"}}}),
            "the provider refused title: Title is incorrect",
        ),
        row(
            Updates,
            422,
            said(json!({"errors": [{"message": "Title is reserved", "value": "LEITERIN PRUFWESEN"}], "id": 123_456_789}).to_string()),
            "the provider refused title: Title is reserved",
        ),
        row(
            Updates,
            422,
            said("Validation failed: Title LEITERIN PRUFWESEN is reserved".into()),
            "the provider refused title: Validation failed: Title … is reserved",
        ),
        row(Updates, 422, said("Title Leiterin Pru\u{308}fwesen is reserved".into()), "the provider refused title: Title … is reserved"),
        row(
            Updates,
            400,
            said("Invalid request: title=Leiterin%20Pr%C3%BCfwesen&department=Ministry+of+Walks".into()),
            "the provider refused title: Invalid request: title=…&department=…",
        ),
        row(
            Updates,
            422,
            said("Validation failed: Title is used by user 123456789 kim.park@example.com".into()),
            "the provider refused title: Validation failed: Title is used by user … …",
        ),
        row(
            Updates,
            422,
            said("Validation failed: Department has the phone +49 (30) 901 82 17".into()),
            "the provider refused department: Validation failed: Department has the phone …",
        ),
        row(
            Updates,
            400,
            said("undefined method `title' for nil:NilClass\n/app/models/user.rb:42:in `assign'\n/app/models/user.rb:7:in `save'".into()),
            "the provider refused title: undefined method …",
        ),
        row(
            Updates,
            400,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 400 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Updates,
            403,
            json!({"message": "You cannot edit the account owner", "name": "ForbiddenError", "statusCode": 403}),
            "the credential may not change this account: no API credential may change the account owner, and for any other user \
             it needs the scope \"Manage users\"; OneLogin said: You cannot edit the account owner",
        ),
        row(Creates, 422, said("Validation failed: Email must be unique within acme".into()), "another account has this email"),
        row(
            Creates,
            400,
            json!({"message": "unknown attribute: custom_attributes.work_cell", "name": "BadRequestError", "statusCode": 400}),
            "the provider refused custom_attributes.work_cell: unknown attribute: custom_attributes.work_cell",
        ),
        row(
            Reads,
            200,
            json!(PAGE),
            "the provider is unavailable: an HTML page came instead of JSON, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Reads,
            400,
            json!({"status": 400, "error": "BadRequestError", "description": "Invalid pagination cursor"}),
            "the provider is unavailable: HTTP 400: Invalid pagination cursor",
        ),
        row(
            Reads,
            401,
            json!({"message": format!("Unauthorized: bearer:{KEY}"), "name": "UnauthorizedError", "statusCode": 401}),
            "the provider refused the credential: Unauthorized: bearer:…",
        ),
        row(
            Tokens,
            401,
            json!({"status": {"error": true, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}}),
            "the provider refused the credential: Authentication Failure",
        ),
    ]
}

fn google() -> Vec<Row> {
    use Calls::{Creates, Reads, Tokens, Updates};
    let said = |status: u16, reason: &str, text: &str| {
        let errors = json!([{"domain": "global", "reason": reason, "message": text}]);
        json!({"error": {"code": status, "message": text, "errors": errors}})
    };
    vec![
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid Given/Family Name: FamilyName"),
            "the provider refused name.familyName: Invalid Given/Family Name: FamilyName",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid Input: custom_schema"),
            "the provider refused customSchemas.Work.cell: Invalid Input: custom_schema",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", &json!({"error": {"message": "Invalid Input: organizations title", "value": TITLE}}).to_string()),
            "the provider refused organizations.title: Invalid Input: organizations title",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid Input: organizations title LEITERIN PRUFWESEN"),
            "the provider refused organizations.title: Invalid Input: organizations title …",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid query: organizations.title=Leiterin%20Pr%C3%BCfwesen"),
            "the provider refused organizations.title: Invalid query: organizations.title=…",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid Input: relations kim.park@example.com, phone +49 30 901 82 17"),
            "the provider refused the change: Invalid Input: relations … phone …",
        ),
        row(
            Updates,
            400,
            said(400, "invalid", "Invalid Input: organizations department\n\tat com.google.apps.Users.update(Users.java:42)"),
            "the provider refused organizations.department: Invalid Input: organizations department",
        ),
        row(
            Updates,
            403,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 403 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Updates,
            403,
            said(403, "forbidden", "Not Authorized to access this resource/api"),
            "the credential may not change this account: the administrator in adminEmail needs a role whose privileges over \
             users reach this one; Google said: Not Authorized to access this resource/api",
        ),
        row(
            Updates,
            409,
            said(409, "conflict", "Conflicting requests. Please try again."),
            "the provider is unavailable: HTTP 409: Conflicting requests. Please try again.",
        ),
        row(
            Updates,
            412,
            said(412, "conditionNotMet", "User creation is not complete."),
            "the provider is unavailable: User creation is not complete.",
        ),
        row(Creates, 409, said(409, "duplicate", "Entity already exists."), "another account has this primaryEmail"),
        row(Creates, 404, said(404, "notFound", "Domain not found."), "the provider refused primaryEmail: Domain not found."),
        row(
            Reads,
            401,
            said(401, "authError", "Invalid Credentials: Bearer ya29.a0AfB_byC9d8E7f6G5h4I3j2K1"),
            "the provider refused the credential: Invalid Credentials: Bearer …",
        ),
        row(
            Reads,
            400,
            said(400, "invalid", "Invalid Input: INVALID_PAGE_TOKEN"),
            "the provider is unavailable: HTTP 400: Invalid Input: INVALID_PAGE_TOKEN",
        ),
        row(
            Reads,
            200,
            json!(PAGE),
            "the provider is unavailable: an HTML page came instead of JSON, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Tokens,
            400,
            json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
            "the provider refused the credential: Invalid JWT Signature.",
        ),
        row(
            Tokens,
            400,
            json!({"error": "invalid_grant", "error_description": format!("Invalid email or User ID {TOKEN}")}),
            "the credential lacks a permission: the service account may not act for the user in adminEmail; Google said: \
             Invalid email or User ID …",
        ),
    ]
}

fn entra() -> Vec<Row> {
    use Calls::{Creates, Reads, Tokens, Updates};
    let inner =
        json!({"date": "2026-11-30T16:48:09", "request-id": GUID, "client-request-id": GUID});
    let said = |code: &str, text: &str| json!({"error": {"code": code, "message": text, "innerError": inner}});
    vec![
        row(
            Updates,
            400,
            json!({"error": {"code": "Request_BadRequest", "innerError": inner,
                "message": "Invalid value specified for property 'jobTitle' of resource 'User'.",
                "details": [{"code": "PropertyValueInvalid", "target": "jobTitle", "message": "..."}]}}),
            "the provider refused jobTitle: Invalid value specified for property 'jobTitle' of resource ….",
        ),
        row(
            Updates,
            400,
            said("Request_BadRequest", "Property jobTitle value LEITERIN PRUFWESEN is invalid."),
            "the provider refused jobTitle: Property jobTitle value … is invalid.",
        ),
        row(
            Updates,
            400,
            said("Request_BadRequest", "Invalid filter jobTitle eq Leiterin%20Pr%C3%BCfwesen"),
            "the provider refused jobTitle: Invalid filter jobTitle eq …",
        ),
        row(
            Updates,
            400,
            said(
                "Request_BadRequest",
                &json!({"odata.error": {"message": {"lang": "en", "value": "Invalid jobTitle"}, "values": [{"value": TITLE}]}}).to_string(),
            ),
            "the provider refused jobTitle: Invalid jobTitle",
        ),
        row(
            Updates,
            400,
            said("Request_BadRequest", &format!("A conflicting reference jobTitle to {GUID} of kim.park@example.com, +49 30 901 82 17")),
            "the provider refused jobTitle: A conflicting reference jobTitle to … of … …",
        ),
        row(
            Updates,
            400,
            said("Request_BadRequest", "Unexpected jobTitle\r\n   at Microsoft.Graph.Users.Update(User user) in User.java:line 7"),
            "the provider refused jobTitle: Unexpected jobTitle",
        ),
        row(
            Updates,
            403,
            said("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
            "the credential may not change this account: the app registration needs the application permission \
             User.ReadWrite.All, and for an administrator's account a directory role that is high enough; Microsoft said: \
             Insufficient privileges to complete the operation.",
        ),
        row(
            Updates,
            403,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 403 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Updates,
            404,
            said(
                "Request_ResourceNotFound",
                &format!("Resource '{GUID}' does not exist or one of its queried reference-property objects are not present."),
            ),
            "the account does not exist",
        ),
        row(
            Creates,
            400,
            said("Request_BadRequest", "Another object with the same value for property userPrincipalName already exists."),
            "another account has this userPrincipalName",
        ),
        row(
            Creates,
            403,
            said(
                "Directory_QuotaExceeded",
                "The directory object quota limit for the Principal has been exceeded. Please ask your administrator to \
                 increase the quota limit or delete objects to reduce the used quota.",
            ),
            "the credential may not change this account: the quota of objects in this directory is used up; Microsoft said: \
             The directory object quota limit for the Principal has been exceeded. Please ask your administrator to \
             increase the quota limit or delete objects to reduce the…",
        ),
        row(
            Reads,
            401,
            said("InvalidAuthenticationToken", &format!("Access token validation failure: {TOKEN}")),
            "the provider refused the credential: Access token validation failure: …",
        ),
        row(
            Reads,
            400,
            said("Directory_ExpiredPageToken", "The specified page token has expired."),
            "the provider is unavailable: HTTP 400: The specified page token has expired.",
        ),
        row(
            Reads,
            200,
            json!(PAGE),
            "the provider is unavailable: an HTML page came instead of JSON, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Tokens,
            401,
            json!({"error": "invalid_client", "error_codes": [7_000_215], "error_description": format!(
                "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
                 not the client secret ID, for a secret added to app '{GUID}'. Trace ID: {GUID} Correlation ID: {GUID} Timestamp: \
                 2026-11-30 16:48:09Z")}),
            "the provider refused the credential: Invalid client secret provided. Ensure the secret being sent in the \
             request is the client secret value, not the client secret ID, for a secret added to app …. (AADSTS7000215)",
        ),
    ]
}

fn jumpcloud() -> Vec<Row> {
    use Calls::{Creates, Reads, Updates};
    let said = |text: &str| json!({"message": text, "error": "Bad Request"});
    vec![
        row(
            Updates,
            400,
            json!({"code": 3, "message": "invalid argument", "status": "INVALID_ARGUMENT",
                "details": [{"fieldViolationsList": [{"field": "jobTitle", "description": "jobTitle is too long"}]}]}),
            "the provider refused jobTitle: invalid argument (jobTitle: jobTitle is too long)",
        ),
        row(
            Updates,
            400,
            said("Validation failed: jobTitle LEITERIN PRUFWESEN is reserved"),
            "the provider refused jobTitle: Validation failed: jobTitle … is reserved",
        ),
        row(
            Updates,
            400,
            said("Bad request: jobTitle=Leiterin%20Pr%C3%BCfwesen"),
            "the provider refused jobTitle: Bad request: jobTitle=…",
        ),
        row(
            Updates,
            400,
            said(
                &json!({"errors": {"jobTitle": {"message": "jobTitle is odd", "value": TITLE}}})
                    .to_string(),
            ),
            "the provider refused jobTitle: jobTitle is odd",
        ),
        row(
            Updates,
            400,
            said(&format!("Cast to ObjectId failed for jobTitle of user {}", &KEY[..24])),
            "the provider refused jobTitle: Cast to ObjectId failed for jobTitle of user …",
        ),
        row(
            Updates,
            400,
            said("The user kim.park@example.com has this department, +49 30 901 82 17"),
            "the provider refused department: The user … has this department, …",
        ),
        row(
            Updates,
            400,
            said(
                "TypeError: Cannot read property department of undefined\n    at User.save (/opt/app/user.js:7:1)\n    at \
                 next (/opt/app/x.js:1:1)",
            ),
            "the provider refused department: TypeError: Cannot read property department of undefined",
        ),
        row(
            Updates,
            400,
            json!("Bad Request: department has a wrong type"),
            "the provider refused department: Bad Request: department has a wrong type",
        ),
        row(
            Updates,
            403,
            json!({"message": "Forbidden"}),
            "the credential may not change this account: the administrator who owns the API key needs a role that may \
             change this user; JumpCloud said: Forbidden",
        ),
        row(
            Updates,
            403,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 403 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Updates,
            403,
            json!({"message": "Your IP 203.0.113.77 has been blocked due to suspected abuse"}),
            "the outcome of the write is unknown: HTTP 403: Your IP 203.0.113.77 has been blocked due to suspected abuse",
        ),
        row(
            Creates,
            409,
            json!({"message": "Email already exists: noa.lind@example.com", "status": "ALREADY_EXISTS"}),
            "another account has this email",
        ),
        row(
            Creates,
            400,
            json!({"message": "User already exists or Bad Request"}),
            "another account has this e-mail or username",
        ),
        row(
            Reads,
            401,
            json!({"message": format!("Unauthorized: x-api-key {KEY} is not valid")}),
            "the provider refused the credential: Unauthorized: x-api-key … is not valid; an administrator of several \
             organizations also needs organizationId",
        ),
        row(
            Reads,
            400,
            json!({"message": "Invalid sort"}),
            "the provider is unavailable: HTTP 400: Invalid sort",
        ),
        row(
            Reads,
            200,
            json!(PAGE),
            "the provider is unavailable: an HTML page came instead of JSON, such as a firewall, a proxy or a log-in sends",
        ),
    ]
}

fn okta() -> Vec<Row> {
    use Calls::{Creates, Reads, Tokens, Updates};
    let said = |code: &str, summary: &str, causes: &[&str]| {
        let causes: Vec<Value> =
            causes.iter().map(|cause| json!({"errorSummary": cause})).collect();
        json!({"errorCode": code, "errorSummary": summary, "errorLink": code,
            "errorId": "oae5f1e7c0b9d10a4b3", "errorCauses": causes})
    };
    let invalid = |field: &str, causes: &[&str]| {
        said("E0000001", &format!("Api validation failed: {field}"), causes)
    };
    vec![
        row(
            Updates,
            400,
            invalid("title", &["title: Leiterin Prüfwesen is too long"]),
            "the provider refused title: title: … is too long",
        ),
        row(
            Updates,
            400,
            invalid("updateUser", &["Property name 'badge' is not defined in profile"]),
            "the provider refused badge: Property name 'badge' is not defined in profile",
        ),
        row(
            Updates,
            400,
            said("E0000003", "The request body was not well-formed.", &[]),
            "the provider refused the change: The request body was not well-formed.",
        ),
        row(
            Updates,
            403,
            said("E0000006", "You do not have permission to perform the requested action", &[]),
            "the credential may not change this account: the API token or the service app needs an administrator role \
             that may change this user; Okta said: You do not have permission to perform the requested action",
        ),
        row(
            Updates,
            403,
            said(
                "E0000023",
                "Operation failed because user profile is mastered under another system",
                &[],
            ),
            "another system is the master of this account: Operation failed because user profile is mastered under \
             another system",
        ),
        row(
            Updates,
            409,
            said(
                "E0000112",
                "Cannot update this user because they are still being activated.",
                &[],
            ),
            "the provider is unavailable: the account is changing its status: Cannot update this user because they are \
             still being activated.",
        ),
        row(
            Updates,
            503,
            said("E0000010", "Service is in read only mode", &[]),
            "the provider is unavailable: Okta is in maintenance and takes no changes now: Service is in read only mode",
        ),
        row(
            Updates,
            403,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 403 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Creates,
            400,
            invalid(
                "login",
                &["login: An object with this field already exists in the current organization"],
            ),
            "another account has this login",
        ),
        row(
            Creates,
            400,
            invalid(
                "email",
                &["email: An object with this field already exists in the current organization"],
            ),
            "another account has this email",
        ),
        row(
            Tokens,
            401,
            json!({"error": "invalid_client", "error_description": format!("The client_assertion {TOKEN} is invalid.")}),
            "the provider refused the credential: The client_assertion … is invalid.",
        ),
        row(
            Tokens,
            400,
            json!({"error": "consent_required", "error_description": "You are not allowed any of the requested scopes."}),
            "the credential lacks a permission: grant the service app the scopes okta.users.manage okta.users.read \
             okta.schemas.read in Okta, tab Okta API Scopes of the app; Okta said: You are not allowed any of the \
             requested scopes.",
        ),
        row(
            Reads,
            401,
            said("E0000011", "Invalid token provided", &[]),
            "the provider refused the credential: Invalid token provided",
        ),
        row(
            Reads,
            403,
            said("E0000006", "You do not have permission to perform the requested action", &[]),
            "the credential lacks a permission: the API token or the service app needs an administrator role that may \
             manage users; Okta said: You do not have permission to perform the requested action",
        ),
        row(
            Reads,
            400,
            said("E0000031", "Invalid search criteria.", &[]),
            "the provider is unavailable: HTTP 400: Invalid search criteria.",
        ),
    ]
}

fn scim() -> Vec<Row> {
    use Calls::{Creates, Reads, Updates};
    let said = |status: u16, kind: &str, detail: &str| {
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(), "scimType": kind, "detail": detail})
    };
    vec![
        row(
            Updates,
            400,
            said(400, "invalidValue", "title has a wrong type"),
            "the provider refused title: title has a wrong type",
        ),
        row(
            Updates,
            400,
            said(400, "invalidValue", "Attribute 'department' does not take \"Ministry of Walks\""),
            "the provider refused enterprise.department: Attribute … does not take …",
        ),
        row(
            Updates,
            400,
            json!({"message": "badge B-17-X of kim.park@example.com is in use"}),
            "the provider refused urn:example:params:scim:schemas:extension:company:2.0:User:badge: badge … of … is in use",
        ),
        row(
            Updates,
            403,
            said(403, "", "You may not change 3332883894235038486"),
            "the credential may not change this account: You may not change …",
        ),
        row(
            Updates,
            403,
            json!(PAGE),
            "the outcome of the write is unknown: HTTP 403 with an HTML page, such as a firewall, a proxy or a log-in sends",
        ),
        row(
            Creates,
            409,
            said(409, "uniqueness", "userName noa.lind@example.com is taken"),
            "another account has this userName",
        ),
        row(
            Creates,
            409,
            said(409, "uniqueness", "User already exists in the database."),
            "another account has this e-mail or username",
        ),
        row(
            Creates,
            404,
            json!({"message": "Not Found"}),
            "the provider is unavailable: HTTP 404 for /Users: spec.provider.scim.endpoint has to be the SCIM base URL, \
             below which GET /Users answers a ListResponse, such as https://idp.example.com/scim/v2",
        ),
        row(
            Reads,
            401,
            json!({"detail": format!("Bearer {KEY} is not valid")}),
            "the provider refused the credential: Bearer … is not valid",
        ),
        row(
            Reads,
            200,
            json!(PAGE),
            "the provider is unavailable: an HTML page came from /Users: spec.provider.scim.endpoint has to be the SCIM \
             base URL, below which GET /Users answers a ListResponse, such as https://idp.example.com/scim/v2",
        ),
        row(
            Reads,
            400,
            said(400, "invalidValue", "startIndex must be a number"),
            "the provider is unavailable: HTTP 400: startIndex must be a number",
        ),
    ]
}

pub async fn a_refusal_says_what_is_wrong_and_nothing_of_an_employee<T: Tenant>(tenant: &T) {
    let table = [
        ("OneLogin", onelogin()),
        ("Google Workspace", google()),
        ("Microsoft Entra ID", entra()),
        ("JumpCloud", jumpcloud()),
        ("Okta", okta()),
        ("SCIM", scim()),
    ];
    let (_, table) = table
        .into_iter()
        .find(|(name, _)| *name == T::CATALOG.name)
        .expect("each provider has a table");
    let id = tenant.make(&[account("kim")]).await.remove(0);
    let change = write(&[
        (rows::TITLE, Some(TITLE)),
        (rows::DEPARTMENT, Some("Ministry of Walks")),
        (rows::EXTENSION, Some("B-17-X")),
        (7, Some("Lindström")),
    ]);
    let mut noa = account("noa.lind");
    for (row, text) in [
        (rows::TITLE, TITLE),
        (rows::DEPARTMENT, "Ministry of Walks"),
        (rows::EXTENSION, "B-17-X"),
        (7, "Lindström"),
    ] {
        noa.attributes[row] = Some(text.into());
    }
    let mut wrong = Vec::new();
    for row in table {
        let is_page = row.body.as_str().is_some_and(|body| body.starts_with('<'));
        let kind = if is_page { FaultKind::Html } else { FaultKind::Status };
        let fault = Fault::new(kind).status(row.status).body(row.body.clone());
        let mut changed = change.clone();
        changed.foreign = tenant.foreign(&id).await;
        tenant.fault(row.calls, fault).await;
        let (provider, mapping) = (tenant.telling(untold()), tenant.mapping());
        let refused: Error = match row.calls {
            Calls::Reads => provider.list(mapping, &mut |_| ()).await.map(drop).unwrap_err(),
            Calls::Tokens => provider
                .find(mapping, Key::Email("noa.lind@example.com"))
                .await
                .map(drop)
                .unwrap_err(),
            Calls::Updates => provider
                .update(mapping, &id, &changed, Urgency::Normal)
                .await
                .map(drop)
                .unwrap_err(),
            Calls::Creates => provider
                .create(mapping, &creation(&noa, Access::Active), &Initial::default())
                .await
                .map(drop)
                .unwrap_err(),
        };
        tenant.heal().await;
        let (says, all) = (refused.to_string(), format!("{refused} {refused:?}").to_lowercase());
        let shows = HIDDEN.iter().find(|hidden| all.contains(&hidden.to_lowercase()));
        if says != row.says || shows.is_some() || says.contains(['<', '@', '\n']) {
            wrong.push(format!(
                "{} {}\n   says {says}\n    not {}\n  shows {shows:?}",
                row.status, row.body, row.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", T::CATALOG.name, wrong.join("\n"));
}
