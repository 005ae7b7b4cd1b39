//! Health and metrics over HTTP, for those who watch services: `GET /health`, `GET /metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use hourlog::{Error, ErrorKind, Result};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, telemetry::Status};

/// What a Prometheus server asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers on `address` until `shutdown`. Answers where it listens: a port of 0 becomes a free one.
///
/// # Errors
/// [`ErrorKind::Refused`] where nobody can listen there.
pub(crate) async fn start(address: SocketAddr, status: Arc<Status>, shutdown: CancellationToken) -> Result<SocketAddr> {
    let refused = |error: std::io::Error| {
        Error::new(ErrorKind::Refused, format!("cannot listen on {address}; give --http another address"))
            .because(error)
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let routes = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(status);
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = served.await {
            tracing::warn!(%error, "health and metrics are not served any more");
        }
    });
    Ok(address)
}

/// The state as every endpoint's statistics carry it; 503 while a part does not do its part.
async fn health(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let code = if status.all_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(status.report()))
}

async fn metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let mut registry = Registry::with_prefix("hourlog");
    registry.register_collector(Box::new(Metrics(status)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, OPEN_METRICS)], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}
