//! Counts of as many requests as it takes, put together.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use hourlog::{
    LogId, Remote, Result,
    wire::{AheadReply, BinReply, GroupReply, MergedPosition, TimelineReply, TimelineRequest, TimelinesRequest},
};
use serde::Serialize;

use crate::{
    cli::read::LogName,
    exit::Failure,
    output::human_count,
    progress::{Templates, progress_bar},
    session::Session,
};

const PROGRESS: Templates = Templates {
    bar: "{bar:30} {human_pos} of {human_len} events  {per_sec}  {eta} left",
    spinner: "{spinner} {human_pos} events",
};
/// The time for one reply, beside the second in which the service counts.
const REPLY_TIME: Duration = Duration::from_secs(10);

/// The logs that are counted.
#[derive(Debug)]
pub(in crate::cli) enum Logs {
    One(LogId),
    /// Those that match a pattern, all of them below the prefix.
    Several {
        prefix: Option<LogId>,
        pattern: String,
    },
}

impl Logs {
    pub(in crate::cli) fn new(name: &LogName) -> Result<Self> {
        Ok(match name {
            LogName::Log(log) => Self::One(log.clone()),
            LogName::Pattern(pattern) => {
                let literals = pattern.split('.').take_while(|token| !matches!(*token, "*" | ">"));
                let prefix = literals.collect::<Vec<_>>().join(".");
                let prefix = if prefix.is_empty() { None } else { Some(prefix.parse()?) };
                Self::Several { prefix, pattern: pattern.clone() }
            }
        })
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(in crate::cli) struct Counts {
    pub(in crate::cli) bins: Vec<BinReply>,
    pub(in crate::cli) ahead: Option<AheadReply>,
    /// The events of each value.
    groups: HashMap<Option<String>, u64>,
    /// The events of values that a reply has left out.
    rest: u64,
    replies: u64,
}

/// The events of a value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Value {
    /// The value; `None` for events that have none.
    pub(in crate::cli) value: Option<String>,
    pub(in crate::cli) count: u64,
}

/// The values with most events.
#[derive(Debug)]
pub(in crate::cli) struct Values {
    pub(in crate::cli) listed: Vec<Value>,
    /// The events of all others.
    pub(in crate::cli) others: u64,
    /// False if more events of a listed value may be among the others.
    pub(in crate::cli) are_exact: bool,
}

impl Counts {
    /// Returns the number of events.
    pub(in crate::cli) fn events(&self) -> u64 {
        self.bins.iter().map(|bin| bin.count).sum()
    }

    fn add<P>(&mut self, reply: TimelineReply<P>) {
        self.replies += 1;
        self.ahead = self.ahead.or(reply.ahead);
        if self.bins.is_empty() {
            self.bins = reply.bins;
        } else {
            self.bins.iter_mut().zip(reply.bins).for_each(|(bin, more)| bin.count += more.count);
        }
        for GroupReply { value, count, .. } in reply.groups.unwrap_or_default() {
            *self.groups.entry(value).or_default() += count;
        }
        self.rest += reply.rest.unwrap_or(0);
    }

