//! Step 1: turns a raw spec into settings, once. No later step reads the spec.

use std::{collections::BTreeMap, time::Duration};

use super::{
    endpoints::AllowedEndpoints,
    targets::{
        Target, acts_as, target, those_who_ask_for_another_password, those_who_take_passwords,
    },
};
use crate::{
    api::{
        ProvisioningIntegrationSpec, integration as api,
        integration::{Apply, MappingRow, Mode, Usernames},
        reasons::IntegrationReason,
    },
    bob::REFERENCES,
    domain::{
        budget::{Blackout, Budget, Budgets, ScopeShrink},
        calendar::Zones,
        employee::{FieldIndex, Fields},
        expression::Expression,
        known::CREATED,
        mapping::{Mapping, Part, Row, Source, formula},
        safety::{Protected, ShortRead},
        settings::{
            AccessEnds, Create, ExistingEmployees, Settings, UserStatus, ascii_domain, go_duration,
        },
    },
    engine::stop::Stop,
    provider::{Catalog, ChangeAtFirstLogin, NewPassword},
};

/// The Bob field with the company of the employees: events name the same id.
pub const COMPANY: &str = "root.companyId";

/// The Bob field that refers to the manager.
const MANAGER: &str = "work.manager";

/// All settings that a worker reads from a spec.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The settings that decisions depend on.
    pub settings: Settings,
    /// The base address of Bob, without a trailing slash.
    pub bob: String,
    /// The name of the Secret with Bob's service user.
    pub bob_secret: String,
    /// The provider, and how to reach it.
    pub target: Target,
    /// The time between two passes.
    pub interval: Duration,
    /// How long an object is kept after its employee is gone.
    pub retention: Duration,
    /// Whether the status shows usernames.
    pub show_usernames: bool,
    /// Whether no change is written to the provider.
    pub dry_run: bool,
    /// The Secret and its key with the initial password of new accounts.
    pub default_password: Option<(String, String)>,
    /// Whether a new account's password has to be changed at the first login.
    pub change_password_on_first_login: bool,
}

