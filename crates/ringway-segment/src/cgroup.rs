//! How much memory the control groups of this process leave it.
//!
//! A process is in one group of each hierarchy, and the limits of all groups above count too. Containers show
//! only a part of the hierarchy, and sandboxes nothing: what cannot be read is no limit.

use std::path::{Path, PathBuf};

use crate::limits::read;

/// Version 1 writes no limit as a number near the largest; version 2 as a word, which is no number.
const UNLIMITED: u64 = 1 << 62;

/// The tightest limit: bytes left, and the group that sets it.
pub(crate) fn room() -> Option<(u64, PathBuf)> {
    let membership = read("/proc/self/cgroup")?;
    let mounts = read("/proc/self/mountinfo")?;
    hierarchies(&membership, &mounts).iter().filter_map(Hierarchy::room).min_by_key(|(left, _)| *left)
}

/// The two generations of the interface, which differ in names only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
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

/// One hierarchy that accounts memory, and where in it this process is.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    mount: PathBuf,
    group: PathBuf,
}

impl Hierarchy {
    fn room(&self) -> Option<(u64, PathBuf)> {
        self.group
            .ancestors()
            .take_while(|group| group.starts_with(&self.mount))
            .filter_map(|group| Some((self.left_in(group)?, group.to_owned())))
            .min_by_key(|(left, _)| *left)
    }

    fn left_in(&self, group: &Path) -> Option<u64> {
        let number = |file| read(group.join(file))?.trim().parse::<u64>().ok();
        let limit = number(self.version.limit()).filter(|limit| *limit < UNLIMITED)?;
        let usage = number(self.version.usage())?;
        let stat = read(group.join("memory.stat")).unwrap_or_default();
        let reclaimable: u64 = self
            .version
            .reclaimable()
            .iter()
            .filter_map(|key| stat.lines().find_map(|line| line.strip_prefix(key)))
            .filter_map(|bytes| bytes.trim().parse::<u64>().ok())
            .sum();
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable)))
    }
}

fn hierarchies(membership: &str, mounts: &str) -> Vec<Hierarchy> {
    mounts.lines().filter_map(|line| hierarchy(membership, line)).collect()
}

/// Reads one line of `/proc/self/mountinfo`: `id parent device root mount options… - type source super-options`.
fn hierarchy(membership: &str, line: &str) -> Option<Hierarchy> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, mount) = (unescaped(place.next()?), PathBuf::from(unescaped(place.next()?)));
    let mut kind = kind.split(' ');
    let version = match kind.next()? {
        "cgroup2" => Version::Two,
        "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => Version::One,
        _ => return None,
    };
    let path = membership.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match version {
            Version::One => controllers.split(',').any(|name| name == "memory").then_some(path),
            Version::Two => controllers.is_empty().then_some(path),
        }
    })?;
    // A container sees only what lies below `root`; if its own path does not, its group is what is mounted.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let group = if below.components().any(|part| part.as_os_str() == "..") {
        mount.clone()
    } else {
        mount.join(below)
    };
    Some(Hierarchy { version, mount, group })
}

/// A path as it is. Mountinfo writes what would break its lines, and the backslash, as three octal digits: `\040`.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match digits.filter(u8::is_ascii) {
            Some(byte) => {
                path.push(byte.into());
                path.push_str(&part[3..]);
            }
            None => {
                path.push('\\');
                path.push_str(part);
            }
        }
    }
    path
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
        let found = hierarchies("9:pids:/x\n4:cpu,memory:/a/b\n0::/docker/ab/c\n", MOUNTS);
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
    fn escapes_of_mountinfo_are_decoded() {
        let line = r"42 31 0:38 /my\040slice /cg/two\011\134words rw - cgroup2 cgroup2 rw";
        let found = hierarchies("0::/my slice/a b\n", line);
        assert_eq!(found[0].mount, Path::new("/cg/two\t\\words"));
        assert_eq!(found[0].group, Path::new("/cg/two\t\\words/a b"));
        for plain in ["", "/", "/ü", r"/a\", r"/a\04", r"/a\09x", r"/a\ü", r"/a\377"] {
            assert_eq!(unescaped(plain), plain);
        }
    }

    #[test]
    fn a_path_outside_what_is_mounted_means_the_mounted_group() {
        let found = hierarchies("0::/../elsewhere\n", MOUNTS);
        assert_eq!(found[0].group, Path::new("/cg/unified"));
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts_and_cached_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let (mount, group) = (root.path().to_owned(), root.path().join("a/b"));
        fs::create_dir_all(&group).unwrap();
        let write = |place: &Path, file: &str, text: &str| fs::write(place.join(file), text).unwrap();
        write(&group, "memory.max", "max\n");
        write(&group, "memory.current", "500\n");
        write(&root.path().join("a"), "memory.max", "1000\n");
        write(&root.path().join("a"), "memory.current", "900\n");
        write(&root.path().join("a"), "memory.stat", "anon 1\ninactive_file 200\nactive_file 50\n");
        write(root.path(), "memory.max", "9000\n");
        write(root.path(), "memory.current", "100\n");
        let hierarchy = Hierarchy { version: Version::Two, mount, group };
        assert_eq!(hierarchy.room(), Some((350, root.path().join("a"))));
    }

    #[test]
    fn what_cannot_be_read_is_no_limit() {
        let nowhere = PathBuf::from("/nonexistent");
        assert_eq!(Hierarchy { version: Version::One, mount: nowhere.clone(), group: nowhere }.room(), None);
        assert_eq!(hierarchies("", MOUNTS), []);
        assert_eq!(hierarchies("0::/\n", "rubbish\n - \n"), []);
    }
}
