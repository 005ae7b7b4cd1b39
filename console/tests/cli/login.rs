//! Logins of the command line: TLS, keys, contexts, and which of several logins wins.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use conformance::servers::{Certificates, NatsOptions, NatsServer, Nkey, Operator, Recorder};
use hourlogd::{Credentials, Settings};
use tempfile::TempDir;

use crate::{Stage, words};

/// The commands of a user with a directory for contexts, and no service.
struct User(TempDir);

impl User {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory can be created");
        std::fs::create_dir_all(directory.path().join("nats/context")).expect("a directory can be created");
        Self(directory)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path.to_str().expect("the path is UTF-8").to_owned()
    }

    fn context(&self, name: &str, text: &str) {
        self.file(&format!("nats/context/{name}.json"), text);
    }

    /// Runs `hourlog`. Returns its exit code and everything that it printed.
    async fn run(&self, args: &str, variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
        command.args(words(args)).env_clear().env("XDG_CONFIG_HOME", self.0.path()).envs(variables.iter().copied());
        let output = tokio::process::Command::from(command).stdin(Stdio::null()).output().await;
        let output = output.expect("the binary can be started");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().expect("it is not killed"), printed)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_lets_in_who_has_the_certificates() {
    let certificates = Certificates::new();
    let (cert, key) = certificates.client();
    let (ca, other_ca) = (shown(&certificates.ca()), shown(&certificates.other_ca()));
    let (cert, key) = (shown(&cert), shown(&key));
    let config = certificates.nats_config("verify: true, handshake_first: true");
    let nats = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let url = nats.url();
    let credentials = Credentials {
        tls_ca: Some(ca.clone().into()),
        tls_cert: Some(cert.clone().into()),
        tls_key: Some(key.clone().into()),
        tls_first: true,
        ..Credentials::default()
    };
    let settings = Settings { nats: url.clone(), credentials, ..Settings::default() };
    let stage = Stage::over(nats, settings).await;
    let user = User::new();
    let client = format!("--tls-cert {cert} --tls-key {key}");
    let (code, printed) = user.run(&format!("ls -s {url} --tls-first --tls-ca {ca} {client}"), &[]).await;
    assert_eq!(code, 0, "{printed}");
    let variables = [("NATS_URL", url.as_str()), ("NATS_CA", &ca), ("NATS_CERT", &cert), ("NATS_KEY", &key)];
    let (code, printed) = user.run("ls --tls-first", &variables).await;
    assert_eq!(code, 0, "{printed}");
    let context = format!(r#"{{"url":"{url}","ca":"{ca}","cert":"{cert}","key":"{key}","tls_first":true}}"#);
    user.context("tls", &context);
    let (code, printed) = user.run("ls --context tls", &[]).await;
    assert_eq!(code, 0, "{printed}");
    for (args, expected_code) in [
        (format!("ls -s {url} --tls-first --tls-ca {other_ca} {client}"), 2),
        (format!("ls -s {url} --tls-first {client}"), 2),
        (format!("ls -s {url} --tls-first --tls-ca {ca}"), 4),
    ] {
        let (code, printed) = user.run(&args, &[]).await;
        assert!(printed.contains("TLS with the NATS server"), "hourlog {args}\n{printed}");
        assert_eq!(code, expected_code, "hourlog {args}\n{printed}");
    }
    stage.running.stop().await.expect("the service stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_credentials_log_in_by_flag_variable_and_context() {
    let user = User::new();
    let key = Nkey::new();
    let seed = user.file("seed", &key.seed());
    let config = format!("authorization {{ users: [{{ user: me, password: x }}, {{ nkey: {} }}] }}", key.public());
    let nats = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let operator = Operator::new();
    let creds = user.file("user.creds", operator.creds());
    let config = operator.nats_config().to_owned();
    let with_operator = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let (url, operator_url) = (nats.url(), with_operator.url());
    user.context("nkey", &format!(r#"{{"url":"{url}","nkey":"{seed}"}}"#));
    user.context("creds", &format!(r#"{{"url":"{operator_url}","creds":"{creds}"}}"#));
    user.context("user", &format!(r#"{{"url":"{url}","user":"me","password":"x"}}"#));
    let wrong = [("NATS_USER", "me"), ("NATS_PASSWORD", "wrong")];
    type Case<'a> = (String, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 9] = [
        (format!("-s {url} --nkey {seed}"), &[]),
        (format!("-s {url} --nkey {seed}"), &wrong),
        (format!("-s {url}"), &[("NATS_NKEY", &seed)]),
        ("--context nkey".to_owned(), &[]),
        ("--context nkey".to_owned(), &wrong),
        ("--context user".to_owned(), &[("NATS_TOKEN", "wrong"), ("NATS_URL", "nats://127.0.0.1:1")]),
        (format!("-s {operator_url} --creds {creds}"), &[]),
        (format!("-s {operator_url}"), &[("NATS_CREDS", &creds)]),
        ("--context creds".to_owned(), &[]),
    ];
    for (args, variables) in cases {
        // No service runs, which only a client that is logged in can tell.
        let (code, printed) = user.run(&format!("ls {args}"), variables).await;
        assert!(code == 5 && printed.contains("no hourlogd answers"), "hourlog ls {args} {variables:?}\n{printed}");
    }
    let (code, printed) = user.run(&format!("ls -s {operator_url}"), &[]).await;
    assert_eq!(code, 4, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sent_only_where_they_belong() {
    let (recorder, user) = (Recorder::start().await, User::new());
    let address = recorder.address();
    user.context("prod", r#"{"url":"nats://127.0.0.1:1","user":"me","password":"s3cret"}"#);
    user.context("here", &format!(r#"{{"url":"nats://{address}","token":"typed"}}"#));
    let in_address = format!("nats://me:s3cret@{address}");
    let typed = format!("nats://you:typed@{address}");
    type Case<'a> = (String, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 7] = [
        (format!("-s {address}"), &[("NATS_CONTEXT", "prod")]),
        (format!("-s {typed}"), &[("NATS_CONTEXT", "prod")]),
        (format!("-s {typed}"), &[("NATS_TOKEN", "s3cret"), ("NATS_CREDS", "/missing/s3cret")]),
        ("--token typed".to_owned(), &[("NATS_URL", &in_address)]),
        ("--user you --password typed".to_owned(), &[("NATS_URL", &in_address), ("NATS_TOKEN", "s3cret")]),
        ("--context here".to_owned(), &[("NATS_USER", "me"), ("NATS_PASSWORD", "s3cret")]),
        ("--context here".to_owned(), &[("NATS_URL", "nats://me:s3cret@127.0.0.1:1")]),
    ];
    for (args, variables) in cases {
        let before = recorder.received().len();
        let (code, printed) = user.run(&format!("ls {args}"), variables).await;
        let sent = recorder.received().split_off(before);
        assert_eq!(code, 4, "hourlog ls {args}\n{printed}");
        let is_right = sent.contains("CONNECT") && !sent.contains("s3cret");
        assert!(is_right && (sent.contains("typed") || !args.contains("typed")), "hourlog ls {args} sends\n{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_in_use_are_shown_with_their_sources() {
    let user = User::new();
    user.context("prod", r#"{"url":"nats://me:s3cret@prod:4222","ca":"/ca.pem"}"#);
    let show = async |args: &str, variables: &[(&str, &str)]| {
        let (code, printed) = user.run(&format!("config show -o csv {args}"), variables).await;
        assert!(code == 0 && !printed.contains("s3cret"), "{printed}");
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let secrets =
        [("NATS_CONTEXT", "prod"), ("NATS_USER", "me"), ("NATS_PASSWORD", "s3cret"), ("NATS_TIMEOUT", "1.5s")];
    for (args, variables, expected, absent) in [
        ("", &[][..], &["server,nats://127.0.0.1:4222,default", "timeout,5s,default"][..], "context,"),
        (
            "",
            &secrets[..],
            &[
                "context,prod,NATS_CONTEXT",
                "server,nats://prod:4222,context prod",
                "user,***,NATS_USER",
                "password,***,NATS_PASSWORD",
                "tls-ca,/ca.pem,context prod",
                "timeout,1.5s,NATS_TIMEOUT",
            ],
            "token,",
        ),
        ("-s nats://me:s3cret@b", &secrets, &["server,nats://b,--server"], "password,"),
        ("--token s3cret --context prod", &secrets, &["token,***,--token", "context,prod,--context"], "user,"),
    ] {
        let lines = show(args, variables).await;
        for line in expected {
            assert!(lines.iter().any(|shown| shown == line), "{line} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with(absent)), "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_address_in_use_without_its_login() {
    let user = User::new();
    user.context("prod", r#"{"url":"nats://me:s3cret@127.0.0.1:1","password":"s3cret"}"#);
    let tape = user.file("tape", "0 key home\n");
    let replay = format!("--replay {tape} --print");
    for (args, variables, expected) in [
        ("", &[("NATS_URL", "nats://me:s3cret@127.0.0.1:1")][..], "hourlog ▸ nats://127.0.0.1:1"),
        ("--context prod", &[("NATS_URL", "nats://b")], "hourlog ▸ prod (nats://127.0.0.1:1)"),
        ("-s nats://s3cret@127.0.0.1:1", &[("NATS_CONTEXT", "prod")], "hourlog ▸ nats://127.0.0.1:1"),
    ] {
        let (code, printed) = user.run(&format!("{args} {replay}"), variables).await;
        assert_eq!(code, 0, "{printed}");
        assert!(printed.contains(expected) && !printed.contains("s3cret"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_variable_is_named_and_lengths_of_time_have_units() {
    let user = User::new();
    for (name, value, expected) in [
        ("NATS_TIMEOUT", "soon", "1h30m"),
        ("NATS_TIMEOUT", "0s", "write 5s"),
        ("NATS_URL", "ws://me:s3cret@host", "WebSocket"),
        ("NATS_URL", "nats://me:s3cret/x@host", "percent-encoded"),
        ("NATS_CERT", "/c.pem", "--tls-key"),
        ("HOURLOG_TZ", "Mars/Olympus", "Europe/Oslo"),
        ("HOURLOG_COLOR", "green", "always"),
        ("HOURLOG_THEME", "loud", "mono"),
        ("NATS_CONTEXT", "nowhere", "nats context ls"),
    ] {
        let (code, printed) = user.run("ls", &[(name, value)]).await;
        assert_eq!(code, 2, "{name}={value}\n{printed}");
        assert!(printed.contains(name) && printed.contains(expected), "{name}={value}\n{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }
    for value in ["1.5s", "2m30s", "1500ms"] {
        let (code, printed) = user.run("ls -s 127.0.0.1:1", &[("NATS_TIMEOUT", value)]).await;
        assert!(code == 5 && printed.contains("was refused"), "{value}\n{printed}");
    }
}
