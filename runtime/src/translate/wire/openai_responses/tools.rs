//! Tools as this protocol has them and no other.

use busbar_protocols::{Json, ir};
use serde_json::{Map, Value};

/// The kind of format that has more members.
const GRAMMAR: &str = "grammar";

/// Puts what a grammar says into an object of its own, as it stands in the intermediate form.
pub(super) fn nest_grammar(tool: &mut ir::Tool<'_>) {
    with_format(tool, |mut members| {
        let inner: Map<String, Value> =
            members.iter().filter(|(name, _)| *name != "type").map(|(n, v)| (n.clone(), v.clone())).collect();
        members.retain(|name, _| name == "type");
        members.insert(GRAMMAR.to_owned(), Value::Object(inner));
        Some(members)
    });
}

/// Says of a function that it is not strict, which it would be unasked, and of a grammar what it is.
pub(super) fn settle(tool: &mut ir::Tool<'_>) {
    if let ir::Tool::Function(node) = tool {
        node.strict.get_or_insert(false);
        return;
    }
    with_format(tool, |mut members| {
        let Some(Value::Object(inner)) = members.remove(GRAMMAR) else { return None };
        members.extend(inner);
        Some(members)
    });
}

/// Changes the format of a tool with free text, where that is a grammar.
fn with_format(
    tool: &mut ir::Tool<'_>,
    change: impl FnOnce(Map<String, Value>) -> Option<Map<String, Value>>,
) {
    let ir::Tool::Custom(node) = tool else { return };
    let Some(Ok(Value::Object(members))) = node.format.as_ref().map(Json::to_value) else { return };
    if members.get("type").and_then(Value::as_str) != Some(GRAMMAR) {
        return;
    }
    if let Some(members) = change(members) {
        node.format = Some(Json::from_value(&Value::Object(members)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(format: &str) -> ir::Tool<'_> {
        let format = Some(Json::parse(format).unwrap());
        ir::Tool::Custom(ir::CustomTool { format, ..Default::default() })
    }

    fn format(tool: &ir::Tool<'_>) -> String {
        let ir::Tool::Custom(node) = tool else { panic!("another tool") };
        node.format.as_ref().unwrap().as_str().to_owned()
    }

    #[test]
    fn a_grammar_stands_in_an_object_of_its_own_elsewhere() {
        let flat = r#"{"type":"grammar","syntax":"lark","definition":"start: /.+/"}"#;
        let nested = r#"{"type":"grammar","grammar":{"syntax":"lark","definition":"start: /.+/"}}"#;
        let mut one = tool(flat);
        nest_grammar(&mut one);
        assert_eq!(format(&one), nested);
        settle(&mut one);
        assert_eq!(format(&one), flat);
    }

    #[test]
    fn other_formats_stay() {
        for json in [r#"{"type":"text"}"#, r#"{"type":"grammar"}"#, r#""grammar""#] {
            let mut one = tool(json);
            settle(&mut one);
            assert_eq!(format(&one), json);
        }
    }

    #[test]
    fn a_function_is_strict_only_where_it_is_asked_to_be() {
        for (asked, told) in [(None, false), (Some(true), true), (Some(false), false)] {
            let mut one = ir::Tool::Function(ir::FunctionTool { strict: asked, ..Default::default() });
            settle(&mut one);
            let ir::Tool::Function(node) = one else { panic!("another tool") };
            assert_eq!(node.strict, Some(told));
        }
    }
}
