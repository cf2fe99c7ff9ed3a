//! Bob over HTTP: what the documentation promises and warns of.

mod callers;

use callers::{Answer, BobCaller, world};
use serde_json::{Value, json};

const FIELDS: &[&str] = &[
    "root.id",
    "root.email",
    "root.displayName",
    "work.title",
    "work.site",
    "work.siteId",
    "work.manager",
    "work.reportsTo",
    "work.startDate",
    "work.workPhone",
    "internal.status",
    "internal.lifecycleStatus",
];

fn all() -> Value {
    json!({"fields": FIELDS, "showInactive": true, "humanReadable": "APPEND"})
}

#[tokio::test]
async fn a_person_comes_in_three_representations() {
    let world = world(0).await;
    let bob = BobCaller::of(&world);
    let boss = bob
        .control
        .create_employee(json!({"root.displayName": "Ada Okoro", "root.email": "ada@example.com"}))
        .await
        .unwrap();
    let id = bob
        .control
        .create_employee(json!({
            "root.email": "noa@example.com", "work.title": "Engineer", "work.site": "London", "work.manager": "ada@example.com",
            "work.startDate": "2026-11-02", "work.workPhone": null, "internal.lifecycleStatus": "Employed", "internal.status": "Active",
        }))
        .await
        .unwrap();
    let people = bob.people(all()).await;
    let noa = people.iter().find(|person| person["id"] == json!(id)).unwrap();
    assert_eq!(id.len(), 19);
    assert_eq!(noa["/root/email"], json!({"value": "noa@example.com"}));
    assert_eq!(noa["email"], "noa@example.com");
    assert_eq!(noa["humanReadable"]["email"], "noa@example.com");
    // Lists: an id on the machine side (a number for sites), the label on the human side.
    let title = noa["work"]["title"].as_str().unwrap();
    assert!(title.parse::<u64>().is_ok(), "{title}");
    assert_eq!(noa["/work/title"]["value"], title);
    assert_eq!(noa["humanReadable"]["work"]["title"], "Engineer");
    assert!(noa["work"]["siteId"].is_i64());
    assert_eq!(
        (&noa["work"]["site"], &noa["humanReadable"]["work"]["siteId"]),
        (&json!("London"), &json!("London"))
    );
    // The manager: an id, an object, a name.
    assert_eq!(noa["work"]["manager"], json!(boss));
    assert_eq!(noa["work"]["reportsTo"]["email"], "ada@example.com");
    assert_eq!(noa["humanReadable"]["work"]["reportsTo"], "Ada Okoro");
    // Dates: ISO for machines, locale text for humans.
    assert_eq!(
        (&noa["work"]["startDate"], &noa["humanReadable"]["work"]["startDate"]),
        (&json!("2026-11-02"), &json!("02/11/2026"))
    );
    assert_eq!(noa["internal"]["lifecycleStatus"], "employed");
    // Null: a nested null, and nothing elsewhere.
    assert_eq!(noa["work"]["workPhone"], Value::Null);
    assert!(noa["work"].as_object().unwrap().contains_key("workPhone"));
    assert!(noa.get("/work/workPhone").is_none());
    assert!(noa["humanReadable"]["work"].get("workPhone").is_none());
}

#[tokio::test]
async fn replace_throws_the_machine_values_away_and_no_form_has_only_them() {
    let world = world(1).await;
    let bob = BobCaller::of(&world);
    let replaced =
        bob.people(json!({"fields": ["work.startDate"], "humanReadable": "REPLACE"})).await;
    assert!(replaced[0].get("/work/startDate").is_none());
    assert!(replaced[0]["work"]["startDate"].as_str().unwrap().contains('/'));
    let plain = bob.people(json!({"fields": ["work.startDate"]})).await;
    assert!(plain[0].get("humanReadable").is_none());
    assert!(plain[0]["work"]["startDate"].as_str().unwrap().contains('-'));
}

#[tokio::test]
async fn the_default_search_hides_leavers_and_future_starters() {
    let world = world(300).await;
    let bob = BobCaller::of(&world);
    let counts = bob.control.company().await.unwrap();
    assert!(counts.leavers > 0 && counts.future_starters > 0, "{counts:?}");
    assert_eq!(bob.people(all()).await.len(), 300);
    let active = bob.people(json!({"fields": FIELDS})).await;
    assert_eq!(active.len(), counts.active);
    assert!(active.iter().all(|person| person["internal"]["status"] == "Active"));
}

