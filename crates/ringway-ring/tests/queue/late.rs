//! In one thread: what happens while a sweep is at work happens where it asks, for the proof or what is in a slot.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ringway_ring::{
    LentPool,
    mpmc::{
        Consumer, Fate, Line, Loan, Note, Notes, Pool, Producer, Taken, attach, is_unswept, lost, scratch,
        sweep,
    },
    primitive::Ordering,
};

use super::memory::Memory;

const DEAD: Line = Line(0);
const FIRST: Line = Line(1);
const SECOND: Line = Line(2);
const OTHER: Line = Line(3);

/// Four participants of a queue with so many slots.
fn memory(slots: u32) -> Memory {
    let memory = Memory::new(slots, 64, 4);
    (0..4).for_each(|line| come(memory.pool(), Line(line)));
    memory
}

fn come(pool: &LentPool, line: Line) {
    attach(pool, line, Fate::Again, pool, &mut bits(pool)).unwrap();
}

fn bits(pool: &LentPool) -> Vec<u64> {
    vec![0; scratch(pool.slots())]
}

fn sweeps(pool: &LentPool, by: Line, line: Line, fate: Fate) -> bool {
    sweep(pool, by, line, fate, pool, &mut bits(pool), || true).unwrap()
}

fn loan(pool: &LentPool, line: Line) -> Loan {
    Producer::<_>::new(pool, line, 0).loan().expect("a slot is free")
}

fn send(pool: &LentPool, line: Line) {
    let producer = Producer::<_>::new(pool, line, 0);
    producer.commit(producer.loan().expect("a slot is free"), Note::message(0, line.0).0).unwrap();
}

fn take(pool: &LentPool, line: Line) -> Option<(Taken, Note)> {
    let consumer = Consumer::<_>::new(pool, line);
    let taken = consumer.take().unwrap()?;
    let note = Note(consumer.note(&taken));
    Some((taken, note))
}

/// Notes that are asked for in the midst of something.
struct Meanwhile<'a, F, G> {
    pool: &'a LentPool,
    /// Happens before it is first said what is in a slot that a dead one was reading,
    messages: RefCell<Option<F>>,
    /// and this before a message is first put back that is the sweeper's already.
    again: RefCell<Option<G>>,
}

impl<'a, F: FnOnce(), G: FnOnce()> Meanwhile<'a, F, G> {
    fn new(pool: &'a LentPool, messages: F, again: G) -> Self {
        Self { pool, messages: RefCell::new(Some(messages)), again: RefCell::new(Some(again)) }
    }

    fn sweep(&self, by: Line, line: Line, fate: Fate) -> bool {
        sweep(self.pool, by, line, fate, self, &mut bits(self.pool), || true).unwrap()
    }
}

impl<F: FnOnce(), G: FnOnce()> Notes for Meanwhile<'_, F, G> {
    fn again(&self, note: u64) -> u64 {
        let meanwhile = self.again.borrow_mut().take();
        meanwhile.into_iter().for_each(|happens| happens());
        self.pool.again(note)
    }

    fn messages(&self, slot: u32, note: u64) -> u32 {
        let meanwhile = self.messages.borrow_mut().take();
        meanwhile.into_iter().for_each(|happens| happens());
        self.pool.messages(slot, note)
    }
}

#[test]
fn a_sweep_that_was_overtaken_counts_no_loss_once_more() {
    let memory = memory(1);
    let pool = memory.pool();
    send(pool, OTHER);
    let _ = take(pool, DEAD).unwrap();
    let late = Meanwhile::new(
        pool,
        || {
            assert!(sweeps(pool, SECOND, DEAD, Fate::Lost));
            assert_eq!(lost(pool), 1);
            send(pool, OTHER);
            Consumer::<_>::new(pool, OTHER).lose(take(pool, OTHER).unwrap().0, 1);
        },
        || {},
    );
    assert!(!late.sweep(FIRST, DEAD, Fate::Lost));
    assert_eq!(lost(pool), 2);
}

#[test]
fn two_sweeps_at_once_put_a_message_back_once() {
    let memory = memory(2);
    let pool = memory.pool();
    send(pool, OTHER);
    let _ = take(pool, DEAD).unwrap();
    let late = Meanwhile::new(pool, || assert!(sweeps(pool, SECOND, DEAD, Fate::Again)), || {});
    assert!(!late.sweep(FIRST, DEAD, Fate::Again));
    assert!(take(pool, OTHER).unwrap().1.comes_again());
    assert!(take(pool, OTHER).is_none());
}

#[test]
fn a_sweep_of_one_that_was_swept_since_leaves_the_newcomers_slots_alone() {
    let memory = memory(2);
    let pool = memory.pool();
    send(pool, OTHER);
    let _ = take(pool, DEAD).unwrap();
    let _ = loan(pool, DEAD);
    let newcomers = RefCell::new(None);
    let overtaken = || {
        assert!(sweeps(pool, SECOND, DEAD, Fate::Again));
        come(pool, DEAD);
        let taken = take(pool, DEAD).unwrap().0;
        *newcomers.borrow_mut() = Some((loan(pool, DEAD), taken));
        true
    };
    assert_eq!(sweep(pool, FIRST, DEAD, Fate::Again, pool, &mut bits(pool), overtaken), Ok(false));
    let (loan, taken) = newcomers.take().unwrap();
    Producer::<_>::new(pool, DEAD, 0).commit(loan, 0).unwrap();
    Consumer::<_>::new(pool, DEAD).put_back(taken, 0).unwrap();
    assert!(is_unswept(pool, DEAD));
}

