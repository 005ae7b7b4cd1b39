//! The memory of a process.

/// The resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The present one, in MiB.
    pub now_mib: u64,
    /// The peak since its start, in MiB.
    pub max_mib: u64,
}

impl Memory {
    /// Returns the memory of a running process.
    ///
    /// # Panics
    /// If it has ended, or this is not Linux.
    pub fn of_process(id: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process is running on Linux");
        let mib = |name| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = value.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            kib.expect("Linux reports memory in kB") / 1024
        };
        Self { now_mib: mib("VmRSS:"), max_mib: mib("VmHWM:") }
    }
}
