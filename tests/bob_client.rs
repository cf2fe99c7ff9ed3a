//! The client of Bob against the simulated service: its requests, and what it makes of answers,
//! refusals and broken answers.

use std::{sync::Arc, time::Duration};

use bobsync::{
    bob::{CallObserver, Client, Config, Error, People},
    domain::{
        employee::{Cell, Employee, Fields},
        priority::Urgency,
    },
    http::secret::Secret,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use simulators::{Control, Fault, FaultKind, Options, World, client::Service};

type Outcomes = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

struct Bench {
    world: World,
    control: Control,
    client: Client,
    outcomes: Outcomes,
}

const BADGE: &str = "work.custom.field_1716900000001";

const MAPPED: [&str; 14] = [
    "root.firstName",
    "root.surname",
    "root.displayName",
    "work.title",
    "work.department",
    "work.siteId",
    "work.manager",
    "work.reportsTo.email",
    "work.workPhone",
    "work.workMobile",
    "work.employeeIdInCompany",
    "payroll.employment.type",
    "address.country",
    BADGE,
];

fn fields() -> Fields {
    let mut fields = Fields::default();
    for id in MAPPED {
        fields.want(id);
    }
    fields
}

fn client(world: &World, token: &str, observer: CallObserver) -> Client {
    Client::new(Config {
        base: world.bob_url().to_owned(),
        service_user_id: "SERVICE-1".to_owned(),
        service_user_token: Secret::new(token),
        pace: Arc::default(),
        observer,
        waits: Arc::new(|_| ()),
    })
    .unwrap()
}

async fn bench(employees: usize) -> Bench {
    let world = World::start(Options { employees, seed: 7, ..Options::default() }).await;
    let outcomes = Outcomes::default();
    let told = Arc::clone(&outcomes);
    let observer: CallObserver = Arc::new(move |call, outcome| told.lock().push((call, outcome)));
    let (control, client) = (world.control(), client(&world, "bob-token-1", observer));
    Bench { world, control, client, outcomes }
}

impl Bench {
    async fn total_calls(&self) -> u64 {
        self.control.calls(Service::Bob).await.unwrap().total
    }

    fn last_outcome(&self) -> (&'static str, &'static str) {
        *self.outcomes.lock().last().unwrap()
    }
}

/// Returns what the simulated Bob holds for a field, in human words; dates in ISO.
fn held(person: &Value, id: &str) -> Option<String> {
    match person.get(id)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn shown<'a>(fields: &Fields, employee: &'a Employee, id: &str) -> Cell<'a> {
    employee.values.get(fields.position(id).unwrap())
}

#[tokio::test]
async fn a_pass_is_one_call_with_exactly_these_keys_and_fields() {
    let bench = bench(150).await;
    let fields = fields();
    bench.client.everybody(&fields).await.unwrap();
    let log = bench.control.log(Service::Bob, 0).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str(), log[0].query.as_str()),
        ("POST", "/v1/people/search", "")
    );
    assert_eq!(
        log[0].body,
        json!({"fields": fields.ids(), "showInactive": true, "humanReadable": "APPEND"})
    );
    let calls = bench.control.calls(Service::Bob).await.unwrap();
    assert_eq!((calls.unknown_body_keys, calls.writes), (0, 0));
    assert_eq!(*bench.outcomes.lock(), [("search", "ok")]);
}

