//! Whether the CRDs in the cluster have every field of this version.
//!
//! If they are older, the API server leaves the other fields out of every object that it shows, and
//! a write of such an object loses them for good: a pin has no settings any more. So nothing
//! that is read under older CRDs counts, and no object is written. The CRDs are compared with this
//! version when a list or a watch begins, by the API description that every client may read. It is
//! sent again only if it has changed. Between two looks, every write of a status names all fields
//! ([`every_field`]), so that the API server refuses it if one is missing.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, Client, CustomResourceExt, Resource as _,
    api::{ApiResource, DynamicObject, ListParams},
    client::Body,
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::connect::bounded;
use crate::api::{EmployeeSync, GROUP, ProvisioningIntegration};

/// How long the API description may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a list of integrations may take.
const LIST_WITHIN: Duration = Duration::from_secs(30);
/// What the API server says about a field that it does not know.
const UNDECLARED: &str = ": field not declared in schema";

/// A field of this version that a CRD in the cluster does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The kind of the CRD.
    pub kind: String,
    /// The path of the field, such as `spec.suspend`.
    pub field: String,
}

impl Lacking {
    /// Says what is missing, what follows from it, and what to do.
    #[must_use]
    pub fn says(&self) -> String {
        let (version, Self { kind, field }) = (env!("CARGO_PKG_VERSION"), self);
        format!(
            "The CRD of {kind} in this cluster is older than bobsync {version}: it does not have \
             the field {field}, and the API server leaves such fields out of every object. So that \
             no setting is lost, nothing is read and nothing is written until the CRDs of this \
             version are applied (`bobsync crds | kubectl apply --server-side -f -`), or until the \
             version of bobsync runs that these CRDs belong to"
        )
    }
}

/// What one look at the CRDs has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrdLook {
    /// They have every field.
    Whole,
    /// A field is missing.
    Older,
    /// The API server gave no answer that can be used. What was known stays.
    Unanswered,
}

/// What a description of the API shows of the CRDs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shows {
    /// It is not about both kinds.
    Nothing,
    /// They have every field.
    All,
    /// They lack this field.
    Less(Lacking),
}

/// The CRDs in the cluster, as far as they are known. Clones share it.
#[derive(Clone)]
pub struct Crds(Arc<Inner>);

struct Inner {
    client: Client,
    /// The last description: its tag, and what it shows.
    described: Mutex<Option<(HeaderValue, Shows)>>,
    lacking: watch::Sender<Option<Lacking>>,
}

