//! Objects of which this version cannot read everything, because a newer one wrote them: what
//! cannot be read takes nothing from what else an object says, and never makes the object absent.

mod fields;

use std::{borrow::Cow, sync::LazyLock};

use kube::{
    CustomResourceExt, Resource,
    core::{ObjectMeta, object::HasStatus},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
    ser::Error as _,
};
use serde_json::{Map, Value, json};

use self::fields::PlaceFields;
use super::crds::every_field;
use crate::api::{
    EmployeeSync, EmployeeSyncSpec, ProvisioningIntegration, ProvisioningIntegrationStatus,
    employee_sync::IntegrationRef,
};

/// An object as far as it can be read. It is enough that its metadata can be.
#[derive(Clone, Debug)]
pub struct Lenient<K>(pub Result<K, Box<Unreadable>>);

/// An object whose spec cannot be read.
#[derive(Clone)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The field that cannot be read, such as `spec.mode`. Never its value.
    pub field: String,
    status: Value,
}

/// A kind of object that is read leniently.
pub trait Readable:
    Resource<DynamicType = ()>
    + CustomResourceExt
    + HasStatus<Status: DeserializeOwned>
    + DeserializeOwned
{
    /// Returns the fields of its spec that this version knows.
    fn fields() -> &'static PlaceFields;

    /// Returns a spec with every field that this version knows.
    fn every_field() -> &'static Value;

    /// Returns what is known of an object whose spec cannot be read, where that is enough to go on
    /// with.
    ///
    /// # Errors
    /// Gives it back where it is not.
    fn stand_in(unreadable: Box<Unreadable>) -> Result<Self, Box<Unreadable>> {
        Err(unreadable)
    }
}

impl Readable for ProvisioningIntegration {
    fn fields() -> &'static PlaceFields {
        static FIELDS: LazyLock<PlaceFields> =
            LazyLock::new(PlaceFields::of::<ProvisioningIntegration>);
        &FIELDS
    }

    fn every_field() -> &'static Value {
        static SPEC: LazyLock<Value> = LazyLock::new(every_field::<ProvisioningIntegration>);
        &SPEC
    }
}

impl Readable for EmployeeSync {
    fn fields() -> &'static PlaceFields {
        static FIELDS: LazyLock<PlaceFields> = LazyLock::new(PlaceFields::of::<EmployeeSync>);
        &FIELDS
    }

    fn every_field() -> &'static Value {
        static SPEC: LazyLock<Value> = LazyLock::new(every_field::<EmployeeSync>);
        &SPEC
    }

    /// The name holds the integration and the id. What the spec asks for is not known, so hands are
    /// off.
    fn stand_in(unreadable: Box<Unreadable>) -> Result<Self, Box<Unreadable>> {
        let Some((integration, employee)) =
            unreadable.metadata.name.as_deref().and_then(|name| name.rsplit_once('-'))
        else {
            return Err(unreadable);
        };
        let spec = EmployeeSyncSpec {
            integration_ref: IntegrationRef { name: integration.to_owned() },
            employee_id: employee.to_owned(),
            suspend: true,
            unreadable: Some(unreadable.field.clone()),
            ..EmployeeSyncSpec::default()
        };
        let Unreadable { metadata, status, .. } = *unreadable;
        Ok(Self { metadata, spec, status: serde_json::from_value(status).unwrap_or_default() })
    }
}

impl Unreadable {
    /// Says which field this version cannot read.
    #[must_use]
    pub fn says(&self) -> String {
        cannot_read(&self.field)
    }

    /// Returns what can be read of the status of an integration.
    #[must_use]
    pub fn integration_status(&self) -> ProvisioningIntegrationStatus {
        serde_json::from_value(self.status.clone()).unwrap_or_default()
    }
}

/// Says that this version cannot read this field.
#[must_use]
pub fn cannot_read(field: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "bobsync {version} cannot read {field}: it is not a field or a value that this version \
         knows"
    )
}

// What cannot be read may be personal data.
impl std::fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unreadable")
            .field("name", &self.metadata.name)
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

impl<'de, K: Readable> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        // A field that is read over may ask for what must not be done.
        let unknown = value.get("spec").and_then(|spec| K::fields().unknown(spec));
        let read = |value: &Value| {
            if unknown.is_none() { K::deserialize(value).ok() } else { None }
        };
        if let Some(object) = read(&value) {
            return Ok(Self(Ok(object)));
        }
        let status =
            legible::<K::Status>(value.get_mut("status").map(Value::take).unwrap_or_default());
        value["status"] = status.clone();
        if let Some(object) = read(&value) {
            return Ok(Self(Ok(object)));
        }
        let metadata = ObjectMeta::deserialize(&value["metadata"])
            .map_err(|_| D::Error::custom("the metadata cannot be read"))?;
        let metadata = ObjectMeta { managed_fields: None, ..metadata };
        Ok(Self(K::stand_in(Box::new(Unreadable {
            metadata,
            field: unknown.map_or_else(|| culprit::<K>(&value), |path| format!("spec{path}")),
            status,
        }))))
    }
}

