//! Lists: selected, cut into pages, all pages of one moment.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::negotiate::Form;
use crate::object;
use crate::query::Query;
use crate::status::{Result, Status};
use crate::store::{State, Store};
use crate::table;
use crate::watch::View;

/// Where the next page begins, and which moment it is of.
#[derive(Debug, PartialEq, Eq)]
struct Continue {
    version: u64,
    namespace: String,
    name: String,
}

impl Continue {
    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}/{}/{}", self.version, self.namespace, self.name))
    }

    fn parse(token: &str) -> Result<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let mut parts = decoded.as_deref().unwrap_or_default().splitn(3, '/').map(str::to_owned);
        let (version, namespace, name) = (parts.next(), parts.next(), parts.next());
        match (version.and_then(|version| version.parse().ok()), namespace, name) {
            (Some(version), Some(namespace), Some(name)) => Ok(Self { version, namespace, name }),
            _ => Err(Status::bad_request("continue key is not valid: it was not made by this server")),
        }
    }

    fn is_before(&self, object: &Value) -> bool {
        (self.namespace.as_str(), self.name.as_str()) < (object::namespace(object), object::name(object))
    }
}

/// The list that a query asks for, in the form that is wanted.
pub(crate) fn list(store: &Store, view: &View, query: &Query) -> Result<Value> {
    let from =
        Some(query.text("continue")).filter(|token| !token.is_empty()).map(Continue::parse).transpose()?;
    let (version, mut objects) = store.transact(|state| read(state, view, query, from.as_ref()))?;
    objects.retain(|object| {
        view.selector.matches(object) && from.as_ref().is_none_or(|from| from.is_before(object))
    });
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let limit =
        query.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    if let Some(limit) = limit.filter(|limit| *limit < objects.len()) {
        let remaining = objects.len() - limit;
        objects.truncate(limit);
        metadata["continue"] = next_page(version, &objects).into();
        if view.selector.is_empty() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    Ok(shown(store, view, &objects, metadata))
}

fn read(
    state: &State,
    view: &View,
    query: &Query,
    from: Option<&Continue>,
) -> Result<(u64, Vec<Arc<Value>>)> {
    let namespace = view.namespace.as_deref();
    let exact = query.text("resourceVersionMatch") == "Exact";
    let wanted = match from {
        Some(from) => Some(from.version),
        None if exact => query.number("resourceVersion"),
        None => None,
    };
    match wanted {
        Some(version) => Ok((version, state.list_at(view.resource, namespace, version)?)),
        None => Ok((state.version, state.list(view.resource, namespace))),
    }
}

fn next_page(version: u64, page: &[Arc<Value>]) -> String {
    let last =
        page.last().map(|object| (object::namespace(object).to_owned(), object::name(object).to_owned()));
    let (namespace, name) = last.unwrap_or_default();
    Continue { version, namespace, name }.token()
}

fn shown(store: &Store, view: &View, objects: &[Arc<Value>], metadata: Value) -> Value {
    let objects = objects.iter().map(|object| &**object);
    let (kind, version, items): (String, String, Vec<Value>) = match view.form {
        Form::Table => {
            let mut table = table::table(view.resource, objects, view.include, store.clock.now());
            table["metadata"] = metadata;
            return table;
        }
        Form::Metadata => {
            let items = objects.map(table::metadata).collect();
            ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned(), items)
        }
        Form::Object => {
            let items = objects.cloned().collect();
            (format!("{}List", view.resource.kind), view.resource.api_version(), items)
        }
    };
    json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::resources::named;
    use crate::selector::Selector;
    use crate::table::Include;

    fn store(count: usize) -> Store {
        let store = Store::new(Clock::start(), 100);
        for index in 0..count {
            put(&store, &format!("x{index}"));
        }
        store
    }

    fn put(store: &Store, name: &str) {
        let object = json!({"metadata": {"name": name, "namespace": "a", "labels": {"name": name}}});
        store.transact(|state| state.put(named("configmaps"), object)).unwrap();
    }

    fn page(store: &Store, query: &str, form: Form) -> Result<Value> {
        let query = Query::parse(query);
        let selector = Selector::parse(named("configmaps"), query.text("labelSelector"), "").unwrap();
        let view = View {
            resource: named("configmaps"),
            namespace: None,
            selector,
            form,
            include: Include::Metadata,
        };
        list(store, &view, &query)
    }

    fn names(list: &Value) -> Vec<&str> {
        object::items(&list["items"]).iter().map(object::name).collect()
    }

    #[test]
    fn pages_follow_each_other_and_are_of_one_moment() {
        let store = store(5);
        let first = page(&store, "limit=2", Form::Object).unwrap();
        assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["x0", "x1"], &json!(3)));
        put(&store, "x11");
        let token = first["metadata"]["continue"].as_str().unwrap();
        let second = page(&store, &format!("limit=2&continue={token}"), Form::Object).unwrap();
        assert_eq!(names(&second), ["x2", "x3"]);
        assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        let token = second["metadata"]["continue"].as_str().unwrap();
        let last = page(&store, &format!("limit=2&continue={token}"), Form::Object).unwrap();
        assert_eq!((names(&last), &last["metadata"]["continue"]), (vec!["x4"], &Value::Null));
    }

    #[test]
    fn a_page_of_a_forgotten_moment_is_gone() {
        let store = store(3);
        let first = page(&store, "limit=1", Form::Object).unwrap();
        for _ in 0..200 {
            put(&store, "y");
        }
        let token = first["metadata"]["continue"].as_str().unwrap();
        assert_eq!(page(&store, &format!("continue={token}"), Form::Object).unwrap_err().code, 410);
        assert_eq!(page(&store, "continue=nonsense", Form::Object).unwrap_err().code, 400);
    }

    #[test]
    fn lists_have_the_form_and_the_moment_asked_for() {
        let store = store(2);
        assert_eq!(page(&store, "", Form::Object).unwrap()["kind"], "ConfigMapList");
        assert_eq!(page(&store, "", Form::Metadata).unwrap()["items"][0]["kind"], "PartialObjectMetadata");
        assert_eq!(page(&store, "", Form::Table).unwrap()["rows"].as_array().unwrap().len(), 2);
        assert_eq!(names(&page(&store, "labelSelector=name%3Dx1", Form::Object).unwrap()), ["x1"]);
        let exact = page(&store, "resourceVersion=2&resourceVersionMatch=Exact", Form::Object).unwrap();
        assert_eq!(names(&exact), ["x0"]);
    }
}
