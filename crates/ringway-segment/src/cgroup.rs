//! The control groups of this process, and how much memory they leave it.
//!
//! A process is in one group of each hierarchy, and the limits of all groups above count too. Containers show
//! only a part of the hierarchy, and sandboxes nothing: what cannot be read is no limit.

use std::path::{Path, PathBuf};

use crate::limits::read;
use crate::mounts::{self, Mounted};

/// Version 1 writes no limit as a number near the largest; version 2 as a word, which is no number.
const UNLIMITED: u64 = 1 << 62;

/// The tightest limit: bytes left, and the group that sets it.
pub(crate) fn room() -> Option<(u64, PathBuf)> {
    let budget =
        Budget::tightest(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?, |file| read(file))?;
    Some((budget.left(), budget.group))
}

/// The two generations of the interface, which differ in the names of files and what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or a few of them.
    One,
    /// One hierarchy for all.
    Two,
}

impl Version {
    const fn limit(self) -> &'static str {
        match self {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        }
    }

    const fn usage(self) -> &'static str {
        match self {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        }
    }

    /// Cached file contents count as usage, but the kernel drops them before it refuses memory.
    const fn reclaimable(self) -> [&'static str; 2] {
        match self {
            Version::One => ["total_inactive_file ", "total_active_file "],
            Version::Two => ["inactive_file ", "active_file "],
        }
    }
}

/// What a group allows all processes in it together, and in the groups below.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The group's directory.
    pub group: PathBuf,
    /// The file in it that the limit is written to.
    pub file: &'static str,
    /// Bytes in all.
    pub limit: u64,
    /// Bytes taken, without those that the kernel would give back when asked.
    pub used: u64,
}

impl Budget {
    /// The tightest of all that hold for a process, by the texts of its `/proc/self/cgroup` and
    /// `/proc/self/mountinfo`; `read` gives the text of a file. `None` if no limit can be read.
    pub fn tightest(
        membership: &str,
        mounts: &str,
        read: impl Fn(&Path) -> Option<String>,
    ) -> Option<Budget> {
        let hierarchies = hierarchies(membership, mounts, "memory");
        let budgets = hierarchies.iter().flat_map(|hierarchy| {
            hierarchy.groups().filter_map(|group| Budget::of(group, hierarchy.version, &read))
        });
        budgets.min_by_key(Budget::left)
    }

    fn of(group: &Path, version: Version, read: impl Fn(&Path) -> Option<String>) -> Option<Budget> {
        let number = |file| read(&group.join(file))?.trim().parse::<u64>().ok();
        let limit = number(version.limit()).filter(|limit| *limit < UNLIMITED)?;
        let usage = number(version.usage())?;
        let stat = read(&group.join("memory.stat")).unwrap_or_default();
        let reclaimable = version
            .reclaimable()
            .iter()
            .filter_map(|key| stat.lines().find_map(|line| line.strip_prefix(key)))
            .filter_map(|bytes| bytes.trim().parse::<u64>().ok())
            .fold(0, u64::saturating_add);
        let used = usage.saturating_sub(reclaimable);
        Some(Budget { group: group.to_owned(), file: version.limit(), limit, used })
    }

    /// Bytes left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// One hierarchy, and where in it a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    version: Version,
    mount: PathBuf,
    group: PathBuf,
}

impl Hierarchy {
    /// Its generation.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The directories of the process's group and of all that are seen above it, from the innermost out.
    pub fn groups(&self) -> impl Iterator<Item = &Path> {
        self.group.ancestors().take_while(|group| group.starts_with(&self.mount))
    }
}

/// The hierarchies that have this controller, by the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
#[must_use]
pub fn hierarchies(membership: &str, mounts: &str, controller: &str) -> Vec<Hierarchy> {
    let mounts = mounts::parse(mounts);
    mounts.filter_map(|mounted| hierarchy(membership, &mounted, controller)).collect()
}

fn hierarchy(membership: &str, mounted: &Mounted, controller: &str) -> Option<Hierarchy> {
    let version = match mounted.kind.as_str() {
        "cgroup2" => Version::Two,
        "cgroup" if mounted.super_options.split(',').any(|option| option == controller) => Version::One,
        _ => return None,
    };
    let path = membership.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match version {
            Version::One => controllers.split(',').any(|name| name == controller).then_some(path),
            Version::Two => controllers.is_empty().then_some(path),
        }
    })?;
    // A container sees only what lies below `root`; if its own path does not, its group is what is mounted.
    let below = Path::new(path).strip_prefix(&mounted.root).unwrap_or(Path::new(""));
    let mount = mounted.point.clone();
    let group = if below.components().any(|part| part.as_os_str() == "..") {
        mount.clone()
    } else {
        mount.join(below)
    };
    Some(Hierarchy { version, mount, group })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MOUNTS: &str = "\
        30 23 0:26 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
        35 31 0:31 / /cg/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
        36 31 0:32 / /cg/pids rw,relatime - cgroup cgroup rw,pids\n\
        42 31 0:38 /docker/ab /cg/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn groups_are_found_in_both_versions_and_below_a_containers_root() {
        let found = hierarchies("9:pids:/x\n4:cpu,memory:/a/b\n0::/docker/ab/c\n", MOUNTS, "memory");
        assert_eq!(
            found,
            [
                Hierarchy {
                    version: Version::One,
                    mount: "/cg/memory".into(),
                    group: "/cg/memory/a/b".into()
                },
                Hierarchy {
                    version: Version::Two,
                    mount: "/cg/unified".into(),
                    group: "/cg/unified/c".into()
                },
            ]
        );
    }

    #[test]
    fn a_path_outside_what_is_mounted_means_the_mounted_group() {
        let found = hierarchies("0::/../elsewhere\n", MOUNTS, "memory");
        assert_eq!(found[0].group, Path::new("/cg/unified"));
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts_and_cached_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("a/b");
        fs::create_dir_all(&group).unwrap();
        let write = |place: &Path, file: &str, text: &str| fs::write(place.join(file), text).unwrap();
        write(&group, "memory.max", "max\n");
        write(&group, "memory.current", "500\n");
        write(&root.path().join("a"), "memory.max", "1000\n");
        write(&root.path().join("a"), "memory.current", "900\n");
        write(&root.path().join("a"), "memory.stat", "anon 1\ninactive_file 200\nactive_file 50\n");
        write(root.path(), "memory.max", "9000\n");
        write(root.path(), "memory.current", "100\n");
        let mounts = format!("42 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
        let budget = Budget::tightest("0::/a/b\n", &mounts, |file| read(file)).unwrap();
        assert_eq!((budget.left(), &budget.group), (350, &root.path().join("a")));
        assert_eq!((budget.limit, budget.used, budget.file), (1000, 650, "memory.max"));
    }

    #[test]
    fn what_cannot_be_read_is_no_limit() {
        assert_eq!(Budget::tightest("4:memory:/a\n0::/\n", MOUNTS, |_| None), None);
        assert_eq!(Budget::tightest("4:memory:/a\n0::/\n", MOUNTS, |_| Some("rubbish".into())), None);
        assert_eq!(hierarchies("", MOUNTS, "memory"), []);
        assert_eq!(hierarchies("0::/\n", "rubbish\n - \n", "memory"), []);
    }
}
