//! All operations, and the table of what came of it.

use std::time::Instant;

use crate::{
    killing::{self, Survey, Verdict},
    map,
    operation::{self, Operation},
    plan::{self, Effort},
    stepper::{Pin, Stepper},
    watchdog::{self, Turn},
};

/// Failures of an operation that are told in full.
const TOLD: usize = 3;
/// Failures after which there is no more to be learnt of an operation.
const ENOUGH: usize = 20;

/// Kills victims in the midst of all operations, prints what came of it, and fails if anything went wrong.
pub(crate) fn kill_everywhere(effort: Effort) {
    let _turn = Turn::take();
    if let Some(why) = Stepper::missing() {
        return eprintln!("skipped: {why}");
    }
    let _pin = Pin::here();
    // To look closer at one.
    let only = std::env::var("RINGWAY_KILLED_ONLY").unwrap_or_default();
    eprintln!(
        "{:48} {:>12} {:>8} {:>6} {:>6} {:>7}",
        "killed during", "instructions", "changes", "calls", "kills", "failed"
    );
    let (mut kills, mut failed) = (0, 0);
    let start = Instant::now();
    for operation in operation::all().iter().filter(|it| it.name.contains(&only)) {
        watchdog::say(operation.name);
        let (survey, tried, failures) = match kill_all_over(operation, effort) {
            Ok(done) => done,
            Err(error) => (Survey::default(), 0, vec![format!("at its end: {error}")]),
        };
        let instructions = survey.steps.iter().filter(|is_new| **is_new).count();
        let (changes, calls) = (survey.changes.len(), survey.calls.len());
        eprintln!(
            "{:48} {instructions:12} {changes:8} {calls:6} {tried:6} {:7}",
            operation.name,
            failures.len()
        );
        failures.iter().take(TOLD).for_each(|failure| eprintln!("    {failure}"));
        kills += tried;
        failed += failures.len();
    }
    eprintln!("{kills} kills in {:.1?}, {failed} failed", start.elapsed());
    assert_eq!(failed, 0);
}

fn kill_all_over(operation: &Operation, effort: Effort) -> Verdict<(Survey, usize, Vec<String>)> {
    let before = map::left_over()?;
    let (survey, points) = if effort == Effort::Quick && operation.is_long() {
        (Survey::default(), plan::points_by_calls(killing::survey_calls(operation)?))
    } else {
        let survey = killing::survey(operation)?;
        let points = plan::points(operation, &survey, effort);
        (survey, points)
    };
    let (mut tried, mut failures) = (0, Vec::new());
    for point in points {
        if failures.len() == ENOUGH {
            break;
        }
        tried += 1;
        watchdog::say(&format!("{}: {point:?}", operation.name));
        if let Err(error) = killing::kill(operation, point) {
            failures.push(format!("{point:?}: {error}"));
        }
    }
    // Survivors that sleep on hold what they have.
    let left = map::left_over()?;
    if left.len() > before.len() && failures.is_empty() {
        failures.push(format!("left behind: {left:?}, where {before:?} was"));
    }
    Ok((survey, tried, failures))
}
