//! Logins at a nats-server by key: an NKey, and an operator with an account and a user.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// The time at which the tokens were issued. Any time in the past will do.
const ISSUED_AT_SECONDS: u32 = 1_700_000_000;

/// A user that logs in with an NKey.
pub struct Nkey(KeyPair);

impl fmt::Debug for Nkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nkey").field(&self.public()).finish()
    }
}

impl Nkey {
    /// Makes a key.
    pub fn new() -> Self {
        Self(KeyPair::new_user())
    }

    /// The seed, which the user keeps secret.
    ///
    /// # Panics
    /// Never: the key was made with its seed.
    pub fn seed(&self) -> String {
        self.0.seed().expect("the key has a seed")
    }

    /// The public key, which stands in the server's configuration.
    pub fn public(&self) -> String {
        self.0.public_key()
    }
}

impl Default for Nkey {
    fn default() -> Self {
        Self::new()
    }
}

/// An operator with a system account, and an account that has JetStream and one user.
pub struct Operator {
    config: String,
    creds: String,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}

impl Operator {
    /// Makes an operator.
    ///
    /// # Panics
    /// Never: the keys were made with their seeds.
    pub fn new() -> Self {
        let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let operator_claims = json!({ "type": "operator", "version": 2 });
        let system_claims = json!({ "type": "account", "version": 2, "limits": { "subs": -1, "conn": -1 } });
        let account_claims = json!({ "type": "account", "version": 2, "limits": unlimited });
        let user_claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let operator_token = token(&operator, &operator, &operator_claims);
        let (system_id, account_id) = (system.public_key(), account.public_key());
        let system_token = token(&operator, &system, &system_claims);
        let account_token = token(&operator, &account, &account_claims);
        let config = format!(
            "operator: {operator_token}\nsystem_account: {system_id}\nresolver: MEMORY\n\
             resolver_preload: {{ {system_id}: {system_token}, {account_id}: {account_token} }}\n"
        );
        let user_token = token(&account, &user, &user_claims);
        let seed = user.seed().expect("the key has a seed");
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        Self { config, creds }
    }

    /// The part of a nats-server's configuration that trusts the operator.
    pub fn nats_config(&self) -> &str {
        &self.config
    }

    /// The user's credentials file.
    pub fn creds(&self) -> &str {
        &self.creds
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns a JSON web token about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let (issuer_id, id) = (issuer.public_key(), subject.public_key());
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let body = json!({
        "jti": id, "iat": ISSUED_AT_SECONDS, "iss": issuer_id, "name": "test", "sub": id, "nats": claims,
    });
    let signed = [header, body].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = issuer.sign(signed.as_bytes()).expect("the key has a seed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
