//! Four children under load, two that send and two that receive, killed or stopped at random moments, and replaced.
//!
//! Each marks in a [`Log`], message by message, what it is about to do and what it has done. From that it is known of each message,
//! at the end, whether it had to come, how often, and whether marked; children say at once what cannot be: a message that is torn,
//! was released and comes, comes unmarked though it was had, or marked though nobody was killed, or out of its sender's order.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use ringway::{RecvTimeoutError, SendTimeoutError, Side, TrySendError, Wait};

use crate::{
    child::{Child, Event},
    killing::Verdict,
    log::{self, Log, Mark, Shared, number},
    message::Message,
    queue::{Kind, Queue, SIZE, SLOTS, Taken},
    random::Random,
    watchdog,
};

/// Messages in a batch at the most.
const BATCH: u64 = 12;
/// Bytes of a message of a batch, and of one alone, beside its number, at the most.
const SHORT: u64 = 64;
const LONG: u64 = SIZE as u64 - 8;
/// Messages that fit in a slot.
const IN_A_SLOT: u64 = SIZE as u64 / 16;
/// How long what children wait for may take, for they are killed and stopped.
const PATIENCE: Duration = Duration::from_secs(30);
/// Children: two that send, and two that receive.
const CREW: usize = 4;
const SIDES: [Side; 2] = [Side::Sender, Side::Receiver];

/// A queue under load.
pub(crate) struct Load {
    queue: Queue,
    kind: Kind,
    log: Shared,
    random: Random,
    /// Present but while one replaces another; of a side of one there is one.
    crew: [Option<Child>; CREW],
    kills: u64,
}

/// What came of it, by the marks of all messages.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) received: u64,
    /// Of these, how many came marked.
    pub(crate) again: u64,
    /// Messages that were lost for sure, and those that may have been.
    lost: [u64; 2],
}

impl Load {
    pub(crate) fn start(kind: Kind, named: bool, wait: Wait, seed: u64) -> Verdict<Self> {
        let (queue, log, random) = (Queue::new(kind, named, wait)?, Shared::new(), Random::new(seed));
        let mut load = Self { queue, kind, log, random, crew: [const { None }; CREW], kills: 0 };
        (0..CREW).for_each(|place| load.replace(place));
        Ok(load)
    }

    /// Kills so many of the four, one or several at a time, and sees that the others get on.
    pub(crate) fn kill(&mut self, kills: u64) -> Verdict {
        for round in 0.. {
            if self.kills >= kills {
                break;
            }
            watchdog::say(&format!("kill {} of {kills} under load", self.kills));
            thread::sleep(Duration::from_micros(self.random.below(300)));
            // Mostly one; now and then a side, or all of them.
            let victims = match self.random.below(16) {
                0 => 0..CREW,
                1 => 0..CREW / 2,
                2 => CREW / 2..CREW,
                _ => {
                    let place = self.random.below(CREW as u64) as usize;
                    place..place + 1
                }
            };
            for place in victims.clone() {
                if let Some(child) = self.crew[place].take() {
                    let end = child.kill();
                    self.expect(end, Event::Killed(libc::SIGKILL))?;
                    self.kills += 1;
                }
            }
            if round % 4 == 0 && SIDES.iter().all(|&side| self.has(side)) {
                // Without whoever was killed.
                self.get_on()?;
            }
            victims.for_each(|place| self.replace(place));
            if round % 16 == 0 {
                self.get_on()?;
            }
        }
        self.get_on()
    }

    /// Stops one of the four, so often, and sees that the others get on meanwhile.
    pub(crate) fn stop(&mut self, stops: u64) -> Verdict {
        for stop in 0..stops {
            watchdog::say(&format!("stop {stop} of {stops} under load"));
            thread::sleep(Duration::from_micros(self.random.below(2000)));
            let place = self.random.below(CREW as u64) as usize;
            let stopped = self.crew[place].as_mut().ok_or("nobody there")?;
            stopped.signal(libc::SIGSTOP);
            let event = stopped.wait();
            self.expect(event, Event::Stopped(libc::SIGSTOP))?;
            (0..4).try_for_each(|_| self.get_on())?;
            self.crew[place].as_ref().ok_or("nobody there")?.signal(libc::SIGCONT);
        }
        self.get_on()
    }

