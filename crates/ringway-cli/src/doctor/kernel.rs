//! The kernel: what it can do, by trying. A sandbox may forbid what the kernel has, so its version is no answer.

use std::io;

use ringway::host::{memory, waiting};

use super::{
    finding::{Finding, Topic, Verdict},
    host::Host,
};

/// The first version that Ringway is made for.
const OLDEST: Version = Version(5, 10);

/// A kernel's version, as far as features hang on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u64, u64);

impl Version {
    /// Of a text such as `6.1.0-13-amd64`.
    fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// Something that is tried.
struct Trial {
    name: String,
    done: io::Result<()>,
    /// The kernel that has it.
    since: Version,
    /// What it is without: Ringway cannot do without it, or only worse.
    without: Verdict,
    /// What it is for.
    gives: &'static str,
    /// What is lost without.
    loss: &'static str,
}

pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let release = host.text("/proc/sys/kernel/osrelease");
    let version = release.as_deref().and_then(Version::parse);
    let mut found = vec![running(release.as_deref(), version)];
    let memory = memory::Feature::ALL.into_iter().filter_map(memory_trial);
    let waiting = waiting::Feature::ALL.into_iter().filter_map(waiting_trial);
    found.extend(memory.chain(waiting).map(|trial| judge(trial, version)));
    found.push(membarrier_commands(waiting::membarrier_commands()));
    found
}

fn running(release: Option<&str>, version: Option<Version>) -> Finding {
    let found = Finding::new(Topic::Kernel, "version", release.unwrap_or("not said"))
        .means("Ringway is made for Linux 5.10 and later; on an older one what fails is named below");
    match version {
        None => found.unknown(),
        Some(version) if version < OLDEST => found.bad(Verdict::Worse, "boot Linux 5.10 or later"),
        Some(_) => found,
    }
}

fn judge(trial: Trial, version: Option<Version>) -> Finding {
    let Trial { name, done, since, without, gives, loss } = trial;
    let Err(error) = done else {
        return Finding::new(Topic::Kernel, name, "works").means(gives);
    };
    let Version(major, minor) = since;
    let mend = match (version, error.raw_os_error()) {
        (_, Some(libc::EMFILE)) => "raise the limit on open files: ulimit -n 1024".to_owned(),
        (Some(version), _) if version < since => format!("boot Linux {major}.{minor} or later"),
        _ => format!(
            "let the sandbox of this process permit it (a container's seccomp profile; systemd: SystemCallFilter=); \
             Linux has it since {major}.{minor}"
        ),
    };
    Finding::new(Topic::Kernel, name, error.to_string()).means(loss).bad(without, mend)
}

fn memory_trial(feature: memory::Feature) -> Option<Trial> {
    use memory::Feature::*;
    let (since, without, gives, loss) = match feature {
        Memfd => (
            Version(3, 17),
            Verdict::Missing,
            "rings without a name, gone with their last user",
            "no pairs and no offers; rings with names may work",
        ),
        SizeSeals => (
            Version(3, 17),
            Verdict::Missing,
            "nobody can cut a ring's memory off: no SIGBUS",
            "no pairs and no offers; rings with names may work",
        ),
        FutureWriteSeal => (
            Version(5, 1),
            Verdict::Worse,
            "the kernel can keep a peer from writing what it only may read",
            "no memory that one side writes and the other can only read",
        ),
        NoexecSeal => (
            Version(6, 3),
            Verdict::Worse,
            "a ring's memory can never be run as a program",
            "rings work; their memory is not sealed against being run as a program",
        ),
        DescriptorPaths => (
            Version(2, 6),
            Verdict::Missing,
            "each handle has an open file of its own, and so locks of its own",
            "no ring can be opened or given its name",
        ),
        OpenFileLocks => (
            Version(3, 15),
            Verdict::Missing,
            "an end belongs to one process, and is free when that is dead",
            "no end of a ring can be held",
        ),
        NotForked => (
            Version(2, 6),
            Verdict::Missing,
            "a forked child cannot write into its parent's rings",
            "no ring can be mapped",
        ),
        NotDumped => (
            Version(3, 4),
            Verdict::Missing,
            "core dumps do not contain rings, nor take long because of them",
            "no ring can be mapped",
        ),
        Populate => (
            Version(5, 14),
            Verdict::Worse,
            "no first access has to wait for a page",
            "the first write to each page of a ring costs about a microsecond more",
        ),
        _ => return None,
    };
    Some(Trial { name: feature.to_string(), done: feature.try_out(), since, without, gives, loss })
}

