//! The end of the other process, told to whoever waits for it.
//!
//! Pipes and sockets tell it themselves. The floors would wait for ever, and so would a ring: there a dead end
//! waits for a successor. So this process becomes the successor, of every end, and closes it.

use std::io;
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringway::spsc::{Receiver, Sender};
use ringway::{AttachError, Offer};

use super::CHILD;
use super::shared::Shared;

/// Who looks after what the child leaves.
#[derive(Debug)]
pub(super) struct Heir {
    /// The child writes nothing there, so it ends when the child does.
    pub(super) output: ChildStdout,
    pub(super) shared: Arc<Shared>,
    /// The rings that the child sends to.
    pub(super) sent: Vec<Offer>,
    /// The rings that the child receives from.
    pub(super) received: Vec<Offer>,
}

impl Heir {
    /// Waits for the child's end and then acts on it.
    pub(super) fn wait(mut self) {
        // However this fails, it will not tell more.
        let _ = io::copy(&mut self.output, &mut io::sink());
        self.shared.set_gone(CHILD);
        self.sent.iter().for_each(|offer| close(|| Sender::attach(offer)));
        self.received.iter().for_each(|offer| close(|| Receiver::attach(offer)));
    }
}

/// Takes an end and drops it, as soon as the kernel has released it: that may be a little after the output ended.
fn close<T>(mut attach: impl FnMut() -> Result<T, AttachError>) {
    while let Err(AttachError::Held { .. }) = attach().map(drop) {
        thread::sleep(Duration::from_millis(1));
    }
}
