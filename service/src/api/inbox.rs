//! Which subjects a reply may go to.

/// The longest subject that a reply goes to, in bytes.
const REPLY_BYTES_MAX: usize = 200;
/// The most tokens behind the prefix.
const TOKENS_MAX: usize = 4;
/// The longest token.
const TOKEN_BYTES_MAX: usize = 64;
/// What a request from another account has in place of the asker's inbox; a client cannot forge it.
const OTHER_ACCOUNT: &str = "_R_";

/// Whether `reply` is an inbox: `_INBOX`, or `_INBOX_` and a name, or `_R_`, or one of `prefixes`, and then one to four tokens.
pub(super) fn is_inbox(reply: &str, prefixes: &[String]) -> bool {
    if reply.len() > REPLY_BYTES_MAX {
        return false;
    }
    let behind = |prefix: &str| reply.strip_prefix(prefix)?.strip_prefix('.');
    let own = || {
        let (first, rest) = reply.split_once('.')?;
        let named = first.strip_prefix("_INBOX_")?;
        let good = (1..=32).contains(&named.len()) && named.bytes().all(|byte| byte.is_ascii_alphanumeric());
        good.then_some(rest)
    };
    let rest = behind("_INBOX")
        .or_else(|| behind(OTHER_ACCOUNT))
        .or_else(own)
        .or_else(|| prefixes.iter().find_map(|prefix| behind(prefix)));
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
    fn replies_go_to_inboxes_alone() {
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
