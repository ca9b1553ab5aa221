//! Turns: everybody has one in each round, so that a machine whose clock wanders wanders for all of them.

use std::time::Duration;

use anyhow::{Context, Result};

use super::contender::Contender;
use super::load::Outcome;
use super::rig::Rig;
use super::stats::median;

/// The loads know whole seconds only.
const SHORTEST: Duration = Duration::from_secs(1);

/// One turn of one contender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
    /// What the contender itself used, the load and the member apart.
    pub(super) cpu: Duration,
}

/// The medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    /// In a second.
    pub(super) rate: f64,
    /// Microseconds of processor for each.
    pub(super) cpu: f64,
    /// Microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Lets everybody have a turn in each round; the round before the first opens connections, fills caches, and does not
/// count. One summary for each contender.
pub(super) fn rounds(
    rig: &Rig,
    contenders: &[Contender],
    load: impl FnMut(&Contender, Duration) -> Result<Outcome>,
) -> Result<Vec<Summary>> {
    play(rig.scale.rounds, rig.scale.turn, contenders, load)
}

/// The same with turns of half the length: for what is no target, or differs by more than chance does.
pub(super) fn brief_rounds(
    rig: &Rig,
    contenders: &[Contender],
    load: impl FnMut(&Contender, Duration) -> Result<Outcome>,
) -> Result<Vec<Summary>> {
    play(rig.scale.rounds, (rig.scale.turn / 2).max(SHORTEST), contenders, load)
}

fn play(
    rounds: u32,
    turn: Duration,
    contenders: &[Contender],
    mut load: impl FnMut(&Contender, Duration) -> Result<Outcome>,
) -> Result<Vec<Summary>> {
    let mut turns = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds as usize {
        let turn = if round == 0 { SHORTEST } else { turn };
        for place in 0..contenders.len() {
            // Nobody always comes after the same one.
            let index = (place + round) % contenders.len();
            let contender = &contenders[index];
            let measured = one(contender, turn, &mut load);
            if round > 0 {
                // A machine that is busy elsewhere may let a second pass in which nothing is answered: once is an accident.
                turns[index].push(measured.or_else(|_| one(contender, turn, &mut load))?);
            }
        }
    }
    Ok(turns.iter().map(|turns| summary(turns)).collect())
}

fn one(
    contender: &Contender,
    elapsed: Duration,
    load: &mut impl FnMut(&Contender, Duration) -> Result<Outcome>,
) -> Result<Turn> {
    let before = contender.cpu()?;
    let outcome = load(contender, elapsed).with_context(|| format!("load on {}", contender.name))?;
    let cpu = contender.cpu()?.saturating_sub(before);
    Ok(Turn { outcome, elapsed, cpu })
}

fn summary(turns: &[Turn]) -> Summary {
    let over = |value: fn(&Turn) -> f64| median(turns.iter().map(value));
    Summary {
        rate: over(|turn| turn.outcome.requests as f64 / turn.elapsed.as_secs_f64()),
        cpu: over(|turn| turn.cpu.as_secs_f64() * 1e6 / turn.outcome.requests as f64),
        p50: over(|turn| turn.outcome.p50),
        p99: over(|turn| turn.outcome.p99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_rates_and_costs() {
        let outcome = Outcome { requests: 2000, p50: 100.0, p99: 900.0 };
        let turn = Turn { outcome, elapsed: Duration::from_secs(2), cpu: Duration::from_millis(20) };
        let summary = summary(&[turn, turn]);
        assert_eq!((summary.rate, summary.cpu, summary.p99), (1000.0, 10.0, 900.0));
    }
}
