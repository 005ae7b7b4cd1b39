//! `replay`: sends the events of logs to subjects again, at the pace of their times.
//!
//! - `target`: the subject of an event. `capture`: the stream that stores it. `sender`: how it is sent.
//! - `place`: how far it has come. `dry_run`: what would be sent.

mod capture;
mod dry_run;
mod place;
mod sender;
mod target;

use std::{num::NonZeroU32, path::PathBuf, pin::Pin};

use clap::Args;
use futures_util::{Stream, StreamExt, TryStreamExt};
use hourlog::{
    Event, LogId, Player,
    pace::Speed,
    wire::{MergedPosition, Span, TimelineRequest, When},
};
use indicatif::ProgressBar;

use crate::{
    connect::Denials,
    exit::Failure,
    output::counted,
    progress::{Templates, progress_bar},
    session::Session,
    when::{self, Moment},
};

use super::{
    conditions::Conditions,
    rate::Rate,
    read::{LOGS_MAX, LogName, Merged, Names, Range, tell_expired},
};

use capture::Capture;
use place::Reached;
use sender::Sender;
use target::Target;

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

/// The events in the order of their times.
type Events = Pin<Box<dyn Stream<Item = hourlog::Result<Event>> + Send>>;

/// The time at which the next event is sent.
enum Pacing {
    /// In proportion to the times of the events.
    Times(Box<Player<Events>>),
    Rate(Events, Rate),
    AtOnce(Events),
}

impl Pacing {
    /// Waits until the next event is due. A call that is dropped loses nothing.
    async fn next(&mut self) -> hourlog::Result<Option<Event>> {
        match self {
            Self::Times(player) => player.next().await,
            Self::Rate(events, rate) => {
                rate.wait().await;
                let event = events.try_next().await?;
                rate.sent(1);
                Ok(event)
            }
            Self::AtOnce(events) => events.try_next().await,
        }
    }
}

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
        let capture = Capture::find(session, &connection, &target, &found.logs).await?;
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
        let sender = match &capture {
            Capture::Nothing => Sender::plain(session, &connection).await?,
            Capture::Stream(_) | Capture::Logs(_) => Sender::acknowledged(session, &connection, self.into_log),
        };
        let total = self.total(session, names.only_log(), &range).await;
        let mut run = Run {
            session,
            target,
            sender,
            reached: Reached::begin(session, typed, self.resume.clone(), range.after)?,
            last: None,
            bar: progress_bar(&session.out, total, PROGRESS),
        };
        run.all(self.pacing(events)).await
    }

    fn pacing(&self, events: Events) -> Pacing {
        match (self.rate, self.as_fast_as_possible) {
            (Some(rate), _) => Pacing::Rate(events, Rate::new(rate)),
            (None, true) => Pacing::AtOnce(events),
            (None, false) => {
                let player = Player::new(events, self.speed);
                Pacing::Times(Box::new(match self.max_gap {
                    Some(gap) => player.with_gap_max(gap.duration()),
                    None => player,
                }))
            }
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

/// A replay that is under way.
struct Run<'a> {
    session: &'a Session,
    target: Target,
    sender: Sender<'a>,
    reached: Reached,
    /// The last event that was sent.
    last: Option<Event>,
    bar: ProgressBar,
}

impl Run<'_> {
    /// Sends all events.
    async fn all(&mut self, mut pacing: Pacing) -> Result<(), Failure> {
        loop {
            let next = match self.sender.confirmation_due() {
                Some(due) => match tokio::time::timeout_at(due, pacing.next()).await {
                    Ok(next) => next?,
                    Err(_) => {
                        self.confirm().await?;
                        continue;
                    }
                },
                None => pacing.next().await?,
            };
            let Some(event) = next else { break };
            let subject = self.target.subject(&event.log)?;
            self.sender.send(&event, subject).await?;
            self.bar.inc(1);
            self.last = Some(event);
            if self.sender.is_confirmation_due() {
                self.confirm().await?;
            }
        }
        self.confirm().await?;
        self.bar.finish_and_clear();
        let sent = counted(self.sender.confirmed(), "event");
        self.session.out.note(&format!("sent {sent}"));
        Ok(())
    }

    /// Waits until all that was sent has arrived, and notes its place.
    async fn confirm(&mut self) -> Result<(), Failure> {
        let Some(last) = &self.last else { return Ok(()) };
        self.sender.confirm(last).await?;
        self.bar.set_message(when::show(last.position.offset, &self.session.zone));
        self.reached.set(MergedPosition { position: last.position, log: last.log.clone() })
    }
}
