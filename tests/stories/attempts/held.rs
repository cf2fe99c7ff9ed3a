//! Held changes stay held for every trigger, and an approval covers only the plan that was seen.

use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use super::*;

/// Returns settings in which no guard keeps employees managed that another setting leaves out.
fn any_scope() -> Value {
    json!({"scopeShrink": {"max": "100%"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_whose_people_came_back_before_it_was_through_is_over() {
    let (story, people, controller) = approved_and_stuck("came-back").await;
    for id in &people[..8] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    mended(&story).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    let controller = again(&story, controller).await;
    story.sync().await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "the same people again are another plan");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_over_for_people_who_were_taken_out_of_the_plan_by_hand() {
    let (story, people, _controller) = approved_and_stuck("hands-off").await;
    for id in &people[..8] {
        pin(&story, id, json!({"suspend": true})).await;
    }
    for id in &people[..8] {
        seen(&story, id).await;
    }
    mended(&story).await;
    story.sync().await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 0);
    for id in &people[..8] {
        pin(&story, id, json!({"suspend": false})).await;
    }
    for id in &people[..8] {
        seen(&story, id).await;
    }
    story.sync().await;
    assert!(suspended(&story, &people).await <= 5, "nothing was held, the approval was through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_goes_on_for_leavers_that_the_settings_leave_out() {
    let (story, people, _controller) = approved_and_stuck("scoped-out").await;
    story
        .integrate(hooked(
            json!({"provisioning": {"emailDomains": ["elsewhere.example"]}, "safety": any_scope()}),
        ))
        .await;
    mended(&story).await;
    story.sync().await;
    story.ready("Converged").await;
    // An end of employment takes access, whatever the settings say now.
    assert_eq!(suspended(&story, &people).await, 8);
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_plan_goes_on_beside_the_next_that_is_approved() {
    let (story, people, _controller) = approved_and_stuck("next-plan").await;
    leave(&story, &people[8..16]).await;
    story.sync().await;
    let first = story.integration().await.status.unwrap().approved.unwrap().digest;
    let second = approve(&story).await;
    until("the second approval is on record", || async {
        let approved = story.integration().await.status.unwrap().approved.map(|one| one.digest);
        if approved.as_deref() == Some(&*second) { Ok(()) } else { Err(format!("{approved:?}")) }
    })
    .await;
    mended(&story).await;
    story.sync().await;
    assert_eq!(
        (suspended(&story, &people[8..16]).await, suspended(&story, &people[..8]).await),
        (8, 8)
    );
    for (person, digest) in [(&people[0], first), (&people[8], second)] {
        let history = story.person(person).await.unwrap().status.unwrap().history;
        let line = history
            .iter()
            .find(|line| line.outcome == bobsync::api::employee_sync::OutcomeWord::Succeeded)
            .unwrap();
        assert_eq!(line.plan.as_ref(), Some(&digest), "each with its own approval");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_given_in_a_dry_run_is_for_what_was_seen() {
    let (story, people, _controller) = begin("dry-approved", 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    let (digest, ..) = held(&story.ready("PlanHeld").await);
    story.integrate(hooked(json!({"mode": "DryRun", "approvedPlan": digest}))).await;
    story.ready("DryRun").await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    for id in &people[..8] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    leave(&story, &people[1..9]).await;
    story.integrate(hooked(json!({"mode": "Enforce", "approvedPlan": digest}))).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "others than those who were seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_requests_for_single_people_at_once_do_not_pass_five() {
    let (story, people, controller) = begin("eight", 30, hooked(json!({}))).await;
    leave(&story, &people[..12]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    let slow =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 400});
    story.simulated.post("/onelogin/faults", slow).await;
    for id in &people[..4] {
        annotate(&story, id, "one").await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    story.ask().await;
    for id in &people[4..8] {
        deliver(&controller, "employee.access.revoked.immediately", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    for id in &people[8..12] {
        annotate(&story, id, "one").await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    let controller = again(&story, controller).await;
    for id in &people[..12] {
        annotate(&story, id, "two").await;
    }
    for id in &people[..12] {
        answered(&story, id, "two").await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_pass_and_single_leavers_beside_it_share_a_window() {
    let (story, people, _controller) = begin("beside", 30, hooked(json!({}))).await;
    let slow =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 1500});
    story.simulated.post("/onelogin/faults", slow).await;
    for round in 0..2 {
        leave(&story, &people[round * 5..round * 5 + 5]).await;
        if round == 0 {
            story.ask().await;
            tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        }
    }
    for id in &people[5..10] {
        annotate(&story, id, "one").await;
    }
    for id in &people[5..10] {
        answered(&story, id, "one").await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
}

/// Starts a story with eight leavers who are held.
async fn held_leavers(name: &str) -> (Story, Vec<String>, Controller) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    leave(&story, &people[..8]).await;
    story.sync().await;
    story.ready("PlanHeld").await;
    (story, people, controller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_its_object_is_deleted() {
    let (story, people, controller) = held_leavers("held-deleted").await;
    forget(&story, &people[0]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(
        suspended(&story, &people).await,
        0,
        "a flood has no first victims, and deleting changes no account"
    );
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_suspensions_stay_held_when_all_objects_are_deleted() {
    let (story, people, controller) = held_leavers("held-deleted-all").await;
    story
        .people()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let running = suspended(&story, &people).await;
    assert!(controller.stop().await);
    story
        .people()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    assert_eq!((running, suspended(&story, &people).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_bob_pushes_something_else() {
    let (story, people, controller) = held_leavers("held-push").await;
    story.simulated.change(&people[0], json!({"work.title": "X"})).await;
    deliver(&controller, "employee.updated", &people[0], Timestamp::now()).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_suspension_stays_held_when_somebody_edits_the_object() {
    let (story, people, controller) = held_leavers("held-edit").await;
    pin(&story, &people[0], json!({"userStatus": "AccordingToBob"})).await;
    seen(&story, &people[0]).await;
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0, "a flood has no first victims");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_updates_and_reactivations_stay_held_for_whoever_is_asked_for() {
    let (story, people, controller) =
        begin("held-asked", 60, hooked(json!({"safety": {"fieldBlackout": {"max": "100%"}}})))
            .await;
    for id in &people[..30] {
        story.simulated.change(id, json!({"work.title": "Aye"})).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    for id in &people[..3] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let titled = async || {
        story.simulated.accounts().await.iter().filter(|account| account["title"] == "Aye").count()
    };
    let updates = titled().await;
    leave(&story, &people[30..45]).await;
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    for id in &people[30..45] {
        story.simulated.change(id, back()).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[30..33] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    assert_eq!(
        (updates, suspended(&story, &people).await),
        (0, 15),
        "only a suspension that is asked for passes"
    );
    drop(controller);
}

async fn frozen(name: &str) -> (Story, Vec<String>, Controller, Value) {
    let (story, people, controller) = begin(name, 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap()["department"].clone();
    for id in &people[..20] {
        story.simulated.change(id, json!({"work.department": null})).await;
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    (story, people, controller, before)
}

async fn departments(story: &Story, people: &[String]) -> Vec<Value> {
    let accounts = story.simulated.accounts().await;
    let of = |id: &String| {
        accounts.iter().find(|account| account["external_id"] == **id).unwrap()["department"]
            .clone()
    };
    people.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_is_asked_for() {
    let (story, people, _controller, before) = frozen("frozen-ask").await;
    for id in &people[..3] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_bob_pushes() {
    let (story, people, controller, before) = frozen("frozen-push").await;
    for id in &people[..3] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_attribute_stays_frozen_for_whoever_is_pinned_or_deleted() {
    let (story, people, _controller, before) = frozen("frozen-pin").await;
    pin(&story, &people[2], json!({"attributes": {"company": "Elsewhere"}})).await;
    seen(&story, &people[2]).await;
    forget(&story, &people[3]).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(departments(&story, &people[..20]).await, vec![before; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blackout_cannot_be_walked_through_person_by_person() {
    let (story, people, _controller, before) = frozen("frozen-walk").await;
    for id in &people[..20] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    story.sync().await;
    let now = departments(&story, &people[..20]).await;
    let gone = now.iter().filter(|department| **department != before).count();
    assert!(gone <= 10, "{gone} of 20 blanked, the limit is ten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehire_of_many_by_another_start_date_is_a_reactivation() {
    let (story, people, _controller) = begin("rehired", 40, hooked(json!({}))).await;
    leave(&story, &people[..15]).await;
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        let mut fields = back();
        fields["work.startDate"] = json!("2026-11-23");
        story.simulated.change(id, fields).await;
    }
    story.sync().await;
    assert_eq!(
        suspended(&story, &people).await,
        15,
        "access given back to fifteen, and the limit is ten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_that_come_and_go_have_their_budgets() {
    let (story, people, controller) = begin("pins", 40, hooked(json!({}))).await;
    for id in &people[..15] {
        pin(&story, id, json!({"userStatus": "AlwaysActive"})).await;
    }
    for id in &people[..15] {
        seen(&story, id).await;
        story
            .simulated
            .change(id, json!({"internal.lifecycleStatus": "Leave", "internal.status": "Inactive"}))
            .await;
    }
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    // All pins are removed one after the other while no controller runs, with a restart in between.
    for id in &people[..7] {
        forget(&story, id).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    tokio::time::sleep(QUIET).await;
    assert!(controller.stop().await);
    for id in &people[7..15] {
        forget(&story, id).await;
    }
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count <= 5, "{count}");
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        pin(&story, id, json!({"userStatus": "AlwaysActive"})).await;
    }
    for id in &people[..15] {
        seen(&story, id).await;
    }
    story.sync().await;
    let count = suspended(&story, &people).await;
    assert!(count >= 5, "{count}: more than ten were given access");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_lost_their_marks_do_not_escape_a_blackout() {
    let (story, people, _controller) = begin("unmarked", 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    for id in &people[..25] {
        let account = story.simulated.account(id).await.unwrap();
        story
            .simulated
            .patch(&format!("/onelogin/users/{}", account["id"]), json!({"external_id": null}))
            .await;
        story.simulated.change(id, json!({"work.department": null, "work.title": "X"})).await;
    }
    story.sync().await;
    let after = story.simulated.get(&format!("/onelogin/users/{}", before["id"])).await;
    assert_eq!((&after["department"], &after["title"]), (&before["department"], &before["title"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_goes_and_comes_back_with_other_values_has_its_blackout() {
    let (story, people, _controller) = begin("scope", 30, hooked(json!({}))).await;
    let before = story.simulated.account(&people[0]).await.unwrap();
    story
        .integrate(hooked(
            json!({"provisioning": {"emailDomains": ["elsewhere.example"]}, "safety": any_scope()}),
        ))
        .await;
    story.ready("Converged").await;
    for id in &people[..25] {
        story.simulated.change(id, json!({"work.department": null, "work.title": "X"})).await;
    }
    story
        .people()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .unwrap();
    story.integrate(hooked(json!({"provisioning": {"emailDomains": []}}))).await;
    story.sync().await;
    let after = story.simulated.account(&people[0]).await.unwrap();
    assert_eq!((&after["department"], &after["title"]), (&before["department"], &before["title"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_held_leavers_whose_objects_are_deleted_one_after_the_other_keep_access() {
    let (story, people, controller) = held_leavers("held-three").await;
    let controller = again(&story, controller).await;
    story.sync().await;
    for id in &people {
        forget(&story, id).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if id == &people[7] {
            break;
        }
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    assert_eq!(suspended(&story, &people).await, 0);
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_creations_stay_held_for_whoever_is_asked_for() {
    let safety = json!({"safety": {"creates": {"max": "0%", "atLeast": 3, "per": "24h"}}});
    let (story, _, controller) = begin("held-creates", 4, hooked(safety)).await;
    let mut new = Vec::new();
    for number in 0..8 {
        let hire = json!({"root.email": format!("many.{number}@example.com"), "work.startDate": "2022-03-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active"});
        new.push(story.simulated.hire(hire).await);
    }
    story.sync().await;
    story.ready("PlanHeld").await;
    for id in &new[..2] {
        deliver(&controller, "employee.updated", id, Timestamp::now()).await;
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let mut made = 0;
    for id in &new {
        made += usize::from(story.simulated.account(id).await.is_some());
    }
    assert_eq!(made, 0, "held as a whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_plan_whose_objects_are_deleted_waits_for_another_approval() {
    for running in [true, false] {
        let (story, people, controller) = approved_and_stuck("part-gone").await;
        if running {
            story
                .people()
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await
                .unwrap();
            tokio::time::sleep(QUIET).await;
        }
        assert!(controller.stop().await);
        if !running {
            story
                .people()
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await
                .unwrap();
        }
        mended(&story).await;
        let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
        story.sync().await;
        if !running {
            assert_eq!(suspended(&story, &people).await, 0);
            story.ready("PlanHeld").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blackout_cannot_be_walked_through_over_a_restart() {
    let (story, people, controller, before) = frozen("frozen-restart").await;
    for id in &people[..10] {
        annotate(&story, id, "one").await;
        answered(&story, id, "one").await;
    }
    let controller = again(&story, controller).await;
    story.sync().await;
    let now = departments(&story, &people[..20]).await;
    let gone = now.iter().filter(|department| **department != before).count();
    assert_eq!(gone, 0, "of 20 blanked, and nobody approved");
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_moved_into_the_past_for_many_is_a_reactivation() {
    let (story, people, _controller) = begin("moved-start", 40, hooked(json!({}))).await;
    for id in &people[..15] {
        story
            .simulated
            .change(id, json!({"work.startDate": "2027-03-01", "internal.lifecycleStatus": "Hired", "internal.status": "Inactive"}))
            .await;
    }
    story.sync().await;
    approve(&story).await;
    story.ready("Converged").await;
    assert_eq!(suspended(&story, &people).await, 15);
    for id in &people[..15] {
        story.simulated.change(id, json!({"work.startDate": "2026-11-02"})).await;
    }
    story.sync().await;
    assert_eq!(
        suspended(&story, &people).await,
        15,
        "nobody's day has come: a date was changed for fifteen"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_leavers_beside_an_approved_plan_that_goes_on_have_their_own_budget() {
    let (story, people, controller) = approved_and_stuck("beside-goes-on").await;
    let slow =
        json!({"kind": "delay", "method": "PUT", "pathPrefix": "/api/2/users", "delayMs": 700});
    mended(&story).await;
    story.simulated.post("/onelogin/faults", slow).await;
    story.ask().await;
    for id in &people[8..15] {
        leave(&story, std::slice::from_ref(id)).await;
        deliver(&controller, "employee.left", id, Timestamp::now()).await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    tokio::time::sleep(QUIET).await;
    story.sync().await;
    let count = suspended(&story, &people[8..]).await;
    assert!(count <= 5, "{count}");
    assert_eq!(suspended(&story, &people[..8]).await, 8);
    let controller = again(&story, controller).await;
    story.sync().await;
    let count = suspended(&story, &people[8..]).await;
    assert!(count <= 5, "{count}");
    drop(controller);
}
