//! `cursor`: shows, moves and deletes the durable cursors of readers.

use clap::{Args, Subcommand};
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, LogId, Remote,
    wire::{CursorName, CursorReply, SetCursorRequest},
};

use crate::{
    arrival::{arrival_at, newest_arrival},
    exit::Failure,
    output::{Align, TableColumn},
    session::Session,
    shell,
};

/// Show, move or delete the cursors that readers store with read --cursor
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog read orders.eu -f --cursor mailer
  hourlog cursor list orders.eu
  hourlog cursor get orders.eu mailer -o raw
  hourlog cursor set orders.eu mailer now
  hourlog cursor set orders.eu mailer first --force
  hourlog cursor delete orders.eu mailer")]
pub(super) struct CursorCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show where a reader is
    Get {
        /// Log id
        log: LogId,
        /// Name of the cursor
        name: CursorName,
    },
    /// Move a cursor, or create it; its reader must not run
    Set {
        /// Log id
        log: LogId,
        /// Name of the cursor: 1 to 64 of A-Z a-z 0-9 _ - .
        name: CursorName,
        /// Place to go on after: arrival cursor (a:…), position of an event, first (before the first event)
        /// or now (after everything that has arrived)
        #[arg(value_name = "CURSOR", allow_hyphen_values = true)]
        to: String,
        /// Also move it back
        #[arg(long)]
        force: bool,
    },
    /// List the cursors of a log
    List {
        /// Log id
        log: LogId,
    },
    /// Delete a cursor; the next reader of this name starts with the first event
    Delete {
        /// Log id
        log: LogId,
        /// Name of the cursor
        name: CursorName,
    },
}

const COLUMNS: [TableColumn; 3] =
    [TableColumn("cursor", Align::Left), TableColumn("name", Align::Id), TableColumn("log", Align::Id)];
const LIST_COLUMNS: [TableColumn; 2] = [TableColumn("name", Align::Id), TableColumn("cursor", Align::Left)];

impl CursorCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let remote = session.open().await?.remote;
        match self.action {
            Action::Get { log, name } => match remote.cursor(&log, &name).await? {
                Some(cursor) => show(session, log, name, cursor),
                None => Err(missing(&log, &name)),
            },
            Action::Set { log, name, to, force } => {
                let cursor = place(&remote, &log, &to).await?;
                let request = SetCursorRequest { name: name.clone(), cursor, force };
                let reply = remote.set_cursor(&log, &request).await?;
                if !reply.stored {
                    let context = format!(
                        "cursor {name} of {log} is at {}, after {cursor}; move it back with --force",
                        reply.cursor
                    );
                    return Err(Error::new(ErrorKind::Refused, context).into());
                }
                show(session, log, name, cursor)
            }
            Action::List { log } => {
                let mut table = session.out.table(&LIST_COLUMNS);
                for cursor in remote.cursors(&log).await? {
                    table.push(&cursor, || vec![cursor.name.to_string(), cursor.cursor.to_string()])?;
                }
                table.finish()
            }
            Action::Delete { log, name } => {
                if !remote.delete_cursor(&log, &name).await? {
                    return Err(missing(&log, &name));
                }
                session.out.note(&format!("deleted cursor {name} of {log}"));
                Ok(())
            }
        }
    }
}

/// Parses the place that a cursor is set to.
async fn place(remote: &Remote, log: &LogId, text: &str) -> Result<ArrivalCursor, Failure> {
    if text == "first" {
        return Ok(ArrivalCursor::FIRST);
    }
    if text == "now" {
        return Ok(newest_arrival(remote, log).await?.unwrap_or(ArrivalCursor::FIRST));
    }
    match text.parse().map_err(|error: Error| Failure::usage(format!("CURSOR: {error}; or first, or now")))? {
        Cursor::Arrival(cursor) => Ok(cursor),
        Cursor::Timeline(position) => arrival_at(remote, log, position).await,
    }
}

fn show(session: &Session, log: LogId, name: CursorName, cursor: ArrivalCursor) -> Result<(), Failure> {
    let cells = || vec![cursor.to_string(), name.to_string(), log.to_string()];
    let row = CursorReply { log: log.clone(), name: name.clone(), cursor: Some(cursor) };
    let mut table = session.out.table(&COLUMNS);
    table.push(&row, cells)?;
    table.finish()
}

fn missing(log: &LogId, name: &CursorName) -> Failure {
    let list = shell::command("cursor list", "", log, "");
    let context = format!("log {log} has no cursor {name}; {list} shows those it has");
    Error::new(ErrorKind::NotFound, context).into()
}
