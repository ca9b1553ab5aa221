//! What can be measured.

use anyhow::Result;
use clap::ValueEnum;

use super::cases;
use super::report::Report;
use super::rig::Rig;

/// Each is a part of the report. Their order is that of the report.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(super) enum Case {
    /// Small GETs, 1, 32 and 256 at once, beside HAProxy, nginx and no proxy
    Small,
    /// The same through the hub
    Hub,
    /// Bodies of 1 MB down and up, and of 50 MB down
    Bodies,
    /// Connections that are opened for one request
    Connections,
    /// Echoes over an upgraded connection
    Exec,
    /// Small GETs through konnectivity's proxy server and agent
    Konnectivity,
    /// Idle watches: memory for each, and an event for all of them
    Watches,
    /// Many registered clusters: start, memory, list
    Clusters,
    /// A cluster that joins: until the first answer
    Join,
    /// One dead cluster of a hundred: what the others notice
    Dead,
    /// The cost of a request with many clusters and users, beside few
    Many,
    /// What each feature costs
    Features,
}

impl Case {
    pub(super) fn run(self, rig: &Rig, report: &mut Report) -> Result<()> {
        match self {
            Self::Small => cases::small::run(rig, report),
            Self::Hub => cases::hub::run(rig, report),
            Self::Bodies => cases::bodies::run(rig, report),
            Self::Connections => cases::connections::run(rig, report),
            Self::Exec => cases::exec::run(rig, report),
            Self::Konnectivity => cases::konnectivity::run(rig, report),
            Self::Watches => cases::watches::run(rig, report),
            Self::Clusters => cases::clusters::run(rig, report),
            Self::Join => cases::join::run(rig, report),
            Self::Dead => cases::dead::run(rig, report),
            Self::Many => cases::many::run(rig, report),
            Self::Features => cases::features::run(rig, report),
        }
    }

    /// One line for each.
    pub(super) fn list() -> String {
        let lines = Self::value_variants().iter().filter_map(|case| {
            let value = case.to_possible_value()?;
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            Some(format!("{:12} {help}\n", value.get_name()))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_says_what_it_is() {
        let list = Case::list();
        assert_eq!(list.lines().count(), Case::value_variants().len());
        assert!(
            list.contains("watches      Idle watches: memory for each, and an event for all of them\n"),
            "{list}"
        );
    }
}
