//! Listing of logs, page by page.

use futures_util::{Stream, TryStreamExt, stream};
use hourlog::{
    Remote, Result,
    wire::{LogReply, LogsRequest},
};

/// Returns all logs that match `request`. Requests a page when the one before it is used up.
pub(super) fn logs(remote: &Remote, request: LogsRequest) -> impl Stream<Item = Result<LogReply>> {
    let pages = stream::try_unfold(Some(request), async move |request| {
        let Some(request) = request else { return Ok(None) };
        let reply = remote.logs(&request).await?;
        let next = reply.next.map(|next| LogsRequest { after: Some(next), ..request });
        Ok(Some((stream::iter(reply.logs.into_iter().map(Ok)), next)))
    });
    pages.try_flatten()
}

/// Returns true if the pattern asks for the system's own logs. Other patterns leave them out.
pub(super) fn names_system(pattern: &str) -> bool {
    pattern.starts_with('_')
}
