//! Receipts: how many messages of an import were stored and how many were there already, exactly, whatever
//! was killed meanwhile.

use std::{collections::VecDeque, ops::RangeInclusive};

use async_nats::{HeaderMap, jetstream, jetstream::context::PublishAckFuture};
use conformance::guards::new_keyspace;
use hourlog::{
    ErrorKind, Remote,
    wire::{ReceiptReply, ReceiptRequest, ReceiptToken},
};

use crate::kit::{Service, archived, events, service, service_with};

/// Lines of the file.
const LINES: u64 = 4_000;
/// Logs that they are spread over.
const LOGS: u64 = 7;
/// Lines between two kills of the service.
const LINES_PER_KILL: u64 = 800;
/// Lines that are sent again after a kill, as by a publisher whose acknowledgements were lost.
const SENT_AGAIN: u64 = 300;

fn token(text: &str) -> ReceiptToken {
    format!("{text:0>22}").parse().expect("the token is valid")
}

fn headers(line: u64, receipt: Option<&ReceiptToken>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Hourlog-Time", format!("@{}", 1_517_738_400 + line));
    headers.insert("Hourlog-Once", "0 lenient");
    if let Some(receipt) = receipt {
        headers.insert("Hourlog-Receipt", receipt.header(line));
    }
    headers
}

/// Publishes lines of the file, and waits until the stream has them.
async fn import(jetstream: &jetstream::Context, lines: impl Iterator<Item = u64>, receipt: Option<&ReceiptToken>) {
    let mut acks: VecDeque<PublishAckFuture> = VecDeque::new();
    for line in lines {
        let sent =
            jetstream.publish_with_headers(format!("log.file.{}", line % LOGS), headers(line, receipt), "x".into());
        acks.push_back(sent.await.expect("the message can be sent"));
        if acks.len() > 500 {
            acks.pop_front().expect("there are acks").await.expect("the stream accepts the message");
        }
    }
    for ack in acks {
        ack.await.expect("the stream accepts the message");
    }
}

async fn receipt(remote: &Remote, receipt: &ReceiptToken) -> ReceiptReply {
    remote.receipt(receipt, &ReceiptRequest { fresh: true }).await.expect("the service has the receipt")
}

fn counts(reply: &ReceiptReply) -> [u64; 3] {
    [reply.new, reply.known, reply.rejected]
}

/// Imports a file whose even lines are there already, while the service is killed again and again.
async fn import_under_kills(mut service: Service) {
    let jetstream = service.jetstream().await;
    import(&jetstream, (2..=LINES).step_by(2), None).await;
    let (first, second) = (token("first"), token("second"));
    let mut sent = 0;
    while sent < LINES {
        let part = sent + 1..=(sent + LINES_PER_KILL).min(LINES);
        sent = *part.end();
        import(&jetstream, part, Some(&first)).await;
        service.process.kill();
        let again: RangeInclusive<u64> = sent - SENT_AGAIN..=sent;
        import(&jetstream, again, Some(&first)).await;
        service.start_again().await;
    }
    let remote = service.remote().await;
    let reply = receipt(&remote, &first).await;
    assert_eq!(counts(&reply), [LINES / 2, LINES / 2, 0]);
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), LINES);
    // Another import of the same lines, with one new line.
    import(&jetstream, 1..=LINES + 1, Some(&second)).await;
    assert_eq!(counts(&receipt(&remote, &second).await), [1, LINES, 0]);
    assert_eq!(counts(&receipt(&remote, &first).await), counts(&reply), "the first one is as it was");
    service.process.kill();
    service.start_again().await;
    let remote = service.remote().await;
    assert_eq!(counts(&receipt(&remote, &second).await), [1, LINES, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_counts_each_line_once_over_kills_and_repetitions() {
    import_under_kills(service().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_over_cql_counts_each_line_once_over_kills_and_repetitions() {
    let url = new_keyspace();
    import_under_kills(service_with(&["--store", &url, "--migrate"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_names_rejected_lines_and_a_message_without_one_is_not_counted() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let token = token("rejected");
    let unknown = remote.receipt(&token, &ReceiptRequest::default()).await.expect_err("nothing was sent");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);

    let publish = |log: &str, headers: HeaderMap| {
        let (jetstream, subject) = (jetstream.clone(), format!("log.{log}"));
        async move {
            let ack = jetstream.publish_with_headers(subject, headers, "x".into()).await;
            ack.expect("the message can be sent").await.expect("the stream accepts the message");
        }
    };
    publish("a", headers(1, Some(&token))).await;
    publish("a", headers(1, None)).await;
    for line in 2..=4 {
        let mut headers = headers(line, Some(&token));
        headers.insert("Hourlog-Time", "2200-01-01T00:00:00Z");
        publish("a", headers).await;
    }
    publish("_system", headers(5, Some(&token))).await;
    // Without the condition, every event is stored, so there is nothing to count.
    let mut unconditional = HeaderMap::new();
    unconditional.insert("Hourlog-Receipt", token.header(6));
    publish("a", unconditional).await;
    let reply = receipt(&remote, &token).await;
    assert_eq!(counts(&reply), [1, 0, 4]);
    let reasons: Vec<_> = reply.reasons.iter().map(|reason| (reason.count, reason.number)).collect();
    assert_eq!(reasons, [(3, 2), (1, 5)]);
    let rejected = events(&remote, reply.rejected_log.as_str()).await;
    for reason in &reply.reasons {
        let event = rejected.iter().find(|event| event.position == reason.position).expect("it is where it is said");
        assert_eq!(event.record.metadata.get("Hourlog-Rejected"), std::slice::from_ref(&reason.reason));
    }

    let mut bad = headers(7, None);
    bad.insert("Hourlog-Receipt", "mine 7");
    publish("a", bad).await;
    archived(&remote).await;
    let rejected = events(&remote, "_rejected").await;
    let reason = rejected.last().expect("it is rejected").record.metadata.get("Hourlog-Rejected").join("");
    assert!(reason.contains("Hourlog-Receipt"), "{reason}");
    let stored = events(&remote, "a").await;
    assert!(stored.iter().all(|event| event.record.metadata.is_empty()), "the headers are for the service only");
}
