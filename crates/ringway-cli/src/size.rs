//! Sizes as people write and read them.

use std::fmt;

/// Bytes of a size such as `65536`, `64K`, `1M`, `2G`, `1T`.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err("not a size: write 65536, 64K, 1M ...".into()),
    };
    let number: usize = number.parse().map_err(|_| "not a size: write 65536, 64K, 1M ...")?;
    number.checked_mul(1 << shift).ok_or_else(|| "larger than any memory".into())
}

/// Bytes, to a tenth of the largest unit that fits: what changes all the time needs no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rough(pub(crate) u64);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift != 0) else {
            return write!(f, "{} B", self.0);
        };
        let (whole, rest) = (self.0 >> shift, self.0 & ((1 << shift) - 1));
        match (u128::from(rest) * 10) >> shift {
            0 => write!(f, "{whole} {unit}"),
            tenths => write!(f, "{whole}.{tenths} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rough, parse};

    #[test]
    fn rough_sizes_are_cut_off_at_a_tenth() {
        for (bytes, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1535, "1.4 KiB"),
            (64 << 20, "64 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Rough(bytes).to_string(), said);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64K"), Ok(65536));
        assert_eq!(parse("64KiB"), Ok(65536));
        assert_eq!(parse("1m"), Ok(1 << 20));
        assert_eq!(parse("2G"), Ok(2 << 30));
        assert_eq!(parse("1TiB"), Ok(1 << 40));
        for bad in ["", "K", "1.5M", "-1", "+5", "12X", "64IIB", "99999999999G", "99999999999999999999", "é"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
