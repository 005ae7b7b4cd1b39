//! The guard for reply subjects: replies go to inboxes only.

/// Longest reply subject, in bytes.
const REPLY_BYTES_MAX: usize = 200;
/// Limit of tokens after the prefix.
const TOKENS_MAX: usize = 4;
/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 64;
/// Prefix of the reply subject of a request from another account. The server puts it in place of
/// the requester's inbox, and a client cannot forge it.
const OTHER_ACCOUNT: &str = "_R_";

/// Returns true when `reply` is an inbox: `_INBOX`, `_INBOX_` and a name, `_R_` or one of
/// `prefixes`, followed by one to four tokens.
pub(super) fn is_inbox(reply: &str, prefixes: &[String]) -> bool {
    if reply.len() > REPLY_BYTES_MAX {
        return false;
    }
    let after = |prefix: &str| reply.strip_prefix(prefix)?.strip_prefix('.');
    let named_inbox = || {
        let (first, rest) = reply.split_once('.')?;
        let name = first.strip_prefix("_INBOX_")?;
        let valid = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        valid.then_some(rest)
    };
    let rest = after("_INBOX")
        .or_else(|| after(OTHER_ACCOUNT))
        .or_else(named_inbox)
        .or_else(|| prefixes.iter().find_map(|prefix| after(prefix)));
    let token = |token: &str| {
        (1..=TOKEN_BYTES_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    rest.is_some_and(|rest| rest.split('.').count() <= TOKENS_MAX && rest.split('.').all(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_only_to_inboxes() {
        let prefixes = ["clients.alice".to_owned()];
        for good in [
            "_INBOX.Xc4Zp.1",
            "_INBOX.Xc4Zp",
            "_INBOX_alice.Xc4Zp",
            "_R_.x9.y",
            "clients.alice.Xc4Zp.7",
            "_INBOX.a.b.c.d",
        ] {
            assert!(is_inbox(good, &prefixes), "{good} was dropped");
        }
        let long = format!("_INBOX.{}", "x".repeat(65));
        for bad in [
            "",
            "_INBOX",
            "_INBOX.",
            "_INBOX..a",
            "_INBOX.a.b.c.d.e",
            "_INBOXX.a",
            "_INBOX_.a",
            "_INBOX_a b.c",
            "log.victim",
            "$JS.API.STREAM.PURGE.HOURLOG",
            "_INBOX.*",
            "_INBOX.>",
            "_INBOX.a\r\n",
            "clients.alice",
            "clients.bob.x",
            "_R_",
            &long,
        ] {
            assert!(!is_inbox(bad, &prefixes), "{bad} was answered");
        }
    }
}
