//! `ringway clean` as a user meets it.

mod support;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::{
        fs::{FileExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, inspect,
    mpmc::{self, Redelivery},
    spsc::{self, Tap},
};
use serde_json::{Value, json};
use support::{PATIENCE, Place, end, fails, succeeds};

/// What it prints, and says; it ends with this code.
#[track_caller]
fn ends(command: &mut Command, code: i32) -> (String, String) {
    let output = command.stdout(Stdio::piped()).output().unwrap();
    let (printed, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{said}");
    (printed, said)
}

/// What it prints; it ends well and says nothing.
#[track_caller]
fn prints(place: &Place, args: &[&str]) -> String {
    let (printed, said) = ends(&mut place.ringway(args), 0);
    assert_eq!(said, "");
    printed
}

/// What `clean --json` prints of each name, by the names: its outcome.
fn outcomes(printed: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(printed).expect("one JSON document");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = report["names"].as_array().unwrap();
    names.iter().map(|line| (text(&line["name"]), text(&line["outcome"]))).collect()
}

fn names(place: &Place) -> Names {
    Names::in_dir(place.path(""))
}

fn options(place: &Place) -> spsc::Options {
    spsc::Options::new().names(names(place)).capacity(1 << 16)
}

fn until(so: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < limit, "does not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A ring in which a killed sender has left two messages, of 24 bytes in all.
fn with_a_killed_sender(place: &Place, name: &str) {
    let mut put = place.ringway(&["put", name]).stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.as_ref().unwrap().write_all(b"hello").unwrap();
    // The stream has a mark in front.
    until(|| inspect::named(&names(place), name).is_ok_and(|status| status.pending == Some(24)));
    put.kill().unwrap();
    put.wait().unwrap();
}

/// A ring in which nothing was ever sent, and whose receiver was killed.
fn with_a_killed_receiver(place: &Place, name: &str) {
    let mut get = place.ringway(&["get", name]).spawn().unwrap();
    until(|| inspect::named(&names(place), name).is_ok_and(|status| status.receiver.state.is_held()));
    get.kill().unwrap();
    get.wait().unwrap();
}

/// A ring in which a sender that left in good order has left messages.
fn with_a_finished_sender(place: &Place, name: &str) {
    let mut tx = options(place).sender(name).unwrap();
    tx.send(b"for whoever comes").unwrap();
    tx.close().unwrap();
}

/// All files of the directory with a ring's name.
fn rings(place: &Place) -> Vec<String> {
    let files =
        fs::read_dir(place.path("")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut rings: Vec<_> = files.filter(|file| file.starts_with("ringway.")).collect();
    rings.sort_unstable();
    rings
}

#[test]
fn where_there_is_nothing_nothing_is_done_and_that_is_well() {
    let place = Place::new();
    place.file("other", b"not of ours");
    assert_eq!(prints(&place, &["clean"]), "");
    assert_eq!(
        serde_json::from_str::<Value>(&prints(&place, &["clean", "--json"])).unwrap(),
        json!({"dry_run": false, "names": []})
    );
    assert!(place.path("other").exists());
}

#[test]
fn what_killed_processes_have_left_is_removed_and_nothing_is_left() {
    let place = Place::new();
    with_a_killed_sender(&place, "sender");
    with_a_killed_receiver(&place, "receiver");
    assert_eq!(prints(&place, &["ls"]).matches("nobody attached").count(), 2);
    assert_eq!(
        prints(&place, &["clean"]),
        "receiver  removed\n\
         sender    removed, and with it what was pending: 24 B in 2 messages\n"
    );
    assert_eq!(rings(&place), Vec::<String>::new());
}

#[test]
fn a_ring_that_somebody_is_attached_to_stays_and_it_is_said_who() {
    let place = Place::new();
    let pid = std::process::id();
    let _sender = options(&place).sender("a").unwrap();
    let _receiver = options(&place).receiver("b").unwrap();
    let _both = (options(&place).sender("c").unwrap(), options(&place).receiver("c").unwrap());
    for args in [&["clean", "--all"][..], &["clean", "a", "b", "c"], &["clean", "--dry-run"]] {
        assert_eq!(
            prints(&place, args),
            format!(
                "a  in use: sender {pid}\n\
                 b  in use: receiver {pid}\n\
                 c  in use: sender {pid}, receiver {pid}\n"
            )
        );
    }
    assert_eq!(rings(&place), ["ringway.a", "ringway.b", "ringway.c"]);
    assert!(!prints(&place, &["ls"]).contains("nobody attached"));
}

#[test]
fn a_dead_sender_does_not_take_the_name_from_a_living_receiver() {
    let place = Place::new();
    with_a_killed_sender(&place, "x");
    let _receiver = options(&place).receiver("x").unwrap();
    assert!(prints(&place, &["clean", "--all", "x"]).contains("in use: receiver"));
    assert!(place.has_ring());
}

#[test]
fn what_a_finished_sender_has_left_waits_for_a_receiver_unless_all_is_said() {
    let place = Place::new();
    succeeds(place.put(&place.file("original", b"hello")));
    for args in [&["clean"][..], &["clean", "x"], &["clean", "--keep-messages"]] {
        let printed = prints(&place, args);
        assert!(printed.starts_with("x  kept: nobody is attached, but pending "), "{printed}");
        assert!(printed.ends_with("; --all removes it\n"), "{printed}");
    }
    let copy = place.path("copy");
    succeeds(place.get(&copy));
    assert_eq!(fs::read(&copy).unwrap(), b"hello");
    with_a_finished_sender(&place, "x");
    assert!(prints(&place, &["clean", "--all"]).starts_with("x  removed, and with it"));
    assert!(!place.has_ring());
}

#[test]
fn what_a_killed_sender_has_left_can_be_kept_for_a_successor() {
    let place = Place::new();
    with_a_killed_sender(&place, "x");
    with_a_killed_receiver(&place, "nothing in it");
    let printed = prints(&place, &["clean", "--keep-messages", "--json"]);
    assert_eq!(outcomes(&printed), [("nothing in it", "removed"), ("x", "kept")].map(strings));
    assert!(place.has_ring());
}

fn strings((name, outcome): (&str, &str)) -> (String, String) {
    (name.to_owned(), outcome.to_owned())
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let place = Place::new();
    with_a_killed_sender(&place, "dead");
    with_a_finished_sender(&place, "waits");
    let _tx = options(&place).sender("used").unwrap();
    let before = rings(&place);
    let told = prints(&place, &["clean", "--dry-run", "--json"]);
    assert_eq!(outcomes(&told), [("dead", "removed"), ("used", "in_use"), ("waits", "kept")].map(strings));
    let words = prints(&place, &["clean", "-n", "dead"]);
    assert_eq!(words, "dead  would be removed, and with it what was pending: 24 B in 2 messages\n");
    assert_eq!(rings(&place), before);
    assert_eq!(outcomes(&prints(&place, &["clean", "--json"])), outcomes(&told));
    assert_eq!(rings(&place), ["ringway.used", "ringway.waits"]);
}

#[test]
fn the_document_says_how_each_ring_did() {
    let place = Place::new();
    with_a_killed_sender(&place, "x");
    place.file("ringway.junk", b"junk");
    let report: Value = serde_json::from_str(&prints(&place, &["clean", "--json"])).unwrap();
    assert_eq!(report["dry_run"], false);
    let [junk, ring] = report["names"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&junk["outcome"], &junk["ring"]), (&"left_alone".into(), &Value::Null));
    assert!(junk["why"].as_str().unwrap().contains("not a Ringway segment"), "{report}");
    assert_eq!((&ring["outcome"], &ring["why"]), (&"removed".into(), &Value::Null));
    assert_eq!((&ring["ring"]["pending_messages"], &ring["ring"]["attached"]), (&2.into(), &false.into()));
    assert_eq!(ring["ring"]["sender"]["state"], "dead");
}

#[test]
fn a_tap_keeps_no_name_and_goes_on() {
    let place = Place::new();
    with_a_killed_sender(&place, "x");
    let mut tap = Tap::named(&names(&place), "x").unwrap();
    assert!(prints(&place, &["clean"]).starts_with("x  removed"));
    assert!(matches!(tap.look().unwrap(), spsc::Seen::Message(_)));
}

#[test]
fn what_is_no_ring_or_not_ours_is_left_alone_and_the_reason_said() {
    let place = Place::new();
    with_a_killed_sender(&place, "good");
    let path = |name: &str| place.path(&format!("ringway.{name}"));
    let good = fs::read(path("good")).unwrap();
    let changed = |name: &str, offset: u64, byte: u8| {
        fs::write(path(name), &good).unwrap();
        File::options().write(true).open(path(name)).unwrap().write_all_at(&[byte], offset).unwrap();
    };
    place.file("ringway.junk", b"junk");
    changed("newer", 8, 99);
    changed("kind", 16, 99);
    changed("half", 0, 0);
    fs::write(path("short"), &good[..good.len() - 1]).unwrap();
    fs::create_dir(path("directory")).unwrap();
    symlink(path("good"), path("link")).unwrap();
    place.file("other", b"");
    let others =
        fs::copy(path("good"), path("others")).is_ok() && chown(path("others"), Some(4711), None).is_ok();

    let printed = prints(&place, &["clean", "--all"]);
    let line = |name: &str| {
        let line = printed.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} in\n{printed}")).to_owned()
    };
    assert!(line("good").contains("removed"));
    for (name, why) in [
        ("junk", "not a Ringway segment"),
        ("half", "not a Ringway segment"),
        ("newer", "has layout version 99"),
        ("kind", "unknown kind 99"),
        ("short", "somebody truncated it"),
    ] {
        assert!(line(name).contains("left alone: ") && line(name).contains(why), "{}", line(name));
        assert!(path(name).exists());
    }
    assert!(path("directory").exists() && path("link").is_symlink() && place.path("other").exists());
    if others {
        assert!(line("others").contains("belongs to user 4711") && path("others").exists());
        fails(place.ringway(&["clean", "others"]), 6, "belongs to user 4711");
    } else {
        eprintln!("skipped in part: only root can give a file to another user");
    }
    // Whoever names it hears that it was not done.
    fails(place.ringway(&["clean", "junk"]), 5, "not a Ringway segment");
    fails(place.ringway(&["clean", "kind"]), 1, "unknown kind 99");
    fails(place.ringway(&["clean", "link"]), 1, "symbolic link");
}

#[test]
fn what_may_not_be_removed_is_said_and_the_rest_is_done() {
    let place = Place::new();
    with_a_killed_sender(&place, "x");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o555)).unwrap();
    let mut clean = place.ringway(&["clean", "x"]);
    if File::create(place.path("probe")).is_ok() {
        // Nothing keeps root from writing there; somebody else then.
        if chown(place.path("ringway.x"), Some(65534), None).is_err() {
            eprintln!("skipped: this user may write everywhere, and is not root");
            return;
        }
        clean.uid(65534).gid(65534);
    }
    let output = clean.stdout(Stdio::piped()).output();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    match output {
        Err(error) => eprintln!("skipped: another user cannot run the command: {error}"),
        Ok(output) => {
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(6), "{said}");
            assert!(
                said.contains("ringway.x: nobody is attached to it, but removing it is not permitted"),
                "{said}"
            );
            assert!(place.has_ring());
        }
    }
}

