//! What a refusal means, by a provider's table of rules. The first rule that fits decides. A
//! refusal that fits no rule is about a value.

use super::{
    Error,
    answers::{Purpose, Route, Sent, field},
};
use crate::http::client::Answer;

/// One rule. A part without entries fits everything.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    statuses: &'static [u16],
    purposes: &'static [Purpose],
    route: Option<Route>,
    codes: &'static [&'static str],
    words: &'static [&'static str],
    also: &'static [&'static str],
    sending: Option<&'static str>,
    means: Means,
    says: &'static str,
}

/// What to do about a refusal.
#[derive(Clone, Copy)]
pub(super) enum Means {
    Unauthorized,
    Denied,
    Forbidden,
    Mastered,
    NotFound,
    /// Nothing was applied.
    Unavailable,
    /// There is no answer that can be trusted.
    NoAnswer,
    /// A value of this attribute is refused.
    Rejected(&'static str),
    /// Another account has the value of this attribute.
    Duplicate(&'static str),
}

/// The provider's words, and the status, as a text.
pub(super) const STATUS: &str = "HTTP {status}: {said}";

/// What refusals mean at every provider, if its own rules say nothing else.
const DEFAULTS: [Rule; 4] = [
    Rule::on(&[401], Means::Unauthorized, "{said}"),
    Rule::on(&[404], Means::NotFound, "").of(&[Purpose::Find, Purpose::Update]),
    Rule::on(&[], Means::Unavailable, STATUS).of(&[
        Purpose::Token,
        Purpose::List,
        Purpose::Definitions,
    ]),
    Rule::on(&[404], Means::Unavailable, STATUS).of(&[Purpose::Create]),
];

impl Rule {
    /// Returns a rule for these statuses. `says` is the text of the error; `{said}` becomes what
    /// the provider said, and `{status}` the status.
    pub(super) const fn on(statuses: &'static [u16], means: Means, says: &'static str) -> Self {
        Self {
            statuses,
            purposes: &[],
            route: None,
            codes: &[],
            words: &[],
            also: &[],
            sending: None,
            means,
            says,
        }
    }

    /// Limits the rule to calls for these purposes.
    pub(super) const fn of(self, purposes: &'static [Purpose]) -> Self {
        Self { purposes, ..self }
    }

    /// Limits the rule to one kind of call.
    pub(super) const fn at(self, route: Route) -> Self {
        Self { route: Some(route), ..self }
    }

    /// Limits the rule to refusals with one of these codes.
    pub(super) const fn code(self, codes: &'static [&'static str]) -> Self {
        Self { codes, ..self }
    }

    /// Limits the rule to refusals with one of these words, in lower case.
    pub(super) const fn word(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// Limits the rule to refusals that have one of these words too.
    pub(super) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// Limits the rule to calls that sent this attribute.
    pub(super) const fn sending(self, target: &'static str) -> Self {
        Self { sending: Some(target), ..self }
    }
}

/// A refusal, as the provider words it.
pub(super) struct Refusal<'a> {
    pub(super) route: Route,
    pub(super) status: u16,
    pub(super) code: &'a str,
    /// What the provider said, with values. It reaches no error.
    pub(super) text: &'a str,
    /// The attribute that the body names.
    pub(super) named: Option<&'a str>,
    /// What the provider said without values, or else the status.
    pub(super) said: String,
    pub(super) sent: Sent<'a>,
    /// Names in the texts of rules, and what they become.
    pub(super) names: &'a [(&'a str, &'a str)],
}

impl<'a> Refusal<'a> {
    pub(super) fn new(route: Route, answer: &Answer, sent: Sent<'a>, text: &'a str) -> Self {
        let status = answer.status.as_u16();
        let clean = sent.clean(text);
        let said = if clean.is_empty() { format!("HTTP {status}") } else { clean };
        Self { route, status, code: "", text, named: None, said, sent, names: &[] }
    }

    /// Returns what the first rule that fits says. The rules of every provider come last.
    pub(super) fn by(&self, rules: &[Rule]) -> Option<Error> {
        let lower = self.text.to_lowercase();
        let mut rules = rules.iter().chain(&DEFAULTS);
        rules.find(|rule| self.fits(rule, &lower)).map(|rule| self.means(rule))
    }

    fn fits(&self, rule: &Rule, lower: &str) -> bool {
        fn any<T>(all: &[T], fits: impl Fn(&T) -> bool) -> bool {
            all.is_empty() || all.iter().any(fits)
        }
        any(rule.statuses, |status| *status == self.status)
            && any(rule.purposes, |purpose| *purpose == self.route.purpose)
            && rule.route.is_none_or(|route| route == self.route)
            && any(rule.codes, |code| *code == self.code)
            && any(rule.words, |word| lower.contains(word))
            && any(rule.also, |word| lower.contains(word))
            && rule.sending.is_none_or(|target| self.sent.targets("").contains(&target))
    }

    fn means(&self, rule: &Rule) -> Error {
        let names = self.names.iter().copied();
        let said = names.fold(rule.says.to_owned(), |text, (name, is)| text.replace(name, is));
        let said = said.replace("{status}", &self.status.to_string()).replace("{said}", &self.said);
        match rule.means {
            Means::Unauthorized => Error::Unauthorized { said },
            Means::Denied => Error::Denied { said },
            Means::Forbidden => Error::Forbidden { said },
            Means::Mastered => Error::Mastered { said },
            Means::NotFound => Error::NotFound,
            Means::Unavailable => Error::Unavailable { said },
            Means::NoAnswer => self.route.no_answer(said),
            Means::Duplicate(field) => Error::Duplicate { field: Some(field.to_owned()) },
            Means::Rejected(field) => Error::Rejected { field: Some(field.to_owned()), said },
        }
    }

    /// Returns which of the sent attributes the refusal names.
    pub(super) fn field(
        &self,
        targets: &[&str],
        names: impl Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        field(targets, self.named, &[&self.said, self.text], names)
    }

    /// Returns the refusal of the initial password, if `text` is about it.
    pub(super) fn of_password(&self, name: &str, text: &str) -> Option<Error> {
        self.sent.password_refused(text, name, &self.said)
    }

    /// Returns the refusal of a value. A value of a `unique` attribute is taken if the status is
    /// 409, or if the provider says so in one of the words of `taken`.
    pub(super) fn of_value(
        self,
        mark: &'a str,
        unique: &[&str],
        taken: &[&str],
        names: impl Fn(&str) -> Vec<String>,
    ) -> Error {
        let targets = self.sent.targets(mark);
        let field = self.field(&targets, names);
        let is_unique = |field: &str| unique.contains(&field);
        let may_be_taken =
            field.as_deref().is_none_or(is_unique) && targets.into_iter().any(is_unique);
        let lower = self.text.to_lowercase();
        if may_be_taken && (self.status == 409 || taken.iter().any(|word| lower.contains(word))) {
            return Error::Duplicate { field };
        }
        if self.status == 409 {
            // The call sent nothing that another account could have.
            return Error::Unavailable { said: format!("HTTP 409: {}", self.said) };
        }
        let of_password = |text: &str| self.of_password("password", text);
        of_password(self.named.unwrap_or(&self.said))
            .or_else(|| of_password(self.text).filter(|_| field.is_none()))
            .unwrap_or(Error::Rejected { field, said: self.said })
    }
}
