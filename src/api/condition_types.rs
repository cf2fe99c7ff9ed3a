//! The closed list of condition types. A condition's `type` is one of these words and nothing else;
//! `docs/reasons.md` is generated from this file and from `reasons.rs`.

/// A resource that has conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// `EmployeeSync`.
    Employee,
    /// `ProvisioningIntegration`.
    Integration,
    /// Both.
    Both,
}

macro_rules! types {
    ($($variant:ident: $on:ident, $meaning:literal;)*) => {
        /// The type of a condition.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Type { $(#[doc = $meaning] $variant,)* }

        impl Type {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the word as it is in a condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// Returns what True means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Returns which resource has it.
            #[must_use]
            pub const fn on(self) -> On {
                match self { $(Self::$variant => On::$on,)* }
            }
        }
    };
}

types! {
    Ready: Both, "Everything is as the settings ask. If it is False, the reason says what is \
        missing.";
    Reconciling: Integration, "A full pass runs or is tried again.";
    Stalled: Both, "A person should act. bobsync keeps trying.";
    BobConnected: Integration, "The last call to Bob succeeded.";
    ProviderConnected: Integration, "The last call to the provider succeeded.";
    MappingComplete: Integration, "Every mapped target exists at the provider, and Bob shows every \
        mapped field.";
    TimeZonesComplete: Integration, "Every site of an employee has a time zone.";
    WebhooksAccepted: Integration, "Signed webhooks are accepted.";
    PlanHeld: Integration, "A guard holds changes until a person approves them or the cause is \
        gone.";
    EmployeesFailing: Integration, "Some employees fail. The message counts them by reason.";
    ControllerHealthy: Integration,
        "It is never True. The condition exists, and is False, only while there is something to \
         report about the controller itself.";
    Provisioned: Employee, "The account exists.";
    AttributesSynced: Employee, "Every mapped attribute is as decided.";
    AccessSynced: Employee, "Access is as decided.";
    ManagerResolved: Employee, "The manager's account is known, or there is no manager to set.";
}

impl Type {
    /// The types of an integration that a status keeps while no pass has anything to say of them.
    pub const KEPT: [Self; 7] = [
        Self::BobConnected,
        Self::ProviderConnected,
        Self::WebhooksAccepted,
        Self::MappingComplete,
        Self::TimeZonesComplete,
        Self::PlanHeld,
        Self::EmployeesFailing,
    ];
}

impl AsRef<str> for Type {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<Type> for String {
    fn eq(&self, other: &Type) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<String> for Type {
    fn eq(&self, other: &String) -> bool {
        other == self
    }
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;
    use crate::api::{EmployeeSync, ProvisioningIntegration};

    #[test]
    fn what_kubectl_explain_says_of_conditions_names_every_type_of_the_resource_and_no_other() {
        for (crd, own) in
            [(ProvisioningIntegration::crd(), On::Integration), (EmployeeSync::crd(), On::Employee)]
        {
            let crd = serde_json::to_value(crd).expect("JSON");
            let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/\
                conditions/description";
            let description =
                crd.pointer(path).and_then(|text| text.as_str()).expect("a description");
            for kind in Type::ALL {
                let has = kind.on() == own || kind.on() == On::Both;
                assert_eq!(
                    description.contains(&format!("`{}`", kind.as_str())),
                    has,
                    "{kind:?}: {description}"
                );
            }
        }
    }

    #[test]
    fn the_types_that_a_status_keeps_are_all_of_an_integration_that_no_pass_says_anew() {
        let own = Type::ALL.iter().filter(|kind| kind.on() != On::Employee);
        let kept: Vec<_> = own
            .filter(|kind| {
                ![Type::Ready, Type::Reconciling, Type::Stalled, Type::ControllerHealthy]
                    .contains(kind)
            })
            .collect();
        assert!(
            kept.len() == Type::KEPT.len() && kept.iter().all(|kind| Type::KEPT.contains(kind)),
            "{kept:?}"
        );
    }
}