#[test]
fn many_at_once_remove_each_dead_ring_once_and_no_other() {
    const DEAD: usize = 60;
    let place = Place::new();
    let _living: Vec<_> = (0..20).map(|n| options(&place).sender(&format!("living-{n}")).unwrap()).collect();
    for n in 0..DEAD {
        with_a_finished_sender(&place, &format!("dead-{n}"));
    }
    let cleaners: Vec<_> = (0..6)
        .map(|_| place.ringway(&["clean", "--all", "--json"]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut removed = Vec::new();
    for cleaner in cleaners {
        let output = cleaner.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for (name, outcome) in outcomes(&String::from_utf8(output.stdout).unwrap()) {
            match outcome.as_str() {
                "removed" => removed.push(name),
                outcome => assert!(outcome == "in_use" && name.starts_with("living"), "{name}: {outcome}"),
            }
        }
    }
    assert_eq!(removed.len(), DEAD);
    removed.sort_unstable();
    removed.dedup();
    assert_eq!(removed.len(), DEAD, "one was removed twice");
    assert_eq!(rings(&place).len(), 20);
}

#[test]
fn what_was_put_is_got_however_many_clean_in_between() {
    let place = Place::new();
    let original = place.file("original", &[7; 100_000]);
    let (stop, stopped) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let place = &place;
        scope.spawn(move || {
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let cleaners: Vec<_> = (0..3).map(|_| place.ringway(&["clean"]).spawn().unwrap()).collect();
                cleaners.into_iter().for_each(succeeds);
            }
        });
        // Dropped when a round fails, too.
        let _stop = stop;
        for round in 0..30 {
            let copy = place.path(&format!("copy-{round}"));
            if round % 2 == 0 {
                // One after the other: in between nobody is attached.
                succeeds(place.put(&original));
                succeeds(place.get(&copy));
            } else {
                let get = place.get(&copy);
                succeeds(place.put(&original));
                succeeds(get);
            }
            assert_eq!(fs::read(&copy).unwrap(), fs::read(&original).unwrap(), "round {round}");
        }
    });
    assert!(!place.has_ring());
}

