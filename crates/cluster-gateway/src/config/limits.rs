//! The limits, checked.

use super::options::LimitOptions;
use crate::limits::LimitsConfig;

/// The largest `--goaway-chance`: more would cost more handshakes than it saves.
const MOST_GOAWAYS: f64 = 0.02;

pub(super) fn limits(options: &LimitOptions, mistakes: &mut Vec<String>) -> LimitsConfig {
    if options.request_timeout.is_zero() {
        mistakes
            .push("--request-timeout: 0 would refuse every request; expected a duration such as 60s".into());
    }
    if !(0.0..=MOST_GOAWAYS).contains(&options.goaway_chance) {
        mistakes
            .push(format!("--goaway-chance: {} is not between 0 and {MOST_GOAWAYS}", options.goaway_chance));
    }
    LimitsConfig {
        read_only: options.max_requests_inflight,
        mutating: options.max_mutating_requests_inflight,
        requests_per_user: options.max_proxied_requests_per_user,
        upgrades_per_user: options.max_upgrades_per_user,
        requests_per_cluster: options.max_proxied_requests_per_cluster,
        upgrades_per_cluster: options.max_upgrades_per_cluster,
        request_timeout: options.request_timeout,
        goaway_chance: options.goaway_chance,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: LimitOptions,
    }

    fn parse(arguments: &[&str]) -> (LimitsConfig, Vec<String>) {
        let arguments = ["test"].iter().chain(arguments);
        let line = Line::try_parse_from(arguments).expect("flags that exist");
        let mut mistakes = Vec::new();
        (limits(&line.options, &mut mistakes), mistakes)
    }

    #[test]
    fn rule_133_the_flags_of_kubernetes_have_its_defaults() {
        let (limits, mistakes) = parse(&[]);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(limits, LimitsConfig::default());
        assert_eq!((limits.read_only, limits.mutating, limits.request_timeout.as_secs()), (400, 200, 60));
        assert_eq!(limits.goaway_chance, 0.0);
        let line = Line::try_parse_from(["test"]).expect("no flags");
        assert!(!line.options.shutdown_send_retry_after);
    }

    #[test]
    fn rule_133_values_that_make_no_sense_are_refused_by_name() {
        for (argument, refused) in [
            ("--goaway-chance=0.02", false),
            ("--goaway-chance=0.021", true),
            ("--goaway-chance=-0.1", true),
            ("--goaway-chance=NaN", true),
            ("--request-timeout=1ms", false),
            ("--request-timeout=0s", true),
        ] {
            let (_, mistakes) = parse(&[argument]);
            assert_eq!(mistakes.len(), usize::from(refused), "{argument}: {mistakes:?}");
            let flag = argument.split('=').next().expect("a flag");
            assert!(mistakes.iter().all(|mistake| mistake.starts_with(flag)), "{mistakes:?}");
        }
    }

    #[test]
    fn every_limit_is_set_by_the_flag_that_its_refusal_names() {
        for limit in crate::limits::Limit::ALL {
            let (limits, _) = parse(&[&format!("--{}=7", limit.flag())]);
            assert_ne!(limits, LimitsConfig::default(), "{}", limit.flag());
        }
    }
}
