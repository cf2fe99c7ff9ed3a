//! The simulated `OneLogin`'s writes over HTTP: validation, duplicates, status and state.

mod callers;

use callers::{Answer, OneLoginCaller, world};
use serde_json::{Value, json};

fn refused(answer: &Answer, status: u16, part: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["statusCode"], status);
    assert!(body["message"].as_str().unwrap().contains(part), "{body} should say {part}");
}

#[tokio::test]
async fn a_created_user_is_whole_and_reads_back() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["work_cell", "badge"]).await.unwrap();
    let boss = caller.create("boss", json!({})).await;
    let body = json!({
        "username": "mia.lang", "email": "mia.lang@example.com", "firstname": "Mia", "lastname": "Läng 王", "title": "Engineer",
        "phone": "(206) 555-0101", "external_id": "333", "manager_user_id": boss, "status": 1, "custom_attributes": {"work_cell": "+1"},
    });
    let made = caller.post("/api/2/users?mappings=async&validate_policy=false", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.header("x-request-id").is_some());
    let made = made.json();
    assert_eq!(made, caller.user(made["id"].as_i64().unwrap()).await);
    assert_eq!(made["custom_attributes"], json!({"work_cell": "+1", "badge": null}));
    assert_eq!((&made["lastname"], &made["phone"]), (&json!("Läng 王"), &json!("(206) 555-0101")));
    assert_eq!(
        (&made["status"], &made["state"], &made["role_ids"], &made["company"]),
        (&json!(1), &json!(1), &json!([]), &Value::Null)
    );
    assert_eq!(made["manager_user_id"], boss);
    assert!(made["created_at"].as_str().unwrap().starts_with("2026-11-24T09:0"));
    assert!(made["activated_at"].is_string());
}

#[tokio::test]
async fn creates_that_are_refused() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let with = |more: Value| {
        let mut body = json!({"username": "a", "email": "a@example.com"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({"username": "a"}), 422, "Email can't be blank"),
        (json!({"email": "a@example.com"}), 422, "Username can't be blank"),
        (with(json!({"email": ""})), 422, "Email can't be blank"),
        (with(json!({"email": "no address"})), 422, "Email is invalid"),
        (with(json!({"mobile_phone": "+1"})), 400, "unknown attribute: mobile_phone"),
        (with(json!({"id": 5})), 400, "unknown attribute: id"),
        (with(json!({"created_at": "2026-01-01T00:00:00Z"})), 400, "unknown attribute: created_at"),
        (with(json!({"title": 7})), 422, "Title"),
        (with(json!({"status": "1"})), 422, "Status"),
        (with(json!({"status": 6})), 422, "Status"),
        (with(json!({"status": null})), 422, "Status"),
        (with(json!({"state": 4})), 422, "State"),
        (with(json!({"manager_user_id": 999})), 422, "Manager user must exist"),
        (with(json!({"preferred_locale_code": "tr_TR"})), 422, "Preferred locale code"),
        (with(json!({"title": "x".repeat(256)})), 422, "maximum is 255"),
        (with(json!({"custom_attributes": {"undefined": "x"}})), 422, "undefined"),
        (with(json!({"custom_attributes": []})), 422, "Custom attributes"),
        (json!([1]), 400, "object"),
    ];
    for (body, status, part) in cases {
        refused(&caller.post("/api/2/users", body).await, status, part);
    }
    refused(&caller.post("/api/2/users?mappings=disabled", with(json!({}))).await, 400, "mappings");
    refused(
        &caller.post("/api/2/users?notify=true", with(json!({}))).await,
        400,
        "query parameter(s) not allowed: notify",
    );
    assert!(caller.control.users().await.unwrap().is_empty());
    assert_eq!(
        caller.post("/api/2/users", with(json!({"title": "é".repeat(255)}))).await.status,
        201
    );
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let post = |media: &'static str, body: &'static str| {
        let request =
            caller.http.post(format!("{}/api/2/users", caller.base)).bearer_auth(&caller.token);
        let request = request.header("content-type", media).body(body);
        async move { Answer::read(request.send().await.unwrap()).await }
    };
    for body in ["{\"username\":", ""] {
        let answer = post("application/json", body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.is_html());
    }
    refused(
        &post("application/x-www-form-urlencoded", "username=a").await,
        400,
        "application/json",
    );
}

