//! A provider as the stories see it: how to connect to it, and how to read its accounts. A story
//! about every provider knows nothing else.

use std::ops::Deref;

use bobsync::provider::Catalog;
use serde_json::{Value, json};

use super::Provider;
use crate::support::{Controller, Simulated, Story, merge};

/// One provider.
pub trait Tenant: Sync {
    /// Returns the declared capabilities.
    fn catalog(&self) -> &'static Catalog;

    // How to connect to it.

    /// Returns its name in the control API of the simulators, and of its Secret.
    fn name(&self) -> &'static str;

    /// Returns the provider's part of a spec, with this address as its endpoints.
    fn spec(&self, url: &str) -> Value;

    /// Returns the file of `examples/`.
    fn example(&self) -> &'static str;

    /// Returns the path of the control API that tells the credentials.
    fn credentials(&self) -> Option<&'static str> {
        None
    }

    /// Returns the Secret, made of what the control API tells.
    fn secret(&self, told: &Value) -> Vec<(&'static str, String)>;

    /// Returns the Secret with which the example is tried, if it is another kind.
    fn secret_of_the_example(&self, told: &Value) -> Vec<(&'static str, String)> {
        self.secret(told)
    }

    /// Returns parts of secrets and tokens, which are never in a log or a status.
    fn never_told(&self) -> &'static [&'static str];

    /// Returns the path where accounts are listed and made. One account is below it.
    fn users(&self) -> &'static str;

    /// Returns the method of an update.
    fn update(&self) -> &'static str {
        "PUT"
    }

    // How to read an account.

    /// Returns the account's own id, as it is in a path.
    fn id(&self, user: &Value) -> String;

    /// Returns Bob's id by the mark.
    fn mark(&self, user: &Value) -> Option<String>;

    /// Returns whether the account can be used.
    fn is_open(&self, user: &Value) -> bool;

    /// Returns whether an account, or the body of an update, is suspended.
    fn is_suspended(&self, user: &Value) -> bool;

    /// Returns the default map: each value that the account has, and the Bob field that it comes
    /// from. The manager is not among them. The first row is the e-mail.
    fn rows(&self, user: &Value) -> Vec<(Value, &'static str)>;

    /// Returns targets that the provider does not have.
    fn unknown_targets(&self) -> &'static [&'static str] {
        &["planet", "external_id", "id", "password"]
    }

    /// Returns the target that has the title.
    fn title(&self) -> &'static str;

    /// Returns the manager of an account, and how an account with this manager has it. `None`: the
    /// default map has no manager.
    fn manager(&self, user: &Value, manager: &Value) -> Option<(Value, Value)>;

    /// Returns whether the password must be changed at the next login. `None`: the provider does
    /// not tell.
    fn must_change_password(&self, _: &Value) -> Option<bool> {
        None
    }

    /// Returns the path of the call that ends the sessions of this account, if there is one.
    fn sessions(&self, _: &str) -> Option<String> {
        None
    }

    // What the provider makes of the stories.

    /// Returns how many employees are in the story of the steady state.
    fn company(&self) -> usize {
        40
    }

    /// Checks what is this provider's alone after the first sync.
    fn first_sync(&self, first: &First);

    /// Returns how long reads show an old state, as quirks of the simulator.
    fn lag(&self) -> Option<Value> {
        None
    }

    /// Returns an account of this employee from before, as an administrator could have made it.
    fn old_account(&self, employee: &Value) -> Value;

    /// Returns what bobsync does not own of that account.
    fn kept(&self, user: &Value) -> Vec<Value>;

    /// Returns the changes that make an account an administrator's, and no longer so. No pair: the
    /// provider does not tell.
    fn administrators(&self) -> Vec<(Value, Value)> {
        Vec::new()
    }

    /// Returns the change that makes another directory the master of an account. `None`: the
    /// provider does not tell.
    fn mastered(&self) -> Option<Value> {
        None
    }

    /// Returns the settings with which every write to these accounts gets 403.
    fn protection(&self, ids: &[String]) -> Vec<Setting>;

    /// Returns what admission refuses, next to what it refuses of every provider.
    fn refused(&self, rules: &Rules) -> Vec<Refusal>;

    /// Returns rows and settings that admission takes.
    fn admitted(&self, rules: &Rules) -> Vec<(Value, Value)>;
}

