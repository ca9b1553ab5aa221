//! How members are looked after.

use std::time::Duration;

use super::FeatureGates;
use super::options::HealthOptions;
use crate::health::HealthConfig;

/// Between probes, where health is shown and nothing else is said.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// A shorter interval would be a load that nobody wants.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn resolve(
    options: &HealthOptions,
    gates: &FeatureGates,
    mistakes: &mut Vec<String>,
) -> HealthConfig {
    let interval = options.health_probe_interval.unwrap_or(match gates.healthiness_check {
        true => DEFAULT_INTERVAL,
        false => Duration::ZERO,
    });
    if !interval.is_zero() && interval < LEAST_INTERVAL {
        mistakes.push(format!(
            "--health-probe-interval: {interval:?} is too short; expected 0s or at least {LEAST_INTERVAL:?}"
        ));
    }
    HealthConfig { interval, ..HealthConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(gate: bool, given: Option<u64>) -> Result<u64, Vec<String>> {
        let options = HealthOptions {
            health_probe_interval: given.map(Duration::from_millis),
            response_header_timeout: Duration::ZERO,
        };
        let gates = FeatureGates { healthiness_check: gate, ..FeatureGates::default() };
        let mut mistakes = Vec::new();
        let config = resolve(&options, &gates, &mut mistakes);
        if mistakes.is_empty() { Ok(config.interval.as_secs()) } else { Err(mistakes) }
    }

    #[test]
    fn rule_211_members_that_are_well_are_probed_where_somebody_looks() {
        assert_eq!(interval(true, None), Ok(30));
        assert_eq!(interval(false, None), Ok(0));
        assert_eq!(interval(false, Some(15_000)), Ok(15));
        assert_eq!(interval(true, Some(0)), Ok(0));
        assert!(interval(true, Some(100)).unwrap_err()[0].contains("--health-probe-interval"));
    }
}
