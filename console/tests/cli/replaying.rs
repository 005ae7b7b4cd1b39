//! `hourlog replay`: events on subjects again.

use std::time::{Duration, Instant};

use conformance::servers::WAIT_MAX;
use futures_util::StreamExt;
use hourlog::{Offset, time::SECOND};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::*;

/// Two logs with an event a second in turn, from ten o'clock on.
async fn stage_with_orders(events: i64) -> Stage {
    let stage = Stage::open().await;
    let start: Offset = "2018-02-04T10:00:00Z".parse().expect("a valid time");
    for (index, log) in ["orders.eu", "orders.us"].into_iter().enumerate() {
        let record = |number: i64| {
            let offset = start.saturating_add_nanos(number * SECOND);
            Record::new(format!("{{\"n\":{number}}}"))
                .with("kind", "paid")
                .with("Nats-Msg-Id", format!("o-{number}"))
                .at(offset)
        };
        let numbers = (0..events).filter(|number| number % 2 == index as i64);
        stage.log(log).await.write_many(numbers.map(record).collect()).await.expect("the events are written");
    }
    stage
}

/// Receives what is sent to a subject.
struct Received(async_nats::Subscriber);

impl Received {
    async fn on(stage: &Stage, subject: &str) -> Self {
        let client = async_nats::connect(&stage.url).await.expect("the server is there");
        let received = client.subscribe(subject.to_owned()).await.expect("the client is open");
        client.flush().await.expect("the client is open");
        Self(received)
    }

