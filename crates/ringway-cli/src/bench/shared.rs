//! The memory under the floors: a few words, each alone on its line, and a block for bulk.
//!
//! | bytes | what | written by |
//! |---|---|---|
//! | 0, 128, 256, 640 | `turn[0, 1, 2, 5]`: one line that both processes write in turn | both, alternately |
//! | 384, 512 | `turn[3, 4]`: a line that one process writes and the other watches | the parent, the child |
//! | 768, 896 | `bell[side]`: a futex word | that side; its heir once it is dead |
//! | 1024 | `gone`: 1 once the other side has ended | its heir; of a thread, the thread or who hangs up on it |
//! | 4096 … | the block | the one whose turn `turn[2]` or `turn[5]` says it is |
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "this is where the harness declares the words it shares")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use super::sys;

/// Bytes that [`Contender::Memcpy`](super::Contender::Memcpy) copies at once.
pub const BLOCK: usize = 64 << 10;
const BLOCK_AT: usize = 4096;

#[repr(C, align(128))]
struct Alone<T>(T);

#[repr(C)]
struct Words {
    turn: [Alone<AtomicU64>; 6],
    bell: [Alone<AtomicU32>; 2],
    gone: Alone<AtomicU32>,
}

const _: () = assert!(size_of::<Words>() <= BLOCK_AT);

/// One process's mapping of the memory.
#[derive(Debug)]
pub(super) struct Shared {
    map: MmapRaw,
}

impl Shared {
    /// Makes the memory, all zero, and maps it.
    pub(super) fn create() -> io::Result<(Self, File)> {
        let file = sys::memfd((BLOCK_AT + BLOCK) as u64)?;
        Ok((Self::open(&file)?, file))
    }

    /// Maps the memory that [`create`](Self::create) has made.
    pub(super) fn open(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() < (BLOCK_AT + BLOCK) as u64 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(Self { map: MmapOptions::new().len(BLOCK_AT + BLOCK).map_raw(file)? })
    }

    fn words(&self) -> &Words {
        // SAFETY:
        // - the mapping is page-aligned, longer than `Words` and lives as long as `self`;
        // - the file behind it is that long, was made by this program and is never truncated;
        // - `Words` is atomics only: any bytes are valid, and others may write them under a `&`.
        unsafe { &*self.map.as_ptr().cast::<Words>() }
    }

    /// The line of this number, 0 to 5.
    pub(super) fn turn(&self, line: usize) -> &AtomicU64 {
        &self.words().turn[line].0
    }

    /// The futex word of this side, 0 or 1.
    pub(super) fn bell(&self, side: usize) -> &AtomicU32 {
        &self.words().bell[side].0
    }

    /// Whether the other process is known to have ended.
    pub(super) fn gone(&self) -> bool {
        // Relaxed: nothing is read on the strength of it.
        self.words().gone.0.load(Ordering::Relaxed) != 0
    }

    /// Says that the process whose side is `side` has ended, to whoever waits here.
    pub(super) fn set_gone(&self, side: usize) {
        self.words().gone.0.store(1, Ordering::Relaxed);
        // Release: pairs with the Acquire load of the bell in `Futex::receive`, which then sees `gone`.
        self.bell(side).fetch_xor(1 << 31, Ordering::Release);
        sys::futex_wake(self.bell(side));
    }

    /// Copies `from` into the block.
    ///
    /// # Safety
    /// The other process touches the block neither now nor until it is told to.
    pub(super) unsafe fn fill(&self, from: &[u8; BLOCK]) {
        // SAFETY: the block is `BLOCK` bytes inside the mapping, apart from private memory; the caller
        // vouches that nobody else touches it.
        unsafe { self.block().copy_from_nonoverlapping(from.as_ptr(), BLOCK) };
    }

    /// Copies the block into `to`.
    ///
    /// # Safety
    /// As for [`fill`](Self::fill).
    pub(super) unsafe fn copy(&self, to: &mut [u8; BLOCK]) {
        // SAFETY: as in `fill`, the other way.
        unsafe { self.block().copy_to_nonoverlapping(to.as_mut_ptr(), BLOCK) };
    }

    fn block(&self) -> *mut u8 {
        // SAFETY: the mapping is `BLOCK_AT + BLOCK` bytes long.
        unsafe { self.map.as_mut_ptr().add(BLOCK_AT) }
    }
}
