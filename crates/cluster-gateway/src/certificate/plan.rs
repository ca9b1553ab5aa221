//! What the Secret should hold next. Pure: what is there, what this process remembers and the time go in.
//!
//! No connection fails over a renewal: a new CA is published beside the old one first, then a certificate of it is
//! served, and only when no replica can still serve one of the old CA is that given up.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::Times;
use super::material::{Authority, Content, Found, MOST_CAS, Pair};
use crate::issuer::{IssuerError, ServerNames};
use crate::pki;

/// Lifetime of a CA. Clients that come directly hold it in a file, so it is long.
pub(super) const CA_LIFETIME: Duration = Duration::from_secs(5 * 365 * 86_400);
/// Lifetime of a certificate.
pub(super) const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// What was in use last, for when the Secret is lost.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) pair: Pair,
}

/// What stands in the Secret and is published, and since when: the CAs and the certificate.
#[derive(Debug, Default)]
pub(super) struct Settled(Option<(Vec<CertificateDer<'static>>, CertificateDer<'static>, Instant)>);

impl Settled {
    /// How long the Secret has held what was found in it; no time if it holds something else than was noted.
    pub(super) fn elapsed(&self, found: &Found) -> Duration {
        match (&self.0, &found.pair) {
            (Some((trusted, leaf, since)), Ok(pair)) if *trusted == found.trusted && leaf == pair.leaf() => {
                since.elapsed()
            }
            _ => Duration::ZERO,
        }
    }

    /// The Secret holds this, and it is published.
    pub(super) fn note(&mut self, content: &Content) {
        let (trusted, leaf) = (content.trusted(), content.pair.leaf());
        if !self.0.as_ref().is_some_and(|(before, known, _)| *before == trusted && known == leaf) {
            self.0 = Some((trusted, leaf.clone(), Instant::now()));
        }
    }
}

/// What the holder of the Lease does with the Secret.
#[derive(Debug)]
pub(super) enum Plan {
    /// It holds what it should.
    Keep(Content),
    /// It is to hold this, for that reason.
    Write(Content, String),
}

/// The circumstances of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    /// What was in use last.
    pub(super) memory: Option<&'a Memory>,
    /// Names that the certificate must be for.
    pub(super) names: &'a ServerNames,
    /// How long the Secret has held exactly this, and the hub has been told its bundle.
    pub(super) settled: Duration,
    pub(super) times: &'a Times,
    pub(super) now: SystemTime,
}

/// How good a certificate is.
enum Grade {
    Good,
    /// It can be served, but it is to be replaced at once.
    Stale(&'static str),
    /// It is of an earlier CA: served until the new one is known everywhere.
    Earlier,
    /// Nobody would take it.
    Bad,
}

pub(super) fn next(found: Found, circumstances: Circumstances<'_>) -> Result<Plan, IssuerError> {
    let Circumstances { memory, names, settled, times, now } = circumstances;
    let mut why = Vec::new();
    let held = found.trusted.clone();
    let (authority, candidates) = match current(found.authority, now) {
        Ok(authority) => (authority, found.trusted),
        Err(reason) => {
            why.push(format!("a new CA, because {reason}"));
            let remembered = memory.map(|memory| memory.trusted.clone()).unwrap_or_default();
            (Authority::generate(CA_LIFETIME, now)?, [found.trusted, remembered].concat())
        }
    };
    let (mut earlier, expired) = earlier(&authority, candidates, now);
    if expired {
        why.push("a CA before is not valid now".to_owned());
    }
    let issue = |reason: &str| {
        let pair = authority.issue(names, LIFETIME, now)?;
        Ok::<_, IssuerError>((pair, Some(format!("a new certificate, because {reason}"))))
    };
    let grade = |pair: &Pair| grade(pair, &authority, &earlier, names, now);
    let in_use =
        || memory.map(|memory| memory.pair.clone()).filter(|pair| !matches!(grade(pair), Grade::Bad));
    let mut retire = false;
    let (pair, reason) = match found.pair.map(|pair| (grade(&pair), pair)) {
        Ok((Grade::Good, pair)) => {
            retire = !earlier.is_empty() && why.is_empty() && settled >= times.retired;
            (pair, None)
        }
        Ok((Grade::Stale(reason), _)) => issue(reason)?,
        Ok((Grade::Earlier, _)) if why.is_empty() && settled >= times.adopted => {
            issue("the one in use is of the CA before")?
        }
        Ok((Grade::Earlier, pair)) => (pair, None),
        bad => {
            let reason = bad.err().unwrap_or_else(|| "it is not valid now, or of no CA beside it".to_owned());
            match in_use() {
                Some(pair) => (pair, Some(format!("the certificate in use again, because {reason}"))),
                None => issue(&reason)?,
            }
        }
    };
    why.extend(reason);
    if retire {
        earlier.clear();
        why.push("the CA before is no longer in use".to_owned());
    }
    let content = Content { authority, earlier, pair };
    if why.is_empty() && content.trusted() != held {
        why.push("a CA stands in the bundle twice".to_owned());
    }
    Ok(if why.is_empty() { Plan::Keep(content) } else { Plan::Write(content, why.join("; ")) })
}

/// The CA, if it is to issue further.
fn current(found: Result<Authority, String>, now: SystemTime) -> Result<Authority, String> {
    let authority = found?;
    match age(authority.certificate(), now) {
        Age::Young => Ok(authority),
        Age::Old => Err("two thirds of its time are over".to_owned()),
        Age::Invalid => Err("it is not valid now".to_owned()),
    }
}

/// The CAs besides the current one that are still worth trusting, and whether one has been left out that is not valid.
fn earlier(
    authority: &Authority,
    candidates: Vec<CertificateDer<'static>>,
    now: SystemTime,
) -> (Vec<CertificateDer<'static>>, bool) {
    let mut earlier: Vec<CertificateDer<'static>> = Vec::new();
    let mut expired = false;
    for candidate in candidates.into_iter().filter(|candidate| candidate != authority.certificate()) {
        if matches!(age(&candidate, now), Age::Invalid) {
            expired = true;
        } else if !earlier.contains(&candidate) && earlier.len() + 1 < MOST_CAS {
            earlier.push(candidate);
        }
    }
    (earlier, expired)
}

fn grade(
    pair: &Pair,
    authority: &Authority,
    earlier: &[CertificateDer<'static>],
    names: &ServerNames,
    now: SystemTime,
) -> Grade {
    if !pair.verifies(std::slice::from_ref(authority.certificate()), now) {
        return if pair.verifies(earlier, now) { Grade::Earlier } else { Grade::Bad };
    }
    if !names.covered_by(pair.leaf()) {
        Grade::Stale("the one in use is not for all names")
    } else if matches!(age(pair.leaf(), now), Age::Old) {
        Grade::Stale("two thirds of its time are over")
    } else {
        Grade::Good
    }
}

enum Age {
    Young,
    /// Valid, but it is to be replaced.
    Old,
    Invalid,
}

fn age(certificate: &CertificateDer<'_>, now: SystemTime) -> Age {
    let Ok(validity) = pki::validity(certificate) else { return Age::Invalid };
    if !validity.contains(&now) {
        return Age::Invalid;
    }
    let lifetime = validity.end().duration_since(*validity.start()).unwrap_or_default();
    let lived = now.duration_since(*validity.start()).unwrap_or_default();
    if lived >= lifetime / 3 * 2 { Age::Old } else { Age::Young }
}
