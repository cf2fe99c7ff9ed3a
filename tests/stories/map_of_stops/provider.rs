//! What can go wrong at a provider.

use serde_json::{Value, json};

use super::{
    stage::{DEPARTMENT, Done, Extras, Stage, TITLE, Wanted},
    table::{Ends, Row},
};
use crate::{
    budgets::leave,
    providers::{ENTRA, GOOGLE, JUMPCLOUD, OKTA, ONE_LOGIN, Provider, SCIM},
};

rows!(
    provider_refuses_the_credential,
    provider_forbids_everything,
    provider_refuses_one_account,
    provider_refuses_creates,
    provider_refuses_a_kind_of_write,
    provider_refuses_a_value,
    provider_breaks_at_a_value,
    provider_has_no_licence_left,
    provider_has_no_quota_left,
    provider_throttles,
    provider_is_down,
    provider_does_not_answer,
    provider_fails_every_write,
    provider_fails_the_listing,
    provider_lists_with_gaps,
    provider_lists_short,
    provider_fails_the_definitions,
    provider_has_lost_an_account,
    provider_says_conflict,
    provider_has_the_address_elsewhere,
    provider_is_slow,
    provider_loses_answers,
    provider_protects_an_administrator,
    provider_keeps_sessions,
    provider_is_in_maintenance,
    provider_takes_one_call_at_once,
    provider_shows_changes_late,
    provider_ignores_filters,
);