fn queue(place: &Place) -> mpmc::Options {
    mpmc::Options::new().names(names(place)).slots(64).slot_size(64)
}

/// A `ringway send` of one line that has sent it and waits for more, killed.
fn with_a_killed_queue_sender(place: &Place, name: &str) {
    let mut send = place.ringway(&["send", name]).stdin(Stdio::piped()).spawn().unwrap();
    send.stdin.as_ref().unwrap().write_all(b"hello\n").unwrap();
    until(|| inspect::named(&names(place), name).is_ok_and(|status| status.sent == Some(1)));
    send.kill().unwrap();
    send.wait().unwrap();
}

#[test]
fn a_queue_that_somebody_takes_part_in_stays_and_it_is_said_who() {
    let place = Place::new();
    let pid = std::process::id();
    let _senders = [(); 2].map(|()| queue(&place).sender("x").unwrap());
    let _receiver = queue(&place).receiver("x").unwrap();
    let _alone = queue(&place).receiver("y").unwrap();
    assert_eq!(
        prints(&place, &["clean", "--all"]),
        format!("x  in use: senders {pid}, {pid}; receiver {pid}\ny  in use: receiver {pid}\n")
    );
    assert_eq!(rings(&place), ["ringway.x", "ringway.y"]);
    // A dead one does not use it.
    with_a_killed_queue_sender(&place, "y");
    assert_eq!(prints(&place, &["clean", "--all", "y"]), format!("y  in use: receiver {pid}\n"));
}

