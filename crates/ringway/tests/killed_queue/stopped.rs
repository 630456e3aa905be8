//! A participant is stopped at each instruction that changes the queue, and the others go on without it.
//!
//! It is SIGSTOPped, all of it, before the instruction and behind it. Two others, each of which sends and receives, send each other
//! hundreds of messages, many times around the queue: none waits for the one that is stopped, or is told that it has died. Then that one
//! goes on: what it was about to send comes, whole and once; what it has received nobody else gets.

use crate::{
    PROGRESS,
    child::{Child, Event},
    killing::{self, Point, Scene, Survey, Verdict},
    ledger::{Fate, Ledger},
    operation::{Act, Operation},
    stepper::{Pin, Stepper},
    watchdog::{self, Turn},
};

/// Messages that are sent meanwhile, one half each way.
const MESSAGES: u64 = 400;

/// Stops victims in the midst of these operations, and fails if anything waits for them.
pub(crate) fn stop_everywhere(operations: &[Operation]) {
    let _turn = Turn::take();
    if let Some(why) = Stepper::missing() {
        return eprintln!("skipped: {why}");
    }
    let _pin = Pin::here();
    for operation in operations {
        watchdog::say(operation.name);
        let survey = killing::survey(operation).unwrap();
        let points = points(&survey);
        for &point in &points {
            watchdog::say(&format!("{}, stopped at {point:?}", operation.name));
            if let Err(error) = stop(operation, point) {
                panic!("{}, stopped at {point:?}: {error}", operation.name);
            }
        }
        eprintln!("{:48} stopped at {} points", operation.name, points.len());
    }
}

/// Before each instruction that changes something, and behind it.
fn points(survey: &Survey) -> Vec<Point> {
    let mut steps: Vec<_> = survey.changes.iter().flat_map(|&step| [step - 1, step]).collect();
    steps.dedup();
    steps.into_iter().map(|step| survey.point(step)).collect()
}

fn stop(operation: &Operation, point: Point) -> Verdict {
    let mut scene = Scene::set(operation)?;
    scene.reach(operation, point)?;
    let Scene { ring: queue, mut survivor, victim } = scene;
    let victim = victim.halt()?;

    let mut all = survivor.all();
    all.succeed(operation, &queue)?;
    // In whatever order: what the victim has in hand comes late; or not, if it has received it.
    let takes = matches!(operation.act, Act::Receive | Act::Release);
    let sent =
        |number| if number < operation.before[1] { vec![Fate::Gone] } else { vec![Fate::Back, Fate::Gone] };
    let sends = operation.sends().map(|_| vec![Fate::Back]);
    let mut ledger = Ledger::new((0..operation.sent()).map(sent).chain(sends).collect());
    all.drain(operation, &mut ledger)?;
    all.flow(MESSAGES, &mut ledger)?;

    if takes {
        // If it has not received anything yet it will be this.
        let number = ledger.send_to(vec![Fate::Back, Fate::Gone]);
        all.txs[0].send_timeout(&Operation::message(number), PROGRESS)?;
    }
    go_on(victim)?;
    all.drain(operation, &mut ledger)?;
    let had = operation.before[1] as usize + operation.received() as usize + usize::from(takes);
    if ledger.missing() != had {
        return Err(format!("{} messages did not come, of {had}: {ledger:?}", ledger.missing()).into());
    }
    all.hold_nothing(&queue)?;
    all.part()
}

/// Lets the victim come to the end, and leave.
fn go_on(mut victim: Child) -> Verdict {
    // It stops once more at the end of the operation.
    for expected in [Event::Stopped(libc::SIGSTOP), Event::Exited(0)] {
        victim.signal(libc::SIGCONT);
        let event = victim.wait();
        if event != expected {
            return Err(format!("the victim was to go on: {event:?}").into());
        }
    }
    Ok(())
}
