//! The configuration of a node: the arguments of Java, its settings and a certificate.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::Place;

/// The file with the CA certificate. The certificate of the node is signed by itself.
pub(crate) const AUTHORITY: &str = "authority.pem";

/// The period at which the commit log is synced, in milliseconds. It is the default of Cassandra.
const SYNC_PERIOD_MILLIS: u32 = 10_000;

const EXPORTS: &str = "java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.base/java.lang.reflect \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql \
    jdk.unsupported/sun.misc";
const OPENS: &str = "java.base/java.lang.module java.base/java.net java.base/jdk.internal.loader java.base/jdk.internal.ref \
    java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar \
    java.base/sun.nio.ch java.base/java.io java.base/java.lang java.base/java.util java.base/java.util.concurrent \
    java.base/java.util.concurrent.atomic java.base/java.nio jdk.management/com.sun.management.internal";
const PROPERTIES: [&str; 4] = [
    "-Dcassandra-foreground=yes",
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    // Tests open hundreds of connections, and there is nothing to protect.
    "-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4",
];

/// Returns the arguments of Java.
pub(crate) fn java(directory: &Path, libraries: &Path, place: &Place) -> Vec<String> {
    let memory: &[&str] = match place.is_alone() {
        true => &["-Xms512m", "-Xmx1g"],
        // The nodes of a cluster share the memory and the processors of the machine. Optimising their code takes longer
        // than most tests.
        false => &["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    };
    let mut arguments: Vec<String> = memory.iter().map(|&argument| argument.to_owned()).collect();
    for (flag, names) in [("--add-exports", EXPORTS), ("--add-opens", OPENS)] {
        arguments.extend(names.split_whitespace().map(|name| format!("{flag}={name}=ALL-UNNAMED")));
    }
    let directory = directory.display();
    arguments.extend(PROPERTIES.map(str::to_owned));
    // A node of a cluster that starts again ends if no other one answers within this time.
    let ring_delay_millis = if place.is_alone() { 100 } else { 30_000 };
    arguments.push(format!("-Dcassandra.ring_delay_ms={ring_delay_millis}"));
    arguments.push(format!("-Dcassandra.initial_token={}", place.token));
    arguments.push(format!("-Dcassandra.config=file://{directory}/cassandra.yaml"));
    arguments.push(format!("-Dcassandra.storagedir={directory}"));
    arguments.push(format!("-Dlogback.configurationFile={directory}/logback.xml"));
    arguments.extend(["-cp".to_owned(), format!("{directory}:{}/*", libraries.display())]);
    arguments.push("org.apache.cassandra.service.CassandraDaemon".to_owned());
    arguments
}

pub(crate) const LOGBACK: &str = "<configuration><appender name=\"OUT\" class=\"ch.qos.logback.core.ConsoleAppender\"><encoder>\
    <pattern>%level %date{ISO8601} %msg%n</pattern></encoder></appender><root level=\"WARN\"><appender-ref ref=\"OUT\"/></root>\
    <logger name=\"org.apache.cassandra.transport\" level=\"INFO\"/><logger name=\"org.apache.cassandra.auth\" level=\"INFO\"/>\
    <logger name=\"org.apache.cassandra.gms.Gossiper\" level=\"INFO\"/>\
    </configuration>";

/// Returns `cassandra.yaml`: all data below `directory`. With a certificate, passwords are required and TLS is
/// optional; without one, there are neither.
///
/// A node joins a cluster without copying data, because the cluster is empty then.
pub(crate) fn node(directory: &Path, place: &Place, certificate: Option<&Certificate>) -> String {
    let directory = directory.display();
    let Place { address, seed, port, storage_port, .. } = place;
    let access = certificate.map_or_else(|| "authenticator: AllowAllAuthenticator\n".to_owned(), passwords_and_tls);
    format!(
        "cluster_name: hourlog\n\
         num_tokens: 1\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         auto_snapshot: false\n\
         auto_bootstrap: false\n\
         commitlog_sync: periodic\n\
         commitlog_sync_period: {SYNC_PERIOD_MILLIS}ms\n\
         data_file_directories: [\"{directory}/data\"]\n\
         commitlog_directory: \"{directory}/commitlog\"\n\
         hints_directory: \"{directory}/hints\"\n\
         saved_caches_directory: \"{directory}/saved_caches\"\n\
         cdc_raw_directory: \"{directory}/cdc_raw\"\n\
         endpoint_snitch: SimpleSnitch\n\
         listen_address: {address}\n\
         rpc_address: {address}\n\
         native_transport_port: {port}\n\
         storage_port: {storage_port}\n\
         seed_provider:\n  - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n    parameters:\n      \
         - seeds: \"{seed}:{storage_port}\"\n\
         {access}"
    )
}

fn passwords_and_tls(Certificate { file, password }: &Certificate) -> String {
    let file = file.display();
    format!(
        "authenticator: PasswordAuthenticator\n\
         client_encryption_options:\n  enabled: true\n  optional: true\n  keystore: \"{file}\"\n  \
         keystore_password: {password}\n  store_type: PKCS12\n"
    )
}

/// A key with its certificate.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The key store, in PKCS 12.
    file: PathBuf,
    password: &'static str,
}

/// Creates a key and a self-signed certificate for 127.0.0.1, with the keytool of the JDK.
pub(crate) fn make_certificate(java: &Path, directory: &Path) -> Result<Certificate> {
    let certificate = Certificate { file: directory.join("node.p12"), password: "cassandra" };
    let keytool = java.with_file_name("keytool");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&keytool);
        command.args(arguments).args(["-alias", "node", "-storepass", certificate.password]).arg("-keystore");
        let done = command.arg(&certificate.file).stdin(Stdio::null()).output();
        let done = done.with_context(|| format!("cannot start {}; install a JDK, not a JRE", keytool.display()))?;
        ensure!(done.status.success(), "keytool failed: {}", String::from_utf8_lossy(&done.stdout));
        Ok(())
    };
    let generate =
        ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650"];
    run(&[&generate[..], &["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"]].concat())?;
    let pem = directory.join(AUTHORITY).display().to_string();
    run(&["-exportcert", "-rfc", "-file", &pem])?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_node_has_its_own_directories_and_ports() {
        let address = Ipv4Addr::new(127, 0, 0, 2);
        let place = Place { address, seed: Ipv4Addr::LOCALHOST, port: 1, storage_port: 2, token: 5, nodes: 3 };
        let text = node(Path::new("/tmp/x"), &place, None);
        assert!(text.contains("\nnative_transport_port: 1\n") && text.contains("seeds: \"127.0.0.1:2\""), "{text}");
        assert!(text.contains("\nlisten_address: 127.0.0.2\n") && text.contains("AllowAll"), "{text}");
        let directories = ["data", "commitlog", "hints", "saved_caches"];
        assert!(directories.iter().all(|name| text.contains(&format!("/tmp/x/{name}\""))), "{text}");
        let arguments = java(Path::new("/tmp/x"), Path::new("/lib"), &place);
        assert!(arguments.contains(&"-Dcassandra.initial_token=5".to_owned()), "{arguments:?}");
    }

    #[test]
    fn passwords_need_a_certificate() {
        let certificate = Certificate { file: PathBuf::from("/tmp/x/node.p12"), password: "p" };
        let place = Place::alone().expect("ports are free");
        let text = node(Path::new("/tmp/x"), &place, Some(&certificate));
        assert!(text.contains("PasswordAuthenticator") && text.contains("/tmp/x/node.p12"), "{text}");
    }
}
