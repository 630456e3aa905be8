//! Events and crowds; the news are a counter that each takes one of. News lost are a deadlock of the patient futex.
#![cfg(ringway_loom)]

use std::{sync::Arc, time::Instant};

use loom::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use loom_tests::{
    NewFutex, PARK, bounded,
    event::{Member, Street},
    kill,
    life::{MARK, Sources, WATCH},
    with_both_futexes,
};
use ringway_wait::{Crowd, Event, EventWords, primitive::Futex};

/// One process's end of the event, with what is waited for.
#[derive(Clone)]
struct Post {
    street: Street,
    event: Arc<Event<Street>>,
    news: Arc<AtomicU64>,
}

/// For everybody, and taken by nobody.
const CLOSED: u64 = 1 << 32;

impl Post {
    /// One for each line.
    fn lines<const N: usize>(futex: NewFutex) -> [Self; N] {
        Self::told_by(futex, MARK)
    }

    fn told_by<const N: usize>(futex: NewFutex, sources: Sources) -> [Self; N] {
        let street = Street::new(futex, N, sources);
        let news = Arc::new(AtomicU64::new(0));
        std::array::from_fn(|line| Self {
            street: street.clone(),
            event: Arc::new(Event::attach(street.clone(), line, PARK)),
            news: news.clone(),
        })
    }

    /// Makes one of the news visible, by a read-modify-write that orders nothing.
    fn publish(&self) {
        self.news.fetch_add(1, Ordering::Relaxed);
    }

    fn send(&self) {
        self.publish();
        self.event.notify_after_rmw();
    }

    fn take(&self) -> Option<()> {
        let taken = self.news.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |news| {
            (news & !CLOSED != 0).then(|| news - 1)
        });
        taken.ok().map(drop)
    }

    fn more(&self) -> bool {
        self.news.load(Ordering::Relaxed) != 0
    }

    /// Waits for one of the news.
    fn receive(&self) {
        assert_eq!(self.event.wait(None, &nobody(), || 0, || self.take(), || self.more()), Some(()));
    }

    /// Waits a while for one of the news.
    fn receive_in_time(&self) -> Option<()> {
        self.event.wait(Some(Instant::now()), &nobody(), || 0, || self.take(), || self.more())
    }

    /// Waits until it is closed.
    fn await_close(&self) {
        let look = || (self.news.load(Ordering::Relaxed) == CLOSED).then_some(());
        assert_eq!(self.event.wait(None, &nobody(), || 0, look, || self.more()), Some(()));
    }

    fn spawn(&self, life: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let post = self.clone();
        thread::spawn(move || life(&post))
    }
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// [`bounded`] with the patient futex: several restless sleepers would go on waking one another.
fn patient(name: &str, preemptions: usize, life: impl Fn(NewFutex) + Sync + Send + 'static) {
    bounded(&format!("{name}, patient futex"), preemptions, move || life(Futex::patient));
}

/// A crowd of whose deaths nobody hears.
fn nobody() -> Crowd<Member> {
    Crowd::new(Vec::new(), 0)
}

#[test]
fn two_news_wake_two_threads_of_one_process() {
    patient("one line, two threads", 2, |futex| {
        let [sender, receiver] = Post::lines(futex);
        let threads = [(); 2].map(|()| receiver.spawn(Post::receive));
        sender.send();
        sender.send();
        join(threads);
        assert_eq!(sender.street.sleepers().load(Ordering::Relaxed) & !2, 0);
    });
}

#[test]
fn two_news_wake_two_processes() {
    patient("two lines", 2, |futex| {
        let [sender, one, other] = Post::lines(futex);
        let threads = [one, other].map(|receiver| receiver.spawn(Post::receive));
        sender.send();
        sender.send();
        join(threads);
    });
}

#[test]
fn one_that_sleeps_twice_gets_the_news_of_two_that_ring_at_once() {
    with_both_futexes("two wakers", 2, |futex| {
        let [one, other, receiver] = Post::lines(futex);
        let threads = [one, other].map(|sender| sender.spawn(Post::send));
        receiver.receive();
        receiver.receive();
        join(threads);
    });
}

#[test]
fn two_that_ring_at_once_wake_two() {
    patient("two wakers, two threads", 1, |futex| {
        let [one, other, receiver] = Post::lines(futex);
        let threads = [one.spawn(Post::send), other.spawn(Post::send), receiver.spawn(Post::receive)];
        receiver.receive();
        join(threads);
    });
}

#[test]
fn a_ring_without_a_fence_brings_its_news_too() {
    with_both_futexes("unfenced", 3, |futex| {
        let [sender, receiver] = Post::lines(futex);
        let waker = sender.spawn(|sender| {
            sender.publish();
            let asleep = sender.street.sleepers().load(Ordering::Relaxed) != 0;
            sender.event.notify_unfenced();
            if !asleep {
                sender.event.notify();
            }
        });
        receiver.receive();
        waker.join().unwrap();
    });
}

