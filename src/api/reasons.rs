//! The closed list of reasons. A condition's `reason` is always one of these words.
//! `docs/reasons.md` is generated from this file, so every reason says what to do about it.

use super::condition_types::{On, Type};

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident: $meaning:literal, $todo:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $meaning] $variant,)* }

        impl $name {
            /// Every reason of this list, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the word as it is in a condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// Returns what it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Returns what a person should do about it.
            #[must_use]
            pub const fn what_to_do(self) -> &'static str {
                match self { $(Self::$variant => $todo,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Reasons of `Ready` on an `EmployeeSync`.
    EmployeeReason {
        InSync: "Account, attributes and access are as decided.", "Nothing.";
        NotDue: "There is no account yet, by the create setting.", "Nothing; `nextTransition` says when.";
        AwaitingChange: "Was in Bob before the integration, and `existingEmployees: OnChange` waits for a change.", "Nothing; set `existingEmployees: NextPass` to bring everybody in sync now.";
        Drifted: "A person changed the account at the provider, and `safety.driftPolicy: Report` only reports it; `AttributesSynced` names the attributes.", "Set the value back at the provider, change it in Bob, or set `driftPolicy: Correct`.";
        DomainNotListed: "The work e-mail is in no domain that `provisioning.emailDomains` lists.", "Add the domain, if this person should be managed.";
        OutOfScope: "`provisioning.scope` leaves this person out.", "Change the expression, if this person should be managed.";
        HandsOff: "`spec.suspend` is set on this EmployeeSync, or this version cannot read its spec, or the account is listed in `safety.protectedAccounts` or an administrator's by the provider's own word; the message says which.", "Remove `spec.suspend`, what cannot be read, the account from the list, or the administrator's role, to let bobsync manage it again. Where a newer version wrote the spec, run that version.";
        Pending: "Decided, and waiting for its turn, or until the provider's accounts are read.", "Nothing; look at the integration if it lasts: it says what is waited for, and until when.";
        Held: "Part of a plan that a guard holds.", "See `PlanHeld` of the integration: approve the plan, or remove its cause.";
        Frozen: "An attribute is frozen, because it would change for too many people at once; the rest is in sync.", "See `PlanHeld` of the integration: approve the plan, or correct the field in Bob or the mapping.";
        Retrying: "The provider throttled, was unreachable, or the outcome of a write is not known.", "Nothing; it is tried again by itself. Look at the provider's health if it lasts.";
        Rejected: "The provider refused a value; the message names the field. Where the field is named, the rest of the change went out without it; a required one keeps an account from being made.", "Correct the field in Bob, or the mapping row. The write is tried again by itself, ever more rarely.";
        Conflict: "Another account has this e-mail or username, or the matching account belongs to another employee.", "Free the e-mail or username at the provider, or correct it in Bob.";
        Ambiguous: "Several accounts match this employee.", "Leave one account with this e-mail or mark at the provider.";
        MissingAttribute: "A required target has no value in Bob.", "Fill the field in Bob that the message names.";
        MappingFailed: "An expression failed for this person, or an address holds a character that is not seen or that looks like another one; the message names the target and why.", "Correct the expression, or the field in Bob that the message names: type an address anew where it was pasted.";
        Forbidden: "The credential may not change this account. (Where access should be taken and the account is still open, the reason is `SuspendByHand`.)", "Give the credential more rights, or set `spec.suspend` for this person.";
        SuspendByHand: "Access should be taken, the account is still open, and bobsync may not suspend it: it is listed in `safety.protectedAccounts`, or an administrator's by the provider's own word, or bobsync acts as it, or the provider refuses the change of this account (an administrator whom the credential does not reach, OneLogin's account owner, a right that is missing); the message says which.", "Suspend the account at the provider by hand, or give the credential the right that the message names: it is tried on by itself. Administrators who leave are suspended by bobsync with `safety.administrators: Suspend`, where the credential reaches them.";
        ManagedElsewhere: "Another directory is the master of this account: it is synchronised from there, or it is a guest.", "Change the account in that directory, or set `spec.suspend` for this person.";
        NotRecorded: "The API server refuses this EmployeeSync or its status: a quota, an admission policy, a webhook, or a right that is missing. The account is dealt with all the same. It shows in `EmployeesFailing` of the integration alone, whose message names the object and what the API server said.", "Do what that answer asks for: raise the quota, or change the policy or the webhook. It is written again by itself.";
        NoLicence: "The account exists, and cannot be used for want of a licence (OneLogin: state Unlicensed).", "Free a licence at the provider, or buy one; then give it to this user. Nothing has to be done here.";
        Contested: "Another writer at the provider (another tool, another cluster) sets an attribute back again and again: bobsync has written the value six times within the `per` of `safety.updates`, and it was changed back each time. The message names the attribute. It is left as it is until `per` after the last write, and then written once more; if it stays in place, all is well by itself. Access and every other attribute go on.", "Stop the other writer, or unmap the attribute, or correct the value in Bob. To have it written at once, request a sync of the EmployeeSync.";
    }
}

reasons! {
    /// Reasons of `Ready` on a `ProvisioningIntegration`.
    IntegrationReason {
        Converged: "The last pass finished.", "Nothing; people who fail are in `EmployeesFailing`.";
        Suspended: "`spec.suspend` is set.", "Remove `spec.suspend` to start again.";
        DryRun: "`spec.mode` is DryRun: the plan is in `status.plan`, nothing was written to the provider.", "Set `mode: Enforce` when the plan is right.";
        Progressing: "First pass, or a new generation that is not yet seen through.", "Wait.";
        PlanHeld: "A guard holds changes; the `PlanHeld` condition says which and why.", "Look at `status.plan`; approve it with `spec.approvedPlan`, or remove the cause.";
        ClusterUnavailable: "The Kubernetes API server did not answer a read that a pass needs (a Secret), or not with what was asked.", "Nothing; it is tried again by itself. Look at the API server if it lasts.";
        BobUnavailable: "Bob did not answer, or not with what was asked, or asked for a pause; the message then says until when.", "Nothing; it is tried again by itself. See Bob's status page if it lasts.";
        ProviderUnavailable: "The provider did not answer, or not with what was asked, or asked for a pause; the message then says until when.", "Nothing; it is tried again by itself. See the provider's status page if it lasts.";
        SourceSuspect: "Bob's answer is well-formed but implausibly short, or a lifecycle status is missing as a whole; the message says which.", "Check the service user's access rights in Bob: it must see every lifecycle status. If so many people have really gone, request a sync of the integration, or wait until a later answer agrees. If the only employee with a lifecycle status has really gone, request a sync of the EmployeeSync.";
        TargetSuspect: "Implausibly many accounts on record are not at the provider: not in its listing, and not by their ids.", "Check the credential's scope, and whether accounts were deleted at the provider. If they have really gone, request a sync of the integration, or wait until a pass half an interval later agrees; they are then made again.";
        NamespaceNotListed: "The controller cannot list the EmployeeSyncs of this namespace, so it does not know who is pinned, and begins nothing.", "Give the controller the right to list and watch `employeesyncs` in this namespace (the chart's `namespaces`); it begins by itself.";
        SecretNotFound: "A Secret, or a key in it, does not exist.", "Create the Secret that the message names, with that key; it is noticed within a minute.";
        BobUnauthorized: "Bob refused the service user.", "Correct the service user's id or token in the Secret. Bob is asked again when the Secret or the spec changes or a sync is requested, and else once an hour, because Bob blocks addresses that keep trying.";
        BobForbidden: "The service user may not read what the settings need.", "Put the service user into a permission group with the fields that the message names. It is tried again by itself; a sync request tries at once.";
        ProviderUnauthorized: "The provider refused the credential.", "Correct the credential in the Secret. It is tried again by itself, and a changed Secret within a minute; a new secret may be known to the provider only after some seconds.";
        ProviderForbidden: "The credential lacks a permission.", "Give the credential the permission that the message names (OneLogin: Manage users; Google Workspace: domain-wide delegation, and an administrator who may manage users; Entra ID: the application permissions User.ReadWrite.All and User.RevokeSessions.All, with admin consent; JumpCloud: an administrator whose role may manage users).";
        InvalidSettings: "The spec asks for something that cannot be, or the provider refuses what the mapping makes of it for one employee after another.", "Correct what the message names. A changed spec is looked at within seconds.";
        TenantTaken: "All employees fail because another integration manages them at the same tenant; the message names it.", "Let only one of the two do so: give them different scopes, or suspend or delete one.";
        EndpointNotAllowed: "The controller was not started with `--allow-endpoint` for an `endpoint` of this integration.", "Ask the operator to allow it, or remove `endpoint`.";
    }
}

reasons! {
    /// Reasons of the other conditions, on both resources.
    DetailReason {
        Created: "The account was created by bobsync.", "Nothing.";
        Matched: "The account was found by its mark or adopted by e-mail.", "Nothing.";
        SeveralAccounts: "Several accounts match this employee.", "See `Ready`.";
        WouldAdopt: "An account with this e-mail exists; it is shown as it is, and nothing has been written to it.", "Nothing; it is adopted with the first write. See `Ready`.";
        NotAdopted: "An account with this e-mail exists; it is shown as it is, and bobsync never writes to it.", "See `Ready`.";
        NoAccount: "There is no account.", "Nothing; `Ready` says whether there should be one.";
        Equal: "Every mapped attribute is as decided.", "Nothing.";
        Differs: "Some mapped attributes are not as decided yet.", "See `Ready`.";
        KeptDifferently: "The provider keeps values in another form than they were sent (with single blanks, cut, or as a rule of the tenant has it); the message names the attributes. They are written again when either side changes. False where no form lasted for three writes: the attribute is written no more until its value in Bob changes or it is in place.", "Nothing, if the form is all right. Else write the value in Bob as the provider keeps it, or change the rule at the provider, or unmap the attribute.";
        AsDecided: "Access is as decided.", "Nothing.";
        NotAsDecided: "Access is not as decided yet.", "See `Ready`.";
        AwaitingActivation: "The account is made and staged: it is left so until an administrator activates it.", "Activate it at the provider (JumpCloud: Users, Activate).";
        NotManaged: "The settings leave this account alone.", "See `Ready`.";
        Resolved: "The manager's account is known, or there is no manager to set.", "Nothing.";
        ManagerNotManaged: "The manager has no account that bobsync manages.", "Nothing; the attribute is left as it is.";
        ManagerPending: "The manager's account is not there yet.", "Nothing; it is set when the account exists.";
        Connected: "The last call succeeded.", "Nothing.";
        LifecyclesMissing: "Bob answers, and has never shown an employee who is Hired or Terminated, in a company of 50 or more; or it has shown employees who are Terminated, and shows none any more.", "Widen the access rights of the service user's permission group in Bob to all lifecycle statuses (Hired, Employed, Terminated, every leave).";
        SitesHaveZones: "Every site of an employee is in `bob.siteTimeZones`, and every site there has employees.", "Nothing.";
        SiteWithoutZone: "Employees have sites that `bob.siteTimeZones` does not list, or it lists sites that no employee has; the message names them. Dates of unlisted sites count in `bob.timeZone`.", "List every site in `bob.siteTimeZones` as Bob writes it.";
        Complete: "Every mapped target exists and every mapped field was readable.", "Nothing.";
        TargetUnavailable: "The provider does not have a mapped target.", "Define the attribute at the provider, or unmap it.";
        SourceUnavailable: "Bob sends a mapped field for nobody.", "Check the field id, and the service user's right to view it.";
        BudgetExceeded: "More changes of a kind than its budget allows within the window.", "Approve the plan with `spec.approvedPlan`, or remove the cause.";
        FieldBlackout: "An attribute would be blanked or changed for too many people at once.", "Correct the field in Bob or the mapping, or approve the plan with `spec.approvedPlan`.";
        RestoredWithoutStatus: "The integration began without a status, as after a restore that leaves statuses out: from whom Bob had revoked access at once is not known any more, so no suspended account that bears its mark is given access again.", "Look at who would get access again (`kubectl get esync`, reason Held): set `spec.suspend` on the EmployeeSync of those who must not. Then approve the plan with `spec.approvedPlan`.";
        ScopeShrink: "More employees than `safety.scopeShrink` allows would leave management at once; they stay managed meanwhile.", "Correct `emailDomains` or `scope` (or the value in Bob that the scope rests on); or approve it with `spec.approvedPlan`.";
        NothingHeld: "No guard holds anything.", "Nothing.";
        NoneFailing: "Nobody fails.", "Nothing.";
        SomeFailing: "Some people fail; the message counts them by reason.", "`kubectl get esync` shows who and why.";
        Accepting: "Webhooks that are signed with the Secret's value are taken.", "Nothing.";
        SecretMissing: "The Secret of `spec.bob.webhookSecretRef`, or its key, cannot be read, so webhooks are refused; the interval goes on.", "Create the Secret that the message names, with that key.";
        PartRestarted: "A part of the controller ended without being asked to, and was started again; told until the next successful pass.", "Report it with the controller's log around the line \"a part of the process ended\".";
        NamespaceNotListed: "The controller cannot list a namespace that it was started with; the integrations there do not run, or do not see changes. This one runs.", "Give the controller the rights in the namespace that the message names, or take it out of `--namespace`.";
        UpToDate: "Nothing is in progress.", "Nothing.";
        NothingStalled: "Nobody has to act.", "Nothing.";
    }
}

impl EmployeeReason {
    /// Returns whether `Ready` is True with this reason.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(
            self,
            Self::InSync
                | Self::NotDue
                | Self::AwaitingChange
                | Self::Drifted
                | Self::DomainNotListed
                | Self::OutOfScope
                | Self::HandsOff
        )
    }

    /// Returns whether the employee counts as failing: `Ready` is False, and the employee waits
    /// neither for a turn nor for a guard.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !self.is_ready() && !matches!(self, Self::Pending | Self::Held | Self::Frozen)
    }

    /// Returns whether a person should act (`Stalled` True). The controller still keeps trying.
    #[must_use]
    pub const fn is_stalled(self) -> bool {
        matches!(
            self,
            Self::Rejected
                | Self::Conflict
                | Self::Ambiguous
                | Self::MissingAttribute
                | Self::MappingFailed
                | Self::Forbidden
                | Self::SuspendByHand
                | Self::ManagedElsewhere
                | Self::NoLicence
                | Self::Contested
                | Self::NotRecorded
        )
    }
}

