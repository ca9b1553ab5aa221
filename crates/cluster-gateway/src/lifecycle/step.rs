//! What is told while a change is made, step by step.

use std::fmt::Display;

use serde::Serialize;

/// A step of a change that is being made, or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What is done, in words: `Create Secret vela-system/edge`. The same words say how it has ended.
    pub step: String,
    /// Where it is.
    pub outcome: StepOutcome,
    /// Why it failed; else empty. No key material.
    pub found: String,
}

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StepOutcome {
    /// It has begun.
    Started,
    /// It is done.
    Passed,
    /// It could not be done.
    Failed,
}

/// Who is told of each step. It must not wait: the change waits for it.
pub type StepWatcher<'w> = &'w (dyn Fn(Step) + Send + Sync);

/// Tells of steps.
#[derive(Clone, Copy)]
pub(super) struct Steps<'w>(StepWatcher<'w>);

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steps")
    }
}

impl<'w> Steps<'w> {
    pub(super) fn new(watcher: StepWatcher<'w>) -> Self {
        Self(watcher)
    }

    /// Nobody is told.
    pub(super) fn untold() -> Self {
        Self(&|_| ())
    }

    /// Makes a step.
    pub(super) async fn make<T, E: Display>(
        self,
        step: impl Into<String>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let step = step.into();
        let tell = |outcome, found| (self.0)(Step { step: step.clone(), outcome, found });
        tell(StepOutcome::Started, String::new());
        let done = work.await;
        match &done {
            Ok(_) => tell(StepOutcome::Passed, String::new()),
            Err(error) => tell(StepOutcome::Failed, error.to_string()),
        }
        done
    }
}
