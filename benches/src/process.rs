//! CPU time and memory of a process, and a description of the machine, from `/proc`.

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The machine of the measurement.
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
        let model = cpu
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: model.map_or_else(String::new, |(_, name)| name.to_owned()),
            memory_kib: field(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
}

/// Returns the CPU time of all threads of a process so far, user and system, as the scheduler
/// counts it in nanoseconds. The share of a thread that ends is lost, so read it often.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0_u64;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")? {
        // A thread may end between the two looks.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds +=
            text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0);
    }
    #[allow(clippy::cast_precision_loss)]
    Ok(nanoseconds as f64 / 1e9)
}

/// Returns the CPU time of one thread of this process so far.
pub fn thread_cpu_seconds(thread: u64) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))
        .context("the thread is gone")?;
    let nanoseconds: u64 =
        text.split_whitespace().next().and_then(|first| first.parse().ok()).context("no number")?;
    #[allow(clippy::cast_precision_loss)]
    Ok(nanoseconds as f64 / 1e9)
}

/// Returns the resident memory now and at its peak, in KiB.
pub fn memory_kib(pid: u32) -> Result<(u64, u64)> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    Ok((field(&status, "VmRSS:").unwrap_or(0), field(&status, "VmHWM:").unwrap_or(0)))
}
