//! Whether a member is worth dialling (contract rule 126).
//!
//! Asked only when a connection must be made: while one stands, requests never meet it. Only connections count here: one
//! that could not be made, or that fell silent. What a member answers never opens it.
//!
//! Readers take no lock. Results are written behind one, which is as rare as dials are.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::TransportError;
use super::idle::lock;

/// Connections that must fail in a row before the breaker opens.
const THRESHOLD: u32 = 3;
/// From the opening to the first trial; it doubles with every trial that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest time between two trials.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Value of `trial_at` while the breaker is closed.
const CLOSED: u64 = 0;

/// The breaker of one member.
#[derive(Debug)]
pub(super) struct Breaker {
    begun: Instant,
    /// Failures in a row.
    failures: AtomicU32,
    /// When the next dial may be tried, in ms since `begun`; [`CLOSED`]: any.
    trial_at: AtomicU64,
    /// Whether somebody has been let through and nothing has been heard of it.
    trying: AtomicBool,
    /// Trials that have failed in a row.
    trials: AtomicU32,
    /// Whether a connection has ever been made.
    reached: AtomicBool,
    opened: ArcSwapOption<Opened>,
    writing: Mutex<()>,
}

/// Why and since when requests are not sent to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// When the breaker opened.
    pub since: SystemTime,
    /// How many connections have failed in a row.
    pub failures: u32,
    /// What the last of them failed of, in words.
    pub cause: String,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            failures: AtomicU32::new(0),
            trial_at: AtomicU64::new(CLOSED),
            trying: AtomicBool::new(false),
            trials: AtomicU32::new(0),
            reached: AtomicBool::new(false),
            opened: ArcSwapOption::empty(),
            writing: Mutex::new(()),
        }
    }

    /// Whether a connection may be made now. Of those who ask while the breaker is open, one is let through whenever a
    /// trial is due.
    pub(super) fn admit(&self) -> Result<(), TransportError> {
        let at = self.trial_at.load(Ordering::Acquire);
        if at == CLOSED {
            return Ok(());
        }
        let now = self.now();
        // Whoever gets the trial may never come back; then the next one is due as if it had failed.
        let next = now + millis(LONGEST_PAUSE);
        if now >= at && self.trial_at.compare_exchange(at, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            self.trying.store(true, Ordering::Release);
            return Ok(());
        }
        match self.opened.load_full() {
            Some(opened) => Err(TransportError::open(&opened, self.retry_after())),
            // It has closed this moment.
            None => Ok(()),
        }
    }

    /// A connection was made, or an answer came.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) == 0 && self.reached.load(Ordering::Relaxed) {
            return;
        }
        let _writing = lock(&self.writing);
        self.reached.store(true, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.trials.store(0, Ordering::Relaxed);
        self.trying.store(false, Ordering::Relaxed);
        self.trial_at.store(CLOSED, Ordering::Release);
        self.opened.store(None);
    }

    /// A connection could not be made, or has fallen silent.
    pub(super) fn failed(&self, cause: &str) {
        let _writing = lock(&self.writing);
        let failures = self.failures.load(Ordering::Relaxed).saturating_add(1);
        self.failures.store(failures, Ordering::Relaxed);
        if failures < THRESHOLD {
            return;
        }
        let before = self.opened.load().as_ref().map(|opened| opened.since);
        let since = before.unwrap_or_else(SystemTime::now);
        self.opened.store(Some(Arc::new(Opened { since, failures, cause: cause.to_owned() })));
        let trials = match (before, self.trying.swap(false, Ordering::AcqRel)) {
            (None, _) => 0,
            (Some(_), true) => self.trials.load(Ordering::Relaxed).saturating_add(1),
            // One of those that were under way when it opened: it says nothing new.
            (Some(_), false) => return,
        };
        self.trials.store(trials, Ordering::Relaxed);
        let pause = match self.reached.load(Ordering::Relaxed) {
            true => FIRST_PAUSE.saturating_mul(1 << trials.min(8)).min(LONGEST_PAUSE),
            // A cluster that has just been registered is often about to be there.
            false => FIRST_PAUSE,
        };
        self.trial_at.store(self.now() + millis(pause), Ordering::Release);
    }

    /// Makes a trial due now, unless one is under way. Has no effect on a closed breaker.
    pub(super) fn let_one_through(&self) {
        let _writing = lock(&self.writing);
        if self.trial_at.load(Ordering::Relaxed) != CLOSED && !self.trying.load(Ordering::Acquire) {
            self.trial_at.store(self.now(), Ordering::Release);
        }
    }

    /// How many connections have failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Why it is open, if it is.
    pub(super) fn opened(&self) -> Option<Arc<Opened>> {
        self.opened.load_full()
    }

    /// Whole seconds until the next trial, at least one.
    fn retry_after(&self) -> u32 {
        let left = self.trial_at.load(Ordering::Relaxed).saturating_sub(self.now());
        u32::try_from(left.div_ceil(1000)).unwrap_or(u32::MAX).max(1)
    }

    /// Milliseconds since it was made; never [`CLOSED`].
    fn now(&self) -> u64 {
        millis(self.begun.elapsed()) + CLOSED + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const CAUSE: &str = "dial tcp 10.0.0.1:6443: i/o timeout";

    fn opened() -> Breaker {
        let breaker = Breaker::new();
        breaker.succeeded();
        (0..THRESHOLD).for_each(|_| breaker.failed(CAUSE));
        breaker
    }

    fn seconds(breaker: &Breaker) -> u32 {
        match breaker.admit().unwrap_err() {
            TransportError::Open { retry_after, message } => {
                assert!(message.contains(CAUSE), "{message}");
                retry_after
            }
            other => panic!("{other}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rule_126_it_opens_after_failures_in_a_row_and_not_before() {
        let breaker = Breaker::new();
        for _ in 0..10 {
            breaker.failed(CAUSE);
            breaker.failed(CAUSE);
            assert!(breaker.admit().is_ok() && breaker.opened().is_none());
            breaker.succeeded();
        }
        (0..THRESHOLD).for_each(|_| breaker.failed(CAUSE));
        assert!(breaker.admit().is_err());
        let opened = breaker.opened().unwrap();
        assert_eq!((opened.failures, opened.cause.as_str()), (THRESHOLD, CAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn rule_126_one_at_a_time_is_let_through_when_a_trial_is_due() {
        let breaker = opened();
        // Others that were dialling when it opened.
        (0..50).for_each(|_| breaker.failed(CAUSE));
        assert_eq!(seconds(&breaker), 1);
        advance(FIRST_PAUSE).await;
        assert!(breaker.admit().is_ok());
        assert_eq!(seconds(&breaker), 10, "the trial is under way");
        breaker.succeeded();
        for _ in 0..5 {
            assert!(breaker.admit().is_ok());
        }
        assert_eq!((breaker.opened(), breaker.failures()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn rule_126_trials_that_fail_become_rarer_but_never_end() {
        let breaker = opened();
        let since = breaker.opened().unwrap().since;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = seconds(&breaker);
            pauses.push(pause);
            advance(Duration::from_secs(pause.into())).await;
            assert!(breaker.admit().is_ok());
            breaker.failed(CAUSE);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
        assert_eq!(breaker.opened().unwrap().since, since, "it has been open all the time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_lost_is_followed_by_another() {
        let breaker = opened();
        advance(FIRST_PAUSE).await;
        assert!(breaker.admit().is_ok());
        advance(LONGEST_PAUSE).await;
        assert!(breaker.admit().is_ok());
        assert!(breaker.admit().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_was_never_reached_is_tried_every_second() {
        let breaker = Breaker::new();
        for _ in 0..20 {
            breaker.failed(CAUSE);
        }
        assert_eq!(seconds(&breaker), 1);
        breaker.let_one_through();
        assert!(breaker.admit().is_ok() && breaker.admit().is_err());
        breaker.let_one_through();
        assert!(breaker.admit().is_err(), "one is under way");
    }

    #[tokio::test(start_paused = true)]
    async fn letting_one_through_opens_nothing() {
        let breaker = Breaker::new();
        breaker.let_one_through();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }
}
