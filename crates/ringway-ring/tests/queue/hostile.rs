//! A participant that has its slot taken away by a scribbler may share it with another one: no payload is touched here while
//! another thread is at work.

use std::{cell::Cell, num::NonZero, thread};

use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::{
    At, Corrupt, LentPool,
    mpmc::{
        Access, Consumer, Fate, Hint, Line, Many, Note, Pool, Producer, Sole, attach, detach, lost, scratch,
        sweep,
    },
    primitive::{Common, Ordering, Word},
};

use super::{
    memory::Memory,
    model::{Birth, Call, LINES, Model, What},
    random::Random,
    watchdog::in_time,
};

/// A queue's memory that counts how often it is looked at.
struct Counted<'a> {
    pool: &'a LentPool,
    looks: Cell<u64>,
}

impl Counted<'_> {
    /// The most looks in one call: walks of two laps, a state for each of their cells, a sweep that puts back every slot.
    fn most(&self) -> u64 {
        let (slots, cells) = (u64::from(self.pool.slots()), self.pool.cells());
        64 + (slots + 4) * 8 * (cells + 4)
    }

    fn look(&self) -> &LentPool {
        self.looks.set(self.looks.get() + 1);
        assert!(self.looks.get() <= self.most(), "goes on for ever");
        self.pool
    }
}

impl Pool for Counted<'_> {
    fn id(&self) -> NonZero<u32> {
        self.pool.id()
    }

    fn slots(&self) -> u32 {
        self.pool.slots()
    }

    fn cells(&self) -> u64 {
        self.pool.cells()
    }

    fn state(&self, slot: u32) -> &Common {
        self.look().state(slot)
    }

    fn note(&self, slot: u32) -> &Word {
        self.look().note(slot)
    }

    fn losses(&self, slot: u32) -> &Common {
        self.look().losses(slot)
    }

    fn cell(&self, position: u64) -> &Common {
        self.look().cell(position)
    }

    fn hint(&self, of: Hint) -> &Common {
        self.look().hint(of)
    }

    fn lease(&self, line: Line) -> &Common {
        self.look().lease(line)
    }
}

/// A word that is likely to hurt: any, or near a state, a cell, a hint, a note of records.
fn word() -> impl Strategy<Value = u64> {
    let uses = prop_oneof![0..3u64, (1 << 44) - 3..1u64 << 44];
    prop_oneof![
        any::<u64>(),
        Just(0),
        (0..80u64).prop_map(|near| near.wrapping_neg()),
        (0..80u64).prop_map(|near| near),
        (uses.clone(), 0..4u64, 0..5u64).prop_map(|(uses, owner, tag)| uses << 20 | owner << 4 | tag),
        (uses, 0..72u64, 0..16u64).prop_map(|(uses, slot, lap)| uses << 20 | slot << 4 | lap),
        (0..3u64, 0..400u64).prop_map(|(flags, len)| flags << 48 | len),
    ]
}

fn any_call() -> impl Strategy<Value = Call> {
    (prop::sample::select(&What::ALL), 0..LINES as u8, any::<u8>(), any::<u16>())
        .prop_map(|(what, who, which, len)| Call { what, who, which, len })
}

