//! Certificates for TLS, made for one test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// A CA with a certificate for a server on this machine and one for a client, and a second CA that
/// signed neither. All are files in a directory of the test.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes the certificates.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn new() -> Self {
        let certificates = Self { directory: TempDir::new().expect("a temporary directory can be created") };
        let issuer = certificates.authority("ca");
        certificates.signed("server", &issuer, ExtendedKeyUsagePurpose::ServerAuth);
        certificates.signed("client", &issuer, ExtendedKeyUsagePurpose::ClientAuth);
        let other = certificates.authority("other-ca");
        certificates.signed("other-client", &other, ExtendedKeyUsagePurpose::ClientAuth);
        certificates
    }

    /// The certificate of the CA (PEM).
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The certificate of a CA that signed neither server nor client (PEM).
    pub fn other_ca(&self) -> PathBuf {
        self.path("other-ca.pem")
    }

    /// The certificate and the key of the client (PEM).
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.path("client.pem"), self.path("client-key.pem"))
    }

    /// The certificate and the key of a client of the other CA (PEM).
    pub fn other_client(&self) -> (PathBuf, PathBuf) {
        (self.path("other-client.pem"), self.path("other-client-key.pem"))
    }

    /// Returns the part of a nats-server's configuration that switches TLS on. `settings` are further
    /// lines of it, such as `verify: true`.
    pub fn nats_config(&self, settings: &str) -> String {
        let [cert, key, ca] = ["server.pem", "server-key.pem", "ca.pem"].map(|name| self.path(name));
        format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, {settings} }}\n")
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let key = KeyPair::generate().expect("a key can be generated");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        self.write(&format!("{name}.pem"), &certificate.pem());
        Issuer::new(params, key)
    }

    fn signed(&self, name: &str, issuer: &Issuer<'static, KeyPair>, usage: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().expect("a key can be generated");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, issuer).expect("the parameters are valid");
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}-key.pem"), &key.serialize_pem());
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.directory.path(), name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the test's own directory is writable");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
