//! The simulated `OneLogin`'s tokens, scopes and limits over HTTP.

mod callers;

use callers::{Answer, OneLoginCaller, world};
use reqwest::Method;
use serde_json::json;
use simulators::World;

/// Makes one request to the token endpoint.
async fn ask(world: &World, authorization: Option<&str>, media: &str, body: &str) -> Answer {
    let caller = OneLoginCaller::of(world).await;
    let url = format!("{}/auth/oauth2/v2/token", world.onelogin_url());
    let mut request = caller.http.post(url).header("content-type", media).body(body.to_owned());
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    Answer::read(request.send().await.unwrap()).await
}

const GRANT: &str = r#"{"grant_type":"client_credentials"}"#;
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// `client-1:secret-1`
const BASIC: &str = "Basic Y2xpZW50LTE6c2VjcmV0LTE=";

#[tokio::test]
async fn four_forms_of_the_token_request_answer_the_same_token() {
    let world = world(0).await;
    let whole =
        r#"{"grant_type":"client_credentials","client_id":"client-1","client_secret":"secret-1"}"#;
    let form = "grant_type=client_credentials&client_id=client-1&client_secret=secret-1";
    let mut tokens = Vec::new();
    for (authorization, media, body) in [
        (Some("client_id:client-1, client_secret:secret-1"), JSON, GRANT),
        (Some("client_id:client-1,client_secret:secret-1"), JSON, GRANT),
        (Some(BASIC), JSON, GRANT),
        (None, FORM, form),
        (None, JSON, whole),
    ] {
        let answer = ask(&world, authorization, media, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let token = answer.json();
        assert_eq!((&token["expires_in"], &token["token_type"]), (&json!(36000), &json!("bearer")));
        tokens.push(token);
    }
    assert!(tokens.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn other_forms_and_wrong_secrets_are_refused() {
    let world = world(0).await;
    let cases = [
        (Some("Basic Y2xpZW50LTE6d3Jvbmc="), JSON, GRANT, 401),
        (Some(BASIC), FORM, "grant_type=client_credentials", 400),
        (Some(BASIC), JSON, r#"{"grant_type":"password"}"#, 400),
        (Some(BASIC), JSON, "{", 400),
        (Some(BASIC), "text/plain", GRANT, 400),
        (None, JSON, GRANT, 400),
    ];
    for (authorization, media, body, status) in cases {
        let answer = ask(&world, authorization, media, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json()["status"]["code"], status, "{body}");
    }
}

#[tokio::test]
async fn the_first_version_wraps_the_token() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let request = caller
        .http
        .post(format!("{}/auth/oauth2/token", caller.base))
        .basic_auth("client-1", Some("secret-1"));
    let answer = Answer::read(
        request.json(&json!({"grant_type": "client_credentials"})).send().await.unwrap(),
    )
    .await
    .json();
    assert_eq!(answer["data"][0]["access_token"], json!(caller.token));
    assert_eq!(answer["status"]["code"], 200);
}

#[tokio::test]
async fn a_token_dies_by_age_revocation_and_another_client() {
    let world = world(0).await;
    let mut caller = OneLoginCaller::of(&world).await;
    assert_eq!(caller.get("/api/2/users").await.status, 200);
    caller.control.advance(36_000).await.unwrap();
    let old = caller.get("/api/2/users").await;
    assert_eq!((old.status.as_u16(), &old.json()["name"]), (401, &json!("UnauthorizedError")));

    caller.renew().await;
    caller.control.revoke_tokens().await.unwrap();
    assert_eq!(caller.get("/api/2/users").await.status, 401);

    caller.renew().await;
    let revoke = caller
        .http
        .post(format!("{}/auth/oauth2/revoke", caller.base))
        .basic_auth("client-1", Some("secret-1"));
    let revoked = revoke.json(&json!({"access_token": caller.token})).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    assert_eq!(caller.get("/api/2/users").await.status, 401);

    caller.renew().await;
    caller.control.onelogin_credentials("client-1", "secret-2", "Manage users").await.unwrap();
    assert_eq!(caller.get("/api/2/users").await.status, 200, "a new secret does not touch a token");
    caller.control.onelogin_credentials("client-2", "secret-2", "Manage users").await.unwrap();
    assert_eq!(caller.get("/api/2/users").await.status, 401);
}

#[tokio::test]
async fn a_deleted_owner_of_the_credential_is_a_server_error() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    caller.control.onelogin_quirks(json!({"credentialOwnerDeleted": true})).await.unwrap();
    let request = caller
        .http
        .post(format!("{}/auth/oauth2/v2/token", caller.base))
        .basic_auth("client-1", Some("secret-1"));
    assert_eq!(
        request.json(&json!({"grant_type": "client_credentials"})).send().await.unwrap().status(),
        500
    );
}

#[tokio::test]
async fn the_bearer_header_is_taken_with_a_blank_and_with_a_colon() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let token = &caller.token;
    for (header, status) in [
        (format!("bearer {token}"), 200),
        (format!("bearer:{token}"), 200),
        (token.clone(), 401),
        ("Bearer nonsense".into(), 401),
    ] {
        let request = caller
            .http
            .get(format!("{}/api/2/users", caller.base))
            .header("authorization", &header);
        assert_eq!(request.send().await.unwrap().status(), status, "{header}");
    }
}

/// Status by scope of: list, create, `set_state`, logout, define an attribute.
#[tokio::test]
async fn scopes_decide_what_is_allowed() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id =
        caller.control.create_user(json!({"username": "zoe", "state": 1})).await.unwrap()["id"]
            .as_i64()
            .unwrap();
    let table = [
        ("Authentication Only", [403, 403, 403, 200, 403]),
        ("Read Users", [200, 403, 403, 403, 403]),
        ("Manage users", [200, 201, 403, 200, 201]),
        ("Read All", [200, 403, 403, 403, 403]),
        ("Manage All", [200, 201, 200, 200, 201]),
    ];
    for (position, (scope, expected)) in table.iter().enumerate() {
        caller.control.onelogin_credentials("client-1", "secret-1", scope).await.unwrap();
        let user = json!({"username": format!("u{position}"), "email": format!("u{position}@example.com")});
        let field = json!({"user_field": {"name": "X", "shortname": format!("x{position}")}});
        let got = [
            caller.get("/api/2/users").await.status.as_u16(),
            caller.post("/api/2/users", user).await.status.as_u16(),
            caller
                .put(&format!("/api/1/users/{id}/set_state"), json!({"state": 2}))
                .await
                .status
                .as_u16(),
            caller.put(&format!("/api/1/users/{id}/logout"), json!({})).await.status.as_u16(),
            caller.post("/api/2/users/custom_attributes", field).await.status.as_u16(),
        ];
        assert_eq!(got, *expected, "{scope}");
    }
}

