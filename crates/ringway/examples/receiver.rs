//! Receives what `sender` sends, in place, and says what it got.

use std::time::Duration;

use ringway::RecvTimeoutError::{Closed, Timeout};

fn main() -> ringway::Result<()> {
    let mut rx = ringway::spsc::Options::new().receiver("prices")?;
    let (mut count, mut sum) = (0u64, 0u64);
    loop {
        match rx.recv_timeout(Duration::from_secs(1)) {
            Ok(message) => {
                count += 1;
                sum += message.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            }
            Err(Timeout) => eprintln!("quiet"),
            Err(Closed) => {
                println!("{count} messages, sum {sum}");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
