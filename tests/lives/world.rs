//! The state in memory: Bob's employees, the provider's accounts, the settings, the clock. A pass
//! does what the engine's pass does. It applies every change directly, and refuses what the
//! provider would refuse.
//!
//! An employee's name is the `root.id` in Bob; an account's name is its id at the provider.

use std::collections::{BTreeMap, HashSet};

use bobsync::{
    api::ProvisioningIntegrationSpec,
    domain::{
        access::{decide, unless_waiting},
        account::{Access, Account as Listed, AccountState, AccountWrite, NewValue},
        baseline::{Baseline, mapped},
        calendar::with_offset,
        employee::{Cell, Employee, SITE, Values},
        known::{Known, Met, Overrides, Revoked},
        mapping::Mapping,
        matching::{Matcher, Person},
        plan::{ChangeKind, Plan, plan},
        safety::ShortRead,
        settings::{Settings, UserStatus},
        why::Why,
    },
    engine::settings::{endpoints::AllowedEndpoints, validate::validate},
    provider::onelogin::CATALOG,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    life::{Fragment, Step},
    oracle::Shown,
};

/// Asks the core for a decision, with all that is known of an employee in addition to Bob's row. No
/// other code here does.
fn decided(
    settings: &Settings,
    mut employee: Employee,
    object: Option<&Object>,
    first_pass: bool,
    now: Timestamp,
) -> Person {
    let unmet = if first_pass { Met::BeforeIntegration } else { Met::New };
    let known = Known {
        overrides: object.map(Object::overrides).unwrap_or_default(),
        met: object.and_then(|object| object.met).unwrap_or(unmet),
        revoked: object.and_then(|object| object.revoked),
        ended: None,
        kept_in: false,
    };
    let rows = |target: &str| settings.mapping.position(target);
    let unknown_target = known
        .overrides
        .attributes
        .iter()
        .find(|(target, _)| rows(target).is_none())
        .map(|(target, _)| target.clone());
    let pins: Vec<_> = known
        .overrides
        .attributes
        .iter()
        .filter_map(|(target, value)| Some((rows(target)?, value.clone())))
        .collect();
    employee.pins = (!pins.is_empty()).then(|| pins.into());
    let now_says = Baseline::of(settings, &mapped(&settings.mapping), &employee, now);
    let decision =
        unless_waiting(settings, &known, decide(settings, &known, &employee, now), Some(now_says));
    Person {
        first_login: false,
        decision,
        forgotten: false,
        known_account: object.and_then(|object| object.account.as_deref()).map(Into::into),
        sessions_open: false,
        known_active: object.is_some_and(|object| object.active),
        several: false,
        claimed_by: None,
        scope_failure: settings
            .scope
            .as_ref()
            .and_then(|scope| scope.holds(&employee).err())
            .map(|why| why.to_string().into()),
        unknown_target,
        baseline: [Some(decision.why), decision.also]
            .contains(&Some(Why::AwaitingChange))
            .then(|| Box::new(now_says)),
        in_place: None,
        kept: None,
        employee,
    }
}

/// One employee's file in Bob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Field ids and what the service user sees; a field without an entry is empty in Bob.
    pub fields: BTreeMap<String, Shown>,
    /// The search leaves this employee out, although the file exists.
    pub unlisted: bool,
}

/// One account, as `OneLogin` keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Unique, ignoring case.
    pub email: Option<String>,
    /// Unique, ignoring case.
    pub username: Option<String>,
    /// The mark.
    pub external_id: Option<String>,
    /// 1 active, 2 suspended, 0 unactivated, others are locks and passwords.
    pub status: u64,
    /// Everything else that is not empty, by the provider's name.
    pub attributes: BTreeMap<String, String>,
}

