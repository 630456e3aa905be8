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
    Bell, Lent, SideWords, Wait,
    primitive::{Flag, Ordering},
};

const SLEEP: Wait = Wait::Park { spin: Duration::ZERO };
const PATIENCE: Duration = Duration::from_secs(60);

/// The words: asleep, bell, processor of one side, then of the other. Leaked, so that they live for ever.
#[derive(Clone, Copy)]
struct Line(&'static [UnsafeCell<u32>; 6]);

/// Where the waker's bell is among them.
const BELL: usize = 4;

// SAFETY: the words are only accessed through `Lent`, atomically, or by `word`, atomically too.
unsafe impl Send for Line {}

impl Line {
    fn new() -> Self {
        Self(Box::leak(Box::new([const { UnsafeCell::new(0) }; 6])))
    }

    fn at(self, index: usize) -> NonNull<u32> {
        NonNull::new(self.0[index].get()).unwrap()
    }

    fn bells(self, wait: Wait) -> (Bell<Lent>, Bell<Lent>) {
        let side = |at| SideWords { asleep: self.at(at), bell: self.at(at + 1), processor: self.at(at + 2) };
        let [one, other] = [side(0), side(3)];
        // SAFETY: aligned words that live for ever and are only accessed atomically.
        unsafe { (Bell::attach(Lent::new(one, other), wait), Bell::attach(Lent::new(other, one), wait)) }
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
        assert_eq!(line.word(BELL), rings);
    }
    line.flag(0).store(8, Ordering::SeqCst);
    waker.notify();
    assert_eq!(line.word(BELL), 3, "rung for nobody");
    line.flag(0).store(1 << 31 | 9, Ordering::SeqCst);
    waker.notify();
    assert_eq!(line.word(BELL), 3, "rung for one who has left");
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
    assert_eq!((line.word(1), line.word(BELL)), (0, 0));
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
    assert!(!there.peer().left(), "left before we came");
    assert!(line.word(0) > awake && line.word(0) % 2 == 0);
    here.retire();
    assert!(there.peer().left());
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

#[test]
fn a_peer_that_rings_for_nothing_delays_no_deadline() {
    let line = Line::new();
    let (mut here, _) = line.bells(SLEEP);
    let deadline = Instant::now() + Duration::from_millis(20);
    // Every look is followed by a ring, so the kernel never lets it sleep.
    let mut looks = 0;
    let found = here.wait(Some(deadline), |_| {
        looks += 1;
        line.flag(BELL).store(looks, Ordering::SeqCst);
        (Instant::now() > deadline + PATIENCE).then_some(())
    });
    assert_eq!(found, None);
    assert!(looks > 3);
}

#[test]
fn a_spin_without_a_limit_is_none() {
    let line = Line::new();
    let (mut here, _) = line.bells(Wait::Park { spin: Duration::MAX });
    let deadline = Instant::now() + Duration::from_millis(2);
    assert_eq!(here.wait(Some(deadline), |_| None::<()>), None);
    assert_eq!(line.word(0), 0, "slept");
}

#[test]
fn a_side_that_shares_its_processor_does_not_spin() {
    let line = Line::new();
    let (mut here, _) = line.bells(Wait::Park { spin: Duration::MAX });
    let deadline = Instant::now() + Duration::from_millis(20);
    // Wherever it runs, the other one was there last.
    let found = here.wait(Some(deadline), |_| {
        line.flag(5).store(line.word(2), Ordering::SeqCst);
        None::<()>
    });
    assert_eq!(found, None);
    assert_ne!(line.word(0), 0, "did not sleep");
}

#[test]
fn news_that_the_peer_looked_too_early_for_are_found_by_napping() {
    let line = Line::new();
    let (mut here, _) = line.bells(SLEEP);
    // The third look is the one after the nap; nobody rings.
    let mut looks = 0;
    let found = here.wait_unfenced(None, |_| {
        looks += 1;
        (looks == 3).then_some(())
    });
    assert_eq!(found, Some(()));
}
