//! Pass: facts that are on the wire but in no document, and a package's conveniences that are not on the wire.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::fold_twins::Rules;
use crate::schema::{Def, Field, Schema, Source, Type, Union};

/// What `schemas/<protocol>/overlay.json` holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Types that are one on the wire.
    pub fold: Rules,
    /// Types that are carried as JSON, such as a provider's dialect of JSON Schema.
    pub opaque: Vec<String>,
    /// Better names: old name to new one.
    pub rename: BTreeMap<String, String>,
    /// Members (`Type.member`) and union members (`Union#value`) that are not on the wire.
    pub drop: Vec<String>,
    /// Types that no document has.
    pub types: BTreeMap<String, Def>,
    /// Members that no document has, or has with another type.
    pub fields: BTreeMap<String, BTreeMap<String, Field>>,
    /// Known values that no document has.
    pub values: BTreeMap<String, Vec<String>>,
    /// Union members that no document has: type by discriminator value.
    pub variants: BTreeMap<String, BTreeMap<String, String>>,
}

impl Overlay {
    /// Reads the file; a protocol without one has nothing to add.
    pub fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }
}

/// Gives types their better names; several types may get one name if they are the same. Names that are not there are skipped: documents of several forms and
/// versions go through one overlay.
pub fn rename(schema: &mut Schema, overlay: &Overlay) -> Result<()> {
    let mut by_new: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for name in schema.types.keys() {
        by_new.entry(overlay.rename.get(name).unwrap_or(name)).or_default().push(name);
    }
    let mut renamed = schema.clone();
    rename_refs(&mut renamed, &overlay.rename);
    for (new, olds) in by_new {
        let mut defs = olds.iter().map(|old| &renamed.types[*old]);
        let first = defs.next();
        if defs.any(|def| Some(def) != first) {
            bail!("overlay calls {olds:?} {new}, but they are not the same");
        }
    }
    rename_all(schema, &overlay.rename);
    Ok(())
}

/// Renames types and everything that refers to them.
pub fn rename_all(schema: &mut Schema, names: &BTreeMap<String, String>) {
    rename_refs(schema, names);
    let types = std::mem::take(&mut schema.types);
    schema.types =
        types.into_iter().map(|(name, def)| (names.get(&name).cloned().unwrap_or(name), def)).collect();
}

fn rename_refs(schema: &mut Schema, names: &BTreeMap<String, String>) {
    let new = |name: &mut String| {
        if let Some(better) = names.get(name) {
            name.clone_from(better);
        }
    };
    for def in schema.types.values_mut() {
        visit_refs(def, &new);
    }
    let roots = &mut schema.roots;
    [&mut roots.request, &mut roots.response, &mut roots.stream, &mut roots.error].into_iter().for_each(new);
}

/// Drops and adds.
pub fn run(schema: &mut Schema, overlay: &Overlay) -> Result<()> {
    for place in &overlay.drop {
        drop_place(schema, place)?;
    }
    for (name, def) in &overlay.types {
        let mut def = def.clone();
        if let Def::Object(fields) = &mut def {
            for field in fields.values_mut() {
                field.source = Some(Source::Overlay);
            }
        }
        schema.types.insert(name.clone(), def);
    }
    for (name, fields) in &overlay.fields {
        let Some(Def::Object(known)) = schema.types.get_mut(name) else {
            bail!("overlay adds members to {name}, which is not an object type");
        };
        for (member, field) in fields {
            known.insert(member.clone(), Field { source: Some(Source::Overlay), ..field.clone() });
        }
    }
    for (name, values) in &overlay.values {
        let Some(Def::Enum(known)) = schema.types.get_mut(name) else {
            bail!("overlay adds values to {name}, which is not an enum");
        };
        for value in values {
            if !known.contains(value) {
                known.push(value.clone());
            }
        }
    }
    for (name, variants) in &overlay.variants {
        let Some(Def::Union(Union::Tag { variants: known, .. })) = schema.types.get_mut(name) else {
            bail!("overlay adds union members to {name}, which is not a tagged union");
        };
        known.extend(variants.iter().map(|(value, target)| (value.clone(), target.clone())));
    }
    Ok(())
}

