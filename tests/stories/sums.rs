//! Random worlds and orders of events. The integration agrees with its EmployeeSyncs, and both
//! agree with the data of Bob and of the provider. `SUMS_SEED` plays another world.

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    budgets::{leave, staff},
    counts::{agree, said, status},
    providers::{ENTRA, GOOGLE, JUMPCLOUD, OKTA, ONE_LOGIN, Provider, SCIM, tenant::Account},
    support::{Controller, Story, ready, until},
};

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn seeded(tenant: Provider) -> Self {
        let seed = std::env::var("SUMS_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(20_261_130_u64);
        eprintln!("SUMS_SEED={seed}");
        Self(seed.wrapping_add(tenant.name().len() as u64))
    }

    fn below(&mut self, of: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % of
    }
}

struct World {
    story: Story,
    tenant: Provider,
    people: Vec<String>,
}

impl World {
    async fn begin(tenant: Provider, dice: &mut Dice) -> (Self, Controller) {
        let story = Story::begin("sums", dice.below(4)).await;
        let people = staff(&story, 6 + dice.below(12)).await;
        let controller = Controller::start(&story).await;
        let provider = tenant.prepare(&story).await;
        let domains =
            json!({"emailDomains": ["example.com"], "scope": "employee.work.site != 'Elsewhere'"});
        story
            .integrate(json!({"interval": "24h", "provider": provider, "provisioning": domains}))
            .await;
        story.ready("Converged").await;
        (Self { story, tenant, people }, controller)
    }

    fn object(id: &str) -> String {
        format!("onelogin-{id}")
    }

    async fn patch(&self, id: &str, patch: Value) {
        drop(
            self.story
                .people()
                .patch(&Self::object(id), &PatchParams::default(), &Patch::Merge(patch))
                .await,
        );
    }

    async fn account(&self, id: &str) -> Option<Account> {
        self.tenant.accounts(&self.story).await.into_iter().find(|account| account.employee == id)
    }

    /// Makes an event for one employee.
    async fn happen(&self, what: usize, id: &str, step: usize) {
        let bob = &self.story.simulated;
        let faults = format!("/{}/faults", self.tenant.name());
        match what {
            0 | 1 => bob.change(id, json!({"work.title": format!("Keeper {step}")})).await,
            2 => leave(&self.story, &[id.to_owned()]).await,
            3 => {
                bob.change(
                    id,
                    json!({"internal.lifecycleStatus": "Employed", "internal.status": "Active"}),
                )
                .await
            }
            4 => bob.change(id, json!({"root.email": ""})).await,
            5 => bob.change(id, json!({"root.email": format!("back.{id}@example.com")})).await,
            12 => bob.change(id, json!({"root.email": format!("away.{id}@elsewhere.org")})).await,
            13 => bob.change(id, json!({"work.site": "Elsewhere"})).await,
            14 => bob.change(id, json!({"work.site": "London"})).await,
            6 | 7 => self.patch(id, json!({"spec": {"suspend": what == 6}})).await,
            8 => {
                drop(self.story.people().delete(&Self::object(id), &DeleteParams::default()).await)
            }
            9 => {
                if let Some(account) = self.account(id).await {
                    let path = format!("{}/{}", self.tenant.users(), account.id);
                    for method in ["PUT", "PATCH"] {
                        bob.post(&faults, json!({"kind": "status", "status": 403, "method": method, "exactPath": path})).await;
                    }
                }
            }
            10 => {
                let refused = json!({"kind": "status", "status": 503, "method": "GET", "exactPath": self.tenant.users()});
                bob.post(&faults, refused).await;
            }
            _ => drop(bob.delete(&faults).await),
        }
    }

    /// Asks for a partial pass with one employee.
    async fn ask(&self, id: &str, value: String) {
        let object = self.story.person(id).await;
        if object.is_some_and(|person| person.metadata.deletion_timestamp.is_none()) {
            self.patch(
                id,
                json!({"metadata": {"annotations": {"bobsync.dev/sync-requested-at": value}}}),
            )
            .await;
        }
    }

    /// Returns what of an employee's status differs from the data of Bob and of the provider.
    async fn contradiction(&self) -> Option<String> {
        let (accounts, employees) =
            (self.tenant.accounts(&self.story).await, self.story.simulated.employees().await);
        for employee in &employees {
            let id = employee["root.id"].as_str().expect("an id");
            let Some(person) = self.story.person(id).await else { continue };
            let (yes, reason) = ready(&person);
            if yes != "True" || ["HandsOff", "DomainNotListed", "OutOfScope"].contains(&&*reason) {
                continue;
            }
            let account = accounts.iter().find(|account| account.employee == id);
            let open = account.is_some_and(|account| account.open);
            let said = person.status.as_ref().and_then(|status| status.access);
            let left = employee["internal.lifecycleStatus"] == "Terminated";
            let title = account.is_none_or(|account| {
                !open
                    || left
                    || account.title == employee["work.title"].as_str().unwrap_or_default()
            });
            if left && open || !left && !open || !title {
                return Some(format!(
                    "{id} is {reason} and {said:?}: left {left}, open {open}, title as in Bob {title}"
                ));
            }
        }
        None
    }
}

/// Plays a world. After each step all numbers agree within the promised five seconds, and each
/// green status is true.
async fn whatever_happens_the_numbers_are_the_sums_and_green_is_true(tenant: Provider) {
    let mut dice = Dice::seeded(tenant);
    let (world, _controller) = World::begin(tenant, &mut dice).await;
    for step in 0..14 {
        for _ in 0..=dice.below(3) {
            let (what, id) = (dice.below(15), world.people[dice.below(world.people.len())].clone());
            world.happen(what, &id, step).await;
            world.ask(&id, format!("step-{step}-{what}")).await;
        }
        if dice.below(4) == 0 {
            // A sync request is answered once the provider lists.
            world.happen(11, "", step).await;
            world.story.sync().await;
        }
        agree(&world.story, &format!("all agree after step {step}"), |_| true).await;
        until("each green is true", || async { world.contradiction().await.map_or(Ok(()), Err) })
            .await;
        let status = status(&world.story).await;
        let (counts, (yes, ..)) = (status.employees.clone().unwrap(), said(&status, "Ready"));
        let one_cause = counts.failing > 1 && counts.failing == counts.in_scope;
        assert!(yes == "False" || !one_cause && counts.held == 0, "{:?}", status.conditions);
    }
}

macro_rules! worlds {
    ($($name:ident: $tenant:ident),*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                whatever_happens_the_numbers_are_the_sums_and_green_is_true($tenant).await;
            }
        )*
    };
}

worlds!(
    a_world_with_onelogin: ONE_LOGIN,
    a_world_with_google: GOOGLE,
    a_world_with_entra: ENTRA,
    a_world_with_jumpcloud: JUMPCLOUD,
    a_world_with_okta: OKTA,
    a_world_with_scim: SCIM
);
