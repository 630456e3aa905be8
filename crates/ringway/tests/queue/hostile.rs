//! A process that writes anything anywhere into a live queue: calls end with `Ok` or `Err`, and that is all.
#![allow(unsafe_code, clippy::disallowed_types)]

use std::{
    os::fd::{AsFd, AsRawFd},
    slice,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway::{
    Offer, RecvError, RecvTimeoutError, TryRecvError, Wait,
    layout::queue::{KIND_QUEUE, LINES, Parts, line, queue, shared},
    mpmc::{Options, Received, Receiver, Sender},
};

use crate::support::PATIENCE;

const SLOTS: usize = 16;
const SIZE: usize = 256;
const HEADER: usize = 4096;
const TICK: Duration = Duration::from_micros(50);

/// The queue's memory as a hostile process maps it, in words.
struct Scribbler {
    words: &'static [AtomicU64],
    parts: Parts,
}

impl Scribbler {
    /// Everything after the header page, which nobody reads again.
    fn new(offer: &Offer) -> Self {
        let shape = queue(SLOTS, SIZE, 0);
        assert_eq!((shape.kind, offer.shape().capacity), (KIND_QUEUE, shape.capacity));
        let len = HEADER + (shape.control_len + shape.capacity) as usize;
        // SAFETY: a new mapping of the whole segment; it is sealed against shrinking and never unmapped, so the
        // words live for ever. Everyone in this process accesses control words atomically; `u64` accesses here
        // overlap `u32` ones there, as those of a hostile process would: the kernel and the processor do not mind.
        let words = unsafe {
            let map = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                offer.as_fd().as_raw_fd(),
                0,
            );
            assert_ne!(map, libc::MAP_FAILED);
            slice::from_raw_parts(map.add(HEADER).cast::<AtomicU64>(), (len - HEADER) / 8)
        };
        Self { words, parts: Parts::of(SLOTS as u32) }
    }

    /// Makes the queue look new, so that ends can be had again.
    fn heal(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Writes a word that is likely to hurt: into those that all share, the first lines', slots' and cells', and the data.
    fn strike(&self, random: u64) {
        let pick = (random >> 8) as usize;
        let shared = [
            shared::TAIL,
            shared::HEAD,
            shared::RECEIVERS,
            shared::ITEMS,
            shared::CAME,
            shared::SENDERS,
            shared::ROOM,
            shared::ATTACHED,
        ];
        let place = match random % 8 {
            0 | 1 => shared[pick % shared.len()],
            2 => line((pick % 4) as u16).alive + pick / 4 % 16 * 8,
            3 => line(pick as u16 % LINES).alive + pick / 64 % 16 * 8,
            4 | 5 => self.parts.slots + pick % (2 * SLOTS) * 8,
            6 => self.parts.cells + pick % SLOTS * 8,
            _ => self.parts.slots + pick % (self.words.len() - self.parts.slots / 8) * 8,
        };
        let small = random >> 32 & 0x7f;
        let value = match random >> 40 & 7 {
            0 => random,
            1 => 0,
            // A state, of some use, owner and tag.
            2 | 3 => (small & 3) << 20 | (small >> 2 & 3) << 4 | random >> 60 & 3,
            // A cell, of some use, slot and lap.
            4 => (small & 3) << 20 | random >> 48 & 0x1f0 | random >> 60,
            // A bit a line, that of some, or of all.
            5 => random >> 62 << 62 | small,
            6 => random >> 60,
            _ => u64::MAX,
        };
        self.words[place / 8].store(value, Ordering::Relaxed);
    }
}

/// Every call there is, none of them for long.
fn use_sender(tx: &Sender, random: u64) {
    let len = random as usize % 300;
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
            while batch.push(&vec![4; len % 100]).is_ok() && batch.len() < 20 {}
            batch.send();
        }
        5 => drop(tx.batch().push(&[5; 50])),
        6 => std::mem::forget(tx.try_loan(1)),
        _ => {
            let slots = tx.slots();
            assert!(slots.free as usize <= SLOTS && slots.holders.len() <= SLOTS);
            let _ = (tx.len(), tx.is_full(), tx.lost(), tx.stats(), tx.clone());
        }
    }
}

fn use_receiver<'a>(rx: &'a Receiver, random: u64, held: &mut Vec<Received<'a>>) {
    let touch = |bytes: &[u8]| assert!(bytes.len() <= SIZE);
    match random >> 32 & 15 {
        0..3 => drop(rx.recv_timeout(TICK).map(|message| touch(&message))),
        3..6 => drop(rx.try_recv().map(|message| touch(&message))),
        6 => std::mem::forget(rx.try_recv()),
        7 => drop(rx.try_recv().map(Received::put_back)),
        8 => held.extend(rx.try_recv()),
        9 => held.clear(),
        10..13 => {
            if let Ok(batch) = rx.recv_batch_timeout(1 + random as usize % 30, TICK) {
                batch.iter().take(random as usize % 40).for_each(|message| touch(message.bytes()));
            }
        }
        13 => drop(rx.try_recv_batch(9).map(|batch| batch.put_back())),
        _ => {
            let _ = (rx.len(), rx.is_empty(), rx.lost(), rx.stats(), rx.clone());
        }
    }
}