#[tokio::test]
async fn one_person_by_id_or_email_inactive_ones_too_and_404_otherwise() {
    let world = world(0).await;
    let bob = BobCaller::of(&world);
    let id = bob
        .control
        .create_employee(json!({"root.email": "Ines@example.com", "internal.status": "Inactive"}))
        .await
        .unwrap();
    for identifier in [id.as_str(), "ines@example.com", "ines%40example.com"] {
        let answer =
            bob.post(&format!("/v1/people/{identifier}"), json!({"fields": ["root.email"]})).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["id"]),
            (200, &json!(id)),
            "{identifier}"
        );
    }
    bob.control.delete_employee(&id).await.unwrap();
    let gone = bob.post(&format!("/v1/people/{id}"), json!({"fields": ["root.email"]})).await;
    assert_eq!(gone.status, 404);
    assert!(gone.json()["error"].is_string());
}

#[tokio::test]
async fn a_filter_takes_many_ids_at_once() {
    let world = world(40).await;
    let bob = BobCaller::of(&world);
    let ids: Vec<String> = bob.control.employees().await.unwrap()[..3]
        .iter()
        .map(|person| person["id"].as_str().unwrap().to_owned())
        .collect();
    let found = bob
        .people(json!({"fields": ["root.id"], "showInactive": true,
                       "filters": [{"fieldPath": "root.id", "operator": "equals", "values": ids}]}))
        .await;
    let mut got: Vec<&str> = found.iter().map(|person| person["id"].as_str().unwrap()).collect();
    got.sort_unstable();
    let mut wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn hidden_and_misspelt_fields_are_silently_absent() {
    let world = world(3).await;
    let bob = BobCaller::of(&world);
    bob.control.bob_permissions(json!({"hiddenFields": ["work.title"]})).await.unwrap();
    let people = bob.people(json!({"fields": ["work.title", "work.tittle", "work.startDate"], "showInactive": true})).await;
    assert_eq!(people.len(), 3);
    for person in people {
        assert!(person.get("/work/title").is_none());
        assert_eq!(person["work"].as_object().unwrap().keys().collect::<Vec<_>>(), ["startDate"]);
    }
}

#[tokio::test]
async fn people_outside_the_access_rights_are_silently_absent() {
    let world = world(300).await;
    let bob = BobCaller::of(&world);
    let counts = bob.control.company().await.unwrap();
    bob.control.bob_permissions(json!({"visibleLifecycles": ["employed"]})).await.unwrap();
    assert_eq!(bob.people(all()).await.len(), counts.lifecycle["Employed"]);
    // A read by id has one of two answers, and neither says anything about the employee.
    let truth = bob.control.employees().await.unwrap();
    let hidden =
        truth.iter().find(|person| person["internal.lifecycleStatus"] != "Employed").unwrap();
    let path = format!("/v1/people/{}", hidden["root.id"].as_str().unwrap());
    for (switch, status) in [("notFound", 404), ("forbidden", 403)] {
        bob.control
            .bob_permissions(json!({"visibleLifecycles": ["employed"], "outOfSight": switch}))
            .await
            .unwrap();
        let answer = bob.post(&path, json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.is_html()), (status, false), "{}", answer.text);
        assert_eq!(bob.post("/v1/people/7", json!({})).await.status, 404, "nobody has this id");
    }
    bob.control.bob_permissions(json!({"status": 403})).await.unwrap();
    assert_eq!(bob.search(all()).await.status, 403);
}

