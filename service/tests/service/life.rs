//! Starting and stopping the service, and idle logs.

use std::time::{Duration, Instant};

use conformance::servers::{HourlogdProcess, NatsServer, Service};
use hourlog::{
    ErrorKind, Memory, Record, Remote,
    wire::{LogsRequest, ReplayRequest},
};
use hourlogd::Settings;

use crate::kit::{WAIT_MAX, archived, binary, events, log, publish_all, service};

/// Longest time for stopping; below the grace period that supervisors usually give.
const STOP_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_archives_what_it_has_read_and_exits_with_0() {
    let mut service = service().await;
    for interrupt in [false, true] {
        let messages = (0..20_000).map(|number| ("log.busy".to_owned(), number.to_string()));
        publish_all(&service.jetstream().await, messages).await;
        let begun = Instant::now();
        let status = if interrupt { service.process.interrupt().await } else { service.process.terminate().await };
        assert!(status.success(), "{status}, after {:?}", service.process.stderr_lines());
        assert!(begun.elapsed() < STOP_MAX, "it took {:?}", begun.elapsed());
        service.start_again().await;
    }
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "busy").await.len(), 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_request_gets_a_reply_when_the_service_stops() {
    let mut service = service().await;
    let remote = service.remote().await;
    remote.append(&log("quiet"), Record::new("one")).await.expect("the record is archived");
    let after = remote.replay(&log("quiet"), &ReplayRequest::default()).await.expect("the replay succeeds").next;
    let wait = Some("30s".parse().expect("the span is valid"));
    let request = ReplayRequest { after, wait, ..ReplayRequest::default() };
    let quiet = log("quiet");
    let (page, status) = tokio::join!(remote.replay(&quiet, &request), async {
        // The service received the replay first, on the same connection. So this reply proves that
        // the replay is in progress.
        remote.describe(&quiet).await.expect("the service replies");
        service.process.terminate().await
    });
    assert!(status.success());
    let error = page.expect_err("the service has stopped");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_service_on_the_same_archive_is_refused() {
    let service = service().await;
    let arguments = Service::arguments(&service.nats, service.directory.path(), &[]);
    let refused = HourlogdProcess::try_start(binary(), arguments).await;
    let said = refused.expect_err("the archive is in use");
    assert!(said.contains("in use by another process"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_logs_have_no_actors() {
    let nats = NatsServer::start().await;
    let settings = Settings { nats: nats.url(), idle: Duration::from_millis(400), ..Settings::default() };
    let running = hourlogd::start(settings, Memory::new()).await.expect("the service starts");
    let remote = Remote::connect(&nats.url()).await.expect("the server accepts a connection").with_timeout(WAIT_MAX);
    let jetstream = async_nats::jetstream::new(remote.client().clone());
    publish_all(&jetstream, (0..10_000).map(|number| (format!("log.idle.{number}"), "x".to_owned()))).await;
    archived(&remote).await;
    let alone = LogsRequest { pattern: Some("idle.9999.>".to_owned()), ..LogsRequest::default() };
    assert_eq!(remote.logs(&alone).await.expect("a pattern").logs, []);
    let alone = LogsRequest { pattern: Some("idle.9999".to_owned()), ..LogsRequest::default() };
    assert_eq!(remote.logs(&alone).await.expect("a pattern").logs.len(), 1);
    let deadline = Instant::now() + WAIT_MAX;
    while running.report()["actors"] != 0 {
        assert!(Instant::now() < deadline, "{} actors are left", running.report()["actors"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A replay starts the actor of an idle log again.
    assert_eq!(events(&remote, "idle.7").await.len(), 1);
    running.stop().await.expect("the service stops");
}