/// Takes an end, or says no; what matters is that it ends.
fn ends(offer: &Offer) -> (Option<Sender>, Option<Receiver>) {
    (Options::new().sender_of(offer).ok(), Options::new().receiver_of(offer).ok())
}

fn options(sleeps: bool, overwrite: bool) -> Options {
    let wait = if sleeps { Wait::Park { spin: Duration::ZERO } } else { Wait::Spin };
    Options::new().slots(SLOTS).slot_size(SIZE).wait(wait).overwrite(overwrite)
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
        overwrite: bool,
        before in prop::collection::vec(any::<u64>(), 0..6),
        steps in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u64>(), 0..6)), 0..40),
    ) {
        let offer = options(sleeps, overwrite).offer().unwrap();
        let scribbler = Scribbler::new(&offer);
        before.into_iter().for_each(|random| scribbler.strike(random));
        let mut steps = steps.into_iter();
        while steps.len() > 0 {
            // Both leave, and others come.
            let (tx, rx) = ends(&offer);
            let mut held = Vec::new();
            for (strike, calls) in steps.by_ref().take(10) {
                scribbler.strike(strike);
                for call in calls {
                    if call & 1 == 0 {
                        tx.iter().for_each(|tx| use_sender(tx, call));
                    } else {
                        rx.iter().for_each(|rx| use_receiver(rx, call, &mut held));
                    }
                }
            }
            drop(held);
            drop((tx, rx));
            if steps.len() % 20 == 0 {
                scribbler.heal();
            }
        }
    }
}

/// Ends of each side that are had among the scribbles.
const ENDS: usize = 150;

/// Tries to have one; many are refused, for what they find.
fn tries() -> impl Iterator<Item = ()> {
    let limit = Instant::now() + PATIENCE;
    std::iter::repeat_with(thread::yield_now).take_while(move |()| Instant::now() < limit)
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    }
}

#[test]
fn all_ends_survive_a_process_that_never_stops_scribbling() {
    for (sleeps, overwrite) in [(true, false), (true, true), (false, false)] {
        let offer = options(sleeps, overwrite).offer().unwrap();
        let scribbler = Scribbler::new(&offer);
        let stop = AtomicBool::new(false);
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
                let attached = tries().filter_map(|()| Options::new().sender_of(&offer).ok()).take(ENDS);
                attached.map(|tx| (0..40).for_each(|_| use_sender(&tx, next()))).count()
            });
            let receivers = scope.spawn(|| {
                let mut next = random(3);
                let attached = tries().filter_map(|()| Options::new().receiver_of(&offer).ok()).take(ENDS);
                let used = attached.map(|rx| {
                    let mut held = Vec::new();
                    (0..40).for_each(|_| use_receiver(&rx, next(), &mut held));
                });
                used.count()
            });
            // Whatever has become of them, the scribbler is to end.
            let (senders, receivers) = (senders.join(), receivers.join());
            stop.store(true, Ordering::Relaxed);
            let had = (senders.unwrap(), receivers.unwrap());
            assert_eq!(had, (ENDS, ENDS), "too few ends were had to show anything");
        });
    }
}

#[test]
fn who_tries_to_receive_from_a_slot_that_says_all_was_received_does_not_wait() {
    let offer = options(true, false).offer().unwrap();
    let scribbler = Scribbler::new(&offer);
    let (tx, rx) = ends(&offer);
    let (tx, rx) = (tx.unwrap(), rx.unwrap());
    let (record, done) = (1 << 48, 1 << 49);
    let forge = || {
        let mut batch = tx.batch();
        batch.push(b"x").unwrap();
        batch.send();
        let headers = scribbler.words.iter().filter(|word| word.load(Ordering::Relaxed) == record | 1);
        headers.for_each(|word| word.store(record | done | 1, Ordering::Relaxed));
    };
    forge();
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    forge();
    assert_eq!(rx.recv_timeout(TICK).unwrap_err(), RecvTimeoutError::Timeout);
    forge();
    assert_eq!(rx.try_recv_batch(9).unwrap_err(), TryRecvError::Empty);
    assert_eq!(tx.slots().free as usize, SLOTS);
}

