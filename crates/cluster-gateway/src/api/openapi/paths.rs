//! The paths of the documents (contract rule 48).

use cluster_gateway_client::{BASE_PATH, GROUP, VERSION};
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, Operation};
use super::schemas::{META, own};
use crate::api::discovery::{RESOURCES, Resource};

const READABLE: &[&str] = &["application/json", "application/yaml"];
const PATCHES: &[&str] = &["application/json-patch+json", "application/merge-patch+json"];
const ANY: &[&str] = &["*/*"];
/// Tag of the group's operations.
const TAG: &str = "clusterCoreOamDev_v1alpha1";
/// Methods of a connect route: key in the document, part of the operation's name.
const CONNECT: [(&str, &str); 7] = [
    ("get", "Get"),
    ("post", "Post"),
    ("put", "Put"),
    ("patch", "Patch"),
    ("delete", "Delete"),
    ("head", "Head"),
    ("options", "Options"),
];

/// Every path.
pub(super) fn all(dialect: Dialect) -> Map<String, Value> {
    let group = format!("apis/{GROUP}");
    ["apis", &group, &BASE_PATH[1..], "version"].into_iter().flat_map(|path| below(path, dialect)).collect()
}

/// The paths of one document of version 3.
pub(super) fn below(path: &str, dialect: Dialect) -> Map<String, Value> {
    let document = |id: &str, tag, schema: &str, description: &str| {
        let operation = read(id, tag, description, Vec::new(), dialect.reference(schema), None);
        Map::from_iter([(format!("/{path}/"), json!({ "get": dialect.operation(operation) }))])
    };
    let meta = |name: &str| format!("{META}{name}");
    match path {
        "apis" => document("getAPIVersions", "apis", &meta("APIGroupList"), "Lists the API groups."),
        "version" => document(
            "getCodeVersion",
            "version",
            "io.k8s.apimachinery.pkg.version.Info",
            "Says which version is running.",
        ),
        _ if path == &BASE_PATH[1..] => {
            let mut paths = document(
                "getClusterCoreOamDevV1alpha1APIResources",
                TAG,
                &meta("APIResourceList"),
                "Lists the resources of the group.",
            );
            paths.extend(RESOURCES.iter().flat_map(|resource| of_resource(resource, dialect)));
            paths
        }
        _ => document(
            "getClusterCoreOamDevAPIGroup",
            "clusterCoreOamDev",
            &meta("APIGroup"),
            "Describes the API group.",
        ),
    }
}

fn of_resource(resource: &Resource, dialect: Dialect) -> Vec<(String, Value)> {
    let Resource { name, kind, .. } = resource;
    let gvk = kind_of(kind);
    let collection = format!("{BASE_PATH}/{name}");
    let named = format!("{collection}/{{name}}");
    let list = read(
        &format!("list{kind}"),
        TAG,
        &format!("Lists objects of kind {kind}."),
        list_parameters(dialect),
        dialect.reference(&own(&format!("{kind}List"))),
        Some(("list", gvk.clone())),
    );
    let get = read(
        &format!("read{kind}"),
        TAG,
        &format!("Reads one object of kind {kind}."),
        Vec::new(),
        dialect.reference(&own(kind)),
        Some(("get", gvk)),
    );
    let parameters = json!([name_parameter(dialect), pretty(dialect)]);
    let mut paths = vec![
        (collection, json!({ "get": dialect.operation(list), "parameters": [pretty(dialect)] })),
        (named.clone(), json!({ "get": dialect.operation(get), "parameters": parameters })),
    ];
    for subresource in resource.subresources {
        match subresource.name {
            "proxy" => paths.extend(connect(&named, kind, subresource.kind, dialect)),
            "health" => paths.push((format!("{named}/health"), health(kind, dialect))),
            _ => {}
        }
    }
    paths
}

