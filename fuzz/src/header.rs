//! Arbitrary bytes as a segment, attached by every way there is.
//!
//! Input: which seals a memfd has, how long the file is, its first bytes, and words that are written over the rest; and
//! seals and length of a second file, where the data is if the header says that it is apart.
//!
//! Claims, whatever is in the file:
//! - an offer made of its descriptors, the file under a name and at a path, and memory that was lent, give `Ok` or `Err`, to use it and to look at it;
//! - what is accepted has the size that its header says, and all of it can be reached;
//! - memory is accepted only if its size is sealed and it can be written;
//! - the ends of a ring that are had of it, of whatever kind, and a tap, give `Ok` or `Err`, too.

use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use arbitrary::{Arbitrary, Result, Unstructured};
use ringway::{
    Backend, Memory, Names, Offer, Place, inspect,
    layout::KIND_SPSC,
    spsc::{
        Options, Receiver, Sender, Tap,
        lossy::{self, Lose},
        slots,
    },
};
use ringway_segment::{Segment, Shape};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::{
    STEPS, Seed, Target,
    memory::{CAPACITY, Mapped, touch, touch_view},
};

/// The target.
pub const TARGET: Target = Target { name: "header", run, seeds };

/// Files are not longer.
const MOST: u32 = 1 << 17;

const SEALS: [SealFlags; 4] = [SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE, SealFlags::FUTURE_WRITE];
/// The seals of a good segment: the first two of `SEALS`.
const SIZE: u8 = 0b0011;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Input {
    /// Bit n: the seal number n of `SEALS`; the upper four for the second file.
    seals: u8,
    len: u32,
    /// Bytes of the second file.
    data_len: u32,
    /// Its first bytes.
    head: Vec<u8>,
    /// Granules, counted from the beginning of the file, and what is written there.
    words: Vec<(u16, u64)>,
}

impl Input {
    fn encode(&self) -> Vec<u8> {
        let mut to = vec![self.seals];
        to.extend(self.len.to_le_bytes());
        to.extend(self.data_len.to_le_bytes());
        to.push(self.head.len() as u8);
        to.extend(&self.head);
        for (granule, word) in &self.words {
            to.extend(granule.to_le_bytes());
            to.extend(word.to_le_bytes());
        }
        to
    }

    /// Writes it to an empty file.
    fn fill(&self, file: &File) {
        let len = u64::from(self.len);
        file.set_len(len).expect("a file has any length");
        let write = |at: u64, bytes: &[u8]| {
            if at < len {
                let bytes = &bytes[..bytes.len().min((len - at) as usize)];
                file.write_all_at(bytes, at).expect("memory has room for a small file");
            }
        };
        write(0, &self.head);
        self.words.iter().for_each(|(granule, word)| write(u64::from(*granule) * 8, &word.to_ne_bytes()));
    }
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let seals = from.arbitrary()?;
        let [len, data_len] = from.arbitrary::<[u32; 2]>()?.map(|len| len % (MOST + 1));
        let head = usize::from(from.arbitrary::<u8>()?).min(from.len());
        let head = from.bytes(head)?.to_vec();
        let mut words = Vec::new();
        while !from.is_empty() && words.len() < STEPS {
            words.push((from.arbitrary()?, from.arbitrary()?));
        }
        Ok(Self { seals, len, data_len, head, words })
    }
}

fn run(input: &[u8]) -> usize {
    let input = Unstructured::new(input).arbitrary().expect("no input is refused");
    offered(&input) + named(&input) + lent(&input)
}

/// New memory with some of the `SEALS`.
fn sealed(seals: u8, fill: impl FnOnce(&File)) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create(c"input", flags).expect("memory has room for a small file"));
    fill(&file);
    for (bit, seal) in SEALS.into_iter().enumerate().filter(|(bit, _)| seals & 1 << bit != 0) {
        fcntl_add_seals(&file, seal).unwrap_or_else(|error| panic!("seal {bit} of new memory: {error}"));
    }
    file.into()
}

