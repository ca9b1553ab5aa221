//! What to say of who is at the other end.

/// Who is at the other end. It decides the words of failures, nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Peer {
    /// A registered cluster, described by its Secret.
    #[default]
    Member,
    /// A webhook, described by a rule or a file of settings.
    Webhook,
    /// A proxy on the way to a cluster, described by the cluster's Secret or the environment.
    Proxy,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Webhook => "webhook",
            Self::Proxy => "proxy",
        }
    }

    pub(super) fn ca_bundle(self) -> &'static str {
        match self {
            Self::Member => "key \"ca.crt\" of the Secret",
            Self::Webhook => "its CA bundle",
            Self::Proxy => "key \"proxy-ca.crt\" of the Secret",
        }
    }

    /// What to do when it asks for a client certificate and there is none.
    pub(super) fn give_certificate(self) -> &'static str {
        match self {
            Self::Member => "use credential type X509Certificate with keys \"tls.crt\" and \"tls.key\"",
            Self::Webhook => "name one (clientCertificateFile, clientKeyFile)",
            Self::Proxy => "let it take a user and a password instead",
        }
    }

    /// What our certificate is called.
    pub(super) fn certificate(self) -> &'static str {
        match self {
            Self::Member => "the client certificate of key \"tls.crt\"",
            Self::Webhook | Self::Proxy => "the gateway's client certificate",
        }
    }

    /// What to do when its certificate is for another name.
    pub(super) fn mend_name(self) -> &'static str {
        match self {
            Self::Member => {
                concat!(
                    "set annotation ",
                    cluster_gateway_client::group!(),
                    "/tls-server-name to a name of the certificate, or correct the endpoint"
                )
            }
            Self::Webhook => "correct its URL, or give it a certificate for that name",
            Self::Proxy => {
                "correct key \"proxy-url\" of the Secret, or give the proxy a certificate for that name"
            }
        }
    }

    /// What to do when it does not know the name that was asked for.
    pub(super) fn ask_for_another_name(self) -> &'static str {
        match self {
            Self::Member => concat!("set annotation ", cluster_gateway_client::group!(), "/tls-server-name"),
            Self::Webhook => "correct its URL",
            Self::Proxy => "correct key \"proxy-url\" of the Secret",
        }
    }

    /// Why its certificate is of an unknown authority when the system's roots were asked.
    pub(super) fn no_ca(self) -> &'static str {
        match self {
            Self::Member => {
                "the Secret has no key \"ca.crt\", so the system's roots were asked: put the CA of the cluster there"
            }
            Self::Webhook => "no CA bundle is given for it, so the system's roots were asked: give its CA",
            Self::Proxy => {
                "the Secret has no key \"proxy-ca.crt\", so the system's roots were asked: put the CA of the proxy there"
            }
        }
    }

    /// Why its certificate is of an unknown authority when a bundle was asked.
    pub(super) fn wrong_ca(self) -> &'static str {
        match self {
            Self::Member => {
                "the member's certificate is not issued by the CA in key \"ca.crt\" of the Secret"
            }
            Self::Webhook => "the webhook's certificate is not issued by the CA that is given for it",
            Self::Proxy => {
                "the proxy's certificate is not issued by the CA in key \"proxy-ca.crt\" of the Secret"
            }
        }
    }
}
