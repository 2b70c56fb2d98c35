//! Leaf property paths of a schema: what a report or a diff compares when names of types differ.

use std::collections::BTreeSet;

use crate::schema::{Def, Schema, Type, Union};

/// Nesting of objects that paths are followed into.
const MAX_DEPTH: usize = 24;

/// The paths of every root, each in front of a slash: `request/messages.content.text`. Union members are
/// merged, lists leave no trace, and a type inside itself is not followed.
pub fn leaves(schema: &Schema) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (root, name) in ["request", "response", "stream", "error"].iter().zip(schema.roots.all()) {
        let mut walk = Walk { schema, out: &mut out, stack: Vec::new() };
        walk.def(name, &format!("{root}/"));
    }
    out
}

struct Walk<'a> {
    schema: &'a Schema,
    out: &'a mut BTreeSet<String>,
    stack: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn def(&mut self, name: &'a str, path: &str) {
        if self.stack.contains(&name) || self.stack.len() >= MAX_DEPTH {
            return;
        }
        self.stack.push(name);
        match self.schema.types.get(name) {
            Some(Def::Object(fields)) => {
                for (member, field) in fields {
                    let separator = if path.ends_with('/') { "" } else { "." };
                    self.ty(&field.ty, &format!("{path}{separator}{member}"));
                }
            }
            Some(Def::Union(Union::Tag { variants, untagged, .. })) => {
                let targets: BTreeSet<&String> = variants.values().chain(untagged).collect();
                for target in targets {
                    self.def(target, path);
                }
            }
            Some(Def::Union(Union::Shape(forms))) => {
                for ty in forms.values() {
                    self.ty(ty, path);
                }
            }
            Some(Def::Union(Union::Key(forms))) => {
                for (key, ty) in forms {
                    let separator = if path.ends_with('/') { "" } else { "." };
                    self.ty(ty, &format!("{path}{separator}{key}"));
                }
            }
            Some(Def::Enum(_) | Def::Union(Union::Present(_))) | None => {
                self.out.insert(path.to_owned());
            }
        }
        self.stack.pop();
    }

    fn ty(&mut self, ty: &'a Type, path: &str) {
        match ty {
            Type::Array(item) => self.ty(item, path),
            Type::Ref(name) => self.def(name, path),
            _ => {
                self.out.insert(path.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_merge_union_members_and_stop_at_circles() {
        let schema: Schema = serde_json::from_str(
            r#"{"protocol": "cohere", "roots": {"request": "R", "response": "E", "stream": "K", "error": "E"}, "types": {
                "E": {"object": {"message": {"type": "string"}}},
                "K": {"union": {"key": {"text": {"type": "string"}, "more": {"ref": "E"}}}},
                "R": {"object": {"content": {"type": {"ref": "C"}}, "self": {"type": {"ref": "R"}}}},
                "C": {"union": {"shape": {"string": "string", "array": {"array": {"ref": "P"}}}}},
                "P": {"union": {"tag": {"field": "type", "variants": {"a": "E", "b": "B"}}}},
                "B": {"object": {"data": {"type": "base64"}}}
            }}"#
                .replace(r#"{"type": "string"}, "more""#, r#""string", "more""#)
                .as_str(),
        )
        .unwrap();
        let found: Vec<String> = leaves(&schema).into_iter().collect();
        assert_eq!(
            found,
            [
                "error/message",
                "request/content",
                "request/content.data",
                "request/content.message",
                "response/message",
                "stream/more.message",
                "stream/text"
            ]
        );
    }
}
