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

            /// Returns what a person should do about it, whatever the case. What helps in one case
            /// is said by the message of the condition.
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
        NotDue: "There is no account yet, because of `provisioning.create`.",
            "Nothing. `nextTransition` says when it is created.";
        AwaitingChange: "The employee was in Bob before the integration, and `existingEmployees: \
            OnChange` waits for a change.",
                "Nothing. To bring all employees in sync now, set `existingEmployees: NextPass`.";
        Drifted: "A person changed the account at the provider, and `safety.driftPolicy: Report` \
            only reports it. `AttributesSynced` names the attributes.",
                "Set the value back at the provider, change it in Bob, or set `driftPolicy: \
                 Correct`.";
        DomainNotListed: "The domain of the work e-mail is not in `provisioning.emailDomains`, so \
            the employee is not managed.", "Add the domain, if this employee should be managed.";
        OutOfScope: "`provisioning.scope` leaves this employee out, so the employee is not \
            managed.", "Change the expression, if this employee should be managed.";
        HandsOff: "bobsync leaves the account as it is. The message says why: `spec.suspend` is \
            set on this EmployeeSync, or this version cannot read its spec, or \
            `safety.protectedAccounts` lists the account, or the provider says that the account is \
            an administrator's.", "To let bobsync manage the account again, remove the cause: \
                `spec.suspend`, the part of the spec that cannot be read, the account from the \
                list, or the administrator's role. If a newer version wrote the spec, run that \
                version.";
        Pending: "bobsync has decided what to do. It waits for its turn, or until the provider's \
            accounts are read.", "Nothing. If it lasts, look at the integration, which says what \
                bobsync waits for and until when.";
        Held: "Part of a plan that a guard holds.",
            "Look at `PlanHeld` of the integration. Approve the plan, or remove its cause.";
        Frozen: "An attribute is frozen, because it would change for too many employees at once. \
            The rest of the account is in sync.",
                "Look at `PlanHeld` of the integration. Approve the plan, or correct the field in \
                 Bob or the mapping.";
        Retrying: "The provider limited the calls or could not be reached, or the outcome of a \
            write is not known.", "Nothing. bobsync tries again by itself. If it lasts, look at \
                the provider's status page.";
        Rejected: "The provider refused a value. The message names the attribute, if the provider \
            does. Then the rest of the change was written without it, unless the attribute is \
            required for a new account.", "Correct the field in Bob or the mapping row. bobsync \
                tries the write again by itself, less and less often.";
        Conflict: "Another account has this e-mail or username, or the matching account belongs to \
            another employee, or another integration manages the employee. The message says which \
            case it is.", "Do what the message says: take the e-mail or username from the other \
                account at the provider, correct it in Bob, correct the mark, or let only one \
                integration manage the employee.";
        Ambiguous: "Several accounts match this employee.",
            "At the provider, let only one account have this e-mail or mark.";
        MissingAttribute: "A required target has no value, in Bob or because `spec.attributes` of \
            the EmployeeSync empties it. The message says which.",
                "Fill in the field in Bob that the message names, or correct `spec.attributes`.";
        MappingFailed: "An expression failed for this employee, or `spec.attributes` of the \
            EmployeeSync names a target that the provider does not have, or an address has an \
            invisible character or a full-width letter. The message names the target and the \
            cause. (Letters of every alphabet, such as Cyrillic ones, are taken as they are.)",
                "Correct the expression, the EmployeeSync, or the field in Bob that the message \
                 names. If an address was pasted, type it again.";
        Forbidden: "The credential may not change this account. (If access should be taken and the \
            account is still open, the reason is `SuspendByHand`.)",
                "Give the credential the right that the message names, or set `spec.suspend` on \
                 this EmployeeSync.";
        SuspendByHand: "Access should be taken, the account is still open, and bobsync may not \
            suspend it. The message says why: `safety.protectedAccounts` lists the account, or the \
            provider says that it is an administrator's, or bobsync itself uses this account, or \
            the provider refuses the change (an administrator that the credential may not change, \
            the owner of the OneLogin tenant, a missing right).",
                "Suspend the account at the provider by hand. To let bobsync do it, take the \
                 account off the list, or give the credential the right, as the message says. \
                 bobsync keeps trying by itself. With \
                 `safety.administrators: Suspend` it also suspends administrators who leave, if \
                 the credential may change them.";
        ManagedElsewhere: "Another directory manages this account: the account is synchronised \
            from there, or it is a guest.",
                "Change the account in that directory, or set `spec.suspend` on this EmployeeSync.";
        NotRecorded: "The API server refuses this EmployeeSync or its status: because of a quota, \
            an admission policy, an admission webhook or a missing right. The account is managed \
            nevertheless. Only `EmployeesFailing` of the integration shows this reason: its \
            message names the object and what the API server said.",
                "Do what that answer asks for: raise the quota, or change the policy, the webhook \
                 or the rights. bobsync writes the object again by itself.";
        NoIntegration: "The integration that `spec.integrationRef` names does not exist in this \
            namespace, or it is being deleted. Nothing is read and nothing is written for this \
            employee. The account, `access` and the history are as they were last seen. The \
            conditions about attributes, access and the manager, and `nextTransition`, are \
            removed, because nothing is compared and nothing is to come.",
                "Create the integration. If its name is wrong, delete this EmployeeSync and create \
                 another one, because the name cannot be changed. If the integration is not to \
                 come back, delete this EmployeeSync.";
        NoLicence: "The account exists and cannot be used, because it has no licence (OneLogin: \
            state Unlicensed).", "Free a licence at the provider, or buy one. Then give it to this \
                account. In bobsync there is nothing to do.";
        Contested: "Another writer at the provider (another tool, another cluster) sets an \
            attribute back again and again. bobsync has written the value six times within the \
            `per` of `safety.updates`, and it was changed back each time. The message names the \
            attribute. bobsync leaves it as it is until `per` after the last write, and then \
            writes it once more. If the value stays, the reason goes away by itself. Access and \
            all other attributes go on.", "Stop the other writer, or remove the mapping row, or \
                correct the value in Bob. To have the value written at once, request a sync of the \
                EmployeeSync.";
    }
}

