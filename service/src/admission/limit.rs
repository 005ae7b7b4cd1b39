//! The names of the limits.

/// A limit that refuses requests. Errors and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Requests that the service works on.
    WorkingRequests,
    /// Requests that wait for an event or for the archive.
    WaitingRequests,
    /// Bytes of the requests in progress.
    RequestBytes,
    /// The time that a request waits in line for its answer to be read.
    AnswerTurns,
}

impl Limit {
    pub(crate) const ALL: [Self; 4] =
        [Self::WorkingRequests, Self::WaitingRequests, Self::RequestBytes, Self::AnswerTurns];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WorkingRequests => "working-requests",
            Self::WaitingRequests => "waiting-requests",
            Self::RequestBytes => "request-bytes",
            Self::AnswerTurns => "answer-turns",
        }
    }
}
