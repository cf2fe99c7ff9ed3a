//! What can go wrong in the controller, and what the controller or a person holds on purpose.

use serde_json::{Value, json};

use super::{
    stage::{DEPARTMENT, Done, Extras, Stage, Wanted},
    table::{Ends, Row},
};
use crate::{
    attempts::{approve, pin},
    budgets::leave,
    providers::{ENTRA, GOOGLE, JUMPCLOUD, ONE_LOGIN, Provider},
};

rows!(
    controller_restarts,
    guard_holds_a_flood_of_leavers,
    guard_freezes_an_attribute,
    person_leaves_out_everyone,
    person_suspends_the_integration,
    person_asks_for_a_dry_run,
    person_breaks_the_settings,
    person_names_a_missing_secret,
    person_keeps_hands_off_an_employee,
    expression_fails_for_a_leaver,
);

async fn controller_restarts(row: Row) -> Done {
    let mut stage = Stage::set(row, GOOGLE).await;
    stage.people_move().await;
    stage.stop().await;
    stage.start().await;
    let looked = stage.goes_as_the_row_says().await;
    looked.ends(Ends::ByItself).await
}

async fn guard_holds_a_flood_of_leavers(row: Row) -> Done {
    let mut stage =
        Stage::set_with(row, ONE_LOGIN, Extras { fillers: 6, ..Extras::default() }).await;
    leave(&stage.story, &stage.people[8..]).await;
    stage.pass_until_the_integration_is("PlanHeld").await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    approve(&looked.stage().story).await;
    looked.ends(Ends::Person).await
}

/// Many employees get the same department by mistake.
async fn guard_freezes_an_attribute(row: Row) -> Done {
    let mut stage = Stage::set_with(row, GOOGLE, Extras { fillers: 20, ..Extras::default() }).await;
    let one = stage.people.last().expect("someone").clone();
    stage.concerns(&one, Wanted::Department);
    for id in &stage.people[4..] {
        stage.story.simulated.change(id, json!({"work.department": DEPARTMENT})).await;
    }
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    approve(&looked.stage().story).await;
    looked.ends(Ends::Person).await
}

async fn person_leaves_out_everyone(row: Row) -> Done {
    let domains = |domain: &str| json!({"provisioning": {"emailDomains": [domain]}});
    with(row, ENTRA, (domains("exmaple.com"), "Converged"), domains("example.com")).await
}

/// Applies a spec that stops something, and later the right one again.
async fn with(row: Row, tenant: Provider, (wrong, reason): (Value, &str), right: Value) -> Done {
    let stage = Stage::set(row, tenant).await;
    stage.respec_until(wrong, reason).await;
    corrected(stage, right).await
}

/// Does the same in a process that has never worked with a right spec.
async fn with_and_a_restart(
    row: Row,
    tenant: Provider,
    (wrong, reason): (Value, &str),
    right: Value,
) -> Done {
    let mut stage = Stage::set(row, tenant).await;
    stage.respec_until(wrong, reason).await;
    stage.stop().await;
    stage.start().await;
    corrected(stage, right).await
}

async fn corrected(mut stage: Stage, right: Value) -> Done {
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().respec(right).await;
    looked.ends(Ends::Person).await
}

async fn person_suspends_the_integration(row: Row) -> Done {
    with(row, JUMPCLOUD, (json!({"suspend": true}), "Suspended"), json!({"suspend": false})).await
}

async fn person_asks_for_a_dry_run(row: Row) -> Done {
    with(row, GOOGLE, (json!({"mode": "DryRun"}), "DryRun"), json!({"mode": "Enforce"})).await
}

async fn person_breaks_the_settings(row: Row) -> Done {
    let scope = |text: &str| json!({"provisioning": {"scope": text}});
    with_and_a_restart(
        row,
        ENTRA,
        (scope("employee.work.site ="), "InvalidSettings"),
        scope("employee.work.site != 'Contractors'"),
    )
    .await
}

async fn person_names_a_missing_secret(row: Row) -> Done {
    let secret = |name: &str| json!({"bob": {"credentialsSecretRef": {"name": name}}});
    with_and_a_restart(row, ONE_LOGIN, (secret("nowhere"), "SecretNotFound"), secret("bob")).await
}

async fn person_keeps_hands_off_an_employee(row: Row) -> Done {
    let mut stage = Stage::set(row, JUMPCLOUD).await;
    let one = stage.people[4].clone();
    pin(&stage.story, &one, json!({"suspend": true})).await;
    stage.concerns(&one, Wanted::Closed);
    leave(&stage.story, std::slice::from_ref(&one)).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    pin(&looked.stage().story, &one, json!({"suspend": false})).await;
    looked.ends(Ends::Person).await
}

/// The expression of one attribute fails for the leaver.
async fn expression_fails_for_a_leaver(row: Row) -> Done {
    let broken = format!(
        "employee.work.title == 'Breaker' ? string(1 / 0) : employee.work.title == 'Keeper' ? '{DEPARTMENT}' : employee.work.department"
    );
    let mapping = json!([
        {"target": "userPrincipalName", "field": "root.email"}, {"target": "displayName", "field": "root.displayName"},
        {"target": "jobTitle", "field": "work.title"}, {"target": "department", "cel": broken},
    ]);
    let mut stage = Stage::set_with(
        row,
        ENTRA,
        Extras { spec: json!({"mapping": mapping}), ..Extras::default() },
    )
    .await;
    let leaver = stage.people[0].clone();
    stage.concerns(&leaver, Wanted::Department);
    stage.story.simulated.change(&leaver, json!({"work.title": "Breaker"})).await;
    stage.people_move().await;
    let mut looked = stage.goes_as_the_row_says().await;
    looked.stage().story.simulated.change(&leaver, json!({"work.title": "Keeper"})).await;
    looked.ends(Ends::Person).await
}