#[tokio::test]
async fn wrong_paths_and_wrong_types_get_the_login_page_with_200() {
    let world = world(1).await;
    let bob = BobCaller::of(&world);
    for answer in [
        bob.search(json!({"humanReadable": true})).await,
        bob.post("/v1/people/searches/now", json!({})).await,
        bob.get("/v1/people").await,
        bob.get("/v2/people/search").await,
    ] {
        assert_eq!(answer.status, 200);
        assert!(answer.is_html(), "{}", answer.text);
    }
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let world = world(1).await;
    let bob = BobCaller::of(&world);
    let filters = json!({"filters": [{"fieldPath": "work.site", "operator": "equals", "values": ["London"]}]});
    assert_eq!(bob.search(filters).await.status, 400);
    let request = || {
        bob.http
            .post(format!("{}/v1/people/search", bob.base))
            .basic_auth("SERVICE-1", Some("bob-token-1"))
    };
    let malformed =
        request().header("content-type", "application/json").body("{").send().await.unwrap();
    assert_eq!(malformed.status(), 400);
    assert_eq!(request().body("{}").send().await.unwrap().status(), 415);
    let get = bob
        .http
        .get(format!("{}/v1/company/named-lists", bob.base))
        .basic_auth("SERVICE-1", Some("bob-token-1"));
    let get =
        Answer::read(get.header("content-type", "application/json").send().await.unwrap()).await;
    assert_eq!(get.status, 400);
    assert!(get.is_html());
}

#[tokio::test]
async fn unknown_body_keys_are_ignored_and_counted() {
    let world = world(2).await;
    let bob = BobCaller::of(&world);
    let people = bob
        .people(json!({"fields": ["root.id"], "showInactive": true, "limit": 1, "cursor": "abc"}))
        .await;
    assert_eq!(people.len(), 2);
    let calls = bob.control.calls(simulators::client::Service::Bob).await.unwrap();
    assert_eq!(
        (calls.unknown_body_keys, calls.writes, calls.by_route["POST /v1/people/search"]),
        (2, 0, 1)
    );
}

#[tokio::test]
async fn fifty_calls_a_minute_and_route() {
    let world = world(1).await;
    let bob = BobCaller::of(&world);
    for left in (0..50).rev() {
        let answer = bob.search(json!({"fields": ["root.id"]})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-ratelimit-remaining")),
            (200, Some(left.to_string().as_str()))
        );
    }
    let over = bob.search(all()).await;
    assert_eq!((over.status.as_u16(), over.header("x-ratelimit-limit")), (429, Some("50")));
    let reset: i64 = over.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let wait = reset - bob.control.now().await.unwrap().as_second();
    assert!((1..=61).contains(&wait), "{wait}");
    // Another route has a limit of its own, and the minute passes.
    assert_eq!(bob.get("/v1/company/people/fields").await.status, 200);
    bob.control.advance(wait).await.unwrap();
    assert_eq!(bob.search(all()).await.status, 200);
}

#[tokio::test]
async fn fifty_refusals_block_the_caller_for_five_minutes() {
    let world = world(1).await;
    let mut bob = BobCaller::of(&world);
    bob.token = "wrong".into();
    for _ in 0..50 {
        let answer = bob.search(all()).await;
        assert_eq!(answer.status, 401);
        assert!(answer.json()["error"].is_string());
    }
    bob.token = "bob-token-1".into();
    let blocked = bob.search(all()).await;
    assert_eq!(blocked.status, 403);
    assert!(blocked.is_html());
    bob.control.advance(299).await.unwrap();
    assert_eq!(bob.search(all()).await.status, 403);
    bob.control.advance(2).await.unwrap();
    assert_eq!(bob.search(all()).await.status, 200);
}

#[tokio::test]
async fn slow_refusals_block_nobody() {
    let world = world(1).await;
    let mut bob = BobCaller::of(&world);
    bob.token = "wrong".into();
    for _ in 0..60 {
        assert_eq!(bob.search(all()).await.status, 401);
        bob.control.advance(1).await.unwrap();
    }
}

#[tokio::test]
async fn quirks_change_the_shapes() {
    let world = world(9).await;
    let bob = BobCaller::of(&world);
    let quirks = json!({"slashKeys": false, "reportsTo": "string", "lifecycleCasing": "title", "listIds": "number", "humanDates": "iso"});
    bob.control.bob_quirks(quirks).await.unwrap();
    let people = bob.people(all()).await;
    let person = &people[1];
    assert!(person.as_object().unwrap().keys().all(|key| !key.starts_with('/')));
    assert!(person["work"]["reportsTo"].is_string());
    assert_eq!(people[0]["internal"]["lifecycleStatus"], "Employed");
    assert!(person["work"]["title"].is_i64());
    assert_eq!(person["humanReadable"]["work"]["startDate"], person["work"]["startDate"]);
    assert!(bob.control.bob_quirks(json!({"slashkeys": true})).await.is_err());
}

