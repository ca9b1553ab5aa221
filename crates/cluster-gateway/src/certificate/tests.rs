use std::collections::BTreeMap;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use rustls::pki_types::{CertificateDer, ServerName};

use super::material::{Authority, BUNDLE, CA_KEY, CERTIFICATE, Content, Found, KEY, Pair};
use super::plan::{self, CA_LIFETIME, Circumstances, LIFETIME, Memory, Plan};
use super::*;
use crate::pki;

const DAY: Duration = Duration::from_secs(86_400);
const LONG: Duration = Duration::from_secs(86_400);

type Data = BTreeMap<String, ByteString>;
type Damage<'d> = Box<dyn Fn(&mut Play) + 'd>;

/// A Secret, the process that keeps it, and what was served and published at each moment.
struct Play {
    data: Option<Data>,
    memory: Option<Memory>,
    names: ServerNames,
    times: Times,
    now: SystemTime,
}

fn config() -> CertificateConfig {
    let [service, namespace] = ["gateway", "system"].map(str::to_owned);
    CertificateConfig { service, namespace, names: vec!["out.example".to_owned()], times: Times::default() }
}

impl Play {
    fn new() -> Self {
        let names = config().server_names().unwrap();
        Self { data: None, memory: None, names, times: Times::default(), now: SystemTime::now() }
    }

    /// One round of the holder of the Lease; whether it wrote.
    fn round(&mut self, settled: Duration) -> bool {
        let circumstances = Circumstances {
            memory: self.memory.as_ref(),
            names: &self.names,
            settled,
            times: &self.times,
            now: self.now,
        };
        let plan = plan::next(Found::read(self.data.as_ref()), circumstances).unwrap();
        let (content, wrote) = match plan {
            Plan::Keep(content) => (content, false),
            Plan::Write(content, why) => {
                assert!(!why.is_empty());
                (content, true)
            }
        };
        self.data = Some(content.data());
        self.memory = Some(Memory { trusted: content.trusted(), pair: content.pair });
        wrote
    }

    /// As [`Play::round`], while connections go on: whoever has not seen the change yet, server or hub, still fits.
    fn seamless_round(&mut self, settled: Duration) -> bool {
        let before = self.memory.clone().unwrap();
        let wrote = self.round(settled);
        let after = self.memory.as_ref().unwrap();
        assert!(after.pair.verifies(&before.trusted, self.now), "a hub that knows the old bundle refuses");
        // A replica that is late serves the old one; `retired` is for it.
        if settled < self.times.retired {
            assert!(before.pair.verifies(&after.trusted, self.now), "a replica that is late is refused");
        }
        wrote
    }

    fn trusted(&self) -> Vec<CertificateDer<'static>> {
        self.memory.as_ref().unwrap().trusted.clone()
    }

    fn leaf(&self) -> CertificateDer<'static> {
        self.memory.as_ref().unwrap().pair.leaf().clone()
    }

    /// Everything is in order: the certificate is of the only CA, for all names, and nothing is left to do.
    fn assert_at_rest(&mut self) {
        assert!(!self.round(LONG), "something is left to do");
        let memory = self.memory.as_ref().unwrap();
        assert_eq!(memory.trusted.len(), 1);
        assert!(memory.pair.verifies(&memory.trusted, self.now));
        assert!(self.names.covered_by(memory.pair.leaf()));
    }

    fn put(&mut self, key: &str, text: &str) {
        self.data.as_mut().unwrap().insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    }

    fn text(&self, key: &str) -> String {
        String::from_utf8(self.data.as_ref().unwrap()[key].0.clone()).unwrap()
    }
}

fn at_rest() -> Play {
    let mut play = Play::new();
    assert!(play.round(Duration::ZERO));
    play.assert_at_rest();
    play
}