    /// Returns the `top` values with most events.
    pub(in crate::cli) fn values(self, top: usize) -> Values {
        let mut listed: Vec<Value> = self.groups.into_iter().map(|(value, count)| Value { value, count }).collect();
        listed.sort_unstable_by(|a, b| (Reverse(a.count), &a.value).cmp(&(Reverse(b.count), &b.value)));
        let others = listed.iter().skip(top).map(|value| value.count).sum::<u64>() + self.rest;
        listed.truncate(top);
        // One reply lists the values with most events of those that it tells apart.
        Values { listed, others, are_exact: self.rest == 0 }
    }
}

/// Counts what `request` asks for, in as many requests as it takes.
pub(in crate::cli) async fn count(
    session: &Session,
    remote: &Remote,
    logs: &Logs,
    request: TimelineRequest,
) -> Result<Counts, Failure> {
    let remote = remote.clone().with_timeout(REPLY_TIME);
    let mut counts = Counts::default();
    match logs {
        Logs::One(log) => {
            let mut counting = Counting::new(session, request.reads_events());
            let mut request = request;
            loop {
                let reply = remote.timeline(log, &request).await?;
                request.after = reply.next;
                counting.tell(&reply);
                counts.add(reply);
                if request.after.is_none() {
                    break;
                }
            }
        }
        Logs::Several { prefix, pattern } => {
            let mut counting = Counting::new(session, request.reads_events());
            let mut request = of_several(request, pattern);
            loop {
                let reply = remote.timelines(prefix.as_ref(), &request).await?;
                request.after = reply.next.clone();
                counting.tell(&reply);
                counts.add(reply);
                if request.after.is_none() {
                    break;
                }
            }
        }
    }
    Ok(counts)
}

/// Returns the same request for the logs that match a pattern.
fn of_several(request: TimelineRequest, pattern: &str) -> TimelinesRequest {
    let TimelineRequest { from, to, bins, step, zone, exact, condition, text, header, by, groups, .. } = request;
    let (after, pattern): (Option<MergedPosition>, _) = (None, Some(pattern.to_owned()));
    TimelineRequest { from, to, bins, step, zone, exact, after, condition, text, header, by, groups, pattern }
}

/// Tells how far the count has come.
struct Counting<'s> {
    session: &'s Session,
    reads_all: bool,
    bar: Option<indicatif::ProgressBar>,
}

impl<'s> Counting<'s> {
    fn new(session: &'s Session, reads_all: bool) -> Self {
        Self { session, reads_all, bar: None }
    }

    fn tell<P>(&mut self, reply: &TimelineReply<P>) {
        if reply.next.is_some() && self.bar.is_none() {
            if !self.reads_all {
                let of = human_count(reply.of);
                self.session.out.note(&format!("counting reads {of} events; longer intervals need fewer"));
            }
            self.bar = Some(progress_bar(&self.session.out, Some(reply.of), PROGRESS));
        }
        if let Some(bar) = &self.bar {
            bar.inc(reply.scanned);
            if reply.next.is_none() {
                bar.finish_and_clear();
            }
        }
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use hourlog::Offset;

    use super::*;

    fn reply(groups: &[(Option<&str>, u64)], rest: u64) -> TimelineReply {
        let [from, to] = [0, 1].map(Offset::from_nanos);
        let group = |(value, count): &(Option<&str>, u64)| GroupReply {
            value: value.map(str::to_owned),
            count: *count,
            bins: vec![*count],
        };
        let count = groups.iter().map(|(_, count)| count).sum::<u64>() + rest;
        TimelineReply {
            bins: vec![BinReply { from, to, count }],
            groups: Some(groups.iter().map(group).collect()),
            rest: Some(rest),
            ..TimelineReply::empty(from, to, to)
        }
    }

    #[test]
    fn the_values_of_all_replies_are_added_up() {
        let mut counts = Counts::default();
        counts.add(reply(&[(Some("a"), 5), (None, 2)], 0));
        counts.add(reply(&[(Some("b"), 6), (Some("a"), 3), (Some("c"), 1)], 0));
        assert_eq!(counts.bins[0].count, 17);
        let values = counts.values(2);
        let found: Vec<_> = values.listed.iter().map(|value| (value.value.as_deref(), value.count)).collect();
        assert_eq!(found, [(Some("a"), 8), (Some("b"), 6)]);
        assert_eq!((values.others, values.are_exact), (3, true));

        let mut counts = Counts::default();
        counts.add(reply(&[(Some("a"), 5)], 4));
        assert!(!counts.values(2).are_exact);
    }

    #[test]
    fn a_pattern_is_asked_below_its_first_tokens() {
        for (name, prefix) in [("orders.>", Some("orders")), ("orders.eu.*.x", Some("orders.eu")), ("*.eu", None)] {
            let logs = Logs::new(&name.parse().expect("a name")).expect("a pattern");
            let Logs::Several { prefix: found, .. } = logs else { panic!("{name} is a pattern") };
            assert_eq!(found.as_ref().map(LogId::as_str), prefix);
        }
    }
}
