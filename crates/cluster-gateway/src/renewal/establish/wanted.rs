//! The objects that an account consists of, with the least rights that its role needs.

use std::fmt;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role as NamespacedRole, RoleBinding};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Change, EstablishError};
use crate::renewal::ServiceAccountRef;

const RBAC: &str = "rbac.authorization.k8s.io";
/// Marks what is ours, and may be replaced.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "cluster-gateway");

/// What the gateway may do on a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Act as others, and nothing of its own: for gateways that pass callers' identities on.
    Impersonate,
    /// Everything: for gateways behind which everybody is the same to the member.
    ClusterAdmin,
}

/// An object as it should be.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) resource: ApiResource,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// What it says besides its type and metadata.
    content: Value,
}

/// The objects for `account` in this role, in the order in which they are made.
pub(super) fn of(account: &ServiceAccountRef, role: Role) -> Vec<Wanted> {
    let (namespace, name) = (account.namespace(), account.name());
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}]);
    let binding = |kind: &str, role: &str| json!({"roleRef": {"apiGroup": RBAC, "kind": kind, "name": role}, "subjects": subjects});
    let renews = format!("{name}:renew");
    let own = json!({"rules": [{
        "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [name], "verbs": ["create"],
    }]});
    let mut all = vec![
        wanted::<Namespace>(None, namespace, json!({})),
        wanted::<ServiceAccount>(Some(namespace), name, json!({})),
        wanted::<NamespacedRole>(Some(namespace), &renews, own),
        wanted::<RoleBinding>(Some(namespace), &renews, binding("Role", &renews)),
    ];
    let prefix = format!("cluster-gateway:{namespace}:{name}");
    match role {
        Role::Impersonate => {
            let name = format!("{prefix}:impersonate");
            all.push(wanted::<ClusterRole>(None, &name, json!({ "rules": impersonation() })));
            all.push(wanted::<ClusterRoleBinding>(None, &name, binding("ClusterRole", &name)));
        }
        Role::ClusterAdmin => {
            let name = format!("{prefix}:cluster-admin");
            all.push(wanted::<ClusterRoleBinding>(None, &name, binding("ClusterRole", "cluster-admin")));
        }
    }
    all
}

/// Acting as anybody. `userextras` has the key of an extra as its subresource, and RBAC has no other way than `*` to say
/// "whatever key"; in that group nothing else can be impersonated but `uids`. A service account is impersonated by its own
/// resource.
fn impersonation() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["users", "groups", "serviceaccounts"], "verbs": ["impersonate"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["*"], "verbs": ["impersonate"]},
    ])
}

fn wanted<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str, content: Value) -> Wanted {
    let (resource, namespace) = (ApiResource::erase::<K>(&()), namespace.map(str::to_owned));
    Wanted { resource, namespace, name: name.to_owned(), content }
}

impl Wanted {
    pub(super) fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }

    pub(super) fn object(&self) -> DynamicObject {
        let mut object = DynamicObject::new(&self.name, &self.resource).data(self.content.clone());
        object.metadata.namespace.clone_from(&self.namespace);
        let (key, value) = MANAGED_BY;
        object.metadata.labels = Some([(key.to_owned(), value.to_owned())].into());
        object
    }

    /// What must be done if this was found.
    pub(super) fn change(&self, found: Option<&DynamicObject>) -> Result<Change, EstablishError> {
        let Some(found) = found else { return Ok(Change::Create) };
        let fields = self.content.as_object().into_iter().flatten();
        if fields.clone().all(|(key, value)| found.data.get(key) == Some(value)) {
            return Ok(Change::None);
        }
        let (key, value) = MANAGED_BY;
        let ours =
            found.metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|by| by == value);
        if ours {
            return Ok(Change::Update);
        }
        Err(EstablishError::Taken(format!(
            "{self} is there already on the member, says something else, and is not labelled {key}: {value}; choose another \
             account with --service-account-namespace and --service-account-name, or remove it"
        )))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.resource.kind, self.name),
            None => write!(f, "{} {}", self.resource.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> ServiceAccountRef {
        ServiceAccountRef::new("ns", "a").unwrap()
    }

    #[test]
    fn an_impersonator_may_act_as_others_and_renew_itself_and_nothing_more() {
        let all = of(&account(), Role::Impersonate);
        let names: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "Namespace ns",
                "ServiceAccount ns/a",
                "Role ns/a:renew",
                "RoleBinding ns/a:renew",
                "ClusterRole cluster-gateway:ns:a:impersonate",
                "ClusterRoleBinding cluster-gateway:ns:a:impersonate",
            ]
        );
        let rules: Vec<_> =
            all.iter().filter_map(|wanted| wanted.content["rules"].as_array()).flatten().collect();
        for rule in rules {
            let renews = rule["resources"] == json!(["serviceaccounts/token"])
                && rule["resourceNames"] == json!(["a"])
                && rule["verbs"] == json!(["create"]);
            assert!(renews || rule["verbs"] == json!(["impersonate"]), "{rule}");
        }
    }

    #[test]
    fn what_is_there_is_replaced_only_if_it_is_ours() {
        let wanted = &of(&account(), Role::Impersonate)[4];
        let mut found = wanted.object();
        assert_eq!(wanted.change(None), Ok(Change::Create));
        assert_eq!(wanted.change(Some(&found)), Ok(Change::None));
        found.data = json!({"rules": []});
        assert_eq!(wanted.change(Some(&found)), Ok(Change::Update));
        found.metadata.labels = None;
        let error = wanted.change(Some(&found)).unwrap_err().to_string();
        assert!(
            error.contains("ClusterRole cluster-gateway:ns:a:impersonate")
                && error.contains("--service-account"),
            "{error}"
        );
        // Somebody's own namespace and account can be used.
        let namespace = &of(&account(), Role::ClusterAdmin)[0];
        assert_eq!(namespace.change(Some(&DynamicObject::new("ns", &namespace.resource))), Ok(Change::None));
    }
}
