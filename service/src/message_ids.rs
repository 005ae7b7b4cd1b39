//! The message ids under which appends are published.
//!
//! JetStream drops a message whose id it has seen, whatever its subject. An id that others can guess
//! could be taken by anybody who may publish to any log, and an append with it would never be stored.
//! So the ids are hashes under a key that only the archive knows.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hourlog::{Error, ErrorKind, LogId, Result, store::Store};
use ring::{
    digest::SHA256_OUTPUT_LEN,
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// The name under which the archive keeps the key, among its properties.
const PROPERTY: &str = "message-id-key";

/// Makes the message ids of one archive. Does not show its key.
#[derive(Debug, Clone)]
pub(crate) struct MessageIds(hmac::Key);

impl MessageIds {
    /// Loads the archive's key, and makes it if the archive has none.
    ///
    /// # Errors
    /// The store's error, [`ErrorKind::Integrity`] if the stored key is none, and
    /// [`ErrorKind::Unexpected`] if the system has no random numbers.
    pub(crate) async fn load<S: Store>(store: &S) -> Result<Self> {
        let stored = match store.property(PROPERTY).await? {
            Some(stored) => stored,
            // Another instance may make one at the same time: all use the one that was stored.
            None => store.set_property(PROPERTY, &BASE64_STANDARD.encode(random()?), None).await?,
        };
        let key = BASE64_STANDARD.decode(stored).ok().filter(|key| key.len() == SHA256_OUTPUT_LEN);
        let key = key.ok_or_else(|| {
            Error::new(ErrorKind::Integrity, format!("the archive's property {PROPERTY} is not a key of 32 bytes"))
        })?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Returns the message id of an append to `log`, to which the client gave `id`. Each `attempt` has
    /// another one.
    pub(crate) fn of(&self, log: &LogId, id: &str, attempt: u32) -> String {
        let mut hash = hmac::Context::with_key(&self.0);
        hash.update(&attempt.to_be_bytes());
        hash.update(log.as_str().as_bytes());
        // No log id contains a blank, so no two logs and ids make the same text.
        hash.update(b" ");
        hash.update(id.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(hash.sign())
    }
}

fn random() -> Result<[u8; SHA256_OUTPUT_LEN]> {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::new(ErrorKind::Unexpected, "the system has no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use hourlog::Memory;

    use super::*;

    #[tokio::test]
    async fn ids_differ_by_log_id_attempt_and_archive_and_stay_the_same() {
        let store = Memory::new();
        let first = MessageIds::load(&store).await.expect("a store in memory works");
        let again = MessageIds::load(&store).await.expect("a store in memory works");
        let other = MessageIds::load(&Memory::new()).await.expect("a store in memory works");
        let log = |id: &str| id.parse::<LogId>().expect("a valid id");
        let cases = [("a", "b:c"), ("a:b", "c"), ("a", "b c"), ("a.b", "c"), ("a", "")];
        let mut seen = HashSet::new();
        for (id, message) in cases {
            for attempt in 0..3 {
                let made = first.of(&log(id), message, attempt);
                assert_eq!(made, again.of(&log(id), message, attempt));
                assert!(seen.insert(made) && seen.insert(other.of(&log(id), message, attempt)), "{id} {message}");
            }
        }
        assert!(
            !format!("{first:?}").contains(&store.property(PROPERTY).await.expect("it works").expect("it is there"))
        );
    }
}
