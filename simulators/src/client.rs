//! The typed client of the control API, for tests, benches and tools.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::company::Summary;
use crate::front::calls::{Calls, Entry};
use crate::front::faults::Fault;
use crate::onelogin::state::Changed;

/// A simulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Bob,
    OneLogin,
    Google,
    Entra,
    JumpCloud,
    Okta,
    Scim,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Bob => "bob",
            Self::OneLogin => "onelogin",
            Self::Google => "google",
            Self::Entra => "entra",
            Self::JumpCloud => "jumpcloud",
            Self::Okta => "okta",
            Self::Scim => "scim",
        }
    }
}

/// Makes an HTTP client, for the control API and for the events that Bob sends.
pub(crate) fn http() -> Client {
    // Plain HTTP only. The client is still built with a TLS backend, which needs a provider; one
    // that is already set stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().expect("an HTTP client")
}

/// Calls one world's control address. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    base: String,
    http: Client,
}

type Result<T = ()> = anyhow::Result<T>;

impl Control {
    /// Returns a client of the control API at `base`, such as `http://127.0.0.1:4000`.
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into().trim_end_matches('/').to_owned(), http: http() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<reqwest::Response> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path}"))?;
        if !response.status().is_success() {
            let status = response.status();
            bail!("{method} {path}: {status}: {}", response.text().await.unwrap_or_default());
        }
        Ok(response)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(self.send(Method::GET, path, None).await?.json().await?)
    }

    async fn put(&self, path: &str, body: Value) -> Result {
        self.send(Method::PUT, path, Some(body)).await.map(drop)
    }

    async fn delete(&self, path: &str) -> Result {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T> {
        Ok(self.send(Method::POST, path, Some(body)).await?.json().await?)
    }

    // --- the clock ---

    /// Returns the simulators' instant.
    pub async fn now(&self) -> Result<Timestamp> {
        let answer: Value = self.get("/clock").await?;
        Ok(answer["now"].as_str().context("no now")?.parse()?)
    }

    pub async fn set_clock(&self, now: Timestamp) -> Result {
        self.put("/clock", json!({"now": now})).await
    }

    pub async fn advance(&self, seconds: i64) -> Result {
        self.put("/clock", json!({"advanceSeconds": seconds})).await
    }

    // --- Bob ---

    /// Returns all employees, field ids to human values.
    pub async fn employees(&self) -> Result<Vec<Value>> {
        self.get("/bob/employees").await
    }

    pub async fn employee(&self, id: &str) -> Result<Value> {
        self.get(&format!("/bob/employees/{id}")).await
    }

    /// Creates an employee and returns the id; missing values are invented.
    pub async fn create_employee(&self, fields: Value) -> Result<String> {
        let answer: Value = self.post("/bob/employees", fields).await?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    pub async fn change_employee(&self, id: &str, fields: Value) -> Result {
        self.send(Method::PATCH, &format!("/bob/employees/{id}"), Some(fields)).await.map(drop)
    }

    pub async fn delete_employee(&self, id: &str) -> Result {
        self.delete(&format!("/bob/employees/{id}")).await
    }

    /// Returns how many of each kind the company has now.
    pub async fn company(&self) -> Result<Summary> {
        self.get("/bob/company").await
    }

    /// Replaces the company by a generated one.
    pub async fn generate_company(&self, employees: usize, seed: u64) -> Result {
        self.put("/bob/company", json!({"employees": employees, "seed": seed})).await
    }

    /// Defines a custom field with a type of its own (`text`, `list`, `date`, `number`,
    /// `boolean`...).
    pub async fn define_field(&self, id: &str, kind: &str) -> Result {
        self.post::<Value>("/bob/fields", json!({"id": id, "type": kind})).await.map(drop)
    }

    pub async fn rename_list_item(&self, list: &str, from: &str, to: &str) -> Result {
        self.send(
            Method::PATCH,
            &format!("/bob/lists/{list}"),
            Some(json!({"item": from, "rename": to})),
        )
        .await
        .map(drop)
    }

    pub async fn bob_credentials(&self, id: &str, token: &str) -> Result {
        self.put("/bob/credentials", json!({"id": id, "token": token})).await
    }

    /// Sets a webhook up, as an administrator would; from then on every edit is sent there.
    pub async fn push_to(&self, url: &str, secret: &str) -> Result {
        self.put("/bob/webhook", json!({"url": url, "secret": secret})).await
    }

    /// Sets `{"hiddenFields":[..],"visibleLifecycles":null|[..],"status":null|403}`, which replaces
    /// all permissions.
    pub async fn bob_permissions(&self, permissions: Value) -> Result {
        self.put("/bob/permissions", permissions).await
    }

    /// Changes the named quirks.
    pub async fn bob_quirks(&self, quirks: Value) -> Result {
        self.put("/bob/quirks", quirks).await
    }

    /// Limits the answers of searches to the first `n` employees; `None`: all.
    pub async fn bob_serve(&self, first: Option<usize>) -> Result {
        self.put("/bob/serve", json!({"first": first})).await
    }

    /// Sets the calls a minute for each route.
    pub async fn bob_limits(&self, limit: u64, remaining: Option<u64>) -> Result {
        self.put("/bob/limits", json!({"limit": limit, "remaining": remaining})).await
    }

    // --- OneLogin ---

    /// Returns all users, as stored.
    pub async fn users(&self) -> Result<Vec<Value>> {
        self.get("/onelogin/users").await
    }

    pub async fn user(&self, id: i64) -> Result<Value> {
        self.get(&format!("/onelogin/users/{id}")).await
    }

    /// Makes a new user as an administrator, and returns it as a whole.
    pub async fn create_user(&self, user: Value) -> Result<Value> {
        self.post("/onelogin/users", user).await
    }

    /// Makes many users at once; returns their ids.
    pub async fn create_users(&self, users: &[Value]) -> Result<Vec<i64>> {
        let answer: Vec<Value> = self.post("/onelogin/users", json!(users)).await?;
        Ok(answer.iter().filter_map(|user| user["id"].as_i64()).collect())
    }

    /// Edits a user as an administrator.
    pub async fn change_user(&self, id: i64, attributes: Value) -> Result {
        self.send(Method::PATCH, &format!("/onelogin/users/{id}"), Some(attributes)).await.map(drop)
    }

    pub async fn delete_user(&self, id: i64) -> Result {
        self.delete(&format!("/onelogin/users/{id}")).await
    }

    pub async fn delete_users(&self) -> Result {
        self.delete("/onelogin/users").await
    }

    /// Defines exactly these custom attributes of the tenant.
    pub async fn custom_attributes(&self, shortnames: &[&str]) -> Result {
        self.put("/onelogin/custom-attributes", json!({"shortnames": shortnames})).await
    }

    pub async fn onelogin_credentials(
        &self,
        client_id: &str,
        client_secret: &str,
        scope: &str,
    ) -> Result {
        let body = json!({"clientId": client_id, "clientSecret": client_secret, "scope": scope});
        self.put("/onelogin/credentials", body).await
    }

    /// Ends all access tokens.
    pub async fn revoke_tokens(&self) -> Result {
        self.post::<Value>("/onelogin/tokens/revoke", json!({})).await.map(drop)
    }

    /// Sets the calls an hour.
    pub async fn onelogin_limits(&self, limit: u64, remaining: Option<u64>) -> Result {
        self.put("/onelogin/limits", json!({"limit": limit, "remaining": remaining})).await
    }

    /// Sets the calls in a window of this many seconds.
    pub async fn onelogin_window(&self, limit: u64, seconds: i64) -> Result {
        self.put("/onelogin/limits", json!({"limit": limit, "seconds": seconds})).await
    }

    /// Refuses writes with a field that contains the text, with 422; pairs of field and text.
    pub async fn refuse(&self, rules: &[(&str, &str)]) -> Result {
        let rules: Vec<Value> =
            rules.iter().map(|(field, text)| json!({"field": field, "contains": text})).collect();
        self.put("/onelogin/refuse", json!({"rules": rules})).await
    }

    /// Changes the named quirks.
    pub async fn onelogin_quirks(&self, quirks: Value) -> Result {
        self.put("/onelogin/quirks", quirks).await
    }

    /// Makes this user the account owner; the API does not change this user.
    pub async fn owner(&self, id: Option<i64>) -> Result {
        self.put("/onelogin/owner", json!({"id": id})).await
    }

    /// Returns what API calls changed after `since` (0: all that is still kept), oldest first:
    /// users before and after.
    pub async fn journal(&self, since: u64) -> Result<Vec<Changed>> {
        self.get(&format!("/onelogin/journal?since={since}")).await
    }

    // --- Google Workspace ---

    /// Calls Google's half of the control API, such as `PUT /google/delegation`; docs/simulators.md
    /// lists the calls.
    pub async fn google(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        Ok(self.send(method.parse()?, &format!("/google{path}"), body).await?.json().await?)
    }

    // --- Entra ID ---

    /// Calls Entra ID's half of the control API, such as `PUT /entra/app`; docs/simulators.md lists
    /// the calls.
    pub async fn entra(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        Ok(self.send(method.parse()?, &format!("/entra{path}"), body).await?.json().await?)
    }

    // --- JumpCloud ---

    /// Calls JumpCloud's half of the control API, such as `PUT /jumpcloud/quirks`;
    /// docs/simulators.md lists the calls.
    pub async fn jumpcloud(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        Ok(self.send(method.parse()?, &format!("/jumpcloud{path}"), body).await?.json().await?)
    }

    // --- Okta ---

    /// Calls Okta's half of the control API, such as `PUT /okta/quirks`; docs/simulators.md lists
    /// the calls.
    pub async fn okta(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        Ok(self.send(method.parse()?, &format!("/okta{path}"), body).await?.json().await?)
    }

    // --- SCIM ---

    /// Calls the SCIM server's half of the control API, such as `PUT /scim/quirks`;
    /// docs/simulators.md lists the calls.
    pub async fn scim(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = (!body.is_null()).then_some(body);
        Ok(self.send(method.parse()?, &format!("/scim{path}"), body).await?.json().await?)
    }

    // --- traffic ---

    pub async fn fault(&self, service: Service, fault: &Fault) -> Result {
        self.post::<Value>(&format!("/{}/faults", service.name()), encoded(fault)?).await.map(drop)
    }

    pub async fn clear_faults(&self, service: Service) -> Result {
        self.delete(&format!("/{}/faults", service.name())).await
    }

    pub async fn calls(&self, service: Service) -> Result<Calls> {
        self.get(&format!("/{}/calls", service.name())).await
    }

    /// Starts counts and log again.
    pub async fn reset_calls(&self, service: Service) -> Result {
        self.delete(&format!("/{}/calls", service.name())).await
    }

    /// Returns the calls after `since` (0: all that the ring still has), oldest first.
    pub async fn log(&self, service: Service, since: u64) -> Result<Vec<Entry>> {
        self.get(&format!("/{}/log?since={since}", service.name())).await
    }
}

fn encoded(value: &impl Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}
