//! The rules of `ProvisioningIntegrationSpec` that look at several fields, as the API server checks
//! them. Each function returns one rule. Every rule about a provider holds for any spec of another
//! provider.

use std::collections::BTreeSet;

use kube::core::{Message, Reason, Rule};

use super::provider::listed;

/// The targets of one provider, as the rules see them.
pub(super) struct Targets {
    /// The field of `provider`.
    field: &'static str,
    /// The provider's name, as messages say it.
    name: &'static str,
    /// The targets that cannot be unmapped.
    required: &'static [&'static str],
    /// The targets that have one fixed name.
    fixed: &'static [&'static str],
    /// Those that the message does not list.
    unlisted: &'static [&'static str],
    /// The expression for targets with a part that tenants choose.
    open: &'static str,
    /// The same targets in words.
    open_words: &'static [&'static str],
    /// The target that refers to the manager.
    manager: &'static str,
}

/// `OneLogin`.
pub(super) const ONE_LOGIN: Targets = Targets {
    field: "oneLogin",
    name: "OneLogin",
    required: &["email", "username"],
    fixed: &[
        "email",
        "username",
        "firstname",
        "lastname",
        "phone",
        "title",
        "department",
        "company",
        "comment",
        "preferred_locale_code",
        "samaccountname",
        "userprincipalname",
        "distinguished_name",
        "member_of",
        "group_id",
        "manager_user_id",
    ],
    unlisted: &["group_id"],
    open: "m.target.matches('^custom_attributes[.][A-Za-z0-9_]{1,64}$')",
    open_words: &["custom_attributes.<shortname>"],
    manager: "manager_user_id",
};

/// Google Workspace.
pub(super) const GOOGLE_WORKSPACE: Targets = Targets {
    field: "googleWorkspace",
    name: "Google Workspace",
    required: &["primaryEmail", "name.givenName", "name.familyName"],
    fixed: &[
        "primaryEmail",
        "name.givenName",
        "name.familyName",
        "name.displayName",
        "orgUnitPath",
        "recoveryEmail",
        "recoveryPhone",
    ],
    unlisted: &[],
    open: concat!(
        "m.target != 'externalIds.bobsync' && m.target.matches('",
        "^(phones|relations|externalIds)[.][A-Za-z0-9_]{1,64}$",
        "|^organizations[.](name|title|department|description|costCenter|location|symbol|domain)$",
        "|^customSchemas([.][A-Za-z0-9_-]{1,64}){2}$",
        "|^addresses[.][A-Za-z0-9_]{1,64}[.]",
        "(streetAddress|extendedAddress|locality|region|postalCode|country|countryCode|poBox",
        "|formatted)$",
        "|^locations[.][A-Za-z0-9_]{1,64}[.](area|buildingId|floorName|floorSection|deskCode)$')",
    ),
    open_words: &[
        "phones.<type>",
        "organizations.<field>",
        "relations.<type>",
        "externalIds.<type>",
        "addresses.<type>.<part>",
        "locations.<type>.<part>",
        "customSchemas.<schema>.<field>",
    ],
    manager: "relations.manager",
};

/// Microsoft Entra ID.
pub(super) const ENTRA_ID: Targets = Targets {
    field: "entraID",
    name: "Microsoft Entra ID",
    required: &["userPrincipalName", "displayName"],
    fixed: &[
        "userPrincipalName",
        "mail",
        "mailNickname",
        "displayName",
        "givenName",
        "surname",
        "mobilePhone",
        "faxNumber",
        "jobTitle",
        "department",
        "companyName",
        "officeLocation",
        "streetAddress",
        "city",
        "state",
        "postalCode",
        "country",
        "usageLocation",
        "preferredLanguage",
        "employeeId",
        "employeeType",
        "businessPhones",
        "employeeHireDate",
        "employeeOrgData.costCenter",
        "employeeOrgData.division",
        "manager",
    ],
    unlisted: &[],
    open: concat!(
        "m.target.matches('",
        "^onPremisesExtensionAttributes[.]extensionAttribute([1-9]|1[0-5])$",
        "|^extension_[0-9A-Fa-f]{32}_[A-Za-z0-9_]{1,85}$')",
    ),
    open_words: &[
        "onPremisesExtensionAttributes.extensionAttribute<1 to 15>",
        "extension_<appId without dashes>_<name>",
    ],
    manager: "manager",
};

