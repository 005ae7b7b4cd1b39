//! Databases that others have set up: guardrails, roles, nodes that are down, reloaded tables.

use conformance::{
    guards::{new_keyspace, session},
    servers::{CassandraNode, HourlogdProcess, NatsServer},
};
use hourlog::{ErrorKind, Scylla, store::ScyllaUrl};

use crate::kit::{Service, archived, binary, options, publish_all, service_with};

/// A user and its password, with the characters that end or change a part of a URL.
const USER: &str = "m@e:/?%#";
const PASSWORD: &str = "p?a@s%s/w#o:r%41d";
/// Both as they are written in a URL.
const LOGIN: &str = "m%40e%3A%2F%3F%25%23:p%3Fa%40s%25s%2Fw%23o%3Ar%2541d";

/// The settings of a node that checks permissions. A cached permission would outlive its change.
const ROLES: &str = "authorizer: CassandraAuthorizer\npermissions_validity: 0ms\nroles_validity: 0ms\n";

#[tokio::test(flavor = "multi_thread")]
async fn guardrails_and_missing_permissions_are_named_with_what_to_change() {
    let mut node = CassandraNode::start_with(&format!("{ROLES}minimum_timestamp_fail_threshold: 1d\n")).await;
    let owner: ScyllaUrl = node.url("events_eu").parse().expect("the URL is valid");
    let user: ScyllaUrl =
        format!("cql://{LOGIN}@{}/events_eu", node.address()).parse().expect("the encoded login is valid");
    assert_eq!(user.user, Some((USER.to_owned(), PASSWORD.to_owned())));
    let refused = async |migrate: bool| {
        let error = Scylla::open(&user, migrate).await.expect_err("the database is not set up");
        (error.kind(), error.to_string())
    };
    let database = session(&owner).await;
    // A host that is down does not hide that the other one rejects the password.
    let wrong = format!("cql://cassandra:wrong@{},127.0.0.1:1/events_eu", node.address());
    let error = Scylla::open(&wrong.parse().expect("the URL is valid"), true).await.expect_err("the password is wrong");
    assert!(error.to_string().contains("rejected the user cassandra; check the password"), "{error:?}");
    let run = async |statement: String| {
        database.query_unpaged(statement, ()).await.expect("the statement succeeds");
    };
    run(format!("CREATE ROLE \"{USER}\" WITH PASSWORD = '{PASSWORD}' AND LOGIN = true")).await;
    let (kind, said) = refused(true).await;
    assert_eq!(kind, ErrorKind::NotAllowed);
    assert!(said.contains("CREATE on all keyspaces") && said.contains("--migrate"), "{said}");
    // Guardrails do not apply to a superuser, so another user can create the tables.
    Scylla::open(&owner, true).await.expect("the superuser creates the tables");
    let (kind, said) = refused(false).await;
    assert_eq!(kind, ErrorKind::NotAllowed);
    assert!(said.contains("permission SELECT on table events_eu.schema_version"), "{said}");
    run(format!("GRANT SELECT ON KEYSPACE events_eu TO \"{USER}\"")).await;
    let (kind, said) = refused(false).await;
    assert_eq!(kind, ErrorKind::NotAllowed);
    assert!(said.contains("permission MODIFY on table events_eu.sources"), "{said}");
    run(format!("GRANT MODIFY ON KEYSPACE events_eu TO \"{USER}\"")).await;
    let (kind, said) = refused(false).await;
    assert_eq!(kind, ErrorKind::Refused);
    assert!(said.contains("remove minimum_timestamp_fail_threshold from cassandra.yaml"), "{said}");

    node.restart_with(&format!("{ROLES}minimum_timestamp_warn_threshold: 1d\n")).await;
    // The first host of the URL is down.
    let store = format!("cql://{LOGIN}@127.0.0.1:1,{}/events_eu", node.address());
    let mut service = service_with(&["--store", &store]).await;
    let message = |number: u32| (format!("log.busy.{}", number % 10), number.to_string());
    publish_all(&service.jetstream().await, (0..5_000).map(message)).await;
    archived(&service.remote().await).await;
    let lines = service.process.stderr_lines();
    let warned = lines.iter().filter(|line| line.contains("minimum_timestamp_warn_threshold")).count();
    assert_eq!(warned, 1, "{lines:#?}");
    assert!(lines.len() < 20 && !lines.iter().any(|line| line.contains("scylla::")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("p?a@s") || line.contains("p%3Fa")), "{lines:#?}");
    service.process.terminate().await;

    // The same login, from flags. They are not decoded.
    let store = format!("cql://{}/events_eu", node.address());
    service.options = options(&["--store", &store, "--store-user", USER, "--store-password", PASSWORD]);
    service.start_again().await;
    assert_eq!(archived(&service.remote().await).await.logs.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_table_is_refused() {
    let store = new_keyspace();
    let url: ScyllaUrl = store.parse().expect("the URL is valid");
    let keyspace = &url.keyspace;
    let mut service = service_with(&["--store", &store, "--migrate"]).await;
    publish_all(&service.jetstream().await, [("log.a".to_owned(), "1".to_owned())]).await;
    archived(&service.remote().await).await;
    service.process.terminate().await;
    Scylla::open(&url, false).await.expect("a table that a service wrote is not a reloaded one");
    let database = session(&url).await;
    database.use_keyspace(keyspace, false).await.expect("the keyspace exists");
    let flags = ["--store", &store].map(str::to_owned);
    let (nats, directory) = (NatsServer::start().await, tempfile::tempdir().expect("a directory can be created"));
    // As COPY and dsbulk write a row: with the time of the reload as its timestamp.
    for (table, reload) in [
        ("events", "INSERT INTO events (log_id, hour_bucket, time, seq, data) VALUES ('r', 0, 7, 1099511627777, 0x31)"),
        (
            "buckets",
            "INSERT INTO buckets (log_id, era, hour_bucket, counts) VALUES ('r', 0, 0, {emptied_at: 0, \
             width_seconds: 3600, count: 1, bytes: 1, first: 7, last: 7, arrivals: 0, counted_to: 1099511627777})",
        ),
        ("sources", "INSERT INTO sources (stream, slot, checkpoint) VALUES ('R', 0, (1099511627777, 7, 7))"),
    ] {
        database.query_unpaged(reload, ()).await.expect("the statement succeeds");
        let arguments = Service::arguments(&nats, directory.path(), &flags);
        let said = HourlogdProcess::try_start(binary(), arguments).await.expect_err("the table was reloaded");
        assert!(said.contains(&format!("the table {table} of keyspace {keyspace} was reloaded")), "{said}");
        assert!(said.contains("hourlog export and import"), "{said}");
    }
}
