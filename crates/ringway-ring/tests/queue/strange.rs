use std::panic::{AssertUnwindSafe, catch_unwind};

use ringway_ring::{
    LentPool,
    mpmc::{Consumer, Fate, Line, Loan, Note, Pool, Producer, Taken, attach},
    primitive::Ordering,
};

use super::memory::Memory;

/// A queue of one slot with its ends, which is lent or taken: nobody else may have that.
struct Queue {
    memory: Memory,
}

impl Queue {
    fn new() -> Self {
        let memory = Memory::new(1, 64, 1);
        attach(memory.pool(), Line(0), Fate::Again, memory.pool(), &mut [0]).unwrap();
        Self { memory }
    }

    fn producer(&self) -> Producer<&LentPool> {
        Producer::new(self.memory.pool(), Line(0), 0)
    }

    fn consumer(&self) -> Consumer<&LentPool> {
        Consumer::new(self.memory.pool(), Line(0))
    }

    fn loan(&self) -> Loan {
        self.producer().loan().unwrap()
    }

    fn taken(&self) -> Taken {
        let producer = self.producer();
        producer.commit(producer.loan().unwrap(), Note::message(0, 0).0).unwrap();
        self.consumer().take().unwrap().unwrap()
    }
}

/// What is done in a queue with what is of another one, which is as the queue's own.
fn is_refused<T>(had: impl Fn(&Queue) -> T, call: impl FnOnce(&Queue, T)) {
    let (queue, other) = (Queue::new(), Queue::new());
    let (_own, others) = (had(&queue), had(&other));
    let state = || queue.memory.pool().state(0).load(Ordering::Relaxed);
    let before = state();
    catch_unwind(AssertUnwindSafe(|| call(&queue, others))).expect_err("it is refused");
    assert_eq!(state(), before, "the own one is as it was");
    assert!(queue.consumer().is_empty());
}

#[test]
fn a_loan_of_another_queue_is_refused() {
    is_refused(Queue::loan, |queue, loan| queue.producer().give_back(loan));
    is_refused(Queue::loan, |queue, loan| queue.producer().commit(loan, 0).unwrap());
    is_refused(Queue::loan, |queue, loan| queue.producer().commit_all([(loan, 0)]).unwrap());
    is_refused(Queue::loan, |queue, loan| _ = queue.producer().payload(&loan).len());
    is_refused(Queue::loan, |queue, mut loan| queue.producer().payload_mut(&mut loan).fill(0));
    is_refused(Queue::loan, |queue, mut loan| queue.producer().write(&mut loan, b"elsewhere"));
    is_refused(Queue::loan, |queue, mut loan| _ = queue.producer().pack(&mut loan, 0, b"elsewhere", 0));
}

#[test]
fn a_message_of_another_queue_is_refused() {
    let note = Note::message(0, 0);
    is_refused(Queue::taken, |queue, taken| queue.consumer().release(taken));
    is_refused(Queue::taken, |queue, taken| queue.consumer().lose(taken, 1));
    is_refused(Queue::taken, |queue, taken| queue.consumer().put_back(taken, note.0).unwrap());
    is_refused(Queue::taken, |queue, taken| drop(queue.producer().reuse(taken, 1)));
    is_refused(Queue::taken, |queue, taken| _ = queue.consumer().note(&taken));
    is_refused(Queue::taken, |queue, taken| _ = queue.consumer().payload(&taken, note));
    is_refused(Queue::taken, |queue, taken| _ = queue.consumer().record(&taken, Note::packed(8), 0));
}
