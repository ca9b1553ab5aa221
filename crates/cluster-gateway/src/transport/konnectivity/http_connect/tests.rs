//! Answers to CONNECT.

use super::*;

/// What becomes of `answer`, and what was asked.
async fn answered(answer: &[u8]) -> (Result<tokio::io::DuplexStream, DialError>, String) {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let answer = answer.to_vec();
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(theirs.read_u8().await.unwrap());
        }
        let _ = theirs.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    let result = connect(ours, "proxy:8090", "m:443").await;
    (result, server.await.unwrap())
}

#[tokio::test]
async fn rule_245_the_request_and_the_one_answer_that_opens_the_tunnel() {
    let (result, asked) = answered(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(asked, "CONNECT m:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
}

#[tokio::test]
async fn rule_245_bytes_behind_the_head_and_other_answers_are_refused() {
    let long = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; MAX_HEAD]].concat();
    for (answer, words) in [
        (&b"HTTP/1.1 200 OK\r\n\r\nx"[..], "bytes behind the answer"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\ndial tcp: no route", "HTTP 502: dial tcp: no route"),
        (b"HTTP/1.1 500 Oops\r\n\r\nNo agent available\n", "no agent for the cluster"),
        (b"HTTP/1.1 503 Oops\r\n\r\n", "HTTP 503"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1.1"),
        (b"SSH-2.0\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n", "unexpected end of file"),
        (&long, "exceeds 16384 bytes"),
    ] {
        let (result, _) = answered(answer).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.contains("proxy:8090"), "{error}");
    }
}
