//! Bob's routes, credentials, permissions, limits and the block after many refusals.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::block::Refusals;
use super::company::{Company, Employee};
use super::quirks::{OutOfSight, Permissions, Quirks};
use super::render::{Plan, View};
use super::search::{Filter, Refusal, Request};
use super::webhooks::{self, Webhook};
use crate::clock::Clock;
use crate::front::window::{Taken, Window};
use crate::front::{Answer, Call, Content, Service};

const LOGIN_PAGE: &str = "<!doctype html>\n<html><head><title>Log in</title></head><body><form>Log in to continue</form></body></html>";
const BLOCK_PAGE: &str =
    "<!doctype html>\n<html><head><title>Blocked</title></head><body>Request blocked</body></html>";

/// apidocs.hibob.com, "Rate limiting": 50 calls a minute.
const CALLS_A_MINUTE: u64 = 50;
/// How much of a streamed answer is rendered at a time, bytes.
const PIECE: usize = 256 * 1024;
/// Answers with up to this many employees are sent with their length.
const SENT_WHOLE: usize = 100;

/// The mutable half of the simulated Bob.
pub struct State {
    pub company: Arc<Company>,
    pub credentials: (String, String),
    pub permissions: Permissions,
    pub quirks: Quirks,
    /// A search answers only this many employees.
    pub first: Option<usize>,
    pub limit: u64,
    windows: HashMap<String, Window>,
    stale: HashMap<u64, (Timestamp, Arc<Employee>)>,
    refusals: Refusals,
    /// The address to which events are sent.
    pub webhook: Option<Webhook>,
}

/// The simulated Bob.
pub struct Bob {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl Bob {
    pub fn new(clock: Arc<Clock>, company: Company) -> Self {
        let state = State {
            company: Arc::new(company),
            credentials: ("SERVICE-1".into(), "bob-token-1".into()),
            permissions: Permissions::default(),
            quirks: Quirks::default(),
            first: None,
            limit: CALLS_A_MINUTE,
            windows: HashMap::new(),
            stale: HashMap::new(),
            refusals: Refusals::default(),
            webhook: None,
        };
        Self { clock, state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("bob lock")
    }

    /// Edits the company; this does not affect a snapshot that is being rendered.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Company) -> T) -> T {
        edit(Arc::make_mut(&mut self.state().company))
    }

    /// Changes an employee; with a lag, reads show the old row for that long.
    pub fn change(&self, id: u64, given: &Map<String, Value>) -> Option<Result<(), String>> {
        let now = self.clock.now();
        let mut state = self.state();
        let old = state.company.employee(id)?.clone();
        let done = Arc::make_mut(&mut state.company).change(id, given)?;
        let lag = state.quirks.lag_seconds;
        if done.is_ok() && lag > 0 {
            let until = now + SignedDuration::from_secs(lag);
            state.stale.entry(id).and_modify(|(end, _)| *end = until).or_insert((until, old));
        }
        Some(done)
    }

    /// Pushes an event to the webhook, if one is set up.
    pub fn push(&self, kind: &str, data: &Value) {
        let now = self.clock.now();
        if let Some(webhook) = &self.state().webhook {
            webhook.push(&webhooks::event(kind, data, now));
        }
    }

    /// Sets another limit of calls a minute for each route, and what is left of it now.
    pub fn set_limit(&self, limit: u64, remaining: Option<u64>) {
        let mut state = self.state();
        state.limit = limit;
        for route in ROUTES {
            let mut window = Window::new(limit, 60);
            window.set(limit, remaining);
            state.windows.insert((*route).to_owned(), window);
        }
    }

    fn view(&self, state: &mut State) -> View {
        let now = self.clock.now();
        state.stale.retain(|_, (until, _)| now < *until);
        let old_rows = state.stale.iter().map(|(id, (_, row))| (*id, row.clone())).collect();
        View { company: state.company.clone(), stale: old_rows, quirks: state.quirks.clone() }
    }
}

const SEARCH: &str = "POST /v1/people/search";
const PERSON: &str = "POST /v1/people/{id}";
const FIELDS: &str = "GET /v1/company/people/fields";
const LISTS: &str = "GET /v1/company/named-lists";
const LIST: &str = "GET /v1/company/named-lists/{name}";
const ROUTES: &[&str] = &[SEARCH, PERSON, FIELDS, LISTS, LIST];

fn route(call: &Call) -> Option<&'static str> {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "people", "search"]) => Some(SEARCH),
        ("POST", ["v1", "people", id]) if !id.is_empty() => Some(PERSON),
        ("GET", ["v1", "company", "people", "fields"]) => Some(FIELDS),
        ("GET", ["v1", "company", "named-lists"]) => Some(LISTS),
        ("GET", ["v1", "company", "named-lists", name]) if !name.is_empty() => Some(LIST),
        _ => None,
    }
}