impl IntegrationReason {
    /// Returns whether `Ready` is True with this reason.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Converged | Self::Suspended | Self::DryRun)
    }

    /// Returns whether a person should act (`Stalled` True). The controller still keeps trying.
    #[must_use]
    pub const fn is_stalled(self) -> bool {
        matches!(
            self,
            Self::NamespaceNotListed
                | Self::SecretNotFound
                | Self::BobUnauthorized
                | Self::BobForbidden
                | Self::ProviderUnauthorized
                | Self::ProviderForbidden
                | Self::InvalidSettings
                | Self::EndpointNotAllowed
                | Self::TenantTaken
        )
    }
}

/// Returns `docs/reasons.md`. It has one table for each list, and is generated so that page and
/// code cannot differ.
#[must_use]
pub fn markdown() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Reasons\n\nGenerated by `make generate` from `src/api/reasons.rs`. Every `reason` of a condition is in\none of these tables.\n\n\
         `Stalled` True says that a person should act. It never means that bobsync has given up: it keeps\ntrying.\n",
    );
    let mut table = |title: &str, rows: Vec<(String, &str, &str, &str)>| {
        let _ = write!(
            page,
            "\n## {title}\n\n| `Ready` | reason | it means | what to do |\n| --- | --- | --- | --- |\n"
        );
        for (ready, reason, meaning, todo) in rows {
            let _ = writeln!(page, "| {ready} | `{reason}` | {meaning} | {todo} |");
        }
    };
    let ready = |ready: bool, stalled: bool| {
        match (ready, stalled) {
            (true, _) => "True",
            (false, true) => "False, `Stalled` True",
            (false, false) => "False",
        }
        .to_owned()
    };
    table(
        "EmployeeSync",
        EmployeeReason::ALL
            .iter()
            .map(|r| (ready(r.is_ready(), r.is_stalled()), r.as_str(), r.meaning(), r.what_to_do()))
            .collect(),
    );
    table(
        "ProvisioningIntegration",
        IntegrationReason::ALL
            .iter()
            .map(|r| (ready(r.is_ready(), r.is_stalled()), r.as_str(), r.meaning(), r.what_to_do()))
            .collect(),
    );
    page.push_str(
        "\n## The types of conditions\n\n| type | resource | True means |\n| --- | --- | --- |\n",
    );
    for kind in Type::ALL {
        let on = match kind.on() {
            On::Employee => "EmployeeSync",
            On::Integration => "ProvisioningIntegration",
            On::Both => "both",
        };
        let _ = writeln!(page, "| `{}` | {on} | {} |", kind.as_str(), kind.meaning());
    }
    page.push_str(
        "\n## The other conditions\n\n| reason | it means | what to do |\n| --- | --- | --- |\n",
    );
    for reason in DetailReason::ALL {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            reason.as_str(),
            reason.meaning(),
            reason.what_to_do()
        );
    }
    page
}
