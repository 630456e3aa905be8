//! The `ringway` command.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use ringway_cli::{bench, clean, doctor, exit::Failure, get, ls, put, recv, send, stat, stream};

/// Messages between processes through shared memory.
#[derive(Debug, Parser)]
#[command(
    name = "ringway",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 timed out, 4 peer died, 5 corrupt, \
                  6 not permitted, 7 not found."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Options),
    /// Copies standard input into a ring, as a stream of bytes.
    ///
    /// Either side may start first. At the end of the input the ring is closed, and `ringway get` ends when it has
    /// received everything. This ends with 0 once all is in the ring, received or not. If one of the two is
    /// killed, the other says so and ends with 4.
    Put(stream::Options),
    /// Copies a ring to standard output, as a stream of bytes, until `ringway put` has ended.
    ///
    /// Either side may start first.
    Get(stream::Options),
    /// Sends the lines of standard input to a queue, one line, one message; any number of these may run at once.
    ///
    /// Either side may start first. A message has any bytes but the newline, and may be empty. A line is sent as soon as it was
    /// read. This ends with 0 once all is in the queue, received or not. If it fails, it says which line was the first that was
    /// not sent.
    Send(send::Options),
    /// Receives messages of a queue, and writes each and a newline to standard output; any number of these may run at once.
    ///
    /// Either side may start first. Each message goes to one of those that receive. This ends with 0 when all senders have left
    /// and nothing more is there, or after as many messages as --count says. If the last sender was killed, it says so, after
    /// what was sent, and ends with 4. What it had received and not written when it is killed another one receives. If the
    /// output cannot be written, what was not stays in the queue.
    Recv(recv::Options),
    /// Shows the rings and queues that are there, one a line: name, capacity, what is pending, both ends, and whether nobody is
    /// attached.
    ///
    /// Looking changes nothing, and nobody notices. What has a ring's name and is none, or may not be read, is named on
    /// standard error.
    Ls(ls::Options),
    /// Shows how a ring does, or a queue.
    ///
    /// Of a queue it says who takes part, and who has how many of its slots.
    ///
    /// Looking changes nothing, and nobody notices.
    Stat(stat::Options),
    /// Removes what is left of rings and queues that nobody is attached to, and never one that somebody is.
    ///
    /// Whether anybody is attached is the kernel's word. Rings come to be left behind when processes are killed. What a
    /// sender that died has sent, and nobody received, goes with its ring, unless --keep-messages is said; what a sender
    /// that left in good order has sent waits for a receiver, and its ring is kept, unless --all is said; of a queue's senders the
    /// last one to go counts. Each name gets
    /// a line: removed, in use and by whom, kept, or left alone, because it is no ring or another user's. Ends with 0
    /// if that is done, also if there was nothing to do. Any number of these may run at once.
    Clean(clean::Options),
    /// Says what this host gives for rings and what it lacks: kernel, mount of names, limits, huge pages, processors.
    ///
    /// Calls of the kernel are tried, for a sandbox may forbid them; nothing of it is left. Each finding is good, worse
    /// (Ringway works, with something lost), missing (rings do not work, at least those with names or those without) or
    /// unknown (the host does not tell); what is not good says what that means and how to mend it. Ends with 0 if
    /// Ringway can work, with 1 if something is missing that it cannot do without.
    Doctor(doctor::Options),
}

fn main() -> ExitCode {
    bench::serve_if_child();
    let done = match Cli::parse().command {
        Command::Bench(options) => bench::run(options).map_err(Failure::from),
        Command::Put(options) => put::run(&options),
        Command::Get(options) => get::run(&options),
        Command::Send(options) => send::run(&options),
        Command::Recv(options) => recv::run(&options),
        Command::Ls(options) => ls::run(&options),
        Command::Stat(options) => stat::run(&options),
        Command::Clean(options) => clean::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "ringway: {failure}");
            failure.code()
        }
    }
}
