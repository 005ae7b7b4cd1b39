//! Reads of several logs, of logs that do not exist yet, and reads that are stopped.

use conformance::servers::{WAIT_MAX, archived};
use hourlog::{Offset, Position, time::SECOND};

use super::{cursors::Reader, *};

/// The logs of most tests. Sorted by id, `m.b` is in the middle.
const LOGS: [&str; 3] = ["m.a", "m.b", "m.c"];
/// Events of each log: several pages.
const EVENTS: i64 = 1_500;
/// Bytes of an event whose reader is interrupted: a log is many times what a pipe and buffers hold.
const EVENT_BYTES: usize = 2_000;

/// Writes events whose times interleave across the logs, some of them equal.
async fn write_logs(stage: &Stage, padding: usize) {
    let start: Offset = "2018-02-04T10:00:00Z".parse().expect("a valid time");
    for (index, id) in LOGS.iter().enumerate() {
        let record = |number: i64| {
            // Steps of 2, 3 and 5 seconds: every 30 seconds all three logs have an event.
            let time = start.saturating_add_nanos(number * [2, 3, 5][index] * SECOND);
            Record::new(format!("{id} {number} {:->padding$}", "")).at(time)
        };
        stage.log(id).await.write_many((0..EVENTS).map(record).collect()).await.expect("the events are written");
    }
}

/// The place of an event in the merged order.
fn key(event: &serde_json::Value) -> (Position, String) {
    let text = |field: &str| event[field].as_str().expect("it is text").to_owned();
    (text("position").parse().expect("a position"), text("log"))
}

async fn lines(stage: &Stage, args: &str) -> Vec<String> {
    let ended = stage.run(args).await;
    assert_eq!(ended.code, Some(0), "hourlog {args}\n{}", ended.stderr);
    String::from_utf8(ended.stdout).expect("the output is UTF-8").lines().map(str::to_owned).collect()
}

