//! What queues of one type carry, where a ring of Ringway's carries bytes.

use std::fmt::Debug;

/// A value made of a message of `N` bytes.
pub(crate) trait Value<const N: usize>: Copy + Debug + Send + 'static {
    /// The value that carries this message.
    fn of(message: &[u8; N]) -> Self;

    /// The message that it carries.
    fn message(&self) -> &[u8];
}

/// A message of at most `N` bytes: what carries as much as a record of a ring does.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct UpTo<const N: usize> {
    len: u64,
    bytes: [u8; N],
}

/// A message of exactly `N` bytes, laid out as so many words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Exactly<const N: usize>([u8; N]);

impl<const N: usize> Value<N> for UpTo<N> {
    #[inline]
    fn of(message: &[u8; N]) -> Self {
        Self { len: N as u64, bytes: *message }
    }

    #[inline]
    fn message(&self) -> &[u8] {
        self.bytes.get(..self.len as usize).unwrap_or_default()
    }
}

impl<const N: usize> Value<N> for Exactly<N> {
    #[inline]
    fn of(message: &[u8; N]) -> Self {
        Self(*message)
    }

    #[inline]
    fn message(&self) -> &[u8] {
        &self.0
    }
}
