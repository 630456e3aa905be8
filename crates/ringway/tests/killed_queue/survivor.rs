//! The others, in this process: what they do while the victim dies, and what they must still be able to do.

use std::{
    thread,
    time::{Duration, Instant},
};

use ringway::{RecvTimeoutError, SendTimeoutError, Side};

use crate::{
    PROGRESS,
    child::{Child, Event},
    killing::{Reached, Verdict},
    ledger::{Fate, Ledger},
    operation::{Death, Operation, Others},
    queue::{Queue, Rx, SLOTS, Taken, Tx},
    sleeper::{self, NAP, PATIENCE, Sleeper},
};

/// Messages that go around the queue, several times.
const LAP: u64 = 40;
/// Messages of a batch that share a slot.
const IN_A_SLOT: u64 = 7;

/// The others: one end of each side, at the most, each a participant of its own, and one that sleeps.
pub(crate) struct Survivor {
    tx: Option<Tx>,
    rx: Option<Rx>,
    sleeper: Option<Asleep>,
    /// One who is to die when the victim is there.
    predecessor: Option<Child>,
    /// What was received, and how many were sent, to wake the victim.
    taken: Vec<Taken>,
    sent: u64,
}

/// One that sleeps, or will.
enum Asleep {
    WillAwaitMessage(Rx),
    WillAwaitSlot(Tx),
    AwaitsMessage(Sleeper<(Rx, Result<Taken, RecvTimeoutError>)>),
    AwaitsSlot(Sleeper<(Tx, Result<(), SendTimeoutError>)>),
}

impl Survivor {
    /// The others come, and do what came before; then the victim's predecessor comes.
    pub(crate) fn start(operation: &Operation, queue: &Queue) -> Verdict<Self> {
        let sleeper = match operation.others {
            Others::AwaitMessage => Some(Asleep::WillAwaitMessage(queue.receiver()?)),
            Others::AwaitSlot => Some(Asleep::WillAwaitSlot(queue.sender()?)),
            Others::Awake | Others::Absent => None,
        };
        let mut it = Self { tx: None, rx: None, sleeper, predecessor: None, taken: Vec::new(), sent: 0 };
        if operation.is_first() {
            return Ok(it);
        }
        let (tx, rx) = (queue.sender()?, queue.receiver()?);
        let [sent, received] = operation.before;
        for number in 0..sent {
            tx.send(&Operation::message(number))?;
            if number < received {
                rx.take(PROGRESS)?.number?;
            }
        }
        let packed: Vec<_> = operation.together().map(Operation::message).collect();
        if !packed.is_empty() {
            tx.batch(&packed)?;
        }
        // A side of one end is the victim's.
        it.tx = (operation.kind.sole != Some(Side::Sender)).then_some(tx);
        it.rx = (operation.kind.sole != Some(Side::Receiver)).then_some(rx);
        if let Some((legacy, death)) = operation.legacy {
            let line = (death == Death::Elsewhere).then(|| queue.sender()).transpose()?;
            it.predecessor = Some(operation.predecessor(legacy, queue)?);
            if death != Death::Beside {
                it.bereave()?;
            }
            drop(line);
        }
        Ok(it)
    }

    /// The predecessor dies.
    fn bereave(&mut self) -> Verdict {
        match self.predecessor.take().map(Child::kill) {
            None | Some(Event::Killed(libc::SIGKILL)) => Ok(()),
            Some(event) => Err(format!("the predecessor was not killed: {event:?}").into()),
        }
    }

    /// The victim stands at the beginning: others fall asleep, die, or leave, if that is their part.
    pub(crate) fn get_ready(mut self, operation: &Operation, queue: &Queue) -> Verdict<Self> {
        self.bereave()?;
        if operation.others == Others::Absent {
            (self.tx, self.rx) = (None, None);
        }
        self.sleeper = match self.sleeper {
            Some(Asleep::WillAwaitMessage(rx)) => {
                let sleeper = Sleeper::start(move || {
                    let taken = rx.take(PATIENCE);
                    (rx, taken)
                });
                sleeper::await_state(|| queue.has(|it| it.awaits_message))?;
                Some(Asleep::AwaitsMessage(sleeper))
            }
            Some(Asleep::WillAwaitSlot(tx)) => {
                let message = Operation::message(operation.sends().end);
                let sleeper = Sleeper::start(move || {
                    let sent = tx.send_timeout(&message, PATIENCE);
                    (tx, sent)
                });
                sleeper::await_state(|| queue.has(|it| it.awaits_slot))?;
                thread::sleep(NAP);
                Some(Asleep::AwaitsSlot(sleeper))
            }
            sleeper => sleeper,
        };
        Ok(self)
    }