    /// Lets the senders close, and sees what became of each message.
    pub(crate) fn end(mut self) -> Verdict<Outcome> {
        self.log.stop();
        for place in 0..CREW {
            let Some(mut child) = self.crew[place].take() else { continue };
            let limit = Instant::now() + PATIENCE;
            let end = loop {
                match child.try_wait() {
                    Some(end) => break end,
                    None if Instant::now() > limit => {
                        return Err(format!("child {place} does not end: {:?}", self.queue.status()).into());
                    }
                    None => thread::sleep(Duration::from_millis(1)),
                }
            };
            self.expect(end, Event::Exited(0))?;
        }
        let outcome = self.account()?;
        if self.queue.files() == 0 && self.queue.status().is_err() {
            // With a name, and its name is gone.
            return Ok(outcome);
        }
        let status = self.queue.status()?;
        let slots = status.slots.as_ref().ok_or("no slots")?;
        let is_clean = slots.free == SLOTS as u32 && slots.holders.is_empty() && slots.queued == 0;
        let [sure, most] = outcome.lost;
        if is_clean
            && status.participants.is_empty()
            && status.lost.is_some_and(|lost| (sure..=most).contains(&lost))
        {
            return Ok(outcome);
        }
        Err(format!("after all have left, and {outcome:?}: {status:?}").into())
    }

    /// What became of each message.
    fn account(&self) -> Verdict<Outcome> {
        let mut outcome = Outcome::default();
        for life in 0..self.log.lives() {
            for number in number(life, 0)..number(life + 1, 0) {
                let marks = self.log.marks(number);
                if !marks.has(Mark::Begun) {
                    break;
                }
                let came = marks.has(Mark::Fresh) || marks.has(Mark::Again);
                outcome.received += u64::from(came);
                outcome.again += u64::from(marks.has(Mark::Again));
                let lost = match (marks.has(Mark::Sent), came) {
                    (_, true) if marks.has(Mark::Released) => [0, 0],
                    (_, true) if marks.has(Mark::Releasing) => [0, 1],
                    (true, _) | (_, true) => [1, 1],
                    (false, false) => [0, 1],
                };
                if lost[0] > 0 && !self.kind.loses() {
                    return Err(format!("message {number:#x} came to no end: {marks:?}").into());
                }
                (0..2).for_each(|at| outcome.lost[at] += lost[at]);
            }
        }
        if !self.kind.loses() {
            outcome.lost = [0; 2];
        }
        Ok(outcome)
    }

    /// Starts a child in this place, where nobody is any more.
    fn replace(&mut self, place: usize) {
        if self.kind.sole == Some(side(place)) && place % 2 == 1 {
            return;
        }
        let seed = self.random.next();
        let Self { queue, log, kind, .. } = self;
        self.crew[place] = Some(Child::start(|| {
            let mut random = Random::new(seed);
            let done = match side(place) {
                Side::Sender => send(queue, log, &mut random),
                Side::Receiver => receive(queue, log, place, *kind, &mut random),
            };
            done.inspect_err(|error| log.set_fault(&format!("child {place}: {error}"))).is_ok()
        }));
    }

    fn has(&self, of: Side) -> bool {
        (0..CREW).any(|place| side(place) == of && self.crew[place].is_some())
    }

