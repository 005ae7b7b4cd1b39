//! A trial of the limits by requester: a crowd asks for large answers at once, or waits in every place, while
//! another user reads a small page. Prints the latencies of that user and the peak of the service's memory.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_nats::Client;
use clap::{Parser, ValueEnum};
use conformance::{
    servers::{NatsServer, Service, ServiceOptions, archived},
    trial::{small_replay, summary},
};
use futures_util::StreamExt;

/// Sends a crowd of requests at once, and measures the small replays of another user
#[derive(Debug, Parser)]
#[command(name = "crowd", after_help = "Example:\n  crowd --hourlogd target/debug/hourlogd --trial both")]
struct CrowdOptions {
    /// The crowd's requests; all trials by default, each with a new service
    #[arg(long, value_enum)]
    trial: Option<Trial>,
    /// Connections of the crowd
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The service
    #[arg(long, value_name = "FILE", required_unless_present = "server")]
    hourlogd: Option<PathBuf>,
    /// Be the crowd, on this server. A trial starts it as a process of its own
    #[arg(long, value_name = "URL", hide = true, requires = "trial")]
    server: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    /// 10,000 replays of 20,000 small events
    Many,
    /// 10,000 replays of 900 KB
    Large,
    /// 5,000 timelines of 10,000 bins
    Timelines,
    /// 5,000 replays of each kind and 5,000 timelines
    Both,
    /// 23,400 replays that wait for five minutes
    Waits,
    /// As many bytes as large answers have, sent among the crowd itself: the part of the server and of the machine
    Traffic,
}

/// Time for which the other user reads before the crowd begins.
const QUIET: Duration = Duration::from_secs(5);
/// Time without a reply after which the crowd is done.
const DONE_AFTER: Duration = Duration::from_secs(11);
/// Time for which the crowd waits in the trial of waits.
const WAITS_TIME: Duration = Duration::from_secs(8);

/// Size of a message of the trial of traffic, and messages a second: those of the trial of many.
const TRAFFIC_BYTES: usize = 1_000_000;
const TRAFFIC_A_SECOND: u32 = 100;

