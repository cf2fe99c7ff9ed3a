//! The SCIM server: each way in which real servers differ.

mod callers;

use callers::{COMPANY, ENTERPRISE, ScimCaller, scim_refusal, scim_user, world};
use serde_json::{Value, json};
use simulators::World;

async fn server(quirks: Value) -> (World, ScimCaller) {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    scim.quirks(quirks).await;
    (world, scim)
}

/// An operation that changes the title.
fn title() -> Value {
    json!([{"op": "replace", "path": "title", "value": "Chef"}])
}

#[tokio::test]
async fn quirks_are_merged_group_by_group() {
    let (_world, scim) = server(json!({"paging": {"cap": 7}})).await;
    scim.quirks(json!({"paging": {"cursors": false}, "errors": {"html": true}})).await;
    let quirks = scim.control.scim("GET", "/quirks", Value::Null).await.unwrap();
    assert_eq!(
        (&quirks["paging"]["cap"], &quirks["paging"]["cursors"]),
        (&json!(7), &json!(false))
    );
    for unknown in [json!({"paging": {"nothing": 1}}), json!({"nothing": {}})] {
        assert!(scim.control.scim("PUT", "/quirks", unknown).await.is_err());
    }
    scim.control.scim("DELETE", "/quirks", Value::Null).await.unwrap();
    let quirks = scim.control.scim("GET", "/quirks", Value::Null).await.unwrap();
    assert_eq!((&quirks["paging"]["cap"], &quirks["errors"]["html"]), (&json!(200), &json!(false)));
}

#[tokio::test]
async fn methods_and_routes_that_are_not_there() {
    let (_world, scim) =
        server(json!({"routes": {"patch": "notImplemented", "put": "notAllowed"}})).await;
    let id = scim.create("ann@example.com", json!({})).await;
    assert_eq!(scim.get("/ServiceProviderConfig").await.json()["patch"]["supported"], true);
    assert_eq!(scim_refusal(&scim.patch(&id, title()).await), (501, None));
    assert_eq!(
        scim_refusal(&scim.put(&id, scim_user("ann@example.com", json!({}))).await),
        (405, None)
    );
    scim.quirks(json!({"routes": {"patch": "notAllowed", "patchAnnounced": false}})).await;
    assert_eq!(scim_refusal(&scim.patch(&id, title()).await), (405, None));
    assert_eq!(scim.get("/ServiceProviderConfig").await.json()["patch"]["supported"], false);
    scim.quirks(json!({"routes": {"users": "absent", "discovery": "forbidden"}})).await;
    assert_eq!(scim_refusal(&scim.get("/Users").await), (404, None));
    assert_eq!(scim_refusal(&scim.get("/Schemas").await), (403, None));
    scim.quirks(json!({"routes": {"users": "page", "discovery": "absent"}})).await;
    let page = scim.get("/Users").await;
    assert!(page.status == 200 && page.is_html());
    assert_eq!(scim_refusal(&scim.get("/ServiceProviderConfig").await), (404, None));
}

