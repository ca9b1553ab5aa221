//! Rules by whom they are granted to.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::Attributes;
use super::rule::Rule;
use crate::authn::UserInfo;

/// The rules of one role.
pub(super) type Rules = Arc<[Rule]>;

/// To whom a role is granted. A service account is the user that its token makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    User(Box<str>),
    Group(Box<str>),
}

/// Rules, and where they count.
#[derive(Debug)]
struct Grant {
    /// `None`: in every namespace, and for what is in none.
    namespace: Option<Box<str>>,
    rules: Rules,
}

impl Grant {
    fn allows(&self, attributes: &Attributes<'_>) -> bool {
        let counts = match (&self.namespace, attributes) {
            (None, _) => true,
            (Some(own), Attributes::Resource { namespace, .. }) => **own == **namespace,
            (Some(_), Attributes::Path { .. }) => false,
        };
        counts && self.rules.iter().any(|rule| rule.allows(attributes))
    }
}

/// All that is granted.
#[derive(Debug, Default)]
pub(super) struct Grants {
    users: HashMap<Box<str>, Vec<Grant>>,
    groups: HashMap<Box<str>, Vec<Grant>>,
}

impl Grants {
    /// Grants rules, in one namespace or everywhere.
    pub(super) fn grant(&mut self, subject: Subject, namespace: Option<&str>, rules: Rules) {
        let granted = match subject {
            Subject::User(name) => self.users.entry(name).or_default(),
            Subject::Group(name) => self.groups.entry(name).or_default(),
        };
        let same =
            |known: &Grant| Arc::ptr_eq(&known.rules, &rules) && known.namespace.as_deref() == namespace;
        if !granted.iter().any(same) {
            granted.push(Grant { namespace: namespace.map(Box::from), rules });
        }
    }

    pub(super) fn allow(&self, user: &UserInfo, attributes: &Attributes<'_>) -> bool {
        let own = self.users.get(user.name.as_str()).into_iter();
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        own.chain(groups).flatten().any(|grant| grant.allows(attributes))
    }

    /// How many subjects and how many rules there are.
    pub(super) fn size(&self) -> (usize, usize) {
        let granted = self.users.values().chain(self.groups.values());
        let rules = granted.flatten().map(|grant| grant.rules.len()).sum();
        (self.users.len() + self.groups.len(), rules)
    }
}
