//! Two children under load, one or the other killed or stopped at a random moment, and succeeded.
//!
//! Each writes down what it has done, call by call, in a [`Log`]. So its successor knows where it stood, but for the call in
//! which it was killed: a sender sends again what that may have sent, under its own life; a receiver expects again what it
//! had not released, or had by the log's last word. Everything else that comes in another order, twice, or not at all is a
//! fault.

use std::{
    thread,
    time::{Duration, Instant},
};

use ringway::{AttachError, RecvTimeoutError, SendError, Side, Wait};

use crate::{
    PROGRESS,
    child::{Child, Event},
    killing::Verdict,
    log::{Log, Shared, number},
    message::Message,
    random::Random,
    ring::{Kind, Ring},
    watchdog,
};

/// Messages in a batch at the most.
const BATCH: u64 = 6;
/// How long what children wait for may take, for they are killed and stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ring under load.
pub(crate) struct Load {
    ring: Ring,
    log: Shared,
    random: Random,
    /// Present but while one succeeds another.
    sender: Option<Child>,
    receiver: Option<Child>,
    /// Senders so far.
    lives: u64,
}

impl Load {
    pub(crate) fn start(kind: Kind, named: bool, wait: Wait, seed: u64) -> Verdict<Self> {
        let ring = Ring::new(kind, 4096, named, wait)?;
        let random = Random::new(seed);
        let mut load = Self { ring, log: Shared::new(), random, sender: None, receiver: None, lives: 0 };
        load.succeed(Side::Sender);
        load.succeed(Side::Receiver);
        Ok(load)
    }

    /// Kills one of the two, or both, until so many were killed, and sees that successors get on.
    pub(crate) fn kill(&mut self, kills: u64) -> Verdict {
        let mut killed = 0;
        for round in 0.. {
            if killed >= kills {
                break;
            }
            watchdog::say(&format!("kill {killed} of {kills} under load"));
            thread::sleep(Duration::from_micros(self.random.below(500)));
            let victims = match self.random.below(8) {
                0 => &[Side::Sender, Side::Receiver][..],
                1..=3 => &[Side::Receiver],
                _ => &[Side::Sender],
            };
            for &side in victims {
                let end = self.child(side).take().ok_or("nobody there")?.kill();
                self.expect(end, Event::Killed(libc::SIGKILL))?;
                killed += 1;
            }
            victims.iter().for_each(|&side| self.succeed(side));
            if round % 8 == 0 {
                self.get_on()?;
            }
        }
        Ok(())
    }

    /// Stops one of the two, so often, for longer than anybody spins, and lets it go on.
    pub(crate) fn stop(&mut self, stops: u64) -> Verdict {
        for stop in 0..stops {
            watchdog::say(&format!("stop {stop} of {stops} under load"));
            self.get_on()?;
            thread::sleep(Duration::from_micros(self.random.below(2000)));
            let side = if self.random.below(2) == 0 { Side::Sender } else { Side::Receiver };
            let stopped = self.child(side).as_mut().ok_or("nobody there")?;
            stopped.signal(libc::SIGSTOP);
            let event = stopped.wait();
            self.expect(event, Event::Stopped(libc::SIGSTOP))?;
            thread::sleep(Duration::from_micros(self.random.below(20_000)));
            // Who is stopped is not dead, and nobody takes its place.
            let refused = match side {
                Side::Sender => self.ring.sender().map(drop),
                Side::Receiver => self.ring.receiver().map(drop),
            };
            if !matches!(refused, Err(AttachError::Held { .. })) {
                return Err(format!("the end of a stopped {side} was had: {refused:?}").into());
            }
            self.child(side).as_ref().ok_or("nobody there")?.signal(libc::SIGCONT);
        }
        self.get_on()?;
        if self.log.was_told_of_death() {
            return Err("an end was told of a death, and both were only stopped".into());
        }
        Ok(())
    }

