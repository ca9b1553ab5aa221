//! Compression of large answers.

use std::io::Read as _;

use super::*;

const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip, deflate")];

async fn answer(fixture: &Fixture, uri: &str, headers: &[(&str, &str)]) -> (http::response::Parts, Vec<u8>) {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let response = match RequestInfo::parse(&parts).unwrap() {
        RequestInfo::Document(target) => fixture.api.path(&target.path, &parts).unwrap(),
        RequestInfo::Resource(target) => fixture.api.answer(&target, &parts, Body::empty()).await.unwrap(),
        RequestInfo::Proxy(_) => panic!("{uri} is not answered here"),
    };
    let (parts, body) = compress::large(&parts.headers, response).await.into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn many(clusters: usize) -> Fixture {
    let all =
        (0..clusters).map(|number| unusable(&format!("member-{number:04}"), "key \"endpoint\" is missing"));
    Fixture::new(all.collect())
}

#[tokio::test]
async fn rule_208_a_large_answer_is_compressed_for_who_takes_it() {
    let fixture = many(1000);
    for (uri, accept) in
        [(CG, "application/json"), (CG, "application/yaml"), (CG, TABLE), (VC, "application/json")]
    {
        let (head, plain) = answer(&fixture, uri, &[("accept", accept)]).await;
        assert!(plain.len() > 128 * 1024, "{uri} as {accept}: {}", plain.len());
        assert!(!head.headers.contains_key("content-encoding") && !head.headers.contains_key("vary"));
        let headers = [("accept", accept), GZIP[0]];
        let (head, packed) = answer(&fixture, uri, &headers).await;
        assert_eq!(head.headers["content-encoding"], "gzip", "{uri} as {accept}");
        assert_eq!(head.headers["vary"], "Accept-Encoding");
        assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
        assert_eq!(unpacked(&packed), plain, "{uri} as {accept}");
    }
}

#[tokio::test]
async fn rule_208_a_small_answer_is_sent_as_it_is() {
    let (mut small, mut large) = (0, usize::MAX);
    for clusters in [1, 300, 500, 700] {
        let (head, body) = answer(&many(clusters), CG, GZIP).await;
        if head.headers.contains_key("content-encoding") {
            large = large.min(unpacked(&body).len());
        } else {
            small = small.max(body.len());
        }
    }
    assert!(small <= 128 * 1024 && 128 * 1024 < large && large < usize::MAX, "{small} {large}");
    let (head, _) = answer(&many(1), "/apis/cluster.core.oam.dev/v1alpha1", GZIP).await;
    assert!(!head.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn rule_046_version_2_of_openapi_is_compressed_whatever_its_length() {
    let fixture = many(0);
    let (head, plain) = answer(&fixture, "/openapi/v2", &[]).await;
    assert!(plain.len() < 128 * 1024 && head.headers.get("content-encoding").is_none());
    let (packed_head, packed) = answer(&fixture, "/openapi/v2", GZIP).await;
    assert_eq!(packed_head.headers["content-encoding"], "gzip");
    let vary: Vec<_> = packed_head.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept-Encoding", "Accept"]);
    assert_eq!(packed_head.headers["etag"], head.headers["etag"]);
    assert_eq!(unpacked(&packed), plain);
}
