use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// What a test may take on the slowest host: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does what could hang, and fails if it does.
pub(crate) fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        let _done = done;
        work();
    });
    match ended.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => worker.join().unwrap(),
    }
}
