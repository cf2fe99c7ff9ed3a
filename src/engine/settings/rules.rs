//! The rules of `ProvisioningIntegrationSpec` that depend on the provider, as the API server checks
//! them. They are made from the catalogs, so that a target's name is written once. Every rule about
//! a provider holds for any spec of another provider.

use std::collections::BTreeSet;

use kube::core::{Message, Rule};

use super::targets::{
    CATALOGS, special_rules, those_who_ask_for_another_password, those_who_take_passwords,
};
use crate::{
    api::{self, Rules, provider::listed},
    provider::{Catalog, ChangeAtFirstLogin, Field, NewPassword},
};

const MAPPING: &str = ".mapping";
pub(super) const DEFAULT_PASSWORD: &str = ".provisioning.defaultPasswordSecretRef";
const CHANGE_PASSWORD: &str = ".provisioning.changePasswordOnFirstLogin";

/// Returns both `CustomResourceDefinition`s as one YAML stream, as `bobsync crds` prints them and
/// `crds/` holds them.
///
/// # Errors
/// Only if the derived schema cannot be written as YAML, which a test rules out.
pub fn crds_yaml() -> Result<String, serde_json::Error> {
    api::crds_yaml(Rules { spec: all(), row: vec![known_to_a_provider()] })
}

/// Returns the rules of the spec about every provider.
pub(super) fn all() -> Vec<Rule> {
    CATALOGS.iter().flat_map(|(field, catalog)| of(field, catalog)).collect()
}

/// Returns the rules of the provider with this field in `spec.provider`.
fn of(field: &str, catalog: &Catalog) -> Vec<Rule> {
    let fields = catalog.targets();
    let mut rules = vec![required_targets(field, catalog), known_targets(field, catalog)];
    rules.extend(entries_are_named(field, fields));
    rules.extend(passwords(field, catalog));
    rules.extend(persons(field, fields));
    rules.extend(change_of_password(field, catalog));
    rules.extend(special_rules(field));
    rules
}

/// Returns a rule that holds for every integration with another provider.
pub(super) fn if_provider(field: &str, holds: &str) -> Rule {
    Rule::new(format!("!has(self.provider.{field}) || {holds}"))
}

/// Returns a rule about the rows of the mapping, if the spec has any.
fn if_mapped(field: &str, holds: &str) -> Rule {
    if_provider(field, &format!("!has(self.mapping) || {holds}")).field_path(MAPPING)
}

/// Returns a rule about each row `m` of the mapping.
pub(super) fn each_row(field: &str, holds: &str) -> Rule {
    if_mapped(field, &format!("self.mapping.all(m, {holds})"))
}

/// Returns names as a list of CEL.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "))
}

/// Returns whether the target of `row` fits one of these patterns, or `None` without a pattern.
fn fits(row: &str, patterns: impl Iterator<Item = String>) -> Option<String> {
    let patterns: Vec<_> = patterns.collect();
    (!patterns.is_empty()).then(|| format!("{row}.target.matches('^({})$')", patterns.join("|")))
}

/// Returns whether the target of `row` is one of a family of which tenants choose a part.
fn is_open(row: &str, catalog: &Catalog) -> Option<String> {
    let open = catalog.targets().iter().filter(|field| !field.is_fixed()).map(Field::pattern);
    let open = fits(row, open)?;
    Some(match fits(row, catalog.targets().iter().filter_map(Field::excepted)) {
        Some(excepted) => format!("!{excepted} && {open}"),
        None => open,
    })
}

/// Returns the targets with one fixed name.
fn fixed(catalog: &Catalog) -> impl Iterator<Item = &'static str> {
    catalog.targets().iter().filter(|field| field.is_fixed()).map(|field| field.target)
}

/// Requires a row for each target that cannot be unmapped.
fn required_targets(field: &str, catalog: &Catalog) -> Rule {
    let required = || catalog.required.iter().copied();
    let names = list(required());
    let rule = format!("{names}.all(t, self.mapping.exists(m, m.target == t))");
    if_mapped(field, &rule).message(&*format!(
        "{} requires the targets {}: add a mapping row for each, or remove `mapping` to use the \
         default map",
        catalog.name,
        listed(required(), "and")
    ))
}

/// Requires that the provider has each target.
fn known_targets(field: &str, catalog: &Catalog) -> Rule {
    let names = format!("m.target in {}", list(fixed(catalog)));
    let known = match is_open("m", catalog) {
        Some(open) => format!("{names} || {open}"),
        None => names,
    };
    let open = catalog.targets().iter().filter(|field| !field.is_fixed());
    let told = fixed(catalog).chain(open.map(|field| field.target));
    each_row(field, &known).message(&*format!(
        "{} has no such target: use {}",
        catalog.name,
        listed(told, "or")
    ))
}

