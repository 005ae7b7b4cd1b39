//! The ways out of the console: events to files, and to subjects again.

use hourlog::LogId;

use crate::{
    exit::Failure,
    export::Writer,
    replay::{Capture, Pacing, Step, Target},
    tui::{excerpt::Excerpt, source::Source},
};

/// A source whose events can also leave the console.
pub trait Outlet: Source {
    /// Writes the events of one log of an excerpt, in the order of time, up to the newest one of now.
    fn export(
        &self,
        log: &LogId,
        excerpt: &Excerpt,
        writer: &mut Writer<'_>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Finds out what becomes of messages for the events of these logs, with a remark if that is not certain. Sends
    /// nothing.
    fn capture(
        &self,
        target: &Target,
        logs: &[LogId],
    ) -> impl Future<Output = Result<(Capture, Option<String>), Failure>> + Send;

    /// Sends events to their subjects when they are due, and reports each step.
    fn replay(
        &self,
        route: &Route,
        pacing: Pacing<'_>,
        report: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The way of the messages of a replay.
#[derive(Debug)]
pub struct Route {
    /// The subject of each event.
    pub target: Target,
    /// The fate of the messages.
    pub capture: Capture,
    /// They are to become new events of logs.
    pub is_into_log: bool,
}