#[test]
fn the_first_certificate_is_for_every_name_of_the_service_and_for_late_clocks() {
    let play = at_rest();
    let leaf = play.leaf();
    let certificate = webpki::EndEntityCert::try_from(&leaf).unwrap();
    for name in
        ["gateway.system.svc", "gateway.system.svc.cluster.local", "gateway", "localhost", "out.example"]
    {
        let name = ServerName::try_from(name).unwrap();
        certificate.verify_is_valid_for_subject_name(&name).unwrap();
    }
    for now in [play.now - Duration::from_secs(3500), play.now + LIFETIME - Duration::from_secs(60)] {
        assert!(play.memory.as_ref().unwrap().pair.verifies(&play.trusted(), now));
    }
    let left = pki::validity(&play.trusted()[0]).unwrap().end().duration_since(play.now).unwrap();
    assert!(left > CA_LIFETIME - DAY);
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life_by_the_same_ca() {
    let mut play = at_rest();
    let (ca, first) = (play.trusted(), play.leaf());
    play.now += DAY * 59;
    assert!(!play.round(LONG));
    play.now += DAY * 2;
    assert!(play.seamless_round(Duration::ZERO));
    assert_eq!(play.trusted(), ca);
    assert_ne!(play.leaf(), first);
    play.assert_at_rest();
}

#[test]
fn a_ca_is_renewed_with_an_overlap_in_which_no_connection_fails() {
    let mut play = at_rest();
    let old = play.trusted();
    play.now += CA_LIFETIME / 3 * 2 - DAY * 30;
    assert!(play.round(LONG));
    let first = play.leaf();
    assert_eq!(play.trusted(), old);
    play.now += DAY * 31;

    assert!(play.seamless_round(LONG));
    assert_eq!((play.trusted().len(), &play.trusted()[1]), (2, &old[0]));
    assert_eq!(play.leaf(), first, "the new CA is published before it is used");
    assert!(!play.seamless_round(play.times.adopted - Duration::from_secs(1)));
    assert!(play.seamless_round(play.times.adopted));
    assert_ne!(play.leaf(), first);
    assert_eq!(play.trusted().len(), 2, "a replica may still serve the old one");
    assert!(!play.seamless_round(play.times.retired - Duration::from_secs(1)));
    assert!(play.seamless_round(play.times.retired));
    assert!(!play.trusted().contains(&old[0]));
    play.assert_at_rest();
}

#[test]
fn a_secret_that_is_deleted_makes_a_new_ca_without_a_gap() {
    let mut play = at_rest();
    let (old, first) = (play.trusted(), play.leaf());
    play.data = None;
    assert!(play.seamless_round(LONG));
    assert_eq!(play.leaf(), first, "it is served until the hub knows the new CA");
    assert_ne!(play.trusted()[0], old[0]);
    play.seamless_round(play.times.adopted);
    assert_ne!(play.leaf(), first);
    play.seamless_round(play.times.retired);
    assert!(!play.trusted().contains(&old[0]), "who deletes it because it was stolen gets rid of it");
    play.assert_at_rest();

    // Nobody remembers: then there is nothing to keep.
    (play.data, play.memory) = (None, None);
    assert!(play.round(Duration::ZERO));
    play.assert_at_rest();
}

#[test]
fn whatever_is_damaged_is_made_anew_without_a_gap() {
    let other = at_rest();
    let expired = {
        let long_ago = SystemTime::now() - CA_LIFETIME - DAY;
        let authority = Authority::generate(CA_LIFETIME, long_ago).unwrap();
        let pair = authority.issue(&other.names, LIFETIME, long_ago).unwrap();
        Content { authority, earlier: Vec::new(), pair }.data()
    };
    let garbage = "-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n";
    let damages: [(&str, Damage<'_>); 17] = [
        ("no data", Box::new(|play| play.data = Some(Data::new()))),
        ("garbage for a bundle", Box::new(|play| play.put(BUNDLE, "garbage"))),
        ("a damaged bundle", Box::new(|play| play.put(BUNDLE, garbage))),
        (
            "no text",
            Box::new(|play| {
                drop(play.data.as_mut().unwrap().insert(BUNDLE.to_owned(), ByteString(vec![255])))
            }),
        ),
        ("an empty bundle", Box::new(|play| play.put(BUNDLE, ""))),
        ("a bundle of another", Box::new(|play| play.put(BUNDLE, &other.text(BUNDLE)))),
        ("garbage for the CA's key", Box::new(|play| play.put(CA_KEY, "garbage"))),
        ("the CA's key of another", Box::new(|play| play.put(CA_KEY, &other.text(CA_KEY)))),
        (
            "a certificate that is no CA",
            Box::new(|play| {
                play.put(BUNDLE, &play.text(CERTIFICATE));
                play.put(CA_KEY, &play.text(KEY));
            }),
        ),
        ("garbage for a certificate", Box::new(|play| play.put(CERTIFICATE, garbage))),
        ("garbage for a key", Box::new(|play| play.put(KEY, "garbage"))),
        ("the key of another", Box::new(|play| play.put(KEY, &other.text(KEY)))),
        (
            "a pair of another",
            Box::new(|play| {
                play.put(CERTIFICATE, &other.text(CERTIFICATE));
                play.put(KEY, &other.text(KEY));
            }),
        ),
        ("no key", Box::new(|play| drop(play.data.as_mut().unwrap().remove(KEY)))),
        ("everything expired", Box::new(|play| play.data = Some(expired.clone()))),
        ("a CA twice", Box::new(|play| play.put(BUNDLE, &(play.text(BUNDLE) + &play.text(BUNDLE))))),
        ("a CA more", Box::new(|play| play.put(BUNDLE, &(play.text(BUNDLE) + &other.text(BUNDLE))))),
    ];
    for (what, damage) in damages {
        for remembered in [true, false] {
            let mut play = at_rest();
            damage(&mut play);
            if remembered {
                for settled in [Duration::ZERO, play.times.adopted, play.times.retired] {
                    play.seamless_round(settled);
                }
            } else {
                play.memory = None;
                for settled in [Duration::ZERO, play.times.adopted, play.times.retired] {
                    play.round(settled);
                }
            }
            println!("{what}, remembered: {remembered}");
            play.assert_at_rest();
        }
    }
}

#[test]
fn a_certificate_that_lacks_a_name_is_replaced_and_one_that_has_more_is_kept() {
    let mut play = at_rest();
    let mut more = config();
    more.names.push("10.1.2.3".to_owned());
    let fewer = std::mem::replace(&mut play.names, more.server_names().unwrap());
    assert!(play.seamless_round(Duration::ZERO));
    play.assert_at_rest();
    // A replica with the old flags does not fight.
    play.names = fewer;
    assert!(!play.round(LONG));
}

#[test]
fn what_a_clock_far_ahead_has_made_is_replaced() {
    let mut play = at_rest();
    play.now -= DAY * 3;
    assert!(play.round(LONG));
    play.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn time_counts_for_what_stands_in_the_secret_and_not_for_what_stood_there() {
    let (play, other) = (at_rest(), at_rest());
    let found = |play: &Play| Found::read(play.data.as_ref());
    let content = |play: &Play| Content {
        authority: found(play).authority.unwrap(),
        earlier: Vec::new(),
        pair: found(play).pair.unwrap(),
    };
    let mut settled = plan::Settled::default();
    assert_eq!(settled.elapsed(&found(&play)), Duration::ZERO);
    settled.note(&content(&play));
    tokio::time::advance(LONG).await;
    settled.note(&content(&play));
    assert_eq!(settled.elapsed(&found(&play)), LONG);
    // Another replica has written meanwhile.
    assert_eq!(settled.elapsed(&found(&other)), Duration::ZERO);
    settled.note(&content(&other));
    assert_eq!(settled.elapsed(&found(&other)), Duration::ZERO);
}

#[test]
fn a_bundle_of_many_is_cut() {
    let mut play = at_rest();
    let many: String = (0..20).map(|_| at_rest().text(BUNDLE)).collect();
    play.put(BUNDLE, &(play.text(BUNDLE) + &many));
    play.round(Duration::ZERO);
    assert_eq!(play.trusted().len(), 4);
}

#[test]
fn no_key_is_shown() {
    let play = at_rest();
    let found = Found::read(play.data.as_ref());
    let shown = format!("{found:?} {:?}", play.memory);
    for key in [CA_KEY, KEY] {
        let secret = play.text(key).lines().nth(1).unwrap().to_owned();
        assert!(!shown.contains(&secret) && !shown.contains("PRIVATE"), "{shown}");
    }
    let problem = Pair::new(play.text(CERTIFICATE), play.text(CA_KEY)).unwrap_err();
    assert!(!problem.contains("PRIVATE"), "{problem}");
}
