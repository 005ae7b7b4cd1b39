//! The guard for reply subjects: replies go to inboxes only. An inbox also tells whose request it is.

/// Longest reply subject, in bytes.
const REPLY_BYTES_MAX: usize = 200;
/// Limit of tokens after the prefix.
const TOKENS_MAX: usize = 4;
/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 64;
/// Prefix of the reply subject of a request from another account. The server puts it in place of
/// the requester's inbox, and a client cannot forge it.
const OTHER_ACCOUNT: &str = "_R_";
/// Prefix of the inboxes of all users without a prefix of their own.
const SHARED: &str = "_INBOX";
/// Bytes at the start of an inbox that all inboxes of a connection share: the constant part of the ids that
/// NATS clients use.
const CONNECTION_BYTES: usize = 12;

/// Returns the requester if `reply` is an inbox: `_INBOX`, `_INBOX_` and a name, `_R_` or one of
/// `prefixes`, followed by one to four tokens.
///
/// Permissions can bind a user to a prefix of its own, so such a prefix is the requester. Below `_INBOX`,
/// which all users share, the connection is. Users of other accounts cannot be told apart: they are one
/// requester.
pub(super) fn requester<'a>(reply: &'a str, prefixes: &[String]) -> Option<&'a str> {
    if reply.len() > REPLY_BYTES_MAX {
        return None;
    }
    let after = |prefix: &str| reply.strip_prefix(prefix)?.strip_prefix('.');
    let configured = || prefixes.iter().find_map(|prefix| after(prefix).map(|rest| (&reply[..prefix.len()], rest)));
    let named = || {
        let (first, rest) = reply.split_once('.')?;
        let name = first.strip_prefix("_INBOX_")?;
        let valid = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        valid.then_some((first, rest))
    };
    let of_connection = || {
        let rest = after(SHARED)?;
        let first = rest.split('.').next()?;
        // A client without a permanent inbox makes one for each request. Its own part comes first.
        let own = if first.len() == rest.len() { first.len().min(CONNECTION_BYTES) } else { first.len() };
        Some((reply.get(..SHARED.len() + 1 + own)?, rest))
    };
    let other_account = || Some((OTHER_ACCOUNT, after(OTHER_ACCOUNT)?));
    let (requester, rest) = configured().or_else(of_connection).or_else(other_account).or_else(named)?;
    let token = |token: &str| {
        (1..=TOKEN_BYTES_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    (rest.split('.').count() <= TOKENS_MAX && rest.split('.').all(token)).then_some(requester)
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
            assert!(requester(good, &prefixes).is_some(), "{good} was dropped");
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
            assert_eq!(requester(bad, &prefixes), None, "{bad} was answered");
        }
    }

    #[test]
    fn an_inbox_tells_the_requester() {
        let prefixes = ["clients.alice".to_owned(), "_INBOX.bob".to_owned()];
        for (reply, expected) in [
            ("_INBOX.Xc4Zp.1", "_INBOX.Xc4Zp"),
            ("_INBOX.Xc4Zp.2", "_INBOX.Xc4Zp"),
            ("_INBOX.hJ3Zxr1bKu8mwVnxPcvP2q", "_INBOX.hJ3Zxr1bKu8m"),
            ("_INBOX.hJ3Zxr1bKu8mwVnxPcvP3q", "_INBOX.hJ3Zxr1bKu8m"),
            ("_INBOX.short", "_INBOX.short"),
            ("_INBOX_carol.a.b", "_INBOX_carol"),
            ("_INBOX_carol.c", "_INBOX_carol"),
            ("_R_.x9.y", "_R_"),
            ("clients.alice.Xc4Zp.7", "clients.alice"),
            ("_INBOX.bob.a.b", "_INBOX.bob"),
        ] {
            assert_eq!(requester(reply, &prefixes), Some(expected), "{reply}");
        }
    }
}
