//! Every committed map is complete: each wire field has a fate, each path and word is known.

use std::path::Path;

use busbar_codegen::ir::Ir;
use busbar_codegen::map::Map;
use busbar_codegen::schema::{PROTOCOLS, Schema};

#[test]
fn every_map_is_complete() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let ir = Ir::load(&schemas.join("ir.json")).unwrap();
    let mut problems = Vec::new();
    for protocol in PROTOCOLS {
        let folder = schemas.join(protocol);
        let schema = Schema::load(&folder.join("schema.json")).unwrap();
        match Map::load(&folder.join("map.toml")) {
            Ok(mut map) => problems.extend(
                map.resolve(&schema)
                    .map(|(seen, _)| map.problems(&seen, &ir))
                    .unwrap_or_else(|e| vec![format!("{e:#}")])
                    .into_iter()
                    .map(|problem| format!("{protocol}: {problem}")),
            ),
            Err(e) => problems.push(format!("{protocol}: {e:#}")),
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
