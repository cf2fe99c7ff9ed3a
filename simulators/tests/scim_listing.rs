//! The SCIM server: listings, pages, filters, and who may ask.

mod callers;

use callers::{Answer, ENTERPRISE, ScimCaller, scim_refusal, world};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::client::Service;
use simulators::{Fault, FaultKind, World};

fn refused(kind: &str) -> (u16, Option<String>) {
    (400, Some(kind.to_owned()))
}

/// Starts a world with users `u0`, `u1`… who have titles.
async fn crowd(count: usize) -> (World, ScimCaller) {
    let world = world(0).await;
    let scim = ScimCaller::of(&world);
    let users: Vec<Value> = (0..count)
        .map(|n| json!({"userName": format!("u{n}@example.com"), "externalId": format!("K{n}"), "title": format!("T{}", count - n)}))
        .collect();
    scim.control.scim("POST", "/users", json!(users)).await.unwrap();
    (world, scim)
}

#[tokio::test]
async fn an_index_leads_through_the_pages() {
    let (_world, scim) = crowd(250).await;
    let all = scim.list(&[]).await;
    assert_eq!(all.header("content-type"), Some("application/scim+json"));
    let all = all.json();
    assert_eq!(all["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    assert_eq!(
        (
            &all["totalResults"],
            &all["itemsPerPage"],
            &all["startIndex"],
            all["Resources"].as_array().unwrap().len()
        ),
        (&json!(250), &json!(100), &json!(1), 100)
    );
    let capped = scim.list(&[("startIndex", "101"), ("count", "500")]).await.json();
    assert_eq!(
        (&capped["itemsPerPage"], &capped["Resources"][0]["userName"]),
        (&json!(150), &json!("u100@example.com"))
    );
    let last = scim.list(&[("startIndex", "250")]).await.json();
    assert_eq!(last["Resources"].as_array().unwrap().len(), 1);
    for (pairs, start, size) in [
        ([("startIndex", "251"), ("count", "5")], 251, 0),
        ([("startIndex", "-3"), ("count", "5")], 1, 5),
        ([("startIndex", "1"), ("count", "0")], 1, 0),
        ([("startIndex", "1"), ("count", "-1")], 1, 0),
    ] {
        let page = scim.list(&pairs).await.json();
        assert_eq!(
            (&page["startIndex"], page["Resources"].as_array().unwrap().len()),
            (&json!(start), size),
            "{pairs:?}"
        );
        assert_eq!(page["totalResults"], 250);
    }
    assert_eq!(scim_refusal(&scim.list(&[("count", "many")]).await), refused("invalidValue"));
}

#[tokio::test]
async fn a_cursor_leads_through_the_pages_and_belongs_to_its_query() {
    let (_world, scim) = crowd(5).await;
    let first = scim.list(&[("cursor", ""), ("count", "2")]).await.json();
    assert_eq!((&first["startIndex"], &first["totalResults"]), (&Value::Null, &json!(5)));
    let next = first["nextCursor"].as_str().unwrap();
    // A user of the first page disappears, and no user is missed.
    let gone = first["Resources"][0]["id"].as_str().unwrap();
    assert_eq!(scim.delete(gone).await.status, 204);
    let second = scim.list(&[("cursor", next), ("count", "2")]).await.json();
    assert_eq!(second["Resources"][0]["userName"], "u2@example.com");
    let last = second["nextCursor"].as_str().unwrap();
    let third = scim.list(&[("cursor", last), ("count", "2")]).await.json();
    assert_eq!(
        (&third["Resources"][0]["userName"], &third["nextCursor"]),
        (&json!("u4@example.com"), &Value::Null)
    );
    for (pairs, kind) in [
        (vec![("cursor", next), ("count", "3")], "invalidCount"),
        (vec![("cursor", ""), ("count", "0")], "invalidCount"),
        (vec![("cursor", next), ("count", "2"), ("filter", "title pr")], "invalidCursor"),
        (vec![("cursor", "nothing"), ("count", "2")], "invalidCursor"),
        (vec![("cursor", ""), ("startIndex", "1")], "invalidValue"),
    ] {
        assert_eq!(scim_refusal(&scim.list(&pairs).await), refused(kind), "{pairs:?}");
    }
    scim.control.advance(3_600).await.unwrap();
    let late = scim.list(&[("cursor", next), ("count", "2")]).await;
    assert_eq!(scim_refusal(&late), refused("expiredCursor"));
}

#[tokio::test]
async fn filters_sorting_and_selection() {
    let (_world, scim) = crowd(12).await;
    let more = json!({"emails": [{"type": "work", "value": "a@x.org"}], "name": {"familyName": "Lee", "givenName": "A"}, ENTERPRISE: {"department": "Ops", "division": "North"}});
    let id = scim.create("Ann+1@example.com", more).await;
    assert_eq!(
        scim.names(&[("filter", "userName eq \"ann+1@EXAMPLE.com\"")]).await,
        ["Ann+1@example.com"]
    );
    assert_eq!(scim.names(&[("filter", "externalId eq \"K3\"")]).await, ["u3@example.com"]);
    assert!(scim.names(&[("filter", "externalId eq \"k3\"")]).await.is_empty());
    let filter = "emails[type eq \"work\" and value co \"x.org\"] and not (title pr)";
    assert_eq!(scim.names(&[("filter", filter)]).await, ["Ann+1@example.com"]);
    let none = scim.list(&[("filter", "userName eq \"nothing\"")]).await.json();
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(0), &json!([])));
    assert_eq!(
        scim_refusal(&scim.list(&[("filter", "userName is \"x\"")]).await),
        refused("invalidFilter")
    );
    let sorted = scim.names(&[("sortBy", "title"), ("count", "2")]).await;
    assert_eq!(sorted, ["u11@example.com", "u2@example.com"], "T1 and T10");
    let sorted =
        scim.names(&[("sortBy", "title"), ("sortOrder", "descending"), ("count", "2")]).await;
    assert_eq!(sorted, ["Ann+1@example.com", "u3@example.com"], "none and T9");
    let department = format!("{ENTERPRISE}:department");
    let only = format!("name.givenName,{department},nothing");
    let shown = scim.list(&[("filter", "title eq null"), ("attributes", &only)]).await.json();
    assert_eq!(
        shown["Resources"][0],
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE], "id": id,
            "name": {"givenName": "A"}, ENTERPRISE: {"department": "Ops"},
        })
    );
    let without = format!("meta,id,emails.type,name,{department}");
    let shown = scim.get(&format!("/Users/{id}?excludedAttributes={without}")).await.json();
    assert_eq!(
        shown,
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE], "id": id,
            "userName": "Ann+1@example.com", "active": true, "emails": [{"value": "a@x.org"}],
            ENTERPRISE: {"division": "North"},
        })
    );
    let both = scim.list(&[("attributes", "title"), ("excludedAttributes", "title")]).await;
    assert_eq!(scim_refusal(&both), refused("invalidValue"));
    let search = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "externalId eq \"K4\"", "attributes": ["userName"], "startIndex": 1, "count": 5,
    });
    for path in ["/.search", "/Users/.search"] {
        let found = scim.call(Method::POST, path, &[], Some(search.clone())).await.json();
        assert_eq!(found["Resources"][0]["userName"], "u4@example.com");
    }
    let calls = scim.control.calls(Service::Scim).await.unwrap();
    assert_eq!(calls.writes, 1, "a search is no write");
}

