//! The other end, in this process: what it does while the victim dies, and what it must still be able to do.

use std::{thread, time::Duration};

use ringway::{RecvTimeoutError, SendTimeoutError, Side, inspect::State};

use crate::{
    PROGRESS,
    killing::{Reached, Verdict},
    ledger::Ledger,
    news,
    operation::{Act, LEGACY, Operation, Peer},
    ring::{Ring, Rx, Taken, Tx},
    sleeper::{self, NAP, PATIENCE, Sleeper},
};

/// Messages that go around any of the rings.
const LAP: u64 = 80;
/// Messages that are taken to wake a sender: more than an eighth of a ring.
const SOME: usize = 10;

/// The other end.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Survivor {
    Receiver { rx: Rx, taken: Vec<Taken> },
    Sender { tx: Tx, sent: u64 },
    SleepingReceiver(Sleeper<(Rx, Result<Taken, RecvTimeoutError>)>),
    SleepingSender(Sleeper<(Tx, Result<(), SendTimeoutError>)>),
    Absent,
}

impl Survivor {
    /// Takes the other end, and does on both what came before; then the victim's predecessor comes and goes.
    pub(crate) fn start(operation: &Operation, ring: &Ring) -> Verdict<Self> {
        let survivor = Self::attach(operation, ring)?;
        operation.precede(ring)?;
        Ok(survivor)
    }

    fn attach(operation: &Operation, ring: &Ring) -> Verdict<Self> {
        let victim = operation.victim();
        if operation.before == [0, 0] && operation.peer == Peer::Absent {
            return Ok(Self::Absent);
        }
        let both = |side| operation.before != [0, 0] || side != victim;
        let mut tx = both(Side::Sender).then(|| ring.sender()).transpose()?;
        let mut rx = both(Side::Receiver).then(|| ring.receiver()).transpose()?;
        if let (Some(tx), Some(rx)) = (&mut tx, &mut rx) {
            let [sent, received] = operation.before;
            for number in 0..sent {
                tx.send(&operation.message(number))?;
                if number < received {
                    rx.take(PROGRESS)?.number?;
                }
            }
        }
        Ok(match victim {
            Side::Sender => Self::Receiver { rx: rx.ok_or("no receiver")?, taken: Vec::new() },
            Side::Receiver => Self::Sender { tx: tx.ok_or("no sender")?, sent: operation.before[0] },
        })
    }

    /// The victim stands at the beginning: falls asleep, or leaves, if that is its part.
    pub(crate) fn get_ready(self, operation: &Operation, ring: &Ring) -> Verdict<Self> {
        match (operation.peer, self) {
            (Peer::Absent, _) => Ok(Self::Absent),
            (Peer::Asleep, Self::Receiver { mut rx, .. }) => {
                let sleeper = Sleeper::start(move || {
                    let taken = rx.take(PATIENCE);
                    (rx, taken)
                });
                sleeper::await_state(|| {
                    ring.status().is_ok_and(|status| status.receiver.state == State::Asleep)
                })?;
                Ok(Self::SleepingReceiver(sleeper))
            }
            (Peer::Asleep, Self::Sender { mut tx, sent }) => {
                let message = operation.message(sent);
                let sleeper = Sleeper::start(move || {
                    let sent = tx.send_timeout(&message, PATIENCE);
                    (tx, sent)
                });
                sleeper::await_state(|| {
                    ring.status().is_ok_and(|status| status.sender.state == State::Asleep)
                })?;
                thread::sleep(NAP);
                Ok(Self::SleepingSender(sleeper))
            }
            (_, awake) => Ok(awake),
        }
    }

    /// Wakes the victim, which sleeps.
    pub(crate) fn wake_victim(&mut self, operation: &Operation) -> Verdict {
        match self {
            Self::Receiver { rx, taken } => {
                for _ in 0..SOME {
                    taken.push(rx.take(PROGRESS)?);
                }
                Ok(())
            }
            Self::Sender { tx, sent } => {
                tx.send_timeout(&operation.message(*sent), PROGRESS)?;
                *sent += 1;
                Ok(())
            }
            _ => Err("the victim sleeps, and there is nobody to wake it".into()),
        }
    }

    /// The victim has come to the end of its operation, and lives: who sleeps is woken by what it did.
    pub(crate) fn hear(&mut self) -> Verdict {
        match self {
            Self::SleepingReceiver(sleeper) => sleeper.wakes(),
            Self::SleepingSender(sleeper) => sleeper.wakes(),
            _ => Ok(()),
        }
    }