/// `JumpCloud`.
pub(super) const JUMP_CLOUD: Targets = Targets {
    field: "jumpCloud",
    name: "JumpCloud",
    required: &["email", "username"],
    fixed: &[
        "email",
        "username",
        "firstname",
        "middlename",
        "lastname",
        "displayname",
        "jobTitle",
        "department",
        "company",
        "costCenter",
        "location",
        "description",
        "employeeIdentifier",
        "employeeType",
        "alternateEmail",
        "managedAppleId",
        "manager",
    ],
    unlisted: &[],
    open: concat!(
        "m.target != 'attributes.bobsyncEmployeeId' && m.target.matches('",
        "^phoneNumbers[.][A-Za-z0-9_]{1,64}$",
        "|^addresses[.][A-Za-z0-9_]{1,64}[.]",
        "(poBox|extendedAddress|streetAddress|locality|region|postalCode|country)$",
        "|^attributes[.][A-Za-z0-9_-]{1,64}$')",
    ),
    open_words: &["phoneNumbers.<type>", "addresses.<type>.<part>", "attributes.<name>"],
    manager: "manager",
};

/// Okta.
pub(super) const OKTA: Targets = Targets {
    field: "okta",
    name: "Okta",
    required: &["login", "email", "firstName", "lastName"],
    fixed: &[
        "login",
        "email",
        "secondEmail",
        "firstName",
        "lastName",
        "middleName",
        "honorificPrefix",
        "honorificSuffix",
        "title",
        "displayName",
        "nickName",
        "profileUrl",
        "mobilePhone",
        "primaryPhone",
        "streetAddress",
        "city",
        "state",
        "zipCode",
        "countryCode",
        "postalAddress",
        "preferredLanguage",
        "locale",
        "timezone",
        "userType",
        "employeeNumber",
        "costCenter",
        "organization",
        "division",
        "department",
        "managerId",
        "manager",
    ],
    unlisted: &[],
    open: "m.target.matches('^[A-Za-z0-9_]{1,64}$')",
    open_words: &["the variable name of an attribute of your own"],
    manager: "managerId",
};

/// Servers that speak SCIM.
pub(super) const SCIM: Targets = Targets {
    field: "scim",
    name: "SCIM",
    required: &["userName"],
    fixed: &[
        "userName",
        "name.givenName",
        "name.familyName",
        "name.middleName",
        "name.formatted",
        "name.honorificPrefix",
        "name.honorificSuffix",
        "displayName",
        "nickName",
        "profileUrl",
        "title",
        "userType",
        "preferredLanguage",
        "locale",
        "timezone",
        "enterprise.employeeNumber",
        "enterprise.costCenter",
        "enterprise.organization",
        "enterprise.division",
        "enterprise.department",
        "enterprise.manager",
    ],
    unlisted: &[],
    // The core schema and the enterprise extension have names of their own.
    open: concat!(
        "m.target.matches('",
        "^(emails|phoneNumbers)[.][A-Za-z0-9_]{1,64}$",
        "|^addresses[.][A-Za-z0-9_]{1,64}[.]",
        "(formatted|streetAddress|locality|region|postalCode|country)$",
        "|^urn(:[A-Za-z0-9_.$-]+){2,}:[A-Za-z][A-Za-z0-9_$-]{0,63}$') && !m.target.matches('",
        "(?i)^urn:ietf:params:scim:schemas:(core|extension:enterprise):2[.]0:user:')",
    ),
    open_words: &[
        "emails.<type>",
        "phoneNumbers.<type>",
        "addresses.<type>.<part>",
        "<schema URN>:<attribute>",
    ],
    manager: "enterprise.manager",
};

const MAPPING: &str = ".mapping";
const DEFAULT_PASSWORD: &str = ".provisioning.defaultPasswordSecretRef";
const CHANGE_PASSWORD: &str = ".provisioning.changePasswordOnFirstLogin";

