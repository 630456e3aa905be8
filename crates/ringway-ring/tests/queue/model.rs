//! What a queue is held to: participants in one thread, and what a queue in a vector would do.
//!
//! The fuzz target `mpmc` has this file, too, with calls that libFuzzer thinks up, and words overwritten in between.

use std::collections::VecDeque;

use ringway_ring::{
    LentPool,
    mpmc::{
        Access, Consumer, Fate, Hint, Line, Loan, Note, Packed, Pool, Producer, Taken, attach, detach,
        is_unswept, lost, scratch, sweep,
    },
    primitive::Ordering,
};

use super::memory::Memory;

/// How many participants there can be.
pub(crate) const LINES: u16 = 4;

/// What a participant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Comes, and sweeps what its predecessor left: messages of an odd length say that what that one held is lost.
    Attach,
    Detach,
    /// Is gone, with all it has.
    Die,
    /// Sweeps another one's line; messages of an odd length as above.
    Sweep,
    Loan,
    LoanNear,
    GiveBack,
    /// Writes a message to a loan, in place of what it holds.
    Write,
    /// Adds a message to those in a loan.
    Pack,
    Commit,
    /// Sends as many loans as it has, up to `which`.
    CommitAll,
    Take,
    /// Takes up to `which` messages; a length says after how many it wants no more.
    TakeMany,
    /// Reads the first of the messages in a slot that it has not read yet.
    Read,
    Release,
    Lose,
    PutBack,
    /// Writes over a message.
    Reuse,
}

impl What {
    pub(crate) const ALL: [Self; 18] = [
        Self::Attach,
        Self::Detach,
        Self::Die,
        Self::Sweep,
        Self::Loan,
        Self::LoanNear,
        Self::GiveBack,
        Self::Write,
        Self::Pack,
        Self::Commit,
        Self::CommitAll,
        Self::Take,
        Self::TakeMany,
        Self::Read,
        Self::Release,
        Self::Lose,
        Self::PutBack,
        Self::Reuse,
    ];
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) what: What,
    /// Of which participant.
    pub(crate) who: u8,
    /// With which of its loans or messages, or which other participant; or with how many.
    pub(crate) which: u8,
    /// Bytes of a message, modulo those that fit; one that loans, commits or takes tries it at once first, if this is odd.
    pub(crate) len: u16,
}

/// How a queue begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth {
    pub(crate) slots: u32,
    /// Bytes of the longest message.
    pub(crate) size: u32,
    /// Eights of laps behind it.
    pub(crate) laps: u32,
    /// How often each slot was used.
    pub(crate) uses: u64,
    /// How many participants send, from the first on: 1 for a sole one.
    pub(crate) senders: u8,
    /// How many receive.
    pub(crate) receivers: u8,
    /// Words are overwritten: nothing is expected but that calls come to an end, and stay inside.
    pub(crate) hostile: bool,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    len: u32,
    kind: u16,
    /// What its bytes begin with.
    seed: u8,
    /// It was read.
    done: bool,
}

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Content {
    messages: Vec<Message>,
    packed: bool,
    again: bool,
    /// Bytes that it takes, if there are several.
    len: u32,
}

impl Content {
    fn note(&self) -> Note {
        let note = match self.messages.first() {
            _ if self.packed => Note::packed(self.len),
            Some(message) => Note::message(message.len, message.kind),
            None => Note::message(0, 0),
        };
        if self.again { note.again() } else { note }
    }

    /// How many messages were not received.
    fn unread(&self) -> u32 {
        if self.packed { self.messages.iter().filter(|message| !message.done).count() as u32 } else { 1 }
    }
}

/// Whose a slot is, and what is in it.
#[derive(Debug)]
struct Holding<T>(T, Content);

/// The ends of a participant, and what it has.
#[derive(Debug)]
struct Participant<'a, S, R> {
    producer: Producer<&'a LentPool, S>,
    consumer: Consumer<&'a LentPool, R>,
    loans: Vec<Holding<Loan>>,
    taken: Vec<Holding<Taken>>,
}

/// What a dead one had, by slot.
#[derive(Debug, Default)]
struct Estate {
    loans: Vec<u32>,
    taken: Vec<(u32, Content)>,
}

