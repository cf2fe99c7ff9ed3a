//! The simulated Okta's users API over HTTP: profiles, statuses, lists.

mod callers;

use callers::{Answer, OktaCaller, form, world};
use reqwest::Method;
use serde_json::{Value, json};

fn refused(answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!((&body["errorCode"], &body["errorLink"]), (&json!(code), &json!(code)), "{body}");
    assert!(body["errorId"].as_str().unwrap().starts_with("oae"), "{body}");
    assert!(body["errorCauses"].is_array(), "{body}");
    assert!(body.to_string().contains(part), "{body} should say {part}");
}

fn id(user: &Value) -> &str {
    user["id"].as_str().unwrap()
}

fn next(answer: &Answer) -> Option<String> {
    let mut links = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap());
    let link = links.find(|link| link.ends_with("rel=\"next\""))?;
    Some(link.split(['<', '>']).nth(1).unwrap().to_owned())
}

#[tokio::test]
async fn a_created_user_is_whole_and_reads_back_by_id_and_login() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let more = json!({"title": "Engineer", "lastName": "Läng 王", "managerId": "boss@example.com"});
    let made = caller.create("mia.lang", "", more, true).await;
    assert_eq!(
        (&made["status"], &made["profile"]["lastName"]),
        (&json!("ACTIVE"), &json!("Läng 王"))
    );
    assert_eq!(
        made["credentials"],
        json!({"password": {}, "provider": {"type": "OKTA", "name": "OKTA"}})
    );
    assert_eq!(made["profile"]["mobilePhone"], Value::Null);
    assert!(made["profile"].get("department").is_none());
    assert!(made["_links"]["suspend"]["href"].as_str().unwrap().ends_with("/lifecycle/suspend"));
    for key in [id(&made), "mia.lang@example.com", "MIA.LANG@example.com", "mia.lang"] {
        assert_eq!(caller.user(key).await, made, "{key}");
    }
    refused(&caller.get("/users/00u0").await, 404, "E0000007", "Resource not found: 00u0 (User)");
    refused(&caller.get("/users/a%2Fb@example.com").await, 405, "E0000022", "HTTP method");
    let bare =
        caller.http.post(format!("{}/api/v1/users/{}/lifecycle/suspend", caller.base, id(&made)));
    let bare = bare.header("authorization", &caller.authorization).send().await.unwrap();
    assert_eq!(bare.status(), 411, "there is no content length");
}

#[tokio::test]
async fn the_status_of_a_new_user_follows_password_and_activation() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    for (name, query, password, status, mails) in [
        ("anna", "?activate=false", false, "STAGED", 0),
        ("bert", "?activate=true", false, "PROVISIONED", 1),
        ("cleo", "?activate=false", true, "STAGED", 1),
        ("dora", "", true, "ACTIVE", 1),
        ("emil", "?activate=true&nextLogin=changePassword", true, "PASSWORD_EXPIRED", 1),
    ] {
        let made = caller.create(name, query, json!({}), password).await;
        assert_eq!(made["status"], status, "{name}");
        let sent = caller.control.okta("GET", "/mails", Value::Null).await.unwrap();
        assert_eq!(sent.as_array().unwrap().len(), mails, "{name}");
    }
    caller.quirks(json!({"optionalPassword": true})).await;
    assert_eq!(caller.create("fred", "", json!({}), false).await["status"], "ACTIVE");
    let profile = json!({"login": "gina@example.com", "email": "g@example.com", "firstName": "G", "lastName": "L"});
    let body = json!({"profile": profile});
    let answer = caller.post("/users?nextLogin=changePassword", body.clone()).await;
    refused(&answer, 400, "E0000124", "a password must be specified");
    let answer = caller.post("/users?nextLogin=changePassword&activate=false", body).await;
    refused(&answer, 400, "E0000125", "must be true");
}

