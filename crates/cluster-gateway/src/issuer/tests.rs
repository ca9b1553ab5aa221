use std::os::unix::fs::PermissionsExt;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::pki::{self, Subject};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn temporary() -> (tempfile::TempDir, DataDir) {
    let parent = tempfile::tempdir().unwrap();
    let dir = DataDir::open(parent.path().join("data")).unwrap();
    (parent, dir)
}

fn mode(path: &std::path::Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn client_ca(dir: &DataDir) -> Result<CertificateAuthority, IssuerError> {
    CertificateAuthority::load_or_create(dir, Role::Clients)
}

fn groups(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_ca_is_made_once_and_what_it_issued_before_is_believed_by_the_one_that_was_loaded() {
    let (_parent, dir) = temporary();
    let first = client_ca(&dir).unwrap();
    let issued = first.issue("alice", &[], HOUR).unwrap();
    let second = client_ca(&dir).unwrap();
    assert_eq!(first.certificate_pem(), second.certificate_pem());
    let chain = pki::certificates(issued.certificate.as_bytes()).unwrap();
    second.client_cas().unwrap().verify_client(&chain, SystemTime::now()).unwrap();
    assert_eq!((mode(dir.path()), mode(&dir.path().join("ca.key"))), (0o700, 0o600));
}

#[test]
fn an_issued_certificate_names_the_user_and_every_group_in_order() {
    let (_parent, dir) = temporary();
    let ca = client_ca(&dir).unwrap();
    let many: Vec<String> = (0..200).map(|number| format!("team:{number}/ünïcode")).collect();
    for (user, groups) in [("alice", groups(&[])), ("bob", groups(&["a"])), ("Käthe, O=x", many)] {
        let now = SystemTime::now();
        let issued = ca.issue_at(user, &groups, HOUR, now).unwrap();
        pki::certified_key(issued.certificate.as_bytes(), issued.key.as_bytes()).unwrap();
        let chain = pki::certificates(issued.certificate.as_bytes()).unwrap();
        let cas = ca.client_cas().unwrap();
        cas.verify_client(&chain, now).unwrap();
        let subject = Subject::of(&chain[0]).unwrap();
        assert_eq!((subject.common_name.as_str(), &subject.organizations), (user, &groups));
        cas.verify_client(&chain, now - Duration::from_secs(4 * 60)).unwrap();
        assert!(cas.verify_client(&chain, now - Duration::from_secs(6 * 60)).is_err());
        cas.verify_client(&chain, now + HOUR - Duration::from_secs(2)).unwrap();
        assert!(cas.verify_client(&chain, now + HOUR + Duration::from_secs(2)).is_err());
        // It proves who one is, and makes nobody a server.
        assert!(pki::verify_server(&chain[0], ca.certificate(), now).is_err());
    }
}

#[test]
fn serial_numbers_differ() {
    let (_parent, dir) = temporary();
    let ca = client_ca(&dir).unwrap();
    let serial = || {
        let issued = ca.issue("alice", &[], HOUR).unwrap();
        let chain = pki::certificates(issued.certificate.as_bytes()).unwrap();
        X509Certificate::from_der(&chain[0]).unwrap().1.raw_serial().to_vec()
    };
    let (one, other) = (serial(), serial());
    assert_ne!(one, other);
    assert!(one.len() == 16 && one[0] < 0x80, "{one:?}");
}

#[test]
fn a_certificate_does_not_outlive_its_ca() {
    let (_parent, dir) = temporary();
    let ca = client_ca(&dir).unwrap();
    let issued = ca.issue("alice", &[], DAY * 365 * 100).unwrap();
    assert_eq!(issued.expires, ca.expires());
    assert_eq!(ca.issue("alice", &[], Duration::MAX).unwrap().expires, ca.expires());
}

#[test]
fn what_makes_no_certificate_is_refused() {
    let (_parent, dir) = temporary();
    let ca = client_ca(&dir).unwrap();
    let long = "x".repeat(1025);
    for (user, group_names, ttl, expected) in [
        ("", groups(&[]), HOUR, "user's name is empty"),
        ("a\nb", groups(&[]), HOUR, "user's name holds control characters"),
        (long.as_str(), groups(&[]), HOUR, "user's name is longer"),
        ("a", groups(&["ok", ""]), HOUR, "group's name is empty"),
        ("a", vec!["g".to_owned(); 257], HOUR, "257 groups"),
        ("a", groups(&[]), Duration::ZERO, "ask for more time"),
    ] {
        let text = ca.issue(user, &group_names, ttl).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_directory_or_a_key_of_another_user_is_refused_with_the_remedy() {
    let (_parent, dir) = temporary();
    client_ca(&dir).unwrap();
    let key = dir.path().join("ca.key");
    // Giving files away takes root's rights; without them there is nobody else's file to be had.
    if std::os::unix::fs::chown(&key, Some(65_534), None).is_err() {
        return;
    }
    let wanted = rustix::process::geteuid().as_raw();
    let text = client_ca(&dir).unwrap_err().to_string();
    assert!(text.contains("ca.key") && text.contains("uid 65534"), "{text}");
    assert!(text.contains(&format!("chown -R {wanted} ")), "{text}");
    std::os::unix::fs::chown(&key, Some(wanted), None).unwrap();
    client_ca(&dir).unwrap();
    std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
    let text = DataDir::open(dir.path()).unwrap_err().to_string();
    assert!(text.contains("belongs to another user (uid 65534)"), "{text}");
}

#[test]
fn rights_of_others_are_refused_with_the_remedy() {
    let (_parent, dir) = temporary();
    client_ca(&dir).unwrap();
    let key = dir.path().join("ca.key");
    set_mode(&key, 0o640);
    let text = client_ca(&dir).unwrap_err().to_string();
    assert!(text.contains(&format!("chmod 600 {}", key.display())), "{text}");
    set_mode(&key, 0o600);
    client_ca(&dir).unwrap();
    set_mode(dir.path(), 0o755);
    let text = DataDir::open(dir.path()).unwrap_err().to_string();
    assert!(text.contains(&format!("chmod 700 {}", dir.path().display())), "{text}");
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_its_flag() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below"), "/proc/data".into()] {
        let text = DataDir::open(&path).unwrap_err().to_string();
        assert!(text.starts_with(&format!("--data-dir {}: cannot be written", path.display())), "{text}");
    }
}

#[test]
fn what_cannot_be_trusted_in_the_directory_is_refused_and_not_replaced() {
    let (_parent, dir) = temporary();
    let (_other_parent, other) = temporary();
    client_ca(&dir).unwrap();
    client_ca(&other).unwrap();
    let (certificate, key) = (dir.path().join("ca.crt"), dir.path().join("ca.key"));
    let (good_certificate, good_key) =
        (std::fs::read_to_string(&certificate).unwrap(), std::fs::read_to_string(&key).unwrap());
    let others = std::fs::read_to_string(other.path().join("ca.crt")).unwrap();
    let leaf = client_ca(&dir).unwrap().issue("x", &[], HOUR).unwrap();
    for (certificate_text, key_text, expected) in [
        (Some("garbage"), Some(good_key.as_str()), "ca.crt holds no PEM certificate"),
        (Some(&good_certificate), Some("garbage"), "ca.key holds no PEM private key"),
        (Some(&others), Some(&good_key), "does not belong to the private key"),
        (Some(&leaf.certificate), Some(&leaf.key), "is not the certificate of a CA"),
        (Some(&(others.clone() + &good_certificate)), Some(&good_key), "more than one certificate"),
        (
            None,
            Some(&good_key),
            "ca.crt is missing beside ca.key; put it back, or move ca.crt and ca.key away",
        ),
        (Some(&good_certificate), None, "ca.key is missing beside ca.crt"),
    ] {
        for (path, text) in [(&certificate, certificate_text), (&key, key_text)] {
            match text {
                Some(text) => std::fs::write(path, text).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
        }
        if key.exists() {
            set_mode(&key, 0o600);
        }
        let text = client_ca(&dir).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("PRIVATE KEY-----\n"), "{text}");
        assert_eq!(std::fs::read_to_string(&certificate).ok().as_deref(), certificate_text);
        assert_eq!(std::fs::read_to_string(&key).ok().as_deref(), key_text);
    }
}

#[test]
fn a_ca_out_of_its_time_is_refused_with_what_to_do() {
    let (_parent, dir) = temporary();
    client_ca(&dir).unwrap();
    let at = |now| CertificateAuthority::load_or_create_at(&dir, Role::Clients, now);
    let now = SystemTime::now();
    let text = at(now + DAY * 3651).unwrap_err().to_string();
    assert!(text.contains("has expired on") && text.contains("issued again"), "{text}");
    let text = at(now - DAY).unwrap_err().to_string();
    assert!(text.contains("set the clock"), "{text}");
    at(now + DAY * 3640).unwrap();
}

#[test]
fn a_ca_that_somebody_else_made_issues_under_its_own_name() {
    let (_parent, dir) = temporary();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Two values of one type are more than rcgen can repeat.
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "one");
    params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 10]), "two");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(dir.path().join("ca.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.path().join("ca.key"), key.serialize_pem()).unwrap();
    set_mode(&dir.path().join("ca.key"), 0o600);
    let ca = client_ca(&dir).unwrap();
    let issued = ca.issue("alice", &groups(&["a", "b", "c"]), HOUR).unwrap();
    let chain = pki::certificates(issued.certificate.as_bytes()).unwrap();
    ca.client_cas().unwrap().verify_client(&chain, SystemTime::now()).unwrap();
}

fn served(serving: &Serving) -> (Vec<u8>, rustls::pki_types::CertificateDer<'static>) {
    let certificate = std::fs::read(serving.certificate_file()).unwrap();
    let key = std::fs::read(serving.key_file()).unwrap();
    let pair = pki::certified_key(&certificate, &key).unwrap();
    (certificate, pair.cert[0].clone())
}

#[test]
fn a_serving_certificate_verifies_for_all_its_names_and_is_kept() {
    let (_parent, dir) = temporary();
    let names = ["0.0.0.0", "::", "10.1.2.3", "[2001:DB8::0001]", "Gateway.Example"].map(str::to_owned);
    let serving = Serving::load_or_create(&dir, &names).unwrap();
    let (first, leaf) = served(&serving);
    let ca = pki::certificates(serving.ca_pem().as_bytes()).unwrap();
    pki::verify_server(&leaf, &ca[0], SystemTime::now()).unwrap();
    // Some clients do not know critical extensions.
    let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
    assert!(!parsed.subject_alternative_name().unwrap().unwrap().critical);
    assert_eq!(parsed.subject().to_string(), "CN=cluster-gateway");
    let certificate = webpki::EndEntityCert::try_from(&leaf).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "10.1.2.3", "2001:db8::1", "gateway.example"] {
        let name = rustls::pki_types::ServerName::try_from(name).unwrap();
        certificate.verify_is_valid_for_subject_name(&name).unwrap();
    }
    let unspecified = rustls::pki_types::ServerName::try_from("0.0.0.0").unwrap();
    assert!(certificate.verify_is_valid_for_subject_name(&unspecified).is_err());
    assert_eq!(mode(&serving.key_file()), 0o600);
    assert_eq!(served(&Serving::load_or_create(&dir, &names).unwrap()).0, first);
    // Fewer names are no reason for a new one.
    assert_eq!(served(&Serving::load_or_create(&dir, &names[..2]).unwrap()).0, first);
    // A client's certificate is none of its business.
    assert_ne!(serving.ca_pem(), client_ca(&dir).unwrap().certificate_pem());
}

