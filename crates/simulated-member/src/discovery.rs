//! Discovery, classic and aggregated.

use serde_json::{Value, json};

use crate::resources::{GROUPS, RESOURCES, Resource, Subresource, VERBS, group_version};

/// Reviews: what can be asked of the server, by group, plural name and kind. They can only be created.
const REVIEWS: &[(&str, &str, &str, bool)] = &[
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
];

/// `/api`.
pub(crate) fn versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    })
}

/// `/apis`.
pub(crate) fn groups() -> Value {
    let groups: Vec<Value> =
        GROUPS.iter().filter(|group| !group.is_empty()).map(|group| described(group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(group: &str) -> Option<Value> {
    let known = !group.is_empty() && GROUPS.contains(&group);
    known.then(|| {
        let mut document = described(group);
        document["kind"] = "APIGroup".into();
        document["apiVersion"] = "v1".into();
        document
    })
}

fn described(group: &str) -> Value {
    let version = json!({"groupVersion": group_version(group), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// `/api/v1` and `/apis/GROUP/v1`.
pub(crate) fn resources(group: &str) -> Option<Value> {
    if !GROUPS.contains(&group) {
        return None;
    }
    let mut resources = Vec::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group) {
        resources.push(classic(resource));
        resources.extend(subresources(resource).iter().map(|below| classic_below(resource, below)));
    }
    for (_, plural, kind, namespaced) in REVIEWS.iter().filter(|review| review.0 == group) {
        resources.push(json!({
            "name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"],
        }));
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group), "resources": resources,
    }))
}

fn classic(resource: &Resource) -> Value {
    let mut document = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": VERBS,
    });
    add_names(&mut document, resource);
    document
}

fn add_names(document: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        document["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        document["categories"] = json!(resource.categories);
    }
}

fn classic_below(resource: &Resource, below: &Subresource) -> Value {
    let mut document = json!({
        "name": format!("{}/{}", resource.plural, below.name), "singularName": "",
        "namespaced": resource.namespaced, "kind": below.kind, "verbs": below.verbs,
    });
    if let Some((group, version)) = below.group_version {
        document["group"] = group.into();
        document["version"] = version.into();
    }
    document
}

/// The subresources of the table, and `status` where there is one.
fn subresources(resource: &Resource) -> Vec<Subresource> {
    let status = Subresource {
        name: "status",
        kind: resource.kind,
        group_version: None,
        verbs: &["get", "patch", "update"],
    };
    let listed = resource.subresources.iter();
    let listed = listed.map(|one| Subresource {
        name: one.name,
        kind: one.kind,
        group_version: one.group_version,
        verbs: one.verbs,
    });
    listed.chain(resource.has_status.then_some(status)).collect()
}

/// `/api` or `/apis` as one document: version `v2` or `v2beta1` of it, for the core group or all others.
pub(crate) fn aggregated(version: &str, core: bool) -> Value {
    let items: Vec<Value> =
        GROUPS.iter().filter(|group| group.is_empty() == core).map(|group| aggregated_group(group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items,
    })
}

fn aggregated_group(group: &str) -> Value {
    let own = RESOURCES.iter().filter(|resource| resource.group == group).map(aggregated_resource);
    let reviews = REVIEWS.iter().filter(|review| review.0 == group).map(|(_, plural, kind, namespaced)| {
        json!({
            "resource": plural, "scope": scope(*namespaced), "singularResource": kind.to_lowercase(), "verbs": ["create"],
            "responseKind": {"group": group, "version": "v1", "kind": kind},
        })
    });
    let resources: Vec<Value> = own.chain(reviews).collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": [{"version": "v1", "freshness": "Current", "resources": resources}]})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |kind: &str, group_version: Option<(&str, &str)>| {
        let (group, version) = group_version.unwrap_or((resource.group, "v1"));
        json!({"group": group, "version": version, "kind": kind})
    };
    let below = subresources(resource).iter().map(|below| {
        json!({"subresource": below.name, "responseKind": kind(below.kind, below.group_version), "verbs": below.verbs})
    }).collect::<Vec<_>>();
    let mut document = json!({
        "resource": resource.plural, "scope": scope(resource.namespaced), "singularResource": resource.singular,
        "responseKind": kind(resource.kind, None), "verbs": VERBS,
    });
    add_names(&mut document, resource);
    if !below.is_empty() {
        document["subresources"] = below.into();
    }
    document
}

fn scope(namespaced: bool) -> &'static str {
    if namespaced { "Namespaced" } else { "Cluster" }
}

/// Whether a path is that of a review.
pub(crate) fn is_review(group: &str, plural: &str) -> bool {
    REVIEWS.iter().any(|review| review.0 == group && review.1 == plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_resources() {
        for group in GROUPS {
            let classic = resources(group).unwrap();
            let classic: Vec<&str> = classic["resources"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            let all = aggregated("v2", group.is_empty());
            let found = all["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["metadata"]["name"].as_str().unwrap_or_default() == *group);
            let mut names = Vec::new();
            for one in found.unwrap()["versions"][0]["resources"].as_array().unwrap() {
                let name = one["resource"].as_str().unwrap();
                names.push(name.to_owned());
                for below in one["subresources"].as_array().into_iter().flatten() {
                    names.push(format!("{name}/{}", below["subresource"].as_str().unwrap()));
                }
            }
            assert_eq!(names, classic);
        }
        assert_eq!((resources("none"), group("none"), group("")), (None, None, None));
    }

    #[test]
    fn the_scale_has_a_kind_of_its_own() {
        let apps = resources("apps").unwrap();
        let scale = apps["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "deployments/scale")
            .unwrap();
        assert_eq!((&scale["group"], &scale["kind"]), (&json!("autoscaling"), &json!("Scale")));
    }
}
