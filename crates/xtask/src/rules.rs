//! `cargo xtask rules`: the numbered rules of the contract against the tests that name them.
//!
//! A test names a rule in its own name, `rule_157_connection_cannot_drop_impersonation`, and may name several. That a
//! name is there does not prove that the test is good; that none is there proves that nobody has looked yet.

mod contract;
mod report;
mod scan;

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::workspace;

pub(crate) use contract::Contract;
pub(crate) use scan::Test;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only the rules that no test names, with their text
    #[arg(long)]
    missing: bool,
    /// As JSON: every rule with its section and its tests
    #[arg(long, conflicts_with = "missing")]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let path = workspace::root().join("docs/contract.md");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let contract = Contract::parse(&text)?;
    let tests = scan::find(&workspace::root().join("crates"))?;
    if options.json {
        println!("{:#}", report::json(&contract, &tests));
    } else if options.missing {
        print!("{}", report::missing(&contract, &tests));
    } else {
        print!("{}", report::table(&contract, &tests));
    }
    let unknown = report::unknown(&contract, &tests);
    ensure!(unknown.is_empty(), "these tests name rules that docs/contract.md does not have:\n{unknown}");
    Ok(())
}
