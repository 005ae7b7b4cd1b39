//! Health and metrics over HTTP: `GET /livez`, `GET /readyz`, `GET /metrics`.
//!
//! No client can hold anything up. Each connection carries one request and ends within
//! [`CONNECTION_MAX`], and there are at most [`CONNECTIONS_MAX`], and never so many that the archive lacks
//! files. No handler reads a request's body,
//! so none is received.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::IntoResponse,
    routing::get,
    serve::Listener,
};
use hourlog::{Error, ErrorKind, Result};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prometheus_client::registry::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{exposition::Format, health::Health, metrics, open_files, units::ListenAddress};

/// Number of connections at once. A further one ends the oldest, so clients that hold theirs cannot
/// keep a probe out.
const CONNECTIONS_MAX: usize = 64;
/// Part of the process's open files that connections may take.
const FILES_DIVISOR: u64 = 8;
/// Time limit for the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// Time limit for a connection, from its first byte to the last one of the response.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// Size of a request's head in bytes, at most.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The state that the handlers share.
#[derive(Debug)]
struct Monitored {
    health: Arc<Health>,
    registry: Registry,
}

/// Serves on `address` until `shutdown`. Returns the actual address: port 0 selects a free port.
///
/// # Errors
/// [`ErrorKind::Refused`] when the address cannot be bound.
pub(crate) async fn start(
    address: &ListenAddress,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<SocketAddr> {
    let refused = |error: std::io::Error| {
        Error::new(ErrorKind::Refused, format!("cannot listen on {address}; give --http another address"))
            .because(error)
    };
    let listener = address.bind().await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let registry = metrics::registry(&health);
    let routes = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Monitored { health, registry }));
    tokio::spawn(async move {
        tokio::select! {
            () = serve(listener, routes) => {}
            () = shutdown.cancelled() => {}
        }
    });
    Ok(address)
}

/// Accepts connections. Dropping the future ends all of them.
async fn serve(mut listener: TcpListener, routes: Router) {
    let of_files = usize::try_from(open_files::limit() / FILES_DIVISOR).unwrap_or(usize::MAX);
    let mut connections = Connections { max: CONNECTIONS_MAX.min(of_files).max(1), ..Connections::default() };
    loop {
        // Retries by itself while the process has too many open files.
        let (socket, _) = Listener::accept(&mut listener).await;
        connections.add(answer(socket, routes.clone()));
    }
}

/// The open connections.
#[derive(Debug, Default)]
struct Connections {
    max: usize,
    tasks: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Connections {
    /// Starts a connection, and ends the oldest if there are too many.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= self.max
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.oldest_first.push_back(self.tasks.spawn(connection));
    }
}

/// Answers the request of a connection.
async fn answer(socket: TcpStream, routes: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    // A client that breaks off or is too slow is not a failure of the service.
    let _ = tokio::time::timeout(CONNECTION_MAX, connection).await;
}

/// Answers as long as the process works. A restart would not help an archive that is unavailable.
async fn livez() -> &'static str {
    "ok\n"
}

/// Returns the same state as the endpoints' statistics, with 503 while a component is degraded.
async fn readyz(State(state): State<Arc<Monitored>>) -> impl IntoResponse {
    let code = if state.health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(state.health.report()))
}

async fn metrics(State(state): State<Arc<Monitored>>, headers: HeaderMap) -> impl IntoResponse {
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accepted.join(","));
    match format.write(&state.registry) {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, format.content_type())], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}
