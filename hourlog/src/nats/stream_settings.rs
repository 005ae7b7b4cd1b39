//! The settings by which a stream loses events, in one table.

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

use crate::wire::HEADROOM_BYTES;

/// A setting of a stream that puts events at risk.
///
/// ```
/// use async_nats::jetstream::stream::Config;
/// use hourlog::nats::{RiskySetting, risky_settings};
/// let config = Config { no_ack: true, ..Config::default() };
/// for RiskySetting { name, advice, .. } in risky_settings(&config, 1 << 20) {
///     println!("{name}: {advice}"); // no_ack: switch it off
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskySetting {
    /// The name of the setting, with its value where that is the problem.
    pub name: &'static str,
    /// The remedy, as the second half of a sentence.
    pub advice: String,
    /// True if stored events can be lost; false if new ones can stop the server or cannot be replayed.
    pub loses_events: bool,
}

/// Returns the largest message that can be replayed as one reply of a server with this `max_payload`, in
/// bytes.
pub fn message_bytes_max(max_payload: usize) -> i32 {
    i32::try_from(max_payload.saturating_sub(HEADROOM_BYTES)).unwrap_or(i32::MAX)
}

/// Returns the settings of `config` that put events at risk, on a server with this `max_payload`.
///
/// ```
/// use async_nats::jetstream::stream::{Config, DiscardPolicy};
/// use hourlog::nats::risky_settings;
/// let config = Config { discard: DiscardPolicy::Old, ..Config::default() };
/// assert!(risky_settings(&config, 1 << 20).iter().any(|setting| setting.name == "discard: old"));
/// ```
pub fn risky_settings(config: &Config, max_payload: usize) -> Vec<RiskySetting> {
    let bytes_max = message_bytes_max(max_payload);
    let has_sources = config.sources.as_ref().is_some_and(|sources| !sources.is_empty());
    let too_large = config.max_message_size <= 0 || config.max_message_size > bytes_max;
    let losing: [(bool, &str, &str); 15] = [
        (config.discard == DiscardPolicy::Old, "discard: old", "set discard to new"),
        (!config.max_age.is_zero(), "max_age", "remove it"),
        (config.max_messages > 0, "max_msgs", "remove it"),
        (config.max_messages_per_subject > 0, "max_msgs_per_subject", "remove it"),
        (config.retention != RetentionPolicy::Limits, "retention", "set it to limits"),
        (config.storage == StorageType::Memory, "storage: memory", "create the stream again with file storage"),
        (config.allow_rollup, "allow_rollup_hdrs", "switch it off"),
        (config.allow_message_ttl, "allow_msg_ttl", "switch it off"),
        (config.allow_message_schedules, "allow_msg_schedules", "switch it off"),
        (config.persist_mode == Some(PersistenceMode::Async), "persist_mode: async", "set it to default"),
        (config.subject_transform.is_some(), "subject_transform", "remove it"),
        (config.republish.is_some(), "republish", "remove it"),
        (config.mirror.is_some(), "mirror", "read the stream that it mirrors"),
        (has_sources, "sources", "read those streams"),
        (config.no_ack, "no_ack", "switch it off"),
    ];
    let losing = losing.into_iter().filter(|(is_risky, ..)| *is_risky).map(|(_, name, advice)| RiskySetting {
        name,
        advice: advice.to_owned(),
        loses_events: true,
    });
    let limits = [
        (config.max_bytes <= 0, "max_bytes", "set it, so that a full disk does not stop the server".to_owned()),
        (too_large, "max_msg_size", format!("set it to {bytes_max}, so that every event fits into a reply")),
    ];
    let limits = limits.into_iter().filter(|(is_risky, ..)| *is_risky).map(|(_, name, advice)| RiskySetting {
        name,
        advice,
        loses_events: false,
    });
    losing.chain(limits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_for_events_has_no_risky_setting_and_each_change_is_named() {
        let good = Config {
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            max_bytes: 1 << 30,
            max_message_size: message_bytes_max(1 << 20),
            ..Config::default()
        };
        assert_eq!(risky_settings(&good, 1 << 20), []);
        type Change = fn(&mut Config);
        let changes: [(&str, Change); 6] = [
            ("discard: old", |config| config.discard = DiscardPolicy::Old),
            ("max_age", |config| config.max_age = std::time::Duration::from_secs(1)),
            ("max_msgs_per_subject", |config| config.max_messages_per_subject = 1),
            ("storage: memory", |config| config.storage = StorageType::Memory),
            ("max_bytes", |config| config.max_bytes = -1),
            ("max_msg_size", |config| config.max_message_size += 1),
        ];
        for (name, change) in changes {
            let mut config = good.clone();
            change(&mut config);
            let names: Vec<_> = risky_settings(&config, 1 << 20).into_iter().map(|setting| setting.name).collect();
            assert_eq!(names, [name]);
        }
    }
}