/// By descriptors of memory.
fn offered(input: &Input) -> usize {
    let (seals, data_seals) = (input.seals & 0b1111, input.seals >> 4);
    let file = sealed(seals, |file| input.fill(file));
    let data = sealed(data_seals, |file| file.set_len(input.data_len.into()).expect("a file has any length"));
    let Ok(offer) = Offer::from_fds(file, Some(data)) else { return 0 };
    assert_eq!(seals, SIZE, "accepted with other seals");
    let apart = match offer.data_fd() {
        Some(_) => {
            assert_eq!(data_seals, SIZE, "accepted with other seals");
            input.data_len
        }
        None => 0,
    };
    let size = u64::from(input.len) + u64::from(apart);
    assert_size(offer.shape(), size);
    let _ = offer.expect_kind(KIND_SPSC);
    if let Ok(view) = offer.observe() {
        assert_size(view.shape(), size);
        touch_view(&view);
    }
    assert_seen(inspect::offered(&offer).ok());
    let had = look_on(&offer) + hand_over(Sender::attach(&offer).ok(), Receiver::attach(&offer).ok());
    reach(offer.attach(), size) + had + lossy(&offer) + slots::<u64>(&offer) + slots::<[u32; 6]>(&offer)
}

/// By a name, and by the path that it is.
fn named(input: &Input) -> usize {
    let dir = tempfile::tempdir_in("/dev/shm").expect("the shared-memory mount is there");
    let names = Names::in_dir(dir.path());
    let path = names.path_of("x").expect("a good name");
    input.fill(&File::create_new(&path).expect("the directory is empty"));
    let size = input.len.into();
    if let Ok(view) = names.observe("x") {
        assert_size(view.shape(), size);
        touch_view(&view);
    }
    assert_seen(inspect::named(&names, "x").ok());
    assert_eq!(inspect::list(&names).expect("a directory can be read").len(), 1);
    let mut reached = reach(names.open("x", Some(KIND_SPSC)), size) + reach(names.open("x", None), size);
    let shape = Shape { kind: 0, flags: 0, control_len: 4096, capacity: CAPACITY as u64, detail: 0 };
    if let Ok((segment, created)) = names.open_or_create("x", &shape, |_| {}) {
        assert!(!created, "there is one");
        reached += reach(Ok::<_, ()>(segment), size);
    }
    let options = Options::new().names(names).capacity(2 * CAPACITY);
    reached += hand_over(options.sender("x").ok(), options.receiver("x").ok());
    // Who had both ends and left has taken the name away.
    if path.exists() {
        let place = Place::file(&path);
        reached += reach(place.open(None, &Memory::new()), size);
        let options = Options::new();
        reached += hand_over(options.sender_at(&place).ok(), options.receiver_at(&place).ok());
    }
    let _ = fs::remove_file(path);
    reached
}

/// As memory of the caller's, in which the last `CAPACITY` bytes are there twice.
fn lent(input: &Input) -> usize {
    if input.len as usize % CAPACITY != 0 || input.len as usize <= CAPACITY {
        return 0;
    }
    let file = File::from(sealed(SIZE, |file| input.fill(file)));
    let mapped = Mapped::new(&file, input.len as usize);
    let lent = mapped.lend(&file);
    let Ok(segment) = lent.open(None, &Memory::new()) else { return 0 };
    let shape = segment.shape();
    let size = u64::from(input.len) + CAPACITY as u64;
    assert_eq!(shape.total().map(|total| total + shape.capacity), Ok(size), "another size than was lent");
    if shape.capacity != CAPACITY as u64 {
        // What is there twice is not where the header says: the lender's mistake, not the header's.
        return 0;
    }
    let reached = reach(Ok::<_, ()>(segment), input.len.into());
    let options = Options::new();
    reached + hand_over(options.sender_at(&lent).ok(), options.receiver_at(&lent).ok())
}

fn assert_size(shape: Shape, size: u64) {
    assert_eq!(shape.total(), Ok(size), "another size than its header says");
    assert!(shape.control_len + shape.capacity <= size);
}

/// What is said of a ring is what can be.
fn assert_seen(status: Option<inspect::Status>) {
    if let Some(status) = status {
        assert!(status.pending.is_none_or(|pending| pending <= status.capacity));
        assert!(!status.sender.state.is_held() && !status.receiver.state.is_held(), "nobody is there");
    }
}

/// Reaches for the ends of what was attached, if it was.
fn reach<E>(attached: std::result::Result<Segment, E>, size: u64) -> usize {
    attached.map_or(0, |segment| {
        assert_size(segment.shape(), size);
        touch(&segment);
        1
    })
}