#[tokio::test]
async fn usernames_and_emails_are_unique_without_regard_to_case() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let first = caller.create("ann", json!({"status": 2})).await;
    let second = caller.create("bo", json!({})).await;
    let both =
        caller.post("/api/2/users", json!({"username": "ANN", "email": "Ann@Example.com"})).await;
    refused(&both, 422, "Email must be unique within acme");
    refused(&both, 422, "Username must be unique within acme");
    assert_eq!(both.json()["name"], "UnprocessableEntityError");
    refused(
        &caller.update(second, json!({"email": "ann@example.com"})).await,
        422,
        "Validation failed: Email must be unique within acme",
    );
    assert_eq!(
        caller.update(first, json!({"email": "ANN@example.com"})).await.status,
        200,
        "one's own e-mail is free"
    );
    assert_eq!(caller.delete(&format!("/api/2/users/{first}")).await.status, 204);
    assert_eq!(caller.update(second, json!({"email": "ann@example.com"})).await.status, 200);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let boss = caller.create("boss", json!({})).await;
    let id = caller
        .create("ann", json!({"title": "Engineer", "department": "R&D", "manager_user_id": boss}))
        .await;
    let before = caller.user(id).await;
    caller.control.advance(60).await.unwrap();
    let answer = caller.update(id, json!({"title": "Director"})).await;
    assert_eq!(answer.status, 200);
    let mut expected = before.clone();
    expected["title"] = json!("Director");
    expected["updated_at"] = answer.json()["updated_at"].clone();
    assert_eq!(answer.json(), expected);
    assert_ne!(expected["updated_at"], before["updated_at"]);
    for (body, name, value) in [
        (json!({"department": ""}), "department", json!("")),
        (json!({"department": null}), "department", Value::Null),
        (json!({"manager_user_id": null}), "manager_user_id", Value::Null),
        (json!({"manager_user_id": boss.to_string()}), "manager_user_id", json!(boss)),
    ] {
        assert_eq!(caller.update(id, body).await.status, 200);
        assert_eq!(caller.user(id).await[name], value);
    }
    caller
        .control
        .onelogin_quirks(json!({"nullValue": "refuse", "emptyText": "null"}))
        .await
        .unwrap();
    refused(&caller.update(id, json!({"department": null})).await, 422, "Department");
    caller.update(id, json!({"title": ""})).await;
    assert_eq!(caller.user(id).await["title"], Value::Null);
}

#[tokio::test]
async fn unknown_users_are_not_found() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("ann", json!({})).await;
    assert_eq!(caller.delete(&format!("/api/2/users/{id}")).await.status, 204);
    let text = "The resource with the given id could not be found";
    refused(&caller.get(&format!("/api/2/users/{id}")).await, 404, text);
    refused(&caller.update(id, json!({"title": "x"})).await, 404, text);
    refused(&caller.delete(&format!("/api/2/users/{id}")).await, 404, text);
    refused(&caller.get("/api/2/users/abc").await, 404, text);
}

#[tokio::test]
async fn custom_attributes_are_replaced_or_merged_by_switch() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["work_cell", "badge"]).await.unwrap();
    let id =
        caller.create("ann", json!({"custom_attributes": {"work_cell": "1", "badge": "B"}})).await;
    caller.update(id, json!({"custom_attributes": {"work_cell": "2"}})).await;
    assert_eq!(
        caller.user(id).await["custom_attributes"],
        json!({"work_cell": "2", "badge": null})
    );
    caller.update(id, json!({"title": "x"})).await;
    assert_eq!(
        caller.user(id).await["custom_attributes"]["work_cell"],
        "2",
        "a PUT without the key touches nothing"
    );
    caller.control.onelogin_quirks(json!({"customAttributes": "merge"})).await.unwrap();
    caller.update(id, json!({"custom_attributes": {"badge": "C"}})).await;
    assert_eq!(caller.user(id).await["custom_attributes"], json!({"work_cell": "2", "badge": "C"}));
    caller.update(id, json!({"custom_attributes": {"badge": ""}})).await;
    assert_eq!(caller.user(id).await["custom_attributes"]["badge"], Value::Null);
    refused(&caller.update(id, json!({"custom_attributes": {"badge": 5}})).await, 422, "Badge");
    let old = caller
        .put(
            &format!("/api/1/users/{id}/set_custom_attributes"),
            json!({"custom_attributes": {"badge": "D"}}),
        )
        .await;
    assert_eq!(old.status, 200);
    assert_eq!(caller.user(id).await["custom_attributes"], json!({"work_cell": "2", "badge": "D"}));
}

