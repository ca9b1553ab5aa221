//! Who asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The group of everybody who has proved who they are.
const AUTHENTICATED: &str = "system:authenticated";

/// A user as Kubernetes has them: a name, groups and more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name; that of a service account begins with `system:serviceaccount:`.
    pub name: String,
    /// An identifier that outlives the name; empty when there is none.
    pub uid: String,
    /// Groups, `system:authenticated` among them for everybody but the anonymous.
    pub groups: Vec<String>,
    /// Further attributes by their name, lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Somebody who has proved to be `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), groups: vec![AUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// The same with one more group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.groups.insert(self.groups.len().saturating_sub(1), group.to_owned());
        self
    }

    /// Somebody who has proved nothing.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        *self == Self::anonymous()
    }

    /// Adds the groups that follow from the name.
    pub(crate) fn with_implied_groups(mut self) -> Self {
        if let Some(account) = self.name.strip_prefix("system:serviceaccount:")
            && self.groups.is_empty()
        {
            let namespace = account.split(':').next().unwrap_or_default();
            self.groups =
                vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        }
        let implied = if self.name == "system:anonymous" { "system:unauthenticated" } else { AUTHENTICATED };
        if !self.groups.iter().any(|group| group == implied) {
            self.groups.push(implied.to_owned());
        }
        self
    }

    /// As `userInfo` has it.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            document["uid"] = self.uid.clone().into();
        }
        if !self.extra.is_empty() {
            document["extra"] = json!(self.extra);
        }
        document
    }
}
