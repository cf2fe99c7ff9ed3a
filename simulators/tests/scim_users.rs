//! The SCIM server: what a write may hold, and what it does.

mod callers;

use callers::{COMPANY, ENTERPRISE, ScimCaller, scim_refusal, scim_user, world};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::client::Service;

fn refused(status: u16, kind: &str) -> (u16, Option<String>) {
    (status, Some(kind.to_owned()))
}

#[tokio::test]
async fn a_user_is_created_read_and_deleted() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let boss = scim.create("boss@example.com", json!({"displayName": "Boss"})).await;
    let more = json!({
        "EXTERNALID": "Key-1", "active": false, "password": "Secret-1", "id": "mine",
        "emails": [{"type": "work", "value": "ann@example.com", "primary": true}],
        "groups": [{"value": "1"}], "title": null, "photos": [],
        ENTERPRISE: {"department": "Ops", "manager": {"value": boss, "displayName": "Nobody"}},
        COMPANY: {"floor": 3},
    });
    let made = scim.post(scim_user("Ann@example.com", more)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("content-type"), Some("application/scim+json"));
    let ann = made.json();
    let id = ann["id"].as_str().unwrap();
    let location = format!("{}/Users/{id}", scim.base);
    assert_eq!(made.header("location"), Some(&*location));
    assert_eq!(made.header("etag"), ann["meta"]["version"].as_str());
    assert_eq!(ann, scim.user(id).await);
    let expected = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", COMPANY, ENTERPRISE],
        "id": id, "externalId": "Key-1", "userName": "Ann@example.com", "active": false,
        "emails": [{"type": "work", "value": "ann@example.com", "primary": true}],
        ENTERPRISE: {"department": "Ops", "manager": {
            "value": boss, "displayName": "Boss", "$ref": format!("{}/Users/{boss}", scim.base),
        }},
        COMPANY: {"floor": 3},
        "meta": {
            "resourceType": "User", "created": ann["meta"]["created"], "location": location,
            "lastModified": ann["meta"]["created"], "version": "W/\"1\"",
        },
    });
    assert_eq!(ann, expected);
    let stored = scim.control.scim("GET", &format!("/users/{id}"), Value::Null).await.unwrap();
    assert_eq!(stored["password"], "Secret-1", "it is stored and never returned");
    // A user without a manager stays when the manager goes.
    assert_eq!(scim.delete(&boss).await.status, 204);
    assert_eq!(scim.user(id).await[ENTERPRISE], json!({"department": "Ops"}));
    let patch = json!([{"op": "replace", "path": "active", "value": true}]);
    for answer in [
        scim.delete(&boss).await,
        scim.get(&format!("/Users/{boss}")).await,
        scim.patch(&boss, patch).await,
        scim.put(&boss, scim_user("boss@example.com", json!({}))).await,
    ] {
        assert_eq!(scim_refusal(&answer), (404, None));
    }
    scim.create("boss@example.com", json!({})).await;
}

#[tokio::test]
async fn what_does_not_fit_the_schemas_is_refused() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let user = scim.create("ann@example.com", json!({})).await;
    for (more, kind) in [
        (json!({"nothing": 1}), "invalidSyntax"),
        (json!({"title": 1}), "invalidValue"),
        (json!({"active": "true"}), "invalidValue"),
        (json!({"emails": {"value": "b@example.com"}}), "invalidValue"),
        (json!({"emails": ["b@example.com"]}), "invalidValue"),
        (json!({"emails": [{"value": "nothing"}]}), "invalidValue"),
        (json!({"emails": [{"address": "b@example.com"}]}), "invalidSyntax"),
        (
            json!({"emails": [{"value": "a@x.org", "primary": true}, {"value": "b@x.org", "primary": true}]}),
            "invalidValue",
        ),
        (json!({"title": "a", "Title": "b"}), "invalidSyntax"),
        (json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]}), "invalidSyntax"),
        (json!({"schemas": []}), "invalidSyntax"),
        (json!({"urn:example:none": {"a": 1}}), "invalidSyntax"),
        (json!({ENTERPRISE: {"nothing": 1}}), "invalidSyntax"),
        (json!({ENTERPRISE: {"manager": "boss"}}), "invalidValue"),
        (json!({ENTERPRISE: {"manager": {"value": "boss"}}}), "invalidValue"),
        (json!({COMPANY: {"floor": "3"}}), "invalidValue"),
        (json!({"userName": ""}), "invalidValue"),
        (json!({"userName": null}), "invalidValue"),
    ] {
        for answer in [
            scim.post(scim_user("bea@example.com", more.clone())).await,
            scim.put(&user, scim_user("bea@example.com", more.clone())).await,
        ] {
            assert_eq!(scim_refusal(&answer), refused(400, kind), "{more}");
        }
    }
    let mut unnamed = scim_user("bea@example.com", json!({ENTERPRISE: {"department": "Ops"}}));
    unnamed["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
    assert_eq!(scim_refusal(&scim.post(unnamed).await), refused(400, "invalidSyntax"));
    let taken = scim.post(scim_user("ANN@example.com", json!({}))).await;
    assert_eq!(scim_refusal(&taken), refused(409, "uniqueness"));
    let wrong = scim.call(Method::POST, "/Users", &[("content-type", "text/plain")], None).await;
    assert_eq!(scim_refusal(&wrong), (415, None));
    let broken = scim.call(Method::POST, "/Users", &[], Some(json!([]))).await;
    assert_eq!(scim_refusal(&broken), refused(400, "invalidSyntax"));
    let calls = scim.control.calls(Service::Scim).await.unwrap();
    assert_eq!((calls.writes, calls.applied_writes), (calls.total, 1));
}