#[tokio::test]
async fn dialects_of_patch() {
    let (_world, scim) = server(json!({})).await;
    let department =
        json!([{"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Ops"}]);
    let pathless = json!([{"op": "replace", "value": {"title": "Baker"}}]);
    let filtered =
        json!([{"op": "add", "path": "emails[type eq \"work\"].value", "value": "a@x.org"}]);
    // The dialect, and the statuses of the four requests.
    for (dialect, statuses) in [
        (json!({}), [200, 200, 200, 400]),
        (json!({"paths": "pathless"}), [400, 400, 200, 400]),
        (json!({"paths": "required"}), [200, 200, 500, 400]),
        (json!({"paths": "pathlessIgnored"}), [200, 200, 200, 400]),
        (json!({"paths": "noExtensions"}), [200, 400, 200, 400]),
        (json!({"paths": "any", "missed": "added"}), [200, 200, 200, 200]),
        (json!({"paths": "noFilters"}), [200, 200, 200, 400]),
        (json!({"paths": "any", "names": "capitalised"}), [400, 400, 400, 400]),
        (json!({"names": "any"}), [200, 200, 200, 200]),
        (json!({"noContent": true}), [204, 204, 204, 204]),
        (json!({"noContent": false, "emptyAnswer": true}), [200, 200, 200, 200]),
    ] {
        let id = scim.create("ann@example.com", json!({})).await;
        scim.quirks(json!({"patch": dialect})).await;
        let requests = [title(), department.clone(), pathless.clone(), filtered.clone()];
        for (operations, status) in requests.into_iter().zip(statuses) {
            let answer = scim.patch(&id, operations.clone()).await;
            assert_eq!(answer.status, status, "{dialect}: {operations}: {}", answer.text);
            if dialect["emptyAnswer"] == true {
                assert_eq!(answer.text, "{}");
            }
        }
        let expected = match dialect["paths"].as_str() {
            Some("required" | "pathlessIgnored") => json!("Chef"),
            _ if statuses[0] == 400 && statuses[2] == 400 => Value::Null,
            _ => json!("Baker"),
        };
        assert_eq!(scim.user(&id).await["title"], expected, "{dialect}");
        if statuses[3] < 300 {
            assert_eq!(
                scim.user(&id).await["emails"],
                json!([{"type": "work", "value": "a@x.org"}])
            );
        }
        scim.delete(&id).await;
    }
    scim.quirks(json!({"patch": {"missed": "tolerated", "names": "any"}})).await;
    let id = scim.create("bea@example.com", json!({})).await;
    let fax = "phoneNumbers[type eq \"fax\"]";
    for (operation, phones) in [
        (json!({"op": "remove", "path": fax}), Value::Null),
        (
            json!({"op": "replace", "path": format!("{fax}.value"), "value": "1"}),
            json!([{"type": "fax", "value": "1"}]),
        ),
    ] {
        assert_eq!(scim.patch(&id, json!([operation])).await.status, 200);
        assert_eq!(scim.user(&id).await["phoneNumbers"], phones);
    }
    scim.quirks(json!({"patch": {"names": "capitalised", "mostOperations": 1}})).await;
    let id = scim.create("ann@example.com", json!({})).await;
    let one = json!({"op": "Replace", "path": "title", "value": "Chef"});
    assert_eq!(scim.patch(&id, json!([one, one])).await.status, 400);
    assert_eq!(scim.patch(&id, json!([one])).await.status, 200);
}

#[tokio::test]
async fn writes_that_are_not_carried_out() {
    let (_world, scim) = server(json!({"writes": {"changeNothing": true}})).await;
    let id = scim.create("ann@example.com", json!({"title": "Cook"})).await;
    let answer = scim.patch(&id, title()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["title"]), (200, &json!("Cook")));
    let ignored = format!("{ENTERPRISE}:department");
    scim.quirks(json!({"writes": {"changeNothing": false, "ignored": ["title", ignored], "oneEmail": true}})).await;
    let more = json!({
        "title": "Chef", "nickName": "A", "emails": [{"value": "a@x.org"}, {"value": "b@x.org"}],
        ENTERPRISE: {"department": "Ops"},
    });
    let ann = scim.put(&id, scim_user("ann@example.com", more.clone())).await.json();
    assert_eq!(
        (&ann["title"], &ann["nickName"], &ann["emails"], &ann[ENTERPRISE]),
        (&json!("Cook"), &json!("A"), &json!([{"value": "a@x.org"}]), &Value::Null)
    );
    let bea = scim.create("bea@example.com", more).await;
    assert_eq!(scim.user(&bea).await["title"], Value::Null);
    scim.quirks(json!({"writes": {"oneValue": true, "noPasswords": true, "uniqueEmails": true, "createIsActive": true}})).await;
    let two = json!({"phoneNumbers": [{"value": "1"}, {"value": "2"}]});
    for (more, refused) in [
        (two, (400, Some("invalidValue".to_owned()))),
        (json!({"password": "x"}), (400, Some("invalidValue".to_owned()))),
        (json!({"emails": [{"value": "A@x.org"}]}), (409, Some("uniqueness".to_owned()))),
    ] {
        assert_eq!(scim_refusal(&scim.post(scim_user("cleo@example.com", more)).await), refused);
    }
    let cleo = scim.create("cleo@example.com", json!({"active": false})).await;
    assert_eq!(scim.user(&cleo).await["active"], true);
    let lenient = json!({"createIsActive": false, "noDefaultActive": true, "ignoresUnknown": true});
    scim.quirks(json!({"writes": lenient})).await;
    let dora = scim.create("dora@example.com", json!({"nothing": 1})).await;
    assert_eq!(scim.user(&dora).await["active"], Value::Null);
}

