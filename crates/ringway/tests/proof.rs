//! News of a death is not proof: what the dead one had is nobody's until the kernel does nothing for it any more.
#![allow(unsafe_code)]

mod support;

use std::{
    fs::{self, File},
    os::{
        fd::{AsFd, AsRawFd},
        unix::{fs::FileExt, process::ExitStatusExt},
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    AttachError, Offer, RecvTimeoutError, Side, Wait,
    layout::CONTROL_LEN,
    spsc::{Options, Receiver, Sender},
};
use support::{PATIENCE, Peer};

/// Where the first message of a ring lies in its memory: behind the segment's header, the control words and its own header.
const FIRST: u64 = 4096 + CONTROL_LEN as u64 + 8;

fn receiver(offer: &Offer) -> Receiver {
    Options::new().wait(Wait::Park { spin: Duration::ZERO }).receiver_at(offer).unwrap()
}

/// Whether this is the news of that sender's death.
fn is_death_of(pid: u32, told: RecvTimeoutError) -> bool {
    matches!(told, RecvTimeoutError::PeerDied(peer) if peer.side == Side::Sender && peer.pid == pid)
}

/// Takes the sender's role, unless `dead` holds it; nothing else is wrong with it.
fn attach(offer: &Offer, dead: u32) -> Option<Sender> {
    match Sender::attach(offer) {
        Ok(tx) => Some(tx),
        Err(AttachError::Held { side: Side::Sender, pid, .. }) if pid == dead => None,
        Err(error) => panic!("{error}"),
    }
}

/// Bytes of the ring into which is read.
const LARGE: usize = 256 << 20;
/// How often one read fills the loan.
const FILLS: usize = 8;
/// What the read begins with; then come zeros.
const BEGUN: u8 = 0x11;

#[test]
#[ignore = "run as a child process"]
fn child_reads_into_a_loan() {
    let offer = Offer::from_env("RING").unwrap();
    let mut tx = Sender::attach(&offer).unwrap();
    let len = tx.max_message();
    let mut loan = tx.loan(len).unwrap();
    // The kernel looks for signals while it reads from a disk's file, and does not while it does from one in memory.
    let source = tempfile::tempfile_in("/dev/shm").unwrap();
    source.set_len((len * FILLS) as u64).unwrap();
    source.write_all_at(&[BEGUN], 0).unwrap();
    let part = libc::iovec { iov_base: loan.as_mut_ptr().cast(), iov_len: len };
    let parts = [part; FILLS];
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        // SAFETY:
        // - each part is the loan, which lasts until the end of this function and has `len` bytes;
        // - nothing else accesses it meanwhile but the kernel, which may write there several times in a row.
        let read = unsafe { libc::preadv(source.as_raw_fd(), parts.as_ptr(), FILLS as libc::c_int, 0) };
        assert!(read > len as isize, "{read}: {}", std::io::Error::last_os_error());
    }
    panic!("nobody has killed this process");
}

#[test]
fn a_loan_into_which_the_kernel_still_reads_is_nobodys_though_its_holder_was_killed() {
    let offer = match Options::new().capacity(LARGE).offer() {
        Ok(offer) => offer,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let memory = File::from(offer.as_fd().try_clone_to_owned().unwrap());
    let byte = |at| {
        let mut byte = [0];
        memory.read_exact_at(&mut byte, at).unwrap();
        byte[0]
    };
    let mut rx = receiver(&offer);
    let mut command = Peer::command("child_reads_into_a_loan");
    offer.give_to(&mut command, "RING").unwrap();
    let sender = Peer::start(&mut command);
    let pid = sender.id();
    let limit = Instant::now() + PATIENCE;
    while byte(FIRST) != BEGUN {
        assert!(Instant::now() < limit, "it does not read");
        thread::yield_now();
    }
    thread::scope(|scope| {
        let gone = scope.spawn(|| sender.kill());
        let told = rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err();
        assert!(is_death_of(pid, told), "{told:?}");
        // What is read now writes over these.
        let marks: Vec<u64> = (1..LARGE as u64 >> 20).map(|n| FIRST + (n << 20)).collect();
        marks.iter().for_each(|&at| memory.write_all_at(&[0xff], at).unwrap());
        let limit = Instant::now() + PATIENCE;
        let mut refused = 0;
        let mut tx = loop {
            match attach(&offer, pid) {
                Some(tx) => break tx,
                None => refused += 1,
            }
            assert!(Instant::now() < limit, "it holds its role for ever");
            thread::sleep(Duration::from_millis(1));
        };
        let late = marks.iter().filter(|&&at| byte(at) == 0).count();
        // The same bytes, since nothing was sent.
        let len = tx.max_message();
        let mut loan = tx.loan(len).unwrap();
        loan.fill(0xaa);
        gone.join().unwrap();
        loan.send();
        let received = rx.recv_timeout(PATIENCE).unwrap();
        let ours = vec![0xaa; 1 << 20];
        let alien = received.chunks(1 << 20).position(|chunk| chunk != &ours[..chunk.len()]);
        assert_eq!((received.len(), alien), (len, None), "what the successor wrote");
        if late == 0 || refused == 0 {
            eprintln!("nothing was read after the news here: {late} marks, {refused} times refused");
        }
    });
}

/// Bytes of memory that are dumped.
const HEAP: usize = 64 << 20;
/// Messages of the one that dumps core.
const MESSAGES: u64 = 100;

#[test]
#[ignore = "run as a child process"]
fn child_dumps_core() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a structure of that kind.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_CORE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_CORE, &limit), 0);
    }
    let offer = Offer::from_env("RING").unwrap();
    let mut tx = Sender::attach(&offer).unwrap();
    let heap = vec![1u8; HEAP];
    let mut loan = tx.loan(16).unwrap();
    let addresses = [heap.as_ptr() as u64 + (HEAP / 2) as u64, loan.as_ptr() as u64];
    loan.copy_from_slice(&addresses.map(u64::to_ne_bytes).concat());
    loan.send();
    (0..MESSAGES).for_each(|number| tx.send(&number.to_ne_bytes()).unwrap());
    std::process::abort();
}

