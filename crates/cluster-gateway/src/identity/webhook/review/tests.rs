//! The documented question and answers.

use serde_json::Value;

use super::*;
use crate::identity::tests::documented;

fn alice(extra: &[(&str, &str)], groups: &[&str]) -> UserInfo {
    UserInfo {
        name: "alice".to_owned(),
        uid: "42".to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        extra: extra.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
    }
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn the_documented_question_is_what_is_sent() {
    let user = alice(&[("scopes", "read")], &["corp:dev", "system:authenticated"]);
    let sent = question(&user, "test-1").unwrap();
    assert_eq!(parsed(&sent), parsed(documented("json")[0].as_bytes()));
    let bare = UserInfo { name: "bob".to_owned(), ..UserInfo::default() };
    let user = parsed(&question(&bare, "c").unwrap())["spec"]["user"].clone();
    assert_eq!(user, serde_json::json!({"username": "bob", "groups": []}));
}

#[test]
fn the_documented_answers_are_understood() {
    let documented = documented("json");
    let [_, allowed, denied] = documented.as_slice() else { panic!("{documented:?}") };
    let user =
        UserInfo { name: "alice@corp.example".to_owned(), ..alice(&[("scopes", "read")], &["developers"]) };
    assert_eq!(verdict(allowed.as_bytes()), Ok(Verdict::User(Arc::new(user))));
    assert_eq!(verdict(denied.as_bytes()), Ok(Verdict::Denied("not on call this week".into())));
}

#[test]
fn a_question_may_be_sent_back_with_its_answer() {
    let mut review = parsed(&question(&alice(&[], &[]), "c").unwrap());
    review["status"] = serde_json::json!({"allowed": false});
    review["metadata"] = serde_json::json!({"creationTimestamp": null});
    assert_eq!(
        verdict(review.to_string().as_bytes()),
        Ok(Verdict::Denied("the webhook denies it".into())),
        "a reason is found if none is given"
    );
}

#[test]
fn words_of_a_webhook_are_one_line_of_limited_length() {
    assert_eq!(words(" a\n\tb\u{1b}[0m "), "a  b [0m");
    assert_eq!(words(&"x".repeat(9999)).len(), MAX_WORDS);
}
