//! `read`: plays events back, and follows new ones.
//!
//! - `names`, `place`: the logs that are named, and the places to continue after.
//! - `timeline`: by time, over `merge`. `follow`: by arrival, over `arrivals`. `by_cursor`: by arrival, from a
//!   stored cursor on. `newest`: where the last two begin.
//! - `printer`: the output, with `template`, `json_data`, `delimiter` and `escapes`. `notes`: remarks beside it.
//! - `progress`: the command that goes on after an interruption.

mod arrivals;
mod by_cursor;
mod delimiter;
mod escapes;
mod follow;
mod json_data;
mod merge;
mod names;
mod newest;
mod notes;
mod place;
mod printer;
mod progress;
mod share;
mod template;
mod timeline;
mod waiting;

use clap::Args;
use hourlog::{Position, wire::CursorName};

use crate::{cli::conditions::Conditions, exit::Failure, reader_gone, session::Session, when::Moment};

use self::{
    delimiter::Delimiter,
    place::{After, Place},
    printer::{EventPrinter, Style},
    progress::{Progress, Resume},
};

pub(super) use self::{
    merge::{LOGS_MAX, Merged, Range},
    names::{LogName, Names},
    notes::tell_expired,
    printer::{COLUMNS as EVENT_COLUMNS, event_line},
    template::Template,
};

/// Play events back in time order, or follow new events with -f
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog read orders.eu --since '2h ago'
  hourlog read 'orders.>' --since 9:00 --until 10:00 -o ndjson --json-data | jq .data
  hourlog read orders.eu orders.us --tail 10 -f
  hourlog read orders.eu -f --cursor mailer -o ndjson | ./send-mails
  hourlog read orders.eu --since today -c
  hourlog read 'orders.>' --since 14:00 --until 14:10 --where 'json.level == \"error\"'
  hourlog read orders.eu --grep 'timed out' --tail 20
  hourlog read orders.eu --after 1795415799411123024-1099511627818 --limit 100
  hourlog read orders.eu --position 1795415799411123024-1099511627818 -o raw
  hourlog read photos.door --tail 1 -o raw > door.jpg
  hourlog read photos.door -o raw --delimiter nul | xargs -0 -n1 echo
  hourlog read 'orders.>' -o '%t %l %k{kind} %d\\n'

Events of several logs come in the order of their time, then of their seq, then of their log.
A format with % or \\ is printed once for each event, with nothing added: %t time, %a arrival time, %o offset in nanoseconds,
%p position, %q seq, %l log, %d data, %S size of the data in bytes, %k{NAME} metadata, %m all metadata, %% a percent
sign, \\n \\r \\t \\0 \\xHH \\\\.")]
pub(super) struct Read {
    /// Log ids or patterns, such as orders.>; the events of several logs are merged by time
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<LogName>,
    /// Start time, inclusive; with -f, the arrival time to start from
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive; last includes the newest event, end is the end of the log [default: end; with --tail and
    /// --reverse, the newest event up to now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<String>,
    /// Position to continue after, or arrival cursor (a:…), which reads in arrival order; with several logs
    /// POSITION@LOG, or a:…@LOG for each log
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, conflicts_with = "tail")]
    after: Vec<Place>,
    /// Only the event at this position
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true, conflicts_with_all = [
        "since", "until", "after", "limit", "tail", "reverse", "follow", "cursor", "count", "Conditions",
    ])]
    position: Option<Position>,
    /// Maximum number of events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Number of newest events to read, up to now
    #[arg(long, value_name = "N", conflicts_with = "reverse")]
    tail: Option<u32>,
    /// Read the newest event first, from now backwards
    #[arg(long, conflicts_with = "follow")]
    reverse: bool,
    /// Follow new events as they arrive, in arrival order; also of logs that do not exist yet
    #[arg(short, long)]
    follow: bool,
    /// Wait until each log exists, and one that matches each pattern
    #[arg(long)]
    wait: bool,
    /// Go on, in arrival order, where the last reader of this name stopped, or else at --since; the service keeps
    /// the place, which moves once events are written out
    #[arg(long, value_name = "NAME", conflicts_with_all = ["until", "after", "tail", "reverse"])]
    cursor: Option<CursorName>,
    /// Print only the number of events
    #[arg(short, long, conflicts_with_all = ["follow", "cursor"])]
    count: bool,
    /// Put data that is JSON into the output as a value, not as a text
    #[arg(long, conflicts_with = "count")]
    json_data: bool,
    /// Bytes after each event with -o raw: newline, nul, none, or a text with \n \t \0 \xHH [default: newline;
    /// none for one event, by --tail 1 or --limit 1]
    #[arg(short = 'D', long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "count")]
    delimiter: Option<Delimiter>,
    /// Write nothing after an event with -o raw, as --delimiter none
    #[arg(short, long, conflicts_with_all = ["delimiter", "count"])]
    no_newline: bool,
    #[command(flatten)]
    conditions: Conditions,
}

