//! Verbs on resources.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::list;
use crate::negotiate::{self, Form};
use crate::object::{self, set_meta};
use crate::patch::{self, Format};
use crate::query::Query;
use crate::resources::named;
use crate::respond::{Body, json, streamed, typed};
use crate::route::Target;
use crate::scale;
use crate::selector::Selector;
use crate::status::{Result, Status};
use crate::table::{self, Include};
use crate::watch::{self, View};
use crate::write::{self, Part, Preconditions, Writer};

/// Serves a request for a collection, an object, its status or its scale.
pub(crate) async fn serve(
    cluster: &Cluster,
    target: &Target,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let view = view(target, request.headers(), &query)?;
    let asked = Asked { cluster, target, view: &view, query: &query };
    match (request.method().clone(), target.name.is_some()) {
        (Method::GET, _) if query.flag("watch") && target.subresource.is_none() => {
            let lines = watch::watch(&cluster.store, view, &query)?;
            Ok(typed(StatusCode::OK, "application/json", streamed(lines)))
        }
        (Method::GET | Method::HEAD, false) => {
            Ok(json(StatusCode::OK, &list::list(&cluster.store, &view, &query)?))
        }
        (Method::GET | Method::HEAD, true) => asked.get(),
        (Method::POST, false) => asked.create(request).await,
        (Method::PUT, true) => asked.update(request).await,
        (Method::PATCH, true) => asked.patch(request).await,
        (Method::DELETE, true) if target.subresource.is_none() => asked.delete(request).await,
        (Method::DELETE, false) => asked.delete_collection(),
        _ => Err(Status::method_not_allowed()),
    }
}

fn view(target: &Target, headers: &HeaderMap, query: &Query) -> Result<View> {
    let mut selector =
        Selector::parse(target.resource, query.text("labelSelector"), query.text("fieldSelector"))?;
    if let Some(name) = &target.name {
        selector.and_name(name);
    }
    Ok(View {
        resource: target.resource,
        namespace: target.namespace.clone(),
        selector,
        form: negotiate::form(headers)?,
        include: Include::parse(query.text("includeObject"))?,
    })
}

/// One request, without its body.
#[derive(Clone, Copy)]
struct Asked<'a> {
    cluster: &'a Cluster,
    target: &'a Target,
    view: &'a View,
    query: &'a Query,
}

