//! `$batch`: up to 20 requests in one, each handled by itself.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::errors;
use crate::front::{Answer, Call, Content};

/// "JSON batch requests are currently limited to 20 individual requests."
const MOST: usize = 20;

/// Returns the requests of a batch as calls, with their ids and dependencies.
pub fn requests(call: &Call) -> Result<Vec<(String, Vec<String>, Call)>, Answer> {
    let malformed = |why: &str| errors::refused(400, "BadRequest", why);
    if call.media_type().as_deref() != Some("application/json") {
        return Err(malformed("Invalid batch payload format."));
    }
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|_| malformed("Invalid batch payload format."))?;
    let requests = body["requests"]
        .as_array()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| malformed("Invalid batch payload format."))?;
    if requests.len() > MOST {
        return Err(malformed("Number of requests inside batch exceed the limit."));
    }
    let mut calls: Vec<(String, Vec<String>, Call)> = Vec::new();
    for request in requests {
        let id = request["id"]
            .as_str()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| malformed("A request has no id."))?;
        if calls.iter().any(|(known, ..)| known.eq_ignore_ascii_case(id)) {
            return Err(malformed("Two requests have one id."));
        }
        let depends: Vec<String> = request["dependsOn"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if depends.iter().any(|other| !calls.iter().any(|(known, ..)| known == other)) {
            return Err(malformed("A request depends on one that is not before it."));
        }
        calls.push((
            id.to_owned(),
            depends,
            single(call, request).ok_or_else(|| malformed("A request is malformed."))?,
        ));
    }
    Ok(calls)
}

fn single(outer: &Call, request: &Value) -> Option<Call> {
    let method = Method::from_bytes(request["method"].as_str()?.as_bytes()).ok()?;
    let url = request["url"].as_str().filter(|url| !url.contains("://"))?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers = HeaderMap::new();
    // The token and the address come from the outer request; everything else is each request's own.
    for name in ["authorization", "host"] {
        if let Some(value) = outer.headers.get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        headers
            .insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.as_str()?).ok()?);
    }
    let body = match &request["body"] {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let path = format!("/v1.0/{}", path.trim_start_matches('/'));
    Some(Call {
        method,
        path,
        query: query.to_owned(),
        headers,
        body,
        peer: outer.peer,
        at_once: 1,
    })
}

/// Returns the answer to all, in another order than the requests.
pub fn answer(
    calls: Vec<(String, Vec<String>, Call)>,
    mut one: impl FnMut(&Call) -> Answer,
) -> Answer {
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses: Vec<Value> = Vec::new();
    for (id, depends, call) in calls {
        let failed = depends
            .iter()
            .any(|other| !statuses.get(other).is_some_and(|status| (200..300).contains(status)));
        let answer = if failed {
            errors::refused(424, "FailedDependency", "Failed Dependency")
        } else {
            one(&call)
        };
        statuses.insert(id.clone(), answer.status);
        responses.push(response(&id, answer));
    }
    responses.reverse();
    Answer::json(200, &json!({ "responses": responses }))
}

/// Returns the requests of an answered batch, and the statuses of their answers.
pub fn within(call: &Call, answer: &Answer) -> Vec<(Call, u16)> {
    let (Ok(calls), 200, Content::Full(body)) = (requests(call), answer.status, &answer.content)
    else {
        return Vec::new();
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let status = |id: &str| {
        let responses = body["responses"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = responses.iter().find(|response| response["id"] == id)?;
        u16::try_from(found["status"].as_u64()?).ok()
    };
    calls
        .into_iter()
        .map(|(id, _, one)| (status(&id).unwrap_or_default(), one))
        .map(|(status, one)| (one, status))
        .collect()
}

fn response(id: &str, answer: Answer) -> Value {
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let capital: Vec<String> =
                name.split('-').map(|part| part[..1].to_uppercase() + &part[1..]).collect();
            (capital.join("-"), json!(value))
        })
        .collect();
    let mut response = json!({"id": id, "status": answer.status, "headers": headers});
    if let Content::Full(bytes) = answer.content
        && !bytes.is_empty()
    {
        response["body"] = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    }
    response
}
