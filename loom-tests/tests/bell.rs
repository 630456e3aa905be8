//! The bells alone; the news is one word.
#![cfg(ringway_loom)]

use std::sync::Arc;

use loom::thread;
use loom_tests::{Line, PARK, kill, model, with_both_futexes};
use ringway_wait::{
    Bell, Whose, Words,
    primitive::{Flag, Futex, Ordering},
};

fn bell(line: &Line) -> Bell<Line> {
    Bell::attach(line.clone(), PARK)
}

/// How often the owner of this line has rung.
fn rings(line: &Line) -> u32 {
    line.bell(Whose::Mine).load(Ordering::Relaxed)
}

/// Whether the owner of this line is asleep.
fn asleep(line: &Line) -> bool {
    line.asleep(Whose::Mine).load(Ordering::Relaxed) % 2 == 1
}

/// Waits until the news have come so far.
fn await_news(bell: &mut Bell<Line>, news: &Flag, n: u32) {
    let found = bell.wait(None, |_| (news.load(Ordering::Relaxed) >= n).then_some(()));
    assert_eq!(found, Some(()));
}

#[test]
fn two_sleeps_in_a_row_are_rung_for_once_each() {
    with_both_futexes("two sleeps", 3, |futex| {
        let (here, there) = Line::pair(futex);
        let news = Arc::new(Flag::new(0));
        let waker = thread::spawn({
            let (news, here) = (news.clone(), here.clone());
            move || {
                let mut bell = bell(&here);
                for n in 1..=2 {
                    news.store(n, Ordering::Relaxed);
                    bell.notify();
                }
            }
        });
        let mut bell = bell(&there);
        (1..=2).for_each(|n| await_news(&mut bell, &news, n));
        waker.join().unwrap();
        let sleeps = there.asleep(Whose::Mine).load(Ordering::Relaxed) / 2;
        assert!(rings(&here) <= sleeps, "{} rings for {sleeps} sleeps", rings(&here));
    });
}

#[test]
fn each_side_sleeps_until_the_other_rings() {
    with_both_futexes("there and back", 2, |futex| {
        let (here, there) = Line::pair(futex);
        let (ping, pong) = (Arc::new(Flag::new(0)), Arc::new(Flag::new(0)));
        let other = thread::spawn({
            let (ping, pong) = (ping.clone(), pong.clone());
            move || {
                let mut bell = bell(&there);
                await_news(&mut bell, &ping, 1);
                pong.store(1, Ordering::Relaxed);
                bell.notify();
            }
        });
        let mut bell = bell(&here);
        ping.store(1, Ordering::Relaxed);
        bell.notify();
        await_news(&mut bell, &pong, 1);
        other.join().unwrap();
    });
}

#[test]
fn a_ring_without_a_fence_brings_its_news_too() {
    // Without a fence the look may come too early; but if it came to a ring, that must do.
    with_both_futexes("unfenced", 3, |futex| {
        let (here, there) = Line::pair(futex);
        let news = Arc::new(Flag::new(0));
        let waker = thread::spawn({
            let news = news.clone();
            move || {
                let mut bell = bell(&here);
                news.store(1, Ordering::Relaxed);
                bell.notify_unfenced();
                if rings(&here) == 0 {
                    bell.notify();
                }
            }
        });
        await_news(&mut bell(&there), &news, 1);
        waker.join().unwrap();
    });
}

#[test]
fn who_is_awake_or_retired_is_not_rung_for() {
    model("awake", || {
        let (here, there) = Line::pair(Futex::restless);
        let (mut waker, mut sleeper) = (bell(&here), bell(&there));
        waker.notify();
        assert_eq!(rings(&here), 0);
        sleep_once(&mut sleeper, &there, &mut waker);
        assert_eq!(rings(&here), 1);
        waker.notify();
        assert_eq!(rings(&here), 1);
        sleeper.retire();
        assert!(waker.peer().left());
        waker.notify();
        assert_eq!(rings(&here), 1);
    });
}

#[test]
fn a_sleep_never_has_a_number_that_the_waker_may_remember() {
    type Leaving = fn(Bell<Line>, &Line);
    let left_how: [(&str, Leaving); 3] = [
        ("retired", |mut bell, _| bell.retire()),
        ("killed awake", |_, _| ()),
        ("killed asleep", |mut bell, line| {
            kill::somewhere(|| {
                bell.wait(None, |_| if asleep(line) { kill::now() } else { None::<()> });
            });
        }),
    ];
    for ((how, leave), sleeps) in left_how.into_iter().flat_map(|left| [(left, 1), (left, 2)]) {
        model(&format!("successor of one {how} after {sleeps} sleeps"), move || {
            let (here, there) = Line::pair(Futex::restless);
            let mut waker = bell(&here);
            let mut first = bell(&there);
            for n in 1..=sleeps {
                sleep_once(&mut first, &there, &mut waker);
                assert_eq!(rings(&here), n);
            }
            leave(first, &there);
            waker.notify();
            let before = rings(&here);

            let mut second = bell(&there);
            assert!(!asleep(&there) && !waker.peer().left());
            sleep_once(&mut second, &there, &mut waker);
            assert_eq!(rings(&here), before + 1);
        });
    }
}

#[test]
fn who_left_before_somebody_came_has_not_left_them() {
    model("left before", || {
        let (here, there) = Line::pair(Futex::restless);
        bell(&there).retire();
        let waker = bell(&here);
        assert!(!waker.peer().left());
        let mut second = bell(&there);
        assert!(!waker.peer().left());
        second.retire();
        assert!(waker.peer().left());
    });
}

#[test]
fn numbers_wrap_without_looking_retired() {
    model("numbers wrap", || {
        let (here, there) = Line::pair(Futex::restless);
        there.asleep(Whose::Mine).store((1 << 31) - 2, Ordering::Relaxed);
        let (mut waker, mut sleeper) = (bell(&here), bell(&there));
        for n in 1..=2 {
            sleep_once(&mut sleeper, &there, &mut waker);
            assert_eq!(rings(&here), n);
            assert!(!waker.peer().left());
        }
        let again = bell(&there);
        assert!(!waker.peer().left());
        drop(again);
    });
}

/// One sleep, during which the waker has news.
fn sleep_once(sleeper: &mut Bell<Line>, line: &Line, waker: &mut Bell<Line>) {
    let mut news = false;
    let found = sleeper.wait(None, |_| {
        if asleep(line) {
            waker.notify();
            news = true;
            return None;
        }
        news.then_some(())
    });
    assert_eq!(found, Some(()));
}
