//! The whole state of one moment, and every step that can follow.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{
    controller::{Doing, Heard, Lost, Object, id_of, run},
    provider::{Account, Answer, Call, Provider, Write},
    scenarios::{End, Event, File, Is, Scenario},
};

/// How many faults are allowed on one path.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Crashes, and answers that are given up.
    pub faults: u8,
    /// How often another controller takes the lease while its holder works.
    pub takeovers: u8,
}

/// The whole state of one moment. The order of the two controllers does not matter: their memory
/// tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How many events have happened.
    happened: usize,
    /// Bob now.
    bob: Vec<Option<File>>,
    provider: Provider,
    objects: Vec<Option<Object>>,
    /// Writes on their way without a waiting sender, with Bob's data of their decision.
    late: Vec<(Write, Vec<Option<File>>)>,
    /// The passes under way. A controller without one has no memory.
    passes: Vec<Pass>,
    faults: u8,
    takeovers: u8,
}

/// A pass under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    /// What it heard, by the runner's number of it.
    heard: usize,
    /// Whether another controller took the lease.
    lost: bool,
    /// How many of its statuses are written.
    recorded: usize,
}

/// A next step. Passes are named by their index.
#[derive(Clone, Debug)]
pub enum Step {
    /// The next event of the scenario.
    Event,
    /// A controller begins a pass: it reads Bob and the statuses. If another pass is under way, it
    /// has taken the lease.
    Begin,
    /// The provider's listing is read.
    List(usize),
    /// A call reaches the provider, and its answer the caller.
    Answer(usize, usize),
    /// The caller of a write gives up; the write is still on its way.
    GiveUp(usize, usize),
    /// The provider refuses a write: it is not applied.
    Refuse(usize, usize, Refusal),
    /// The next status is written.
    Record(usize),
    /// The process dies; its writes are still on their way.
    Crash(usize),
    /// A write without a waiting sender arrives.
    Late(usize),
}

/// What the provider refuses.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    /// Any write of this account.
    Account,
    /// The title.
    Title,
}

/// The result of a step.
pub type Next = Result<State, String>;

/// Runs passes, each only once, and remembers each under a number.
#[derive(Default)]
pub struct Runner {
    numbers: RefCell<HashMap<Heard, usize>>,
    ran: RefCell<Vec<Rc<Ran>>>,
}

/// What a pass heard, and what it does with it.
struct Ran {
    heard: Heard,
    doing: Doing,
}

impl Runner {
    fn number(&self, heard: Heard) -> usize {
        if let Some(number) = self.numbers.borrow().get(&heard) {
            return *number;
        }
        let ran = Rc::new(Ran { doing: run(&heard), heard: heard.clone() });
        self.ran.borrow_mut().push(ran);
        let number = self.runs() - 1;
        self.numbers.borrow_mut().insert(heard, number);
        number
    }

    fn at(&self, number: usize) -> Rc<Ran> {
        self.ran.borrow()[number].clone()
    }

    /// Returns how many different parts of a pass the engine has run.
    pub fn runs(&self) -> usize {
        self.ran.borrow().len()
    }
}

impl Pass {
    /// Returns the same pass with one more answer.
    fn hear(&mut self, runner: &Runner, more: impl FnOnce(&mut Heard)) {
        let mut heard = runner.at(self.heard).heard.clone();
        more(&mut heard);
        self.heard = runner.number(heard);
    }
}

impl State {
    /// Returns the first state.
    pub fn first(scenario: &Scenario) -> Self {
        Self {
            happened: 0,
            bob: scenario.bob.clone(),
            provider: scenario.provider.clone(),
            objects: scenario.objects.clone(),
            late: Vec::new(),
            passes: Vec::new(),
            faults: 0,
            takeovers: 0,
        }
    }

    /// Returns whether the state is idle. Late writes may be on their way, or may be lost.
    pub fn is_quiet(&self) -> bool {
        self.passes.is_empty()
    }

