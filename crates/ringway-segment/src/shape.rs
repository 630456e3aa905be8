use std::fmt;

use crate::size::Size;
use crate::sys;

/// The header's page.
pub(crate) const HEADER_PAGE: u64 = 4096;
/// The control area comes in multiples of this.
const CONTROL_GRAIN: u64 = 4096;
/// The most that the control area or the data may be, each.
const MOST: u64 = 1 << 40;

/// What a segment is made of: asked for by its creator, found by those who open it.
///
/// ```
/// use ringway_segment::Shape;
///
/// let shape = Shape { kind: 1, flags: 0, control_len: 8192, capacity: 1 << 16, detail: 0 };
/// assert!(shape.total()? >= 4096 + 8192 + 65536);
/// assert!(Shape { capacity: 1000, ..shape }.total().is_err());
/// # Ok::<(), ringway_segment::Misfit>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What the segment is for, in the caller's numbering.
    pub kind: u32,
    /// The caller's own flags; kept, not interpreted.
    pub flags: u32,
    /// Bytes of control area: a multiple of 4096, at least 4096, at most 2^40.
    pub control_len: u64,
    /// Bytes of data: a power of two, at least one page, at most 2^40.
    pub capacity: u64,
    /// The caller's own number; kept, not interpreted.
    pub detail: u64,
}

impl Shape {
    /// The memory that a segment of this shape takes, in bytes: header, control area, padding and data.
    ///
    /// # Errors
    /// The shape breaks a rule of its fields.
    pub fn total(&self) -> Result<u64, Misfit> {
        Ok(Geometry::of(*self)?.total)
    }
}

/// A number that a segment cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Which field.
    pub field: &'static str,
    /// What it is, in bytes.
    pub found: u64,
    /// What it must be.
    pub rule: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, but must be {}", self.field, Size(self.found), self.rule)
    }
}

impl std::error::Error for Misfit {}

/// A checked [`Shape`] with everything that follows from it on this host.
///
/// Invariants: `data_offset` is a multiple of the page size and at least `HEADER_PAGE + control_len`; `total` is
/// `data_offset + capacity`, or `data_offset` alone if the data is apart; the sum of all is below 2^43, so that no
/// arithmetic on them can overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) shape: Shape,
    /// Where the data is in memory, from the header's first byte.
    pub(crate) data_offset: u64,
    /// Bytes of the file that begins with the header.
    pub(crate) total: u64,
    /// Whether the data is in a file of its own.
    pub(crate) apart: bool,
}

impl Geometry {
    pub(crate) fn of(shape: Shape) -> Result<Geometry, Misfit> {
        Geometry::with_page(shape, sys::page_size())
    }

    /// The same with the data in a file of its own.
    pub(crate) fn apart(shape: Shape) -> Result<Geometry, Misfit> {
        let geometry = Geometry::of(shape)?;
        Ok(Geometry { total: geometry.data_offset, apart: true, ..geometry })
    }

    fn with_page(shape: Shape, page: u64) -> Result<Geometry, Misfit> {
        let misfit = |field, found, rule: String| Err(Misfit { field, found, rule });
        let Shape { control_len, capacity, .. } = shape;
        if control_len == 0 || control_len % CONTROL_GRAIN != 0 || control_len > MOST {
            let rule = format!("a multiple of {CONTROL_GRAIN}, at least that and at most {}", Size(MOST));
            return misfit("control_len", control_len, rule);
        }
        if !capacity.is_power_of_two() || capacity < page || capacity > MOST {
            let rule =
                format!("a power of two, at least one page of {page} bytes and at most {}", Size(MOST));
            return misfit("capacity", capacity, rule);
        }
        let data_offset = (HEADER_PAGE + control_len).next_multiple_of(page);
        Ok(Geometry { shape, data_offset, total: data_offset + capacity, apart: false })
    }

    /// Bytes of memory: header, control area, padding and data.
    pub(crate) fn size(&self) -> u64 {
        self.data_offset + self.shape.capacity
    }

    /// Bytes of address space: the data is there twice.
    pub(crate) fn mapped(&self) -> u64 {
        self.size() + self.shape.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Shape = Shape { kind: 7, flags: 0, control_len: 8192, capacity: 1 << 16, detail: 0 };

    #[test]
    fn data_follows_the_control_area_at_the_next_page() {
        let small = Geometry::with_page(SOUND, 4096).unwrap();
        assert_eq!((small.data_offset, small.total), (12288, 12288 + 65536));
        let large = Geometry::with_page(SOUND, 65536).unwrap();
        assert_eq!((large.data_offset, large.total), (65536, 131072));
        assert_eq!((large.size(), large.mapped()), (65536 * 2, 65536 * 3));
    }

    #[test]
    fn a_capacity_that_is_no_power_of_two_or_out_of_range_is_refused() {
        for capacity in [0, 1, 2048, 4095, 5000, (1 << 40) + 4096, 1 << 41, u64::MAX] {
            let misfit = Geometry::with_page(Shape { capacity, ..SOUND }, 4096).unwrap_err();
            assert_eq!((misfit.field, misfit.found), ("capacity", capacity));
        }
        assert!(Geometry::with_page(Shape { capacity: 4096, ..SOUND }, 65536).is_err());
        assert!(Geometry::with_page(Shape { capacity: 1 << 40, ..SOUND }, 4096).is_ok());
    }

    #[test]
    fn a_capacity_that_cannot_be_is_said_with_what_can() {
        let misfit = Geometry::with_page(Shape { capacity: 50_000_000, ..SOUND }, 4096).unwrap_err();
        assert_eq!(
            misfit.to_string(),
            "capacity is 50000000 bytes (47.6 MiB), but must be a power of two, at least one page of 4096 bytes and at \
             most 1099511627776 bytes (1 TiB)"
        );
    }

    #[test]
    fn a_control_area_that_is_no_multiple_or_out_of_range_is_refused() {
        for control_len in [0, 1, 4095, 6000, (1 << 40) + 4096, u64::MAX, u64::MAX - 4095] {
            let misfit = Geometry::with_page(Shape { control_len, ..SOUND }, 4096).unwrap_err();
            assert_eq!((misfit.field, misfit.found), ("control_len", control_len));
        }
    }
}
