//! How often an address may fail to say who it is. Whoever is signed in, or shows a credential that was good before, is
//! never asked.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// Failures that an address may have at once.
const MOST: f64 = 10.0;
/// How long it takes until that many are forgotten, one after the other.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Addresses that are remembered, at most.
const MAX_NETWORKS: usize = 8192;
/// Credentials that are remembered as good ones, at most.
const MAX_KNOWN: usize = 8192;

/// What has failed lately, by address.
pub(super) struct Attempts {
    failures: Mutex<HashMap<Network, Failures>>,
    fingerprints: Option<hmac::Key>,
    known: Cache<[u8; 32], ()>,
}

/// What one caller can choose his address from: with IPv6 that is a network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// How many failures count at a moment; they are forgotten little by little.
#[derive(Debug, Clone, Copy)]
struct Failures {
    number: f64,
    at: Instant,
}

/// An attempt that counts as failed until it is known that it has not.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    peer: IpAddr,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self {
            failures: Mutex::default(),
            fingerprints: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            known: Cache::new(MAX_KNOWN),
        }
    }

    /// Begins an attempt. Many at once count as many.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn begin(&self, peer: IpAddr) -> Result<Attempt<'_>, Duration> {
        self.check(peer)?;
        self.failed(peer);
        Ok(Attempt { attempts: self, peer })
    }

    /// # Errors
    /// How long to wait, if nothing more is to be tried from this address now.
    pub(super) fn check(&self, peer: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let number = self.failures().get(&Network::of(peer)).map_or(0.0, |failures| failures.left(now));
        let over = number - (MOST - 1.0);
        if over <= 0.0 { Ok(()) } else { Err(FORGOTTEN.mul_f64(over / MOST).max(Duration::from_secs(1))) }
    }

    /// One more has failed.
    pub(super) fn failed(&self, peer: IpAddr) {
        let now = Instant::now();
        let mut all = self.failures();
        let network = Network::of(peer);
        if all.len() >= MAX_NETWORKS && !all.contains_key(&network) {
            make_room(&mut all, now);
        }
        let before = all.get(&network).map_or(0.0, |failures| failures.left(now));
        all.insert(network, Failures { number: (before + 1.0).min(MOST), at: now });
    }

    fn forgive(&self, peer: IpAddr) {
        let now = Instant::now();
        let mut all = self.failures();
        let network = Network::of(peer);
        match all.get(&network).map_or(0.0, |failures| failures.left(now)) - 1.0 {
            number if number > 0.0 => _ = all.insert(network, Failures { number, at: now }),
            _ => _ = all.remove(&network),
        }
    }

    /// Whether the credential was good not long ago. It opens no door: it is only verified, whatever its address did.
    pub(super) fn knows(&self, credential: &str) -> bool {
        self.fingerprint(credential).is_some_and(|fingerprint| self.known.get(&fingerprint).is_some())
    }

    /// The credential is good.
    pub(super) fn learn(&self, credential: &str) {
        if let Some(fingerprint) = self.fingerprint(credential) {
            self.known.insert(fingerprint, ());
        }
    }

    /// The credential is good no longer.
    pub(super) fn forget(&self, credential: &str) {
        if let Some(fingerprint) = self.fingerprint(credential) {
            self.known.remove(&fingerprint);
        }
    }

    fn fingerprint(&self, credential: &str) -> Option<[u8; 32]> {
        hmac::sign(self.fingerprints.as_ref()?, credential.as_bytes()).as_ref().try_into().ok()
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Network, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It has not failed, or nobody knows whether it has.
    pub(super) fn forgive(self) {
        self.attempts.forgive(self.peer);
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl Failures {
    fn left(self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.at).div_duration_f64(FORGOTTEN) * MOST;
        (self.number - forgotten).max(0.0)
    }
}

/// Forgets who has nothing against them any more; if that is nobody, who has been quiet for longest.
fn make_room(all: &mut HashMap<Network, Failures>, now: Instant) {
    all.retain(|_, failures| failures.left(now) > 0.0);
    if all.len() >= MAX_NETWORKS
        && let Some(quiet) = all.iter().min_by_key(|(_, failures)| failures.at).map(|(network, _)| *network)
    {
        all.remove(&quiet);
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_failures_a_minute_and_then_one_after_the_other() {
        let attempts = Attempts::new();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..10 {
            assert_eq!(attempts.check(one), Ok(()));
            attempts.failed(one);
        }
        let wait = attempts.check(one).unwrap_err();
        assert!((5.9..6.1).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(attempts.check(other), Ok(()), "others are not locked out");
        tokio::time::advance(wait + Duration::from_millis(1)).await;
        assert_eq!(attempts.check(one), Ok(()));
        attempts.failed(one);
        assert!(attempts.check(one).is_err(), "only one is forgotten in that time");
        tokio::time::advance(FORGOTTEN).await;
        for _ in 0..10 {
            assert_eq!(attempts.check(one), Ok(()));
            attempts.failed(one);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_succeeds_does_not_count_and_what_is_under_way_does() {
        let attempts = Attempts::new();
        let peer = address("192.0.2.1");
        for _ in 0..50 {
            attempts.begin(peer).unwrap().forgive();
        }
        let under_way: Vec<_> = (0..10).map(|_| attempts.begin(peer).unwrap()).collect();
        assert!(attempts.begin(peer).is_err(), "ten at once are as many as ten after each other");
        under_way.into_iter().for_each(Attempt::forgive);
        assert!(attempts.begin(peer).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_address() {
        let attempts = Attempts::new();
        for host in 0..10 {
            attempts.failed(address(&format!("2001:db8:0:1::{host:x}")));
        }
        assert!(attempts.check(address("2001:db8:0:1:ffff::1")).is_err());
        assert!(attempts.check(address("2001:db8:0:2::1")).is_ok());
        for _ in 0..10 {
            attempts.failed(address("::ffff:192.0.2.1"));
        }
        assert!(attempts.check(address("192.0.2.1")).is_err(), "an address mapped into IPv6 is the same one");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_who_attacks_is_remembered_longest() {
        let attempts = Attempts::new();
        for number in 0..u32::try_from(MAX_NETWORKS).unwrap() + 100 {
            attempts.failed(IpAddr::from(number.to_be_bytes()));
            tokio::time::advance(Duration::from_micros(1)).await;
        }
        assert_eq!(attempts.failures().len(), MAX_NETWORKS);
        let network = |number: u32| Network::of(IpAddr::from(number.to_be_bytes()));
        assert!(!attempts.failures().contains_key(&network(0)));
        assert!(attempts.failures().contains_key(&network(8200)));
        tokio::time::advance(FORGOTTEN).await;
        attempts.failed(address("192.0.2.1"));
        assert_eq!(attempts.failures().len(), 1, "what is forgotten takes no room");
    }

    #[test]
    fn good_credentials_are_known_until_they_are_not() {
        let attempts = Attempts::new();
        assert!(!attempts.knows("token"));
        attempts.learn("token");
        assert!(attempts.knows("token") && !attempts.knows("other"));
        attempts.forget("token");
        assert!(!attempts.knows("token"));
    }
}
