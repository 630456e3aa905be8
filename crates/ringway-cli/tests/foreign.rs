//! Contenders that somebody brings along.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use std::{fs, process, thread};

use ringway_cli::bench::{
    AnySize, BothSides, Carrier, Channel, Contender, Error, Foreign, Message, Open, Opener, Pair, Place,
    Result, Series, Subject, Waiting, Watch, compare_placed, serve_if_child_with,
};

const ROUNDS: u64 = 100;

const OPENERS: [Opener; 4] = [
    opener("queues", Open::Threads(|watch| queues(watch, Behaviour::Good))),
    opener("queues that garble", Open::Threads(|watch| queues(watch, Behaviour::Garbles))),
    opener("queues that panic", Open::Threads(|watch| queues(watch, Behaviour::Panics))),
    opener("datagrams", Open::Processes(datagrams)),
];

const fn opener(name: &'static str, open: Open) -> Opener {
    // They yield, so they may share a CPU.
    Opener { foreign: Foreign { name, waiting: Waiting::SpinsThenSleeps }, open }
}

fn main() {
    serve_if_child_with(&OPENERS);
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(60));
        eprintln!("hangs");
        process::exit(1);
    });
    let claims: [(&str, fn()); 7] = [
        ("threads_carry_messages_of_every_size", threads_carry_messages_of_every_size),
        ("processes_carry_messages_of_every_size", processes_carry_messages_of_every_size),
        ("a_garbled_message_is_an_error", a_garbled_message_is_an_error),
        ("a_panic_on_the_other_side_is_an_error", a_panic_on_the_other_side_is_an_error),
        ("a_size_that_nobody_carries_is_an_error", a_size_that_nobody_carries_is_an_error),
        ("who_was_not_brought_along_is_an_error", who_was_not_brought_along_is_an_error),
        ("a_turn_lies_between_two_slices_of_its_gauge", a_turn_lies_between_two_slices_of_its_gauge),
    ];
    for (name, claim) in claims {
        claim();
        println!("{name} ... ok");
    }
}

fn start(which: usize) -> (Pair, Contender) {
    let contender = Contender::Foreign(OPENERS[which].foreign);
    // A ring beside it: threads and processes are asked in turn.
    (Pair::start_with(&[contender, Contender::RingPark], &OPENERS).unwrap(), contender)
}

fn carries_every_size(which: usize) {
    let (mut pair, contender) = start(which);
    for size in [8, 48, 64, 256, 1024, 4096, 65536] {
        for it in [contender, Contender::RingPark] {
            Subject::hand_over(it, size).run(&mut pair, ROUNDS).unwrap();
            Subject::stream(it, size).run(&mut pair, ROUNDS).unwrap();
        }
    }
}

fn threads_carry_messages_of_every_size() {
    carries_every_size(0);
}

fn processes_carry_messages_of_every_size() {
    carries_every_size(3);
}

fn a_garbled_message_is_an_error() {
    let (mut pair, contender) = start(1);
    let error = Subject::stream(contender, 48).run(&mut pair, ROUNDS).unwrap_err();
    assert!(error.to_string().contains("did not arrive as it was sent"), "{error}");
}

fn a_panic_on_the_other_side_is_an_error() {
    let (mut pair, contender) = start(2);
    let error = Subject::hand_over(contender, 8).run(&mut pair, ROUNDS).unwrap_err();
    assert!(matches!(error, Error::Gone), "{error}");
}

fn a_size_that_nobody_carries_is_an_error() {
    let (mut pair, contender) = start(0);
    let error = Subject::hand_over(contender, 9).run(&mut pair, ROUNDS).unwrap_err();
    assert!(error.to_string().contains("9 bytes"), "{error}");
}

fn who_was_not_brought_along_is_an_error() {
    let stranger = Contender::Foreign(OPENERS[0].foreign);
    let error = Pair::start(&[stranger]).unwrap_err();
    assert!(matches!(error, Error::NotStarted(_)), "{error}");
}

fn a_turn_lies_between_two_slices_of_its_gauge() {
    let (mut pair, queues) = start(0);
    let (gauge, floor) = (Subject::hand_over(Contender::RingPark, 8), Subject::hand_over(queues, 8));
    let contenders = [queues, Contender::RingPark].map(|it| Subject::stream(it, 8));
    let seen = compare_placed(&mut pair, gauge, floor, &contenders, Duration::ZERO).unwrap();
    let gauges_of = |series: &Series| series.slices.iter().map(|it| it.gauge_ns).collect::<Vec<_>>();
    let gauges: Vec<_> = seen.contenders.iter().map(gauges_of).collect();
    assert_eq!(gauges[0], gauges[1]);
    assert!(gauges[0].windows(2).all(|turns| turns[0][1] == turns[1][0]), "{gauges:?}");
    assert!(gauges[0].iter().all(|[before, after]| before != after), "{gauges:?}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Good,
    /// Lets the third message arrive with a bit flipped.
    Garbles,
    /// Panics instead of receiving the third message on the other side.
    Panics,
}

#[derive(Debug)]
struct Queue {
    to: Sender<Vec<u8>>,
    from: Receiver<Vec<u8>>,
    watch: Watch,
    behaviour: Behaviour,
    received: u64,
}

fn queues(watch: &Watch, behaviour: Behaviour) -> Result<BothSides> {
    let [(down, at_theirs), (up, at_ours)] = [channel(), channel()];
    let queue = |to, from, behaviour| {
        Box::new(AnySize(Queue { to, from, watch: watch.clone(), behaviour, received: 0 }))
    };
    Ok([queue(down, at_ours, Behaviour::Good), queue(up, at_theirs, behaviour)])
}

impl<const N: usize> Channel<N> for Queue {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        self.to.send(message.compose().to_vec()).map_err(|_| Error::Gone)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        let mut arrived = self.watch.until(|| {
            thread::yield_now();
            self.from.try_recv().ok()
        })?;
        self.received += 1;
        if self.received == 3 {
            assert_ne!(self.behaviour, Behaviour::Panics, "as it should");
            arrived[N / 2] ^= u8::from(self.behaviour == Behaviour::Garbles);
        }
        message.check(&arrived)
    }
}

#[derive(Debug)]
struct Datagrams {
    socket: UnixDatagram,
    /// Of this side, and of the other.
    paths: [PathBuf; 2],
}

fn datagrams(place: &mut Place<'_>) -> Result<Box<dyn Carrier>> {
    let make = || format!("{}/ringway-foreign-{}", std::env::temp_dir().display(), process::id());
    let base = place.agree("RINGWAY_TEST_DATAGRAMS", make)?;
    let paths = [place.number(), 1 - place.number()].map(|side| PathBuf::from(format!("{base}-{side}")));
    let socket = UnixDatagram::bind(&paths[0])?;
    Ok(Box::new(AnySize(Datagrams { socket, paths })))
}

impl<const N: usize> Channel<N> for Datagrams {
    fn send(&mut self, message: &mut Message<N>) -> Result<()> {
        Ok(self.socket.send_to(message.compose(), &self.paths[1]).map(drop)?)
    }

    fn receive(&mut self, message: &mut Message<N>) -> Result<()> {
        let mut arrived = vec![0; N];
        let len = self.socket.recv(&mut arrived)?;
        message.check(&arrived[..len])
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        // The other process is killed, and leaves its own.
        self.paths.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}
