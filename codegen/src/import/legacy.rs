//! Pass: what a newer document dropped stays, because older clients still send it. Members are marked; union
//! members and known values have no place for a mark.

use std::collections::BTreeSet;

use crate::schema::{Def, Field, Schema, Source, Union};

/// Adds to types that both have what only `older` has. `wanted` limits it to named members (`Type.member`),
/// where it is known which of the dropped ones are still in use.
pub fn run(schema: &mut Schema, older: &Schema, wanted: Option<&BTreeSet<String>>) {
    let mut needed: Vec<String> = Vec::new();
    for (name, def) in &mut schema.types {
        match (def, older.types.get(name)) {
            (Def::Object(fields), Some(Def::Object(old))) => {
                for (member, field) in old {
                    let in_use = wanted.is_none_or(|w| w.contains(&format!("{name}.{member}")));
                    if in_use && field.source != Some(Source::Overlay) && !fields.contains_key(member) {
                        needed.extend(field.ty.target().map(str::to_owned));
                        let field = Field { source: Some(Source::Legacy), required: false, ..field.clone() };
                        fields.insert(member.clone(), field);
                    }
                }
            }
            (_, _) if wanted.is_some() => {}
            (Def::Enum(values), Some(Def::Enum(old))) => {
                let dropped: Vec<String> =
                    old.iter().filter(|value| !values.contains(value)).cloned().collect();
                values.extend(dropped);
            }
            (
                Def::Union(Union::Tag { field, variants, .. }),
                Some(Def::Union(Union::Tag { field: old_field, variants: old, .. })),
            ) if field == old_field => {
                for (value, target) in old {
                    if !variants.contains_key(value) {
                        needed.push(target.clone());
                        variants.insert(value.clone(), target.clone());
                    }
                }
            }
            (Def::Union(Union::Key(forms)), Some(Def::Union(Union::Key(old)))) => {
                for (key, ty) in old {
                    if !forms.contains_key(key) {
                        needed.extend(ty.target().map(str::to_owned));
                        forms.insert(key.clone(), ty.clone());
                    }
                }
            }
            (Def::Union(Union::Shape(forms)), Some(Def::Union(Union::Shape(old)))) => {
                for (kind, ty) in old {
                    if !forms.contains_key(kind) {
                        needed.extend(ty.target().map(str::to_owned));
                        forms.insert(*kind, ty.clone());
                    }
                }
            }
            _ => {}
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

    #[test]
    fn dropped_values_and_union_members_stay() {
        let older = schema(
            r#"{"R": {"union": {"tag": {"field": "type", "variants": {"a": "A", "old": "B"}}}},
                "A": {"object": {"k": {"type": {"ref": "K"}}, "e": {"type": {"ref": "E"}}}}, "B": {"object": {}},
                "K": {"union": {"key": {"x": "string", "y": "base64"}}}, "E": {"enum": ["p", "q"]}}"#,
        );
        let mut newer = schema(
            r#"{"R": {"union": {"tag": {"field": "type", "variants": {"a": "A"}}}},
                "A": {"object": {"k": {"type": {"ref": "K"}}, "e": {"type": {"ref": "E"}}}},
                "K": {"union": {"key": {"x": "string"}}}, "E": {"enum": ["r", "p"]}}"#,
        );
        run(&mut newer, &older, None);
        newer.check().unwrap();
        assert_snapshot!(serde_json::to_string(&newer.types).unwrap(), @r#"{"A":{"object":{"e":{"type":{"ref":"E"}},"k":{"type":{"ref":"K"}}}},"B":{"object":{}},"E":{"enum":["r","p","q"]},"K":{"union":{"key":{"x":"string","y":"base64"}}},"R":{"union":{"tag":{"field":"type","variants":{"a":"A","old":"B"}}}}}"#);
    }
}