/// A queue, its participants, and what is known of it. `S`, `R`: how its sending and its receiving ends are.
#[derive(Debug)]
pub(crate) struct Model<'a, S, R> {
    memory: &'a Memory,
    birth: Birth,
    participants: [Option<Participant<'a, S, R>>; LINES as usize],
    /// Of those that have died and are not swept.
    estates: [Option<Estate>; LINES as usize],
    /// What was sent and not taken.
    queue: VecDeque<(u32, Content)>,
    lost: u64,
    seed: u8,
    /// How often each slot was used, as last seen.
    uses: Vec<u64>,
    /// Calls that gave what they are for.
    pub(crate) done: usize,
}

/// Bits of a use count.
const USES: u32 = 44;

impl<'a, S: Access, R: Access> Model<'a, S, R> {
    /// A queue with all its participants.
    pub(crate) fn new(memory: &'a Memory, birth: Birth) -> Self {
        let pool = memory.pool();
        let position = u64::from(birth.laps) * 8 * pool.cells();
        for hint in [Hint::Tail, Hint::Head] {
            pool.hint(hint).store(position, Ordering::Relaxed);
        }
        (0..birth.slots).for_each(|slot| pool.state(slot).store(birth.uses << 20, Ordering::Relaxed));
        let mut model = Self {
            memory,
            birth,
            participants: [const { None }; LINES as usize],
            estates: [const { None }; LINES as usize],
            queue: VecDeque::new(),
            lost: 0,
            seed: 0,
            uses: vec![birth.uses; birth.slots as usize],
            done: 0,
        };
        (0..LINES).for_each(|line| model.attach(line, Fate::Again));
        model
    }

    /// Makes a call, if there is a participant that can.
    pub(crate) fn call(&mut self, call: Call) {
        let Call { what, who, which, len } = call;
        let line = match what {
            What::Loan | What::LoanNear => u16::from(who % self.birth.senders),
            What::Take | What::TakeMany => u16::from(who % self.birth.receivers),
            _ => u16::from(who) % LINES,
        };
        let fate = if len % 2 == 0 { Fate::Again } else { Fate::Lost };
        match what {
            What::Attach => self.attach(line, fate),
            What::Detach => self.detach(line),
            What::Die => self.die(line),
            What::Sweep => self.sweep(line, u16::from(which) % LINES, fate),
            What::Loan => self.loan(line, false, len % 2 != 0),
            What::LoanNear => self.loan(line, true, false),
            What::GiveBack | What::Write | What::Pack | What::Commit => self.with_loan(call, line),
            What::CommitAll => self.commit_all(line, which.into()),
            What::Take => self.take(line, len % 2 != 0),
            What::TakeMany => {
                let wants = if len % 4 == 0 { usize::MAX } else { usize::from(len % 4) };
                self.take_many(line, which.into(), wants);
            }
            What::Read | What::Release | What::Lose | What::PutBack | What::Reuse => {
                self.with_taken(call, line);
            }
        }
        self.check();
    }

    fn attach(&mut self, line: u16, fate: Fate) {
        let place = usize::from(line);
        if self.participants[place].is_some() {
            return;
        }
        let pool = self.memory.pool();
        let left = self.estates[place].take();
        self.expect(is_unswept(pool, Line(line)) == left.is_some(), "a line says whether it was swept");
        let attached = attach(pool, Line(line), fate, pool, &mut self.scratch());
        self.expect(attached.is_ok(), "attaches");
        self.bury(left.unwrap_or_default(), fate);
        let first = u32::from(line) * self.birth.slots / u32::from(LINES);
        self.participants[place] = Some(Participant {
            producer: Producer::new(pool, Line(line), first),
            consumer: Consumer::new(pool, Line(line)),
            loans: Vec::new(),
            taken: Vec::new(),
        });
    }

    fn detach(&mut self, line: u16) {
        // What it has is given back: loans unsent, messages as received.
        if self.participants[usize::from(line)].take().is_some() {
            let pool = self.memory.pool();
            let detached = detach(pool, Line(line), pool, &mut self.scratch());
            self.expect(detached.is_ok() && !is_unswept(pool, Line(line)), "detaches");
        }
    }

    fn die(&mut self, line: u16) {
        let Some(dead) = self.participants[usize::from(line)].take() else { return };
        self.estates[usize::from(line)] = Some(Estate {
            loans: dead.loans.iter().map(|Holding(loan, _)| loan.slot()).collect(),
            taken: dead.taken.into_iter().map(|Holding(taken, content)| (taken.slot(), content)).collect(),
        });
    }

