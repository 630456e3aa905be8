//! Sends a million numbers; run it beside `receiver`, in either order.

fn main() -> ringway::Result<()> {
    let mut tx = ringway::spsc::Options::new().capacity(1 << 20).sender("prices")?;
    for n in 0..1_000_000u64 {
        let mut message = tx.loan(8)?;
        message.copy_from_slice(&n.to_le_bytes());
        message.send();
    }
    tx.close()
}
