//! Object → what it grants. Refuses what Kubernetes' own validation refuses, and what could not be honoured here.

use super::grants::{Rules, Subject};
use super::manifests::{Binding, Name, Scope};
use super::rule::{PathPattern, ResourcePattern, Rule, Words, boxed};
use super::schema::{self, GROUP, Metadata, PolicyRule, Role, RoleBinding, RoleRef};

/// The role's name and rules, and what in it can never grant anything.
pub(super) fn role(role: Role, scope: Scope) -> Result<(Name, Rules, Vec<String>), String> {
    let name = named(role.metadata, scope)?;
    if role.aggregation_rule.is_some() {
        return Err(
            "aggregationRule is not supported here; write the rules of all aggregated roles into this one"
                .to_owned(),
        );
    }
    let mut notes = Vec::new();
    let rules = role.rules.iter().enumerate().map(|(index, rule)| {
        let place = |reason: String| format!("rules[{index}]: {reason}");
        notes.extend(idle(rule).map(place));
        if scope == Scope::Namespace && !rule.non_resource_urls.is_empty() {
            return Err(place("nonResourceURLs: paths are of no namespace; write a ClusterRole".to_owned()));
        }
        compiled(rule).map_err(place)
    });
    let rules = rules.collect::<Result<_, _>>()?;
    Ok((name, rules, notes))
}

/// The binding's name and what it grants.
pub(super) fn binding(binding: RoleBinding, scope: Scope) -> Result<(Name, Binding), String> {
    let name = named(binding.metadata, scope)?;
    let role = referred(binding.role_ref, &name)?;
    let subjects = binding.subjects.into_iter().enumerate();
    let subjects = subjects.map(|(index, one)| {
        subject(one, name.namespace.as_deref()).map_err(|reason| format!("subjects[{index}]: {reason}"))
    });
    let subjects = subjects.collect::<Result<_, _>>()?;
    Ok((name, Binding { role, subjects }))
}

/// The role that a binding grants: one of its own namespace, or a ClusterRole.
fn referred(role: RoleRef, binding: &Name) -> Result<Name, String> {
    if !matches!(role.api_group.as_str(), "" | GROUP) {
        return Err(format!("roleRef.apiGroup: expected {GROUP}"));
    }
    let namespace = match (role.kind.as_str(), &binding.namespace) {
        ("ClusterRole", _) => None,
        ("Role", Some(namespace)) => Some(namespace.clone()),
        ("Role", None) => {
            return Err("roleRef.kind: expected ClusterRole; a role of a namespace can be granted by a RoleBinding only"
                .to_owned());
        }
        _ => return Err("roleRef.kind: expected ClusterRole, or Role in a RoleBinding".to_owned()),
    };
    if role.name.is_empty() {
        return Err("roleRef.name is missing".to_owned());
    }
    Ok(Name { namespace, name: role.name })
}

fn named(metadata: Metadata, scope: Scope) -> Result<Name, String> {
    if metadata.name.is_empty() {
        return Err("metadata.name is missing".to_owned());
    }
    let namespace = match scope {
        Scope::Cluster => None,
        Scope::Namespace if metadata.namespace.is_empty() => {
            return Err("metadata.namespace is missing".to_owned());
        }
        Scope::Namespace => Some(metadata.namespace),
    };
    Ok(Name { namespace, name: metadata.name })
}

/// Whom it is granted to. `namespace`: that of the binding, where a service account may be without its own.
fn subject(subject: schema::Subject, namespace: Option<&str>) -> Result<Subject, String> {
    if subject.name.is_empty() {
        return Err("name is missing".to_owned());
    }
    let account = subject.kind == "ServiceAccount";
    let expected = if account { "" } else { GROUP };
    if !subject.api_group.is_empty() && subject.api_group != expected {
        return Err(format!("apiGroup: expected \"{expected}\""));
    }
    let own = Some(subject.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    match (subject.kind.as_str(), own.or(namespace)) {
        ("User", _) => Ok(Subject::User(subject.name.into())),
        ("Group", _) => Ok(Subject::Group(subject.name.into())),
        ("ServiceAccount", None) => Err("a ServiceAccount needs a namespace".to_owned()),
        ("ServiceAccount", Some(namespace)) => {
            Ok(Subject::User(format!("system:serviceaccount:{namespace}:{}", subject.name).into()))
        }
        _ => Err("kind: expected User, Group or ServiceAccount".to_owned()),
    }
}

fn compiled(rule: &PolicyRule) -> Result<Rule, String> {
    let lists = [
        ("verbs", &rule.verbs),
        ("resources", &rule.resources),
        ("resourceNames", &rule.resource_names),
        ("nonResourceURLs", &rule.non_resource_urls),
    ];
    if let Some((list, _)) = lists.iter().find(|(_, list)| list.iter().any(String::is_empty)) {
        return Err(format!("{list} holds an empty string"));
    }
    if rule.verbs.is_empty() {
        return Err("verbs must name at least one verb".to_owned());
    }
    let verbs = Words::new(&rule.verbs);
    if !rule.non_resource_urls.is_empty() {
        let of_resources = [&rule.api_groups, &rule.resources, &rule.resource_names];
        if of_resources.iter().any(|list| !list.is_empty()) {
            return Err(
                "a rule grants either resources or nonResourceURLs, not both; write two rules".to_owned()
            );
        }
        let paths = rule.non_resource_urls.iter().map(|path| PathPattern::new(path)).collect();
        return Ok(Rule::Paths { verbs, paths });
    }
    if rule.api_groups.is_empty() {
        return Err("apiGroups must name at least one group (\"\" is the core group)".to_owned());
    }
    if rule.resources.is_empty() {
        return Err("resources must name at least one resource, or nonResourceURLs one path".to_owned());
    }
    Ok(Rule::Resources {
        verbs,
        groups: Words::new(&rule.api_groups),
        resources: rule.resources.iter().map(|resource| ResourcePattern::new(resource)).collect(),
        names: boxed(&rule.resource_names),
    })
}

/// What never matches anything: Kubernetes accepts it in silence.
fn idle(rule: &PolicyRule) -> impl Iterator<Item = String> {
    let resource = |text: &&String| {
        text.split_once('/').is_some_and(|(_, subresource)| subresource.is_empty() || subresource == "*")
    };
    let path = |text: &&String| text.trim_end_matches('*').contains('*') || !text.starts_with(['/', '*']);
    let resources = rule.resources.iter().filter(resource).map(|text| {
        format!(
            "resource \"{}\" never matches; name the subresource, or use * for everything",
            text.escape_debug()
        )
    });
    let paths = rule.non_resource_urls.iter().filter(path).map(|text| {
        let text = text.escape_debug();
        format!(
            "nonResourceURL \"{text}\" never matches; it must start with / and can have a * only at its end"
        )
    });
    resources.chain(paths)
}
