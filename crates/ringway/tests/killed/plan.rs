//! At which points of an operation it is cut short.

use crate::{
    killing::{Point, Survey},
    operation::Operation,
};

/// How many points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A few of each operation.
    Quick,
    /// Each instruction of what is done most; of the rest, each at which something shows, and a sample.
    Whole,
}

/// Of what does not show, and of repetitions of one instruction, so many points are tried.
const SAMPLE: usize = 64;
/// Of each operation, if it is to be quick.
const FEW: usize = 8;

/// The points, in order.
pub(crate) fn points(operation: &Operation, survey: &Survey, effort: Effort) -> Vec<Point> {
    let steps = survey.steps.len();
    let shows = survey.changes.iter().chain(&survey.calls).flat_map(|&step| [step - 1, step]);
    let mut points: Vec<usize> = match effort {
        // What was prepared is made visible at the end.
        Effort::Quick => {
            let shows = sorted(shows.collect());
            // Of one that may sleep, each step takes longer.
            let few = if survey.sleeps { FEW / 4 } else { FEW };
            let last = &shows[shows.len().saturating_sub(few)..];
            [spread(&shows, few), last.to_vec()].concat()
        }
        Effort::Whole if operation.is_hot() => {
            let (new, repeated): (Vec<_>, Vec<_>) = (1..=steps).partition(|step| survey.steps[step - 1]);
            new.into_iter().chain(spread(&repeated, SAMPLE)).collect()
        }
        Effort::Whole => {
            let all: Vec<_> = (1..=steps).collect();
            shows.chain(spread(&all, SAMPLE)).collect()
        }
    };
    // Before all, and after all.
    points.extend([0, steps, steps + 1]);
    let asleep = survey.sleeps.then_some(Point::Asleep);
    sorted(points).into_iter().map(|step| survey.point(step)).chain(asleep).collect()
}

/// The points between the system calls of an operation of which nothing else is known.
pub(crate) fn points_by_calls(calls: usize) -> Vec<Point> {
    (0..=calls + 1).map(|calls| Point::After { calls, steps: 0 }).collect()
}

/// So many of them, evenly spread.
fn spread(all: &[usize], most: usize) -> Vec<usize> {
    (0..most.min(all.len())).map(|n| all[n * all.len() / most.min(all.len())]).collect()
}

fn sorted(mut points: Vec<usize>) -> Vec<usize> {
    points.sort_unstable();
    points.dedup();
    points
}
