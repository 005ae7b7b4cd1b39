//! Health and metrics over HTTP, for monitoring: `GET /health`, `GET /metrics`.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use hourlog::{Error, ErrorKind, Result};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio_util::sync::CancellationToken;

use crate::{health::Health, metrics::Metrics, units::ListenAddress};

/// Content type of the OpenMetrics format, which Prometheus requests.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves on `address` until `shutdown`. Returns the actual address: port 0 selects a free port.
///
/// # Errors
/// [`ErrorKind::Refused`] when the address cannot be bound.
pub(crate) async fn start(
    address: &ListenAddress,
    state: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<SocketAddr> {
    let refused = |error: std::io::Error| {
        Error::new(ErrorKind::Refused, format!("cannot listen on {address}; give --http another address"))
            .because(error)
    };
    let listener = address.bind().await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let routes = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(state);
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = served.await {
            tracing::warn!(%error, "health and metrics stopped");
        }
    });
    Ok(address)
}

/// Returns the same state as the endpoints' statistics, with 503 while a component is degraded.
async fn health(State(state): State<Arc<Health>>) -> impl IntoResponse {
    let code = if state.all_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(state.report()))
}

async fn metrics(State(state): State<Arc<Health>>) -> impl IntoResponse {
    let mut registry = Registry::with_prefix("hourlog");
    registry.register_collector(Box::new(Metrics(state)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, OPEN_METRICS)], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}
