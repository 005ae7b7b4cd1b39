//! `receipt`: tells how many messages of an import were stored, and how many were there already.

use futures_util::future::try_join_all;
use hourlog::{
    Error, ErrorKind, Result,
    store::Store,
    wire::{ReceiptReply, ReceiptRequest, ReceiptToken, RejectedCount},
};

use crate::{
    ownership::SlotSet,
    peers::{ANSWER_MAX, FRESH_ANSWER_MAX, Peers, ReceiptQuestion},
};

use super::{Api, Reply, Request, fresh};

pub(super) async fn answer<S: Store>(api: &Api<S>, token: &str, request: &Request) -> Result<Reply> {
    let requested: ReceiptRequest = request.body()?;
    let token: ReceiptToken = token.parse()?;
    if requested.fresh {
        request.place.begin_wait()?;
    }
    let assignment = api.health.ownership.assignment();
    let question = ReceiptQuestion { token, fresh: requested.fresh };
    let peers = Peers::new(&api.client, &api.settings.prefix);
    let limit = if requested.fresh { FRESH_ANSWER_MAX } else { ANSWER_MAX };
    let others = try_join_all(assignment.others.iter().map(|instance| peers.ask(instance, &question, limit))).await?;
    let parts = others.into_iter().chain([own(api, &question).await?]).flatten();
    let whole = parts.reduce(|whole, part| ReceiptReply {
        archived: whole.archived.min(part.archived),
        new: whole.new + part.new,
        known: whole.known + part.known,
        rejected: whole.rejected + part.rejected,
        reasons: added(whole.reasons, part.reasons),
        ..whole
    });
    let Some(whole) = whole else {
        let context = format!("no message of the receipt {token} is archived, or its last one is too long ago");
        return Err(Error::new(ErrorKind::NotFound, context));
    };
    Reply::json(&whole)
}

/// Adds the rejected events of two instances, by the beginnings of their reasons.
fn added(mut reasons: Vec<RejectedCount>, others: Vec<RejectedCount>) -> Vec<RejectedCount> {
    for other in others {
        match reasons.iter_mut().find(|reason| reason.reason == other.reason) {
            Some(reason) => reason.count += other.count,
            None => reasons.push(other),
        }
    }
    reasons.sort_unstable_by_key(|reason| reason.number);
    reasons
}

/// Returns the part of this instance in a receipt.
pub(super) async fn own<S: Store>(api: &Api<S>, question: &ReceiptQuestion) -> Result<Option<ReceiptReply>> {
    let (token, requested) = (question.token, question);
    // A source that has nothing to do with the receipt must not hold up the answer.
    let known = api.sources.iter().find(|source| source.receipts.get(&token).is_some());
    let asked: Vec<_> = known.map_or_else(|| api.sources.iter().collect(), |source| vec![source]);
    for source in asked {
        let health = std::slice::from_ref(&source.health);
        fresh::wait_for_takeover(&api.health.ownership, health, SlotSet::ALL).await?;
        if requested.fresh {
            fresh::wait_until_fresh(api, &source.health).await?;
        }
        // Before the receipt, which has then counted everything up to here.
        let archived = *source.health.archived.borrow();
        if let Some(receipt) = source.receipts.get(&token) {
            return Ok(Some(ReceiptReply {
                receipt: token,
                stream: source.stream().to_string(),
                archived,
                new: receipt.new,
                known: receipt.known,
                rejected: receipt.rejected,
                rejected_log: source.rejected_log.clone(),
                reasons: receipt.reasons(),
            }));
        }
    }
    Ok(None)
}
