//! The attributes of a provider's users, as a table: a row for each target or family of targets,
//! with its place in a user's JSON, how it compares, how it is read and written, and the words by
//! which refusals call it. Reading, writing and judging use the same table.

use std::borrow::Cow;

use serde_json::{Value, json, value::RawValue};

use super::json::{Object, scalar, text};
use crate::domain::{
    account::{Access, AccountPhase, AccountState},
    mapping::Compare,
};

/// A provider's users.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// The targets.
    pub(super) fields: &'static [Field],
    /// Where the mark is.
    pub(super) mark: Field,
    /// The members that may hold the id. The first one that is there counts.
    pub(super) id: &'static [&'static str],
    /// The targets of the e-mail and of the username.
    pub(super) names: [&'static str; 2],
    /// Members that are asked for with every mapping, with blanks between them. A member may name
    /// its parts in parentheses.
    pub(super) always: &'static str,
    /// The member of a page that holds the users, and whether a page without users may lack it. A
    /// page without such a member is a list.
    pub(super) users: Option<(&'static str, bool)>,
    /// The member that only an error has, if a success may hide one.
    pub(super) error: Option<&'static str>,
    /// Members that a write needs again, although no row is in them.
    pub(super) kept: &'static [&'static str],
    /// Whether the answer to a write shows every member, so that null means that there is no value.
    pub(super) shows_null: bool,
    /// What every user says in addition to its attributes.
    pub(super) hooks: TableHooks,
    /// The member that gives or takes access, and its value. `None` if calls of their own do that.
    pub(super) access: Option<Gives>,
}