/// A call of the control API.
pub enum Setting {
    Put(&'static str, Value),
    Post(&'static str, Value),
}

/// What the first sync made.
pub struct First {
    pub users: Vec<Value>,
    /// How many employees should have an account.
    pub wanted: u64,
    /// How many of them have a manager with an account.
    pub managed: u64,
    /// How many changes were asked for, and how many calls were refused.
    pub writes: u64,
    pub refused: u64,
    /// How often each route was called.
    pub routes: Value,
}

impl First {
    pub fn calls(&self, route: &str) -> u64 {
        self.routes[route].as_u64().unwrap_or(0)
    }
}

/// A provider's part of a spec, further settings, and a part of the message.
pub type Refusal = (Value, Value, &'static str);

/// Specs that are tried at admission.
pub struct Rules {
    /// The provider's part of an admitted spec.
    pub provider: Value,
    required: &'static [&'static str],
}

impl Rules {
    pub fn new(tenant: Provider, story: &Story) -> Self {
        Self { provider: tenant.provider(story), required: tenant.catalog().required }
    }

    /// Returns the field of the spec that names the provider.
    pub fn field(&self) -> &str {
        self.provider.as_object().and_then(|one| one.keys().next()).expect("a provider")
    }

    /// Returns a map of the required targets, and of this row.
    pub fn with(&self, row: Value) -> Value {
        let required =
            self.required.iter().map(|target| json!({"target": target, "field": "root.email"}));
        json!({"mapping": required.chain([row]).collect::<Vec<_>>()})
    }

    /// Returns the provider's part with another value of a field.
    pub fn changed(&self, field: &str, value: Value) -> Value {
        let mut provider = self.provider.clone();
        provider[self.field()][field] = value;
        provider
    }

    /// Returns a refusal of a row with this target, mapped from this field.
    pub fn row(&self, target: &str, field: &str, said: &'static str) -> Refusal {
        let row = json!({"target": target, "field": field});
        (self.provider.clone(), self.with(row), said)
    }
}

/// An account as a story sees it.
#[derive(Clone, Debug)]
pub struct Account {
    /// As it is in a path.
    pub id: String,
    /// Bob's id by the mark.
    pub employee: String,
    pub open: bool,
    pub title: String,
    pub department: String,
}

/// Returns a value as text; nothing is an empty text.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Returns the value that the provider has of this Bob field.
pub fn held(tenant: &dyn Tenant, user: &Value, field: &str) -> String {
    let row = tenant.rows(user).into_iter().find(|(_, from)| *from == field);
    text(&row.expect("the default map has the field").0)
}

impl dyn Tenant {
    /// Makes the Secret, and returns the provider's part of a spec.
    pub async fn prepare(&self, story: &Story) -> Value {
        let told = self.told(&story.simulated).await;
        self.write_secret(story, &self.secret(&told)).await;
        self.provider(story)
    }

    /// Returns what the control API tells of the credentials.
    pub async fn told(&self, simulated: &Simulated) -> Value {
        match self.credentials() {
            Some(path) => simulated.get(path).await,
            None => Value::Null,
        }
    }

    /// Returns the provider's part of a spec.
    pub fn provider(&self, story: &Story) -> Value {
        self.spec(story.simulated.url(self.name()))
    }

    /// Returns the path of the control API that has this account.
    pub fn path(&self, user: &Value) -> String {
        format!("/{}/users/{}", self.name(), self.id(user))
    }

    /// Returns the account with this e-mail.
    pub async fn account(&self, story: &Story, email: &str) -> Option<Value> {
        self.all(story).await.into_iter().find(|user| self.rows(user)[0].0 == email)
    }

    /// Makes the provider refuse every write to these accounts with 403.
    pub async fn protect(&self, story: &Story, accounts: &[Value]) {
        let ids: Vec<String> = accounts.iter().map(|user| self.id(user)).collect();
        assert!(ids.iter().all(|id| !id.is_empty()), "{accounts:?}");
        for setting in self.protection(&ids) {
            match setting {
                Setting::Put(path, body) => story.simulated.put(path, body).await,
                Setting::Post(path, body) => story.simulated.post(path, body).await,
            };
        }
    }

    pub async fn write_secret(&self, story: &Story, values: &[(&str, String)]) {
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        story.secret(self.name(), &values).await;
    }

    /// Returns every account, as the control API shows it.
    pub async fn all(&self, story: &Story) -> Vec<Value> {
        let users = story.simulated.get(&format!("/{}/users", self.name())).await;
        users.as_array().cloned().unwrap_or_default()
    }

    /// Returns every account that bears a mark.
    pub async fn accounts(&self, story: &Story) -> Vec<Account> {
        let account = |user: Value| {
            Some(Account {
                id: self.id(&user),
                employee: self.mark(&user)?,
                open: self.is_open(&user),
                title: held(self, &user, "work.title"),
                department: held(self, &user, "work.department"),
            })
        };
        self.all(story).await.into_iter().filter_map(account).collect()
    }
}

/// A story about one provider.
pub struct Scene {
    pub story: Story,
    pub tenant: Provider,
}

impl Deref for Scene {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.story
    }
}

impl Scene {
    /// Begins a story with the provider's Secret and a default password.
    pub async fn begin(tenant: Provider, name: &str, employees: usize) -> Self {
        let scene = Self::without_secret(tenant, name, employees).await;
        tenant.prepare(&scene).await;
        scene
    }

