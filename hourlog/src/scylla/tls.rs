//! TLS connections to the nodes.

use crate::Result;

use super::url::Tls;

/// Returns the TLS configuration for the driver.
#[cfg(feature = "scylla-tls")]
pub(super) fn context(tls: &Tls) -> Result<scylla::client::session::TlsContext> {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer, pki_types::pem::PemObject};

    use crate::Error;

    let mut roots = RootCertStore::empty();
    let certificates = match tls {
        Tls::System => rustls_native_certs::load_native_certs().certs,
        Tls::Authority(file) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                Error::invalid(format!("cannot use the certificates in {}: {error}", file.display()))
            };
            let read = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
            read.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?
        }
    };
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(Error::invalid("no CA certificate was found; name a PEM file with one, as ?tls=FILE"));
    }
    // Explicit, because the driver brings a second provider along.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid("cannot set up TLS").because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// Returns the error of a build without TLS.
#[cfg(not(feature = "scylla-tls"))]
pub(super) fn context(_: &Tls) -> Result<scylla::client::session::TlsContext> {
    use crate::{Error, ErrorKind};

    let context =
        "this program was built without TLS for databases; build it with the feature scylla-tls (hourlogd: cql-tls)";
    Err(Error::new(ErrorKind::Refused, context))
}
