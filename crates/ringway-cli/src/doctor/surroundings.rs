//! What is around this process: containers, sandboxes, and who removes files behind its back.

use std::{collections::BTreeMap, path::Path};

use super::{
    finding::{Finding, Topic, Verdict},
    host::{Host, field},
};

/// The first pid namespace of a host has this number, whatever the host.
const FIRST_PIDS: &str = "pid:[4026531836]";
/// Below this user ids belong to the system, by default; logind spares those.
const FIRST_USER: u64 = 1000;

pub(super) fn findings(host: &Host, directory: &Path) -> Vec<Finding> {
    vec![container(host), pids(host), sandbox(host), remove_ipc(host, directory)]
}

fn container(host: &Host) -> Finding {
    let hints = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    let hints: Vec<_> = hints.into_iter().filter(|file| host.has(file)).collect();
    let said =
        if hints.is_empty() { "no sign of one".into() } else { format!("yes, by {}", hints.join(", ")) };
    let found = Finding::new(Topic::Surroundings, "container", said).figure("signs", hints.clone());
    if hints.is_empty() {
        return found.means("all programs of this host that see this directory of names can share rings");
    }
    found.means(
        "rings with names are this container's own, unless containers share the mount (--ipc=container:, or a volume)",
    )
}

fn pids(host: &Host) -> Finding {
    let found = host.link("/proc/self/ns/pid");
    let name = "pid namespace";
    match found.as_deref() {
        None => Finding::new(Topic::Surroundings, name, "not said")
            .means("pids in rings may mean other processes to peers elsewhere")
            .unknown(),
        Some(FIRST_PIDS) => Finding::new(Topic::Surroundings, name, "the host's first")
            .means("pids in rings mean the same to all who are in this one"),
        Some(_) => Finding::new(Topic::Surroundings, name, "one of its own")
            .means("pids in rings are this namespace's: for people, and other numbers outside; nothing hangs on them"),
    }
    .figure("namespace", found)
}

fn sandbox(host: &Host) -> Finding {
    let status = host.text("/proc/self/status").unwrap_or_default();
    let name = "seccomp";
    let mode = field(&status, "Seccomp:").and_then(|mode| mode.parse::<u64>().ok());
    match mode {
        Some(0) => Finding::new(Topic::Surroundings, name, "off").means("no call is forbidden"),
        Some(_) => Finding::new(Topic::Surroundings, name, "on")
            .means("some calls are forbidden: see above which of those that were tried"),
        None => Finding::new(Topic::Surroundings, name, "not said")
            .means("some calls may be forbidden: see above which of those that were tried")
            .unknown(),
    }
    .figure("mode", mode)
}

/// logind removes what a user has in `/dev/shm` when the user's last session ends, unless told otherwise.
fn remove_ipc(host: &Host, directory: &Path) -> Finding {
    let found = |said: &str| Finding::new(Topic::Surroundings, "RemoveIPC", said);
    let spared = "nobody removes rings when a user logs out";
    if directory != Path::new("/dev/shm") {
        return found("does not concern this directory").means(spared);
    }
    if !host.has("/run/systemd/seats") {
        return found("no logind here").means(spared);
    }
    let status = host.text("/proc/self/status").unwrap_or_default();
    let user = field(&status, "Uid:").and_then(|ids| ids.split_whitespace().nth(1)?.parse::<u64>().ok());
    if user.is_some_and(|user| user < FIRST_USER) {
        return found("spares users of the system, such as this one").means(spared);
    }
    match removes(host) {
        Some(false) => found("off").means(spared),
        set => found(if set.is_some() { "on" } else { "not set: on by default" })
            .means("when this user's last session ends, rings with names lose them, also while they are in use")
            .bad(
                Verdict::Worse,
                "RemoveIPC=no under [Login] in /etc/systemd/logind.conf.d/ringway.conf, then systemctl restart \
                 systemd-logind; or loginctl enable-linger",
            ),
    }
}