#[tokio::test]
async fn profiles_that_are_refused() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    caller.create("taken.björn", "?activate=false", json!({}), false).await;
    let badge = json!({"custom": {"badge": {"title": "Badge", "type": "string", "maxLength": 5, "unique": true}}});
    caller.control.okta("PUT", "/schema", badge).await.unwrap();
    caller.create("with.badge", "", json!({"badge": "17"}), true).await;
    let cases = [
        (json!({"login": ""}), "login", "login: The field cannot be left blank"),
        (
            json!({"login": "plain name"}),
            "login",
            "Username must be in the form of an email address",
        ),
        (
            json!({"login": "TAKEN.bjorn@example.com"}),
            "login",
            "login: An object with this field already exists in the current organization",
        ),
        (json!({"firstName": null}), "firstName", "firstName: The field cannot be left blank"),
        (json!({"email": "nothing"}), "email", "email: Does not match required pattern"),
        (json!({"cell": "1"}), "newUser", "Property name 'cell' is not defined in profile"),
        (json!({"title": 7}), "title", "title: Incorrect type"),
        (
            json!({"mobilePhone": "1".repeat(101)}),
            "mobilePhone",
            "mobilePhone: The field is too long",
        ),
        (json!({"displayName": "Mia 😀"}), "displayName", "not supported"),
        (json!({"countryCode": "DEU"}), "countryCode", "countryCode"),
        (json!({"badge": "123456"}), "badge", "badge: The field is too long"),
        (json!({"badge": "17"}), "badge", "badge: An object with this field already exists"),
    ];
    for (more, subject, cause) in cases {
        let mut profile = json!({"login": "a@example.com", "email": "a@example.com", "firstName": "A", "lastName": "L"});
        profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = caller.post("/users", json!({"profile": profile})).await;
        refused(&answer, 400, "E0000001", cause);
        assert_eq!(answer.json()["errorSummary"], format!("Api validation failed: {subject}"));
    }
    let profile = json!({"login": "a@example.com", "email": "a@example.com", "firstName": "A", "lastName": "L"});
    let weak = json!({"profile": profile, "credentials": {"password": {"value": "password"}}});
    refused(
        &caller.post("/users", weak).await,
        400,
        "E0000001",
        "password: Password requirements were not met",
    );
    refused(
        &caller.post("/users", json!({"profile": profile, "extra": 1})).await,
        400,
        "E0000003",
        "well-formed",
    );
    let users = caller.control.okta("GET", "/users", Value::Null).await.unwrap();
    assert_eq!(users.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_post_changes_what_it_names_and_a_put_empties_the_rest() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let made = caller
        .create("mia", "", json!({"title": "Engineer", "department": "Platform"}), true)
        .await;
    let path = format!("/users/{}", id(&made));
    let changed =
        caller.post(&path, json!({"profile": {"title": "Director", "department": null}})).await;
    assert_eq!(
        (changed.status.as_u16(), &changed.json()["profile"]["title"]),
        (200, &json!("Director"))
    );
    assert!(changed.json()["profile"].get("department").is_none());
    let mut profile = made["profile"].clone();
    profile.as_object_mut().unwrap().remove("title");
    let put = caller.call(Method::PUT, &path, Some(json!({"profile": profile}))).await;
    assert!(put.status == 200 && put.json()["profile"].get("title").is_none(), "{}", put.text);
    let put = caller.call(Method::PUT, &path, Some(json!({"profile": {"title": "x"}}))).await;
    refused(&put, 400, "E0000001", "login: The field cannot be left blank");
    let tag = caller.get(&path).await.header("etag").unwrap().to_owned();
    let conditional = async |tag: &str| {
        let request = caller.http.post(format!("{}/api/v1{path}", caller.base));
        let request =
            request.header("authorization", &caller.authorization).header("if-match", tag);
        let body = json!({"profile": {"title": "Other"}});
        Answer::read(request.json(&body).send().await.unwrap()).await.status
    };
    assert_eq!(conditional(&tag).await, 200);
    assert_eq!(conditional(&tag).await, 412);
}

