//! The first bytes of a segment.
//!
//! They are written once, before anybody else can see the segment, and read once by each who opens it, with
//! `pread` into a private copy. All checks run on that copy and only what was found there is used afterwards,
//! so it does not matter what a peer later writes over them. The rest of the page is reserved and zero.

use std::mem::offset_of;

use crate::error::HeaderFault;
use crate::shape::{Geometry, HEADER_PAGE, Shape};

/// The version of the layout that this crate writes and reads.
pub const LAYOUT_VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"RINGWAY\0";
const BYTE_ORDER: u32 = 0x0102_0304;

/// The header as it lies in memory, in the byte order of the host.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    layout_version: u32,
    byte_order: u32,
    kind: u32,
    flags: u32,
    control_len: u64,
    data_offset: u64,
    capacity: u64,
    total: u64,
    detail: u64,
}

/// Bytes of the header that have a meaning.
pub(crate) const HEADER_LEN: usize = size_of::<Layout>();

const _: () = assert!(offset_of!(Layout, magic) == 0);
const _: () = assert!(offset_of!(Layout, layout_version) == 8);
const _: () = assert!(offset_of!(Layout, byte_order) == 12);
const _: () = assert!(offset_of!(Layout, kind) == 16);
const _: () = assert!(offset_of!(Layout, flags) == 20);
const _: () = assert!(offset_of!(Layout, control_len) == 24);
const _: () = assert!(offset_of!(Layout, data_offset) == 32);
const _: () = assert!(offset_of!(Layout, capacity) == 40);
const _: () = assert!(offset_of!(Layout, total) == 48);
const _: () = assert!(offset_of!(Layout, detail) == 56);
const _: () = assert!(HEADER_LEN == 64 && HEADER_LEN as u64 <= HEADER_PAGE);

/// A private copy of a header's bytes.
pub(crate) type Bytes = [u8; HEADER_LEN];

/// The header of a segment of this geometry.
pub(crate) fn encode(geometry: &Geometry) -> Bytes {
    let mut bytes = [0; HEADER_LEN];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset_of!(Layout, magic), &MAGIC);
    put(offset_of!(Layout, layout_version), &LAYOUT_VERSION.to_ne_bytes());
    put(offset_of!(Layout, byte_order), &BYTE_ORDER.to_ne_bytes());
    put(offset_of!(Layout, kind), &geometry.shape.kind.to_ne_bytes());
    put(offset_of!(Layout, flags), &geometry.shape.flags.to_ne_bytes());
    put(offset_of!(Layout, control_len), &geometry.shape.control_len.to_ne_bytes());
    put(offset_of!(Layout, data_offset), &recorded_offset(geometry).to_ne_bytes());
    put(offset_of!(Layout, capacity), &geometry.shape.capacity.to_ne_bytes());
    put(offset_of!(Layout, total), &geometry.total.to_ne_bytes());
    put(offset_of!(Layout, detail), &geometry.shape.detail.to_ne_bytes());
    bytes
}

/// Where the data starts in the header's file; 0 if it is in a file of its own.
fn recorded_offset(geometry: &Geometry) -> u64 {
    if geometry.apart { 0 } else { geometry.data_offset }
}

/// Checks a header from the outside in: whose it is, how its numbers are written, which layout they belong to,
/// and last the numbers themselves.
pub(crate) fn decode(bytes: &Bytes) -> Result<Geometry, HeaderFault> {
    if bytes[..MAGIC.len()] != MAGIC {
        return Err(HeaderFault::Magic);
    }
    match word(bytes, offset_of!(Layout, byte_order)) {
        BYTE_ORDER => {}
        other if other == BYTE_ORDER.swap_bytes() => return Err(HeaderFault::ByteOrder),
        _ => return Err(HeaderFault::Magic),
    }
    let found = word(bytes, offset_of!(Layout, layout_version));
    if found != LAYOUT_VERSION {
        return Err(HeaderFault::LayoutVersion(found));
    }
    let data_offset = long(bytes, offset_of!(Layout, data_offset));
    let follow = if data_offset == 0 { Geometry::apart } else { Geometry::of };
    let geometry = follow(Shape {
        kind: word(bytes, offset_of!(Layout, kind)),
        flags: word(bytes, offset_of!(Layout, flags)),
        control_len: long(bytes, offset_of!(Layout, control_len)),
        capacity: long(bytes, offset_of!(Layout, capacity)),
        detail: long(bytes, offset_of!(Layout, detail)),
    })
    .map_err(HeaderFault::Geometry)?;
    if data_offset != recorded_offset(&geometry) {
        return Err(HeaderFault::inconsistent("data_offset", data_offset, geometry.data_offset));
    }
    let total = long(bytes, offset_of!(Layout, total));
    if total != geometry.total {
        return Err(HeaderFault::inconsistent("total", total, geometry.total));
    }
    Ok(geometry)
}