#[tokio::test]
async fn everybody_is_everybody_with_what_bob_holds() {
    let bench = bench(400).await;
    let fields = fields();
    let people = bench.client.everybody(&fields).await.unwrap();
    let truth = bench.control.employees().await.unwrap();
    assert_eq!(people.employees.len(), truth.len());
    assert_eq!((people.duplicates, people.without_id), (0, 0));
    assert!(people.seen.iter().all(|seen| *seen));
    let company = bench.control.company().await.unwrap();
    assert!(
        company.inactive > 20 && company.future_starters > 0,
        "the company has people whom a careless search would miss"
    );
    for (employee, person) in people.employees.iter().zip(&truth) {
        // Calculated fields are checked below.
        for id in fields.ids().iter().filter(|id| ***id != *"work.reportsTo.email") {
            let cell = shown(&fields, employee, id);
            match held(person, id) {
                Some(text) => assert_eq!(cell, Cell::Text(&text), "{id} of {person}"),
                None => assert_eq!(cell, Cell::Null, "{id} of {person}"),
            }
        }
        let manager = held(person, "work.manager")
            .and_then(|id| truth.iter().find(|other| other["id"] == id.as_str()));
        let email = manager.and_then(|manager| held(manager, "root.email"));
        assert_eq!(
            shown(&fields, employee, "work.reportsTo.email"),
            email.as_deref().map_or(Cell::Null, Cell::Text)
        );
    }
}

#[tokio::test]
async fn tenants_differ_in_form_and_the_rows_do_not() {
    let bench = bench(120).await;
    let mut fields = fields();
    let manager = fields.want("work.reportsTo");
    let plain = bench.client.everybody(&fields).await.unwrap();
    assert_eq!(
        plain.employees[5].values.get(manager),
        shown(&fields, &plain.employees[5], "work.manager")
    );
    for quirks in [
        json!({"slashKeys": false}),
        json!({"listIds": "number"}),
        json!({"lifecycleCasing": "title"}),
        json!({"lifecycleCasing": "upper"}),
        json!({"humanDates": "iso"}),
    ] {
        bench.control.bob_quirks(quirks.clone()).await.unwrap();
        assert_eq!(bench.client.everybody(&fields).await.unwrap(), plain, "after {quirks}");
    }
    // A tenant that shows the manager as a name: the reference and the e-mail are still there.
    bench.control.bob_quirks(json!({"reportsTo": "string", "slashKeys": true})).await.unwrap();
    let told = bench.client.everybody(&fields).await.unwrap();
    for (told, plain) in told.employees.iter().zip(&plain.employees) {
        for id in ["work.manager", "work.reportsTo.email"] {
            assert_eq!(shown(&fields, told, id), shown(&fields, plain, id), "{id}");
        }
    }
}

#[tokio::test]
async fn a_hidden_or_misspelt_field_is_absent_and_an_empty_one_is_null() {
    let bench = bench(40).await;
    let mut fields = fields();
    fields.want("work.titel");
    let someone = bench.client.everybody(&fields).await.unwrap().employees[3].id().to_owned();
    bench.control.change_employee(&someone, json!({"work.workPhone": null})).await.unwrap();
    bench
        .control
        .bob_permissions(json!({"hiddenFields": ["work.workMobile", "internal.terminationDate"]}))
        .await
        .unwrap();
    let people = bench.client.everybody(&fields).await.unwrap();
    let unseen: Vec<&str> = fields
        .ids()
        .iter()
        .zip(&people.seen)
        .filter(|(_, seen)| !**seen)
        .map(|(id, _)| &**id)
        .collect();
    assert_eq!(unseen, ["internal.terminationDate", "work.workMobile", "work.titel"]);
    for employee in &people.employees {
        for id in &unseen {
            assert_eq!(shown(&fields, employee, id), Cell::Absent);
        }
    }
    let employee = people.employees.iter().find(|employee| employee.id() == someone).unwrap();
    assert_eq!(shown(&fields, employee, "work.workPhone"), Cell::Null);
    let read = bench.client.one(&fields, &someone, Urgency::Normal).await.unwrap().unwrap();
    assert_eq!(read, *employee, "the single read tells the same");
}