#[test]
fn what_dead_senders_left_in_a_queue_goes_and_what_others_left_stays() {
    let place = Place::new();
    with_a_killed_queue_sender(&place, "dead");
    let tx = queue(&place).sender("left").unwrap();
    tx.send(b"for whoever comes").unwrap();
    drop(tx);
    assert_eq!(
        prints(&place, &["clean", "--keep-messages"]),
        "dead  kept: nobody is attached, but pending 1 of 1024 slots; --all removes it\n\
         left  kept: nobody is attached, but pending 1 of 64 slots; --all removes it\n"
    );
    assert_eq!(
        prints(&place, &["clean"]),
        "dead  removed, and with it what was pending: 1 of 1024 slots\n\
         left  kept: nobody is attached, but pending 1 of 64 slots; --all removes it\n"
    );
    assert!(prints(&place, &["clean", "--all"]).starts_with("left  removed"));
    assert_eq!(rings(&place), Vec::<String>::new());
}

#[test]
fn what_a_dead_receiver_of_a_queue_had_in_hand_was_not_received() {
    for (redelivery, kept) in [(Redelivery::AtLeastOnce, true), (Redelivery::AtMostOnce, false)] {
        let place = Place::new();
        let tx = queue(&place).slot_size(1 << 17).redelivery(redelivery).sender("x").unwrap();
        tx.send(&[b'x'; 100_000]).unwrap();
        drop(tx);
        // No pipe takes it whole.
        let mut recv = place.ringway(&["recv", "x"]).stdout(Stdio::piped()).spawn().unwrap();
        let holds =
            |status: inspect::Status| status.queue.is_some_and(|it| !it.slots.unwrap().holders.is_empty());
        until(|| inspect::named(&names(&place), "x").is_ok_and(holds));
        recv.kill().unwrap();
        recv.wait().unwrap();
        let told = prints(&place, &["clean", "--json"]);
        assert_eq!(outcomes(&told), [("x", if kept { "kept" } else { "removed" })].map(strings));
    }
}

#[test]
fn failures_have_their_codes() {
    let place = Place::new();
    fails(place.ringway(&["clean", "x"]), 7, "no such segment; there is nothing to remove");
    fails(place.ringway(&["clean", "a/b"]), 2, "slash");
    fails(place.ringway(&["clean", "--all", "--keep-messages"]), 2, "cannot be used with");
    let nowhere = place.path("nowhere").display().to_string();
    fails(place.ringway(&["clean", "--dir", &nowhere]), 7, "nowhere");
    // One that is not there does not keep the others from being cleaned; the code is the first one's.
    with_a_killed_sender(&place, "x");
    let (printed, said) = ends(&mut place.ringway(&["clean", "absent", "x", "a/b"]), 7);
    assert!(printed.contains("x") && printed.contains("removed") && !place.has_ring(), "{printed}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ringway: ")).count(), 2, "{said}");
    let _tx = options(&place).sender("x").unwrap();
    let mut full = place.ringway(&["clean"]);
    full.stdout(File::create("/dev/full").unwrap());
    let (status, said) = end(full.spawn().unwrap());
    assert!(status.code() == Some(1) && said.contains("standard output"), "{said}");
    assert!(Path::new(&place.path("ringway.x")).exists());
}