#[tokio::test]
async fn passwords_and_roles_are_beyond_manage_users() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let id = caller.create("ann", json!({})).await;
    assert_eq!(
        caller.update(id, json!({"password": "x", "password_confirmation": "x"})).await.status,
        403
    );
    assert_eq!(caller.update(id, json!({"role_ids": [1]})).await.status, 403);
    caller.control.onelogin_credentials("client-1", "secret-1", "Manage All").await.unwrap();
    assert_eq!(
        caller.update(id, json!({"password": "x", "password_confirmation": "y"})).await.status,
        422
    );
    assert_eq!(
        caller.update(id, json!({"password": "x", "password_confirmation": "x"})).await.status,
        200
    );
    assert!(caller.user(id).await.get("password").is_none());
    assert!(caller.user(id).await["password_changed_at"].is_string());
}

#[tokio::test]
async fn the_hour_has_a_limit_and_says_so() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    let first = caller.get("/api/2/users").await;
    assert_eq!(
        (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
        (Some("5000"), Some("4999"))
    );
    caller.control.onelogin_limits(5_000, Some(1)).await.unwrap();
    assert_eq!(caller.get("/api/2/users").await.header("x-ratelimit-remaining"), Some("0"));
    let over =
        caller.post("/api/2/users", json!({"username": "a", "email": "a@example.com"})).await;
    assert_eq!((over.status.as_u16(), over.header("retry-after")), (429, None));
    let wait: i64 = over.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "seconds to go, not an epoch: {wait}");
    let report = caller.get("/auth/rate_limit").await.json();
    assert_eq!(
        (&report["data"]["X-RateLimit-Limit"], &report["data"]["X-RateLimit-Remaining"]),
        (&json!(5000), &json!(0))
    );
    assert!(caller.control.users().await.unwrap().is_empty(), "a throttled create creates nobody");
    caller.control.advance(wait).await.unwrap();
    assert_eq!(caller.get("/api/2/users").await.header("x-ratelimit-remaining"), Some("4999"));
}

#[tokio::test]
async fn unknown_routes_look_like_a_token_problem_in_v2_and_not_in_v1() {
    let world = world(0).await;
    let caller = OneLoginCaller::of(&world).await;
    assert_eq!(caller.put("/api/2/users/1/add_roles", json!({})).await.status, 401);
    assert_eq!(caller.call(Method::PATCH, "/api/2/users/1", Some(json!({}))).await.status, 401);
    let old = caller.put("/api/1/users/1/dance", json!({})).await;
    assert_eq!(
        (old.status.as_u16(), &old.json()["status"]["message"]),
        (404, &json!("No Route Exists"))
    );
}