#[tokio::test]
async fn statuses_and_states_that_do_not_stay() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let silent = caller
        .post("/api/2/users", json!({"username": "a", "email": "a@example.com"}))
        .await
        .json();
    assert_eq!(silent["status"], 7, "no password, no status: Password Pending");
    assert_eq!(silent["activated_at"], Value::Null);
    for (wrote, answered, stays) in
        [(0, 0, 7), (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), (7, 7, 7)]
    {
        let id = caller.create(&format!("s{wrote}"), json!({"status": 1})).await;
        let answer = caller.update(id, json!({"status": wrote})).await.json();
        assert_eq!(
            (&answer["status"], &caller.user(id).await["status"]),
            (&json!(answered), &json!(stays))
        );
    }
    let id = caller.create("approved", json!({"state": 0})).await;
    assert_eq!(caller.user(id).await["state"], 1);
}

#[tokio::test]
async fn a_written_lock_undoes_itself() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("ann", json!({})).await;
    caller.update(id, json!({"status": 3})).await;
    assert!(caller.user(id).await["locked_until"].is_string());
    caller.control.advance(14 * 60).await.unwrap();
    assert_eq!(caller.user(id).await["status"], 3);
    caller.control.advance(61).await.unwrap();
    let user = caller.user(id).await;
    assert_eq!((&user["status"], &user["locked_until"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn without_a_free_licence_the_answer_says_one_state_and_the_user_has_another() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.onelogin_quirks(json!({"licences": 1})).await.unwrap();
    let first = caller.create("ann", json!({})).await;
    let made = caller
        .post("/api/2/users", json!({"username": "bo", "email": "bo@example.com", "status": 1}))
        .await
        .json();
    let second = made["id"].as_i64().unwrap();
    assert_eq!((&made["state"], &caller.user(second).await["state"]), (&json!(1), &json!(3)));
    caller.update(first, json!({"status": 2})).await;
    assert_eq!(caller.user(first).await["state"], 1, "a suspended user keeps the licence");
    caller.delete(&format!("/api/2/users/{first}")).await;
    caller.update(second, json!({"state": 1, "status": 1})).await;
    assert_eq!(
        caller.user(second).await["state"],
        3,
        "the ordinary update does not lead out of Unlicensed"
    );
    caller.control.onelogin_credentials("client-1", "secret-1", "Manage All").await.unwrap();
    let path = format!("/api/1/users/{second}/set_state");
    assert_eq!(caller.put(&path, json!({"state": 1})).await.status, 200);
    assert_eq!(caller.user(second).await["state"], 1);
    let again = caller.put(&path, json!({"state": 1})).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["status"]["message"]),
        (400, &json!("user is already in this state"))
    );
}

#[tokio::test]
async fn the_account_owner_is_out_of_reach() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("owner", json!({})).await;
    caller.control.owner(Some(id)).await.unwrap();
    refused(&caller.update(id, json!({"title": "x"})).await, 403, "account owner");
    refused(&caller.delete(&format!("/api/2/users/{id}")).await, 403, "account owner");
    assert_eq!(caller.user(id).await["title"], Value::Null);
}

#[tokio::test]
async fn refused_values_name_the_field_and_change_nothing() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["work_cell"]).await.unwrap();
    let id = caller.create("ann", json!({"title": "Engineer"})).await;
    caller
        .control
        .refuse(&[("title", "Forbidden"), ("custom_attributes.work_cell", "666")])
        .await
        .unwrap();
    let answer = caller.update(id, json!({"title": "Forbidden Fruit", "status": 2})).await;
    refused(&answer, 422, "Validation failed: Title");
    assert_eq!(answer.json()["field"], "title");
    assert!(!answer.text.contains("Fruit"));
    refused(
        &caller.update(id, json!({"custom_attributes": {"work_cell": "+666"}})).await,
        422,
        "Work cell",
    );
    let user = caller.user(id).await;
    assert_eq!((&user["title"], &user["status"]), (&json!("Engineer"), &json!(1)));
}

#[tokio::test]
async fn mappings_run_after_the_answer_or_before_it() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let mapping =
        json!({"when": {"field": "department", "equals": "Sales"}, "set": {"group_id": 77}});
    caller.control.onelogin_quirks(json!({"mappings": [mapping]})).await.unwrap();
    let id = caller.create("ann", json!({})).await;
    let path = format!("/api/2/users/{id}");
    assert_eq!(
        caller.put(&path, json!({"department": "Sales"})).await.json()["group_id"],
        Value::Null
    );
    assert_eq!(caller.user(id).await["group_id"], 77);
    caller.update(id, json!({"group_id": null, "department": "R&D"})).await;
    assert_eq!(
        caller.put(&format!("{path}?mappings=sync"), json!({"department": "Sales"})).await.json()["group_id"],
        77
    );
    caller.put(&format!("{path}?mappings=disabled"), json!({"group_id": 5})).await;
    assert_eq!(caller.user(id).await["group_id"], 5);
    caller.control.onelogin_quirks(json!({"mappingsDelaySeconds": 30})).await.unwrap();
    caller.update(id, json!({"title": "x"})).await;
    assert_eq!(caller.user(id).await["group_id"], 5);
    caller.control.advance(31).await.unwrap();
    assert_eq!(caller.user(id).await["group_id"], 77);
}