    /// Returns the next message: its subject, its data, and its place.
    async fn next(&mut self) -> (String, String, String) {
        let message =
            tokio::time::timeout(WAIT_MAX, self.0.next()).await.expect("a message").expect("the client is open");
        let headers = message.headers.expect("each has headers");
        assert_eq!(headers.get("kind").map(|kind| kind.as_str()), Some("paid"));
        let place = headers.get("Hourlog-Replay").map(|place| place.as_str().to_owned()).expect("each has its place");
        (message.subject.to_string(), String::from_utf8_lossy(&message.payload).into_owned(), place)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_again_in_one_order_with_their_headers_and_their_place() {
    let stage = stage_with_orders(40).await;
    let mut received = Received::on(&stage, "test.>").await;
    let ended = stage.run("replay 'orders.>' --to 'test.>' --strip-prefix orders --as-fast-as-possible").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("sent 40 events"), "{}", ended.stderr);
    for number in 0..40 {
        let log = if number % 2 == 0 { "eu" } else { "us" };
        let (subject, data, place) = received.next().await;
        assert_eq!((subject, data), (format!("test.{log}"), format!("{{\"n\":{number}}}")));
        assert!(place.starts_with(&format!("orders.{log}@15177384")), "{place}");
    }
    // Conditions, a range, and a rate.
    let ended = stage
        .run("replay orders.eu --to test.few --since 2018-02-04T10:00:10Z --where 'json.n < 16' --rate 1000")
        .await;
    assert!(ended.stderr.contains("sent 3 events"), "{}", ended.stderr);
    for number in [10, 12, 14] {
        assert_eq!(received.next().await.1, format!("{{\"n\":{number}}}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_at_the_pace_of_their_times() {
    let stage = stage_with_orders(40).await;
    let begun = Instant::now();
    // 39 seconds, thirty times as fast.
    let ended = stage.run("replay 'orders.>' --to test.paced --speed 30").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() >= Duration::from_millis(1_300), "{:?}", begun.elapsed());
    // Without its bound, the gap between two events of one log would take two seconds.
    let ended =
        tokio::time::timeout(Duration::from_secs(20), stage.run("replay orders.us --to test.paced --max-gap 1ms"));
    let ended = ended.await.expect("gaps are shortened");
    assert!(ended.stderr.contains("sent 20 events"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_stopped_goes_on_where_it_was() {
    let stage = stage_with_orders(1_200).await;
    for way in ["", " --resume place"] {
        let mut received = Received::on(&stage, "test").await;
        let mut command = stage.command(&format!("replay 'orders.>' --to test --rate 200{way}"));
        let child = command.stderr(Stdio::piped()).spawn().expect("the binary can be started");
        // Some seconds of events, so that a place was reached.
        for _ in 0..800 {
            received.next().await;
        }
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
        let ended = tokio::task::spawn_blocking(|| child.wait_with_output().expect("it ends"));
        let ended = ended.await.expect("the closure does not panic");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(130), "{said}");
        let resume = said.rsplit_once("resume with: hourlog ").expect("it says how to go on").1.trim();
        assert_eq!(resume.contains("--after"), way.is_empty(), "{said}");
        let mut received = Received::on(&stage, "test").await;
        let rest = stage.run(&resume.replace("--rate 200", "--rate 10000")).await;
        assert_eq!(rest.code, Some(0), "{}", rest.stderr);
        let first: u64 = number(&received.next().await.1);
        assert!((1..=800).contains(&first), "event {first} is the first one");
        for next in first + 1..1_200 {
            assert_eq!(number(&received.next().await.1), next);
        }
    }
    // The place stays: there is nothing more to send.
    let ended = stage.run("replay 'orders.>' --to test --as-fast-as-possible --resume place").await;
    assert!(ended.stderr.contains("sent 0 events"), "{}", ended.stderr);
}

fn number(data: &str) -> u64 {
    data.trim_start_matches("{\"n\":").trim_end_matches('}').parse().expect("each has a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_become_events_of_another_log_only_if_the_user_says_so() {
    let stage = stage_with_orders(40).await;
    let fast = "--as-fast-as-possible";
    let refused = stage.run(&format!("replay orders.eu --to log.copy {fast}")).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("hourlog reads the stream HOURLOG"), "{}", refused.stderr);
    let own = stage.run(&format!("replay orders.eu --to log.orders.eu {fast} --into-log")).await;
    assert!(own.code == Some(2) && own.stderr.contains("would repeat its own events"), "{}", own.stderr);
    let elsewhere = stage.run(&format!("replay orders.eu --to test {fast} --into-log")).await;
    assert!(elsewhere.code == Some(2) && elsewhere.stderr.contains("leave it out"), "{}", elsewhere.stderr);

    // Twice: the ids of the events do not make the stream take the second ones for the first.
    for total in [20, 40] {
        let ended = stage.run(&format!("replay orders.eu --to log.copy {fast} --into-log")).await;
        assert!(ended.code == Some(0) && ended.stderr.contains("sent 20 events"), "{}", ended.stderr);
        let copies = json_lines(&stage.run("read copy").await.stdout);
        assert_eq!(copies.len(), total);
        assert_eq!(copies[0]["metadata"]["Nats-Msg-Id"][0], "o-0");
        assert!(
            copies[0]["metadata"]["Hourlog-Replay"][0].as_str().is_some_and(|place| place.starts_with("orders.eu@"))
        );
    }
    // By way of another log, an event does not return to its own.
    let back = stage.run(&format!("replay copy --to log.orders.eu {fast} --into-log")).await;
    assert!(back.code == Some(0) && back.stderr.contains("sent 40 events"), "{}", back.stderr);
    let begun = Instant::now();
    while json_lines(&stage.run("read _rejected").await.stdout).len() < 40 {
        assert!(begun.elapsed() < WAIT_MAX);
    }
    let rejected = json_lines(&stage.run("read _rejected --limit 1").await.stdout);
    let reason = rejected[0]["metadata"]["Hourlog-Rejected"][0].as_str().expect("a reason");
    assert!(reason.contains("is an event of this log"), "{reason}");
    assert_eq!(stage.run("read orders.eu -c").await.stdout, b"20\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_sent_and_sends_nothing() {
    let stage = stage_with_orders(40).await;
    let mut received = Received::on(&stage, ">").await;
    let ended = stage.run("replay 'orders.>' --to 'log.copy.>' --until 2018-02-04T10:00:15Z --dry-run").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("with --into-log, the messages become new events"), "{}", ended.stderr);
    let planned = json_lines(&ended.stdout);
    let counts: Vec<_> = planned.iter().map(|line| (line["subject"].as_str(), line["events"].as_u64())).collect();
    assert_eq!(counts, [(Some("log.copy.orders.eu"), Some(8)), (Some("log.copy.orders.us"), Some(7))]);
    assert_eq!(
        (&planned[0]["first"], &planned[0]["last"]),
        (&"2018-02-04T10:00:00Z".into(), &"2018-02-04T10:00:14Z".into())
    );
    let heard = async {
        while let Some(message) = received.0.next().await {
            assert!(!message.subject.starts_with("log."), "{}", message.subject);
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), heard).await.is_err());

    for (args, said) in [
        ("replay orders.eu --to 'a b'", "write a subject"),
        ("replay orders.eu --to test --speed 0", "a speed is a number"),
        ("replay orders.eu --to test --speed 2 --rate 5", "cannot be used with"),
        ("replay 'orders.>' --to 'test.>' --strip-prefix quakes", "does not lie below it"),
        ("replay 'nothing.>' --to test", "no log matches"),
    ] {
        let ended = stage.run(args).await;
        assert!(ended.code != Some(0) && ended.stderr.contains(said), "{args}: {}", ended.stderr);
    }
}