/// Returns the member that gives or takes access, and its value.
pub(super) type Gives = fn(Access) -> (&'static str, Value);

/// What a user says in addition to its attributes. The defaults say nothing.
#[derive(Clone, Copy)]
pub(super) struct TableHooks {
    /// The state, if the answer tells it.
    pub(super) state: fn(&Object<'_>) -> Option<AccountState>,
    /// The state for decisions, if more than the told state counts.
    pub(super) judged: fn(&Object<'_>, Option<AccountState>) -> AccountState,
    /// What else decisions have to know of the state.
    pub(super) phase: fn(&Object<'_>) -> AccountPhase,
    /// Whether the account is an administrator's.
    pub(super) administrator: fn(&Object<'_>) -> bool,
    /// Whether another directory is the account's master.
    pub(super) elsewhere: fn(&Object<'_>) -> bool,
    /// Whether a member that is kept for a write holds something, by its name and its JSON.
    pub(super) keeps: fn(&str, &str) -> bool,
}

impl TableHooks {
    pub(super) const NONE: Self = Self {
        state: |_| None,
        judged: |_, told| told.unwrap_or(AccountState::Other),
        phase: |_| AccountPhase::Usual,
        administrator: |_| false,
        elsewhere: |_| false,
        keeps: |_, _| true,
    };
}

/// One target, or a family of targets of which tenants choose a part.
#[derive(Clone, Copy)]
pub struct Field {
    /// The target. A part in angle brackets is a word that tenants choose. A part with bars is one
    /// of these words.
    pub target: &'static str,
    /// How values compare.
    pub compare: Compare,
    /// Whether the target names another employee in words by which that employee's account cannot
    /// be found.
    pub relates: bool,
    /// Whether the target has the name of another employee: a reference to an employee gives its
    /// label there.
    pub labels: bool,
    pub(super) at: At,
    pub(super) form: Form,
    /// Words by which refusals call the attribute.
    pub(super) words: &'static [&'static str],
    /// Words that no tenant may choose.
    except: &'static [&'static str],
    /// Whether a word that tenants choose may have dashes.
    dashes: bool,
    /// The rule of a name with a form of its own, and the same rule as a regular expression.
    named: Option<Named>,
    /// The member of the user, the key and the member in it, if the target does not tell them by
    /// its dots.
    placed: Option<Placed>,
}

/// Returns the outer member, the key and the inner member of a target.
pub(super) type Placed = for<'t> fn(&'t str) -> [&'t str; 3];

/// The rule of a name.
#[derive(Clone, Copy)]
struct Named {
    fits: fn(&str) -> bool,
    pattern: &'static str,
}

/// The key of an entry whose kind another member tells.
const CUSTOM: &str = "custom";

/// Where a value is in a user.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// A member of the user.
    Member,
    /// A member of an object. `whole` means that a write replaces the object as a whole.
    Inside { whole: bool },
    /// A member of this object, which targets do not name.
    Within(&'static str),
    /// A member of an entry of an array, which a write replaces as a whole.
    Entry(&'static Array),
    /// A reference of its own, which is read and written in another way.
    Reference,
}

/// An array of a user.
#[derive(Clone, Copy)]
pub(super) struct Array {
    /// The member that tells one entry from another.
    pub(super) key: &'static str,
    /// The member that holds the value, if targets name no part of the entry.
    pub(super) value: &'static str,
    /// The keys that the provider lists, with blanks between them. Any other key is the
    /// `customType` of a `custom` entry. Without a list, all keys are the provider's own.
    pub(super) keys: &'static str,
    /// Whether targets name no key, because one entry is used: the primary one, else the first of
    /// type work, else the first.
    pub(super) main: bool,
    /// Members that say nothing about the employee: an entry with nothing else is removed.
    pub(super) empty: &'static [&'static str],
    /// Members that a write leaves out, because the provider makes them.
    pub(super) made: &'static [&'static str],
}

/// How a value is read and written. `None` clears it.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) read: for<'a> fn(&'a RawValue) -> Option<Cow<'a, str>>,
    pub(super) write: fn(Option<&str>) -> Result<Value, &'static str>,
}

impl Form {
    /// A text. Null clears it.
    pub(super) const TEXT: Self =
        Self { read: |raw| text(raw.get()), write: |text| Ok(json!(text)) };
    /// A text. An empty text clears it.
    pub(super) const EMPTIED: Self =
        Self { write: |text| Ok(json!(text.unwrap_or_default())), ..Self::TEXT };
    /// A text that may come as a number or a flag. An empty text clears it.
    pub(super) const SCALAR: Self = Self { read: |raw| scalar(raw.get()), ..Self::EMPTIED };
}

/// Returns a number, or null without a text.
///
/// # Errors
/// The text is not a number, as `said` says.
pub(super) fn number(text: Option<&str>, said: &'static str) -> Result<Value, &'static str> {
    let number = text.map(|text| text.trim().parse::<u64>()).transpose();
    number.map(|number| number.map_or(Value::Null, Value::from)).map_err(|_| said)
}

impl Field {
    /// Returns a text that is a member of the user and compares exactly.
    pub(super) const fn new(target: &'static str, form: Form) -> Self {
        Self {
            target,
            at: At::Member,
            compare: Compare::Exact,
            relates: false,
            labels: false,
            form,
            words: &[],
            except: &[],
            dashes: false,
            named: None,
            placed: None,
        }
    }

    pub(super) const fn of(self, target: &'static str) -> Self {
        Self { target, ..self }
    }

    pub(super) const fn at(self, at: At) -> Self {
        Self { at, ..self }
    }

    pub(super) const fn compared(self, compare: Compare) -> Self {
        Self { compare, ..self }
    }

    pub(super) const fn called(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    pub(super) const fn except(self, except: &'static [&'static str]) -> Self {
        Self { except, ..self }
    }

    pub(super) const fn dashed(self) -> Self {
        Self { dashes: true, ..self }
    }

    /// Sets the rule of a name with a form of its own, and the same rule as a regular expression.
    pub(super) const fn named(self, fits: fn(&str) -> bool, pattern: &'static str) -> Self {
        Self { named: Some(Named { fits, pattern }), ..self }
    }

    pub(super) const fn relating(self) -> Self {
        Self { relates: true, ..self }
    }

    pub(super) const fn labelled(self) -> Self {
        Self { labels: true, ..self }
    }

    pub(super) const fn placed(self, placed: Placed) -> Self {
        Self { placed: Some(placed), ..self }
    }

    /// Returns whether the targets of the field have a form of their own, which need not be the
    /// form of its name.
    pub(super) const fn is_placed(&self) -> bool {
        self.placed.is_some()
    }

    /// Returns whether the target has one fixed name.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        !self.target.contains(['<', '|'])
    }

    /// Returns the targets of the family as a regular expression, with those that it excepts.
    #[must_use]
    pub fn pattern(&self) -> String {
        let word = if self.dashes { "[A-Za-z0-9_-]{1,64}" } else { "[A-Za-z0-9_]{1,64}" };
        self.named.map_or_else(|| self.with(word), |named| named.pattern.to_owned())
    }

    /// Returns the targets that the family excepts as a regular expression, except for
    /// [`Field::nameless`].
    #[must_use]
    pub fn excepted(&self) -> Option<String> {
        let words = self.except.iter().copied().filter(|word| !self.is_nameless(word));
        let words: Vec<_> = words.collect();
        (!words.is_empty()).then(|| self.with(&words.join("|")))
    }

    /// Returns the excepted targets that do not say which entry they mean as a regular expression:
    /// of the entries of kind `custom`, another member tells the kind.
    #[must_use]
    pub fn nameless(&self) -> Option<String> {
        self.except.iter().any(|word| self.is_nameless(word)).then(|| self.with(CUSTOM))
    }

    fn is_nameless(&self, word: &str) -> bool {
        word == CUSTOM && matches!(self.at, At::Entry(array) if !array.keys.is_empty())
    }

    /// Returns the regular expression of the target, with this one for words that tenants choose.
    fn with(&self, word: &str) -> String {
        let word = if word.contains('|') { format!("({word})") } else { word.to_owned() };
        let part = |part: &str| match part {
            part if part.starts_with('<') => word.clone(),
            part if part.contains('|') => format!("({part})"),
            part => part.to_owned(),
        };
        self.target.split('.').map(part).collect::<Vec<_>>().join("[.]")
    }

    fn fits(&self, pattern: &str, part: &str) -> bool {
        if !pattern.starts_with('<') {
            return pattern.split('|').any(|word| word == part);
        }
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (self.dashes && b == b'-');
        (1..=64).contains(&part.len()) && part.bytes().all(letter) && !self.except.contains(&part)
    }

    /// Returns where the target is, if it is this one or one of this family.
    pub(super) fn place<'t>(&'static self, target: &'t str) -> Option<Place<'t>> {
        let fits = match self.named {
            Some(named) => (named.fits)(target),
            None => {
                let mut parts = target.split('.');
                let all = self
                    .target
                    .split('.')
                    .all(|pattern| parts.next().is_some_and(|part| self.fits(pattern, part)));
                all && parts.next().is_none()
            }
        };
        fits.then(|| Place::of(self, target))
    }
}

/// Where one target is.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) field: &'static Field,
    pub(super) target: &'t str,
    /// The member of the user.
    pub(super) outer: &'t str,
    /// The key of the entry, or the object within the object.
    pub(super) key: &'t str,
    /// The member of the entry or of the object.
    pub(super) member: &'t str,
    /// Whether the provider lists the key.
    listed: bool,
}

impl<'t> Place<'t> {
    pub(super) fn of(field: &'static Field, target: &'t str) -> Self {
        if let At::Within(outer) = field.at {
            return Self { field, target, outer, key: "", member: target, listed: true };
        }
        if let Some(placed) = field.placed {
            let [outer, key, member] = placed(target);
            return Self { field, target, outer, key, member, listed: true };
        }
        let (outer, inner) = target.split_once('.').unwrap_or((target, ""));
        let (key, member) = match (field.at, inner.split_once('.')) {
            (At::Entry(array), None) if !array.main => (inner, array.value),
            (_, None) => ("", inner),
            (_, Some((key, member))) => (key, member),
        };
        let listed = match field.at {
            At::Entry(array) => array.keys.is_empty() || array.keys.split(' ').any(|k| k == key),
            _ => true,
        };
        Self { field, target, outer, key, member, listed }
    }

    /// Returns the array that the target is in.
    pub(super) const fn array(&self) -> Option<&'static Array> {
        match self.field.at {
            At::Entry(array) => Some(array),
            _ => None,
        }
    }

    /// Returns whether a write replaces the outer member as a whole.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.field.at, At::Entry(_) | At::Inside { whole: true })
    }

    /// Returns the position of the entry that the target names. `has` says whether a member of an
    /// entry has a value, and `primary` whether the entry is the primary one.
    pub(super) fn entry<E>(
        &self,
        entries: &[E],
        has: impl Fn(&E, &str, &str) -> bool,
        primary: impl Fn(&E) -> bool,
    ) -> Option<usize> {
        let array = self.array()?;
        if array.main {
            let work = || entries.iter().position(|entry| has(entry, array.key, "work"));
            let first = (!entries.is_empty()).then_some(0);
            return entries.iter().position(primary).or_else(work).or(first);
        }
        entries.iter().position(|entry| {
            if self.listed {
                return has(entry, array.key, self.key);
            }
            has(entry, array.key, CUSTOM) && has(entry, "customType", self.key)
        })
    }

    /// Returns a new entry without a value.
    pub(super) fn new_entry(&self, array: &Array) -> Value {
        if array.main {
            json!({array.key: "work", "primary": true})
        } else if self.listed {
            json!({array.key: self.key})
        } else {
            json!({array.key: CUSTOM, "customType": self.key})
        }
    }
}

impl Table {
    /// Returns where the mark is.
    pub(super) fn mark_place(&'static self) -> Place<'static> {
        Place::of(&self.mark, self.mark.target)
    }

    /// Returns where a target is, or `None` if users have no such attribute.
    pub(super) fn locate<'t>(&self, target: &'t str) -> Option<Place<'t>> {
        self.fields.iter().find_map(|field| field.place(target))
    }

    /// Returns the words by which a refusal may name a target: the target, its parts, and the words
    /// of the table.
    pub(super) fn names(&self, target: &str) -> Vec<String> {
        let words = self.locate(target).map_or(&[][..], |place| place.field.words);
        let parts = target.split('.').filter(|part| *part != target);
        [target].into_iter().chain(parts).chain(words.iter().copied()).map(str::to_owned).collect()
    }
}
