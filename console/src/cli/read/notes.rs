//! Remarks on events that a read does not show.

use hourlog::{LogId, Offset, remote::RemotePage, wire::AheadReply};

use crate::{cli::ahead, output::counted, session::Session, when};

use super::merge::Opened;

/// Logs that are named before the others are only counted.
const NAMED_MAX: usize = 3;

/// Tells the user of events that lie ahead of now and are left out.
pub(super) fn tell_ahead(session: &Session, opened: &[Opened]) {
    let sum = opened.iter().filter_map(|log| log.ahead).reduce(|sum, next| AheadReply {
        events: sum.events + next.events,
        first: sum.first.min(next.first),
        last: sum.last.max(next.last),
        at_least: sum.at_least || next.at_least,
    });
    ahead::tell(session, sum, "--until end");
}

/// Tells the user of logs whose first events in the range were removed by retention or a purge, and where the read
/// begins instead.
pub(in crate::cli) fn tell_expired(session: &Session, opened: &[Opened], reverse: bool) {
    let expired: Vec<(&Opened, Offset)> = opened.iter().filter_map(|log| Some((log, log.expired?))).collect();
    for (log, before) in expired.iter().take(NAMED_MAX) {
        let first = log.first.map(|first| first.offset).filter(|_| !reverse);
        session.out.note(&expired_note(session, &log.log, *before, first));
    }
    if expired.len() > NAMED_MAX {
        let others = counted((expired.len() - NAMED_MAX) as u64, "more log");
        session.out.note(&format!("events of {others} in this range were removed, too"));
    }
}

/// Returns a sentence on the events of `log` before a time, which were removed.
pub(super) fn expired_note(session: &Session, log: &LogId, before: Offset, first: Option<Offset>) -> String {
    let before = when::show_with_zone(before, &session.zone);
    match first {
        Some(first) => {
            let first = when::show_with_zone(first, &session.zone);
            format!("events of {log} before {before} were removed; reading from {first}")
        }
        None => format!("events of {log} before {before} were removed"),
    }
}

/// Tells the user if the cursor was ahead of what is left after the archive was set back.
pub(super) fn tell_moved(session: &Session, page: &RemotePage) {
    if let Some(moved) = &page.moved {
        session.out.note(&moved.to_string());
    }
}
