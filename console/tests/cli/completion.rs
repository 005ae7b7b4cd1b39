//! Completion in a real shell, with the logs and contexts that there are.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use conformance::servers::WAIT_MAX;
use hourlog::{Log, Record};
use nix::pty::{Winsize, openpty};

use crate::{QUAKES, Stage};

const COLUMNS: u16 = 200;
const ROWS: u16 = 40;
/// Interval between looks at the screen.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// An interactive bash on a terminal.
struct Bash {
    child: Child,
    keys: File,
    seen: Arc<Mutex<vt100::Parser>>,
}

impl Bash {
    async fn open(stage: &Stage) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("the system has a free pseudo-terminal");
        let (keys, terminal) = (File::from(pty.master), File::from(pty.slave));
        let end = || terminal.try_clone().expect("the file can be cloned");
        let binary = Path::new(env!("CARGO_BIN_EXE_hourlog")).parent().expect("a binary is in a directory");
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
        let child = Command::new("bash")
            .args(["--noprofile", "--norc", "-i"])
            .current_dir(stage.work.path())
            .env_clear()
            .envs([("PATH", path.as_str()), ("NATS_URL", &stage.url), ("TERM", "xterm"), ("PS1", "$ ")])
            .env("XDG_CONFIG_HOME", stage.work.path())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("bash can be started");
        let seen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut screen, parser) = (keys.try_clone().expect("the file can be cloned"), Arc::clone(&seen));
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                parser.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        let mut bash = Self { child, keys, seen };
        bash.press("source <(hourlog completions bash); echo read''y\n");
        bash.shows("\nready").await;
        bash
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("bash reads its terminal");
    }

    /// Types `keys` into an empty line. Waits until the screen shows `expected`.
    async fn types(&mut self, keys: &str, expected: &str) {
        // Ctrl-U empties the line, Ctrl-L the screen.
        self.press("\x15\x0c");
        self.press(keys);
        self.shows(expected).await;
    }

    async fn shows(&self, expected: &str) {
        let begun = Instant::now();
        loop {
            let text = self.seen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents();
            if text.contains(expected) {
                return;
            }
            assert!(begun.elapsed() < WAIT_MAX, "the screen does not show {expected:?}\n{text}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns what the script of `shell` gets for these words.
async fn candidates(stage: &Stage, shell: &str, words: &[&str]) -> String {
    let mut command = stage.command("");
    command.env("HOURLOG_COMPLETE", shell).args(["--", "hourlog"]).args(words);
    // The script of zsh tells which word it is.
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
    let output = tokio::process::Command::from(command).output().await.expect("the binary can be started");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{shell} {words:?}");
    String::from_utf8(output.stdout).expect("the candidates are UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_logs_contexts_flags_and_files() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    for id in ["dev.4c:65:a8", "dev.4c:66:b9", "evil.$(touch${IFS}pwned)", "evil.a;b", "evil.good", "two", "two.a"] {
        stage.log(id).await.write(Record::new("x")).await.expect("the event is written");
    }
    let contexts = stage.path("nats/context");
    fs::create_dir_all(&contexts).expect("a directory can be created");
    fs::write(contexts.join("prod-eu.json"), format!("{{\"url\":\"{}\"}}", stage.url))
        .expect("the file can be written");
    let mut bash = Bash::open(&stage).await;
    // A word after the completion shows that it ends with a blank.
    for (keys, expected) in [
        ("hourlog rea\t|", "$ hourlog read |"),
        ("hourlog read quakes.u\t", "$ hourlog read quakes.u"),
        ("hourlog read quakes.us\t|", "$ hourlog read quakes.us |"),
        ("hourlog export quakes.us quakes.se\t|", "$ hourlog export quakes.us quakes.se |"),
        ("hourlog hist quakes.us --bi\t|", "$ hourlog hist quakes.us --bins |"),
        // Bash splits words at colons.
        ("hourlog read dev.\t|", "$ hourlog read dev.4c:6|"),
        ("hourlog read dev.4c:65\t|", "$ hourlog read dev.4c:65:a8 |"),
        ("hourlog read dev.4c:66:\t|", "$ hourlog read dev.4c:66:b9 |"),
        // An id that the shell would run as a command is not offered.
        ("hourlog read evil.\t|", "$ hourlog read evil.good |"),
        // A log below another one does not hide it.
        ("hourlog read two\t\t", "two    two.a"),
        ("hourlog --context pro\t|", "$ hourlog --context prod-eu |"),
        ("hourlog import nat\t|", "$ hourlog import nats/|"),
    ] {
        bash.types(keys, expected).await;
    }
    assert!(!stage.path("pwned").exists());

    // The connection that stands on the line already, before or after the command.
    bash.types("NATS_URL=nats://127.0.0.1:1; unset NATS_CONTEXT\n", "$ ").await;
    let url = stage.url.clone();
    for line in [format!("-s {url} read"), format!("read --server {url}"), "--context prod-eu read".to_owned()] {
        bash.types(&format!("hourlog {line} evil.g\t|"), &format!("$ hourlog {line} evil.good |")).await;
    }
    // No server answers: nothing is printed into the line.
    bash.types("hourlog read evil.g\t|", "$ hourlog read evil.g|").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_shells_get_the_logs_with_their_counts() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    assert_eq!(
        candidates(&stage, "fish", &["read", "quakes.u"]).await,
        "quakes.us\t168 events\nquakes.uu\t33 events\nquakes.uw\t51 events\n"
    );
    let zsh = candidates(&stage, "zsh", &["read", ""]).await;
    assert!(zsh.contains("quakes.us") && zsh.contains("168 events"), "{zsh}");
    assert_eq!(candidates(&stage, "fish", &["read", "nope."]).await, "");
    assert_eq!(candidates(&stage, "nosuch", &["read", ""]).await, "");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stage.run(&format!("completions {shell}")).await;
        let script = String::from_utf8(script.stdout).expect("a script is UTF-8");
        assert!(script.contains("HOURLOG_COMPLETE") && script.contains("hourlog"), "{script}");
    }

    // A server that accepts and says nothing costs no more than the time limit.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the socket is bound").to_string();
    let begun = Instant::now();
    assert_eq!(candidates(&stage, "fish", &["-s", &address, "read", "q"]).await, "");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}, as long as the timeout of a connection", begun.elapsed());
}

#[test]
fn manual_pages_need_no_server_and_name_the_variables() {
    let work = tempfile::TempDir::new().expect("a directory can be created");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(["man", "pages"]).current_dir(work.path()).env("NATS_URL", "nats://127.0.0.1:1");
    assert!(command.output().expect("the binary can be started").status.success());
    let page = |name: &str| fs::read_to_string(work.path().join("pages").join(name)).expect("the file was written");
    let read = page("hourlog-read.1");
    assert!(read.contains("Play events back") && !read.contains("127.0.0.1:1"), "{read}");
    for name in ["hourlog.1", "hourlog-read.1", "hourlog-admin-purge.1"] {
        let (_, variables) =
            page(name).split_once(".SH ENVIRONMENT").map(|(a, b)| (a.to_owned(), b.to_owned())).expect(name);
        for variable in ["NATS_URL", "NATS_CONTEXT", "NATS_PASSWORD", "HOURLOG_TZ", "NO_COLOR", "XDG_CONFIG_HOME"] {
            assert!(variables.contains(variable), "{variable} is missing in {name}");
        }
    }
}
