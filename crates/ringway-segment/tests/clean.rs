//! What is dead is removed, and what is alive never is, however many clean, come, go and die at once.
#![allow(unsafe_code)]

mod common;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{KIND, Running, await_line, in_forked_child, is_child, names, program, say, shape, word};
use ringway_segment::{CleanError, Cleaned, Names, OpenError, Segment};

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    files
}

/// A segment that nobody is attached to.
fn dead(names: &Names, name: &str) {
    drop(names.open_or_create(name, &shape(), |_| {}).unwrap());
}

#[test]
fn a_name_that_nobody_is_attached_to_is_removed() {
    let (directory, names) = names();
    dead(&names, "x");
    let Cleaned::Removed(view) = names.clean("x", |_| true).unwrap() else { panic!("not removed") };
    assert_eq!((view.shape(), view.path()), (shape(), Some(names.path_of("x").unwrap().as_path())));
    assert_eq!(files(directory.path()), Vec::<String>::new());
    assert!(matches!(names.clean("x", |_| true), Err(CleanError::NotFound { .. })));
}

#[test]
fn a_name_that_somebody_is_attached_to_stays_until_the_last_of_them_is_killed() {
    let (directory, names) = names();
    let ours = names.open_or_create("x", &shape(), |_| {}).unwrap().0;
    let mut child = Running::start(program("child_attaches").env("RINGWAY_TEST_DIR", directory.path()));
    assert_eq!(child.hear(), "attached");
    let in_use = || matches!(names.clean("x", |_| panic!("somebody is there")).unwrap(), Cleaned::InUse(_));
    assert!(in_use());
    drop(ours);
    assert!(in_use());
    child.kill();
    assert!(matches!(names.clean("x", |_| true).unwrap(), Cleaned::Removed(_)));
}

#[test]
#[ignore = "run by another test"]
fn child_attaches() {
    if is_child() {
        let names = Names::in_dir(std::env::var_os("RINGWAY_TEST_DIR").unwrap());
        let _segment = names.open("x", Some(KIND)).unwrap();
        say("attached");
        await_line();
    }
}

#[test]
fn what_is_wanted_stays() {
    let (_directory, names) = names();
    dead(&names, "x");
    assert!(matches!(names.clean("x", |_| false).unwrap(), Cleaned::Kept(_)));
    // Wanted only when it is certain that nobody is there.
    let mut asked = 0;
    let cleaned = names.clean("x", |_| {
        asked += 1;
        asked == 1
    });
    assert!(matches!(cleaned.unwrap(), Cleaned::Kept(_)) && asked == 2);
    // And nothing is held afterwards.
    names.open("x", Some(KIND)).unwrap().leave(|_| true);
    assert!(!names.path_of("x").unwrap().exists());
}

#[test]
fn what_would_be_done_is_told_and_not_done() {
    let (_directory, names) = names();
    let place = names.at("x").unwrap();
    assert!(matches!(place.would_clean(|_| true), Err(CleanError::NotFound { .. })));
    let segment = names.open_or_create("x", &shape(), |_| {}).unwrap().0;
    assert!(matches!(place.would_clean(|_| true).unwrap(), Cleaned::InUse(_)));
    drop(segment);
    assert!(matches!(place.would_clean(|_| false).unwrap(), Cleaned::Kept(_)));
    assert!(matches!(place.would_clean(|_| true).unwrap(), Cleaned::Removed(_)));
    assert!(place.path().exists());
}

#[test]
fn who_only_looks_keeps_no_name_and_goes_on_looking() {
    let (_directory, names) = names();
    let segment = names.open_or_create("x", &shape(), |_| {}).unwrap().0;
    let view = names.observe("x").unwrap();
    assert!(view.is_attached().unwrap());
    drop(segment);
    assert!(!view.is_attached().unwrap());
    assert!(matches!(names.clean("x", |_| true).unwrap(), Cleaned::Removed(_)));
    // SAFETY: the control area is mapped and nobody writes there.
    assert_eq!(unsafe { view.control().cast::<u64>().as_ptr().read_volatile() }, 0);
}

