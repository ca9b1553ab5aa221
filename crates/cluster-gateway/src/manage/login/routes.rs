//! The routes of signing in (`console/API.md`, "Signing in").

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Extension, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Router, routing::get};
use http::request::Parts;
use http::{HeaderValue, Method as HttpMethod, StatusCode, header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{CALLBACK, Method, Redirect};
use crate::api::VersionInfo;
use crate::authn::Connection;
use crate::manage::caller::{refused, told};
use crate::manage::{Caller, Json, Manage, Permissions, Place, Refusal, Route};
use crate::record::Recording;

const METHODS: &str = "/api/v1/login";
const START: &str = "/api/v1/login/oidc";
const SESSION: &str = "/api/v1/session";

/// The routes, below `/api`.
pub(in crate::manage) fn routes() -> Router<Arc<Manage>> {
    let below = |path: &'static str| path.strip_prefix("/api").unwrap_or(path);
    Router::new()
        .route(below(METHODS), get(methods))
        .route(below(START), get(to_provider))
        .route(below(CALLBACK), get(from_provider))
        .route(below(SESSION), get(session).post(sign_in).delete(sign_out))
}

/// Whether a request is answered for people who are not signed in yet.
pub(in crate::manage) fn is_open(method: &HttpMethod, path: &str) -> bool {
    match *method {
        HttpMethod::GET | HttpMethod::HEAD => [METHODS, START, CALLBACK].contains(&path),
        HttpMethod::POST => path == SESSION,
        _ => false,
    }
}

/// How one may sign in.
#[derive(Debug, Serialize)]
struct LoginMethods<'a> {
    oidc: Option<Oidc<'a>>,
    token: bool,
    server: Server<'a>,
}

#[derive(Debug, Serialize)]
struct Oidc<'a> {
    name: &'a str,
    start: &'static str,
}

#[derive(Debug, Serialize)]
struct Server<'a> {
    name: &'a str,
    version: String,
}

/// Who is signed in, and what they may do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Session<'a> {
    user: User<'a>,
    method: Method,
    expires: Option<String>,
    csrf_token: String,
    time: String,
    permissions: Permissions,
    server: SessionServer<'a>,
}

#[derive(Debug, Serialize)]
struct User<'a> {
    username: &'a str,
    groups: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionServer<'a> {
    #[serde(flatten)]
    server: Server<'a>,
    mode: &'static str,
    secret_namespace: Option<&'a str>,
    routes: &'static [Route],
}

/// The body of `POST /session`.
#[derive(Deserialize)]
struct SignIn {
    token: String,
}

async fn methods(State(manage): State<Arc<Manage>>) -> Response {
    let oidc = manage.login.oidc_name().map(|name| Oidc { name, start: START });
    Json(LoginMethods { oidc, token: true, server: server(&manage) }).into_response()
}

async fn to_provider(State(manage): State<Arc<Manage>>, parts: Parts) -> Response {
    redirect(manage.login.to_provider(&parts).await)
}

async fn from_provider(
    State(manage): State<Arc<Manage>>,
    Extension(connection): Extension<Arc<Connection>>,
    Extension(recording): Extension<Recording>,
    parts: Parts,
) -> Response {
    let next = manage.login.from_provider(&connection, &parts).await;
    match &next.user {
        Some(user) => told(&recording, user).await,
        None => refused(&recording, "signing in by OpenID Connect did not work"),
    }
    redirect(next)
}

async fn sign_in(
    State(manage): State<Arc<Manage>>,
    Extension(connection): Extension<Arc<Connection>>,
    Extension(recording): Extension<Recording>,
    parts: Parts,
    Json(SignIn { token }): Json<SignIn>,
) -> Result<Response, Refusal> {
    let authn = &manage.gateway.authn;
    let signed_in = manage.login.with_token(authn, &connection, &parts, &token).await;
    let signed_in = signed_in.inspect_err(|failure| refused(&recording, &failure.cause()))?;
    told(&recording, &signed_in.caller.user).await;
    let session = view(&manage, &signed_in.caller).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, signed_in.cookie)]), session).into_response())
}

async fn session(State(manage): State<Arc<Manage>>, caller: Caller) -> Result<Response, Refusal> {
    view(&manage, &caller).await
}

async fn sign_out(State(manage): State<Arc<Manage>>, caller: Caller) -> Response {
    let cookie = manage.login.sign_out(&caller);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Json(serde_json::json!({}))).into_response()
}

async fn view(manage: &Manage, caller: &Caller) -> Result<Response, Refusal> {
    let (mode, secret_namespace) = match &manage.place {
        Place::Hub { namespace, .. } => ("hub", Some(namespace.as_str())),
        Place::Directory(_) => ("standalone", None),
    };
    let routes = Route::of(&manage.place);
    let session = Session {
        user: User { username: &caller.user.name, groups: &caller.user.groups },
        method: caller.method,
        expires: caller.expires.map(rfc3339),
        csrf_token: caller.csrf_token(),
        time: rfc3339(SystemTime::now()),
        permissions: manage.permissions(caller).await?,
        server: SessionServer { server: server(manage), mode, secret_namespace, routes },
    };
    Ok(Json(session).into_response())
}

fn server(manage: &Manage) -> Server<'_> {
    Server { name: &manage.settings.name, version: VersionInfo::current().git_version }
}

fn redirect(next: Redirect) -> Response {
    // Paths and URLs here are made of visible ASCII.
    let location =
        HeaderValue::try_from(next.location).unwrap_or_else(|_| HeaderValue::from_static("/login"));
    let mut response = (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    for cookie in next.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}
