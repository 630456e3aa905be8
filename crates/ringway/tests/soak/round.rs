//! A queue, those who play with it, and who kills and stops them.
#![allow(unsafe_code)]

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use ringway::{
    Names, Offer, inspect,
    mpmc::{Options, Receiver, Redelivery},
};
use tempfile::TempDir;

use crate::{
    log::{LIVES, Life, Log},
    player::Part,
    random::Random,
    support::{PATIENCE, Peer},
};

/// What a queue is like.
#[derive(Debug)]
pub(crate) struct Kind {
    slots: usize,
    size: usize,
    /// How long who waits spins first, in microseconds.
    spin: u64,
    /// Whether what a dead one had is lost.
    once: bool,
    named: bool,
}

pub(crate) const KINDS: [Kind; 4] = [
    Kind { slots: 64, size: 1024, spin: 50, once: false, named: false },
    Kind { slots: 4, size: 8192, spin: 0, once: false, named: true },
    Kind { slots: 16, size: 256, spin: 0, once: true, named: false },
    Kind { slots: 1024, size: 400, spin: 50, once: false, named: true },
];

const PARTS: [Part; 4] = [Part::Sends, Part::Receives, Part::Both, Part::Both];

/// What was done in a round, or in all of them.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    lives: u64,
    kills: u64,
    stops: u64,
    sent: u64,
    received: u64,
    marked: u64,
    lost: u64,
    /// The longest time in which nobody received anything.
    silence: Duration,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { lives, kills, stops, sent, received, marked, lost, silence } = other;
        self.lives += lives;
        self.kills += kills;
        self.stops += stops;
        self.sent += sent;
        self.received += received;
        self.marked += marked;
        self.lost += lost;
        self.silence = self.silence.max(*silence);
    }

    /// Whether there was some of everything.
    pub(crate) fn is_telling(&self) -> bool {
        self.kills.min(self.stops).min(self.received).min(self.marked) > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lives, kills, stops, sent, received, marked, lost, silence } = self;
        write!(
            f,
            "{lives} lives, {kills} killed, {stops} stops; {sent} messages sent, {received} times one received (some were put back), \
             {marked} marked, {lost} lost with a dead one; silent for {silence:.0?} at the most"
        )
    }
}

/// A player; dropped, it is killed.
struct Player {
    child: Child,
    part: Part,
    life: u64,
}

