//! Lives end at random between two calls: a thread forgets what it has lent and taken, and ends; that it was joined is the proof.
//! Others sweep its line while its successor, who sweeps it, too, comes on the same line.

use std::{
    thread::{self, yield_now},
    time::Duration,
};

use ringway_ring::{
    LentPool,
    mpmc::{
        Access, Consumer, Fate, Line, Loan, Many, Note, Producer, Sole, Taken, attach, lost, scratch, sweep,
    },
    primitive::{Ordering, Word},
};

use super::{memory::Memory, random::Random, watchdog::in_time};

/// Bytes of the longest message.
const SIZE: u32 = 200;
/// Bytes that every message has: its sender, its number, a checksum.
const HEAD: usize = 24;

/// What is sent, and by how many.
#[derive(Debug, Clone, Copy)]
struct Plan {
    senders: u16,
    receivers: u16,
    slots: u32,
    /// Messages of each sender.
    each: u64,
    /// Lives end.
    deaths: bool,
}

/// What the threads of a run share.
struct Run {
    plan: Plan,
    memory: Memory,
    /// 1 for each line whose last holder was joined, and has no successor yet.
    gone: Vec<Word>,
    /// How many messages each line's holders received.
    received: Vec<Word>,
    /// 1 when all were, or a thread has failed.
    stop: Word,
}

/// Stops all if its thread fails.
struct Alarm<'a>(&'a Run);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop.store(1, Ordering::Release);
        }
    }
}

/// Why a thread ended.
enum End {
    Done,
    Died,
}

/// A message that was received: its sender, and its number.
type Receipt = (u64, u64);

impl Run {
    fn new(plan: Plan) -> Self {
        let lines = plan.senders + plan.receivers + 1;
        let words = || (0..lines).map(|_| Word::new(0)).collect();
        let memory = Memory::new(plan.slots, SIZE, lines);
        Self { plan, memory, gone: words(), received: words(), stop: Word::new(0) }
    }

    fn pool(&self) -> &LentPool {
        self.memory.pool()
    }

    fn bits(&self) -> Vec<u64> {
        vec![0; scratch(self.plan.slots)]
    }

    fn come(&self, line: Line) {
        // Before the lease: who sees that sees that its holder lives.
        self.gone[usize::from(line.0)].store(0, Ordering::Release);
        attach(self.pool(), line, Fate::Again, self.pool(), &mut self.bits()).unwrap();
    }

    fn sweep(&self, by: Line, line: Line) {
        let is_gone = || self.gone[usize::from(line.0)].load(Ordering::Acquire) == 1;
        sweep(self.pool(), by, line, Fate::Again, self.pool(), &mut self.bits(), is_gone).unwrap();
    }

    /// Whether a life ends here.
    fn dies(&self, random: &mut Random) -> bool {
        self.plan.deaths && random.once_in(100)
    }
}

/// Writes a message to a buffer; how long it is.
fn message<'a>(buffer: &'a mut [u8], sender: u16, number: u64, random: &mut Random) -> &'a [u8] {
    let len = HEAD + random.below((buffer.len() - HEAD) as u64 + 1) as usize;
    let message = &mut buffer[..len];
    message[HEAD..].iter_mut().for_each(|byte| *byte = random.next() as u8);
    message[..8].copy_from_slice(&u64::from(sender).to_le_bytes());
    message[8..16].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(message).to_le_bytes();
    message[16..HEAD].copy_from_slice(&sum);
    message
}