fn error(status: u16, key: &str, text: &str) -> Answer {
    Answer::json(status, &json!({"key": key, "error": text}))
}

fn limit_headers(answer: Answer, taken: Taken) -> Answer {
    answer
        .with("x-ratelimit-limit", taken.limit)
        .with("x-ratelimit-remaining", taken.remaining)
        .with(
            "x-ratelimit-reset",
            taken.ends.as_second() + i64::from(taken.ends.subsec_nanosecond() > 0),
        )
}

impl Service for Bob {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        let address = call.peer.to_string();
        let header = call.header("authorization").map(|value| format!("header {value}"));
        let blocked = state.refusals.blocks(&address, now)
            || header.as_ref().is_some_and(|header| state.refusals.blocks(header, now));
        if blocked {
            return Answer::html(403, BLOCK_PAGE);
        }
        let Some(route) = route(call) else { return Answer::html(200, LOGIN_PAGE) };
        if call.basic().as_ref() != Some(&state.credentials) {
            state.refusals.note(address, now);
            if let Some(header) = header {
                state.refusals.note(header, now);
            }
            return error(401, "auth.unauthorized", "The service user is not authorized");
        }
        if let Some(status) = state.permissions.status {
            if let (401 | 403, Some(header)) = (status, header) {
                state.refusals.note(header, now);
            }
            return error(status, "auth.forbidden", "The service user has no permission for this");
        }
        let limit = state.limit;
        let taken = state
            .windows
            .entry(route.to_owned())
            .or_insert_with(|| Window::new(limit, 60))
            .take(now);
        if !taken.granted {
            return limit_headers(
                error(429, "too.many.requests", "Too many requests, see the headers"),
                taken,
            );
        }
        let answer = self.dispatch(state, route, call);
        limit_headers(answer, taken)
    }

    fn route(&self, call: &Call) -> String {
        route(call).map_or_else(|| format!("{} (unknown)", call.method), str::to_owned)
    }

    fn is_write(&self, call: &Call) -> bool {
        // A read-only client makes no writes, so every other call counts as one.
        !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS") && route(call).is_none()
    }

    fn is_secret(&self, _: &Call) -> bool {
        false
    }

    fn error_body(&self, status: u16) -> Value {
        json!({"key": format!("injected.{status}"), "error": "An injected error"})
    }
}

impl Bob {
    fn dispatch(&self, mut state: MutexGuard<'_, State>, route: &str, call: &Call) -> Answer {
        // HiBob's own client sends a content type when it asks for the fields (PyPI
        // hibob-public-mcp).
        if route.starts_with("GET")
            && route != FIELDS
            && call.media_type().as_deref() == Some("application/json")
        {
            return Answer::html(400, LOGIN_PAGE);
        }
        let archived =
            call.pairs().iter().any(|(key, value)| key == "includeArchived" && value == "true");
        let numbers = state.quirks.numeric_list_ids();
        let name = call.segments().pop().unwrap_or_default();
        match route {
            FIELDS => {
                let fields =
                    state.company.catalogue.fields.iter().map(super::fields::Field::metadata);
                Answer::json(200, &fields.collect::<Value>())
            }
            LISTS => {
                let lists = state.company.lists.keys();
                let lists = lists.filter_map(|name| {
                    Some((name.clone(), state.company.list_json(name, archived, numbers)?))
                });
                Answer::json(200, &Value::Object(lists.collect()))
            }
            LIST => match state.company.list_json(&name, archived, numbers) {
                Some(list) => Answer::json(200, &list),
                None => error(404, "named.list.not.found", "There is no such list"),
            },
            SEARCH | PERSON => {
                let request =
                    if route == SEARCH { Request::search(call) } else { Request::single(call) };
                let request = match request {
                    Ok(request) => request,
                    Err(Refusal::LoginPage) => return Answer::html(200, LOGIN_PAGE),
                    Err(Refusal::MediaType) => return Answer::html(415, LOGIN_PAGE),
                    Err(Refusal::Bad(why)) => return error(400, "bad.request", why),
                };
                let view = self.view(&mut state);
                let permissions = state.permissions.clone();
                let first = state.first;
                // Rendering needs only the snapshot.
                drop(state);
                let unknown_keys = request.unknown_keys;
                let mut answer = match route {
                    SEARCH => search(view, &permissions, first, &request),
                    _ => person(&view, &permissions, &name, &request),
                };
                answer.unknown_keys = unknown_keys;
                answer
            }
            _ => Answer::html(200, LOGIN_PAGE),
        }
    }
}

