//! Every acknowledged event is there once, in order and unchanged, whatever is killed, paused or
//! rolled back.
//!
//! Each deliberate bug is detected too, so a clean run means something.

#![expect(clippy::print_stdout, reason = "a failed test shows its verdict and the seed")]

use std::{path::PathBuf, time::Duration};

use conformance::chaos::{
    ChaosRun, ClusterRun,
    cluster_nemesis::ClusterDisruption,
    nemesis::Disruption,
    verdict::{Finding, Verdict},
};
use hourlog::failpoint::Failpoint;

/// The shortest time of a run.
const DURATION_MIN: Duration = Duration::from_secs(60);
/// The time that a service with a bug has to recover: short, because it may never do so.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

fn hourlogd() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_hourlogd"))
}

async fn assert_clean(run: ChaosRun) {
    let verdict = run.run(|round| println!("{round}")).await;
    let seed = run.seed;
    assert!(verdict.is_clean(), "seed {seed}: {verdict}");
    println!("seed {seed}: {verdict}");
}

/// Returns a run of two instances, a NATS server and a database node.
fn small_cluster(seed: u64, disruptions: &[ClusterDisruption]) -> ClusterRun {
    ClusterRun {
        instances: 2,
        nats_cluster: false,
        nodes: 1,
        disruptions: disruptions.to_vec(),
        ..ClusterRun::new(hourlogd(), seed, Duration::ZERO)
    }
}

/// Returns the verdict on a service with `failpoint`, after `rounds` of the disruptions that expose
/// it.
async fn verdict_with(failpoint: Failpoint, rounds: usize, disruptions: &[Disruption]) -> Verdict {
    verdict_over(ChaosRun::new(hourlogd(), 7, Duration::ZERO), failpoint, rounds, disruptions).await
}

/// As [`verdict_with`], with the other settings of `run`.
async fn verdict_over(run: ChaosRun, failpoint: Failpoint, rounds: usize, disruptions: &[Disruption]) -> Verdict {
    let run = ChaosRun {
        rounds_min: rounds,
        disruptions: disruptions.to_vec(),
        failpoint: Some(failpoint),
        recovery_timeout: RECOVERY_TIMEOUT,
        ..run
    };
    let verdict = run.run(|_| {}).await;
    println!("{}: {verdict}", failpoint.name());
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_duplicated_or_changed_with_a_known_seed() {
    assert_clean(ChaosRun::new(hourlogd(), 20_181_204, DURATION_MIN)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_duplicated_or_changed_with_a_random_seed() {
    let seed = rand::random();
    println!("repeat with: cargo xtask chaos --seed {seed}");
    assert_clean(ChaosRun::new(hourlogd(), seed, DURATION_MIN)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_duplicated_or_changed_over_a_database_that_is_killed_paused_and_rolled_back() {
    let seed = rand::random();
    println!("repeat with: cargo xtask chaos --cql --seed {seed}");
    assert_clean(ChaosRun::over_database(hourlogd(), seed, Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trusting_a_restarted_node_to_have_everything_is_detected() {
    let run = ChaosRun::over_database(hourlogd(), 7, Duration::ZERO);
    let verdict = verdict_over(run, Failpoint::RollbackUnseen, 1, &[Disruption::RollBackDatabase]).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_duplicated_or_changed_over_a_small_cluster() {
    let seed = rand::random();
    println!("repeat with: cargo xtask chaos --cluster --instances 2 --servers 1 --nodes 1 --seed {seed}");
    let disruptions = [
        ClusterDisruption::KillInstance,
        ClusterDisruption::ReplaceInstances,
        ClusterDisruption::PauseInstance,
        ClusterDisruption::CutInstance,
        ClusterDisruption::KillNats,
        ClusterDisruption::KillNode,
    ];
    let (verdict, _) = small_cluster(seed, &disruptions).run(|disrupted| println!("{disrupted}")).await;
    assert!(verdict.is_clean(), "seed {seed}: {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn purging_what_another_instance_has_not_archived_is_detected() {
    let run = ClusterRun {
        failpoint: Some(Failpoint::OwnCheckpointPurged),
        recovery_timeout: RECOVERY_TIMEOUT,
        ..small_cluster(7, &[ClusterDisruption::FailArchive])
    };
    let (verdict, _) = run.run(|disrupted| println!("{disrupted}")).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_stored_before_its_rows_is_detected() {
    let verdict = verdict_with(Failpoint::CheckpointBeforeRows, 2, &[Disruption::FailArchive]).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_from_the_local_clock_is_detected() {
    let verdict = verdict_with(Failpoint::LocalClock, 2, &[Disruption::KillService]).await;
    assert!(verdict.count(Finding::Duplicated) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_dropped_on_an_error_is_detected() {
    let verdict = verdict_with(Failpoint::BatchDropped, 1, &[Disruption::FailArchive]).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_fork_is_detected() {
    let verdict = verdict_with(Failpoint::ForkUnseen, 1, &[Disruption::RollBackNats]).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_taken_for_a_fork_is_detected() {
    let verdict = verdict_with(Failpoint::RestoreUnseen, 2, &[Disruption::RestoreStream]).await;
    assert!(verdict.count(Finding::Duplicated) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn telling_new_messages_by_their_time_is_detected() {
    let verdict = verdict_with(Failpoint::AgeByTime, 1, &[Disruption::SetClockBack]).await;
    assert!(verdict.count(Finding::Lost) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_redelivered_events_is_detected() {
    let verdict = verdict_with(Failpoint::CountedToIgnored, 2, &[Disruption::KillService]).await;
    assert!(verdict.count(Finding::Miscounted) > 0, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_and_clocks_that_go_back_lose_and_double_nothing() {
    let run = ChaosRun {
        rounds_min: 2,
        disruptions: vec![
            Disruption::RestoreStream,
            Disruption::SetClockBack,
            Disruption::RollBackNats,
            Disruption::KillService,
            Disruption::RestoreStream,
        ],
        ..ChaosRun::new(hourlogd(), 7, Duration::ZERO)
    };
    assert_clean(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_an_archive_that_lost_its_newest_events_misses_no_new_one() {
    let run = ChaosRun {
        rounds_min: 3,
        disruptions: vec![Disruption::LoseArchiveTail],
        ..ChaosRun::new(hourlogd(), 7, Duration::ZERO)
    };
    assert_clean(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_before_that_is_not_compared_with_its_stream_is_detected() {
    let verdict = verdict_with(Failpoint::SetBackUnseen, 3, &[Disruption::LoseArchiveTail]).await;
    assert!(verdict.count(Finding::Miscounted) > 0, "{verdict}");
}
