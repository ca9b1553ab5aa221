//! Kubernetes' own models, as far as the documents refer to them.

use super::{Field, META, Model, Type, field};

pub(super) fn models() -> Vec<Model> {
    let mut models = vec![object_meta(), list_meta(), managed_fields(), owner_reference()];
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
    let known = [
        field("name", Type::String, "Name, unique among the objects of its kind."),
        field("creationTimestamp", Type::Time, "When the object was made; null when unknown."),
        field("labels", Type::StringMap, "Keys and values that objects can be selected by."),
        field("annotations", Type::StringMap, "Keys and values that objects cannot be selected by."),
        field("uid", Type::String, "Identifies the object over all time."),
        field(
            "resourceVersion",
            Type::String,
            "Changes whenever the object does. In a write: the version that is expected to be there; any other is a \
             conflict.",
        ),
    ];
    let never_shown = [
        ("namespace", Type::String, "Never shown here: the objects belong to no namespace."),
        ("generateName", Type::String, "Never shown here: nothing is created through this API."),
        ("selfLink", Type::String, "Never shown: out of use in Kubernetes."),
        ("generation", Type::Integer, "Never shown here: the desired state has no number of its own."),
        ("deletionTimestamp", Type::Time, "Never shown here: a removed cluster is gone at once."),
        ("deletionGracePeriodSeconds", Type::Integer, "Never shown here: a removed cluster is gone at once."),
        ("finalizers", Type::Strings, "Never shown here: those of the Secret decide."),
        (
            "ownerReferences",
            Type::Many(meta("OwnerReference")),
            "Never shown here: those of the Secret decide.",
        ),
        (
            "managedFields",
            Type::Many(meta("ManagedFieldsEntry")),
            "Never shown here: who set what is recorded on the Secret.",
        ),
    ];
    let never_shown =
        never_shown.into_iter().map(|(name, value, description)| field(name, value, description));
    let fields = known.into_iter().chain(never_shown).collect();
    model("ObjectMeta", "What every Kubernetes object can have.", &[], fields)
}

fn managed_fields() -> Model {
    model(
        "ManagedFieldsEntry",
        "Fields of an object that one manager has set.",
        &[],
        vec![
            field("manager", Type::String, "Who set them."),
            field("operation", Type::String, "How they were set: Apply or Update."),
            field("apiVersion", Type::String, "Version of the schema that the names are from."),
            field("time", Type::Time, "When they were last set."),
            field("fieldsType", Type::String, "Format of fieldsV1; always FieldsV1."),
            field("fieldsV1", Type::One(meta("FieldsV1")), "Their names."),
            field("subresource", Type::String, "The subresource through which they were set."),
        ],
    )
}

fn owner_reference() -> Model {
    model(
        "OwnerReference",
        "An object that this one belongs to.",
        &["apiVersion", "kind", "name", "uid"],
        vec![
            field("apiVersion", Type::String, "Version of the owner's schema."),
            field("kind", Type::String, "Kind of the owner."),
            field("name", Type::String, "Name of the owner."),
            field("uid", Type::String, "UID of the owner."),
            field("controller", Type::Boolean, "Whether the owner is the one that manages this object."),
            field(
                "blockOwnerDeletion",
                Type::Boolean,
                "Whether the owner waits for this object before it is removed.",
            ),
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