/// Validates a spec.
///
/// # Errors
/// [`Stop`] with `InvalidSettings` or `EndpointNotAllowed`, and what to do.
pub fn validate(
    spec: &ProvisioningIntegrationSpec,
    allowed: &AllowedEndpoints,
) -> Result<Validated, Stop> {
    let invalid =
        |message: String| Stop::new(IntegrationReason::InvalidSettings, format!("In {message}"));
    let bob = match (spec.bob.endpoint.as_str(), spec.bob.environment) {
        ("", api::Environment::Production) => "https://api.hibob.com".to_owned(),
        ("", api::Environment::Sandbox) => "https://api.sandbox.hibob.com".to_owned(),
        (endpoint, _) => allowed.accept("spec.bob.endpoint", endpoint)?,
    };
    let target = target(&spec.provider, allowed)?;
    let catalog = target.catalog();
    let sites =
        spec.bob.site_time_zones.iter().map(|(site, zone)| (site.as_str(), zone.0.as_str()));
    let zones =
        Zones::new(&spec.bob.time_zone, sites).map_err(|e| invalid(format!("spec.bob: {e}")))?;
    let provisioning = &spec.provisioning;
    let email_domains = provisioning
        .email_domains
        .iter()
        .map(|domain| {
            ascii_domain(&domain.0).ok_or_else(|| {
                invalid(format!(
                    "spec.provisioning.emailDomains: `{}` is not a domain; write it alone, such as \
                     example.com, without @",
                    domain.0
                ))
            })
        })
        .collect::<Result<_, _>>()?;
    initial_password(catalog, provisioning).map_err(invalid)?;
    let reserved = target.destination.reserved();
    let mut mapping = mapping(catalog, spec.mapping.as_deref(), reserved).map_err(invalid)?;
    if let Some(reserved) =
        target.destination.reserved().filter(|reserved| mapping.position(reserved).is_some())
    {
        return Err(invalid(format!(
            "spec.mapping: `{reserved}` holds the mark; map another target, or move the mark with \
             markAttribute"
        )));
    }
    let scope = provisioning
        .scope
        .as_deref()
        .map(|scope| Expression::compile(scope, &mut mapping.fields))
        .transpose();
    if spec.bob.webhook_secret_ref.is_some() {
        mapping.fields.want(COMPANY);
    }
    if provisioning.existing_employees == api::ExistingEmployees::OnChange {
        mapping.fields.want(CREATED);
    }
    let scope = scope.map_err(|why| invalid(format!("spec.provisioning.scope: {why}")))?;
    Ok(Validated {
        settings: Settings {
            create: match provisioning.create {
                api::Create::OnEmployeeStartDate => Create::OnStartDate,
                api::Create::OnEmployeeCreation => Create::OnCreation,
            },
            user_status: match provisioning.user_status {
                api::UserStatus::AccordingToBob => UserStatus::AccordingToBob,
                api::UserStatus::AlwaysActive => UserStatus::AlwaysActive,
                api::UserStatus::AlwaysInactive => UserStatus::AlwaysInactive,
            },
            email_domains,
            budgets: budgets(&spec.safety).map_err(|why| invalid(format!("spec.safety: {why}")))?,
            field_blackout: field_blackout(&spec.safety.field_blackout)
                .map_err(|why| invalid(format!("spec.safety.fieldBlackout: {why}")))?,
            scope_shrink: scope_shrink(&spec.safety.scope_shrink)
                .map_err(|why| invalid(format!("spec.safety.scopeShrink: {why}")))?,
            short_read: short_read(&spec.safety.short_read)
                .map_err(|why| invalid(format!("spec.safety.shortRead: {why}")))?,
            adopt: spec.safety.adoption == api::Adoption::MatchByEmail,
            report_drift: spec.safety.drift_policy == api::DriftPolicy::Report,
            protected: Protected::new(
                spec.safety
                    .protected_accounts
                    .iter()
                    .map(|name| name.0.as_str())
                    .chain(acts_as(&spec.provider)),
            )
            .suspending_administrators(spec.safety.administrators == api::Administrators::Suspend),
            scope,
            existing_employees: match provisioning.existing_employees {
                api::ExistingEmployees::NextPass => ExistingEmployees::NextPass,
                api::ExistingEmployees::OnChange => ExistingEmployees::OnChange,
            },
            disabling_trigger: provisioning.disabling_trigger,
            access_ends: match provisioning.access_ends {
                api::AccessEnds::EndOfLastDay => AccessEnds::EndOfDay,
                api::AccessEnds::StartOfLastDay => AccessEnds::StartOfDay,
            },
            zones,
            mapping,
        },
        bob,
        bob_secret: spec.bob.credentials_secret_ref.name.clone(),
        target,
        interval: go_duration(&spec.interval)
            .map_err(|e| invalid(format!("spec.interval: {e}")))?
            .max(Duration::from_mins(1)),
        retention: go_duration(&spec.retention)
            .map_err(|e| invalid(format!("spec.retention: {e}")))?,
        show_usernames: spec.privacy.usernames == Usernames::Show,
        dry_run: spec.mode() == Mode::DryRun,
        default_password: provisioning
            .default_password_secret_ref
            .as_ref()
            .map(|secret| (secret.name.clone(), secret.key.clone())),
        change_password_on_first_login: provisioning.change_password_on_first_login,
    })
}

