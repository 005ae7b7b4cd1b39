//! The servers that tests own: they start, stop, restart with their data, and leave nothing behind.

use conformance::servers::{NatsOptions, NatsServer};

#[tokio::test]
async fn a_server_restarts_on_its_port_with_its_data() {
    let mut server = NatsServer::start().await;
    let (url, port) = (server.url(), server.port());
    let client = async_nats::connect(&url).await.expect("the server is ready");
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("JetStream is enabled");
    jetstream.publish("kept.a", "x".into()).await.expect("the message is sent").await.expect("the stream stores it");
    server.kill();
    assert!(async_nats::connect(&url).await.is_err(), "the server was killed");
    server.restart().await;
    assert_eq!((server.url(), server.port()), (url.clone(), port));
    let client = async_nats::connect(&url).await.expect("the server is ready again");
    let mut stream =
        async_nats::jetstream::new(client).get_stream("KEPT").await.expect("the stream survives the restart");
    assert_eq!(stream.info().await.expect("the server answers").state.messages, 1);
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_paused_server_answers_once_it_is_resumed() {
    let mut server = NatsServer::start().await;
    let client = async_nats::connect(server.url()).await.expect("the server is ready");
    server.pause();
    let flush = tokio::spawn(async move { client.flush().await });
    server.resume();
    flush.await.expect("the task does not panic").expect("the server was resumed");
}

#[tokio::test]
async fn a_server_uses_the_configured_max_payload() {
    let options = NatsOptions { max_payload: Some(4096), ..NatsOptions::default() };
    let server = NatsServer::start_with(options).await;
    let client = async_nats::connect(server.url()).await.expect("the server is ready");
    assert_eq!(client.server_info().max_payload, 4096);
}

#[tokio::test]
async fn a_server_ends_with_the_test_that_owns_it() {
    let server = NatsServer::start().await;
    let (url, directory) = (server.url(), server.directory().to_owned());
    drop(server);
    assert!(async_nats::connect(url).await.is_err());
    assert!(!directory.exists());
}