/// The refusal of two options that say where a read begins.
const TWO_STARTS: &str = "--after already says where the read begins; leave out --since";

/// The times of a read, as they were understood.
#[derive(Debug, Clone, Copy)]
struct Times {
    since: Option<Moment>,
    until: Option<Moment>,
}

impl Read {
    /// Runs the command until its end, or until nobody reads its output any more.
    pub(super) async fn run(self, session: &Session, template: Option<Template>) -> Result<(), Failure> {
        let gone = async {
            reader_gone::wait().await;
            session.uninterrupted().await
        };
        tokio::select! {
            biased;
            result = self.read(session, template) => result,
            _complete = gone => Err(Failure::OutputClosed),
        }
    }

    async fn read(&self, session: &Session, template: Option<Template>) -> Result<(), Failure> {
        let style = Style::new(self, session, template)?;
        let names = Names::new(self.logs.clone());
        let after = After::new(&self.after, &names)?;
        self.check_after(&after, &names)?;
        if self.cursor.is_some() && names.only_log().is_none() {
            return Err(Failure::usage("--cursor keeps the place in one log; name one, without a pattern"));
        }
        let (since, until) = session.range(self.since.as_deref(), self.until.as_deref()).await?;
        let times = Times { since, until };
        let remote = session.open().await?.remote;
        let progress = Progress::begin(session, self.resume(session, &names, times, &style));
        let mut printer = EventPrinter::new(session, style, names.only_log().is_none());
        if let Some(position) = self.position {
            let log =
                names.only_log().ok_or_else(|| Failure::usage("--position is that of an event in one log; name it"))?;
            printer.print(&remote.event(log, position).await?)?;
        } else if let (Some(name), Some(log)) = (&self.cursor, names.only_log()) {
            if self.follow || self.wait {
                waiting::until_exist(session, &remote, &names).await?;
            }
            self.read_by_cursor(&remote, log, name, since, &mut printer).await?;
        } else if self.follow {
            self.follow(&remote, &names, since, &after, &progress, &mut printer).await?;
        } else {
            self.read_timeline(&remote, &names, times, &after, &progress, &mut printer).await?;
        }
        printer.finish()
    }

    /// Refuses options that contradict the places to continue after.
    fn check_after(&self, after: &After, names: &Names) -> Result<(), Failure> {
        let is_one_log = names.only_log().is_some();
        let refusal = match after {
            After::Nothing => None,
            After::Arrivals(_) if self.until.is_some() || self.reverse => {
                Some("--after a:… reads forward in arrival order, without an end; leave out --until and --reverse")
            }
            After::Arrivals(_) if !is_one_log && !self.follow => {
                Some("--after a:… goes on in arrival order, which several logs have only with -f; add it")
            }
            After::Timeline(_) if !is_one_log && self.follow => Some(
                "-f goes on in arrival order, in which each of several logs has its own place; give --after a:…@LOG for each",
            ),
            After::Arrivals(_) if self.since.is_some() && (is_one_log || !self.follow) => Some(TWO_STARTS),
            // Backwards, the read begins at the place and ends at the time.
            After::Timeline(_) if self.since.is_some() && !self.reverse => Some(TWO_STARTS),
            After::Timeline(_) | After::Arrivals(_) => None,
        };
        refusal.map_or(Ok(()), |refusal| Err(Failure::usage(refusal)))
    }

    /// Returns true if at most one event is printed.
    fn is_of_one_event(&self) -> bool {
        !self.follow
            && self.cursor.is_none()
            && (self.tail == Some(1) || self.limit == Some(1) || self.position.is_some())
    }

    /// Returns the command as it is resumed.
    fn resume(&self, session: &Session, names: &Names, times: Times, style: &Style) -> Resume {
        let typed = session.typed.clone().with_times(times.since, times.until);
        let is_one_log = names.only_log().is_some();
        let tail = self.tail.filter(|_| !self.follow);
        Resume {
            typed,
            limit: self.limit.into_iter().chain(tail).min(),
            is_one_log,
            keeps_since: self.reverse || (self.follow && !is_one_log && matches!(times.since, Some(Moment::At(_)))),
            needs_newline: !self.follow
                && self.delimiter.is_none()
                && !self.no_newline
                && matches!(style, Style::Raw(delimiter) if *delimiter == Delimiter::newline()),
        }
    }
}
