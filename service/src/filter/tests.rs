use hourlog::{ErrorKind, Offset, Position, Record, Seq};

use super::*;

fn event(record: Record) -> Event {
    let offset: Offset = "2018-02-04T21:56:42.5Z".parse().expect("a time");
    let position = Position { offset, seq: Seq::new(1, 42) };
    Event { log: "orders.eu".parse().expect("a valid id"), position, arrived: None, record }
}

fn order() -> Event {
    let data = r#"{"id":7,"total":12.5,"city":"M\u00fcnchen","paid":true,"items":[{"sku":"a-1","count":2},{"sku":"b-2","count":0}],"big":18446744073709551615,"none":null}"#;
    event(Record::new(data).with("kind", "created").with("kind", "copied").with("region", "eu"))
}

fn expression(source: &str) -> Result<Option<Filter>> {
    Filter::of(Parts { expression: Some(source), ..Parts::default() })
}

fn selects(source: &str, event: &Event) -> bool {
    expression(source).expect("a filter").expect("it is given").selects(event)
}

fn refusal(parts: Parts<'_>) -> String {
    let error = Filter::of(parts).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

fn refused(source: &str) -> String {
    refusal(Parts { expression: Some(source), ..Parts::default() })
}

#[test]
fn an_expression_selects_by_every_part_of_an_event() {
    for source in [
        r#"metadata["kind"] == "created""#,
        r#"metadata.kind == "created" && metadata.region != "us""#,
        r#""copied" in metadata.all("kind")"#,
        r#""kind" in metadata && has(metadata.region) && !has(metadata.nothing)"#,
        r#"data.contains("\"id\":7")"#,
        r#"data.icontains("PAID") && data.startsWith("{") && data.starts_with("{\"id") && data.endsWith("}")"#,
        r#"data.matches("\"id\":[0-9]+,")"#,
        "json.id == 7 && json.total > 12 && json.total < 13 && json.paid",
        r#"json.city == "München""#,
        "json.big == 18446744073709551615u && json.none == null",
        r#"json.items[0].sku == "a-1" && size(json.items) == 2"#,
        r#"json.items.exists(item, item.count > 1) && !json.items.all(item, item.count > 1)"#,
        "json.items.exists_one(item, item.count == 0)",
        r#"log == "orders.eu" && log.startsWith("orders.")"#,
        "offset == 1517781402500000000",
        r#"time > timestamp("2018-02-04T21:56:42Z") && time.getHours() == 21"#,
        "json.id in [1, 7] ? true : false",
        "type(json.id) == int",
    ] {
        assert!(selects(source, &order()), "{source}");
        assert!(!selects(&format!("!({source})"), &order()), "{source}");
    }
}

#[test]
fn an_event_on_which_an_expression_fails_is_not_selected() {
    for source in [
        "json.missing == 1",
        "json.missing != 1",
        "json.missing.below == 1",
        "json.city > 5",
        "json.items.exists(item, item.missing)",
        "json.items[9].sku == \"a\"",
        "metadata.missing == \"\"",
        "json.id / 0 == 1",
        "json.city",
        "data.contains(json.id)",
    ] {
        assert!(!selects(source, &order()), "{source}");
    }
    // One side decides, although the other one fails.
    assert!(selects("json.missing == 1 || json.id == 7", &order()));
    for data in [&b"\xff\x00"[..], b"", b"no json", b"[", b"\"text\""] {
        assert!(!selects("json.id == 7", &event(Record::new(data.to_vec()))), "{data:?}");
    }
    assert!(selects("size(data) == 2", &event(Record::new(vec![0xff, 0]))));
}

#[test]
fn a_text_is_found_as_it_is_written_and_as_it_is_meant() {
    let finds = |text: &str, data: &[u8]| {
        let filter =
            Filter::of(Parts { text: Some(text), ..Parts::default() }).expect("a filter").expect("it is given");
        filter.selects(&event(Record::new(data.to_vec())))
    };
    assert!(finds("München", "in München".as_bytes()));
    for data in [&br#"{"city":"M\u00fcnchen"}"#[..], br#"["x",{"M\u00fcnchen":1}]"#, br#""M\u00fcnchen""#] {
        assert!(finds("München", data) && finds("re:M[üu]nchen$", data));
        assert!(!finds("Munchen", data));
    }
    assert!(finds(r"\u00fc", br#"{"city":"M\u00fcnchen"}"#));
    assert!(finds("re:^a.c$", b"abc") && !finds("re:^a.c$", b"abcd") && finds("re:(?i)ABC", b"xabcx"));
    assert!(finds("re:x|re:", b"re:") && !finds("a", b""));
    assert!(finds("\u{0}", b"a\x00b") && finds("b", b"\xff\xfeb"));
    // A backslash in other data than JSON.
    assert!(!finds("ü", br"M\u00fcnchen"));
}

#[test]
fn a_header_is_one_of_the_values_of_a_name() {
    let finds = |header: &str| {
        let parts = Parts { header: Some(header), ..Parts::default() };
        Filter::of(parts).expect("a filter").expect("it is given").selects(&order())
    };
    assert!(finds("kind=created") && finds("kind=copied") && finds("kind") && finds("region=eu"));
    assert!(!finds("kind=creat") && !finds("Kind=created") && !finds("nothing") && !finds("region="));
    assert!(refusal(Parts { header: Some("=eu"), ..Parts::default() }).contains("name=value"));
}

#[test]
fn all_parts_must_be_passed_and_none_is_no_filter() {
    assert!(Filter::of(Parts::default()).expect("no filter is one").is_none());
    let parts = |id, text, header| Parts { expression: Some(id), text: Some(text), header: Some(header) };
    let selects = |parts| Filter::of(parts).expect("a filter").expect("it is given").selects(&order());
    assert!(selects(parts("json.id == 7", "München", "region=eu")));
    assert!(!selects(parts("json.id == 8", "München", "region=eu")));
    assert!(!selects(parts("json.id == 7", "Berlin", "region=eu")));
    assert!(!selects(parts("json.id == 7", "München", "region=us")));
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    for (source, said) in [
        ("jsn.id == 7", "in column 1: there is no name jsn; did you mean json?"),
        ("json.id == 7 && xyzzy", "in column 17: there is no name xyzzy; there are metadata, data"),
        ("data.contain(\"x\")", "there is no function contain; did you mean contains?"),
        ("json.id ==", "in column "),
        ("json.id == 7)", "in column 13: "),
        ("1 + 1", "this is neither true nor false"),
        ("json", "this is neither true nor false"),
        ("size(data)", "this is neither true nor false"),
        ("\"error\"", "this is neither true nor false"),
        ("[json.id]", "this is neither true nor false"),
        ("data.matches(\"(\")", "cannot be read: unclosed group"),
        ("data.matches(\"a{1000}{1000}\")", "becomes too large"),
        ("data.matches(data)", "needs a regular expression in quotes"),
        ("json.a.exists(x, json.b.exists(y, y == x))", "cannot be in another"),
        ("json.a.exists(x, data.contains(x))", "data cannot be used in a loop"),
        ("json.a.map(x, x + 1) == [1]", "use exists"),
        ("json.a.filter(x, x > 1) == [1]", "use exists"),
        ("Message{a: 1} == json", "messages cannot be made"),
        ("", "in column 1"),
    ] {
        let message = refused(source);
        assert!(message.contains("where: ") && message.contains(said), "{source}: {message}");
    }
    let additions = ["data"; 10].join(" + ") + " == data";
    assert!(refused(&additions).contains("more than 8 additions"));
    assert!(refusal(Parts { text: Some("re:("), ..Parts::default() }).contains("text: the regular expression"));
    assert!(refusal(Parts { text: Some(""), ..Parts::default() }).contains("text is empty"));
}

#[test]
fn an_expression_that_is_too_large_is_refused() {
    assert!(refused(&format!("data == \"{}\"", "x".repeat(4_096))).contains("too long"));
    for source in [
        "(".repeat(4_000),
        "(".repeat(2_000) + "true" + &")".repeat(2_000),
        "[".repeat(2_000) + &"]".repeat(2_000),
        "true && ".repeat(500) + "true",
        "true ? ".repeat(250) + "true" + &" : false".repeat(250),
        "json".to_owned() + &".a".repeat(2_000),
        "json".to_owned() + &"[0]".repeat(1_300),
        "a.exists(x, ".repeat(300) + "true" + &")".repeat(300),
        "{1: ".repeat(900),
        "\u{0}".repeat(4_000),
        "\"".repeat(4_001),
    ] {
        let message = refused(&source);
        assert!(message.starts_with("where"), "{message}");
    }
    // The parser makes one of them.
    assert!(selects(&("!".repeat(4_000) + "true"), &order()));
}