impl Crds {
    /// Returns the CRDs of this cluster. Before the first look they count as whole.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let lacking = watch::Sender::new(None);
        Self(Arc::new(Inner { client, described: Mutex::default(), lacking }))
    }

    /// Returns the client of the cluster.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Looks at the CRDs once, for a command that is about to write an object.
    ///
    /// # Errors
    /// Says which field a CRD lacks, what follows from it, and what to do.
    pub async fn require_whole(client: Client) -> Result<(), String> {
        let crds = Self::new(client);
        crds.look().await;
        crds.lacking().map_or(Ok(()), |lacking| Err(lacking.says()))
    }

    /// Looks at the CRDs now.
    pub async fn look(&self) -> CrdLook {
        let shows = match bounded(WITHIN, self.described()).await {
            Ok(shows) => shows,
            Err(error) => {
                tracing::debug!(%error, "the API description could not be read");
                Shows::Nothing
            }
        };
        match shows {
            Shows::Nothing => CrdLook::Unanswered,
            Shows::All => {
                self.set(None);
                CrdLook::Whole
            }
            Shows::Less(lacking) => {
                self.set(Some(lacking));
                CrdLook::Older
            }
        }
    }

    /// Reads the API description.
    async fn described(&self) -> kube::Result<Shows> {
        let version = ProvisioningIntegration::version(&());
        let mut request = Request::get(format!("/openapi/v3/apis/{GROUP}/{version}"));
        let known = self.0.described.lock().clone();
        if let Some((tag, _)) = &known {
            request = request.header(header::IF_NONE_MATCH, tag.clone());
        }
        let request = request.body(Body::empty()).map_err(kube::Error::HttpError)?;
        let (head, body) = self.0.client.send(request).await?.into_parts();
        match head.status {
            StatusCode::NOT_MODIFIED => {
                return Ok(known.map_or(Shows::Nothing, |(_, shows)| shows));
            }
            StatusCode::OK => {}
            _ => return Ok(Shows::Nothing),
        }
        let body = body.collect().await?.to_bytes();
        let shows =
            serde_json::from_slice(&body).map_or(Shows::Nothing, |description| shows(&description));
        let tag = head.headers.get(header::ETAG).cloned();
        *self.0.described.lock() = tag.map(|tag| (tag, shows.clone()));
        Ok(shows)
    }

    fn set(&self, lacking: Option<Lacking>) {
        self.0.lacking.send_if_modified(|known| {
            let news = *known != lacking;
            match &lacking {
                Some(lacking) if news => {
                    tracing::error!(
                        kind = lacking.kind,
                        field = lacking.field,
                        "a CRD is older than this version: nothing is read and nothing is written \
                         until it has this field"
                    );
                }
                None if news => tracing::info!("the CRDs have every field of this version again"),
                _ => {}
            }
            *known = lacking;
            news
        });
    }

    /// Returns a field that a CRD lacks, if the CRDs are older.
    #[must_use]
    pub fn lacking(&self) -> Option<Lacking> {
        self.0.lacking.borrow().clone()
    }

    /// Returns whether the CRDs are older.
    #[must_use]
    pub fn are_older(&self) -> bool {
        self.0.lacking.borrow().is_some()
    }

    /// Returns what reports each change of [`Self::lacking`].
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Option<Lacking>> {
        self.0.lacking.subscribe()
    }

    /// Completes when the CRDs are older.
    pub async fn until_older(&self) {
        // The sender lives as long as `self`.
        let _ = self.news().wait_for(Option::is_some).await;
    }

    /// Takes in the answer to a write. Returns whether it says that a CRD lacks a field. The next
    /// look decides.
    pub fn doubt(&self, kind: &str, answer: &str) -> bool {
        let Some(field) = undeclared(answer) else { return false };
        self.set(Some(Lacking { kind: kind.to_owned(), field: field.to_owned() }));
        true
    }
}

/// Returns the field that the API server does not know, if this answer is about one.
#[must_use]
pub fn undeclared(answer: &str) -> Option<&str> {
    let (before, _) = answer.split_once(UNDECLARED)?;
    Some(before.rsplit(' ').next()?.trim_start_matches('.'))
}

/// Reads a description.
fn shows(description: &Value) -> Shows {
    let schemas = &description["components"]["schemas"];
    let mut shows = Shows::All;
    for (kind, ours) in [
        (ProvisioningIntegration::kind(&()), schema::<ProvisioningIntegration>()),
        (EmployeeSync::kind(&()), schema::<EmployeeSync>()),
    ] {
        let suffix = format!(".{kind}");
        let mut all = schemas.as_object().into_iter().flatten();
        let Some((_, theirs)) = all.find(|(name, _)| name.ends_with(&suffix)) else {
            return Shows::Nothing;
        };
        if let (Shows::All, Some(path)) = (&shows, missing(&ours, theirs)) {
            let field = path.trim_start_matches('.').to_owned();
            shows = Shows::Less(Lacking { kind: kind.into_owned(), field });
        }
    }
    shows
}

