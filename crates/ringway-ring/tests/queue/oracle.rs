use proptest::{prelude::*, test_runner::FileFailurePersistence};
use ringway_ring::mpmc::{Access, Many, Sole};

use super::{
    memory::Memory,
    model::{Birth, Call, LINES, Model, What},
};

/// A call of any participant.
fn call() -> impl Strategy<Value = Call> {
    let what = prop_oneof![
        2 => Just(What::Attach),
        1 => Just(What::Detach),
        1 => Just(What::Die),
        2 => Just(What::Sweep),
        10 => Just(What::Loan),
        2 => Just(What::LoanNear),
        1 => Just(What::GiveBack),
        4 => Just(What::Write),
        4 => Just(What::Pack),
        8 => Just(What::Commit),
        2 => Just(What::CommitAll),
        8 => Just(What::Take),
        2 => Just(What::TakeMany),
        6 => Just(What::Read),
        5 => Just(What::Release),
        1 => Just(What::Lose),
        2 => Just(What::PutBack),
        1 => Just(What::Reuse),
    ];
    let which = prop_oneof![0..4u8, any::<u8>()];
    (what, 0..LINES as u8, which, any::<u16>()).prop_map(|(what, who, which, len)| Call {
        what,
        who,
        which,
        len,
    })
}

fn birth() -> impl Strategy<Value = Birth> {
    // Few slots are full and come around soon; counts of uses are near where they wrap, in a state and in a note of losses.
    let slots = prop_oneof![1..6u32, 1..71u32];
    let uses = prop_oneof![Just(0), Just((1 << 32) - 9), Just((1 << 44) - 9)];
    (slots, 0..300u32, 0..u32::MAX, uses).prop_map(|(slots, size, laps, uses)| {
        let (senders, receivers) = (LINES as u8, LINES as u8);
        Birth { slots, size, laps, uses, senders, receivers, hostile: false }
    })
}

fn agree<S: Access, R: Access>(birth: Birth, calls: &[Call]) {
    let memory = Memory::new(birth.slots, birth.size, LINES);
    let mut model = Model::<S, R>::new(&memory, birth);
    calls.iter().for_each(|&call| model.call(call));
    model.end();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_calls_agrees_with_a_queue(
        birth in birth(),
        calls in prop::collection::vec(call(), 0..400),
    ) {
        agree::<Many, Many>(birth, &calls);
    }

    #[test]
    fn one_that_sends_alone_agrees_with_a_queue(
        birth in birth(),
        calls in prop::collection::vec(call(), 0..400),
    ) {
        agree::<Sole, Many>(Birth { senders: 1, ..birth }, &calls);
    }

    #[test]
    fn one_that_receives_alone_agrees_with_a_queue(
        birth in birth(),
        calls in prop::collection::vec(call(), 0..400),
    ) {
        agree::<Many, Sole>(Birth { receivers: 1, ..birth }, &calls);
    }

    #[test]
    fn two_alone_agree_with_a_queue(
        birth in birth(),
        calls in prop::collection::vec(call(), 0..400),
    ) {
        agree::<Sole, Sole>(Birth { senders: 1, receivers: 1, ..birth }, &calls);
    }
}