impl Player {
    fn signal(&self, signal: i32) {
        // SAFETY: no pointers. The id is that of a child that was not waited for, so it cannot be anybody else's.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < limit, "life {} hangs", self.life);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A round that is being played.
pub(crate) struct Round {
    kind: &'static Kind,
    dir: TempDir,
    offer: Option<Offer>,
    log: Log,
    random: Random,
    players: Vec<Player>,
    lives: u64,
    kills: u64,
    stops: u64,
    /// What dead ones had in hand, how often, and how often they were about to release it.
    dropped: HashMap<u64, (u64, u64)>,
    /// When somebody had last received something, and how many messages had been received then.
    last: (Instant, u64),
    silence: Duration,
}

impl Round {
    pub(crate) fn begin(kind: &'static Kind, seed: u64) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let log =
            File::options().read(true).write(true).create_new(true).open(dir.path().join("log")).unwrap();
        let mut round = Self {
            kind,
            offer: (!kind.named).then(|| kind.options().offer().unwrap()),
            log: Log::map(&log),
            dir,
            random: Random::new(seed),
            players: Vec::new(),
            lives: 0,
            kills: 0,
            stops: 0,
            dropped: HashMap::new(),
            last: (Instant::now(), 0),
            silence: Duration::ZERO,
        };
        PARTS.into_iter().for_each(|part| round.bear(part));
        round
    }

    /// Kills and stops for so long, lets all come to an end, and settles the account.
    pub(crate) fn play(mut self, lasts: Duration) -> Summary {
        let end = Instant::now() + lasts;
        while Instant::now() < end && self.lives + (PARTS.len() as u64) < LIVES {
            let time = Duration::from_micros(self.random.below(20_000));
            self.rest(time);
            let victim = self.random.below(PARTS.len() as u64) as usize;
            if self.random.below(3) == 0 {
                self.players[victim].signal(libc::SIGSTOP);
                self.stops += 1;
                let time = Duration::from_micros(self.random.below(30_000));
                self.rest(time);
                if self.random.below(2) == 0 {
                    self.players[victim].signal(libc::SIGCONT);
                    continue;
                }
                // Who is stopped can be killed, too.
            }
            let part = self.players[victim].part;
            let player = &mut self.players[victim];
            player.signal(libc::SIGKILL);
            let life = player.life;
            let status = player.end();
            // It may have come to its end just before.
            if !status.success() {
                self.kills += 1;
                assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
            }
            self.mourn(life);
            self.succeed(victim, part);
        }
        self.await_all_here();
        self.log.stop();
        for player in &mut self.players {
            let life = player.life;
            let status = player.end();
            assert!(status.success(), "life {life}: {status}");
        }
        assert!(!self.log.has_failed(), "somebody found something wrong, and was killed while it said what");
        self.settle()
    }

    /// Waits until all take part. Whoever came to a name after all others had left, and it with them, would be alone with a new queue.
    fn await_all_here(&self) {
        if !self.kind.named {
            return;
        }
        let names = Names::in_dir(self.dir.path());
        let limit = Instant::now() + PATIENCE;
        let are_here = || {
            let queue = inspect::named(&names, "x").ok()?.queue?;
            let ends = |player: &&Player| {
                let ends = queue.participants.iter().filter(|it| it.pid == Some(player.child.id()));
                let said = ends.fold((false, false), |said, it| (said.0 || it.sends, said.1 || it.receives));
                said == (player.part != Part::Receives, player.part != Part::Sends)
            };
            Some(self.players.iter().all(|player| ends(&player)))
        };
        while are_here() != Some(true) {
            assert!(Instant::now() < limit, "not all come");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets them play, and sees that they do, for so long.
    fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            for at in 0..self.players.len() {
                let player = &mut self.players[at];
                if let Some(status) = player.child.try_wait().unwrap() {
                    assert!(status.success(), "life {}: {status}", player.life);
                    // It has sent all that it may.
                    let part = player.part;
                    self.succeed(at, part);
                }
            }
            let received = (0..self.lives).map(|life| self.log.life(life).received()).sum();
            let (now, (since, before)) = (Instant::now(), self.last);
            self.silence = self.silence.max(now - since);
            assert!(now - since < PATIENCE, "nobody receives anything");
            if received != before {
                self.last = (now, received);
            }
            if now >= end {
                return;
            }
            thread::sleep((end - now).min(Duration::from_millis(5)));
        }
    }

    /// Another one comes in the place of one that has ended: the others keep theirs, of which one may be stopped.
    fn succeed(&mut self, at: usize, part: Part) {
        self.bear(part);
        self.players.swap_remove(at);
    }

    /// One more comes.
    fn bear(&mut self, part: Part) {
        let Kind { slots, size, spin, once, named } = self.kind;
        let mut command = Peer::command("player::child_plays");
        let dir = if *named { self.dir.path().as_os_str() } else { "".as_ref() };
        command.env("DIR", dir).env("LOG", self.dir.path().join("log"));
        command.env("SLOTS", slots.to_string()).env("SIZE", size.to_string());
        command.env("SPIN", spin.to_string()).env("ONCE", once.to_string());
        command.env("PART", format!("{part:?}")).env("LIFE", self.lives.to_string());
        command.env("SEED", self.random.next().to_string());
        if let Some(offer) = &self.offer {
            offer.give_to(&mut command, "QUEUE").unwrap();
        }
        self.players.push(Player { child: command.spawn().unwrap(), part, life: self.lives });
        self.lives += 1;
    }

    /// Writes down what a dead one had in hand.
    fn mourn(&mut self, life: u64) {
        let life = self.log.life(life);
        for number in life.hands() {
            let (had, releasing) = self.dropped.entry(number).or_default();
            *had += 1;
            *releasing += u64::from(life.is_releasing());
        }
    }

    /// Holds what was written down against what is promised.
    fn settle(mut self) -> Summary {
        let lives: Vec<_> = (0..self.lives).map(|life| self.log.life(life)).collect();
        let in_hand: u64 = self.dropped.values().map(|(had, _)| had).sum();
        for (number, released) in self.log.again() {
            let (had, releasing) = self.dropped.get_mut(&number).unwrap_or_else(|| {
                panic!("message {number:#x} came again, and no dead one had it in hand");
            });
            let from = if released { releasing } else { &mut *had };
            assert!(*from > 0, "message {number:#x} came again more often than dead ones had it in hand");
            *from -= 1;
            if released {
                *had -= 1;
            }
        }
        let missing: Vec<_> = (0..).zip(&lives).flat_map(|(at, life)| missing(at, life)).collect();
        let doubtful: u64 = lives.iter().map(|life| life.trying() - life.sent()).sum();
        let lost = self.look_at_what_is_left();
        if self.kind.once {
            let (least, most) = (missing.len() as u64, missing.len() as u64 + in_hand + doubtful);
            assert!((least..=most).contains(&lost), "{lost} were lost, of {least} to {most}: {missing:x?}");
        } else {
            assert_eq!((&missing[..], lost), (&[][..], 0), "messages that were sent were lost");
            lives.iter().for_each(|life| assert_prefix(life));
        }
        let sum = |what: fn(&Life) -> u64| lives.iter().map(|life| what(life)).sum();
        Summary {
            lives: self.lives,
            kills: self.kills,
            stops: self.stops,
            sent: sum(Life::sent),
            received: sum(Life::received),
            marked: sum(Life::marked),
            lost,
            silence: self.silence,
        }
    }

    /// All have left: there are no messages, all slots are free, and a name is gone. How many messages were lost.
    fn look_at_what_is_left(&self) -> u64 {
        let Some(offer) = &self.offer else {
            let left: Vec<_> =
                std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["log"], "the name is still there");
            return 0;
        };
        let rx = Receiver::attach(offer).unwrap();
        assert!(rx.is_empty() && rx.try_recv().is_err(), "something is left: {rx:?}");
        let slots = self.kind.options().sender_of(offer).unwrap().slots();
        assert_eq!((slots.free, slots.holders.len()), (rx.capacity() as u32, 0), "{slots:?}");
        rx.lost()
    }
}

/// Messages that this life has sent and nobody has received.
fn missing(at: u64, life: &Life) -> impl Iterator<Item = (u64, u64)> {
    (0..life.sent()).filter(|&count| !life.was_had(count)).map(move |count| (at, count))
}

/// Of the last call of one that was killed, the first so many messages were sent.
fn assert_prefix(life: &Life) {
    let doubtful: Vec<_> = (life.sent()..life.trying()).map(|count| life.was_had(count)).collect();
    assert!(doubtful.is_sorted_by(|a, b| a >= b), "of a batch, {doubtful:?} were sent");
}

impl Kind {
    fn options(&self) -> Options {
        let redelivery = if self.once { Redelivery::AtMostOnce } else { Redelivery::AtLeastOnce };
        Options::new().slots(self.slots).slot_size(self.size).redelivery(redelivery)
    }
}
