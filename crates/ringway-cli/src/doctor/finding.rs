//! What was found, and what to do about it.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// What a finding is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is there, and enough.
    Good,
    /// Ringway works, with something lost.
    Worse,
    /// Rings do not work, at least those with names or those without.
    Missing,
    /// The host does not tell.
    Unknown,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Worse => "worse",
            Verdict::Missing => "missing",
            Verdict::Unknown => "unknown",
        }
    }
}

/// Which part of the host a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Topic {
    Kernel,
    Names,
    Limits,
    HugePages,
    Processors,
    Surroundings,
}

impl Topic {
    fn title(self) -> &'static str {
        match self {
            Topic::Kernel => "kernel: each call tried",
            Topic::Names => "where names are",
            Topic::Limits => "limits",
            Topic::HugePages => "huge pages",
            Topic::Processors => "processors",
            Topic::Surroundings => "surroundings",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) topic: Topic,
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// In words.
    pub(super) found: String,
    /// In figures, with units in their names.
    pub(super) figures: Map<String, Value>,
    /// For who uses Ringway.
    pub(super) means: String,
    /// A command or a setting, `None` where there is nothing to mend.
    pub(super) mend: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub(super) fn new(topic: Topic, name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            topic,
            name: name.into(),
            verdict: Verdict::Good,
            found: found.into(),
            figures: Map::new(),
            means: String::new(),
            mend: None,
        }
    }

    /// A figure to it.
    pub(super) fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.into(), value.into());
        self
    }

    /// What it means.
    pub(super) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    /// It is not as it should be, and this mends it.
    pub(super) fn bad(mut self, verdict: Verdict, mend: impl Into<String>) -> Self {
        (self.verdict, self.mend) = (verdict, Some(mend.into()));
        self
    }

    /// The host does not tell.
    pub(super) fn unknown(mut self) -> Self {
        self.verdict = Verdict::Unknown;
        self
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    /// Nothing is missing.
    works: bool,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        let works = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
        Self { version: env!("CARGO_PKG_VERSION"), works, findings }
    }

    /// The names of what is missing.
    pub(super) fn missing(&self) -> Vec<&str> {
        let missing = self.findings.iter().filter(|finding| finding.verdict == Verdict::Missing);
        missing.map(|finding| finding.name.as_str()).collect()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// A line for each, under titles; more about what is not good.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            self.findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
        let mut last = None;
        for finding in &self.findings {
            if last != Some(finding.topic) {
                let gap = if last.is_some() { "\n" } else { "" };
                writeln!(f, "{gap}{}", finding.topic.title())?;
                last = Some(finding.topic);
            }
            let Finding { name, verdict, found, means, mend, .. } = finding;
            writeln!(f, "  {:<9}{name:<width$}  {found}", verdict.word())?;
            if *verdict != Verdict::Good {
                writeln!(f, "           means: {means}")?;
            }
            if let Some(mend) = mend {
                writeln!(f, "           mend:  {mend}")?;
            }
        }
        let [good, worse, missing, unknown] =
            [Verdict::Good, Verdict::Worse, Verdict::Missing, Verdict::Unknown].map(|one| self.count(one));
        let works =
            if self.works { "Ringway works here" } else { "Ringway cannot do without what is missing" };
        writeln!(f, "\n{works}: {good} good, {worse} worse, {missing} missing, {unknown} unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::new(Topic::Kernel, "short", "works").means("all is well"),
            Finding::new(Topic::Kernel, "a longer name", "refused")
                .means("it is slow")
                .bad(Verdict::Worse, "do so"),
            Finding::new(Topic::Names, "size", "not said")
                .figure("size_bytes", 5)
                .means("who knows")
                .unknown(),
        ]
    }

    #[test]
    fn what_is_good_takes_a_line_and_what_is_not_says_what_it_means_and_how_to_mend_it() {
        let text = Report::new(findings()).to_string();
        assert_eq!(
            text,
            "kernel: each call tried\n\
            \x20 good     short          works\n\
            \x20 worse    a longer name  refused\n\
            \x20          means: it is slow\n\
            \x20          mend:  do so\n\
            \n\
            where names are\n\
            \x20 unknown  size           not said\n\
            \x20          means: who knows\n\
            \n\
            Ringway works here: 1 good, 1 worse, 0 missing, 1 unknown\n"
        );
    }

    #[test]
    fn one_that_is_missing_is_enough_for_it_not_to_work() {
        let mut all = findings();
        assert!(Report::new(all.clone()).missing().is_empty() && Report::new(all.clone()).works);
        all[1].verdict = Verdict::Missing;
        let report = Report::new(all);
        assert_eq!((report.works, report.missing()), (false, vec!["a longer name"]));
        assert!(report.to_string().contains("cannot do without"), "{report}");
    }

    #[test]
    fn programs_get_the_same_as_people() {
        let json = serde_json::to_value(Report::new(findings())).unwrap();
        assert_eq!(
            json["findings"][2],
            serde_json::json!({
                "topic": "names", "name": "size", "verdict": "unknown", "found": "not said",
                "figures": {"size_bytes": 5}, "means": "who knows", "mend": null,
            })
        );
    }
}
