//! The processes.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, RecvTimeoutError, TryRecvError, TrySendError, Wait,
    mpmc::{Access, Many, Options, Received, Receiver, Sender, Sole},
};

use crate::{
    SLEEP,
    history::{
        Operation,
        What::{Nothing, Receive, Send},
    },
    random::Random,
    record::{self, Record},
    support::{PATIENCE, Peer, told},
};

/// Bytes of a message that shares its slot, and how many fit: each has 8 more.
const SHARING: usize = 8;
const SHARE: u64 = 4;

/// How many have an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Many,
    SoleSender,
    SoleReceiver,
    Sole,
}

/// A queue, and what is done with it.
#[derive(Debug)]
pub(crate) struct Game {
    /// So many, of so many bytes: a page, or more.
    pub(crate) slots: usize,
    pub(crate) size: usize,
    pub(crate) wait: Wait,
    pub(crate) ends: Ends,
    pub(crate) messages: u64,
}

impl Game {
    /// Lets processes play it. What they have done.
    pub(crate) fn play(&self) -> Vec<Operation> {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let sole = |ends| self.ends == ends || self.ends == Ends::Sole;
        let (senders, receivers) = (sole(Ends::SoleSender), sole(Ends::SoleReceiver));
        // Processes, and threads of each.
        let (sending, receiving) =
            (if senders { (1, 1) } else { (2, 2) }, if receivers { (1, 1) } else { (2, 2) });
        let each = self.messages / (sending.0 * sending.1);
        let mut peers = Vec::new();
        for (function, (processes, threads)) in
            [("play::child_sends", sending), ("play::child_receives", receiving)]
        {
            for number in 0..processes {
                let mut command = Peer::command(function);
                command.env("DIR", dir.path()).env("ENDS", format!("{:?}", self.ends));
                command.env("SLOTS", self.slots.to_string()).env("SLEEPS", (self.wait == SLEEP).to_string());
                command.env("NUMBER", number.to_string()).env("THREADS", threads.to_string());
                command.env("MESSAGES", each.to_string()).env("SIZE", self.size.to_string());
                peers.push(Peer::start(&mut command));
            }
        }
        let is_ready = |path: &Path| path.extension().is_some_and(|it| it == "ready");
        let limit = Instant::now() + PATIENCE;
        while files(dir.path()).filter(|path| is_ready(path)).count() < peers.len() {
            assert!(Instant::now() < limit, "a child does not get ready");
            thread::sleep(Duration::from_millis(1));
        }
        fs::write(dir.path().join("go"), "").unwrap();
        peers.into_iter().for_each(Peer::join);
        let is_history = |path: &PathBuf| path.extension().is_some_and(|it| it == "history");
        files(dir.path()).filter(is_history).flat_map(|path| record::read(&path)).collect()
    }
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path())
}

/// This process's part as a child.
struct Part {
    dir: PathBuf,
    number: u64,
    threads: u64,
    messages: u64,
}

impl Part {
    fn of_this_child() -> Self {
        let number = |key| told(key).parse().unwrap();
        Self {
            dir: told("DIR").into(),
            number: number("NUMBER"),
            threads: number("THREADS"),
            messages: number("MESSAGES"),
        }
    }

    fn options(&self) -> Options {
        let wait = if told("SLEEPS") == "true" { SLEEP } else { Wait::default() };
        let [slots, size] = ["SLOTS", "SIZE"].map(|key| told(key).parse().unwrap());
        Options::new().names(Names::in_dir(&self.dir)).slots(slots).slot_size(size).wait(wait)
    }

