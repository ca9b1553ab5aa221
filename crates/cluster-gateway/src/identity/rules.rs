//! `ClusterGatewayProxyConfiguration`: compiled rules, and which of them speaks of a request.

use std::path::Path;
use std::sync::Arc;

use super::pattern::Pattern;
use super::schema::{Document, RawRule, RawSource, RawTarget, RawWebhook};
use super::webhook::{Webhook, Webhooks};
use super::write;
use crate::authn::UserInfo;

/// Rules of one document, at most: each may hold three patterns.
const MAX_RULES: usize = 1000;
/// Characters of a rule's name, which stands in answers and in the log.
const MAX_NAME: usize = 253;

const PRIVILEGED: &str = "PrivilegedIdentityExchanger";
const STATIC: &str = "StaticMappingIdentityExchanger";
const EXTERNAL: &str = "ExternalIdentityExchanger";

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

/// Reads a file that a rule names; `Err`: why it cannot be read.
pub(super) type ReadFile<'r> = dyn FnMut(&Path) -> Result<Vec<u8>, String> + 'r;

/// Where rules stand.
enum Origin<'o> {
    /// In the operator's file, which may name others.
    File(&'o mut ReadFile<'o>),
    /// In the annotation of this cluster.
    Annotation(&'o str),
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    name: String,
    source: Source,
    action: Action,
}

/// What is done with the identity of whom a rule speaks of.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Privileged,
    Static(Arc<UserInfo>),
    External(Arc<Webhook>),
}

/// All conditions that are given must hold.
#[derive(Debug, Clone, Default)]
struct Source {
    user: Option<String>,
    group: Option<String>,
    uid: Option<String>,
    cluster: Option<String>,
    user_pattern: Option<Pattern>,
    group_pattern: Option<Pattern>,
    cluster_pattern: Option<Pattern>,
}

impl Rules {
    /// Reads rules for all clusters that name no files.
    ///
    /// # Errors
    /// [`RuleError`] for anything that is not understood completely (rule 154).
    pub fn global(yaml: &str) -> Result<Self, RuleError> {
        Self::of_file(yaml, &mut |_| Err("rules that are not in a file name none".to_owned()))
    }

    /// Reads the rules in a cluster's annotation, which apply to that cluster only, whatever they say.
    ///
    /// # Errors
    /// As [`Rules::global`], and for webhooks that `webhooks` does not allow.
    pub fn of_cluster(yaml: &str, cluster: &str, webhooks: &Webhooks) -> Result<Self, RuleError> {
        Self::parse(yaml, Origin::Annotation(cluster), webhooks)
    }

    /// Reads the operator's file; `read` reads those that it names.
    pub(super) fn of_file<'r>(yaml: &str, read: &'r mut ReadFile<'r>) -> Result<Self, RuleError> {
        Self::parse(yaml, Origin::File(read), &Webhooks::of_operator())
    }

    fn parse(yaml: &str, mut origin: Origin<'_>, webhooks: &Webhooks) -> Result<Self, RuleError> {
        let rules = Document::parse(yaml).map_err(RuleError::Yaml)?;
        if rules.len() > MAX_RULES {
            return Err(RuleError::Yaml(format!("it has {} rules, more than {MAX_RULES}", rules.len())));
        }
        rules
            .into_iter()
            .enumerate()
            .map(|(index, raw)| raw.compile(index, &mut origin, webhooks))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Takes over the webhooks of `previous` that are the same: their connections and answers live on.
    #[must_use]
    pub fn inheriting(mut self, previous: &Self) -> Self {
        let external = |rule: &Rule| match &rule.action {
            Action::External(webhook) => Some(Arc::clone(webhook)),
            Action::Privileged | Action::Static(_) => None,
        };
        let known: Vec<_> = previous.0.iter().filter_map(external).collect();
        for rule in &mut self.0 {
            if let Action::External(webhook) = &mut rule.action
                && let Some(same) = known.iter().find(|known| known.is_same(webhook))
            {
                *webhook = Arc::clone(same);
            }
        }
        self
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

    /// Says which rules of `cluster` (`None`: of the operator's file) give the gateway's privileges to more callers than it seems, but for
    /// those that `known` has, too (rule 155).
    pub fn warn_of_loose_privileges(&self, cluster: Option<&str>, known: Option<&Self>) {
        let known: Vec<_> = known.into_iter().flat_map(Self::loosely_privileged).collect();
        for rule in self.loosely_privileged().filter(|rule| !known.contains(rule)) {
            tracing::warn!(
                rule,
                cluster,
                "this privileged identity rule names neither an exact user or group nor a pattern with ^ and $; it may \
                 match more callers than meant"
            );
        }
    }

    pub(super) fn first_match(&self, user: &UserInfo, cluster: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.source.matches(user, cluster))
    }
}

