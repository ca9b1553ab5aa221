//! The group's own models.

use cluster_gateway_client::{GROUP, VERSION};
use serde_json::json;

use super::{Field, META, Model, Type, field, own};

pub(super) fn models() -> Vec<Model> {
    let mut models = cluster_gateway();
    models.extend(spec_and_status());
    models.extend(access());
    models.extend(credential());
    models.extend(virtual_cluster());
    models
}

fn part(
    name: &str,
    description: &'static str,
    required: &'static [&'static str],
    fields: Vec<Field>,
) -> Model {
    Model { name: own(name), description, kind: None, required, fields }
}

/// An API object of the group: kind and apiVersion come first.
fn object(
    name: &'static str,
    description: &'static str,
    required: &'static [&'static str],
    fields: Vec<Field>,
) -> Model {
    let kind = Some(json!({ "group": GROUP, "version": VERSION, "kind": name }));
    let typed = [
        field(
            "apiVersion",
            Type::String,
            concat!(
                "Version of the schema of this object: \"",
                cluster_gateway_client::group!(),
                "/",
                cluster_gateway_client::version!(),
                "\"."
            ),
        ),
        field("kind", Type::String, "Kind of this object."),
    ];
    Model { name: own(name), description, kind, required, fields: typed.into_iter().chain(fields).collect() }
}

fn object_meta() -> Field {
    field("metadata", Type::One(format!("{META}ObjectMeta")), "Name and age of the object.")
}

fn list_of(name: &'static str, item: &'static str, description: &'static str) -> Model {
    object(
        name,
        description,
        &["items"],
        vec![
            field("metadata", Type::One(format!("{META}ListMeta")), "Metadata of the list."),
            field("items", Type::Many(own(item)), "The objects."),
        ],
    )
}

fn cluster_gateway() -> Vec<Model> {
    vec![
        object(
            "ClusterGateway",
            "A cluster that requests can be sent to through this server.",
            &[],
            vec![
                object_meta(),
                field("spec", Type::One(own("ClusterGatewaySpec")), "How the cluster is reached."),
                field("status", Type::One(own("ClusterGatewayStatus")), "What is known of its health."),
            ],
        ),
        list_of("ClusterGatewayList", "ClusterGateway", "The registered clusters."),
        object(
            "ClusterGatewayProxyOptions",
            "Options of a request that is sent on to a cluster.",
            &[],
            vec![
                field("path", Type::String, "Path in the cluster to send the request to."),
                field("impersonate", Type::Boolean, "Whether to act in the cluster as the user who asks."),
            ],
        ),
    ]
}

fn spec_and_status() -> Vec<Model> {
    vec![
        part(
            "ClusterGatewaySpec",
            "How a cluster is reached.",
            &["provider", "access"],
            vec![
                field("provider", Type::String, "Always empty; kept because clients expect it."),
                field("access", Type::One(own("ClusterAccess")), "Endpoint and credential."),
            ],
        ),
        part(
            "ClusterGatewayStatus",
            "What is known of a cluster's health.",
            &[],
            vec![
                field("healthy", Type::Boolean, "Whether the last probe succeeded."),
                field("healthyReason", Type::String, "Why the cluster is as it is, in words."),
            ],
        ),
    ]
}

fn access() -> Vec<Model> {
    vec![
        part(
            "ClusterAccess",
            "Endpoint and credential of a cluster.",
            &[],
            vec![
                field("endpoint", Type::One(own("ClusterEndpoint")), "Where the cluster is."),
                field(
                    "credential",
                    Type::One(own("ClusterAccessCredential")),
                    "What kind of credential there is.",
                ),
            ],
        ),
        part(
            "ClusterEndpoint",
            "Where a cluster is.",
            &["type"],
            vec![
                field(
                    "type",
                    Type::String,
                    "\"Const\": a fixed address. \"ClusterProxy\": through the konnectivity tunnel.",
                ),
                field(
                    "const",
                    Type::One(own("ClusterEndpointConst")),
                    "The fixed address, if the type is Const.",
                ),
            ],
        ),
        part(
            "ClusterEndpointConst",
            "A fixed address.",
            &["address"],
            vec![
                field("address", Type::String, "URL of the cluster's API server."),
                field(
                    "caBundle",
                    Type::Bytes,
                    "PEM bundle that the API server's certificate is verified with.",
                ),
                field("insecure", Type::Boolean, "Whether the certificate is not verified."),
                field("proxy-url", Type::String, "Proxy on the way to the API server."),
            ],
        ),
    ]
}

fn credential() -> Vec<Model> {
    vec![
        part(
            "ClusterAccessCredential",
            "Kind of the credential for a cluster. Key material is never shown.",
            &["type"],
            vec![
                field("type", Type::String, "\"ServiceAccountToken\", \"X509Certificate\" or \"Dynamic\"."),
                field("serviceAccountToken", Type::String, "A fixed placeholder in the token's place."),
                field("x509", Type::One(own("X509")), "The public half of a client certificate."),
                field(
                    "fingerprint",
                    Type::String,
                    "Tells the credential from others: \"sha256:\" and the digest of the certificate, or the first 16 digits \
                     of that of the token.",
                ),
                field("notAfter", Type::Time, "When the credential expires, if it says."),
            ],
        ),
        part(
            "X509",
            "A client certificate.",
            &["certificate", "privateKey"],
            vec![
                field("certificate", Type::Bytes, "PEM certificate chain."),
                field("privateKey", Type::Bytes, "A fixed placeholder in the key's place."),
            ],
        ),
    ]
}

fn virtual_cluster() -> Vec<Model> {
    vec![
        object(
            "VirtualCluster",
            "The hub itself (\"local\") or a registered cluster.",
            &[],
            vec![
                object_meta(),
                field("spec", Type::One(own("VirtualClusterSpec")), "What is known of the cluster."),
            ],
        ),
        list_of("VirtualClusterList", "VirtualCluster", "The hub itself and the registered clusters."),
        part(
            "VirtualClusterSpec",
            "What is known of a cluster.",
            &[],
            vec![
                field("alias", Type::String, "Name for people."),
                field("accepted", Type::Boolean, "Whether the cluster may be used."),
                field("endpoint", Type::String, "URL of the API server; \"-\" where there is none to show."),
                field(
                    "credential-type",
                    Type::String,
                    "\"Internal\" for the hub itself, else the kind of the credential.",
                ),
            ],
        ),
    ]
}
