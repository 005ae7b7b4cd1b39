//! Parts of NATS that the service and its clients share: errors, stream settings, server versions, retries.

mod errors;
mod server_version;
mod stream_settings;

pub use self::{
    errors::{connect_error, publish_error, without_secrets},
    server_version::{ServerVersion, server_version},
    stream_settings::{RiskySetting, message_bytes_max, risky_settings},
};
pub use crate::backoff::Backoff;