#[test]
fn who_comes_after_the_first_look_keeps_the_name() {
    let (_directory, names) = names();
    dead(&names, "x");
    let mut comer = None;
    let cleaned = names.clean("x", |_| {
        comer.get_or_insert_with(|| names.open("x", Some(KIND)).unwrap());
        true
    });
    assert!(matches!(cleaned.unwrap(), Cleaned::InUse(_)));
    comer.unwrap().leave(|_| true);
    assert!(!names.path_of("x").unwrap().exists());
}

#[test]
fn who_comes_while_the_name_is_removed_gets_a_new_segment() {
    let (_directory, names) = names();
    dead(&names, "x");
    let old = fs::metadata(names.path_of("x").unwrap()).unwrap().ino();
    let mut asked = 0;
    let (says, hears) = mpsc::channel();
    std::thread::scope(|scope| {
        let names = &names;
        let comer = scope.spawn(move || {
            hears.recv().unwrap();
            names.open_or_create("x", &shape(), |_| {}).unwrap()
        });
        let cleaned = names.clean("x", |_| {
            asked += 1;
            if asked == 2 {
                says.send(()).unwrap();
                // So that it is likely to wait for the lock already.
                std::thread::sleep(Duration::from_millis(20));
            }
            true
        });
        drop(says);
        assert!(matches!(cleaned.unwrap(), Cleaned::Removed(_)));
        let (segment, created) = comer.join().unwrap();
        assert!(created);
        assert_ne!(fs::metadata(segment.path().unwrap()).unwrap().ino(), old);
    });
}

#[test]
fn a_name_that_was_given_to_another_segment_meanwhile_is_looked_at_anew() {
    let (_directory, names) = names();
    dead(&names, "x");
    let mut second = None;
    let cleaned = names.clean("x", |_| {
        second.get_or_insert_with(|| {
            fs::remove_file(names.path_of("x").unwrap()).unwrap();
            names.open_or_create("x", &shape(), |_| {}).unwrap().0
        });
        true
    });
    assert!(matches!(cleaned.unwrap(), Cleaned::InUse(_)));
    assert!(second.unwrap().path().unwrap().exists());
}

#[test]
fn whatever_is_no_segment_of_ours_is_left_as_it_is_and_the_reason_told() {
    let (directory, names) = names();
    let at = |name: &str| names.path_of(name).unwrap();
    dead(&names, "good");
    let good = fs::read(at("good")).unwrap();
    let changed = |name: &str, offset: u64, byte: u8| {
        fs::write(at(name), &good).unwrap();
        File::options().write(true).open(at(name)).unwrap().write_all_at(&[byte], offset).unwrap();
    };
    changed("foreign", 0, b'X');
    changed("newer", 8, 99);
    changed("damaged", 40, 3);
    fs::write(at("short"), &good[..good.len() - 1]).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink(at("good"), at("link")).unwrap();
    common::make_fifo(&std::ffi::CString::new(at("fifo").to_str().unwrap()).unwrap());
    fs::write(directory.path().join("other"), "").unwrap();
    let before = files(directory.path());
    let refused = |name: &str| match names.clean(name, |_| panic!("{name} was asked about")) {
        Err(CleanError::Open(error)) => error,
        other => panic!("{name}: {other:?}"),
    };
    assert!(matches!(refused("foreign"), OpenError::NotRingway { .. }));
    assert!(matches!(refused("newer"), OpenError::LayoutVersion { found: 99, .. }));
    assert!(matches!(refused("damaged"), OpenError::Geometry { .. }));
    assert!(matches!(refused("short"), OpenError::Truncated { .. }));
    assert!(matches!(refused("empty"), OpenError::NotRingway { .. }));
    for name in ["directory", "link", "fifo"] {
        assert!(matches!(refused(name), OpenError::NotRegular { .. }));
    }
    assert!(matches!(refused("a/b"), OpenError::InvalidName(_)));
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_segment_of_another_user_is_left_as_it_is_even_by_root() {
    let (_directory, names) = names();
    dead(&names, "x");
    let path = names.path_of("x").unwrap();
    if chown(&path, Some(4711), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    for mode in [0o600, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = names.clean("x", |_| panic!("asked")).unwrap_err();
        assert!(matches!(error, CleanError::Owner { found: 4711, .. }), "{error}");
        assert!(error.to_string().contains("belongs to user 4711, not to this one"), "{error}");
        assert!(path.exists());
    }
}

#[test]
fn where_the_directory_does_not_admit_it_the_name_stays_and_that_is_said() {
    let (directory, names) = names();
    dead(&names, "x");
    let path = names.path_of("x").unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1755)).unwrap();
    if chown(&path, Some(65534), None).is_err() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let code = in_forked_child(|| {
        // SAFETY: sets a number of this process, which runs one thread.
        assert_eq!(unsafe { libc::setuid(65534) }, 0);
        i32::from(!matches!(names.clean("x", |_| true), Err(CleanError::NotPermitted { .. })))
    });
    assert_eq!(code, 0);
    assert!(path.exists());
    // And the lock was given back.
    assert!(!names.observe("x").unwrap().is_attached().unwrap());
}

