//! A real CQL server: Apache Cassandra, downloaded by Maven, on an installed JDK; or ScyllaDB in
//! Docker.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use cassandra_node::{Cassandra, Programs, READY_TIME_MAX};

use crate::{print, process, tools};

/// Names the node to tests, as `host:port` or `user:password@host:port`.
const NODE_VARIABLE: &str = "HOURLOG_CQL";

const CASSANDRA: &str = "5.0.5";
const SCYLLA: &str = "scylladb/scylla:2025.1";
/// ScyllaDB in a container starts in half a minute once the image is downloaded.
const SCYLLA_READY_TIME_MAX: Duration = Duration::from_secs(180);
/// Advice for a machine without Java or Maven.
const ADVICE: &str =
    "install JDK 17 and Maven, or set HOURLOG_CQL to a node of your own: host:port or user:password@host:port";

/// Server to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Apache Cassandra, on an installed JDK
    Cassandra,
    /// ScyllaDB, in a container
    Scylla,
}

/// A running node: our own, which is stopped and deleted on drop, or one of the user.
#[derive(Debug)]
pub(crate) enum Node {
    /// A process of our own.
    Cassandra(Box<Cassandra>),
    /// A container of our own.
    Scylla(Container),
    /// The node that `HOURLOG_CQL` names.
    Named(String),
}

impl Node {
    /// Starts a node, unless the user has named one.
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        if let Ok(named) = env::var(NODE_VARIABLE) {
            return Ok(Self::Named(named));
        }
        match kind {
            Kind::Cassandra => cassandra().map(Box::new).map(Self::Cassandra),
            Kind::Scylla => Container::start().map(Self::Scylla),
        }
    }

    /// Returns user, password and address: the part of a URL between `cql://` and the keyspace.
    pub(crate) fn login(&self) -> String {
        match self {
            Self::Cassandra(node) => node.login(),
            Self::Scylla(container) => container.address.clone(),
            Self::Named(named) => named.clone(),
        }
    }

    /// Sets the variables of `command` that name the node, and the programs to start more.
    pub(crate) fn export_to(&self, command: &mut Command) -> Result<()> {
        command.env(NODE_VARIABLE, self.login());
        if let Self::Cassandra(_) = self {
            export_programs(command)?;
        }
        Ok(())
    }
}

/// Sets the variables of `command` that name the programs to start a node.
pub(crate) fn export_programs(command: &mut Command) -> Result<()> {
    programs()?.export_to(command);
    Ok(())
}

fn cassandra() -> Result<Cassandra> {
    let mut node = Cassandra::start(&programs()?)?;
    print::note(format_args!("starting Cassandra {CASSANDRA} on {}", node.address()));
    let ready = process::wait_until(Some(READY_TIME_MAX), || Ok(node.ready()?.then_some(())))?;
    ready.with_context(|| format!("Cassandra did not answer within {READY_TIME_MAX:?}:\n{}", node.last_log_lines()))?;
    Ok(node)
}

/// Finds the programs of a node. Downloads Cassandra once.
pub(crate) fn programs() -> Result<Programs> {
    Ok(Programs { java: java()?, libraries: libraries()? })
}

/// Finds a Java that Cassandra runs on: 17 or 11.
fn java() -> Result<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")).filter(|java| java.exists());
    let java = named.or_else(|| tools::on_path("java"));
    let java = java.with_context(|| format!("no java found to run Cassandra: {ADVICE}"))?;
    // Follow links: the JDK's other tools are in the same directory.
    let java = fs::canonicalize(java)?;
    let answer = Command::new(&java).arg("-version").stdin(Stdio::null()).output()?;
    let answer = String::from_utf8_lossy(&answer.stderr).into_owned();
    let version = answer.split('"').nth(1).unwrap_or_default();
    if !["17", "11"].iter().any(|good| version == *good || version.starts_with(&format!("{good}."))) {
        bail!(
            "{} is Java {version}, but Cassandra {CASSANDRA} runs on 17 or 11: set JAVA_HOME to a JDK 17",
            java.display()
        );
    }
    Ok(java)
}

/// Returns the directory with Cassandra's libraries. Maven downloads them once.
fn libraries() -> Result<PathBuf> {
    let directory = tools::cache()?.join(format!("cassandra-{CASSANDRA}"));
    let libraries = directory.join("lib");
    if libraries.exists() {
        return Ok(libraries);
    }
    let maven = tools::on_path("mvn");
    let maven = maven.with_context(|| format!("no mvn found to download Cassandra: {ADVICE}"))?;
    fs::create_dir_all(&directory)?;
    // On the same file system, so that the finished directory can be moved in one step.
    let scratch = tempfile::tempdir_in(&directory)?;
    fs::write(scratch.path().join("pom.xml"), pom())?;
    print::note(format_args!("downloading Cassandra {CASSANDRA}: mvn dependency:copy-dependencies (66 MB, once)"));
    let mut get = Command::new(maven);
    get.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]);
    process::run(get.current_dir(scratch.path()))?;
    fs::rename(scratch.path().join("lib"), &libraries)?;
    Ok(libraries)
}

fn pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>hourlog</groupId><artifactId>cassandra</artifactId><version>1</version><dependencies><dependency>\
         <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{CASSANDRA}</version>\
         </dependency></dependencies></project>"
    )
}

/// A container with ScyllaDB. Removed on drop.
#[derive(Debug)]
pub(crate) struct Container {
    docker: PathBuf,
    id: String,
    /// `host:port`.
    address: String,
}

impl Container {
    fn start() -> Result<Self> {
        let missing = "ScyllaDB needs Docker, which does not answer: start Docker, or use --cql=cassandra";
        let docker = tools::on_path("docker").context(missing)?;
        let answers = Command::new(&docker).arg("info").stdin(Stdio::null()).output()?;
        ensure!(answers.status.success(), missing);
        print::note(format_args!("starting {SCYLLA}: docker run (the image is downloaded once)"));
        let arguments = ["run", "--detach", "--publish", "127.0.0.1::9042", SCYLLA, "--smp", "1", "--memory", "750M"];
        let mut run = Command::new(&docker);
        run.args(arguments).args(["--overprovisioned", "1", "--developer-mode", "1"]);
        let id = process::output(&mut run)?.trim().to_owned();
        let mut container = Self { docker, id, address: String::new() };
        container.address = container.docker(&["port"], &["9042/tcp"])?.trim().to_owned();
        let ready = process::wait_until(Some(SCYLLA_READY_TIME_MAX), || {
            Ok(container.docker(&["exec"], &["cqlsh", "-e", "SELECT key FROM system.local"]).is_ok().then_some(()))
        })?;
        ready.with_context(|| format!("ScyllaDB did not answer within {SCYLLA_READY_TIME_MAX:?}"))?;
        Ok(container)
    }

    fn docker(&self, verb: &[&str], arguments: &[&str]) -> Result<String> {
        let output =
            Command::new(&self.docker).args(verb).arg(&self.id).args(arguments).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Drop cannot report a failure.
        let _ = self.docker(&["rm", "--force", "--volumes"], &[]);
    }
}