#[tokio::test]
async fn a_mapping_without_a_condition_rewrites_what_was_written() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["badge"]).await.unwrap();
    let mapping = json!({"set": {"title": "Staff", "custom_attributes.badge": "B"}});
    caller.control.onelogin_quirks(json!({"mappings": [mapping]})).await.unwrap();
    let id = caller.create("ann", json!({"title": "Engineer"})).await;
    let answer = caller.update(id, json!({"title": "Director"})).await.json();
    assert_eq!(answer["title"], "Director", "the answer does not show it yet");
    let user = caller.user(id).await;
    assert_eq!(
        (&user["title"], &user["custom_attributes"]["badge"]),
        (&json!("Staff"), &json!("B"))
    );
}

#[tokio::test]
async fn texts_are_kept_in_another_form_where_a_switch_says_so() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["badge"]).await.unwrap();
    caller
        .control
        .onelogin_quirks(json!({"foldBlanks": true, "composeLetters": true, "cutTexts": 6}))
        .await
        .unwrap();
    let id = caller.create("ann.lindqvist", json!({"external_id": "3332883894235038486"})).await;
    let body = json!({"title": "Cafe\u{301}  of bread", "custom_attributes": {"badge": "a  b"}});
    let answer = caller.update(id, body).await.json();
    assert_eq!(
        (&answer["title"], &answer["custom_attributes"]["badge"]),
        (&json!("Caf\u{e9} o"), &json!("a b"))
    );
    let user = caller.user(id).await;
    assert_eq!(
        (&user["external_id"], &user["email"]),
        (&json!("3332883894235038486"), &json!("ann.lindqvist@example.com"))
    );
}

#[tokio::test]
async fn locks_and_unlocks() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("ann", json!({})).await;
    caller.control.onelogin_credentials("client-1", "secret-1", "Manage All").await.unwrap();
    let unlock = format!("/api/2/users/{id}/unlock");
    assert_eq!(
        caller.post(&unlock, json!({})).await.json(),
        json!({"message": "User cannot be unlocked"})
    );
    assert_eq!(
        caller
            .put(&format!("/api/1/users/{id}/lock_user"), json!({"locked_until": 30}))
            .await
            .status,
        200
    );
    assert_eq!(caller.user(id).await["status"], 3);
    assert_eq!(caller.post(&unlock, json!({})).await.json(), json!({"messsage": "User unlocked"}));
    assert_eq!(caller.user(id).await["status"], 1);
    caller.control.change_user(id, json!({"state": 3})).await.unwrap();
    assert_eq!(
        caller
            .put(&format!("/api/1/users/{id}/lock_user"), json!({"locked_until": 30}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn definitions_of_custom_attributes() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let path = "/api/2/users/custom_attributes";
    let define =
        |shortname: &str| json!({"user_field": {"name": "Work Cell", "shortname": shortname}});
    let made = caller.post(path, define("work_cell")).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_i64().unwrap();
    assert_eq!(
        caller.get(path).await.json(),
        json!([{"id": id, "name": "Work Cell", "shortname": "work_cell", "position": null}])
    );
    refused(&caller.post(path, define("work_cell")).await, 400, "Shortname has already been taken");
    refused(&caller.post(path, define("work-cell")).await, 400, "Shortname is invalid");
    refused(&caller.post(path, json!({"name": "X", "shortname": "x"})).await, 400, "user_field");
    refused(&caller.get(&format!("{path}?sort=colour")).await, 422, "sort");
    refused(
        &caller.get(&format!("{path}?colour=red")).await,
        400,
        "query parameter(s) not allowed: colour",
    );
    let one = format!("{path}/{id}");
    assert_eq!(
        caller
            .put(&one, json!({"name": "Cell", "shortname": "work_cell", "position": 2}))
            .await
            .json()["position"],
        2
    );
    refused(&caller.put(&one, json!({"name": "Cell"})).await, 400, "required");
    assert_eq!(caller.delete(&one).await.status, 204);
    assert_eq!(caller.get(&one).await.status, 404);
}
