//! Memory of a queue, and messages as bytes.

use core::{fmt, num::NonZeroU32, ptr::NonNull, slice};

use super::{Lent, copy, fetch};
use crate::{
    At, Corrupt, Mem,
    mpmc::{
        Access, Consumer, HEADER, Hint, Line, Loan, MOST_SLOTS, Note, Notes, Packed, Pool, Producer, Taken,
    },
    primitive::{Common, Counter, Ordering, Word},
    spsc::Stores,
};

/// Where a queue's words lie.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// See [`Hint::Tail`].
    pub tail: NonNull<u64>,
    /// See [`Hint::Head`].
    pub head: NonNull<u64>,
    /// The lease of the first line.
    pub leases: NonNull<u64>,
    /// Bytes from one lease to the next, a multiple of 8.
    pub lease_stride: usize,
    /// How many leases there are.
    pub lines: u16,
    /// Two words a slot: its state and its note.
    pub slots: NonNull<u64>,
    /// A word a slot.
    pub losses: NonNull<u64>,
    /// A word a cell: the next power of two of the slots.
    pub cells: NonNull<u64>,
    /// The slots' payloads.
    pub data: NonNull<u8>,
}

/// The sizes of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many slots: 1..=[`MOST_SLOTS`].
    pub slots: u32,
    /// The longest message, in bytes: at most 2³⁰.
    pub size: u32,
    /// Bytes from one slot to the next: a multiple of 64, no less than `size`.
    pub stride: u32,
}

impl Extent {
    /// Bytes of all payloads.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.slots) * u64::from(self.stride)
    }
}

/// A queue's memory, lent by whoever mapped it.
pub struct LentPool {
    places: Places,
    extent: Extent,
    /// Cells minus one.
    mask: u64,
    id: NonZeroU32,
}

// SAFETY: a set of addresses of memory that is valid wherever the process uses it (contract of `new`); all shared words are
// accessed atomically, and payload only by who holds the one loan, or the one taken message, of its slot.
unsafe impl Send for LentPool {}
// SAFETY: as above.
unsafe impl Sync for LentPool {}

/// Views of queues that this process has made.
static POOLS: Counter = Counter::new();

impl LentPool {
    /// Borrows memory for a queue.
    ///
    /// # Panics
    ///
    /// If the extent breaks a rule of its fields.
    ///
    /// # Safety
    ///
    /// For as long as the result, and whatever is made of it, lives:
    /// - all places are valid, aligned words, different ones, for as many slots, cells and lines as there are, and used by everyone as
    ///   atomic `u64` only;
    /// - `data` is aligned to 64 and valid for reads and writes of `slots * stride` bytes;
    /// - nobody in this process makes references into it other than through this crate;
    /// - ends are used as their documentation says: a line has one holder at a time; it is [detached](crate::mpmc::detach), or
    ///   [swept](crate::mpmc::sweep) on proof, when no loan, message or slice that its holder's ends gave is used any more; there is one
    ///   [`Sole`](crate::mpmc::Sole) end of a kind at a time; what is read of a message is read by the note that came with it, and records from
    ///   0 on or from where another one ends;
    /// - what is in the words was written by this crate, or, if not, is not rewritten by others while a slice of a payload is alive: it
    ///   is what says whose a slot is.
    #[must_use]
    pub unsafe fn new(places: Places, extent: Extent) -> Self {
        let Extent { slots, size, stride } = extent;
        assert!((1..=MOST_SLOTS).contains(&slots), "a queue has 1 to 65536 slots");
        assert!(
            size <= stride && stride % 64 == 0 && stride <= 1 << 30,
            "slots are whole lines, up to 1 GiB"
        );
        let mask = u64::from(slots).next_power_of_two() - 1;
        Self { places, extent, mask, id: POOLS.next() }
    }

    /// The sizes.
    #[inline(always)]
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The word so many words behind a place.
    ///
    /// # Safety
    ///
    /// There is one, by the contract of `new`.
    #[inline(always)]
    unsafe fn common(&self, place: NonNull<u64>, index: usize) -> &Common {
        // SAFETY: valid, aligned, only used atomically (contract of `new`); `Common` is a transparent atomic u64.
        unsafe { place.add(index).cast::<Common>().as_ref() }
    }

    #[inline(always)]
    fn checked(&self, slot: u32) -> usize {
        assert!(slot < self.extent.slots, "no such slot");
        slot as usize
    }

