//! Plain callers of the two vendors' APIs, which check nothing by themselves.
#![allow(dead_code)] // every test file uses its own part

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use simulators::{Control, Options, World};

/// Starts a world with a clock that begins on a Tuesday morning.
pub async fn world(employees: usize) -> World {
    let today = Some("2026-11-24T09:00:00Z".parse().unwrap());
    World::start(Options { employees, seed: 7, today, ..Options::default() }).await
}

fn http(world: &World) -> (Client, Control) {
    // The control client sets the TLS provider that every client of this workspace needs.
    let control = world.control();
    (Client::builder().no_proxy().build().unwrap(), control)
}

/// The parts of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn is_html(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
    }
}

pub struct BobCaller {
    pub http: Client,
    pub base: String,
    pub control: Control,
    pub token: String,
}

impl BobCaller {
    pub fn of(world: &World) -> Self {
        let (http, control) = http(world);
        Self { http, base: world.bob_url().into(), control, token: "bob-token-1".into() }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .basic_auth("SERVICE-1", Some(&self.token))
            .json(&body);
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .basic_auth("SERVICE-1", Some(&self.token));
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn search(&self, body: Value) -> Answer {
        self.post("/v1/people/search", body).await
    }

    /// Returns the employees of a search that must succeed.
    pub async fn people(&self, body: Value) -> Vec<Value> {
        let answer = self.search(body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["employees"].as_array().unwrap().clone()
    }
}

pub struct OneLoginCaller {
    pub http: Client,
    pub base: String,
    pub control: Control,
    pub token: String,
}

impl OneLoginCaller {
    /// Returns a caller with a token.
    pub async fn of(world: &World) -> Self {
        let (http, control) = http(world);
        let mut caller =
            Self { http, base: world.onelogin_url().into(), control, token: String::new() };
        caller.renew().await;
        caller
    }

    pub async fn renew(&mut self) {
        let request = self
            .http
            .post(format!("{}/auth/oauth2/v2/token", self.base))
            .basic_auth("client-1", Some("secret-1"));
        let answer = Answer::read(
            request.json(&json!({"grant_type": "client_credentials"})).send().await.unwrap(),
        )
        .await;
        answer.json()["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Creates a user that must be accepted; `more` is merged over a username and an e-mail made of
    /// `name`.
    pub async fn create(&self, name: &str, more: Value) -> i64 {
        let mut body =
            json!({"username": name, "email": format!("{name}@example.com"), "status": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.post("/api/2/users", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_i64().unwrap()
    }

    /// Reads one user, which must succeed.
    pub async fn user(&self, id: i64) -> Value {
        let answer = self.get(&format!("/api/2/users/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn update(&self, id: i64, body: Value) -> Answer {
        self.put(&format!("/api/2/users/{id}"), body).await
    }
}

pub struct OktaCaller {
    pub http: Client,
    pub base: String,
    pub control: Control,
    /// The `Authorization` header.
    pub authorization: String,
}

impl OktaCaller {
    /// Returns a caller with the API token. Lists show every change at once.
    pub async fn of(world: &World) -> Self {
        let (http, control) = http(world);
        control.okta("PUT", "/quirks", json!({"searchLagSeconds": 0})).await.unwrap();
        Self {
            http,
            base: world.okta_url().into(),
            control,
            authorization: "SSWS okta-token-1".into(),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/api/v1{path}", self.base);
        let mut request =
            self.http.request(method, url).header("authorization", &self.authorization);
        request = match body {
            Some(body) => request.json(&body),
            // A request without a body still has to say so.
            None => request.header("content-length", "0"),
        };
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Makes a step of the lifecycle.
    pub async fn step(&self, id: &str, step: &str) -> Answer {
        self.call(Method::POST, &format!("/users/{id}/lifecycle/{step}"), None).await
    }

    /// Searches.
    pub async fn search(&self, text: &str) -> Answer {
        let query: String = form(&[("search", text)]);
        self.get(&format!("/users?{query}")).await
    }

    /// Makes a user that must be accepted; `more` is merged over the required attributes.
    pub async fn create(&self, name: &str, query: &str, more: Value, password: bool) -> Value {
        let mut profile = json!({
            "login": format!("{name}@example.com"), "email": format!("{name}@example.com"),
            "firstName": name, "lastName": "Lang",
        });
        profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut body = json!({"profile": profile});
        if password {
            body["credentials"] = json!({"password": {"value": "Correct-Horse-7"}});
        }
        let answer = self.post(&format!("/users{query}"), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Reads one user, which must succeed.
    pub async fn user(&self, id: &str) -> Value {
        let answer = self.get(&format!("/users/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    pub async fn quirks(&self, quirks: Value) {
        self.control.okta("PUT", "/quirks", quirks).await.unwrap();
    }
}

/// Encodes pairs as a form.
pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The URN of the enterprise extension.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The URN of an extension that the simulated SCIM server has of its own.
pub const COMPANY: &str = "urn:example:params:scim:schemas:extension:company:2.0:User";

pub struct ScimCaller {
    pub http: Client,
    pub base: String,
    pub control: Control,
    /// The value of `Authorization`; nothing is sent when it is empty.
    pub authorization: String,
}

impl ScimCaller {
    pub fn of(world: &World) -> Self {
        let (http, control) = http(world);
        let base = format!("{}/scim/v2", world.scim_url());
        Self { http, base, control, authorization: "Bearer scim-token-1".into() }
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.authorization.is_empty() {
            request = request.header("authorization", &self.authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request =
                request.header("content-type", "application/scim+json").body(body.to_string());
        }
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    /// Lists with these parameters, which are encoded.
    pub async fn list(&self, pairs: &[(&str, &str)]) -> Answer {
        let mut query = reqwest::Url::parse("http://x/").unwrap();
        query.query_pairs_mut().extend_pairs(pairs);
        self.get(&format!("/Users?{}", query.query().unwrap())).await
    }

    /// Returns the user names of a listing that must succeed.
    pub async fn names(&self, pairs: &[(&str, &str)]) -> Vec<String> {
        let answer = self.list(pairs).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let all = answer.json()["Resources"].as_array().cloned().unwrap_or_default();
        all.iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn post(&self, body: Value) -> Answer {
        self.call(Method::POST, "/Users", &[], Some(body)).await
    }

    pub async fn put(&self, id: &str, body: Value) -> Answer {
        self.call(Method::PUT, &format!("/Users/{id}"), &[], Some(body)).await
    }

    /// Sends a PATCH with these operations.
    pub async fn patch(&self, id: &str, operations: Value) -> Answer {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations,
        });
        self.call(Method::PATCH, &format!("/Users/{id}"), &[], Some(body)).await
    }

    pub async fn delete(&self, id: &str) -> Answer {
        self.call(Method::DELETE, &format!("/Users/{id}"), &[], None).await
    }

    /// Reads one user, which must succeed.
    pub async fn user(&self, id: &str) -> Value {
        let answer = self.get(&format!("/Users/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Creates a user that must be accepted; `more` is merged over a user name.
    pub async fn create(&self, name: &str, more: Value) -> String {
        let answer = self.post(scim_user(name, more)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Changes some quirks.
    pub async fn quirks(&self, quirks: Value) {
        self.control.scim("PUT", "/quirks", quirks).await.unwrap();
    }
}

/// Returns a user with this name and these attributes.
pub fn scim_user(name: &str, more: Value) -> Value {
    let mut schemas = vec![json!("urn:ietf:params:scim:schemas:core:2.0:User")];
    schemas.extend(
        more.as_object()
            .unwrap()
            .keys()
            .filter(|key| key.starts_with("urn:"))
            .map(|urn| json!(urn)),
    );
    let mut user = json!({"schemas": schemas, "userName": name});
    user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user
}

/// Returns status and `scimType` of a refusal, which must have the form of the standard.
pub fn scim_refusal(answer: &Answer) -> (u16, Option<String>) {
    let body = answer.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], answer.status.as_u16().to_string());
    assert!(body["detail"].is_string());
    assert_eq!(answer.header("content-type"), Some("application/scim+json"));
    (answer.status.as_u16(), body["scimType"].as_str().map(str::to_owned))
}