/// What a scribbler can do with a line: make one that nobody has look taken, dead, unswept, or the end of a side; and one that somebody
/// has look like nobody's. The kernel's locks say who lives, and they cannot be forged.
#[test]
fn a_line_that_is_forged_keeps_nobody_from_sending_and_receiving() {
    let offer = options(true, false).offer().unwrap();
    let scribbler = Scribbler::new(&offer);
    let set = |at: usize, value: u64| scribbler.words[at / 8].store(value, Ordering::Relaxed);
    let (tx, rx) = ends(&offer);
    let (tx, rx) = (tx.unwrap(), rx.unwrap());
    let get_on = || {
        for n in 0..100u8 {
            tx.send_timeout(&[n], PATIENCE).unwrap();
            // What the dead one is said to have had comes again.
            let mut messages = std::iter::repeat_with(|| rx.recv_timeout(PATIENCE).unwrap());
            assert_eq!(messages.find(|message| !message.redelivered()).unwrap()[..], [n]);
        }
        let _ = rx.recv_timeout(TICK);
    };
    let ghost = line(40);
    let (dead, held) = (1 << 30 | 1 << 31, u64::from(std::process::id()));
    for (alive, lease) in [(dead, 1), (dead, u64::MAX), (held, 3), (0, 1), (u64::MAX, 0)] {
        set(ghost.alive, alive);
        set(ghost.alive + 8, u64::from(u32::MAX));
        set(ghost.lease, lease);
        set(shared::ATTACHED, 1 << 40 | 3);
        set(shared::SENDERS, 1 << 63 | 1 << 40 | 1);
        set(shared::RECEIVERS, 1 << 63 | 1 << 40 | 2);
        // Slots that are said to be the ghost's.
        set(scribbler.parts.slots + 8 * 2 * 9, 7 << 20 | 40 << 4 | 1);
        set(scribbler.parts.slots + 8 * 2 * 10, 7 << 20 | 40 << 4 | 2);
        get_on();
        let (another, one_more) = ends(&offer);
        assert!(another.is_some() && one_more.is_some(), "there are free lines");
        get_on();
    }
    // Nobody's, they say; and a newcomer does not get them, for the locks are held.
    for line in [line(0), line(1)] {
        set(line.alive, 0);
        set(line.lease, 0);
    }
    set(shared::ATTACHED, 0);
    let (another, one_more) = ends(&offer);
    let lines = |shown: String| shown.split("line: ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let all =
        [format!("{tx:?}"), format!("{rx:?}"), format!("{another:?}"), format!("{one_more:?}")].map(lines);
    assert_eq!(all.map(|line| line.parse::<u8>().unwrap() < 2), [true, true, false, false]);
    get_on();
}

#[test]
fn of_what_makes_no_sense_all_threads_of_a_process_hear_and_no_message_follows() {
    let offer = options(true, false).offer().unwrap();
    let scribbler = Scribbler::new(&offer);
    let (tx, rx) = ends(&offer);
    let (tx, rx) = (tx.unwrap(), rx.unwrap());
    let (sleeper, (done, is_done)) = (rx.clone(), mpsc::channel());
    let waiting = thread::spawn(move || done.send(sleeper.recv().map(drop)).unwrap());
    while rx.stats().sleeps == 0 {
        thread::yield_now();
    }
    let cell = &scribbler.words[scribbler.parts.cells / 8];
    // A lap that is far from the first.
    cell.store(4 << 1 | 1, Ordering::Relaxed);
    assert!(matches!(rx.try_recv().unwrap_err(), TryRecvError::Corrupt(_)));
    let told = is_done.recv_timeout(PATIENCE).expect("somebody wakes it");
    assert!(matches!(told, Err(RecvError::Corrupt(_))));
    waiting.join().unwrap();
    cell.store(0, Ordering::Relaxed);
    tx.send(b"behind it").unwrap();
    assert!(matches!(rx.try_recv_batch(1).unwrap_err(), TryRecvError::Corrupt(_)));
}

#[test]
fn messages_of_a_slot_behind_one_that_makes_no_sense_are_not_lost_without_a_word() {
    for batched in [false, true] {
        let offer = options(true, false).offer().unwrap();
        let scribbler = Scribbler::new(&offer);
        let (tx, rx) = ends(&offer);
        let (tx, rx) = (tx.unwrap(), rx.unwrap());
        let mut batch = tx.batch();
        [b"one", b"two"].iter().for_each(|message| batch.push(*message).unwrap());
        batch.send();
        let headers = scribbler.words.iter().filter(|word| word.load(Ordering::Relaxed) == 1 << 48 | 3);
        headers.last().unwrap().store(u64::MAX, Ordering::Relaxed);
        if batched {
            assert_eq!(rx.try_recv_batch(1).unwrap().iter().count(), 1);
        } else {
            assert_eq!(&rx.try_recv().unwrap()[..], b"one");
        }
        assert!(matches!(rx.try_recv().unwrap_err(), TryRecvError::Corrupt(_)));
    }
}
