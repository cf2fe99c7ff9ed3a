//! What an integration asks for, validated once. After the validate step no code reads a raw spec.

use std::time::Duration;

use super::{
    budget::{Blackout, Budgets, ScopeShrink},
    calendar::Zones,
    employee::FieldIndex,
    expression::Expression,
    mapping::Mapping,
    safety::{Protected, ShortRead},
};

/// The settings that decisions use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When accounts are created.
    pub create: Create,
    /// Who is active.
    pub user_status: UserStatus,
    /// Work e-mail domains, in ASCII form and lower case. An empty list allows all domains.
    pub email_domains: Vec<String>,
    /// The expression that says who is managed, in addition to the domains.
    pub scope: Option<Expression>,
    /// What happens to employees who were in Bob before the integration.
    pub existing_employees: ExistingEmployees,
    /// Whether dates and deletion end access.
    pub disabling_trigger: bool,
    /// At which end of the last day access ends.
    pub access_ends: AccessEnds,
    /// How many changes may go out within a window.
    pub budgets: Budgets,
    /// For how many employees an attribute may change at once.
    pub field_blackout: Blackout,
    /// How many employees may leave management at once.
    pub scope_shrink: ScopeShrink,
    /// When a read of Bob is too short to be trusted.
    pub short_read: ShortRead,
    /// Whether an account without a mark may be adopted by its e-mail.
    pub adopt: bool,
    /// Whether a value that was changed at the provider is only reported. Access is always
    /// corrected.
    pub report_drift: bool,
    /// Accounts that are never written.
    pub protected: Protected,
    /// Time zones of sites.
    pub zones: Zones,
    /// Maps Bob's fields to the provider's attributes.
    pub mapping: Mapping,
}

/// When accounts are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// At midnight of the start date.
    OnStartDate,
    /// As soon as the employee exists.
    OnCreation,
}

/// Who is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// As Bob says.
    AccordingToBob,
    /// All employees are active, except if the disabling trigger ends access.
    AlwaysActive,
    /// Accounts are created suspended and then left alone, except if the disabling trigger ends
    /// access.
    AlwaysInactive,
}

/// What happens to employees who were in Bob before the integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingEmployees {
    /// The next pass brings them in sync.
    NextPass,
    /// Their accounts are left alone until Bob says something else about them.
    OnChange,
}

/// At which end of the last day access ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessEnds {
    /// At the midnight after the last day.
    EndOfDay,
    /// At the midnight before the last day.
    StartOfDay,
}

impl Settings {
    /// Returns whether this work e-mail is in a listed domain. Without a list every employee is,
    /// even without an e-mail.
    #[must_use]
    pub fn lists(&self, email: Option<&str>) -> bool {
        if self.email_domains.is_empty() {
            return true;
        }
        let Some((_, domain)) = email.and_then(|email| email.rsplit_once('@')) else {
            return false;
        };
        ascii_domain(domain).is_some_and(|domain| self.email_domains.contains(&domain))
    }

    /// Returns whether a setting uses this field of Bob: a mapping row, or the scope.
    #[must_use]
    pub fn uses(&self, field: FieldIndex) -> bool {
        self.mapping.uses(field)
            || self.scope.as_ref().is_some_and(|scope| scope.fields().any(|used| used == field))
    }
}

/// Returns a domain in ASCII form and lower case, so that `MÜNCHEN.example` and
/// `xn--mnchen-3ya.example` are the same.
#[must_use]
pub fn ascii_domain(domain: &str) -> Option<String> {
    let domain = domain.trim().trim_end_matches('.');
    idna::domain_to_ascii(domain).ok().filter(|ascii| !ascii.is_empty())
}

/// Reads a Go-style duration: `10m`, `1h30m`, `500ms`, `1.5h`.
///
/// # Errors
/// A sentence for a person.
pub fn go_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration: write for example 10m, 1h30m or 2160h");
    let mut rest = text;
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let (unit, length) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .ok_or_else(bad)?;
        seconds += number * length;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_and_nonsense_is_refused() {
        assert_eq!(go_duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(go_duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(go_duration("1.5h").unwrap(), Duration::from_secs(5400));
        for bad in ["", "10", "m", "10 m", "1d", "1..5h"] {
            assert!(go_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains_compare_in_ascii_form() {
        assert_eq!(ascii_domain("MÜNCHEN.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(ascii_domain("Example.COM.").as_deref(), Some("example.com"));
    }
}
