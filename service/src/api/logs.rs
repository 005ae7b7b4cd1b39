//! `logs`: lists the logs that match a pattern, page by page.

use hourlog::{
    Error, LogId, Result,
    read::describe,
    store::Store,
    wire::{LOGS_MAX, LogReply, LogsReply, LogsRequest},
};

use super::{Api, Reply, Request, fresh};

/// Rows per read of the log table, before the pattern filters them.
const ROWS_PER_READ: usize = 1_000;

pub(super) async fn answer<S: Store>(api: &Api<S>, request: &Request) -> Result<Reply> {
    let requested: LogsRequest = request.body()?;
    if requested.fresh {
        fresh::wait_until_fresh(api).await?;
    }
    let limit = requested.limit.unwrap_or(LOGS_MAX).min(LOGS_MAX) as usize;
    let pattern = Pattern::parse(requested.pattern.as_deref().unwrap_or(">"))?;
    let mut after: Option<LogId> = requested.after;
    let mut found = Vec::new();
    let next = loop {
        if found.len() >= limit {
            break after;
        }
        let rows = api.store.logs(after.as_ref(), ROWS_PER_READ).await?;
        if rows.is_empty() {
            break None;
        }
        for (id, _) in rows {
            if found.len() >= limit {
                break;
            }
            if (requested.all || !id.is_system()) && pattern.matches(&id) {
                found.push(id.clone());
            }
            after = Some(id);
        }
    };
    let rates = api.rates(found.clone()).await;
    let mut logs = Vec::with_capacity(found.len());
    for (id, rate) in found.into_iter().zip(rates) {
        let known = describe(&api.store, &id).await?;
        logs.push(LogReply {
            log: id,
            events: known.count,
            bytes: known.bytes,
            first: known.first,
            last: known.last,
            rate,
        });
    }
    Reply::json(&LogsReply { logs, next })
}

/// A pattern of log ids in the syntax of NATS subjects: `*` matches one token, and a final `>`
/// matches one or more.
struct Pattern(Vec<String>);

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let tokens: Vec<String> = text.split('.').map(str::to_owned).collect();
        let last = tokens.len() - 1;
        let valid = |(at, token): (usize, &String)| match token.as_str() {
            "" => false,
            ">" => at == last,
            token => token == "*" || !token.contains(['*', '>']),
        };
        if !tokens.iter().enumerate().all(valid) {
            return Err(Error::invalid(format!(
                "{:?} is not a pattern; write orders.*, orders.> or an id",
                hourlog::wire::shorten(text)
            )));
        }
        Ok(Self(tokens))
    }

    fn matches(&self, id: &LogId) -> bool {
        let mut tokens = id.as_str().split('.');
        for pattern in &self.0 {
            match (pattern.as_str(), tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_log_ids_like_nats_subjects() {
        for (pattern, id, expected) in [
            (">", "a.b", true),
            ("a", "a", true),
            ("a", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*.b", "a.b", true),
        ] {
            let id: LogId = id.parse().expect("a valid id");
            let pattern = Pattern::parse(pattern).expect("a valid pattern");
            assert_eq!(pattern.matches(&id), expected);
        }
        for bad in ["", "a..b", ">.a", "a*", "a.>b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
