//! Bells between two threads, over words of their own.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    ptr::NonNull,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use ringway_wait::{
    Bell, Lent, Wait,
    primitive::{Flag, Ordering},
};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
const PATIENCE: Duration = Duration::from_secs(60);

/// The four words: asleep and bell of one side, then of the other. Leaked, so that they live for ever.
#[derive(Clone, Copy)]
struct Line(&'static [UnsafeCell<u32>; 4]);

// SAFETY: the words are only accessed through `Lent`, atomically, or by `word`, atomically too.
unsafe impl Send for Line {}

impl Line {
    fn new() -> Self {
        Self(Box::leak(Box::new([const { UnsafeCell::new(0) }; 4])))
    }

    fn at(self, index: usize) -> NonNull<u32> {
        NonNull::new(self.0[index].get()).unwrap()
    }

    fn bells(self, wait: Wait) -> (Bell<Lent>, Bell<Lent>) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| self.at(index));
        // SAFETY: aligned words that live for ever and are only accessed atomically.
        unsafe { (Bell::attach(Lent::new(a, b, c, d), wait), Bell::attach(Lent::new(c, d, a, b), wait)) }
    }

    fn flag(self, index: usize) -> &'static Flag {
        // SAFETY: as in `bells`; `Flag` is a transparent atomic u32.
        unsafe { self.at(index).cast().as_ref() }
    }

    fn word(self, index: usize) -> u32 {
        self.flag(index).load(Ordering::SeqCst)
    }

    /// Waits until the first side is asleep.
    fn until_asleep(self) {
        let limit = Instant::now() + PATIENCE;
        while self.word(0) & 1 == 0 {
            assert!(Instant::now() < limit, "does not fall asleep");
            thread::yield_now();
        }
    }
}

#[test]
fn a_sleep_is_rung_for_once_and_the_next_one_again() {
    let line = Line::new();
    let (_, mut waker) = line.bells(SLEEP);
    // A sleeper that takes its time to wake up.
    for (sleep, rings) in [(1, 1), (3, 2), (7, 3)] {
        line.flag(0).store(sleep, Ordering::SeqCst);
        (0..5).for_each(|_| waker.notify());
        waker.notify_unfenced();
        assert_eq!(line.word(3), rings);
    }
    line.flag(0).store(8, Ordering::SeqCst);
    waker.notify();
    assert_eq!(line.word(3), 3, "rung for nobody");
    line.flag(0).store(1 << 31 | 9, Ordering::SeqCst);
    waker.notify();
    assert_eq!(line.word(3), 3, "rung for one who has left");
}

#[test]
fn a_sleeper_is_awake_again_when_its_wait_ends() {
    let line = Line::new();
    let (mut sleeper, mut waker) = line.bells(SLEEP);
    let (news, letters) = mpsc::channel();
    let asleep = thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        assert!(sleeper.wait(Some(deadline), |_| letters.try_recv().ok()).is_some());
    });
    line.until_asleep();
    news.send(()).unwrap();
    waker.notify();
    asleep.join().unwrap();
    assert_eq!(line.word(0) & 1, 0, "still marked asleep");
}

#[test]
fn nobody_asleep_rings_nothing() {
    let line = Line::new();
    let (mut here, mut there) = line.bells(SLEEP);
    (0..100).for_each(|_| here.notify());
    there.notify_unfenced();
    assert_eq!((line.word(1), line.word(3)), (0, 0));
}

#[test]
fn a_wait_whose_look_succeeds_never_sleeps() {
    for wait in [SLEEP, Wait::default(), Wait::Spin] {
        let line = Line::new();
        let (mut here, _) = line.bells(wait);
        assert_eq!(here.wait(None, |_| Some(7)), Some(7));
        assert_eq!(line.word(0), 0);
    }
}

#[test]
fn a_successor_counts_on_from_its_predecessors_sleeps() {
    let line = Line::new();
    let (mut here, _) = line.bells(SLEEP);
    let deadline = || Some(Instant::now() + Duration::from_millis(1));
    assert_eq!(here.wait(deadline(), |_| None::<()>), None);
    let awake = line.word(0);
    assert!(awake >= 2 && awake % 2 == 0);
    here.retire();
    assert_eq!(line.word(0), awake | 1 << 31 | 1);
    let (mut here, there) = line.bells(SLEEP);
    assert!(!there.peer().retired());
    assert!(line.word(0) > awake && line.word(0) % 2 == 0);
    here.retire();
    assert!(there.peer().retired());
}

#[test]
fn two_sides_that_always_sleep_hand_a_turn_to_and_fro() {
    let line = Line::new();
    let (mut here, mut there) = line.bells(SLEEP);
    let turn = Arc::new(Mutex::new(0u32));
    let my_turn = |turn: &Mutex<u32>, parity: u32| {
        let now = *turn.lock().unwrap();
        (now % 2 == parity).then_some(now)
    };
    let other = thread::spawn({
        let turn = turn.clone();
        move || {
            while there.wait(Some(Instant::now() + PATIENCE), |_| my_turn(&turn, 1)).unwrap() < 2000 {
                *turn.lock().unwrap() += 1;
                there.notify();
            }
        }
    });
    while here.wait(Some(Instant::now() + PATIENCE), |_| my_turn(&turn, 0)).unwrap() < 2000 {
        *turn.lock().unwrap() += 1;
        here.notify();
    }
    *turn.lock().unwrap() += 1;
    here.notify();
    other.join().unwrap();
}
