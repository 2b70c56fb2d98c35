//! What was found of a gateway: as JSON, as a table, and what differs between two.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use busbar::Protocol;
use serde::{Deserialize, Serialize};

use super::probes::PROBES;
use super::verdict::Verdict;

/// All cells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// One for each pair that was judged.
    pub cells: Vec<Cell>,
}

/// One client over one backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Protocol of the client.
    pub client: String,
    /// Protocol of the backend.
    pub backend: String,
    /// Verdicts by probe and way; nothing where one of the two has no form for the feature.
    pub verdicts: BTreeMap<String, Found>,
}

/// The verdicts of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Of the buffered call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffered: Option<Verdict>,
    /// Of the streamed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamed: Option<Verdict>,
    /// Why it is not kept.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub why: String,
}

impl Found {
    /// The worse of the two.
    pub fn worst(&self) -> Option<Verdict> {
        self.buffered.max(self.streamed)
    }
}

impl Cell {
    pub(super) fn new(client: Protocol, backend: Protocol) -> Self {
        Self {
            client: client.name().to_owned(),
            backend: backend.name().to_owned(),
            verdicts: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, probe: &str, stream: bool, verdict: Verdict, why: String) {
        let found = self.verdicts.entry(probe.to_owned()).or_default();
        let mut verdict = verdict;
        if stream {
            // The head of a stream is sent before its answer is known: what is told of the buffered one holds.
            if verdict == Verdict::Silent && found.buffered == Some(Verdict::Reported) {
                verdict = Verdict::Reported;
            }
            found.streamed = Some(verdict);
        } else {
            found.buffered = Some(verdict);
        }
        if found.why.is_empty() || found.worst() == Some(verdict) && !why.is_empty() {
            found.why = why;
        }
    }

    /// One line for a terminal.
    pub fn line(&self) -> String {
        format!("{} over {}: {}", self.client, self.backend, told(self))
    }

    /// Whether the gateway does not serve this pair: it is said to, or the first call finds no such path.
    pub fn is_unserved(&self) -> bool {
        self.verdicts.is_empty()
            || self.verdicts.len() == 1
                && self
                    .verdicts
                    .values()
                    .all(|found| found.why.starts_with("status 404") || found.why.starts_with("status 405"))
    }

    /// How many probes have each verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.values().filter(|found| found.worst() == Some(verdict)).count()
    }
}

impl Report {
    /// How many probes have the verdict, over all cells.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cells.iter().filter(|cell| !cell.is_unserved()).map(|cell| cell.count(verdict)).sum()
    }

    /// `kept 10, mapped 20, ...`, of all cells.
    pub fn summary(&self) -> String {
        let words: Vec<String> = Verdict::ALL
            .iter()
            .map(|verdict| format!("{} {}", verdict.name(), self.count(*verdict)))
            .collect();
        words.join(", ")
    }

    /// A row for each client and a column for each backend: counts in the order of the verdicts, zeros left out.
    pub fn table(&self) -> String {
        let mut out = String::from("| client \\ backend |");
        for backend in Protocol::ALL {
            out.push_str(&format!(" {backend} |"));
        }
        out.push_str("\n| --- |");
        out.push_str(&" --- |".repeat(Protocol::ALL.len()));
        for client in Protocol::ALL {
            out.push_str(&format!("\n| {client} |"));
            for backend in Protocol::ALL {
                let cell = self.cell(client.name(), backend.name());
                out.push_str(&format!(" {} |", cell.map_or("not judged".to_owned(), told)));
            }
        }
        out.push('\n');
        out
    }

    /// The README with the table at its place.
    ///
    /// # Errors
    /// When the place is not marked there.
    pub fn in_readme(&self, readme: &str) -> Result<String> {
        const BEGIN: &str =
            "<!-- matrix: made by `cargo run -p busbar-conformance -- matrix --markdown README` -->\n";
        const END: &str = "<!-- end of matrix -->";
        let (before, rest) = readme.split_once(BEGIN).context("the README has no place for the matrix")?;
        let (_, after) = rest.split_once(END).context("the matrix in the README has no end")?;
        Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", self.table()))
    }

    /// A row for each probe and a column for each pair that is not as it should be, with the reasons.
    pub fn details(&self) -> String {
        let mut out = String::new();
        for cell in self.cells.iter().filter(|cell| !cell.is_unserved()) {
            for probe in PROBES {
                let Some(found) = cell.verdicts.get(probe.name) else { continue };
                let Some(verdict) = found.worst().filter(|verdict| *verdict > Verdict::Mapped) else {
                    continue;
                };
                let why: String =
                    found.why.chars().take(160).map(|c| if c == '\n' { ' ' } else { c }).collect();
                out.push_str(&format!(
                    "- {} over {}, {}: {}. {why}\n",
                    cell.client,
                    cell.backend,
                    probe.name,
                    verdict.name()
                ));
            }
        }
        out
    }

    fn cell(&self, client: &str, backend: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.client == client && cell.backend == backend)
    }
}