    fn sweep(&mut self, by: u16, line: u16, fate: Fate) {
        if by == line || self.participants[usize::from(by)].is_none() {
            return;
        }
        let pool = self.memory.pool();
        let is_alive = self.participants[usize::from(line)].is_some();
        let left = self.estates[usize::from(line)].take();
        let (mut scratch, mut asked) = (self.scratch(), false);
        let swept = sweep(pool, Line(by), Line(line), fate, pool, &mut scratch, || {
            asked = true;
            !is_alive
        });
        self.expect(swept == Ok(left.is_some()), "who is dead is swept, once");
        self.expect(asked == (is_alive || left.is_some()), "the proof is asked for, if there is need of one");
        self.done += usize::from(left.is_some());
        self.bury(left.unwrap_or_default(), fate);
    }

    /// What becomes of what a dead one had.
    fn bury(&mut self, left: Estate, fate: Fate) {
        let mut taken = left.taken;
        taken.sort_by_key(|&(slot, _)| slot);
        for (slot, content) in taken {
            match (content.unread(), fate) {
                (0, _) => {}
                (unread, Fate::Lost) => self.lost += u64::from(unread),
                (_, Fate::Again) => self.queue.push_back((slot, Content { again: true, ..content })),
            }
        }
    }

    fn loan(&mut self, line: u16, near: bool, at_once: bool) {
        let free = self.free();
        let Some(participant) = &mut self.participants[usize::from(line)] else { return };
        let producer = &participant.producer;
        let first = if at_once { producer.loan_at_once() } else { None };
        let loan = first.or_else(|| if near { producer.loan_near() } else { producer.loan() });
        let is_lent = loan.is_some();
        if let Some(loan) = loan {
            participant.loans.push(Holding(loan, Content::default()));
            self.done += 1;
        }
        let looks_at_all = !near || self.birth.slots <= 8;
        self.expect(is_lent == (free > 0) || !is_lent && !looks_at_all, "a slot is lent if one is free");
    }

    fn with_loan(&mut self, Call { what, which, len, .. }: Call, line: u16) {
        let (memory, birth) = (self.memory, self.birth);
        let Some(participant) = &mut self.participants[usize::from(line)] else { return };
        let Participant { producer, loans, .. } = participant;
        if loans.is_empty() {
            return;
        }
        let which = usize::from(which) % loans.len();
        let len = u32::from(len) % (birth.size + 1);
        self.seed = self.seed.wrapping_add(1);
        let message = Message { len, kind: len as u16 ^ 0xa5a5, seed: self.seed, done: false };
        match what {
            What::GiveBack => {
                let Holding(loan, _) = loans.swap_remove(which);
                producer.give_back(loan);
            }
            What::Write => {
                let Holding(loan, content) = &mut loans[which];
                let bytes = bytes(message);
                if len % 2 == 0 {
                    producer.write(loan, &bytes);
                } else {
                    producer.payload_mut(loan)[..bytes.len()].copy_from_slice(&bytes);
                }
                let payload = producer.payload(loan);
                assert!(memory.contains(payload) && payload.starts_with(&bytes), "is written");
                *content = Content { messages: vec![message], ..Content::default() };
            }
            What::Pack => {
                let Holding(loan, content) = &mut loans[which];
                if !content.packed {
                    *content = Content { packed: true, ..Content::default() };
                }
                let end = content.len.next_multiple_of(8) + 8 + len;
                let packed = producer.pack(loan, content.len, &bytes(message), message.kind);
                assert_eq!(packed, (end <= birth.size).then_some(end), "is packed if there is room");
                if packed.is_some() {
                    content.messages.push(message);
                    content.len = end;
                }
            }
            _ => {
                let Holding(loan, content) = loans.swap_remove(which);
                let slot = loan.slot();
                let note = content.note().0;
                let first = if len % 2 != 0 { producer.commit_at_once(loan, note) } else { Err(loan) };
                let sent = first.or_else(|loan| producer.commit(loan, note));
                self.sent(slot, content, sent.is_ok());
            }
        }
    }

    fn commit_all(&mut self, line: u16, most: usize) {
        let Some(participant) = &mut self.participants[usize::from(line)] else { return };
        let count = most.min(participant.loans.len());
        let batch: Vec<_> = participant.loans.drain(..count).collect();
        let contents: Vec<_> =
            batch.iter().map(|Holding(loan, content)| (loan.slot(), content.clone())).collect();
        let sent = participant
            .producer
            .commit_all(batch.into_iter().map(|Holding(loan, content)| (loan, content.note().0)));
        contents.into_iter().for_each(|(slot, content)| self.sent(slot, content, sent.is_ok()));
    }