impl<K: Serialize> Serialize for Lenient<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(_) => Err(S::Error::custom("an object that cannot be read is never sent")),
        }
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

/// Returns the part of a status that can be read: field by field, and of a list item by item.
fn legible<S: DeserializeOwned>(status: Value) -> Value {
    let Value::Object(fields) = status else { return Value::Null };
    let reads = |key: &str, value: &Value| S::deserialize(&json!({ key: value })).is_ok();
    let mut kept = Map::new();
    for (key, value) in fields {
        match value {
            value if reads(&key, &value) => drop(kept.insert(key, value)),
            Value::Array(items) => {
                let items = items.into_iter().filter(|item| reads(&key, &json!([item]))).collect();
                kept.insert(key, Value::Array(items));
            }
            _ => {}
        }
    }
    Value::Object(kept)
}

/// Returns the path of the field of the spec that cannot be read, such as `spec.mapping[2].target`:
/// the one without which the object is refused for another reason, or not at all.
fn culprit<K: DeserializeOwned>(object: &Value) -> String {
    let refusal = |object: &Value| K::deserialize(object).err().map(|error| error.to_string());
    let mut object = object.clone();
    let (mut pointer, mut path) = ("/spec".to_owned(), "spec".to_owned());
    loop {
        let whole = refusal(&object);
        let (step, name) = match object.pointer(&pointer) {
            Some(Value::Object(fields)) => {
                let matters = |key: &&String| {
                    let mut less = object.clone();
                    let parent = less.pointer_mut(&pointer).and_then(Value::as_object_mut);
                    parent.is_some_and(|parent| parent.remove(*key).is_some())
                        && refusal(&less) != whole
                };
                let Some(key) = fields.keys().find(matters) else { return path };
                (key.replace('~', "~0").replace('/', "~1"), format!(".{key}"))
            }
            Some(Value::Array(items)) => {
                // Without one item, the next one that cannot be read would be refused in the same
                // words. So each item is tried alone.
                let alone = |item: &Value| {
                    let mut less = object.clone();
                    *less.pointer_mut(&pointer)? = json!([item]);
                    refusal(&less).is_some().then_some(less)
                };
                let found =
                    items.iter().enumerate().find_map(|(at, item)| Some((at, alone(item)?)));
                let Some((at, less)) = found else { return path };
                object = less;
                ("0".to_owned(), format!("[{at}]"))
            }
            _ => return path,
        };
        pointer = format!("{pointer}/{step}");
        path.push_str(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::employee_sync::{Access, EvidenceKind, MatchedBy};

    fn read<K: Readable>(object: Value) -> Result<K, Box<Unreadable>> {
        serde_json::from_str::<Lenient<K>>(&object.to_string()).expect("the metadata").0
    }

    fn person(spec: Value, status: Value) -> Value {
        let metadata = json!({
            "name": "one-login-7", "namespace": "people", "generation": 2,
            "managedFields": [{"manager": "kubectl"}],
        });
        let mut whole = json!({"integrationRef": {"name": "one-login"}, "employeeId": "7"});
        whole.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
        json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "EmployeeSync", "metadata": metadata,
            "spec": whole, "status": status})
    }

    #[test]
    fn no_value_of_a_status_makes_an_object_unreadable() {
        let line = |trigger: &str| {
            json!({"at": "2026-11-20T10:00:00Z", "action": "Update",
            "trigger": trigger, "outcome": "Succeeded"})
        };
        let status = json!({
            "access": "Quarantined", "account": {"id": "31", "matchedBy": "Fingerprint"},
            "username": {"new": "form"},
            "evidence": {"kind": "Retired", "observedAt": "2026-11-20T10:00:00Z"},
            "nextTransition": {"at": "2026-12-01T00:00:00Z", "timeZone": "UTC", "access": "Active",
            "because": "Moon"},
            "history": [line("Clock"), line("Webhook")], "unheardOf": {"a": 1},
        });
        let object: EmployeeSync =
            read(person(json!({"suspend": true, "attributes": {"title": "x"}}), status))
                .expect("readable");
        assert!(
            object.spec.suspend
                && object.spec.unreadable.is_none()
                && object.spec.attributes.len() == 1,
            "the spec is as it is"
        );
        let status = object.status.expect("a status");
        assert_eq!(status.access, Some(Access::Unknown));
        assert_eq!(
            status.account.map(|account| (account.id, account.matched_by)),
            Some(("31".to_owned(), MatchedBy::Mark))
        );
        assert_eq!(
            status.evidence.map(|evidence| evidence.kind),
            Some(EvidenceKind::Unknown("Retired".to_owned()))
        );
        assert_eq!(
            (status.username, status.next_transition, status.history.len()),
            (None, None, 1)
        );
    }

    #[test]
    fn every_word_of_a_status_may_be_another_one() {
        let status = json!({
            "observedGeneration": 1, "access": "Active",
            "account": {"id": "31", "matchedBy": "Mark"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "InSync", "message": "",
            "lastTransitionTime": "2026-11-20T10:00:00Z"}],
            "nextTransition": {"at": "2026-12-01T00:00:00Z", "timeZone": "UTC", "access": "Active",
            "because": "StartDate"},
            "evidence": {"kind": "AccessRevoked", "observedAt": "2026-11-20T10:00:00Z"},
            "awaitingChange": {"baseline": "x"},
            "history": [{"at": "2026-11-20T10:00:00Z", "action": "Update", "trigger": "Webhook",
            "outcome": "Succeeded"}],
        });
        let mut paths = Vec::new();
        leaves(&status, String::new(), &mut paths);
        for path in paths {
            for other in [json!("Other"), json!(17), json!({"other": true}), Value::Null] {
                let mut status = status.clone();
                *status.pointer_mut(&path).expect("there") = other;
                let object: EmployeeSync = read(person(json!({}), status)).expect("readable");
                assert_eq!(object.spec.unreadable, None, "{path}");
            }
        }
    }

    fn leaves(value: &Value, path: String, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| leaves(value, format!("{path}/{key}"), into))
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(at, value)| leaves(value, format!("{path}/{at}"), into)),
            _ => into.push(path),
        }
    }

    #[test]
    fn hands_are_off_where_the_spec_of_an_employee_cannot_be_read() {
        let status = json!({"account": {"id": "31", "matchedBy": "Created"}, "access": "Active"});
        let object: EmployeeSync =
            read(person(json!({"userStatus": "ByCalendar"}), status)).expect("a stand-in");
        assert!(object.spec.suspend);
        assert_eq!(object.spec.unreadable.as_deref(), Some("spec.userStatus"));
        assert_eq!(
            (object.spec.integration_ref.name.as_str(), object.spec.employee_id.as_str()),
            ("one-login", "7")
        );
        assert_eq!(object.metadata.generation, Some(2));
        assert_eq!(
            object.status.and_then(|status| status.account).map(|account| account.id),
            Some("31".to_owned())
        );
    }

    #[test]
    fn the_field_of_an_integration_is_named_and_its_value_is_not() {
        let integration = |spec: Value| {
            let status = json!({"lastHandledSyncAt": "now", "conditions": "none"});
            json!({"apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
                "metadata": {"name": "onelogin", "uid": "u"}, "spec": spec, "status": status})
        };
        let bob = json!({"credentialsSecretRef": {"name": "bob"}});
        let provider =
            json!({"oneLogin": {"region": "US", "credentialsSecretRef": {"name": "onelogin"}}});
        let good = json!({"mode": "Enforce", "bob": bob, "provider": provider});
        read::<ProvisioningIntegration>(integration(good.clone()))
            .expect("the spec is good, and no status is in its way");
        for (path, field) in
            [("/mode", "spec.mode"), ("/provider/oneLogin/region", "spec.provider.oneLogin.region")]
        {
            let mut spec = good.clone();
            *spec.pointer_mut(path).expect("there") = json!("Swordfish");
            let unreadable =
                read::<ProvisioningIntegration>(integration(spec)).expect_err("not readable");
            assert_eq!(unreadable.field, field);
            assert_eq!(unreadable.metadata.uid.as_deref(), Some("u"));
            assert_eq!(
                unreadable.integration_status().last_handled_sync_at.as_deref(),
                Some("now")
            );
            assert!(!format!("{unreadable:?}").contains("Swordfish"));
        }
    }

    #[test]
    fn the_item_of_a_list_is_named_that_cannot_be_read() {
        let row = |target: &str| json!({"target": target, "field": "work.title"});
        let bob = json!({"credentialsSecretRef": {"name": "bob"}});
        let secret = json!({"region": "US", "credentialsSecretRef": {"name": "onelogin"}});
        let spec = json!({
            "mode": "Enforce", "bob": bob, "provider": {"oneLogin": secret},
            "mapping": [row("email"), row("username"), row("title"), row("phone")],
            "provisioning": {"emailDomains": ["example.com", "example.org"]},
            "safety": {"protectedAccounts": ["root@example.com", "7"]},
        });
        let field = |changes: &[(&str, Value)]| {
            let mut spec = spec.clone();
            for (path, value) in changes {
                *spec.pointer_mut(path).expect("there") = value.clone();
            }
            let object = json!({
                "apiVersion": "bobsync.dev/v1alpha1", "kind": "ProvisioningIntegration",
                "metadata": {"name": "onelogin"}, "spec": spec,
            });
            let unreadable = read::<ProvisioningIntegration>(object).expect_err("not readable");
            assert!(!unreadable.says().contains("Swordfish"), "{}", unreadable.says());
            unreadable.field
        };
        let word = || json!({"Swordfish": 1});
        for (path, named) in [
            ("/mapping/2/target", "spec.mapping[2].target"),
            ("/mapping/0/field", "spec.mapping[0].field"),
            ("/mapping/3", "spec.mapping[3]"),
            ("/provisioning/emailDomains/1", "spec.provisioning.emailDomains[1]"),
            ("/safety/protectedAccounts/0", "spec.safety.protectedAccounts[0]"),
        ] {
            let wrong = if path.ends_with('3') { json!("Swordfish") } else { word() };
            assert_eq!(field(&[(path, wrong)]), named);
        }
        // Several items are refused in the same words: the first one is named.
        let both = [("/mapping/1/target", word()), ("/mapping/3/target", word())];
        assert_eq!(field(&both), "spec.mapping[1].target");
    }

    /// Returns a value that a schema allows, with every field set, and adds the paths of its
    /// objects.
    fn sample(schema: &Value, pointer: &str, path: &str, objects: &mut Vec<[String; 2]>) -> Value {
        let mut of = |schema, key: &str, shown: &str| {
            sample(schema, &format!("{pointer}/{key}"), &format!("{path}{shown}"), objects)
        };
        if let Some(fields) = schema["properties"].as_object() {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), of(field, name, &format!(".{name}"))))
                .collect();
            objects.push([pointer.to_owned(), path.to_owned()]);
            return Value::Object(fields);
        }
        match schema["type"].as_str() {
            Some("object") => json!({"key": of(&schema["additionalProperties"], "key", ".key")}),
            Some("array") => json!([of(&schema["items"], "0", "[0]")]),
            Some("boolean") => json!(true),
            Some("integer") => json!(1),
            _ => schema["enum"][0].as_str().map_or_else(|| json!("7"), |word| json!(word)),
        }
    }

    /// Checks that a field which this version does not know makes an object unreadable, in every
    /// object of the spec.
    fn every_object<K: Readable>(
        least: usize,
        field: impl Fn(Result<K, Box<Unreadable>>) -> Option<String>,
    ) {
        let crd = serde_json::to_value(K::crd()).expect("JSON");
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut objects = Vec::new();
        let spec = sample(schema, "/spec", "spec", &mut objects);
        assert!(objects.len() >= least, "{objects:?}");
        let metadata = json!({"name": "one-login-7", "namespace": "people", "unheardOf": 1});
        let whole = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata,
            "spec": spec,
            "status": {"observedGeneration": 1, "unheardOf": {"a": 1}}, "unheardOf": 1,
        });
        assert_eq!(field(read(whole.clone())), None, "every field of the CRD is known");
        for [pointer, path] in objects {
            for (value, known) in [
                (json!("2027-01-01"), false),
                (json!(false), false),
                (json!({}), false),
                (json!([{"a": null}]), false),
                (Value::Null, true),
            ] {
                let mut object = whole.clone();
                object.pointer_mut(&pointer).expect("there")["unheardOf"] = value.clone();
                let told = (!known).then(|| format!("{path}.unheardOf"));
                assert_eq!(field(read(object)), told, "{path}: {value}");
            }
        }
    }

    #[test]
    fn a_field_that_this_version_does_not_know_makes_an_object_unreadable_wherever_it_is() {
        every_object::<ProvisioningIntegration>(20, |object| object.err().map(|it| it.field));
        every_object::<EmployeeSync>(2, |object| object.expect("a stand-in").spec.unreadable);
    }

    #[test]
    fn fields_that_are_absent_or_null_or_have_a_default_are_no_obstacle() {
        let object: EmployeeSync = read(person(
            json!({"suspend": false, "userStatus": null, "attributes": {}, "suspendUntil": null}),
            Value::Null,
        ))
        .expect("readable");
        assert_eq!(object.spec.unreadable, None);
        assert!(!object.spec.suspend);
    }
}