    /// Wakes the victim, which sleeps.
    pub(crate) fn wake_victim(&mut self, operation: &Operation) -> Verdict {
        match (operation.victim(), &self.tx, &self.rx) {
            (Side::Sender, _, Some(rx)) => self.taken.push(rx.take(PROGRESS)?),
            (Side::Receiver, Some(tx), _) => {
                tx.send_timeout(&Operation::message(operation.sent() + self.sent), PROGRESS)?;
                self.sent += 1;
            }
            _ => return Err("the victim sleeps, and there is nobody to wake it".into()),
        }
        Ok(())
    }

    /// The victim has come to the end of its operation, and lives: who sleeps is woken by what it did.
    pub(crate) fn hear(&mut self) -> Verdict {
        match &mut self.sleeper {
            Some(Asleep::AwaitsMessage(sleeper)) => sleeper.wakes(),
            Some(Asleep::AwaitsSlot(sleeper)) => sleeper.wakes(),
            _ => Ok(()),
        }
    }

    /// The victim is dead: everything that was promised.
    pub(crate) fn carry_on(mut self, operation: &Operation, queue: Queue, reached: Reached) -> Verdict {
        let here = [self.tx.is_some(), self.rx.is_some(), self.sleeper.is_some()];
        let here = here.into_iter().filter(|is_here| *is_here).count();
        if let Ok(status) = queue.status() {
            let alive = status.participants.iter().filter(|it| it.alive).count();
            if alive != here {
                return Err(format!("{alive} are alive, where {here} should be: {status:?}").into());
            }
        }
        if queue.files() > 1 {
            return Err("something half made was left behind".into());
        }
        let mut ledger = self.ledger(operation, reached)?;
        let mut all = self.all();
        if operation.newcomer_first {
            all.succeed(operation, &queue)?;
        }
        if let Some(sleeper) = self.sleeper.take() {
            all.settle(sleeper, &mut ledger)?;
        }
        all.drain(operation, &mut ledger)?;
        all.succeed(operation, &queue)?;
        all.drain(operation, &mut ledger)?;
        all.hold_nothing(&queue)?;
        all.flow(LAP, &mut ledger)?;
        if let Some(rx) = all.rxs.first() {
            ledger.close(rx.lost())?;
        }
        ledger.check_sent(&operation.sends(), if operation.sends().count() > 1 { IN_A_SLOT } else { 1 })?;
        ledger.check_together(operation.together())?;
        all.hold_nothing(&queue)?;
        all.part()?;
        queue.left_nothing()
    }

    /// Those who are awake.
    pub(crate) fn all(&mut self) -> All {
        All { txs: Vec::from_iter(self.tx.take()), rxs: Vec::from_iter(self.rx.take()) }
    }

    /// The account as it stands: what was sent by now, and what the others have received.
    fn ledger(&mut self, operation: &Operation, reached: Reached) -> Verdict<Ledger> {
        let doubtful = match reached {
            Reached::Beginning => vec![Fate::Unsent],
            Reached::Midst => vec![Fate::Unsent, Fate::Fresh],
            Reached::End => vec![Fate::Fresh],
        };
        let known = (0..operation.sent()).map(|number| operation.fates(number, reached));
        let sends = operation.sends().map(|_| doubtful.clone());
        let woken = (0..self.sent).map(|more| operation.fates(operation.sent() + more, reached));
        let mut ledger = Ledger::new(known.chain(sends).chain(woken).collect());
        self.taken.drain(..).try_for_each(|taken| ledger.enter(taken))?;
        Ok(ledger)
    }
}

/// All ends that live.
pub(crate) struct All {
    pub(crate) txs: Vec<Tx>,
    pub(crate) rxs: Vec<Rx>,
}

impl All {
    /// Somebody new comes, as far as there is a place; once.
    pub(crate) fn succeed(&mut self, operation: &Operation, queue: &Queue) -> Verdict {
        let most = |side| if operation.kind.sole == Some(side) { 1 } else { 2 };
        if self.txs.len() < most(Side::Sender) {
            self.txs.push(queue.sender()?);
        }
        if self.rxs.len() < most(Side::Receiver) {
            self.rxs.push(queue.receiver()?);
        }
        Ok(())
    }

