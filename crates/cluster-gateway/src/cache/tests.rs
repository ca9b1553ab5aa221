use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;

const TTL: Duration = Duration::from_secs(10);

fn bob() -> Share {
    Share::known("bob")
}

fn answer(value: u32) -> Answer<u32> {
    Answer { value, ttl: TTL, bytes: 1 }
}

async fn ask(
    answers: &Arc<Answers<String, u32>>,
    key: &str,
    answer: Result<Answer<u32>, Failure>,
) -> Result<u32, Failure> {
    answers.get_or_ask(key.to_owned(), bob(), || async move { answer }).await
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
            answers.get_or_ask("k".to_owned(), bob(), || question).await
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
    let result = answers.get_or_ask("k".to_owned(), bob(), std::future::pending).await;
    assert_eq!(result, Err(Failure::new("no answer within 30 s")));
    assert_eq!(started.elapsed(), LOOK_UP_LIMIT);
    assert_eq!(ask(&answers, "k", Ok(answer(1))).await, Ok(1));
}

#[tokio::test]
async fn a_question_that_panics_fails_its_callers_and_can_be_asked_again() {
    let answers = Arc::new(Answers::<String, u32>::new());
    let result = answers.get_or_ask("k".to_owned(), bob(), || async { panic!("in a look-up") }).await;
    assert_eq!(result, Err(Failure::new("the look-up broke off")));
    assert_eq!(ask(&answers, "k", Ok(answer(1))).await, Ok(1));
}

#[tokio::test]
async fn rule_080_what_is_kept_is_bounded_in_number_and_in_bytes() {
    let answers = Arc::new(Answers::new());
    for key in 0..200_000_u32 {
        answers.keep(key, answer(key));
    }
    assert!(answers.kept.len() <= 1 << 16, "{} answers are kept", answers.kept.len());
    let answers = Arc::new(Answers::new());
    for key in 0..20_000_u32 {
        answers.keep(key, Answer { bytes: 1 << 20, ..answer(key) });
    }
    assert!(answers.kept.len() <= 32, "{} MiB are kept", answers.kept.len());
}

#[tokio::test]
async fn answers_about_ten_thousand_users_who_come_in_turn_are_all_remembered() {
    let answers = Arc::new(Answers::new());
    for key in 0..10_000_u32 {
        answers.keep(key, Answer { bytes: 1024, ..answer(key) });
    }
    let known = (0..10_000).filter(|key| answers.get(key) == Some(*key)).count();
    assert_eq!(known, 10_000);
}

/// Starts a question that has no answer.
fn start(answers: &Arc<Answers<usize, u32>>, key: usize, share: Share) -> Result<(), Failure> {
    answers.join(key, share, std::future::pending).map(drop)
}

#[tokio::test]
async fn rule_080_questions_under_way_are_bounded() {
    let answers = Arc::new(Answers::new());
    for key in 0..4096 {
        assert_eq!(start(&answers, key, Share::known((key / 1024).to_string())), Ok(()));
    }
    assert_eq!(start(&answers, 4096, Share::known("new")), Err(Failure::Busy("all callers")));
    assert_eq!(
        start(&answers, 0, Share::known("new")),
        Ok(()),
        "a question that is asked already costs nothing"
    );
}

#[tokio::test]
async fn rule_080_nobody_takes_the_place_of_everybody() {
    let answers = Arc::new(Answers::new());
    let mut keys = 0..;
    let mut started = |share: &dyn Fn(usize) -> Share| {
        let mut count = 0;
        loop {
            match start(&answers, keys.next().unwrap(), share(count)) {
                Ok(()) => count += 1,
                Err(failure) => return (count, failure),
            }
        }
    };
    let anonymous = started(&|_| Share::unknown(""));
    assert_eq!(anonymous, (256, Failure::Busy("callers like this one")));
    // From as many addresses as he likes.
    let scattered = started(&|number| Share::unknown(number.to_string()));
    assert_eq!(scattered, (1024 - 256, Failure::Busy("callers who are not known")));
    assert_eq!(started(&|_| Share::known("eve")), (1024, Failure::Busy("this user")));
    assert_eq!(start(&answers, keys.next().unwrap(), bob()), Ok(()));
}

#[tokio::test]
async fn rule_080_a_share_asks_a_few_questions_at_once_and_the_others_wait_for_their_turn() {
    let answers = Arc::new(Answers::<usize, u32>::new());
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let question = || {
        let (asked, gate) = (asked.clone(), gate.clone());
        || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let _open = gate.acquire().await;
            Ok(answer(7))
        }
    };
    for (share, at_once) in [(Share::unknown(""), 8), (bob(), 32)] {
        let before = asked.load(Ordering::SeqCst);
        for key in 0..64 {
            let key = key + 1000 * at_once;
            assert!(answers.join(key, share.clone(), question()).is_ok());
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst) - before, at_once);
    }
    gate.close();
    while asked.load(Ordering::SeqCst) < 128 {
        tokio::task::yield_now().await;
    }
    while !answers.flights().outcomes.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(answers.flights().shares.in_use(), 0, "shares are given back");
}