fn told(cell: &Cell) -> String {
    if cell.is_unserved() {
        return "not served".to_owned();
    }
    let counts =
        Verdict::ALL.iter().map(|verdict| (verdict, cell.count(*verdict))).filter(|(_, count)| *count > 0);
    counts.map(|(verdict, count)| format!("{count} {}", verdict.name())).collect::<Vec<_>>().join(", ")
}

/// What changed from one report to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Probes that are worse than before, or no longer judged.
    pub worse: Vec<String>,
    /// Probes that are better, or new.
    pub better: Vec<String>,
}

/// Compares two reports, the older first.
pub fn compare(before: &Report, after: &Report) -> Changes {
    let mut changes = Changes::default();
    let flat = |report: &Report| -> BTreeMap<String, Verdict> {
        let mut all = BTreeMap::new();
        for cell in &report.cells {
            for (probe, found) in &cell.verdicts {
                for (way, verdict) in [("buffered", found.buffered), ("streamed", found.streamed)] {
                    if let Some(verdict) = verdict {
                        all.insert(format!("{} over {}, {probe}, {way}", cell.client, cell.backend), verdict);
                    }
                }
            }
        }
        all
    };
    let (old, new) = (flat(before), flat(after));
    for (name, verdict) in &old {
        match new.get(name) {
            None => changes.worse.push(format!("{name}: {} before, not judged now", verdict.name())),
            Some(now) if now > verdict => {
                changes.worse.push(format!("{name}: {} before, {} now", verdict.name(), now.name()));
            }
            Some(now) if now < verdict => {
                changes.better.push(format!("{name}: {} before, {} now", verdict.name(), now.name()));
            }
            Some(_) => {}
        }
    }
    for (name, verdict) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        changes.better.push(format!("{name}: {} now, not judged before", verdict.name()));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worse_and_what_is_better_is_told_apart() {
        let mut cell = Cell::new(Protocol::Cohere, Protocol::Gemini);
        cell.add("stop", false, Verdict::Mapped, String::new());
        cell.add("seed", false, Verdict::Silent, "gone".to_owned());
        let before = Report { cells: vec![cell.clone()] };
        assert_eq!(compare(&before, &before), Changes::default());
        let mut cell = Cell::new(Protocol::Cohere, Protocol::Gemini);
        cell.add("stop", false, Verdict::Silent, String::new());
        cell.add("seed", false, Verdict::Reported, "told".to_owned());
        let after = Report { cells: vec![cell] };
        let changes = compare(&before, &after);
        assert_eq!(changes.worse, ["cohere over gemini, stop, buffered: mapped before, silent now"]);
        assert_eq!(changes.better, ["cohere over gemini, seed, buffered: silent before, reported now"]);
        assert_eq!(compare(&before, &Report::default()).worse.len(), 2);
        assert!(after.table().contains("1 reported, 1 silent"), "{}", after.table());
        let json = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), after);
    }
}
