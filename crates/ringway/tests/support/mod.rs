//! Other processes for tests: the test binary itself, run again for one of its functions.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    env,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long anything in a test may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process that runs one function of this test binary; killed if still there when dropped.
pub(crate) struct Peer(Child);

impl Peer {
    /// The command that runs `function`, a test marked `#[ignore = "run as a child process"]`.
    pub(crate) fn command(function: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", function, "--ignored", "--nocapture", "--test-threads=1"]);
        // The harness's own lines; what a failing test says goes to stderr.
        command.stdout(Stdio::null());
        command
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILLs it and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for its end, which is a good one.
    pub(crate) fn join(self) {
        let status = self.end();
        assert!(status.success(), "the other process failed: {status}");
    }

    /// Waits for its end, whatever that is.
    pub(crate) fn end(mut self) -> ExitStatus {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < limit, "the other process hangs");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a parent told its child.
pub(crate) fn told(key: &str) -> String {
    env::var(key).unwrap_or_else(|_| panic!("{key} is not set: this is run as a child process only"))
}
