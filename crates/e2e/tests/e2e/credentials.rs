//! A changed Secret: the new credential is used at once, and the old one never again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::registration::add_member;
use e2e::{Access, wait};

use crate::world::{whoami, world};

/// Registers each of `members` under the same name, and asks the cluster who the gateway is.
fn change(name: &str, members: &[(Access, &str)]) -> Result<()> {
    let cluster = world()?.direct(name, world()?.hub.admin())?;
    for (member, user) in members {
        let begun = Instant::now();
        add_member(world()?.hub, name, member)?;
        wait::eventually("the member to see the new credential", Duration::from_secs(5), || {
            let seen = whoami(&cluster)?;
            ensure!(seen == *user, "still {seen}");
            Ok(Some(()))
        })?;
        eprintln!("{name}: seen as {user} after {:.0?}", begun.elapsed());
        // No connection of the old credential is left to be used.
        for _ in 0..10 {
            let seen = whoami(&cluster)?;
            ensure!(seen == *user, "{seen} again");
        }
    }
    Ok(())
}

#[test]
fn rule_164_a_changed_token_is_used_at_once() -> Result<()> {
    let account = |name| world()?.member2.service_account("default", name, "system:basic-user");
    change("token-changes", &[
        (account("token-one")?, "system:serviceaccount:default:token-one"),
        (account("token-two")?, "system:serviceaccount:default:token-two"),
        (account("token-one")?, "system:serviceaccount:default:token-one"),
    ])
}

#[test]
fn rule_163_rule_164_a_changed_certificate_is_used_at_once() -> Result<()> {
    let user = |name| world()?.member1.user(name, &[]);
    change("certificate-changes", &[(user("one")?, "one"), (user("two")?, "two"), (user("one")?, "one")])
}

#[test]
fn rule_164_the_kind_of_credential_and_the_member_may_change() -> Result<()> {
    change("kind-changes", &[
        (world()?.member1.user("three", &[])?, "three"),
        (
            world()?.member2.service_account("default", "four", "system:basic-user")?,
            "system:serviceaccount:default:four",
        ),
        (world()?.member1.user("five", &[])?, "five"),
    ])
}
