//! What happens inside pods: logs, commands and what is attached to them.

mod console;
mod logs;
mod shell;
mod words;
mod websocket;

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::Value;

use crate::lifetime::Lifetime;
use crate::object::{field, items};
use crate::query::Query;
use crate::respond::Body;
use crate::route::Target;
use crate::status::{Result, Status};
use crate::store::Store;

/// Answers a request for something inside a pod.
pub(crate) async fn serve(
    store: &Arc<Store>,
    target: &Target,
    mut request: Request<Incoming>,
) -> Result<Response<Body>> {
    let found = store.transact(|state| state.get(target.resource, target.namespace(), target.name()));
    let pod = found.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let action = target.subresource.as_deref().unwrap_or_default();
    if action == "portforward" {
        return Err(Status::bad_request(
            "a simulated member forwards no ports: its pods have none. exec, attach and logs work",
        ));
    }
    let container = container(&pod, query.text("container"))?;
    match (request.method(), action) {
        (&Method::GET, "log") => logs::serve(store, &pod, &container, &query),
        (&Method::GET | &Method::POST, "exec" | "attach") => {
            let lifetime = request.extensions().get::<Lifetime>().cloned();
            let lifetime = lifetime.ok_or_else(|| Status::internal("the connection is unknown"))?;
            let accepted = websocket::accept(&mut request)?;
            let program = match action {
                "exec" => shell::Program::Command(query.all("command").map(str::to_owned).collect()),
                _ => shell::Program::Attached,
            };
            let place = shell::Place::of(&pod, &container);
            let streams = console::Streams::asked(&query)?;
            let (upgrade, protocol) = (accepted.upgrade, accepted.protocol);
            lifetime.spawn(console::run(upgrade, protocol, streams, |console| {
                shell::run(console, place, program)
            }));
            Ok(accepted.response)
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// The name of the container that is meant.
fn container(pod: &Value, asked: &str) -> Result<String> {
    let names: Vec<String> = items(&pod["spec"]["containers"]).iter().map(|one| field(one, "name")).collect();
    let name = field(pod, "metadata.name");
    match names.as_slice() {
        _ if names.iter().any(|name| name == asked) => Ok(asked.to_owned()),
        [only] if asked.is_empty() => Ok(only.clone()),
        _ if asked.is_empty() => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            names.join(" ")
        ))),
        _ => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_only_container_needs_no_name() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(container(&pod, "").unwrap(), "a");
        assert_eq!(container(&pod, "b").unwrap_err().message, "container b is not valid for pod p");
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(container(&pod, "b").unwrap(), "b");
        assert!(container(&pod, "").unwrap_err().message.ends_with("choose one of: [a b]"));
    }
}
