//! Events that lie ahead of now: what the user is told of those that a command leaves out.

use hourlog::wire::AheadReply;

use crate::{output::human_count, session::Session, when};

/// Tells the user of events that lie ahead of now, and the `option` that includes them.
pub(super) fn tell(session: &Session, ahead: Option<AheadReply>, option: &str) {
    if let Some(ahead) = ahead {
        session.out.note(&format!("{}, and are left out; {option} includes them", sentence(session, ahead)));
    }
}

/// Returns a sentence on events that lie ahead of now.
pub(super) fn sentence(session: &Session, ahead: AheadReply) -> String {
    let at_least = if ahead.at_least { "at least " } else { "" };
    let show = |offset| when::show_with_zone(offset, &session.zone);
    let (events, first, last) = (human_count(ahead.events), show(ahead.first), show(ahead.last));
    format!("{at_least}{events} events lie ahead of now, from {first} to {last}")
}
