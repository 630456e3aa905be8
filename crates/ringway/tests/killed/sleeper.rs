//! Survivors that sleep while the victim dies.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{PROGRESS, killing::Verdict};

/// How long a survivor may sleep.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// After so long one that waits for room has looked by itself, and sleeps for good.
pub(crate) const NAP: Duration = Duration::from_millis(2);

/// A thread that sleeps in a call of the library.
pub(crate) struct Sleeper<T> {
    thread: mpsc::Receiver<T>,
    /// What the call came to.
    done: Option<T>,
}

impl<T: Send + 'static> Sleeper<T> {
    pub(crate) fn start(call: impl FnOnce() -> T + Send + 'static) -> Self {
        let (done, thread) = mpsc::channel();
        thread::spawn(move || done.send(call()));
        Self { thread, done: None }
    }

    /// Whether it has woken.
    pub(crate) fn is_awake(&mut self) -> bool {
        if self.done.is_none() {
            self.done = self.thread.try_recv().ok();
        }
        self.done.is_some()
    }

    /// There is news: it wakes.
    pub(crate) fn wakes(&mut self) -> Verdict {
        if !self.is_awake() {
            let done = self.thread.recv_timeout(PROGRESS);
            self.done = Some(done.map_err(|_| "the survivor sleeps on, though there is news")?);
        }
        Ok(())
    }

    /// What the call came to, now that there is news.
    pub(crate) fn wake(mut self) -> Verdict<T> {
        self.wakes()?;
        Ok(self.done.expect("it woke"))
    }
}

/// Waits until a survivor sleeps.
pub(crate) fn await_state(is_there: impl Fn() -> bool) -> Verdict {
    let limit = Instant::now() + PATIENCE;
    while !is_there() {
        if Instant::now() > limit {
            return Err("the survivor does not fall asleep".into());
        }
        thread::yield_now();
    }
    Ok(())
}
