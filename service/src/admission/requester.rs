//! The sender of a request, as far as its reply subject tells.

use std::{fmt, sync::Arc};

/// The sender of a request: the part of its reply subject that the server's permissions can bind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Requester(Arc<str>);

impl Requester {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
