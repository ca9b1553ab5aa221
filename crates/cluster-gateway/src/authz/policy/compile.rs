//! All files together → [`Grants`]: bindings find their roles in any file.

use std::collections::BTreeMap;

use super::grants::{Grants, Rules};
use super::manifests::Manifests;

/// The grants, and what is odd about the files as a whole. Of two objects with one name the one in the first file counts.
pub(super) fn compile<'a>(files: impl Iterator<Item = (&'a str, &'a Manifests)>) -> (Grants, Vec<String>) {
    let files: Vec<_> = files.collect();
    let mut complaints = Vec::new();
    let roles = files.iter().flat_map(|(file, manifests)| {
        manifests.roles.iter().map(move |(name, rules)| (name.as_str(), *file, rules))
    });
    let roles: BTreeMap<&str, &Rules> = first_of_each("ClusterRole", roles, &mut complaints);
    let bindings = files.iter().flat_map(|(file, manifests)| {
        manifests.bindings.iter().map(move |(name, binding)| (name.as_str(), *file, binding))
    });
    let bindings = first_of_each("ClusterRoleBinding", bindings, &mut complaints);

    let mut grants = Grants::default();
    for (name, binding) in bindings {
        match roles.get(binding.role.as_str()) {
            Some(rules) => {
                for subject in &binding.subjects {
                    grants.grant(subject.clone(), Rules::clone(rules));
                }
            }
            None => complaints.push(format!(
                "ClusterRoleBinding \"{}\" grants nothing: there is no ClusterRole \"{}\" in any file",
                name.escape_debug(),
                binding.role.escape_debug()
            )),
        }
    }
    (grants, complaints)
}

fn first_of_each<'a, T>(
    kind: &str,
    objects: impl Iterator<Item = (&'a str, &'a str, &'a T)>,
    complaints: &mut Vec<String>,
) -> BTreeMap<&'a str, &'a T> {
    let mut first: BTreeMap<&str, (&str, &T)> = BTreeMap::new();
    for (name, file, object) in objects {
        let (winner, _) = *first.entry(name).or_insert((file, object));
        if winner != file {
            complaints.push(format!(
                "{kind} \"{}\" stands in {} and in {}; the first one counts",
                name.escape_debug(),
                winner.escape_debug(),
                file.escape_debug()
            ));
        }
    }
    first.into_iter().map(|(name, (_, object))| (name, object)).collect()
}