/// Returns the part of a spec that taking access by evidence needs: the provider, the mode, and the
/// guards of suspensions. All other fields have their defaults. It is used while the whole spec
/// cannot be carried out.
#[must_use]
pub fn for_evidence(spec: &ProvisioningIntegrationSpec) -> ProvisioningIntegrationSpec {
    let (bob, provisioning, safety) = (&spec.bob, &spec.provisioning, &spec.safety);
    let defaults = api::Provisioning::default();
    let budget_is_valid =
        budgets(&api::Safety { disables: safety.disables.clone(), ..api::Safety::default() })
            .is_ok();
    ProvisioningIntegrationSpec {
        interval: api::ten_minutes(),
        retention: api::ninety_days(),
        bob: api::Bob {
            endpoint: String::new(),
            time_zone: api::utc(),
            site_time_zones: BTreeMap::new(),
            ..bob.clone()
        },
        provisioning: api::Provisioning {
            disabling_trigger: provisioning.disabling_trigger,
            user_status: provisioning.user_status,
            access_ends: provisioning.access_ends,
            ..defaults
        },
        mapping: None,
        safety: api::Safety {
            disables: if budget_is_valid {
                safety.disables.clone()
            } else {
                api::Budget::default()
            },
            administrators: safety.administrators,
            protected_accounts: safety.protected_accounts.clone(),
            ..api::Safety::default()
        },
        ..spec.clone()
    }
}

/// Returns the budgets of the spec. A budget that the spec leaves out has the default of the
/// contract.
fn budgets(safety: &api::Safety) -> Result<Budgets, String> {
    let default = Budgets::default();
    let budget = |name: &str, spec: &api::Budget, default: Option<Budget>| {
        let default = default.unwrap_or(Budget {
            max_percent: 0,
            at_least: 0,
            per: Duration::from_hours(24),
        });
        Ok::<_, String>(Some(Budget {
            max_percent: percent(spec.max.as_deref(), default.max_percent)
                .map_err(|why| format!("{name}.max: {why}"))?,
            at_least: spec.at_least.unwrap_or(default.at_least),
            per: spec
                .per
                .as_deref()
                .map_or(Ok(default.per), go_duration)
                .map_err(|why| format!("{name}.per: {why}"))?,
        }))
    };
    Ok(Budgets {
        disables: budget("disables", &safety.disables, default.disables)?,
        reactivations: budget("reactivations", &safety.reactivations, default.reactivations)?,
        creates: safety.creates.as_ref().map_or(Ok(None), |spec| budget("creates", spec, None))?,
        updates: budget("updates", &safety.updates, default.updates)?,
    })
}

fn short_read(spec: &api::Share) -> Result<ShortRead, String> {
    let default = ShortRead::default();
    Ok(ShortRead {
        max_percent: percent(spec.max.as_deref(), default.max_percent)?,
        at_least: spec.at_least.unwrap_or(default.at_least),
    })
}

fn scope_shrink(spec: &api::Share) -> Result<ScopeShrink, String> {
    let default = ScopeShrink::default();
    Ok(ScopeShrink {
        max_percent: percent(spec.max.as_deref(), default.max_percent)?,
        at_least: spec.at_least.unwrap_or(default.at_least),
    })
}

fn field_blackout(spec: &api::Share) -> Result<Blackout, String> {
    let default = Blackout::default();
    Ok(Blackout {
        max_percent: percent(spec.max.as_deref(), default.max_percent)?,
        at_least: spec.at_least.unwrap_or(default.at_least),
    })
}

/// Reads a text such as `5%`.
fn percent(text: Option<&str>, default: u32) -> Result<u32, String> {
    let Some(text) = text else { return Ok(default) };
    let number = text
        .strip_suffix('%')
        .and_then(|number| number.parse().ok())
        .filter(|number| *number <= 100);
    number.ok_or_else(|| format!("`{text}` is not a share: write for example 5%"))
}

/// Refuses settings for new accounts that the provider does not support.
fn initial_password(catalog: &Catalog, provisioning: &api::Provisioning) -> Result<(), String> {
    let (name, can) = (catalog.name, &catalog.capabilities);
    let password = provisioning.default_password_secret_ref.is_some();
    if password && can.initial_password == NewPassword::Unsupported {
        return Err(format!(
            "spec.provisioning.defaultPasswordSecretRef: {name} takes no default password; {} take \
             one",
            those_who_take_passwords()
        ));
    }
    if provisioning.change_password_on_first_login {
        let field = "spec.provisioning.changePasswordOnFirstLogin";
        match can.change_at_first_login {
            ChangeAtFirstLogin::Unsupported => {
                return Err(format!(
                    "{field}: {name} cannot ask for another password at the first login; {} can",
                    those_who_ask_for_another_password()
                ));
            }
            ChangeAtFirstLogin::WithDefaultPassword if !password => {
                return Err(format!(
                    "{field}: without a default password {name} mails employees an invitation to \
                     choose one; set defaultPasswordSecretRef"
                ));
            }
            ChangeAtFirstLogin::WithDefaultPassword | ChangeAtFirstLogin::Supported => {}
        }
    }
    Ok(())
}