#[tokio::test]
async fn every_status_allows_only_its_own_steps() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let user = json!({"profile": {"login": "mia@example.com", "email": "mia@example.com", "firstName": "Mia", "lastName": "Lang"}, "status": "STAGED"});
    let made = caller.control.okta("POST", "/users", user).await.unwrap();
    let allowed = |status: &str| match status {
        "STAGED" => vec![("activate", "PROVISIONED"), ("deactivate", "DEPROVISIONED")],
        "PROVISIONED" => vec![("reactivate", "PROVISIONED"), ("deactivate", "DEPROVISIONED")],
        "ACTIVE" => vec![
            ("suspend", "SUSPENDED"),
            ("expire_password", "PASSWORD_EXPIRED"),
            ("deactivate", "DEPROVISIONED"),
        ],
        "RECOVERY" => vec![("reactivate", "RECOVERY"), ("deactivate", "DEPROVISIONED")],
        "PASSWORD_EXPIRED" => {
            vec![("expire_password", "PASSWORD_EXPIRED"), ("deactivate", "DEPROVISIONED")]
        }
        "LOCKED_OUT" => vec![("unlock", "ACTIVE"), ("deactivate", "DEPROVISIONED")],
        "SUSPENDED" => vec![("unsuspend", "ACTIVE"), ("deactivate", "DEPROVISIONED")],
        _ => vec![("activate", "PROVISIONED")],
    };
    let refusals = [
        ("activate", 403, "E00000"),
        ("deactivate", 404, "E0000007"),
        ("suspend", 400, "E0000001"),
        ("unsuspend", 400, "E0000001"),
        ("reactivate", 403, "E0000038"),
        ("expire_password", 403, "E0000038"),
        ("unlock", 403, "E0000032"),
    ];
    for status in [
        "STAGED",
        "PROVISIONED",
        "ACTIVE",
        "RECOVERY",
        "PASSWORD_EXPIRED",
        "LOCKED_OUT",
        "SUSPENDED",
        "DEPROVISIONED",
    ] {
        for (step, refusal, code) in refusals {
            let password =
                matches!(status, "ACTIVE" | "PASSWORD_EXPIRED" | "LOCKED_OUT" | "SUSPENDED");
            let path = format!("/users/{}", id(&made));
            caller
                .control
                .okta("PATCH", &path, json!({"status": status, "password": password}))
                .await
                .unwrap();
            let answer = caller.step(id(&made), step).await;
            let now = caller.user(id(&made)).await["status"].clone();
            match allowed(status).into_iter().find(|(known, _)| *known == step) {
                Some((_, to)) => {
                    assert_eq!((answer.status.as_u16(), now), (200, json!(to)), "{status} {step}")
                }
                None => {
                    assert_eq!(
                        (answer.status.as_u16(), now),
                        (refusal, json!(status)),
                        "{status} {step}"
                    );
                    assert!(
                        answer.json()["errorCode"].as_str().unwrap().starts_with(code),
                        "{status} {step}"
                    );
                }
            }
        }
    }
    let suspended = caller.step(id(&made), "suspend").await;
    refused(&suspended, 400, "E0000001", "Cannot suspend a user that is not active");
    assert_eq!(suspended.json()["errorSummary"], "Api validation failed: suspendUser");
}

#[tokio::test]
async fn a_deprovisioned_user_keeps_the_login_and_comes_back_without_a_password() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let made = caller.create("mia", "", json!({}), true).await;
    let path = format!("/users/{}", id(&made));
    assert_eq!(caller.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(caller.user(id(&made)).await["status"], "DEPROVISIONED");
    refused(
        &caller.post(&path, json!({"profile": {"title": "x"}})).await,
        404,
        "E0000007",
        "(User)",
    );
    let again = json!({"profile": {"login": "MIA@example.com", "email": "m@example.com", "firstName": "M", "lastName": "L"}});
    refused(&caller.post("/users", again).await, 400, "E0000001", "already exists");
    assert_eq!(caller.get("/users").await.json(), json!([]));
    assert_eq!(caller.search("status eq \"DEPROVISIONED\"").await.json()[0]["id"], made["id"]);
    let link = caller.step(id(&made), "activate?sendEmail=false").await.json();
    assert!(
        link["activationUrl"].as_str().unwrap().contains(link["activationToken"].as_str().unwrap())
    );
    assert_eq!(caller.user(id(&made)).await["status"], "PROVISIONED");
    assert_eq!(caller.control.okta("GET", "/mails", Value::Null).await.unwrap(), json!([]));
    for _ in 0..2 {
        assert_eq!(caller.call(Method::DELETE, &path, None).await.status, 204);
    }
    refused(&caller.get(&path).await, 404, "E0000007", "(User)");
}