    fn sent(&mut self, slot: u32, mut content: Content, sent: bool) {
        self.expect(sent, "what was lent is sent");
        if content.messages.is_empty() && !content.packed {
            // Nothing was written: a message without bytes.
            content.messages.push(Message { len: 0, kind: 0, seed: 0, done: false });
        }
        self.queue.push_back((slot, content));
        self.done += usize::from(sent);
    }

    fn take(&mut self, line: u16, at_once: bool) {
        let Some(participant) = &self.participants[usize::from(line)] else { return };
        let (expected, is_empty) = (self.queue.is_empty(), participant.consumer.is_empty());
        let first = if at_once { participant.consumer.take_at_once() } else { None };
        let taken = first.map_or_else(|| participant.consumer.take(), |taken| Ok(Some(taken)));
        let is_as_said = taken.as_ref().is_ok_and(|taken| taken.is_some() != is_empty);
        self.expect(is_empty == expected && is_as_said, "there is a message or none");
        if let Ok(Some(taken)) = taken {
            self.took(line, taken);
        }
    }

    fn take_many(&mut self, line: u16, most: usize, wants: usize) {
        let Some(participant) = &self.participants[usize::from(line)] else { return };
        let (mut all, waiting) = (Vec::new(), self.queue.len());
        let count = participant.consumer.take_many(most, |taken| {
            all.push(taken);
            all.len() < wants
        });
        self.expect(count == Ok(waiting.min(most).min(wants)), "as many as there are are taken");
        assert!(all.len() <= most && count.is_ok_and(|count| count == all.len()) || count.is_err());
        all.into_iter().for_each(|taken| self.took(line, taken));
    }

    fn took(&mut self, line: u16, taken: Taken) {
        let next = self.queue.pop_front();
        let participant = self.participants[usize::from(line)].as_mut().expect("who has taken is there");
        let note = Note(participant.consumer.note(&taken));
        if !self.birth.hostile {
            let (slot, content) = next.as_ref().expect("a message that nobody sent");
            assert_eq!((taken.slot(), note), (*slot, content.note()), "first in, first out");
        }
        let content = next.map_or_else(Content::default, |(_, content)| content);
        participant.taken.push(Holding(taken, content));
        self.done += 1;
    }

    fn with_taken(&mut self, Call { what, which, .. }: Call, line: u16) {
        let (memory, hostile) = (self.memory, self.birth.hostile);
        let Some(participant) = &mut self.participants[usize::from(line)] else { return };
        let Participant { producer, consumer, loans, taken: held } = participant;
        if held.is_empty() {
            return;
        }
        let which = usize::from(which) % held.len();
        if what == What::Read {
            let Holding(taken, content) = &mut held[which];
            let note = Note(consumer.note(taken));
            assert!(hostile || note == content.note(), "is what was sent");
            let (read, expected) = if note.is_packed() {
                let expected = content.messages.iter_mut().find(|message| !message.done);
                (read_packed(memory, consumer, taken, note), expected)
            } else {
                let payload = consumer.payload(taken, note).ok();
                assert!(payload.is_none_or(|payload| memory.contains(payload)));
                (payload.map(|payload| (note.kind(), payload.to_vec())), content.messages.first_mut())
            };
            if !hostile {
                let wanted = expected.as_deref().map(|&message| (message.kind, bytes(message)));
                assert_eq!(read, wanted, "byte for byte");
                expected.into_iter().for_each(|message| message.done = true);
            }
            self.done += usize::from(read.is_some());
            return;
        }
        let Holding(taken, content) = held.swap_remove(which);
        let unread = content.unread();
        match what {
            What::Release => consumer.release(taken),
            What::Lose => {
                consumer.lose(taken, unread);
                self.lost += u64::from(unread);
            }
            // A sole consumer's messages are written over by nobody, and only who sends does.
            What::Reuse if self.birth.receivers > 1 && line < self.birth.senders.into() => {
                let loan = producer.reuse(taken, unread);
                loans.push(Holding(loan, Content::default()));
                self.lost += u64::from(unread);
            }
            _ => {
                let (slot, content) = (taken.slot(), Content { again: true, ..content });
                let back = consumer.put_back(taken, content.note().0);
                self.expect(back.is_ok(), "is put back");
                self.queue.push_back((slot, content));
            }
        }
    }

