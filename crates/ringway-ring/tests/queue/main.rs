//! The queue that nobody can stop: over private memory, with slices of payloads.
//!
//! | module | claims |
//! |---|---|
//! | `oracle` | any order of calls, deaths among them, does what a queue in a vector does |
//! | `late` | sweeps that come late, or two at once, touch nothing that is another's, and count nothing twice |
//! | `strange` | what is of another queue is refused |
//! | `threads` | every message arrives once, whole, in its sender's order, whoever dies |
//! | `hostile` | whatever the words hold, calls end, with `Ok`, `None` or `Err` |
//! | `model`, `memory`, `random`, `watchdog` | what they are made with; the fuzz target `mpmc` has the first two as well |

mod hostile;
mod late;
mod memory;
mod model;
mod oracle;
mod random;
mod strange;
mod threads;
mod watchdog;
