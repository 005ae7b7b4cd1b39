//! Refusals by a limit: the error, the metric and the trace.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use hourlog::{Error, ErrorKind};

use super::{Requester, limit::Limit};
use crate::{counters::Admitted, repeats::Repeats};

/// Makes the refusals of all limits.
#[derive(Debug)]
pub(super) struct Refusals {
    pub(super) admitted: Admitted,
    traces: Mutex<Repeats>,
}

impl Refusals {
    pub(super) fn new(admitted: Admitted) -> Self {
        Self { admitted, traces: Mutex::default() }
    }

    /// Returns the error for a request that `limit` refuses, and counts it. `found` says what the requester
    /// has.
    pub(super) fn refuse(&self, limit: Limit, requester: &Requester, found: &str) -> Error {
        let limit_name = limit.name();
        self.admitted.refused(limit);
        let left_out = self.traces.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
        if let Some(left_out) = left_out {
            tracing::warn!(limit = limit_name, %requester, left_out, "request refused by a limit");
        }
        let context = format!("the limit {limit_name} is reached: {requester} {found}; send fewer at once");
        Error::new(ErrorKind::Refused, context)
    }
}
