//! One operation, looked at once and then cut short at one point after the other.

use std::error::Error;

use crate::{
    Ring,
    map::Map,
    operation::Operation,
    stepper::{Step, Stepper},
    survivor::Survivor,
};

/// What a check comes to.
pub(crate) type Verdict<T = ()> = Result<T, Box<dyn Error>>;

/// Steps after which an operation counts as endless.
const ENDLESS: usize = 2_000_000;

/// Where the victim is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// After so many system calls, and then so many steps.
    After { calls: usize, steps: usize },
    /// While it sleeps.
    Asleep,
}

/// How far the victim's operation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It was killed before it began.
    Beginning,
    /// In the midst of it.
    Midst,
    /// It was killed when all was done.
    End,
}

/// What an operation consists of.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Of each step whether it was the first of an instruction, and not a repetition.
    pub(crate) steps: Vec<bool>,
    /// Steps that changed the ring's memory.
    pub(crate) changes: Vec<usize>,
    /// Steps that were system calls.
    pub(crate) calls: Vec<usize>,
    pub(crate) sleeps: bool,
}

impl Survey {
    /// The point after this step.
    pub(crate) fn point(&self, step: usize) -> Point {
        // One that may sleep is not let out of sight.
        let calls = if self.sleeps { 0 } else { self.calls.partition_point(|&call| call <= step) };
        let last = calls.checked_sub(1).map_or(0, |last| self.calls[last]);
        Point::After { calls, steps: step - last }
    }
}

/// A ring, a survivor, and a victim that stands at the beginning of the operation.
pub(crate) struct Scene {
    pub(crate) ring: Ring,
    pub(crate) survivor: Survivor,
    pub(crate) victim: Stepper,
}

impl Scene {
    pub(crate) fn set(operation: &Operation) -> Verdict<Self> {
        let ring = operation.ring()?;
        let survivor = Survivor::start(operation, &ring)?;
        let victim = Stepper::start(operation.may_sleep(), || operation.perform(&ring).is_ok())?;
        let survivor = survivor.get_ready(operation, &ring)?;
        Ok(Self { ring, survivor, victim })
    }

    /// Lets the victim make one step, and wakes it if it sleeps. Whether there is another.
    fn step(&mut self, operation: &Operation) -> Verdict<bool> {
        let mut step = self.victim.step()?;
        if step == Step::Asleep {
            self.survivor.wake_victim(operation)?;
            step = self.victim.settle()?;
        }
        Ok(step == Step::Made)
    }

    /// Brings the victim to this point. How far its operation has come.
    pub(crate) fn reach(&mut self, operation: &Operation, point: Point) -> Verdict<Reached> {
        match point {
            Point::After { calls: 0, steps: 0 } => Ok(Reached::Beginning),
            Point::After { calls, steps } => {
                for way in 0..calls + steps {
                    let there_is_more =
                        if way < calls { self.victim.call()? == Step::Made } else { self.step(operation)? };
                    if !there_is_more {
                        return Ok(Reached::End);
                    }
                }
                Ok(Reached::Midst)
            }
            Point::Asleep => loop {
                match self.victim.step()? {
                    Step::Made => {}
                    Step::Asleep => return Ok(Reached::Midst),
                    Step::End => return Err("the victim did not fall asleep".into()),
                }
            },
        }
    }

    /// Kills the victim, and sees how the survivor fares.
    fn end(mut self, operation: &Operation, reached: Reached) -> Verdict {
        if reached == Reached::End {
            self.survivor.hear()?;
        }
        self.victim.kill()?;
        self.survivor.carry_on(operation, self.ring, reached)
    }
}

/// Looks at each step of the operation.
pub(crate) fn survey(operation: &Operation) -> Verdict<Survey> {
    let mut scene = Scene::set(operation)?;
    let mut survey = Survey::default();
    let mut map: Option<Map> = None;
    let mut before = Vec::new();
    let mut last = 0;
    loop {
        let number = survey.steps.len();
        if number > ENDLESS {
            return Err("the operation does not come to an end".into());
        }
        // One that has no memory yet may get it by a system call.
        let is_call = survey.calls.last() == Some(&number);
        if map.is_none() && (number == 0 || is_call) {
            map = scene.ring.map();
            before = map.as_ref().map_or(Vec::new(), |map| map.look(scene.victim.stopped()).to_vec());
        }
        let (at, is_call) = scene.victim.next();
        let step = match scene.victim.step()? {
            Step::Asleep => {
                survey.sleeps = true;
                scene.survivor.wake_victim(operation)?;
                scene.victim.settle()?
            }
            step => step,
        };
        if step == Step::End {
            break;
        }
        survey.steps.push(at != last);
        last = at;
        if is_call {
            survey.calls.push(number + 1);
        }
        if let Some(map) = &map {
            let now = map.look(scene.victim.stopped());
            if now != before {
                survey.changes.push(number + 1);
                before.copy_from_slice(now);
            }
        }
    }
    scene.end(operation, Reached::End)?;
    Ok(survey)
}

/// Looks at the operation's system calls only.
pub(crate) fn survey_calls(operation: &Operation) -> Verdict<usize> {
    let mut scene = Scene::set(operation)?;
    let mut calls = 0;
    while scene.victim.call()? == Step::Made {
        calls += 1;
    }
    scene.end(operation, Reached::End)?;
    Ok(calls)
}

/// Kills a victim at this point, and sees how the survivor fares.
pub(crate) fn kill(operation: &Operation, point: Point) -> Verdict {
    let mut scene = Scene::set(operation)?;
    let reached = scene.reach(operation, point)?;
    scene.end(operation, reached)
}