/// Requires of one row that some provider has its target. Unlike the rule about one provider, this
/// one can say which row is meant.
fn known_to_a_provider() -> Rule {
    let catalogs = || CATALOGS.iter().map(|(_, catalog)| *catalog);
    let names: BTreeSet<&str> = catalogs().flat_map(fixed).collect();
    let open = catalogs().filter_map(|catalog| is_open("self", catalog));
    let known = open.fold(format!("self.target in {}", list(names.into_iter())), |known, open| {
        format!("{known} || ({open})")
    });
    let told = "'\"' + self.target + '\": no provider has such a target. The page of your provider \
                in docs/providers lists its targets'";
    Rule::new(known).message(Message::Expression(told.to_owned())).field_path(".target")
}

/// Refuses entries of kind `custom` that name no entry.
fn entries_are_named(field: &str, fields: &[Field]) -> Option<Rule> {
    let nameless = fits("m", fields.iter().filter_map(Field::nameless))?;
    let one = fields.iter().find(|field| field.nameless().is_some())?.target;
    let example = one.split('<').next().unwrap_or_default();
    Some(each_row(field, &format!("!{nameless}")).message(&*format!(
        "the type custom does not say which entry is meant: write its customType in place of \
         custom, such as {example}satellite for the type custom with the customType satellite"
    )))
}

/// Refuses settings for the passwords of new accounts that the provider does not have.
fn passwords(field: &str, catalog: &Catalog) -> Vec<Rule> {
    let (name, can) = (catalog.name, &catalog.capabilities);
    let mut rules = Vec::new();
    if can.initial_password == NewPassword::Unsupported {
        let rule = if_provider(field, "!has(self.provisioning.defaultPasswordSecretRef)");
        let message = format!(
            "{name} takes no default password: {}. Remove defaultPasswordSecretRef; {} take one",
            can.phrases.without_password,
            those_who_take_passwords()
        );
        rules.push(rule.message(&*message).field_path(DEFAULT_PASSWORD));
    }
    if can.change_at_first_login == ChangeAtFirstLogin::Unsupported {
        let rule = if_provider(field, "!self.provisioning.changePasswordOnFirstLogin");
        let message = format!(
            "{name} cannot ask for another password at the first login. Remove \
             changePasswordOnFirstLogin; {} can",
            those_who_ask_for_another_password()
        );
        rules.push(rule.message(&*message).field_path(CHANGE_PASSWORD));
    }
    rules
}

/// Refuses to have a password changed that is not there.
fn change_of_password(field: &str, catalog: &Catalog) -> Option<Rule> {
    let needs = ChangeAtFirstLogin::WithDefaultPassword;
    (catalog.capabilities.change_at_first_login == needs).then(|| {
        let rule = "!self.provisioning.changePasswordOnFirstLogin || \
                    has(self.provisioning.defaultPasswordSecretRef)";
        let message = format!(
            "without a default password {} mails employees an invitation to choose one, so there \
             is no password to change: set defaultPasswordSecretRef, or remove \
             changePasswordOnFirstLogin",
            catalog.name
        );
        if_provider(field, rule).message(&*message).field_path(CHANGE_PASSWORD)
    })
}

/// Requires that a target that refers to an employee is mapped from the field that does, and
/// refuses a target that would hold Bob's number of that employee.
fn persons(field: &str, fields: &[Field]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for person in fields.iter().filter(|field| field.compare.is_person()) {
        let target = person.target;
        let rule = format!("m.target != '{target}' || (has(m.field) && m.field == 'work.manager')");
        let message = format!("{target} refers to an employee: map it from the field work.manager");
        rules.push(each_row(field, &rule).message(&*message));
        let related = fields.iter().filter(|field| field.relates).map(Field::pattern);
        if let Some(relates) = fits("m", related) {
            let rule = format!(
                "!{relates} || m.target == '{target}' || !(has(m.field) && m.field == \
                 'work.manager' || has(m.formula) && m.formula.contains('{{work.manager}}'))"
            );
            let message = format!(
                "work.manager refers to an employee, and only {target} is written as the address \
                 of that employee's account; any other relation would get the manager's id in \
                 Bob. Map work.manager to {target}, or map this relation from a text field"
            );
            rules.push(each_row(field, &rule).message(&*message));
        }
    }
    rules
}
