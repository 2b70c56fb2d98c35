//! Pass: what a second package of the same provider knows beyond the first is added to it.
//!
//! Types are paired by walking both from the roots along members of the same name, so that one called
//! `FinishReason` here and `CandidateFinishReason` there are still the same.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Document, Node};

/// Adds `extra`'s members, enum values and types to `base`.
pub fn run(base: &mut Document, mut extra: Document) {
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    let mut queue: Vec<(String, String)> = Vec::new();
    for (ours, theirs) in base.roots.iter().zip(&extra.roots) {
        queue.extend(theirs.iter().zip(ours).map(|(theirs, ours)| (theirs.clone(), ours.clone())));
    }
    loop {
        pair(base, &extra, &mut pairs, &mut queue);
        // A type that only new members need, but that the first package has too under its name, is paired as well.
        let more: Vec<String> = reachable(base, &extra, &pairs)
            .into_iter()
            .filter(|name| !pairs.contains_key(name) && base.defs.contains_key(name))
            .collect();
        if more.is_empty() {
            break;
        }
        queue.extend(more.into_iter().map(|name| (name.clone(), name)));
    }
    let new = reachable(base, &extra, &pairs);
    extra.walk_mut(&mut |node| node.rename(&pairs));
    for (theirs, ours) in &pairs {
        match (base.defs.get_mut(ours), extra.defs.get(theirs)) {
            (Some(Node::Object(known)), Some(Node::Object(props))) => {
                for (name, prop) in props {
                    known.entry(name.clone()).or_insert_with(|| prop.clone());
                }
            }
            (Some(Node::Enum(known)), Some(Node::Enum(values))) => {
                let more: Vec<String> =
                    values.iter().filter(|value| !known.contains(value)).cloned().collect();
                known.extend(more);
            }
            _ => {}
        }
    }
    for name in new {
        if !pairs.contains_key(&name)
            && let Some(node) = extra.defs.get(&name)
        {
            base.defs.insert(name, node.clone());
        }
    }
}

fn pair(
    base: &Document,
    extra: &Document,
    pairs: &mut BTreeMap<String, String>,
    queue: &mut Vec<(String, String)>,
) {
    while let Some((theirs, ours)) = queue.pop() {
        if pairs.contains_key(&theirs) {
            continue;
        }
        pairs.insert(theirs.clone(), ours.clone());
        if let (Some(Node::Object(known)), Some(Node::Object(props))) =
            (base.defs.get(&ours), extra.defs.get(&theirs))
        {
            for (name, prop) in props {
                if let Some(known) = known.get(name)
                    && let (Some(ours), Some(theirs)) = (target(&known.node), target(&prop.node))
                {
                    queue.push((theirs.to_owned(), ours.to_owned()));
                }
            }
        }
    }
}

/// Types that the members which only `extra` has lead to.
fn reachable(base: &Document, extra: &Document, pairs: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut queue: Vec<String> = Vec::new();
    for (theirs, ours) in pairs {
        if let (Some(Node::Object(known)), Some(Node::Object(props))) =
            (base.defs.get(ours), extra.defs.get(theirs))
        {
            for (_, prop) in props.iter().filter(|(name, _)| !known.contains_key(*name)) {
                refs(&prop.node, &mut queue);
            }
        }
    }
    while let Some(name) = queue.pop() {
        if seen.insert(name.clone())
            && !pairs.contains_key(&name)
            && let Some(node) = extra.defs.get(&name)
        {
            refs(node, &mut queue);
        }
    }
    seen
}

fn refs(node: &Node, into: &mut Vec<String>) {
    node.clone().walk_mut(&mut |node| {
        if let Node::Ref(name) = node {
            into.push(name.clone());
        }
    });
}

fn target(node: &Node) -> Option<&str> {
    match node {
        Node::Ref(name) => Some(name),
        Node::Array(item) => target(item),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn the_second_package_adds_what_it_knows() {
        let mut base = read(
            r##"{
              "R": {"type": "object", "properties": {"reason": {"$ref": "#/$defs/CandidateReason"}, "n": {"type": "integer"}}},
              "CandidateReason": {"enum": ["STOP"]},
              "Blob": {"type": "object", "properties": {"data": {"type": "string", "format": "byte"}}}
            }"##,
        );
        let mut extra = read(
            r##"{
              "R": {"type": "object", "properties": {"reason": {"$ref": "#/$defs/Reason"}, "n": {"type": "number"},
                "audio": {"$ref": "#/$defs/Audio"}}},
              "Reason": {"enum": ["STOP", "SAFETY"]},
              "Audio": {"type": "object", "properties": {"blob": {"$ref": "#/$defs/Blob"}, "why": {"$ref": "#/$defs/Reason"}}},
              "Blob": {"type": "object", "properties": {"name": {"type": "string"}}},
              "Unused": {"type": "object", "properties": {}}
            }"##,
        );
        base.roots[0] = vec!["R".to_owned()];
        extra.roots[0] = vec!["R".to_owned()];
        super::run(&mut base, extra);
        assert_snapshot!(golden(&base), @r#"
        request: R
        Audio = {blob?: Blob, why?: CandidateReason}
        Blob = {data?: base64, name?: string}
        CandidateReason = "STOP" | "SAFETY"
        R = {audio?: Audio, n?: integer, reason?: CandidateReason}
        "#);
    }
}
