//! Whatever is killed, held or taken away: what was answered is there once, in order and as it was sent. And each planted bug is
//! noticed, so that a run that notices nothing tells something.

#![expect(clippy::print_stdout, reason = "a test that fails shows what was found, and from which seed")]

use std::{path::PathBuf, time::Duration};

use conformance::chaos::{
    Run,
    nemesis::Harm,
    verdict::{Fault, Verdict},
};
use hourlog::planted::Bug;

/// How long a run takes, roughly.
const TIME: Duration = Duration::from_secs(60);
/// How long a service with a bug is waited for.
const MENDED_WITHIN: Duration = Duration::from_secs(10);

fn hourlogd() -> PathBuf {
    if cfg!(not(feature = "chaos")) {
        panic!("the service was built without the feature chaos: run `cargo xtask test`");
    }
    PathBuf::from(env!("CARGO_BIN_EXE_hourlogd"))
}

async fn holds(run: Run) {
    let verdict = run.run(|round| println!("{round}")).await;
    let seed = run.seed;
    assert!(verdict.is_clean(), "seed {seed}: {verdict}");
    println!("seed {seed}: {verdict}");
}

/// The verdict over a service with `bug`, after `rounds` of the harm that is to show it.
async fn planted(bug: Bug, rounds: usize, harms: &[Harm]) -> Verdict {
    planted_in(Run::new(hourlogd(), 7, Duration::ZERO), bug, rounds, harms).await
}

/// As [`planted`], over what `run` says.
async fn planted_in(run: Run, bug: Bug, rounds: usize, harms: &[Harm]) -> Verdict {
    let run =
        Run { rounds_min: rounds, harms: harms.to_vec(), planted: Some(bug), mended_within: MENDED_WITHIN, ..run };
    let verdict = run.run(|_| {}).await;
    println!("{}: {verdict}", bug.name());
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_changed_with_a_known_seed() {
    holds(Run::new(hourlogd(), 20_181_204, TIME)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_changed_with_a_random_seed() {
    let seed = rand::random();
    println!("again with: cargo xtask chaos --seed {seed}");
    holds(Run::new(hourlogd(), seed, TIME)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_changed_over_a_database_that_is_killed_held_and_set_back() {
    let seed = rand::random();
    println!("again with: cargo xtask chaos --cql --seed {seed}");
    holds(Run::over_database(hourlogd(), seed, Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_and_is_believed_to_have_everything_is_noticed() {
    let run = Run::over_database(hourlogd(), 7, Duration::ZERO);
    let verdict = planted_in(run, Bug::SetBackUnseen, 1, &[Harm::SetBackDatabase]).await;
    assert!(verdict.count(Fault::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_stored_before_the_rows_is_noticed() {
    let verdict = planted(Bug::CursorBeforeRows, 2, &[Harm::FailArchive]).await;
    assert!(verdict.count(Fault::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_from_the_local_clock_is_noticed() {
    let verdict = planted(Bug::LocalClock, 2, &[Harm::KillService]).await;
    assert!(verdict.count(Fault::Duplicated) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_dropped_on_an_error_is_noticed() {
    let verdict = planted(Bug::BatchDropped, 1, &[Harm::FailArchive]).await;
    assert!(verdict.count(Fault::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_nobody_looks_for_is_noticed() {
    let verdict = planted(Bug::ForkUnseen, 1, &[Harm::SetBackNats]).await;
    assert!(verdict.count(Fault::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_what_comes_again_is_noticed() {
    let verdict = planted(Bug::ThroughIgnored, 2, &[Harm::KillService]).await;
    assert!(verdict.count(Fault::Miscounted) > 0, "{verdict}");
}
