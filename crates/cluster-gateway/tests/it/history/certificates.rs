//! Certificates that prove nothing, shown by members and by clients.
//!
//! The files beside this one are made by OpenSSL, valid until 2100: `ca` and `small-ca` (RSA of 2048 and 1024 bits), and
//! certificates for 127.0.0.1 and `CN=alice`, of the key `ec.key` unless they are named after an RSA key. The numbers of
//! such a key are its modulus and its private exponent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_gateway::body::Body;
use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, Route, Transport, TransportError, TransportOptions, TransportSpec,
    Verification,
};
use http::Request;
use num_bigint::BigUint;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256};
use time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::redirects::head;
use crate::support::fake_member::{Leaf, TestCa};
use crate::support::world::{World, until};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("certificates/", $name))
    };
}

const CA: &str = file!("ca.pem");
const SMALL_CA: &str = file!("small-ca.pem");
const GOOD: &str = file!("good.pem");
const WEAK: [(&str, &str, &str); 3] = [
    ("signed with SHA-1", CA, file!("signed-sha1.pem")),
    ("signed with MD5", CA, file!("signed-md5.pem")),
    ("issued by a CA of 1024 bits", SMALL_CA, file!("issued-by-small-ca.pem")),
];
const RSA_1024: (&str, &str) = (file!("rsa-1024.pem"), file!("rsa-1024.numbers"));
const RSA_2048: (&str, &str) = (file!("rsa-2048.pem"), file!("rsa-2048.numbers"));

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn ec(certificate: &str) -> Leaf {
    Leaf { certificate: certificate.to_owned(), key: file!("ec.key").to_owned() }
}

fn certified(leaf: &Leaf) -> Arc<CertifiedKey> {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf.private_key()).unwrap();
    Arc::new(CertifiedKey::new(leaf.chain(), key))
}

/// Signs with RSA keys of any size, which no library does any more.
#[derive(Debug, Clone)]
struct Rsa {
    modulus: BigUint,
    exponent: BigUint,
}

impl Rsa {
    fn certified((certificate, numbers): (&str, &str)) -> Arc<CertifiedKey> {
        let [modulus, exponent] = [0, 1]
            .map(|line| BigUint::parse_bytes(numbers.lines().nth(line).unwrap().as_bytes(), 16).unwrap());
        Arc::new(CertifiedKey::new(ec(certificate).chain(), Arc::new(Self { modulus, exponent })))
    }
}

impl SigningKey for Rsa {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::RSA_PKCS1_SHA256)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for Rsa {
    /// RFC 8017 §8.2.1.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        const SHA256: [u8; 19] = [
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
            0x00, 0x04, 0x20,
        ];
        let length = usize::try_from(self.modulus.bits().div_ceil(8)).unwrap();
        let digest = [&SHA256[..], &Sha256::digest(message)].concat();
        let mut padded = vec![0xff; length];
        padded[..2].copy_from_slice(&[0, 1]);
        padded[length - digest.len()..].copy_from_slice(&digest);
        padded[length - digest.len() - 1] = 0;
        let signature = BigUint::from_bytes_be(&padded).modpow(&self.exponent, &self.modulus).to_bytes_be();
        Ok([vec![0; length - signature.len()], signature].concat())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PKCS1_SHA256
    }
}

