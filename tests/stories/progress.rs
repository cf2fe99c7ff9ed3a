//! A long pass reports its progress in the status of the integration and in its message, with few
//! writes. When the pass is over, nothing of it is left.

use std::time::Instant;

use bobsync::api::{
    ProvisioningIntegrationStatus, conditions,
    integration::{Progress, Step},
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    budgets::staff,
    providers::GOOGLE,
    support::{Controller, Story, until},
};

/// Returns the progress of the pass, and what `Ready` says.
async fn told(story: &Story) -> (Option<Progress>, String, String) {
    let status: ProvisioningIntegrationStatus =
        story.integration().await.status.unwrap_or_default();
    let ready = conditions::find(&status.conditions, "Ready")
        .map(|ready| (ready.reason.clone(), ready.message.clone()));
    let (reason, message) = ready.unwrap_or_default();
    (status.progress, reason, message)
}

/// Waits until the pass reports this many changes or more.
async fn until_written(story: &Story, done: u32) -> (Progress, String) {
    until("the pass tells how far it is", || async {
        match told(story).await {
            (Some(progress), _, message)
                if progress.step == Step::Writing && progress.done >= done =>
            {
                Ok((progress, message))
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// Returns how many accounts bear a mark.
async fn made(story: &Story) -> u32 {
    u32::try_from(GOOGLE.accounts(story).await.len()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_pass_tells_how_far_it_is_in_few_writes_until_it_is_over() {
    let story = Story::begin("progress", 4).await;
    let provider = GOOGLE.prepare(&story).await;
    staff(&story, 300).await;
    let controller = Controller::with(&story, &["--leader-elect=false"]).await;
    let mark = story.mark().await;
    let began = Instant::now();
    story.integrate(json!({"provider": provider})).await;

    // Google accepts ten new accounts a second.
    let (first, message) = until_written(&story, 1).await;
    assert!((300..=304).contains(&first.of.unwrap()), "{first:?}");
    assert!(first.done <= made(&story).await, "{first:?}");
    assert!(
        message.contains(&format!("{} of {} changes are made", first.done, first.of.unwrap())),
        "{message}"
    );
    let eta = first.eta.as_ref().expect("an estimate").0;
    assert!(message.contains(&eta.to_string()), "{message}, {eta}");
    let left = eta.duration_since(Timestamp::now()).as_secs();
    assert!((5..=90).contains(&left), "{left} s, and ten are made in a second: {first:?}");
    let (second, _) = until_written(&story, first.done + 1).await;
    assert_eq!((second.of, &second.since), (first.of, &first.since));

    // Another process takes over and reports its own pass.
    controller.kill();
    let before = made(&story).await;
    let _controller = Controller::with(&story, &["--leader-elect=false"]).await;
    let third = until("the next pass tells of itself", || async {
        match told(&story).await {
            (Some(progress), ..)
                if progress.since > second.since && progress.step == Step::Writing =>
            {
                Ok(progress)
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(
        third.of.unwrap() <= first.of.unwrap() - before + 1,
        "{third:?}, and {before} were made before"
    );

    story.ready("Converged").await;
    let patches = story
        .audited(mark)
        .await
        .into_iter()
        .filter(|event| event.resource == "provisioningintegrations" && event.verb == "patch");
    let (patches, seconds) = (patches.count(), usize::try_from(began.elapsed().as_secs()).unwrap());
    assert!(patches <= seconds / 5 + 10, "{patches} writes in {seconds} s");
    let (progress, reason, message) = told(&story).await;
    assert_eq!((progress, &*reason), (None, "Converged"), "{message}");
    assert!(!message.contains("under way"), "{message}");
    assert!(made(&story).await >= 300);
}
