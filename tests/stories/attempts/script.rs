//! A life of one employee as a list of steps, for stories that differ only in their order.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;

/// One step of a script. An event has the age that it is given.
pub(super) enum Step {
    /// Bob reports an immediate revocation, and is answered 200.
    Revoked(SignedDuration),
    /// Bob reports an activation, and is answered 200.
    Activated(SignedDuration),
    /// Bob reports that the file was deleted, and is answered 200.
    Deleted(SignedDuration),
    /// Bob reports an activation, and may be told to come again.
    MayActivate,
    /// The fields of the employee change in Bob.
    Bob(Value),
    /// Bob fails from now on, and answers again.
    BobFails,
    BobAnswers,
    /// The integration has these settings. If a reason is given, the story waits until it is said.
    Settings(Value, Option<&'static str>),
    Pause,
    Resume,
    /// The employee's object has this spec, and the controller has seen it.
    Pin(Value),
    /// The employee's object is deleted.
    Forget,
    Stop,
    Start,
    Restart,
    Ready(&'static str),
    /// A full pass is asked for and ends.
    Sync,
    /// Time in which nothing should happen.
    Quiet,
    /// The status says that access was taken.
    Recorded,
    /// The account becomes so within the patience of a story.
    Becomes(Account),
    /// The account is so now.
    Is(Account),
    /// The account is so now, if the activation was answered 200.
    IsIfHeard(Account),
}

#[derive(Clone, Copy)]
pub(super) enum Account {
    Active = 1,
    Suspended = 2,
}

/// The age of an event that Bob sends at once.
pub(super) const NOW: SignedDuration = SignedDuration::ZERO;

pub(super) const fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// Carries a script out, for one of six employees at work.
pub(super) async fn play(steps: impl IntoIterator<Item = Step>) {
    let (story, people, controller) = begin("script", 6, hooked(json!({}))).await;
    let (id, began) = (&people[0], Timestamp::now());
    let (mut controller, mut heard) = (Some(controller), None);
    // Two events with the same age are the same event.
    let at = |age: SignedDuration| if age == NOW { Timestamp::now() } else { began - age };
    for (number, step) in steps.into_iter().enumerate() {
        let running = controller.as_ref();
        let tell = async |kind: &str, age| {
            deliver(running.expect("a controller"), kind, id, at(age)).await
        };
        match step {
            Step::Revoked(age) => assert_eq!(tell(REVOKED, age).await, Some(200), "{number}"),
            Step::Activated(age) => assert_eq!(tell(ACTIVATED, age).await, Some(200), "{number}"),
            Step::Deleted(age) => {
                assert_eq!(tell("employee.deleted", age).await, Some(200), "{number}")
            }
            Step::MayActivate => heard = Some(tell(ACTIVATED, NOW).await == Some(200)),
            Step::Bob(fields) => story.simulated.change(id, fields).await,
            Step::BobFails => {
                let fault = json!({"kind": "status", "status": 500});
                story.simulated.post("/bob/faults", fault).await;
            }
            Step::BobAnswers => drop(story.simulated.delete("/bob/faults").await),
            Step::Settings(settings, reason) => {
                story.integrate(hooked(settings)).await;
                if let Some(reason) = reason {
                    story.ready(reason).await;
                }
            }
            Step::Pause => paused(&story, true).await,
            Step::Resume => paused(&story, false).await,
            Step::Pin(spec) => {
                pin(&story, id, spec).await;
                seen(&story, id).await;
            }
            Step::Forget => forget(&story, id).await,
            Step::Stop => assert!(controller.take().expect("a controller").stop().await),
            Step::Start => {
                assert!(controller.is_none(), "one runs");
                controller = Some(Controller::with(&story, &["--leader-elect=false"]).await);
            }
            Step::Restart => {
                let old = controller.take().expect("a controller");
                controller = Some(again(&story, old).await);
            }
            Step::Ready(reason) => drop(story.ready(reason).await),
            Step::Sync => drop(story.sync().await),
            Step::Quiet => tokio::time::sleep(QUIET).await,
            Step::Recorded => {
                until("the status says that access was taken", || async {
                    let status = story.person(id).await.and_then(|person| person.status);
                    let access = json!(status.and_then(|status| status.access));
                    if access == "Suspended" { Ok(()) } else { Err(access.to_string()) }
                })
                .await;
            }
            Step::Becomes(account) => until_status(&story, id, account as i64).await,
            Step::Is(account) => {
                assert_eq!(status(&story, id).await, account as i64, "step {number}")
            }
            Step::IsIfHeard(account) => {
                let heard = heard.expect("an activation");
                let now = status(&story, id).await;
                assert!(!heard || now == account as i64, "Bob was told 200 and tells no more");
            }
        }
    }
}
