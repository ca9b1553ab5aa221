//! How long something may run that outlives its request.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Ends with the member, or when its connection is reset.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    pub(crate) stop: CancellationToken,
    pub(crate) reset: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Lifetime {
    /// Runs a task to its end or to that of this lifetime.
    pub(crate) fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        let Self { stop, reset, tasks } = self;
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = reset.cancelled() => {}
                () = task => {}
            }
        });
    }
}
