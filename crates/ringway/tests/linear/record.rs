//! What a thread has done, on its way to the checker.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use ringway_ring::primitive::Word;

use crate::{
    clock,
    history::{
        Operation,
        What::{self, Nothing, Receive, Send},
    },
};

/// Bits of a message's number; above them is what was done.
const NUMBER: u32 = 48;

/// A thread's operations.
pub(crate) struct Record {
    words: Vec<[u64; 3]>,
    now: Word,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self { words: Vec::with_capacity(1 << 16), now: Word::new(0) }
    }

    /// The time at which an operation begins, or has ended.
    pub(crate) fn time(&self) -> u64 {
        clock::stamp(&self.now)
    }

    pub(crate) fn enter(&mut self, from: u64, to: u64, what: What) {
        let what = match what {
            Send(message) => message,
            Receive(message) => 1 << NUMBER | message,
            Nothing => 2 << NUMBER,
        };
        self.words.push([from, to, what]);
    }

    /// Does something, and enters what that was, if anything.
    pub(crate) fn during<T>(
        &mut self,
        doing: impl FnOnce() -> T,
        what: impl FnOnce(&T) -> Option<What>,
    ) -> T {
        let from = self.time();
        let done = doing();
        let to = self.time();
        if let Some(what) = what(&done) {
            self.enter(from, to, what);
        }
        done
    }

    pub(crate) fn write_to(&self, path: &Path) {
        let mut file = BufWriter::new(File::create(path).unwrap());
        for word in self.words.as_flattened() {
            file.write_all(&word.to_ne_bytes()).unwrap();
        }
        file.flush().unwrap();
    }
}

/// What a thread has written.
pub(crate) fn read(path: &Path) -> Vec<Operation> {
    let bytes = std::fs::read(path).unwrap();
    let operation = |bytes: &[u8]| {
        let mut words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
        let [from, to, what] = std::array::from_fn(|_| words.next().unwrap());
        let message = what & ((1 << NUMBER) - 1);
        let what = match what >> NUMBER {
            0 => Send(message),
            1 => Receive(message),
            _ => Nothing,
        };
        Operation { from, to, what }
    };
    bytes.chunks_exact(24).map(operation).collect()
}
