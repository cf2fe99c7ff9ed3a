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
