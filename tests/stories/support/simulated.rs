//! Bob and the providers, simulated in this process, driven through the simulators' own control
//! API.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use simulators::{Options, World};

#[derive(Clone)]
pub struct Simulated {
    pub bob: String,
    pub one_login: String,
    /// Names in the control API, and addresses.
    providers: Vec<(&'static str, String)>,
    control: String,
    http: reqwest::Client,
    /// Ends with the last story that it is part of.
    _world: Arc<World>,
}

impl Simulated {
    pub async fn start(employees: usize) -> Self {
        bobsync::cluster::connect::install_crypto();
        let world = World::start(Options { employees, seed: 7, ..Options::default() }).await;
        let simulated = Self {
            bob: world.bob_url().to_owned(),
            one_login: world.onelogin_url().to_owned(),
            providers: world.providers().map(|(name, url)| (name, url.to_owned())).to_vec(),
            control: world.control_url().to_owned(),
            http: reqwest::Client::new(),
            _world: Arc::new(world),
        };
        simulated
            .put("/onelogin/custom-attributes", json!({"shortnames": ["work_cell", "badge"]}))
            .await;
        let mark = json!({"title": "Employee in Bob", "type": "string"});
        simulated.put("/okta/schema", json!({"custom": {"bobsyncEmployeeId": mark}})).await;
        // New accounts are ACTIVE at once, and in lists. The stories of Okta also have other orgs.
        simulated
            .put("/okta/quirks", json!({"optionalPassword": true, "searchLagSeconds": 0}))
            .await;
        simulated
    }

    /// Returns the address of a provider by its name in the control API.
    pub fn url(&self, name: &str) -> &str {
        let found = self.providers.iter().find(|(own, _)| *own == name);
        &found.unwrap_or_else(|| panic!("no provider {name}")).1
    }

    /// Returns every address that a controller may call.
    pub fn endpoints(&self) -> Vec<String> {
        let providers = self.providers.iter().map(|(_, url)| url.clone());
        std::iter::once(self.bob.clone()).chain(providers).collect()
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.control));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("the control API answers");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Value {
        self.call(Method::DELETE, path, None).await
    }

    /// Makes a new employee; missing values are invented. Returns the id.
    pub async fn hire(&self, fields: Value) -> String {
        let made = self.post("/bob/employees", fields).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Makes a change in Bob.
    pub async fn change(&self, employee: &str, fields: Value) {
        self.patch(&format!("/bob/employees/{employee}"), fields).await;
    }

    /// Returns all employees in Bob: field ids to human values.
    pub async fn employees(&self) -> Vec<Value> {
        self.get("/bob/employees").await.as_array().cloned().unwrap_or_default()
    }

    /// Returns every account at OneLogin.
    pub async fn accounts(&self) -> Vec<Value> {
        self.get("/onelogin/users").await.as_array().cloned().unwrap_or_default()
    }

    /// Returns the account that bears this employee's mark.
    pub async fn account(&self, employee: &str) -> Option<Value> {
        self.accounts().await.into_iter().find(|account| account["external_id"] == employee)
    }

    /// Returns the calls to `bob` or `onelogin` since the last look at this route.
    pub async fn calls(&self, service: &str, route: &str) -> u64 {
        self.get(&format!("/{service}/calls")).await["byRoute"][route].as_u64().unwrap_or(0)
    }

    /// Returns the number of calls that may change something, since the last reset.
    pub async fn writes(&self) -> u64 {
        self.get("/onelogin/calls").await["writes"].as_u64().unwrap_or(0)
    }

    /// Starts the counts again.
    pub async fn forget_calls(&self) {
        self.delete("/bob/calls").await;
        self.delete("/onelogin/calls").await;
    }

    /// Returns the first employee who is at work and has an e-mail.
    pub async fn somebody(&self) -> (String, Value) {
        let employees = self.employees().await;
        let found = employees.into_iter().find(|e| {
            let word = |field: &str| e[field].as_str().unwrap_or_default().to_lowercase();
            word("internal.lifecycleStatus") == "employed"
                && word("internal.status") == "active"
                && e["work.manager"].is_string()
                && e["internal.terminationDate"].is_null()
                && e["employee.lastDayOfWork"].is_null()
        });
        let found = found.expect("somebody at work");
        (found["root.id"].as_str().expect("an id").to_owned(), found)
    }
}
