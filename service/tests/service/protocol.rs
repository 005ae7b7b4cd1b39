//! `docs/protocol.md` is correct: its command lines, run from top to bottom, behave as the page
//! says.

use async_nats::{Client, HeaderMap, Message};
use futures_util::StreamExt;
use hourlog::Remote;

use crate::kit::{WAIT_MAX, service};

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// Returns the command lines of the page.
fn lines() -> Vec<&'static str> {
    let fences = PROTOCOL.split("```sh\n").skip(1);
    fences.flat_map(|fence| fence.split("```").next().unwrap_or_default().lines()).collect()
}

/// Splits a line like a shell: at blanks, but not inside single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.last_mut().expect("the list is never empty").push_str(part);
            continue;
        }
        let mut blanks = part.split(' ');
        words.last_mut().expect("the list is never empty").push_str(blanks.next().unwrap_or_default());
        words.extend(blanks.map(str::to_owned));
    }
    words
}

/// Runs a line as the `nats` command line would.
async fn paste(client: &Client, line: &str) -> Option<Message> {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let request = |subject: String, headers: HeaderMap, data: String| async move {
        let reply = client.request_with_headers(subject, headers, data.into()).await;
        Some(reply.unwrap_or_else(|error| panic!("{line}: {error}")))
    };
    match words.as_slice() {
        ["nats", "micro", "ls"] => request("$SRV.PING".to_owned(), HeaderMap::new(), String::new()).await,
        ["nats", "micro", verb, service] => {
            request(format!("$SRV.{}.{service}", verb.to_uppercase()), HeaderMap::new(), String::new()).await
        }
        ["nats", verb @ ("pub" | "req"), subject, data, options @ ..] => {
            let (mut headers, mut replies) = (HeaderMap::new(), 1);
            for option in options.chunks(2) {
                match option {
                    ["-H", header] => {
                        let (name, value) = header.split_once(':').expect("a header has a name and a value");
                        headers.append(name, value);
                    }
                    ["--replies", number] => replies = number.parse().expect("a number"),
                    _ => panic!("{line}: unknown option {option:?}"),
                }
            }
            if replies > 1 {
                return last_of(client, (*subject).to_owned(), (*data).to_owned(), replies).await;
            }
            if *verb == "req" {
                return request((*subject).to_owned(), headers, (*data).to_owned()).await;
            }
            client
                .publish_with_headers((*subject).to_owned(), headers, (*data).to_owned().into())
                .await
                .expect("the message can be sent");
            client.flush().await.expect("the message can be sent");
            None
        }
        _ => panic!("unknown command: {line}"),
    }
}

/// Sends a request, and returns the last of so many replies.
async fn last_of(client: &Client, subject: String, data: String, replies: usize) -> Option<Message> {
    let inbox = client.new_inbox();
    let messages = client.subscribe(inbox.clone()).await.expect("the server accepts it");
    client.publish_with_reply(subject, inbox, data.into()).await.expect("the message can be sent");
    let mut replies = messages.take(replies);
    let mut last = None;
    while let Some(reply) = tokio::time::timeout(WAIT_MAX, replies.next()).await.expect("every reply comes") {
        last = Some(reply);
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_protocol_page_gets_the_documented_reply() {
    let service = service().await;
    let remote: Remote = service.remote().await;
    let errors = ["nats req hourlog.replay.no.such.log", r#"nats req hourlog.replay.orders.eu '{"from":"yesterday"}'"#];
    let (mut answered, mut failed) = (0, 0);
    for line in lines() {
        let Some(reply) = paste(remote.client(), line).await else { continue };
        answered += 1;
        let error = reply.headers.as_ref().and_then(|headers| headers.get("Nats-Service-Error"));
        assert_eq!(error.is_some(), errors.iter().any(|begin| line.starts_with(begin)), "{line}: {error:?}");
        failed += usize::from(error.is_some());
        assert_eq!(reply.payload.is_empty(), error.is_some(), "{line}");
    }
    assert_eq!((answered > 20, failed), (true, errors.len()));
}
