use crate::error::{Error, OpenError};
use crate::memory::Memory;
use crate::segment::Segment;
use crate::shape::Shape;

/// A place where a segment lives, or will: how it is made, found and mapped there.
///
/// | place | is | leaves behind |
/// |---|---|---|
/// | [`Offer`](crate::Offer) | memory without a name, handed from process to process | nothing |
/// | [`Place`](crate::Place) by [`Names::at`](crate::Names::at) | a name in the shared-memory mount | the name, unless the last one out takes it |
/// | [`Place`](crate::Place) by [`Place::file`](crate::Place::file) | a file at any path, on any file system | the file, likewise |
/// | [`Lent`](crate::Lent) | memory that the caller has mapped | the memory, which is the caller's |
/// | `SharedMemory` (feature `shared_memory`) | an object made by the crate `shared_memory` | the object, likewise |
///
/// What holds for each of them, and is tested for each by one suite (`tests/conformance`): a segment is seen whole or
/// not at all; it is zero when new, its memory reserved and its data mapped twice; whoever comes second joins; roles
/// are exclusive and end with their holder; what is not a segment, or one of another kind, is refused; a forked
/// child has no part in it; running out is an error with figures.
///
/// ```
/// use ringway_segment::{Backend, Memory, Offer, Place, Segment, Shape};
///
/// fn open(place: &dyn Backend) -> Result<Segment, ringway_segment::Error> {
///     let shape = Shape { kind: 1, flags: 0, control_len: 4096, capacity: 1 << 16, detail: 0 };
///     Ok(place.open_or_create(&shape, &Memory::new(), &mut |_| {})?.0)
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let file = open(&Place::file(dir.path().join("ring")))?;
/// # file.leave(|_| true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Backend {
    /// Opens the segment that lives here, or creates one of this shape; `true` if it was created.
    ///
    /// `fill` is called with a new segment before anybody else can see it; more than once only if the one it had
    /// filled came too late. One that exists must be of the same kind; its other figures may differ from what was
    /// asked for: look at [`Segment::shape`].
    ///
    /// # Errors
    /// None can be made, or what is here cannot be used.
    fn open_or_create(
        &self,
        shape: &Shape,
        memory: &Memory,
        fill: &mut dyn FnMut(&Segment),
    ) -> Result<(Segment, bool), Error>;

    /// Opens the segment that lives here; of this kind, if one is given.
    ///
    /// # Errors
    /// There is none, or what is here cannot be used.
    fn open(&self, kind: Option<u32>, memory: &Memory) -> Result<Segment, OpenError>;
}
