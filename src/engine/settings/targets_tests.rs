//! The targets of a mapping are listed in two places: in the rules of the resource, and in each
//! provider's catalog. These tests compare both.

use std::collections::HashMap;

use cel::{Context, Program, Value};
use kube::CustomResourceExt as _;
use serde_json::json;

use super::CATALOGS;
use crate::{api::ProvisioningIntegration, provider::Catalog};

/// Returns the rules of the resource about the target of one row of this provider.
fn rules(provider: &str) -> Vec<Program> {
    let crd = serde_json::to_value(ProvisioningIntegration::crd()).unwrap();
    let properties = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let rules = properties["spec"]["x-kubernetes-validations"].clone();
    let texts =
        rules.as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap().to_owned());
    let own = texts.filter(|text| {
        text.contains(&format!("has(self.provider.{provider})"))
            && text.contains("self.mapping.all(m, ")
    });
    own.map(|text| Program::compile(&text).unwrap()).collect()
}

fn admits(rules: &[Program], provider: &str, target: &str, field: &str) -> bool {
    let mut context = Context::default();
    let added = context.add_function(
        "matches",
        |cel::extractors::This(text): cel::extractors::This<std::sync::Arc<String>>,
         pattern: std::sync::Arc<String>| {
            regex::Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(&text))
        },
    );
    added.expect("a function");
    let settings = HashMap::from([(provider, json!({"markAttribute": "extension_of_nobody"}))]);
    let spec = json!({"provider": settings, "provisioning": {},
        "mapping": [{"target": target, "field": field}]});
    context.add_variable("self", spec).unwrap();
    rules.iter().all(|rule| rule.execute(&context).unwrap() == Value::Bool(true))
}

/// Returns names that may be targets: parts of real names in new combinations.
fn names(catalog: &Catalog) -> Vec<String> {
    const PARTS: [&str; 40] = [
        "phones",
        "relations",
        "externalIds",
        "organizations",
        "customSchemas",
        "addresses",
        "locations",
        "custom_attributes",
        "attributes",
        "phoneNumbers",
        "onPremisesExtensionAttributes",
        "extensionAttribute1",
        "extensionAttribute15",
        "extensionAttribute16",
        "work",
        "custom",
        "bobsync",
        "bobsyncEmployeeId",
        "title",
        "streetAddress",
        "locality",
        "country",
        "area",
        "deskCode",
        "manager",
        "a_b",
        "a-b",
        "Ü",
        "",
        " ",
        "employeeOrgData",
        "division",
        "extension_0123456789abcdef0123456789ABCDEF_cell",
        "extension_0123_cell",
        "emails",
        "enterprise",
        "department",
        "urn:x:y:badge",
        "urn:x:badge",
        "urn:ietf:params:scim:schemas:core:2",
    ];
    let mut state = 0x9E37_79B9_u64;
    let mut pick = |most: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % most
    };
    let mut names: Vec<String> = catalog.targets.iter().map(|name| (*name).to_owned()).collect();
    names.extend(catalog.targets.iter().map(|name| format!("{name}x")));
    names.extend(catalog.targets.iter().map(|name| name.to_uppercase()));
    while names.len() < 1_200 {
        let parts: Vec<&str> = (0..=pick(3)).map(|_| PARTS[pick(PARTS.len())]).collect();
        names.push(parts.join("."));
    }
    names
}

#[test]
fn the_rules_of_the_resource_and_the_catalogs_know_the_same_targets() {
    for (provider, catalog) in CATALOGS.iter().copied() {
        let rules = rules(provider);
        assert!(rules.len() >= 2, "{provider}");
        let mut known = 0;
        for name in names(catalog) {
            let compare = (catalog.compare)(&name);
            let field = if compare.is_some_and(crate::domain::mapping::Compare::is_person) {
                "work.manager"
            } else {
                "work.title"
            };
            assert_eq!(
                admits(&rules, provider, &name, field),
                compare.is_some(),
                "{provider}: {name:?}"
            );
            known += usize::from(compare.is_some());
        }
        assert!(known > catalog.targets.len(), "{provider}: {known}");
        for name in catalog.targets.iter().chain(catalog.required) {
            assert!(
                (catalog.compare)(name).is_some() && catalog.targets.contains(name),
                "{provider}: {name}"
            );
        }
    }
}