#[test]
fn a_serving_certificate_is_issued_anew_for_new_names_before_it_expires_and_when_it_is_damaged() {
    let (_parent, dir) = temporary();
    let now = SystemTime::now();
    let serving = Serving::load_or_create_at(&dir, &[], now).unwrap();
    let ca = serving.ca_pem().to_owned();
    let first = served(&serving).0;
    assert!(!serving.renew_at(now + DAY * 334).unwrap());
    assert!(serving.renew_at(now + DAY * 336).unwrap());
    assert!(!serving.renew_at(now + DAY * 336).unwrap());
    let second = served(&serving).0;
    assert_ne!(first, second);
    let renamed = Serving::load_or_create_at(&dir, &["other.example".to_owned()], now + DAY * 336).unwrap();
    assert_ne!(served(&renamed).0, second);
    std::fs::write(renamed.certificate_file(), "garbage").unwrap();
    assert!(renamed.renew_at(now + DAY * 336).unwrap());
    std::fs::write(renamed.certificate_file(), client_ca(&dir).unwrap().certificate_pem()).unwrap();
    assert!(renamed.renew_at(now + DAY * 336).unwrap());
    assert_eq!(renamed.ca_pem(), ca);
    // Shortly before the CA's own end there is nothing to win by a new one.
    assert!(renamed.renew_at(now + DAY * 3645).unwrap());
    assert!(!renamed.renew_at(now + DAY * 3645).unwrap());
}

