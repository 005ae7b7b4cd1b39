//! Screens over that of the logs.

/// A screen over the list of logs, or over the open log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// The service and its instances.
    Service,
    /// The messages of this session.
    Messages,
}

/// The screens over that of the logs. What lies below stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Covers(Vec<Cover>);

impl Covers {
    /// Returns the screen that is seen; `None` if it is that of the logs.
    pub(crate) fn top(&self) -> Option<Cover> {
        self.0.last().copied()
    }

    /// Puts a screen over all others.
    pub(crate) fn open(&mut self, cover: Cover) {
        self.0.retain(|open| *open != cover);
        self.0.push(cover);
    }

    /// Takes the top screen away.
    pub(crate) fn close(&mut self) {
        self.0.pop();
    }

    /// Takes all of them away.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_goes_back_to_where_one_was() {
        let mut covers = Covers::default();
        for cover in [Cover::Service, Cover::Messages, Cover::Service] {
            covers.open(cover);
        }
        covers.close();
        assert_eq!(covers.top(), Some(Cover::Messages));
        covers.close();
        assert_eq!(covers.top(), None);
    }
}
