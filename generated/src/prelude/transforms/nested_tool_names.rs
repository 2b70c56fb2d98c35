//! References to declared tools, each as `{"type": kind, kind: {"name": name}}`.

use crate::ir::{ToolKind, ToolName};
use crate::prelude::{Json, Text};

/// The names, when every reference has exactly this form.
pub fn read<'a>(references: Vec<Json<'a>>) -> Result<Vec<ToolName<'a>>, Vec<Json<'a>>> {
    match references.iter().map(name).collect::<Option<Vec<_>>>() {
        Some(names) => Ok(names),
        None => Err(references),
    }
}

fn name(reference: &Json<'_>) -> Option<ToolName<'static>> {
    let value = reference.to_value().ok()?;
    let object = value.as_object()?;
    let (word, kind) = match object.get("type")?.as_str()? {
        "function" => ("function", ToolKind::Function),
        "custom" => ("custom", ToolKind::Custom),
        _ => return None,
    };
    let inner = object.get(word)?.as_object()?;
    let name = inner.get("name")?.as_str()?.to_owned();
    (object.len() == 2 && inner.len() == 1).then(|| ToolName {
        kind: Some(kind),
        name: Some(Text::plain(name)),
        ..ToolName::default()
    })
}

/// The references.
pub fn write(names: &Vec<ToolName<'_>>) -> Option<Vec<Json<'static>>> {
    Some(names.iter().map(reference).collect())
}

fn reference(name: &ToolName<'_>) -> Json<'static> {
    let kind = name.kind.as_ref().unwrap_or(&ToolKind::Function).text();
    let mut text = Vec::new();
    crate::prelude::write_object(&mut text, |members| {
        members.value("type", &kind);
        let mut inner = Vec::new();
        crate::prelude::write_object(&mut inner, |members| {
            if let Some(name) = &name.name {
                members.value("name", name);
            }
        });
        members.value(&kind.decode(), &Json::written(inner));
    });
    Json::written(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_names_pair_up() {
        let wire = vec![
            Json::parse(r#"{"type":"function","function":{"name":"a"}}"#).unwrap(),
            Json::parse(r#"{"type":"custom","custom":{"name":"b"}}"#).unwrap(),
        ];
        let names = read(wire.clone()).unwrap();
        assert_eq!(names[1].kind, Some(ToolKind::Custom));
        assert_eq!(write(&names).unwrap(), wire);
    }

    #[test]
    fn another_form_is_given_back() {
        for form in [r#"{"type":"function"}"#, r#"{"type":"mcp","mcp":{"name":"a"}}"#, "7"] {
            assert!(read(vec![Json::parse(form).unwrap()]).is_err(), "{form}");
        }
    }
}