/// Why the kernel writes no core dumps into the directory of a process, if so.
fn cannot_dump() -> Option<String> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.trim().is_empty() || pattern.starts_with(['|', '@']) || pattern.contains('/') {
        return Some(format!("core dumps go to {:?}", pattern.trim()));
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a structure of that kind.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) }, 0);
    (limit.rlim_max < 2 * HEAP as u64).then(|| format!("RLIMIT_CORE is {} at most", limit.rlim_max))
}

/// The bytes of the dump in this directory, 0 if there is none.
fn dumped(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// How many bytes of the mapping at this address a dump has; `None` if it does not know of one there.
///
/// By the program headers of an ELF file of 64 bits: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html>.
fn bytes_of_mapping(dump: &File, address: u64) -> Option<u64> {
    let word = |at: u64| {
        let mut word = [0; 8];
        dump.read_exact_at(&mut word, at).unwrap();
        u64::from_ne_bytes(word)
    };
    let (headers, count) = (word(0x20), word(0x38) & 0xffff);
    (0..count).map(|n| headers + n * 0x38).find_map(|header| {
        let is_loaded = word(header) & 0xffff_ffff == 1;
        let (start, in_file, in_memory) = (word(header + 0x10), word(header + 0x20), word(header + 0x28));
        (is_loaded && (start..start + in_memory).contains(&address)).then_some(in_file)
    })
}

/// A sender that dumps core into this directory when it has sent all.
fn start_dumping(dir: &Path, offer: &Offer) -> Peer {
    let mut command = Peer::command("child_dumps_core");
    command.current_dir(dir);
    offer.give_to(&mut command, "RING").unwrap();
    Peer::start(&mut command)
}

fn take_messages(rx: &mut Receiver) {
    for number in 0..MESSAGES {
        assert_eq!(rx.recv_timeout(PATIENCE).unwrap()[..], number.to_ne_bytes());
    }
}

#[test]
fn who_is_killed_while_it_dumps_core_is_dead_and_all_that_it_sent_comes_first() {
    if let Some(why) = cannot_dump() {
        return eprintln!("skipped: {why}");
    }
    let dir = tempfile::tempdir().unwrap();
    let offer = Options::new().capacity(1 << 20).offer().unwrap();
    let mut rx = receiver(&offer);
    let sender = start_dumping(dir.path(), &offer);
    let pid = sender.id();
    let limit = Instant::now() + PATIENCE;
    while dumped(dir.path()) == 0 {
        assert!(Instant::now() < limit, "it does not dump core");
        thread::yield_now();
    }
    sender.kill();
    assert_eq!(rx.recv_timeout(PATIENCE).unwrap().len(), 16);
    take_messages(&mut rx);
    let told = rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err();
    assert!(is_death_of(pid, told), "{told:?}");
    attach(&offer, pid).expect("it is gone").send(b"of its successor").unwrap();
    assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"of its successor");
}

#[test]
fn who_dumps_core_holds_its_end_until_that_is_done_and_the_ring_is_not_in_the_dump() {
    if let Some(why) = cannot_dump() {
        return eprintln!("skipped: {why}");
    }
    let dir = tempfile::tempdir().unwrap();
    let offer = Options::new().capacity(1 << 20).offer().unwrap();
    let mut rx = receiver(&offer);
    let sender = start_dumping(dir.path(), &offer);
    let pid = sender.id();
    let addresses = rx.recv_timeout(PATIENCE).unwrap().to_vec();
    take_messages(&mut rx);
    // A new kernel tells of the death when the dump is written, an old one before; the role is had when it is written.
    let limit = Instant::now() + PATIENCE;
    let (mut news, mut refused) = (None, 0);
    let mut tx = loop {
        if news.is_none() {
            match rx.recv_timeout(Duration::from_millis(1)).map(|message| message.len()) {
                Err(RecvTimeoutError::Timeout) => {}
                told => news = Some(told.unwrap_err()),
            }
        }
        // Before, it is just about to die.
        if dumped(dir.path()) > 0 || news.is_some() {
            match attach(&offer, pid) {
                Some(tx) => break tx,
                None => refused += 1,
            }
        }
        assert!(Instant::now() < limit, "its death is not told, or it holds its role for ever");
    };
    let at_proof = dumped(dir.path());
    let end = sender.end();
    assert_eq!(at_proof, dumped(dir.path()), "bytes dumped when a successor came, and at last");
    match news {
        Some(news) => assert!(is_death_of(pid, news), "{news:?}"),
        None => eprintln!("the successor came before the news was looked for"),
    }
    tx.send(b"of its successor").unwrap();
    assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"of its successor");
    if refused == 0 {
        eprintln!("the dump was too quick to be looked at");
    }

    if !end.core_dumped() {
        return eprintln!("skipped: the kernel wrote no core dump, though it might have");
    }
    let dump = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    let dump = File::open(dump.path()).unwrap();
    let in_dump = |n: usize| {
        let address = u64::from_ne_bytes(addresses[n * 8..][..8].try_into().unwrap());
        bytes_of_mapping(&dump, address)
    };
    assert!(in_dump(0) >= Some(HEAP as u64), "the heap is dumped: {:?}", in_dump(0));
    assert!(matches!(in_dump(1), None | Some(0)), "the ring is not: {:?}", in_dump(1));
}
