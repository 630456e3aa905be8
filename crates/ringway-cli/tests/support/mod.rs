//! What the tests of several commands need.
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Files of a test, and a directory of names.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn ringway(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(args).env("RINGWAY_DIR", self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn put(&self, from: &Path) -> Child {
        self.ringway(&["put", "x"]).stdin(File::open(from).unwrap()).spawn().unwrap()
    }

    pub(crate) fn get(&self, to: &Path) -> Child {
        self.ringway(&["get", "x"]).stdout(File::create(to).unwrap()).spawn().unwrap()
    }

    /// Whether a name is left.
    pub(crate) fn has_ring(&self) -> bool {
        self.path("ringway.x").exists()
    }
}

/// What a child's end was, and what it said on standard error; killed if it hangs.
pub(crate) fn end(mut child: Child) -> (ExitStatus, String) {
    let limit = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > limit {
            child.kill().unwrap();
            panic!("hangs");
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// It ends well and says nothing.
#[track_caller]
pub(crate) fn succeeds(child: Child) {
    let (status, words) = end(child);
    assert!(status.success() && words.is_empty(), "{status}: {words}");
}

/// It fails with this code and says this.
#[track_caller]
pub(crate) fn fails(mut command: Command, code: i32, words: &str) {
    let (status, said) = end(command.spawn().unwrap());
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}
