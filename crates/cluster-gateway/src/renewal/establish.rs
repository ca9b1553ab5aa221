//! A service account for the gateway on a member: made with the rights of whoever joins it, and taken back if that fails.
//!
//! Making it twice is making it once. What was there before is not changed, unless it is one of ours that says something else
//! now; then it is put back by an undo.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::Request;
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, PostParams, Preconditions};
use serde::Serialize;
use serde_json::Value;

mod error;
mod rights;
mod wanted;

pub use error::EstablishError;
use error::member;
pub use rights::missing_rights;
pub use wanted::Role;
use wanted::Wanted;

use super::ServiceAccountRef;
use super::token::{self, Token};

/// Namespace of the gateway's account on a member, where nobody says another.
pub const DEFAULT_NAMESPACE: &str = "cluster-gateway-access";
/// Name of that account.
pub const DEFAULT_NAME: &str = "cluster-gateway";

/// How long to wait for rights that were just granted to count.
const EFFECTIVE: Duration = Duration::from_secs(10);

/// An object on the member that the account consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberObject {
    /// Its kind.
    pub kind: String,
    /// Its namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What is to be done about it.
    pub change: Change,
}

/// What making the account does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is made.
    Create,
    /// It is ours and says something else; it is replaced.
    Update,
    /// It is there as it should be.
    None,
}

/// A service account in the making; knows what it has changed, also when what it was doing is dropped half-way.
pub struct Establishment {
    client: Client,
    account: ServiceAccountRef,
    done: Vec<Done>,
}

/// Something that was changed, and how it is put back.
enum Done {
    /// Made; without a `uid` it is not known whether it was.
    Created(Wanted, Option<String>),
    /// Replaced; this was there.
    Replaced(Wanted, Box<DynamicObject>),
}

/// What would be done on the member to give `account` this role. Nothing is changed.
///
/// # Errors
/// [`EstablishError`]: the member does not say what is there, or something else has one of the names.
pub async fn survey(
    client: &Client,
    account: &ServiceAccountRef,
    role: Role,
) -> Result<Vec<MemberObject>, EstablishError> {
    let mut objects = Vec::new();
    for wanted in wanted::of(account, role) {
        let found = member(&wanted, "read", wanted.api(client).get_opt(&wanted.name)).await?;
        let change = wanted.change(found.as_ref())?;
        let Wanted { resource, namespace, name, .. } = wanted;
        objects.push(MemberObject { kind: resource.kind, namespace, name, change });
    }
    Ok(objects)
}

impl Establishment {
    /// Nothing is done yet. `client` speaks to the member, as somebody who may make such accounts.
    #[must_use]
    pub fn new(client: Client, account: ServiceAccountRef) -> Self {
        Self { client, account, done: Vec::new() }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &ServiceAccountRef {
        &self.account
    }

    /// Whether anything on the member was changed.
    #[must_use]
    pub fn has_changed_something(&self) -> bool {
        !self.done.is_empty()
    }

    /// Makes the account and what gives it this role, and waits until the member acts on it. Another role can be added by
    /// another call.
    ///
    /// # Errors
    /// [`EstablishError`]; what was done until then is known, and undone by [`Establishment::undo`].
    pub async fn establish(&mut self, role: Role) -> Result<(), EstablishError> {
        for wanted in wanted::of(&self.account, role) {
            self.ensure(wanted).await?;
        }
        rights::wait_effective(&self.client, &self.account, role, EFFECTIVE).await;
        Ok(())
    }

    async fn ensure(&mut self, wanted: Wanted) -> Result<(), EstablishError> {
        let (api, parameters) = (wanted.api(&self.client), PostParams::default());
        let found = member(&wanted, "read", api.get_opt(&wanted.name)).await?;
        match (wanted.change(found.as_ref())?, found) {
            (Change::Update, Some(found)) => {
                let mut object = wanted.object();
                object.metadata.resource_version.clone_from(&found.metadata.resource_version);
                self.done.push(Done::Replaced(wanted.clone(), Box::new(found)));
                member(&wanted, "replace", api.replace(&wanted.name, &parameters, &object)).await?;
            }
            (Change::Create, _) => {
                // Known before it is sent: an answer that does not come says nothing.
                self.done.push(Done::Created(wanted.clone(), None));
                let made = member(&wanted, "create", api.create(&parameters, &wanted.object())).await;
                match (made, self.done.last_mut()) {
                    (Ok(made), Some(Done::Created(_, uid))) => *uid = made.metadata.uid,
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        if !matches!(error, EstablishError::Unreachable(_)) {
                            self.done.pop();
                        }
                        return Err(error);
                    }
                }
            }
            (Change::None | Change::Update, _) => {}
        }
        Ok(())
    }

    /// A token of the account, asked for with the rights of whoever joins.
    ///
    /// # Errors
    /// [`EstablishError`].
    pub async fn token(&self, lifetime: Duration) -> Result<Token, EstablishError> {
        let asked = SystemTime::now();
        let what = format!("a token of service account {}", self.account);
        let request = Request::post(self.account.token_path())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(token::request(lifetime))
            .map_err(|error| EstablishError::Refused(format!("cannot ask for {what}: {error}")))?;
        // Read as plain data: what fails to be read must not be repeated.
        let answer: Value = member(&what, "get", self.client.request(request)).await?;
        let answer = serde_json::to_vec(&answer).unwrap_or_default();
        Token::read(&answer, asked).map_err(EstablishError::Refused)
    }

    /// Puts back what was there before. Returns what could not be put back, each with the reason; nothing if all is well.
    pub async fn undo(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(done) = self.done.pop() {
            let (wanted, undone) = match done {
                Done::Created(wanted, uid) => {
                    let undone = self.remove(&wanted, uid).await;
                    (wanted, undone)
                }
                Done::Replaced(wanted, before) => {
                    let undone = self.put_back(&wanted, *before).await;
                    (wanted, undone)
                }
            };
            if let Err(error) = undone {
                left.push(format!("{wanted}: {error}"));
            }
        }
        left
    }

    async fn remove(&self, wanted: &Wanted, uid: Option<String>) -> Result<(), EstablishError> {
        let api = wanted.api(&self.client);
        let uid = match uid {
            Some(uid) => uid,
            None => match member(wanted, "read", api.get_opt(&wanted.name)).await? {
                // It was missing before, and it is what was asked for.
                Some(found) if matches!(wanted.change(Some(&found)), Ok(Change::None)) => {
                    found.metadata.uid.unwrap_or_default()
                }
                _ => return Ok(()),
            },
        };
        let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
        let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
        match member(wanted, "delete", api.delete(&wanted.name, &parameters)).await {
            Ok(_) | Err(EstablishError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn put_back(&self, wanted: &Wanted, mut before: DynamicObject) -> Result<(), EstablishError> {
        let api = wanted.api(&self.client);
        let Some(now) = member(wanted, "read", api.get_opt(&wanted.name)).await? else { return Ok(()) };
        before.metadata.resource_version = now.metadata.resource_version;
        before.metadata.managed_fields = None;
        member(wanted, "replace", api.replace(&wanted.name, &PostParams::default(), &before)).await.map(drop)
    }
}

impl fmt::Debug for Establishment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Establishment")
            .field("account", &self.account)
            .field("changes", &self.done.len())
            .finish_non_exhaustive()
    }
}
