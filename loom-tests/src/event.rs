//! Events and crowds of the models: the words of a few lines, and what the kernel does to them.

use std::{convert::Infallible, sync::Arc};

use ringway_wait::{
    EventWords, Signs,
    alive::{OWNER_DIED, WAITERS},
    primitive::{Awaited, Common, Flag, Futex, Ordering, Wide},
    take,
};

use crate::{NewFutex, kill, life::Sources};

/// The words of an event, and of its lines' lives.
#[derive(Debug, Clone)]
pub struct Street(Arc<Words>);

#[derive(Debug)]
struct Words {
    sleepers: Common,
    /// The lines whose holders are there.
    present: Common,
    lines: Vec<Own>,
    sources: Sources,
}

/// One line's words.
#[derive(Debug)]
struct Own {
    bell: Futex,
    sleeps: Common,
    rung: Common,
    alive: Futex,
    generation: Flag,
    pid: Flag,
    namespace: Wide,
    /// What the keepers of the others say of its process.
    ended: Futex,
}

impl Street {
    /// New words of so many lines; nobody is there.
    pub fn new(futex: NewFutex, lines: usize, sources: Sources) -> Self {
        let first = futex();
        let own = |_| Own {
            bell: first.beside(),
            sleeps: Common::new(0),
            rung: Common::new(0),
            alive: first.beside(),
            generation: Flag::new(0),
            pid: Flag::new(0),
            namespace: Wide::new(0),
            ended: first.beside(),
        };
        let lines = (0..lines).map(own).collect();
        Self(Arc::new(Words { sleepers: Common::new(0), present: Common::new(0), lines, sources }))
    }

    /// The lines whose holders are there.
    pub fn present(&self) -> u64 {
        self.0.present.load(Ordering::Acquire)
    }

    /// A process takes the line, and then says that it is there.
    pub fn come(&self, line: usize) {
        let signs = self.member(line);
        // As the keeper does.
        let hold = || signs.alive().store(WAITERS | 1, Ordering::Release);
        let _ = take(&signs, 1, 1, || Ok::<_, Infallible>(self.0.sources.mark.then(hold)));
        self.0.present.fetch_or(1 << line, Ordering::Release);
    }

    /// What the kernel does when the process that has this line dies, and then the keepers of the others.
    pub fn die(&self, line: usize) {
        let own = &self.0.lines[line];
        if self.0.sources.mark {
            // The kernel's compare-and-exchange is of release order at least.
            own.alive.store(WAITERS | OWNER_DIED, Ordering::Release);
            own.alive.wake();
        }
        if self.0.sources.watch {
            // As the keepers do.
            own.ended.store(1, Ordering::Release);
            own.ended.wake_all();
        }
    }

    /// The lives of all lines.
    pub fn members(&self) -> Vec<Member> {
        (0..self.0.lines.len()).map(|line| self.member(line)).collect()
    }

    fn member(&self, line: usize) -> Member {
        Member { words: self.0.clone(), line }
    }
}

impl EventWords for Street {
    fn lines(&self) -> usize {
        self.0.lines.len()
    }

    fn sleepers(&self) -> &Common {
        kill::count();
        &self.0.sleepers
    }

    fn bell(&self, line: usize) -> &Futex {
        kill::count();
        &self.0.lines[line].bell
    }

    fn sleeps(&self, line: usize) -> &Common {
        kill::count();
        &self.0.lines[line].sleeps
    }

    fn rung(&self, line: usize) -> &Common {
        kill::count();
        &self.0.lines[line].rung
    }
}

/// What is shown of the life of a line's holder; also the holder, watched.
#[derive(Debug)]
pub struct Member {
    words: Arc<Words>,
    line: usize,
}

impl Member {
    fn own(&self) -> &Own {
        &self.words.lines[self.line]
    }
}

impl Signs for Member {
    type Watch = Self;

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

    fn watch(&self, _: u32, _: u64) -> Option<Self> {
        self.words.sources.watch.then(|| Self { words: self.words.clone(), line: self.line })
    }

    fn ended(watch: &Self) -> bool {
        // As with the production's watch.
        watch.own().ended.load(Ordering::Acquire) != 0
    }

    fn end(watch: &Self) -> Awaited<'_> {
        watch.own().ended.awaited(0)
    }
}