impl Asked<'_> {
    fn get(self) -> Result<Response<Body>> {
        let target = self.target;
        let found = self
            .cluster
            .store
            .transact(|state| state.get(target.resource, target.namespace(), target.name()));
        let object = found.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
        Ok(if scale::is_asked(target) {
            json(StatusCode::OK, &scale::of(&object))
        } else {
            self.shown(StatusCode::OK, &object, &[])
        })
    }

    async fn create(self, request: Request<Incoming>) -> Result<Response<Body>> {
        let mut object = negotiate::document(&self.cluster.schemas, request).await?;
        let target = self.target;
        if target.resource.namespaced && target.namespace.is_none() {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        }
        let unknown = self.check(&mut object)?;
        let made = self.write(self.query.is_dry_run(), |writer| {
            writer.create(target.resource, target.namespace(), object)
        })?;
        Ok(self.shown(StatusCode::CREATED, &made, &unknown))
    }

    async fn update(self, request: Request<Incoming>) -> Result<Response<Body>> {
        let mut object = negotiate::document(&self.cluster.schemas, request).await?;
        let unknown = self.check(&mut object)?;
        let kept = self.write(self.query.is_dry_run(), |writer| self.put(writer, object))?;
        Ok(self.shown(StatusCode::OK, &kept, &unknown))
    }

    async fn patch(self, request: Request<Incoming>) -> Result<Response<Body>> {
        let format = Format::of(negotiate::content_type(request.headers()))?;
        if format == Format::Apply && self.query.text("fieldManager").is_empty() {
            return Err(Status::unprocessable(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        // Kubernetes' type of a patch says how it is meant, not how it is written: JSON is YAML.
        let change = negotiate::document(&self.cluster.schemas, request).await?;
        let (code, kept, unknown) =
            self.write(self.query.is_dry_run(), |writer| self.change(writer, format, &change))?;
        Ok(self.shown(code, &kept, &unknown))
    }

    /// Applies a patch; server-side apply makes the object if it is not there.
    fn change(
        self,
        writer: &mut Writer<'_>,
        format: Format,
        change: &Value,
    ) -> Result<(StatusCode, Arc<Value>, Vec<String>)> {
        let (resource, namespace, name) = (self.target.resource, self.target.namespace(), self.target.name());
        let Some(old) = writer.state.get(resource, namespace, name) else {
            if format != Format::Apply || self.target.subresource.is_some() {
                return Err(Status::not_found(resource, name));
            }
            let mut object = patch::apply(format, &json!({}), change)?;
            set_meta(&mut object, "name", name);
            let unknown = self.check(&mut object)?;
            return Ok((StatusCode::CREATED, writer.create(resource, namespace, object)?, unknown));
        };
        let before = if scale::is_asked(self.target) { scale::of(&old) } else { (*old).clone() };
        let mut after = patch::apply(format, &before, change)?;
        let unknown = self.check(&mut after)?;
        Ok((StatusCode::OK, self.put(writer, after)?, unknown))
    }

    /// Puts an object, or the part of it that the path names, in the place of what is there.
    fn put(self, writer: &mut Writer<'_>, object: Value) -> Result<Arc<Value>> {
        let target = self.target;
        if scale::is_asked(target) {
            return Ok(Arc::new(scale::of(&*scale::apply(writer, target, &object)?)));
        }
        let part = if target.subresource.is_some() { Part::Status } else { Part::Main };
        writer.update(target.resource, target.namespace(), target.name(), object, part)
    }

    async fn delete(self, request: Request<Incoming>) -> Result<Response<Body>> {
        let options = negotiate::document(&self.cluster.schemas, request).await?;
        let dry =
            self.query.is_dry_run() || object::items(&options["dryRun"]).iter().any(|value| value == "All");
        let wanted = Preconditions {
            uid: object::field(&options, "preconditions.uid"),
            version: object::field(&options, "preconditions.resourceVersion"),
        };
        let (resource, namespace, name) = (self.target.resource, self.target.namespace(), self.target.name());
        let last = self.write(dry, |writer| writer.delete(resource, namespace, name, &wanted))?;
        let remains = !object::items(&last["metadata"]["finalizers"]).is_empty();
        let answers_with_object =
            [named("pods"), named("serviceaccounts"), named("services")].contains(&resource);
        if answers_with_object || remains {
            return Ok(self.shown(StatusCode::OK, &last, &[]));
        }
        Ok(json(StatusCode::OK, &write::deleted(resource, &last)))
    }

    fn delete_collection(self) -> Result<Response<Body>> {
        let view = self.view;
        let gone = self.write(self.query.is_dry_run(), |writer| {
            let mut selected = writer.state.list(view.resource, view.namespace.as_deref());
            selected.retain(|object| view.selector.matches(object));
            for object in &selected {
                let (namespace, name) = (object::namespace(object), object::name(object));
                match writer.delete(view.resource, namespace, name, &Preconditions::default()) {
                    // It may have gone with its owner.
                    Err(status) if status.code != 404 => return Err(status),
                    _ => {}
                }
            }
            Ok(selected)
        })?;
        let items: Vec<Value> = gone.iter().map(|object| (**object).clone()).collect();
        let document = json!({
            "kind": format!("{}List", view.resource.kind), "apiVersion": view.resource.api_version(),
            "metadata": {}, "items": items,
        });
        Ok(json(StatusCode::OK, &document))
    }

    /// Takes out the fields that the kind does not have. They are an error, a warning or nothing, as the client wants.
    fn check(self, object: &mut Value) -> Result<Vec<String>> {
        let kind = if scale::is_asked(self.target) { "Scale" } else { self.target.resource.kind };
        let cannot = |why: String| {
            let version = object::field(object, "apiVersion");
            Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let mut pruned = object.clone();
        let unknown = self.cluster.schemas.prune(kind, &mut pruned).map_err(cannot)?;
        let named: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
        let named = match self.query.text("fieldValidation") {
            "Strict" if !named.is_empty() => {
                return Err(cannot(format!("strict decoding error: {}", named.join(", "))));
            }
            "Ignore" => Vec::new(),
            _ => named,
        };
        *object = pruned;
        Ok(named)
    }

    /// Runs a write, or only finds out what it would do.
    fn write<T>(self, dry: bool, run: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
        let store = &self.cluster.store;
        let now = store.clock.now();
        let run = |state: &mut _| run(&mut Writer { state, now, rehearsal: dry });
        if dry { store.rehearse(run) } else { store.transact(run) }
    }

    /// An object in the form that is wanted, with warnings.
    fn shown(self, code: StatusCode, object: &Value, warnings: &[String]) -> Response<Body> {
        let own_kind = object["kind"] == self.view.resource.kind;
        let mut response = match self.view.form {
            Form::Table if own_kind => {
                let now = self.cluster.store.clock.now();
                let mut table = table::table(self.view.resource, [object], self.view.include, now);
                table["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
                json(code, &table)
            }
            Form::Metadata if own_kind => json(code, &table::metadata(object)),
            _ => json(code, object),
        };
        for warning in warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }
}
