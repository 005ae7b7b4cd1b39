//! Logins: addresses with a login, several addresses, TLS, and secrets that must not be printed.

use std::{process::Stdio, time::Duration};

use conformance::servers::{HourlogdProcess, NatsOptions, NatsServer, Nkey, Operator, Recorder};
use hourlog::{ErrorKind, Record, Remote};
use tempfile::TempDir;

use crate::kit::{WAIT_MAX, binary, log};

/// Time after which a service that retries is stopped.
const RETRIES: Duration = Duration::from_secs(3);

async fn server(authorization: &str) -> NatsServer {
    let config = format!("authorization {{ {authorization} }}");
    NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await
}

/// Starts a service at `url`, and appends an event over a client with the same URL.
async fn check_login(url: &str) {
    let _service = HourlogdProcess::start(binary(), ["--store", "memory:", "--nats", url]).await;
    let remote = Remote::connect(url).await.expect("the login is right").with_timeout(WAIT_MAX);
    remote.append(&log("orders"), Record::new("one")).await.expect("the record is archived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password_in_an_address_are_decoded_and_used() {
    let nats = server(r#"user: "m:e", password: "p@s/s%,""#).await;
    check_login(&format!("nats://m%3Ae:p%40s%2Fs%25%2C@127.0.0.1:{}", nats.port())).await;
    let error = Remote::connect(&nats.url()).await.expect_err("the login is missing");
    assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_an_address_is_used() {
    let nats = server(r#"token: "to/ken""#).await;
    check_login(&format!("to%2Fken@127.0.0.1:{}", nats.port())).await;
}

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Starts a service with each of the given flags and variables, which all log in.
async fn check_logins(nats: &NatsServer, cases: &[(&[&str], Variables<'_>)]) {
    for (flags, variables) in cases {
        let environment: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let url = nats.url();
        let arguments = [&["--store", "memory:", "--nats", &url][..], flags].concat();
        HourlogdProcess::start_in(binary(), arguments, &environment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_a_token_a_key_and_credentials_log_in_by_flag_and_by_variable() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path.to_str().expect("the path is UTF-8").to_owned()
    };
    let key = Nkey::new();
    let seed = file("seed", &key.seed());
    let nats = server(&format!("users: [{{ user: me, password: x }}, {{ nkey: {} }}]", key.public())).await;
    check_logins(
        &nats,
        &[
            (&["--user", "me", "--password", "x"], &[("HOURLOG_TOKEN", "other"), ("HOURLOG_CREDS", "/missing")]),
            (&["--user", "me"], &[("HOURLOG_PASSWORD", "x")]),
            (&[], &[("HOURLOG_USER", "me"), ("HOURLOG_PASSWORD", "x")]),
            (&["--nkey", &seed], &[("HOURLOG_USER", "me"), ("HOURLOG_PASSWORD", "wrong")]),
            (&[], &[("HOURLOG_NKEY", &seed)]),
        ],
    )
    .await;
    let remote = Remote::builder(&nats.url()).with_nkey(key.seed()).connect().await;
    remote.expect("the key is right");

    let nats = server(r#"token: "to/ken""#).await;
    check_logins(&nats, &[(&["--token", "to/ken"], &[]), (&[], &[("HOURLOG_TOKEN", "to/ken")])]).await;

    let operator = Operator::new();
    let config = operator.nats_config().to_owned();
    let nats = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let creds = file("user.creds", operator.creds());
    check_logins(&nats, &[(&["--creds", &creds], &[]), (&[], &[("HOURLOG_CREDS", &creds)])]).await;
    Remote::builder(&nats.url()).with_credentials(&creds).connect().await.expect("the credentials are right");
    let error = Remote::connect(&nats.url()).await.expect_err("the credentials are missing");
    assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_login_wins_over_one_of_a_variable_which_is_not_sent() {
    let recorder = Recorder::start().await;
    let variables = [
        ("HOURLOG_NATS", format!("nats://me:s3cret@{}", recorder.address())),
        ("HOURLOG_PASSWORD", "s3cret".to_owned()),
        ("HOURLOG_TOKEN", "s3cret".to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let own = format!("nats://you:typed@{}", recorder.address());
    for arguments in [&["--token", "typed"][..], &["--user", "you", "--password", "typed"], &["--nats", &own]] {
        let before = recorder.received().len();
        let printed = output(&[&["--store", "memory:"], arguments].concat(), &variables).await;
        assert!(printed.contains("refuses the login") && !printed.contains("s3cret"), "{printed}");
        let sent = recorder.received().split_off(before);
        assert!(sent.contains("typed") && !sent.contains("s3cret"), "{arguments:?} sends {sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_variable_is_named() {
    for (name, value, expected) in [
        ("HOURLOG_IDLE_SECONDS", "soon", "is not a length of time"),
        ("HOURLOG_WAL_MAX_BYTES", "1XB", "is not a size"),
        ("HOURLOG_HTTP", "9464", "is not an address"),
        ("HOURLOG_MIGRATE", "maybe", "invalid value"),
        ("HOURLOG_NATS", "ws://me:s3cret@host", "WebSocket"),
        ("HOURLOG_STORE", "redis://me:s3cret@host", "is not an archive"),
        ("HOURLOG_TRACE", "hourlogd=loud", "such as hourlogd=debug"),
    ] {
        let printed = output(&["--prefix", "p"], &[(name, value)]).await;
        assert!(printed.contains(name) && printed.contains(expected), "{name}={value}\n{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_missing_is_traced_once() {
    let printed = output(&["--store", "memory:", "--nats", "127.0.0.1:1"], &[("RUST_LOG", "info")]).await;
    assert_eq!(printed.matches("no connection to NATS yet").count(), 1, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_in_the_list_does_not_matter() {
    let nats = server("user: me, password: x").await;
    let port = nats.port();
    check_login(&format!("nats://me:x@127.0.0.1:1,127.0.0.1:{port}")).await;
    check_login(&format!("127.0.0.1:{port},me:x@127.0.0.1:1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_ca_means_tls_or_no_connection() {
    let nats = server("user: me, password: secret").await;
    let directory = TempDir::new().expect("a temporary directory can be created");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, "").expect("the file can be written");
    let with_login = format!("nats://me:secret@127.0.0.1:{}", nats.port());
    let with_tls = format!("tls://me:secret@127.0.0.1:{}", nats.port());
    for error in [
        Remote::builder(&with_login).with_root_certificates(&ca).connect().await.expect_err("the server has no TLS"),
        Remote::connect(&with_tls).await.expect_err("the server has no TLS"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with("TLS with the NATS server"), "{error}");
    }
}

/// Runs `hourlogd` until it ends or has retried for a while, and returns everything that it printed.
async fn output(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(binary());
    command.args(arguments).env("RUST_LOG", "debug").envs(environment.iter().copied()).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
    if tokio::time::timeout(RETRIES, child.wait()).await.is_err() {
        child.start_kill().expect("the process is running");
    }
    let output = child.wait_with_output().await.expect("the output can be read");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_when_the_service_cannot_start() {
    let nats = server("user: me, password: right").await;
    let (plain, address) = (nats.url(), format!("nats://me:s3cret@127.0.0.1:{}", nats.port()));
    let tls = address.replace("nats://", "tls://");
    let store = ["--store", "memory:"];
    let variables = [
        ("HOURLOG_NATS", address.as_str()),
        ("HOURLOG_PASSWORD", "s3cret"),
        ("HOURLOG_TOKEN", "s3cret"),
        ("HOURLOG_STORE_PASSWORD", "s3cret"),
        ("HOURLOG_JANITOR_PASSWORD", "s3cret"),
        ("HOURLOG_STORE", "cql://me:s3cret@host/k"),
    ];
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 12] = [
        ("--janitor-password", &["--help"], &variables),
        ("refuses the login", &["--nats", &address], &[]),
        ("refuses the login", &[], &variables[..1]),
        ("refuses the login", &["--nats", &plain, "--user", "me", "--password", "s3cret"], &[]),
        ("refuses the login", &["--nats", &plain, "--token", "s3cret"], &[]),
        ("connection was refused", &["--nats", "nats://me:s3cret@127.0.0.1:1"], &[]),
        ("cannot be resolved", &["--nats", "nats://s3cret@nowhere.invalid"], &[]),
        ("TLS with", &["--nats", &tls], &[]),
        ("percent-encoded", &["--nats", "nats://me:s3cret/x@host"], &[]),
        ("percent-encoded", &["--nats", "nats://me:s3cret,x@host"], &[]),
        ("WebSocket", &["--nats", "ws://me:s3cret@host"], &[]),
        ("cannot read", &["--nats", &address, "--creds", "/missing"], &[]),
    ];
    for (expected, arguments, environment) in cases {
        let arguments = if arguments == ["--help"] { arguments.to_vec() } else { [&store[..], arguments].concat() };
        let printed = output(&arguments, environment).await;
        assert!(printed.contains(expected), "{arguments:?} does not print {expected:?} but\n{printed}");
        assert!(!printed.contains("s3cret"), "{arguments:?} {environment:?} prints a secret:\n{printed}");
    }
    let directory = TempDir::new().expect("a temporary directory can be created");
    let file = directory.path().join("hourlog.toml");
    let file_text = format!("nats = {address:?}\npassword = \"s3cret\"\njanitor-password = \"s3cret\"");
    let path = file.to_str().expect("the path is UTF-8");
    for (text, expected) in [(file_text.as_str(), "nats://127.0.0.1"), ("password = s3cret", "line 1")] {
        std::fs::write(&file, text).expect("the file can be written");
        for environment in [&[][..], &variables] {
            let printed = output(&["--config", path, "--print-config"], environment).await;
            assert!(printed.contains(expected) && !printed.contains("s3cret"), "{printed}");
        }
    }
    let printed = output(&["--config-template"], &variables).await;
    assert!(printed.contains("#janitor-password = ") && !printed.contains("s3cret"), "{printed}");
    let printed = output(&["--store", "redis://me:s3cret@host"], &[]).await;
    assert!(printed.contains("is not an archive") && !printed.contains("s3cret"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_counts_as_unset() {
    let nats = NatsServer::start().await;
    let names = ["NATS", "CREDS", "NKEY", "USER", "TOKEN", "TLS_CA", "TLS_CERT", "TLS_KEY", "TLS_FIRST", "HTTP"];
    let mut environment: Vec<_> = names.iter().map(|name| (format!("HOURLOG_{name}"), String::new())).collect();
    environment.push(("HOURLOG_MIGRATE".to_owned(), "1".to_owned()));
    HourlogdProcess::start_in(binary(), ["--store", "memory:", "--nats", &nats.url()], &environment).await;
}
