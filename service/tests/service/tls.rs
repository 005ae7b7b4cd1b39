//! TLS with a nats-server: with and without client certificates, and before the server says anything.

use std::{path::Path, process::Stdio, time::Duration};

use conformance::servers::{Certificates, HourlogdProcess, NatsOptions, NatsServer, Recorder};
use hourlog::{Error, ErrorKind, Record, Remote};

use crate::kit::{WAIT_MAX, binary, log};

/// Time in which a service gives up at a failure that no retry cures.
const REFUSAL_MAX: Duration = Duration::from_secs(20);

async fn server(certificates: &Certificates, tls: &str) -> NatsServer {
    let config = format!("{}authorization {{ user: me, password: s3cret }}", certificates.nats_config(tls));
    NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

fn address(nats: &NatsServer) -> String {
    format!("me:s3cret@127.0.0.1:{}", nats.port())
}

/// Runs `hourlogd` until it ends, and returns its exit code and what it printed.
async fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(binary());
    command.args(["--store", "memory:"]).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(REFUSAL_MAX, command.output()).await.expect("it gives up at once");
    let output = output.expect("the binary can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), printed)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_the_service_get_in_with_the_right_certificates() {
    let certificates = Certificates::new();
    let (ca, (cert, key)) = (certificates.ca(), certificates.client());
    for (tls, has_client, is_first) in
        [("", false, false), ("verify: true", true, false), ("verify: true, handshake_first: true", true, true)]
    {
        let nats = server(&certificates, tls).await;
        let address = address(&nats);
        let mut arguments = vec!["--store", "memory:", "--nats", &address, "--tls-ca", text(&ca)];
        let mut builder = Remote::builder(&address).with_timeout(WAIT_MAX).with_root_certificates(&ca);
        if has_client {
            arguments.extend(["--tls-cert", text(&cert), "--tls-key", text(&key)]);
            builder = builder.with_client_certificate(&cert, &key);
        }
        if is_first {
            arguments.push("--tls-first");
            builder = builder.with_tls_first();
        }
        let _service = HourlogdProcess::start(binary(), arguments).await;
        let remote = builder.connect().await.expect("the certificates are right");
        remote.append(&log("orders"), Record::new("one")).await.expect("the record is archived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_tls_is_called_one_and_a_refused_certificate_is_a_refused_login() {
    let certificates = Certificates::new();
    let (ca, other_ca) = (certificates.ca(), certificates.other_ca());
    let ((cert, key), (other_cert, other_key)) = (certificates.client(), certificates.other_client());
    let open = server(&certificates, "").await;
    let verifying = server(&certificates, "verify: true").await;
    let plain = NatsServer::start().await;
    let (open, verifying, plain) = (address(&open), address(&verifying), address(&plain));
    let (ca, other_ca) = (text(&ca), text(&other_ca));
    type Case<'a> = (&'a str, &'a [&'a str], ErrorKind, &'a str);
    let cases: [Case<'_>; 7] = [
        (&open, &["--tls-ca", other_ca], ErrorKind::Invalid, "certificate"),
        // The CAs of this machine have not signed the server's certificate either.
        (&open, &[], ErrorKind::Invalid, "certificate"),
        (&verifying, &["--tls-ca", ca], ErrorKind::NotAllowed, "client certificate"),
        (
            &verifying,
            &["--tls-ca", ca, "--tls-cert", text(&other_cert), "--tls-key", text(&other_key)],
            ErrorKind::NotAllowed,
            "client certificate",
        ),
        (&plain, &["--tls-ca", ca], ErrorKind::Invalid, "speaks TLS"),
        (&plain, &["--tls-cert", text(&cert), "--tls-key", text(&key)], ErrorKind::Invalid, "speaks TLS"),
        (&plain, &["--tls-ca", ca, "--tls-first"], ErrorKind::Invalid, "speaks TLS"),
    ];
    for (address, flags, kind, expected) in cases {
        let (code, printed) = refusal(&[&["--nats", address], flags].concat()).await;
        assert!(printed.contains("TLS with the NATS server"), "{flags:?}\n{printed}");
        assert!(printed.contains(expected) && !printed.contains("s3cret"), "{flags:?}\n{printed}");
        assert_eq!(code, Some(i32::from(kind.exit_code())), "{flags:?}\n{printed}");
    }
    let check = |error: Error, kind: ErrorKind| {
        assert!(error.to_string().starts_with("TLS with the NATS server"), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
    };
    let error = Remote::builder(&open).with_root_certificates(other_ca).connect().await;
    check(error.expect_err("the CA is another"), ErrorKind::Invalid);
    let error = Remote::builder(&verifying).with_root_certificates(ca).connect().await;
    check(error.expect_err("the client certificate is missing"), ErrorKind::NotAllowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_with_tls_is_not_taken_for_a_missing_one() {
    let certificates = Certificates::new();
    let nats = server(&certificates, "handshake_first: true, timeout: 0.5").await;
    let error = Remote::builder(&address(&nats)).with_root_certificates(certificates.ca()).connect().await;
    let error = error.expect_err("the server waits for TLS, and the client for the server");
    assert!(error.to_string().contains("TLS first") && error.kind() == ErrorKind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_sent_to_a_port_without_tls() {
    let certificates = Certificates::new();
    let (ca, recorder) = (certificates.ca(), Recorder::start().await);
    let address = recorder.address();
    let flags = ["--user", "me", "--password", "s3cret", "--tls-ca", text(&ca)];
    let (_, printed) = refusal(&[&["--nats", &address], &flags[..]].concat()).await;
    assert!(printed.contains("TLS with"), "{printed}");
    let (_, printed) = refusal(&["--nats", &format!("tls://me:s3cret@{address}")]).await;
    assert!(printed.contains("TLS with"), "{printed}");
    let remote = Remote::builder(&address).with_user_and_password("me", "s3cret").with_root_certificates(&ca);
    assert!(remote.connect().await.expect_err("the port is plain").to_string().contains("TLS with"));
    assert!(!recorder.received().is_empty() && !recorder.received().contains("CONNECT"), "{}", recorder.received());
    // The recorder does see a password that is sent.
    let remote = Remote::builder(&address).with_user_and_password("me", "s3cret");
    assert_eq!(remote.connect().await.expect_err("it is refused").kind(), ErrorKind::NotAllowed);
    assert!(recorder.received().contains("s3cret"), "{}", recorder.received());
}
