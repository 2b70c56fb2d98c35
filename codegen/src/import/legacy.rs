//! Pass: members that a newer document dropped stay, marked, because older clients still send them.

use std::collections::BTreeSet;

use crate::schema::{Def, Schema, Source};

/// Adds to types that both have the members that only `older` has. `wanted` limits it to named members
/// (`Type.member`), where it is known which of the dropped ones are still in use.
pub fn run(schema: &mut Schema, older: &Schema, wanted: Option<&BTreeSet<String>>) {
    let mut needed: Vec<String> = Vec::new();
    for (name, def) in &mut schema.types {
        let (Def::Object(fields), Some(Def::Object(old))) = (def, older.types.get(name)) else { continue };
        for (member, field) in old {
            let in_use = wanted.is_none_or(|w| w.contains(&format!("{name}.{member}")));
            if in_use && field.source != Some(Source::Overlay) && !fields.contains_key(member) {
                let mut field = field.clone();
                field.source = Some(Source::Legacy);
                field.required = false;
                needed.extend(field.ty.target().map(str::to_owned));
                fields.insert(member.clone(), field);
            }
        }
    }
    // Types that only dropped members need come along.
    while let Some(name) = needed.pop() {
        if !schema.types.contains_key(&name)
            && let Some(def) = older.types.get(&name)
        {
            needed.extend(def.refs().into_iter().map(str::to_owned));
            schema.types.insert(name, def.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn schema(types: &str) -> Schema {
        let roots = r#"{"request": "R", "response": "R", "stream": "R", "error": "R"}"#;
        serde_json::from_str(&format!(r#"{{"protocol": "cohere", "roots": {roots}, "types": {types}}}"#))
            .unwrap()
    }

    #[test]
    fn dropped_members_stay_with_their_types() {
        let older = schema(
            r#"{"R": {"object": {"a": {"type": "string"}, "top_k": {"type": "integer", "required": true},
                "sub": {"type": {"ref": "Sub"}}}}, "Sub": {"object": {}}}"#,
        );
        let mut newer = schema(r#"{"R": {"object": {"a": {"type": "integer"}}}}"#);
        let mut some = newer.clone();
        run(&mut newer, &older, None);
        newer.check().unwrap();
        assert_snapshot!(serde_json::to_string(&newer.types).unwrap(), @r#"{"R":{"object":{"a":{"type":"integer"},"sub":{"type":{"ref":"Sub"},"source":"legacy"},"top_k":{"type":"integer","source":"legacy"}}},"Sub":{"object":{}}}"#);

        run(&mut some, &older, Some(&BTreeSet::from(["R.top_k".to_owned()])));
        assert_snapshot!(serde_json::to_string(&some.types).unwrap(), @r#"{"R":{"object":{"a":{"type":"integer"},"top_k":{"type":"integer","source":"legacy"}}}}"#);
    }
}