#[tokio::test]
async fn texts_of_every_script_come_through() {
    let bench = bench(0).await;
    let mut fields = Fields::default();
    let (name, id) = ("work.custom.field_9", "work.custom.Payroll Integration ID_1x");
    for field in [name, id] {
        fields.want(field);
    }
    let text = "Zoë \"Z\" \\ 山田 \u{1f469}\u{200d}\u{1f4bb} \u{1}]}";
    let someone = bench
        .control
        .create_employee(json!({"root.email": "zoe@example.com", name: text, id: "A-7"}))
        .await
        .unwrap();
    let people = bench.client.everybody(&fields).await.unwrap();
    assert_eq!(people.employees.len(), 1);
    assert_eq!(people.employees[0].id(), someone);
    assert_eq!(shown(&fields, &people.employees[0], name), Cell::Text(text));
    assert_eq!(shown(&fields, &people.employees[0], id), Cell::Text("A-7"));
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let bench = bench(10).await;
    bench.control.bob_serve(Some(0)).await.unwrap();
    assert_eq!(bench.client.everybody(&Fields::default()).await.unwrap().employees, []);
}

#[tokio::test]
async fn one_is_found_by_id_until_the_file_is_gone() {
    let bench = bench(10).await;
    let fields = fields();
    let gone = bench.client.everybody(&fields).await.unwrap().employees[9].clone();
    assert_eq!(
        bench.client.one(&fields, gone.id(), Urgency::Normal).await.unwrap().as_ref(),
        Some(&gone)
    );
    let read = bench.control.log(Service::Bob, 0).await.unwrap().pop().unwrap();
    assert_eq!(read.path, format!("/v1/people/{}", gone.id()));
    assert_eq!(read.body, json!({"fields": fields.ids(), "humanReadable": "APPEND"}));
    assert_eq!(bench.control.calls(Service::Bob).await.unwrap().unknown_body_keys, 0);

    bench.control.delete_employee(gone.id()).await.unwrap();
    assert_eq!(bench.client.one(&fields, gone.id(), Urgency::Normal).await, Ok(None));
    assert_eq!(bench.last_outcome(), ("read", "not_found"));

    let before = bench.total_calls().await;
    assert!(bench.client.one(&fields, "ada.okoro@example.com", Urgency::Normal).await.is_err());
    assert_eq!(bench.total_calls().await, before, "an address is no id, and nothing is asked");
}

