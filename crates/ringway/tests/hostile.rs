//! A process that writes anything anywhere into a live ring: calls end with `Ok` or `Err`, and that is all.
#![allow(unsafe_code, clippy::disallowed_types)]

use std::{
    os::fd::{AsFd, AsRawFd},
    slice,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway::{
    Offer, Wait,
    layout::CONTROL_LEN,
    spsc::{Options, Receiver, Sender},
};

const CAPACITY: usize = 4096;
const HEADER: usize = 4096;
const TICK: Duration = Duration::from_micros(50);

/// The ring's memory as a hostile peer maps it, in words.
struct Scribbler(&'static [AtomicU64]);

impl Scribbler {
    /// Everything after the header page, which nobody reads again.
    fn new(offer: &Offer) -> Self {
        let len = HEADER + CONTROL_LEN + CAPACITY;
        // SAFETY: a new mapping of the whole segment; it is sealed against shrinking and never unmapped, so the
        // words live for ever. Everyone in this process accesses control words atomically; `u64` accesses here
        // overlap `u32` ones there, as those of a hostile process would: the kernel and the processor do not mind.
        unsafe {
            let map = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                offer.as_fd().as_raw_fd(),
                0,
            );
            assert_ne!(map, libc::MAP_FAILED);
            Self(slice::from_raw_parts(map.add(HEADER).cast(), (len - HEADER) / 8))
        }
    }

    /// Makes the ring look new, so that ends can be had again.
    fn heal(&self) {
        self.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Writes a word that is likely to hurt: into the control words as often as into the data.
    fn strike(&self, random: u64) {
        let control = CONTROL_LEN / 8;
        let place = match random % 4 {
            // A line of the first 512 bytes of a side's page.
            0 | 1 => (random >> 8) as usize % 2 * 512 + (random >> 9) as usize % 4 * 16,
            2 => control + (random >> 8) as usize % 64,
            _ => control + (random >> 8) as usize % (CAPACITY / 8),
        };
        let value = match random >> 40 & 7 {
            0 => random,
            1 => 0,
            2 => 1 << 48 | random >> 52,
            3 => 2 << 48,
            4 => (random >> 48) * 8,
            5 => ((random >> 52) * 8).wrapping_neg(),
            6 => random >> 63,
            _ => u64::MAX,
        };
        self.0[place].store(value, Ordering::Relaxed);
    }
}

/// Every call there is, none of them for long.
fn use_sender(tx: &mut Sender, random: u64) {
    let len = random as usize % 5000;
    match random >> 32 & 7 {
        0 => drop(tx.send_timeout(&vec![1; len], TICK)),
        1 => drop(tx.try_send(&vec![2; len % 100])),
        2 => {
            if let Ok(mut loan) = tx.loan_timeout(len, TICK) {
                loan.fill(3);
                loan.truncate(len / 2);
                loan.send();
            }
        }
        3 => drop(tx.try_loan(len)),
        4 => {
            let mut batch = tx.batch();
            while batch.push(&vec![4; len % 200]).is_ok() && batch.len() < 20 {}
            batch.send();
        }
        5 => drop(tx.batch().push(&[5; 50])),
        _ => assert!(tx.pending() <= tx.capacity()),
    }
}

fn use_receiver(rx: &mut Receiver, random: u64) {
    let touch = |bytes: &[u8]| assert!(bytes.len() <= CAPACITY);
    match random >> 32 & 7 {
        0 | 1 => drop(rx.recv_timeout(TICK).map(|message| touch(&message))),
        2 | 3 => drop(rx.try_recv().map(|message| touch(&message))),
        4 => std::mem::forget(rx.try_recv()),
        5 | 6 => {
            if let Ok(batch) = rx.recv_batch_timeout(random as usize % 30, TICK) {
                let all: Vec<_> = batch.iter().collect();
                let total: usize = all.iter().map(|message| message.bytes().len()).sum();
                assert!(total <= CAPACITY);
            }
        }
        _ => assert!(rx.pending() <= rx.capacity()),
    }
}

/// Takes an end, or says no; what matters is that it ends.
fn ends(offer: &Offer) -> (Option<Sender>, Option<Receiver>) {
    (Sender::attach(offer).ok(), Receiver::attach(offer).ok())
}

fn options(sleeps: bool) -> Options {
    let wait = if sleeps { Wait::Park { spin: Duration::ZERO } } else { Wait::Spin };
    Options::new().capacity(CAPACITY).wait(wait)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_word_at_any_moment_gives_ok_or_err(
        sleeps: bool,
        before in prop::collection::vec(any::<u64>(), 0..6),
        steps in prop::collection::vec((any::<u64>(), any::<u64>()), 0..80),
    ) {
        let offer = options(sleeps).offer().unwrap();
        let scribbler = Scribbler::new(&offer);
        before.into_iter().for_each(|random| scribbler.strike(random));
        let (mut tx, mut rx) = ends(&offer);
        for (strike, call) in steps {
            scribbler.strike(strike);
            match call & 15 {
                0 => {
                    // Both leave, and others come.
                    drop((tx.take(), rx.take()));
                    if call & 16 != 0 {
                        scribbler.heal();
                    }
                    (tx, rx) = ends(&offer);
                }
                1..8 => tx.iter_mut().for_each(|tx| use_sender(tx, call)),
                _ => rx.iter_mut().for_each(|rx| use_receiver(rx, call)),
            }
        }
    }
}

/// Ends of each side that are had among the scribbles.
const ENDS: usize = 200;

/// Tries to have one; many are refused, for what they find.
fn tries() -> impl Iterator<Item = ()> {
    let limit = Instant::now() + Duration::from_secs(60);
    std::iter::repeat_with(thread::yield_now).take_while(move |()| Instant::now() < limit)
}

#[test]
fn both_ends_survive_a_peer_that_never_stops_scribbling() {
    for sleeps in [true, false] {
        let offer = options(sleeps).offer().unwrap();
        let scribbler = Scribbler::new(&offer);
        let stop = AtomicBool::new(false);
        let random = |seed: u64| {
            let mut state = seed;
            move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state ^ state >> 29
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = random(1);
                while !stop.load(Ordering::Relaxed) {
                    scribbler.heal();
                    thread::sleep(Duration::from_micros(next() % 200));
                    (0..next() % 20).for_each(|_| scribbler.strike(next()));
                    thread::yield_now();
                }
            });
            let senders = scope.spawn(|| {
                let mut next = random(2);
                let attached = tries().filter_map(|()| Sender::attach(&offer).ok()).take(ENDS);
                attached.map(|mut tx| (0..40).for_each(|_| use_sender(&mut tx, next()))).count()
            });
            let mut next = random(3);
            let attached = tries().filter_map(|()| Receiver::attach(&offer).ok()).take(ENDS);
            let receivers =
                attached.map(|mut rx| (0..40).for_each(|_| use_receiver(&mut rx, next()))).count();
            let senders = senders.join();
            stop.store(true, Ordering::Relaxed);
            assert_eq!((senders.unwrap(), receivers), (ENDS, ENDS), "too few ends were had to show anything");
        });
    }
}
