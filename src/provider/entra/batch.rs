//! Several writes in one call: `$batch` (Microsoft Graph, "Combine multiple HTTP requests using
//! JSON batching").

use std::collections::HashMap;

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::value::RawValue;

use super::{dialect::EntraDialect, errors::BATCH};
use crate::provider::prelude::*;

impl Batch for EntraDialect {
    const BATCH: Route = BATCH;
    /// "JSON batch requests are currently limited to 20 individual requests."
    const MOST: usize = 20;

    fn batch(&self) -> String {
        self.path("/$batch")
    }

    fn within<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(&*self.path("")).unwrap_or(path)
    }

    /// Each request has its own headers.
    fn request(id: usize, request: &BatchRequest) -> Value {
        let mut json =
            json!({"id": id.to_string(), "method": request.method.as_str(), "url": request.url});
        if let Some(body) = &request.body {
            json["headers"] = json!({"Content-Type": "application/json"});
            json["body"] = serde_json::from_slice(body).unwrap_or_default();
        }
        json
    }

    fn answers(answer: &Answer) -> Option<HashMap<String, Answer>> {
        responses(answer)
    }
}

/// One answer within the answer to a batch.
#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Vec<Response<'a>>,
}

/// Returns the answers by id, as if each had come alone. They come in any order.
fn responses(answer: &Answer) -> Option<HashMap<String, Answer>> {
    let Responses { responses } = serde_json::from_slice(&answer.body).ok()?;
    let mut answers = HashMap::new();
    for Response { id, status, headers: named, body } in responses {
        let mut headers = HeaderMap::new();
        for (name, value) in &named {
            let value = value.as_str().and_then(|text| HeaderValue::try_from(text).ok());
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value) {
                headers.insert(name, value);
            }
        }
        let body = body.map(RawValue::get).filter(|body| *body != "null").unwrap_or_default();
        // A body that is not JSON comes as a text. Within a batch, JSON need not say that it is
        // JSON.
        let body = match serde_json::from_str::<String>(body) {
            Ok(text) => Bytes::from(text),
            Err(_) => {
                if !body.is_empty() {
                    headers
                        .entry(CONTENT_TYPE)
                        .or_insert(HeaderValue::from_static("application/json"));
                }
                Bytes::copy_from_slice(body.as_bytes())
            }
        };
        answers.insert(id, Answer { status: StatusCode::from_u16(status).ok()?, headers, body });
    }
    Some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &Value) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    #[test]
    fn answers_are_told_apart_by_their_ids_and_are_as_if_they_had_come_alone() {
        let body = json!({"responses": [
            {"id": "1", "status": 204, "headers": {"request-id": "r-1"}},
            {"id": "0", "status": 429, "headers": {"Retry-After": "7",
                "Content-Type": "application/json"}, "body": {"error": {"code": "x"}}},
            {"id": "2", "status": 503, "body": "<html>"},
            {"id": "3", "status": 204, "body": null},
            {"id": "4", "status": 201, "body": {"id": "7"}},
        ]});
        let answers = responses(&answer(&body)).unwrap();
        assert_eq!((answers["0"].header("retry-after"), answers["0"].is_json()), (Some("7"), true));
        assert_eq!(
            (
                answers["1"].status.as_u16(),
                answers["1"].header("request-id"),
                answers["1"].body.len()
            ),
            (204, Some("r-1"), 0)
        );
        assert!(answers["2"].is_html() && answers["3"].body.is_empty() && answers["4"].is_json());
        for worthless in [
            json!({}),
            json!([]),
            json!({"responses": {}}),
            json!({"responses": [{"id": "1"}]}),
            json!({"error": {"code": "x"}}),
        ] {
            assert!(responses(&answer(&worthless)).is_none(), "{worthless}");
        }
    }
}
