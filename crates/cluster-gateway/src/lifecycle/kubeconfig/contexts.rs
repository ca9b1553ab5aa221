//! All contexts of a kubeconfig, each with what it says or what is wrong with it.

use serde_json::Value;

use super::{KubeconfigSource, Member, ON_ANOTHER_MACHINE, must_be_kubeconfig, shown};
use crate::manifest::{Fields, Problem};
use crate::registry;

/// Contexts of one kubeconfig, at most.
const MOST: usize = 1000;

/// What a kubeconfig holds.
#[derive(Debug)]
pub struct Contexts {
    /// Name of its `current-context`, whether there is such a context or not; empty: it names none.
    pub current: String,
    /// All of its contexts, in their order.
    pub contexts: Vec<NamedContext>,
}

/// A context, as it is called and what it comes to. No text holds key material.
#[derive(Debug)]
pub struct NamedContext {
    /// Its name.
    pub name: String,
    /// Name of the cluster that it leads to; empty: it names none.
    pub cluster: String,
    /// Name of the user; empty: it names none.
    pub user: String,
    /// The cluster's address as it stands there; empty: there is none.
    pub server: String,
    /// The cluster, or what is wrong with it.
    pub member: Result<Member, String>,
}

/// Why there are no contexts to choose from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextsError {
    /// It cannot be understood; the text says where.
    #[error("{0}")]
    Malformed(String),
    /// It has none.
    #[error("the kubeconfig has no contexts")]
    None,
}

impl KubeconfigSource {
    /// All contexts. What is wrong with one is said there.
    ///
    /// # Errors
    /// [`ContextsError`]. No text holds a part of the kubeconfig but a kind.
    pub fn contexts(&self) -> Result<Contexts, ContextsError> {
        let value = self.value().map_err(|problem| ContextsError::Malformed(placed(&problem)))?;
        self.all(&value).map_err(ContextsError::Malformed)?.ok_or(ContextsError::None)
    }

    fn all(&self, value: &Value) -> Result<Option<Contexts>, String> {
        let in_words = |reason: String| format!("the kubeconfig: {reason}");
        let kubeconfig = Fields::of(value, "").map_err(in_words)?;
        must_be_kubeconfig(&kubeconfig).map_err(in_words)?;
        let listed = kubeconfig.list("contexts").map_err(in_words)?;
        if listed.len() > MOST {
            return Err(format!(
                "the kubeconfig has {} contexts; {MOST} at a time can be read: write some to a file of their own",
                listed.len()
            ));
        }
        let current = kubeconfig.text("current-context").map_err(in_words)?.unwrap_or_default().to_owned();
        let mut contexts = Vec::with_capacity(listed.len());
        for item in listed {
            let Some(name) = item.text("name").map_err(in_words)? else {
                return Err(in_words(format!("{} is missing", item.at("name"))));
            };
            contexts.push(self.one(&kubeconfig, &item, name));
        }
        Ok(Some(Contexts { current, contexts }).filter(|found| !found.contexts.is_empty()))
    }

    fn one(&self, kubeconfig: &Fields<'_>, item: &Fields<'_>, name: &str) -> NamedContext {
        let context = item.fields("context").ok().flatten();
        let part = |key: &str| {
            let text = context.as_ref().and_then(|context| context.text(key).ok().flatten());
            text.unwrap_or_default().to_owned()
        };
        let (cluster, user) = (part("cluster"), part("user"));
        let server = super::item(kubeconfig, "clusters", "cluster", &cluster)
            .and_then(|item| item.fields("cluster"))
            .ok()
            .flatten()
            .and_then(|cluster| cluster.text("server").ok().flatten().map(str::to_owned));
        NamedContext {
            name: name.to_owned(),
            cluster,
            user,
            server: server.map(|server| shown(&server)).unwrap_or_default(),
            member: self.of(kubeconfig, Some(name)),
        }
    }
}

impl NamedContext {
    /// Whether it cannot be used because it names files instead of holding their content.
    #[must_use]
    pub fn names_files(&self) -> bool {
        self.member.as_ref().is_err_and(|problem| problem.contains(ON_ANOTHER_MACHINE))
    }

