//! `docs/memory-layout.md` says what the code does.

use std::{
    collections::BTreeMap,
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
};

use ringway::{
    Names, Offer, Side,
    layout::{
        self, CONTROL_LEN, FLAG_SLEEPLESS, KIND_SLOTS, KIND_SPSC,
        queue::{self, KIND_QUEUE, LINE_STRIDE, LINES, Parts},
    },
    mpmc,
    spsc::{Options, Sender, slots},
};

const PAGE: &str = include_str!("../../../docs/memory-layout.md");
const HEADER: usize = 4096;

/// The cells of the first table row that starts with `name`.
fn row(name: &str) -> Vec<&'static str> {
    row_in(PAGE, name)
}

/// The same, of a part of the page.
fn row_in(part: &'static str, name: &str) -> Vec<&'static str> {
    part.lines()
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
    let found = words(&offer, data + (1 << 16));
    let golden = golden(PAGE, |_| data);
    assert!(found == golden, "found {found:#x?}\nthe page has {golden:#x?}");
}

/// The words behind the header that are not 0, of the first bytes of what was offered.
fn words(offer: &Offer, len: usize) -> BTreeMap<usize, u64> {
    let file = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let mut found = vec![0; len];
    file.read_exact_at(&mut found, 0).unwrap();
    found
        .chunks(8)
        .enumerate()
        .map(|(n, word)| (n * 8, u64::from_le_bytes(word.try_into().unwrap())))
        .filter(|&(at, word)| at >= HEADER && word != 0)
        .collect()
}

/// The first golden bytes in a part of the page; `begins` says where what is named there begins.
fn golden(part: &'static str, begins: impl Fn(&str) -> usize) -> BTreeMap<usize, u64> {
    let (_, golden) = part.split_once("| word at | golden |").expect("the page has golden bytes");
    let rows = golden.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let at = match cells[0].split_once(" + ") {
            Some((part, at)) => begins(part) + number(at),
            None => number(cells[0]),
        };
        (at, number(cells[1]) as u64)
    })
    .collect()
}

/// What the page says of a queue.
fn queue_page() -> &'static str {
    PAGE.split_once("\n## A queue\n").expect("the page has a queue").1
}

#[test]
fn the_page_has_a_queue_s_words_where_the_code_has_them() {
    use queue::shared;
    let row = |name| row_in(queue_page(), name);
    for (word, at) in [
        ("tail", shared::TAIL),
        ("head", shared::HEAD),
        ("receivers", shared::RECEIVERS),
        ("items", shared::ITEMS),
        ("came", shared::CAME),
        ("dead receiver", shared::DEAD_RECEIVER),
        ("senders", shared::SENDERS),
        ("room", shared::ROOM),
        ("dead sender", shared::DEAD_SENDER),
        ("attached", shared::ATTACHED),
    ] {
        assert_eq!(number(row(word)[1]), HEADER + at, "{word}");
    }
    let lines = number(row("lines")[1]);
    for number_of in [0, 1, LINES - 1] {
        let (line, begin) = (queue::line(number_of), lines + usize::from(number_of) * LINE_STRIDE);
        for (word, at) in [
            ("alive", line.alive),
            ("generation", line.generation),
            ("pid", line.pid),
            ("namespace", line.namespace),
            ("lease", line.lease),
            ("items bell", line.items.bell),
            ("items sleeps", line.items.sleeps),
            ("items rung", line.items.rung),
            ("room bell", line.room.bell),
            ("room sleeps", line.room.sleeps),
            ("room rung", line.room.rung),
        ] {
            assert_eq!(begin + number(row(word)[1]), HEADER + at, "{word} of line {number_of}");
        }
    }
    assert_eq!(row("lines")[2], format!("8192: {LINES} of {LINE_STRIDE}"));
    assert_eq!(number(row("words that all share")[1]), HEADER);
    for slots in [1, 5, 64, 1000, 65536] {
        let parts = Parts::of(slots);
        let (slots, apart) = (slots as usize, |at: usize| at.next_multiple_of(128));
        assert_eq!(HEADER + parts.slots, number(row("slots' words")[1]));
        assert_eq!(parts.losses, apart(parts.slots + number(row("slots' words")[2]) * slots));
        assert_eq!(parts.cells, apart(parts.losses + number(row("losses")[2]) * slots));
        let cells = slots.next_power_of_two();
        assert_eq!(parts.len, (parts.cells + number(row("cells")[2]) * cells).next_multiple_of(4096));
    }
    assert_eq!(
        [
            FLAG_SLEEPLESS,
            queue::FLAG_AT_MOST_ONCE,
            queue::FLAG_OVERWRITES,
            queue::FLAG_SOLE_SENDER,
            queue::FLAG_SOLE_RECEIVER
        ],
        ["bit 0", "bit 2", "bit 3", "bit 4", "bit 5"].map(|flag| {
            assert!(!row(flag)[1].is_empty());
            1 << number(&flag["bit ".len()..])
        })
    );
    assert!(PAGE.contains(&format!("| {KIND_QUEUE}: a queue, many senders, many receivers |")));
    let roles = [queue::role(0), queue::role(LINES - 1), queue::SOLE_SENDER, queue::SOLE_RECEIVER];
    assert_eq!(roles.map(|role| role.index()), [0, 61, 62, 63]);
}

