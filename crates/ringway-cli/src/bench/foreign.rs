//! Contenders that the harness does not know by itself.
//!
//! The harness measures Ringway, floors, and what the kernel offers; whoever wants to see something else beside them
//! brings it along, so that the `ringway` command depends on none of it. A foreign contender runs in the same slices, on the
//! same two CPUs, with the same messages, either between the two processes or, where it can do no more, between two
//! threads of the measuring one.

use std::sync::Arc;

use serde::Serialize;

use super::launch::Side;
use super::shared::Shared;
use super::{Carrier, Error, Result, Waiting};

/// What is brought along: see the `open` of [`Opener`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub struct Foreign {
    /// What tables call it. No other contender may have this name.
    pub name: &'static str,
    /// What its sides do while they wait.
    pub waiting: Waiting,
}

impl From<Foreign> for &'static str {
    fn from(foreign: Foreign) -> Self {
        foreign.name
    }
}

/// A foreign contender, and how its sides come to be.
#[derive(Clone, Copy, Debug)]
pub struct Opener {
    /// Who it is.
    pub foreign: Foreign,
    /// How it is opened.
    pub open: Open,
}

/// How the sides of a foreign contender come to be.
#[derive(Clone, Copy, Debug)]
pub enum Open {
    /// Between processes: each opens its side, the asking one first.
    Processes(fn(&mut Place<'_>) -> Result<Box<dyn Carrier>>),
    /// Between threads of the measuring process: it opens both sides, the asking one first.
    Threads(fn(&Watch) -> Result<BothSides>),
}

/// Both sides of a contender between threads, the one that asks first.
pub type BothSides = [Box<dyn Carrier + Send>; 2];

/// Where a side of a foreign contender is opened.
#[derive(Debug)]
pub struct Place<'a> {
    pub(super) side: Side<'a>,
    pub(super) watch: Watch,
}

impl Place<'_> {
    /// 0 in the process that asks, 1 in the one that answers.
    #[must_use]
    pub fn number(&self) -> usize {
        self.side.number()
    }

    /// A text that both sides know: the process that asks makes it, and it is passed on under `key`, the name of an
    /// environment variable.
    ///
    /// # Errors
    /// The system has no such variable to give.
    pub fn agree(&mut self, key: &str, make: impl FnOnce() -> String) -> Result<String> {
        match &mut self.side {
            Side::Parent(launch) => {
                let text = make();
                launch.tell(key, &text);
                Ok(text)
            }
            Side::Child => std::env::var(key).map_err(Error::other),
        }
    }

    /// What tells a waiting side that the other one has ended.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

/// What tells a waiting side that the other one has ended.
#[derive(Clone, Debug)]
pub struct Watch(pub(super) Arc<Shared>);

impl Watch {
    /// Looks, with a spin hint between two looks as a ring does, until there is something.
    ///
    /// # Errors
    /// The other side has ended.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "waits for what no model replaces")]
    pub fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        const LOOKS: u32 = 1024;
        loop {
            for _ in 0..LOOKS {
                if let Some(found) = look() {
                    return Ok(found);
                }
                std::hint::spin_loop();
            }
            if self.ended() {
                return Err(Error::Gone);
            }
        }
    }

    /// Whether the other side is known to have ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.0.gone()
    }
}