const MANY: (&str, &str) = ("hourlog.replay.many", r#"{"limit":20000,"max_bytes":1000000}"#);
const LARGE: (&str, &str) = ("hourlog.replay.large", r#"{"limit":20000,"max_bytes":900000}"#);
const TIMELINES: (&str, &str) = ("hourlog.timeline.many", r#"{"bins":10000}"#);
const WAITS: (&str, &str) = ("hourlog.replay.many", r#"{"from":"now","wait":"5m"}"#);

impl Trial {
    const ALL: [Self; 6] = [Self::Many, Self::Large, Self::Timelines, Self::Both, Self::Waits, Self::Traffic];

    /// Returns the requests of the crowd.
    fn requests(self) -> Vec<(&'static str, &'static str)> {
        let kinds: &[(usize, (&str, &str))] = match self {
            Self::Many => &[(10_000, MANY)],
            Self::Large => &[(10_000, LARGE)],
            Self::Timelines => &[(5_000, TIMELINES)],
            Self::Both => &[(5_000, MANY), (5_000, LARGE), (5_000, TIMELINES)],
            Self::Waits => &[(23_400, WAITS)],
            Self::Traffic => &[(500, ("crowd.traffic", ""))],
        };
        let longest = kinds.iter().map(|(count, _)| *count).max().unwrap_or(0);
        (0..longest)
            .flat_map(|at| kinds.iter().filter(move |(count, _)| at < *count).map(|(_, request)| *request))
            .collect()
    }
}

/// Replies to a connection of the crowd.
#[derive(Debug, Default)]
struct Replies {
    answered: usize,
    refused: usize,
    bytes: usize,
}

#[tokio::main]
async fn main() {
    let CrowdOptions { trial, connections, hourlogd, server } = CrowdOptions::parse();
    match (server, trial, hourlogd) {
        (Some(server), Some(trial), _) => be_the_crowd(&server, trial, connections).await,
        (_, Some(trial), Some(hourlogd)) => try_out(trial, connections, &hourlogd).await,
        (_, _, Some(hourlogd)) => {
            for trial in Trial::ALL {
                try_out(trial, connections, &hourlogd).await;
            }
        }
        (_, _, None) => {}
    }
}

#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn try_out(trial: Trial, connections: usize, hourlogd: &Path) {
    let service = Service::start(NatsServer::start().await, ServiceOptions::new(hourlogd, &[])).await;
    fill(&service).await;
    let user = async_nats::connect(service.nats.url()).await.expect("NATS answers");
    let (mut quiet, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < QUIET {
        quiet.push(small_replay(&user).await);
    }
    let mut crowd = start_crowd(trial, connections, &service.nats.url());
    let mut busy = Vec::new();
    while crowd.try_wait().expect("a process can be asked").is_none() {
        busy.push(small_replay(&user).await);
    }
    let crowd = crowd.wait_with_output().expect("the crowd writes what it got");
    assert!(crowd.status.success(), "the crowd failed");
    println!(
        "{trial:?}: {}; {} resident; small replays: quiet {}, beside the crowd {}",
        String::from_utf8_lossy(&crowd.stdout).trim_end(),
        resident(&service),
        summary(quiet),
        summary(busy),
    );
}

/// Starts the crowd as a process of the lowest priority. A real crowd runs on other machines, and takes no
/// processor from the service and from the other user.
fn start_crowd(trial: Trial, connections: usize, server: &str) -> Child {
    let trial = trial.to_possible_value().expect("every trial has a name");
    let this = std::env::current_exe().expect("a program knows its file");
    let crowd = Command::new("nice")
        .args(["-n", "19"])
        .arg(this)
        .args(["--trial", trial.get_name(), "--connections", &connections.to_string(), "--server", server])
        .stdout(Stdio::piped())
        .spawn();
    crowd.expect("the program nice starts the crowd")
}

/// Sends the requests of a trial, and prints the replies in numbers.
#[expect(clippy::print_stdout, reason = "the trial reads it")]
async fn be_the_crowd(server: &str, trial: Trial, connections: usize) {
    let requests = trial.requests();
    let share = requests.len().div_ceil(connections);
    let shares = requests.chunks(share).map(<[_]>::to_vec);
    if trial == Trial::Traffic {
        tokio::spawn(answer(answerer(server).await));
    }
    let begun = Instant::now();
    let crowd: tokio::task::JoinSet<Replies> =
        shares.map(|requests| ask_all(server.to_owned(), requests, trial == Trial::Waits)).collect();
    let (mut all, mut took) = (Replies::default(), Duration::ZERO);
    for replies in crowd.join_all().await {
        all.answered += replies.answered;
        all.refused += replies.refused;
        all.bytes += replies.bytes;
        took = begun.elapsed();
    }
    println!(
        "{} requests, {} answered ({} MB), {} refused, {:.1} s",
        requests.len(),
        all.answered,
        all.bytes / 1_000_000,
        all.refused,
        took.as_secs_f64(),
    );
}

/// Returns the peak of the service's resident memory.
#[cfg(target_os = "linux")]
fn resident(service: &Service) -> String {
    format!("{} MiB", service.process.resident_mib_max())
}

/// Only Linux reports it.
#[cfg(not(target_os = "linux"))]
fn resident(_: &Service) -> String {
    "unknown".to_owned()
}

async fn fill(service: &Service) {
    let jetstream = service.jetstream().await;
    let messages = (0..20_000)
        .map(|number| ("log.many".to_owned(), number.to_string()))
        .chain((0..20).map(|_| ("log.large".to_owned(), "x".repeat(45_000))))
        .chain((0..100).map(|number| ("log.small".to_owned(), number.to_string())));
    for (subject, payload) in messages {
        jetstream.client().publish(subject, payload.into()).await.expect("the message can be sent");
    }
    // The stream takes messages in order, and acknowledges this one.
    let last = jetstream.publish("log.small", "last".into()).await.expect("the message can be sent");
    last.await.expect("the stream accepts the message");
    archived(&service.remote().await).await;
}

/// Sends a share of the crowd's requests at once, and counts the replies until none comes any more.
async fn ask_all(url: String, requests: Vec<(&'static str, &'static str)>, waits: bool) -> Replies {
    let client = async_nats::connect(url).await.expect("NATS answers");
    let inbox = client.new_inbox();
    let mut received = client.subscribe(format!("{inbox}.*")).await.expect("NATS answers");
    for (number, (subject, body)) in requests.iter().enumerate() {
        let sent = client.publish_with_reply(*subject, format!("{inbox}.{number}"), (*body).into());
        sent.await.expect("the message can be sent");
    }
    let (mut replies, begun) = (Replies::default(), Instant::now());
    while replies.answered + replies.refused < requests.len() && !(waits && begun.elapsed() > WAITS_TIME) {
        let quiet_max = if waits { Duration::from_secs(1) } else { DONE_AFTER };
        let reply = match tokio::time::timeout(quiet_max, received.next()).await {
            Ok(Some(reply)) => reply,
            _ if waits => continue,
            _ => break,
        };
        replies.bytes += reply.payload.len();
        if reply.payload.is_empty() { replies.refused += 1 } else { replies.answered += 1 }
    }
    replies
}

/// Subscribes to the requests of the crowd to itself. Returns once the server knows.
async fn answerer(server: &str) -> (Client, async_nats::Subscriber) {
    let client = async_nats::connect(server).await.expect("NATS answers");
    let requests = client.subscribe("crowd.traffic").await.expect("NATS answers");
    client.flush().await.expect("NATS answers");
    (client, requests)
}

/// Answers requests of the crowd itself with [`TRAFFIC_BYTES`], [`TRAFFIC_A_SECOND`].
async fn answer((client, mut requests): (Client, async_nats::Subscriber)) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / TRAFFIC_A_SECOND);
    let data = bytes::Bytes::from(vec![b'x'; TRAFFIC_BYTES]);
    while let Some(reply) = requests.next().await.and_then(|request| request.reply) {
        ticks.tick().await;
        client.publish(reply, data.clone()).await.expect("the message can be sent");
    }
}
