//! `cluster-gateway list`

use std::process::ExitCode;

use clap::Args;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::output::{self, Cell, Column, Exit, Mood, OutputOptions, Progress, Table, print};
use super::process;
use super::target::{Target, TargetOptions};
use crate::api::human;
use crate::inventory::{self, Health, ListError, Summary};

/// A credential that ends sooner is coloured.
const SOON: Duration = Duration::days(7);
/// Characters of a reason that the table shows; `-o wide` shows all.
const SHORT: usize = 60;

/// Flags of `list`.
#[derive(Debug, Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    selector: SelectorOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// The flag `--selector`.
#[derive(Debug, Clone, Args)]
pub(super) struct SelectorOptions {
    /// Only clusters with these labels, as kubectl selects: region=eu,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR", default_value = "", hide_default_value = true, value_parser = selector, help_heading = "Which clusters")]
    pub(super) selector: String,
}

fn selector(text: &str) -> Result<String, String> {
    inventory::is_selector(text).map(|()| text.to_owned())
}

pub(super) fn run(options: &ListOptions) -> ExitCode {
    process::run("list", list(options))
}

async fn list(options: &ListOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let mut clusters = clusters(&target, &options.selector.selector).await?;
    clusters.sort_by(|a, b| {
        (a.credential_type != "Internal", &a.name).cmp(&(b.credential_type != "Internal", &b.name))
    });
    let names = || clusters.iter().map(|cluster| cluster.name.clone()).collect();
    print(options.output.format, &clusters, || table(&clusters, OffsetDateTime::now_utc()), names)?;
    Ok(Exit::Done)
}

/// The clusters as the gateway shows them; where there is none that answers, as they stand in the store.
pub(super) async fn clusters(target: &Target, selector: &str) -> Result<Vec<Summary>, ListError> {
    let progress = Progress::start("asking for the clusters");
    let Some(hub) = &target.hub else { return inventory::from_store(&target.store, selector).await };
    let why = match inventory::through_gateway(&hub.client(), selector).await {
        Err(ListError::NoGateway(why)) => why,
        answer => return answer,
    };
    progress.step("reading the Secrets");
    let clusters = inventory::from_store(&target.store, selector).await?;
    drop(progress);
    output::note(&format!(
        "The gateway does not answer ({}), so this is read from the Secrets; their health is as it was last recorded.",
        why.trim()
    ));
    Ok(clusters)
}

const COLUMNS: &[Column] = &[
    Column::new("NAME"),
    Column::new("ALIAS"),
    Column::new("TYPE"),
    Column::new("ENDPOINT"),
    Column::new("ACCEPTED"),
    Column::new("HEALTH"),
    Column::new("EXPIRES"),
    Column::new("LABELS"),
    Column::new("AGE"),
    Column::new("REASON"),
    Column::wide("WHOLE-REASON"),
];

fn table(clusters: &[Summary], now: OffsetDateTime) -> Table {
    let mut table = Table::new(COLUMNS, "There is no such cluster.");
    for cluster in clusters {
        let labels: Vec<_> = cluster.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let accepted = if cluster.accepted { "true".into() } else { Cell::with(Mood::Bad, "false") };
        let age = match &cluster.creation_timestamp {
            Some(created) => human::age(Some(created), now).into_owned(),
            None => String::new(),
        };
        let reason = cluster.reason.clone().unwrap_or_default();
        table.row(vec![
            cluster.name.as_str().into(),
            cluster.alias.as_str().into(),
            cluster.credential_type.as_str().into(),
            cluster.endpoint.as_str().into(),
            accepted,
            health(cluster.health),
            expiry(cluster.credential_not_after.as_deref(), now),
            labels.join(",").into(),
            age.into(),
            shortened(&reason).into(),
            reason.into(),
        ]);
    }
    table
}

fn health(health: Health) -> Cell {
    let mood = match health {
        Health::Healthy => Mood::Good,
        Health::Unhealthy => Mood::Bad,
        Health::Unknown => Mood::Faint,
    };
    Cell::with(mood, health.as_str())
}

/// How long the credential can still be used; empty where it does not say.
fn expiry(not_after: Option<&str>, now: OffsetDateTime) -> Cell {
    let end = not_after.and_then(|end| OffsetDateTime::parse(end, &Rfc3339).ok());
    let Some(end) = end else { return "".into() };
    let mood = match end - now {
        left if left <= Duration::ZERO => Mood::Bad,
        left if left < SOON => Mood::Warning,
        _ => Mood::Plain,
    };
    Cell::with(mood, human::until(Some(end), now).into_owned())
}

fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> Summary {
        Summary {
            name: name.to_owned(),
            alias: "Paris".to_owned(),
            credential_type: "X509Certificate".to_owned(),
            endpoint: "https://10.0.0.1:6443".to_owned(),
            accepted: true,
            health: Health::Unknown,
            reason: None,
            credential_not_after: None,
            labels: [("region".to_owned(), "eu".to_owned())].into(),
            creation_timestamp: Some("2026-01-01T00:00:00Z".to_owned()),
        }
    }

    #[test]
    fn a_row_says_what_there_is_to_know_of_a_cluster() {
        let now = OffsetDateTime::parse("2026-01-11T00:00:00Z", &Rfc3339).unwrap();
        let sick = Summary {
            health: Health::Unhealthy,
            reason: Some("x".repeat(100)),
            credential_not_after: Some("2026-01-12T00:00:00Z".to_owned()),
            ..cluster("sick")
        };
        let over =
            Summary { credential_not_after: Some("2026-01-01T00:00:00Z".to_owned()), ..cluster("over") };
        let table = table(&[cluster("edge"), sick, over], now);
        let text = table.render(false, false);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(
            lines[1][..6],
            ["edge", "Paris", "X509Certificate", "https://10.0.0.1:6443", "true", "Unknown"]
        );
        assert_eq!(lines[1][6..], ["region=eu", "10d"]);
        assert_eq!(lines[2][5..9], ["Unhealthy", "24h", "region=eu", "10d"]);
        assert_eq!(lines[2][9].chars().count(), SHORT + 1);
        assert_eq!(lines[3][6], "expired");
        let coloured = table.render(false, true);
        for shown in ["\x1b[31mexpired", "\x1b[33m24h", "\x1b[31mUnhealthy", "\x1b[2mUnknown"] {
            assert!(coloured.contains(shown), "{coloured:?}");
        }
        assert!(table.render(true, false).contains(&"x".repeat(100)));
    }
}
