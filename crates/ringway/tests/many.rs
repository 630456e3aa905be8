//! A process that has many rings is heard of in each when it dies, whatever others have done to some of them.

mod support;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, Offer, RecvTimeoutError, Side, Wait,
    inspect::{self, State},
    layout::CONTROL_LEN,
    spsc::{Options, Receiver},
};
use support::{PATIENCE, Peer, told};

/// As many with a name, and as many without.
const HALF: usize = 50;
/// Of those with a name: the one whose file others truncate, and the one whose words they write over.
const TRUNCATED: usize = 20;
const SCRIBBLED: usize = 30;

fn options(dir: &str) -> Options {
    Options::new().names(Names::in_dir(dir)).capacity(4096).wait(Wait::Park { spin: Duration::ZERO })
}

#[test]
#[ignore = "run as a child process"]
fn child_sends_to_all_and_waits() {
    let named = (0..HALF).map(|n| options(&told("DIR")).sender(&n.to_string()).unwrap());
    let unnamed = (0..HALF).map(|n| {
        let offer = Offer::from_env(&format!("RING{n}")).unwrap();
        options(&told("DIR")).sender_at(&offer).unwrap()
    });
    let mut all: Vec<_> = named.chain(unnamed).collect();
    all.iter_mut().for_each(|tx| tx.send(b"the last").unwrap());
    loop {
        thread::park();
    }
}

#[test]
fn all_rings_of_a_killed_process_hear_of_it_though_one_was_truncated_and_one_scribbled_over() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let names = Names::in_dir(dir.path());
    let options = options(dir.path().to_str().unwrap());
    let offers: Vec<Offer> = (0..HALF).map(|_| options.offer().unwrap()).collect();
    let named = (0..HALF).map(|n| options.receiver(&n.to_string()).unwrap());
    let unnamed = offers.iter().map(|offer| options.receiver_at(offer).unwrap());
    let mut all: Vec<Receiver> = named.chain(unnamed).collect();
    let mut command = Peer::command("child_sends_to_all_and_waits");
    command.env("DIR", dir.path());
    for (n, offer) in offers.iter().enumerate() {
        offer.give_to(&mut command, &format!("RING{n}")).unwrap();
    }
    let sender = Peer::start(&mut command);
    let pid = sender.id();
    for rx in &mut all {
        assert_eq!(&rx.recv_timeout(PATIENCE).unwrap()[..], b"the last");
    }
    // Nobody sleeps for good on words that anything may be in; and who looks at memory that is not there any more is killed.
    let mut scribbled = all.remove(SCRIBBLED);
    drop(all.remove(TRUNCATED));
    let others: Vec<usize> = (0..2 * HALF).filter(|&n| n != TRUNCATED && n != SCRIBBLED).collect();

    let file = |n: usize| {
        let path = names.path_of(&n.to_string()).unwrap();
        File::options().read(true).write(true).open(path).unwrap()
    };
    let told: Vec<RecvTimeoutError> = thread::scope(|scope| {
        let wait = |rx: &mut Receiver| rx.recv_timeout(PATIENCE).map(|message| message.len()).unwrap_err();
        let all: Vec<_> = all.iter_mut().map(|rx| scope.spawn(move || wait(rx))).collect();
        let limit = Instant::now() + PATIENCE;
        let sleep = |n: usize| {
            let status = match n.checked_sub(HALF) {
                None => inspect::named(&names, &n.to_string()).unwrap(),
                Some(n) => inspect::offered(&offers[n]).unwrap(),
            };
            status.receiver.state == State::Asleep
        };
        while !others.iter().all(|&n| sleep(n)) {
            assert!(Instant::now() < limit, "they do not fall asleep");
            thread::sleep(Duration::from_millis(1));
        }
        file(TRUNCATED).set_len(0).unwrap();
        file(SCRIBBLED).write_all_at(&[0xa5; CONTROL_LEN], 4096).unwrap();
        sender.kill();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for (ring, told) in others.into_iter().zip(told) {
        let hears =
            matches!(told, RecvTimeoutError::PeerDied(it) if (it.side, it.pid) == (Side::Sender, pid));
        assert!(hears, "ring {ring}: {told:?}");
    }
    // And this one, whatever it says, comes back.
    let told = scribbled.recv_timeout(Duration::from_millis(20)).map(|message| message.len());
    assert!(told.is_err(), "{told:?}");
}
