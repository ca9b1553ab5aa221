//! A service account of its own for the gateway, instead of the credential that a cluster is joined with.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ENDS, ANNOTATION_TOKEN_ISSUED, CredentialType,
    LABEL_CREDENTIAL_TYPE,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use tokio::time::timeout;

use super::gateway::Identity;
use super::ocm::Side;
use super::step::Steps;
use super::{Change, CredentialOutlook, Gateway, LifecycleError, Store, Verb};
use crate::registry::{ClusterPolicy, Entry};
use crate::renewal::{
    self, Change as MemberChange, EstablishError, Establishment, MemberObject, Role, ServiceAccountRef, Token,
};

/// How long it may take to find out what is possible.
const LIMIT: Duration = Duration::from_secs(30);
/// Keys of a Secret that hold credentials.
const CREDENTIALS: [&str; 4] = ["token", "tls.crt", "tls.key", "exec"];

/// Which service account the gateway is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRequest {
    /// Its name.
    pub account: ServiceAccountRef,
    /// What it may do, and whether it must be.
    pub choice: AccountChoice,
    /// How long its tokens hold; the member may shorten that.
    pub lifetime: Duration,
    /// Whether a gateway will be asked, once the cluster is written, if callers' identities reach the member.
    pub asks_gateway: bool,
}

/// What a service account may do, and whether it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChoice {
    /// As [`AccountChoice::Auto`] where whoever joins may make such an account, and the credential comes from no program; else
    /// the credential stays as it is.
    WhereAllowed,
    /// It may act as others; if the gateway does not pass identities on, everything. In a directory of clusters, if no server
    /// can be asked: everything.
    Auto,
    /// It may act as others, and nothing of its own.
    Impersonate,
    /// It may do everything.
    ClusterAdmin,
}

/// An account that is ready to be made. What it does on the member can be undone.
#[derive(Debug)]
pub(super) struct Account {
    establishment: Establishment,
    role: Role,
    /// Whether the gateway is to be asked if that is enough.
    ask: bool,
    lifetime: Duration,
    objects: Vec<MemberObject>,
}