fn plan(view: &View, permissions: &Permissions, request: &Request) -> Plan {
    let catalogue = &view.company.catalogue;
    let mut numbers: Vec<usize> = match &request.fields {
        // Misspelt ids are left out silently.
        Some(ids) => ids.iter().filter_map(|id| catalogue.number(id)).collect(),
        None => (0..catalogue.fields.len())
            .filter(|number| catalogue.fields[*number].is_default())
            .collect(),
    };
    let mut seen = HashSet::new();
    numbers.retain(|number| {
        seen.insert(*number) && !permissions.hidden_fields.contains(&catalogue.fields[*number].id)
    });
    Plan::new(view, &numbers, request.human)
}

fn in_sight(view: &View, permissions: &Permissions, employee: &Employee) -> bool {
    let Some(visible) = &permissions.visible_lifecycles else { return true };
    let label = view.company.label(employee, "internal.lifecycleStatus").unwrap_or_default();
    visible.iter().any(|wanted| wanted.eq_ignore_ascii_case(label))
}

fn search(
    view: View,
    permissions: &Permissions,
    first: Option<usize>,
    request: &Request,
) -> Answer {
    let plan = plan(&view, permissions, request);
    let matching: Vec<Arc<Employee>> = match &request.filter {
        None => view.company.employees.clone(),
        Some(Filter::Ids(ids)) => {
            let mut ids: Vec<u64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter_map(|id| view.company.employee(id).cloned()).collect()
        }
        Some(Filter::Emails(emails)) => {
            let emails: HashSet<String> = emails.iter().map(|email| email.to_lowercase()).collect();
            let field = view.company.catalogue.built_in("root.email");
            let wanted = |employee: &&Arc<Employee>| {
                employee.text(field).is_some_and(|own| emails.contains(&own.to_lowercase()))
            };
            view.company.employees.iter().filter(wanted).cloned().collect()
        }
    };
    let inactive = view.company.lists.get("status").and_then(|list| list.position("Inactive"));
    let status = view.company.catalogue.built_in("internal.status");
    let mut people: Vec<Arc<Employee>> = matching
        .into_iter()
        .map(|employee| view.stale.get(&employee.id).cloned().unwrap_or(employee))
        .filter(|employee| {
            let is_inactive = matches!(employee.cell(status), Some(super::company::Cell::Item(item)) if Some(*item) == inactive);
            (request.show_inactive || !is_inactive) && in_sight(&view, permissions, employee)
        })
        .collect();
    people.truncate(first.unwrap_or(usize::MAX));
    let whole = people.len() <= SENT_WHOLE;
    let mut pieces = Pieces { view, plan, people, next: 0, ended: false };
    if whole {
        let body: Vec<u8> = pieces.flatten().collect();
        return Answer::new(200, "application/json;charset=utf-8", body);
    }
    // The first piece is rendered here, so that a failure is not hidden behind a 200.
    let head = pieces.next();
    let mut answer = Answer::new(200, "application/json;charset=utf-8", Bytes::new());
    answer.content = Content::Pieces(Box::new(head.into_iter().chain(pieces)));
    answer
}

fn person(view: &View, permissions: &Permissions, identifier: &str, request: &Request) -> Answer {
    let found = match identifier.parse() {
        Ok(id) => view.company.employee(id),
        Err(_) => view.company.by_email(identifier),
    };
    let not_found = || error(404, "employee.not.found", "There is no such employee");
    let Some(employee) = found.map(|employee| view.current(employee)) else { return not_found() };
    if !in_sight(view, permissions, employee) {
        return match permissions.out_of_sight {
            OutOfSight::NotFound => not_found(),
            OutOfSight::Forbidden => {
                error(403, "employee.forbidden", "The service user has no access to this employee")
            }
        };
    }
    let mut body = Vec::with_capacity(4096);
    plan(view, permissions, request).write(view, employee, &mut body);
    Answer::new(200, "application/json;charset=utf-8", body)
}

/// `{"employees":[…]}`, rendered piece by piece while it is sent.
struct Pieces {
    view: View,
    plan: Plan,
    people: Vec<Arc<Employee>>,
    next: usize,
    ended: bool,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::with_capacity(PIECE + 8 * 1024);
        if self.next == 0 {
            out.extend_from_slice(b"{\"employees\":[");
        }
        while out.len() < PIECE && self.next < self.people.len() {
            if self.next > 0 {
                out.push(b',');
            }
            self.plan.write(&self.view, &self.people[self.next], &mut out);
            self.next += 1;
        }
        if self.next == self.people.len() {
            out.extend_from_slice(b"]}");
            self.ended = true;
        }
        Some(out.into())
    }
}