#[tokio::test]
async fn a_refused_credential_and_a_missing_right_are_told_apart_and_not_repeated() {
    let bench = bench(5).await;
    let wrong = client(&bench.world, "bob-token-wrong", Arc::new(|_, _| ()));
    assert_eq!(wrong.everybody(&Fields::default()).await, Err(Error::Unauthorized));
    assert_eq!(wrong.one(&Fields::default(), "7", Urgency::Normal).await, Err(Error::Unauthorized));
    assert_eq!(bench.total_calls().await, 2);

    bench.control.bob_permissions(json!({"status": 403})).await.unwrap();
    match bench.client.everybody(&Fields::default()).await {
        Err(Error::Forbidden { said }) => {
            assert_eq!(said, "403: auth.forbidden: The service user has no permission for this");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.last_outcome(), ("search", "forbidden"));
    assert_eq!(bench.total_calls().await, 3);
}

/// Error bodies as Bob and what is in front of it send them, and the whole text that comes of each.
#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_nothing_of_an_employee() {
    let bench = bench(1).await;
    let page = json!(
        "<!DOCTYPE html><html><body><h1>Sign in to Bob</h1><p>kim.park@example.com</p></body></html>"
    );
    let said = |key: &str, error: &str| json!({"key": key, "error": error, "statusCode": 400, "timestamp": "2026-11-30T16:48:09"});
    let (third, nested) = (
        "The file 3332883894235038486 of kim.park@example.com, +49 30 901 82 17, is locked",
        json!({"error": "Only root.id may be filtered", "value": "Kim Park"}),
    );
    // "U0VSVklDRS0xOmJvYi10b2tlbi0x" is the service user and its token, as the call sends them.
    let rows: [(u16, Value, &str); 13] = [
        (
            400,
            said("bad.request.filter", "Only root.id and root.email may be filtered"),
            "Bob is unavailable: 400: bad.request.filter: Only root.id and root.email may be filtered",
        ),
        (
            400,
            said("bad.request", third),
            "Bob is unavailable: 400: bad.request: The file … of … …, is locked",
        ),
        (400, nested.clone(), "Bob is unavailable: 400: Only root.id may be filtered"),
        (
            400,
            said("bad.request", &nested.to_string()),
            "Bob is unavailable: 400: bad.request: Only root.id may be filtered",
        ),
        (400, page.clone(), "Bob is unavailable: 400 without Bob's words"),
        (
            401,
            said("auth.unauthorized", "Basic U0VSVklDRS0xOmJvYi10b2tlbi0x"),
            "Bob refused the service user's credential (401)",
        ),
        (
            403,
            said("auth.forbidden", "The service user has no permission for this"),
            "Bob forbids the read: 403: auth.forbidden: The service user has no permission for this",
        ),
        (
            403,
            said(
                "auth.forbidden",
                "SERVICE-1 with Basic U0VSVklDRS0xOmJvYi10b2tlbi0x may not read kim.park%40example.com",
            ),
            "Bob forbids the read: 403: auth.forbidden: … with Basic … may not read …",
        ),
        (
            403,
            page.clone(),
            "Bob is unavailable: 403 without Bob's words: a firewall in front of Bob may have blocked this address for some minutes",
        ),
        (
            404,
            said("not.found", "No such path"),
            "Bob is unavailable: 404: not.found: No such path",
        ),
        (
            500,
            said(
                "internal",
                "null\n\tat com.hibob.People.search(People.java:42)\n\tat com.hibob.Main.run(Main.java:7)",
            ),
            "Bob is unavailable: 500: internal: null",
        ),
        (502, page.clone(), "Bob is unavailable: 502 without Bob's words"),
        (
            200,
            page,
            "Bob is unavailable: 200, but not with JSON: it is a log-in page, or another server answers",
        ),
    ];
    let mut wrong = Vec::new();
    for (status, body, says) in rows {
        let kind = if body.is_string() { FaultKind::Html } else { FaultKind::Status };
        bench
            .control
            .fault(Service::Bob, &Fault::new(kind).status(status).body(body.clone()))
            .await
            .unwrap();
        let client = client(&bench.world, "bob-token-1", Arc::new(|_, _| ()));
        let refused = client.everybody(&Fields::default()).await.unwrap_err();
        bench.control.clear_faults(Service::Bob).await.unwrap();
        let all = format!("{refused} {refused:?}").to_lowercase();
        let shows =
            ["park", "3332883", "901 82", "service-1", "bob-token", "u0vsv", ".java", "<", "@"]
                .into_iter()
                .find(|hidden| all.contains(hidden));
        if refused.to_string() != says || shows.is_some() {
            wrong.push(format!(
                "{status} {body}\n   says {refused}\n    not {says}\n  shows {shows:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_throttled_client_says_when_and_is_silent_until_then() {
    let bench = bench(5).await;
    bench.control.bob_limits(50, Some(0)).await.unwrap();
    for call in 0..3 {
        match bench.client.everybody(&Fields::default()).await {
            Err(Error::Throttled { wait: Some(wait) }) => {
                assert!((1..=61).contains(&wait.as_secs()), "{call}: {wait:?}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.total_calls().await, 1);
    assert_eq!(*bench.outcomes.lock(), [("search", "throttled")]);
}

#[tokio::test]
async fn a_service_user_that_others_use_too_is_not_run_into_a_refusal() {
    let bench = bench(5).await;
    bench.control.bob_limits(50, Some(3)).await.unwrap();
    let fields = Fields::default();
    bench.client.everybody(&fields).await.unwrap();
    // Two calls are left, and they are reserved for urgent callers.
    let at_once = Duration::from_millis(500);
    tokio::time::timeout(at_once, bench.client.everybody(&fields))
        .await
        .expect_err("it waits for the next minute");
    for _ in 0..2 {
        bench.client.some(&fields, &["7"], Urgency::Urgent).await.unwrap();
    }
    tokio::time::timeout(at_once, bench.client.some(&fields, &["7"], Urgency::Urgent))
        .await
        .expect_err("nothing is left");
    assert_eq!(bench.total_calls().await, 3);
    assert!(bench.outcomes.lock().iter().all(|(_, outcome)| *outcome == "ok"), "no 429");
    // Each route has a limit of its own.
    assert_eq!(bench.client.free_reads(Urgency::Normal), 40);
}

#[tokio::test]
async fn fifty_calls_pass_at_once_and_none_is_refused() {
    let bench = bench(3).await;
    for _ in 0..40 {
        bench.client.everybody(&Fields::default()).await.unwrap();
    }
    // The share of urgent callers, in one call for all that are asked for.
    let company = bench.control.employees().await.unwrap();
    let ids: Vec<&str> =
        company.iter().filter_map(|employee| employee["root.id"].as_str()).collect();
    for _ in 0..10 {
        let found = bench
            .client
            .some(&Fields::default(), &[ids[0], "7", ids[1]], Urgency::Urgent)
            .await
            .unwrap();
        assert_eq!(found.employees.iter().map(Employee::id).collect::<Vec<_>>(), [ids[0], ids[1]]);
    }
    assert_eq!(bench.total_calls().await, 50);
}

/// Broken answers for a company with an answer of known length, and for one with a streamed answer.
#[tokio::test]
async fn whatever_is_not_whole_is_unavailable_and_asked_once() {
    for employees in [20, 3000] {
        let bench = bench(employees).await;
        let fields = fields();
        let whole: People = bench.client.everybody(&fields).await.unwrap();
        assert_eq!(whole.employees.len(), employees);
        for (fault, expected) in [
            (
                Fault::new(FaultKind::Html),
                "200, but not with JSON: it is a log-in page, or another server answers",
            ),
            (Fault::new(FaultKind::Truncate), "the answer from 127.0.0.1:"),
            (Fault::new(FaultKind::ErrorObject), "200 with an error object: An injected error"),
            (Fault::new(FaultKind::Status), "503: injected.503: An injected error"),
            (Fault::new(FaultKind::Html).status(502), "502"),
            (
                Fault::new(FaultKind::Status).status(302).header("location", "/v1/people/search"),
                "302: redirects are not followed",
            ),
            (Fault::new(FaultKind::Reset), "the connection to 127.0.0.1:"),
        ] {
            let before = bench.total_calls().await;
            bench.control.fault(Service::Bob, &fault).await.unwrap();
            match bench.client.everybody(&fields).await {
                Err(Error::Unavailable { said }) => assert!(said.starts_with(expected), "{said}"),
                other => panic!("{fault:?}: {other:?}"),
            }
            assert_eq!(bench.total_calls().await, before + 1, "{fault:?} is not asked again");
            assert_eq!(bench.last_outcome(), ("search", "unavailable"));
            bench.control.clear_faults(Service::Bob).await.unwrap();
        }
        assert_eq!(bench.client.everybody(&fields).await.unwrap(), whole, "and it recovers");
    }
}

#[tokio::test]
async fn bob_is_asked_about_its_own_fields_once_and_only_as_it_wants_to_be_asked() {
    let bench = bench(1).await;
    let catalogue = bench.client.catalogue(&["work.title"]).await.unwrap();
    assert!(catalogue.has("work.title") && !catalogue.has("work.titel"));
    assert_eq!(catalogue.nearest("work.titel").first(), Some(&"work.title"));
    bench.client.catalogue(&["work.department"]).await.unwrap();
    assert_eq!(bench.total_calls().await, 1, "what is known is not asked again");
    bench.client.catalogue(&["work.titel"]).await.unwrap();
    assert_eq!(
        bench.total_calls().await,
        2,
        "a field that was unknown may have been made meanwhile"
    );
    assert_eq!(*bench.outcomes.lock(), [("metadata", "ok"), ("metadata", "ok")]);
    // A page instead of the list does not count as a catalogue.
    bench.control.fault(Service::Bob, &Fault::new(FaultKind::Html).times(1)).await.unwrap();
    let refused = bench.client.catalogue(&["work.titel"]).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
}
