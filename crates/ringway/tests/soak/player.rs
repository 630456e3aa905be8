//! One of the processes, from its birth to its end.
#![allow(unsafe_code)]

use std::{fs::File, panic, path::PathBuf, thread, time::Duration};

use ringway::{
    Names, Offer, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError, Wait,
    mpmc::{Options, Receiver, Redelivery, Sender},
};

use crate::{
    log::{HANDS, Life, Log, MESSAGES},
    message,
    random::Random,
    support::told,
};

/// How long it waits for a slot or a message, when it does.
const TICK: Duration = Duration::from_millis(2);
/// The shortest message: it has a number.
const SHORTEST: usize = 8;

/// The number of a message: who sends it, how long it is, and how many that one has sent before.
pub(crate) fn number(life: u64, len: usize, count: u64) -> u64 {
    life << 48 | (len as u64) << 32 | count
}

/// The life that sent a message, and how many it had sent before.
pub(crate) fn origin(number: u64) -> (u64, u64) {
    (number >> 48, number & 0xffff_ffff)
}

/// What a player does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Sends,
    Receives,
    Both,
}

#[test]
#[ignore = "run as a child process"]
fn child_plays() {
    // SAFETY: no pointers. It ends with its parent, however that ends.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let parsed = |key| told(key).parse::<u64>().unwrap();
    let log = Log::map(&File::options().read(true).write(true).open(told("LOG")).unwrap());
    let log: &Log = Box::leak(Box::new(log));
    // Said at once: it may be killed while it tells what is wrong.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        log.set_failed();
        hook(what);
    }));
    let options = Options::new().slots(parsed("SLOTS") as usize).slot_size(parsed("SIZE") as usize);
    let options = options.wait(Wait::Park { spin: Duration::from_micros(parsed("SPIN")) });
    let once = told("ONCE") == "true";
    let options = options.redelivery(if once { Redelivery::AtMostOnce } else { Redelivery::AtLeastOnce });
    let (sends, receives) = (told("PART") != "Receives", told("PART") != "Sends");
    let (tx, rx) = match told("DIR") {
        dir if dir.is_empty() => {
            let offer = Offer::from_env("QUEUE").unwrap();
            (
                sends.then(|| options.sender_of(&offer).unwrap()),
                receives.then(|| options.receiver_of(&offer).unwrap()),
            )
        }
        dir => {
            let options = options.names(Names::in_dir(PathBuf::from(dir)));
            (sends.then(|| options.sender("x").unwrap()), receives.then(|| options.receiver("x").unwrap()))
        }
    };
    let number = parsed("LIFE");
    let life = log.life(number);
    Player { log, life, number, once, next: 0, random: Random::new(parsed("SEED")) }.play(tx, rx);
}

struct Player<'a> {
    log: &'a Log,
    life: &'a Life,
    /// Of the life.
    number: u64,
    /// Whether what a dead one had does not come again.
    once: bool,
    /// How many it has sent.
    next: u64,
    random: Random,
}

