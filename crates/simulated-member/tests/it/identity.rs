//! Who a member takes its callers for.

use anyhow::Result;
use http::{Method, StatusCode, Version};
use simulated_member::{Member, User};

use crate::client::{Answer, Client};

const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn member() -> Result<Member> {
    Member::builder().token("t", User::new("ann").group("dev")).start().await
}

async fn whoami(client: &Client) -> Result<Answer> {
    let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    client.call(Method::POST, WHOAMI, review).await
}

#[tokio::test]
async fn tokens_and_certificates_prove_who_asks() -> Result<()> {
    let member = member().await?;
    let answer = whoami(&Client::with_token(&member, "t")).await?;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.body["status"]["userInfo"]["username"], "ann");
    let identity = member.client_certificate("bob", Some("ops"))?;
    let answer = whoami(&Client::with_certificate(&member, &identity)).await?;
    let expected = serde_json::json!({"username": "bob", "groups": ["ops", "system:authenticated"]});
    assert_eq!(answer.body["status"]["userInfo"], expected);
    Ok(())
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized() -> Result<()> {
    let (member, other) = (member().await?, member().await?);
    let stranger = Client::with_certificate(&member, &other.client_certificate("bob", None)?);
    for client in [Client::with_token(&member, "wrong"), stranger, Client::anonymous(&member)] {
        let answer = client.get("/api/v1/pods").await?;
        assert_eq!(
            (answer.status, &answer.body["reason"]),
            (StatusCode::UNAUTHORIZED, &"Unauthorized".into())
        );
    }
    assert_eq!(Client::anonymous(&member).get("/readyz").await?.body, "ok");
    assert_eq!(Client::with_token(&member, "wrong").get("/readyz").await?.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn certificates_of_a_foreign_ca_are_believed_when_told_so() -> Result<()> {
    let other = member().await?;
    let member = Member::builder().client_ca(&other.ca_pem()).start().await?;
    let answer = whoami(&Client::with_certificate(&member, &other.client_certificate("bob", None)?)).await?;
    assert_eq!(answer.body["status"]["userInfo"]["username"], "bob");
    Ok(())
}

#[tokio::test]
async fn requests_are_recorded_with_both_identities() -> Result<()> {
    let member = member().await?;
    let client =
        Client::http2(&member, "t").header("impersonate-user", "eve").header("impersonate-group", "g");
    assert_eq!(whoami(&client).await?.body["status"]["userInfo"]["username"], "eve");
    let _ = Client::with_token(&member, "wrong").get("/api/v1/pods?limit=1").await?;
    let requests = member.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].authenticated, Some(User::new("ann").group("dev")));
    assert_eq!(requests[0].user, Some(User::new("eve").group("g")));
    assert_eq!((requests[0].version, requests[0].method.clone()), (Version::HTTP_2, Method::POST));
    assert_eq!((&requests[1].authenticated, &requests[1].user), (&None, &None));
    assert_eq!(
        (requests[1].target.as_str(), requests[1].version),
        ("/api/v1/pods?limit=1", Version::HTTP_11)
    );
    assert!(requests[0].connection < requests[1].connection);
    member.forget_requests();
    assert!(member.requests().is_empty());
    Ok(())
}
