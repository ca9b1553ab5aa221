//! Names of clusters, as whoever makes one must choose them.

use super::Store;

/// The name of the hub itself; no member can have it.
pub const LOCAL: &str = "local";

/// Longest name of a Secret at a hub.
const MAX_SUBDOMAIN: usize = 253;
/// Longest name where there is no hub.
const MAX_LABEL: usize = 63;

/// Why a cluster cannot have a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is the hub's.
    #[error("\"{LOCAL}\" is reserved: it means the hub itself; choose another name")]
    Local,
    /// A Secret cannot have it.
    #[error(
        "\"{0}\" is no name for a cluster: it must be a DNS subdomain (at most {MAX_SUBDOMAIN} of a-z, 0-9, - and ., each \
         part between dots beginning and ending with a letter or digit)"
    )]
    Subdomain(String),
    /// A standalone server does not take it.
    #[error(
        "\"{0}\" is no name for a cluster of a standalone server: it must be a DNS label (at most {MAX_LABEL} of a-z, 0-9 \
         and -, none of them - at an end)"
    )]
    Label(String),
}

impl Store {
    /// Checks a name for a new cluster.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn check_name(&self, name: &str) -> Result<(), NameError> {
        let shown = || name.escape_debug().take(100).collect();
        match self {
            _ if name == LOCAL => Err(NameError::Local),
            Self::Hub(_) if name.len() > MAX_SUBDOMAIN || !name.split('.').all(is_part) => {
                Err(NameError::Subdomain(shown()))
            }
            Self::Directory(_) if name.len() > MAX_LABEL || !is_part(name) => Err(NameError::Label(shown())),
            Self::Hub(_) | Self::Directory(_) => Ok(()),
        }
    }
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_what_a_secret_or_a_path_can_carry() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let hub = Store::hub(kube::Client::try_from(config).unwrap(), "ns");
        let directory = Store::directory("/nowhere");
        let [longest, longest_label] =
            [[vec!["a"; 126].join("."), "b".to_owned()].concat() + "c", "a".repeat(63)];
        assert_eq!(longest.len(), 253);
        for good in ["a", "a-b", "0", longest_label.as_str()] {
            assert_eq!((hub.check_name(good), directory.check_name(good)), (Ok(()), Ok(())), "{good}");
        }
        for only_hub in ["a.b", longest.as_str(), &"a".repeat(253)] {
            assert_eq!(hub.check_name(only_hub), Ok(()), "{only_hub}");
            assert!(matches!(directory.check_name(only_hub), Err(NameError::Label(_))), "{only_hub}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a/b", "ä", &format!("{longest}d"), "a\n"] {
            assert!(matches!(hub.check_name(bad), Err(NameError::Subdomain(_))), "{bad}");
            assert!(matches!(directory.check_name(bad), Err(NameError::Label(_))), "{bad}");
        }
        assert_eq!(
            (hub.check_name("local"), directory.check_name("local")),
            (Err(NameError::Local), Err(NameError::Local))
        );
    }
}
