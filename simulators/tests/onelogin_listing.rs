//! The simulated `OneLogin`'s listing over HTTP: thin rows, paging, filters, sorting.

mod callers;

use callers::{OneLoginCaller, world};
use serde_json::{Value, json};

async fn tenant(caller: &OneLoginCaller, count: usize) -> Vec<i64> {
    let users: Vec<Value> = (0..count)
        .map(|n| json!({"username": format!("u{n:04}"), "email": format!("U{n:04}@example.com"), "external_id": n.to_string(), "title": "T"}))
        .collect();
    caller.control.create_users(&users).await.unwrap()
}

fn ids(answer: &callers::Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_listing_is_thin_unless_it_names_fields() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.custom_attributes(&["badge"]).await.unwrap();
    let boss = caller.create("boss", json!({})).await;
    caller
        .create(
            "ann",
            json!({"title": "T", "manager_user_id": boss, "custom_attributes": {"badge": "7"}}),
        )
        .await;
    let thin = caller.get("/api/2/users").await.json()[1].clone();
    for absent in [
        "custom_attributes",
        "role_ids",
        "manager_user_id",
        "department",
        "title",
        "company",
        "comment",
        "trusted_idp_id",
        "userprincipalname",
    ] {
        assert!(thin.get(absent).is_none(), "{absent}");
    }
    assert_eq!(thin["email"], "ann@example.com");
    let named = caller
        .get("/api/2/users?fields=title,manager_user_id,custom_attributes,colour")
        .await
        .json()[1]
        .clone();
    let expected = json!({"id": named["id"], "title": "T", "manager_user_id": boss, "custom_attributes": {"badge": "7"}});
    assert_eq!(named, expected);
}

#[tokio::test]
async fn pages_by_number() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let all = tenant(&caller, 231).await;
    let first = caller.get("/api/2/users?limit=100&fields=id").await;
    for (name, value) in
        [("total-count", "231"), ("total-pages", "3"), ("current-page", "1"), ("page-items", "100")]
    {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    assert!(first.header("link").unwrap().contains("/api/v5"));
    let mut seen = ids(&first);
    for page in 2..=3 {
        seen.extend(ids(&caller
            .get(&format!("/api/2/users?limit=100&page={page}&fields=id"))
            .await));
    }
    assert_eq!(seen, all);
    assert_eq!(ids(&caller.get("/api/2/users").await).len(), 50, "the default page");
    assert_eq!(ids(&caller.get("/api/2/users?limit=1000").await).len(), 100, "the largest page");
    assert!(ids(&caller.get("/api/2/users?limit=100&page=4").await).is_empty());
    for wrong in ["limit=0", "limit=many", "page=0", "page=-1"] {
        assert_eq!(caller.get(&format!("/api/2/users?{wrong}")).await.status, 400, "{wrong}");
    }
    caller.control.onelogin_quirks(json!({"pageSizeCap": 20})).await.unwrap();
    assert_eq!(ids(&caller.get("/api/2/users?limit=100").await).len(), 20);
}

#[tokio::test]
async fn pages_by_cursor_which_carries_neither_fields_nor_filters() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let all = tenant(&caller, 120).await;
    let first = caller.get("/api/2/users?limit=100&fields=id,title").await;
    let cursor = first.header("after-cursor").unwrap().replace('=', "%3D");
    assert!(first.header("before-cursor").is_none());
    let second = caller.get(&format!("/api/2/users?cursor={cursor}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), all);
    assert!(second.json()[0].get("title").is_none());
    assert!(second.header("after-cursor").is_none() && second.header("before-cursor").is_some());
    let both = caller.get(&format!("/api/2/users?cursor={cursor}&limit=100")).await;
    assert_eq!((both.status.as_u16(), &both.json()["error"]), (400, &json!("BadRequestError")));
    assert_eq!(
        both.json()["description"],
        "Requests can only have cursor xor pagination arguments"
    );
    let made_up = caller.get(&format!("/api/2/users?cursor={}", all[99])).await;
    assert_eq!(
        (made_up.status.as_u16(), &made_up.json()["description"]),
        (400, &json!("Invalid pagination cursor"))
    );
}

#[tokio::test]
async fn a_deletion_during_a_scan_shifts_the_pages() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let all = tenant(&caller, 4).await;
    let mut seen = ids(&caller.get("/api/2/users?limit=2").await);
    caller.delete(&format!("/api/2/users/{}", all[0])).await;
    seen.extend(ids(&caller.get("/api/2/users?limit=2&page=2").await));
    assert_eq!(seen, [all[0], all[1], all[3]], "the third row was skipped");
}

#[tokio::test]
async fn filters_find_people_and_empty_ones_find_everybody() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let all = tenant(&caller, 12).await;
    caller
        .control
        .change_user(all[3], json!({"custom_attributes": {"badge": "B-7"}}))
        .await
        .unwrap();
    for (query, found) in [
        ("external_id=3", vec![all[3]]),
        ("email=u0003%40example.com", vec![all[3]]),
        ("username=u0003&email=u0004@example.com", vec![]),
        ("email=*0003@*", vec![all[3]]),
        ("username=u00*1", vec![all[1], all[11]]),
        ("custom_attributes.badge=B-7", vec![all[3]]),
        ("external_id=", all.clone()),
        ("email=&limit=100", all.clone()),
        ("external_id=nobody", vec![]),
        ("app_id=5", vec![]),
    ] {
        assert_eq!(ids(&caller.get(&format!("/api/2/users?{query}")).await), found, "{query}");
    }
    let some = format!("user_ids={},{}", all[5], all[2]);
    assert_eq!(ids(&caller.get(&format!("/api/2/users?{some}")).await), [all[2], all[5]]);
    let count = caller.get("/api/2/users?external_id=3").await;
    assert_eq!(count.header("total-count"), Some("1"));
    let unknown = caller.get("/api/2/users?status=1&colour=red").await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["message"]),
        (400, &json!("query parameter(s) not allowed: status, colour"))
    );
    assert_eq!(caller.get("/api/2/users?custom_attributes.nothing=1").await.status, 400);
    caller.control.onelogin_quirks(json!({"filterCase": "sensitive"})).await.unwrap();
    assert!(ids(&caller.get("/api/2/users?email=u0003@example.com").await).is_empty());
    assert_eq!(ids(&caller.get("/api/2/users?email=U0003@example.com").await), [all[3]]);
}

#[tokio::test]
async fn times_bound_and_order_the_listing() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let first = caller.create("a", json!({})).await;
    caller.control.advance(3600).await.unwrap();
    let second = caller.create("b", json!({})).await;
    let query = |text: &str| format!("/api/2/users?{text}");
    assert_eq!(ids(&caller.get(&query("created_since=2026-11-24T09:30:00Z")).await), [second]);
    assert_eq!(ids(&caller.get(&query("created_until=2026-11-24T09:30:00Z")).await), [first]);
    assert_eq!(caller.get(&query("updated_since=yesterday")).await.status, 400);
    assert_eq!(ids(&caller.get(&query("sort=-created_at")).await), [second, first]);
    assert_eq!(ids(&caller.get(&query("sort=%2Busername")).await), [first, second]);
    // An unescaped plus is a blank in a query.
    for wrong in ["sort=+username", "sort=colour"] {
        let answer = caller.get(&query(wrong)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["field"]),
            (422, &json!("sort")),
            "{wrong}"
        );
        assert_eq!(answer.json()["name"], "UnprocessableEntityFieldError");
    }
}