#[test]
fn who_finds_the_segment_held_alone_for_long_says_so() {
    let (_directory, names) = names();
    dead(&names, "x");
    let file = File::options().read(true).write(true).open(names.path_of("x").unwrap()).unwrap();
    hold_alone(&file);
    let busy = names.clean("x", |_| panic!("asked")).unwrap_err();
    assert!(matches!(busy, CleanError::Open(OpenError::Busy { .. })), "{busy}");
    drop(file);
    assert!(matches!(names.clean("x", |_| true).unwrap(), Cleaned::Removed(_)));
}

fn hold_alone(file: &File) {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 64,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the structure is a local; the file is open.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
}

/// Names that all come and go, clean and die over.
const CROWDED: [&str; 3] = ["a", "b", "c"];

/// A sequence of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What is counted together, in words of a segment of its own that no child can take along when it is killed.
const COMINGS: usize = 1;
const CREATIONS: usize = 2;
const REMOVALS: usize = 3;

/// Opens that segment.
fn tally() -> Segment {
    Names::in_dir(std::env::var_os("RINGWAY_TEST_TALLY").unwrap()).open("tally", Some(KIND)).unwrap()
}

fn seed() -> u64 {
    std::env::var("RINGWAY_TEST_SEED").unwrap().parse().unwrap()
}

