//! Refusals that last for a step and do not concern leavers: accounts that may not be written,
//! refused creates, refused values, accounts of a connected directory, a hidden lifecycle status. A
//! few concern everything: a missing scope, a service user that Bob refuses, a short read. Those
//! end before late leavers are counted.

use std::collections::BTreeSet;

use serde_json::json;
use simulators::{Control, Fault, FaultKind, client::Service, rng::Rng};

/// The refusals of a step.
#[derive(Debug, Default)]
pub struct Standing {
    /// How many there are.
    pub count: u32,
    /// Accounts that the provider does not let the controller write.
    pub accounts: BTreeSet<i64>,
    /// The lifecycle status whose employees Bob hides.
    pub hidden: Option<&'static str>,
    /// A pass may not succeed while this lasts.
    pub holds_all: bool,
    faults: Vec<Fault>,
    connected: Vec<i64>,
}

impl Standing {
    /// Sets none, one or two of them. `at_work`: accounts of employees who keep their access;
    /// `leaving`: of those who are to lose it. A leaver with a refused account does not count as
    /// late, and is no reason for others to be late.
    pub async fn begin(control: &Control, rng: &mut Rng, at_work: &[i64], leaving: &[i64]) -> Self {
        let mut standing = Self::default();
        for _ in 0..rng.below(3) {
            standing.one(control, rng, at_work, leaving).await;
            standing.count += 1;
        }
        standing.again(control).await;
        standing
    }

    async fn one(&mut self, control: &Control, rng: &mut Rng, at_work: &[i64], leaving: &[i64]) {
        match rng.below(10) {
            0 | 1 => {
                let mut refused: Vec<i64> =
                    (0..=rng.below(5)).filter_map(|_| some(rng, at_work)).collect();
                refused.extend(some(rng, leaving));
                let one = |id: &i64| forbidden().method("PUT").path(&format!("/api/2/users/{id}"));
                self.faults.extend(refused.iter().map(one));
                self.accounts.extend(refused);
            }
            2 => self.faults.push(forbidden().method("POST").path("/api/2/users")),
            3 => control
                .refuse(&[("title", "Pilot"), ("department", "Kitchen")])
                .await
                .expect("refusals"),
            4 => {
                for id in (0..=rng.below(2)).filter_map(|_| some(rng, at_work)) {
                    control
                        .change_user(id, json!({"directory_id": 4711}))
                        .await
                        .expect("a directory");
                    self.connected.push(id);
                    self.accounts.insert(id);
                }
            }
            5 => {
                let mapping =
                    json!({"mappings": [{"set": {"group_id": 7}}], "mappingsDelaySeconds": 30});
                control.onelogin_quirks(mapping).await.expect("a mapping");
            }
            6 => {
                self.hidden = Some("Leave");
                let answer = *rng.pick(&["notFound", "forbidden"]);
                let rights = json!({"visibleLifecycles": ["Employed", "Hired", "Terminated"], "outOfSight": answer});
                control.bob_permissions(rights).await.expect("rights");
            }
            7 => {
                self.holds_all = true;
                control
                    .onelogin_credentials("client-1", "secret-1", "Read Users")
                    .await
                    .expect("a scope");
            }
            8 => {
                self.holds_all = true;
                control.bob_permissions(json!({"status": 403})).await.expect("rights");
            }
            _ => {
                self.holds_all = true;
                control.bob_serve(Some(1 + rng.below(20))).await.expect("a short read");
            }
        }
    }

    /// Sets its faults again, after all faults were cleared.
    pub async fn again(&self, control: &Control) {
        for fault in &self.faults {
            control.fault(Service::OneLogin, fault).await.expect("a fault");
        }
    }

    /// Ends what concerns everything; the rest stays.
    pub async fn answers(&mut self, control: &Control) {
        if std::mem::take(&mut self.holds_all) {
            everything(control).await;
            self.hidden = None;
        }
    }

    /// Ends all of them.
    pub async fn end(self, control: &Control) {
        everything(control).await;
        control.refuse(&[]).await.expect("no refusals");
        control.onelogin_quirks(json!({"mappings": []})).await.expect("no mapping");
        for id in self.connected {
            control.change_user(id, json!({"directory_id": null})).await.expect("no directory");
        }
    }
}

async fn everything(control: &Control) {
    control.onelogin_credentials("client-1", "secret-1", "Manage users").await.expect("a scope");
    control.bob_permissions(json!({})).await.expect("rights");
    control.bob_serve(None).await.expect("whole reads");
}

fn forbidden() -> Fault {
    Fault::new(FaultKind::Status).status(403)
}

fn some(rng: &mut Rng, of: &[i64]) -> Option<i64> {
    (!of.is_empty()).then(|| *rng.pick(of))
}