    /// Begins a story in which the provider's Secret is still missing.
    pub async fn without_secret(tenant: Provider, name: &str, employees: usize) -> Self {
        let story = Story::begin(&format!("{}-{name}", tenant.name()), employees).await;
        story.secret("welcome", &[("password", PASSWORD)]).await;
        Self { story, tenant }
    }

    /// Begins a story with a controller and an integration that has converged twice.
    pub async fn converged(
        tenant: Provider,
        name: &str,
        employees: usize,
        spec: Value,
    ) -> (Self, Controller) {
        let scene = Self::begin(tenant, name, employees).await;
        let controller = Controller::start(&scene).await;
        scene.integrate(spec).await;
        scene.story.ready("Converged").await;
        scene.story.sync().await;
        (scene, controller)
    }

    /// Returns the provider's part of a spec.
    pub fn provider(&self) -> Value {
        self.tenant.provider(&self.story)
    }

    /// Applies the integration with this provider. `spec` is merged over it.
    pub async fn integrate(&self, mut spec: Value) {
        let mut provider = self.provider();
        if let Some(more) = spec.get_mut("provider") {
            merge(&mut provider, more.take());
        }
        spec["provider"] = provider;
        self.story.integrate(spec).await;
    }

    /// Returns the example's settings, to be merged over the usual spec.
    pub fn example(&self) -> Value {
        let path = format!("{}/examples/{}", env!("CARGO_MANIFEST_DIR"), self.tenant.example());
        let example = std::fs::read_to_string(path).expect("an example");
        let example: Value = serde_saphyr::from_str(&example).expect("YAML");
        let mut spec = example["spec"].clone();
        spec["mode"] = json!("Enforce");
        // The simulated provider has an address of its own.
        for part in spec["provider"].as_object_mut().into_iter().flatten() {
            part.1.as_object_mut().map(|settings| settings.remove("endpoint"));
        }
        spec
    }

    /// Returns the example's settings for passwords.
    pub fn passwords(&self) -> Value {
        match self.example()["provisioning"].take() {
            Value::Null => json!({}),
            provisioning => json!({"provisioning": provisioning}),
        }
    }

    /// Returns a path of the control API about this provider.
    pub fn at(&self, path: &str) -> String {
        format!("/{}/{path}", self.tenant.name())
    }

    /// Returns the path of the control API that has this account.
    pub fn path(&self, user: &Value) -> String {
        self.tenant.path(user)
    }

    /// Returns every account.
    pub async fn users(&self) -> Vec<Value> {
        self.tenant.all(&self.story).await
    }

    /// Returns the account that bears this employee's mark, if there is one.
    pub async fn find(&self, employee: &str) -> Option<Value> {
        let is = |user: &Value| self.tenant.mark(user).as_deref() == Some(employee);
        self.users().await.into_iter().find(is)
    }

    /// Returns the account that bears this employee's mark.
    pub async fn account(&self, employee: &str) -> Value {
        self.find(employee).await.unwrap_or_else(|| panic!("{employee} has no account"))
    }

    /// Returns the counts of the provider's calls.
    pub async fn calls(&self) -> Value {
        self.simulated.get(&self.at("calls")).await
    }

    /// Returns the number of calls that may change something, since the last reset.
    pub async fn writes(&self) -> u64 {
        self.calls().await["writes"].as_u64().unwrap_or(0)
    }

    /// Returns the provider's calls since the last reset.
    pub async fn log(&self) -> Vec<Value> {
        let log = self.simulated.get(&self.at("log?since=0")).await;
        log.as_array().cloned().unwrap_or_default()
    }

    /// Starts the counts again.
    pub async fn forget_calls(&self) {
        self.simulated.forget_calls().await;
        self.simulated.delete(&self.at("calls")).await;
    }

    /// Returns the access in the status of this employee.
    pub async fn access(&self, employee: &str) -> Value {
        let status = self.person(employee).await.and_then(|person| person.status);
        status.map_or(Value::Null, |status| serde_json::to_value(status.access).expect("JSON"))
    }
}

/// The default password of new accounts.
pub const PASSWORD: &str = "Correct-Horse-7-Battery";

/// Fields of an employee who leaves.
pub fn leaves() -> Value {
    json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"})
}

/// Fields of an employee who works.
pub fn works() -> Value {
    json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"})
}

/// Fields of a joiner with this e-mail who has started.
pub fn joins(email: &str) -> Value {
    json!({"root.email": email, "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed",
           "internal.status": "Active", "internal.terminationDate": null, "employee.lastDayOfWork": null})
}
