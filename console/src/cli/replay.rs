//! `replay`: sends the events of logs to subjects again, at the pace of their times.
//!
//! [`replay`](crate::replay) sends them. `place` is how far it has come, `dry_run` what would be sent.

mod dry_run;
mod place;

use std::{num::NonZeroU32, path::PathBuf};

use clap::Args;
use futures_util::StreamExt;
use hourlog::{
    Error, LogId,
    pace::Speed,
    wire::{MergedPosition, Span, TimelineRequest, When},
};

use crate::{
    connect::Denials,
    exit::Failure,
    output::counted,
    progress::{Templates, progress_bar},
    replay::{Capture, Events, Pacing, Sender, Step, Target, send_all},
    session::Session,
    when::{self, Moment},
};

use super::{
    conditions::Conditions,
    read::{LOGS_MAX, LogName, Merged, Names, Range, tell_expired},
};

use place::Reached;

/// Send the events of logs to subjects again, at the pace of their times
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog replay orders.eu --to test.orders --since 14:00 --until 14:10
  hourlog replay 'orders.>' --to 'test.>' --speed 60
  hourlog replay 'orders.>' --to 'test.>' --strip-prefix orders --rate 500
  hourlog replay orders.eu --to test.orders --as-fast-as-possible --dry-run
  hourlog replay orders.eu --to log.orders.copy --into-log
  hourlog replay 'app.>' --to 'test.>' --where 'json.level == \"error\"' --max-gap 5s --resume app.place

Each message has the headers and the data of its event, and Hourlog-Replay: LOG@POSITION. The events of several logs are
sent in one order, by time. A speed of 60 plays a minute in a second.

Where a stream stores the subject, each message waits for its acknowledgement, and has a new message id; that of the event
is in Hourlog-Msg-Id. Elsewhere, a message is lost if nobody subscribes. Ctrl-C prints the command that goes on; it may send the
events of the last second twice. Events that come in before the place meanwhile are not sent.

A subject that hourlog itself stores needs --into-log: each event becomes a new one, of now. An event that is sent to its
own log again, directly or by way of others, goes to _rejected.")]
pub(super) struct Replay {
    /// Log ids or patterns, such as orders.>; the events of several logs are merged by time
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<LogName>,
    /// Subject to send to; one that ends in .> has the id of each log there
    #[arg(long, value_name = "SUBJECT")]
    to: String,
    /// Leave this out at the beginning of each id: with orders, orders.eu is sent to SUBJECT.eu
    #[arg(long, value_name = "PREFIX")]
    strip_prefix: Option<LogId>,
    /// Start time, inclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Place to continue after, POSITION@LOG, as an interrupted replay prints it
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, conflicts_with = "since")]
    after: Option<MergedPosition>,
    /// File for the place that was reached; if it exists, go on there. It is for one command, with the same logs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["after", "dry_run"])]
    resume: Option<PathBuf>,
    /// How many seconds to play in one: 0.1 to 86400
    #[arg(long, value_name = "X", default_value = "1", conflicts_with_all = ["rate", "as_fast_as_possible"])]
    speed: Speed,
    /// The longest time to play a gap between two events, such as 5s
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["rate", "as_fast_as_possible"])]
    max_gap: Option<Span>,
    /// Send this many events a second, whatever their times
    #[arg(long, value_name = "N", conflicts_with = "as_fast_as_possible")]
    rate: Option<NonZeroU32>,
    /// Send the events one after the other, whatever their times
    #[arg(long)]
    as_fast_as_possible: bool,
    /// Send to a subject that hourlog stores: the events become new ones of the log that it names
    #[arg(long)]
    into_log: bool,
    /// Send nothing; print what would be sent to each subject
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    conditions: Conditions,
}

const PROGRESS: Templates = Templates {
    bar: "{bar:30} {human_pos} of {human_len} events  {msg}",
    spinner: "{spinner} {human_pos} events  {msg}",
};

