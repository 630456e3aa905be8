//! `docs/memory-layout.md` says what the code does.

use std::os::unix::fs::FileExt;

use ringway::{
    Names, Side,
    layout::{self, CONTROL_LEN, FLAG_SLEEPLESS, KIND_SPSC},
    spsc::Options,
};

const PAGE: &str = include_str!("../../../docs/memory-layout.md");
const HEADER: usize = 4096;

/// The cells of the first table row that starts with `name`.
fn row(name: &str) -> Vec<&'static str> {
    PAGE.lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
        .find(|cells| cells[0] == name)
        .unwrap_or_else(|| panic!("the page has no row {name:?}"))
}

fn number(cell: &str) -> usize {
    let digits = cell.split([' ', ':']).next().unwrap();
    match digits.strip_prefix("0x") {
        Some(hex) => usize::from_str_radix(hex, 16).unwrap(),
        None => digits.parse().unwrap_or_else(|_| panic!("{cell:?} is no number")),
    }
}

#[test]
fn the_page_has_the_words_where_the_code_has_them() {
    let (sender, receiver) = (Side::Sender.offsets(), Side::Receiver.offsets());
    for (word, sender, receiver) in [
        ("position", sender.position, receiver.position),
        ("asleep", sender.asleep, receiver.asleep),
        ("bell", sender.bell, receiver.bell),
        ("alive", sender.alive, receiver.alive),
        ("processor", sender.processor, receiver.processor),
    ] {
        let cells = row(word);
        assert_eq!((number(cells[1]), number(cells[2])), (HEADER + sender, HEADER + receiver), "{word}");
    }
    for (word, offset) in [("claim", sender.claim), ("oldest", sender.oldest), ("sent", sender.sent)] {
        assert_eq!((number(row(word)[1]), row(word)[2]), (HEADER + offset, ""), "{word}");
        assert_eq!(offset / 128, sender.position / 128, "on the position's lines");
    }
    assert_eq!(number(row("data")[1]), HEADER + CONTROL_LEN);
    assert_eq!(number(row("sender's page")[1]), HEADER);
    assert_eq!(number(row("control_len")[3]), CONTROL_LEN);
    assert_eq!(number(row("kind")[3]), KIND_SPSC as usize);
    assert_eq!(row("flags")[3], "bit 0: no side ever sleeps");
    assert_eq!(FLAG_SLEEPLESS, 1 << 0);
    assert_eq!((Side::Sender.role().index(), Side::Receiver.role().index()), (0, 1));
}

#[test]
fn words_of_a_side_are_apart_and_sides_share_no_page() {
    let offsets = [Side::Sender, Side::Receiver].map(|side| {
        let at = side.offsets();
        [at.position, at.asleep, at.bell, at.alive, at.processor]
    });
    for side in offsets {
        assert!(side.windows(2).all(|pair| pair[1] - pair[0] >= 128), "{side:?}");
        assert!(side.iter().all(|at| at % 128 == 0 && at / 4096 == side[0] / 4096), "{side:?}");
    }
    assert_ne!(offsets[0][0] / 4096, offsets[1][0] / 4096);
}

#[test]
fn a_ring_is_in_its_file_as_the_page_says() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut tx = Options::new().capacity(1 << 16).names(Names::in_dir(dir.path())).sender("x").unwrap();
    let mut loan = tx.loan(5).unwrap();
    loan.copy_from_slice(b"hello");
    loan.set_kind(0xabcd);
    loan.send();

    let file = std::fs::File::open(tx.path().unwrap()).unwrap();
    let bytes = |at: usize, len: usize| {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at as u64).unwrap();
        bytes
    };
    let word = |at: usize| u64::from_ne_bytes(bytes(at, 8).try_into().unwrap()) as usize;
    let half = |at: usize| u32::from_ne_bytes(bytes(at, 4).try_into().unwrap()) as usize;
    let field = |name| number(row(name)[1]);

    assert_eq!(bytes(field("magic"), 8), b"RINGWAY\0");
    assert_eq!(half(field("layout_version")), number(row("layout_version")[3]));
    assert_eq!(half(field("byte_order")), number(row("byte_order")[3]));
    assert_eq!(half(field("kind")), KIND_SPSC as usize);
    assert_eq!(half(field("flags")), 0);
    assert_eq!(word(field("control_len")), CONTROL_LEN);
    let data = word(field("data_offset"));
    assert_eq!(data, (HEADER + CONTROL_LEN).next_multiple_of(page_size()));
    assert_eq!(word(field("capacity")), 1 << 16);
    assert_eq!(word(field("total")), data + (1 << 16));
    assert_eq!(word(field("detail")), number(row("detail")[3]));
    assert_eq!(file.metadata().unwrap().len() as usize, data + (1 << 16));

    assert_eq!(word(data), 1 << 48 | 0xabcd << 32 | 5);
    assert_eq!(bytes(data + 8, 5), b"hello");
    assert_eq!(word(data + 16), 0, "the end of the chain");
    assert_eq!(half(number(row("alive")[1])), std::process::id() as usize);

    tx.close().unwrap();
    assert_eq!(word(number(row("position")[1])), 16);
    assert_eq!(word(number(row("sent")[1])), 1);
    assert_eq!(word(number(row("oldest")[1])), 0);
    let claim = word(number(row("claim")[1]));
    assert!((24..=1 << 16).contains(&claim), "{claim}");
    assert_eq!(word(data + 16), 2 << 48);
    assert_eq!(half(number(row("asleep")[1])), 1 << 31 | 1);
    assert_eq!(half(number(row("alive")[1])), 0);
}

#[test]
fn a_ring_takes_its_capacity_and_at_most_four_pages() {
    for bits in 16..30 {
        let total = layout::shape(1 << bits, false).total().unwrap() as usize;
        assert!(total - (1 << bits) <= 4 * page_size(), "{total}");
    }
}

fn page_size() -> usize {
    // The smallest capacity that is accepted.
    (12..20).map(|bits| 1 << bits).find(|&size| layout::shape(size, false).total().is_ok()).unwrap()
}
