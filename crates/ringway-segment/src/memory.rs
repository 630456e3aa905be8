use std::fmt;

use crate::size::Size;

/// Readable and writable by the owner.
const MODE: u32 = 0o600;
/// Of a mode, what lets others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// How the memory of a segment is to be held, by its creator and by each who joins.
///
/// ```
/// use ringway_segment::{Backend, Memory, Names, Shape};
///
/// let place = Names::new().at(&format!("prices-{}", std::process::id()))?;
/// let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
/// let memory = Memory::new().populate(false).mode(0o660);
/// let (segment, created) = place.open_or_create(&shape, &memory, &mut |_| {})?;
/// # assert!(created);
/// # segment.leave(|_| true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Memory {
    pub(crate) populate: bool,
    pub(crate) lock: bool,
    pub(crate) huge_pages: bool,
    pub(crate) mode: u32,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Populated, not locked, in ordinary pages, the owner's only.
    pub const fn new() -> Memory {
        Memory { populate: true, lock: false, huge_pages: false, mode: MODE }
    }

    /// Whether the page tables are made when the segment is mapped, so that no access has to wait for the kernel
    /// later; default `true`. Without it opening costs less and each first access to a page more. The memory itself
    /// is reserved either way.
    pub const fn populate(mut self, populate: bool) -> Memory {
        self.populate = populate;
        self
    }

    /// Whether the memory is locked for as long as this process has it mapped, so that it is never swapped out and
    /// never waited for; default `false`. Locking populates, and counts against `RLIMIT_MEMLOCK` once: not for the
    /// second image of the data.
    pub const fn lock(mut self, lock: bool) -> Memory {
        self.lock = lock;
        self
    }

    /// Whether a new segment's data is to lie in huge pages of the host's default size; default `false`. Only an
    /// [`Offer`](crate::Offer) can have that, and only if the pool (`vm.nr_hugepages`) has them free. Otherwise
    /// ordinary pages are taken, and `pages` of the offer and the segment says so and why.
    ///
    /// A peer can give pages back to the pool (`FALLOC_FL_PUNCH_HOLE`), as no seal forbids. Whoever joins later takes
    /// them again, or gets an error; but for who is there already, touching them raises SIGBUS if others have taken
    /// them meanwhile.
    pub const fn huge_pages(mut self, huge_pages: bool) -> Memory {
        self.huge_pages = huge_pages;
        self
    }

    /// Who may open a new segment's file, as `chmod` has it, whatever the umask; default 0600. A memfd has no such
    /// thing: who has its descriptor may use it.
    ///
    /// It also says whom one who joins trusts: a file of another user than this one and root is refused, unless this
    /// mode lets others write.
    pub const fn mode(mut self, mode: u32) -> Memory {
        self.mode = mode & 0o777;
        self
    }

    /// Whether the file may be another user's.
    pub(crate) const fn is_for_others(&self) -> bool {
        self.mode & OTHERS_WRITE != 0
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { populate, lock, huge_pages, mode } = self;
        f.debug_struct("Memory")
            .field("populate", populate)
            .field("lock", lock)
            .field("huge_pages", huge_pages)
            .field("mode", &format_args!("{mode:#o}"))
            .finish()
    }
}

/// In what pages a segment's data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pages {
    /// In ordinary ones; others were not asked for.
    Ordinary,
    /// In huge ones.
    Huge {
        /// Bytes of a page.
        size: u64,
    },
    /// In ordinary ones, although huge ones were asked for.
    Instead(NoHugePages),
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pages::Ordinary => f.write_str("ordinary pages"),
            Pages::Huge { size } => write!(f, "huge pages of {}", Size(*size)),
            Pages::Instead(why) => write!(f, "ordinary pages instead of huge ones: {why}"),
        }
    }
}

/// Why a segment that was to have huge pages has none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoHugePages {
    /// Only a segment without a name can have them.
    Backend,
    /// The segment was there already, with ordinary pages.
    Existing,
    /// This kernel has none.
    Unknown,
    /// The data is smaller than a page.
    TooSmall {
        /// Bytes of data.
        capacity: u64,
        /// Bytes of a page.
        page: u64,
    },
    /// The pool has not enough free.
    Pool {
        /// Bytes asked for.
        asked: u64,
        /// Bytes left.
        free: u64,
    },
    /// The kernel refused them for another reason, such as a control group's limit.
    Refused {
        /// What was being done.
        step: &'static str,
        /// Its error number.
        errno: i32,
    },
}

impl fmt::Display for NoHugePages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoHugePages::Backend => f.write_str("what has a name or was lent cannot have them; use an offer"),
            NoHugePages::Existing => f.write_str("the segment was made without; make it anew"),
            NoHugePages::Unknown => f.write_str("this kernel has none"),
            NoHugePages::TooSmall { capacity, page } => write!(
                f,
                "{} of data are less than a page of {}; ask for a larger capacity",
                Size(*capacity),
                Size(*page)
            ),
            NoHugePages::Pool { asked, free } => write!(
                f,
                "{} asked for, {} left in the pool; make it larger (vm.nr_hugepages)",
                Size(*asked),
                Size(*free)
            ),
            NoHugePages::Refused { step, errno } => {
                write!(f, "cannot {step}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_back_says_why_and_what_to_do() {
        let why = NoHugePages::Pool { asked: 4 << 20, free: 2 << 20 };
        let text = Pages::Instead(why).to_string();
        for part in ["ordinary pages instead", "(4 MiB) asked", "(2 MiB) left", "vm.nr_hugepages"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_mode_is_shown_as_people_write_it() {
        assert!(format!("{:?}", Memory::new()).ends_with("mode: 0o600 }"));
    }

    #[test]
    fn only_rights_are_taken_of_a_mode() {
        assert_eq!(Memory::new().mode(0o107_660).mode, 0o660);
        assert!(Memory::new().mode(0o660).is_for_others() && !Memory::new().mode(0o644).is_for_others());
    }
}