/// What is kept between passes for one employee: the `EmployeeSync`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// Its spec, without the two keys that name the employee.
    pub spec: Fragment,
    /// The recorded account.
    pub account: Option<String>,
    /// The read by id said that the file is gone.
    pub gone: bool,
    /// The result of the latest pass for the employee.
    pub met: Option<Met>,
    /// The result of the pass before, which the latest one used for its decision.
    pub met_before: Option<Met>,
    /// The status says that the account can be used.
    pub active: bool,
    /// Bob's event that access is revoked at once came.
    pub revoked: Option<Revoked>,
}

impl Object {
    /// Returns what its spec asks for.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for (key, value) in &self.spec {
            match (key.as_str(), value) {
                ("suspend", Value::Bool(suspend)) => overrides.hands_off = *suspend,
                ("userStatus", Value::String(word)) => {
                    overrides.user_status = Some(match word.as_str() {
                        "AccordingToBob" => UserStatus::AccordingToBob,
                        "AlwaysActive" => UserStatus::AlwaysActive,
                        "AlwaysInactive" => UserStatus::AlwaysInactive,
                        other => panic!("there is no user status {other}"),
                    });
                }
                ("attributes", Value::Object(attributes)) => {
                    let text = |value: &Value| value.as_str().unwrap_or_default().into();
                    overrides.attributes = attributes
                        .iter()
                        .map(|(target, value)| (target.as_str().into(), text(value)))
                        .collect();
                }
                ("userStatus" | "attributes", Value::Null) => {}
                _ => panic!("an EmployeeSync has no `{key}: {value}`"),
            }
        }
        overrides
    }
}

/// The whole state.
#[derive(Clone)]
pub struct World {
    /// The clock.
    pub now: Timestamp,
    /// Bob, by `root.id`.
    pub people: BTreeMap<String, File>,
    /// The provider, by account id.
    pub accounts: BTreeMap<String, Account>,
    /// By `root.id`.
    pub objects: BTreeMap<String, Object>,
    /// The integration's spec.
    pub spec: Value,
    /// The same, validated.
    pub settings: Settings,
    in_bob_before: u32,
    first_pass: bool,
}

/// The order in which employees and accounts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Forwards,
    /// By name, from the end.
    Backwards,
}

/// What one pass found and did.
pub struct Pass {
    /// All employees, with their decisions.
    pub people: Vec<Person>,
    /// The plan.
    pub plan: Plan,
    /// The writes, in their order.
    pub writes: Vec<Written>,
    /// Bob's answer was implausibly short.
    pub suspect: bool,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The employee.
    pub who: String,
    /// The account.
    pub account: String,
    /// The kind.
    pub kind: ChangeKind,
    /// The provider's names of attributes that got a value.
    pub set: Vec<String>,
    /// The provider's names of attributes that were emptied.
    pub emptied: Vec<String>,
    /// Access given or taken.
    pub access: Option<Access>,
    /// Whether the mark was written.
    pub marked: bool,
    /// The provider refused it: another account has this e-mail or username.
    pub refused: bool,
}

impl World {
    /// Returns an empty Bob, an empty provider and the default settings with this fragment merged
    /// in.
    pub fn new(settings: &Fragment) -> Self {
        let mut spec = json!({
            "mode": "Enforce",
            "bob": {
                "credentialsSecretRef": {"name": "bob"},
                "timeZone": "Europe/London",
                "siteTimeZones": {
                    "Berlin": "Europe/Berlin", "Auckland": "Pacific/Auckland", "Honolulu": "Pacific/Honolulu",
                    "Beirut": "Asia/Beirut", "Azores": "Atlantic/Azores", "Santiago": "America/Santiago",
                },
            },
            "provider": {"oneLogin": {"region": "EU", "credentialsSecretRef": {"name": "onelogin"}}},
        });
        merge(&mut spec, settings);
        Self {
            now: Timestamp::UNIX_EPOCH,
            people: BTreeMap::new(),
            accounts: BTreeMap::new(),
            objects: BTreeMap::new(),
            settings: validated(&spec),
            spec,
            in_bob_before: 0,
            first_pass: true,
        }
    }

