//! Pass: a type that was there before keeps its name, whatever a newer document calls it.
//!
//! Packages rename types without any change on the wire, and a map names types. So types are paired by walking
//! both schemas from the roots along the same members, and the newer one takes the committed names.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{Def, Schema, Type, Union};

use super::overlay;

/// What is appended to the name of a new type that would be called like an old one.
const OTHER: &str = "Response";

/// Gives the types of `schema` the names that `committed` has for them.
pub fn run(schema: &mut Schema, committed: &Schema) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let roots = schema.roots.all().into_iter().zip(committed.roots.all());
    let mut queue: Vec<(String, String)> = roots.map(|(new, old)| (new.to_owned(), old.to_owned())).collect();
    queue.reverse();
    while let Some((new, old)) = queue.pop() {
        if names.contains_key(&new) || taken.contains(&old) {
            continue;
        }
        let (Some(a), Some(b)) = (schema.types.get(&new), committed.types.get(&old)) else { continue };
        if std::mem::discriminant(a) == std::mem::discriminant(b) {
            queue.extend(places(a).into_iter().filter_map(|(place, new)| {
                let old = places(b).remove(&place)?;
                Some((new.to_owned(), old.to_owned()))
            }));
            taken.insert(old.clone());
            names.insert(new, old);
        }
    }
    // What is really new keeps its own name, unless that is taken.
    for name in schema.types.keys() {
        if !names.contains_key(name) && taken.contains(name) {
            let mut free = format!("{name}{OTHER}");
            while taken.contains(&free) || schema.types.contains_key(&free) {
                free.push('2');
            }
            taken.insert(free.clone());
            names.insert(name.clone(), free);
        }
    }
    overlay::rename_all(schema, &names);
}

/// The named types inside a definition, by where they are.
fn places(def: &Def) -> BTreeMap<String, &str> {
    let of = |place: String, ty: &'_ Type| ty.target().map(|_| place);
    let mut out = BTreeMap::new();
    match def {
        Def::Object(fields) => {
            for (name, field) in fields {
                out.extend(of(name.clone(), &field.ty).zip(field.ty.target()));
            }
        }
        Def::Enum(_) => {}
        Def::Union(Union::Tag { variants, untagged, .. }) => {
            out.extend(variants.iter().map(|(value, target)| (value.clone(), target.as_str())));
            out.extend(untagged.as_deref().map(|target| (String::new(), target)));
        }
        Def::Union(Union::Shape(forms)) => {
            for (kind, ty) in forms {
                out.extend(of(format!("{kind:?}"), ty).zip(ty.target()));
            }
        }
        Def::Union(Union::Key(forms)) => {
            for (key, ty) in forms {
                out.extend(of(key.clone(), ty).zip(ty.target()));
            }
        }
        // A map's view; documents have none.
        Def::Union(Union::Present(_)) => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn a_renamed_type_is_called_as_before() {
        let schema = |types: &str| -> Schema {
            let roots = r#"{"request": "R", "response": "A", "stream": "A", "error": "A"}"#;
            serde_json::from_str(&format!(r#"{{"protocol": "cohere", "roots": {roots}, "types": {types}}}"#))
                .unwrap()
        };
        let committed = schema(
            r#"{"R": {"object": {"tools": {"type": {"array": {"ref": "Tool"}}}}}, "Tool": {"object": {"name": {"type": "string"}}},
                "A": {"object": {}}}"#,
        );
        let mut newer = schema(
            r#"{"R": {"object": {"tools": {"type": {"array": {"ref": "ToolParam"}}}}}, "ToolParam": {"object": {"name": {"type": "string"}}},
                "A": {"object": {"tool": {"type": {"ref": "Tool"}}}}, "Tool": {"object": {"id": {"type": "string"}}}}"#,
        );
        run(&mut newer, &committed);
        newer.check().unwrap();
        assert_snapshot!(serde_json::to_string(&newer.types).unwrap(), @r#"{"A":{"object":{"tool":{"type":{"ref":"ToolResponse"}}}},"R":{"object":{"tools":{"type":{"array":{"ref":"Tool"}}}}},"Tool":{"object":{"name":{"type":"string"}}},"ToolResponse":{"object":{"id":{"type":"string"}}}}"#);
    }
}