    /// A name that a cluster can have, made of the context's.
    #[must_use]
    pub fn suggested_name(&self, most: usize) -> String {
        let name = registry::name_of(&self.name).or_else(|| registry::name_of(&self.cluster));
        let mut name = name.unwrap_or_else(|| "cluster".to_owned());
        name.truncate(most);
        name.trim_end_matches('-').to_owned()
    }
}

fn placed(problem: &Problem) -> String {
    match (problem.line, problem.column) {
        (Some(line), Some(column)) => {
            format!("the kubeconfig, line {line}, column {column}: {}", problem.reason)
        }
        (Some(line), None) => format!("the kubeconfig, line {line}: {}", problem.reason),
        _ => format!("the kubeconfig: {}", problem.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(text: &str) -> Result<Contexts, ContextsError> {
        KubeconfigSource::sent(text.to_owned()).contexts()
    }

    const TWO: &str = r"
current-context: one
clusters:
- {name: here, cluster: {server: 'https://10.0.0.1:6443', certificate-authority: /etc/passwd}}
- {name: there, cluster: {server: 'https://there'}}
users:
- {name: u, user: {token: sesame}}
contexts:
- {name: one, context: {cluster: here, user: u}}
- {name: 'Two/Two', context: {cluster: there, user: u}}
- {name: lost, context: {cluster: nowhere, user: u}}
";

    #[test]
    fn each_context_says_what_it_comes_to() {
        let found = contexts(TWO).unwrap();
        assert_eq!(found.current, "one");
        let [one, two, lost] = &found.contexts[..] else { panic!("{found:?}") };
        assert_eq!(
            (one.cluster.as_str(), one.user.as_str(), one.server.as_str()),
            ("here", "u", "https://10.0.0.1:6443")
        );
        let problem = one.member.as_ref().unwrap_err();
        assert!(one.names_files() && !two.names_files() && !lost.names_files());
        assert!(problem.contains("/etc/passwd on the machine that it comes from"), "{problem}");
        assert_eq!(two.suggested_name(31), "two-two");
        assert!(two.member.is_ok());
        assert!(lost.member.as_ref().unwrap_err().contains("no cluster \"nowhere\""));
        assert!(!format!("{found:?}").contains("sesame"));
    }

    #[test]
    fn a_kubeconfig_that_was_sent_reads_no_file_of_this_machine() {
        let source = KubeconfigSource::sent(TWO.to_owned());
        let error = source.member(Some("one")).unwrap_err();
        assert!(error.contains("certificate-authority names the file /etc/passwd"), "{error}");
        let token_file = TWO.replace("token: sesame", "tokenFile: /etc/passwd");
        let error = KubeconfigSource::sent(token_file).member(Some("Two/Two")).unwrap_err();
        assert!(error.contains("tokenFile names the file /etc/passwd on"), "{error}");
    }

    #[test]
    fn what_is_no_kubeconfig_is_said_with_its_place_and_without_its_content() {
        let malformed = |text: &str| match contexts(text).unwrap_err() {
            ContextsError::Malformed(text) => text,
            ContextsError::None => panic!("{text}"),
        };
        let error = malformed("clusters: [sesame\nusers: }");
        assert!(error.contains("line 2, column "), "{error}");
        assert!(!error.contains("sesame"), "{error}");
        assert!(malformed("kind: Pod").contains("it is a Pod"));
        assert!(malformed("[]").contains("a mapping"));
        assert!(malformed("a: 1\n---\nb: 2").contains("2 documents"));
        assert_eq!(contexts("kind: Config").unwrap_err(), ContextsError::None);
        let many: String = (0..=MOST).map(|i| format!("- {{name: c{i}}}\n")).collect();
        assert!(malformed(&format!("contexts:\n{many}")).contains("1001 contexts"));
    }

    #[test]
    fn a_suggested_name_is_one() {
        let named = |name: &str, cluster: &str| {
            let (name, cluster, none) = (name.to_owned(), cluster.to_owned(), String::new());
            NamedContext { name, cluster, user: none.clone(), server: none.clone(), member: Err(none) }
        };
        assert_eq!(
            named("arn:aws:eks:eu-central-1:123456:cluster/Prod", "").suggested_name(31),
            "arn-aws-eks-eu-central-1-123456"
        );
        assert_eq!(named("🙂", "edge").suggested_name(31), "edge");
        assert_eq!(named("🙂", "🙂").suggested_name(31), "cluster");
    }
}
