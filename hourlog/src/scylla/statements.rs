//! The prepared statements. Ids and names from outside are always bound, never formatted in.

use scylla::{
    client::session::Session,
    statement::{Consistency, prepared::PreparedStatement},
};

use crate::Result;

use super::errors::request_error;

/// The most rows in one page of a read. Larger pages read faster and need more memory.
const PAGE_ROWS: i32 = 5_000;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $text:expr,)*) => {
        /// All statements.
        ///
        /// Each can be retried: it carries its own timestamp, or is a lightweight transaction.
        #[derive(Debug)]
        pub(super) struct Statements {
            $($(#[$doc])* pub(super) $name: PreparedStatement,)*
        }

        impl Statements {
            /// Prepares them in the database.
            pub(super) async fn prepare(session: &Session) -> Result<Self> {
                let prepare = async |text: &str| {
                    let prepared = session.prepare(text).await;
                    let mut prepared = prepared.map_err(|error| request_error("the database cannot prepare a statement of this version; check its tables", error))?;
                    prepared.set_is_idempotent(true);
                    prepared.set_page_size(PAGE_ROWS);
                    Ok::<_, crate::Error>(prepared)
                };
                let mut statements = Self { $($name: prepare($text).await?,)* };
                // These read what transactions decide, at any consistency of the session.
                for decided in [&mut statements.cursor, &mut statements.property] {
                    decided.set_consistency(Consistency::LocalSerial);
                }
                Ok(statements)
            }
        }
    };
}

statements! {
    add_event: "INSERT INTO events (log_id, hour_bucket, time, seq, arrived, metadata, data) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    add_arrivals: "INSERT INTO arrivals (log_id, hour_bucket, last_seq, first_seq, events) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
    add_era: "INSERT INTO eras (log_id, era) VALUES (?, ?) USING TIMESTAMP ?",
    set_bucket: "INSERT INTO buckets (log_id, era, hour_bucket, counts) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
    create_log: "UPDATE logs SET created = ?, widths = ?, retention_seconds = ?, removed = ?, settings_at = ? WHERE shard = ? AND log_id = ? IF created = null",
    create_new_log: "UPDATE logs SET created = ?, widths = ?, settings_at = ? WHERE shard = ? AND log_id = ? IF created = null AND deleted_to = null",
    set_settings: "UPDATE logs SET widths = ?, retention_seconds = ?, removed = ?, settings_at = ? WHERE shard = ? AND log_id = ? IF settings_at < ?",
    delete_log: "UPDATE logs SET created = null, widths = null, retention_seconds = null, removed = null, settings_at = null WHERE shard = ? AND log_id = ? IF created != null",
    delete_events: "DELETE FROM events USING TIMESTAMP ? WHERE log_id = ? AND hour_bucket = ?",
    delete_arrivals: "DELETE FROM arrivals USING TIMESTAMP ? WHERE log_id = ? AND hour_bucket = ?",
    delete_bucket: "DELETE FROM buckets USING TIMESTAMP ? WHERE log_id = ? AND era = ? AND hour_bucket = ?",
    delete_buckets: "DELETE FROM buckets USING TIMESTAMP ? WHERE log_id = ? AND era = ?",
    delete_eras: "DELETE FROM eras USING TIMESTAMP ? WHERE log_id = ?",
    set_deleted_to: "INSERT INTO logs (shard, log_id, deleted_to) VALUES (?, ?, ?) USING TIMESTAMP ?",
    set_source_checkpoint: "INSERT INTO sources (stream, slot, checkpoint) VALUES (?, ?, ?) USING TIMESTAMP ?",
    set_source_head: "INSERT INTO sources (stream, slot, head) VALUES (?, ?, ?) USING TIMESTAMP ?",
    begin_epoch: "INSERT INTO epochs (slot, epoch, stream, from_sequence, started) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
    create_cursor: "INSERT INTO cursors (log_id, name, time, seq) VALUES (?, ?, ?, ?) IF NOT EXISTS",
    advance_cursor: "UPDATE cursors SET time = ?, seq = ? WHERE log_id = ? AND name = ? IF seq <= ?",
    reset_cursor: "UPDATE cursors SET time = ?, seq = ? WHERE log_id = ? AND name = ? IF EXISTS",
    delete_cursor: "DELETE FROM cursors WHERE log_id = ? AND name = ? IF EXISTS",
    create_property: "INSERT INTO properties (name, value) VALUES (?, ?) IF NOT EXISTS",
    replace_property: "UPDATE properties SET value = ? WHERE name = ? IF value = ?",
    log: "SELECT created, widths, retention_seconds, removed, settings_at, deleted_to FROM logs WHERE shard = ? AND log_id = ?",
    some_logs: "SELECT log_id, created, widths, retention_seconds, removed, settings_at, deleted_to FROM logs WHERE shard = ? AND log_id IN ?",
    logs_after: "SELECT log_id, created, widths, retention_seconds, removed, settings_at, deleted_to FROM logs WHERE shard = ? AND log_id > ?",
    eras: "SELECT era FROM eras WHERE log_id = ?",
    some_buckets: "SELECT hour_bucket, counts FROM buckets WHERE log_id = ? AND era = ? AND hour_bucket IN ?",
    bucket_at: "SELECT hour_bucket FROM buckets WHERE log_id = ? AND era = ? AND hour_bucket <= ? ORDER BY hour_bucket DESC LIMIT 1",
    buckets: "SELECT hour_bucket, counts FROM buckets WHERE log_id = ? AND era = ? AND hour_bucket >= ? AND hour_bucket <= ? LIMIT ?",
    buckets_reverse: "SELECT hour_bucket, counts FROM buckets WHERE log_id = ? AND era = ? AND hour_bucket >= ? AND hour_bucket <= ? ORDER BY hour_bucket DESC LIMIT ?",
    events: "SELECT time, seq, arrived, metadata, data FROM events WHERE log_id = ? AND hour_bucket = ? AND (time, seq) >= (?, ?) AND (time, seq) <= (?, ?) LIMIT ?",
    events_reverse: "SELECT time, seq, arrived, metadata, data FROM events WHERE log_id = ? AND hour_bucket = ? AND (time, seq) >= (?, ?) AND (time, seq) <= (?, ?) ORDER BY time DESC, seq DESC LIMIT ?",
    some_events: "SELECT time, seq, arrived, metadata, data FROM events WHERE log_id = ? AND hour_bucket = ? AND (time, seq) IN ?",
    arrivals: "SELECT events FROM arrivals WHERE log_id = ? AND hour_bucket = ? AND last_seq > ?",
    sources: "SELECT slot, checkpoint, head FROM sources WHERE stream = ?",
    epochs: "SELECT epoch, stream, from_sequence, started FROM epochs WHERE slot = ?",
    cursor: "SELECT time, seq FROM cursors WHERE log_id = ? AND name = ?",
    cursors: "SELECT name, time, seq FROM cursors WHERE log_id = ?",
    property: "SELECT value FROM properties WHERE name = ?",
}