reasons! {
    /// Reasons of `Ready` on a `ProvisioningIntegration`.
    IntegrationReason {
        Converged: "The last pass finished.",
            "Nothing. `EmployeesFailing` counts the employees who fail.";
        Suspended: "`spec.suspend` is set.", "Remove `spec.suspend` to start again.";
        DryRun: "`spec.mode` is DryRun. The plan is in `status.plan`. Nothing was written to the \
            provider.", "Set `mode: Enforce` when the plan is right.";
        Progressing: "The first pass is not complete, or no pass with the new generation of the \
            spec is.", "Wait.";
        PlanHeld: "A guard holds changes. The condition `PlanHeld` says which changes and why.",
            "Look at `status.plan`. Approve it with `bobsync approve` or `spec.approvedPlan`, or \
             remove the cause.";
        ClusterUnavailable: "The Kubernetes API server did not answer a read that a pass needs (of \
            a Secret), or it gave a wrong answer.",
                "Nothing. bobsync tries again by itself. If it lasts, look at the API server.";
        BobUnavailable: "Bob did not answer, or gave a wrong answer, or asked for a pause. For a \
            pause, the message says until when.",
                "Nothing. bobsync tries again by itself. If it lasts, look at Bob's status page.";
        ProviderUnavailable: "The provider did not answer, or gave a wrong answer, or asked for a \
            pause. For a pause, the message says until when.",
                "Nothing. bobsync tries again by itself. If it lasts, look at the provider's \
                 status page.";
        SourceSuspect: "Bob's answer is well-formed, but far too many employees are missing, or \
            all employees with one lifecycle status are missing. The message says which. bobsync \
            does not act on who is missing.",
                "Check the access rights of the service user in Bob: it must see every lifecycle \
                 status. If so many employees have really left Bob, request a sync of the \
                 integration, or wait until a later answer says the same. If the only employee \
                 with a lifecycle status has really left Bob, request a sync of the EmployeeSync.";
        TargetSuspect: "Far too many recorded accounts are missing at the provider: in its listing \
            and by their ids. Or the pages of a SCIM server's listing do not fit together. bobsync \
            does not act on which are missing.",
                "Check which accounts the credential may see, and whether accounts were deleted at \
                 the provider. If they were really deleted, request a sync of the integration, or \
                 wait until a pass half an interval later finds the same. bobsync then creates \
                 them again.";
        NamespaceNotListed: "The controller cannot list the EmployeeSyncs of this namespace. So it \
            does not know which employees have their own settings, and begins nothing.",
                "Give the controller the right to list and watch `employeesyncs` in this namespace \
                 (`namespaces` of the chart). It then begins by itself.";
        SecretNotFound: "A Secret, or a key in it, does not exist.",
            "Create the Secret that the message names, with that key. bobsync notices it within a \
             minute.";
        BobUnauthorized: "Bob refused the service user.",
            "Correct the service user's id or token in the Secret. bobsync asks again at once if \
             the Secret or the spec changes or if a sync is requested. Else it asks only once an \
             hour, because Bob blocks addresses that keep trying.";
        BobForbidden: "The service user may not read what the settings need.",
            "Put the service user into a permission group that may view the fields that the \
             message names. bobsync tries again by itself. With a sync request it tries at once.";
        ProviderUnauthorized: "The provider refused the credential.",
            "Correct the credential in the Secret. bobsync tries again by itself, and notices a \
             changed Secret within a minute. A provider may need some seconds until it accepts a \
             new secret.";
        ProviderForbidden: "The credential lacks a permission.",
            "Give the credential the permission that the message names. The provider's page in \
             docs/providers lists all rights that bobsync needs.";
        InvalidSettings: "The spec asks for something that is not possible, or the provider \
            refuses what the mapping gives for one employee after another, or the CRDs in the \
            cluster are older than this version of bobsync, so that the API server leaves out \
            settings.",
                "Correct what the message names. bobsync notices a changed spec and changed CRDs \
                 within seconds.";
        TenantTaken: "All employees fail, because another integration manages them at the same \
            tenant. The message names it.",
                "Let only one of the two manage them: give them different scopes, or suspend or \
                 delete one of them.";
        EndpointNotAllowed: "This integration has an `endpoint`, and the controller was not \
            started with `--allow-endpoint` for it.",
                "Ask the operator of the controller to allow it, or remove `endpoint`.";
    }
}