#[test]
fn hot_words_of_a_queue_lie_apart_and_lines_share_no_cache_lines() {
    use queue::shared;
    let apart = [shared::TAIL, shared::HEAD, shared::RECEIVERS, shared::SENDERS, shared::ATTACHED];
    assert!(apart.windows(2).all(|pair| pair[1] - pair[0] >= 128));
    assert!(apart.iter().all(|at| at % 128 == 0 && at / 4096 == 0));
    assert_eq!(
        [shared::ITEMS, shared::CAME, shared::DEAD_RECEIVER].map(|at| at / 128),
        [shared::RECEIVERS / 128; 3]
    );
    assert_eq!([shared::ROOM, shared::DEAD_SENDER].map(|at| at / 128), [shared::SENDERS / 128; 2]);
    for line in (0..LINES).map(queue::line) {
        assert!(line.alive % 128 == 0 && line.room.rung / 128 == line.alive / 128, "{line:?}");
    }
}

#[test]
fn a_queue_is_in_its_file_as_the_page_says() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = mpmc::Options::new().slots(4).slot_size(100).names(Names::in_dir(dir.path()));
    let tx = options.sender("x").unwrap();
    let file = File::open(tx.path().unwrap()).unwrap();
    let word = |at: usize| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at as u64).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let half = |at: usize| (word(at / 8 * 8) >> (at % 8 * 8)) as u32;
    let shared = |name| word(number(row_in(queue_page(), name)[1]));
    let line = |n: usize, name| {
        number(row_in(queue_page(), "lines")[1]) + 128 * n + number(row_in(queue_page(), name)[1])
    };
    let slots = tx.capacity();
    let parts = Parts::of(slots as u32);
    assert_eq!(word(number(row("detail")[1])), (slots as u64) << 32 | 100);
    assert_eq!(half(number(row("kind")[1])), KIND_QUEUE);
    assert_eq!(word(number(row("control_len")[1])), parts.len as u64);
    let capacity = word(number(row("capacity")[1]));
    assert_eq!((capacity, slots), (page_size() as u64, page_size() / 128), "as many slots as fit");
    let data = word(number(row("data_offset")[1])) as usize;
    assert_eq!(data, (HEADER + parts.len).next_multiple_of(page_size()));
    assert_eq!(file.metadata().unwrap().len() as usize, data + page_size());

    let mut loan = tx.loan(5).unwrap();
    loan.copy_from_slice(b"hello");
    loan.set_kind(0xabcd);
    loan.send();
    let rx = options.receiver("x").unwrap();
    assert_eq!((shared("senders"), shared("receivers")), (1 << 63 | 1, 1 << 63 | 2));
    assert_eq!((shared("attached"), shared("came")), (3, 1));
    assert_eq!(half(line(1, "pid")), std::process::id());
    assert_eq!(
        (half(line(1, "alive")) >> 30, half(line(1, "generation")), word(line(1, "lease"))),
        (2, 1, 3)
    );
    let (state, cell) = (|slot| word(HEADER + parts.slots + 16 * slot), word(HEADER + parts.cells));
    let slot = (cell >> 4 & 0xffff) as usize;
    assert_eq!((cell & 0xf, cell >> 20), (1 << 1 | 1, 0), "filled, in the first lap, with use 0");
    assert_eq!(state(slot), 1, "sent by line 0");
    assert_eq!(word(HEADER + parts.slots + 16 * slot + 8), 0xabcd << 32 | 5, "its note");
    assert_eq!(word(data + 128 * slot) as u32, u32::from_ne_bytes(*b"hell"));
    let message = rx.recv().unwrap();
    assert_eq!(state(slot), 1 << 20 | 1 << 4 | 2, "being read by line 1, with use 1");
    message.put_back();
    assert_eq!(state(slot), 1 << 20 | 1 << 4 | 3, "put back by line 1");
    let cell = word(HEADER + parts.cells + 8);
    assert_eq!(cell, 1 << 20 | (slot as u64) << 4 | 1 << 1 | 1, "and in the next cell");
    drop(rx.recv().unwrap());
    assert_eq!(state(slot), 2 << 20, "free, with use 2");
    let loan = tx.loan(1).unwrap();
    assert!((0..slots).any(|slot| state(slot) & 0xfffff == 1), "being written by line 0");
    drop(loan);
    tx.close().unwrap();
    assert_eq!((shared("senders"), shared("attached")), (1 << 63, 2));
    assert_eq!((word(line(0, "lease")), half(line(0, "alive")), half(line(0, "pid"))), (2, 0, 0));
}

#[test]
fn a_small_queue_is_byte_for_byte_as_the_page_has_it() {
    let offer = mpmc::Options::new().slots(1).slot_size(page_size()).offer().unwrap();
    let tx = mpmc::Sender::attach(&offer).unwrap();
    assert_eq!(tx.capacity(), 1);
    let parts = Parts::of(1);
    let mut batch = tx.batch();
    batch.push(b"hello").unwrap();
    batch.push(b"").unwrap();
    batch.send();
    tx.close().unwrap();

    let data = (HEADER + parts.len).next_multiple_of(page_size());
    let found = words(&offer, data + page_size());
    let golden = golden(queue_page(), |part| match part {
        "slots" => HEADER + parts.slots,
        "cells" => HEADER + parts.cells,
        _ => data,
    });
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