    /// Where a slot's payload begins: `stride` bytes are its own.
    #[inline(always)]
    fn payload(&self, slot: u32) -> NonNull<u8> {
        let slot = self.checked(slot);
        // SAFETY: the slot is one of `slots`, and `data` is valid for a stride each.
        unsafe { self.places.data.add(slot * self.extent.stride as usize) }
    }

    /// A record's header, or a word of a payload that nobody has a slice of.
    ///
    /// # Panics
    ///
    /// If it does not lie in the slot, at a multiple of 8.
    #[inline(always)]
    fn header(&self, slot: u32, at: u32) -> &Word {
        assert!(at % HEADER == 0 && at < self.extent.stride, "a record lies in its slot");
        // SAFETY: inside the slot, whose stride is a multiple of 8, and aligned; no slice is ever made of a record's header, and
        // only the slot's owner accesses it; `Word` is a transparent atomic u64.
        unsafe { self.payload(slot).add(at as usize).cast::<Word>().as_ref() }
    }

    /// The first record at `at` or behind it that is not done, in a slot with this note.
    #[inline]
    fn record(&self, slot: u32, note: Note, mut at: u32) -> Result<Option<Packed>, Corrupt> {
        let end = note.len();
        if end > self.extent.size {
            return Err(Corrupt { at: At::Slot { slot }, found: note.0 });
        }
        while at < end {
            // Relaxed: ordered by the cell, as all of the payload.
            let found = self.header(slot, at).load(Ordering::Relaxed);
            let record = Packed::decode(found, slot, at, end);
            let record = record.ok_or(Corrupt { at: At::Slot { slot }, found })?;
            if !record.done {
                return Ok(Some(record));
            }
            at = record.end();
        }
        Ok(None)
    }
}

/// The same view: loans of one are the other's, and what holds for what is made of one (contract of [`LentPool::new`]) holds for both.
impl Clone for LentPool {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl fmt::Debug for LentPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentPool").field("extent", &self.extent).finish_non_exhaustive()
    }
}

impl Pool for LentPool {
    #[inline(always)]
    fn id(&self) -> NonZeroU32 {
        self.id
    }

    #[inline(always)]
    fn slots(&self) -> u32 {
        self.extent.slots
    }

    #[inline(always)]
    fn cells(&self) -> u64 {
        self.mask + 1
    }

    #[inline(always)]
    fn state(&self, slot: u32) -> &Common {
        let slot = self.checked(slot);
        // SAFETY: two words a slot.
        unsafe { self.common(self.places.slots, 2 * slot) }
    }

    #[inline(always)]
    fn note(&self, slot: u32) -> &Word {
        let slot = self.checked(slot);
        // SAFETY: two words a slot; `Word` is a transparent atomic u64.
        unsafe { self.places.slots.add(2 * slot + 1).cast::<Word>().as_ref() }
    }

    fn losses(&self, slot: u32) -> &Common {
        let slot = self.checked(slot);
        // SAFETY: a word a slot.
        unsafe { self.common(self.places.losses, slot) }
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> &Common {
        // SAFETY: a word a cell, and the mask leaves one of them.
        unsafe { self.common(self.places.cells, (position & self.mask) as usize) }
    }

    #[inline(always)]
    fn hint(&self, of: Hint) -> &Common {
        let place = match of {
            Hint::Tail => self.places.tail,
            Hint::Head => self.places.head,
        };
        // SAFETY: the word itself.
        unsafe { self.common(place, 0) }
    }

    #[inline(always)]
    fn will_write(&self, slot: u32) {
        if slot < self.extent.slots {
            fetch::to_write(self.places.slots.as_ptr().wrapping_add(2 * slot as usize));
            fetch::to_write(self.payload(slot).as_ptr());
        }
    }

    #[inline(always)]
    fn will_read(&self, slot: u32) {
        if slot < self.extent.slots {
            fetch::to_write(self.places.slots.as_ptr().wrapping_add(2 * slot as usize));
            fetch::to_read(self.payload(slot).as_ptr());
        }
    }

    #[inline(always)]
    fn will_fill(&self, position: u64) {
        fetch::to_write(self.places.cells.as_ptr().wrapping_add((position & self.mask) as usize));
    }

    fn lease(&self, line: Line) -> &Common {
        assert!(line.0 < self.places.lines, "no such line");
        // SAFETY: a word a line, strides of whole words apart.
        unsafe { self.common(self.places.leases, usize::from(line.0) * (self.places.lease_stride / 8)) }
    }
}

/// What the notes of a queue of bytes say.
impl Notes for LentPool {
    fn again(&self, note: u64) -> u64 {
        Note(note).again().0
    }

