//! Whether a history can be put in order, by trying all orders.

use std::collections::VecDeque;

use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::history::{
    self, Operation,
    What::{Nothing, Receive, Send},
};

/// Whether the rest of a history, whose operations that are done are marked, can follow on this queue.
fn can_go_on(history: &[Operation], done: &mut [bool], queue: &mut VecDeque<u64>) -> bool {
    if done.iter().all(|done| *done) {
        return true;
    }
    for at in 0..history.len() {
        let next = &history[at];
        let is_first = (0..history.len()).all(|other| done[other] || !history[other].is_before(next));
        if done[at] || !is_first {
            continue;
        }
        done[at] = true;
        let found = match next.what {
            Send(message) => {
                queue.push_back(message);
                let found = can_go_on(history, done, queue);
                queue.pop_back();
                found
            }
            Receive(message) if queue.front() == Some(&message) => {
                queue.pop_front();
                let found = can_go_on(history, done, queue);
                queue.push_front(message);
                found
            }
            Nothing if queue.is_empty() => can_go_on(history, done, queue),
            Receive(_) | Nothing => false,
        };
        done[at] = false;
        if found {
            return true;
        }
    }
    false
}

fn is_linearizable(history: &[Operation]) -> bool {
    can_go_on(history, &mut vec![false; history.len()], &mut VecDeque::new())
}

/// Sends of a few messages, receives of most of them, and some that find nothing, at any times.
fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let time = || (0u64..16, 0u64..8);
    let messages = prop::collection::vec((time(), prop::option::weighted(0.8, time())), 1..5);
    let nothing = prop::collection::vec(time(), 0..3);
    (messages, nothing).prop_map(|(messages, nothing)| {
        let operation = |(from, lasts), what| Operation { from, to: from + lasts, what };
        let mut history: Vec<_> = nothing.into_iter().map(|time| operation(time, Nothing)).collect();
        for (message, (sent, received)) in (0..).zip(messages) {
            history.push(operation(sent, Send(message)));
            // Most receives come after their sends; else little is left that could be right.
            history.extend(received.map(|(from, lasts)| operation((sent.0 + from, lasts), Receive(message))));
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_checker_finds_fault_exactly_where_no_order_explains_a_history(history in histories()) {
        prop_assert_eq!(history::check(&history).is_ok(), is_linearizable(&history), "{:?}", history);
    }
}