#[tokio::test]
async fn three_ways_lead_in_and_each_can_be_closed() {
    let (world, mut scim) = crowd(1).await;
    let basic = "Basic c2NpbS11c2VyOnNjaW0tcGFzc3dvcmQtMQ==";
    let token = async |form: &[(&str, &str)], basic: Option<&str>| {
        let mut body = reqwest::Url::parse("http://x/").unwrap();
        body.query_pairs_mut().extend_pairs(form);
        let mut request = scim
            .http
            .post(format!("{}/oauth/token", world.scim_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned());
        if let Some(secret) = basic {
            request = request.basic_auth("scim-client", Some(secret));
        }
        Answer::read(request.send().await.unwrap()).await
    };
    let grant = ("grant_type", "client_credentials");
    let issued = token(&[grant, ("scope", "scim")], Some("scim-secret-1")).await;
    assert_eq!((issued.status.as_u16(), &issued.json()["expires_in"]), (200, &json!(3_600)));
    let in_body = [grant, ("client_id", "scim-client"), ("client_secret", "scim-secret-1")];
    assert_eq!(token(&in_body, None).await.status, 200);
    for (form, basic, status, error) in [
        (&[grant][..], Some("wrong"), 401, "invalid_client"),
        (&[grant], None, 401, "invalid_client"),
        (&in_body, Some("scim-secret-1"), 400, "invalid_request"),
        (&[("grant_type", "password")], Some("scim-secret-1"), 400, "unsupported_grant_type"),
        (&[grant, ("scope", "other")], Some("scim-secret-1"), 400, "invalid_scope"),
    ] {
        let answer = token(form, basic).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"].as_str()),
            (status, Some(error))
        );
    }
    scim.control.scim("PUT", "/credentials", json!({"scopeRequired": true})).await.unwrap();
    assert_eq!(token(&[grant], Some("scim-secret-1")).await.json()["error"], "invalid_scope");
    let bearer = format!("Bearer {}", issued.json()["access_token"].as_str().unwrap());
    let works = async |scim: &mut ScimCaller, authorization: &str| {
        authorization.clone_into(&mut scim.authorization);
        let answer = scim.get("/Users").await;
        if answer.status == 401 {
            assert_eq!(scim_refusal(&answer), (401, None));
            assert!(answer.header("www-authenticate").is_some());
        }
        answer.status == 200
    };
    for (authorization, right) in [
        ("Bearer scim-token-1", true),
        (basic, true),
        (&*bearer, true),
        ("Bearer scim-token-2", false),
        ("Basic c2NpbS11c2VyOndyb25n", false),
        ("scim-token-1", false),
        ("", false),
    ] {
        assert_eq!(works(&mut scim, authorization).await, right, "{authorization}");
    }
    scim.control.scim("PUT", "/credentials", json!({"ways": ["oauth"]})).await.unwrap();
    assert!(!works(&mut scim, "Bearer scim-token-1").await && !works(&mut scim, basic).await);
    assert!(works(&mut scim, &bearer).await);
    scim.control.advance(3_600).await.unwrap();
    assert!(!works(&mut scim, &bearer).await, "it has expired");
    let log = scim.control.log(Service::Scim, 0).await.unwrap();
    assert!(log.iter().all(|call| call.path != "/oauth/token" || call.body.is_null()));
    scim.authorization.clear();
    assert_eq!(scim.get("/ServiceProviderConfig").await.status, 200, "the ways in can be read");
    assert_eq!(scim.get("/Schemas").await.status, 401);
}

