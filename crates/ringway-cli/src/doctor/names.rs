//! The directory of names: what is mounted there, how much there is of it, and whether a ring can be given a name.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ringway::{
    CreateError,
    host::memory::{Mount, Mounted, Naming},
};

use super::{
    ROOM,
    finding::{Finding, Topic, Verdict},
    host::Host,
};
use crate::size::Rough;

/// What containers give by default; who has more has chosen it.
const CONTAINERS: u64 = 64 << 20;
/// Of a mode: others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;
/// Of a mode: in spite of that, only a file's owner may remove it.
const STICKY: u32 = 0o1000;

pub(super) fn findings(host: &Host, directory: &Path) -> Vec<Finding> {
    let path = match fs::canonicalize(directory) {
        Ok(path) => path,
        Err(error) => return vec![absent(directory, &error)],
    };
    let mut found = Vec::new();
    let mounted = host.text("/proc/self/mountinfo").and_then(|mounts| Mounted::of(&path, &mounts));
    match Mount::of(&path) {
        Ok(mount) => {
            found.push(kind(&path, mounted, mount));
            found.push(size(&path, mount));
            found.push(files(&path, mount));
        }
        Err(error) => found.push(absent(&path, &error)),
    }
    match fs::metadata(&path) {
        Ok(there) => found.push(permissions(&path, there.permissions().mode() & 0o7777, there.uid())),
        Err(error) => found.push(absent(&path, &error)),
    }
    found.push(naming(&path, Naming::try_out(&path)));
    found
}

fn absent(path: &Path, error: &io::Error) -> Finding {
    let shown = path.display();
    let another = "name another directory with --dir";
    let mend = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("mkdir -p {shown} && mount -t tmpfs -o mode=1777 tmpfs {shown}, or {another}")
        }
        _ => another.into(),
    };
    Finding::new(Topic::Names, "directory", format!("{shown}: {error}"))
        .figure("path", shown.to_string())
        .means("no ring can have a name here; pairs and offers need none")
        .bad(Verdict::Missing, mend)
}

fn kind(path: &Path, mounted: Option<Mounted>, mount: Mount) -> Finding {
    let said = mounted.as_ref().map_or("a file system that is not said", |mounted| mounted.kind.as_str());
    let at = mounted.as_ref().map_or_else(PathBuf::new, |mounted| mounted.point.clone());
    let found =
        Finding::new(Topic::Names, "directory", format!("{}: {said} at {}", path.display(), at.display()))
            .figure("path", path.display().to_string())
            .figure("type", mounted.as_ref().map(|mounted| mounted.kind.clone()))
            .figure("mount_point", mounted.as_ref().map(|mounted| mounted.point.display().to_string()))
            .figure("options", mounted.map(|mounted| mounted.options));
    let mend = "name a directory on tmpfs with --dir, such as /dev/shm, and give programs the same";
    if mount.huge_pages {
        found.means("a mount of huge pages cannot hold a ring").bad(Verdict::Missing, mend)
    } else if mount.in_memory {
        found.means("rings with names are memory, and no disk is behind them")
    } else {
        found
            .means("the kernel writes what is sent to a disk, in its own time, and a write may wait for it")
            .bad(Verdict::Worse, mend)
    }
}

fn size(path: &Path, Mount { size, free, .. }: Mount) -> Finding {
    let said = match (size, free) {
        (Some(size), Some(free)) => format!("{} of {} free", Rough(free), Rough(size)),
        _ => "no limit".into(),
    };
    let found =
        Finding::new(Topic::Names, "size", said).figure("size_bytes", size).figure("free_bytes", free).means(
            "what all rings with names may take together; beyond it creating one is an error with figures",
        );
    let larger =
        |size| format!("mount -o remount,size={size} {} (containers: --shm-size={size})", path.display());
    if free.is_some_and(|free| free < ROOM) {
        found
            .means("a ring of the usual size is refused, with figures")
            .bad(Verdict::Worse, format!("remove what is left over there, or {}", larger("1g")))
    } else if size.is_some_and(|size| size <= CONTAINERS) {
        found
            .means("as small as containers have it by default: a few large rings, and the next is refused")
            .bad(Verdict::Worse, larger("1g"))
    } else {
        found
    }
}

fn files(path: &Path, Mount { files, .. }: Mount) -> Finding {
    let Some((all, free)) = files else {
        return Finding::new(Topic::Names, "inodes", "no limit").means("each ring with a name takes one");
    };
    let found = Finding::new(Topic::Names, "inodes", format!("{free} of {all} free"))
        .figure("inodes", all)
        .figure("free_inodes", free)
        .means("each ring with a name takes one");
    if free >= 16 {
        return found;
    }
    found.means("no more than so many rings can still have names").bad(
        Verdict::Worse,
        format!("remove what is left over there, or mount -o remount,nr_inodes=1m {}", path.display()),
    )
}

