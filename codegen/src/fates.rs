//! How many wire fields have which fate, protocol by protocol.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::map::Map;
use crate::schema::{PROTOCOLS, Schema};

/// Fates in the order of the table, as [`Map::counts`] names them.
const FATES: [&str; 6] = ["ir", "const", "gateway", "stream", "hand", "keep"];

/// A Markdown table with a row a protocol. What lies beneath a kept field or type is not counted.
pub fn table(root: &Path) -> Result<String> {
    let mut table = format!("| protocol | fields | {} |\n| --- |", FATES.join(" | "));
    table.push_str(&" ---: |".repeat(FATES.len() + 1));
    table.push('\n');
    for protocol in PROTOCOLS {
        let folder = root.join("schemas").join(protocol);
        let schema = Schema::load(&folder.join("schema.json"))?;
        let mut map = Map::load(&folder.join("map.toml"))?;
        let (seen, _) = map.resolve(&schema)?;
        let counts = map.counts(&seen);
        let total: usize = counts.values().sum();
        let cells = FATES.map(|fate| counts.get(fate).copied().unwrap_or_default().to_string());
        writeln!(table, "| {protocol} | {total} | {} |", cells.join(" | "))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_counted_under_one_fate() {
        let table = table(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        let mut rows = 0;
        for row in table.lines().skip(2) {
            let numbers: Vec<usize> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
            assert_eq!(numbers[0], numbers[1..].iter().sum::<usize>(), "{row}");
            assert!(numbers[0] > 50, "{row}");
            rows += 1;
        }
        assert_eq!(rows, PROTOCOLS.len());
    }
}
