//! Sending events to subjects again: what the command line and the console share.
//!
//! `target` is the subject of an event, `capture` the stream that stores it, `pacing` when it is sent, and `sender` how.

mod capture;
mod pacing;
mod sender;
mod target;

pub(crate) use self::sender::Sender;
pub use self::{
    capture::Capture,
    pacing::{Events, Pacing},
    target::Target,
};

use hourlog::{Error, Event};

use crate::exit::Failure;

/// A step of a replay.
#[derive(Debug)]
pub enum Step<'a> {
    /// An event was sent. It is not known yet whether it has arrived.
    Sent,
    /// An event cannot be sent, and this is why.
    Refused(&'a Event, Error),
    /// So many events have certainly been sent, and this is the last one of them.
    Confirmed(u64, &'a Event),
}

/// Sends all events, and reports each step. An error of `report` ends the replay. Returns the number of events that were
/// certainly sent.
pub(crate) async fn send_all(
    mut pacing: Pacing<'_>,
    target: &Target,
    sender: &mut Sender<'_>,
    mut report: impl FnMut(Step<'_>) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut last: Option<Event> = None;
    loop {
        let next = match sender.confirmation_due() {
            Some(due) => match tokio::time::timeout_at(due, pacing.next()).await {
                Ok(next) => next?,
                Err(_) => {
                    confirm(sender, last.as_ref(), &mut report).await?;
                    continue;
                }
            },
            None => pacing.next().await?,
        };
        let Some(event) = next else { break };
        match sender.message(&event, target.subject(&event.log)?) {
            Ok(message) => sender.send(&event, message).await?,
            Err(error) => {
                report(Step::Refused(&event, error))?;
                continue;
            }
        }
        report(Step::Sent)?;
        last = Some(event);
        if sender.is_confirmation_due() {
            confirm(sender, last.as_ref(), &mut report).await?;
        }
    }
    confirm(sender, last.as_ref(), &mut report).await?;
    Ok(sender.confirmed())
}

/// Waits until all that was sent has arrived.
async fn confirm(
    sender: &mut Sender<'_>,
    last: Option<&Event>,
    report: &mut impl FnMut(Step<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(last) = last else { return Ok(()) };
    sender.confirm(last).await?;
    report(Step::Confirmed(sender.confirmed(), last))
}
