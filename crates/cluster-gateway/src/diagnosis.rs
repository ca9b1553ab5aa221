//! Why a cluster does not work, hop by hop: Secret, parsing, DNS, connection, TLS, authentication, rights, version, upgrades.
//!
//! Only looks: it changes nothing, neither at the hub nor at the member.