/// Takes all there is, and sends something.
fn hand_over(tx: Option<Sender>, rx: Option<Receiver>) -> usize {
    let had = usize::from(tx.is_some()) + usize::from(rx.is_some());
    if let Some(mut rx) = rx {
        let most = rx.capacity() / 8;
        for n in 0.. {
            assert!(n <= most, "more messages than the ring has room for");
            let Ok(message) = rx.try_recv() else { break };
            assert!(message.len() < most * 8);
            std::hint::black_box(message.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        }
    }
    if let Some(mut tx) = tx {
        let _ = tx.try_send(&[1; 100]);
    }
    had
}

/// Sees all there is.
fn look_on(offer: &Offer) -> usize {
    let Ok(mut tap) = Tap::of(offer) else { return 0 };
    let most = tap.capacity() / 8;
    let seen = (0..=most).take_while(|_| tap.try_look().is_ok()).count();
    assert!(seen <= most, "more messages than the ring has room for");
    1
}

/// The same as `hand_over`, with the ends of a ring that loses messages.
fn lossy(offer: &Offer) -> usize {
    let of = |lose| {
        let options = lossy::Options::new(Options::new(), lose);
        let (rx, tx) = (options.receiver_of(offer).ok(), options.sender_of(offer).ok());
        let had = usize::from(tx.is_some()) + usize::from(rx.is_some());
        if let Some(mut rx) = rx {
            let most = rx.capacity() / 8;
            let received = (0..=most).take_while(|_| rx.try_recv().is_ok()).count();
            assert!(received <= most, "more messages than the ring has room for");
        }
        if let Some(mut tx) = tx {
            let _ = tx.send(&[1; 100]);
        }
        had
    };
    of(Lose::Newest) + of(Lose::Oldest)
}

/// The same with the ends of a ring of slots.
fn slots<T: slots::Value>(offer: &Offer) -> usize {
    let (rx, tx) = (slots::Receiver::<T>::attach(offer).ok(), slots::Sender::<T>::attach(offer).ok());
    let had = usize::from(tx.is_some()) + usize::from(rx.is_some());
    if let Some(mut rx) = rx {
        let most = rx.capacity();
        assert!(most * size_of::<T>() <= offer.shape().capacity as usize);
        let received = (0..=most).take_while(|_| rx.try_recv().is_ok()).count();
        assert!(received <= most, "more messages than there are slots");
    }
    if let Some(mut tx) = tx {
        let _ = tx.try_send(&T::new_zeroed());
    }
    had
}

/// The file of a ring of the least size, with what correct ends have left in it.
fn good(options: &Options, work: impl FnOnce(&mut Sender, &mut Receiver)) -> Input {
    let offer = options.clone().capacity(CAPACITY).offer().expect("memory has room for a ring");
    let mut tx = Sender::attach(&offer).expect("a new ring is good");
    let mut rx = Receiver::attach(&offer).expect("a new ring is good");
    work(&mut tx, &mut rx);
    drop((tx, rx));
    left(&offer)
}

/// The same for a ring that loses messages, after so many of some length.
fn good_lossy(lose: Lose, count: u64, len: usize) -> Input {
    let options = lossy::Options::new(Options::new().capacity(CAPACITY), lose);
    let offer = options.offer().expect("memory has room for a ring");
    let mut tx = options.sender_of(&offer).expect("a new ring is good");
    (0..count).for_each(|_| assert!(tx.send(&vec![0; len]).is_ok()));
    drop(tx);
    left(&offer)
}

/// What is in a ring's file.
fn left(offer: &Offer) -> Input {
    let fd = std::os::fd::AsFd::as_fd(offer).try_clone_to_owned().expect("a descriptor can be cloned");
    let file = File::from(fd);
    let len = file.metadata().expect("an open file can be looked at").len();
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).expect("an open file can be read");
    let words = (0..)
        .zip(bytes.chunks(8))
        .map(|(granule, word)| (granule, u64::from_ne_bytes(word.try_into().expect("8 bytes"))));
    let words = words.skip(HEAD / 8).filter(|&(_, word)| word != 0).collect();
    Input { seals: SIZE, len: len as u32, data_len: 0, head: bytes[..HEAD].to_vec(), words }
}

/// Bytes of the header that seeds have in one piece.
const HEAD: usize = 64;
/// Where the header says how large the slots are.
const DETAIL: usize = 56;

