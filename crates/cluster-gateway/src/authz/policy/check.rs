//! Object → what it grants. Refuses what Kubernetes' own validation refuses, and what could not be honoured here.

use super::grants::{Rules, Subject};
use super::manifests::Binding;
use super::rule::{PathPattern, ResourcePattern, Rule, Words, boxed};
use super::schema::{self, ClusterRole, ClusterRoleBinding, GROUP, PolicyRule};

/// The role's name and rules, and what in it can never grant anything.
pub(super) fn role(role: ClusterRole) -> Result<(String, Rules, Vec<String>), String> {
    let name = named(role.metadata.name)?;
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
        compiled(rule).map_err(place)
    });
    let rules = rules.collect::<Result<_, _>>()?;
    Ok((name, rules, notes))
}

/// The binding's name and what it grants.
pub(super) fn binding(binding: ClusterRoleBinding) -> Result<(String, Binding), String> {
    let name = named(binding.metadata.name)?;
    let role = binding.role_ref;
    if !matches!(role.api_group.as_str(), "" | GROUP) {
        return Err(format!("roleRef.apiGroup: expected {GROUP}"));
    }
    if role.kind != "ClusterRole" {
        return Err(
            "roleRef.kind: expected ClusterRole; roles of a namespace have no meaning here".to_owned()
        );
    }
    if role.name.is_empty() {
        return Err("roleRef.name is missing".to_owned());
    }
    let subjects = binding.subjects.into_iter().enumerate();
    let subjects =
        subjects.map(|(index, one)| subject(one).map_err(|reason| format!("subjects[{index}]: {reason}")));
    Ok((name, Binding { role: role.name, subjects: subjects.collect::<Result<_, _>>()? }))
}

fn named(name: String) -> Result<String, String> {
    if name.is_empty() { Err("metadata.name is missing".to_owned()) } else { Ok(name) }
}

fn subject(subject: schema::Subject) -> Result<Subject, String> {
    if subject.name.is_empty() {
        return Err("name is missing".to_owned());
    }
    let account = subject.kind == "ServiceAccount";
    let expected = if account { "" } else { GROUP };
    if !subject.api_group.is_empty() && subject.api_group != expected {
        return Err(format!("apiGroup: expected \"{expected}\""));
    }
    match subject.kind.as_str() {
        "User" => Ok(Subject::User(subject.name.into())),
        "Group" => Ok(Subject::Group(subject.name.into())),
        "ServiceAccount" if subject.namespace.is_empty() => {
            Err("a ServiceAccount needs a namespace".to_owned())
        }
        "ServiceAccount" => {
            Ok(Subject::User(format!("system:serviceaccount:{}:{}", subject.namespace, subject.name).into()))
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
