//! The report as tables to read.

use std::fmt;

use super::report::{HandOver, Report, Stream};
use super::{BLOCK, Bytes, CAPACITY, Count, Size, Spread, Time};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ringway {}: two processes ", self.version)?;
        match self.pinned_cpus {
            Some([ours, other]) => writeln!(f, "pinned to CPU {ours} and CPU {other}")?,
            None => writeln!(
                f,
                "on one CPU, so every hand-over is a context switch; what only spins is left out"
            )?,
        }
        let mut unsteady = 100.0;
        for placed in &self.placements {
            let percent = placed.share_of_slices * 100.0;
            unsteady -= percent;
            let (name, line) = (placed.placement.name(), Time(placed.one_line_ns.median));
            writeln!(f, "placement: {name} in {percent:.0} % of the slices; one cache line takes {line}")?;
        }
        if !self.placements.is_empty() {
            writeln!(f, "  siblings: less than 25 ns; near: up to 100 ns; far: more")?;
        }
        if self.pinned_cpus.is_some() && unsteady > 5.0 {
            writeln!(
                f,
                "unsteady: {unsteady:.0} % of the slices; the CPUs were moved, or something else runs"
            )?;
        }

        writeln!(
            f,
            "\n{:<30}{:<20}{:>9}   {:<22}{:>9}{:>9}{:>9}{:>9}",
            "hand-over, 8 B, one way",
            "waiting",
            "median",
            "x floor (p10 - p90)",
            "p50",
            "p99",
            "p99.9",
            "max"
        )?;
        self.hand_overs.iter().try_for_each(|row| hand_over(f, row))?;
        writeln!(
            f,
            "  Left: slices without a clock, each beside its floor. Right: round trips clocked one by one and \
             halved,\n  which adds {} or more for the clock. Below 1: the kernel hands over otherwise, or within the scatter.",
            Time(self.clock_read_ns / 2.0)
        )?;

        let same_size = |a: &Stream, b: &Stream| a.message_bytes == b.message_bytes;
        for (row, streams) in self.streams.chunk_by(same_size).enumerate() {
            if row == 0 {
                stream_head(f, streams)?;
            }
            stream_row(f, streams)?;
        }
        writeln!(f, "  Messages and bytes a second; {} hold what is on the way.", Size(CAPACITY))?;

        writeln!(
            f,
            "\nidle: waiting {:.1} s in recv ({}) took {:.2} % of a CPU",
            self.idle.wait_seconds,
            self.idle.contender.name(),
            self.idle.cpu_percent
        )
    }
}

fn hand_over(f: &mut fmt::Formatter<'_>, row: &HandOver) -> fmt::Result {
    let ratio = row.ratio_to_floor.map_or_else(String::new, |Spread { median, p10, p90 }| {
        let places = if median < 10.0 { 2 } else { 0 };
        format!("{median:.places$} ({p10:.places$} - {p90:.places$})")
    });
    let clocked = &row.clocked_one_way_ns;
    writeln!(
        f,
        "{:<30}{:<20}{:>9}   {ratio:<22}{:>9}{:>9}{:>9}{:>9}",
        row.contender.name(),
        row.waiting.name(),
        Time(row.one_way_ns.median),
        Time(clocked.p50),
        Time(clocked.p99),
        Time(clocked.p999),
        Time(clocked.max),
    )
}

fn stream_head(f: &mut fmt::Formatter<'_>, streams: &[Stream]) -> fmt::Result {
    write!(f, "\n{:<10}", "stream")?;
    streams.iter().try_for_each(|stream| write!(f, "{:<24}", stream.contender.name()))?;
    let floor = streams.first().map_or("", |stream| stream.floor.name());
    writeln!(f, "{floor} by {}", Size(BLOCK))
}

fn stream_row(f: &mut fmt::Formatter<'_>, streams: &[Stream]) -> fmt::Result {
    let Some(first) = streams.first() else { return Ok(()) };
    write!(f, "{:<10}", Size(first.message_bytes))?;
    for stream in streams {
        let messages = Count(stream.messages_per_second.median);
        let bytes = Bytes(stream.bytes_per_second.median);
        write!(f, "{:<24}", format!("{messages:>7} {bytes:>9}/s"))?;
    }
    writeln!(f, "{}/s", Bytes(first.floor_bytes_per_second.median))
}
