//! Parts of NATS that the service and its clients share: logins, errors, stream settings, server versions, retries.

mod errors;
mod login;
mod server_version;
mod stream_settings;

pub use self::{
    errors::{connect_error, publish_error, without_secrets},
    login::Login,
    server_version::{ServerVersion, server_version},
    stream_settings::{RiskySetting, message_bytes_max, risky_settings},
};
pub use crate::backoff::Backoff;
