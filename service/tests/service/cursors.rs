//! Durable cursors as other services use them.

use hourlog::{ArrivalCursor, Cursor, ErrorKind, Record, Remote, wire::*};

use crate::kit::{log, service};

fn request(name: &str, cursor: ArrivalCursor) -> SetCursorRequest {
    SetCursorRequest { name: name.parse().expect("the name is valid"), cursor, force: false }
}

/// Reads the next page of at most 10 events after the stored cursor, and stores where it ends.
async fn work(remote: &Remote, name: &str) -> Vec<String> {
    let (orders, cursor) = (log("orders"), name.parse().expect("the name is valid"));
    let after = remote.cursor(&orders, &cursor).await.expect("the service replies").map(Cursor::Arrival);
    // Right after a kill, the service shows a log only as far as it has read it again.
    let page = ReplayRequest { after, order: Order::Arrival, limit: Some(10), fresh: true, ..ReplayRequest::default() };
    let page = remote.replay(&orders, &page).await.expect("the service replies");
    if let Some(Cursor::Arrival(next)) = page.next {
        assert!(remote.set_cursor(&orders, &request(name, next)).await.expect("the service replies").stored);
    }
    page.events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_handles_every_event_once_over_restarts_of_the_service() {
    let mut service = service().await;
    let remote = service.remote().await;
    for number in 0..30 {
        remote.append(&log("orders"), Record::new(number.to_string())).await.expect("the record is archived");
    }
    let mut handled = work(&remote, "worker").await;
    service.process.kill();
    service.start_again().await;
    handled.extend(work(&remote, "worker").await);
    service.process.kill();
    service.start_again().await;
    handled.extend(work(&remote, "worker").await);
    assert_eq!(handled, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(work(&remote, "worker").await.is_empty());
    assert_eq!(work(&remote, "another").await.len(), 10, "each name has its own cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_for_cursors_are_refused() {
    let service = service().await;
    let remote = service.remote().await;
    remote.append(&log("orders"), Record::new("1")).await.expect("the record is archived");
    let first = ArrivalCursor::FIRST;

    let unknown = remote.set_cursor(&log("nope"), &request("worker", first)).await;
    assert_eq!(unknown.expect_err("no log is created").kind(), ErrorKind::NotFound);
    assert_eq!(remote.cursors(&log("nope")).await.expect_err("no log was created").kind(), ErrorKind::NotFound);
    for (verb, body, expected) in [
        ("get", "", "missing field `name`"),
        ("get", r#"{"name":"two words"}"#, "not a name of a cursor"),
        ("set", r#"{"name":"worker"}"#, "missing field `cursor`"),
        ("set", r#"{"name":"worker","cursor":"5-42"}"#, "not a cursor in arrival order"),
        ("set", r#"{"name":"worker","cursor":"a:5-42","forced":true}"#, "unknown field `forced`"),
        ("delete", r#"{}"#, "missing field `name`"),
    ] {
        let subject = format!("hourlog.cursor.{verb}.orders");
        let reply = remote.client().request(subject, body.into()).await.expect("the service replies");
        let headers = reply.headers.expect("an error has headers");
        assert_eq!(headers.get("Nats-Service-Error-Code").map(|code| code.as_str()), Some("400"), "{verb} {body}");
        let error = headers.get("Nats-Service-Error").map(|error| error.as_str()).unwrap_or_default();
        assert!(error.contains(expected), "{verb} {body}: {error}");
    }

    for number in 0..CURSORS_MAX {
        let reply = remote.set_cursor(&log("orders"), &request(&format!("reader-{number}"), first)).await;
        assert!(reply.expect("the limit is not reached").stored);
    }
    let error = remote.set_cursor(&log("orders"), &request("one-more", first)).await.expect_err("the limit is reached");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let moved = ArrivalCursor { seq: hourlog::Seq::new(1, 1), ..first };
    assert!(remote.set_cursor(&log("orders"), &request("reader-7", moved)).await.expect("it exists").stored);
    let name = "reader-7".parse().expect("the name is valid");
    assert!(remote.delete_cursor(&log("orders"), &name).await.expect("the service replies"));
    assert!(!remote.delete_cursor(&log("orders"), &name).await.expect("the service replies"));
    assert!(remote.set_cursor(&log("orders"), &request("one-more", first)).await.expect("there is room").stored);
    assert_eq!(remote.cursors(&log("orders")).await.expect("the service replies").len(), CURSORS_MAX);
}