impl Player<'_> {
    /// Sends and receives until it has sent all that it may, or is told to stop, and then until nothing comes any more.
    fn play(&mut self, tx: Option<Sender>, rx: Option<Receiver>) {
        while !self.log.is_stopped() && self.next + (HANDS as u64) < MESSAGES {
            let receives = rx.is_some() && (tx.is_none() || self.random.below(2) == 0);
            match (&tx, &rx) {
                (_, Some(rx)) if receives => _ = self.receive(rx),
                (Some(tx), _) => self.send(tx),
                _ => unreachable!("it does one of the two"),
            }
        }
        drop(tx);
        if let Some(rx) = rx {
            // Others send, and those that are killed and stopped come back: until all have left.
            while self.receive(&rx) || !self.log.is_stopped() {}
        }
    }

    /// Mostly small ones, now and then as large as may be.
    fn len(&mut self, most: usize) -> usize {
        let most = if self.random.below(8) == 0 { most } else { most.min(100) };
        SHORTEST + self.random.below((most - SHORTEST) as u64 + 1) as usize
    }

    fn send(&mut self, tx: &Sender) {
        let most = tx.slot_size();
        if self.random.below(4) == 0 {
            return self.send_batch(tx);
        }
        let len = self.len(most);
        let number = number(self.number, len, self.next);
        let sent = if self.random.below(2) == 0 {
            tx.loan_timeout(most, TICK).map(|mut loan| {
                loan.truncate(len);
                message::write(&mut loan, number);
                self.linger();
                self.life.try_to(self.next + 1);
                loan.send();
            })
        } else {
            let mut bytes = vec![0; len];
            message::write(&mut bytes, number);
            self.life.try_to(self.next + 1);
            tx.send_timeout(&bytes, TICK)
        };
        match sent {
            Ok(()) => self.has_sent(1),
            Err(SendTimeoutError::Timeout | SendTimeoutError::Exhausted(_)) => self.has_sent(0),
            // All who receive have been killed, or have left: others come.
            Err(SendTimeoutError::Closed | SendTimeoutError::PeerDied(_)) => {
                self.has_sent(0);
                thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn send_batch(&mut self, tx: &Sender) {
        let mut batch = tx.batch();
        for _ in 0..1 + self.random.below(HANDS as u64) {
            let len = self.len(tx.slot_size());
            let mut bytes = vec![0; len];
            message::write(&mut bytes, number(self.number, len, self.next + batch.len() as u64));
            match batch.push(&bytes) {
                Ok(()) => {}
                Err(TrySendError::Corrupt(corrupt)) => panic!("{corrupt}"),
                Err(_) => break,
            }
        }
        let count = batch.len() as u64;
        self.linger();
        self.life.try_to(self.next + count);
        batch.send();
        self.has_sent(count);
    }

    /// Keeps what it has for a while, now and then.
    fn linger(&mut self) {
        if self.random.below(128) == 0 {
            thread::sleep(Duration::from_micros(self.random.below(1000)));
        }
    }

    fn has_sent(&mut self, count: u64) {
        self.next += count;
        self.life.set_sent(self.next);
    }

    /// Receives what is there; `false` if all who send have left.
    fn receive(&mut self, rx: &Receiver) -> bool {
        let nothing = match self.random.below(8) {
            0 | 1 => match rx.recv_batch_timeout(1 + self.random.below(HANDS as u64) as usize, TICK) {
                Ok(batch) => {
                    for (hand, message) in batch.iter().enumerate() {
                        self.take(hand, message.bytes(), message.redelivered());
                    }
                    self.linger();
                    self.release();
                    drop(batch);
                    self.life.has_released();
                    return true;
                }
                Err(error) => error,
            },
            2..=4 => match rx.try_recv() {
                Ok(message) => return self.received(message),
                Err(TryRecvError::Empty) => RecvTimeoutError::Timeout,
                Err(TryRecvError::Closed) => RecvTimeoutError::Closed,
                Err(TryRecvError::PeerDied(peer)) => RecvTimeoutError::PeerDied(peer),
                Err(error) => panic!("{error}"),
            },
            _ => match rx.recv_timeout(TICK) {
                Ok(message) => return self.received(message),
                Err(error) => error,
            },
        };
        match nothing {
            RecvTimeoutError::Timeout => true,
            // Others come, unless all were told to stop.
            RecvTimeoutError::Closed | RecvTimeoutError::PeerDied(_) => {
                thread::yield_now();
                false
            }
            error => panic!("{error}"),
        }
    }

    fn received(&mut self, message: ringway::mpmc::Received<'_>) -> bool {
        self.take(0, &message, message.redelivered());
        self.linger();
        if self.random.below(16) == 0 {
            let (life, count) = origin(message::number(&message).unwrap());
            let sender = self.log.life(life);
            sender.set_had(count, false);
            sender.set_released(count, true);
            self.life.has_released();
            message.put_back();
        } else {
            self.release();
            drop(message);
            self.life.has_released();
        }
        true
    }

    /// Takes a message into a hand, if it is one that may come.
    fn take(&self, hand: usize, bytes: &[u8], marked: bool) {
        let number = message::number(bytes).unwrap();
        assert_eq!((number >> 32) as u16 as usize, bytes.len(), "message {number:#x} has another length");
        let (life, count) = origin(number);
        let sender = self.log.life(life);
        assert!(count < sender.trying(), "message {number:#x} was never sent");
        // In this order: whoever dies here had it in hand, if its next receiver holds that against somebody.
        self.life.take(hand, number);
        let released = sender.was_released(count);
        sender.set_released(count, false);
        if sender.was_had(count) {
            assert!(marked, "message {number:#x} comes again and does not say so");
            assert!(!self.once, "message {number:#x} comes again, and was to be lost");
            self.log.enter_again(number, released);
        } else {
            // Who is killed while it puts back leaves what is put back, and marked.
            assert!(!marked || !self.once || released, "message {number:#x} was to be lost");
        }
        sender.set_had(count, true);
        self.life.count(marked);
    }

    /// Says that all it has in hand is about to be released.
    fn release(&self) {
        self.life.release();
        for number in self.life.hands() {
            let (life, count) = origin(number);
            self.log.life(life).set_released(count, true);
        }
    }
}
