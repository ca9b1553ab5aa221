//! How tokens of members' service accounts are renewed.

use super::options::RenewalOptions;
use crate::renewal::{RenewalConfig, SHORTEST_LIFETIME};

pub(super) fn resolve(options: &RenewalOptions, mistakes: &mut Vec<String>) -> RenewalConfig {
    let (percent, lifetime) = (options.credential_renewal_percent, options.credential_lifetime);
    if !(1..=95).contains(&percent) {
        mistakes.push(format!("--credential-renewal-percent: {percent} is not between 1 and 95"));
    }
    if lifetime < SHORTEST_LIFETIME {
        mistakes.push(format!("--credential-lifetime: {lifetime:?} is too short; expected at least 10m"));
    }
    RenewalConfig { percent, lifetime, ..RenewalConfig::default() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_share_of_no_sense_and_a_life_that_no_member_gives_are_refused() {
        let resolved = |percent, minutes: u64| {
            let mut mistakes = Vec::new();
            let lifetime = Duration::from_secs(minutes * 60);
            let options =
                RenewalOptions { credential_renewal_percent: percent, credential_lifetime: lifetime };
            let config = resolve(&options, &mut mistakes);
            (config.percent, config.lifetime.as_secs() / 60, mistakes.join(";"))
        };
        assert_eq!(resolved(80, 10), (80, 10, String::new()));
        assert!(resolved(0, 10).2.contains("--credential-renewal-percent: 0"));
        assert!(resolved(96, 10).2.contains("--credential-renewal-percent: 96"));
        assert!(resolved(80, 9).2.contains("--credential-lifetime"));
    }
}
