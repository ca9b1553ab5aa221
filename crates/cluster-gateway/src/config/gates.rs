//! `--feature-gates`: the original's switches.

/// The switches that mean something here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureGates {
    /// Health of clusters is shown and acted on. Default: off.
    pub healthiness_check: bool,
    /// The caller's identity is passed on to members. Default: off.
    pub client_identity_penetration: bool,
    /// Gates that were given but mean nothing here, as they were typed.
    pub ignored: Vec<String>,
}

impl FeatureGates {
    /// Reads `A=true,B=false`. Gates of the API server library that have no meaning here are taken and named in
    /// `ignored`: KubeVela's chart passes one (rule 135).
    ///
    /// # Errors
    /// If an item is not `NAME=true` or `NAME=false`.
    pub fn parse(items: &[String]) -> Result<Self, String> {
        let mut gates = Self::default();
        for item in
            items.iter().flat_map(|item| item.split(',')).map(str::trim).filter(|item| !item.is_empty())
        {
            let (name, value) =
                item.split_once('=').ok_or_else(|| format!("\"{item}\" has no =true or =false"))?;
            let value = match value.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => true,
                "false" | "f" | "0" => false,
                other => return Err(format!("{name}: \"{other}\" is neither true nor false")),
            };
            match name.trim() {
                "HealthinessCheck" => gates.healthiness_check = value,
                "ClientIdentityPenetration" => gates.client_identity_penetration = value,
                // The original caches Secrets or reads each time; here they are always watched.
                "SecretCache" if value => {}
                _ => gates.ignored.push(item.to_owned()),
            }
        }
        Ok(gates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeatureGates, String> {
        FeatureGates::parse(&[text.to_owned()])
    }

    #[test]
    fn rule_135_unknown_gates_are_taken_and_named() {
        let gates =
            parse("APIPriorityAndFairness=false,ClientIdentityPenetration=true").expect("known forms");
        assert!(gates.client_identity_penetration && !gates.healthiness_check);
        assert_eq!(gates.ignored, ["APIPriorityAndFairness=false"]);
    }

    #[test]
    fn a_gate_without_a_truth_value_is_refused() {
        assert!(parse("HealthinessCheck").is_err());
        assert!(parse("HealthinessCheck=maybe").is_err());
        assert_eq!(parse(""), Ok(FeatureGates::default()));
    }
}
