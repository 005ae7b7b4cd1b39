//! The forbidden imports, in one list.

/// Files that must not use certain modules or crates.
pub(super) struct Rule {
    /// Paths without `.rs`: each stands for the file and for the folder of that name.
    pub from: &'static [&'static str],
    /// Files and folders below `from` that may, written in the same way.
    pub except: &'static [&'static str],
    /// Modules of the same crate (`crate::…`), or paths into other crates.
    pub forbids: &'static [&'static str],
    /// Shown to those who break the rule.
    pub reason: &'static str,
}

/// All rules. A rule that fits no file is an error, so that a moved file does not leave one behind.
pub(super) const RULES: &[Rule] = &[
    Rule {
        from: &["console/src/tui/update"],
        except: &[],
        forbids: &["crate::tui::view", "ratatui"],
        reason: "`update` decides and draws nothing; move what both need beside them",
    },
    Rule {
        from: &["console/src/tui/view"],
        except: &[],
        forbids: &["crate::tui::update"],
        reason: "`view` draws and decides nothing; move what both need beside them",
    },
    Rule {
        from: &["console/src/tui/state", "console/src/tui/update", "console/src/tui/view"],
        except: &[],
        forbids: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::net",
            "std::process",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
        ],
        reason: "the console's core does no I/O and reads no clock; return an `Effect`, take the time from a `Msg`",
    },
    Rule {
        from: &["service/src/stream/raw"],
        except: &[],
        forbids: &["crate::ingest"],
        reason: "reading raw messages knows nothing of what is done with them",
    },
    Rule {
        from: &["hourlog/src"],
        except: &["hourlog/src/wire", "hourlog/src/remote", "hourlog/src/nats"],
        forbids: &["async_nats"],
        reason: "only the parts that talk to the service know NATS",
    },
    Rule {
        from: &["hourlog/src"],
        except: &["hourlog/src/scylla"],
        forbids: &["scylla"],
        reason: "only the archive in Scylla or Cassandra knows the driver",
    },
    Rule {
        from: &["hourlog/src"],
        except: &["hourlog/src/embedded"],
        forbids: &["fjall"],
        reason: "only the embedded archive knows its storage engine",
    },
];

impl Rule {
    /// Returns true if the rule holds for this file.
    pub(super) fn covers(&self, file: &str) -> bool {
        let below = |paths: &[&str]| {
            let stem = file.trim_end_matches(".rs");
            paths
                .iter()
                .any(|path| stem.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        };
        below(self.from) && !below(self.except)
    }
}
