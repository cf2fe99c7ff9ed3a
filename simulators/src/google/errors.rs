//! The error bodies of the Directory API and of the token service.

use serde_json::{Value, json};

use crate::front::Answer;

/// Returns `{"error":{"code","message","errors":[{"domain","reason","message"}]}}`.
pub fn refused(status: u16, reason: &str, message: &str) -> Answer {
    Answer::json(status, &body(status, reason, message))
}

pub fn body(status: u16, reason: &str, message: &str) -> Value {
    let one = json!({"domain": "global", "reason": reason, "message": message});
    json!({"error": {"code": status, "message": message, "errors": [one]}})
}

pub fn invalid(what: &str) -> Answer {
    refused(400, "invalid", &format!("Invalid Input: {what}"))
}

pub fn required(what: &str) -> Answer {
    refused(400, "required", &format!("Missing required field: {what}"))
}

pub fn not_found(what: &str) -> Answer {
    refused(404, "notFound", &format!("Resource Not Found: {what}"))
}

pub fn forbidden() -> Answer {
    refused(403, "forbidden", "Not Authorized to access this resource/api")
}

pub fn unauthorized() -> Answer {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
    refused(401, "authError", message)
}

/// Returns `{"error","error_description"}`: the token service (RFC 6749, 5.2).
pub fn token(status: u16, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({"error": error, "error_description": description}))
}
