//! Server-side apply of YAML with any number of documents.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client, ResourceExt};

const FIELD_MANAGER: &str = "testbed";
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

/// Applies every document and returns once each custom resource that it defines is served.
///
/// Namespaces and definitions go first, the rest in the given order. An object that needs a
/// namespace and names none goes into `default`. Fields of other owners are taken over.
pub(crate) async fn apply_yaml(client: &Client, yaml: &str) -> Result<()> {
    let mut objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(yaml).context("parsing YAML")?;
    objects.sort_by_key(|object| match kind(object) {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        _ => 2,
    });
    let mut known: Vec<(GroupVersionKind, ApiResource, ApiCapabilities)> = Vec::new();
    let mut definitions = Vec::new();
    for object in &objects {
        if kind(object) != "CustomResourceDefinition" {
            await_definitions(client, std::mem::take(&mut definitions)).await?;
        }
        let types =
            object.types.as_ref().with_context(|| format!("{} has no kind", object.name_any()))?;
        let gvk = GroupVersionKind::try_from(types)?;
        if !known.iter().any(|(other, ..)| *other == gvk) {
            let (resource, capabilities) = pinned_kind(client, &gvk)
                .await
                .with_context(|| format!("looking up {} {}", types.api_version, types.kind))?;
            known.push((gvk.clone(), resource, capabilities));
        }
        let (_, resource, capabilities) =
            known.iter().find(|(other, ..)| *other == gvk).context("looked up just now")?;
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Cluster => Api::all_with(client.clone(), resource),
            Scope::Namespaced => {
                let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
                Api::namespaced_with(client.clone(), &namespace, resource)
            }
        };
        let name = object.name_any();
        api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
            .await
            .with_context(|| format!("applying {} {name}", types.kind))?;
        if kind(object) == "CustomResourceDefinition" {
            definitions.push(name);
        }
    }
    await_definitions(client, definitions).await
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

async fn await_definitions(client: &Client, names: Vec<String>) -> Result<()> {
    for name in names {
        tokio::time::timeout(ESTABLISHED_WITHIN, await_definition(client, &name))
            .await
            .with_context(|| format!("{name} was not served within {ESTABLISHED_WITHIN:?}"))??;
    }
    Ok(())
}

/// Established does not mean served; the kind must be listed and readable.
async fn await_definition(client: &Client, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    await_condition(definitions.clone(), name, conditions::is_crd_established()).await?;
    let spec = definitions.get(name).await?.spec;
    for version in spec.versions.iter().filter(|version| version.served) {
        let gvk = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        let start = Instant::now();
        loop {
            if let Ok((resource, _)) = pinned_kind(client, &gvk).await {
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                if api.list(&ListParams::default().limit(1)).await.is_ok() {
                    break;
                }
            }
            if start.elapsed() > ESTABLISHED_WITHIN {
                bail!("{name} is established and not served");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