    /// Returns every step that can follow.
    pub fn steps(&self, scenario: &Scenario, allowed: Allowed, runner: &Runner) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.happened < scenario.events.len() {
            steps.push(Step::Event);
        }
        let leading = self.passes.iter().any(|pass| !pass.lost);
        if self.passes.len() < 2 && (!leading || self.takeovers < allowed.takeovers) {
            steps.push(Step::Begin);
        }
        for (place, pass) in self.passes.iter().enumerate() {
            if self.faults < allowed.faults {
                steps.push(Step::Crash(place));
            }
            let Ran { heard, doing } = &*runner.at(pass.heard);
            if heard.listing.is_none() {
                steps.push(Step::List(place));
                continue;
            }
            for (number, call) in &doing.waiting {
                steps.push(Step::Answer(place, *number));
                let Call::Write(write) = call else { continue };
                if self.faults < allowed.faults {
                    steps.push(Step::GiveUp(place, *number));
                    steps.push(Step::Refuse(place, *number, Refusal::Account));
                    if write.value("title").is_some() {
                        steps.push(Step::Refuse(place, *number, Refusal::Title));
                    }
                }
            }
            if pass.recorded < doing.statuses.len() {
                steps.push(Step::Record(place));
            }
        }
        steps.extend((0..self.late.len()).map(Step::Late));
        steps
    }

    /// Takes a step.
    pub fn after(&self, step: &Step, scenario: &Scenario, runner: &Runner) -> Next {
        let mut next = self.clone();
        match *step {
            Step::Event => {
                match &scenario.events[self.happened] {
                    Event::Bob(place, file) => next.bob[*place].clone_from(file),
                    Event::Delete(place) => next.objects[*place] = None,
                }
                next.happened += 1;
            }
            Step::Begin => {
                for pass in next.passes.iter_mut().filter(|pass| !pass.lost) {
                    pass.hear(runner, |heard| {
                        let after = Lost::After(heard.answers.len());
                        heard.lost =
                            Some(heard.listing.as_ref().map_or(Lost::BeforeListing, |_| after));
                    });
                    pass.lost = true;
                    next.takeovers += 1;
                }
                let heard = Heard {
                    bob: self.bob.clone(),
                    objects: self.objects.clone(),
                    listing: None,
                    answers: Vec::new(),
                    lost: None,
                };
                next.passes.push(Pass { heard: runner.number(heard), lost: false, recorded: 0 });
            }
            Step::List(place) => {
                next.passes[place].hear(runner, |heard| heard.listing = Some(self.provider.clone()))
            }
            Step::Answer(place, number) => {
                let ran = runner.at(self.passes[place].heard);
                let answer = match ran.waiting(number) {
                    Call::Find(by) => self.provider.find(by),
                    Call::Write(write) => next.apply(write, &ran.heard.bob, scenario)?,
                };
                next.passes[place].hear(runner, |heard| heard.answers.push((number, answer)));
            }
            Step::GiveUp(place, number) => {
                let ran = runner.at(self.passes[place].heard);
                if let Call::Write(write) = ran.waiting(number) {
                    next.late.push((write.clone(), ran.heard.bob.clone()));
                }
                next.passes[place].hear(runner, |heard| heard.answers.push((number, Answer::Lost)));
                next.faults += 1;
            }
            Step::Refuse(place, number, refusal) => {
                let answer = match refusal {
                    Refusal::Account => Answer::Forbidden,
                    Refusal::Title => Answer::Rejected("title"),
                };
                next.passes[place].hear(runner, |heard| heard.answers.push((number, answer)));
                next.faults += 1;
            }
            Step::Record(place) => {
                let pass = &mut next.passes[place];
                let (whose, object) = runner.at(pass.heard).doing.statuses[pass.recorded].clone();
                pass.recorded += 1;
                next.objects[whose] = Some(object);
            }
            Step::Crash(place) => {
                let pass = next.passes.remove(place);
                let ran = runner.at(pass.heard);
                next.late.extend(ran.doing.waiting.iter().filter_map(|(_, call)| match call {
                    Call::Write(write) => Some((write.clone(), ran.heard.bob.clone())),
                    Call::Find(_) => None,
                }));
                next.faults += 1;
            }
            Step::Late(place) => {
                let (write, bob) = next.late.remove(place);
                next.apply(&write, &bob, scenario)?;
            }
        }
        next.settle(runner)?;
        Ok(next)
    }

    /// Removes passes that have ended, and sorts what has no order.
    fn settle(&mut self, runner: &Runner) -> Result<(), String> {
        for pass in &self.passes {
            if runner.at(pass.heard).doing.begun_late > 0 {
                return Err("a call began after the lease was lost".to_owned());
            }
        }
        self.passes.retain(|pass| {
            let doing = &runner.at(pass.heard).doing;
            !(doing.finished && pass.recorded == doing.statuses.len())
        });
        self.late.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }

    /// Applies a write that was decided with Bob's data `then`, and checks it.
    fn apply(
        &mut self,
        write: &Write,
        then: &[Option<File>],
        scenario: &Scenario,
    ) -> Result<Answer, String> {
        let index = write.id.as_ref().and_then(|id| id.parse::<usize>().ok());
        let before = index.and_then(|index| self.provider.accounts.get(index)).cloned();
        let answer = self.provider.write(write);
        if matches!(answer, Answer::Written(..)) {
            self.judge(write, before.as_ref(), then, scenario)
                .map_err(|said| format!("{said}: {write:?}"))?;
        }
        Ok(answer)
    }

    /// Checks the rules of every applied write, from any sender and at any time.
    fn judge(
        &self,
        write: &Write,
        before: Option<&Account>,
        then: &[Option<File>],
        scenario: &Scenario,
    ) -> Result<(), String> {
        let mark = before.and_then(|account| account.mark.as_ref()).or(write.mark.as_ref());
        let place = mark.and_then(|mark| mark.parse::<usize>().ok()).map(|number| number - 1);
        let Some(place) = place.filter(|place| *place < then.len()) else {
            return Err("an account that is nobody's was written".to_owned());
        };
        let file = then[place].as_ref();
        if before.is_some_and(|account| {
            account.mark.is_some() && write.mark.is_some() && account.mark != write.mark
        }) {
            return Err("a mark was written over a mark".to_owned());
        }
        if let Some(account) = before.filter(|account| account.mark.is_none()) {
            // The account has Bob's address of that time, so it belongs to this employee.
            if file.is_none_or(|file| file.email != account.email) {
                return Err(
                    "an account was adopted for somebody who has not its address".to_owned()
                );
            }
        }
        if write.value("email").is_some_and(|email| file.is_none_or(|file| file.email != email))
            || write.value("title").is_some_and(|title| file.is_none_or(|file| file.title != title))
        {
            return Err("an account got an address or a title that is not its owner's".to_owned());
        }
        let works = file.is_some_and(|file| file.is == Is::AtWork);
        match write.active {
            Some(false) if works => {
                return Err("somebody at work was suspended without evidence".to_owned());
            }
            Some(true) if !works => {
                return Err("somebody who is not at work became active".to_owned());
            }
            _ => {}
        }
        if before.is_none() && file.is_none_or(|file| file.is == Is::Left) {
            return Err("an account was made for somebody who should have none".to_owned());
        }
        if self.accounts_of(place) > if scenario.doubles { 2 } else { 1 } {
            return Err("two accounts for one person".to_owned());
        }
        Ok(())
    }

    fn accounts_of(&self, place: usize) -> usize {
        self.provider
            .accounts
            .iter()
            .filter(|account| account.mark.as_deref() == Some(&*id_of(place)))
            .count()
    }

    /// Runs passes without faults until one writes nothing to the provider. The provider is as
    /// decided then.
    pub fn comes_to_rest(&self, scenario: &Scenario, runner: &Runner) -> Result<(), String> {
        let mut state = Self { late: Vec::new(), faults: 0, takeovers: 0, ..self.clone() };
        for _ in 0..6 {
            let before = (state.provider.clone(), state.objects.clone());
            state = state.after(&Step::Begin, scenario, runner)?;
            let unharmed = Allowed { faults: 0, takeovers: 0 };
            while !state.is_quiet() {
                let steps = state.steps(scenario, unharmed, runner);
                let step = steps.iter().find(|step| {
                    matches!(step, Step::List(_) | Step::Answer(..) | Step::Record(_))
                });
                state = state.after(step.ok_or("a pass is stuck")?, scenario, runner)?;
            }
            if (&before.0, &before.1) == (&state.provider, &state.objects) {
                // Neither of two accounts is written any more, and the status says so: a person
                // must choose.
                return if state.has_doubles() { Ok(()) } else { state.is_as_decided(scenario) };
            }
        }
        Err("passes go on and on".to_owned())
    }

    /// Returns whether an employee has two accounts.
    pub fn has_doubles(&self) -> bool {
        (0..self.bob.len()).any(|place| self.accounts_of(place) > 1)
    }

    fn is_as_decided(&self, scenario: &Scenario) -> Result<(), String> {
        let mut ends: Vec<End> =
            self.provider.accounts.iter().map(|account| self.end(account)).collect();
        let mut wanted = scenario.ends[self.happened].clone();
        ends.sort();
        wanted.sort();
        // An adopted account is not left without an employee after its employee got another
        // address.
        let adopted = |end: &End| scenario.doubles && end.whose.is_none() && !ends.contains(end);
        wanted.retain(|end| !adopted(end));
        if ends == wanted {
            Ok(())
        } else {
            Err(format!("the provider came to rest at {ends:?}, not at {wanted:?}"))
        }
    }

    fn end(&self, account: &Account) -> End {
        let whose = |mark: &str| mark.parse::<usize>().ok().map(|number| number - 1);
        let manager = account.attributes.get("manager_user_id");
        let manager = manager
            .and_then(|id| self.provider.accounts.get(id.parse::<usize>().ok()?)?.mark.as_deref());
        End {
            email: account.email.clone(),
            whose: account.mark.as_deref().and_then(whose),
            active: !account.suspended,
            title: account.attributes.get("title").cloned(),
            manager: manager.and_then(whose),
        }
    }
}

impl Ran {
    /// Returns the waiting call with this number.
    fn waiting(&self, number: usize) -> &Call {
        let call = self.doing.waiting.iter().find(|(own, _)| *own == number).map(|(_, call)| call);
        call.expect("a call that waits")
    }
}
