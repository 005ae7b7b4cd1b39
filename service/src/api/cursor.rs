//! `cursor`: the durable cursors of readers, kept in the archive beside their log.

use hourlog::{
    ArrivalCursor, Error, ErrorKind, LogId, Result, Seq,
    store::{CursorChange, Store, Write},
    wire::{
        CURSORS_MAX, CursorName, CursorReply, CursorRequest, CursorsReply, DeleteCursorReply, EmptyRequest,
        NamedCursor, SetCursorReply, SetCursorRequest,
    },
};

use super::{Api, Reply, Request, moved};

pub(super) async fn get<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let CursorRequest { name } = request.body()?;
    check_exists(api, log).await?;
    let cursor = api.store.cursor(log, name.as_str()).await?;
    Reply::json(&CursorReply { log: log.clone(), name, cursor })
}

pub(super) async fn list<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let EmptyRequest {} = request.body()?;
    check_exists(api, log).await?;
    let named = |(name, cursor): (String, ArrivalCursor)| Ok(NamedCursor { name: name.parse()?, cursor });
    let cursors = api.store.cursors(log).await?.into_iter().map(named).collect::<Result<_>>()?;
    Reply::json(&CursorsReply { log: log.clone(), cursors })
}

pub(super) async fn set<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let SetCursorRequest { name, cursor, force } = request.body()?;
    check_exists(api, log).await?;
    if api.store.cursor(log, name.as_str()).await?.is_none() {
        let count = api.store.cursors(log).await?.len();
        if count >= CURSORS_MAX {
            let context = format!(
                "log {log} has {count} cursors, and {CURSORS_MAX} is the limit; delete one that no reader uses"
            );
            return Err(Error::new(ErrorKind::Refused, context));
        }
    }
    // A reader that was at work while the archive was set back.
    let cursor = moved::moved(api, log, cursor).await?.map_or(cursor, |moved| moved.resolved);
    // A cursor that is a time has no seq by which it could be ahead of the stored one.
    let resets = force || cursor.seq == Seq::ZERO;
    let change = if resets { CursorChange::Reset(cursor) } else { CursorChange::Advance(cursor) };
    write(api, log, &name, change).await?;
    // If another reader has moved or deleted it since, the reply tells what is stored now.
    let now = api.store.cursor(log, name.as_str()).await?.unwrap_or(cursor);
    Reply::json(&SetCursorReply { log: log.clone(), name, cursor: now, stored: now == cursor })
}

pub(super) async fn delete<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let CursorRequest { name } = request.body()?;
    check_exists(api, log).await?;
    let deleted = api.store.cursor(log, name.as_str()).await?.is_some();
    if deleted {
        write(api, log, &name, CursorChange::Delete).await?;
        tracing::info!(%log, %name, "cursor deleted");
    }
    Reply::json(&DeleteCursorReply { log: log.clone(), name, deleted })
}

async fn write<S: Store>(api: &Api<S>, log: &LogId, name: &CursorName, change: CursorChange) -> Result<()> {
    api.store.write(vec![Write::Cursor { log: log.clone(), name: name.to_string(), change }]).await
}

/// Returns an error if `log` does not exist: a cursor does not create one.
async fn check_exists<S: Store>(api: &Api<S>, log: &LogId) -> Result<()> {
    match api.store.log(log).await? {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::NotFound, format!("no log {log}; its first event creates it"))),
    }
}
