//! Logins: addresses with a login, several addresses, TLS, and secrets that must not be printed.

use std::{process::Stdio, time::Duration};

use conformance::servers::{HourlogdProcess, NatsOptions, NatsServer};
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
    command.args(arguments).envs(environment.iter().copied()).env("RUST_LOG", "debug").stdin(Stdio::null());
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
