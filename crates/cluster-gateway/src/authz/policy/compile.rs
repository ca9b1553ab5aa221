//! All files together → [`Grants`]: bindings find their roles in any file.

use std::collections::BTreeMap;

use super::grants::{Grants, Rules};
use super::manifests::{Manifests, Name};

/// The grants, and what is odd about the files as a whole. Of two objects with one name the one in the first file counts.
pub(super) fn compile<'a>(files: impl Iterator<Item = (&'a str, &'a Manifests)>) -> (Grants, Vec<String>) {
    let files: Vec<_> = files.collect();
    let mut complaints = Vec::new();
    let roles = files
        .iter()
        .flat_map(|(file, manifests)| manifests.roles.iter().map(move |(name, rules)| (name, *file, rules)));
    let roles: BTreeMap<&Name, &Rules> = first_of_each("Role", roles, &mut complaints);
    let bindings = files.iter().flat_map(|(file, manifests)| {
        manifests.bindings.iter().map(move |(name, binding)| (name, *file, binding))
    });
    let bindings = first_of_each("RoleBinding", bindings, &mut complaints);

    let mut grants = Grants::default();
    for (name, binding) in bindings {
        match roles.get(&binding.role) {
            Some(rules) => {
                for subject in &binding.subjects {
                    grants.grant(subject.clone(), name.namespace.as_deref(), Rules::clone(rules));
                }
            }
            None => complaints.push(format!(
                "{} grants nothing: there is no {} in any file",
                name.described("RoleBinding"),
                binding.role.described("Role")
            )),
        }
    }
    (grants, complaints)
}

fn first_of_each<'a, T>(
    kind: &str,
    objects: impl Iterator<Item = (&'a Name, &'a str, &'a T)>,
    complaints: &mut Vec<String>,
) -> BTreeMap<&'a Name, &'a T> {
    let mut first: BTreeMap<&Name, (&str, &T)> = BTreeMap::new();
    for (name, file, object) in objects {
        let (winner, _) = *first.entry(name).or_insert((file, object));
        if winner != file {
            complaints.push(format!(
                "{} stands in {} and in {}; the first one counts",
                name.described(kind),
                winner.escape_debug(),
                file.escape_debug()
            ));
        }
    }
    first.into_iter().map(|(name, (_, object))| (name, object)).collect()
}
