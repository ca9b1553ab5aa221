//! The resources that a member has: one table from which routes, discovery, tables and documentation follow.

/// One kind of object and how it is reached. All are version `v1` of their group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    /// Unique in the whole table, not only in its group.
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) namespaced: bool,
    pub(crate) categories: &'static [&'static str],
    /// Whether `status` is a subresource, and therefore left alone by writes to the object.
    pub(crate) has_status: bool,
    pub(crate) subresources: &'static [Subresource],
    /// What can be selected by beside `metadata.name` and `metadata.namespace`.
    pub(crate) fields: &'static [&'static str],
}

/// A path below an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// Group and version of the kind where they differ from the resource's.
    pub(crate) group_version: Option<(&'static str, &'static str)>,
    pub(crate) verbs: &'static [&'static str],
}

/// What can be done with every resource.
pub(crate) const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const OBJECT_VERBS: &[&str] = &["get", "patch", "update"];
const STREAM_VERBS: &[&str] = &["create", "get"];

const fn stream(name: &'static str, kind: &'static str) -> Subresource {
    Subresource { name, kind, group_version: None, verbs: STREAM_VERBS }
}

const SCALE: Subresource = Subresource {
    name: "scale",
    kind: "Scale",
    group_version: Some(("autoscaling", "v1")),
    verbs: OBJECT_VERBS,
};

const PLAIN: Resource = Resource {
    group: "",
    plural: "",
    singular: "",
    kind: "",
    short_names: &[],
    namespaced: true,
    categories: &[],
    has_status: false,
    subresources: &[],
    fields: &[],
};

/// Every resource, in the order of discovery.
pub(crate) const RESOURCES: &[Resource] = &[
    Resource {
        plural: "configmaps",
        singular: "configmap",
        kind: "ConfigMap",
        short_names: &["cm"],
        ..PLAIN
    },
    Resource {
        plural: "events",
        singular: "event",
        kind: "Event",
        short_names: &["ev"],
        fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "type",
        ],
        ..PLAIN
    },
    Resource {
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
        fields: &["status.phase"],
        ..PLAIN
    },
    Resource {
        plural: "nodes",
        singular: "node",
        kind: "Node",
        short_names: &["no"],
        namespaced: false,
        has_status: true,
        fields: &["spec.unschedulable"],
        ..PLAIN
    },
    Resource {
        plural: "pods",
        singular: "pod",
        kind: "Pod",
        short_names: &["po"],
        categories: &["all"],
        has_status: true,
        subresources: &[
            stream("attach", "PodAttachOptions"),
            stream("exec", "PodExecOptions"),
            Subresource { name: "log", kind: "Pod", group_version: None, verbs: &["get"] },
            stream("portforward", "PodPortForwardOptions"),
        ],
        fields: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        ..PLAIN
    },
    Resource { plural: "secrets", singular: "secret", kind: "Secret", fields: &["type"], ..PLAIN },
    Resource {
        plural: "serviceaccounts",
        singular: "serviceaccount",
        kind: "ServiceAccount",
        short_names: &["sa"],
        ..PLAIN
    },
    Resource {
        plural: "services",
        singular: "service",
        kind: "Service",
        short_names: &["svc"],
        categories: &["all"],
        has_status: true,
        fields: &["spec.clusterIP", "spec.type"],
        ..PLAIN
    },
    Resource {
        group: "apps",
        plural: "deployments",
        singular: "deployment",
        kind: "Deployment",
        short_names: &["deploy"],
        categories: &["all"],
        has_status: true,
        subresources: &[SCALE],
        ..PLAIN
    },
    Resource {
        group: "apps",
        plural: "replicasets",
        singular: "replicaset",
        kind: "ReplicaSet",
        short_names: &["rs"],
        categories: &["all"],
        has_status: true,
        subresources: &[SCALE],
        fields: &["status.replicas"],
        ..PLAIN
    },
];

/// The groups that have resources or reviews, the core group first.
pub(crate) const GROUPS: &[&str] = &["", "apps", "authentication.k8s.io", "authorization.k8s.io"];

impl Resource {
    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group)
    }

    /// As messages name it: `deployments.apps`.
    pub(crate) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// `v1` or `GROUP/v1`.
pub(crate) fn group_version(group: &str) -> String {
    if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }
}

/// The resource of this group and plural name.
pub(crate) fn find(group: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.group == group && resource.plural == plural)
}

/// The resource of this plural name.
///
/// # Panics
/// If the table has none: for names that are written in this crate only.
pub(crate) fn named(plural: &str) -> &'static Resource {
    let found = RESOURCES.iter().find(|resource| resource.plural == plural);
    found.expect("the code names resources of the table only")
}

/// The resource whose objects say this of themselves.
pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.kind == kind && resource.api_version() == api_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plural_names_are_unique_and_groups_are_listed() {
        for (index, resource) in RESOURCES.iter().enumerate() {
            assert!(GROUPS.contains(&resource.group), "{}", resource.plural);
            assert!(RESOURCES[index + 1..].iter().all(|other| other.plural != resource.plural));
            assert_eq!(of_kind(&resource.api_version(), resource.kind), Some(resource));
        }
        assert_eq!(find("apps", "pods"), None);
    }
}