/// Who is attached finds its own segment under the name, whichever way it looks.
fn assert_own(names: &Names, name: &str, segment: &Segment, what: &str) {
    let found = names.open(name, Some(KIND)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(word(&found, 1).load(SeqCst), word(segment, 1).load(SeqCst), "{what}: another segment");
    drop(found);
}

#[test]
#[ignore = "run by another test"]
fn child_comes_and_goes() {
    if !is_child() {
        return;
    }
    let names = Names::in_dir(std::env::var_os("RINGWAY_TEST_DIR").unwrap());
    let (mut random, tally) = (Random(seed()), tally());
    say("ready");
    await_line();
    loop {
        let name = CROWDED[random.below(3) as usize];
        let nonce = random.below(u64::MAX) << 20 | u64::from(std::process::id());
        let (segment, created) = names
            .open_or_create(name, &shape(), |segment| {
                word(segment, 1).store(nonce, SeqCst);
                word(segment, 2).store(nonce, SeqCst);
            })
            .unwrap();
        let found = word(&segment, 1).load(SeqCst);
        assert_eq!(word(&segment, 2).load(SeqCst), found, "seen half-made");
        assert_eq!(found == nonce, created);
        word(&tally, COMINGS).fetch_add(1, SeqCst);
        word(&tally, CREATIONS).fetch_add(created.into(), SeqCst);
        for _ in 0..random.below(4) {
            assert_own(&names, name, &segment, "who is attached");
        }
        if random.below(2) == 0 {
            segment.leave(|_| true);
        }
    }
}

#[test]
#[ignore = "run by another test"]
fn child_cleans() {
    if !is_child() {
        return;
    }
    let names = Names::in_dir(std::env::var_os("RINGWAY_TEST_DIR").unwrap());
    let (mut random, tally) = (Random(seed()), tally());
    say("ready");
    await_line();
    loop {
        let name = CROWDED[random.below(3) as usize];
        // Between the looks and the steps there is time for others to come.
        let unwanted = |_: &_| {
            (0..random.below(4)).for_each(|_| std::thread::yield_now());
            true
        };
        match names.clean(name, unwanted) {
            Ok(Cleaned::Removed(view)) => {
                // Who had opened it before may just be finding out that it has no name any more.
                let limit = Instant::now() + Duration::from_secs(30);
                while view.is_attached().unwrap() {
                    assert!(Instant::now() < limit, "somebody lived there");
                    std::thread::yield_now();
                }
                word(&tally, REMOVALS).fetch_add(1, SeqCst);
            }
            Ok(_) | Err(CleanError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// So many deaths among those who clean and those who come and go.
fn crowd(deaths: u64, first_seed: u64) {
    const CLEANERS: usize = 3;
    let (directory, names) = names();
    let (apart, names_apart) = common::names();
    let (tally, _) = names_apart.open_or_create("tally", &shape(), |_| {}).unwrap();
    let mut random = Random(first_seed);
    let mut seeds = first_seed..;
    let mut start = |slot: usize| {
        let test = if slot < CLEANERS { "child_cleans" } else { "child_comes_and_goes" };
        let mut command = program(test);
        command.env("RINGWAY_TEST_DIR", directory.path());
        command.env("RINGWAY_TEST_TALLY", apart.path());
        command.env("RINGWAY_TEST_SEED", seeds.next().unwrap().to_string());
        let mut child = Running::start(&mut command);
        assert_eq!(child.hear(), "ready");
        child.tell();
        child
    };
    let mut children: Vec<_> = (0..CLEANERS + 5).map(&mut start).collect();
    for _ in 0..deaths {
        std::thread::sleep(Duration::from_micros(random.below(3000)));
        // Here somebody lives too, and meets others under the name.
        let name = CROWDED[random.below(3) as usize];
        let (segment, _) = names
            .open_or_create(name, &shape(), |segment| {
                word(segment, 1).store(u64::MAX, SeqCst);
                word(segment, 2).store(u64::MAX, SeqCst);
            })
            .unwrap();
        let slot = random.below(children.len() as u64) as usize;
        if children[slot].child.try_wait().unwrap().is_some() {
            // It has found something wrong, and says what.
            let said = children[slot].hear();
            panic!("ended by itself: {said}");
        }
        children[slot].kill();
        assert_own(&names, name, &segment, "who has seen a death");
        drop(segment);
        children[slot] = start(slot);
    }
    // Of those who clean only, some die and some end the work.
    for child in children.iter_mut().skip(CLEANERS) {
        child.kill();
    }
    for child in children.iter_mut().take(CLEANERS - 1) {
        child.kill();
    }
    while !files(directory.path()).is_empty() {
        assert!(children[CLEANERS - 1].child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::yield_now();
    }
    let [comings, creations, removals] =
        [COMINGS, CREATIONS, REMOVALS].map(|counted| word(&tally, counted).load(SeqCst));
    eprintln!("{deaths} deaths, {comings} comings, {creations} creations, {removals} removals by cleaners");
    assert!(comings > creations && creations > 0 && removals > 0, "nothing was tried");
}

#[test]
fn those_who_live_keep_their_names_and_the_dead_lose_them_in_a_crowd_that_is_being_killed() {
    crowd(150, 1);
}

#[test]
#[ignore = "takes a minute or more: cargo test -p ringway-segment --test clean -- --ignored crowd"]
fn a_crowd_for_long() {
    for seed in 0..20 {
        eprintln!("seed {seed}");
        crowd(250, seed * 1_000_000);
    }
}