fn waiting_trial(feature: waiting::Feature) -> Option<Trial> {
    use waiting::Feature::*;
    let (since, without, gives, loss) = match feature {
        Futex => (
            Version(2, 6),
            Verdict::Missing,
            "who waits sleeps, and is woken by the other side",
            "who waits cannot sleep, and burns a processor",
        ),
        FutexWaitv => (
            Version(5, 16),
            Verdict::Worse,
            "one sleep for news of messages and of a death",
            "news of a death takes a thread's detour to a sleeper",
        ),
        RobustList => (
            Version(2, 6),
            Verdict::Worse,
            "the kernel itself gives news of a death",
            "a death is noticed by other means: descriptors and locks",
        ),
        Pidfd => (
            Version(5, 3),
            Verdict::Worse,
            "a second source of news that a process has died, and proof of it",
            "the lock on an end is the only proof that its process has died",
        ),
        Membarrier => (
            Version(4, 16),
            Verdict::Worse,
            "one process can execute a fence for all others, so that those who are busy need none",
            "who sends to a receiver that may sleep executes a fence for each message or batch, as by default",
        ),
        _ => return None,
    };
    Some(Trial { name: feature.to_string(), done: feature.try_out(), since, without, gives, loss })
}

fn membarrier_commands(known: io::Result<u32>) -> Finding {
    let name = "membarrier commands";
    let means = "which fences for others there are; the one tried above is all that is needed";
    match known {
        Ok(bits) => Finding::new(Topic::Kernel, name, format!("{bits:#x}")).figure("commands_bits", bits),
        Err(error) => Finding::new(Topic::Kernel, name, error.to_string()).unknown(),
    }
    .means(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(errno: Option<i32>) -> Trial {
        Trial {
            name: "x".into(),
            done: errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno))),
            since: Version(5, 16),
            without: Verdict::Missing,
            gives: "gives",
            loss: "loss",
        }
    }

    #[test]
    fn versions_are_read_as_far_as_they_go() {
        assert_eq!(Version::parse("6.1.0-13-amd64"), Some(Version(6, 1)));
        assert_eq!(Version::parse("5.10-rc3"), Some(Version(5, 10)));
        for rubbish in ["", "6", "linux", "6.x", "99999999999999999999.1", "é.1"] {
            assert_eq!(Version::parse(rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn an_old_kernel_is_worse_and_one_that_does_not_say_is_unknown() {
        let of = |release| running(release, release.and_then(Version::parse)).verdict;
        assert_eq!(of(Some("5.10.1")), Verdict::Good);
        assert_eq!(of(Some("5.9.16")), Verdict::Worse);
        assert_eq!((of(Some("rubbish")), of(None)), (Verdict::Unknown, Verdict::Unknown));
    }

    #[test]
    fn what_works_is_good_whatever_the_version_says() {
        assert_eq!(judge(trial(None), Some(Version(4, 4))).verdict, Verdict::Good);
    }

    #[test]
    fn a_call_too_new_for_the_kernel_asks_for_another_and_one_forbidden_for_the_sandbox() {
        let mend = |errno, version| judge(trial(Some(errno)), version).mend.unwrap();
        assert_eq!(mend(libc::ENOSYS, Some(Version(5, 15))), "boot Linux 5.16 or later");
        assert!(mend(libc::ENOSYS, Some(Version(6, 1))).contains("seccomp"));
        assert!(mend(libc::EPERM, None).contains("seccomp"));
        assert!(mend(libc::EMFILE, Some(Version(6, 1))).contains("ulimit -n"));
        let refused = judge(trial(Some(libc::EPERM)), None);
        assert_eq!((refused.verdict, refused.means.as_str()), (Verdict::Missing, "loss"));
    }

    #[test]
    fn every_feature_has_a_trial() {
        assert!(memory::Feature::ALL.into_iter().all(|feature| memory_trial(feature).is_some()));
        assert!(waiting::Feature::ALL.into_iter().all(|feature| waiting_trial(feature).is_some()));
    }
}
