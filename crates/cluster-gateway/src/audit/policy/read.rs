//! A policy file, read strictly: a rule that is not understood could leave out what somebody wants to see.

use serde_json::Value;

use super::{GroupResources, Level, On, Policy, Rule, Stage, Stages};
use crate::manifest::{Document, Fields, Problem};

const API_VERSION: &str = "audit.k8s.io/v1";
/// Rules in a policy, at most.
const MAX_RULES: usize = 10_000;
/// Bytes of a policy, at most.
const MAX_BYTES: usize = 1 << 20;

pub(super) fn policy(file: &str, text: &str) -> Result<Policy, Vec<Problem>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Problem::of_file(file, "larger than 1 MiB")]);
    }
    let documents = Document::all(file, text).map_err(|problem| vec![problem])?;
    let [document] = documents.as_slice() else {
        let words =
            format!("{} documents; expected one Policy of {API_VERSION}, with its rules", documents.len());
        return Err(vec![Problem::of_file(file, words)]);
    };
    let value = document.value().map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let policy = read(&value, &mut problems);
    match policy {
        Some(policy) if problems.is_empty() => Ok(policy),
        _ => Err(problems
            .into_iter()
            .map(|(place, reason)| match line_of(text, file, place) {
                Some(line) => Problem { line: Some(line), ..document.problem(reason) },
                None => document.problem(reason),
            })
            .collect()),
    }
}

/// Where something is wrong (the index of a rule, if it is in one), and what.
type Wrong = (Option<usize>, String);

fn read(value: &Value, problems: &mut Vec<Wrong>) -> Option<Policy> {
    match rules(value) {
        Ok((omit, rules)) => {
            let mut policy = Policy::default();
            for (index, fields) in rules.iter().enumerate() {
                match rule(fields, omit) {
                    Ok(rule) => policy.rules.push(rule),
                    Err(reason) => problems.push((Some(index), reason)),
                }
            }
            Some(policy)
        }
        Err(reason) => {
            problems.push((None, reason));
            None
        }
    }
}

/// What concerns the whole policy, and its rules.
fn rules(value: &Value) -> Result<(Stages, Vec<Fields<'_>>), String> {
    let policy = Fields::of(value, "")?;
    if policy.text("apiVersion")? != Some(API_VERSION) || policy.text("kind")? != Some("Policy") {
        return Err(format!("expected apiVersion: {API_VERSION} and kind: Policy"));
    }
    policy.only(&["apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"])?;
    policy.flag("omitManagedFields")?;
    let rules = policy.list("rules")?;
    match rules.len() {
        0 => Err(
            "rules: there is none, so nothing would be recorded; \"- level: Metadata\" records everything"
                .to_owned(),
        ),
        1..=MAX_RULES => Ok((stages(&policy)?, rules)),
        _ => Err(format!("rules: more than {MAX_RULES}")),
    }
}

fn rule(rule: &Fields<'_>, omit: Stages) -> Result<Rule, String> {
    rule.only(&[
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    ])?;
    // Bodies are not recorded, so there are no managed fields to leave out.
    rule.flag("omitManagedFields")?;
    Ok(Rule {
        level: level(rule)?,
        users: words(rule, "users")?,
        groups: words(rule, "userGroups")?,
        verbs: words(rule, "verbs")?,
        on: on(rule)?,
        omit: stages(rule)?.union(omit),
    })
}

fn level(rule: &Fields<'_>) -> Result<Level, String> {
    match rule.text("level")? {
        Some("None") => Ok(Level::None),
        Some("Metadata") => Ok(Level::Metadata),
        Some("Request") => Ok(Level::Request),
        Some("RequestResponse") => Ok(Level::RequestResponse),
        _ => Err(format!("{}: expected None, Metadata, Request or RequestResponse", rule.at("level"))),
    }
}

fn on(rule: &Fields<'_>) -> Result<On, String> {
    let paths = words(rule, "nonResourceURLs")?;
    for path in &paths {
        check_path(path).map_err(|reason| {
            format!("{}: \"{}\" {reason}", rule.at("nonResourceURLs"), path.escape_debug())
        })?;
    }
    let namespaces = words(rule, "namespaces")?;
    let resources =
        rule.list("resources")?.iter().map(group_resources).collect::<Result<Vec<_>, String>>()?;
    match (paths.is_empty(), namespaces.is_empty() && resources.is_empty()) {
        (true, true) => Ok(On::Everything),
        (true, false) => Ok(On::Resources { namespaces, resources }),
        (false, true) => Ok(On::Paths(paths)),
        (false, false) => Err(format!(
            "{} cannot stand beside resources or namespaces; write two rules",
            rule.at("nonResourceURLs")
        )),
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path == "*" {
        return Ok(());
    }
    if !path.starts_with('/') {
        return Err("must begin with /");
    }
    match path.find('*') {
        Some(at) if at + 1 < path.len() => Err("may have a * at its end only"),
        _ => Ok(()),
    }
}

fn group_resources(entry: &Fields<'_>) -> Result<GroupResources, String> {
    entry.only(&["group", "resources", "resourceNames"])?;
    let group = entry.text("group")?.unwrap_or_default();
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if !group.chars().all(named) {
        return Err(format!(
            "{}: expected an API group such as apps, without its version; \"\" is the core group",
            entry.at("group")
        ));
    }
    let resources = words(entry, "resources")?;
    let names = words(entry, "resourceNames")?;
    if !names.is_empty() && resources.is_empty() {
        return Err(format!("{} needs at least one of {}", entry.at("resourceNames"), entry.at("resources")));
    }
    Ok(GroupResources { group: group.to_owned(), resources, names })
}

fn stages(fields: &Fields<'_>) -> Result<Stages, String> {
    let mut stages = Stages::default();
    for word in words(fields, "omitStages")? {
        let stage = Stage::ALL.into_iter().find(|stage| stage.as_str() == word).ok_or_else(|| {
            let known = Stage::ALL.map(Stage::as_str).join(", ");
            format!("{}: expected {known}", fields.at("omitStages"))
        })?;
        stages.insert(stage);
    }
    Ok(stages)
}

/// A list of strings; empty ones have a meaning in `namespaces`.
fn words(fields: &Fields<'_>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{}: expected a list of strings (quote numbers and true/false)", fields.at(key));
    let Some(value) = fields.value(key) else { return Ok(Vec::new()) };
    let words = value.as_array().ok_or_else(wrong)?.iter();
    words.map(|word| word.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// The line on which a rule begins. Of YAML in block style only, which policies are written in: there the items of
/// `rules` are the least indented dashes behind it.
fn line_of(text: &str, file: &str, rule: Option<usize>) -> Option<u64> {
    let index = rule.filter(|_| !file.ends_with(".json"))?;
    let opens = |line: &str| line.strip_prefix("rules:").is_some_and(|rest| !is_content(rest));
    let behind = text.lines().zip(1..).skip_while(|(line, _)| !opens(line)).skip(1);
    let ends = |line: &str| is_content(line) && !line.starts_with([' ', '-']);
    let mut of_rules = behind.take_while(|(line, _)| !ends(line)).filter(|(line, _)| is_content(line));
    let (first, number) = of_rules.next()?;
    let width = indentation(first);
    let others =
        of_rules.filter(|(line, _)| indentation(line) == width && line.trim_start().starts_with('-'));
    std::iter::once(number).chain(others.map(|(_, number)| number)).nth(index)
}

fn is_content(line: &str) -> bool {
    !matches!(line.trim_start().chars().next(), None | Some('#'))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