/// Returns the message for a target that the provider does not have, with a similar target that may
/// be meant.
fn no_target(catalog: &Catalog, target: &str) -> String {
    let likeness = |known: &&str| {
        strsim::normalized_damerau_levenshtein(&target.to_lowercase(), &known.to_lowercase())
    };
    let nearest = catalog
        .targets()
        .iter()
        .filter(|field| field.is_fixed())
        .map(|field| field.target)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|known| likeness(known) >= 0.6);
    let hint = nearest.map_or_else(
        || "its page in docs/providers lists them".to_owned(),
        |known| format!("did you mean {known}?"),
    );
    format!("{} has no such target; {hint}", catalog.name)
}

/// Returns the rows of the spec, or the provider's default map without a row for the target that is
/// `reserved` for the mark. An error names the row.
fn mapping(
    catalog: &Catalog,
    rows: Option<&[MappingRow]>,
    reserved: Option<&str>,
) -> Result<Mapping, String> {
    let mut default: Vec<MappingRow>;
    let rows = if let Some(rows) = rows {
        rows
    } else {
        default = serde_json::from_str(catalog.default_map).map_err(|error| {
            format!("spec.mapping: the default map of {}: {error}", catalog.name)
        })?;
        default.retain(|row| Some(&*row.target) != reserved);
        &default
    };
    let mut fields = Fields::default();
    let mut read: Vec<Row> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let twice = read.iter().any(|known| *known.target == *row.target);
        let of_row = if twice {
            Err("this target is mapped twice: remove one of the rows".to_owned())
        } else {
            row_of(catalog, row, &mut fields)
        };
        let place = || format!("spec.mapping[{index}].target \"{}\"", row.target);
        read.push(of_row.map_err(|why| format!("{}: {why}", place()))?);
    }
    let position = |target: &str| {
        read.iter().position(|row| *row.target == *target).ok_or_else(|| {
            format!("spec.mapping: {} requires the target `{target}`: add a row", catalog.name)
        })
    };
    for target in catalog.required {
        position(target)?;
    }
    let (email, username) = (position(catalog.email)?, position(catalog.username)?);
    let manager = read.iter().position(|row| row.compare.is_person());
    let address = catalog.address.map(position).transpose()?;
    Ok(Mapping { rows: read, fields, email, username, address, manager })
}

/// Returns one row of the spec, as decisions read it.
fn row_of(catalog: &Catalog, row: &MappingRow, fields: &mut Fields) -> Result<Row, String> {
    let compare = catalog.compare(&row.target).ok_or_else(|| no_target(catalog, &row.target))?;
    let no_manager = "it refers to an employee: map it from the field work.manager";
    let source = match (&row.field, &row.formula, &row.cel) {
        (Some(field), None, None) if compare.is_person() && field.trim() != MANAGER => {
            return Err(no_manager.to_owned());
        }
        (Some(field), None, None)
            if catalog.labels(&row.target) && REFERENCES.contains(&field.trim()) =>
        {
            Source::Field(fields.want_label(field.trim()))
        }
        (Some(field), None, None) => Source::Field(fields.want(field)),
        (None, Some(_), None) | (None, None, Some(_)) if compare.is_person() => {
            return Err(no_manager.to_owned());
        }
        (None, Some(text), None) => Source::Formula(formula(text, fields)?),
        (None, None, Some(text)) => Source::Expression(Expression::compile(text, fields)?),
        (None, None, None)
        | (Some(_), Some(_), _)
        | (Some(_), _, Some(_))
        | (_, Some(_), Some(_)) => {
            return Err("the row needs exactly one of field, formula and cel".to_owned());
        }
    };
    if catalog.relates(&row.target) && !compare.is_person() && names_a_person(&source, fields) {
        return Err(format!(
            "it would get an employee's id in Bob, because its value comes from a reference to an \
             employee ({}). Map it from a text field, such as that employee's e-mail",
            REFERENCES.join(", ")
        ));
    }
    Ok(Row {
        target: row.target.as_str().into(),
        source,
        on_create_only: row.apply == Apply::OnCreate,
        compare,
        required: catalog.required.contains(&row.target.as_str()),
    })
}

