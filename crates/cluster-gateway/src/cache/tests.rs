use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;

const TTL: Duration = Duration::from_secs(10);

fn answer(value: u32) -> Answer<u32> {
    Answer { value, ttl: TTL, bytes: 1 }
}

async fn ask(
    answers: &Arc<Answers<String, u32>>,
    key: &str,
    answer: Result<Answer<u32>, Failure>,
) -> Result<u32, Failure> {
    answers.get_or_ask(key.to_owned(), || async move { answer }).await
}

#[tokio::test(start_paused = true)]
async fn rule_079_an_answer_holds_for_its_time_and_no_longer() {
    let answers = Arc::new(Answers::new());
    assert_eq!(ask(&answers, "k", Ok(answer(1))).await, Ok(1));
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    assert_eq!(answers.get("k"), Some(1));
    assert_eq!(ask(&answers, "k", Ok(answer(2))).await, Ok(1));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(answers.get("k"), None);
    assert_eq!(ask(&answers, "k", Ok(answer(3))).await, Ok(3));
}

#[tokio::test]
async fn rule_079_rule_094_failures_are_not_kept_and_neither_is_what_holds_for_no_time() {
    let answers = Arc::new(Answers::new());
    let failure = Failure::new("broken");
    assert_eq!(ask(&answers, "k", Err(failure.clone())).await, Err(failure));
    assert_eq!(ask(&answers, "k", Ok(Answer { ttl: Duration::ZERO, ..answer(1) })).await, Ok(1));
    assert_eq!(ask(&answers, "k", Ok(answer(2))).await, Ok(2));
}

#[tokio::test]
async fn rule_079_one_question_per_key_which_outlives_its_first_caller() {
    let answers = Arc::new(Answers::<String, u32>::new());
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let call = || {
        let (answers, asked, gate) = (answers.clone(), asked.clone(), gate.clone());
        tokio::spawn(async move {
            let question = async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let _open = gate.acquire().await;
                Ok(answer(7))
            };
            answers.get_or_ask("k".to_owned(), || question).await
        })
    };
    let first = call();
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    let others: Vec<_> = (0..50).map(|_| call()).collect();
    tokio::task::yield_now().await;
    gate.close();
    for other in others {
        assert_eq!(other.await.unwrap(), Ok(7));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_079_a_question_ends_after_30_seconds() {
    let answers = Arc::new(Answers::<String, u32>::new());
    let started = Instant::now();
    let result = answers.get_or_ask("k".to_owned(), std::future::pending).await;
    assert_eq!(result, Err(Failure::new("no answer within 30 s")));
    assert_eq!(started.elapsed(), LOOK_UP_LIMIT);
    assert_eq!(ask(&answers, "k", Ok(answer(1))).await, Ok(1));
}

#[tokio::test]
async fn a_question_that_panics_fails_its_callers_and_can_be_asked_again() {
    let answers = Arc::new(Answers::<String, u32>::new());
    let result = answers.get_or_ask("k".to_owned(), || async { panic!("in a look-up") }).await;
    assert_eq!(result, Err(Failure::new("the look-up broke off")));
    assert_eq!(ask(&answers, "k", Ok(answer(1))).await, Ok(1));
}

#[tokio::test]
async fn rule_080_what_is_kept_is_bounded_in_number_and_in_bytes() {
    let answers = Arc::new(Answers::new());
    for key in 0..20_000_u32 {
        answers.keep(key, answer(key));
    }
    assert!(answers.kept.len() <= 8192, "{} answers are kept", answers.kept.len());
    for key in 0..20_000 {
        answers.keep(key, Answer { bytes: 1 << 20, ..answer(key) });
    }
    assert!(answers.kept.len() <= 32, "{} MiB are kept", answers.kept.len());
}

#[tokio::test]
async fn rule_080_questions_under_way_are_bounded() {
    let answers = Arc::new(Answers::<usize, u32>::new());
    for key in 0..MAX_FLIGHTS {
        assert!(matches!(answers.join(key, std::future::pending), Ok(Joined::Waiting(_))));
    }
    assert!(answers.join(MAX_FLIGHTS, std::future::pending).is_err());
    assert!(answers.join(0, std::future::pending).is_ok());
}