fn word(bytes: &Bytes, at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(field)
}

fn long(bytes: &Bytes, at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry() -> Geometry {
        Geometry::of(Shape {
            kind: 0x0a0b_0c0d,
            flags: 0x55,
            control_len: 8192,
            capacity: 1 << 20,
            detail: 0x0102_0304_0506_0708,
        })
        .unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn header_bytes_are_golden() {
        let offset = geometry().data_offset.to_le_bytes();
        let total = geometry().total.to_le_bytes();
        let mut golden = Vec::new();
        golden.extend_from_slice(b"RINGWAY\0");
        golden.extend_from_slice(&[3, 0, 0, 0]);
        golden.extend_from_slice(&[4, 3, 2, 1]);
        golden.extend_from_slice(&[0x0d, 0x0c, 0x0b, 0x0a]);
        golden.extend_from_slice(&[0x55, 0, 0, 0]);
        golden.extend_from_slice(&[0, 0x20, 0, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(&offset);
        golden.extend_from_slice(&[0, 0, 0x10, 0, 0, 0, 0, 0]);
        golden.extend_from_slice(&total);
        golden.extend_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(encode(&geometry()).as_slice(), golden);
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        assert_eq!(decode(&encode(&geometry())), Ok(geometry()));
    }

    #[test]
    fn data_in_a_file_of_its_own_reads_back_too() {
        let apart = Geometry::apart(geometry().shape).unwrap();
        assert_eq!(decode(&encode(&apart)), Ok(apart));
        assert_eq!(apart.total + apart.shape.capacity, geometry().total);
    }

    #[test]
    fn every_single_wrong_bit_outside_the_callers_own_fields_is_noticed() {
        let good = encode(&geometry());
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            let opaque = (offset_of!(Layout, kind)..offset_of!(Layout, control_len)).contains(&(bit / 8))
                || (offset_of!(Layout, detail)..HEADER_LEN).contains(&(bit / 8));
            assert_eq!(decode(&bad).is_ok(), opaque, "bit {bit}");
        }
    }

    #[test]
    fn the_other_byte_order_is_told_from_garbage() {
        let mut swapped = encode(&geometry());
        swapped[offset_of!(Layout, byte_order)..][..4].reverse();
        assert_eq!(decode(&swapped), Err(HeaderFault::ByteOrder));
        let mut garbage = encode(&geometry());
        garbage[offset_of!(Layout, byte_order)..][..4].copy_from_slice(&[9; 4]);
        assert_eq!(decode(&garbage), Err(HeaderFault::Magic));
    }

    #[test]
    fn another_layout_version_is_named() {
        let mut newer = encode(&geometry());
        newer[offset_of!(Layout, layout_version)..][..4].copy_from_slice(&4u32.to_ne_bytes());
        assert_eq!(decode(&newer), Err(HeaderFault::LayoutVersion(4)));
    }

    #[test]
    fn a_total_that_does_not_follow_from_the_rest_is_named() {
        let mut wrong = encode(&geometry());
        wrong[offset_of!(Layout, total)..][..8].copy_from_slice(&u64::MAX.to_ne_bytes());
        assert_eq!(decode(&wrong), Err(HeaderFault::inconsistent("total", u64::MAX, geometry().total)));
    }
}
