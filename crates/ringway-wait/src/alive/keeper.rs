//! The keeper's thread, and what others ask of it: a room with unsafe code.
#![allow(unsafe_code)]

use std::{
    cell::Cell,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel},
    },
    thread::{self, JoinHandle, ThreadId},
};

use super::{
    class::Class,
    list::{Entry, Head, List},
    watches::{Ring, Told, Watches},
};

/// Enough for what the thread does, with room for the C library's and the language's own.
const STACK: usize = 64 << 10;

/// A thread of this process that holds words of one class, and watches processes.
#[derive(Debug)]
pub(super) struct Keeper {
    class: Class,
    /// How many holds and watches it has.
    pub(super) seats: usize,
    desk: Sender<Order>,
    /// By which it is woken while it watches.
    ring: Option<Ring>,
    /// Whether somebody has closed that.
    deaf: Cell<bool>,
    thread: JoinHandle<()>,
}

/// What is asked of a keeper, and where it says that it is done.
struct Order(Draft, SyncSender<()>);

/// A task, until the keeper begins with it or whoever asks takes it back.
#[derive(Clone)]
struct Draft(Arc<Mutex<Option<Task>>>);

impl Draft {
    fn new(task: Task) -> Self {
        Self(Arc::new(Mutex::new(Some(task))))
    }

    fn take(&self) -> Option<Task> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

enum Task {
    Take(Entry),
    GiveBack(Entry),
    Watch(OwnedFd, Told, Ring),
    Forget(Told),
}

impl Keeper {
    /// Makes the thread, and waits until the kernel knows its list.
    pub(super) fn start(class: Class) -> io::Result<Keeper> {
        let (desk, orders) = channel();
        let (ready, answer) = sync_channel(1);
        let thread = with_signals_blocked(|| {
            let builder = thread::Builder::new().name("ringway-keeper".into()).stack_size(STACK);
            builder.spawn(move || keep(class, &orders, &ready))
        })?;
        match answer.recv() {
            Ok(Ok(())) => Ok(Keeper { class, seats: 0, desk, ring: None, deaf: Cell::new(false), thread }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(gone()),
        }
    }

    /// Whether it can hold a word of this class, or (`None`) watch.
    pub(super) fn suits(&self, class: Option<Class>) -> bool {
        !self.deaf.get() && class.is_none_or(|class| class == self.class)
    }

    pub(super) fn id(&self) -> ThreadId {
        self.thread.thread().id()
    }

    /// Takes a word. The entry is as [`List::insert`] wants it, until it is given back.
    pub(super) fn take(&self, entry: Entry) -> io::Result<()> {
        self.ask(Task::Take(entry))
    }

    pub(super) fn give_back(&self, entry: Entry) -> io::Result<()> {
        self.ask(Task::GiveBack(entry))
    }

    pub(super) fn watch(&mut self, process: OwnedFd, told: Told) -> io::Result<()> {
        let ring = match &self.ring {
            Some(ring) => ring.clone(),
            None => self.ring.insert(Ring::new()?).clone(),
        };
        self.ask(Task::Watch(process, told, ring))
    }

    pub(super) fn forget(&self, told: Told) -> io::Result<()> {
        self.ask(Task::Forget(told))
    }

    fn ask(&self, task: Task) -> io::Result<()> {
        let (done, answer) = sync_channel(1);
        let draft = Draft::new(task);
        self.desk.send(Order(draft.clone(), done)).map_err(|_| gone())?;
        if let Some(Err(error)) = self.ring.as_ref().map(Ring::ring) {
            self.deaf.set(true);
            // Something else may wake it later, when nothing is any more as it was asked.
            if draft.take().is_some() {
                return Err(error);
            }
        }
        answer.recv().map_err(|_| gone())
    }

    /// Ends the thread. It has no seats: so it does not poll, and hears that its desk is closed. One that is deaf is
    /// left asleep.
    pub(super) fn stop(self) {
        drop(self.desk);
        if self.deaf.get() {
            return;
        }
        // It does not panic, and if it had there would be nobody to tell.
        let _ = self.thread.join();
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that holds liveness words has ended")
}

fn keep(class: Class, orders: &Receiver<Order>, ready: &SyncSender<io::Result<()>>) {
    settle();
    let head = Head::new(class.distance);
    let mut list = match List::register(&head) {
        Ok(list) => list,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let mut watches = Watches::new();
    while let Some(Order(draft, done)) = next(orders, &mut watches) {
        let Some(task) = draft.take() else { continue };
        match task {
            // SAFETY: by the contract of `Keeper::take`; whoever asks maps the entry as `Class` has it.
            Task::Take(entry) => unsafe { list.insert(entry) },
            Task::GiveBack(entry) => list.remove(entry),
            Task::Watch(process, told, ring) => watches.add(process, told, ring),
            Task::Forget(told) => watches.remove(&told),
        }
        let _ = done.send(());
    }
}

/// The next order; `None` when there will be none. Sleeps until then.
fn next(orders: &Receiver<Order>, watches: &mut Watches) -> Option<Order> {
    loop {
        match orders.try_recv() {
            Ok(order) => return Some(order),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if watches.is_empty() => return orders.recv().ok(),
            // Who asks rings afterwards: what was not there yet ends the sleep.
            Err(TryRecvError::Empty) => watches.sleep(),
        }
    }
}

/// Leaves behind what the thread has from the one that made it: its processors and its scheduling.
fn settle() {
    let mut all = MaybeUninit::<libc::cpu_set_t>::uninit();
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: all bytes of the set are written, and any bits are a set; pointers are to locals that live through the
    // calls. The kernel leaves those processors out that the process must not have. Where it, or a sandbox, refuses,
    // the thread does its work as it is.
    unsafe {
        ptr::write_bytes(all.as_mut_ptr(), 0xff, 1);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), all.as_ptr());
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary);
    }
}

/// Calls `make` while the calling thread has all signals blocked: a thread that it makes has them blocked for good.
///
/// Not those by which the C library has every thread change its ids.
fn with_signals_blocked<T>(make: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: the pointers are to locals; `sigfillset` writes the set that the next call reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let made = make();
    // SAFETY: `before` was written by the call above, which fails only for an operation that is none.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    made
}