fn permissions(path: &Path, mode: u32, owner: u32) -> Finding {
    let found = Finding::new(Topic::Names, "permissions", format!("{mode:04o}, user {owner}'s"))
        .figure("mode_octal", format!("{mode:04o}"))
        .figure("owner_uid", owner);
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        found
            .means("other users may remove a ring's name, and put a file of theirs in its place")
            .bad(Verdict::Worse, format!("chmod +t {}", path.display()))
    } else {
        found.means("nobody but a ring's owner, and this directory's, can remove its name")
    }
}

fn naming(path: &Path, tried: Result<Naming, CreateError>) -> Finding {
    let name = "O_TMPFILE, linkat";
    match tried {
        Ok(Naming::Whole) => Finding::new(Topic::Names, name, "works")
            .means("a ring has no name before it is whole, and a killed creator leaves nothing"),
        Ok(Naming::Temporary) => Finding::new(Topic::Names, name, "works with a temporary name")
            .means("a creator that is killed leaves a file, until the next one comes")
            .bad(Verdict::Worse, "name a directory on tmpfs with --dir, and give programs the same"),
        Err(error) => Finding::new(Topic::Names, name, error.to_string())
            .means("no ring can have a name here; pairs and offers need none")
            .bad(
                Verdict::Missing,
                match error {
                    CreateError::NotPermitted { .. } => {
                        format!(
                            "let this user write {}, or name another directory with --dir",
                            path.display()
                        )
                    }
                    _ => "see what it says; or name a directory on tmpfs with --dir".into(),
                },
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of memory that has enough of all.
    fn good() -> Mount {
        Mount::of(Path::new("/dev/shm")).unwrap()
    }

    #[test]
    fn a_directory_in_memory_is_good_on_a_disk_worse_and_in_huge_pages_missing() {
        let verdict = |in_memory, huge_pages| {
            let mut mount = good();
            (mount.in_memory, mount.huge_pages) = (in_memory, huge_pages);
            kind(Path::new("/d"), None, mount).verdict
        };
        assert_eq!(verdict(true, false), Verdict::Good);
        assert_eq!(verdict(false, false), Verdict::Worse);
        assert_eq!(verdict(false, true), Verdict::Missing);
    }

    #[test]
    fn a_mount_that_is_small_or_full_is_worse_and_one_without_limit_good() {
        let of = |limit: Option<(u64, u64)>| {
            let mut mount = good();
            (mount.size, mount.free) = (limit.map(|(size, _)| size), limit.map(|(_, free)| free));
            size(Path::new("/d"), mount)
        };
        assert_eq!(of(None).verdict, Verdict::Good);
        assert_eq!(of(Some((8 << 30, 7 << 30))).verdict, Verdict::Good);
        assert!(of(Some((64 << 20, 60 << 20))).mend.unwrap().contains("--shm-size"));
        assert!(of(Some((8 << 30, ROOM - 1))).mend.unwrap().contains("left over"));
    }

    #[test]
    fn too_few_inodes_are_worse_and_no_limit_is_good() {
        let of = |limit| {
            let mut mount = good();
            mount.files = limit;
            files(Path::new("/d"), mount).verdict
        };
        assert_eq!(of(None), Verdict::Good);
        assert_eq!(of(Some((100, 16))), Verdict::Good);
        assert_eq!(of(Some((100, 15))), Verdict::Worse);
    }

    #[test]
    fn a_directory_in_which_others_may_remove_names_is_worse() {
        let of = |mode| permissions(Path::new("/d"), mode, 0).verdict;
        assert_eq!((of(0o1777), of(0o700), of(0o755)), (Verdict::Good, Verdict::Good, Verdict::Good));
        assert_eq!((of(0o777), of(0o770)), (Verdict::Worse, Verdict::Worse));
    }

    #[test]
    fn where_no_name_can_be_given_something_is_missing() {
        let of = |tried| naming(Path::new("/d"), tried);
        assert_eq!(of(Ok(Naming::Whole)).verdict, Verdict::Good);
        assert_eq!(of(Ok(Naming::Temporary)).verdict, Verdict::Worse);
        let refused = of(Err(CreateError::NotPermitted { path: "/d/x".into() }));
        assert_eq!(refused.verdict, Verdict::Missing);
        assert!(refused.mend.unwrap().contains("let this user write /d"));
    }

    #[test]
    fn a_directory_that_is_not_there_is_one_finding() {
        let found = findings(&Host::here(), Path::new("/nonexistent/directory"));
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Missing));
    }
}