/// Returns a rule that holds for every integration with another provider than the one of `field`.
fn if_provider(field: &str, holds: &str) -> Rule {
    Rule::new(format!("!has(self.provider.{field}) || {holds}"))
}

/// Returns a rule about the rows of the mapping, if the spec has any.
fn if_mapped(provider: &Targets, holds: &str) -> Rule {
    if_provider(provider.field, &format!("!has(self.mapping) || {holds}")).field_path(MAPPING)
}

/// Returns a rule about each row `m` of the mapping.
fn each_row(provider: &Targets, holds: &str) -> Rule {
    if_mapped(provider, &format!("self.mapping.all(m, {holds})"))
}

/// Returns names as a list of CEL.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "))
}

/// Requires that the mode is chosen. An integration that was stored without a mode may stay so.
pub(super) fn mode_is_chosen() -> Rule {
    Rule::new("has(self.mode) || oldSelf.hasValue() && !has(oldSelf.value().mode)")
        .optional_old_self(true)
        .message(
            "choose a mode: DryRun plans and reports and writes nothing to the provider, Enforce \
             begins to write at once. Begin with mode: DryRun, look at status.plan, then set mode: \
             Enforce",
        )
        .field_path(".mode")
        .reason(Reason::FieldValueRequired)
}

/// Requires a row for each target that cannot be unmapped.
pub(super) fn required_targets(provider: &Targets) -> Rule {
    let required = list(provider.required.iter().copied());
    if_mapped(provider, &format!("{required}.all(t, self.mapping.exists(m, m.target == t))"))
        .message(&*format!(
            "{} requires the targets {}: add a mapping row for each, or remove `mapping` to use \
             the default map",
            provider.name,
            listed(provider.required.iter().copied(), "and")
        ))
}

/// Requires that the provider has each target.
pub(super) fn known_targets(provider: &Targets) -> Rule {
    let names = list(provider.fixed.iter().copied());
    let told = provider.fixed.iter().filter(|name| !provider.unlisted.contains(name));
    each_row(provider, &format!("m.target in {names} || {}", provider.open)).message(&*format!(
        "{} has no such target: use {}",
        provider.name,
        listed(told.chain(provider.open_words).copied(), "or")
    ))
}

/// Requires of one row that some provider has its target. Unlike the rule about one provider, this
/// one can say which row is meant.
pub(super) fn known_to_a_provider() -> Rule {
    let providers = [&ONE_LOGIN, &GOOGLE_WORKSPACE, &ENTRA_ID, &JUMP_CLOUD, &OKTA, &SCIM];
    let names: BTreeSet<&str> = providers.iter().flat_map(|one| one.fixed).copied().collect();
    let open = providers.map(|one| format!("({})", one.open.replace("m.target", "self.target")));
    Rule::new(format!("self.target in {} || {}", list(names.into_iter()), open.join(" || ")))
        .message(Message::Expression(
            "'\"' + self.target + '\": no provider has such a target. The page of your provider in \
             docs/providers lists its targets'"
                .to_owned(),
        ))
        .field_path(".target")
}

/// Requires that the target that refers to the manager is mapped from the field that does.
pub(super) fn manager_from_work_manager(provider: &Targets) -> Rule {
    let target = provider.manager;
    each_row(
        provider,
        &format!("m.target != '{target}' || (has(m.field) && m.field == 'work.manager')"),
    )
    .message(&*format!("{target} refers to an employee: map it from the field work.manager"))
}

/// Refuses a default password, which bobsync does not set in `OneLogin`.
pub(super) fn one_login_takes_no_password() -> Rule {
    if_provider(ONE_LOGIN.field, "!has(self.provisioning.defaultPasswordSecretRef)")
        .message(
            "OneLogin takes no default password: bobsync sets no password there, and OneLogin \
             sends no mail for an account that its API creates. Employees log in by single sign-on \
             from another system, or by an invitation that an administrator sends. Remove \
             defaultPasswordSecretRef; Google Workspace, Entra ID, JumpCloud, Okta and SCIM take one",
        )
        .field_path(DEFAULT_PASSWORD)
}