/// What is configured, `None` if nothing is. The files with other settings beside the main one count in the order of
/// their names; of two of one name the one in the first of these directories.
fn removes(host: &Host) -> Option<bool> {
    const PLACES: [&str; 4] = ["/etc", "/run", "/usr/local/lib", "/usr/lib"];
    let main = PLACES.iter().find_map(|place| host.text(format!("{place}/systemd/logind.conf")));
    let mut others = BTreeMap::new();
    for place in PLACES.iter().rev() {
        let directory = format!("{place}/systemd/logind.conf.d");
        for name in host.names(&directory).into_iter().filter(|name| name.ends_with(".conf")) {
            let text = host.text(format!("{directory}/{name}"));
            others.insert(name, text);
        }
    }
    let texts = main.into_iter().chain(others.into_values().flatten());
    texts.filter_map(|text| setting(&text)).next_back()
}

/// The last valid setting in one file.
fn setting(text: &str) -> Option<bool> {
    let mut section = "";
    let mut last = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let (true, Some((key, value))) = (section == "[Login]", line.split_once('=')) {
            if key.trim() == "RemoveIPC" {
                last = match value.trim().to_ascii_lowercase().as_str() {
                    "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
                    "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
                    _ => last,
                };
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::{super::host::Made, *};

    fn shm() -> &'static Path {
        Path::new("/dev/shm")
    }

    #[test]
    fn a_container_is_known_by_its_signs() {
        let made = Made::new(&[]);
        assert_eq!(container(&made.host()).found, "no sign of one");
        made.file("/.dockerenv", "");
        assert!(container(&made.host()).found.contains(".dockerenv"));
    }

    #[test]
    fn the_first_pid_namespace_is_told_from_others() {
        let made = Made::new(&[]);
        assert_eq!(pids(&made.host()).verdict, Verdict::Unknown);
        made.link("/proc/self/ns/pid", FIRST_PIDS);
        assert_eq!(pids(&made.host()).found, "the host's first");
        let made = Made::new(&[]);
        made.link("/proc/self/ns/pid", "pid:[4026532000]");
        assert_eq!(pids(&made.host()).found, "one of its own");
    }

    #[test]
    fn a_sandbox_is_said_and_rubbish_unknown() {
        let made = Made::new(&[]);
        for (text, said) in
            [("Seccomp:\t0", "off"), ("Seccomp:\t2", "on"), ("Seccomp:\tx", "not said"), ("", "not said")]
        {
            made.file("/proc/self/status", text);
            assert_eq!(sandbox(&made.host()).found, said, "{text}");
        }
    }

    #[test]
    fn names_are_removed_at_logout_only_for_people_in_the_shared_memory_mount_and_with_logind() {
        let made = Made::new(&[("/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\n")]);
        let of = |directory| remove_ipc(&made.host(), directory).verdict;
        assert_eq!(of(shm()), Verdict::Good);
        made.file("/run/systemd/seats/seat0", "");
        assert_eq!((of(shm()), of(Path::new("/run/x"))), (Verdict::Worse, Verdict::Good));
        made.file("/proc/self/status", "Uid:\t0\t0\t0\t0\n");
        assert_eq!(of(shm()), Verdict::Good);
        made.file("/proc/self/status", "rubbish");
        assert_eq!(of(shm()), Verdict::Worse);
        made.file("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
        assert_eq!(of(shm()), Verdict::Good);
    }

    #[test]
    fn the_last_setting_counts_and_a_file_hides_those_of_its_name_below() {
        let made = Made::new(&[("/usr/lib/systemd/logind.conf", "[Login]\n#RemoveIPC=no\nRemoveIPC=yes\n")]);
        assert_eq!(removes(&made.host()), Some(true));
        made.file("/usr/lib/systemd/logind.conf.d/50.conf", "[Login]\nRemoveIPC=no\n");
        assert_eq!(removes(&made.host()), Some(false));
        made.file("/etc/systemd/logind.conf.d/50.conf", "[Login]\nKillUserProcesses=no\n");
        assert_eq!(removes(&made.host()), Some(true));
        made.file(
            "/etc/systemd/logind.conf.d/60.conf",
            "[Other]\nRemoveIPC=no\n[Login]\n RemoveIPC = maybe\n",
        );
        assert_eq!(removes(&made.host()), Some(true));
        made.file("/etc/systemd/logind.conf.d/70.conf", "[Login]\n RemoveIPC = Off\n");
        assert_eq!(removes(&made.host()), Some(false));
        assert_eq!(removes(&Made::new(&[]).host()), None);
    }
}