/// An older or another document need not have what the pinned one has too much, so nothing to drop is no error.
fn drop_place(schema: &mut Schema, place: &str) -> Result<()> {
    let Some((name, part)) = place.split_once(['.', '#']) else {
        bail!("overlay drops {place:?}, which is neither Type.member nor Union#value");
    };
    match schema.types.get_mut(name) {
        Some(Def::Object(fields)) => {
            fields.remove(part);
        }
        Some(Def::Enum(values)) => values.retain(|value| value != part),
        Some(Def::Union(Union::Tag { variants, .. })) => {
            variants.remove(part);
        }
        Some(Def::Union(Union::Key(forms))) => {
            forms.remove(part);
        }
        Some(Def::Union(Union::Shape(_) | Union::Present(_))) | None => {}
    }
    Ok(())
}

fn visit_refs(def: &mut Def, new: &impl Fn(&mut String)) {
    fn inside(ty: &mut Type, new: &impl Fn(&mut String)) {
        match ty {
            Type::Ref(name) => new(name),
            Type::Array(item) => inside(item, new),
            _ => {}
        }
    }
    match def {
        Def::Object(fields) => fields.values_mut().for_each(|field| inside(&mut field.ty, new)),
        Def::Enum(_) | Def::Union(Union::Present(_)) => {}
        Def::Union(Union::Tag { variants, untagged, .. }) => {
            variants.values_mut().chain(untagged).for_each(new)
        }
        Def::Union(Union::Shape(forms)) => forms.values_mut().for_each(|ty| inside(ty, new)),
        Def::Union(Union::Key(forms)) => forms.values_mut().for_each(|ty| inside(ty, new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn schema() -> Schema {
        serde_json::from_str(
            r#"{"protocol": "cohere", "roots": {"request": "R", "response": "R", "stream": "S", "error": "R"},
              "types": {
                "R": {"object": {"made_up": {"type": "string"}, "kind": {"type": {"ref": "RKind"}}}},
                "RKind": {"enum": ["a", "b"]},
                "S": {"union": {"tag": {"field": "type", "variants": {"r": "R"}}}}
              }}"#,
        )
        .unwrap()
    }

    #[test]
    fn it_renames_drops_and_adds() {
        let overlay: Overlay = serde_json::from_str(
            r#"{"rename": {"RKind": "Kind"}, "drop": ["R.made_up"],
              "types": {"Ping": {"object": {"type": {"type": "string", "const": "ping"}}}},
              "fields": {"R": {"extra": {"type": "json", "nullable": true}}},
              "values": {"Kind": ["c"]},
              "variants": {"S": {"ping": "Ping"}}}"#,
        )
        .unwrap();
        let mut schema = schema();
        rename(&mut schema, &overlay).unwrap();
        run(&mut schema, &overlay).unwrap();
        schema.check().unwrap();
        assert_snapshot!(serde_json::to_string(&schema.types).unwrap(), @r#"{"Kind":{"enum":["a","b","c"]},"Ping":{"object":{"type":{"type":"string","const":"ping","source":"overlay"}}},"R":{"object":{"extra":{"type":"json","nullable":true,"source":"overlay"},"kind":{"type":{"ref":"Kind"}}}},"S":{"union":{"tag":{"field":"type","variants":{"ping":"Ping","r":"R"}}}}}"#);
    }

    #[test]
    fn members_of_unknown_types_are_refused_by_name() {
        let overlay: Overlay =
            serde_json::from_str(r#"{"fields": {"Gone": {"x": {"type": "string"}}}}"#).unwrap();
        let error = run(&mut schema(), &overlay).unwrap_err().to_string();
        assert_eq!(error, "overlay adds members to Gone, which is not an object type");
    }
}