#[tokio::test]
async fn put_replaces_and_what_is_left_out_gets_its_default() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let more = json!({"active": false, "title": "Cook", "externalId": "1", "nickName": "A"});
    let id = scim.create("ann@example.com", more).await;
    scim.control
        .scim("PATCH", &format!("/users/{id}"), json!({"groups": [{"value": "g"}]}))
        .await
        .unwrap();
    let answer = scim.put(&id, scim_user("ann@example.com", json!({"title": "Chef"}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let ann = answer.json();
    assert_eq!(
        (&ann["title"], &ann["active"], &ann["externalId"], &ann["groups"]),
        (&json!("Chef"), &json!(true), &Value::Null, &json!([{"value": "g"}]))
    );
    scim.quirks(json!({"writes": {"putMerges": true}})).await;
    let ann = scim.put(&id, scim_user("ann@example.com", json!({"active": false}))).await.json();
    assert_eq!((&ann["title"], &ann["active"]), (&json!("Chef"), &json!(false)));
}

/// The user that the operations below change.
fn before() -> Value {
    json!({
        "title": "Cook", "active": true, "name": {"givenName": "Ann", "familyName": "Lee"},
        "phoneNumbers": [
            {"type": "work", "value": "1", "primary": true}, {"type": "mobile", "value": "2"},
        ],
        ENTERPRISE: {"department": "Ops", "division": "North"},
    })
}

#[tokio::test]
async fn operations_change_what_their_paths_name() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let department = format!("{ENTERPRISE}:department");
    let division = format!("{ENTERPRISE}:division");
    let mobile = "phoneNumbers[type eq \"mobile\"]";
    let work = json!({"type": "work", "value": "1", "primary": true});
    // The operations, an attribute, and its value afterwards.
    let cases = [
        (json!([{"op": "replace", "path": "ACTIVE", "value": false}]), "active", json!(false)),
        (json!([{"op": "add", "path": "nickName", "value": "A"}]), "nickName", json!("A")),
        (json!([{"op": "replace", "path": "nickName", "value": "A"}]), "nickName", json!("A")),
        (json!([{"op": "remove", "path": "title"}]), "title", Value::Null),
        (json!([{"op": "replace", "path": "title", "value": null}]), "title", Value::Null),
        (json!([{"op": "remove", "path": "nickName"}]), "nickName", Value::Null),
        (
            json!([{"op": "replace", "path": "name", "value": {"givenName": "Bea"}}]),
            "name",
            json!({"givenName": "Bea", "familyName": "Lee"}),
        ),
        (
            json!([{"op": "remove", "path": "name.givenName"}, {"op": "add", "path": "name.middleName", "value": "C"}]),
            "name",
            json!({"familyName": "Lee", "middleName": "C"}),
        ),
        (
            json!([{"op": "replace", "path": department, "value": "Sales"}]),
            ENTERPRISE,
            json!({"department": "Sales", "division": "North"}),
        ),
        (
            json!([{"op": "remove", "path": department}, {"op": "remove", "path": division}]),
            ENTERPRISE,
            Value::Null,
        ),
        (json!([{"op": "remove", "path": ENTERPRISE}]), ENTERPRISE, Value::Null),
        (
            json!([{"op": "replace", "value": {"title": "Chef", ENTERPRISE: {"division": null}}}]),
            ENTERPRISE,
            json!({"department": "Ops"}),
        ),
        (
            json!([{"op": "replace", "path": format!("{mobile}.value"), "value": "3"}]),
            "phoneNumbers",
            json!([work, {"type": "mobile", "value": "3"}]),
        ),
        (
            json!([{"op": "replace", "path": mobile, "value": {"type": "fax", "value": "3"}}]),
            "phoneNumbers",
            json!([work, {"type": "fax", "value": "3"}]),
        ),
        (
            json!([{"op": "add", "path": mobile, "value": {"display": "3"}}]),
            "phoneNumbers",
            json!([work, {"type": "mobile", "value": "2", "display": "3"}]),
        ),
        (json!([{"op": "remove", "path": mobile}]), "phoneNumbers", json!([work])),
        (
            json!([{"op": "add", "path": "phoneNumbers", "value": [{"type": "fax", "value": "3", "primary": true}, work]}]),
            "phoneNumbers",
            json!([
                {"type": "work", "value": "1", "primary": false}, {"type": "mobile", "value": "2"},
                {"type": "fax", "value": "3", "primary": true},
            ]),
        ),
        (
            json!([{"op": "replace", "path": "phoneNumbers", "value": [{"value": "4"}]}]),
            "phoneNumbers",
            json!([{"value": "4"}]),
        ),
        (
            json!([{"op": "replace", "path": "phoneNumbers", "value": []}]),
            "phoneNumbers",
            Value::Null,
        ),
        (
            json!([{"op": "remove", "path": "phoneNumbers.value"}]),
            "phoneNumbers",
            json!([{"type": "work", "primary": true}, {"type": "mobile"}]),
        ),
    ];
    for (number, (operations, name, expected)) in cases.into_iter().enumerate() {
        let id = scim.create(&format!("ann{number}@example.com"), before()).await;
        let answer = scim.patch(&id, operations.clone()).await;
        assert_eq!(answer.status, 200, "{operations}: {}", answer.text);
        assert_eq!(answer.json()[name], expected, "{operations}");
        assert_eq!(answer.json(), scim.user(&id).await);
    }
}

#[tokio::test]
async fn operations_that_cannot_be_carried_out_change_nothing() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    scim.create("bea@example.com", json!({})).await;
    let id = scim.create("ann@example.com", before()).await;
    let ann = scim.user(&id).await;
    let fax = "phoneNumbers[type eq \"fax\"]";
    for (operation, status, kind) in [
        (json!({"op": "replace", "path": "id", "value": "1"}), 400, "mutability"),
        (json!({"op": "remove", "path": "groups"}), 400, "mutability"),
        (json!({"op": "remove", "path": "userName"}), 400, "mutability"),
        (json!({"op": "replace", "path": "userName", "value": null}), 400, "mutability"),
        (json!({"op": "replace", "value": {"meta": {}}}), 400, "mutability"),
        (
            json!({"op": "add", "path": format!("{ENTERPRISE}:manager"), "value": {"displayName": "x"}}),
            400,
            "mutability",
        ),
        (json!({"op": "remove"}), 400, "noTarget"),
        (json!({"op": "remove", "path": fax}), 400, "noTarget"),
        (json!({"op": "replace", "path": format!("{fax}.value"), "value": "1"}), 400, "noTarget"),
        (json!({"op": "add", "path": format!("{fax}.value"), "value": "1"}), 400, "noTarget"),
        (json!({"op": "replace", "path": "nothing", "value": "1"}), 400, "invalidPath"),
        (json!({"op": "replace", "path": "name.nothing", "value": "1"}), 400, "invalidPath"),
        (json!({"op": "replace", "path": 1, "value": "1"}), 400, "invalidPath"),
        (
            json!({"op": "replace", "path": "phoneNumbers[kind eq 1]", "value": {}}),
            400,
            "invalidFilter",
        ),
        (json!({"op": "replace", "path": "title"}), 400, "invalidValue"),
        (json!({"op": "replace", "path": "active", "value": "False"}), 400, "invalidValue"),
        (
            json!({"op": "replace", "path": "phoneNumbers", "value": {"value": "1"}}),
            400,
            "invalidValue",
        ),
        (json!({"op": "replace", "value": "title"}), 400, "invalidValue"),
        (json!({"op": "replace", "value": {"nothing": 1}}), 400, "invalidSyntax"),
        (json!({"op": "replace", "value": {"name.givenName": "B"}}), 400, "invalidSyntax"),
        (json!({"op": "Replace", "path": "title", "value": "1"}), 400, "invalidSyntax"),
        (json!({"op": "move", "path": "title", "value": "1"}), 400, "invalidSyntax"),
        (json!({"op": "replace", "path": "title", "value": "1", "more": 1}), 400, "invalidSyntax"),
        (
            json!({"op": "replace", "path": "userName", "value": "BEA@example.com"}),
            409,
            "uniqueness",
        ),
    ] {
        let operations = json!([{"op": "replace", "path": "title", "value": "Chef"}, operation]);
        let answer = scim.patch(&id, operations).await;
        assert_eq!(scim_refusal(&answer), refused(status, kind), "{operation}");
    }
    for body in
        [json!({}), json!({"schemas": [], "Operations": [{"op": "remove", "path": "title"}]})]
    {
        let answer = scim.call(Method::PATCH, &format!("/Users/{id}"), &[], Some(body)).await;
        assert_eq!(scim_refusal(&answer), refused(400, "invalidSyntax"));
    }
    assert_eq!(scim_refusal(&scim.patch(&id, json!([])).await), refused(400, "invalidSyntax"));
    assert_eq!(scim.user(&id).await, ann, "the first operation is not kept either");
}

