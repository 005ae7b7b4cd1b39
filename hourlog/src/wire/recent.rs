//! The events of a log that arrived lately.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// Length of the windows in which the events that arrived lately are counted.
pub const RECENT_WINDOW_SECONDS: u32 = 5;
/// The most windows in a reply: together a minute.
pub const RECENT_WINDOWS_MAX: usize = 12;

/// The numbers of events that arrived in each of the last windows of five seconds, by JetStream's clock.
///
/// ```
/// use hourlog::wire::RecentReply;
/// let recent: RecentReply = serde_json::from_str(r#"{"to":"2018-02-04T10:00:20Z","counts":[0,3,0,1]}"#)?;
/// assert_eq!(recent.per_second(), Some(0.2)); // known for twenty seconds
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecentReply {
    /// The end of the last window, exclusive. Everything that arrived before it is archived.
    pub to: Offset,
    /// The counts, the oldest first: twelve, or fewer if the service counts for less than a minute. A service
    /// counts from its start.
    pub counts: Vec<u32>,
}

impl RecentReply {
    /// Returns the events per second in all windows; `None` if there are none.
    pub fn per_second(&self) -> Option<f64> {
        let seconds = f64::from(RECENT_WINDOW_SECONDS) * self.counts.len() as f64;
        let events: u64 = self.counts.iter().copied().map(u64::from).sum();
        (seconds > 0.0).then(|| events as f64 / seconds)
    }
}
