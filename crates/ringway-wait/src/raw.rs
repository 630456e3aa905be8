//! The words as they lie in shared memory: a room with unsafe code.
#![allow(unsafe_code)]

use core::{fmt, ptr::NonNull};

use crate::{
    EventWords, Life, Signs, Whose, Words,
    alive::{self, Watch},
    primitive::{Awaited, Common, Flag, Futex, Wide},
};

/// Where the words of one side lie.
#[derive(Debug, Clone, Copy)]
pub struct SideWords {
    /// See [`Words::asleep`].
    pub asleep: NonNull<u32>,
    /// See [`Words::bell`].
    pub bell: NonNull<u32>,
    /// See [`Words::processor`].
    pub processor: NonNull<u32>,
}

/// The words of two sides, lent by whoever mapped them.
pub struct Lent {
    mine: SideWords,
    peers: SideWords,
    life: Option<Life<LentSigns>>,
}

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically.
unsafe impl Send for Lent {}

impl Lent {
    /// Borrows the words.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all are aligned, valid for reads and (`mine`)
    /// writes, and accessed by everyone as atomic `u32` only.
    #[must_use]
    pub unsafe fn new(mine: SideWords, peers: SideWords) -> Self {
        Self { mine, peers, life: None }
    }

    /// With what tells of the peer's death; without it nothing does.
    #[must_use]
    pub fn with_life(self, life: Life<LentSigns>) -> Self {
        Self { life: Some(life), ..self }
    }

    #[inline(always)]
    fn of(&self, whose: Whose) -> &SideWords {
        match whose {
            Whose::Mine => &self.mine,
            Whose::Peers => &self.peers,
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

impl Words for Lent {
    type Signs = LentSigns;

    #[inline(always)]
    fn asleep(&self, whose: Whose) -> &Flag {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Flag` is a transparent atomic u32.
        unsafe { self.of(whose).asleep.cast().as_ref() }
    }

    #[inline(always)]
    fn bell(&self, whose: Whose) -> &Futex {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Futex` is a transparent atomic u32.
        unsafe { self.of(whose).bell.cast().as_ref() }
    }

    fn processor(&self, whose: Whose) -> &Flag {
        // SAFETY: as in `asleep`.
        unsafe { self.of(whose).processor.cast().as_ref() }
    }

    #[inline(always)]
    fn life(&self) -> Option<&Life<LentSigns>> {
        self.life.as_ref()
    }
}

/// Where the words lie that tell of a side's life.
#[derive(Debug, Clone, Copy)]
pub struct LifeWords {
    /// See [`Signs::alive`].
    pub alive: NonNull<u32>,
    /// See [`Signs::generation`].
    pub generation: NonNull<u32>,
    /// See [`Signs::pid`].
    pub pid: NonNull<u32>,
    /// See [`Signs::namespace`].
    pub namespace: NonNull<u64>,
}

/// The words that tell of a side's life, lent by whoever mapped them, and its holder's process.
#[derive(Debug)]
pub struct LentSigns(LifeWords);

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically.
unsafe impl Send for LentSigns {}
// SAFETY: as above.
unsafe impl Sync for LentSigns {}

impl LentSigns {
    /// Borrows the words.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all are aligned, valid for reads, for the side's holder also
    /// for writes, and accessed by everyone as atomics of their size only.
    #[must_use]
    pub unsafe fn new(words: LifeWords) -> Self {
        Self(words)
    }
}

impl Signs for LentSigns {
    type Watch = Watch;

    fn alive(&self) -> &Futex {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Futex` is a transparent atomic u32.
        unsafe { self.0.alive.cast().as_ref() }
    }

    fn generation(&self) -> &Flag {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Flag` is a transparent atomic u32.
        unsafe { self.0.generation.cast().as_ref() }
    }

    fn pid(&self) -> &Flag {
        // SAFETY: as in `generation`.
        unsafe { self.0.pid.cast().as_ref() }
    }

    fn namespace(&self) -> &Wide {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Wide` is a transparent atomic u64.
        unsafe { self.0.namespace.cast().as_ref() }
    }

    fn watch(&self, pid: u32, namespace: u64) -> Option<Watch> {
        let here = alive::pid_namespace();
        let is_another = pid != std::process::id() && here != 0 && here == namespace;
        if is_another { Watch::new(pid).ok() } else { None }
    }

    fn ended(watch: &Watch) -> bool {
        watch.ended()
    }

    fn end(watch: &Watch) -> Awaited<'_> {
        Awaited::private(watch.word())
    }
}

/// Where the words of one line of an event lie.
#[derive(Debug, Clone, Copy)]
pub struct LineWords {
    /// See [`EventWords::bell`].
    pub bell: NonNull<u32>,
    /// See [`EventWords::sleeps`].
    pub sleeps: NonNull<u64>,
    /// See [`EventWords::rung`].
    pub rung: NonNull<u64>,
}

/// The words of an event, lent by whoever mapped them.
pub struct LentEvent {
    sleepers: NonNull<u64>,
    lines: Vec<LineWords>,
}

// SAFETY: addresses of words that are valid in the whole process and only ever accessed atomically.
unsafe impl Send for LentEvent {}
// SAFETY: as above.
unsafe impl Sync for LentEvent {}

impl LentEvent {
    /// Borrows the words.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives: all are aligned, valid for reads and writes, and accessed by everyone
    /// as atomics of their size only.
    ///
    /// # Panics
    ///
    /// If there are more than [`LINES`](crate::LINES) lines.
    #[must_use]
    pub unsafe fn new(sleepers: NonNull<u64>, lines: Vec<LineWords>) -> Self {
        assert!(lines.len() <= crate::LINES, "{} lines, of which there can be {}", lines.len(), crate::LINES);
        Self { sleepers, lines }
    }
}

impl fmt::Debug for LentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentEvent").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

impl EventWords for LentEvent {
    fn lines(&self) -> usize {
        self.lines.len()
    }

    #[inline(always)]
    fn sleepers(&self) -> &Common {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Common` is a transparent atomic u64.
        unsafe { self.sleepers.cast().as_ref() }
    }

    fn bell(&self, line: usize) -> &Futex {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Futex` is a transparent atomic u32.
        unsafe { self.lines[line].bell.cast().as_ref() }
    }

    fn sleeps(&self, line: usize) -> &Common {
        // SAFETY: as in `sleepers`.
        unsafe { self.lines[line].sleeps.cast().as_ref() }
    }

    fn rung(&self, line: usize) -> &Common {
        // SAFETY: as in `sleepers`.
        unsafe { self.lines[line].rung.cast().as_ref() }
    }
}
