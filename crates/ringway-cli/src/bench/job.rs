//! What the two sides say to each other, outside the measured time: a line of JSON each.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the parent asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// First of all, of the other process: run on this CPU, and open these, which are told by their names.
    Begin { cpu: Option<usize>, contenders: Vec<String> },
    /// Do the other half of asking, so many rounds.
    Answer { contender: String, size: usize, rounds: u64 },
    /// Do the other half of a stream of so many messages.
    Drain { contender: String, size: usize, count: u64 },
}

/// What the other side replies, once for each job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is done, and has taken this long and this much processor time.
    Done { wall: Duration, cpu: Duration },
    /// It could not, and ends.
    Failed(String),
}

/// One end of the socket they talk through.
#[derive(Debug)]
pub struct Control {
    socket: BufReader<UnixStream>,
}

impl Control {
    /// This end.
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        Self { socket: BufReader::new(socket) }
    }

    /// Says something to the other end.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn tell(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.socket.get_mut().write_all(&line)
    }

    /// The next thing the other says; `None` if there will be none.
    ///
    /// # Errors
    /// It took too long, or says something else.
    pub fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        match self.socket.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
            // It ended before it had read all it was told.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits no longer than `time` for what the other says next.
    ///
    /// # Errors
    /// `time` is zero.
    pub fn wait_at_most(&mut self, time: Duration) -> io::Result<()> {
        self.socket.get_mut().set_read_timeout(Some(time))
    }
}
