//! Joiners, movers and leavers: a change in Bob reaches OneLogin, and the status says why.

use jiff::{ToSpan as _, Zoned};
use serde_json::json;

use crate::support::{Story, condition, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_title_is_one_write_of_one_key() {
    let (story, _controller) = Story::converged("mover", 40, json!({})).await;
    story.sync().await;
    let (id, _) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": "Head of Lighthouses"})).await;
    story.simulated.forget_calls().await;
    let mark = story.mark().await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 1);
    let log = story.simulated.get("/onelogin/log?since=0").await;
    let put =
        log.as_array().unwrap().iter().rev().find(|call| call["method"] == "PUT").unwrap().clone();
    assert_eq!(put["bodyKeys"], json!(["title"]));
    assert_eq!(story.simulated.account(&id).await.unwrap()["title"], "Head of Lighthouses");
    let patches: Vec<_> = story
        .audited(mark)
        .await
        .into_iter()
        .filter(|event| event.resource == "employeesyncs" && event.verb != "get")
        .collect();
    assert_eq!(patches.len(), 1, "{patches:?}");
    assert_eq!((patches[0].verb.as_str(), patches[0].subresource.as_str()), ("patch", "status"));
    let history = story.person(&id).await.unwrap().status.unwrap().history;
    assert_eq!(serde_json::to_value(history[0].action).unwrap(), "Update");
    assert_eq!(history[0].fields, ["title"]);
    assert!(history[0].request_id.is_some());
    assert_eq!(history.len(), 2, "the creation and the update");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_is_suspended_and_a_rehire_gets_the_same_account_back() {
    let (story, _controller) = Story::converged("leaver", 40, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let account = story.simulated.account(&id).await.unwrap()["id"].clone();
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    let (status, _, message) = condition(&person, "AccessSynced").unwrap();
    assert_eq!(status, "True");
    assert!(message.contains("internal.lifecycleStatus"), "{message}");
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Suspended");

    story
        .simulated
        .change(&id, json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}))
        .await;
    story.sync().await;
    let again = story.simulated.account(&id).await.unwrap();
    assert_eq!((again["status"].clone(), again["id"].clone()), (json!(1), account));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_starter_shows_when_and_gets_the_account_on_the_day() {
    let (story, _controller) = Story::converged("starter", 20, json!({})).await;
    let day = Zoned::now().date().checked_add(40.days()).unwrap();
    let id = story
        .simulated
        .hire(json!({
            "root.firstName": "Ines", "root.surname": "Okoro", "root.email": "ines.okoro@example.com", "work.site": "Berlin",
            "work.startDate": day.to_string(), "internal.lifecycleStatus": "Hired", "internal.status": "Inactive",
            "internal.terminationDate": null, "employee.lastDayOfWork": null,
        }))
        .await;
    story.sync().await;
    assert!(story.simulated.account(&id).await.is_none());
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "NotDue".into()));
    let next = person.status.unwrap().next_transition.unwrap();
    assert!(next.at.starts_with(&format!("{day}T00:00:00+0")), "{}", next.at);
    assert_eq!(
        (next.time_zone.as_str(), serde_json::to_value(next.because).unwrap()),
        ("Europe/Berlin", json!("StartDate"))
    );

    // The start is moved to yesterday, and Bob has not changed Hired into Employed yet.
    let yesterday = Zoned::now().date().yesterday().unwrap();
    story.simulated.change(&id, json!({"work.startDate": yesterday.to_string()})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("True".into(), "InSync".into()));
    assert!(person.status.unwrap().next_transition.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_create_on_creation_a_future_starter_is_suspended_until_the_day() {
    let (story, _controller) =
        Story::converged("early", 10, json!({"provisioning": {"create": "OnEmployeeCreation"}}))
            .await;
    let day = Zoned::now().date().checked_add(40.days()).unwrap();
    let id = story
        .simulated
        .hire(json!({"root.email": "early.bird@example.com", "work.startDate": day.to_string(), "internal.lifecycleStatus": "Hired",
                     "internal.status": "Inactive", "internal.terminationDate": null, "employee.lastDayOfWork": null}))
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    let yesterday = Zoned::now().date().yesterday().unwrap();
    story.simulated.change(&id, json!({"work.startDate": yesterday.to_string()})).await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_value_is_rejected_without_the_value_and_mends() {
    let (story, controller) = Story::converged("refused", 20, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    story
        .simulated
        .put("/onelogin/refuse", json!({"rules": [{"field": "title", "contains": "Xylophonist"}]}))
        .await;
    story.simulated.change(&id, json!({"work.title": "Chief Xylophonist"})).await;
    let integration = story.sync().await;
    let person = story.person(&id).await.unwrap();
    assert_eq!(ready(&person), ("False".into(), "Rejected".into()));
    let (stalled, _, message) = condition(&person, "Stalled").unwrap();
    assert_eq!(stalled, "True");
    assert!(message.contains("title") && !message.contains("Xylophonist"), "{message}");
    // One employee's failure does not delay others: the integration is Ready, and says how many
    // fail.
    let conditions = integration.status.unwrap().conditions;
    assert!(conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    assert!(conditions.iter().any(|c| c.type_ == "EmployeesFailing"
        && c.status == "True"
        && c.message.contains("Rejected")));
    // A refused attribute never stops a suspension.
    story
        .simulated
        .change(
            &id,
            json!({"internal.lifecycleStatus": "Terminated", "internal.status": "Inactive"}),
        )
        .await;
    story.sync().await;
    assert_eq!(story.simulated.account(&id).await.unwrap()["status"], 2);
    story.simulated.change(&id, json!({"work.title": "Chief Flautist"})).await;
    story.sync().await;
    assert_eq!(story.reason(&id).await, "InSync");
    assert!(condition(&story.person(&id).await.unwrap(), "Stalled").is_none());
    assert!(!controller.log().contains("Xylophonist"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_repaired_and_foreign_attributes_are_kept() {
    let (story, _controller) = Story::converged("drift", 20, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    let account = story.simulated.account(&id).await.unwrap()["id"].clone();
    story
        .simulated
        .patch(
            &format!("/onelogin/users/{account}"),
            json!({"title": "Somebody Else", "status": 2, "custom_attributes": {"badge": "B-17", "work_cell": "+1"}}),
        )
        .await;
    story.simulated.forget_calls().await;
    story.sync().await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(account["title"], employee["work.title"]);
    assert_eq!(account["status"], 1);
    assert_eq!(account["custom_attributes"]["badge"], "B-17", "what bobsync does not own stays");
    assert_eq!(
        account["custom_attributes"]["work_cell"].as_str().unwrap_or_default(),
        employee["work.workMobile"].as_str().unwrap_or_default()
    );
    assert_eq!(story.simulated.writes().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_field_clears_and_a_hidden_one_freezes() {
    let (story, _controller) = Story::converged("clear", 20, json!({})).await;
    let (id, employee) = story.simulated.somebody().await;
    story.simulated.change(&id, json!({"work.title": null})).await;
    story.simulated.put("/bob/permissions", json!({"hiddenFields": ["work.department"]})).await;
    let integration = story.sync().await;
    let account = story.simulated.account(&id).await.unwrap();
    assert_eq!(account["title"].as_str().unwrap_or_default(), "");
    assert_eq!(account["department"], employee["work.department"], "hidden is not empty");
    let conditions = integration.status.unwrap().conditions;
    let complete = conditions.iter().find(|c| c.type_ == "MappingComplete").unwrap();
    assert_eq!(
        (complete.status.as_str(), complete.reason.as_str()),
        ("False", "SourceUnavailable")
    );
    assert!(complete.message.contains("work.department"), "{}", complete.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_follows_a_changed_email() {
    let (story, _controller) = Story::converged("rename", 20, json!({})).await;
    let (id, _) = story.simulated.somebody().await;
    let before = story.simulated.accounts().await.len();
    let account = story.simulated.account(&id).await.unwrap()["id"].clone();
    story
        .simulated
        .change(&id, json!({"root.email": "new.name@example.com", "root.surname": "Name"}))
        .await;
    story.sync().await;
    let after = story.simulated.account(&id).await.unwrap();
    assert_eq!(
        (after["id"].clone(), after["email"].clone(), after["username"].clone()),
        (account, json!("new.name@example.com"), json!("new.name@example.com"))
    );
    assert_eq!(story.simulated.accounts().await.len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_and_formulas() {
    let spec = json!({
        "provisioning": {"emailDomains": ["EXAMPLE.com"]},
        "mapping": [
            {"target": "email", "field": "root.email"},
            {"target": "username", "field": "root.email"},
            {"target": "department", "formula": "{work.department} - {work.site}"},
            {"target": "comment", "field": "work.startDate", "apply": "OnCreate"},
        ],
    });
    let story = Story::begin("domains", 20).await;
    let other = story
        .simulated
        .hire(json!({"root.email": "temp@partner.example.org", "work.startDate": "2020-01-01", "internal.lifecycleStatus": "Employed", "internal.status": "Active",
                     "internal.terminationDate": null, "employee.lastDayOfWork": null}))
        .await;
    let _controller = crate::support::Controller::start(&story).await;
    story.integrate(spec).await;
    story.ready("Converged").await;
    assert!(story.simulated.account(&other).await.is_none());
    let person =
        story.person(&other).await.expect("active in Bob: an object says why there is no account");
    assert_eq!(ready(&person), ("True".into(), "DomainNotListed".into()));
    assert_eq!(serde_json::to_value(person.status.unwrap().access).unwrap(), "Unmanaged");
    let (id, employee) = story.simulated.somebody().await;
    let account = story.simulated.account(&id).await.unwrap();
    let text = |field: &str| employee[field].as_str().unwrap().to_owned();
    assert_eq!(
        account["department"],
        format!("{} - {}", text("work.department"), text("work.site"))
    );
    assert_eq!(account["comment"], text("work.startDate"));
    assert_eq!(
        account["firstname"].as_str().unwrap_or_default(),
        "",
        "what is not mapped is not written"
    );
    // OnCreate rows are not kept equal.
    let at = account["id"].clone();
    story
        .simulated
        .patch(&format!("/onelogin/users/{at}"), json!({"comment": "a person's note"}))
        .await;
    story.simulated.forget_calls().await;
    story.sync().await;
    assert_eq!(story.simulated.writes().await, 0);
    // A bad row is refused at admission.
    let bad = json!({"spec": {"mapping": [{"target": "email", "field": "root.email"}]}});
    let refused = story
        .integrations()
        .patch("onelogin", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(bad))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("requires the targets email and username"), "{refused}");
}
