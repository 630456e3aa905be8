//! Sizes as people write them.

/// Bytes of a size such as `65536`, `64K`, `1M`, `2G`.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err("not a size: write 65536, 64K, 1M ...".into()),
    };
    let number: usize = number.parse().map_err(|_| "not a size: write 65536, 64K, 1M ...")?;
    number.checked_mul(1 << shift).ok_or_else(|| "larger than any memory".into())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64K"), Ok(65536));
        assert_eq!(parse("64KiB"), Ok(65536));
        assert_eq!(parse("1m"), Ok(1 << 20));
        assert_eq!(parse("2G"), Ok(2 << 30));
        for bad in ["", "K", "1.5M", "-1", "+5", "12X", "64IIB", "99999999999G", "99999999999999999999", "é"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