impl Account {
    /// Looks at what would be done on the member with the credential in `secret`; changes nothing. `None`: the credential stays as
    /// it is, and `notes` say why if somebody might wonder.
    ///
    /// # Errors
    /// [`LifecycleError::Account`], unless it may be done without.
    pub(super) async fn prepare(
        secret: &Secret,
        policy: &ClusterPolicy,
        request: &AccountRequest,
        store: &Store,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, LifecycleError> {
        let optional = request.choice == AccountChoice::WhereAllowed;
        if optional && kind(secret) == Some(CredentialType::Dynamic) {
            return Ok(None);
        }
        let place = Place::of(store, request.asks_gateway);
        let looked = timeout(LIMIT, Self::look(secret, policy, request, place)).await;
        let looked = looked.unwrap_or_else(|_| Err(format!("the member does not answer within {LIMIT:?}")));
        match looked {
            Ok((account, note)) => {
                notes.extend(note);
                Ok(Some(account))
            }
            Err(why) if optional => {
                notes.push(format!("the credential stays as it is, and nobody renews it: no service account is made, because {why}"));
                Ok(None)
            }
            Err(why) => Err(LifecycleError::Account(format!("no service account can be made: {why}"))),
        }
    }

    async fn look(
        secret: &Secret,
        policy: &ClusterPolicy,
        request: &AccountRequest,
        place: Place,
    ) -> Result<(Self, Option<String>), String> {
        let cluster = policy.read(Entry::from(secret.clone()), None);
        let upstream = cluster.upstream.as_ref().map_err(ToString::to_string)?;
        let client = renewal::client(upstream);
        let (role, ask, note) = request.choice.role(place);
        let mut roles = vec![role];
        if ask {
            roles.push(Role::ClusterAdmin);
        }
        for role in roles {
            let missing = renewal::missing_rights(&client, &request.account, role).await;
            let missing = missing.map_err(|error| error.to_string())?;
            if !missing.is_empty() {
                return Err(format!("whoever the kubeconfig is may not {} there", missing.join(", ")));
            }
        }
        let objects =
            renewal::survey(&client, &request.account, role).await.map_err(|error| error.to_string())?;
        let establishment = Establishment::new(client, request.account.clone());
        Ok((Self { establishment, role, ask, lifetime: request.lifetime, objects }, note.map(str::to_owned)))
    }

    /// Whether the gateway is to be asked if its rights are enough.
    pub(super) fn is_asked_about(&self) -> bool {
        self.ask
    }

    /// What would be changed on the member.
    pub(super) fn changes(&self) -> Vec<Change> {
        let changed = self.objects.iter().filter(|object| object.change != MemberChange::None);
        let change = |object: &MemberObject| {
            let namespace =
                object.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
            let verb = match object.change {
                MemberChange::Update => Verb::Replace,
                MemberChange::Create | MemberChange::None => Verb::Create,
            };
            Change::plain(verb, format!("{} {namespace}{}", object.kind, object.name), Some(Side::Member))
        };
        changed.map(change).collect()
    }

    /// Says in `secret` what it will hold, without a token: for a plan.
    pub(super) fn announce(&self, secret: &mut Secret) {
        forget_credential(secret);
        let metadata = &mut secret.metadata;
        let kind = CredentialType::ServiceAccountToken.as_str().to_owned();
        metadata.labels.get_or_insert_default().insert(LABEL_CREDENTIAL_TYPE.to_owned(), kind);
        let account = self.establishment.account().to_string();
        metadata.annotations.get_or_insert_default().insert(ANNOTATION_SERVICE_ACCOUNT.to_owned(), account);
    }

    /// Makes it, and puts its token into `secret` in place of any other credential.
    ///
    /// # Errors
    /// [`LifecycleError::Account`]. What was done is taken back by [`Account::undo`].
    pub(super) async fn make(&mut self, secret: &mut Secret, steps: Steps<'_>) -> Result<(), LifecycleError> {
        let account = self.establishment.account().to_string();
        let made = Box::pin(self.establishment.establish(self.role));
        steps.make(format!("Make service account {account} in the cluster"), made).await?;
        let asked = Box::pin(self.establishment.token(self.lifetime));
        let token = steps.make(format!("Ask for a token of {account}"), asked).await?;
        put_token(secret, self.establishment.account(), &token);
        Ok(())
    }

    /// The credential that [`Account::make`] leads to.
    pub(super) fn outlook(&self) -> CredentialOutlook {
        CredentialOutlook::of_new_token(self.lifetime)
    }

    /// What was asked for, for a digest.
    pub(super) fn asked(&self) -> String {
        format!("{} {:?} {} {:?}", self.establishment.account(), self.role, self.ask, self.lifetime)
    }

    /// Asks the gateway, which must know the cluster as it was written, whether the account's rights are enough, and gives it all
    /// if they are not.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub(super) async fn settle(&mut self, gateway: &Gateway, cluster: &str) -> Result<(), LifecycleError> {
        if !self.ask {
            return Ok(());
        }
        match gateway.identity(cluster, self.establishment.account()).await? {
            Identity::PassedOn => Ok(()),
            Identity::Account => Ok(self.establishment.establish(Role::ClusterAdmin).await?),
        }
    }

    /// Takes back what was done on the member. Returns what could not be.
    pub(super) async fn undo(&mut self, steps: Steps<'_>) -> Vec<String> {
        let undone = async {
            let left = self.establishment.undo().await;
            if left.is_empty() { Ok(()) } else { Err(Left(left)) }
        };
        let undone = steps.make("Take back what was made in the cluster", undone).await;
        undone.err().map(|Left(left)| left).unwrap_or_default()
    }

