//! The output of `read`: the data as it is, formats of the user, JSON data, and counts.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_one_event_is_exactly_the_file() {
    let stage = Stage::open().await;
    let photo = [&b"\xff\xd8\xff\xe0\0\x10JFIF\r\n"[..], &[b'\n'; 3]].concat();
    stage.run_with("pub photos.door - -q", &b"before"[..]).await;
    stage.run_with("pub photos.door - -q", photo.clone()).await;
    for args in ["--tail 1", "--reverse --limit 1", "--tail 1 --delimiter none", "--since last -n"] {
        let read = stage.run(&format!("read photos.door -o raw {args}")).await;
        assert_eq!((read.code, &read.stdout), (Some(0), &photo), "{args}: {}", read.stderr);
    }
    // An event without data, or none at all, is an empty file.
    stage.run("pub photos.empty '' -q -H kind:none --at 2018-02-04").await;
    stage.check("read photos.empty -o raw --tail 1", "").await;
    stage.check("read photos.door -o raw --tail 0", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_apart_by_a_delimiter() {
    let stage = Stage::open().await;
    stage.run_with("pub lines - --lines -q", &b"a\nb c\n"[..]).await;
    for (args, expected) in [
        ("", &b"a\nb c\n"[..]),
        ("--delimiter newline", b"a\nb c\n"),
        ("--delimiter nul", b"a\0b c\0"),
        ("-D none", b"ab c"),
        ("-n", b"ab c"),
        ("-D '\\n--\\n'", b"a\n--\nb c\n--\n"),
        ("-D '\\x1e' --tail 1", b"b c\x1e"),
        ("--tail 2", b"a\nb c\n"),
        ("--tail 5 --limit 1 -D newline", b"a\n"),
    ] {
        let read = stage.run(&format!("read lines -o raw {args}")).await;
        assert_eq!(String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(expected), "{args}: {}", read.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_printed_in_a_format_of_the_user() {
    let stage = Stage::open().await;
    stage.run("pub orders.eu '{\"id\": 7}' -H kind:paid -H kind:twice --at 2018-02-04T21:56:42.5Z -q").await;
    stage.run("pub orders.us ü --at 2018-02-04T21:56:43Z -q").await;
    stage
        .check(
            "read 'orders.>' -o '%t %l %k{kind} %S %d\\n'",
            "2018-02-04T21:56:42.5Z orders.eu paid,twice 9 {\"id\": 7}\n2018-02-04T21:56:43Z orders.us  2 ü\n",
        )
        .await;
    stage.check("read orders.eu -o '%o\\t%m|%%'", "<n>\tkind=paid,twice|%").await;
    // Position and seq are those of JSON.
    let event = &json_lines(&stage.run("read orders.eu").await.stdout)[0];
    let formatted = stage.run("read orders.eu -o '%p %q %o %a'").await;
    let fields = ["position", "seq", "offset", "arrived"].map(|field| event[field].as_str().unwrap_or_default());
    assert_eq!(String::from_utf8_lossy(&formatted.stdout), fields.join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_json_is_a_value_on_request() {
    let stage = Stage::open().await;
    for data in ["{\"b\": 1.10,\n \"a\": [12345678901234567890123]}", "hello", "7"] {
        stage.run_with("pub orders - -q", data).await;
    }
    let read = stage.run("read orders --json-data").await;
    let text = String::from_utf8(read.stdout).expect("the output is UTF-8");
    let data: Vec<&str> = text.lines().map(|line| &line[line.find("\"data\"").expect("it has data")..]).collect();
    // The digits are those that were sent.
    assert_eq!(data, ["\"data\":{\"b\":1.10,\"a\":[12345678901234567890123]}}", "\"data\":\"hello\"}", "\"data\":7}"]);
    let array = stage.run("read orders --json-data -o json").await;
    let array: serde_json::Value = serde_json::from_slice(&array.stdout).expect("the output is JSON");
    assert_eq!(
        (&array[0]["data"]["b"], &array[1]["data"], &array[2]["data"]),
        (&1.1.into(), &"hello".into(), &7.into())
    );
    stage.check("read orders --json-data -o json --tail 0", "[]\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_the_number_of_lines_that_a_read_prints() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    for args in [
        "quakes.us",
        "'quakes.>'",
        "'quakes.*' --since 2018-02-04 --until '2018-02-05 12:30'",
        "quakes.us quakes.ci --reverse --limit 9",
        "'quakes.>' --tail 11",
        "quakes.us --since 2018-02-06 --tail 1000",
        "quakes.us --until last",
        "quakes.us --since last",
        "quakes.us --tail 0",
    ] {
        let lines = json_lines(&stage.run(&format!("read {args}")).await.stdout).len();
        for format in ["ndjson", "table", "raw", "csv", "%d"] {
            stage.check(&format!("read {args} -c -o {format}"), &format!("{lines}\n")).await;
        }
    }
    stage.check("read quakes.us -c", "168\n").await;
    stage.check("read quakes.us -c --until last", "168\n").await;
    stage.check("read 'quakes.>' --count", "1707\n").await;
}
