//! `ClusterGatewayProxyConfiguration`: YAML in, compiled rules out.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{Exchange, FixedIdentity};
use crate::authn::UserInfo;

/// Compiled identity rules, in their order.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

/// Why rules are refused; the text names the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text is not the YAML expected.
    #[error("not a ClusterGatewayProxyConfiguration: {0}")]
    Yaml(String),
    /// One rule cannot be used.
    #[error("rule {rule}: {problem}")]
    Rule {
        /// Name of the rule, or its position.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    name: String,
    source: Source,
    action: Action,
}

#[derive(Debug, Clone)]
enum Action {
    Privileged,
    Static(FixedIdentity),
}

/// All conditions that are given must hold.
#[derive(Debug, Clone, Default)]
struct Source {
    user: Option<String>,
    group: Option<String>,
    uid: Option<String>,
    cluster: Option<String>,
    user_pattern: Option<Regex>,
    group_pattern: Option<Regex>,
    cluster_pattern: Option<Regex>,
}

impl Rules {
    /// Reads the global file, or (with `cluster`) a cluster's annotation, whose rules apply to that cluster only.
    ///
    /// # Errors
    /// [`RuleError`] for anything that is not understood completely (rule 154).
    pub fn parse(yaml: &str, cluster: Option<&str>) -> Result<Self, RuleError> {
        let document: Document = serde_saphyr::from_str(yaml).map_err(|error| {
            // The parser's report quotes the text; its first line says what is wrong and where.
            RuleError::Yaml(error.to_string().lines().next().unwrap_or_default().to_owned())
        })?;
        let rules = document.spec.client_identity_exchanger.rules;
        rules
            .into_iter()
            .enumerate()
            .map(|(index, raw)| raw.compile(index, cluster))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of privileged rules whose pattern matches more than it seems to: neither an exact user or group nor an
    /// anchored pattern (rule 155).
    pub fn loosely_privileged(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|rule| rule.is_loosely_privileged()).map(Rule::name)
    }

    pub(super) fn first_match(&self, user: &UserInfo, cluster: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.source.matches(user, cluster))
    }
}

impl Rule {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn exchange(&self) -> Exchange<'_> {
        match &self.action {
            Action::Privileged => Exchange::Gateway,
            Action::Static(identity) => Exchange::Fixed(identity),
        }
    }

    /// Whether anything but the cluster decides.
    pub(super) fn names_a_caller(&self) -> bool {
        let Source { user, group, uid, user_pattern, group_pattern, .. } = &self.source;
        user.is_some()
            || group.is_some()
            || uid.is_some()
            || user_pattern.is_some()
            || group_pattern.is_some()
    }

    fn is_loosely_privileged(&self) -> bool {
        let anchored = |pattern: &Option<Regex>| {
            pattern
                .as_ref()
                .is_some_and(|regex| regex.as_str().starts_with('^') && regex.as_str().ends_with('$'))
        };
        let Source { user, group, user_pattern, group_pattern, .. } = &self.source;
        matches!(self.action, Action::Privileged)
            && user.is_none()
            && group.is_none()
            && !anchored(user_pattern)
            && !anchored(group_pattern)
    }
}

impl Source {
    fn matches(&self, user: &UserInfo, cluster: &str) -> bool {
        let equal =
            |expected: &Option<String>, value: &str| expected.as_deref().is_none_or(|text| text == value);
        let fits =
            |pattern: &Option<Regex>, value: &str| pattern.as_ref().is_none_or(|regex| regex.is_match(value));
        equal(&self.user, &user.name)
            && self.group.as_ref().is_none_or(|group| user.in_group(group))
            && equal(&self.uid, &user.uid)
            && equal(&self.cluster, cluster)
            && fits(&self.user_pattern, &user.name)
            && self
                .group_pattern
                .as_ref()
                .is_none_or(|regex| user.groups.iter().any(|group| regex.is_match(group)))
            && fits(&self.cluster_pattern, cluster)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "apiVersion", default)]
    _api_version: serde::de::IgnoredAny,
    #[serde(rename = "kind", default)]
    _kind: serde::de::IgnoredAny,
    #[serde(rename = "metadata", default)]
    _metadata: serde::de::IgnoredAny,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    client_identity_exchanger: Exchanger,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchanger {
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    source: Option<RawSource>,
    target: Option<RawTarget>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSource {
    user: Option<String>,
    group: Option<String>,
    uid: Option<String>,
    cluster: Option<String>,
    user_pattern: Option<String>,
    group_pattern: Option<String>,
    cluster_pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    #[serde(default)]
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    uid: String,
}

impl RawRule {
    fn compile(self, index: usize, cluster: Option<&str>) -> Result<Rule, RuleError> {
        let name = if self.name.is_empty() { format!("number {}", index + 1) } else { self.name };
        let refuse = |problem: String| RuleError::Rule { rule: format!("\"{name}\""), problem };
        let source = self.source.ok_or_else(|| refuse("it has no source".to_owned()))?;
        let source = source.compile(cluster).map_err(refuse)?;
        if self.url.is_some() && self.kind != "ExternalIdentityExchanger" {
            return Err(refuse("url belongs to ExternalIdentityExchanger only".to_owned()));
        }
        let action = action(&self.kind, self.target).map_err(refuse)?;
        Ok(Rule { name, source, action })
    }
}

fn action(kind: &str, target: Option<RawTarget>) -> Result<Action, String> {
    match (kind, target) {
        ("PrivilegedIdentityExchanger", None) => Ok(Action::Privileged),
        ("PrivilegedIdentityExchanger", Some(_)) => Err("a privileged rule has no target".to_owned()),
        ("StaticMappingIdentityExchanger", Some(RawTarget { user, groups, uid })) if !user.is_empty() => {
            Ok(Action::Static(FixedIdentity { user, groups, uid }))
        }
        ("StaticMappingIdentityExchanger", _) => Err("target.user is missing".to_owned()),
        ("ExternalIdentityExchanger", _) => {
            Err("ExternalIdentityExchanger is not supported by this version".to_owned())
        }
        (other, _) => Err(format!(
            "type \"{other}\" is unknown; expected PrivilegedIdentityExchanger or StaticMappingIdentityExchanger"
        )),
    }
}

impl RawSource {
    fn compile(self, cluster: Option<&str>) -> Result<Source, String> {
        let pattern = |name: &str, text: Option<String>| {
            text.map(|text| {
                RegexBuilder::new(&text).size_limit(1 << 20).build().map_err(|error| {
                    format!("source.{name} is not a regular expression: {}", one_line(&error))
                })
            })
            .transpose()
        };
        let source = Source {
            user: self.user,
            group: self.group,
            uid: self.uid,
            // An annotation speaks for its own cluster only, whatever it says.
            cluster: cluster.map(str::to_owned).or(self.cluster),
            user_pattern: pattern("userPattern", self.user_pattern)?,
            group_pattern: pattern("groupPattern", self.group_pattern)?,
            cluster_pattern: pattern("clusterPattern", self.cluster_pattern)?,
        };
        if source.is_empty() {
            Err("its source names nothing, so it would match everybody".to_owned())
        } else {
            Ok(source)
        }
    }
}

impl Source {
    fn is_empty(&self) -> bool {
        let Self { user, group, uid, cluster, user_pattern, group_pattern, cluster_pattern } = self;
        [user, group, uid, cluster].iter().all(|text| text.is_none())
            && [user_pattern, group_pattern, cluster_pattern].iter().all(|regex| regex.is_none())
    }
}

fn one_line(error: &regex::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
