//! The servers that tests own: they start, stop, come back with what they had, and do not stay behind.

use conformance::servers::{NatsOptions, NatsServer};

#[tokio::test]
async fn a_server_comes_back_on_its_port_with_what_it_had() {
    let mut server = NatsServer::start().await;
    let (url, port) = (server.url(), server.port());
    let client = async_nats::connect(&url).await.expect("it is ready");
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept.>".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("JetStream is on");
    jetstream.publish("kept.a", "x".into()).await.expect("it is sent").await.expect("it is kept");
    server.kill();
    assert!(async_nats::connect(&url).await.is_err(), "it was killed");
    server.restart().await;
    assert_eq!((server.url(), server.port()), (url.clone(), port));
    let client = async_nats::connect(&url).await.expect("it is ready again");
    let mut stream = async_nats::jetstream::new(client).get_stream("KEPT").await.expect("it was kept");
    assert_eq!(stream.info().await.expect("it answers").state.messages, 1);
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_server_that_is_held_answers_when_it_goes_on() {
    let mut server = NatsServer::start().await;
    let client = async_nats::connect(server.url()).await.expect("it is ready");
    server.pause();
    let flush = tokio::spawn(async move { client.flush().await });
    server.resume();
    flush.await.expect("it does not panic").expect("the server went on");
}

#[tokio::test]
async fn a_server_takes_as_much_as_it_is_told() {
    let options = NatsOptions { max_payload: Some(4096), ..NatsOptions::default() };
    let server = NatsServer::start_with(options).await;
    let client = async_nats::connect(server.url()).await.expect("it is ready");
    assert_eq!(client.server_info().max_payload, 4096);
}

#[tokio::test]
async fn a_server_goes_with_the_test_that_owns_it() {
    let server = NatsServer::start().await;
    let (url, directory) = (server.url(), server.directory().to_owned());
    drop(server);
    assert!(async_nats::connect(url).await.is_err());
    assert!(!directory.exists());
}
