//! What Ringway is compared with: byte streams that the kernel carries, a pipe and a Unix socket.
//!
//! Both are used the way that suits them best: one write a message, and reads through a buffer, so that
//! one system call may fetch many small messages.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::launch::{Side, inherited};
use super::{CAPACITY, Channel, Message, Result, sys};

const READ_AT_ONCE: usize = 64 << 10;
const PIPE_IN: &str = "RINGWAY_BENCH_PIPE_IN";
const PIPE_OUT: &str = "RINGWAY_BENCH_PIPE_OUT";
const SOCKET: &str = "RINGWAY_BENCH_SOCKET";

/// One side of a stream in each direction.
#[derive(Debug)]
pub(super) struct Stream<R, W> {
    from: BufReader<R>,
    to: W,
    buffer: Vec<u8>,
}

impl<R: Read, W> Stream<R, W> {
    fn new(from: R, to: W) -> Self {
        Self { from: BufReader::with_capacity(READ_AT_ONCE, from), to, buffer: Vec::new() }
    }
}

/// Two pipes, one for each direction.
pub(super) fn pipe(side: &mut Side<'_>) -> io::Result<Stream<File, File>> {
    let (from, to) = match side {
        Side::Parent(launch) => {
            let (from_child, childs_out) = sys::pipe(CAPACITY)?;
            let (childs_in, to_child) = sys::pipe(CAPACITY)?;
            launch.pass(PIPE_IN, childs_in)?;
            launch.pass(PIPE_OUT, childs_out)?;
            (from_child, to_child)
        }
        Side::Child => (inherited(PIPE_IN)?, inherited(PIPE_OUT)?),
    };
    Ok(Stream::new(from.into(), to.into()))
}

/// A pair of connected stream sockets.
pub(super) fn socket(side: &mut Side<'_>) -> io::Result<Stream<UnixStream, UnixStream>> {
    let socket = match side {
        Side::Parent(launch) => {
            let (ours, childs) = UnixStream::pair()?;
            launch.pass(SOCKET, childs.into())?;
            ours
        }
        Side::Child => inherited(SOCKET)?.into(),
    };
    sys::set_send_buffer(socket.as_fd(), CAPACITY);
    Ok(Stream::new(socket.try_clone()?, socket))
}

impl<const N: usize, R: Read + Debug, W: Write + Debug> Channel<N> for Stream<R, W> {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        Ok(self.to.write_all(message.compose())?)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        self.buffer.resize(N, 0);
        self.from.read_exact(&mut self.buffer)?;
        message.check(&self.buffer)
    }
}