/// Calls that touch no payload. `each`: what happens before one.
fn work<P: Pool + Copy, S: Access, R: Access>(
    pool: P,
    notes: &LentPool,
    line: u16,
    calls: &[(u8, u8)],
    each: impl Fn(),
) {
    let mut bits = vec![0; scratch(pool.slots())];
    let (producer, consumer) =
        (Producer::<_, S>::new(pool, Line(line), 0), Consumer::<_, R>::new(pool, Line(line)));
    let (mut loans, mut taken) = (Vec::new(), Vec::new());
    for &(call, operand) in calls {
        each();
        match call % 13 {
            0 | 1 => loans.extend(producer.loan()),
            2 => loans.extend(producer.loan_near()),
            3 => loans.pop().into_iter().for_each(|loan| producer.give_back(loan)),
            4 => loans.pop().into_iter().for_each(|loan| _ = producer.commit(loan, operand.into())),
            5 => _ = producer.commit_all(loans.drain(..).take(4).map(|loan| (loan, 0))),
            6 => taken.extend(consumer.take().ok().flatten()),
            7 => {
                _ = consumer.take_many(usize::from(operand) % 4, |message| {
                    taken.push(message);
                    operand < 128
                });
            }
            8 => taken.pop().into_iter().for_each(|message| consumer.release(message)),
            9 => taken.pop().into_iter().for_each(|message| consumer.lose(message, operand.into())),
            10 => taken.pop().into_iter().for_each(|message| _ = consumer.put_back(message, 0)),
            11 => loans.extend(taken.pop().map(|message| producer.reuse(message, operand.into()))),
            _ => {
                let fate = if operand % 2 == 0 { Fate::Again } else { Fate::Lost };
                let other = Line(u16::from(operand / 8) % LINES);
                _ = match operand % 8 {
                    0..2 => attach(&pool, Line(line), fate, notes, &mut bits),
                    2 => detach(&pool, Line(line), notes, &mut bits),
                    _ => sweep(&pool, Line(line), other, fate, notes, &mut bits, || true).map(drop),
                };
            }
        }
        each();
        // Only that they come to an end counts.
        let _ = (consumer.is_empty(), lost(&pool));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn calls_over_words_that_hold_anything_come_to_an_end(
        slots in prop_oneof![1..6u32, 1..71u32],
        garbage in prop::collection::vec(word(), 1..500),
        calls in prop::collection::vec(any::<(u8, u8)>(), 0..100),
    ) {
        for sole in [false, true] {
            let memory = Memory::new(slots, 8, LINES);
            (0..memory.words()).zip(garbage.iter().cycle()).for_each(|(place, &word)| memory.change(place, |_| word));
            let counted = Counted { pool: memory.pool(), looks: Cell::new(0) };
            if sole {
                work::<_, Sole, Sole>(&counted, counted.pool, 1, &calls, || counted.looks.set(0));
            } else {
                work::<_, Many, Many>(&counted, counted.pool, 1, &calls, || counted.looks.set(0));
            }
        }
    }

    #[test]
    fn payloads_lie_inside_whatever_the_words_say(
        slots in prop_oneof![1..6u32, 1..71u32],
        size in 0..300u32,
        steps in prop::collection::vec((any::<bool>(), any::<u64>(), word(), any_call()), 0..200),
    ) {
        let (senders, receivers) = (LINES as u8, LINES as u8);
        let birth = Birth { slots, size, laps: 0, uses: 0, senders, receivers, hostile: true };
        let memory = Memory::new(slots, size, LINES);
        let mut model = Model::<Many, Many>::new(&memory, birth);
        for (strikes, place, word, call) in steps {
            if strikes {
                memory.change(place, |_| word);
            }
            model.call(call);
        }
        model.end();
    }
}

#[test]
fn calls_come_to_an_end_while_a_scribbler_is_at_work() {
    in_time(|| {
        for slots in [1, 3, 64] {
            let memory = Memory::new(slots, 8, LINES);
            let stop = Word::new(0);
            thread::scope(|scope| {
                let scribbler = scope.spawn(|| {
                    let mut random = Random(u64::from(slots));
                    while stop.load(Ordering::Relaxed) == 0 {
                        let (place, word) = (random.next(), random.next());
                        memory.change(place, |found| match word % 8 {
                            0 => word >> 3,
                            1 => 0,
                            2 => found.wrapping_add(word >> 56),
                            3 => found.wrapping_sub(word >> 56),
                            4..6 => random.below(4) << 20 | random.below(4) << 4 | random.below(5),
                            _ => found ^ 1 << (word >> 58),
                        });
                    }
                });
                let workers = [0, 1].map(|line| {
                    let pool = memory.pool();
                    scope.spawn(move || {
                        let mut random = Random(u64::from(line) + 7);
                        for _ in 0..400 {
                            let calls: Vec<_> =
                                (0..50).map(|_| (random.next() as u8, random.next() as u8)).collect();
                            work::<_, Many, Many>(pool, pool, line, &calls, || ());
                        }
                    })
                });
                workers.into_iter().for_each(|worker| worker.join().unwrap());
                stop.store(1, Ordering::Relaxed);
                scribbler.join().unwrap();
            });
        }
    });
}

/// Two participants of a queue of two slots.
fn pair() -> Memory {
    let memory = Memory::new(2, 64, 2);
    let pool = memory.pool();
    (0..2).for_each(|line| attach(pool, Line(line), Fate::Again, pool, &mut [0]).unwrap());
    memory
}

#[test]
fn a_slot_that_was_taken_away_is_not_sent_nor_put_back() {
    let memory = pair();
    let pool = memory.pool();
    let (producer, consumer) = (Producer::<_>::new(pool, Line(0), 0), Consumer::<_>::new(pool, Line(1)));
    // Another's, of another use, being read, free, nonsense.
    for found in [1 << 4 | 1, 1 << 20 | 1, 2, 0, 9] {
        pool.state(0).store(0, Ordering::Relaxed);
        let loan = Producer::<_>::new(pool, Line(0), 0).loan().unwrap();
        pool.state(0).store(found, Ordering::Relaxed);
        let corrupt = Corrupt { at: At::Slot { slot: 0 }, found };
        assert_eq!(producer.commit(loan, 0), Err(corrupt));
        assert_eq!(pool.state(0).load(Ordering::Relaxed), found, "it is left to whoever has it");
        assert!(consumer.is_empty());
    }
    pool.state(0).store(0, Ordering::Relaxed);
    producer.commit(Producer::<_>::new(pool, Line(0), 0).loan().unwrap(), 0).unwrap();
    let taken = consumer.take().unwrap().unwrap();
    pool.state(0).store(1 << 20 | 1, Ordering::Relaxed);
    let corrupt = Corrupt { at: At::Slot { slot: 0 }, found: 1 << 20 | 1 };
    assert_eq!(consumer.put_back(taken, 0), Err(corrupt));
    assert_eq!(pool.state(0).load(Ordering::Relaxed), 1 << 20 | 1);
}

#[test]
fn cells_that_no_participant_writes_are_refused() {
    let memory = pair();
    let pool = memory.pool();
    let (producer, consumer) = (Producer::<_>::new(pool, Line(0), 0), Consumer::<_>::new(pool, Line(1)));
    // Of a lap that cannot be, and of a slot that there is not.
    for (found, refused) in [(4 << 1 | 1, true), (2 << 4 | 1 << 1 | 1, false)] {
        pool.cell(0).store(found, Ordering::Relaxed);
        let corrupt = Corrupt { at: At::Cell { position: 0 }, found };
        assert_eq!(consumer.take().unwrap_err(), corrupt);
        assert_eq!(consumer.take_many(2, |_| panic!("there is none")), Err(corrupt));
        assert!(!consumer.is_empty(), "so that somebody takes it, and is told");
        let batch = [producer.loan(), producer.loan()].map(|loan| (loan.unwrap(), 0));
        assert_eq!(producer.commit_all(batch).err(), refused.then_some(corrupt));
        let states = [0, 1].map(|slot| pool.state(slot).load(Ordering::Relaxed) & 0xf);
        assert_eq!(states, if refused { [0, 0] } else { [1, 1] }, "what was not sent is given back");
    }
}

#[test]
fn notes_and_headers_that_no_participant_writes_are_refused() {
    let memory = pair();
    let pool = memory.pool();
    let (producer, consumer) = (Producer::<_>::new(pool, Line(0), 0), Consumer::<_>::new(pool, Line(1)));
    let mut loan = producer.loan().unwrap();
    // The first record ends where no other one begins.
    assert_eq!(producer.pack(&mut loan, 0, &[7; 3], 5), Some(11));
    producer.commit(loan, Note::packed(24).0).unwrap();
    let taken = consumer.take().unwrap().unwrap();
    let at = At::Slot { slot: taken.slot() };
    for note in [Note::message(65, 0), Note::message(u32::MAX, 9)] {
        assert_eq!(consumer.payload(&taken, note), Err(Corrupt { at, found: note.0 }));
    }
    let note = Note::packed(65);
    assert_eq!(consumer.record(&taken, note, 0), Err(Corrupt { at, found: note.0 }));
    let note = Note(consumer.note(&taken));
    let record = consumer.record(&taken, note, 0).unwrap().unwrap();
    assert_eq!((record.kind(), consumer.packed(&taken, record), record.end()), (5, &[7; 3][..], 16));
    assert_eq!(consumer.record(&taken, note, 16), Err(Corrupt { at, found: 0 }));
    // Longer than the note says that all of them are.
    assert!(consumer.record(&taken, Note::packed(10), 0).is_err());
    assert_eq!(consumer.record(&taken, Note::packed(0), 0), Ok(None));
}

#[test]
fn a_hint_at_the_end_of_all_positions_begins_anew() {
    let memory = Memory::new(1, 8, 1);
    let pool = memory.pool();
    pool.hint(Hint::Tail).store(u64::MAX, Ordering::Relaxed);
    pool.cell(0).store(7 << 1, Ordering::Relaxed);
    let producer = Producer::<_>::new(pool, Line(0), 0);
    assert_eq!(producer.commit(producer.loan().unwrap(), 0), Ok(()));
    assert_eq!(pool.hint(Hint::Tail).load(Ordering::Relaxed), 0);
}