/// Returns the schema of a kind in this version.
fn schema<K: CustomResourceExt>() -> Value {
    let crd = serde_json::to_value(K::crd()).unwrap_or_default();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Returns the path of a field of `ours` that the API server leaves out by `theirs`.
fn missing(ours: &Value, theirs: &Value) -> Option<String> {
    if theirs["x-kubernetes-preserve-unknown-fields"] == true {
        return None;
    }
    let mut fields = ours["properties"].as_object().into_iter().flatten();
    fields
        .find_map(|(name, ours)| {
            let theirs = &theirs["properties"][name];
            let rest = if theirs.is_null() { String::new() } else { missing(ours, theirs)? };
            Some(format!(".{name}{rest}"))
        })
        .or_else(|| {
            let items = ours.get("items")?;
            Some(format!("[]{}", missing(items, &theirs["items"])?))
        })
        .or_else(|| {
            let each = ours.get("additionalProperties").filter(|each| each.is_object())?;
            Some(format!(".*{}", missing(each, &theirs["additionalProperties"])?))
        })
}

/// Returns a spec with every field of a kind, to be sent with each status that is applied. The API
/// server compares it with its schema, and takes nothing from it.
pub(super) fn every_field<K: CustomResourceExt>() -> Value {
    sample(&schema::<K>()["properties"]["spec"])
}

fn sample(schema: &Value) -> Value {
    if let Some(fields) = schema["properties"].as_object() {
        return fields.iter().map(|(name, field)| (name.clone(), sample(field))).collect();
    }
    match schema["type"].as_str() {
        Some("object") => json!({}),
        Some("array") => json!([sample(&schema["items"])]),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(0),
        _ => json!(""),
    }
}

/// An integration as it is shown under older CRDs.
pub struct Shown {
    /// The object.
    pub object: DynamicObject,
    /// Whether the object is stored with something that is not shown, so that a write would lose
    /// it.
    pub hides: bool,
}

/// Returns the integrations of this namespace (all namespaces if `None`) as they are shown now.
///
/// # Errors
/// If they cannot be listed.
pub async fn integrations(
    client: &Client,
    namespace: Option<&str>,
) -> Result<Vec<Shown>, super::connect::CallError> {
    static RESOURCE: LazyLock<ApiResource> =
        LazyLock::new(|| ApiResource::erase::<ProvisioningIntegration>(&()));
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &*RESOURCE),
        None => Api::all_with(client.clone(), &*RESOURCE),
    };
    let list = bounded(LIST_WITHIN, api.list(&ListParams::default())).await?;
    let shown = |object: DynamicObject| {
        let hides = hides(object.metadata.managed_fields.as_deref(), &object.data);
        Shown { object, hides }
    };
    Ok(list.items.into_iter().map(shown).collect())
}

/// Returns whether a field of the spec or of the status has a manager and is not shown. If no
/// manager of the spec is known, something may be hidden.
fn hides(managers: Option<&[ManagedFieldsEntry]>, shown: &Value) -> bool {
    let claims = || managers.into_iter().flatten().filter_map(|entry| entry.fields_v1.as_ref());
    let part = |claimed: &str, shown: &Value| {
        claims().filter_map(|fields| fields.0.get(claimed)).any(|claims| is_hidden(claims, shown))
    };
    !claims().any(|fields| fields.0.get("f:spec").is_some())
        || part("f:spec", &shown["spec"])
        || part("f:status", &shown["status"])
}