    /// All leave or are swept, and one that comes gets what is left, in order; then all slots are free.
    pub(crate) fn end(mut self) -> usize {
        for line in 0..LINES {
            self.detach(line);
            self.attach(line, Fate::Again);
            self.check();
        }
        let mut sent = self.queue.len();
        while sent > 0 {
            self.take(0, false);
            let call = Call { what: What::Read, who: 0, which: 0, len: 0 };
            self.call(call);
            self.call(Call { what: What::Release, ..call });
            sent -= 1;
        }
        self.take(0, false);
        for _ in 0..=self.birth.slots {
            self.loan(0, false, false);
        }
        self.check();
        self.detach(0);
        self.check();
        self.done
    }

    /// How many slots nobody has.
    fn free(&self) -> usize {
        let had = self.participants.iter().flatten().map(|had| had.loans.len() + had.taken.len());
        let left = self.estates.iter().flatten().map(|left| left.loans.len() + left.taken.len());
        // While words are overwritten more can be had than there is.
        (self.birth.slots as usize).saturating_sub(had.chain(left).sum::<usize>() + self.queue.len())
    }

    /// What holds after each call: every slot is whose it should be, and what was lost is counted.
    fn check(&mut self) {
        if self.birth.hostile {
            return;
        }
        let pool = self.memory.pool();
        assert_eq!(lost(pool), self.lost, "what was lost is counted");
        // Tag and owner; a queued one has any owner.
        let mut expected = vec![(0, Some(0)); self.birth.slots as usize];
        let mut is = |slot: u32, tag, owner| {
            let found = std::mem::replace(&mut expected[slot as usize], (tag, owner));
            assert_eq!(found.0, 0, "slot {slot} is one's alone");
        };
        for (line, had) in (0..).zip(&self.participants) {
            had.iter().for_each(|had| {
                had.loans.iter().for_each(|Holding(loan, _)| is(loan.slot(), 1, Some(line)));
                had.taken.iter().for_each(|Holding(taken, _)| is(taken.slot(), 2, Some(line)));
            });
        }
        for (line, left) in (0..).zip(&self.estates) {
            left.iter().for_each(|left| {
                left.loans.iter().for_each(|&slot| is(slot, 1, Some(line)));
                left.taken.iter().for_each(|&(slot, _)| is(slot, 2, Some(line)));
            });
        }
        self.queue.iter().for_each(|&(slot, _)| is(slot, 1, None));
        for (slot, (tag, owner)) in expected.into_iter().enumerate() {
            let found = pool.state(slot as u32).load(Ordering::Relaxed);
            // Both kinds of what is queued are odd.
            let found_tag = if owner.is_none() { found & 0xd } else { found & 0xf };
            assert_eq!(found_tag, tag, "slot {slot}: {found:#x}");
            assert!(owner.is_none_or(|owner| found >> 4 & 0xffff == owner), "slot {slot}: {found:#x}");
            let grown = (found >> 20).wrapping_sub(self.uses[slot]) % (1 << USES);
            assert!(grown <= 2 * u64::from(u8::MAX), "the uses of slot {slot} go back");
            self.uses[slot] = found >> 20;
        }
    }

    fn expect(&self, holds: bool, what: &str) {
        assert!(holds || self.birth.hostile, "{what}");
    }

    fn scratch(&self) -> Vec<u64> {
        vec![0; scratch(self.birth.slots)]
    }
}

/// The bytes of a message.
fn bytes(message: Message) -> Vec<u8> {
    (0..message.len).map(|at| message.seed.wrapping_add(at as u8)).collect()
}

/// Reads the first of several messages that was not read before, and says so.
fn read_packed<R: Access>(
    memory: &Memory,
    consumer: &Consumer<&LentPool, R>,
    taken: &Taken,
    note: Note,
) -> Option<(u16, Vec<u8>)> {
    let record: Packed = consumer.record(taken, note, 0).ok().flatten()?;
    let payload = consumer.packed(taken, record);
    assert!(memory.contains(payload) && record.end() <= note.len().next_multiple_of(8));
    let read = (record.kind(), payload.to_vec());
    consumer.done(taken, record);
    Some(read)
}
