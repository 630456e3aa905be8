//! Who does what with a queue.

use ringway_cli::bench::{Count, Time};
use serde::{Deserialize, Serialize};

/// Who does what with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// One member sends and receives in turn.
    Alone,
    /// Two members, two queues: a message there, then one back.
    HandOver,
    /// So many members send, and as many others receive.
    Stream(usize),
}

impl Shape {
    pub(super) fn members(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::HandOver => 2,
            Self::Stream(each) => 2 * each,
        }
    }

    pub(super) fn queues(self) -> usize {
        if self == Self::HandOver { 2 } else { 1 }
    }

    /// Whether members have to share a CPU, of two.
    pub(super) fn crowded(self) -> bool {
        self.members() > 2
    }

    /// The CPU of a member, 0 or 1: half of the senders and half of the receivers run on each, where they can.
    pub(super) fn cpu(self, member: usize) -> usize {
        match self {
            Self::Alone | Self::HandOver => member,
            Self::Stream(each) if member < each => member % 2,
            Self::Stream(each) => (member - each + 1) % 2,
        }
    }

    /// Nanoseconds a message, or messages a second, as it suits.
    pub(super) fn figure(self, ns: f64) -> String {
        match self {
            Self::Alone | Self::HandOver => format!("{:>10}", Time(ns).to_string()),
            Self::Stream(_) => format!("{:>8}/s", Count(1e9 / ns).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cpus_have_as_many_senders_and_as_many_receivers() {
        for each in [2, 8] {
            let shape = Shape::Stream(each);
            let cpus: Vec<_> = (0..2 * each).map(|member| shape.cpu(member)).collect();
            let on_the_second = |cpus: &[usize]| cpus.iter().sum::<usize>();
            let (senders, receivers) = cpus.split_at(each);
            assert_eq!([senders, receivers].map(on_the_second), [each / 2; 2], "{shape:?}");
        }
    }

    #[test]
    fn two_members_have_a_cpu_each() {
        for shape in [Shape::HandOver, Shape::Stream(1)] {
            assert_eq!([shape.cpu(0), shape.cpu(1)], [0, 1], "{shape:?}");
        }
    }
}
