//! What a newer document of a provider means: members, values, union members and events that are new, gone or
//! changed, and which of the new ones have no fate yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use crate::schema::{Def, Field, Schema, Type, Union};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What it is about.
    pub what: What,
    /// Where: `Type`, `Type.member` or `Type#value`.
    pub place: String,
    /// New, gone or changed, and how.
    pub how: How,
    /// It is new and has no fate in the protocol's map.
    pub no_fate: bool,
}

/// What a difference is about, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A streamed event.
    Event,
    /// A member of a union.
    Variant,
    /// A member of an object.
    Field,
    /// A known value of an enum.
    Value,
    /// A whole type, or what kind of type it is.
    Type,
}

/// How it differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Only the newer document has it; what it is.
    New(String),
    /// Only the committed schema has it; what it was.
    Gone(String),
    /// Both have it: from what to what.
    Changed(String, String),
}

/// Every difference from `old` to `new`. `fateless` names what has no fate in the newer schema: `Type`,
/// `Type.member` or `Enum#value`.
pub fn diff(old: &Schema, new: &Schema, fateless: &BTreeSet<String>) -> Vec<Change> {
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = old.types.keys().chain(new.types.keys()).collect();
    for name in names {
        match (old.types.get(name), new.types.get(name)) {
            (Some(a), Some(b)) => def(name, a, b, name == &new.roots.stream, &mut changes),
            (None, Some(b)) => {
                changes.push(change(What::Type, name.clone(), How::New(kind(b).to_owned())));
                if let Def::Object(fields) = b {
                    let members = fields.iter();
                    changes.extend(
                        members
                            .map(|(m, f)| change(What::Field, format!("{name}.{m}"), How::New(describe(f)))),
                    );
                }
            }
            (Some(a), None) => changes.push(change(What::Type, name.clone(), How::Gone(kind(a).to_owned()))),
            (None, None) => {}
        }
    }
    for change in &mut changes {
        // A type without a fate leaves its members without one.
        let owner = change.place.split('.').next().unwrap_or_default();
        let none = fateless.contains(&change.place) || fateless.contains(owner);
        change.no_fate = none && matches!(change.how, How::New(_));
    }
    changes.sort();
    changes
}

fn def(name: &str, old: &Def, new: &Def, is_stream: bool, changes: &mut Vec<Change>) {
    match (old, new) {
        (Def::Object(old), Def::Object(new)) => {
            // What an older document dropped long ago is no news, and what the overlay adds is not the provider's.
            let provided = |field: &Field| field.source.is_none();
            let both = |name: &String| old.contains_key(name) && new.contains_key(name);
            let pick = |fields: &BTreeMap<String, Field>| -> BTreeMap<String, Field> {
                let kept = fields.iter().filter(|(name, field)| provided(field) || both(name));
                kept.map(|(name, field)| (name.clone(), Field { source: None, ..field.clone() })).collect()
            };
            each(&pick(old), &pick(new), What::Field, name, '.', describe, changes);
        }
        (Def::Enum(old), Def::Enum(new)) => {
            let set = |values: &[String]| values.iter().map(|v| (v.clone(), ())).collect::<BTreeMap<_, _>>();
            each(&set(old), &set(new), What::Value, name, '#', |()| String::new(), changes);
        }
        (
            Def::Union(Union::Tag { variants: a, untagged: x, field: f }),
            Def::Union(Union::Tag { variants: b, untagged: y, field: g }),
        ) => {
            let what = if is_stream { What::Event } else { What::Variant };
            each(a, b, what, name, '#', String::clone, changes);
            if x != y {
                let text = |untagged: &Option<String>| untagged.clone().unwrap_or_else(|| "none".to_owned());
                changes.push(change(
                    What::Variant,
                    format!("{name}#untagged"),
                    How::Changed(text(x), text(y)),
                ));
            }
            if f != g {
                changes.push(change(
                    What::Type,
                    name.to_owned(),
                    How::Changed(format!("by {f}"), format!("by {g}")),
                ));
            }
        }
        (Def::Union(Union::Key(a)), Def::Union(Union::Key(b))) => {
            let what = if is_stream { What::Event } else { What::Variant };
            each(a, b, what, name, '#', type_text, changes);
        }
        (Def::Union(Union::Shape(a)), Def::Union(Union::Shape(b))) => {
            let named = |forms: &BTreeMap<crate::schema::Kind, Type>| -> BTreeMap<String, Type> {
                forms.iter().map(|(kind, ty)| (format!("{kind:?}").to_lowercase(), ty.clone())).collect()
            };
            each(&named(a), &named(b), What::Variant, name, '#', type_text, changes);
        }
        (old, new) => {
            let how = How::Changed(kind(old).to_owned(), kind(new).to_owned());
            changes.push(change(What::Type, name.to_owned(), how));
        }
    }
}

