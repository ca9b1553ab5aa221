//! Kubernetes' own models, as far as the documents refer to them.

use super::{Field, META, Model, Type, field};

pub(super) fn models() -> Vec<Model> {
    let mut models = vec![object_meta(), list_meta()];
    models.extend(groups());
    models.extend(resources());
    models.push(version());
    models
}

fn model(
    name: &str,
    description: &'static str,
    required: &'static [&'static str],
    fields: Vec<Field>,
) -> Model {
    Model { name: format!("{META}{name}"), description, kind: None, required, fields }
}

fn object_meta() -> Model {
    model(
        "ObjectMeta",
        "What every stored object has.",
        &[],
        vec![
            field("name", Type::String, "Name, unique among the objects of its kind."),
            field("creationTimestamp", Type::Time, "When the object was made; null when unknown."),
            field("labels", Type::StringMap, "Keys and values that objects can be selected by."),
            field("annotations", Type::StringMap, "Keys and values that objects cannot be selected by."),
            field("uid", Type::String, "Identifies the object over all time."),
            field("resourceVersion", Type::String, "Changes whenever the object does."),
        ],
    )
}

fn list_meta() -> Model {
    model(
        "ListMeta",
        "What every list has.",
        &[],
        vec![
            field("resourceVersion", Type::String, "State of the collection that the list shows."),
            field("continue", Type::String, "Where the next page begins; absent on the last."),
            field(
                "remainingItemCount",
                Type::Integer,
                "Objects that follow on further pages; absent where a selector is given.",
            ),
        ],
    )
}

/// Kind and apiVersion, then `fields`.
fn typed(fields: Vec<Field>) -> Vec<Field> {
    let own = [
        field("apiVersion", Type::String, "Version of the schema of this document."),
        field("kind", Type::String, "Kind of this document."),
    ];
    own.into_iter().chain(fields).collect()
}

fn meta(name: &str) -> String {
    format!("{META}{name}")
}

fn groups() -> Vec<Model> {
    vec![
        model(
            "APIGroupList",
            "The API groups of a server.",
            &["groups"],
            typed(vec![field("groups", Type::Many(meta("APIGroup")), "The groups.")]),
        ),
        model(
            "APIGroup",
            "An API group.",
            &["name", "versions"],
            typed(vec![
                field("name", Type::String, "Name of the group."),
                field("versions", Type::Many(meta("GroupVersionForDiscovery")), "Its versions."),
                field("preferredVersion", Type::One(meta("GroupVersionForDiscovery")), "The version to use."),
                field(
                    "serverAddressByClientCIDRs",
                    Type::Many(meta("ServerAddressByClientCIDR")),
                    "Where the server is, by the client's address.",
                ),
            ]),
        ),
        model(
            "GroupVersionForDiscovery",
            "A version of a group.",
            &["groupVersion", "version"],
            vec![
                field("groupVersion", Type::String, "GROUP/VERSION."),
                field("version", Type::String, "VERSION."),
            ],
        ),
        model(
            "ServerAddressByClientCIDR",
            "Where the server is for clients of a network.",
            &["clientCIDR", "serverAddress"],
            vec![
                field("clientCIDR", Type::String, "The clients' network."),
                field("serverAddress", Type::String, "Address of the server."),
            ],
        ),
    ]
}

fn resources() -> Vec<Model> {
    vec![
        model(
            "APIResourceList",
            "The resources of a group's version.",
            &["groupVersion", "resources"],
            typed(vec![
                field("groupVersion", Type::String, "GROUP/VERSION."),
                field("resources", Type::Many(meta("APIResource")), "The resources and their subresources."),
            ]),
        ),
        api_resource(),
    ]
}

fn api_resource() -> Model {
    model(
        "APIResource",
        "A resource.",
        &["name", "singularName", "namespaced", "kind", "verbs"],
        vec![
            field("name", Type::String, "Name in paths, plural."),
            field("singularName", Type::String, "Name of a single one."),
            field("namespaced", Type::Boolean, "Whether objects belong to namespaces."),
            field("kind", Type::String, "Kind of the objects."),
            field("verbs", Type::Strings, "What can be done with it."),
            field("shortNames", Type::Strings, "Abbreviations."),
        ],
    )
}

fn version() -> Model {
    let keys = [
        ("major", "Major version."),
        ("minor", "Minor version."),
        ("gitVersion", "Whole version."),
        ("gitCommit", "Commit that was built."),
        ("gitTreeState", "Whether the commit was built unchanged."),
        ("buildDate", "When it was built."),
        ("goVersion", "Language that the program is written in."),
        ("compiler", "Compiler that made it."),
        ("platform", "Operating system and processor."),
    ];
    Model {
        name: "io.k8s.apimachinery.pkg.version.Info".to_owned(),
        description: "Which version is running.",
        kind: None,
        required: &[
            "major",
            "minor",
            "gitVersion",
            "gitCommit",
            "gitTreeState",
            "buildDate",
            "goVersion",
            "compiler",
            "platform",
        ],
        fields: keys.map(|(name, description)| field(name, Type::String, description)).into(),
    }
}