/// What the gateway thinks of a member that shows this certificate, if it is to be issued by `ca`.
async fn member(certificate: Arc<CertifiedKey>, ca: &str) -> Result<(), TransportError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<AtomicBool>::default();
    let serving = Arc::clone(&asked);
    tokio::spawn(async move {
        // RSA as [`Rsa`] does it belongs to TLS 1.2.
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await else { return };
        if stream.read_u8().await.is_ok() {
            serving.store(true, Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let spec = TransportSpec {
        endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port },
        verification: Verification::Bundle(ca.as_bytes().into()),
        route: Route::Direct,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    let addresses = AddressPolicy { allow_loopback: true };
    let options = TransportOptions { addresses, ..TransportOptions::default() };
    let request = Request::get("/").body(Body::empty()).unwrap();
    let result = Transport::new(spec, Arc::new(options)).send(request).await.map(drop);
    assert_eq!(asked.load(Ordering::SeqCst), result.is_ok(), "a request was sent to {result:?}");
    result
}

#[tokio::test]
async fn rule_165_rule_271_a_member_s_certificate_that_proves_nothing_is_refused() {
    let ca = TestCa::new("ca");
    let (pem, hour) = (ca.pem(), Duration::HOUR);
    let good = ca.issue(&["127.0.0.1"], "member", ServerAuth, hour);
    assert_eq!(member(certified(&good), &pem).await, Ok(()));
    let alone = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let alone = Leaf { certificate: alone.cert.pem(), key: alone.signing_key.serialize_pem() };
    for (what, leaf, why) in [
        ("expired", ca.issue(&["127.0.0.1"], "member", ServerAuth, -hour), "has expired"),
        ("for clients", ca.issue(&["127.0.0.1"], "member", ClientAuth, hour), "x509: "),
        ("for another name", ca.issue(&["other.test"], "127.0.0.1", ServerAuth, hour), "not 127.0.0.1"),
        ("with a common name only", ca.issue(&[], "127.0.0.1", ServerAuth, hour), "x509: "),
        ("of another CA of that name", TestCa::new("ca").server(&["127.0.0.1"]), "x509: "),
        ("signed by itself", alone, "x509: "),
    ] {
        let error = member(certified(&leaf), &pem).await.expect_err(what);
        assert!(matches!(&error, TransportError::Tls(text) if text.contains(why)), "{what}: {error}");
    }
    assert_eq!(member(certified(&ec(GOOD)), CA).await, Ok(()));
    for (what, ca, certificate) in WEAK {
        let error = member(certified(&ec(certificate)), ca).await.expect_err(what);
        assert!(matches!(error, TransportError::Tls(_)), "{what}: {error}");
    }
    assert_eq!(member(Rsa::certified(RSA_2048), CA).await, Ok(()));
    let error = member(Rsa::certified(RSA_1024), CA).await.expect_err("an RSA key of 1024 bits");
    assert!(matches!(error, TransportError::Tls(_)), "{error}");
}

/// Believes what stands in the files, and lets everybody do everything.
async fn believing() -> World {
    let world = World::start().await;
    world.hub.allow_if(|_| true);
    let bundle = |own: &TestCa| format!("{}{CA}{SMALL_CA}", own.pem());
    world.hub.set_auth_config(&[
        ("requestheader-client-ca-file", &bundle(&world.front_proxy)),
        ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
        ("requestheader-username-headers", "[\"X-Remote-User\"]"),
        ("client-ca-file", &bundle(&world.clients)),
    ]);
    let good = world.nobody().certificate(&ec(GOOD));
    until(|| async { good.get("/version").await.status == 200 }).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_271_a_client_s_certificate_that_proves_nothing_is_refused() {
    let world = believing().await;
    let hour = Duration::HOUR;
    for (ca, name) in [(&world.clients, "carol"), (&world.front_proxy, "front-proxy-client")] {
        let status = async |leaf: &Leaf| {
            let caller = world.nobody().certificate(leaf).header("x-remote-user", "admin");
            let [h1, h2] = [caller.get("/version").await.status, caller.http2().get("/version").await.status];
            assert_eq!(h1, h2);
            h1
        };
        assert_eq!(status(&ca.issue(&[], name, ClientAuth, hour)).await, 200);
        for (what, leaf) in [
            ("expired", ca.issue(&[], name, ClientAuth, -hour)),
            ("for servers", ca.issue(&["localhost"], name, ServerAuth, hour)),
            ("of another CA", TestCa::new("clients").issue(&[], name, ClientAuth, hour)),
            ("of another CA of that name", TestCa::new("front proxy").issue(&[], name, ClientAuth, hour)),
        ] {
            assert_eq!(status(&leaf).await, 401, "{name}: {what}");
        }
    }
    let stranger = world.nobody().certificate(&world.front_proxy.client("stranger"));
    assert_eq!(stranger.header("x-remote-user", "admin").get("/version").await.status, 401);
    for (what, _, certificate) in WEAK {
        assert_eq!(world.nobody().certificate(&ec(certificate)).get("/version").await.status, 401, "{what}");
    }
}

/// The status line that a client with this certificate gets, if it gets any.
async fn client(world: &World, certificate: Arc<CertifiedKey>) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.serving.der()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    let socket = TcpStream::connect(world.server.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    stream.flush().await?;
    Ok(head(&mut stream).await.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_271_a_client_s_rsa_key_of_1024_bits_proves_nothing() {
    let world = believing().await;
    assert_eq!(client(&world, Rsa::certified(RSA_2048)).await.unwrap(), "http/1.1 200 ok");
    let refused = client(&world, Rsa::certified(RSA_1024)).await;
    assert!(
        refused.as_ref().is_err() || refused.as_ref().is_ok_and(|line| line.contains(" 401 ")),
        "{refused:?}"
    );
}