#[tokio::test]
async fn filters_that_are_not_understood() {
    let (_world, scim) =
        server(json!({"filters": {"attributes": ["userName"], "operators": ["eq"]}})).await;
    for name in ["ann@example.com", "bea@example.com"] {
        scim.create(name, json!({"externalId": name})).await;
    }
    let by_key = [("filter", "externalId eq \"ann@example.com\"")];
    let by_name = [("filter", "userName eq \"ann@example.com\"")];
    let both = [("filter", "userName eq \"x\" or userName eq \"y\"")];
    for pairs in [&by_key, &both] {
        let refused = scim_refusal(&scim.list(pairs).await);
        assert_eq!(refused, (400, Some("invalidFilter".to_owned())));
    }
    assert_eq!(scim.names(&by_name).await.len(), 1);
    scim.quirks(json!({"filters": {"otherwise": "empty"}})).await;
    assert_eq!((scim.names(&by_key).await.len(), scim.names(&by_name).await.len()), (0, 1));
    scim.quirks(json!({"filters": {"otherwise": "all"}})).await;
    assert_eq!((scim.names(&by_key).await.len(), scim.names(&by_name).await.len()), (2, 1));
    scim.quirks(json!({"filters": {"ignored": true}})).await;
    assert_eq!(scim.names(&by_name).await.len(), 2);
    let other = json!({"ignored": false, "attributes": null, "operators": null, "most": 1, "sensitive": true, "exact": true});
    scim.quirks(json!({"filters": other})).await;
    let many = scim_refusal(&scim.list(&[("filter", "externalId pr")]).await);
    assert_eq!(many, (400, Some("tooMany".to_owned())));
    let told = scim_refusal(&scim.list(&by_name).await);
    assert_eq!(told, (403, Some("sensitive".to_owned())));
    scim.quirks(json!({"filters": {"sensitive": false}})).await;
    assert!(scim.names(&[("filter", "userName eq \"ANN@example.com\"")]).await.is_empty());
}

#[tokio::test]
async fn an_index_that_is_late() {
    let (_world, scim) =
        server(json!({"filters": {"lagSeconds": 30}, "paging": {"lagSeconds": 10}})).await;
    let id = scim.create("ann@example.com", json!({"title": "Cook"})).await;
    let by_title = [("filter", "title eq \"Cook\"")];
    assert!(scim.names(&by_title).await.is_empty() && scim.names(&[]).await.is_empty());
    assert_eq!(scim.user(&id).await["title"], "Cook", "a read by id is never late");
    scim.control.advance(10).await.unwrap();
    assert!(scim.names(&by_title).await.is_empty() && scim.names(&[]).await.len() == 1);
    scim.control.advance(20).await.unwrap();
    assert_eq!(scim.names(&by_title).await.len(), 1);
    scim.patch(&id, title()).await;
    let listed = scim.list(&by_title).await.json();
    assert_eq!(listed["Resources"][0]["title"], "Cook");
    scim.control.advance(30).await.unwrap();
    assert!(scim.names(&by_title).await.is_empty());
}

