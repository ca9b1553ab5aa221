//! Whether a caller's identity is passed on, and what the rules make of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cluster_gateway_client::GROUP;

use super::rules::{Action, Rule};
use super::webhook::{Verdict, Webhook};
use super::{Exchange, RuleError, Rules, RulesFile, WebhookHosts};
use crate::authn::UserInfo;
use crate::cache::Failure;
use crate::request::query_value;
use crate::status::{Error, Forbidden, ForbiddenOn};

/// The operator's settings.
#[derive(Debug, Clone, Default)]
pub struct IdentityConfig {
    /// Rules for all clusters; a cluster's own come first. Default: none.
    pub rules: Rules,
    /// Where `rules` were read, and are read again when it changes (`--cluster-gateway-proxy-config`).
    pub file: Option<RulesFile>,
    /// Hosts that the annotations of clusters may name as webhooks (`--identity-webhook-hosts`). Default: none.
    pub webhook_hosts: WebhookHosts,
}

/// Whether callers' identities are passed on to members.
#[derive(Debug, Default)]
pub struct IdentityPassing {
    /// For every request (feature gate `ClientIdentityPenetration`); else only with `?impersonate=true` (rule 106).
    always: bool,
    /// Rules for all clusters.
    global: ArcSwap<Rules>,
    file: Mutex<Option<RulesFile>>,
}

/// What the rules say.
enum Decision<'a> {
    Known(Exchange<'a>),
    /// This rule's webhook knows.
    Ask {
        rule: String,
        webhook: Arc<Webhook>,
    },
}

impl IdentityPassing {
    /// With `always`, for every request.
    #[must_use]
    pub fn new(always: bool, config: IdentityConfig) -> Self {
        let IdentityConfig { rules, file, webhook_hosts: _ } = config;
        rules.warn_of_loose_privileges(None, None);
        Self { always, global: ArcSwap::from_pointee(rules), file: Mutex::new(file) }
    }

    /// Whether every request is passed on as its caller's.
    #[must_use]
    pub fn passes_all(&self) -> bool {
        self.always
    }

    /// As whom the member `cluster`, whose own rules are `own`, sees this caller's request: decided by the first rule that
    /// matches, the cluster's before the global ones; without a match the caller stays who they are (rule 153). Rules that
    /// could not be read close the cluster to identities that are passed on (rule 154).
    ///
    /// # Errors
    /// [`Error::Member`]: the cluster's rules cannot be understood. [`Error::Forbidden`]: a rule would give a nameless or
    /// anonymous caller something on nothing but the cluster's name (rule 156), or its webhook says no.
    /// [`Error::IdentityWebhook`], [`Error::TooManyRequests`]: its webhook cannot be asked.
    pub async fn exchange<'a>(
        &self,
        user: &'a UserInfo,
        cluster: &str,
        own: &Result<Rules, RuleError>,
        query: Option<&str>,
    ) -> Result<Exchange<'a>, Error> {
        if !self.always && !asks_for_it(query) {
            return Ok(Exchange::Gateway);
        }
        let own = own.as_ref().map_err(|reason| Error::Member {
            cluster: cluster.to_owned(),
            message: format!("invalid proxy configuration: {reason}"),
        })?;
        match self.decide(user, cluster, own)? {
            Decision::Known(exchange) => Ok(exchange),
            // Boxed: rare, and large; a request's future is moved and kept as a whole.
            Decision::Ask { rule, webhook } => Box::pin(ask(&webhook, &rule, user, cluster)).await,
        }
    }

    fn decide<'a>(&self, user: &'a UserInfo, cluster: &str, own: &Rules) -> Result<Decision<'a>, Error> {
        if user.name.is_empty() {
            return Err(forbidden(user, cluster, "a caller without a name cannot be passed on".to_owned()));
        }
        if let Some(rule) = own.first_match(user, cluster) {
            return apply(rule, user, cluster);
        }
        let global = self.global.load();
        match global.first_match(user, cluster) {
            Some(rule) => apply(rule, user, cluster),
            None => Ok(Decision::Known(Exchange::Caller(user))),
        }
    }

    /// Reads the operator's file again whenever it, or a file that it names, has changed. What cannot be understood
    /// leaves the last good rules in force, and is said. Ends only if there is no file.
    pub async fn follow(&self, poll: Duration) {
        let Some(mut file) = self.file.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        loop {
            tokio::time::sleep(poll).await;
            let looked = tokio::task::spawn_blocking(move || {
                let found = file.look_again();
                (file, found)
            });
            let Ok((back, found)) = looked.await else { return };
            file = back;
            match found {
                None => {}
                Some(Ok(rules)) => {
                    tracing::info!(file = %file.path().display(), rules = rules.len(), "the identity rules are loaded again");
                    rules.warn_of_loose_privileges(None, Some(&self.global.load()));
                    let rules = rules.inheriting(&self.global.load());
                    self.global.store(Arc::new(rules));
                }
                Some(Err(problem)) => tracing::error!(
                    file = %file.path().display(),
                    problem,
                    "the identity rules have changed and are refused; the last good ones STAY IN FORCE; mend the file"
                ),
            }
        }
    }
}

/// `?impersonate=true`, in exactly these words (rule 106).
fn asks_for_it(query: Option<&str>) -> bool {
    query.is_some_and(|query| query_value(query, "impersonate").is_some_and(|value| value == "true"))
}

fn apply<'a>(rule: &Rule, user: &'a UserInfo, cluster: &str) -> Result<Decision<'a>, Error> {
    let by_cluster_alone = || user.is_anonymous() && !rule.names_a_caller();
    Ok(match rule.action() {
        Action::Static(identity) => Decision::Known(Exchange::Mapped(Arc::clone(identity))),
        Action::Privileged | Action::External(_) if by_cluster_alone() => {
            let reason = format!("identity rule \"{}\" names no user or group", rule.name());
            return Err(forbidden(user, cluster, reason));
        }
        Action::Privileged => Decision::Known(Exchange::Gateway),
        Action::External(webhook) => {
            Decision::Ask { rule: rule.name().to_owned(), webhook: Arc::clone(webhook) }
        }
    })
}

async fn ask<'a>(
    webhook: &Arc<Webhook>,
    rule: &str,
    user: &UserInfo,
    cluster: &str,
) -> Result<Exchange<'a>, Error> {
    let what = || format!("identity rule \"{rule}\": webhook {}", webhook.origin());
    match webhook.ask(user, cluster).await {
        Ok(Verdict::User(user)) => Ok(Exchange::Mapped(user)),
        Ok(Verdict::Denied(reason)) => {
            Err(forbidden(user, cluster, format!("identity rule \"{rule}\": {reason}")))
        }
        Err(Failure::Busy(_)) => {
            Err(Error::TooManyRequests(format!("cluster {cluster}: {}: too many questions at once", what())))
        }
        Err(Failure::Unknown(cause)) => Err(Error::IdentityWebhook {
            cluster: cluster.to_owned(),
            message: format!("{}: {cause}", what()),
        }),
    }
}

fn forbidden(user: &UserInfo, cluster: &str, reason: String) -> Error {
    Error::Forbidden(Box::new(Forbidden {
        user: user.name.clone(),
        verb: "use".to_owned(),
        on: ForbiddenOn::Resource {
            group: GROUP.to_owned(),
            resource: "clustergateways".to_owned(),
            subresource: "proxy".to_owned(),
            namespace: String::new(),
            name: cluster.to_owned(),
        },
        reason,
    }))
}
