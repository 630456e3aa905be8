//! The end of the other process, told to whoever waits for it.
//!
//! Pipes and sockets tell it themselves. The floors would wait for ever, and so would a ring: there a dead end
//! waits for a successor. So this process becomes the successor, of every end, and closes it.

use std::io;
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringway::{AttachError, Offer};

use super::CHILD;
use super::shared::Shared;

/// Takes an end of a ring that the child held, and drops it.
pub(super) type Close = fn(&Offer) -> Result<(), AttachError>;

/// Who looks after what the child leaves.
#[derive(Debug)]
pub(super) struct Heir {
    /// The child writes nothing there, so it ends when the child does.
    pub(super) output: ChildStdout,
    pub(super) shared: Arc<Shared>,
    /// The rings of which the child holds an end.
    pub(super) rings: Vec<(Offer, Close)>,
}

impl Heir {
    /// Waits for the child's end and then acts on it.
    pub(super) fn wait(mut self) {
        // However this fails, it will not tell more.
        let _ = io::copy(&mut self.output, &mut io::sink());
        self.shared.set_gone(CHILD);
        for (offer, close) in &self.rings {
            // As soon as the kernel has released the end: that may be a little after the output ended.
            while let Err(AttachError::Held { .. }) = close(offer) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