/// Returns the command that an interrupted one advises.
fn resume(stderr: &str) -> String {
    let line = stderr.lines().find_map(|line| line.strip_prefix("interrupted; resume with: hourlog ")).expect(stderr);
    line.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_logs_are_merged_by_time() {
    let stage = Stage::open().await;
    write_logs(&stage, 20).await;
    let events = json_lines(&stage.run("read 'm.>'").await.stdout);
    let keys: Vec<_> = events.iter().map(key).collect();
    assert_eq!(keys.len() as i64, 3 * EVENTS);
    assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]), "each event once, in order");

    // The same events whatever the way they are named, each once, and the same ones backwards.
    let all = lines(&stage, "read 'm.>'").await;
    assert_eq!(lines(&stage, "read m.c m.a m.b 'm.*' m.a").await, all);
    let mut backwards = lines(&stage, "read '*.*' --reverse").await;
    backwards.reverse();
    assert!(backwards == all, "a read backwards has the same events");
    for (args, expected) in [
        ("--limit 7", &all[..7]),
        ("--tail 7", &all[all.len() - 7..]),
        ("--tail 7 --limit 2", &all[all.len() - 7..all.len() - 5]),
        ("--until last --tail 1", &all[all.len() - 1..]),
        ("--since last", &all[all.len() - 1..]),
    ] {
        assert!(lines(&stage, &format!("read 'm.>' {args}")).await == expected, "{args}");
    }
    assert!(lines(&stage, "read 'm.>' --until last").await == all, "a range that ends with last includes it");
    assert!(lines(&stage, "read m.b --until last").await == lines(&stage, "read m.b").await);

    // A range has the events of its time. Its newest ones are the end of it.
    let (since, until) = ("2018-02-04T10:01:00Z", "2018-02-04T10:30:00Z");
    let in_range =
        |event: &&serde_json::Value| event["time"].as_str().is_some_and(|time| (since..until).contains(&time));
    let expected = events.iter().filter(in_range).count();
    let range = lines(&stage, &format!("read 'm.>' --since {since} --until {until}")).await;
    assert_eq!(range.len(), expected);
    let newest = lines(&stage, &format!("read 'm.>' --since {since} --until {until} --tail 40")).await;
    assert!(newest == range[range.len() - 40..], "the newest 40 since a time");
    let newest = lines(&stage, &format!("read m.a --since {since} --tail 1000000")).await;
    assert!(newest == lines(&stage, &format!("read m.a --since {since}")).await, "all since a time");

    // A table names the log of each event.
    let table = String::from_utf8(stage.run("read 'm.>' --limit 2 -o table").await.stdout).expect("it is UTF-8");
    let begin = "TIME (UTC)               LOG  DATA\n2018-02-04 10:00:00.000  m.a  m.a 0 -";
    assert!(table.starts_with(begin), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_select_the_same_events_whatever_the_way_they_are_read() {
    let stage = Stage::open().await;
    write_logs(&stage, 20).await;
    let all = lines(&stage, "read 'm.>'").await;
    let wanted: Vec<_> = all.iter().filter(|line| line.contains(" 99 -")).cloned().collect();
    assert_eq!(wanted.len(), LOGS.len());
    for condition in ["--grep ' 99 -'", "--grep 're: 9{2} '", r#"--where 'data.contains(" 99 -")'"#] {
        assert_eq!(lines(&stage, &format!("read 'm.>' {condition}")).await, wanted, "{condition}");
        assert_eq!(lines(&stage, &format!("read 'm.>' {condition} -c")).await, ["3"], "{condition}");
        assert_eq!(lines(&stage, &format!("read 'm.>' {condition} --tail 2")).await, wanted[1..], "{condition}");
        let two = format!("read 'm.>' {condition} --where 'log != \"m.b\"'");
        if !condition.starts_with("--where") {
            assert_eq!(lines(&stage, &two).await.len(), 2, "{condition}");
        }
    }
    assert_eq!(lines(&stage, "read m.b -f --since first --grep ' 99 -' --limit 1").await.len(), 1);
    assert!(lines(&stage, "read 'm.>' --header kind").await.is_empty());

    let refused = stage.run("read m.a --where 'jsn == 1'").await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("did you mean json?"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_logs_are_left_out_of_patterns_and_said() {
    let stage = Stage::open().await;
    let client = stage.remote().await.client().clone();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Hourlog-Time", "2200-01-01T00:00:00Z");
    let request = client.request_with_headers("log.a".to_owned(), headers, "bad".into());
    request.await.expect("the stream takes the message");
    stage.run("pub a good -q").await;
    archived(&stage.remote().await).await;
    let read = stage.run("read '>' -o raw").await;
    assert_eq!((read.code, read.stdout.as_slice()), (Some(0), &b"good\n"[..]), "{}", read.stderr);
    assert!(read.stderr.contains("left out of patterns: _rejected"), "{}", read.stderr);
    stage.check("read _rejected -o raw", "bad\n").await;
    let named = stage.run("read '>' _rejected -c").await;
    assert_eq!((named.stdout.as_slice(), named.stderr.as_str()), (&b"2\n"[..], ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_read_of_several_logs_goes_on_exactly() {
    let stage = Stage::open().await;
    write_logs(&stage, EVENT_BYTES).await;
    for (args, count) in [
        ("read 'm.>' -o raw", 700),
        ("read m.b m.a m.c --since 2018-02-04T10:05:00Z -o raw --reverse", 900),
        ("read 'm.>' -o raw --until last --limit 4000", 1_100),
        ("read m.b -o '%p %d\\n' --since 2018-02-04", 300),
        ("-o csv read 'm.>' --until '2018-02-04 12:00'", 500),
    ] {
        let whole = lines(&stage, args).await;
        let mut reader = Reader::start(&stage, args);
        let mut union = reader.take(count).await;
        reader.signal("-INT");
        let (rest, code, stderr) = reader.rest().await;
        assert_eq!(code, Some(130), "{args}: it was not interrupted in time\n{stderr}");
        union.extend(rest);
        assert!(union.len() < whole.len(), "{args}: it was not interrupted in time");
        let again = resume(&stderr);
        let continued = lines(&stage, &again).await;
        // The header of CSV is there in both.
        union.extend(continued.into_iter().skip(usize::from(args.contains("csv"))));
        assert!(union == whole, "{args}, then {again}: {} lines of {}", union.len(), whole.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_follower_of_several_logs_misses_and_repeats_nothing() {
    let stage = Stage::open().await;
    write_logs(&stage, EVENT_BYTES).await;
    let total = LOGS.len() as i64 * EVENTS;
    for (args, expected) in [("read 'm.>' -f -o raw", total), ("read 'm.>' nope -f --tail 30 -o raw", 30)] {
        let mut reader = Reader::start(&stage, args);
        let mut union = reader.take(expected.min(1_000) as usize).await;
        reader.signal("-INT");
        let (rest, code, stderr) = reader.rest().await;
        union.extend(rest);
        assert_eq!(code, Some(130), "{stderr}");
        let mut new: Vec<String> = Vec::new();
        for (number, id) in ["m.b", "m.new", "m.c", "m.b"].into_iter().enumerate() {
            let data = format!("new {number} {args}");
            stage.log(id).await.write(Record::new(data.as_str())).await.expect("the event is written");
            new.push(data);
        }
        let again = resume(&stderr);
        let left = expected as usize - union.len() + new.len();
        let mut continued = Reader::start(&stage, &format!("{again} --limit {left}"));
        let taken = tokio::time::timeout(WAIT_MAX, continued.take(left)).await;
        union.extend(taken.unwrap_or_else(|_| panic!("{again}: an event was missed")));
        assert_eq!(continued.rest().await.1, Some(0), "{again}");
        let added: Vec<&String> = union.iter().filter(|line| line.starts_with("new") && line.ends_with(args)).collect();
        assert_eq!(added.len(), new.len(), "{again}");
        let mut unique = union.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), union.len(), "{again}: an event was repeated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_resumes_says_all_that_was_typed() {
    let stage = Stage::open().await;
    write_logs(&stage, EVENT_BYTES).await;
    let url = stage.url.clone();
    let args = format!(
        "-s {url} --timeout 20s read m.a --since 2018-02-04 --until '2018-02-04 23:00' --limit 1400 -o raw -D '\\n' --tz \
         Europe/Oslo"
    );
    let mut reader = Reader::start(&stage, &args);
    reader.take(10).await;
    reader.signal("-TERM");
    let (rest, _, stderr) = reader.rest().await;
    let again = resume(&stderr);
    assert!(again.starts_with("read m.a "), "{again}");
    let options = words(&again).join(" ");
    for part in [
        format!("-s {url}"),
        "--timeout 20s".to_owned(),
        "--until 2018-02-04T22:00:00Z".to_owned(),
        "-D \\n".to_owned(),
        "-o raw".to_owned(),
        "--tz Europe/Oslo".to_owned(),
        format!("--limit {}", 1_400 - 10 - rest.len()),
    ] {
        assert!(options.contains(&part), "no {part} in {again}");
    }
    assert!(!options.contains("--since"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_takes_up_logs_that_appear_later() {
    let stage = Stage::open().await;
    let mut pattern = Reader::start(&stage, "read 'n.>' -f -o raw");
    let mut one = Reader::start(&stage, "read n.b -f --tail 0 -o raw");
    let mut waiting = Reader::start(&stage, "read n.b --wait -o raw");
    for (reader, note) in [
        (&mut pattern, "no log matches n.> yet; waiting"),
        (&mut one, "no log n.b yet; waiting"),
        (&mut waiting, "no log n.b yet; waiting"),
    ] {
        let told = reader.note().await;
        assert!(told.contains(note), "{told}");
    }
    // A read that waits for a new log prints all of its events.
    for (id, data) in [("n.a", "1"), ("n.b", "2"), ("n.a", "3")] {
        stage.log(id).await.write(Record::new(data)).await.expect("the event is written");
        assert_eq!(pattern.line().await.as_deref(), Some(data));
    }
    assert_eq!(one.line().await.as_deref(), Some("2"));
    assert_eq!(waiting.line().await.as_deref(), Some("2"));
    let (rest, code, stderr) = waiting.rest().await;
    assert_eq!((rest.len(), code), (0, Some(0)), "{stderr}");
    stage.log("n.b").await.write(Record::new("4")).await.expect("the event is written");
    assert_eq!(pattern.line().await.as_deref(), Some("4"));
    assert_eq!(one.line().await.as_deref(), Some("4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ends_when_nobody_reads_its_output() {
    let stage = Stage::open().await;
    stage.run("pub quiet.a 1 -q").await;
    for args in ["read quiet.a -f -o raw", "read 'quiet.>' -f -o raw", "read quiet.a -f --cursor mailer -o raw"] {
        let mut command = tokio::process::Command::from(stage.command(args));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("1"));
        drop(lines);
        // No further event arrives.
        let ended = tokio::time::timeout(WAIT_MAX, child.wait_with_output()).await.expect("the follower ends");
        let ended = ended.expect("the command ends");
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]), "{args}");
    }
    // It is before the log exists that nobody reads any more.
    let mut command = tokio::process::Command::from(stage.command("read later -f"));
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary can be started");
    drop(child.stdout.take());
    let ended = tokio::time::timeout(WAIT_MAX, child.wait()).await.expect("the follower ends");
    assert_eq!(ended.expect("the command ends").code(), Some(0));
}
