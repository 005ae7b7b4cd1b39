//! The guardrails of Cassandra 5: limits that its administrators set, and that refuse requests or warn of them.
//!
//! Those on write timestamps matter most. An archive writes with seqs as timestamps. As times, they
//! are in the first weeks of 1970, which the guardrails take for mistakes.

/// A guardrail, by its name in the messages of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guardrail<'e>(&'e str);

impl<'e> Guardrail<'e> {
    /// Finds the guardrail in an error or a warning of the database, which has no code for it.
    pub(super) fn named_in(text: &'e str) -> Option<Self> {
        let (_, rest) = text.split_once("Guardrail ")?;
        let (name, _) = rest.split_once(" violated")?;
        (!name.contains(' ')).then_some(Self(name))
    }

    /// Says what to change if the guardrail refuses a request.
    pub(super) fn refusal(self) -> String {
        let Self(name) = self;
        let (refused, remedy) = match name {
            "minimum_timestamp" | "maximum_timestamp" => {
                ("the writes of an archive", format!("remove {name}_fail_threshold from"))
            }
            "user_timestamps" => ("the writes of an archive", "set user_timestamps_enabled to true in".to_owned()),
            _ => ("a request of the archive", "raise it in".to_owned()),
        };
        format!(
            "the guardrail {name} of the database refuses {refused}; {remedy} cassandra.yaml on every node and restart it"
        )
    }

    /// Says what to change if the guardrail only warns of writes.
    pub(super) fn warning(self) -> String {
        let Self(name) = self;
        let remedy = match name {
            "minimum_timestamp" | "maximum_timestamp" => format!("remove {name}_warn_threshold from"),
            _ => "raise it in".to_owned(),
        };
        format!(
            "the guardrail {name} of the database warns of every write of the archive; {remedy} cassandra.yaml on every \
             node"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_guardrail_and_the_setting() {
        let named = |text| Guardrail::named_in(text).expect("the message is about a guardrail");
        let minimum = named("Guardrail minimum_timestamp violated: The modification to table t has a timestamp 5");
        assert!(minimum.refusal().contains("remove minimum_timestamp_fail_threshold from"), "{}", minimum.refusal());
        assert!(minimum.warning().contains("remove minimum_timestamp_warn_threshold from"), "{}", minimum.warning());
        let user = named("Guardrail user_timestamps violated: User provided timestamps is not allowed");
        assert!(user.refusal().contains("user_timestamps_enabled"), "{}", user.refusal());
        let other = named("Guardrail page_size violated: the page size 5000 exceeds the failure threshold of 100.");
        assert!(other.refusal().contains("guardrail page_size"), "{}", other.refusal());
        assert_eq!(Guardrail::named_in("no such table"), None);
    }
}