fn seeds() -> Vec<Seed> {
    let options = Options::new();
    let new = good(&options, |_, _| {});
    let seed = |name, input: Input| Seed { name, input: input.encode() };
    let with = |at: usize, bytes: &[u8]| {
        let mut input = new.clone();
        input.head[at..at + bytes.len()].copy_from_slice(bytes);
        input
    };
    let of = |shape: Shape| {
        let offer = Offer::create(&shape).expect("memory has room");
        let file = File::from(std::os::fd::AsFd::as_fd(&offer).try_clone_to_owned().expect("can be cloned"));
        let mut head = vec![0; HEAD];
        file.read_exact_at(&mut head, 0).expect("can be read");
        Input {
            seals: SIZE,
            len: shape.total().expect("a good shape") as u32,
            data_len: 0,
            head,
            words: Vec::new(),
        }
    };
    let shape = Shape { kind: KIND_SPSC, flags: 0, control_len: 4096, capacity: CAPACITY as u64, detail: 0 };
    let slots = {
        let options = slots::Options::new().capacity(1);
        let offer = options.offer::<[u32; 6]>().expect("memory has room for a ring");
        let mut tx = options.sender_of::<[u32; 6]>(&offer).expect("a new ring is good");
        (0..9).for_each(|n| tx.try_send(&[n; 6]).expect("room"));
        drop(tx);
        left(&offer)
    };
    let slots_of = |size: u64| {
        let mut input = slots.clone();
        input.head[DETAIL..DETAIL + 8].copy_from_slice(&size.to_ne_bytes());
        input
    };
    let apart = |seals, data_len| {
        // The data offset, and the bytes of the first file.
        let len = new.len - CAPACITY as u32;
        let mut input = Input { seals, len, data_len, ..with(32, &[0; 8]) };
        input.head[48..56].copy_from_slice(&u64::from(len).to_ne_bytes());
        input.words.retain(|(granule, _)| u32::from(*granule) * 8 < len);
        input
    };
    vec![
        seed("ring", new.clone()),
        seed("data-apart", apart(SIZE | SIZE << 4, CAPACITY as u32)),
        seed("bad-data-apart-not-sealed", apart(SIZE, CAPACITY as u32)),
        seed("bad-data-apart-too-short", apart(SIZE | SIZE << 4, CAPACITY as u32 / 2)),
        seed("ring-that-never-sleeps", good(&options.clone().wait(ringway::Wait::Spin), |_, _| {})),
        seed(
            "ring-with-messages",
            good(&options, |tx, _| {
                [0, 5, 64].into_iter().for_each(|len| tx.try_send(&vec![0; len]).expect("room"))
            }),
        ),
        seed(
            "ring-around-the-end",
            good(&options, |tx, rx| {
                for len in [3000, 2000] {
                    drop(rx.try_recv());
                    tx.try_send(&vec![0; len]).expect("room");
                }
            }),
        ),
        seed("ring-full", good(&options, |tx, _| while tx.try_send(&[0; 1000]).is_ok() {})),
        seed("newest-lost", good_lossy(Lose::Newest, 9, 1000)),
        seed("oldest-lost", good_lossy(Lose::Oldest, 99, 100)),
        seed("slots", slots.clone()),
        seed("slots-of-nothing", slots_of(0)),
        seed("slots-of-another-size", slots_of(8)),
        seed("slots-larger-than-the-ring", slots_of(u64::MAX)),
        seed("larger-ring", of(Shape { control_len: 8192, capacity: 1 << 16, ..shape })),
        seed("kind-unknown", of(Shape { kind: 9, ..shape })),
        seed("flags-unknown", of(Shape { flags: 6, control_len: 8192, ..shape })),
        seed("control-area-too-small", of(shape)),
        seed("control-area-too-large", of(Shape { control_len: 1 << 16, ..shape })),
        seed("size-not-sealed", Input { seals: 0, ..new.clone() }),
        seed("size-half-sealed", Input { seals: 1, ..new.clone() }),
        seed("sealed-against-writing", Input { seals: SIZE | 1 << 3, ..new.clone() }),
        seed("bad-empty", Input { seals: SIZE, len: 0, data_len: 0, head: Vec::new(), words: Vec::new() }),
        seed("bad-shorter-than-a-header", Input { len: 4095, ..new.clone() }),
        seed("bad-truncated", Input { len: new.len - 1, ..new.clone() }),
        seed("bad-oversized", Input { len: new.len + 1, ..new.clone() }),
        seed("bad-magic", with(0, b"RINGWAX")),
        seed("bad-layout-version", with(8, &[9])),
        seed("bad-byte-order", with(12, &[1, 2, 3, 4])),
        seed("bad-numbers", with(24, &[0xff; 32])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_was_written() {
        for seed in seeds() {
            let input: Input = Unstructured::new(&seed.input).arbitrary().unwrap();
            assert_eq!(input.encode(), seed.input, "{}", seed.name);
        }
    }
}
