//! `replay`: an answer of one page, or of several that follow each other. The next one is read while one is on its way.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::join;
use hourlog::{
    LogId, Result,
    store::Store,
    wire::{PAGES_MAX, ReplayRequest},
};

use super::{
    Api, Reply, Request,
    replay::{self, Below},
    reply::at_least_one,
};

/// Answers with as many pages as the request wants. Sends all of them but the last one, which it returns.
pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let mut requested: ReplayRequest = request.body()?;
    let pages = at_least_one("pages", requested.pages)?.unwrap_or(1).min(PAGES_MAX);
    let (mut reply, mut rest) = replay::page(api, log, request, requested.clone()).await?;
    for _ in 1..pages {
        let Some(next) = rest else { break };
        // The first page has waited, and said how it begins.
        requested = ReplayRequest { wait: None, fresh: false, seek: false, ..requested.after_page(next) };
        request.has_replied.store(true, Relaxed);
        let sent = api.respond(&request.message, Ok(Reply { is_followed: true, ..reply }), true);
        let (page, ()) = join(replay::page(api, log, request, requested.clone()), sent).await;
        (reply, rest) = page?;
    }
    Ok(reply)
}

/// Answers for a log that `instance` writes, with as many pages as the request wants and the stored checkpoint of that
/// instance covers. Returns `None` if it does not cover the first one.
///
/// # Errors
/// Those of a page.
pub(super) async fn answer_below<S: Store>(
    api: &Api<S>,
    log: &LogId,
    request: &Request,
    instance: &str,
) -> Result<Option<Reply>> {
    if !api.health.has_let_go(log.slot()) {
        return Ok(None);
    }
    let mut requested: ReplayRequest = request.body()?;
    let Some(below) = Below::new(api, log, instance, &requested).await? else { return Ok(None) };
    let pages = at_least_one("pages", requested.pages)?.unwrap_or(1).min(PAGES_MAX);
    let Some((mut reply, mut rest)) = below.page(request, &requested).await? else { return Ok(None) };
    for _ in 1..pages {
        let Some(next) = rest else { break };
        requested = ReplayRequest { wait: None, ..requested.after_page(next) };
        let Some((page, after)) = below.page(request, &requested).await? else { break };
        request.has_replied.store(true, Relaxed);
        api.respond(&request.message, Ok(Reply { is_followed: true, ..reply }), true).await;
        (reply, rest) = (page, after);
    }
    Ok(Some(reply))
}
