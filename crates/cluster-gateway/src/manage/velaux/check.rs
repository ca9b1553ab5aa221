//! What a body may hold. What VelaUX checks is refused in its words; what it does not check, in ours.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::model::CreateCluster;
use crate::lifecycle::check_label;
use crate::manage::store::Record;
use crate::manage::{Code, Refusal};

/// Bytes of the name of a new cluster.
const NAME: RangeInclusive<usize> = 2..=31;
/// Bytes of an alias that is not empty.
const ALIAS: RangeInclusive<usize> = 2..=64;
/// Bytes of a URL.
const MOST_URL: usize = 2048;
/// Bytes of a kubeconfig.
const MOST_KUBECONFIG: usize = 1 << 20;

/// A check of VelaUX that was not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    Name,
    Alias,
    KubeConfig,
    KubeConfigSecret,
}

impl Failed {
    /// Field of the body, field of VelaUX' model, VelaUX' check.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Name => ("name", "Name", "checkname"),
            Self::Alias => ("alias", "Alias", "checkalias"),
            Self::KubeConfig => ("kubeConfig", "KubeConfig", "required_without"),
            Self::KubeConfigSecret => ("kubeConfigSecret", "KubeConfigSecret", "required_without"),
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Name => {
                "A new name has 2 to 31 of a-z, 0-9 and -, and begins and ends with a letter or digit."
            }
            Self::Alias => "An alias is empty, or has 2 to 64 bytes.",
            Self::KubeConfig | Self::KubeConfigSecret => "Send the cluster's kubeconfig.",
        }
    }
}

/// Checks the body of create.
pub(super) fn create(request: &CreateCluster) -> Result<(), Refusal> {
    let mut failed = Vec::new();
    if !is_new_name(&request.name) {
        failed.push(Failed::Name);
    }
    if !is_alias(&request.alias) {
        failed.push(Failed::Alias);
    }
    if request.kube_config.trim().is_empty() && request.kube_config_secret.is_empty() {
        failed.extend([Failed::KubeConfig, Failed::KubeConfigSecret]);
    }
    refuse(&failed)?;
    own(request, None)
}

/// Checks the body of modify. What it leaves as it is may be what it is.
pub(super) fn modify(request: &CreateCluster, current: &Record) -> Result<(), Refusal> {
    let mut failed = Vec::new();
    if request.name != current.name && !is_new_name(&request.name) {
        failed.push(Failed::Name);
    }
    if request.alias != current.alias && !is_alias(&request.alias) {
        failed.push(Failed::Alias);
    }
    refuse(&failed)?;
    own(request, Some(current))
}

fn refuse(failed: &[Failed]) -> Result<(), Refusal> {
    let Some(first) = failed.first() else { return Ok(()) };
    let mut message = String::new();
    for failed in failed {
        let (_, field, tag) = failed.words();
        let end = if message.is_empty() { "" } else { "\n" };
        let _ = write!(
            message,
            "{end}Key: 'CreateClusterRequest.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"
        );
    }
    Err(Refusal::new(Code::Validation, message).field(first.words().0).remedy(first.remedy()))
}

fn own(request: &CreateCluster, current: Option<&Record>) -> Result<(), Refusal> {
    let value = |message: String, field| Err(Refusal::new(Code::Value, message).field(field));
    if request.kube_config.len() > MOST_KUBECONFIG {
        let message = format!("the kubeconfig is larger than {MOST_KUBECONFIG} bytes");
        return Err(Refusal::new(Code::KubeconfigTooLarge, message)
            .field("kubeConfig")
            .remedy("Send one context of it: kubectl config view --minify --flatten --raw."));
    }
    if current.is_none_or(|current| current.alias != request.alias)
        && request.alias.chars().any(char::is_control)
    {
        return value("an alias holds no characters that steer a terminal".to_owned(), "alias");
    }
    if current.is_none_or(|current| current.labels != request.labels) {
        for (key, label) in &request.labels {
            if let Err(error) = check_label(key, label) {
                return value(error.to_string(), "labels");
            }
        }
    }
    let dashboard = &request.dashboard_url;
    if current.is_none_or(|current| current.dashboard_url != *dashboard) && !is_page(dashboard) {
        let message = format!("dashboardURL must be a URL with http or https, of at most {MOST_URL} bytes");
        return value(message, "dashboardURL");
    }
    Ok(())
}

/// VelaUX' `checkname`, without the backslash that its pattern lets in by mistake.
pub(super) fn is_new_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    NAME.contains(&name.len())
        && bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
}

/// VelaUX' `checkalias`.
fn is_alias(alias: &str) -> bool {
    alias.is_empty() || ALIAS.contains(&alias.len())
}

/// Whether a URL may be shown as a link: whoever follows one of `javascript:` runs it.
fn is_page(url: &str) -> bool {
    if url.is_empty() {
        return true;
    }
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    url.len() <= MOST_URL
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !url.chars().any(|character| character.is_control() || character.is_whitespace())
}

/// Checks the name of a namespace.
pub(super) fn namespace(name: &str) -> Result<(), Refusal> {
    let bytes = name.as_bytes();
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let good = (1..=63).contains(&name.len())
        && bytes.first().copied().is_some_and(inner)
        && bytes.last().copied().is_some_and(inner)
        && bytes.iter().all(|&byte| inner(byte) || byte == b'-');
    if good {
        return Ok(());
    }
    let shown: String = name.escape_debug().take(100).collect();
    Err(Refusal::new(Code::Value, format!("\"{shown}\" is no name for a namespace"))
        .field("namespace")
        .remedy("It has 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit."))
}

#[cfg(test)]
mod tests;
