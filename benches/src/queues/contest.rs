//! Contenders beside one of them, placement by placement, each bar with its verdict.

use std::time::{Duration, Instant};

use ringway_cli::bench::{self, Error, Pair, Placement, Result, Slice, Spread, Subject};

use super::crew::Crew;
use super::{Contender, Open, Shape};
use crate::table::{Bar, FEW};

/// Hand-overs of a cache line, to tell how far apart the CPUs are.
const GAUGE: u64 = 10_000;

/// Contenders in one shape.
#[derive(Debug)]
pub struct Contest {
    /// What it is about.
    pub title: &'static str,
    /// Who does what.
    pub shape: Shape,
    /// The floor, which runs between threads.
    pub floor: Contender,
    /// Those that are compared with it.
    pub contenders: &'static [Contender],
    /// What is asked of the speed of the first, in that of the second.
    pub bars: &'static [(Contender, Bar, Contender)],
}

/// Holds all of them in about `time`, and prints what came of them.
///
/// # Errors
/// There is but one CPU; a contender, or the system, refuses something; or a message is lost, garbled or there twice.
pub fn hold(pair: &mut Pair, contests: &[Contest], time: Duration) -> Result<()> {
    for contest in contests {
        println!("\n{}; {} is 1", contest.title, contest.floor.name);
        let seen = Seen::of(pair, contest, time / contests.len() as u32)?;
        for placement in Placement::ALL {
            print(contest, &seen, placement);
        }
    }
    Ok(())
}

/// The slices of each contender of a contest, the same turns for all of them.
struct Seen(Vec<Vec<Slice>>);

impl Seen {
    fn of(pair: &mut Pair, contest: &Contest, time: Duration) -> Result<Self> {
        let Contest { shape, floor, contenders, .. } = contest;
        let cpus = pair.cpus().ok_or(Error::OneCpu)?;
        let all = [&[*floor], *contenders].concat();
        let (threads, processes): (Vec<_>, Vec<_>) =
            all.iter().partition(|contender| matches!(contender.open, Open::Threads(_)));
        let mut crews = Vec::new();
        let threads = (Crew::threads as fn(_, _, &_) -> _, threads);
        for (start, contenders) in [threads, (Crew::processes, processes)] {
            if !contenders.is_empty() {
                crews.push((start(*shape, cpus, &contenders)?, contenders));
            }
        }
        let mut slice = |contender: &Contender| {
            let number = |crew: &[Contender]| crew.iter().position(|it| it.name == contender.name);
            let found = crews.iter_mut().find_map(|(crew, its)| Some(crew).zip(number(its)));
            match found {
                Some((crew, number)) => {
                    let failed = |error| Error::Failed(format!("{}: {error}", contender.name));
                    crew.slice(number).map_err(failed)
                }
                None => Err(Error::NotStarted(contender.name.to_owned())),
            }
        };

        // Once for nothing: memory is touched, and branches are learned.
        all.iter().try_for_each(|contender| slice(contender).map(drop))?;
        let mut seen = Self(vec![Vec::new(); contenders.len()]);
        let start = Instant::now();
        let mut gauge_before = gauge(pair)?;
        while start.elapsed() < time {
            let mut turn = Vec::new();
            let mut before = slice(floor)?;
            for contender in *contenders {
                let ns = slice(contender)?;
                let after = slice(floor)?;
                turn.push((ns, [before, after]));
                before = after;
            }
            let gauge_after = gauge(pair)?;
            for (slices, (ns, floor_ns)) in seen.0.iter_mut().zip(turn) {
                slices.push(Slice { ns, floor_ns, gauge_ns: [gauge_before, gauge_after] });
            }
            gauge_before = gauge_after;
        }
        Ok(seen)
    }
}

/// Nanoseconds that a cache line takes from the one CPU to the other.
fn gauge(pair: &mut Pair) -> Result<f64> {
    let time = Subject::hand_over(bench::Contender::Line, 8).run(pair, GAUGE)?;
    Ok(time.as_nanos() as f64 / GAUGE as f64)
}

/// What was seen while the CPUs were placed so; nothing if that was hardly ever.
fn print(contest: &Contest, seen: &Seen, placement: Placement) {
    let here = |slice: &&Slice| slice.placement() == Some(placement);
    let slices = |number: usize| seen.0[number].iter().filter(here);
    let row = |placement: &str, contender: Contender, ns: f64| {
        let Contender { name, waiting, .. } = contender;
        print!("  {placement:<10}{name:<32}{:<20}{}", waiting.name(), contest.shape.figure(ns));
    };
    let floor = Spread::of((0..seen.0.len()).flat_map(slices).map(Slice::floor));
    let Some(floor) = floor.filter(|_| slices(0).count() >= FEW) else { return };
    row(placement.name(), contest.floor, floor.median);
    println!();
    for (number, contender) in contest.contenders.iter().enumerate() {
        let Some(time) = Spread::of(slices(number).map(|slice| slice.ns)) else { continue };
        row("", *contender, time.median);
        let bar = |beside: Contender| {
            let whose = [contender.name, beside.name];
            contest
                .bars
                .iter()
                .find(|(of, _, beside)| [of.name, beside.name] == whose)
                .map(|(_, bar, _)| *bar)
        };
        println!("   {}", speed(slices(number).map(|slice| 1.0 / slice.ratio()), bar(contest.floor)));
        for (beside, other) in contest.contenders.iter().enumerate() {
            let Some(bar) = bar(*other) else { continue };
            let speeds =
                slices(number).zip(slices(beside)).map(|(slice, other)| other.ratio() / slice.ratio());
            println!("{:<14}beside {:<53}{}", "", other.name, speed(speeds, Some(bar)));
        }
    }
}

/// A speed, in that of something else in the same turn, and what is asked of it.
fn speed(speeds: impl Iterator<Item = f64> + Clone, bar: Option<Bar>) -> String {
    let turns = speeds.clone().count();
    let Some(Spread { median, p10, p90 }) = Spread::of(speeds) else { return String::new() };
    let verdict = bar.map_or_else(String::new, |bar| {
        format!("   {bar}: {}", if bar.holds(median) { "holds" } else { "missed" })
    });
    format!("{median:>6.3} x (p10 {p10:.3}, p90 {p90:.3}) in {turns}{verdict}")
}