#[tokio::test]
async fn transitions_take_time_and_nothing_else_goes_on_during_one() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    caller.quirks(json!({"transitionSeconds": 30})).await;
    let made = caller.create("mia", "", json!({}), true).await;
    assert_eq!(
        (&made["status"], &made["transitioningToStatus"]),
        (&json!("STAGED"), &json!("ACTIVE"))
    );
    refused(&caller.step(id(&made), "suspend").await, 409, "E0000112", "still being activated");
    let path = format!("/users/{}", id(&made));
    refused(&caller.post(&path, json!({"profile": {"title": "x"}})).await, 409, "E0000112", "");
    caller.control.advance(30).await.unwrap();
    let user = caller.user(id(&made)).await;
    assert!(user["status"] == "ACTIVE" && user.get("transitioningToStatus").is_none(), "{user}");
    caller.quirks(json!({"transitionSeconds": 0})).await;
    let url = format!("{}/api/v1{path}/lifecycle/deactivate", caller.base);
    let request = caller.http.post(url).header("authorization", &caller.authorization);
    let answer = Answer::read(
        request
            .header("prefer", "respond-async")
            .header("content-length", "0")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, "{}"));
    assert_eq!(caller.user(id(&made)).await["transitioningToStatus"], "DEPROVISIONED");
    caller.control.advance(5).await.unwrap();
    assert_eq!(caller.user(id(&made)).await["status"], "DEPROVISIONED");
}

#[tokio::test]
async fn lists_have_pages_and_searches_have_rules() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let users: Vec<Value> = (0..230)
        .map(|n| json!({"profile": {"login": format!("u{n:03}@example.com"), "email": "u@example.com", "firstName": "Ü", "lastName": n.to_string(), "employeeNumber": format!("{n}")}}))
        .collect();
    caller.control.okta("POST", "/users", json!(users)).await.unwrap();
    let first = caller.get("/users?limit=1000&search=profile.firstName+eq+%22%C3%BC%22").await;
    assert_eq!(first.json().as_array().unwrap().len(), 200);
    let url = next(&first).unwrap();
    let path = url.strip_prefix(&format!("{}/api/v1", caller.base)).unwrap();
    let second = caller.get(path).await;
    assert_eq!(second.json().as_array().unwrap().len(), 30);
    assert_eq!(next(&second), None);
    assert_eq!(second.json()[0]["_links"].as_object().unwrap().len(), 1);
    caller.quirks(json!({"next": "samePage"})).await;
    assert_eq!(next(&caller.get(path).await).as_deref(), Some(&*url));
    caller.quirks(json!({"next": "otherHost"})).await;
    assert!(next(&caller.get("/users?limit=10").await).unwrap().starts_with("https://elsewhere."));
    let found = caller
        .search("profile.employeeNumber eq \"17\" or profile.login eq \"U018@EXAMPLE.com\"")
        .await;
    assert_eq!(found.json().as_array().unwrap().len(), 2);
    let query = form(&[
        ("filter", "profile.login eq \"u018@example.com\""),
        ("fields", "status,profile:(login)"),
    ]);
    let row = caller.get(&format!("/users?{query}")).await.json()[0].clone();
    assert_eq!(row["profile"], json!({"login": "u018@example.com"}));
    assert_eq!(row.as_object().unwrap().len(), 3);
    assert_eq!(caller.get("/users?q=u@ex").await.json().as_array().unwrap().len(), 10);
    refused(&caller.search("profile.login ne \"x\"").await, 400, "E0000031", "search criteria");
    refused(
        &caller.get("/users?q=a&filter=status+eq+%22ACTIVE%22").await,
        400,
        "E0000033",
        "same request",
    );
    refused(&caller.get("/users?after=nothing").await, 400, "E0000029", "paging");
}