#[test]
fn a_name_that_can_stand_in_no_certificate_is_refused() {
    let (_parent, dir) = temporary();
    for name in ["müller", "", "two words", "host:6443", "[gateway", "*.example"] {
        let text = Serving::load_or_create(&dir, &[name.to_owned()]).unwrap_err().to_string();
        assert!(text.contains(&format!("{name:?} is neither a host name nor an IP address")), "{text}");
    }
}

#[test]
fn several_starts_at_once_agree_on_one_ca() {
    let (_parent, dir) = temporary();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let dir = dir.clone();
            std::thread::spawn(move || client_ca(&dir).unwrap().certificate_pem().to_owned())
        })
        .collect();
    let mut found: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    found.dedup();
    assert_eq!(found.len(), 1);
}

#[test]
fn no_key_is_shown() {
    let (_parent, dir) = temporary();
    let ca = client_ca(&dir).unwrap();
    let issued = ca.issue("alice", &[], HOUR).unwrap();
    let serving = Serving::load_or_create(&dir, &[]).unwrap();
    let shown = format!("{ca:?} {issued:?} {serving:?}");
    let secret = issued.key.lines().nth(1).unwrap();
    assert!(!shown.contains(secret) && !shown.contains("PRIVATE"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_running_server_renews_its_certificate_by_itself() {
    let (_parent, dir) = temporary();
    let long_ago = SystemTime::now() - DAY * 340;
    let serving = Serving::load_or_create_at(&dir, &[], long_ago).unwrap();
    let (file, first) = (serving.certificate_file(), served(&serving).0);
    tokio::spawn(serving.keep_renewed());
    let renewed = async {
        while std::fs::read(&file).unwrap() == first {
            tokio::time::sleep(HOUR).await;
        }
    };
    tokio::time::timeout(DAY, renewed).await.expect("it is renewed within a day");
}
