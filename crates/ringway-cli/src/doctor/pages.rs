//! Huge pages: the pool, and whether the kernel makes shared memory of them by itself.

use ringway::host::memory::Pool;

use super::{
    finding::{Finding, Topic, Verdict},
    host::Host,
};
use crate::size::Rough;

pub(super) fn findings(host: &Host) -> Vec<Finding> {
    vec![pool(host), transparent(host)]
}

fn pool(host: &Host) -> Finding {
    let beyond = host.number("/proc/sys/vm/nr_overcommit_hugepages").unwrap_or_default();
    let pool = host.text("/proc/meminfo").and_then(|memory| Pool::of(&memory, beyond));
    let Some(pool) = pool else {
        return Finding::new(Topic::HugePages, "pool", "none in this kernel, or not said")
            .means("rings that ask for them (`huge_pages`) get ordinary ones, and say so")
            .unknown();
    };
    let page = pool.page.map_or_else(|| "a size that is not said".to_owned(), |page| Rough(page).to_string());
    let found = Finding::new(
        Topic::HugePages,
        "pool",
        format!("{} of {} pages left, of {page}", pool.left, pool.total),
    )
    .figure("pages", pool.total)
    .figure("pages_left", pool.left)
    .figure("page_bytes", pool.page)
    .means("the data of rings that ask for it (`huge_pages`) lies in these, as far as they go");
    if pool.left > 0 {
        return found;
    }
    found
        .means("rings that ask for them (`huge_pages`) get ordinary ones, and say so: large rings miss the TLB more")
        .bad(Verdict::Worse, "sysctl vm.nr_hugepages=64")
}

fn transparent(host: &Host) -> Finding {
    const FILE: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    let text = host.text(FILE);
    let chosen = text.as_deref().and_then(|text| {
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0)
    });
    let found = Finding::new(Topic::HugePages, "shared memory", chosen.unwrap_or("not said"))
        .figure("shmem_enabled", chosen)
        .means("large rings without names come to lie in huge pages by themselves; those with names by the mount's huge=");
    match chosen {
        None => found.unknown(),
        Some("always" | "within_size" | "force") => found,
        Some(_) => found
            .means("only rings that ask for the pool's have huge pages: other large ones miss the TLB more")
            .bad(
                Verdict::Worse,
                format!("echo within_size > {FILE}; for names: mount -o remount,huge=within_size /dev/shm"),
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::host::Made, *};

    #[test]
    fn an_empty_pool_is_worse_and_none_at_all_unknown() {
        let made = Made::new(&[]);
        assert_eq!(pool(&made.host()).verdict, Verdict::Unknown);
        let memory = |total, free| {
            format!(
                "HugePages_Total: {total}\nHugePages_Free: {free}\nHugePages_Rsvd: 0\nHugepagesize: 2048 kB\n"
            )
        };
        made.file("/proc/meminfo", memory(0, 0));
        assert_eq!(pool(&made.host()).verdict, Verdict::Worse);
        made.file("/proc/meminfo", memory(4, 3));
        let found = pool(&made.host());
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Good, "3 of 4 pages left, of 2 MiB"));
        made.file("/proc/meminfo", "HugePages_Free: some\n");
        assert_eq!(pool(&made.host()).verdict, Verdict::Unknown);
    }

    #[test]
    fn the_chosen_word_is_the_one_in_brackets() {
        let made = Made::new(&[]);
        for (text, verdict) in [
            ("always within_size advise [never] deny force", Verdict::Worse),
            ("always [within_size] advise never deny force", Verdict::Good),
            ("always", Verdict::Unknown),
            ("]always[", Verdict::Unknown),
            ("", Verdict::Unknown),
        ] {
            made.file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text);
            assert_eq!(transparent(&made.host()).verdict, verdict, "{text}");
        }
    }
}