#[tokio::test]
async fn rights_limits_and_faults() {
    let (_world, scim) = crowd(1).await;
    scim.control.scim("PUT", "/credentials", json!({"rights": "read"})).await.unwrap();
    assert_eq!(scim.get("/Users").await.status, 200);
    assert_eq!(scim_refusal(&scim.post(json!({})).await), (403, None));
    scim.control.scim("PUT", "/credentials", json!({"rights": "none"})).await.unwrap();
    assert_eq!(scim_refusal(&scim.get("/Users").await), (403, None));
    scim.control.scim("PUT", "/credentials", json!({"rights": "manage"})).await.unwrap();
    scim.control.scim("PUT", "/limits", json!({"limit": 2, "remaining": 1})).await.unwrap();
    assert_eq!(scim.get("/Users").await.status, 200);
    let late = scim.get("/Users").await;
    assert_eq!((scim_refusal(&late), late.header("retry-after")), ((429, None), None));
    scim.quirks(json!({"errors": {"retryAfter": 7}})).await;
    assert_eq!(scim.get("/Users").await.header("retry-after"), Some("7"));
    scim.control.advance(60).await.unwrap();
    assert_eq!(scim.get("/Users").await.status, 200);
    scim.control.advance(60).await.unwrap();
    let fault = Fault::new(FaultKind::StatusAfterApply).method("POST").times(1);
    scim.control.fault(Service::Scim, &fault).await.unwrap();
    let lost = scim.post(callers::scim_user("ann@example.com", json!({}))).await;
    assert_eq!((lost.status.as_u16(), &lost.json()["status"]), (503, &json!("503")));
    assert_eq!(scim.names(&[("filter", "userName sw \"ann\"")]).await, ["ann@example.com"]);
}

#[tokio::test]
async fn what_the_server_says_about_itself() {
    let (_world, scim) = crowd(0).await;
    let config = scim.get("/ServiceProviderConfig").await.json();
    assert_eq!(
        (
            &config["patch"]["supported"],
            &config["filter"]["maxResults"],
            &config["pagination"]["cursor"]
        ),
        (&json!(true), &json!(200), &json!(true))
    );
    let ways: Vec<&Value> = config["authenticationSchemes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| &way["type"])
        .collect();
    assert_eq!(ways, ["oauthbearertoken", "httpbasic", "oauth2"]);
    let types = scim.get("/ResourceTypes").await.json();
    assert_eq!(types["Resources"][0]["endpoint"], "/Users");
    let filtered = scim.get("/Schemas?filter=id%20pr").await;
    assert_eq!(scim_refusal(&filtered), (403, None));
    for (method, path, status) in [
        (Method::DELETE, "/Schemas", 405),
        (Method::PUT, "/Users", 405),
        (Method::POST, "/Bulk", 501),
        (Method::GET, "/Me", 501),
        (Method::GET, "/Groups", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/Users/", 404),
    ] {
        let answer = scim.call(method, path, &[], None).await;
        assert_eq!(scim_refusal(&answer), (status, None), "{path}");
    }
}
