//! The bodies of people reads and their rules (apidocs.hibob.com, "People read
//! API contract"): what is refused, what gets the login page, what is ignored.

use serde_json::{Map, Value};

use super::render::Human;
use crate::front::Call;

/// Keys of a search body; any other is ignored by Bob and counted here.
const SEARCH_KEYS: &[&str] = &["fields", "filters", "showInactive", "humanReadable"];
const READ_KEYS: &[&str] = &["fields", "humanReadable"];
const MAX_FIELDS: usize = 400;

/// A filter that Bob accepts.
#[derive(Debug, PartialEq, Eq)]
pub enum Filter {
    Ids(Vec<String>),
    Emails(Vec<String>),
}

/// A request body, checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `None`: Bob's default set.
    pub fields: Option<Vec<String>>,
    pub filter: Option<Filter>,
    pub show_inactive: bool,
    pub human: Human,
    pub unknown_keys: usize,
}

/// Why a body was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400 with Bob's error object.
    Bad(&'static str),
    /// 415: the body is not JSON by its header.
    MediaType,
    /// A parameter of a wrong type: 200 with the HTML login page.
    LoginPage,
}

impl Request {
    /// Reads the body of `POST /v1/people/search`.
    pub fn search(call: &Call) -> Result<Self, Refusal> {
        Self::read(call, SEARCH_KEYS)
    }

    /// Reads the body of `POST /v1/people/{identifier}`.
    pub fn single(call: &Call) -> Result<Self, Refusal> {
        Self::read(call, READ_KEYS)
    }

    fn read(call: &Call, keys: &[&str]) -> Result<Self, Refusal> {
        if call.media_type().as_deref() != Some("application/json") {
            return Err(Refusal::MediaType);
        }
        let body: Value = serde_json::from_slice(&call.body)
            .map_err(|_| Refusal::Bad("The body is not valid JSON"))?;
        let Value::Object(body) = body else {
            return Err(Refusal::Bad("The body is not a JSON object"));
        };
        let known =
            |key: &str| body.get(key).filter(|value| !value.is_null() && keys.contains(&key));
        let fields = known("fields").map(strings).transpose()?;
        if fields.as_ref().is_some_and(|fields| fields.len() > MAX_FIELDS) {
            return Err(Refusal::Bad("At most 400 fields can be requested"));
        }
        let show_inactive = match known("showInactive") {
            None => false,
            Some(value) => value.as_bool().ok_or(Refusal::LoginPage)?,
        };
        let human = match known("humanReadable")
            .map(|value| value.as_str().ok_or(Refusal::LoginPage))
            .transpose()?
        {
            None | Some("") => Human::Absent,
            Some("APPEND") => Human::Append,
            Some("REPLACE") => Human::Replace,
            Some(_) => return Err(Refusal::Bad("humanReadable is one of APPEND and REPLACE")),
        };
        let filter = known("filters").map(filter).transpose()?.flatten();
        let unknown_keys = body.keys().filter(|key| !keys.contains(&key.as_str())).count();
        Ok(Self { fields, filter, show_inactive, human, unknown_keys })
    }
}

fn strings(value: &Value) -> Result<Vec<String>, Refusal> {
    let list = value.as_array().ok_or(Refusal::LoginPage)?;
    list.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or(Refusal::LoginPage)).collect()
}

fn filter(value: &Value) -> Result<Option<Filter>, Refusal> {
    let list = value.as_array().ok_or(Refusal::LoginPage)?;
    let entry: &Map<String, Value> = match list.as_slice() {
        [] => return Ok(None),
        [entry] => entry.as_object().ok_or(Refusal::LoginPage)?,
        _ => return Err(Refusal::Bad("At most one filter is supported")),
    };
    if entry.get("operator").and_then(Value::as_str) != Some("equals") {
        return Err(Refusal::Bad("The only operator is equals"));
    }
    let values = strings(entry.get("values").ok_or(Refusal::Bad("A filter needs values"))?)?;
    if values.is_empty() {
        return Err(Refusal::Bad("A filter needs at least one value"));
    }
    match entry.get("fieldPath").and_then(Value::as_str) {
        Some("root.id") => Ok(Some(Filter::Ids(values))),
        Some("root.email") => Ok(Some(Filter::Emails(values))),
        _ => Err(Refusal::Bad("Filters work on root.id and root.email only")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::http::{HeaderMap, HeaderValue, Method};
    use serde_json::json;

    use super::*;

    fn ask(body: &Value) -> Result<Request, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
        Request::search(&Call {
            method: Method::POST,
            path: "/v1/people/search".into(),
            query: String::new(),
            headers,
            body: body.to_string().into(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            at_once: 1,
        })
    }

    #[test]
    fn wrong_types_get_the_login_page() {
        for body in [
            json!({"humanReadable": true}),
            json!({"showInactive": "true"}),
            json!({"fields": "root.id"}),
            json!({"fields": [1]}),
            json!({"filters": {}}),
            json!({"filters": [{"fieldPath": "root.id", "operator": "equals", "values": [7]}]}),
        ] {
            assert_eq!(ask(&body), Err(Refusal::LoginPage), "{body}");
        }
    }

    #[test]
    fn bad_filters_and_too_many_fields_are_refused() {
        let filter = |path: &str, operator: &str, values: &[&str]| json!({"fieldPath": path, "operator": operator, "values": values});
        let good = filter("root.id", "equals", &["1"]);
        for body in [
            json!({"filters": [filter("work.site", "equals", &["London"])]}),
            json!({"filters": [filter("root.id", "contains", &["1"])]}),
            json!({"filters": [filter("root.id", "equals", &[])]}),
            json!({"filters": [good, good]}),
            json!({"fields": vec!["root.id"; 401]}),
            json!({"humanReadable": "append"}),
            json!([]),
        ] {
            assert!(matches!(ask(&body), Err(Refusal::Bad(_))), "{body}");
        }
        assert_eq!(
            ask(&json!({"filters": [good]})).unwrap().filter,
            Some(Filter::Ids(vec!["1".into()]))
        );
        assert!(ask(&json!({"fields": vec!["root.id"; 400]})).is_ok());
    }

    #[test]
    fn unknown_keys_are_ignored_and_counted() {
        let request = ask(&json!({"limit": 50, "cursor": "x", "showInactive": true})).unwrap();
        assert_eq!(request.unknown_keys, 2);
        assert!(request.show_inactive);
    }
}