impl Replay {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let target = Target::new(&self.to, self.strip_prefix.clone())?;
        let (since, until) = session.range(self.since.as_deref(), self.until.as_deref()).await?;
        let until = match until {
            Some(until) => until,
            None => Moment::At(session.now().saturating_add_nanos(session.service_ahead_nanos().await?)),
        };
        let connection = session.open().await?;
        let remote = connection.remote.clone();
        let names = Names::new(self.logs.clone());
        let found = names.find(&remote, LOGS_MAX).await?;
        found.tell_left_out(session);
        found.require_at_most(LOGS_MAX)?;
        found.require_matches()?;
        let (capture, remark) = Capture::find(&session.connect, &connection, &target, &found.logs).await?;
        if let Some(remark) = remark {
            session.out.note(&remark);
        }
        let stored = match &self.resume {
            Some(path) => place::read(path)?,
            None => None,
        };
        let range = Range {
            from: if stored.is_some() { None } else { when::lower_bound(since) },
            to: Some(When::from(until)),
            after: self.after.clone().or(stored),
            conditions: self.conditions.clone(),
            ..Range::default()
        };
        let (merged, opened) = Merged::open(&remote, &found.logs, &range).await?;
        if since.is_some() || range.after.is_some() {
            tell_expired(session, &opened, false);
        }
        let events = merged.events().boxed();
        if self.dry_run {
            return dry_run::print(session, &target, &capture, events).await;
        }
        capture.check(&self.to, self.into_log)?;
        let typed = session.typed.clone().with_times(since, Some(until));
        let denials = session.denials.clone();
        let mut sender = match &capture {
            Capture::Nothing => Sender::plain(&session.connect, denials, &connection).await?,
            Capture::Stream(_) | Capture::Logs(_) => {
                Sender::acknowledged(&session.connect, denials, &connection, self.into_log)
            }
        };
        let total = self.total(session, names.only_log(), &range).await;
        let reached = Reached::begin(session, typed, self.resume.clone(), range.after)?;
        let bar = progress_bar(&session.out, total, PROGRESS);
        let report = |step: Step<'_>| match step {
            Step::Sent => {
                bar.inc(1);
                Ok(())
            }
            Step::Refused(event, error) => {
                let place = MergedPosition { position: event.position, log: event.log.clone() };
                let context = format!("{error}; go on after it with --after {place}");
                Err(Error::new(error.kind(), context).into())
            }
            Step::Confirmed(_, last) => {
                bar.set_message(when::show(last.position.offset, &session.zone));
                reached.set(MergedPosition { position: last.position, log: last.log.clone() })
            }
        };
        let sent = send_all(self.pacing(events), &target, &mut sender, report).await?;
        bar.finish_and_clear();
        session.out.note(&format!("sent {}", counted(sent, "event")));
        Ok(())
    }

    fn pacing<'a>(&self, events: Events<'a>) -> Pacing<'a> {
        match (self.rate, self.as_fast_as_possible) {
            (Some(rate), _) => Pacing::rate(events, rate),
            (None, true) => Pacing::at_once(events),
            (None, false) => Pacing::times(events, self.speed, self.max_gap.map(Span::duration)),
        }
    }

    /// Returns the number of events to send, where the index knows it. It is only shown: a user who may not ask does without.
    async fn total(&self, session: &Session, log: Option<&LogId>, range: &Range) -> Option<u64> {
        let log = log.filter(|_| range.after.is_none() && self.conditions.are_empty() && !session.out.quiet())?;
        let request = TimelineRequest {
            from: range.from.or(Some(When::First)),
            to: range.to,
            bins: Some(1),
            ..TimelineRequest::default()
        };
        // A connection of its own, because a denial ends the command on the other one.
        let denials = Denials::default();
        let remote = session.connect.open(denials.clone()).await.ok()?.remote;
        let subject = remote.subjects().timeline(log);
        let reply = denials.unless(Some(&subject), remote.timeline(log, &request)).await.ok()?;
        (reply.edge == 0).then_some(reply.count)
    }
}