    /// Whether something on the member was changed.
    pub(super) fn has_changed_something(&self) -> bool {
        self.establishment.has_changed_something()
    }
}

/// What could not be taken back.
struct Left(Vec<String>);

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Where a cluster is registered, in so far as a gateway can be asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where a gateway runs that is asked afterwards.
    Asked,
    /// At a hub, and nobody is asked.
    Unasked,
    /// In a directory, and no server runs that could be asked.
    Directory,
}

impl Place {
    fn of(store: &Store, asks: bool) -> Self {
        match store {
            _ if asks => Self::Asked,
            Store::Hub(_) => Self::Unasked,
            Store::Directory(_) => Self::Directory,
        }
    }
}

impl AccountChoice {
    /// The role to begin with, whether the gateway is asked if that is enough, and what should be known about it.
    fn role(self, place: Place) -> (Role, bool, Option<&'static str>) {
        match (self, place) {
            (Self::Impersonate, _) => (Role::Impersonate, false, None),
            (Self::ClusterAdmin, _) => (Role::ClusterAdmin, false, None),
            (Self::Auto | Self::WhereAllowed, Place::Asked) => (
                Role::Impersonate,
                true,
                Some(
                    "the service account may act as others; if the gateway turns out not to pass callers' identities on \
                     (ClientIdentityPenetration), it is bound to cluster-admin as well, because nobody could do anything there \
                     otherwise",
                ),
            ),
            (Self::Auto | Self::WhereAllowed, Place::Unasked) => (
                Role::Impersonate,
                false,
                Some(
                    "the service account may act as others and do nothing itself; if the gateway does not pass callers' \
                     identities on (ClientIdentityPenetration), ask for --service-account=cluster-admin",
                ),
            ),
            (Self::Auto | Self::WhereAllowed, Place::Directory) => (
                Role::ClusterAdmin,
                false,
                Some(
                    "the service account is bound to cluster-admin, as a standalone gateway usually lets everybody act as it; if \
                     yours passes callers' identities on (ClientIdentityPenetration), ask for --service-account=impersonate",
                ),
            ),
        }
    }
}

/// Puts a token into a cluster's Secret in place of any other credential, and says whose it is.
pub(super) fn put_token(secret: &mut Secret, account: &ServiceAccountRef, token: &Token) {
    forget_credential(secret);
    let kind = CredentialType::ServiceAccountToken.as_str().to_owned();
    secret.metadata.labels.get_or_insert_default().insert(LABEL_CREDENTIAL_TYPE.to_owned(), kind);
    secret.metadata.annotations.get_or_insert_default().extend(token.annotations(account));
    let bytes = ByteString(token.text.as_bytes().to_vec());
    secret.data.get_or_insert_default().insert("token".to_owned(), bytes);
}

/// Takes the credential out of a Secret, and what was written down about it.
pub(super) fn forget_credential(secret: &mut Secret) {
    secret.data.get_or_insert_default().retain(|key, _| !CREDENTIALS.contains(&key.as_str()));
    let annotations = secret.metadata.annotations.get_or_insert_default();
    for key in [ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ISSUED, ANNOTATION_TOKEN_ENDS] {
        annotations.remove(key);
    }
}

/// Keys of a Secret that hold credentials.
pub(super) fn credential(secret: &Secret) -> impl Iterator<Item = (&String, &ByteString)> {
    secret.data.iter().flatten().filter(|(key, _)| CREDENTIALS.contains(&key.as_str()))
}

/// The kind of credential that a Secret holds.
pub(super) fn kind(secret: &Secret) -> Option<CredentialType> {
    secret.metadata.labels.as_ref()?.get(LABEL_CREDENTIAL_TYPE).and_then(|kind| CredentialType::parse(kind))
}

impl From<EstablishError> for LifecycleError {
    fn from(error: EstablishError) -> Self {
        Self::Account(error.to_string())
    }
}
