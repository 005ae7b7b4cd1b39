//! A real CQL server without a container: Apache Cassandra, got through Maven, on the JDK that is there.
//!
//! One node, in a directory that is thrown away, on ports that are free. The arguments are those that its own start script gives for
//! JDK 17, with what makes one node wait for others taken out.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    process::{self, Server},
    say, servers, tools,
};

/// Where tests find the node, as `host:port`.
pub(crate) const VARIABLE: &str = "HOURLOG_CQL";

const CASSANDRA: &str = "5.0.5";
/// It starts in ten seconds; on a machine that is busy, in more.
const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// What it says once it answers.
const READY: &str = "Starting listening for CQL clients";

const EXPORTS: &str = "java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.base/java.lang.reflect \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql \
    jdk.unsupported/sun.misc";
const OPENS: &str = "java.base/java.lang.module java.base/java.net java.base/jdk.internal.loader java.base/jdk.internal.ref \
    java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar \
    java.base/sun.nio.ch java.base/java.io java.base/java.lang java.base/java.util java.base/java.util.concurrent \
    java.base/java.util.concurrent.atomic java.base/java.nio jdk.management/com.sun.management.internal";
const SETTINGS: [&str; 5] = [
    "-Dcassandra-foreground=yes",
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=100",
    "-Dcassandra.initial_token=0",
];

/// A running node, with everything that it keeps. Stopped and removed on drop.
#[derive(Debug)]
pub(crate) struct Cassandra {
    /// `host:port`.
    pub address: String,
    // In this order: it is stopped before its files go.
    _server: Server,
    _directory: TempDir,
}

/// Starts a node, or answers the one that the user has named.
pub(crate) fn start() -> Result<Option<Cassandra>> {
    if env::var_os(VARIABLE).is_some() {
        return Ok(None);
    }
    let java = java()?;
    let libraries = libraries()?;
    let directory = tempfile::tempdir()?;
    let [port, storage_port] = free_ports()?;
    fs::write(directory.path().join("cassandra.yaml"), settings(directory.path(), port, storage_port))?;
    fs::write(directory.path().join("logback.xml"), LOGBACK)?;
    let said = directory.path().join("said.log");
    let mut command = Command::new(java);
    command.args(["-Xms512m", "-Xmx1g"]);
    for export in EXPORTS.split_whitespace() {
        command.args(["--add-exports", &format!("{export}=ALL-UNNAMED")]);
    }
    for open in OPENS.split_whitespace() {
        command.args(["--add-opens", &format!("{open}=ALL-UNNAMED")]);
    }
    let path = |name: &str| directory.path().join(name).display().to_string();
    command.arg(format!("-Dcassandra.config=file://{}", path("cassandra.yaml")));
    command.arg(format!("-Dcassandra.storagedir={}", directory.path().display()));
    command.arg(format!("-Dlogback.configurationFile={}", path("logback.xml"))).args(SETTINGS);
    command.arg("-cp").arg(format!("{}:{}/*", directory.path().display(), libraries.display()));
    command.arg("org.apache.cassandra.service.CassandraDaemon");
    command.current_dir(directory.path()).stdout(File::create(&said)?).stderr(Stdio::null());
    say::note(format_args!("starting Cassandra {CASSANDRA} on 127.0.0.1:{port}"));
    let mut server = Server::start(&mut command)?;
    let ready = process::wait_until(Some(READY_TIME_MAX), || {
        server.still_runs()?;
        Ok(fs::read_to_string(&said).is_ok_and(|text| text.contains(READY)).then_some(()))
    });
    ready
        .and_then(|ready| ready.with_context(|| format!("Cassandra does not answer after {READY_TIME_MAX:?}")))
        .map_err(|error| servers::with_last_lines(error, &said))?;
    Ok(Some(Cassandra { address: format!("127.0.0.1:{port}"), _server: server, _directory: directory }))
}

