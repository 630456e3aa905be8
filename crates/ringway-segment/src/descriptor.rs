use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use crate::fork::Private;
use crate::role::Role;
use crate::sys::{self, Hold};

/// The byte that everybody attached to a named segment holds shared, and who removes it alone. The roles' bytes
/// lie below.
const PRESENCE: u8 = Role::COUNT;
/// The byte that is held alone by who makes a segment in lent memory, or looks whether there is one.
const MAKING: u8 = Role::COUNT + 1;

/// A descriptor with an open file description of its own, which bears locks.
///
/// Its locks end with it: on drop, or when the last thread of the process has stopped. In a forked child it is
/// closed already and dropping it does nothing (see `fork.rs`).
#[derive(Debug)]
pub(crate) struct Descriptor(Private<File>);

impl Descriptor {
    /// Calls `open`, which makes a new open file description and does not allocate.
    pub(crate) fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Descriptor> {
        Private::make(|| open().map(File::from)).map(Descriptor)
    }

    /// The file. Not to be used when `!self.is_ours()`: the number may be another file's by then.
    pub(crate) fn file(&self) -> &File {
        self.0.get()
    }

    /// Whether this process has made it, and not one that it was forked from.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.is_ours()
    }

    /// Takes a role, `false` if another open file description has it.
    pub(crate) fn try_role(&self, role: Role) -> io::Result<bool> {
        sys::try_lock(self.file(), role.index(), Hold::Alone)
    }

    /// Takes a role back.
    pub(crate) fn give_up_role(&self, role: Role) -> io::Result<()> {
        sys::unlock(self.file(), role.index())
    }

    /// Whether another open file description has a role.
    pub(crate) fn is_role_held(&self, role: Role) -> io::Result<bool> {
        Ok(sys::held(self.file(), role.index())?.is_some())
    }

    /// Says that somebody is here, `false` if somebody wants to be the only one.
    pub(crate) fn try_join(&self) -> io::Result<bool> {
        sys::try_lock(self.file(), PRESENCE, Hold::Shared)
    }

    /// How others are here, `None` if nobody is.
    pub(crate) fn presence(&self) -> io::Result<Option<Hold>> {
        sys::held(self.file(), PRESENCE)
    }

    /// Takes back that somebody is here, or alone here.
    pub(crate) fn part(&self) -> io::Result<()> {
        sys::unlock(self.file(), PRESENCE)
    }

    /// Says that nobody else may make or look for a segment here, `false` if somebody does.
    pub(crate) fn try_make(&self) -> io::Result<bool> {
        sys::try_lock(self.file(), MAKING, Hold::Alone)
    }

    /// Takes that back.
    pub(crate) fn made(&self) -> io::Result<()> {
        sys::unlock(self.file(), MAKING)
    }

    /// Says that nobody else may be here, `false` if somebody is.
    pub(crate) fn try_be_alone(&self) -> io::Result<bool> {
        sys::try_lock(self.file(), PRESENCE, Hold::Alone)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.is_ours() {
            // Closing alone would leave the locks to a child that another thread is just starting and that has not
            // come to its exec. It cannot fail: the file is open and nothing is waited for.
            let _ = sys::unlock_all(self.file());
        }
    }
}
