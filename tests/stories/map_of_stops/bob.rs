//! What can go wrong at Bob.

use serde_json::{Value, json};

use super::{
    stage::{DEPARTMENT, Done, Extras, Stage, TITLE, Wanted, starter},
    table::{Ends, Row},
};
use crate::providers::{ENTRA, GOOGLE, JUMPCLOUD, ONE_LOGIN, Provider};

rows!(
    bob_refuses_the_service_user,
    bob_forbids_every_read,
    bob_is_down,
    bob_does_not_answer,
    bob_is_slow,
    bob_answers_half,
    bob_answers_with_a_page,
    bob_throttles,
    bob_hides_an_employee,
    bob_hides_a_lifecycle_status,
    bob_answers_short,
    bob_answers_empty,
    bob_hides_a_mapped_field,
    bob_hides_the_lifecycle_field,
);

async fn fault(stage: &Stage, fault: Value) {
    stage.story.simulated.post("/bob/faults", fault).await;
}

/// Sets a fault of Bob that ends by itself.
async fn with(row: Row, tenant: Provider, what: Value) -> Done {
    let mut stage = Stage::set(row, tenant).await;
    fault(&stage, what).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.delete("/bob/faults").await;
    looked.ends(Ends::ByItself).await
}

async fn bob_refuses_the_service_user(row: Row) -> Done {
    let mut stage = Stage::set(row, ONE_LOGIN).await;
    stage
        .story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-2"}))
        .await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked
        .stage()
        .story
        .simulated
        .put("/bob/credentials", json!({"id": "SERVICE-1", "token": "bob-token-1"}))
        .await;
    looked.ends(Ends::ByItself).await
}

async fn bob_forbids_every_read(row: Row) -> Done {
    let mut stage = Stage::set(row, JUMPCLOUD).await;
    stage.story.simulated.put("/bob/permissions", json!({"status": 403})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/bob/permissions", json!({})).await;
    looked.ends(Ends::ByItself).await
}

async fn bob_is_down(row: Row) -> Done {
    with(row, GOOGLE, json!({"kind": "status", "status": 503})).await
}

async fn bob_does_not_answer(row: Row) -> Done {
    with(row, JUMPCLOUD, json!({"kind": "hold"})).await
}

async fn bob_is_slow(row: Row) -> Done {
    with(row, ENTRA, json!({"kind": "delay", "delayMs": 2500})).await
}

async fn bob_answers_half(row: Row) -> Done {
    with(row, ONE_LOGIN, json!({"kind": "truncate", "pathPrefix": "/v1/people/search"})).await
}

async fn bob_answers_with_a_page(row: Row) -> Done {
    with(row, JUMPCLOUD, json!({"kind": "html", "status": 403})).await
}

async fn bob_throttles(row: Row) -> Done {
    with(row, GOOGLE, json!({"kind": "status", "status": 429, "headers": {"Retry-After": "5"}}))
        .await
}

fn on_leave(email: &str) -> Value {
    let mut person = starter(email);
    person["internal.lifecycleStatus"] = "Parental leave".into();
    person
}

/// Hides all employees on parental leave, as if they did not exist.
async fn hide(stage: &Stage, how: &str) {
    let visible = ["Hired", "Employed", "Terminated", "Garden leave", "Leave"];
    stage
        .story
        .simulated
        .put("/bob/permissions", json!({"visibleLifecycles": visible, "outOfSight": how}))
        .await;
}

/// One of two employees on parental leave is hidden, so the status itself is still seen.
async fn bob_hides_an_employee(row: Row) -> Done {
    let mut stage = Stage::set(row, ONE_LOGIN).await;
    let hidden = stage.story.simulated.hire(on_leave("hidden@example.com")).await;
    stage.pass_until_account(&hidden).await;
    stage.concerns(&hidden, Wanted::Title);
    stage.story.simulated.change(&hidden, json!({"work.title": TITLE})).await;
    hide(&stage, "forbidden").await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/bob/permissions", json!({})).await;
    looked.ends(Ends::ByItself).await
}

async fn bob_hides_a_lifecycle_status(row: Row) -> Done {
    let mut stage = Stage::set(row, ENTRA).await;
    let hidden = stage.story.simulated.hire(on_leave("hidden@example.com")).await;
    let other = stage.story.simulated.hire(on_leave("other@example.com")).await;
    stage.pass_until_account(&hidden).await;
    stage.pass_until_account(&other).await;
    stage.concerns(&hidden, Wanted::Title);
    stage.story.simulated.change(&hidden, json!({"work.title": TITLE})).await;
    hide(&stage, "notFound").await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/bob/permissions", json!({})).await;
    looked.ends(Ends::ByItself).await
}

async fn bob_answers_empty(row: Row) -> Done {
    serves(row, GOOGLE, 0).await
}

/// The joiner comes last, and is not in the answer.
async fn bob_answers_short(row: Row) -> Done {
    serves(row, ONE_LOGIN, 12).await
}

/// Makes Bob answer only `first` of almost forty employees.
async fn serves(row: Row, tenant: Provider, first: usize) -> Done {
    let mut stage = Stage::set_with(row, tenant, Extras { fillers: 30, ..Extras::default() }).await;
    stage.story.simulated.put("/bob/serve", json!({"first": first})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/bob/serve", json!({"first": null})).await;
    looked.ends(Ends::ByItself).await
}

async fn hides_fields(row: Row, tenant: Provider, fields: &[&str], concerns: bool) -> Done {
    let mut stage = Stage::set(row, tenant).await;
    if concerns {
        let employee = stage.people[4].clone();
        stage.concerns(&employee, Wanted::Department);
        stage.story.simulated.change(&employee, json!({"work.department": DEPARTMENT})).await;
    }
    stage.story.simulated.put("/bob/permissions", json!({"hiddenFields": fields})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.put("/bob/permissions", json!({})).await;
    looked.ends(Ends::ByItself).await
}

async fn bob_hides_a_mapped_field(row: Row) -> Done {
    hides_fields(row, JUMPCLOUD, &["work.department"], true).await
}

async fn bob_hides_the_lifecycle_field(row: Row) -> Done {
    hides_fields(row, GOOGLE, &["internal.lifecycleStatus", "internal.status"], false).await
}
