//! The rules of the resource about targets are made from each provider's catalog. These tests
//! compare what both accept.

use std::collections::HashMap;

use cel::{Context, Program, Value};
use serde_json::json;

use super::CATALOGS;
use crate::provider::Catalog;

/// Returns the rules of the resource about the target of one row of this provider.
fn rules(provider: &str) -> Vec<Program> {
    let texts = super::super::rules::all().into_iter().map(|rule| rule.rule);
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
    let all = || catalog.targets().iter().map(|field| field.target);
    let mut names: Vec<String> = all().map(str::to_owned).collect();
    names.extend(all().map(|name| format!("{name}x")));
    names.extend(all().map(str::to_uppercase));
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
            let compare = catalog.compare(&name);
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
        assert!(known > catalog.targets().len(), "{provider}: {known}");
        for name in catalog.required {
            let fixed = catalog.targets().iter().filter(|field| field.is_fixed());
            assert!(fixed.into_iter().any(|field| field.target == *name), "{provider}: {name}");
        }
    }
}
