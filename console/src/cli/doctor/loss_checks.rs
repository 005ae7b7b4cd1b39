//! Checks of what a stream and its archive have lost. The service keeps its losses, so that each is a
//! warning for some days, also after a restart.

use hourlog::{
    Offset,
    time::SECOND,
    wire::{MissingStatus, SourceStatus},
};

use crate::{
    cli::status::messages_are,
    output::{counted, human_count},
};

use super::finding::Finding;

/// Time for which a loss is a warning. After that, it is only mentioned: nobody would look at
/// doctor's result if it never became good again.
const WARN_NANOS: i64 = 7 * 86_400 * SECOND;

/// Judges the newest fork of the stream.
pub(super) fn fork(source: &SourceStatus, now: Offset) -> Finding {
    let Some(fork) = &source.fork else {
        return Finding::ok("fork", format!("{} has not reused any sequence", source.stream));
    };
    let begun = format!("at {} {} began to reuse sequences, from {} on", fork.at, source.stream, fork.from);
    match (&fork.missing, fork.lost) {
        (Some(missing), _) => {
            let lost = format!("{begun}; {} neither in it any more nor archived", messages_are(missing));
            judge("fork", lost, &advice(missing), Some(fork.at), now)
        }
        (None, Some((first, last))) => {
            let count = counted(last - first + 1, "lost message");
            Finding::ok("fork", format!("{begun}; nothing is lost: all {count} ({first}-{last}) are archived"))
        }
        (None, None) => Finding::ok("fork", format!("{begun}; no message that was read is lost")),
    }
}

/// Judges the newest start on an archive that was set back.
pub(super) fn set_back(source: &SourceStatus, now: Offset) -> Finding {
    let Some(set_back) = &source.set_back else {
        return Finding::ok(
            "set back",
            format!("the archive has every message before the first one of {}", source.stream),
        );
    };
    let missing = &set_back.missing;
    let found = format!(
        "at {} the archive was set back, or {} was purged: {} in neither",
        set_back.at,
        source.stream,
        messages_are(missing)
    );
    let advice = format!("if a newer copy of the archive exists, read its events from there; {}", advice(missing));
    judge("set back", found, &advice, Some(set_back.at), now)
}

/// Judges messages that left the stream, or were damaged in it, before they were archived.
pub(super) fn removed(source: &SourceStatus, now: Offset) -> Finding {
    let Some((first, last)) = source.removed else {
        return Finding::ok("removed", format!("{} has lost no message before it was archived", source.stream));
    };
    let mut found = if first == last {
        format!("message {} is missing in the stream {}", human_count(first), source.stream)
    } else {
        format!("messages {}–{} are missing in the stream {}", human_count(first), human_count(last), source.stream)
    };
    if source.gaps > 1 {
        let (messages, gaps) = (counted(source.removed_messages, "message"), counted(source.gaps, "gap"));
        found.push_str(&format!("; with older ones {messages} in {gaps}"));
    }
    let advice = "publish them again; check the disk of nats-server, and let only hourlogd purge the stream";
    judge("removed", found, advice, source.removed_at, now)
}

/// Returns a warning about a loss at `at`, or a mention of one that is long ago.
fn judge(check: &'static str, found: String, advice: &str, at: Option<Offset>, now: Offset) -> Finding {
    if at.is_some_and(|at| at.saturating_add_nanos(WARN_NANOS) < now) {
        Finding::ok(check, found)
    } else {
        Finding::warn(check, found, advice)
    }
}

/// Returns the remedy for missing messages: only these may be published again.
fn advice(missing: &MissingStatus) -> String {
    let MissingStatus { first, last, messages, exact } = *missing;
    if exact && first == last {
        format!("publish message {first} again, and no other")
    } else if exact && messages == last - first + 1 {
        format!("publish messages {first}-{last} again, and no others")
    } else {
        format!(
            "compare what was published as messages {first}-{last} with the archive, and publish again only what it lacks"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Severity;
    use hourlog::wire::SetBackStatus;
    use serde_json::json;

    fn source(changes: serde_json::Value) -> SourceStatus {
        let mut source = json!({
            "stream":"HOURLOG","kind":"wal","reading":{"ok":true},"settings":{"ok":true},"answering":{"ok":true},
            "storing":{"ok":true},"progress":{"ok":true},"lag_messages":0,"lag_seconds":0.0,"published":7,"archived":7,"stored":7,"catching_up":0,"messages":7,"bytes":700,
            "removed_messages":0,
        });
        for (name, value) in changes.as_object().expect("the changes are fields") {
            source[name] = value.clone();
        }
        serde_json::from_value(source).expect("the source is valid")
    }

    fn at(text: &str) -> Offset {
        text.parse().expect("the time is valid")
    }

    #[track_caller]
    fn check(finding: &Finding, state: Severity, found: &str, advice: &str) {
        assert_eq!((finding.state, finding.advice.as_str()), (state, advice), "{finding:?}");
        assert!(finding.found.contains(found), "{finding:?}");
    }

    #[test]
    fn after_a_fork_only_what_is_missing_is_to_be_published_again() {
        let now = at("2018-02-04T11:00:00Z");
        for (lost, missing, state, found, advice) in [
            (json!(null), json!(null), Severity::Ok, "no message that was read is lost", ""),
            (
                json!([101, 150]),
                json!(null),
                Severity::Ok,
                "nothing is lost: all 50 lost messages (101-150) are archived",
                "",
            ),
            (
                json!([101, 150]),
                json!({"first":121,"last":150,"messages":30,"exact":true}),
                Severity::Warn,
                "messages 121-150 are neither in it any more nor archived",
                "publish messages 121-150 again, and no others",
            ),
            (
                json!([101, 150]),
                json!({"first":121,"last":150,"messages":7,"exact":true}),
                Severity::Warn,
                "7 of the messages 121-150 are neither",
                "compare what was published as messages 121-150 with the archive, and publish again only what it lacks",
            ),
        ] {
            let fork = json!({"at":"2018-02-04T10:00:00Z","from":101,"lost":lost,"missing":missing});
            let finding = super::fork(&source(json!({ "fork": fork })), now);
            check(&finding, state, found, advice);
        }
    }

    #[test]
    fn a_set_back_is_reported_with_its_range_for_a_week() {
        let mut source = source(json!({}));
        assert_eq!(set_back(&source, Offset::MIN).state, Severity::Ok);
        let missing = MissingStatus { first: 101, last: 699, messages: 599, exact: true };
        source.set_back = Some(SetBackStatus { at: at("2018-02-04T10:00:00Z"), missing });
        let found = "the archive was set back, or HOURLOG was purged: messages 101-699 are in neither";
        let advice = "if a newer copy of the archive exists, read its events from there; publish messages 101-699 again, and \
                      no others";
        check(&set_back(&source, at("2018-02-11T09:59:59Z")), Severity::Warn, found, advice);
        check(&set_back(&source, at("2018-02-11T10:00:01Z")), Severity::Ok, found, "");
    }

    #[test]
    fn removed_messages_are_reported_for_a_week() {
        let removed = source(json!({"removed_messages":5,"removed":[2,6],"removed_at":"2018-02-04T10:00:00Z"}));
        let judged = |now: &str| super::removed(&removed, at(now)).state;
        assert_eq!(judged("2018-02-05T10:00:00Z"), Severity::Warn);
        assert_eq!(judged("2018-02-12T10:00:00Z"), Severity::Ok);
        assert_eq!(super::removed(&source(json!({})), Offset::MIN).state, Severity::Ok);
    }
}
