//! The protocol of create, adopt, record, crash and takeover, explored exhaustively for small
//! worlds: two employees, two controllers, a provider with unique addresses, the statuses in the
//! API server, the lease.
//!
//! **What is real.** A pass is the engine's own code: `engine::pass::decide::all`,
//! `engine::pass::observe::full::accounts` into `domain::matching::Matcher`, `domain::plan::plan`,
//! `engine::guard::release`, `engine::execute::execute` with `cluster::leadership::Leadership`, and
//! what `engine::record::Recorder` says of each outcome. These tests contain no copy of it, so they
//! notice every line that is removed from the engine. A future cannot be copied at a branch, so
//! `controller` runs a pass again with the answers it has had so far. A pass is a function of what
//! it read and of those answers.
//!
//! **What interleaves.**
//!
//! - Reading Bob and the statuses, and the listing.
//! - The arrival of each call at the provider, with its answer. A look-up and its answer are one
//!   step: nothing is computed between an answer and the next call.
//! - Each status write.
//! - A caller that gives up while its write is still on its way (a time-out, a reset, a 502): it is
//!   applied at once, later, or never.
//! - A refusal of an account or of a value.
//! - A crash that loses all memory and leaves writes on their way.
//! - A takeover of the lease while its holder works (a paused leader). Its writes arrive later, and
//!   its status writes go on.
//! - Events in Bob, and the deletion of an `EmployeeSync`.
//!
//! **What is modelled.**
//!
//! - The provider (`provider`). It is not stricter than `OneLogin`, and has no errors that were
//!   surely not applied, because the engine repeats those.
//! - Bob's search, which is complete, and its read by id.
//! - The API server's statuses. They are written in one step instead of create, read and patch, and
//!   without history, so budgets are never spent.
//! - The roster, which remembers only the statuses, as after a restart.
//! - The lease: one controller takes it, and the other one loses it. A lease that expires while its
//!   holder works is a takeover, and so is a pause of any length.
//!
//! **What holds** for every applied write, from any sender and at any time:
//!
//! - An employee has one account.
//! - An account of another employee is not written, and no mark is written over another's.
//! - No access is taken or given, and no account made, without evidence in what the pass had read.
//! - No call begins after the lease was lost.
//!
//! **In the end**: from every idle state, passes without faults come to rest with the provider as
//! decided (`scenarios` states it by hand).
//!
//! The explorer is a breadth-first search of a hundred lines. The rest of the work is running the
//! engine's futures, which a library would not do. `stateright` 0.31 would do the search too. It
//! brings a web server, an actor library and fifteen crates, two of them without changes for years.

mod model;

use model::{explorer::explore_all, scenarios, state::Allowed};

/// `PROTOCOL_FAULTS` and `PROTOCOL_TAKEOVERS` allow more faults on one path, in every scenario.
fn allowed(usual: Allowed) -> Allowed {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    Allowed {
        faults: read("PROTOCOL_FAULTS").unwrap_or(usual.faults),
        takeovers: read("PROTOCOL_TAKEOVERS").unwrap_or(usual.takeovers),
    }
}

#[test]
fn whatever_dies_whenever_one_account_each_no_access_lost_and_the_decision_in_the_end() {
    let counts = explore_all(&scenarios::all(), |scenario| allowed(scenario.allowed))
        .unwrap_or_else(|said| panic!("{said}"));
    println!("together: {counts:?}");
    assert!(counts.states > 200_000, "the worlds are large enough to mean something: {counts:?}");
    assert_eq!(counts.doubles, 0);
}

/// No provider offers fencing. A first claim that arrives late, after its employee got another
/// address, meets no unique key and no mark. The employee then has two accounts, and the status
/// says so (`Ambiguous`); neither is written any more.
#[test]
fn a_late_first_claim_on_a_renamed_persons_account_is_the_one_thing_that_remains() {
    let remains = scenarios::what_remains();
    let unharmed = explore_all(&remains, |_| Allowed { faults: 0, takeovers: 0 })
        .unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(unharmed.doubles, 0, "never without a fault");
    let counts = explore_all(&remains, |scenario| allowed(scenario.allowed))
        .unwrap_or_else(|said| panic!("{said}"));
    println!("together: {counts:?}");
    assert!(
        counts.doubles > 0,
        "nothing remains any more: say so in docs/safety.md, and take these scenarios in with the others"
    );
}
