//! `admin requeue`: sends rejected events to their logs again.

use clap::Args;
use hourlog::{
    LogId,
    wire::{RequeueReply, RequeueRequest, When},
};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, counted},
    session::Session,
    when::Moment,
};

/// Send rejected events to their logs again, once the cause is mended
///
/// Doing it twice adds nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin requeue _rejected --since 1h --dry-run
  hourlog admin requeue _rejected --since 1h
  hourlog admin requeue _rejected --since 2018-02-04 --log repaired

Each event is sent on its own subject with its own headers, without those of NATS, and keeps its time: its
Hourlog-Time, or the time at which it was published. An event that would be rejected again is not sent; the
reasons are printed. With --log, an event whose Hourlog-Time or headers cannot be used is sent without them.
The events stay in _rejected: hourlog admin purge removes them.")]
pub(super) struct Requeue {
    /// Log of rejected events: _rejected, or _rejected.STREAM
    log: LogId,
    /// Time of the first rejected event, inclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: String,
    /// Time of the last, exclusive [default: all]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Log to send them to [default: the log that each event's subject names]
    #[arg(long = "log", value_name = "ID")]
    target: Option<LogId>,
    /// Count what would be sent, and send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// The sum of all pages.
#[derive(Debug, Default, Serialize)]
struct Sum {
    dry_run: bool,
    sent: u64,
    rejected: u64,
    reasons: Vec<hourlog::wire::StillRejected>,
}

const COLUMNS: [TableColumn; 4] = [
    TableColumn("dry_run", Align::Left),
    TableColumn("sent", Align::Right),
    TableColumn("rejected", Align::Right),
    TableColumn("reasons", Align::Left),
];
/// Reasons that are printed.
const REASONS_MAX: usize = 10;

impl Requeue {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (since, until) = session.range(Some(&self.since), self.until.as_deref()).await?;
        let (from, to) = (bound(since), bound(until));
        let remote = session.open().await?.remote;
        let mut request = RequeueRequest { from, to, log: self.target, after: None, dry_run: self.dry_run };
        let mut sum = Sum { dry_run: self.dry_run, ..Sum::default() };
        loop {
            let page = remote.requeue(&self.log, &request).await?;
            request.after = page.next;
            sum.add(page);
            let sent = counted(sum.sent, "event");
            session.resume_with(format!("{sent} sent; nothing is added twice; {}", session.typed.resume()));
            if request.after.is_none() {
                break;
            }
        }
        if session.out.format() != Format::Table {
            let mut table = session.out.table(&COLUMNS);
            table.push(&sum, Vec::new)?;
            return table.finish();
        }
        for event in &sum.reasons {
            session.out.line(&event.position.to_string(), &event.reason)?;
        }
        let verb = if sum.dry_run { "would be sent" } else { "sent" };
        let (sent, rejected) = (counted(sum.sent, "event"), counted(sum.rejected, "event"));
        session.out.line(self.log.as_str(), &format!("{sent} {verb}, {rejected} still rejected"))
    }
}

/// Returns the time of a bound; `None` for `first` and `end`, which do not limit anything.
fn bound(moment: Option<Moment>) -> Option<When> {
    moment.filter(|moment| !matches!(moment, Moment::First | Moment::End)).map(When::from)
}

impl Sum {
    fn add(&mut self, page: RequeueReply) {
        self.sent += page.sent;
        self.rejected += page.rejected;
        self.reasons.extend(page.reasons);
        self.reasons.truncate(REASONS_MAX);
    }
}
