//! Tokens of members' service accounts: made when a cluster is joined, renewed by the gateway before they end.
//!
//! One replica renews, by Lease. The token never leaves for anywhere but the cluster's Secret.