#[tokio::test]
async fn a_version_guards_against_a_change_in_between() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let id = scim.create("ann@example.com", json!({"title": "Cook"})).await;
    let path = format!("/Users/{id}");
    let first = scim.user(&id).await["meta"]["version"].as_str().unwrap().to_owned();
    let title = |title: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "title", "value": title}],
        })
    };
    let unchanged = scim.call(Method::GET, &path, &[("if-none-match", &first)], None).await;
    assert_eq!((unchanged.status.as_u16(), &*unchanged.text), (304, ""));
    let same = scim.call(Method::PATCH, &path, &[("if-match", &first)], Some(title("Cook"))).await;
    assert_eq!(same.header("etag"), Some(&*first), "nothing differs");
    let changed =
        scim.call(Method::PATCH, &path, &[("if-match", &first)], Some(title("Chef"))).await;
    assert_ne!(changed.header("etag"), Some(&*first));
    let user = scim_user("ann@example.com", json!({}));
    for (method, body) in
        [(Method::PATCH, Some(title("Baker"))), (Method::PUT, Some(user)), (Method::DELETE, None)]
    {
        let late = scim.call(method, &path, &[("if-match", &first)], body).await;
        assert_eq!(scim_refusal(&late), (412, None));
    }
    assert_eq!(scim.user(&id).await["title"], "Chef");
    let any = scim.call(Method::DELETE, &path, &[("if-match", "*")], None).await;
    assert_eq!(any.status, 204);
}

