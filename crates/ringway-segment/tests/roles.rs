//! Roles are exclusive and end with their holder.

mod common;

use common::{Running, await_line, is_child, program, say, shape};
use ringway_segment::{ClaimError, Offer, Role};

#[test]
fn a_second_claim_is_refused_while_the_first_lives_and_admitted_after() {
    let offer = Offer::create(&shape()).unwrap();
    let (first, second) = (offer.attach().unwrap(), offer.attach().unwrap());
    first.claim(Role::FIRST).unwrap();
    assert!(matches!(second.claim(Role::FIRST), Err(ClaimError::Held { role: Role::FIRST, .. })));
    drop(first);
    second.claim(Role::FIRST).unwrap();
}

#[test]
fn one_handle_cannot_claim_a_role_twice_either() {
    let segment = Offer::create(&shape()).unwrap().attach().unwrap();
    segment.claim(Role::FIRST).unwrap();
    assert!(matches!(segment.claim(Role::FIRST), Err(ClaimError::Held { .. })));
}

#[test]
fn a_refused_claim_can_be_tried_again() {
    let offer = Offer::create(&shape()).unwrap();
    let (first, second) = (offer.attach().unwrap(), offer.attach().unwrap());
    first.claim(Role::SECOND).unwrap();
    second.claim(Role::SECOND).unwrap_err();
    drop(first);
    second.claim(Role::SECOND).unwrap();
    offer.attach().unwrap().claim(Role::SECOND).unwrap_err();
}

#[test]
fn roles_do_not_get_in_each_others_way() {
    let offer = Offer::create(&shape()).unwrap();
    let holders: Vec<_> = (0..Role::COUNT)
        .map(|index| {
            let segment = offer.attach().unwrap();
            segment.claim(Role::new(index).unwrap()).unwrap();
            segment
        })
        .collect();
    let late = offer.attach().unwrap();
    for index in 0..Role::COUNT {
        late.claim(Role::new(index).unwrap()).unwrap_err();
    }
    drop(holders);
    for index in 0..Role::COUNT {
        late.claim(Role::new(index).unwrap()).unwrap();
    }
}

#[test]
fn of_threads_that_claim_at_once_exactly_one_succeeds() {
    let offer = Offer::create(&shape()).unwrap();
    for _ in 0..200 {
        let shared = offer.attach().unwrap();
        let own: Vec<_> = (0..3).map(|_| offer.attach().unwrap()).collect();
        let start = std::sync::Barrier::new(5);
        let claim = |segment: &ringway_segment::Segment| {
            start.wait();
            u32::from(segment.claim(Role::FIRST).is_ok())
        };
        let (claim, shared) = (&claim, &shared);
        let got: u32 = std::thread::scope(|scope| {
            let mut threads: Vec<_> = own.iter().map(|segment| scope.spawn(move || claim(segment))).collect();
            threads.extend((0..2).map(|_| scope.spawn(move || claim(shared))));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 1);
    }
}

#[test]
fn a_killed_process_gives_its_roles_back() {
    let offer = Offer::create(&shape()).unwrap();
    let segment = offer.attach().unwrap();
    let mut command = program("child_claims_and_waits");
    offer.give_to(&mut command, "X").unwrap();
    let mut child = Running::start(&mut command);
    assert_eq!(child.hear(), "claimed");
    assert!(matches!(segment.claim(Role::FIRST), Err(ClaimError::Held { .. })));
    child.kill();
    segment.claim(Role::FIRST).unwrap();
}

#[test]
#[ignore = "run by another test"]
fn child_claims_and_waits() {
    if is_child() {
        let segment = Offer::from_env("X").unwrap().attach().unwrap();
        segment.claim(Role::FIRST).unwrap();
        say("claimed");
        await_line();
    }
}