fn each<T: PartialEq>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    what: What,
    name: &str,
    separator: char,
    text: impl Fn(&T) -> String,
    changes: &mut Vec<Change>,
) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let how = match (old.get(key), new.get(key)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), Some(b)) => How::Changed(text(a), text(b)),
            (None, Some(b)) => How::New(text(b)),
            (Some(a), None) => How::Gone(text(a)),
            (None, None) => continue,
        };
        changes.push(change(what, format!("{name}{separator}{key}"), how));
    }
}

fn change(what: What, place: String, how: How) -> Change {
    Change { what, place, how, no_fate: false }
}

fn kind(def: &Def) -> &'static str {
    match def {
        Def::Object(_) => "object",
        Def::Enum(_) => "enum",
        Def::Union(Union::Tag { .. }) => "union by tag",
        Def::Union(Union::Shape(_)) => "union by kind of value",
        Def::Union(Union::Key(_)) => "union by key",
        Def::Union(Union::Present(_)) => "object of several roles",
    }
}

fn describe(field: &Field) -> String {
    let mut text = type_text(&field.ty);
    if let Some(value) = &field.constant {
        text.push_str(&format!(" {value:?}"));
    }
    text.push_str(if field.required { ", required" } else { ", optional" });
    if field.nullable {
        text.push_str(", nullable");
    }
    text
}

fn type_text(ty: &Type) -> String {
    match ty {
        Type::Ref(name) => name.clone(),
        Type::Array(item) => format!("[{}]", type_text(item)),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Event => "event",
            What::Variant => "union member",
            What::Field => "field",
            What::Value => "enum value",
            What::Type => "type",
        };
        let (sign, detail) = match &self.how {
            How::New(text) => ("new", text.clone()),
            How::Gone(text) => ("gone", text.clone()),
            How::Changed(from, to) => ("changed", format!("{from} -> {to}")),
        };
        write!(f, "{sign:<8}{what:<13}{}", self.place)?;
        if !detail.is_empty() {
            write!(f, "  ({detail})")?;
        }
        if self.no_fate {
            f.write_str("  no fate")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn schema(types: &str) -> Schema {
        let roots = r#"{"request": "R", "response": "R", "stream": "S", "error": "R"}"#;
        serde_json::from_str(&format!(r#"{{"protocol": "cohere", "roots": {roots}, "types": {types}}}"#))
            .unwrap()
    }

    #[test]
    fn every_kind_of_change_has_a_line() {
        let old = schema(
            r#"{"R": {"object": {"a": {"type": "string"}, "b": {"type": "integer"}, "gone": {"type": "json"}, "old": {"type": "json", "source": "legacy"}, "u": {"type": {"ref": "U"}}}},
                "S": {"union": {"tag": {"field": "type", "variants": {"start": "R", "stop": "R"}}}},
                "U": {"union": {"shape": {"string": "string"}}},
                "E": {"enum": ["x", "y"]}}"#,
        );
        let new = schema(
            r#"{"R": {"object": {"a": {"type": "string", "required": true, "nullable": true}, "b": {"type": "integer"},
                    "known": {"type": "boolean"}, "fresh": {"type": {"array": {"ref": "N"}}}, "u": {"type": {"ref": "U"}}}},
                "S": {"union": {"tag": {"field": "type", "variants": {"start": "R", "pause": "N"}}}},
                "U": {"union": {"shape": {"string": "string", "array": {"array": "string"}}}},
                "E": {"enum": ["x", "z"]},
                "N": {"object": {"v": {"type": "base64"}}}}"#,
        );
        let fateless = BTreeSet::from(["N.v", "R.fresh", "E#z"].map(str::to_owned));
        let lines: Vec<String> = diff(&old, &new, &fateless).iter().map(Change::to_string).collect();
        assert_snapshot!(lines.join("\n"), @r"
        new     event        S#pause  (N)
        gone    event        S#stop  (R)
        new     union member U#array  ([string])
        new     field        N.v  (base64, optional)  no fate
        changed field        R.a  (string, optional -> string, required, nullable)
        new     field        R.fresh  ([N], optional)  no fate
        gone    field        R.gone  (json, optional)
        new     field        R.known  (boolean, optional)
        gone    enum value   E#y
        new     enum value   E#z  no fate
        new     type         N  (object)
        ");
        assert_eq!(diff(&old, &old, &fateless), []);
    }
}