/// Sets a fault of the provider that ends by itself.
async fn with(row: Row, tenant: Provider, fault: Value) -> Done {
    let mut stage = Stage::set(row, tenant).await;
    stage.fault(fault).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

/// Sets a fault that strikes one employee's account.
async fn of_one(row: Row, tenant: Provider, wanted: Wanted, fault: impl Fn(&str) -> Value) -> Done {
    let mut stage = Stage::set(row, tenant).await;
    let one = stage.people[4].clone();
    let path = stage.path(&one).await;
    stage.fault(fault(&path)).await;
    stage.concerns(&one, wanted);
    match wanted {
        Wanted::Title => stage.story.simulated.change(&one, json!({"work.title": TITLE})).await,
        Wanted::Department => {
            stage.story.simulated.change(&one, json!({"work.department": DEPARTMENT})).await
        }
        Wanted::Closed => leave(&stage.story, &[one]).await,
        Wanted::Open => panic!("is open"),
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

async fn provider_refuses_the_credential(row: Row) -> Done {
    let mut stage = Stage::set(row, JUMPCLOUD).await;
    stage.story.simulated.put("/jumpcloud/credentials", json!({"apiKey": "jumpcloud-key-2"})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked
        .stage()
        .story
        .simulated
        .put("/jumpcloud/credentials", json!({"apiKey": "jumpcloud-key-1"}))
        .await;
    looked.ends(Ends::ByItself).await
}

/// The administrator's consent is removed and given again.
async fn provider_forbids_everything(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    stage
        .story
        .simulated
        .put("/google/delegation", json!({"admins": {"admin@example.com": "none"}}))
        .await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked
        .stage()
        .story
        .simulated
        .put("/google/delegation", json!({"admins": {"admin@example.com": "manage"}}))
        .await;
    looked.ends(Ends::ByItself).await
}

async fn provider_refuses_one_account(row: Row) -> Done {
    of_one(
        row,
        GOOGLE,
        Wanted::Title,
        |path| json!({"kind": "status", "status": 403, "pathPrefix": path}),
    )
    .await
}

async fn provider_refuses_creates(row: Row) -> Done {
    with(
        row,
        ONE_LOGIN,
        json!({"kind": "status", "status": 403, "method": "POST", "exactPath": "/api/2/users"}),
    )
    .await
}

/// A role may do everything except change titles: more refusals in a row than are tried.
async fn provider_refuses_a_kind_of_write(row: Row) -> Done {
    let much = json!({"max": "100%", "atLeast": 100});
    let extras = Extras {
        spec: json!({"safety": {"updates": much, "fieldBlackout": much}}),
        fillers: 26,
        proxied: false,
    };
    let mut stage = Stage::set_with(row, ONE_LOGIN, extras).await;
    stage
        .fault(json!({"kind": "status", "status": 403, "method": "PUT", "bodyContains": TITLE}))
        .await;
    for id in &stage.people[4..] {
        stage.story.simulated.change(id, json!({"work.title": TITLE})).await;
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

async fn provider_refuses_a_value(row: Row) -> Done {
    let mut stage = Stage::set(row, ONE_LOGIN).await;
    let one = stage.people[4].clone();
    stage
        .story
        .simulated
        .put(
            "/onelogin/refuse",
            json!({"rules": [{"field": "department", "contains": DEPARTMENT}]}),
        )
        .await;
    stage.concerns(&one, Wanted::Department);
    stage.story.simulated.change(&one, json!({"work.department": DEPARTMENT})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/onelogin/refuse", json!({"rules": []})).await;
    looked.ends(Ends::ByItself).await
}

/// The leaver also has a new title, and the provider breaks at each write with it.
async fn provider_breaks_at_a_value(row: Row) -> Done {
    let mut stage = Stage::set(row, ENTRA).await;
    stage.fault(json!({"kind": "status", "status": 500, "bodyContains": DEPARTMENT})).await;
    let leaver = stage.people[0].clone();
    stage.concerns(&leaver, Wanted::Department);
    stage.story.simulated.change(&leaver, json!({"work.department": DEPARTMENT})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

async fn provider_has_no_licence_left(row: Row) -> Done {
    let mut stage = Stage::set(row, ONE_LOGIN).await;
    let count = stage.story.simulated.accounts().await.len();
    stage.story.simulated.put("/onelogin/quirks", json!({"licences": count - 5})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked
        .stage()
        .story
        .simulated
        .put("/onelogin/quirks", json!({"licences": 100, "licensesWaiting": true}))
        .await;
    looked.ends(Ends::ByItself).await
}

async fn provider_has_no_quota_left(row: Row) -> Done {
    let mut stage = Stage::set(row, ENTRA).await;
    stage.story.simulated.put("/entra/directory", json!({"quota": 1})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/entra/directory", json!({"quota": 1000})).await;
    looked.ends(Ends::ByItself).await
}

async fn provider_throttles(row: Row) -> Done {
    with(row, ENTRA, json!({"kind": "status", "status": 429, "pathPrefix": "/v1.0", "headers": {"Retry-After": "20"}})).await
}

async fn provider_is_down(row: Row) -> Done {
    with(row, ONE_LOGIN, json!({"kind": "reset"})).await
}

async fn provider_does_not_answer(row: Row) -> Done {
    with(row, ENTRA, json!({"kind": "hold"})).await
}

async fn provider_fails_every_write(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    for method in ["POST", "PUT", "PATCH"] {
        stage
            .fault(
                json!({"kind": "status", "status": 503, "method": method, "pathPrefix": "/admin"}),
            )
            .await;
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

async fn provider_fails_the_listing(row: Row) -> Done {
    with(
        row,
        JUMPCLOUD,
        json!({"kind": "status", "status": 503, "method": "GET", "exactPath": "/api/systemusers"}),
    )
    .await
}

/// Pages after the first one fail from time to time.
async fn provider_lists_with_gaps(row: Row) -> Done {
    let mut stage =
        Stage::set_with(row, ONE_LOGIN, Extras { fillers: 40, ..Extras::default() }).await;
    stage.story.simulated.put("/onelogin/quirks", json!({"pageSizeCap": 5})).await;
    for (after, times) in [(3, 2), (8, 3), (20, 1)] {
        let page = json!({"kind": "status", "status": 503, "method": "GET", "exactPath": "/api/2/users", "after": after, "times": times});
        stage.fault(page).await;
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

/// Every listing, and every look-up by a filter, shows no account.
async fn provider_lists_short(row: Row) -> Done {
    let empty = json!({
        "kind": "status", "status": 200, "headers": {"Content-Type": "application/json"}, "body": "[]", "method": "GET",
        "exactPath": "/api/2/users",
    });
    with(row, ONE_LOGIN, empty).await
}

/// A process that has just begun reads the custom schemas.
async fn provider_fails_the_definitions(row: Row) -> Done {
    let mapped = [
        ("primaryEmail", "root.email"),
        ("name.givenName", "root.firstName"),
        ("name.familyName", "root.surname"),
        ("organizations.title", "work.title"),
        ("customSchemas.Work.cell", "work.department"),
    ];
    let mapping: Vec<Value> =
        mapped.iter().map(|(target, field)| json!({"target": target, "field": field})).collect();
    let extras = Extras { spec: json!({"mapping": mapping}), ..Extras::default() };
    let mut stage = Stage::set_with(row, GOOGLE, extras).await;
    stage.stop().await;
    stage.fault(json!({"kind": "status", "status": 503, "method": "GET", "pathPrefix": "/admin/directory/v1/customer"})).await;
    stage.start().await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

/// An administrator deletes the accounts of a leaver and of the mover.
async fn provider_has_lost_an_account(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    for employee in [&stage.people[0], &stage.people[3]] {
        let account = stage.account(employee).await.expect("an account");
        stage.story.simulated.delete(&format!("/google/users/{}", account.id)).await;
    }
    stage.people_move().await;
    let looked = stage.goes_as_the_row_says().await;
    looked.ends(Ends::ByItself).await
}

/// Another change of the same user is under way, and stays so.
async fn provider_says_conflict(row: Row) -> Done {
    let error = json!({"error": {"code": 409, "message": "Conflicting requests. Please try again.", "errors": [
        {"domain": "global", "reason": "conflict", "message": "Conflicting requests. Please try again."},
    ]}});
    of_one(row, GOOGLE, Wanted::Closed, |path| {
        let headers = json!({"Content-Type": "application/json"});
        json!({"kind": "status", "status": 409, "method": "PUT", "pathPrefix": path, "headers": headers, "body": error.to_string()})
    })
    .await
}

/// The address of a second joiner belongs to a group.
async fn provider_has_the_address_elsewhere(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    stage.story.simulated.put("/google/directory", json!({"groups": ["taken@example.com"]})).await;
    let second = stage.story.simulated.hire(super::stage::starter("taken@example.com")).await;
    stage.concerns(&second, Wanted::Open);
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/google/directory", json!({"groups": []})).await;
    looked.ends(Ends::ByItself).await
}

async fn provider_is_slow(row: Row) -> Done {
    with(row, JUMPCLOUD, json!({"kind": "delay", "delayMs": 1200})).await
}

async fn provider_loses_answers(row: Row) -> Done {
    let mut stage = Stage::set(row, ONE_LOGIN).await;
    for method in ["POST", "PUT"] {
        stage
            .fault(
                json!({"kind": "resetAfterApply", "method": method, "pathPrefix": "/api/2/users"}),
            )
            .await;
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.ends(Ends::ByItself).await
}

async fn provider_protects_an_administrator(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    let administrator = stage.people[4].clone();
    let user =
        format!("/google/users/{}", stage.account(&administrator).await.expect("an account").id);
    stage.story.simulated.patch(&user, json!({"isDelegatedAdmin": true})).await;
    stage.concerns(&administrator, Wanted::Closed);
    leave(&stage.story, &[administrator]).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.patch(&user, json!({"suspended": true})).await;
    looked.ends(Ends::Person).await
}

/// The app lacks the right to end sessions.
async fn provider_keeps_sessions(row: Row) -> Done {
    let mut stage = Stage::set(row, ENTRA).await;
    stage.story.simulated.put("/entra/app", json!({"permissions": ["User.ReadWrite.All"]})).await;
    stage.story.simulated.post("/entra/tokens/revoke", Value::Null).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    let all = json!({"permissions": ["User.ReadWrite.All", "User.RevokeSessions.All"]});
    looked.stage().story.simulated.put("/entra/app", all).await;
    looked.ends(Ends::ByItself).await
}

async fn provider_is_in_maintenance(row: Row) -> Done {
    let mut stage = Stage::set(row, OKTA).await;
    stage.story.simulated.put("/okta/org", json!({"readOnly": true})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/okta/org", json!({"readOnly": false})).await;
    looked.ends(Ends::ByItself).await
}

/// The limit of calls at once is another one than the limit of calls a minute.
async fn provider_takes_one_call_at_once(row: Row) -> Done {
    let mut stage = Stage::set(row, OKTA).await;
    stage.story.simulated.put("/okta/limits", json!({"atOnce": 1})).await;
    // Calls meet each other only if each takes some time.
    stage.fault(json!({"kind": "delay", "delayMs": 100})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().mended().await;
    looked.stage().story.simulated.put("/okta/limits", json!({"atOnce": 75})).await;
    looked.ends(Ends::ByItself).await
}

/// The search index lags.
async fn provider_shows_changes_late(row: Row) -> Done {
    let mut stage = Stage::set(row, OKTA).await;
    stage.story.simulated.put("/okta/quirks", json!({"searchLagSeconds": 600})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/okta/quirks", json!({"searchLagSeconds": 10})).await;
    looked.ends(Ends::ByItself).await
}

/// The totals of the pages do not fit together either, so a listing does not show who is missing.
async fn provider_ignores_filters(row: Row) -> Done {
    let mut stage = Stage::set(row, SCIM).await;
    let quirks = json!({"filters": {"ignored": true}, "paging": {"totals": "page", "cap": 5}});
    stage.story.simulated.put("/scim/quirks", quirks).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    let calm = json!({"filters": {"ignored": false}, "paging": {"totals": "all", "cap": 200}});
    looked.stage().story.simulated.put("/scim/quirks", calm).await;
    looked.ends(Ends::ByItself).await
}
