//! `docs/memory-layout.md` says what the code does.

use std::{
    collections::BTreeMap,
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
};

use ringway::{
    Names, Side,
    layout::{self, CONTROL_LEN, FLAG_SLEEPLESS, KIND_SLOTS, KIND_SPSC},
    spsc::{Options, Sender, slots},
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
        ("number", sender.number, receiver.number),
        ("asleep", sender.asleep, receiver.asleep),
        ("bell", sender.bell, receiver.bell),
        ("alive", sender.alive, receiver.alive),
        ("processor", sender.processor, receiver.processor),
    ] {
        let cells = row(word);
        assert_eq!((number(cells[1]), number(cells[2])), (HEADER + sender, HEADER + receiver), "{word}");
    }
    for (word, offset) in [("claim", sender.claim), ("oldest", sender.oldest), ("sent", sender.sent)] {
        let cells = row(word);
        assert_eq!((number(cells[1]), cells[2]), (HEADER + offset, ""), "{word}, of the sender alone");
    }
    let taken = row("taken");
    assert_eq!((taken[1], number(taken[2])), ("", HEADER + receiver.taken), "of the receiver alone");
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
        [at.position, at.asleep, at.bell, at.alive, at.processor, at.taken]
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
    assert_eq!(half(number(row("pid")[1])), std::process::id() as usize);
    assert_eq!(half(number(row("generation")[1])), 1);
    assert_eq!(half(number(row("alive")[1])) >> 30, 2, "held, and not dead");

    let [position, taken] = ["position", "taken"].map(|word| number(row(word)[2]));
    let mut rx = Options::new().names(Names::in_dir(dir.path())).receiver("x").unwrap();
    let message = rx.recv().unwrap();
    assert_eq!((word(position), word(taken)), (0, 16), "taken, not released");
    message.put_back();
    assert_eq!((word(position), word(taken)), (0, 0), "put back");
    drop(rx);

    tx.close().unwrap();
    assert_eq!(word(number(row("position")[1])), 16);
    assert_eq!(word(number(row("sent")[1])), 1);
    assert_eq!(word(number(row("oldest")[1])), 0);
    let claim = word(number(row("claim")[1]));
    assert!((24..=1 << 16).contains(&claim), "{claim}");
    assert_eq!(word(data + 16), 2 << 48);
    assert_eq!(half(number(row("asleep")[1])), 1 << 31 | 1);
    assert_eq!(half(number(row("alive")[1])), 0);
    assert_eq!(half(number(row("pid")[1])), 0);
}

#[test]
fn a_ring_of_slots_is_in_its_file_as_the_page_says() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = slots::Options::new().capacity(100).names(Names::in_dir(dir.path()));
    let mut tx = options.sender::<[u8; 12]>("x").unwrap();
    let mut rx = options.receiver::<[u8; 12]>("x").unwrap();
    (1..=3).for_each(|n| tx.send(&[n; 12]).unwrap());
    drop(rx.recv().unwrap());

    let file = std::fs::File::open(tx.path().unwrap()).unwrap();
    let bytes = |at: usize, len: usize| {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at as u64).unwrap();
        bytes
    };
    let word = |at: usize| u64::from_ne_bytes(bytes(at, 8).try_into().unwrap());
    assert!(PAGE.contains(&format!("| {KIND_SLOTS}: single-producer, single-consumer ring of slots |")));
    assert_eq!(word(number(row("kind")[1])), u64::from(KIND_SLOTS));
    assert_eq!(word(number(row("detail")[1])), 12);
    assert_eq!(word(number(row("control_len")[1])) as usize, CONTROL_LEN);
    let data = word(number(row("data_offset")[1])) as usize;
    (0..3).for_each(|n| assert_eq!(bytes(data + 16 * n, 12), [n as u8 + 1; 12]));
    let [sender, receiver] = [1, 2].map(|side| number(row("position")[side]));
    let taken = number(row("taken")[2]);
    assert_eq!((word(sender), word(receiver), word(taken)), (48, 16, 16));
    let message = rx.recv().unwrap();
    assert_eq!((word(receiver), word(taken)), (16, 32), "taken, not released");
    message.put_back();
    assert_eq!((word(receiver), word(taken)), (16, 16), "put back");
    assert_eq!(
        row("sender's position")[1],
        "bits 1–63: all before this is published; it never lags. Bit 0: closed"
    );
    tx.close().unwrap();
    assert_eq!(word(sender), 48 | 1);
}

#[test]
fn how_far_a_side_has_come_is_on_one_pair_of_lines() {
    for at in [Side::Sender, Side::Receiver].map(Side::offsets) {
        assert!([at.claim, at.oldest, at.sent, at.number].iter().all(|word| word / 128 == at.position / 128));
    }
}

#[test]
fn the_sender_claims_before_it_writes_and_shows_its_position_when_it_needs_more() {
    const CAPACITY: usize = 1 << 16;
    let offer = Options::new().capacity(CAPACITY).offer().unwrap();
    let file = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let word = |offset: usize| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, (HEADER + offset) as u64).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let at = Side::Sender.offsets();
    let mut tx = Sender::attach(&offer).unwrap();
    let (mut sent, mut shown) = (0, 0);
    while tx.try_send(&[7; 56]).is_ok() {
        sent += 1;
        let (position, claim) = (word(at.position), word(at.claim));
        assert!(claim >= 64 * sent + 8, "written beyond the claim");
        assert!(claim <= CAPACITY as u64, "more is claimed than is free");
        assert!(position <= 64 * sent && 64 * sent - position <= CAPACITY as u64 / 16 + 72, "lags too far");
        assert_eq!(word(at.sent) * 64, position, "count and position are of one time");
        shown = shown.max(position);
    }
    assert_eq!((word(at.position), word(at.sent)), (64 * sent, sent), "full: all is shown");
    assert!(shown < 64 * sent, "is not shown with every message");
}

#[test]
fn a_small_ring_is_byte_for_byte_as_the_page_has_it() {
    let offer = Options::new().capacity(1 << 16).offer().unwrap();
    let mut tx = Sender::attach(&offer).unwrap();
    let mut loan = tx.loan(5).unwrap();
    loan.copy_from_slice(b"hello");
    loan.set_kind(0xabcd);
    loan.send();
    tx.send(&[]).unwrap();
    tx.close().unwrap();

    let data = (HEADER + CONTROL_LEN).next_multiple_of(page_size());
    let file = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let mut found = vec![0; data + (1 << 16)];
    file.read_exact_at(&mut found, 0).unwrap();
    let found: BTreeMap<usize, u64> = found
        .chunks(8)
        .enumerate()
        .map(|(n, word)| (n * 8, u64::from_le_bytes(word.try_into().unwrap())))
        .filter(|&(at, word)| at >= HEADER && word != 0)
        .collect();

    let (_, golden) = PAGE.split_once("| word at | golden |").expect("the page has golden bytes");
    let golden: BTreeMap<usize, u64> = golden
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let at =
                cells[0].strip_prefix("data + ").map_or_else(|| number(cells[0]), |at| data + number(at));
            (at, number(cells[1]) as u64)
        })
        .collect();
    assert!(found == golden, "found {found:#x?}\nthe page has {golden:#x?}");
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
