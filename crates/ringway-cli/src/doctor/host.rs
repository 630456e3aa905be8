//! The files in which a host says what it is.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// The most that is read of a file. None of the kernel's small ones is longer.
const MOST: u64 = 1 << 20;

/// A host, by the root of its files: what is not there, or makes no sense, is `None`.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    /// This one.
    pub(super) fn here() -> Self {
        Self::at("/")
    }

    pub(super) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a file with this absolute path is.
    fn at_root(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text, without space at its ends. What is not UTF-8 in it is replaced.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let mut bytes = Vec::new();
        let path = self.at_root(path);
        // Opening a FIFO would wait for ever.
        fs::metadata(&path).ok().filter(|found| found.is_file())?;
        File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that has a number in it and nothing else.
    pub(super) fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// What a symbolic link says.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        Some(fs::read_link(self.at_root(path)).ok()?.to_string_lossy().into_owned())
    }

    /// The names in a directory, in order; none if it cannot be read.
    pub(super) fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.at_root(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.at_root(path).exists()
    }
}

/// The rest of the line that begins with `key`.
pub(super) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// A host made up for a test.
#[cfg(test)]
pub(super) struct Made(tempfile::TempDir);

#[cfg(test)]
impl Made {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| made.file(path, text));
        made
    }

    pub(super) fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.host().at_root(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn link(&self, path: &str, to: &str) {
        let path = self.host().at_root(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
    }

    pub(super) fn host(&self) -> Host {
        Host::at(self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_below_the_root_and_rubbish_is_nothing() {
        let made =
            Made::new(&[("/proc/a", " 42\n"), ("/proc/b", "word"), ("/proc/c", "99999999999999999999")]);
        made.file("/proc/d", b"a\xffb");
        let host = made.host();
        assert_eq!(host.number("/proc/a"), Some(42));
        assert_eq!(
            (host.number("/proc/b"), host.number("/proc/c"), host.number("/proc/none")),
            (None, None, None)
        );
        assert_eq!(host.text("/proc/d").as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(host.text("/proc"), None);
        assert_eq!(host.names("/proc"), ["a", "b", "c", "d"]);
        assert!(host.names("/none").is_empty() && host.link("/proc/a").is_none() && !host.has("/none"));
    }

    #[test]
    fn a_field_is_the_rest_of_its_line() {
        assert_eq!(field("Name:\tx\nUid:\t1\t2\n", "Uid:"), Some("1\t2"));
        assert_eq!(field("Name:\tx\n", "Uid:"), None);
    }
}
