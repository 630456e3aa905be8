//! Two processes, random sizes, every byte checked.

mod support;

use std::{process::Command, time::Duration};

use ringway::{
    Names, RecvError, RecvTimeoutError, Wait,
    spsc::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer, told};

/// xorshift64*: <https://doi.org/10.18637/jss.v008.i14>, Vigna's variant.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Mostly small, now and then as large as may be.
    fn size(&mut self, max: usize) -> usize {
        let most = match self.next() % 16 {
            0 => max,
            1..=3 => max.min(600),
            _ => max.min(70),
        };
        self.next() as usize % (most + 1)
    }
}

/// FNV-1a, word by word.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A message: generation, number, checksum of the rest, the rest.
fn write(bytes: &mut [u8], generation: u64, number: u64, random: &mut Random) {
    for chunk in bytes[24..].chunks_mut(8) {
        let word = random.next().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes[..8].copy_from_slice(&generation.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(&bytes[24..]) ^ generation ^ number;
    bytes[16..24].copy_from_slice(&sum.to_le_bytes());
}

/// Generation and number of a message whose checksum holds.
fn read(bytes: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (generation, number, sum) = (word(0), word(8), word(16));
    assert_eq!(checksum(&bytes[24..]) ^ generation ^ number, sum, "torn message {number}");
    (generation, number)
}

fn send_all(tx: &mut Sender, messages: u64, random: &mut Random) {
    let max = tx.max_message();
    let mut copy = vec![0; max];
    let mut number = 0;
    while number < messages {
        let size = 24 + random.size(max - 24);
        if random.next() % 8 == 0 {
            let mut batch = tx.batch();
            let most = random.next() % 20;
            while (batch.len() as u64) < most
                && number < messages
                && batch
                    .push_with(24 + random.0 as usize % 50, |bytes| write(bytes, 0, number, random))
                    .is_ok()
            {
                number += 1;
            }
            while number < messages && random.next() % 4 != 0 {
                let copy = &mut copy[..24 + random.size(max.min(30_000) - 24)];
                write(copy, 0, number, random);
                if batch.push(copy).is_err() {
                    break;
                }
                number += 1;
            }
            batch.send();
        } else if random.next() % 4 == 0 {
            let copy = &mut copy[..size];
            write(copy, 0, number, random);
            tx.send(copy).unwrap();
            number += 1;
        } else {
            let mut loan = tx.loan(size).unwrap();
            if random.next() % 16 == 0 {
                loan.fill(0xee);
                continue;
            }
            loan.truncate(24 + random.next() as usize % (size - 23));
            write(&mut loan, 0, number, random);
            loan.send();
            number += 1;
        }
    }
}

fn receive_all(rx: &mut Receiver, messages: u64, random: &mut Random) {
    let mut number = 0;
    loop {
        if random.next() % 4 == 0 {
            match rx.recv_batch(1 + random.next() as usize % 50) {
                Ok(batch) => {
                    for message in batch.iter() {
                        assert_eq!(read(message.bytes()), (0, number));
                        number += 1;
                    }
                }
                Err(error) => break assert_eq!(error, RecvError::Closed),
            }
        } else {
            match rx.recv() {
                Ok(message) => {
                    assert_eq!(read(&message), (0, number));
                    number += 1;
                }
                Err(error) => break assert_eq!(error, RecvError::Closed),
            }
        }
    }
    assert_eq!(number, messages);
}

fn wait(name: &str) -> Wait {
    match name {
        "spin" => Wait::Spin,
        "sleep" => Wait::Park { spin: Duration::ZERO },
        _ => Wait::default(),
    }
}

const MESSAGES: u64 = 60_000;
const SEED: u64 = 0x5eed_0001_dead_beef;

fn options(dir: &str, wait_name: &str, capacity: &str) -> Options {
    Options::new().names(Names::in_dir(dir)).wait(wait(wait_name)).capacity(capacity.parse().unwrap())
}

#[test]
#[ignore = "run as a child process"]
fn child_sends() {
    let mut tx = options(&told("DIR"), &told("WAIT"), &told("CAPACITY")).sender("stress").unwrap();
    send_all(&mut tx, MESSAGES, &mut Random(SEED));
    tx.close().unwrap();
}

#[test]
#[ignore = "run as a child process"]
fn child_receives() {
    let mut rx = options(&told("DIR"), &told("WAIT"), &told("CAPACITY")).receiver("stress").unwrap();
    receive_all(&mut rx, MESSAGES, &mut Random(!SEED));
}

fn child(function: &str, dir: &str, wait: &str, capacity: &str) -> Command {
    let mut command = Peer::command(function);
    command.env("DIR", dir).env("WAIT", wait).env("CAPACITY", capacity);
    command
}

#[test]
fn messages_of_any_size_cross_whole_and_in_order_whichever_side_starts() {
    for (first, second) in [("child_sends", "child_receives"), ("child_receives", "child_sends")] {
        for wait in ["spin", "sleep", "default"] {
            for capacity in ["4096", "1048576"] {
                let dir = tempfile::tempdir_in("/dev/shm").unwrap();
                let path = dir.path().to_str().unwrap();
                let first = Peer::start(&mut child(first, path, wait, capacity));
                let second = Peer::start(&mut child(second, path, wait, capacity));
                first.join();
                second.join();
                let left = std::fs::read_dir(dir.path()).unwrap().count();
                assert_eq!(left, 0, "{wait} {capacity}: the name is still there");
            }
        }
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_until_killed() {
    let generation: u64 = told("GENERATION").parse().unwrap();
    let mut tx = options(&told("DIR"), "default", "65536").sender("heirs").unwrap();
    let mut random = Random(SEED ^ generation << 32);
    for number in 0.. {
        let mut loan = tx.loan(24 + random.size(4000)).unwrap();
        write(&mut loan, generation, number, &mut random);
        loan.send();
    }
}

/// Nothing torn, nothing lost, nothing twice, though one sender after the other is killed at a random moment.
#[test]
fn a_killed_sender_is_succeeded_by_the_next() {
    const HEIRS: u64 = 40;
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().to_str().unwrap();
    let mut rx = options(path, "default", "65536").receiver("heirs").unwrap();
    let mut random = Random(SEED);
    let mut expected = (0, 0);
    for generation in 1..=HEIRS {
        let heir = Peer::start(
            child("child_sends_until_killed", path, "", "").env("GENERATION", generation.to_string()),
        );
        let mut left = 1 + random.next() % 3000;
        while left > 0 {
            let (generation, number) = match rx.recv_timeout(PATIENCE) {
                Ok(message) => read(&message),
                // The next one is on its way.
                Err(RecvTimeoutError::PeerDied(_)) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            if (generation, number) != expected {
                assert_eq!(number, 0, "lost messages after {expected:?}: got {:?}", (generation, number));
                assert!(generation > expected.0);
            }
            expected = (generation, number + 1);
            left -= 1;
        }
        heir.kill();
    }
}
