//! What Linux tells of processes: whose children they are, and what they have taken.
//! <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>

/// One process.
pub struct Process {
    pub pid: u32,
    parent: u32,
    /// Of all cores, in steps of 10 ms; with those of its children that have ended.
    pub ticks: u64,
}

/// A process and all that it has started, and so on; `None` where the system does not tell.
pub fn tree(root: u32) -> Option<Vec<Process>> {
    let entries = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut others: Vec<Process> =
        entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect();
    let mut tree: Vec<Process> = others.extract_if(.., |process| process.pid == root).collect();
    let mut seen = 0;
    while let Some(pid) = tree.get(seen).map(|process| process.pid) {
        tree.extend(others.extract_if(.., |process| process.parent == pid));
        seen += 1;
    }
    (!tree.is_empty()).then_some(tree)
}

fn stat(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may have spaces in it.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, ticks })
}

/// The most memory that a process has had at once, bytes.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