#[tokio::test]
async fn the_index_lags_and_reads_by_id_do_not() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    caller.quirks(json!({"searchLagSeconds": 10})).await;
    let made = caller.create("mia", "", json!({"title": "Engineer"}), true).await;
    assert_eq!(caller.get("/users").await.json(), json!([]));
    assert_eq!(caller.user("mia@example.com").await["id"], made["id"]);
    caller.control.advance(10).await.unwrap();
    caller.step(id(&made), "suspend").await;
    let row = caller.search("profile.title eq \"Engineer\"").await.json()[0].clone();
    assert_eq!(row["status"], "ACTIVE");
    caller.control.advance(10).await.unwrap();
    assert_eq!(caller.get("/users").await.json()[0]["status"], "SUSPENDED");
}

#[tokio::test]
async fn profiles_that_another_system_masters_are_refused_as_a_whole() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let user = json!({"profile": {"login": "mia@example.com", "email": "mia@example.com", "firstName": "Mia", "lastName": "Lang"}, "provider": "ACTIVE_DIRECTORY"});
    let made = caller.control.okta("POST", "/users", user).await.unwrap();
    let path = format!("/users/{}", id(&made));
    let title = json!({"profile": {"title": "x"}});
    refused(
        &caller.post(&path, title.clone()).await,
        403,
        "E0000023",
        "mastered under another system",
    );
    assert_eq!(caller.step(id(&made), "suspend").await.status, 200);
    let own = json!({"base": {"title": {"master": {"type": "OKTA"}}}});
    caller.control.okta("PUT", "/schema", own).await.unwrap();
    assert_eq!(caller.post(&path, title).await.json()["profile"]["title"], "x");
    let both = json!({"profile": {"title": "y", "department": "d"}});
    refused(&caller.post(&path, both.clone()).await, 403, "E0000023", "");
    caller.quirks(json!({"mastered": "ignore"})).await;
    let changed = caller.post(&path, both).await.json();
    assert!(changed["profile"]["title"] == "y" && changed["profile"].get("department").is_none());
}

#[tokio::test]
async fn switches_refuse_values_and_users_and_answer_without_a_change() {
    let world = world(0).await;
    let caller = OktaCaller::of(&world).await;
    let made = caller.create("mia", "", json!({}), true).await;
    let path = format!("/users/{}", id(&made));
    let title = json!({"profile": {"title": "Big Boss"}});
    let rules = json!({"rules": [{"field": "title", "contains": "Boss"}]});
    caller.control.okta("PUT", "/refuse", rules).await.unwrap();
    refused(&caller.post(&path, title.clone()).await, 400, "E0000001", "title: Does not match");
    caller.control.okta("PUT", "/refuse", json!({"rules": []})).await.unwrap();
    caller.control.okta("PUT", "/org", json!({"protected": [made["id"]]})).await.unwrap();
    refused(&caller.post(&path, title.clone()).await, 403, "E0000006", "permission");
    refused(&caller.step(id(&made), "suspend").await, 403, "E0000006", "permission");
    caller
        .control
        .okta("PUT", "/org", json!({"protected": [], "ignored": ["title"]}))
        .await
        .unwrap();
    let answer = caller.post(&path, title.clone()).await;
    assert!(answer.status == 200 && answer.json()["profile"].get("title").is_none());
    caller.control.okta("PUT", "/org", json!({"readOnly": true})).await.unwrap();
    refused(&caller.post(&path, title).await, 503, "E0000010", "read only mode");
    assert_eq!(caller.get(&path).await.status, 200);
    caller.control.okta("PUT", "/org", json!({"readOnly": false})).await.unwrap();
    let ended = caller.call(Method::DELETE, &format!("{path}/sessions"), None).await;
    assert_eq!(ended.status, 204);
    let sessions = caller.control.okta("GET", "/sessions", Value::Null).await.unwrap();
    assert_eq!(sessions, json!([made["id"]]));
}
