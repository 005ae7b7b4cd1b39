//! Looking around: an event by its position, what is around a moment, and lists that cost what they show.

use hourlog::{
    ErrorKind, Events, Log, Offset, Position, Record, Remote, Seq,
    time::{HOUR, SECOND},
    wire::{LogsOrder, LogsReply, LogsRequest, NearRequest, NewestRequest, ReplayRequest, StripRequest, When},
};

use crate::kit::{archived, log, publish_all, service};

fn at(seconds: i64) -> Offset {
    "2018-02-04T10:00:00Z".parse::<Offset>().expect("a time").saturating_add_nanos(seconds * SECOND)
}

async fn write(remote: &Remote, id: &str, times: impl IntoIterator<Item = i64>) {
    let records = times.into_iter().enumerate().map(|(number, time)| Record::new(format!("{number}")).at(at(time)));
    let mut log = remote.log(&log(id)).await.expect("a handle");
    log.write_many(records.collect()).await.expect("the events are written");
}

fn ids(reply: &LogsReply) -> Vec<&str> {
    reply.logs.iter().map(|listed| listed.log.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_found_by_its_position_and_by_what_is_near_it() {
    let service = service().await;
    let remote = service.remote().await;
    let hour = HOUR / SECOND;
    // Three events, a silence of five hours, and a burst.
    write(&remote, "orders", [0, 10, 10].into_iter().chain((0..20).map(|number| 6 * hour + number))).await;
    let orders = log("orders");
    let all = crate::kit::events(&remote, "orders").await;
    for event in &all {
        assert_eq!(remote.event(&orders, event.position).await.expect("it is there"), *event);
    }
    let between = Position { offset: at(10), seq: Seq::new(1, 999) };
    for position in
        [between, Position { offset: at(5), seq: Seq::new(1, 1) }, Position { offset: at(0), seq: all[1].position.seq }]
    {
        let error = remote.event(&orders, position).await.expect_err("there is no such event");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let request = ReplayRequest { position: Some(between), limit: Some(5), ..ReplayRequest::default() };
    assert_eq!(remote.replay(&orders, &request).await.expect_err("two ways").kind(), ErrorKind::Invalid);

    let near = |when| {
        let (remote, orders) = (remote.clone(), orders.clone());
        async move { remote.near(&orders, &NearRequest { at: when }).await.expect("the service replies") }
    };
    let found = near(When::At(at(10))).await;
    assert_eq!(found.before.map(|event| event.time), Some(at(0)));
    assert_eq!(found.after.map(|event| event.position), Some(all[1].position));
    assert_eq!((found.previous_bucket, found.next_bucket.clone()), (None, found.next_burst));
    assert_eq!(found.next_bucket.map(|bucket| (bucket.from, bucket.count)), Some((at(6 * hour), 20)));
    let found = near(When::At(at(7 * hour))).await;
    assert_eq!((found.after, found.next_bucket, found.next_burst), (None, None, None));
    assert_eq!(found.previous_burst.map(|bucket| bucket.count), Some(20));
    assert_eq!(found.before.map(|event| event.time), Some(at(6 * hour + 19)));
    assert_eq!(near(When::First).await.at, at(0));
    let missing = remote.near(&log("nowhere"), &NearRequest { at: When::Now }).await;
    assert_eq!(missing.expect_err("there is no such log").kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_sorted_by_what_the_logs_hold() {
    let service = service().await;
    let remote = service.remote().await;
    for (id, events, last) in [("a", 5, 100), ("b", 2, 300), ("c", 9, 200), ("d", 2, 300)] {
        write(&remote, id, (0..events).map(|number| last - number)).await;
    }
    let sorted = |sort, skip, limit| {
        let request = LogsRequest { sort, skip, limit, ..LogsRequest::default() };
        let remote = remote.clone();
        async move { remote.logs(&request).await.expect("the service replies") }
    };
    assert_eq!(ids(&sorted(LogsOrder::Last, 0, None).await), ["b", "d", "c", "a"]);
    assert_eq!(ids(&sorted(LogsOrder::Events, 0, None).await), ["c", "a", "b", "d"]);
    assert_eq!(ids(&sorted(LogsOrder::Bytes, 0, Some(2)).await), ["c", "a"]);
    let page = sorted(LogsOrder::Last, 1, Some(2)).await;
    assert_eq!((ids(&page), page.of, &page.next), (vec!["d", "c"], Some(4), &None));
    assert!(ids(&sorted(LogsOrder::Rate, 4, None).await).is_empty());

    // By ids, in their order; a strip of each on one axis.
    let strip = StripRequest { from: When::At(at(0)), to: When::At(at(600)), bins: 10 };
    let logs = ["d", "nowhere", "c"].map(log).to_vec();
    let request = LogsRequest { logs: Some(logs), strip: Some(strip), ..LogsRequest::default() };
    let reply = remote.logs(&request).await.expect("the service replies");
    assert_eq!((ids(&reply), &reply.gone), (vec!["d", "c"], &vec![log("nowhere")]));
    for listed in &reply.logs {
        let strip = listed.strip.as_ref().expect("it was asked for");
        assert_eq!((strip.counts.iter().sum::<u64>(), strip.counts.len()), (listed.events, 10));
        assert!(strip.exact, "bins of a minute are those of the index");
    }
    assert_eq!(reply.logs[0].strip.as_ref().map(|strip| &strip.counts[4..6]), Some(&[1, 1][..]));

    let both = LogsRequest { sort: LogsOrder::Last, changed_after: Some("x.1".to_owned()), ..LogsRequest::default() };
    let word = StripRequest { from: When::First, ..strip };
    let a_word = LogsRequest { strip: Some(word), ..LogsRequest::default() };
    let skip = LogsRequest { skip: 1, ..LogsRequest::default() };
    let after = LogsRequest { sort: LogsOrder::Last, after: Some(log("a")), ..LogsRequest::default() };
    for wrong in [both, a_word, skip, after] {
        assert_eq!(remote.logs(&wrong).await.expect_err("it is wrong").kind(), ErrorKind::Invalid, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_brought_up_to_date_at_the_cost_of_what_has_changed() {
    let service = service().await;
    let remote = service.remote().await;
    let messages = (0..300).map(|number| (format!("log.quiet.{number}"), "x".to_owned()));
    publish_all(&service.jetstream().await, messages).await;
    let mark = archived(&remote).await.mark.expect("each reply has one");
    let changed = |mark: &str| {
        let request = LogsRequest { changed_after: Some(mark.to_owned()), ..LogsRequest::default() };
        let remote = remote.clone();
        async move { remote.logs(&request).await.expect("the service replies") }
    };
    let none = changed(&mark).await;
    assert!(ids(&none).is_empty() && !none.is_mark_unknown, "{none:?}");
    write(&remote, "quiet.7", [0]).await;
    write(&remote, "new", [0, 1]).await;
    write(&remote, "quiet.7", [1]).await;
    remote.delete(&log("quiet.9"), &hourlog::wire::DeleteRequest::default()).await.expect("it is deleted");
    let some = changed(&mark).await;
    assert_eq!((ids(&some), &some.gone), (vec!["new", "quiet.7"], &vec![log("quiet.9")]));
    assert_eq!(some.logs.iter().map(|listed| listed.events).collect::<Vec<_>>(), [2, 3]);
    assert!(ids(&changed(some.mark.as_deref().expect("each reply has one")).await).is_empty());
    assert!(changed("another-run.7").await.is_mark_unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_events_of_many_logs_are_those_below_the_prefix() {
    let service = service().await;
    let remote = service.remote().await;
    for id in ["app", "app.a", "app.b", "apple"] {
        write(&remote, id, 0..4).await;
    }
    let large = Record::new(vec![b'x'; 300_000]).at(at(9));
    remote.log(&log("app.b")).await.expect("a handle").write(large).await.expect("it is written");
    let ask = |prefix: Option<&str>, request: NewestRequest| {
        let (remote, prefix) = (remote.clone(), prefix.map(log));
        async move { remote.newest(prefix.as_ref(), &request).await }
    };
    let reply = ask(Some("app"), NewestRequest { limit: Some(3), ..NewestRequest::default() }).await.expect("a reply");
    let found: Vec<_> = reply.logs.iter().map(|newest| (newest.log.as_str(), newest.events.len())).collect();
    assert_eq!(found, [("app", 3), ("app.a", 3), ("app.b", 1)], "a large event leaves no room for others");
    assert_eq!(reply.logs[0].events.iter().map(|event| event.data.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    let large = &reply.logs[2].events[0];
    assert_eq!((large.bytes, large.data.len(), large.time), (300_000, 1_024, at(9)));

    let named = |logs: &[&str]| NewestRequest {
        logs: Some(logs.iter().map(|id| log(id)).collect()),
        ..NewestRequest::default()
    };
    let reply = ask(None, named(&["nowhere", "apple"])).await.expect("a reply");
    assert_eq!(reply.logs.iter().map(|newest| newest.events.len()).collect::<Vec<_>>(), [0, 1]);
    for (prefix, logs) in [("app", ["app.a", "apple"]), ("app.a", ["app.a", "app"])] {
        let error = ask(Some(prefix), named(&logs)).await.expect_err("one is not below the prefix");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}