/// Of all of a message but for the checksum.
fn checksum(message: &[u8]) -> u64 {
    let parts = message[..16].iter().chain(&message[HEAD..]);
    parts.fold(message.len() as u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// What a message says that is whole.
fn receipt(message: &[u8]) -> Receipt {
    let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().unwrap());
    assert_eq!(word(16), checksum(message), "torn");
    (word(0), word(8))
}

/// Sends from `next` on, as long as it lives.
fn send<A: Access>(run: &Run, line: Line, next: &mut u64, random: &mut Random) -> End {
    run.come(line);
    let producer = Producer::<_, A>::new(run.pool(), line, random.next() as u32);
    let mut buffer = [0; SIZE as usize];
    while *next < run.plan.each && run.stop.load(Ordering::Relaxed) == 0 {
        let mut batch: Vec<(Loan, u64)> = Vec::new();
        let mut number = *next;
        for _ in 0..=random.below(4) {
            if number == run.plan.each {
                break;
            }
            let Some(mut loan) = producer.loan_at_once().or_else(|| producer.loan()) else { break };
            if random.once_in(8) {
                producer.give_back(loan);
                continue;
            }
            let note = if random.once_in(2) {
                let message = message(&mut buffer, line.0, number, random);
                producer.write(&mut loan, message);
                number += 1;
                Note::message(message.len() as u32, line.0)
            } else {
                let mut len = 0;
                while number < run.plan.each {
                    let message = message(&mut buffer[..HEAD + 16], line.0, number, random);
                    let Some(end) = producer.pack(&mut loan, len, message, line.0) else { break };
                    (len, number) = (end, number + 1);
                }
                Note::packed(len)
            };
            batch.push((loan, note.0));
        }
        if run.dies(random) {
            // What it has written is not sent.
            return End::Died;
        }
        if batch.is_empty() {
            yield_now();
        } else if random.once_in(2) {
            producer.commit_all(batch).unwrap();
        } else {
            for (loan, note) in batch {
                let first = producer.commit_at_once(loan, note);
                first.or_else(|loan| producer.commit(loan, note)).unwrap();
            }
        }
        *next = number;
        if run.dies(random) {
            return End::Died;
        }
    }
    End::Done
}

/// Receives as long as it lives.
fn receive<A: Access>(run: &Run, line: Line, had: &mut Vec<Receipt>, random: &mut Random) -> End {
    run.come(line);
    let consumer = Consumer::<_, A>::new(run.pool(), line);
    let mut last = vec![None; usize::from(run.plan.senders)];
    let mut held: Vec<Taken> = Vec::new();
    while run.stop.load(Ordering::Acquire) == 0 {
        let before = held.len();
        let most = 1 + random.below(4) as usize;
        if most == 1 {
            held.extend(consumer.take_at_once().or_else(|| consumer.take().unwrap()));
        } else {
            let mut goes_on = || !random.once_in(8);
            consumer
                .take_many(most, |taken| {
                    held.push(taken);
                    goes_on()
                })
                .unwrap();
        }
        for taken in &held[before..] {
            let note = Note(consumer.note(taken));
            // What comes again is behind what was sent since.
            if !note.comes_again() {
                for (sender, number) in messages(&consumer, taken, note) {
                    let last = &mut last[sender as usize];
                    assert!(last.is_none_or(|last| last < number), "in its sender's order");
                    *last = Some(number);
                }
            }
        }
        // Who finds nothing gives all back: it may have what the others wait for.
        let keeps = if held.len() == before { 0 } else { random.below(3) as usize };
        yield_now();
        while held.len() > keeps {
            let taken = held.swap_remove(random.below(held.len() as u64) as usize);
            if random.once_in(16) {
                let note = Note(consumer.note(&taken)).again();
                consumer.put_back(taken, note.0).unwrap();
                continue;
            }
            let note = Note(consumer.note(&taken));
            if note.is_packed() {
                let mut at = 0;
                while let Some(record) = consumer.record(&taken, note, at).unwrap() {
                    had.push(receipt(consumer.packed(&taken, record)));
                    consumer.done(&taken, record);
                    at = record.end();
                    if run.dies(random) {
                        return End::Died;
                    }
                }
            } else {
                had.push(receipt(consumer.payload(&taken, note).unwrap()));
            }
            consumer.release(taken);
        }
        run.received[usize::from(line.0)].store(had.len() as u64, Ordering::Relaxed);
        if run.dies(random) {
            return End::Died;
        }
    }
    // It stops when all were received: what it holds has come a second time.
    assert!(held.is_empty(), "more than was sent");
    End::Done
}

/// The messages in a slot that were not received yet.
fn messages<A: Access>(consumer: &Consumer<&LentPool, A>, taken: &Taken, note: Note) -> Vec<Receipt> {
    if !note.is_packed() {
        return vec![receipt(consumer.payload(taken, note).unwrap())];
    }
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(record) = consumer.record(taken, note, at).unwrap() {
        all.push(receipt(consumer.packed(taken, record)));
        at = record.end();
    }
    all
}

/// One thread after the other on a line, until one is done. `live`: what one of them does; `heir`: who sweeps, too.
fn lives(run: &Run, line: Line, heir: Line, seed: u64, mut live: impl FnMut(&mut Random) -> End + Send) {
    let _alarm = Alarm(run);
    let mut random = Random(seed);
    loop {
        let end = thread::scope(|scope| scope.spawn(|| live(&mut random)).join().unwrap());
        if matches!(end, End::Done) {
            return;
        }
        run.gone[usize::from(line.0)].store(1, Ordering::Release);
        if random.once_in(4) {
            run.sweep(heir, line);
        }
    }
}

/// Sends and receives all, and looks whether it has come, each once.
fn relay<S: Access, R: Access>(plan: Plan) {
    let run = Run::new(plan);
    let run = &run;
    let sweeper = Line(plan.senders + plan.receivers);
    run.come(sweeper);
    let mut receipts: Vec<Receipt> = thread::scope(|scope| {
        let senders: Vec<_> = (0..plan.senders)
            .map(|line| {
                scope.spawn(move || {
                    let mut next = 0;
                    lives(run, Line(line), sweeper, line.into(), |random| {
                        send::<S>(run, Line(line), &mut next, random)
                    });
                })
            })
            .collect();
        let receivers: Vec<_> = (plan.senders..plan.senders + plan.receivers)
            .map(|line| {
                scope.spawn(move || {
                    let mut had = Vec::new();
                    lives(run, Line(line), sweeper, line.into(), |random| {
                        receive::<R>(run, Line(line), &mut had, random)
                    });
                    had
                })
            })
            .collect();
        let all = u64::from(plan.senders) * plan.each;
        let received = || run.received.iter().map(|had| had.load(Ordering::Relaxed)).sum::<u64>();
        while received() < all && run.stop.load(Ordering::Relaxed) == 0 {
            // Whoever was joined and has no successor yet.
            (0..sweeper.0).for_each(|line| run.sweep(sweeper, Line(line)));
            thread::sleep(Duration::from_micros(200));
        }
        run.stop.store(1, Ordering::Release);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect()
    });
    receipts.sort_unstable();
    let sent: Vec<_> = (0..plan.senders.into())
        .flat_map(|sender| (0..plan.each).map(move |number| (sender, number)))
        .collect();
    assert!(receipts == sent, "each once: {} of {}, {plan:?}", receipts.len(), sent.len());
    assert_eq!(lost(run.pool()), 0);
    // Those who are done left without a word: what they have is nothing.
    let consumer = Consumer::<_>::new(run.pool(), sweeper);
    assert!(consumer.take().unwrap().is_none());
    let producer = Producer::<_>::new(run.pool(), sweeper, 0);
    assert_eq!((0..=plan.slots).filter_map(|_| producer.loan()).count(), plan.slots as usize, "every slot");
}

/// Between so many, over few slots and many, with deaths and without.
fn relays<S: Access, R: Access>(senders: u16, receivers: u16) {
    in_time(move || {
        for slots in [1, 3, 64] {
            for deaths in [false, true] {
                relay::<S, R>(Plan { senders, receivers, slots, each: 4000 / u64::from(senders), deaths });
            }
        }
    });
}

#[test]
fn between_two_threads_every_message_arrives_once() {
    relays::<Many, Many>(1, 1);
}

#[test]
fn between_two_threads_that_are_alone_every_message_arrives_once() {
    relays::<Sole, Sole>(1, 1);
}

#[test]
fn from_two_to_two_every_message_arrives_once() {
    relays::<Many, Many>(2, 2);
}

#[test]
fn from_one_to_three_every_message_arrives_once() {
    relays::<Sole, Many>(1, 3);
}

#[test]
fn from_three_to_one_every_message_arrives_once() {
    relays::<Many, Sole>(3, 1);
}

#[test]
fn from_four_to_four_every_message_arrives_once() {
    relays::<Many, Many>(4, 4);
}
