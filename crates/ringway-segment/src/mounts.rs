//! What is mounted where, as `/proc/self/mountinfo` has it.

use std::path::{Path, PathBuf};

/// One line: `id parent device root point options… - kind source super-options`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mounted {
    /// The part of the file system that is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// The kind of file system.
    pub kind: String,
    /// How this mount of it was made, separated by commas.
    pub options: String,
    /// How the file system was made, separated by commas.
    pub super_options: String,
}

impl Mounted {
    /// The mount that a path, absolute and without links, is on, by the text of `/proc/self/mountinfo`.
    #[must_use]
    pub fn of(path: &Path, mounts: &str) -> Option<Mounted> {
        // Of those at one point the last one covers the others.
        parse(mounts)
            .filter(|mounted| path.starts_with(&mounted.point))
            .max_by_key(|mounted| mounted.point.components().count())
    }
}

/// What can be read of the lines.
pub(crate) fn parse(mounts: &str) -> impl Iterator<Item = Mounted> {
    mounts.lines().filter_map(line)
}

fn line(line: &str) -> Option<Mounted> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point, options) = (place.next()?, place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    Some(Mounted {
        root: unescaped(root).into(),
        point: unescaped(point).into(),
        options: options.to_owned(),
        kind: kind.next()?.to_owned(),
        super_options: kind.nth(1)?.to_owned(),
    })
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
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        let line = r"42 31 0:38 /my\040slice /cg/two\011\134words rw - cgroup2 cgroup2 rw";
        let found: Vec<_> = parse(line).collect();
        assert_eq!(found[0].root, Path::new("/my slice"));
        assert_eq!(found[0].point, Path::new("/cg/two\t\\words"));
        for plain in ["", "/", "/ü", r"/a\", r"/a\04", r"/a\09x", r"/a\ü", r"/a\377"] {
            assert_eq!(unescaped(plain), plain);
        }
    }

    #[test]
    fn a_path_is_on_the_mount_nearest_to_it_and_the_last_of_those() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\nrubbish\n\
            2 1 0:5 / /dev rw - devtmpfs none rw,size=4k\n\
            3 2 0:6 / /dev/shm rw,nosuid shared:1 - ramfs none rw\n\
            4 3 0:7 / /dev/shm rw,nosuid - tmpfs none rw,size=65536k\n";
        let kind = |path: &str| Mounted::of(Path::new(path), mounts).map(|mounted| mounted.kind);
        assert_eq!(kind("/dev/shm").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/dev/shm/a").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/dev/shmem").as_deref(), Some("devtmpfs"));
        assert_eq!(kind("/tmp").as_deref(), Some("ext4"));
        assert_eq!(Mounted::of(Path::new("/tmp"), "rubbish\n - \n"), None);
    }
}