fn health(kind: &str, dialect: Dialect) -> Value {
    let schema = dialect.reference(&own(kind));
    let gvk = kind_of(kind);
    let operation = |verb: &str, action, what: &str| {
        read(
            &format!("{verb}{kind}Health"),
            TAG,
            &format!("{what} the health of a {kind}."),
            Vec::new(),
            schema.clone(),
            Some((action, gvk.clone())),
        )
    };
    let put = Operation {
        consumes: READABLE,
        parameters: write_parameters(dialect),
        body: Some(schema.clone()),
        ..operation("replace", "put", "Records")
    };
    let patch = Operation {
        consumes: PATCHES,
        parameters: write_parameters(dialect),
        body: Some(dialect.reference(&format!("{META}Patch"))),
        ..operation("patch", "patch", "Changes")
    };
    json!({
        "get": dialect.operation(operation("read", "get", "Reads")),
        "put": dialect.operation(put),
        "patch": dialect.operation(patch),
        "parameters": [name_parameter(dialect), pretty(dialect)],
    })
}

/// Both routes of a connect subresource, each with all its methods.
fn connect(named: &str, kind: &str, options: &str, dialect: Dialect) -> Vec<(String, Value)> {
    let query = [
        dialect.parameter("query", "impersonate", "boolean", "Act in the cluster as the user who asks."),
        dialect.parameter("query", "path", "string", "Path in the cluster to send the request to."),
    ];
    let path = dialect.parameter("path", "path", "string", "Path in the cluster to send the request to.");
    let route = |suffix: &str, extra: Option<&Value>| {
        let operations = CONNECT.into_iter().map(|(method, word)| {
            let operation = Operation {
                id: format!("connect{word}{kind}Proxy{suffix}"),
                tag: TAG,
                description: format!("Sends a {} request to the cluster.", method.to_uppercase()),
                parameters: Vec::new(),
                produces: ANY,
                consumes: ANY,
                body: None,
                response: json!({ "type": "string" }),
                action: Some(("connect", kind_of(options))),
            };
            (method.to_owned(), dialect.operation(operation))
        });
        let mut route: Map<_, _> = operations.collect();
        let parameters = std::iter::once(name_parameter(dialect)).chain(extra.cloned()).chain(query.clone());
        route.insert("parameters".to_owned(), parameters.collect());
        Value::Object(route)
    };
    vec![
        (format!("{named}/proxy"), route("", None)),
        (format!("{named}/proxy/{{path}}"), route("WithPath", Some(&path))),
    ]
}

fn read(
    id: &str,
    tag: &'static str,
    description: &str,
    parameters: Vec<Value>,
    response: Value,
    action: Option<(&'static str, Value)>,
) -> Operation {
    Operation {
        id: id.to_owned(),
        tag,
        description: description.to_owned(),
        parameters,
        produces: READABLE,
        consumes: &[],
        body: None,
        response,
        action,
    }
}

fn kind_of(kind: &str) -> Value {
    json!({ "group": GROUP, "version": VERSION, "kind": kind })
}

fn name_parameter(dialect: Dialect) -> Value {
    dialect.parameter("path", "name", "string", "Name of the cluster.")
}

fn pretty(dialect: Dialect) -> Value {
    dialect.parameter("query", "pretty", "string", "Whether to indent the answer: \"true\" or \"false\".")
}

fn write_parameters(dialect: Dialect) -> Vec<Value> {
    [
        ("dryRun", "All: everything is checked, and nothing is written."),
        ("fieldManager", "Who is recorded as having written it; at most 128 bytes."),
        ("fieldValidation", "What becomes of fields that nobody knows: Ignore, Warn (the default) or Strict. They are never written."),
    ]
    .map(|(name, description)| dialect.parameter("query", name, "string", description))
    .into()
}

fn list_parameters(dialect: Dialect) -> Vec<Value> {
    [
        ("allowWatchBookmarks", "boolean", "Whether a watch is to say now and then how far it is."),
        ("continue", "string", "Where the page begins: what the page before said."),
        ("fieldSelector", "string", "Restricts the list by metadata.name."),
        ("labelSelector", "string", "Restricts the list by labels."),
        ("limit", "integer", "Objects on one page of the list."),
        ("resourceVersion", "string", "State that is shown, or that a watch goes on from."),
        ("resourceVersionMatch", "string", "How resourceVersion is to be applied: Exact or NotOlderThan."),
        ("sendInitialEvents", "boolean", "Whether a watch is to begin with the objects that are there."),
        ("timeoutSeconds", "integer", "How long a watch is to last."),
        ("watch", "boolean", "Whether to go on with what changes, instead of a list."),
    ]
    .map(|(name, kind, description)| dialect.parameter("query", name, kind, description))
    .into()
}
