//! Aeron: an exclusive publication and a polled subscription in each direction, over shared memory (`aeron:ipc`).
//!
//! A third process, the media driver, makes the memory and moves the limits up to which a publisher may write. It is this
//! program once more. It shares the two CPUs with everybody else here, so it backs off when it has nothing to do, and
//! with short terms publishers would wait for it.

use std::ffi::CString;
use std::io::{self, Read};
use std::process::{self, Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use ringway_cli::bench::{
    AnySize, Carrier, Channel, Error, Foreign, Message, Open, Opener, Place, Result, Waiting, Watch,
};
use rusteron_media_driver::{
    Aeron, AeronCError, AeronDriver, AeronDriverContext, AeronExclusivePublication, AeronOfferError,
    AeronSubscription, Handlers, bindings::aeron_threading_mode_t,
};

pub(crate) const OPENER: Opener =
    Opener { foreign: Foreign { name: "Aeron IPC", waiting: Waiting::Spins }, open: Open::Processes(open) };

/// Terms as long as they are by default: up to half of one may be on the way. The largest unit of transfer there is: what
/// fits is not fragmented.
const CHANNEL: &std::ffi::CStr = c"aeron:ipc?term-length=64m|mtu=65504";
const STREAMS: [i32; 2] = [1001, 1002];
const PATIENCE: Duration = Duration::from_secs(10);
/// Fragments a poll, where messages come one behind the other.
const AT_ONCE: usize = 16;
/// In the environment of the media driver: its directory.
const DRIVER: &str = "RINGWAY_PEERS_AERON_DRIVER";

/// One side of two streams.
#[derive(Debug)]
struct Side {
    publication: AeronExclusivePublication,
    subscription: AeronSubscription,
    /// A message of which not all fragments have arrived.
    parts: Vec<u8>,
    watch: Watch,
    // Dropped behind what uses them, in this order.
    _client: Aeron,
    _driver: Option<Driver>,
}

fn open(place: &mut Place<'_>) -> Result<Box<dyn Carrier>> {
    let make = || format!("/dev/shm/ringway-peers-aeron-{}", process::id());
    let directory = place.agree("RINGWAY_PEERS_AERON", make)?;
    let driver = if place.number() == 0 { Some(Driver::start(&directory)?) } else { None };
    let client = Aeron::connect_dir(&directory).map_err(Error::other)?;
    let [out, back] = [STREAMS[place.number()], STREAMS[1 - place.number()]];
    let subscription = client
        .async_add_subscription(CHANNEL, back, Handlers::NONE, Handlers::NONE)
        .and_then(|adding| adding.poll_blocking(PATIENCE))
        .map_err(Error::other)?;
    let publication = client
        .async_add_exclusive_publication(CHANNEL, out)
        .and_then(|adding| adding.poll_blocking(PATIENCE))
        .map_err(Error::other)?;
    let parts = Vec::with_capacity(64 << 10);
    Ok(Box::new(AnySize(Side {
        publication,
        subscription,
        parts,
        watch: place.watch(),
        _client: client,
        _driver: driver,
    })))
}

impl Side {
    /// Polls until some of at most `most` messages have arrived, and says how many.
    #[inline]
    fn receive_some<const N: usize>(&mut self, message: &mut Message<N>, most: usize) -> Result<u64> {
        let Self { subscription, parts, watch, .. } = self;
        let mut arrived = 0;
        let mut checked = Ok(());
        let polled = watch.until(|| {
            let take = |fragment: &[u8], _| {
                if fragment.len() == N {
                    arrived += 1;
                    checked = std::mem::replace(&mut checked, Ok(())).and_then(|()| message.check(fragment));
                    return;
                }
                parts.extend_from_slice(fragment);
                if parts.len() >= N {
                    arrived += 1;
                    checked = std::mem::replace(&mut checked, Ok(())).and_then(|()| message.check(parts));
                    parts.clear();
                }
            };
            let polled = subscription.poll_fn(take, most);
            (arrived > 0 || polled.is_err()).then_some(polled)
        })?;
        polled.map_err(Error::other)?;
        checked.map(|()| arrived)
    }
}

impl<const N: usize> Channel<N> for Side {
    #[inline]
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        let message = message.compose();
        let offered = self.watch.until(|| match self.publication.offer(message) {
            Ok(_) => Some(Ok(())),
            Err(error) if error.is_retryable() => None,
            Err(error) => Some(Err(error)),
        })?;
        offered.map_err(|error: AeronOfferError| Error::other(error))
    }

    #[inline]
    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.receive_some(message, 1).map(drop)
    }

    fn receive_all(&mut self, message: &mut Message<N>, mut count: u64) -> Result<()> {
        while count > 0 {
            let most = usize::try_from(count).map_or(AT_ONCE, |count| count.min(AT_ONCE));
            count -= self.receive_some(message, most)?;
        }
        Ok(())
    }
}

/// The media driver; it ends when this is dropped, or with this process.
#[derive(Debug)]
struct Driver(Child);

impl Driver {
    fn start(directory: &str) -> io::Result<Self> {
        let program = env::current_exe()?;
        Command::new(program).env(DRIVER, directory).stdin(Stdio::piped()).spawn().map(Self)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Is the media driver and never returns, if this process was started for that; else does nothing.
pub(crate) fn drive_if_driver() {
    if let Ok(directory) = env::var(DRIVER) {
        let done = drive(&directory);
        if let Err(error) = &done {
            eprintln!("Aeron's media driver: {error}");
        }
        process::exit(done.is_err().into());
    }
}

fn drive(directory: &str) -> std::result::Result<(), AeronCError> {
    let context = AeronDriverContext::new()?;
    context.set_dir(&CString::new(directory).unwrap_or_default())?;
    context.set_dir_delete_on_start(true)?;
    context.set_dir_delete_on_shutdown(true)?;
    context.set_threading_mode(aeron_threading_mode_t::AERON_THREADING_MODE_SHARED)?;
    let driver = AeronDriver::new(&context)?;
    driver.start(true)?;
    let asking = thread::spawn(|| io::stdin().read_to_end(&mut Vec::new()));
    while !asking.is_finished() {
        driver.main_idle_strategy(driver.main_do_work()?);
    }
    Ok(())
}