    /// The one that sleeps wakes, if there is something for it, though nobody does anything. If there is nothing, it is given that.
    fn settle(&mut self, sleeper: Asleep, ledger: &mut Ledger) -> Verdict {
        let (Some(tx), Some(rx)) = (self.txs.first(), self.rxs.first()) else {
            return Err("there is nobody who could give it anything".into());
        };
        match sleeper {
            Asleep::AwaitsMessage(mut sleeper) => {
                if !await_end(&mut sleeper, || tx.slots().free == SLOTS as u32)? {
                    tx.send_timeout(&Operation::message(ledger.send()), PROGRESS)?;
                }
                let (woken, taken) = sleeper.wake()?;
                ledger.enter(taken?)?;
                // It may have more of the slot.
                self.rxs.insert(0, woken);
            }
            Asleep::AwaitsSlot(mut sleeper) => {
                ledger.send();
                if !await_end(&mut sleeper, || tx.slots().queued == SLOTS as u32)? {
                    ledger.enter(rx.take(PROGRESS)?)?;
                }
                let (woken, sent) = sleeper.wake()?;
                sent?;
                self.txs.push(woken);
            }
            Asleep::WillAwaitMessage(_) | Asleep::WillAwaitSlot(_) => {
                return Err("the survivor was not put to sleep".into());
            }
        }
        Ok(())
    }

    /// Receives what there is; that is all then.
    pub(crate) fn drain(&self, operation: &Operation, ledger: &mut Ledger) -> Verdict {
        for rx in &self.rxs {
            let told = loop {
                match rx.take(Duration::ZERO) {
                    Ok(taken) => ledger.enter(taken)?,
                    Err(told) => break told,
                }
            };
            let is_alone = self.txs.is_empty();
            match told {
                RecvTimeoutError::Timeout if !is_alone || operation.may_be_unseen() => {}
                RecvTimeoutError::PeerDied(peer) if is_alone && peer.side == Side::Sender => {}
                other => return Err(format!("the receiver was told: {other}").into()),
            }
        }
        Ok(())
    }

    /// All slots are free, and nobody takes part but those who live.
    pub(crate) fn hold_nothing(&self, queue: &Queue) -> Verdict {
        let status = queue.status()?;
        let slots = status.slots.as_ref().ok_or("no slots")?;
        let (here, living) = (status.participants.len(), self.txs.len() + self.rxs.len());
        let is_clean = slots.free == SLOTS as u32 && slots.holders.is_empty() && slots.queued == 0;
        if is_clean && here == living && status.participants.iter().all(|it| it.alive) {
            return Ok(());
        }
        Err(format!("{living} live, and all was received: {status:?}").into())
    }

    /// So many messages go around the queue, from each to each.
    pub(crate) fn flow(&self, messages: u64, ledger: &mut Ledger) -> Verdict {
        for n in 0..messages as usize {
            let (tx, rx) = (&self.txs[n % self.txs.len()], &self.rxs[n / 2 % self.rxs.len()]);
            let number = ledger.send();
            tx.send_timeout(&Operation::message(number), PROGRESS)?;
            ledger.enter(rx.take(PROGRESS)?)?;
            if !ledger.has(number) || !rx.is_empty() {
                return Err(format!("message {number} was sent, and another one came").into());
            }
        }
        Ok(())
    }

    /// All part in good order.
    pub(crate) fn part(self) -> Verdict {
        self.txs.into_iter().try_for_each(Tx::close)?;
        self.rxs.iter().try_for_each(|rx| match rx.take(PROGRESS) {
            Err(RecvTimeoutError::Closed) => Ok(()),
            other => Err(format!("after all senders have closed: {other:?}").into()),
        })
    }
}

/// Waits until the sleeper has woken, or there is nothing that it could wake for.
fn await_end<T: Send + 'static>(sleeper: &mut Sleeper<T>, has_nothing: impl Fn() -> bool) -> Verdict<bool> {
    let limit = Instant::now() + PROGRESS;
    loop {
        if sleeper.is_awake() {
            return Ok(true);
        }
        if has_nothing() {
            return Ok(false);
        }
        if Instant::now() > limit {
            return Err("the survivor sleeps on, though there is something for it".into());
        }
        thread::yield_now();
    }
}
