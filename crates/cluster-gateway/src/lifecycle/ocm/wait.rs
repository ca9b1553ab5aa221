//! Waiting for somebody else's work.

use std::time::Duration;

use tokio::time::Instant;

use super::OcmError;
use crate::hub::CallError;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What a look has brought.
pub(super) enum Look<T> {
    Done(T),
    /// Not yet; what is seen instead, for the error when patience ends.
    NotYet(String),
}

/// Looks again and again until it is done. An end that does not answer is waited for, too.
///
/// # Errors
/// [`OcmError::TimedOut`], and whatever a look fails with.
pub(super) async fn until<T>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>, OcmError>,
) -> Result<T, OcmError> {
    let end = Instant::now() + patience;
    loop {
        let seen = match look().await {
            Ok(Look::Done(done)) => return Ok(done),
            Ok(Look::NotYet(seen)) => seen,
            Err(error @ OcmError::Call { cause: CallError::Unreachable(_), .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        if Instant::now() + PAUSE > end {
            return Err(OcmError::TimedOut { after: patience, seen });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::ocm::Side;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_what_was_seen_last_and_bears_with_silence() {
        let mut looks = 0;
        let done = until(Duration::from_secs(10), async || {
            looks += 1;
            match looks {
                1 => {
                    Err(OcmError::Call { side: Side::Hub, cause: CallError::Unreachable("away".to_owned()) })
                }
                2 => Ok(Look::NotYet("nothing".to_owned())),
                _ => Ok(Look::Done(looks)),
            }
        });
        assert_eq!(done.await, Ok(3));
        let never =
            until(Duration::from_secs(10), async || Ok(Look::<()>::NotYet("no pod".to_owned()))).await;
        assert_eq!(never.unwrap_err().to_string(), "gave up after 10 s: no pod");
        let forbidden = OcmError::Call { side: Side::Member, cause: CallError::Forbidden("no".to_owned()) };
        let mut looks = 0;
        let refused = until(Duration::from_secs(10), async || {
            looks += 1;
            Err::<Look<()>, _>(forbidden.clone())
        });
        assert_eq!(refused.await, Err(forbidden.clone()));
        assert_eq!(looks, 1, "what is refused stays refused");
    }
}