#[test]
fn who_gives_up_takes_no_wake_along() {
    let both: [(&str, fn(NewFutex) -> [Post; 3]); 2] = [
        ("of another process", Post::lines),
        ("of the same process", |futex| {
            let [sender, receiver] = Post::lines(futex);
            [sender, receiver.clone(), receiver]
        }),
    ];
    for (which, posts) in both {
        patient(&format!("gives up, {which}"), 2, move |futex| {
            let [sender, hasty, patient] = posts(futex);
            let had = Arc::new(AtomicU64::new(0));
            let gives_up = hasty.spawn({
                let had = had.clone();
                move |hasty| {
                    if hasty.receive_in_time().is_some() {
                        had.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let waits = patient.spawn(Post::receive);
            sender.send();
            gives_up.join().unwrap();
            if had.load(Ordering::Relaxed) == 1 {
                sender.send();
            }
            waits.join().unwrap();
        });
    }
}

#[test]
fn a_waker_stopped_at_any_access_hides_nobody_from_the_next_one() {
    kill::everywhere(u32::MAX, |accesses| {
        with_both_futexes(&format!("waker stops after {accesses} accesses"), 2, move |futex| {
            let [stops, sender, receiver] = Post::lines(futex);
            let asleep = receiver.spawn(Post::receive);
            stops.publish();
            kill::after(accesses, || stops.event.notify());
            // The other one's news wake whoever sleeps; what is first in the queue is taken, and that is that.
            sender.send();
            asleep.join().unwrap();
        });
        patient(&format!("waker of two stops after {accesses} accesses"), 2, move |futex| {
            let [stops, sender, one, other] = Post::lines(futex);
            let asleep = [one, other].map(|receiver| receiver.spawn(Post::receive));
            stops.publish();
            kill::after(accesses, || stops.event.notify());
            sender.send();
            join(asleep);
        });
    });
}

#[test]
fn one_killed_at_any_access_leaves_its_wake_to_others_when_it_is_swept() {
    // Later than that it has found the news, or was killed asleep.
    kill::everywhere(7, |accesses| {
        patient(&format!("woken one dies after {accesses} accesses"), 2, move |futex| {
            let [sender, dies, receiver] = Post::lines(futex);
            let killed = Arc::new(AtomicU64::new(0));
            let dying = dies.spawn({
                let killed = killed.clone();
                move |dies| {
                    // If not there, then before it takes what it was woken for, or asleep.
                    let dies_now = || dies.more() || killed.load(Ordering::Relaxed) == 1;
                    let look = || if dies_now() { kill::now() } else { None::<()> };
                    kill::after(accesses, || {
                        let _ = dies.event.wait(None, &nobody(), || 0, look, || false);
                    });
                }
            });
            let waits = receiver.spawn(Post::receive);
            sender.send();
            killed.store(1, Ordering::Relaxed);
            sender.street.bell(1).bump(Ordering::Release);
            sender.street.bell(1).wake_all();
            dying.join().unwrap();
            sender.event.forget(1);
            sender.event.notify_all();
            waits.join().unwrap();
        });
    });
}

#[test]
fn who_was_killed_asleep_and_is_not_swept_swallows_no_wake() {
    kill::everywhere(u32::MAX, |accesses| {
        with_both_futexes(&format!("asleep one dies after {accesses} accesses"), 2, move |futex| {
            let [sender, dies, receiver] = Post::lines(futex);
            // Found only when it is about to sleep.
            let mut looks = 0;
            let look = || {
                looks += 1;
                (looks == 2).then_some(())
            };
            kill::after(accesses, || {
                let _ = dies.event.wait(None, &nobody(), || 0, look, || false);
            });
            let waits = receiver.spawn(Post::receive);
            sender.send();
            waits.join().unwrap();
        });
    });
}

#[test]
fn closing_wakes_every_thread_of_every_process() {
    patient("close", 2, |futex| {
        let [closer, one, other] = Post::lines(futex);
        let threads = [&one, &one, &other].map(|post| post.spawn(Post::await_close));
        closer.news.fetch_add(CLOSED, Ordering::Relaxed);
        closer.event.notify_all();
        join(threads);
    });
}

/// Waits until line 1 is known to be dying.
fn hear(post: &Post, line: usize) {
    let crowd = Crowd::new(post.street.members(), line);
    let present = || post.street.present();
    let dying = || (crowd.dying(present()) == 1 << 1).then_some(());
    assert_eq!(post.event.wait(None, &crowd, present, dying, || false), Some(()));
    post.event.notify_all();
}

#[test]
fn one_that_falls_asleep_hears_of_another_that_comes_and_dies() {
    for (told_by, sources) in [("mark", MARK), ("watch", WATCH)] {
        with_both_futexes(&format!("comes and dies, {told_by}"), 2, move |futex| {
            let [here, comes] = Post::told_by(futex, sources);
            let coming = comes.spawn(|comes| {
                comes.street.come(1);
                comes.event.notify_all();
                comes.street.die(1);
            });
            hear(&here, 0);
            coming.join().unwrap();
        });
    }
}

#[test]
fn all_hear_of_a_death_of_which_the_kernel_tells_one() {
    for (told_by, sources) in [("mark", MARK), ("watch", WATCH)] {
        patient(&format!("all hear, {told_by}"), 2, move |futex| {
            let [one, dies, other] = Post::told_by(futex, sources);
            dies.street.come(1);
            let hears = other.spawn(|other| hear(other, 2));
            let dying = dies.spawn(|dies| dies.street.die(1));
            hear(&one, 0);
            hears.join().unwrap();
            dying.join().unwrap();
        });
    }
}
