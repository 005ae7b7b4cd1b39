//! The row of a log, as its jobs read and change it.

use hourlog::{
    Error, ErrorKind, Result, Seq,
    store::{LogRow, Store, Write, newest_seq},
};
use tokio::sync::oneshot;

use super::LogArgs;

/// The receiver of a job's result.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

impl<S: Store> LogArgs<S> {
    /// Returns the row of the log.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the log does not exist, and the store's error.
    pub(super) async fn known_row(&self) -> Result<LogRow> {
        let row = self.store.log(&self.id).await?;
        row.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no log {}; hourlog ls lists the logs", self.id)))
    }

    /// Replaces the settings of the log.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if another instance did so at the same time, and the store's error.
    pub(super) async fn change_settings(&self, row: LogRow) -> Result<()> {
        let row = row.with_next_settings(newest_seq(&self.store, &self.id).await?);
        let wanted = row.settings_at;
        self.store.write(vec![Write::Settings(self.id.clone(), row)]).await?;
        let stored = self.store.log(&self.id).await?.map(|row| row.settings_at);
        if stored != Some(wanted) {
            let context = format!("another instance has changed log {} at the same time; try again", self.id);
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        Ok(())
    }

    /// Returns the stored checkpoint of the log's source, up to which everything is archived.
    ///
    /// # Errors
    /// The store's error.
    pub(super) async fn stored_checkpoint(&self) -> Result<Seq> {
        let sources = self.store.sources(self.source.stream()).await?;
        let own = sources.iter().find(|(slot, _)| *slot == self.id.slot());
        Ok(own.map_or(Seq::ZERO, |(_, row)| row.checkpoint))
    }
}
