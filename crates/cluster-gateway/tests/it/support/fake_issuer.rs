//! An OpenID Connect issuer on loopback, and keys that sign tokens.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_gateway::request::query_value;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

use super::fake_member::{TestCa, server_config};

/// Path of the discovery document.
pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Path of the keys.
pub(crate) const KEYS: &str = "/keys";
/// Path at which a code becomes a token.
pub(crate) const TOKEN: &str = "/token";

/// A running issuer; stops with the runtime of the test.
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    dir: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    documents: BTreeMap<&'static str, (StatusCode, String)>,
    hangs: bool,
    requests: Vec<String>,
    /// ID tokens by code; each is good once.
    codes: BTreeMap<String, String>,
    /// `Authorization` and form of each request for a token.
    forms: Vec<(Option<String>, String)>,
}

impl FakeIssuer {
    /// Publishes these keys.
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let ca = TestCa::new("issuer CA");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let tls = TlsAcceptor::from(server_config(&ca.server(&["localhost"]), None, &[b"http/1.1"]));
        let state = Arc::new(Mutex::new(State::default()));
        tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let issuer = Self { url, dir, state };
        issuer.describe(&issuer.url, &format!("{}{KEYS}", issuer.url));
        issuer.publish(keys);
        issuer
    }

    /// The CA of its server, for `--oidc-ca-file`.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Sets what the discovery document says.
    pub(crate) fn describe(&self, issuer: &str, keys: &str) {
        let document = json!({
            "issuer": issuer, "jwks_uri": keys, "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}{TOKEN}", self.url),
        });
        self.answer(DISCOVERY, 200, &document.to_string());
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.publish_json(&keys);
    }

    pub(crate) fn publish_json(&self, keys: &[Value]) {
        self.answer(KEYS, 200, &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn answer(&self, path: &'static str, code: u16, body: &str) {
        let code = StatusCode::from_u16(code).unwrap();
        self.state.lock().unwrap().documents.insert(path, (code, body.to_owned()));
    }

    /// Lets a code become this token, once.
    pub(crate) fn code(&self, code: &str, id_token: &str) {
        self.state.lock().unwrap().codes.insert(code.to_owned(), id_token.to_owned());
    }

    /// `Authorization` and form of all requests for a token.
    pub(crate) fn forms(&self) -> Vec<(Option<String>, String)> {
        self.state.lock().unwrap().forms.clone()
    }

    /// Answers nothing from now on.
    pub(crate) fn hang(&self) {
        self.state.lock().unwrap().hangs = true;
    }

    /// How often a path was asked for.
    pub(crate) fn requests(&self, path: &str) -> usize {
        self.state.lock().unwrap().requests.iter().filter(|asked| *asked == path).count()
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else { return };
            let service = service_fn(move |request: Request<Incoming>| serve(request, Arc::clone(&state)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let form = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let (code, body, hangs) = {
        let mut state = state.lock().unwrap();
        state.requests.push(parts.uri.path().to_owned());
        let found = match state.documents.get(parts.uri.path()).cloned() {
            None if parts.uri.path() == TOKEN => Some(state.token(authorization, form)),
            found => found,
        };
        let (code, body) = found.unwrap_or((StatusCode::NOT_FOUND, String::new()));
        (code, body, state.hangs)
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = code;
    if code.is_redirection() {
        response.headers_mut().insert("location", http::HeaderValue::from_static(KEYS));
    }
    Ok(response)
}

impl State {
    fn token(&mut self, authorization: Option<String>, form: String) -> (StatusCode, String) {
        let code = query_value(&form, "code").unwrap_or_default().into_owned();
        self.forms.push((authorization, form));
        match self.codes.remove(&code) {
            Some(token) => (StatusCode::OK, json!({ "id_token": token, "token_type": "Bearer" }).to_string()),
            None => (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }).to_string()),
        }
    }
}

/// A key pair of an issuer.
pub(crate) struct SigningKey {
    pub(crate) id: Option<&'static str>,
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    pub(crate) fn new(id: &'static str, algorithm: &'static str) -> Self {
        let ec = |kind| Pair::Ec(EcdsaKeyPair::generate(kind).unwrap());
        let pair = match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { id: Some(id), algorithm, pair }
    }

    /// The public key as an issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (_, key) = RSAPublicKey::from_der(pair.public_key().as_ref()).unwrap();
                json!({ "kty": "RSA", "n": text(key.modulus), "e": text(key.exponent) })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(self.coordinate());
                let curve = match self.algorithm {
                    "ES256" => "P-256",
                    "ES384" => "P-384",
                    _ => "P-521",
                };
                json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
            }
        };
        jwk["use"] = json!("sig");
        if let Some(id) = self.id {
            jwk["kid"] = json!(id);
        }
        jwk
    }

    /// The public key's bytes, which everybody knows.
    pub(crate) fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ec(pair) => pair.public_key().as_ref(),
        }
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm, "typ": "JWT" });
        if let Some(id) = self.id {
            header["kid"] = json!(id);
        }
        self.sign_with(&header, claims)
    }

    /// A token with this header, whatever it says.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match self.algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn coordinate(&self) -> usize {
        (self.public().len() - 1) / 2
    }
}

/// Header and claims, as they are signed.
pub(crate) fn message(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(claims))
}