    /// Runs a step. What the provider would refuse a person does not happen.
    pub fn happen(&mut self, step: &Step) {
        self.now = step.at.at;
        if !step.settings.is_empty() {
            merge(&mut self.spec, &step.settings);
            self.settings = validated(&self.spec);
        }
        for (name, changes) in &step.bob {
            self.in_bob(name, changes);
        }
        for (name, changes) in &step.provider {
            self.at_the_provider(name, changes);
        }
        for (name, changes) in &step.overrides {
            self.objects.entry(name.clone()).or_default().spec.extend(changes.clone());
        }
    }

    fn in_bob(&mut self, name: &str, changes: &Fragment) {
        if changes.get("delete") == Some(&Value::Bool(true)) {
            self.people.remove(name);
            return;
        }
        if changes.get("revoked") == Some(&Value::Bool(true)) {
            let start =
                self.people.get(name).and_then(|file| match file.fields.get("work.startDate") {
                    Some(Shown::Text(date)) => date.parse().ok(),
                    _ => None,
                });
            self.objects.entry(name.to_owned()).or_default().revoked =
                Some(Revoked { at: self.now, start });
            return;
        }
        let file = self.people.entry(name.to_owned()).or_insert_with(|| {
            let mut first = name.to_owned();
            first[..1].make_ascii_uppercase();
            let fields = [
                ("root.id", name),
                ("root.email", &format!("{name}@example.com")),
                ("root.firstName", &first),
                ("root.surname", "Example"),
            ];
            File {
                fields: fields
                    .iter()
                    .map(|(id, text)| ((*id).to_owned(), Shown::text(text)))
                    .collect(),
                unlisted: false,
            }
        });
        for (field, value) in changes {
            match value {
                Value::Bool(unlisted) if field == "unlisted" => file.unlisted = *unlisted,
                Value::String(word) if word == "hidden" => {
                    drop(file.fields.insert(field.clone(), Shown::Hidden))
                }
                Value::Null => drop(file.fields.insert(field.clone(), Shown::Empty)),
                Value::String(text) => drop(file.fields.insert(field.clone(), Shown::text(text))),
                _ => panic!("Bob has no `{field}: {value}`"),
            }
        }
    }

    fn at_the_provider(&mut self, name: &str, changes: &Fragment) {
        if changes.get("delete") == Some(&Value::Bool(true)) {
            self.accounts.remove(name);
            return;
        }
        let mut account = self
            .accounts
            .get(name)
            .cloned()
            .unwrap_or_else(|| Account { status: 1, ..Account::default() });
        for (key, value) in changes {
            let text = value.as_str().map(str::to_owned);
            match (key.as_str(), value) {
                ("status", Value::Number(status)) => {
                    account.status = status.as_u64().unwrap_or_default()
                }
                ("external_id", _) => account.external_id = text,
                _ => account.put(key, text),
            }
        }
        if !self.duplicate(name, &account) {
            self.accounts.insert(name.to_owned(), account);
        }
    }