    fn messages(&self, slot: u32, note: u64) -> u32 {
        let note = Note(note);
        if !note.is_packed() {
            return 1;
        }
        let (mut at, mut count) = (0, 0);
        // What makes no sense is not received, and not counted.
        while let Ok(Some(record)) = self.record(slot, note, at) {
            count += 1;
            at = record.end();
        }
        count
    }
}

/// What holds a pool: the pool itself, a reference, a counted one.
///
/// # Safety
///
/// Every method of [`Pool`] does what it does for the [`LentPool`] that `as_ref` gives, and that is always the same one: a slice is
/// made of a slot because these words say whose it is.
pub unsafe trait Lends: Pool + AsRef<LentPool> {}

// SAFETY: it is the pool itself.
unsafe impl Lends for LentPool {}
// SAFETY: a reference hands every call on to what it refers to, which keeps to this.
unsafe impl<P: Lends> Lends for &P {}

impl AsRef<LentPool> for LentPool {
    #[inline(always)]
    fn as_ref(&self) -> &LentPool {
        self
    }
}

impl<P: Lends, A: Access> Producer<P, A> {
    #[inline(always)]
    fn place(&self, loan: &Loan) -> NonNull<u8> {
        let pool = self.pool().as_ref();
        assert!(loan.0.is_of(pool.id), "the loan is of another queue");
        pool.payload(loan.slot())
    }

    /// The bytes of a loan, as many as a message may have. They hold whatever was there before.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline(always)]
    #[must_use]
    pub fn payload_mut<'a>(&'a self, loan: &'a mut Loan) -> &'a mut [u8] {
        let len = self.pool().as_ref().extent.size as usize;
        // SAFETY: `size` bytes of the slot are inside `data`. There is one loan of a slot at a time, and no message taken of it
        // meanwhile: that is what its state says, which was changed to this owner's by one operation, and which is not rewritten by
        // others (contract of `LentPool::new`). The loan is this pool's and borrowed mutably as long as the slice lives. Bytes are always
        // initialised: they come from a file.
        unsafe { slice::from_raw_parts_mut(self.place(loan).as_ptr(), len) }
    }

    /// The bytes of a loan, to be read.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline(always)]
    #[must_use]
    pub fn payload<'a>(&'a self, loan: &'a Loan) -> &'a [u8] {
        let len = self.pool().as_ref().extent.size as usize;
        // SAFETY: as in `payload_mut`; a shared borrow of the loan keeps others of this process from writing.
        unsafe { slice::from_raw_parts(self.place(loan).as_ptr(), len) }
    }

    /// Copies a message into a loan.
    ///
    /// # Panics
    ///
    /// If it is too long, or the loan is of another queue.
    #[inline(always)]
    pub fn write(&self, loan: &mut Loan, message: &[u8]) {
        let extent = self.pool().as_ref().extent;
        assert!(message.len() <= extent.size as usize, "the message is longer than a slot");
        let place = self.place(loan);
        let stores = Stores::within::<Lent>(message.len() as u64, extent.bytes());
        // SAFETY: the place is aligned to 64 and has room for so many bytes, rounded up to 8 (a stride is a multiple of 64), which
        // nobody else uses (as in `payload_mut`); nobody in this process has a reference into them, so they do not overlap.
        unsafe { copy::into(place, message, stores) };
    }

    /// Asks for the lines of a loan that will be filled by and by, up to so many bytes.
    ///
    /// # Panics
    ///
    /// If the loan is of another queue.
    #[inline]
    pub fn reach(&self, loan: &mut Loan, len: u32) {
        let (place, size) = (self.place(loan).as_ptr(), self.pool().as_ref().extent.size);
        for at in (0..len.min(size)).step_by(Lent::LINE as usize) {
            fetch::to_write(place.wrapping_add(at as usize));
        }
    }

