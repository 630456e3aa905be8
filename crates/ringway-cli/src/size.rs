//! Sizes as people write them.

/// Bytes of a size such as `65536`, `64K`, `1M`, `2G`.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        t if t.ends_with('K') => (t.len() - 1, 10),
        t if t.ends_with('M') => (t.len() - 1, 20),
        t if t.ends_with('G') => (t.len() - 1, 30),
        t => (t.len(), 0),
    };
    let number: usize = text
        .get(..digits)
        .and_then(|digits| digits.parse().ok())
        .ok_or("not a size: write 65536, 64K, 1M ...")?;
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
        for bad in ["", "K", "1.5M", "-1", "12X", "99999999999G", "é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
