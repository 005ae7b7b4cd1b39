//! `receipt`: tells how many messages of an import were stored, and how many were there already.

use hourlog::{
    Error, ErrorKind, Result,
    store::Store,
    wire::{ReceiptReply, ReceiptRequest, ReceiptToken},
};

use super::{Api, Reply, Request, fresh};

pub(super) async fn answer<S: Store>(api: &Api<S>, token: &str, request: &Request) -> Result<Reply> {
    let requested: ReceiptRequest = request.body()?;
    let token: ReceiptToken = token.parse()?;
    if requested.fresh {
        request.place.begin_wait()?;
    }
    // A source that has nothing to do with the receipt must not hold up the answer.
    let known = api.sources.iter().find(|source| source.receipts.get(&token).is_some());
    let asked: Vec<_> = known.map_or_else(|| api.sources.iter().collect(), |source| vec![source]);
    for source in asked {
        if requested.fresh {
            fresh::wait_until_fresh(api, &source.health).await?;
        }
        // Before the receipt, which has then counted everything up to here.
        let archived = *source.health.archived.borrow();
        if let Some(receipt) = source.receipts.get(&token) {
            return Reply::json(&ReceiptReply {
                receipt: token,
                stream: source.stream().to_string(),
                archived,
                new: receipt.new,
                known: receipt.known,
                rejected: receipt.rejected,
                rejected_log: source.rejected_log.clone(),
                reasons: receipt.reasons(),
            });
        }
    }
    let context = format!("no message of the receipt {token} is archived, or its last one is too long ago");
    Err(Error::new(ErrorKind::NotFound, context))
}