#[tokio::test]
async fn values_and_users_are_refused_as_ordered() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let user = json!({"userName": "ann@example.com", "title": "Bad cook"});
    let made = scim.control.scim("POST", "/users", user).await.unwrap();
    let id = made["id"].as_str().unwrap();
    let rules = json!({"rules": [
        {"field": "title", "contains": "Bad"}, {"field": "department", "contains": "Bad"},
        {"field": "phoneNumbers", "contains": "666"},
    ]});
    scim.control.scim("PUT", "/refuse", rules).await.unwrap();
    for operation in [
        json!({"op": "replace", "path": "title", "value": "Bad chef"}),
        json!({"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Bad"}),
        json!({"op": "add", "path": "phoneNumbers", "value": {"value": "666"}}),
    ] {
        let answer = scim.patch(id, json!([operation])).await;
        assert_eq!(scim_refusal(&answer), refused(400, "invalidValue"), "{operation}");
    }
    let other = scim.patch(id, json!([{"op": "add", "path": "nickName", "value": "Bad"}])).await;
    assert_eq!(other.status, 200, "an old value and another attribute are no matter");
    scim.control.scim("PUT", "/directory", json!({"protected": [id]})).await.unwrap();
    let answer = scim.patch(id, json!([{"op": "replace", "path": "active", "value": false}])).await;
    assert_eq!((scim_refusal(&answer), scim.delete(id).await.status.as_u16()), ((403, None), 403));
}

#[tokio::test]
async fn an_extension_can_be_defined_and_taken_away() {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let urn = "urn:acme:scim:2.0:User";
    let badge = json!({urn: {"badge": "string", "skills": "string[]"}, COMPANY: {}});
    scim.control.scim("PUT", "/schemas", badge).await.unwrap();
    let id = scim.create("ann@example.com", json!({urn: {"badge": "7", "skills": ["a"]}})).await;
    let path = format!("{urn}:SKILLS");
    let answer = scim.patch(&id, json!([{"op": "add", "path": path, "value": ["b"]}])).await;
    assert_eq!(answer.json()[urn], json!({"badge": "7", "skills": ["a", "b"]}));
    let listed = scim.get("/Schemas").await.json();
    let urns: Vec<&str> = listed["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert!(urns.contains(&urn) && !urns.contains(&COMPANY), "{urns:?}");
    assert_eq!(scim.get(&format!("/Schemas/{urn}")).await.status, 200);
    assert_eq!(scim_refusal(&scim.get(&format!("/Schemas/{COMPANY}")).await), (404, None));
    for wrong in
        [json!({"badge": {"a": "string"}}), json!({urn: {"a": "text"}}), json!({ENTERPRISE: {}})]
    {
        assert!(scim.control.scim("PUT", "/schemas", wrong).await.is_err());
    }
}