/// Refuses `changePasswordOnFirstLogin`, which `OneLogin` does not have.
pub(super) fn one_login_asks_for_no_password() -> Rule {
    if_provider(ONE_LOGIN.field, "!self.provisioning.changePasswordOnFirstLogin")
        .message(
            "OneLogin cannot ask for another password at the first login. Remove \
             changePasswordOnFirstLogin; Google Workspace, Entra ID, JumpCloud and Okta can",
        )
        .field_path(CHANGE_PASSWORD)
}

/// Refuses entries of Google that are of type `custom` and name no entry.
pub(super) fn google_entries_are_named() -> Rule {
    each_row(
        &GOOGLE_WORKSPACE,
        "!m.target.matches('^(phones|relations|externalIds)[.]custom$\
         |^(addresses|locations)[.]custom[.]')",
    )
    .message(
        "the type custom does not say which entry is meant: write its customType in place of \
         custom, such as phones.satellite for the type custom with the customType satellite",
    )
}

/// Refuses a relation of Google that would hold Bob's number of the manager.
pub(super) fn google_relations_hold_texts() -> Rule {
    each_row(
        &GOOGLE_WORKSPACE,
        "!m.target.startsWith('relations.') || m.target == 'relations.manager' || !(has(m.field) \
         && m.field == 'work.manager' || has(m.formula) && m.formula.contains('{work.manager}'))",
    )
    .message(
        "work.manager refers to an employee, and only relations.manager is written as the address \
         of that employee's account; any other relation would get the manager's id in Bob. Map \
         work.manager to relations.manager, or map this relation from a text field",
    )
}

/// Refuses a row for the attribute that bears the mark in Entra ID.
pub(super) fn entra_mark_is_not_mapped() -> Rule {
    each_row(&ENTRA_ID, "m.target != self.provider.entraID.markAttribute").message(
        "this target holds the mark: map another target, or move the mark to a directory extension \
         with provider.entraID.markAttribute",
    )
}

/// Refuses a row for the attribute that bears the mark in Okta.
pub(super) fn okta_mark_is_not_mapped() -> Rule {
    each_row(&OKTA, "m.target != self.provider.okta.markAttribute").message(
        "this target holds the mark: map another target, or name another attribute in \
         provider.okta.markAttribute",
    )
}

/// Refuses a row for the attribute that bears the mark at a SCIM server.
pub(super) fn scim_mark_is_not_mapped() -> Rule {
    each_row(&SCIM, "m.target != self.provider.scim.markAttribute").message(
        "this target holds the mark: map another target, or move the mark with \
         provider.scim.markAttribute",
    )
}

/// Refuses `changePasswordOnFirstLogin`, which SCIM does not have.
pub(super) fn scim_asks_for_no_password() -> Rule {
    if_provider(SCIM.field, "!self.provisioning.changePasswordOnFirstLogin")
        .message(
            "SCIM cannot ask for another password at the first login. Remove \
             changePasswordOnFirstLogin; Google Workspace, Entra ID, JumpCloud and Okta can",
        )
        .field_path(CHANGE_PASSWORD)
}

/// Refuses to have a password changed that is not there.
pub(super) fn changes_a_password(provider: &Targets) -> Rule {
    if_provider(
        provider.field,
        "!self.provisioning.changePasswordOnFirstLogin || \
         has(self.provisioning.defaultPasswordSecretRef)",
    )
    .message(&*format!(
        "without a default password {} mails employees an invitation to choose one, so there is no \
         password to change: set defaultPasswordSecretRef, or remove changePasswordOnFirstLogin",
        provider.name
    ))
    .field_path(CHANGE_PASSWORD)
}

/// Refuses the state of accounts without a password if each account of `JumpCloud` has one.
pub(super) fn jump_cloud_stages_without_password() -> Rule {
    if_provider(
        JUMP_CLOUD.field,
        "!has(self.provisioning.defaultPasswordSecretRef) || \
         self.provider.jumpCloud.passwordlessState != 'Staged'",
    )
    .message(
        "passwordlessState: Staged is only for accounts that are created without a password, and \
         with defaultPasswordSecretRef every account is created with one: remove \
         defaultPasswordSecretRef, or set passwordlessState: Activated",
    )
    .field_path(DEFAULT_PASSWORD)
}
