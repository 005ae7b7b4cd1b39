//! `docs/protocol.md` is true: each of its lines, from top to bottom, does what it says.

use async_nats::{Client, HeaderMap, Message};
use hourlog::Remote;

use crate::kit::service;

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// The lines to paste.
fn lines() -> Vec<&'static str> {
    let fences = PROTOCOL.split("```sh\n").skip(1);
    fences.flat_map(|fence| fence.split("```").next().unwrap_or_default().lines()).collect()
}

/// A line as a shell would split it: blanks part, single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.last_mut().expect("there is one").push_str(part);
            continue;
        }
        let mut blanks = part.split(' ');
        words.last_mut().expect("there is one").push_str(blanks.next().unwrap_or_default());
        words.extend(blanks.map(str::to_owned));
    }
    words
}

/// Does what the `nats` command line does for a line.
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
            let mut headers = HeaderMap::new();
            for option in options.chunks(2) {
                let ["-H", header] = option else { panic!("{line}: what is {option:?}?") };
                let (name, value) = header.split_once(':').expect("a name and a value");
                headers.append(name, value);
            }
            if *verb == "req" {
                return request((*subject).to_owned(), headers, (*data).to_owned()).await;
            }
            client
                .publish_with_headers((*subject).to_owned(), headers, (*data).to_owned().into())
                .await
                .expect("it is sent");
            client.flush().await.expect("it is sent");
            None
        }
        _ => panic!("nobody knows how to run {line}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_protocol_page_is_answered_as_it_says() {
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
