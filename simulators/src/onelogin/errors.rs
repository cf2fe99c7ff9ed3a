//! The documented error bodies; clients must parse all of them.

use serde_json::{Value, json};

use crate::front::Answer;

pub const MALFORMED_PAGE: &str = "<!doctype html>\n<html><head><title>400 Bad Request</title></head><body><h1>Bad Request</h1></body></html>";

/// Returns `{"message","name","statusCode"}`: v2 users and custom attributes.
pub fn v2(status: u16, message: &str) -> Answer {
    Answer::json(status, &v2_body(status, message))
}

pub fn v2_body(status: u16, message: &str) -> Value {
    json!({"message": message, "name": name(status), "statusCode": status})
}

fn name(status: u16) -> &'static str {
    match status {
        400 => "BadRequestError",
        401 => "UnauthorizedError",
        403 => "ForbiddenError",
        404 => "NotFoundError",
        422 => "UnprocessableEntityError",
        429 => "TooManyRequestsError",
        503 => "ServiceUnavailableError",
        _ => "InternalServerError",
    }
}

/// Returns the same with the name of the offending field.
pub fn field(status: u16, field: &str, message: &str) -> Answer {
    let name = if status == 422 { "UnprocessableEntityFieldError" } else { name(status) };
    Answer::json(
        status,
        &json!({"message": message, "name": name, "statusCode": status, "field": field}),
    )
}

/// Returns `{"status","error","description"}`: v2 paging and newer services.
pub fn described(status: u16, description: &str) -> Answer {
    Answer::json(
        status,
        &json!({"status": status, "error": name(status), "description": description}),
    )
}

/// Returns `{"status":{…}}`: v1 and `/auth`.
pub fn v1(status: u16, message: impl Into<Value>) -> Answer {
    let kind = match status {
        400 => "bad request",
        401 => "Unauthorized",
        403 => "forbidden",
        404 => "not found",
        429 => "too many requests",
        _ => "error",
    };
    Answer::json(
        status,
        &json!({"status": {"error": true, "code": status, "type": kind, "message": message.into()}}),
    )
}

/// Returns the v1 envelope of a success.
pub fn v1_success() -> Value {
    json!({"error": false, "code": 200, "type": "success", "message": "Success"})
}

pub fn not_found() -> Answer {
    v2(404, "The resource with the given id could not be found")
}

pub fn unauthorized() -> Answer {
    v2(401, "Unauthorized")
}