impl Rule {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn action(&self) -> &Action {
        &self.action
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
        let anchored = |pattern: &Option<Pattern>| pattern.as_ref().is_some_and(Pattern::is_anchored);
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
            |pattern: &Option<Pattern>, value: &str| pattern.as_ref().is_none_or(|p| p.is_match(value));
        let one_fits = |pattern: &Pattern| user.groups.iter().any(|group| pattern.is_match(group));
        equal(&self.user, &user.name)
            && self.group.as_ref().is_none_or(|group| user.in_group(group))
            && equal(&self.uid, &user.uid)
            && equal(&self.cluster, cluster)
            && fits(&self.user_pattern, &user.name)
            && self.group_pattern.as_ref().is_none_or(one_fits)
            && fits(&self.cluster_pattern, cluster)
    }

    fn is_empty(&self) -> bool {
        let Self { user, group, uid, cluster, user_pattern, group_pattern, cluster_pattern } = self;
        [user, group, uid, cluster].iter().all(|text| text.is_none())
            && [user_pattern, group_pattern, cluster_pattern].iter().all(|pattern| pattern.is_none())
    }
}

impl RawRule {
    fn compile(
        mut self,
        index: usize,
        origin: &mut Origin<'_>,
        webhooks: &Webhooks,
    ) -> Result<Rule, RuleError> {
        let webhook = self.take_webhook();
        let number = format!("number {}", index + 1);
        if self.name.chars().count() > MAX_NAME || self.name.chars().any(char::is_control) {
            let problem =
                format!("its name holds control characters, or is longer than {MAX_NAME} characters");
            return Err(RuleError::Rule { rule: number, problem });
        }
        let name = if self.name.is_empty() { number } else { self.name };
        let refuse = |problem: String| RuleError::Rule { rule: format!("\"{name}\""), problem };
        let source = self.source.ok_or_else(|| refuse("it has no source".to_owned()))?;
        let source = source.compile(origin).map_err(refuse)?;
        let action = action(&self.kind, self.target, &webhook, origin, webhooks).map_err(refuse)?;
        Ok(Rule { name, source, action })
    }
}

fn action(
    kind: &str,
    target: Option<RawTarget>,
    webhook: &RawWebhook,
    origin: &mut Origin<'_>,
    webhooks: &Webhooks,
) -> Result<Action, String> {
    if kind != EXTERNAL
        && let Some(field) = webhook.first_given()
    {
        return Err(format!("{field} belongs to {EXTERNAL} only"));
    }
    match (kind, target) {
        (PRIVILEGED, None) => Ok(Action::Privileged),
        (PRIVILEGED, Some(_)) => Err("a privileged rule has no target".to_owned()),
        (STATIC, Some(target)) => identity(target).map(|user| Action::Static(Arc::new(user))),
        (STATIC, None) => Err("target.user is missing".to_owned()),
        (EXTERNAL, Some(_)) => Err("an external rule has no target: its webhook names it".to_owned()),
        (EXTERNAL, None) => {
            let webhook = match origin {
                Origin::File(read) => webhooks.of_rule(webhook, None, *read),
                Origin::Annotation(cluster) => {
                    webhooks.of_rule(webhook, Some(*cluster), &mut |_| Err(String::new()))
                }
            };
            webhook.map(|webhook| Action::External(Arc::new(webhook)))
        }
        (other, _) => {
            let other: String = other.chars().take(MAX_NAME).collect();
            Err(format!("type {other:?} is unknown; expected {PRIVILEGED}, {STATIC} or {EXTERNAL}"))
        }
    }
}

/// What cannot be written into a request's headers is said now.
fn identity(target: RawTarget) -> Result<UserInfo, String> {
    let RawTarget { user, groups, uid, extra } = target;
    if user.is_empty() {
        return Err("target.user is missing".to_owned());
    }
    let extra = extra.into_iter().map(|(key, values)| (key.to_ascii_lowercase(), values)).collect();
    let user = UserInfo { name: user, uid, groups, extra };
    write::check(&user).map_err(|problem| format!("target: {problem}"))?;
    Ok(user)
}

impl RawSource {
    fn compile(self, origin: &Origin<'_>) -> Result<Source, String> {
        let pattern = |name: &str, text: Option<String>| {
            let parsed = text.map(|text| Pattern::parse(&text)).transpose();
            parsed.map_err(|problem| format!("source.{name} {problem}"))
        };
        let own = match origin {
            Origin::File(_) => None,
            Origin::Annotation(cluster) => Some((*cluster).to_owned()),
        };
        let mut source = Source {
            user: self.user,
            group: self.group,
            uid: self.uid,
            cluster: self.cluster,
            user_pattern: pattern("userPattern", self.user_pattern)?,
            group_pattern: pattern("groupPattern", self.group_pattern)?,
            cluster_pattern: pattern("clusterPattern", self.cluster_pattern)?,
        };
        if source.is_empty() {
            return Err("its source names nothing, so it would match everybody".to_owned());
        }
        // An annotation speaks for its own cluster only, whatever it says.
        source.cluster = own.or(source.cluster);
        Ok(source)
    }
}
