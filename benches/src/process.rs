//! CPU time and memory of a process, and a description of the machine, from `/proc`.

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What the numbers were measured on.
#[derive(Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    memory_kib: u64,
    kernel: String,
}

impl Machine {
    /// Describes this machine.
    pub fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: model.map_or_else(String::new, |(_, name)| name.to_owned()),
            memory_kib: field(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next()?.parse().ok())
}

/// CPU seconds (user and system) that a process has used, to the resolution of the kernel's clock ticks (10 ms).
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    // The second field is the name in parentheses and may hold blanks.
    let rest = stat.rsplit_once(") ").context("an unknown format of stat")?.1;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    #[allow(clippy::cast_precision_loss)]
    Ok(ticks as f64 / 100.0)
}

/// Resident memory now and at its peak, in KiB.
pub fn memory_kib(pid: u32) -> Result<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    Ok((field(&status, "VmRSS:").unwrap_or(0), field(&status, "VmHWM:").unwrap_or(0)))
}
