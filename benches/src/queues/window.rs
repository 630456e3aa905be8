//! When a slice begins and when it ends, for members in whatever process.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// From when until when members are at work: nanoseconds of the clock that all processes share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) begin: u64,
    end: u64,
}

impl Window {
    /// So long, and in a while.
    pub(super) fn after(lead: Duration, length: Duration) -> Self {
        let begin = now() + lead.as_nanos() as u64;
        Self { begin, end: begin + length.as_nanos() as u64 }
    }

    /// Waits for it to begin; others on this CPU may get ready meanwhile.
    pub(super) fn wait(self) {
        while now() < self.begin {
            thread::yield_now();
        }
    }

    pub(super) fn over(self) -> bool {
        now() >= self.end
    }
}

pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
