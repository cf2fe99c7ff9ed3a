//! The error bodies of Microsoft Graph and of the sign-in service.

use serde_json::{Value, json};

use crate::front::Answer;

/// Returns `{"error":{"code","message","innerError"}}`.
pub fn refused(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &body(code, message, &Value::Null))
}

pub fn body(code: &str, message: &str, details: &Value) -> Value {
    let inner = json!({"date": "2026-11-22T08:00:00", "request-id": "7c8ad5ea-0000-4000-8000-000000000001", "client-request-id": "7c8ad5ea-0000-4000-8000-000000000001"});
    let mut error = json!({"code": code, "message": message, "innerError": inner});
    if !details.is_null() {
        error["details"] = details.clone();
    }
    json!({ "error": error })
}

pub fn bad(message: &str) -> Answer {
    refused(400, "Request_BadRequest", message)
}

/// Returns the refusal of one property.
pub fn invalid(property: &str) -> Answer {
    invalid_because(
        property,
        &format!("Invalid value specified for property '{property}' of resource 'User'."),
    )
}

pub fn invalid_because(property: &str, message: &str) -> Answer {
    let details = json!([{"code": "InvalidValue", "message": message, "target": property}]);
    Answer::json(400, &body("Request_BadRequest", message, &details))
}

/// Returns the refusal of a value that another object has.
pub fn conflict(property: &str) -> Answer {
    let message =
        format!("Another object with the same value for property {property} already exists.");
    let details = json!([
        {"code": "ObjectConflict", "message": message, "target": property},
        {"code": "ConflictingObjects", "message": message, "target": "User_7c8ad5ea"},
    ]);
    Answer::json(400, &body("Request_BadRequest", &message, &details))
}

pub fn not_found(what: &str) -> Answer {
    let message = format!(
        "Resource '{what}' does not exist or one of its queried reference-property objects are not present."
    );
    refused(404, "Request_ResourceNotFound", &message)
}

pub fn forbidden() -> Answer {
    refused(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )
}

pub fn unsupported(message: &str) -> Answer {
    refused(400, "Request_UnsupportedQuery", message)
}

pub fn unauthorized() -> Answer {
    refused(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
}

pub fn throttled(seconds: i64) -> Answer {
    refused(429, "TooManyRequests", "Too many requests.")
        .with("retry-after", seconds)
        .with("x-ms-throttle-scope", "Tenant_Application/Write")
}

/// Returns `{"error","error_description","error_codes"}`: the sign-in service.
pub fn token(status: u16, error: &str, number: u64, description: &str) -> Answer {
    let trace = "7c8ad5ea-0000-4000-8000-000000000002";
    let told = format!(
        "AADSTS{number}: {description} Trace ID: {trace} Correlation ID: {trace} Timestamp: 2026-11-22 08:00:00Z"
    );
    let body = json!({
        "error": error, "error_description": told, "error_codes": [number],
        "timestamp": "2026-11-22 08:00:00Z", "trace_id": trace, "correlation_id": trace,
    });
    Answer::json(status, &body)
}
