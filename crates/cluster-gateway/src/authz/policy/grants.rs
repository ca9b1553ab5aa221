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

/// All that is granted.
#[derive(Debug, Default)]
pub(super) struct Grants {
    users: HashMap<Box<str>, Vec<Rules>>,
    groups: HashMap<Box<str>, Vec<Rules>>,
}

impl Grants {
    pub(super) fn grant(&mut self, subject: Subject, rules: Rules) {
        let granted = match subject {
            Subject::User(name) => self.users.entry(name).or_default(),
            Subject::Group(name) => self.groups.entry(name).or_default(),
        };
        if !granted.iter().any(|known| Arc::ptr_eq(known, &rules)) {
            granted.push(rules);
        }
    }

    pub(super) fn allow(&self, user: &UserInfo, attributes: &Attributes<'_>) -> bool {
        let own = self.users.get(user.name.as_str()).into_iter();
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        own.chain(groups).flatten().any(|rules| rules.iter().any(|rule| rule.allows(attributes)))
    }

    /// How many subjects and how many rules there are.
    pub(super) fn size(&self) -> (usize, usize) {
        let granted = self.users.values().chain(self.groups.values());
        let rules = granted.flatten().map(|rules| rules.len()).sum();
        (self.users.len() + self.groups.len(), rules)
    }
}
