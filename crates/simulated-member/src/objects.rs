//! Verbs on resources.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::list;
use crate::negotiate::{self, Form};
use crate::object::{self, set_meta};
use crate::patch::{self, Format};
use crate::query::Query;
use crate::resources::named;
use crate::respond::{Body, json, streamed};
use crate::route::Target;
use crate::scale;
use crate::selector::Selector;
use crate::status::{Result, Status};
use crate::store::Store;
use crate::table::{self, Include};
use crate::watch::{self, View};
use crate::write::{self, Part, Preconditions, Writer};

/// Serves a request for a collection, an object, its status or its scale.
pub(crate) async fn serve(
    store: &Arc<Store>,
    target: &Target,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let view = view(target, request.headers(), &query)?;
    let one = target.name.is_some();
    match (request.method().clone(), one) {
        (Method::GET, _) if query.flag("watch") && target.subresource.is_none() => {
            let lines = watch::watch(store, view, &query)?;
            let mut response = json(StatusCode::OK, &Value::Null);
            *response.body_mut() = streamed(lines);
            Ok(response)
        }
        (Method::GET | Method::HEAD, false) => Ok(json(StatusCode::OK, &list::list(store, &view, &query)?)),
        (Method::GET | Method::HEAD, true) => {
            let object = get(store, target)?;
            Ok(shown(store, &view, StatusCode::OK, &object))
        }
        (Method::POST, false) => create(store, target, &view, &query, request).await,
        (Method::PUT, true) => update(store, target, &view, &query, request).await,
        (Method::PATCH, true) => patch(store, target, &view, &query, request).await,
        (Method::DELETE, true) if target.subresource.is_none() => {
            delete(store, target, &query, request).await
        }
        (Method::DELETE, false) => delete_collection(store, &view, &query),
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

fn get(store: &Store, target: &Target) -> Result<Arc<Value>> {
    let found = store.transact(|state| state.get(target.resource, target.namespace(), target.name()));
    let object = found.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    Ok(if scale::is_asked(target) { Arc::new(scale::of(&object)) } else { object })
}

fn shown(store: &Store, view: &View, code: StatusCode, object: &Value) -> Response<Body> {
    let own_kind = object["kind"] == view.resource.kind;
    match view.form {
        Form::Table if own_kind => {
            let mut table = table::table(view.resource, [object], view.include, store.clock.now());
            table["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
            json(code, &table)
        }
        Form::Metadata if own_kind => json(code, &table::metadata(object)),
        _ => json(code, object),
    }
}

/// Runs a write, or only finds out what it would do.
fn write<T>(store: &Store, dry: bool, run: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
    let now = store.clock.now();
    let run = |state: &mut _| run(&mut Writer { state, now });
    if dry { store.rehearse(run) } else { store.transact(run) }
}

async fn create(
    store: &Store,
    target: &Target,
    view: &View,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let object = negotiate::document(request).await?;
    if target.resource.namespaced && target.namespace.is_none() {
        return Err(Status::bad_request("an empty namespace may not be set during creation"));
    }
    let made = write(store, query.is_dry_run(), |writer| {
        writer.create(target.resource, target.namespace(), object)
    })?;
    Ok(shown(store, view, StatusCode::CREATED, &made))
}

async fn update(
    store: &Store,
    target: &Target,
    view: &View,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let object = negotiate::document(request).await?;
    let kept = write(store, query.is_dry_run(), |writer| put(writer, target, object))?;
    Ok(shown(store, view, StatusCode::OK, &kept))
}

/// Puts an object, or the part of it that the path names, in the place of what is there.
fn put(writer: &mut Writer<'_>, target: &Target, object: Value) -> Result<Arc<Value>> {
    let (resource, namespace, name) = (target.resource, target.namespace(), target.name());
    if scale::is_asked(target) {
        let scaled = scale::apply(writer, target, &object)?;
        return Ok(Arc::new(scale::of(&scaled)));
    }
    let part = if target.subresource.is_some() { Part::Status } else { Part::Main };
    writer.update(resource, namespace, name, object, part)
}

async fn patch(
    store: &Store,
    target: &Target,
    view: &View,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let format = Format::of(negotiate::content_type(request.headers()))?;
    if format == Format::Apply && query.text("fieldManager").is_empty() {
        return Err(Status::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let change = negotiate::document(request).await?;
    let (code, kept) =
        write(store, query.is_dry_run(), |writer| change_or_make(writer, target, format, &change))?;
    Ok(shown(store, view, code, &kept))
}

fn change_or_make(
    writer: &mut Writer<'_>,
    target: &Target,
    format: Format,
    change: &Value,
) -> Result<(StatusCode, Arc<Value>)> {
    let (resource, namespace, name) = (target.resource, target.namespace(), target.name());
    let Some(old) = writer.state.get(resource, namespace, name) else {
        if format != Format::Apply || target.subresource.is_some() {
            return Err(Status::not_found(resource, name));
        }
        let mut object = patch::apply(format, &json!({}), change)?;
        set_meta(&mut object, "name", name);
        return Ok((StatusCode::CREATED, writer.create(resource, namespace, object)?));
    };
    let before = if scale::is_asked(target) { scale::of(&old) } else { (*old).clone() };
    let mut after = patch::apply(format, &before, change)?;
    if object::meta(change, "resourceVersion").is_empty() && format != Format::Json {
        // The object that is there was read within this transaction.
        set_meta(&mut after, "resourceVersion", before["metadata"]["resourceVersion"].clone());
    }
    Ok((StatusCode::OK, put(writer, target, after)?))
}

async fn delete(
    store: &Store,
    target: &Target,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    let options = negotiate::document(request).await?;
    let dry = query.is_dry_run() || object::items(&options["dryRun"]).iter().any(|value| value == "All");
    let wanted = Preconditions {
        uid: object::field(&options, "preconditions.uid"),
        version: object::field(&options, "preconditions.resourceVersion"),
    };
    let (resource, namespace, name) = (target.resource, target.namespace(), target.name());
    let last = write(store, dry, |writer| writer.delete(resource, namespace, name, &wanted))?;
    let remains = object::items(&last["metadata"]["finalizers"]);
    let answers_with_object =
        [named("pods"), named("serviceaccounts"), named("services")].contains(&resource);
    if answers_with_object || !remains.is_empty() {
        return Ok(json(StatusCode::OK, &last));
    }
    Ok(json(StatusCode::OK, &write::deleted(resource, &last)))
}

fn delete_collection(store: &Store, view: &View, query: &Query) -> Result<Response<Body>> {
    let gone = write(store, query.is_dry_run(), |writer| {
        let mut selected = writer.state.list(view.resource, view.namespace.as_deref());
        selected.retain(|object| view.selector.matches(object));
        for object in &selected {
            match writer.delete(
                view.resource,
                object::namespace(object),
                object::name(object),
                &Preconditions::default(),
            ) {
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