    /// Returns whether another account has this account's e-mail or username.
    fn duplicate(&self, id: &str, account: &Account) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) => a.to_lowercase() == b.to_lowercase(),
            _ => false,
        };
        self.accounts.iter().any(|(other, have)| {
            other != id
                && (same(&have.email, &account.email) || same(&have.username, &account.username))
        })
    }

    /// Runs passes until one writes nothing.
    pub fn rest(&mut self) -> Vec<Pass> {
        let mut passes = Vec::new();
        loop {
            let pass = self.pass(Order::Forwards);
            let quiet = pass.writes.is_empty();
            passes.push(pass);
            if quiet {
                return passes;
            }
            assert!(
                passes.len() < 12,
                "passes go on and on: {:?}",
                passes.iter().map(|pass| &pass.writes).collect::<Vec<_>>()
            );
        }
    }

    /// Runs one pass: observe, decide, plan, execute, record.
    pub fn pass(&mut self, order: Order) -> Pass {
        let (mut employees, suspect) = self.observe();
        if order == Order::Backwards {
            employees.reverse();
        }
        // As the engine does: a row for every target that an EmployeeSync pins.
        let pinned: Vec<_> = self
            .objects
            .values()
            .flat_map(|object| object.overrides().attributes)
            .map(|(target, _)| target)
            .collect();
        self.settings = validated(&self.spec);
        self.settings
            .mapping
            .pin_also(pinned.iter().map(|target| &**target), |target| CATALOG.compare(target));
        let mut listing: Vec<Listed> = self
            .accounts
            .iter()
            .map(|(id, account)| account.listed(id, &self.settings.mapping))
            .collect();
        if order == Order::Backwards {
            listing.reverse();
        }
        let people: Vec<Person> = employees
            .into_iter()
            .map(|employee| {
                let object = self.objects.get(employee.id());
                decided(&self.settings, employee, object, self.first_pass, self.now)
            })
            .collect();
        let plan = {
            let mut matcher = Matcher::new(&self.settings.mapping, &people, true);
            listing.into_iter().for_each(|account| matcher.see(account));
            plan(matcher, true).plan
        };
        let writes = self.execute(&people, &plan);
        self.record(&people, &plan, &writes);
        Pass { people, plan, writes, suspect }
    }

    /// Reads the search, and each employee who has an object and is missing from it, unless the
    /// answer is implausibly short.
    fn observe(&mut self) -> (Vec<Employee>, bool) {
        let row = |file: &File| {
            let cells: Vec<Cell<'_>> = self
                .settings
                .mapping
                .fields
                .ids()
                .iter()
                .map(|id| match file.fields.get(&**id) {
                    Some(Shown::Hidden) => Cell::Absent,
                    Some(Shown::Text(text)) => Cell::Text(text),
                    Some(Shown::Empty) | None => Cell::Null,
                })
                .collect();
            Employee::from_values(Values::from_cells(cells.into_iter())).expect("a row with an id")
        };
        let mut employees: Vec<Employee> =
            self.people.values().filter(|file| !file.unlisted).map(row).collect();
        let answered = u32::try_from(employees.len()).expect("a few people");
        let suspect = ShortRead::default().is_suspect(self.in_bob_before, answered);
        let listed: HashSet<String> =
            employees.iter().map(|employee| employee.id().to_owned()).collect();
        for (name, object) in self.objects.iter_mut().filter(|(name, _)| !listed.contains(*name)) {
            match self.people.get(name) {
                _ if object.gone => employees.push(Employee::gone(name)),
                None if object.met.is_none() => employees.push(Employee::expected(name)),
                _ if suspect => {}
                Some(file) => employees.push(row(file)),
                None => {
                    object.gone = true;
                    employees.push(Employee::gone(name));
                }
            }
        }
        self.in_bob_before = answered;
        (employees, suspect)
    }

    fn execute(&mut self, people: &[Person], plan: &Plan) -> Vec<Written> {
        let mapping = self.settings.mapping.clone();
        let mut made: BTreeMap<u32, String> = BTreeMap::new();
        let account_of = |made: &BTreeMap<u32, String>, person: u32| {
            made.get(&person).cloned().or_else(|| {
                plan.standings[person as usize].account.as_ref().map(|held| held.id.to_string())
            })
        };
        let mut writes = Vec::new();
        for change in &plan.changes {
            let mut write = change.write.clone();
            if let (Some(row), Some(manager)) = (mapping.manager, change.manager) {
                write
                    .attributes
                    .extend(account_of(&made, manager).map(|id| (row, NewValue::Set(id.into()))));
            }
            if write.is_empty() {
                // Only a manager without an account was to be set.
                continue;
            }
            let who = people[change.person as usize].employee.id();
            // An account that is on record, and that no listing shows as this employee's, is looked
            // up, as the engine does.
            if let Some(id) = change.account.as_ref().filter(|_| change.look_up_first) {
                let ours = |account: &&Account| {
                    account.external_id.as_deref().is_none_or(|mark| mark == who)
                };
                if self.accounts.get(&**id).filter(ours).is_none_or(|account| account.status == 2) {
                    continue;
                }
            }
            let id =
                change.account.as_ref().map_or_else(|| self.free_name(who), ToString::to_string);
            let written = self.write(who, &id, change.kind, &write, &mapping);
            if !written.refused {
                made.insert(change.person, id);
            } else if change.suspends() {
                // A refused attribute never stops a suspension.
                let alone = AccountWrite { access: write.access, ..AccountWrite::default() };
                writes.push(written);
                writes.push(self.write(who, &id, change.kind, &alone, &mapping));
                continue;
            }
            writes.push(written);
        }
        for (person, manager) in &plan.late_managers {
            if let (Some(row), Some(id), Some(manager)) =
                (mapping.manager, made.get(person), account_of(&made, *manager))
            {
                let write = AccountWrite {
                    attributes: vec![(row, NewValue::Set(manager.into()))],
                    ..AccountWrite::default()
                };
                writes.push(self.write(
                    people[*person as usize].employee.id(),
                    id,
                    ChangeKind::Update,
                    &write,
                    &mapping,
                ));
            }
        }
        writes
    }

    fn write(
        &mut self,
        who: &str,
        id: &str,
        kind: ChangeKind,
        write: &AccountWrite,
        mapping: &Mapping,
    ) -> Written {
        let mut account = self.accounts.get(id).cloned().unwrap_or_default();
        let mut written = Written {
            who: who.to_owned(),
            account: id.to_owned(),
            kind,
            set: Vec::new(),
            emptied: Vec::new(),
            access: write.access,
            marked: write.mark.is_some(),
            refused: false,
        };
        for (row, value) in &write.attributes {
            let target = mapping.rows[*row].target.to_string();
            match value {
                NewValue::Set(text) => {
                    account.put(&target, Some(text.to_string()));
                    written.set.push(target);
                }
                NewValue::Clear => {
                    account.put(&target, None);
                    written.emptied.push(target);
                }
            }
        }
        if let Some(mark) = &write.mark {
            account.external_id = Some(mark.to_string());
        }
        if let Some(access) = write.access {
            account.status = if access == Access::Active { 1 } else { 2 };
        }
        written.refused = self.duplicate(id, &account);
        if !written.refused {
            self.accounts.insert(id.to_owned(), account);
        }
        written
    }

    /// Returns the id that the provider gives to a new account.
    fn free_name(&self, who: &str) -> String {
        let names = std::iter::once(who.to_owned()).chain((2..).map(|n| format!("{who}-{n}")));
        names
            .into_iter()
            .find(|name| !self.accounts.contains_key(name))
            .expect("numbers do not end")
    }

    /// Writes into the `EmployeeSync`s what the engine writes: the account that bears the mark, was
    /// marked in this pass, or is on record already.
    fn record(&mut self, people: &[Person], plan: &Plan, writes: &[Written]) {
        for (person, standing) in people.iter().zip(&plan.standings) {
            let who = person.employee.id();
            let written = writes
                .iter()
                .find(|write| write.who == who && !write.refused)
                .map(|write| write.account.clone());
            let known = |id: &str| person.known_account.as_deref() == Some(id);
            let own = standing
                .account
                .as_ref()
                .filter(|held| held.marked || known(&held.id))
                .map(|held| held.id.to_string());
            let object = self.objects.entry(who.to_owned()).or_default();
            // An account on record that is not listed as this employee's still exists, unless a
            // look-up says that it is gone.
            let looked_up = standing
                .change
                .map(|change| &plan.changes[change])
                .filter(|change| change.look_up_first && change.account.is_some());
            let kept = person.known_account.as_deref().filter(|id| {
                let ours = |account: &Account| {
                    account.external_id.as_deref().is_none_or(|mark| mark == who)
                };
                looked_up.is_none() || self.accounts.get(*id).is_some_and(ours)
            });
            object.account = written.or(own).or(kept.map(str::to_owned));
            object.active = object
                .account
                .as_ref()
                .is_some_and(|id| self.accounts.get(id).is_some_and(|account| account.status == 1));
            object.gone &= person.employee.deleted;
            object.met_before = object.met;
            object.met = match (&person.baseline, person.decision.why) {
                (_, Why::NotInBob) => None,
                (Some(baseline), _) => Some(Met::Waiting(**baseline)),
                (None, _) if person.decision.managed => Some(Met::Managed),
                (None, _) => Some(Met::Unmanaged),
            };
            object.revoked =
                object.revoked.filter(|revoked| revoked.holds(person.employee.start.date()));
        }
        self.first_pass = false;
    }

    /// Returns the zone of an employee's site, and its name.
    pub fn zone(&self, person: &Person) -> &TimeZone {
        self.settings.zones.of(person.employee.values.get(SITE).text())
    }

    /// Returns the next moment at which an employee's decision changes by time alone, in the
    /// employee's zone.
    pub fn next(&self, pass: &Pass) -> Option<(Timestamp, String)> {
        let next = |person: &Person| {
            let at = person.decision.next?.at;
            Some((at, self.zone(person).iana_name().unwrap_or("UTC").to_owned()))
        };
        pass.people.iter().filter_map(next).min()
    }
}

