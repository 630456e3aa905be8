use std::fmt;

/// So many bytes, as errors say them: exactly, and from 1 KiB on also in the unit that fits, cut off at a tenth.
///
/// ```
/// use ringway_segment::Size;
///
/// assert_eq!(Size(1000).to_string(), "1000 bytes");
/// assert_eq!(Size(64 << 20).to_string(), "67108864 bytes (64 MiB)");
/// assert_eq!(Size(50_000_000).to_string(), "50000000 bytes (47.6 MiB)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size(bytes) = *self;
        write!(f, "{bytes} {}", if bytes == 1 { "byte" } else { "bytes" })?;
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| bytes >> shift != 0) else {
            return Ok(());
        };
        let rest = u128::from(bytes & ((1 << shift) - 1));
        match (rest * 10) >> shift {
            0 => write!(f, " ({} {unit})", bytes >> shift),
            tenths => write!(f, " ({}.{tenths} {unit})", bytes >> shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn figures_are_exact_and_also_in_the_unit_that_fits() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1024 bytes (1 KiB)"),
            (1535, "1535 bytes (1.4 KiB)"),
            ((64 << 20) + 1, "67108865 bytes (64 MiB)"),
            (1 << 40, "1099511627776 bytes (1 TiB)"),
            (u64::MAX, "18446744073709551615 bytes (16777215.9 TiB)"),
        ] {
            assert_eq!(Size(bytes).to_string(), said);
        }
    }
}
