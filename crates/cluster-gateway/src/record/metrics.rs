//! Counters and histograms, and their text form (contract rule 6: the original's names stay).

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Labels;
use crate::audit::{Backend, Counts};
use crate::status::Blame;

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 12] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Histograms by their labels. A new combination of labels is rare, a request is not: readers take no lock.
type Series = HashMap<Labels, Arc<Histogram>>;

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    proxied: ArcSwap<Series>,
    failures: [AtomicU64; 5],
}

/// A metric that is kept elsewhere and read when the metrics are.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Name, with its unit; a counter's without `_total`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it can fall.
    pub kind: ReadingKind,
    /// Label pairs and values.
    pub values: Vec<(LabelPairs, u64)>,
}

/// Names and values of labels; the values come from bounded sets (rule 7).
pub type LabelPairs = Vec<(&'static str, String)>;

/// What a [`Reading`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingKind {
    /// It rises and falls.
    Gauge,
    /// It only rises, from 0 at the start of the process.
    Counter,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    fn observe(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let index = BUCKETS.partition_point(|bound| *bound < seconds);
        self.buckets[index].fetch_add(1, Ordering::Relaxed);
        self.microseconds
            .fetch_add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn counts(&self) -> Vec<(f64, u64)> {
        let bounds = BUCKETS.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect()
    }
}

impl Metrics {
    /// A proxied request ended after `elapsed`, upgrades with their real status (rule 193).
    pub fn proxied(&self, labels: &Labels, elapsed: Duration) {
        if let Some(histogram) = self.proxied.load().get(labels) {
            return histogram.observe(elapsed);
        }
        self.proxied.rcu(|series| {
            let mut series = Series::clone(series);
            series.entry(labels.clone()).or_default();
            series
        });
        if let Some(histogram) = self.proxied.load().get(labels) {
            histogram.observe(elapsed);
        }
    }

    /// A request failed here, by whose fault.
    pub fn failure(&self, blame: Blame) {
        self.failures[blame as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Drops the series of clusters that are no longer registered, so that their number stays bounded.
    pub fn retain_clusters(&self, registered: impl Fn(&str) -> bool) {
        let keep = |labels: &Labels| labels.cluster.as_ref() == "other" || registered(&labels.cluster);
        if self.proxied.load().keys().all(keep) {
            return;
        }
        self.proxied.rcu(|series| {
            let kept = series.iter().filter(|(labels, _)| keep(labels));
            kept.map(|(labels, histogram)| (labels.clone(), Arc::clone(histogram))).collect::<Series>()
        });
    }

    /// Everything in Prometheus' text form, with `readings` taken by the caller, and what `audit` has counted if there is
    /// any.
    #[must_use]
    pub fn encode(&self, readings: Vec<Reading>, audit: Option<&Counts>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Snapshot::new(self, readings, audit)));
        let mut text = String::new();
        // Writing to a String cannot fail; a failing encoder would leave the text short.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

/// One series: labels, counts per bucket, sum in seconds.
type Durations = (Labels, Vec<(f64, u64)>, f64);

/// The values of one moment, ready for writing.
#[derive(Debug)]
struct Snapshot {
    durations: Vec<Durations>,
    failures: Vec<(Blame, u64)>,
    readings: Vec<Reading>,
    audit: Option<AuditCounts>,
}

#[derive(Debug)]
struct AuditCounts {
    events: u64,
    lost: [(Backend, u64); 2],
}

impl Snapshot {
    fn new(metrics: &Metrics, readings: Vec<Reading>, audit: Option<&Counts>) -> Self {
        let durations = metrics
            .proxied
            .load()
            .iter()
            .map(|(labels, histogram)| {
                let seconds = histogram.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
                (labels.clone(), histogram.counts(), seconds)
            })
            .collect();
        let blames = [Blame::Caller, Blame::Hub, Blame::Member, Blame::Webhook, Blame::Us];
        let failures =
            blames.map(|blame| (blame, metrics.failures[blame as usize].load(Ordering::Relaxed))).to_vec();
        let audit = audit.map(|counts| AuditCounts {
            events: counts.events(),
            lost: Backend::ALL.map(|backend| (backend, counts.lost(backend))),
        });
        Self { durations, failures, readings, audit }
    }

    fn counter<L: EncodeLabelSet>(
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn sums<L: Ord>(&self, key: impl Fn(&Labels) -> L) -> BTreeMap<L, u64> {
        let mut sums = BTreeMap::new();
        for (labels, buckets, _) in &self.durations {
            *sums.entry(key(labels)).or_default() += buckets.iter().map(|(_, count)| count).sum::<u64>();
        }
        sums
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let by_resource = self.sums(|labels| {
            [
                ("resource", labels.resource.to_owned()),
                ("verb", labels.verb.to_owned()),
                ("code", labels.code.to_string()),
            ]
        });
        Self::counter(
            &mut encoder,
            "ocm_proxy_proxied_resource_requests_by_resource",
            "Number of requests proxied requests by resource",
            by_resource,
        )?;
        let by_cluster =
            self.sums(|labels| [("cluster", labels.cluster.to_string()), ("code", labels.code.to_string())]);
        Self::counter(
            &mut encoder,
            "ocm_proxy_proxied_requests_by_cluster",
            "Number of requests proxied requests by cluster",
            by_cluster,
        )?;
        let mut metric = encoder.encode_descriptor(
            "ocm_proxy_proxied_request_duration_seconds",
            "Duration of proxied requests; a watch or an upgrade counts until it ends",
            None,
            MetricType::Histogram,
        )?;
        for (labels, buckets, seconds) in &self.durations {
            let count = buckets.iter().map(|(_, count)| count).sum();
            metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(*seconds, count, buckets, None)?;
        }
        let failures = self.failures.iter().map(|(blame, count)| ([("blame", blame.as_str())], *count));
        Self::counter(
            &mut encoder,
            "cluster_gateway_failed_requests",
            "Requests that the gateway answered with a failure of its own, by whose fault it was",
            failures,
        )?;
        if let Some(AuditCounts { events, lost }) = &self.audit {
            let none: [(&str, &str); 0] = [];
            let name = "apiserver_audit_event";
            Self::counter(&mut encoder, name, "Audit events that requests have led to", [(none, *events)])?;
            let lost = lost.iter().map(|(backend, count)| ([("plugin", backend.as_str())], *count));
            let name = "apiserver_audit_error";
            Self::counter(&mut encoder, name, "Audit events that a backend has lost", lost)?;
        }
        for Reading { name, help, kind, values } in &self.readings {
            if *kind == ReadingKind::Counter {
                Self::counter(&mut encoder, name, help, values.iter().cloned())?;
                continue;
            }
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in values {
                metric.encode_family(labels)?.encode_gauge(&i64::try_from(*value).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(cluster: &str, code: u16) -> Labels {
        Labels { resource: "pods", verb: "get", cluster: Arc::from(cluster), code }
    }

    #[test]
    fn rule_006_the_originals_metrics_keep_their_names() {
        let metrics = Metrics::default();
        metrics.proxied(&labels("m1", 200), Duration::from_millis(30));
        metrics.proxied(&labels("m1", 200), Duration::from_secs(60));
        metrics.failure(Blame::Member);
        let reading = |name, kind| Reading {
            name,
            help: "y",
            kind,
            values: vec![(vec![("state", "usable".to_owned())], 3)],
        };
        let readings = vec![reading("x", ReadingKind::Gauge), reading("z", ReadingKind::Counter)];
        let text = metrics.encode(readings, None);
        for line in [
            "ocm_proxy_proxied_resource_requests_by_resource_total{resource=\"pods\",verb=\"get\",code=\"200\"} 2",
            "ocm_proxy_proxied_requests_by_cluster_total{cluster=\"m1\",code=\"200\"} 2",
            "ocm_proxy_proxied_request_duration_seconds_bucket{le=\"0.02\",resource=\"pods\",verb=\"get\",cluster=\"m1\",code=\"200\"} 0",
            "ocm_proxy_proxied_request_duration_seconds_bucket{le=\"0.05\",resource=\"pods\",verb=\"get\",cluster=\"m1\",code=\"200\"} 1",
            "ocm_proxy_proxied_request_duration_seconds_bucket{le=\"+Inf\",resource=\"pods\",verb=\"get\",cluster=\"m1\",code=\"200\"} 2",
            "ocm_proxy_proxied_request_duration_seconds_count{resource=\"pods\",verb=\"get\",cluster=\"m1\",code=\"200\"} 2",
            "cluster_gateway_failed_requests_total{blame=\"member\"} 1",
            "x{state=\"usable\"} 3",
            "z_total{state=\"usable\"} 3",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn rule_007_series_of_removed_clusters_go() {
        let metrics = Metrics::default();
        metrics.proxied(&labels("gone", 200), Duration::ZERO);
        metrics.proxied(&labels("other", 500), Duration::ZERO);
        metrics.retain_clusters(|name| name == "m1");
        let text = metrics.encode(Vec::new(), None);
        assert!(!text.contains("gone") && text.contains("cluster=\"other\""), "{text}");
    }
}