impl Account {
    /// Returns the value of one of the provider's attributes.
    pub fn get(&self, target: &str) -> Option<&str> {
        match target {
            "email" => self.email.as_deref(),
            "username" => self.username.as_deref(),
            _ => self.attributes.get(target).map(String::as_str),
        }
    }

    fn put(&mut self, target: &str, value: Option<String>) {
        match (target, value) {
            ("email", value) => self.email = value,
            ("username", value) => self.username = value,
            (_, Some(value)) => drop(self.attributes.insert(target.to_owned(), value)),
            (_, None) => drop(self.attributes.remove(target)),
        }
    }

    /// Returns it as the listing shows it.
    fn listed<'a>(&'a self, id: &'a str, mapping: &Mapping) -> Listed<'a> {
        Listed {
            phase: bobsync::domain::account::AccountPhase::Usual,
            id: id.into(),
            mark: self.external_id.as_deref().map(Into::into),
            email: self.email.as_deref().map(Into::into),
            username: self.username.as_deref().map(Into::into),
            state: self.state(),
            attributes: mapping
                .rows
                .iter()
                .map(|row| self.get(&row.target).map(Into::into))
                .collect(),
            administrator: false,
            elsewhere: false,
            foreign: None,
        }
    }

    /// Returns the status in the terms of a decision.
    pub fn state(&self) -> AccountState {
        match self.status {
            0 => AccountState::Unactivated,
            1 => AccountState::Active,
            2 => AccountState::Suspended,
            _ => AccountState::Other,
        }
    }
}

/// Prints a moment in a zone, to the second, with the offset.
pub fn told(at: Timestamp, zone: &str) -> String {
    with_offset(at, &TimeZone::get(zone).expect("a zone of the bundled database"))
}

/// Returns the settings as the controller validates them.
fn validated(spec: &Value) -> Settings {
    let read: ProvisioningIntegrationSpec = serde_json::from_value(spec.clone()).expect("a spec");
    validate(&read, &AllowedEndpoints::default()).expect("valid settings").settings
}

/// Applies a merge patch: null removes a key.
fn merge(into: &mut Value, fragment: &Fragment) {
    if !into.is_object() {
        *into = json!({});
    }
    let Some(object) = into.as_object_mut() else { return };
    for (key, value) in fragment {
        match value {
            Value::Null => drop(object.remove(key)),
            Value::Object(inner) => {
                let inner: Fragment =
                    inner.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                merge(object.entry(key.clone()).or_insert(Value::Null), &inner);
            }
            value => drop(object.insert(key.clone(), value.clone())),
        }
    }
}
