//! `grep`: the events of many logs that have a text.
//!
//! - `needle`: what is searched for. `printer`: the events that have it, with those around them.

mod needle;
mod printer;

use clap::Args;
use hourlog::{
    LogId, Remote,
    wire::{self, MergeRequest, MergedPosition, TimelineRequest, When},
};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Align, TableColumn, human_count},
    progress::{Templates, progress_bar},
    session::Session,
    when,
};

use super::{
    hist::count::{Counts, Logs, count},
    read::LogName,
};

use needle::Needle;
use printer::Printer;

/// Search for a text in the events of all logs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog grep 'timed out'
  hourlog grep -i timeout 'app.>' --since 2h
  hourlog grep 're:order-[0-9]{4}' 'orders.>' payments --reverse --limit 20
  hourlog grep 'timed out' 'app.>' -C 3
  hourlog grep -c 'timed out' --since today
  hourlog grep -l München
  hourlog grep checkout 'app.>' --json-path service -o ndjson | jq .data

The text is searched in the data as it is, and in the strings of JSON as they are meant. Exit code 1 says that nothing was
found.")]
pub(super) struct Grep {
    /// Text to search for; re:… is a regular expression
    #[arg(value_name = "TEXT")]
    text: String,
    /// Log ids or patterns, searched one after the other [default: all logs]
    #[arg(value_name = "LOG")]
    logs: Vec<LogName>,
    /// Start time, inclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Place to continue after, POSITION@LOG, as an interrupted search prints it
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    after: Option<MergedPosition>,
    /// Newest event first
    #[arg(long)]
    reverse: bool,
    /// Do not tell upper case from lower case
    #[arg(short, long)]
    ignore_case: bool,
    /// Search only in this field of JSON, such as user.name
    #[arg(long, value_name = "PATH")]
    json_path: Option<String>,
    /// Only events for which this expression in CEL is true, too
    #[arg(long = "where", value_name = "EXPRESSION", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Also print this number of events of the log before and after each
    #[arg(short = 'C', long, value_name = "N", default_value_t = 0, conflicts_with = "reverse", value_parser = clap::value_parser!(u32).range(..=1_000))]
    around: u32,
    /// Maximum number of events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Print only the number of events
    #[arg(short, long, conflicts_with_all = ["around", "limit", "reverse", "after"])]
    count: bool,
    /// Print only the logs that have such events, with their number
    #[arg(short = 'l', long = "list", conflicts_with_all = ["around", "limit", "reverse", "after", "count"])]
    list: bool,
}

const PROGRESS: Templates = Templates {
    bar: "{bar:30} {human_pos} of {human_len} events  {per_sec}  {eta} left",
    spinner: "{spinner} {human_pos} events",
};
const COLUMNS: [TableColumn; 2] = [TableColumn("log", Align::Id), TableColumn("count", Align::Right)];

/// The logs that one name stands for, and what is asked of them.
struct Part {
    logs: Logs,
    request: MergeRequest,
}

impl Part {
    fn prefix(&self) -> Option<&LogId> {
        match &self.logs {
            Logs::One(log) => Some(log),
            Logs::Several { prefix, .. } => prefix.as_ref(),
        }
    }
}

/// A log with the number of its events that were found.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    log: &'a str,
    count: u64,
}