#[test]
fn a_sweep_that_is_overtaken_in_its_midst_leaves_the_newcomers_slots_alone() {
    let memory = memory(2);
    let pool = memory.pool();
    send(pool, OTHER);
    let _ = take(pool, DEAD).unwrap();
    let newcomers = RefCell::new(Vec::new());
    // A slot before the one that is looked at, and the one behind it.
    let late = Meanwhile::new(
        pool,
        || {
            assert!(sweeps(pool, SECOND, DEAD, Fate::Lost));
            come(pool, DEAD);
            newcomers.borrow_mut().extend([loan(pool, DEAD), loan(pool, DEAD)]);
        },
        || {},
    );
    assert!(!late.sweep(FIRST, DEAD, Fate::Lost));
    let producer = Producer::<_>::new(pool, DEAD, 0);
    newcomers.take().into_iter().for_each(|loan| producer.commit(loan, 0).unwrap());
}

#[test]
fn what_was_sent_and_is_taken_during_a_sweep_is_left_to_who_took_it() {
    let memory = memory(2);
    let pool = memory.pool();
    send(pool, DEAD);
    let _ = take(pool, DEAD).unwrap();
    send(pool, DEAD);
    let taken = RefCell::new(None);
    let late = Meanwhile::new(pool, || *taken.borrow_mut() = take(pool, OTHER), || {});
    assert!(late.sweep(FIRST, DEAD, Fate::Lost));
    let (taken, note) = taken.take().unwrap();
    assert!(!note.comes_again());
    Consumer::<_>::new(pool, OTHER).put_back(taken, note.0).unwrap();
    assert_eq!(lost(pool), 1);
}

#[test]
fn a_sweeper_that_dies_while_it_puts_back_leaves_the_message_to_the_next_one() {
    let memory = memory(2);
    let pool = memory.pool();
    send(pool, OTHER);
    let _ = take(pool, DEAD).unwrap();
    let dies = Meanwhile::new(pool, || {}, || panic!("dies here: expected"));
    catch_unwind(AssertUnwindSafe(|| dies.sweep(FIRST, DEAD, Fate::Again))).unwrap_err();
    assert!(take(pool, OTHER).is_none(), "it is in no cell");
    assert!(sweeps(pool, SECOND, DEAD, Fate::Again), "the line was not swept");
    assert!(take(pool, OTHER).is_none(), "it is the first sweeper's");
    assert!(sweeps(pool, SECOND, FIRST, Fate::Again));
    assert!(take(pool, OTHER).unwrap().1.comes_again());
    assert!(take(pool, OTHER).is_none());
}

#[test]
fn what_a_sweep_frees_or_takes_over_is_of_a_new_use_for_a_sweep_that_found_the_old_one() {
    let memory = memory(2);
    let pool = memory.pool();
    let word = |slot| pool.state(slot).load(Ordering::Relaxed);
    let freed = loan(pool, DEAD).slot();
    send(pool, OTHER);
    let back = take(pool, DEAD).unwrap().0.slot();
    assert_eq!((word(freed), word(back)), (1, 1 << 20 | 2));
    let dies = Meanwhile::new(pool, || {}, || panic!("dies here: expected"));
    catch_unwind(AssertUnwindSafe(|| dies.sweep(FIRST, DEAD, Fate::Again))).unwrap_err();
    assert_eq!((word(freed), word(back)), (1 << 20, 1 << 20 | 1 << 4 | 3));
    assert!(sweeps(pool, SECOND, FIRST, Fate::Again));
    assert_eq!(word(back), 2 << 20 | 2 << 4 | 3);
}

#[test]
fn what_was_noted_as_lost_by_one_that_died_then_does_not_come_again() {
    let memory = memory(1);
    let pool = memory.pool();
    send(pool, OTHER);
    let (taken, _) = take(pool, DEAD).unwrap();
    let uses = pool.state(taken.slot()).load(Ordering::Relaxed) >> 20;
    pool.losses(taken.slot()).store(uses << 32 | 5, Ordering::Relaxed);
    assert!(sweeps(pool, FIRST, DEAD, Fate::Again));
    assert!(take(pool, OTHER).is_none());
    assert_eq!(lost(pool), 5);
    let _ = loan(pool, OTHER);
}

#[test]
fn who_lives_is_not_swept_and_what_is_swept_is_not_asked_for() {
    let memory = memory(1);
    let pool = memory.pool();
    let mine = loan(pool, OTHER);
    assert_eq!(sweep(pool, FIRST, OTHER, Fate::Lost, pool, &mut bits(pool), || false), Ok(false));
    Producer::<_>::new(pool, OTHER, 0).commit(mine, 0).unwrap();
    assert!(sweeps(pool, FIRST, DEAD, Fate::Lost));
    let asked = || panic!("it was swept");
    assert_eq!(sweep(pool, FIRST, DEAD, Fate::Lost, pool, &mut bits(pool), asked), Ok(false));
}