fn is_hidden(claims: &Value, shown: &Value) -> bool {
    claims.as_object().into_iter().flatten().any(|(path, within)| {
        if let Some(name) = path.strip_prefix("f:") {
            shown[name].is_null() || is_hidden(within, &shown[name])
        } else if let Some(keys) = path.strip_prefix("k:") {
            let keys = serde_json::from_str::<Map<String, Value>>(keys).unwrap_or_default();
            let is = |item: &&Value| keys.iter().all(|(key, value)| item[key] == *value);
            let item = shown.as_array().into_iter().flatten().find(is);
            item.is_none_or(|item| is_hidden(within, item))
        } else {
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;

    use super::*;

    /// Returns an API description of the CRDs of this version after `change`.
    fn described(change: impl Fn(&str, &mut Value)) -> Value {
        let mut schemas = json!({"dev.bobsync.v1alpha1.EmployeeSyncList": {}});
        for (kind, mut schema) in [
            ("ProvisioningIntegration", schema::<ProvisioningIntegration>()),
            ("EmployeeSync", schema::<EmployeeSync>()),
        ] {
            change(kind, &mut schema);
            schemas[format!("dev.bobsync.v1alpha1.{kind}")] = schema;
        }
        json!({"components": {"schemas": schemas}})
    }

    /// Collects the pointers of all fields of a schema, each with the path in an object.
    fn fields(schema: &Value, pointer: &str, path: &str, found: &mut Vec<(String, String)>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let place = (format!("{pointer}/properties"), format!("{path}.{name}"));
            fields(field, &format!("{}/{name}", place.0), &place.1, found);
            found.push((format!("{}/{name}", place.0), place.1));
        }
        if let Some(items) = schema.get("items") {
            fields(items, &format!("{pointer}/items"), &format!("{path}[]"), found);
        }
    }

    #[test]
    fn each_field_that_a_crd_lacks_is_named_wherever_it_is() {
        assert_eq!(shows(&described(|_, _| ())), Shows::All);
        for (kind, whole) in [
            ("ProvisioningIntegration", schema::<ProvisioningIntegration>()),
            ("EmployeeSync", schema::<EmployeeSync>()),
        ] {
            let mut all = Vec::new();
            fields(&whole, "", "", &mut all);
            assert!(all.len() > 30, "{all:?}");
            for (pointer, path) in all {
                let (parent, name) = pointer.rsplit_once('/').expect("a field");
                let without = |of: &str, schema: &mut Value| {
                    if of == kind {
                        let fields = schema.pointer_mut(parent).and_then(Value::as_object_mut);
                        fields.expect("fields").remove(name).expect("the field");
                    }
                };
                let field = path.trim_start_matches('.').to_owned();
                let expected = Shows::Less(Lacking { kind: kind.to_owned(), field });
                assert_eq!(shows(&described(without)), expected, "{kind} {path}");
            }
        }
    }

    #[test]
    fn a_newer_crd_lacks_nothing_and_a_description_without_both_kinds_says_nothing() {
        let newer = described(|_, schema| {
            schema["properties"]["spec"]["properties"]["nextThing"] = json!({"type": "string"});
        });
        assert_eq!(shows(&newer), Shows::All);
        let open = described(|_, schema| {
            schema["properties"]["spec"] =
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        });
        assert_eq!(shows(&open), Shows::All, "it keeps every field");
        let mut half = described(|_, _| ());
        half["components"]["schemas"]
            .as_object_mut()
            .expect("schemas")
            .remove("dev.bobsync.v1alpha1.EmployeeSync");
        assert_eq!(shows(&half), Shows::Nothing);
        assert_eq!(shows(&json!({})), Shows::Nothing);
    }

    #[test]
    fn the_refusal_of_a_field_names_it() {
        let refusal = "failed to create typed patch object (/onelogin-8; bobsync.dev/v1alpha1, \
            Kind=EmployeeSync): .spec.suspend: field not declared in schema";
        assert_eq!(undeclared(refusal), Some("spec.suspend"));
        assert_eq!(undeclared("etcdserver: request timed out"), None);
    }

    #[test]
    fn an_object_hides_what_has_a_manager_and_is_not_shown() {
        let manager = |fields: Value| ManagedFieldsEntry {
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        };
        let spec = json!({"f:spec": {"f:suspend": {}, "f:safety": {".": {}, "f:adoption": {}},
            "f:mapping": {r#"k:{"target":"title"}"#: {".": {}, "f:field": {}}}}});
        let status = json!({"f:status": {"f:firstPassAt": {}}});
        let managers = [manager(spec), manager(status)];
        let whole = json!({
            "spec": {"suspend": true, "safety": {"adoption": "Never"},
                "mapping": [{"target": "phone"}, {"target": "title", "field": "work.title"}]},
            "status": {"firstPassAt": "2026-01-01T00:00:00Z"},
        });
        assert!(!hides(Some(&managers), &whole));
        for place in [
            "/spec/suspend",
            "/spec/safety/adoption",
            "/spec/safety",
            "/spec/mapping",
            "/spec/mapping/1/field",
            "/spec/mapping/1/target",
            "/status/firstPassAt",
            "/status",
        ] {
            let mut less = whole.clone();
            *less.pointer_mut(place).expect("there") = Value::Null;
            assert!(hides(Some(&managers), &less), "{place}");
        }
        assert!(hides(None, &whole) && hides(Some(&managers[1..]), &whole), "nothing is known");
    }
}