    /// Messages are received, more than there can be in the queue.
    fn get_on(&mut self) -> Verdict {
        let (before, limit) = (self.log.received(), Instant::now() + PATIENCE);
        while self.log.received() - before <= SLOTS * IN_A_SLOT {
            if let Some(event) = self.crew.iter_mut().flatten().find_map(Child::try_wait) {
                return Err(format!("a child: {event:?}: {}", self.log.fault()).into());
            }
            if Instant::now() > limit {
                return Err(format!("nothing goes on: {:?}", self.queue.status()).into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn expect(&self, found: Event, expected: Event) -> Verdict {
        if found == expected {
            return Ok(());
        }
        Err(format!("a child: {found:?}: {}", self.log.fault()).into())
    }
}

/// What a child in this place does.
fn side(place: usize) -> Side {
    SIDES[place / 2]
}

/// In a child: sends until told to stop, one by one and in batches.
fn send(queue: &Queue, log: &Log, random: &mut Random) -> Verdict {
    let tx = queue.sender()?;
    loop {
        let life = log.live().ok_or("there is no life left to live")?;
        let (mut next, end) = (number(life, 0), number(life + 1, 0));
        while next < end {
            if log.is_stopped() {
                return Ok(tx.close()?);
            }
            let (count, len) = match random.below(8) {
                0 => (1 + random.below(BATCH.min(end - next)), random.below(SHORT)),
                1 => {
                    // A slot, for nothing.
                    let _ = tx.borrow(Duration::ZERO);
                    continue;
                }
                _ => (1, random.below(LONG)),
            };
            let len = size_of::<u64>() + len as usize;
            let messages: Vec<_> = (next..next + count).map(|number| Message::new(number, len)).collect();
            for number in next..next + count {
                log.mark(number, Mark::Begun);
            }
            let sent = if count == 1 {
                tx.send_timeout(&messages[0], PATIENCE)
            } else {
                tx.batch(&messages).map_err(|error| match error {
                    TrySendError::PeerDied(peer) => SendTimeoutError::PeerDied(peer),
                    TrySendError::Full | TrySendError::Exhausted(_) => SendTimeoutError::Timeout,
                    _ => SendTimeoutError::Closed,
                })
            };
            match sent {
                Ok(()) => {
                    for number in next..next + count {
                        log.mark(number, Mark::Sent);
                    }
                    next += count;
                }
                // One receiver's successor makes room.
                Err(SendTimeoutError::PeerDied(_)) => thread::yield_now(),
                // A batch does not wait.
                Err(SendTimeoutError::Timeout) if count > 1 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// In a child: receives until all senders have closed, one by one and in batches.
fn receive(queue: &Queue, log: &Log, place: usize, kind: Kind, random: &mut Random) -> Verdict {
    let rx = queue.receiver()?;
    // Of each life, the last message that came in order.
    let mut last = HashMap::new();
    let mut had = Vec::new();
    loop {
        let (most, goes_back) = match random.below(16) {
            0 => (1, true),
            // Never all slots: one who has them in hand and is stopped leaves the others none.
            1..6 => (1 + random.below(SLOTS - 2), false),
            _ => (1, false),
        };
        had.clear();
        let mut seen = Ok(());
        let mut see = |taken: Taken| {
            let entered = enter(log, kind, &mut last, taken).map(|number| had.push(number));
            seen = std::mem::replace(&mut seen, Ok(())).and(entered);
            let mark = if goes_back { Mark::Back } else { Mark::Releasing };
            if let Some(&number) = had.last() {
                log.mark(number, mark);
            }
        };
        let taken = if most == 1 {
            rx.take_with(PATIENCE, |taken| {
                see(taken);
                goes_back
            })
        } else {
            rx.take_batch(most as usize, PATIENCE, see)
        };
        match taken {
            Ok(()) => seen?,
            Err(RecvTimeoutError::Closed) => return Ok(()),
            // One sender's successor sends more.
            Err(RecvTimeoutError::PeerDied(_)) => thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
        if !goes_back {
            for &number in &had {
                if log.mark(number, Mark::Released).has(Mark::Released) {
                    return Err(format!("message {number:#x} was released twice").into());
                }
            }
            log.receive(place, had.len() as u64);
        }
    }
}

/// Marks a message that was received, if it can be. Its number.
fn enter(log: &Log, kind: Kind, last: &mut HashMap<u64, u64>, taken: Taken) -> Verdict<u64> {
    let number = taken.number?;
    let marks = log.mark(number, if taken.again { Mark::Again } else { Mark::Fresh });
    let was_back = marks.has(Mark::Back);
    let was_had = marks.has(Mark::Fresh) || marks.has(Mark::Again);
    // One that was put back may have been so by one who was killed meanwhile.
    let may_be = match taken.again {
        true => !kind.once || was_back,
        false => !marks.has(Mark::Again) && (!was_had || was_back),
    };
    let before = last.get(&log::life(number)).copied();
    let is_in_order = taken.again || was_back || before.is_none_or(|before| before < number);
    if !marks.has(Mark::Begun) || marks.has(Mark::Released) || !may_be || !is_in_order {
        let again = if taken.again { "marked" } else { "unmarked" };
        return Err(format!("message {number:#x} came {again}, {marks:?}, behind {before:x?}").into());
    }
    if !taken.again && !was_back {
        last.insert(log::life(number), number);
    }
    Ok(number)
}
