//! A real CQL server: Apache Cassandra, got through Maven, on the JDK that is there; or ScyllaDB, where Docker answers.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use cassandra_node::{Cassandra, Programs, READY_TIME_MAX};

use crate::{process, say, tools};

/// Where tests find the node, as `host:port` or `user:password@host:port`.
const NODE_VARIABLE: &str = "HOURLOG_CQL";

const CASSANDRA: &str = "5.0.5";
const SCYLLA: &str = "scylladb/scylla:2025.1";
/// ScyllaDB in a container starts in half a minute, once the image is there.
const SCYLLA_READY_TIME_MAX: Duration = Duration::from_secs(180);
/// What to do where there is neither.
const HOW_TO_GET_ONE: &str =
    "install a JDK 17 and Maven, or name a node of your own, as host:port or user:password@host:port, in HOURLOG_CQL";

/// Which server to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Apache Cassandra, on the JDK that is there
    Cassandra,
    /// ScyllaDB, in a container
    Scylla,
}

/// A running node, with everything that it keeps, or one of the user's. What was started is stopped and removed on drop.
#[derive(Debug)]
pub(crate) enum Node {
    /// Started here.
    Cassandra(Box<Cassandra>),
    /// Started here.
    Scylla(Container),
    /// The user's own.
    Named(String),
}

impl Node {
    /// Starts a node; where the user has named one, it is that.
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        if let Ok(named) = env::var(NODE_VARIABLE) {
            return Ok(Self::Named(named));
        }
        match kind {
            Kind::Cassandra => cassandra().map(Box::new).map(Self::Cassandra),
            Kind::Scylla => Container::start().map(Self::Scylla),
        }
    }

    /// What stands between `cql://` and a keyspace.
    pub(crate) fn login(&self) -> String {
        match self {
            Self::Cassandra(node) => node.login(),
            Self::Scylla(container) => container.address.clone(),
            Self::Named(named) => named.clone(),
        }
    }

    /// Tells a program where the node is, and what makes more.
    pub(crate) fn tell(&self, command: &mut Command) -> Result<()> {
        command.env(NODE_VARIABLE, self.login());
        if let Self::Cassandra(_) = self {
            tell_how_to_start(command)?;
        }
        Ok(())
    }
}

/// Tells a program what makes a node.
pub(crate) fn tell_how_to_start(command: &mut Command) -> Result<()> {
    programs()?.tell(command);
    Ok(())
}

fn cassandra() -> Result<Cassandra> {
    let mut node = Cassandra::start(&programs()?)?;
    say::note(format_args!("starting Cassandra {CASSANDRA} on {}", node.address()));
    let ready = process::wait_until(Some(READY_TIME_MAX), || Ok(node.ready()?.then_some(())))?;
    ready.with_context(|| format!("Cassandra does not answer after {READY_TIME_MAX:?}:\n{}", node.said_last()))?;
    Ok(node)
}

fn programs() -> Result<Programs> {
    Ok(Programs { java: java()?, libraries: libraries()? })
}

/// A Java that Cassandra runs on: 17, or 11.
fn java() -> Result<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")).filter(|java| java.exists());
    let java = named.or_else(|| tools::on_path("java"));
    let java = java.with_context(|| format!("there is no java to run Cassandra on: {HOW_TO_GET_ONE}"))?;
    // Its other tools lie beside it.
    let java = fs::canonicalize(java)?;
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
    let maven = tools::on_path("mvn");
    let maven = maven.with_context(|| format!("there is no mvn to get Cassandra with: {HOW_TO_GET_ONE}"))?;
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
        let missing = "ScyllaDB is started by Docker, and no engine answers: start one, or use --cql=cassandra";
        let docker = tools::on_path("docker").context(missing)?;
        let answers = Command::new(&docker).arg("info").stdin(Stdio::null()).output()?;
        ensure!(answers.status.success(), missing);
        say::note(format_args!("starting {SCYLLA}: docker run (the image is fetched once)"));
        let arguments = ["run", "--detach", "--publish", "127.0.0.1::9042", SCYLLA, "--smp", "1", "--memory", "750M"];
        let mut run = Command::new(&docker);
        run.args(arguments).args(["--overprovisioned", "1", "--developer-mode", "1"]);
        let id = process::output(&mut run)?.trim().to_owned();
        let mut container = Self { docker, id, address: String::new() };
        container.address = container.ask(&["port"], &["9042/tcp"])?.trim().to_owned();
        let ready = process::wait_until(Some(SCYLLA_READY_TIME_MAX), || {
            Ok(container.ask(&["exec"], &["cqlsh", "-e", "SELECT key FROM system.local"]).is_ok().then_some(()))
        })?;
        ready.with_context(|| format!("ScyllaDB does not answer after {SCYLLA_READY_TIME_MAX:?}"))?;
        Ok(container)
    }

    fn ask(&self, verb: &[&str], arguments: &[&str]) -> Result<String> {
        let asked =
            Command::new(&self.docker).args(verb).arg(&self.id).args(arguments).stdin(Stdio::null()).output()?;
        ensure!(asked.status.success(), "docker: {}", String::from_utf8_lossy(&asked.stderr));
        Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.ask(&["rm", "--force", "--volumes"], &[]);
    }
}
