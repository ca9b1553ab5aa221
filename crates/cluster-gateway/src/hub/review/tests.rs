use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Mutex;
use std::task::{Context, Poll};

use http::Response;
use http_body_util::Full;
use tokio::time::Instant;
use tower_service::Service;

use super::*;

/// A hub that answers nothing but 429, or nothing at all.
#[derive(Clone)]
struct Busy {
    answers: bool,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Service<Request<Body>> for Busy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.asked.lock().unwrap().push(Instant::now());
        let answers = self.answers;
        Box::pin(async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok(Response::builder().status(429).body(Full::default()).expect("an answer"))
        })
    }
}

/// A reviewer of a busy hub, with `count` reviews under way.
fn busy(answers: bool, standing: Standing, count: usize) -> (Reviewer, Arc<Mutex<Vec<Instant>>>) {
    let asked = Arc::default();
    let service = Busy { answers, asked: Arc::clone(&asked) };
    let reviewer = Reviewer::new(Client::new(service, "default"));
    for _ in 0..count {
        ask(&reviewer, standing);
    }
    (reviewer, asked)
}

fn ask(reviewer: &Reviewer, standing: Standing) {
    let reviewer = reviewer.clone();
    tokio::spawn(async move { reviewer.review("/x", &TokenReview::default(), standing).await });
}

#[tokio::test(start_paused = true)]
async fn rule_077_a_pause_before_the_next_try_takes_nobodys_slot() {
    let count = 2 * MAX_CONCURRENT;
    let (_reviewer, asked) = busy(true, Standing::Known, count);
    let started = Instant::now();
    // Time stands still as long as anything can go on.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let at_once = asked.lock().unwrap().iter().filter(|&&asked| asked == started).count();
    assert_eq!(at_once, count);
}

#[tokio::test(start_paused = true)]
async fn rule_080_callers_who_are_not_known_never_take_the_last_slots() {
    let (reviewer, asked) = busy(false, Standing::Unknown, 2 * MAX_CONCURRENT);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(asked.lock().unwrap().len(), MAX_UNKNOWN);
    for _ in 0..MAX_CONCURRENT {
        ask(&reviewer, Standing::Known);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(asked.lock().unwrap().len(), MAX_CONCURRENT);
}

fn refused(code: u16, retry_after: Option<u64>) -> ReviewError {
    ReviewError::Refused { code, message: String::new(), retry_after: retry_after.map(Duration::from_secs) }
}

async fn tries(error: ReviewError) -> u32 {
    let tries = Cell::new(0);
    let result: Result<(), _> = Retry::default()
        .run(|| {
            tries.set(tries.get() + 1);
            std::future::ready(Err(error.clone()))
        })
        .await;
    assert_eq!(result, Err(error));
    tries.get()
}

#[tokio::test(start_paused = true)]
async fn rule_077_only_what_passes_is_asked_again_and_five_times_at_most() {
    let unreachable = |reset| ReviewError::Unreachable { message: String::new(), reset };
    for error in [refused(500, None), refused(504, None), refused(429, None), refused(503, Some(1))] {
        assert_eq!(tries(error.clone()).await, 5, "{error:?}");
    }
    assert_eq!(tries(unreachable(true)).await, 5);
    for error in [refused(403, None), refused(503, None), refused(400, None), ReviewError::TimedOut] {
        assert_eq!(tries(error.clone()).await, 1, "{error:?}");
    }
    assert_eq!(tries(unreachable(false)).await, 1);
    assert_eq!(tries(ReviewError::Unreadable(String::new())).await, 1);
}

#[tokio::test(start_paused = true)]
async fn rule_077_pauses_grow_by_half_with_a_fifth_of_chance() {
    let started = tokio::time::Instant::now();
    tries(refused(500, None)).await;
    let least = Duration::from_secs_f64(0.5 + 0.75 + 1.125 + 1.6875);
    let waited = started.elapsed();
    assert!(waited >= least && waited <= least.mul_f64(1.2) + Duration::from_millis(10), "{waited:?}");

    let started = tokio::time::Instant::now();
    tries(refused(503, Some(3600))).await;
    assert_eq!(started.elapsed(), Duration::from_secs(20), "an hour is asked for, 5 s are given");
}

#[test]
fn rule_077_a_refusal_keeps_the_hub_s_words_and_its_retry_after() {
    let body = br#"{"kind":"Status","message":"no","code":429,"details":{"retryAfterSeconds":3}}"#;
    let result: Result<TokenReview, _> = answer(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body);
    let Err(ReviewError::Refused { code: 429, message, retry_after }) = result else { panic!("{result:?}") };
    assert_eq!((message.as_str(), retry_after), ("no", Some(Duration::from_secs(3))));
}

#[test]
fn rule_181_an_unreadable_answer_is_not_quoted() {
    let result: Result<TokenReview, _> =
        answer(StatusCode::CREATED, &HeaderMap::new(), br#"{"spec":{"token":"secret"},"status":"secret"}"#);
    let error = result.unwrap_err();
    assert!(matches!(&error, ReviewError::Unreadable(_)) && !error.to_string().contains("secret"), "{error}");
}