    /// Lets the sender close. The messages that were received.
    pub(crate) fn end(mut self) -> Verdict<u64> {
        self.log.stop();
        for side in [Side::Sender, Side::Receiver] {
            let limit = Instant::now() + PATIENCE;
            let mut child = self.child(side).take().ok_or("nobody there")?;
            let end = loop {
                match child.try_wait() {
                    Some(end) => break end,
                    None if Instant::now() > limit => return Err(format!("the {side} does not end").into()),
                    None => thread::sleep(Duration::from_millis(1)),
                }
            };
            self.expect(end, Event::Exited(0))?;
        }
        let (sent, had, released) = (self.log.sent(), self.log.had(), self.log.released());
        if had.count() != sent || released != had {
            return Err(format!("{sent} were sent, at the end: {had:?}, {released:?}").into());
        }
        self.ring.left_nothing()?;
        Ok(sent)
    }

    fn child(&mut self, side: Side) -> &mut Option<Child> {
        match side {
            Side::Sender => &mut self.sender,
            Side::Receiver => &mut self.receiver,
        }
    }

    /// Starts a child at this end, where nobody is any more.
    fn succeed(&mut self, side: Side) {
        let seed = self.random.next();
        self.lives += u64::from(side == Side::Sender);
        let Self { ring, log, lives, .. } = self;
        *self.child(side) = Some(Child::start(|| {
            let mut random = Random::new(seed);
            let done = match side {
                Side::Sender => send(ring, log, *lives, &mut random),
                Side::Receiver => receive(ring, log, &mut random),
            };
            done.inspect_err(|error| log.set_fault(&format!("{side}: {error}"))).is_ok()
        }));
    }

    /// Both are alive, and messages go from one to the other within a second.
    fn get_on(&mut self) -> Verdict {
        let (before, limit) = (self.log.had(), Instant::now() + PROGRESS);
        while self.log.had() == before {
            let mut both = [&mut self.sender, &mut self.receiver].into_iter().flatten();
            if let Some(event) = both.find_map(Child::try_wait) {
                return Err(format!("a child: {event:?}: {}", self.log.fault()).into());
            }
            if Instant::now() > limit {
                return Err(format!("nothing goes on: {} sent, received: {before:?}", self.log.sent()).into());
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

/// In a child: sends until told to stop, one by one and in batches, but once at least: then it is known what was sent.
fn send(ring: &Ring, log: &Log, life: u64, random: &mut Random) -> Verdict {
    let mut tx = ring.sender()?;
    let mut next = log.sent();
    loop {
        let len = ring.message_len(random.below(400) as usize);
        let message = |count| Message::new(number(life, count), len);
        if random.below(4) == 0 {
            let batch: Vec<_> = (next..=next + random.below(BATCH)).map(message).collect();
            if tx.batch(&batch).is_err() {
                // It was full; one that waits makes room.
                continue;
            }
            next += batch.len() as u64;
        } else {
            match tx.send(&message(next)) {
                Ok(()) => next += 1,
                // Its successor makes room.
                Err(SendError::PeerDied(_)) => {
                    log.set_told_of_death();
                    thread::yield_now();
                }
                Err(error) => return Err(error.into()),
            }
        }
        log.set_sent(next);
        if log.is_stopped() {
            return Ok(tx.close()?);
        }
    }
}

/// In a child: receives until the sender has closed, one by one and in batches.
fn receive(ring: &Ring, log: &Log, random: &mut Random) -> Verdict {
    let mut rx = ring.receiver()?;
    // A predecessor was killed after it had released what it had, or before.
    let mut places = vec![log.released(), log.had()];
    loop {
        let most = if random.below(4) == 0 { 1 + random.below(2 * BATCH) } else { 1 };
        let taken = rx.take_batch(most as usize, PATIENCE, |found| {
            let found = found?;
            let Some(place) = places.iter().find_map(|place| place.then(found, BATCH)) else {
                return Err(format!("message {found:#x} came at {places:x?}").into());
            };
            places = vec![place];
            log.set_had(place);
            Ok(())
        });
        match taken {
            Ok(done) => done?,
            Err(RecvTimeoutError::Closed) => return Ok(()),
            // Its successor sends more.
            Err(RecvTimeoutError::PeerDied(_)) => {
                log.set_told_of_death();
                thread::yield_now();
            }
            Err(error) => return Err(error.into()),
        }
        log.set_released(log.had());
    }
}