/// Returns whether a value depends on a field of Bob that has the number of an employee.
fn names_a_person(source: &Source, fields: &Fields) -> bool {
    let ids = fields.ids();
    let is_reference =
        |field: FieldIndex| ids.get(field).is_some_and(|id| REFERENCES.contains(&&**id));
    match source {
        Source::Field(field) => is_reference(*field),
        Source::Formula(parts) => {
            parts.iter().any(|part| matches!(part, Part::Field(field) if is_reference(*field)))
        }
        Source::Expression(expression) => expression.fields().any(is_reference),
        Source::PinnedOnly => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::mapping::Compare,
        engine::settings::targets::CATALOGS,
        provider::{google, onelogin},
    };

    #[test]
    fn no_relation_holds_bobs_number_of_a_person_whatever_way_it_is_written() {
        let rows = |target: &str, kind: &str, value: &str| -> Vec<MappingRow> {
            let mut rows: Vec<MappingRow> =
                serde_json::from_str(google::CATALOG.default_map).unwrap();
            rows.retain(|row| row.target != target);
            rows.push(
                serde_json::from_value(serde_json::json!({"target": target, (kind): value}))
                    .unwrap(),
            );
            rows
        };
        for (kind, value) in [
            ("formula", "{work.manager}"),
            ("formula", "c/o { work.manager }"),
            ("cel", "employee.work.manager"),
            ("cel", "has(employee.work.reportsTo) ? 'x' + employee.work.reportsTo : ''"),
            ("field", "work.reportsTo"),
            ("field", "work.secondLevelManager"),
            ("field", "work.manager"),
        ] {
            let why =
                mapping(&google::CATALOG, Some(&rows("relations.assistant", kind, value)), None)
                    .unwrap_err();
            let place = format!("spec.mapping[{}].target \"relations.assistant\": ", {
                rows("relations.assistant", kind, value).len() - 1
            });
            assert!(why.starts_with(&place), "{value}: {why}");
        }
        for (kind, value) in [
            ("field", "work.reportsTo.email"),
            ("formula", "{work.title}"),
            ("cel", "employee.work.title"),
        ] {
            mapping(&google::CATALOG, Some(&rows("relations.assistant", kind, value)), None)
                .unwrap();
        }
        mapping(&google::CATALOG, Some(&rows("relations.manager", "field", "work.manager")), None)
            .unwrap();
        // A target that is the account of a person accepts only the manager.
        for (_, catalog) in CATALOGS {
            let is_person =
                |target: &&&str| catalog.compare(target).is_some_and(Compare::is_person);
            let names = [
                "relations.manager",
                "manager_user_id",
                "manager",
                "managerId",
                "enterprise.manager",
            ];
            let target = *names.iter().find(is_person).expect("each provider has managers");
            let mut rows: Vec<MappingRow> = serde_json::from_str(catalog.default_map).unwrap();
            rows.retain(|row| row.target != target);
            let row = |field: &str| {
                serde_json::from_value(serde_json::json!({"target": target, "field": field}))
                    .unwrap()
            };
            rows.push(row("work.title"));
            assert!(
                mapping(catalog, Some(&rows), None).unwrap_err().contains("work.manager"),
                "{target}"
            );
            *rows.last_mut().unwrap() = row("work.manager");
            mapping(catalog, Some(&rows), None).unwrap();
        }
    }

    #[test]
    fn the_default_maps_are_valid_mappings() {
        for (_, catalog) in CATALOGS {
            let mapping = mapping(catalog, None, None).unwrap();
            assert!(
                catalog.required.iter().all(|target| mapping.position(target).is_some()),
                "{}",
                catalog.name
            );
            assert!(mapping.rows[mapping.email].required, "{}", catalog.name);
            let rows: Vec<MappingRow> = serde_json::from_str(catalog.default_map).unwrap();
            assert_eq!(mapping.rows.len(), rows.len(), "{}", catalog.name);
            assert!(rows.len() > 8, "{}", catalog.name);
        }
    }

    #[test]
    fn access_ends_by_evidence_whatever_is_wrong_with_the_rest_of_the_settings() {
        let wrong = serde_json::json!({
            "interval": "soon", "retention": "long", "mode": "Enforce",
            "bob": {
                "credentialsSecretRef": {"name": "bob"},
                "endpoint": "http://elsewhere.example.com", "timeZone": "Mars/Base",
                "siteTimeZones": {"Here": "There"},
            },
            "provider": {"entraID": {"tenantId": "example.com",
            "credentialsSecretRef": {"name": "entra"}}},
            "provisioning": {"scope": "employee.work.site =", "emailDomains": ["not a domain"],
            "disablingTrigger": true},
            "mapping": [{"target": "no such target", "field": "root.email"}],
            "safety": {
                "disables": {"max": "many"}, "updates": {"per": "often"},
                "shortRead": {"max": "x"}, "fieldBlackout": {"max": "x"},
                "protectedAccounts": ["admin@example.com"],
            },
        });
        let wrong: ProvisioningIntegrationSpec = serde_json::from_value(wrong).unwrap();
        let allowed = AllowedEndpoints::default();
        assert!(validate(&wrong, &allowed).is_err());
        let validated = validate(&for_evidence(&wrong), &allowed).unwrap();
        let right = ProvisioningIntegrationSpec {
            safety: api::Safety {
                protected_accounts: wrong.safety.protected_accounts.clone(),
                ..api::Safety::default()
            },
            ..for_evidence(&wrong)
        };
        assert_eq!(validated.target, validate(&right, &allowed).unwrap().target);
        assert_eq!(validated.settings.budgets, Budgets::default());
        // The choices of a person about access stay in force.
        let hands_off = ProvisioningIntegrationSpec {
            mode: Some(Mode::DryRun),
            provisioning: api::Provisioning {
                disabling_trigger: false,
                ..wrong.provisioning.clone()
            },
            safety: api::Safety {
                disables: api::Budget { max: Some("1%".to_owned()), ..api::Budget::default() },
                ..wrong.safety.clone()
            },
            ..wrong
        };
        let validated = validate(&for_evidence(&hands_off), &allowed).unwrap();
        assert!(validated.dry_run && !validated.settings.disabling_trigger);
        assert_eq!(validated.settings.budgets.disables.unwrap().max_percent, 1);
    }

    #[test]
    fn a_target_that_does_not_exist_is_told_with_its_row_and_what_may_be_meant() {
        let rows = |last: &str| {
            let rows = serde_json::json!([{"target": "email", "field": "root.email"},
                {"target": "username", "field": "root.email"},
                                          {"target": last, "field": "work.title"}]);
            serde_json::from_value::<Vec<MappingRow>>(rows).unwrap()
        };
        let said = |last: &str| {
            mapping(&onelogin::CATALOG, Some(&rows(last)), None).map(drop).unwrap_err()
        };
        assert_eq!(
            said("tittle"),
            "spec.mapping[2].target \"tittle\": OneLogin has no such target; did you mean title?"
        );
        assert!(
            said("zzz")
                .ends_with("OneLogin has no such target; its page in docs/providers lists them"),
            "{}",
            said("zzz")
        );
    }
}
