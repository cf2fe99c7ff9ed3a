//! The protocol of create, adopt, record, crash and takeover, explored exhaustively for small worlds: two people, two controllers,
//! a provider with unique addresses, the statuses in the API server, the lease.
//!
//! **What is real.** A pass is the engine's own code: `engine::decide::everybody`, `engine::observe::accounts` into
//! `domain::matching::Matcher`, `domain::plan::plan`, `engine::guard::release`, `engine::execute::execute` with
//! `cluster::leadership::Leadership`, and what `engine::record::Recorder` says of each outcome. Nothing of it is written again
//! here, so taking a line out of the engine shows in these tests. A future cannot be copied where paths part, so `controller`
//! runs a pass anew with the answers it has had so far; a pass is a function of what it read and of those answers.
//!
//! **What interleaves.** Reading Bob and the statuses; the listing; the arrival of each call at the provider, with its answer; each
//! status write; a caller that gives up while its write is still on its way (a time-out, a reset, a 502: applied at once,
//! later, or never); a refusal of an account or of a value; a crash that loses all memory and leaves
//! writes on their way; a takeover of the lease while its holder is at work (a paused leader), whose writes arrive later and whose status writes go on; what happens in Bob; the deletion of an
//! `EmployeeSync`. A look-up and its answer are one step: nothing is computed between an answer and the next call.
//!
//! **What is modelled.** The provider (`provider`: harsher than `OneLogin` in nothing, and without errors that surely were not applied,
//! which the engine repeats); Bob's search, which is whole, and its read by id; the API server's statuses, written in one step in place of create, read
//! and patch, and without history, so that budgets are never spent; the roster, which remembers nothing but the statuses, as after a
//! restart; the lease: who takes it, the other one loses. A lease that expires while its holder is at work is a
//! takeover, and so is a pause of any length.
//!
//! **What holds** for every write that is applied, whoever sent it and whenever it arrives: one account for one person; nobody's account is
//! written; no mark is written over another's; nobody is suspended, activated or given an account without evidence in what the
//! pass had read; no call begins after the lease was lost. **In the end**: from every state in which nobody is at work, passes
//! without faults come to rest with the provider as decided (`scenarios` says it by hand).
//!
//! The explorer is a breadth-first search of a hundred lines, for what it needs beyond one is the engine's futures. `stateright` 0.31 would do the search too, and
//! brings a web server, an actor library and fifteen crates, two of them untouched for years.

mod model;

use model::{explorer::explore_all, scenarios, state::Allowed};

/// `PROTOCOL_FAULTS` and `PROTOCOL_TAKEOVERS` let more go wrong on one path, everywhere.
fn allowed(usual: Allowed) -> Allowed {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    Allowed { faults: read("PROTOCOL_FAULTS").unwrap_or(usual.faults), takeovers: read("PROTOCOL_TAKEOVERS").unwrap_or(usual.takeovers) }
}

#[test]
fn whatever_dies_whenever_one_account_each_no_access_lost_and_the_decision_in_the_end() {
    let counts = explore_all(&scenarios::all(), |scenario| allowed(scenario.allowed)).unwrap_or_else(|said| panic!("{said}"));
    println!("together: {counts:?}");
    assert!(counts.states > 200_000, "the worlds are large enough to mean something: {counts:?}");
    assert_eq!(counts.doubles, 0);
}

/// No provider offers fencing. A first claim that arrives late, after its person got another address, meets no unique key and
/// no mark. The person then has two accounts, and is told so (`Ambiguous`); neither is written any more.
#[test]
fn a_late_first_claim_on_a_renamed_persons_account_is_the_one_thing_that_remains() {
    let remains = scenarios::what_remains();
    let unharmed = explore_all(&remains, |_| Allowed { faults: 0, takeovers: 0 }).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(unharmed.doubles, 0, "never without a fault");
    let counts = explore_all(&remains, |scenario| allowed(scenario.allowed)).unwrap_or_else(|said| panic!("{said}"));
    println!("together: {counts:?}");
    assert!(counts.doubles > 0, "nothing remains any more: say so in docs/safety.md, and take these scenarios in with the others");
}