    /// The victim is dead: everything that was promised.
    pub(crate) fn carry_on(self, operation: &Operation, ring: Ring, reached: Reached) -> Verdict {
        if ring.is_held(operation.victim()) {
            return Err("the dead one still holds its end".into());
        }
        if operation.act == Act::Clean {
            ring.neighbour_goes(LEGACY, reached)?;
        }
        if ring.files() > 1 {
            return Err("something half made was left behind".into());
        }
        let (tx, rx, ledger, next) = match operation.victim() {
            Side::Sender => self.outlive_sender(operation, &ring, reached)?,
            Side::Receiver => self.outlive_receiver(operation, &ring, reached)?,
        };
        flow(operation, tx, rx, ledger, next)?;
        ring.left_nothing()
    }

    fn outlive_sender(
        self,
        operation: &Operation,
        ring: &Ring,
        reached: Reached,
    ) -> Verdict<(Tx, Rx, Ledger, u64)> {
        let sends = operation.sends();
        let mut ledger = Ledger::of_survivor(operation.before[1], sends.clone(), reached);
        let (mut rx, taken) = match self {
            Self::Receiver { rx, taken } => (rx, taken),
            // By what was sent, or by the news of the death.
            Self::SleepingReceiver(sleeper) => match sleeper.wake()? {
                (rx, Ok(taken)) => (rx, vec![taken]),
                (rx, Err(told)) => {
                    news::receiver_is_told(operation, &told)?;
                    (rx, Vec::new())
                }
            },
            _ => (ring.receiver()?, Vec::new()),
        };
        let pending = ring.status()?.pending_messages;
        taken.into_iter().try_for_each(|taken| ledger.enter(taken))?;
        let (had, told) = drain(&mut rx, &mut ledger)?;
        news::receiver_is_told(operation, &told)?;
        if pending != Some(had) {
            return Err(format!("{had} messages came where {pending:?} were said to be pending").into());
        }
        if operation.kind.is_lossless()
            && !ledger.has_all_before(sends.start)
            && !ledger.has_all_before(sends.end)
        {
            return Err(format!("{ledger:?} after all was received, of {sends:?}").into());
        }
        Ok((ring.sender()?, rx, ledger, sends.end))
    }

    fn outlive_receiver(
        self,
        operation: &Operation,
        ring: &Ring,
        reached: Reached,
    ) -> Verdict<(Tx, Rx, Ledger, u64)> {
        let (mut tx, mut next) = match self {
            Self::Sender { tx, sent } => (tx, sent),
            // By what was released, or by the news of the death.
            Self::SleepingSender(sleeper) => match sleeper.wake()? {
                (tx, Ok(())) => (tx, operation.before[0] + 1),
                (tx, Err(told)) => {
                    news::sender_is_told(operation, &told)?;
                    (tx, operation.before[0])
                }
            },
            _ => (ring.sender()?, operation.before[0]),
        };
        let pending = ring.status()?.pending_messages;
        let releases = operation.releases();
        if operation.kind.is_lossless()
            && pending != Some(next - releases.start)
            && pending != Some(next - releases.end)
        {
            return Err(
                format!("{pending:?} messages are said to be pending of {releases:?} to {next}").into()
            );
        }
        for _ in 0..if operation.kind.is_lossless() { LAP } else { 4 } {
            if let Err(told) = tx.send_timeout(&operation.message(next), Duration::ZERO) {
                news::sender_is_told(operation, &told)?;
                break;
            }
            next += 1;
        }
        let mut rx = ring.receiver()?;
        let mut ledger = Ledger::of_successor(operation, reached, rx.skipped())?;
        drain(&mut rx, &mut ledger)?;
        if operation.kind.is_lossless() && !ledger.has_all_before(next) {
            return Err(format!("{ledger:?} after all of {next} was received").into());
        }
        Ok((tx, rx, ledger, next))
    }
}

/// Receives what there is. How many that were, and what came then.
fn drain(rx: &mut Rx, ledger: &mut Ledger) -> Verdict<(u64, RecvTimeoutError)> {
    let mut had = 0;
    loop {
        match rx.take(Duration::ZERO) {
            Ok(taken) => ledger.enter(taken)?,
            Err(told) => {
                ledger.enter_lost(rx.lost());
                return Ok((had, told));
            }
        }
        had += 1;
    }
}

/// Once around the ring, and a good end.
fn flow(operation: &Operation, mut tx: Tx, mut rx: Rx, mut ledger: Ledger, next: u64) -> Verdict {
    for number in next..next + LAP {
        tx.send_timeout(&operation.message(number), PROGRESS)?;
        while !ledger.has_all_before(number + 1) {
            ledger.enter(rx.take(PROGRESS)?)?;
        }
    }
    tx.close()?;
    match rx.take(PROGRESS) {
        Err(RecvTimeoutError::Closed) => Ok(()),
        other => Err(format!("after the sender has closed: {other:?}").into()),
    }
}
