//! The words of a 403 (contract rules 96, 97, 146).

use std::fmt;

use super::wire::Details;

/// Everything that a 403 says.
#[derive(Debug, Default)]
pub struct Forbidden {
    /// Who asked.
    pub user: String,
    /// Verb that was refused.
    pub verb: String,
    /// What it was refused on.
    pub on: ForbiddenOn,
    /// The authorizer's reason, if it gave one.
    pub reason: String,
}

/// What a 403 is about.
#[derive(Debug)]
pub enum ForbiddenOn {
    /// A path.
    Path(String),
    /// A resource.
    Resource {
        /// API group.
        group: String,
        /// Resource, plural.
        resource: String,
        /// Subresource, or empty.
        subresource: String,
        /// Namespace, or empty.
        namespace: String,
        /// Name, or empty.
        name: String,
    },
}

impl Default for ForbiddenOn {
    fn default() -> Self {
        Self::Path(String::new())
    }
}

impl Forbidden {
    pub(super) fn details(&self) -> Details {
        match &self.on {
            ForbiddenOn::Path(_) => Details::default(),
            ForbiddenOn::Resource { group, resource, name, .. } => Details {
                name: name.clone(),
                group: group.clone(),
                kind: resource.clone(),
                ..Details::default()
            },
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, verb, on, reason } = self;
        match on {
            ForbiddenOn::Path(path) => write!(f, "forbidden: User \"{user}\" cannot {verb} path \"{path}\"")?,
            ForbiddenOn::Resource { group, resource, subresource, namespace, name } => {
                let qualified =
                    if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                f.write_str(&qualified)?;
                if !name.is_empty() {
                    write!(f, " \"{name}\"")?;
                }
                let slash = if subresource.is_empty() { "" } else { "/" };
                write!(
                    f,
                    " is forbidden: User \"{user}\" cannot {verb} resource \"{resource}{slash}{subresource}\" \
                     in API group \"{group}\" "
                )?;
                if namespace.is_empty() {
                    f.write_str("at the cluster scope")?;
                } else {
                    write!(f, "in the namespace \"{namespace}\"")?;
                }
            }
        }
        if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
    }
}
