//! A full and a partial pass have the same steps.

use std::path::Path;

use crate::source::{none, sources};

/// The scope says whether a pass is a full or a partial one. Outside of the steps that read, only
/// one step may ask: what it reads, and what it defers, has the same form for both.
#[test]
fn only_the_steps_that_observe_and_one_that_defers_ask_which_pass_it_is() {
    let asks = |line: &str| line.contains("Scope::Full") || line.contains("Scope::Partial");
    let (mut found, mut observe, mut driver) = (Vec::new(), 0, Vec::new());
    for source in sources().iter().filter(|source| source.path.starts_with("engine")) {
        let offences = source.offences(source.without_tests(), asks);
        let path = &source.path;
        if path == Path::new("engine/pass/observe.rs") {
            observe += offences.len();
        } else if path == Path::new("engine/pass.rs") {
            driver = offences;
        } else if path.starts_with("engine/pass") && !path.ends_with("context.rs") {
            // `context.rs` makes the two questions that an answer of yes or no is enough for.
            found.extend(offences);
        }
    }
    none(&found);
    assert!(observe > 5, "{observe}");
    assert_eq!(driver.len(), 1, "{driver:?}");
    let text = sources().into_iter().find(|source| source.path == Path::new("engine/pass.rs"));
    let text = text.expect("the driver").code();
    let defer = text.split("fn defer(").nth(1).expect("the step that defers");
    assert!(defer.split("\n    }\n").next().is_some_and(asks));
}
