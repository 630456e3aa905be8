//! What callgrind counts the instructions of: see `instructions.sh`, which runs this once for each case.
//!
//! Both ends belong to one thread, so nothing here ever waits, and every run executes the same instructions. Counted is
//! what happens inside of [`measured`], the slow paths that come round now and then included.

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use ringway::spsc::{Receiver, Sender};
use ringway::{Wait, mpmc, spsc};
use ringway_benches::{arguments, finish};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Messages of one case: so many laps of the ring that the slow paths have their share.
const MESSAGES: usize = 64 * AT_ONCE;
/// Messages that are sent before they are received, which the ring has room for.
const AT_ONCE: usize = 256;
const CAPACITY: usize = 64 << 10;
const SLOTS: usize = 1024;
const BATCH: usize = 16;

/// Whose instructions are counted.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Send,
    Receive,
    SendBatch,
    ReceiveBatch,
}

fn main() -> ExitCode {
    let words: Vec<_> = arguments().collect();
    finish(match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            println!("{MESSAGES} messages a case; benches/instructions.sh counts their instructions");
            Ok(())
        }
        [call, wait, size] => case(call, wait, size),
        _ => Err("instructions [queue-][send|receive|send-batch|receive-batch] [spin|park] [8|64]".into()),
    })
}

fn case(call: &str, wait: &str, size: &str) -> Result<()> {
    let queued = call.strip_prefix("queue-");
    let call = match queued.unwrap_or(call) {
        "send" => Call::Send,
        "receive" => Call::Receive,
        "send-batch" => Call::SendBatch,
        "receive-batch" => Call::ReceiveBatch,
        other => return Err(format!("no such call: {other}").into()),
    };
    let wait = match wait {
        "spin" => Wait::Spin,
        "park" => Wait::default(),
        other => return Err(format!("no such wait: {other}").into()),
    };
    if queued.is_some() {
        let (tx, rx) = mpmc::Options::new().slots(SLOTS).slot_size(64).wait(wait).pair()?;
        return match size {
            "8" => queued_messages::<8>(call, &tx, &rx),
            "64" => queued_messages::<64>(call, &tx, &rx),
            other => Err(format!("no such size: {other}").into()),
        };
    }
    let (tx, rx) = spsc::Options::new().capacity(CAPACITY).wait(wait).pair()?;
    match size {
        "8" => messages::<8>(call, tx, rx),
        "64" => messages::<64>(call, tx, rx),
        other => Err(format!("no such size: {other}").into()),
    }
}

/// Sends and receives, the one call by what is counted and the other one by what is not.
fn messages<const N: usize>(call: Call, mut tx: Sender, mut rx: Receiver) -> Result<()> {
    let message = &black_box([0x5a; N]);
    for _ in 0..MESSAGES / AT_ONCE {
        match call {
            Call::Send => measured::send(&mut tx, message)?,
            Call::SendBatch => measured::send_batch(&mut tx, message)?,
            Call::Receive | Call::ReceiveBatch => (0..AT_ONCE).try_for_each(|_| tx.send(message))?,
        }
        match call {
            Call::Receive => measured::receive::<N>(&mut rx)?,
            Call::ReceiveBatch => measured::receive_batch::<N>(&mut rx)?,
            Call::Send | Call::SendBatch => {
                (0..AT_ONCE).try_for_each(|_| rx.recv().map(|message| drop(black_box(message))))?;
            }
        }
    }
    Ok(())
}

/// [`messages`], through a queue.
fn queued_messages<const N: usize>(call: Call, tx: &mpmc::Sender, rx: &mpmc::Receiver) -> Result<()> {
    let message = &black_box([0x5a; N]);
    for _ in 0..MESSAGES / AT_ONCE {
        match call {
            Call::Send => measured::queued::send(tx, message)?,
            Call::SendBatch => measured::queued::send_batch(tx, message)?,
            Call::Receive | Call::ReceiveBatch => (0..AT_ONCE).try_for_each(|_| tx.send(message))?,
        }
        match call {
            Call::Receive => measured::queued::receive::<N>(rx)?,
            Call::ReceiveBatch => measured::queued::receive_batch::<N>(rx)?,
            Call::Send | Call::SendBatch => {
                (0..AT_ONCE).try_for_each(|_| rx.recv().map(|message| drop(black_box(message))))?;
            }
        }
    }
    Ok(())
}

/// The loops whose instructions are counted. Callgrind knows them by the name of this module.
mod measured {
    use ringway::{RecvError, SendError, TrySendError};

    use super::{AT_ONCE, BATCH, Receiver, Sender, black_box};

    #[inline(never)]
    pub(super) fn send<const N: usize>(tx: &mut Sender, message: &[u8; N]) -> Result<(), SendError> {
        for _ in 0..AT_ONCE {
            tx.send(message)?;
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn receive<const N: usize>(rx: &mut Receiver) -> Result<(), RecvError> {
        for _ in 0..AT_ONCE {
            read::<N>(&rx.recv()?);
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn send_batch<const N: usize>(tx: &mut Sender, message: &[u8; N]) -> Result<(), TrySendError> {
        for _ in 0..AT_ONCE / BATCH {
            let mut batch = tx.batch();
            for _ in 0..BATCH {
                batch.push(message)?;
            }
            batch.send();
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn receive_batch<const N: usize>(rx: &mut Receiver) -> Result<(), RecvError> {
        for _ in 0..AT_ONCE / BATCH {
            for message in rx.recv_batch(BATCH)?.iter() {
                read::<N>(message.bytes());
            }
        }
        Ok(())
    }

    /// A copy of it, if it is as long as it should be.
    #[inline(always)]
    fn read<const N: usize>(message: &[u8]) {
        black_box(<[u8; N]>::try_from(message).ok());
    }

    /// The same loops, through a queue.
    pub(super) mod queued {
        use ringway::mpmc::{Receiver, Sender};
        use ringway::{RecvError, SendError, TrySendError};

        use super::{AT_ONCE, BATCH, read};

        #[inline(never)]
        pub(crate) fn send<const N: usize>(tx: &Sender, message: &[u8; N]) -> Result<(), SendError> {
            for _ in 0..AT_ONCE {
                tx.send(message)?;
            }
            Ok(())
        }

        #[inline(never)]
        pub(crate) fn receive<const N: usize>(rx: &Receiver) -> Result<(), RecvError> {
            for _ in 0..AT_ONCE {
                read::<N>(&rx.recv()?);
            }
            Ok(())
        }

        #[inline(never)]
        pub(crate) fn send_batch<const N: usize>(tx: &Sender, message: &[u8; N]) -> Result<(), TrySendError> {
            for _ in 0..AT_ONCE / BATCH {
                let mut batch = tx.batch();
                for _ in 0..BATCH {
                    batch.push(message)?;
                }
                batch.send();
            }
            Ok(())
        }

        #[inline(never)]
        pub(crate) fn receive_batch<const N: usize>(rx: &Receiver) -> Result<(), RecvError> {
            for _ in 0..AT_ONCE / BATCH {
                for message in rx.recv_batch(BATCH)?.iter() {
                    read::<N>(message.bytes());
                }
            }
            Ok(())
        }
    }
}
