//! The other side of contenders that reach no further than a process: a thread of this one.
//!
//! It is asked, and it answers, as the other process is: over a socket, on the same CPU. While one of the two is at
//! work the other sleeps there.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::ends::Ends;
use super::job::Control;
use super::shared::Shared;
use super::{CHILD, Carrier, Result, peer, sys};

/// A running thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Thread {
    /// `None` once it has been hung up.
    control: Option<Control>,
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts it on this CPU, unless there is only one, with its sides of these.
    pub(super) fn start(
        cpu: Option<usize>,
        shared: Arc<Shared>,
        carriers: Vec<(&'static str, Box<dyn Carrier + Send>)>,
    ) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (kept, end) = (Arc::clone(&shared), End(Arc::clone(&shared)));
        let answer = move || {
            // Dropped behind everything else, also in a panic.
            let _end = end;
            if cpu.is_none_or(|cpu| sys::pin(&[cpu]).is_ok()) {
                let carriers =
                    carriers.into_iter().map(|(name, carrier)| (name, carrier as Box<dyn Carrier>));
                // An error was told to the side that asks.
                let _ = peer::answer(&mut Control::new(theirs), &mut Ends::of_thread(shared, carriers));
            }
        };
        let handle = thread::Builder::new().name("answers".into()).spawn(answer)?;
        Ok(Self { control: Some(Control::new(ours)), shared: kept, handle: Some(handle) })
    }

    /// The socket over which it is asked.
    pub(super) fn control(&mut self) -> Option<&mut Control> {
        self.control.as_mut()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Whatever it waits for, it ends.
        self.control = None;
        self.shared.set_gone(CHILD);
        let _ = self.handle.take().map(JoinHandle::join);
    }
}

/// Says so to whoever waits, when the thread ends.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.set_gone(CHILD);
    }
}
