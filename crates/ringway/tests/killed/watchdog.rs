//! What ends the tests if one of them hangs.

use std::{
    process,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);

static WATCHED: Mutex<Option<(Instant, String)>> = Mutex::new(None);
static TURN: Mutex<()> = Mutex::new(());

/// The turn of a test: one at a time, so that no other thread of this process holds anything when it forks.
pub(crate) struct Turn(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Turn {
    /// Waits for the turn. From then on the test is watched: it must [`say`] what it does.
    pub(crate) fn take() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| drop(thread::spawn(watch)));
        // A test that failed has left nothing half done here.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        say("start");
        Self(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *watched() = None;
    }
}

/// Says what is done now.
pub(crate) fn say(what: &str) {
    *watched() = Some((Instant::now(), what.to_owned()));
}

fn watched() -> MutexGuard<'static, Option<(Instant, String)>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    loop {
        thread::sleep(Duration::from_millis(500));
        if let Some((since, what)) = &*watched() {
            if since.elapsed() > PATIENCE {
                eprintln!("nothing has happened for {PATIENCE:?} since: {what}");
                process::abort();
            }
        }
    }
}