    /// A name for a file of this child.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Waits until all others are there, too.
    fn begin(&self, side: &str) {
        fs::write(self.file(&format!("{side}{}.ready", self.number)), "").unwrap();
        let limit = Instant::now() + PATIENCE;
        while !self.file("go").exists() {
            assert!(Instant::now() < limit, "nobody says go");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn send_all<A: Access>(&self, tx: &Sender<A>, thread: u64) {
        assert_eq!(tx.capacity().to_string(), told("SLOTS"), "there were to be no more");
        let number = self.number * self.threads + thread;
        let mut sending =
            Sending { tx, random: Random::new(number), record: Record::new(), next: number << 40 };
        let end = sending.next + self.messages;
        while sending.next < end {
            sending.send(end - sending.next);
        }
        sending.record.write_to(&self.file(&format!("sender{number}.history")));
    }

    fn receive_all<A: Access>(&self, rx: &Receiver<A>, thread: u64) {
        let number = self.number * self.threads + thread;
        let (record, random) = (Record::new(), Random::new(!number));
        let mut receiving = Receiving { rx, random, record, slot: None };
        while receiving.receive() {}
        receiving.record.write_to(&self.file(&format!("receiver{number}.history")));
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_sends() {
    let part = Part::of_this_child();
    match &*told("ENDS") {
        "Many" => many_send(&part, part.options()),
        "SoleReceiver" => many_send(&part, part.options().sole_receiver()),
        "SoleSender" => one_sends(&part, part.options().sole_sender()),
        _ => one_sends(&part, part.options().sole_sender().sole_receiver()),
    }
}

#[test]
#[ignore = "run as a child process"]
fn child_receives() {
    let part = Part::of_this_child();
    match &*told("ENDS") {
        "Many" => many_receive(&part, part.options()),
        "SoleSender" => many_receive(&part, part.options().sole_sender()),
        "SoleReceiver" => one_receives(&part, part.options().sole_receiver()),
        _ => one_receives(&part, part.options().sole_sender().sole_receiver()),
    }
}

fn many_send<R: Access>(part: &Part, options: Options<Many, R>) {
    let tx = options.sender("x").unwrap();
    part.begin("sender");
    thread::scope(|scope| {
        for thread in 0..part.threads {
            let tx = tx.clone();
            scope.spawn(move || part.send_all(&tx, thread));
        }
    });
    tx.close().unwrap();
}

fn one_sends<R: Access>(part: &Part, options: Options<Sole, R>) {
    let tx = options.sender("x").unwrap();
    part.begin("sender");
    part.send_all(&tx, 0);
    tx.close().unwrap();
}

fn many_receive<S: Access>(part: &Part, options: Options<S>) {
    let rx = options.receiver("x").unwrap();
    part.begin("receiver");
    thread::scope(|scope| {
        for thread in 0..part.threads {
            let rx = rx.clone();
            scope.spawn(move || part.receive_all(&rx, thread));
        }
    });
}

fn one_receives<S: Access>(part: &Part, options: Options<S, Sole>) {
    let rx = options.receiver("x").unwrap();
    part.begin("receiver");
    part.receive_all(&rx, 0);
}

/// A message: its number, and if it shares its slot, the number of the first one in there.
#[derive(Debug, Clone, Copy)]
struct Message {
    number: u64,
    slot: Option<u64>,
}

/// Bits of a number; above them is, plus one, how many are before it in its slot, if it shares that.
const NUMBER: u32 = 48;

impl Message {
    fn alone(number: u64) -> Self {
        Self { number, slot: None }
    }

    /// Its bytes, so many: a word, and what shows if they are torn.
    fn write(self, len: usize) -> Vec<u8> {
        let before = self.slot.map_or(0, |first| 1 + self.number - first);
        let word = before << NUMBER | self.number;
        let mut bytes = vec![word as u8; len];
        bytes[..8].copy_from_slice(&word.to_ne_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Self {
        let (word, rest) = bytes.split_first_chunk().expect("no message is shorter");
        let word = u64::from_ne_bytes(*word);
        assert!(rest.iter().all(|&byte| byte == word as u8), "torn: {bytes:?}");
        let (before, number) = (word >> NUMBER, word & ((1 << NUMBER) - 1));
        Self { number, slot: (before > 0).then(|| number - (before - 1)) }
    }
}

/// A thread that sends.
struct Sending<'a, A: Access> {
    tx: &'a Sender<A>,
    random: Random,
    record: Record,
    /// The next message.
    next: u64,
}

impl<A: Access> Sending<'_, A> {
    /// Sends a message or a few, but no more than so many.
    fn send(&mut self, most: u64) {
        let (tx, number) = (self.tx, self.next);
        let message = Message::alone(number);
        match self.random.below(8) {
            0 => self.send_batch(most.min(SHARE), SHARING),
            1 => {
                let most = most.min(1 + self.random.below(5));
                self.send_batch(most, tx.slot_size());
            }
            2 | 3 => {
                let mut loan = tx.loan_timeout(16, PATIENCE).unwrap();
                loan.copy_from_slice(&message.write(16));
                self.record.during(|| loan.send(), |()| Some(Send(number)));
                self.next += 1;
            }
            4 => {
                let bytes = message.write(16);
                let sends = |done: &Result<(), _>| done.is_ok().then_some(Send(number));
                match self.record.during(|| tx.try_send(&bytes), sends) {
                    Ok(()) => self.next += 1,
                    Err(TrySendError::Full | TrySendError::Exhausted(_)) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
            _ => {
                let bytes = message.write(8 + self.random.below(56) as usize);
                self.record.during(|| tx.send_timeout(&bytes, PATIENCE).unwrap(), |()| Some(Send(number)));
                self.next += 1;
            }
        }
    }

    /// Sends a batch of messages of this length, as many as there is room for.
    fn send_batch(&mut self, most: u64, len: usize) {
        let mut batch = self.tx.batch();
        let (first, mut next) = (self.next, self.next);
        while next < first + most {
            let message = Message { number: next, slot: (len == SHARING).then_some(first) };
            if batch.push(&message.write(len)).is_err() {
                break;
            }
            next += 1;
        }
        let from = self.record.time();
        batch.send();
        let to = self.record.time();
        (first..next).for_each(|number| self.record.enter(from, to, Send(number)));
        self.next = next;
    }
}

/// A thread that receives.
struct Receiving<'a, A: Access> {
    rx: &'a Receiver<A>,
    random: Random,
    record: Record,
    /// The slot of the last message, if others share it, and when that was begun to be taken.
    slot: Option<(u64, u64)>,
}

impl<A: Access> Receiving<'_, A> {
    /// Receives a message or a few, if there are any. Whether more may come.
    fn receive(&mut self) -> bool {
        const SHORT: Duration = Duration::from_millis(1);
        let rx = self.rx;
        let from = self.record.time();
        let nothing = match self.random.below(8) {
            0..=2 => match rx.try_recv() {
                Ok(message) => return self.received(from, message),
                Err(TryRecvError::Empty) => RecvTimeoutError::Timeout,
                Err(TryRecvError::Closed) => RecvTimeoutError::Closed,
                Err(error) => panic!("{error}"),
            },
            3 => match rx.recv_batch_timeout(1 + self.random.below(6) as usize, SHORT) {
                Ok(batch) => {
                    let to = self.record.time();
                    batch.iter().for_each(|message| _ = self.enter(from, to, message.bytes()));
                    return true;
                }
                Err(error) => error,
            },
            _ => match rx.recv_timeout(SHORT) {
                Ok(message) => return self.received(from, message),
                Err(error) => error,
            },
        };
        let to = self.record.time();
        self.record.enter(from, to, Nothing);
        match nothing {
            RecvTimeoutError::Timeout => true,
            RecvTimeoutError::Closed => false,
            error => panic!("{error}"),
        }
    }

    fn received(&mut self, from: u64, message: Received<'_>) -> bool {
        let to = self.record.time();
        let Message { number, slot } = self.enter(from, to, &message);
        // Of those that share a slot, one that is put back comes with the others.
        if slot.is_none() && self.random.below(32) == 0 {
            self.record.during(|| message.put_back(), |()| Some(Send(number)));
        }
        true
    }

    /// Enters a message that came.
    fn enter(&mut self, from: u64, to: u64, bytes: &[u8]) -> Message {
        let message = Message::read(bytes);
        let from = match (self.slot, message.slot) {
            (Some((last, begun)), Some(slot)) if slot == last => begun,
            _ => from,
        };
        self.slot = message.slot.map(|slot| (slot, from));
        self.record.enter(from, to, Receive(message.number));
        message
    }
}