#[tokio::test]
async fn a_lagging_read_shows_the_old_values_for_a_while() {
    let world = world(0).await;
    let bob = BobCaller::of(&world);
    let id = bob.control.create_employee(json!({"work.title": "Engineer"})).await.unwrap();
    bob.control.bob_quirks(json!({"lagSeconds": 20})).await.unwrap();
    bob.control.change_employee(&id, json!({"work.title": "Director"})).await.unwrap();
    bob.control.change_employee(&id, json!({"work.department": "Board"})).await.unwrap();
    let title = || async {
        let path = format!("/v1/people/{id}");
        let body = json!({"fields": ["work.title"], "humanReadable": "APPEND"});
        let single =
            bob.post(&path, body.clone()).await.json()["humanReadable"]["work"]["title"].clone();
        assert_eq!(bob.people(body).await[0]["humanReadable"]["work"]["title"], single);
        single
    };
    assert_eq!(title().await, "Engineer");
    bob.control.advance(21).await.unwrap();
    assert_eq!(title().await, "Director");
}

#[tokio::test]
async fn a_short_read_is_a_well_formed_answer() {
    let world = world(30).await;
    let bob = BobCaller::of(&world);
    for (first, count) in [(Some(7), 7), (Some(0), 0), (None, 30)] {
        bob.control.bob_serve(first).await.unwrap();
        assert_eq!(bob.people(all()).await.len(), count);
    }
}

#[tokio::test]
async fn metadata_and_lists_tell_what_the_values_mean() {
    let world = world(30).await;
    let bob = BobCaller::of(&world);
    let fields = bob.get("/v1/company/people/fields").await.json();
    let title =
        fields.as_array().unwrap().iter().find(|field| field["id"] == "work.title").unwrap();
    assert_eq!(
        (&title["type"], &title["typeData"]["listId"], &title["jsonPath"]),
        (&json!("list"), &json!("title"), &json!("work.title"))
    );
    let phone =
        fields.as_array().unwrap().iter().find(|field| field["id"] == "work.workPhone").unwrap();
    assert_eq!(phone["categoryId"], "workContact");
    let list = bob.get("/v1/company/named-lists/title").await.json();
    assert_eq!(list["values"], list["items"]);
    bob.control
        .rename_list_item("title", list["items"][0]["name"].as_str().unwrap(), "Grand Title")
        .await
        .unwrap();
    assert_eq!(
        bob.get("/v1/company/named-lists/title").await.json()["items"][0]["name"],
        "Grand Title"
    );
    assert_eq!(bob.get("/v1/company/named-lists/Title").await.status, 404);
    assert!(bob.get("/v1/company/named-lists").await.json()["site"]["items"][0]["id"].is_i64());
}

#[tokio::test]
async fn custom_fields_come_only_when_they_are_named() {
    let world = world(0).await;
    let bob = BobCaller::of(&world);
    let field = "work.custom.field_42";
    bob.control.create_employee(json!({field: "blue"})).await.unwrap();
    let default = bob.people(json!({})).await;
    assert!(default[0]["work"].get("custom").is_none());
    assert!(default[0]["work"].get("title").is_some());
    assert!(default[0].get("internal").is_none());
    let named = bob.people(json!({"fields": [field]})).await;
    assert_eq!(named[0]["work"]["custom"]["field_42"], "blue");
    assert_eq!(named[0]["/work/custom/field_42"]["value"], "blue");
    assert!(bob.control.create_employee(json!({"work.tittle": "x"})).await.is_err());
}

#[tokio::test]
async fn a_big_company_streams_as_one_well_formed_answer() {
    let world = world(5_000).await;
    let bob = BobCaller::of(&world);
    let answer = bob.search(all()).await;
    assert_eq!(answer.header("content-length"), None);
    let body = answer.json();
    let people = body["employees"].as_array().unwrap();
    let ids: std::collections::HashSet<&str> =
        people.iter().map(|person| person["id"].as_str().unwrap()).collect();
    let emails: std::collections::HashSet<&str> =
        people.iter().map(|person| person["email"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), emails.len()), (5_000, 5_000));
}
