//! Lives of the models: sides that are taken, left and died in, and what is told of that.

use std::{convert::Infallible, sync::Arc};

use ringway_wait::{
    Life, Signs, Whose, Words,
    alive::{OWNER_DIED, WAITERS},
    primitive::{Awaited, Flag, Futex, Ordering, Wide},
    take,
};

use crate::{Line, NewFutex, kill};

/// By what a death is told. A model has each alone, and both.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// The kernel marks the liveness word.
    pub mark: bool,
    /// It wakes the one who is to be told, not another one who sleeps there against the rules.
    pub wake: bool,
    /// The other side's keeper watches the process.
    pub watch: bool,
}

/// The mark alone.
pub const MARK: Sources = Sources { mark: true, wake: true, watch: false };
/// The watched process alone: no keeper, or a word that was written over.
pub const WATCH: Sources = Sources { mark: false, wake: false, watch: true };
/// Both.
pub const BOTH: Sources = Sources { mark: true, wake: true, watch: true };

/// One side of a line between two that can die, for processes to come to: 1, and when that has died or left, 2.
#[derive(Debug, Clone)]
pub struct Place {
    line: Line,
    lives: Arc<[Own; 2]>,
    mine: usize,
    sources: Sources,
}

/// What tells of one side's life.
#[derive(Debug)]
struct Own {
    /// Its lock: a system call has an order of its own, of which nothing is taken for granted.
    lock: Flag,
    alive: Futex,
    generation: Flag,
    pid: Flag,
    namespace: Wide,
    /// What the other side's keeper says of each process.
    ended: [Futex; 2],
}

impl Place {
    /// The two sides of new words; nobody is there.
    pub fn pair(futex: NewFutex, sources: Sources) -> (Self, Self) {
        let (line, peers) = Line::pair(futex);
        // Who sleeps on a side's bell, and nobody else, sleeps on what tells of that side's life.
        let own = |bell: &Futex| Own {
            lock: Flag::new(0),
            alive: bell.beside(),
            generation: Flag::new(0),
            pid: Flag::new(0),
            namespace: Wide::new(0),
            ended: [bell.beside(), bell.beside()],
        };
        let lives = Arc::new([own(line.bell(Whose::Mine)), own(peers.bell(Whose::Mine))]);
        (Self { line, lives: lives.clone(), mine: 0, sources }, Self { line: peers, lives, mine: 1, sources })
    }

    /// A process takes the side: its lock, the words that say so, and the liveness word if it has a keeper.
    pub fn take(&self, process: u32) {
        self.come(process, self.sources.mark);
    }

    /// The same for a process that has none.
    pub fn take_without_keeper(&self, process: u32) {
        self.come(process, false);
    }

    fn come(&self, process: u32, keeper: bool) {
        let signs = self.signs(self.mine);
        signs.own().lock.store(1, Ordering::Relaxed);
        let hold = || {
            // As the keeper does.
            let hold = || signs.alive().store(WAITERS | process, Ordering::Release);
            Ok::<_, Infallible>(keeper.then(hold))
        };
        let _ = take(&signs, process, 1, hold);
    }

    /// The words, as who has taken this side sees them.
    pub fn words(&self) -> Mortal {
        let signs = self.signs(1 - self.mine);
        let lock = &self.lives[1 - self.mine].lock;
        let life = Life::new(signs, || lock.load(Ordering::Relaxed) == 1);
        Mortal { line: self.line.clone(), life }
    }

    /// What the kernel does when the process that has this side dies, in its order, and then the other side's keeper.
    pub fn die(&self, process: u32) {
        let own = &self.lives[self.mine];
        // Relaxed: the kernel's compare-and-exchange finds the newest value.
        if own.alive.load(Ordering::Relaxed) == WAITERS | process {
            // The kernel's compare-and-exchange is of release order at least.
            own.alive.store(WAITERS | OWNER_DIED, Ordering::Release);
        }
        if self.sources.wake {
            own.alive.wake();
        }
        own.lock.store(0, Ordering::Relaxed);
        self.end(process);
    }

    /// The process gives the side back, after it has said to the other one that it leaves, and ends.
    pub fn leave(&self, process: u32) {
        let own = &self.lives[self.mine];
        // As the keeper does, in one system call.
        own.alive.store(0, Ordering::Release);
        own.alive.wake();
        own.pid.store(0, Ordering::Relaxed);
        own.lock.store(0, Ordering::Relaxed);
        self.end(process);
    }

    fn end(&self, process: u32) {
        let ended = &self.lives[self.mine].ended[process as usize - 1];
        // As the keeper does.
        ended.store(1, Ordering::Release);
        ended.wake();
    }

    fn signs(&self, of: usize) -> Shown {
        Shown { lives: self.lives.clone(), of, watch: self.sources.watch }
    }
}

/// What is shown of a side's life.
#[derive(Debug)]
pub struct Shown {
    lives: Arc<[Own; 2]>,
    of: usize,
    watch: bool,
}

impl Shown {
    fn own(&self) -> &Own {
        kill::count();
        &self.lives[self.of]
    }
}

/// A process of a side that is watched.
#[derive(Debug)]
pub struct Watched {
    lives: Arc<[Own; 2]>,
    of: usize,
    process: u32,
}

impl Watched {
    fn ended(&self) -> &Futex {
        &self.lives[self.of].ended[self.process as usize - 1]
    }
}

impl Signs for Shown {
    type Watch = Watched;

    fn alive(&self) -> &Futex {
        &self.own().alive
    }

    fn generation(&self) -> &Flag {
        &self.own().generation
    }

    fn pid(&self) -> &Flag {
        &self.own().pid
    }

    fn namespace(&self) -> &Wide {
        &self.own().namespace
    }

    fn watch(&self, process: u32, _: u64) -> Option<Watched> {
        self.watch.then(|| Watched { lives: self.lives.clone(), of: self.of, process })
    }

    fn ended(watch: &Watched) -> bool {
        // As with the production's watch.
        watch.ended().load(Ordering::Acquire) != 0
    }

    fn end(watch: &Watched) -> Awaited<'_> {
        watch.ended().awaited(0)
    }
}

/// The words of a line, with the other side's life.
#[derive(Debug)]
pub struct Mortal {
    line: Line,
    life: Life<Shown>,
}

impl Words for Mortal {
    type Signs = Shown;

    fn asleep(&self, whose: Whose) -> &Flag {
        self.line.asleep(whose)
    }

    fn bell(&self, whose: Whose) -> &Futex {
        self.line.bell(whose)
    }

    fn processor(&self, whose: Whose) -> &Flag {
        self.line.processor(whose)
    }

    fn life(&self) -> Option<&Life<Shown>> {
        Some(&self.life)
    }
}
