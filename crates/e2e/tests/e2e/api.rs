//! The gateway's own API, as the stock kubectl sees it through the hub.

use anyhow::{Result, ensure};
use e2e::registration::{BASE, GROUP, proxy_path};

use crate::world::world;

#[test]
fn rule_200_rule_203_kubectl_prints_the_clusters() -> Result<()> {
    let table = world()?.hub.admin().kubectl(["get", "clustergateways"]).run()?.success()?;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    ensure!(
        rows.first().is_some_and(|row| row.starts_with(&[
            "NAME",
            "PROVIDER",
            "CREDENTIAL-TYPE",
            "ENDPOINT-TYPE",
            "HEALTHY"
        ])),
        "{table}"
    );
    let row = |name: &str| rows.iter().find(|row| row.first() == Some(&name));
    let has =
        |name: &str, word: &str| row(name).is_some_and(|row| row.contains(&word) && row.contains(&"Const"));
    ensure!(has("member1", "X509Certificate"), "{table}");
    ensure!(has("member2", "ServiceAccountToken"), "{table}");
    Ok(())
}

#[test]
fn rule_210_no_output_holds_a_credential() -> Result<()> {
    let hub = world()?.hub;
    for output in ["json", "yaml"] {
        let text = hub.admin().kubectl(["get", "clustergateways", "-o", output]).run()?.success()?;
        ensure!(text.contains("member1") && text.contains("member2"), "{text}");
        // How a key and a token begin, as they are and in base64.
        for mark in ["BEGIN PRIVATE", "LS0tLS1CRUdJTiBQUklWQVRF", "eyJhbGciOi", "ZXlKaGJHY2lPaU"] {
            ensure!(!text.contains(mark), "a credential: {text}");
        }
    }
    Ok(())
}

#[test]
fn rule_021_rule_022_kubectl_lists_the_resources_of_the_group() -> Result<()> {
    let args = ["api-resources", "--api-group", GROUP, "--no-headers"];
    let text = world()?.hub.admin().kubectl(args).run()?.success()?;
    let row: Option<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .find(|row: &Vec<&str>| row[0] == "clustergateways");
    ensure!(
        row.as_deref()
            == Some(&["clustergateways", "cgw", "cluster.core.oam.dev/v1alpha1", "false", "ClusterGateway"]),
        "{text}"
    );
    let list = world()?.hub.admin().request("GET", BASE).send()?.json(200)?;
    let names: Vec<_> =
        list["resources"].as_array().into_iter().flatten().map(|r| r["name"].clone()).collect();
    ensure!(names.contains(&"clustergateways/proxy".into()), "{list}");
    Ok(())
}

#[test]
fn rule_138_get_raw_reaches_a_path_of_the_member() -> Result<()> {
    for cluster in ["member1", "member2"] {
        let path = format!("{}/healthz", proxy_path(cluster));
        let text = world()?.hub.admin().kubectl(["get", "--raw", &path]).run()?.success()?;
        ensure!(text == "ok", "{text:?}");
    }
    Ok(())
}

#[test]
fn rule_009_rule_018_health_is_for_all_and_its_checks_are_not() -> Result<()> {
    let anonymous = world()?.anonymous()?;
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = anonymous.request("GET", path).send()?;
        ensure!(answer.content_type == "text/plain; charset=utf-8", "{answer:?}");
        ensure!(answer.expect(200)? == "ok", "{path}");
    }
    anonymous.request("GET", "/healthz/ping").send()?.status_message(403).map(drop)
}