reasons! {
    /// Reasons of the other conditions, on both resources.
    DetailReason {
        Created: "bobsync created the account.", "Nothing.";
        Matched: "bobsync found the account by its mark, or adopted it by its e-mail.", "Nothing.";
        SeveralAccounts: "Several accounts match this employee.", "See `Ready`.";
        WouldAdopt: "An account with this e-mail exists. The status shows it as it is, and bobsync \
            has not written to it yet.", "Nothing. The first write adopts it. See `Ready`.";
        NotAdopted: "An account with this e-mail exists. The status shows it as it is, and bobsync \
            never writes to it.", "See `Ready`.";
        NoAccount: "This integration has no account of the employee.",
            "Nothing. `Ready` says whether there should be one.";
        Equal: "Every mapped attribute is as decided.", "Nothing.";
        Differs: "Some mapped attributes are not as decided yet.", "See `Ready`.";
        KeptDifferently: "The provider keeps values in another form than bobsync sent (with single \
            spaces, cut, or changed by a rule of the tenant). The message names the attributes. \
            bobsync writes them again when either side changes. The condition is False if no form \
            lasted for three writes: then bobsync does not write the attribute again until its \
            value in Bob changes or the value is in place.",
                "Nothing, if the form is right. Else write the value in Bob as the provider keeps \
                 it, or change the rule at the provider, or remove the mapping row.";
        AsDecided: "Access is as decided.", "Nothing.";
        NotAsDecided: "Access is not as decided yet.", "See `Ready`.";
        AwaitingActivation: "The account was created and is staged. bobsync leaves it so until an \
            administrator activates it.", "Activate it at the provider.";
        NotManaged: "The settings leave this employee out.", "See `Ready`.";
        Resolved: "The manager's account is known, or there is no manager to set.", "Nothing.";
        ManagerNotManaged: "The manager has no account that bobsync manages.",
            "Nothing. The attribute stays as it is.";
        ManagerPending: "The manager's account does not exist yet.",
            "Nothing. bobsync sets the attribute when the account exists.";
        Connected: "The last call succeeded.", "Nothing.";
        LifecyclesMissing: "Bob answers, but lifecycle statuses seem to be missing. Either it has \
            never shown an employee who is Hired or Terminated, in a company of 50 or more. Or it \
            has shown Terminated employees before and shows none now.",
                "In Bob, let the permission group of the service user see all lifecycle statuses \
                 (Hired, Employed, Terminated, every leave).";
        SitesHaveZones: "Every site of an employee is in `bob.siteTimeZones`, and every site there \
            has employees.", "Nothing.";
        SiteWithoutZone: "Employees have sites that `bob.siteTimeZones` does not list, or it lists \
            sites that no employee has. The message names them. For sites that are not listed, \
            dates count in the time zone `bob.timeZone`.",
                "List every site in `bob.siteTimeZones` as Bob writes it.";
        Complete: "Every mapped target exists, and every mapped field could be read.", "Nothing.";
        TargetUnavailable: "The provider does not have a mapped target.",
            "Define the attribute at the provider, or remove the mapping row.";
        SourceUnavailable: "Bob sends a mapped field for no employee.",
            "Check the field's id, and whether the service user may view the field.";
        BudgetExceeded: "There are more changes of one kind than its budget allows within the \
            window.", "Approve the plan with `spec.approvedPlan`, or remove the cause.";
        FieldBlackout: "An attribute would be changed or cleared for too many employees at once.",
            "Correct the field in Bob or the mapping, or approve the plan with \
             `spec.approvedPlan`.";
        RestoredWithoutStatus: "The integration began without a status, as after a restore that \
            leaves statuses out. So bobsync no longer knows for which employees Bob revoked access \
            immediately. It gives no access back to a suspended account that has the mark.",
                "Look at the employees who would get access back (`kubectl get esync`, reason \
                 Held). Set `spec.suspend` on the EmployeeSync of those who must not. Then approve \
                 the plan with `spec.approvedPlan`.";
        ScopeShrink: "More employees would leave management at once than `safety.scopeShrink` \
            allows. Until then they stay managed.",
                "Correct `emailDomains` or `scope` (or the value in Bob that the scope uses), or \
                 approve the plan with `spec.approvedPlan`.";
        NothingHeld: "No guard holds anything.", "Nothing.";
        NoneFailing: "No employee fails.", "Nothing.";
        SomeFailing: "Some employees fail. The message counts them by reason.",
            "`kubectl get esync` shows which employees fail and why.";
        Accepting: "Webhooks that are signed with the Secret's value are accepted.", "Nothing.";
        SecretMissing: "The Secret of `spec.bob.webhookSecretRef`, or its key, cannot be read. So \
            webhooks are refused. The full passes of the interval go on.",
                "Create the Secret that the message names, with that key.";
        PartRestarted: "A part of the controller ended unexpectedly and was started again. This is \
            shown until the next successful pass.",
                "Report it as a defect, with the controller's log around the line \"a part of the \
                 process ended\".";
        NamespaceNotListed: "The controller cannot list objects in a namespace that it was started \
            with. The integrations there do not run, or do not see changes. This one runs.",
                "Give the controller the rights in the namespace that the message names, or remove \
                 the namespace from `--namespace`.";
        UpToDate: "Nothing is in progress.", "Nothing.";
        NothingStalled: "No person has to act.", "Nothing.";
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
                | Self::NoIntegration
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
        "# Reasons\n\nGenerated by `make generate` from `src/api/reasons.rs`. Every `reason` of a \
         condition is in\none of these tables.\n\n\
         `Stalled` True says that a person should act. It never means that bobsync has given up: \
         bobsync\nkeeps trying.\n",
    );
    let mut table = |title: &str, rows: Vec<(String, &str, &str, &str)>| {
        let _ = write!(
            page,
            "\n## {title}\n\n| `Ready` | reason | it means | what to do |\n| --- | --- | --- | --- \
             |\n"
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