#[tokio::test]
async fn listings_that_are_cut_or_shift() {
    let (_world, scim) = server(json!({"paging": {"cap": 2}})).await;
    let users: Vec<Value> = (0..6).map(|n| json!({"userName": format!("u{n}")})).collect();
    scim.control.scim("POST", "/users", json!(users)).await.unwrap();
    assert_eq!(scim.names(&[("count", "50")]).await, ["u0", "u1"]);
    assert_eq!(scim.get("/ServiceProviderConfig").await.json()["filter"]["maxResults"], 2);
    scim.quirks(json!({"paging": {"itemsAsAsked": true, "totals": "page"}})).await;
    let page = scim.list(&[("count", "50")]).await.json();
    assert_eq!((&page["itemsPerPage"], &page["totalResults"]), (&json!(50), &json!(2)));
    scim.quirks(json!({"paging": {"index": "firstPage", "totals": "absent"}})).await;
    let page = scim.list(&[("startIndex", "3")]).await.json();
    assert_eq!(
        (&page["Resources"][0]["userName"], &page["totalResults"]),
        (&json!("u0"), &Value::Null)
    );
    scim.quirks(json!({"paging": {"index": "onePage", "cursors": false, "totals": "all"}})).await;
    assert_eq!(scim.names(&[("startIndex", "3"), ("cursor", "x")]).await.len(), 6);
    scim.quirks(json!({"paging": {"withoutResources": true}})).await;
    let page = scim.list(&[]).await.json();
    assert_eq!((&page["totalResults"], &page["Resources"]), (&json!(6), &Value::Null));
    let shifting = json!({"withoutResources": false, "omitsEmpty": true, "index": "honoured", "deletesAfterPage": 1});
    scim.quirks(json!({"paging": shifting})).await;
    scim.quirks(json!({"paging": {"index": "wraps", "deletesAfterPage": 0}})).await;
    assert_eq!(scim.names(&[("startIndex", "5")]).await, ["u4", "u5"]);
    assert_eq!(scim.names(&[("startIndex", "7")]).await, ["u0", "u1"]);
    scim.quirks(json!({"paging": {"index": "honoured", "deletesAfterPage": 1}})).await;
    let only_cursors =
        json!({"index": "absent", "cursors": true, "cursorByDefault": true, "deletesAfterPage": 0});
    scim.quirks(json!({"paging": only_cursors})).await;
    let first = scim.list(&[]).await.json();
    assert_eq!((&first["startIndex"], first["nextCursor"].is_string()), (&Value::Null, true));
    assert_eq!(scim_refusal(&scim.list(&[("startIndex", "1")]).await), (501, None));
    let config = scim.get("/ServiceProviderConfig").await.json();
    assert_eq!(
        (&config["pagination"]["index"], &config["pagination"]["defaultPaginationMethod"]),
        (&json!(false), &json!("cursor"))
    );
    scim.quirks(json!({"paging": {"index": "honoured", "cursors": false, "deletesAfterPage": 1}}))
        .await;
    let empty = scim.list(&[("filter", "userName eq \"nothing\"")]).await.json();
    assert_eq!((&empty["totalResults"], &empty["Resources"]), (&json!(0), &Value::Null));
    assert_eq!(scim.names(&[("startIndex", "1")]).await, ["u0", "u1"]);
    let second = scim.list(&[("startIndex", "3")]).await.json();
    assert_eq!(
        (&second["Resources"][0]["userName"], &second["totalResults"]),
        (&json!("u3"), &json!(5)),
        "u2 was never shown"
    );
}

#[tokio::test]
async fn values_and_errors_in_another_form() {
    let values = json!({"activeIsText": true, "etags": false, "foldBlanks": true, "cutTexts": 5, "userNamesByCase": true});
    let errors = json!({"statusIsNumber": true, "scimType": false, "plainJson": true});
    let (_world, scim) = server(json!({"values": values, "errors": errors})).await;
    let answer = scim
        .post(scim_user(
            "ann@example.com",
            json!({"title": "A  cook", COMPANY: {"badge": "1234567"}}),
        ))
        .await;
    let ann = answer.json();
    assert_eq!(
        (&ann["active"], &ann["title"], &ann[COMPANY]["badge"], &ann["meta"]["version"]),
        (&json!("True"), &json!("A coo"), &json!("12345"), &Value::Null)
    );
    assert_eq!(
        (answer.header("etag"), answer.header("content-type")),
        (None, Some("application/json"))
    );
    scim.create("ANN@example.com", json!({})).await;
    let taken = scim.post(scim_user("ann@example.com", json!({}))).await;
    let body = taken.json();
    assert_eq!(
        (taken.status.as_u16(), &body["status"], &body["scimType"]),
        (409, &json!(409), &Value::Null)
    );
    scim.quirks(json!({"errors": {"html": true}, "values": {"lowersUserNames": true}})).await;
    let taken = scim.post(scim_user("ann@example.com", json!({}))).await;
    assert!(taken.status == 409 && taken.is_html());
    let id = scim.create("CLEO@example.com", json!({})).await;
    assert_eq!(scim.user(&id).await["userName"], "cleo@example.com");
}
