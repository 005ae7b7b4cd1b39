//! The metadata of events that are sent again, by an import or a replay.

use async_nats::header::{HeaderName, HeaderValue};
use hourlog::{LogId, Metadata, header};

/// Takes off the metadata of an event that it was replayed from `log`, where it is to be written: an import does not feed
/// itself, because it stores no event twice.
pub(crate) fn without_own_replays(metadata: &mut Metadata, log: &LogId) {
    for event in metadata.remove_any_case(header::REPLAY) {
        if event.rsplit_once('@').is_none_or(|(of, _)| of != log.as_str()) {
            metadata.push(header::REPLAY, event);
        }
    }
}

/// Returns the metadata of a rejected event without what cannot be sent again. It holds every header as it
/// was published: also those that were meant for the stream, and those for which it was rejected.
pub(crate) fn without_rejected_names(metadata: &Metadata) -> Metadata {
    let is_sendable =
        |name: &str, value: &str| name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
    let mut headers = Metadata::new();
    let has_stored_id = metadata.get_any_case(header::STORED_MSG_ID).next().is_some();
    for (name, values) in metadata.iter() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let name = if is(header::MSG_ID) && !has_stored_id {
            header::STORED_MSG_ID
        } else if is(header::TIME)
            || is(header::ONCE)
            || is(header::RECEIPT)
            || (header::is_nats(name) && !is(header::SUBJECT))
        {
            continue;
        } else {
            name
        };
        for value in values.iter().filter(|value| is_sendable(name, value)) {
            headers.push(name, value.as_str());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_imported_into_the_log_of_its_origin_is_no_replay() {
        let mut metadata: Metadata = [("hourlog-replay", "a@5-7"), ("Hourlog-Replay", "b@5-7")].into_iter().collect();
        without_own_replays(&mut metadata, &"a".parse().expect("a valid id"));
        assert_eq!(metadata.get(header::REPLAY), ["b@5-7"]);
    }
}