impl Grep {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let needle = Needle::new(&self.text, self.ignore_case, self.json_path.as_deref())?;
        let (since, until) = session.range(self.since.as_deref(), self.until.as_deref()).await?;
        let names = match &self.logs[..] {
            [] => vec![LogName::Pattern(">".to_owned())],
            names => names.to_vec(),
        };
        if self.after.is_some() && names.len() > 1 {
            return Err(Failure::usage("--after is a place in one pattern; name one"));
        }
        let request = MergeRequest {
            from: when::lower_bound(since),
            to: until.map(When::from),
            after: self.after.clone(),
            limit: Some(wire::PAGE_EVENTS_MAX),
            reverse: self.reverse,
            text: needle.text(),
            condition: needle.condition(self.condition.as_deref()),
            ..MergeRequest::default()
        };
        let part = |name: &LogName| {
            let request = MergeRequest { pattern: Some(name.to_string()), ..request.clone() };
            Ok(Part { logs: Logs::new(name)?, request })
        };
        let parts: Vec<Part> = names.iter().map(part).collect::<hourlog::Result<_>>()?;
        let remote = session.open().await?.remote;
        if self.count || self.list {
            return self.summarize(session, &remote, &parts).await;
        }
        let mut search = Search {
            session,
            remote: &remote,
            printer: Printer::new(session, &remote, &needle, self.around),
            left: self.limit,
            resumes: parts.len() == 1,
        };
        for part in &parts {
            search.run(part).await?;
        }
        search.printer.finish()
    }

    /// Prints the number of events, or the logs that have them.
    async fn summarize(&self, session: &Session, remote: &Remote, parts: &[Part]) -> Result<(), Failure> {
        let mut table = session.out.table(&COLUMNS);
        let mut found = 0;
        for part in parts {
            let counts = self.counts(session, remote, part).await?;
            found += counts.events();
            if !self.list {
                continue;
            }
            let values = counts.values(usize::MAX);
            for value in &values.listed {
                let log = value.value.as_deref().unwrap_or_default();
                let listed = Listed { log, count: value.count };
                table.push(&listed, || vec![log.to_owned(), human_count(value.count)])?;
            }
            if values.others > 0 {
                let others = human_count(values.others);
                session.out.note(&format!("{others} events are in further logs; name fewer logs to see them all"));
            }
        }
        if self.list {
            table.finish()?;
        } else {
            session.out.write(format!("{found}\n").as_bytes())?;
        }
        if found == 0 { Err(Failure::NothingFound) } else { Ok(()) }
    }

    async fn counts(&self, session: &Session, remote: &Remote, part: &Part) -> Result<Counts, Failure> {
        let request = TimelineRequest {
            from: part.request.from,
            to: part.request.to.or(Some(When::End)),
            bins: Some(1),
            text: part.request.text.clone(),
            condition: part.request.condition.clone(),
            by: self.list.then(|| "log".to_owned()),
            groups: self.list.then_some(wire::GROUPS_MAX),
            ..TimelineRequest::default()
        };
        count(session, remote, &part.logs, request).await
    }
}

/// A search that is under way.
struct Search<'a> {
    session: &'a Session,
    remote: &'a Remote,
    printer: Printer<'a>,
    /// The events that are still wanted; `None` for no limit.
    left: Option<u32>,
    /// An interrupted search can be told how to go on.
    resumes: bool,
}

impl Search<'_> {
    /// Prints the events of a part, page by page.
    async fn run(&mut self, part: &Part) -> Result<(), Failure> {
        let mut request = part.request.clone();
        let mut bar: Option<ProgressBar> = None;
        while self.left != Some(0) {
            request.limit = Some(self.left.unwrap_or(u32::MAX).min(wire::PAGE_EVENTS_MAX));
            let page = self.remote.merge(part.prefix(), &request).await?;
            if bar.is_none() && !page.end.is_last() {
                bar = Some(progress_bar(&self.session.out, Some(self.total(part).await?), PROGRESS));
            }
            if let Some(bar) = &bar {
                bar.inc(page.scanned);
            }
            if !page.events.is_empty() {
                self.left = self.left.map(|left| left.saturating_sub(page.events.len() as u32));
                if let Some(bar) = bar.as_ref().filter(|_| self.session.out.is_terminal()) {
                    // Lines and a bar would share the terminal.
                    bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
                }
                self.printer.print(&page.events).await?;
            }
            if page.end.is_last() {
                break;
            }
            if let Some(place) = page.next.as_ref().filter(|_| self.resumes) {
                let typed = self.session.typed.clone().without(&["after"]).with("--after", place.to_string());
                self.session.resume_with(typed.resume());
            }
            request.after = page.next;
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        Ok(())
    }

    /// Returns the number of events to read, as the index counts them.
    async fn total(&self, part: &Part) -> Result<u64, Failure> {
        let request = TimelineRequest {
            from: part.request.from,
            to: part.request.to.or(Some(When::End)),
            bins: Some(1),
            pattern: part.request.pattern.clone(),
            ..TimelineRequest::default()
        };
        let reply = self.remote.timelines(part.prefix(), &request).await?;
        Ok(reply.count + reply.edge)
    }
}