    /// Adds a message behind those that a loan holds already, which take `len` bytes; how many they take then, or `None` if there is
    /// no room. The loan is to be committed with [`Note::packed`].
    ///
    /// # Panics
    ///
    /// If `len` is not what this gave before, or 0, or the loan is of another queue.
    #[inline]
    pub fn pack(&self, loan: &mut Loan, len: u32, message: &[u8], kind: u16) -> Option<u32> {
        let pool = self.pool().as_ref();
        let at = len.next_multiple_of(HEADER);
        let end = (at as usize).checked_add(HEADER as usize)?.checked_add(message.len())?;
        if end > pool.extent.size as usize {
            return None;
        }
        let place = self.place(loan);
        // Relaxed: nobody else looks before the commit.
        pool.header(loan.slot(), at).store(Packed::header(message.len() as u32, kind), Ordering::Relaxed);
        // SAFETY: from behind the header on there is room for so many bytes, rounded up to 8, inside the slot, and aligned to 8;
        // otherwise as in `write`.
        unsafe { copy::into(place.add((at + HEADER) as usize), message, Stores::Plain) };
        Some(end as u32)
    }
}

impl<P: Lends, A: Access> Consumer<P, A> {
    #[inline(always)]
    fn checked(&self, taken: &Taken) -> &LentPool {
        let pool = self.pool().as_ref();
        assert!(taken.0.is_of(pool.id), "the message is of another queue");
        pool
    }

    /// Takes a slot's lines over, of so many bytes in it, by storing what is there: see [`Mem::own`]. It pays if they are
    /// [as many](Mem::OWNED) as their next writer fetches at once.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    #[inline]
    pub fn own(&self, taken: &mut Taken, len: u32) {
        if Lent::OWNED.contains(&u64::from(len)) {
            self.own_lines(taken, len);
        }
    }

    #[inline(never)]
    fn own_lines(&self, taken: &mut Taken, len: u32) {
        let pool = self.checked(taken);
        for at in (0..len.min(pool.extent.size)).step_by(Lent::LINE as usize) {
            let word = pool.header(taken.slot(), at);
            // Relaxed, both: nobody else uses it before the slot is released.
            word.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The bytes of a message that is alone in its slot, by its note.
    ///
    /// # Errors
    ///
    /// If it cannot be so long.
    ///
    /// # Panics
    ///
    /// If there are several in the slot, or it is of another queue.
    #[inline(always)]
    pub fn payload<'a>(&'a self, taken: &'a Taken, note: Note) -> Result<&'a [u8], Corrupt> {
        let pool = self.checked(taken);
        let len = note.len();
        assert!(!note.is_packed(), "several messages are read one by one");
        if len > pool.extent.size {
            return Err(Corrupt { at: At::Slot { slot: taken.slot() }, found: note.0 });
        }
        // SAFETY: so many bytes of the slot are inside `data`. There is one who has taken it at a time, and no loan of it meanwhile:
        // that is what its state says (as in `Producer::payload_mut`). It is not released while `taken` is borrowed. Bytes are always
        // initialised: they come from a file.
        Ok(unsafe { slice::from_raw_parts(pool.payload(taken.slot()).as_ptr(), len as usize) })
    }

    /// Of several messages in a slot, the first at `at` or behind it that was not released before; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If what is there was written by no participant.
    ///
    /// # Panics
    ///
    /// If the message is of another queue.
    #[inline]
    pub fn record(&self, taken: &Taken, note: Note, at: u32) -> Result<Option<Packed>, Corrupt> {
        self.checked(taken).record(taken.slot(), note, at)
    }

    /// The bytes of one of several messages.
    ///
    /// # Panics
    ///
    /// If it is of another slot, or queue.
    #[inline]
    #[must_use]
    pub fn packed<'a>(&'a self, taken: &'a Taken, record: Packed) -> &'a [u8] {
        let pool = self.checked(taken);
        let (at, len) = ((record.at + HEADER) as usize, record.len as usize);
        assert!(
            record.slot == taken.slot() && at + len <= pool.extent.size as usize,
            "the record is of another slot"
        );
        // SAFETY: inside the slot, as was just checked; otherwise as in `payload`. Headers, which are written meanwhile, are not part
        // of it: a record's payload ends where the next one's begins, or before.
        unsafe { slice::from_raw_parts(pool.payload(taken.slot()).add(at).as_ptr(), len) }
    }

    /// Says that one of several messages was received: it does not come again.
    ///
    /// # Panics
    ///
    /// If it is of another slot, or queue.
    #[inline]
    pub fn done(&self, taken: &Taken, record: Packed) {
        let pool = self.checked(taken);
        assert!(record.slot == taken.slot(), "the record is of another slot");
        // Relaxed: its owner's; ordered by the Release of whoever gives the slot on, or by the proof that its owner has stopped.
        pool.header(taken.slot(), record.at).store(record.done(), Ordering::Relaxed);
    }
}