/// A Java that Cassandra runs on: 17, or 11.
fn java() -> Result<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")).filter(|java| java.exists());
    let java = named.or_else(|| tools::on_path("java")).context(
        "there is no java: install a JDK 17 and Maven, for tests run on a real Cassandra, or name the host:port of a node in HOURLOG_CQL",
    )?;
    let answer = Command::new(&java).arg("-version").stdin(Stdio::null()).output()?;
    let answer = String::from_utf8_lossy(&answer.stderr).into_owned();
    let version = answer.split('"').nth(1).unwrap_or_default();
    if !["17", "11"].iter().any(|good| version == *good || version.starts_with(&format!("{good}."))) {
        bail!("{} is Java {version}, and Cassandra {CASSANDRA} runs on 17: set JAVA_HOME to one", java.display());
    }
    Ok(java)
}

/// The directory with Cassandra's libraries, which Maven gets, once.
fn libraries() -> Result<PathBuf> {
    let directory = tools::cache()?.join(format!("cassandra-{CASSANDRA}"));
    let libraries = directory.join("lib");
    if libraries.exists() {
        return Ok(libraries);
    }
    let maven = tools::on_path("mvn").context(
        "there is no mvn to get Cassandra with: install Maven, or name the host:port of a node in HOURLOG_CQL",
    )?;
    fs::create_dir_all(&directory)?;
    // Beside its place, so that it can be moved there in one step, whole.
    let scratch = tempfile::tempdir_in(&directory)?;
    fs::write(scratch.path().join("pom.xml"), pom())?;
    say::note(format_args!("getting Cassandra {CASSANDRA}: mvn dependency:copy-dependencies (66 MB, once)"));
    let mut get = Command::new(maven);
    get.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]);
    process::run(get.current_dir(scratch.path()))?;
    fs::rename(scratch.path().join("lib"), &libraries)?;
    Ok(libraries)
}

/// Two ports that are free now.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, other] = &listeners;
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

fn pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>hourlog</groupId><artifactId>cassandra</artifactId><version>1</version><dependencies><dependency>\
         <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{CASSANDRA}</version>\
         </dependency></dependencies></project>"
    )
}

const LOGBACK: &str = "<configuration><appender name=\"OUT\" class=\"ch.qos.logback.core.ConsoleAppender\"><encoder>\
    <pattern>%level %date{ISO8601} %msg%n</pattern></encoder></appender><root level=\"WARN\"><appender-ref ref=\"OUT\"/></root>\
    <logger name=\"org.apache.cassandra.transport\" level=\"INFO\"/></configuration>";

fn settings(directory: &Path, port: u16, storage_port: u16) -> String {
    let directory = directory.display();
    format!(
        "cluster_name: hourlog\n\
         num_tokens: 1\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         auto_snapshot: false\n\
         commitlog_sync: periodic\n\
         commitlog_sync_period: 10000ms\n\
         data_file_directories: [\"{directory}/data\"]\n\
         commitlog_directory: \"{directory}/commitlog\"\n\
         hints_directory: \"{directory}/hints\"\n\
         saved_caches_directory: \"{directory}/saved_caches\"\n\
         cdc_raw_directory: \"{directory}/cdc_raw\"\n\
         endpoint_snitch: SimpleSnitch\n\
         listen_address: 127.0.0.1\n\
         rpc_address: 127.0.0.1\n\
         native_transport_port: {port}\n\
         storage_port: {storage_port}\n\
         seed_provider:\n  - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n    parameters:\n      \
         - seeds: \"127.0.0.1:{storage_port}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_directories_and_ports_of_its_own() {
        let text = settings(Path::new("/tmp/x"), 1, 2);
        assert!(text.contains("\nnative_transport_port: 1\n") && text.contains("seeds: \"127.0.0.1:2\""), "{text}");
        let [one, other] = free_ports().expect("some are free");
        assert_ne!(one, other);
    }
}
