//! Tools and the choice among them: one tool holds many functions, and what Google runs itself stands beside.

use busbar_protocols::gemini as wire;
use busbar_protocols::prelude::{At, Paths, ReadCx, Wire};
use busbar_protocols::{EffectKind, Field, Json, Text, ir};

use super::super::super::shape::Shape;
use super::{dialect, take};

/// Each function as a tool; what Google runs itself is carried as it is.
pub(super) fn read<'a>(tools: Option<Vec<wire::Tool<'a>>>, cx: &mut ReadCx) -> Option<Vec<ir::Tool<'a>>> {
    let list = cx.member(Paths::ROOT, "tools");
    let mut read = Vec::new();
    for (index, mut tool) in tools?.into_iter().enumerate() {
        let at = cx.item(list, index);
        let functions = take(&mut tool.function_declarations).unwrap_or_default();
        let inside = cx.member(at, "functionDeclarations");
        for (index, function) in functions.into_iter().enumerate() {
            let at = cx.item(inside, index);
            read.push(ir::Tool::Function(read_function(function, at)));
        }
        if let Some(search) = take_search(&mut tool, at) {
            read.push(ir::Tool::WebSearch(search));
        }
        if tool != wire::Tool::default() {
            let value = Json::parse(String::from_utf8_lossy(&tool.to_json()).into_owned()).ok();
            let kind =
                HOSTED.iter().find_map(|(kind, is_there)| is_there(&tool).then_some(Text::plain(*kind)));
            read.push(ir::Tool::Native(ir::NativeTool { at, kind, value, ..ir::NativeTool::default() }));
        }
    }
    Some(read)
}

/// A member of a tool and whether it is there.
type Hosted = (&'static str, fn(&wire::Tool<'_>) -> bool);

/// Tools that Google runs itself.
const HOSTED: [Hosted; 8] = [
    ("googleSearch", |tool| tool.google_search.as_ref().is_some()),
    ("googleSearchRetrieval", |tool| tool.google_search_retrieval.as_ref().is_some()),
    ("codeExecution", |tool| tool.code_execution.as_ref().is_some()),
    ("urlContext", |tool| tool.url_context.as_ref().is_some()),
    ("computerUse", |tool| tool.computer_use.as_ref().is_some()),
    ("fileSearch", |tool| tool.file_search.as_ref().is_some()),
    ("googleMaps", |tool| tool.google_maps.as_ref().is_some()),
    ("mcpServers", |tool| tool.mcp_servers.as_ref().is_some()),
];

/// Takes out the search of the web, in its newer or its older form.
fn take_search<'a>(tool: &mut wire::Tool<'a>, at: At) -> Option<ir::WebSearchTool<'a>> {
    let newer = take(&mut tool.google_search);
    let older = if newer.is_some() { None } else { take(&mut tool.google_search_retrieval) };
    let said = newer.as_ref().map(Wire::to_json).or(older.as_ref().map(Wire::to_json))?;
    let mut node = ir::WebSearchTool { at, ..ir::WebSearchTool::default() };
    let name = if newer.is_some() { "googleSearch" } else { "googleSearchRetrieval" };
    if let Ok(more) = Json::parse(String::from_utf8_lossy(&said).into_owned())
        && more.as_str() != "{}"
    {
        node.native.keep(at, "Tool", Text::plain(name), more);
    }
    Some(node)
}

fn read_function<'a>(mut function: wire::FunctionDeclaration<'a>, at: At) -> ir::FunctionTool<'a> {
    let own = take(&mut function.parameters).map(|schema| dialect::json_schema(&schema));
    let mut node = ir::FunctionTool {
        name: take(&mut function.name),
        description: take(&mut function.description),
        parameters: take(&mut function.parameters_json_schema).or(own),
        at,
        ..ir::FunctionTool::default()
    };
    let rest = [
        ("behavior", take(&mut function.behavior).map(|word| Json::from_value(&word.text().decode().into()))),
        ("response", take(&mut function.response)),
        ("responseJsonSchema", take(&mut function.response_json_schema)),
    ];
    for (name, value) in rest {
        if let Some(value) = value {
            node.native.keep(at, "FunctionDeclaration", Text::plain(name), value);
        }
    }
    for (name, value) in function.unknown.iter() {
        node.native.keep(at, "FunctionDeclaration", name.clone(), value.clone());
    }
    node
}

/// Takes the choice among functions; what else is configured stays.
pub(super) fn take_choice<'a>(config: &mut Field<Box<wire::ToolConfig<'a>>>) -> ir::ToolChoice<'a> {
    let mut choice = ir::ToolChoice::default();
    let Field::Value(settings) = config else { return choice };
    if let Field::Value(calling) = &mut settings.function_calling_config {
        let names = take(&mut calling.allowed_function_names).unwrap_or_default();
        let mode = take(&mut calling.mode);
        let must = mode == Some(wire::FunctionCallingConfigMode::Any);
        choice.mode = match (mode, names.len()) {
            (Some(wire::FunctionCallingConfigMode::None), _) => Some(ir::ChoiceMode::None),
            (_, 1) if must => Some(ir::ChoiceMode::Named),
            (_, 0) if must => Some(ir::ChoiceMode::Required),
            (None, 0) => None,
            (_, 0) => Some(ir::ChoiceMode::Auto),
            _ => Some(ir::ChoiceMode::Allowed),
        };
        match choice.mode {
            Some(ir::ChoiceMode::Named) => choice.name = names.into_iter().next(),
            Some(ir::ChoiceMode::Allowed) => {
                choice.required = Some(must);
                let named = |name| ir::ToolName { name: Some(name), ..ir::ToolName::default() };
                choice.allowed = Some(names.into_iter().map(named).collect());
            }
            _ => {}
        }
        if calling.unknown.is_empty() {
            settings.function_calling_config = Field::Absent;
        }
    }
    if **settings == wire::ToolConfig::default() {
        *config = Field::Absent;
    }
    choice
}

/// One tool for all functions, and one for the search of the web; what has no form is reported.
pub(super) fn write<'a>(tools: Option<Vec<ir::Tool<'a>>>, shape: &mut Shape<'_>) -> Vec<wire::Tool<'a>> {
    let mut functions = Vec::new();
    let mut searches = false;
    for tool in tools.into_iter().flatten() {
        let node = match tool {
            ir::Tool::Function(node) => node,
            ir::Tool::WebSearch(node) => {
                shape.report.cx.leftovers(&node.native);
                searches = true;
                continue;
            }
            other => {
                shape.report.lose(other.at(), "Google runs other tools itself than this one");
                continue;
            }
        };
        let said = [
            (node.strict.is_some(), "strict", "Gemini has no strict functions"),
            (node.defer.is_some(), "defer", "Gemini has no search for tools"),
        ];
        for (_, path, reason) in said.into_iter().filter(|(is_said, ..)| *is_said) {
            shape.report.member(EffectKind::Dropped, node.at, "Tool.function", path, reason);
        }
        shape.report.cx.leftovers(&node.native);
        functions.push(wire::FunctionDeclaration {
            name: field(node.name),
            description: field(node.description),
            parameters_json_schema: field(node.parameters),
            ..Default::default()
        });
    }
    let mut tools = Vec::new();
    if !functions.is_empty() {
        tools.push(wire::Tool { function_declarations: Field::Value(functions), ..Default::default() });
    }
    if searches {
        tools.push(wire::Tool { google_search: Field::Value(Default::default()), ..Default::default() });
    }
    tools
}

/// The choice in Google's words.
pub(super) fn write_choice<'a>(choice: &mut ir::ToolChoice<'a>) -> Option<wire::FunctionCallingConfig<'a>> {
    use wire::FunctionCallingConfigMode as Mode;
    let mode = choice.mode.take()?;
    let mut config = wire::FunctionCallingConfig::default();
    let mut names = None;
    config.mode = Field::Value(match mode {
        ir::ChoiceMode::None => Mode::None,
        ir::ChoiceMode::Required => Mode::Any,
        ir::ChoiceMode::Named => {
            names = Some(choice.name.take().into_iter().collect());
            choice.kind = None;
            Mode::Any
        }
        ir::ChoiceMode::Allowed => {
            let allowed = choice.allowed.take().into_iter().flatten();
            names = Some(allowed.filter_map(|tool| tool.name).collect());
            // The one mode in which the model may also answer in words.
            if choice.required.take() == Some(true) { Mode::Any } else { Mode::Validated }
        }
        ir::ChoiceMode::Auto | ir::ChoiceMode::Other(_) => Mode::Auto,
    });
    if let Some(names) = names {
        config.allowed_function_names = Field::Value(names);
    }
    Some(config)
}

fn field<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Absent, Field::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(config: &str) -> ir::ToolChoice<'_> {
        let config = wire::ToolConfig::parse(config.as_bytes()).unwrap();
        take_choice(&mut Field::Value(Box::new(config)))
    }

    #[test]
    fn a_choice_goes_there_and_back() {
        for (config, mode) in [
            (r#"{"functionCallingConfig":{"mode":"AUTO"}}"#, ir::ChoiceMode::Auto),
            (r#"{"functionCallingConfig":{"mode":"NONE"}}"#, ir::ChoiceMode::None),
            (r#"{"functionCallingConfig":{"mode":"ANY"}}"#, ir::ChoiceMode::Required),
            (
                r#"{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}"#,
                ir::ChoiceMode::Named,
            ),
            (
                r#"{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}"#,
                ir::ChoiceMode::Allowed,
            ),
            (
                r#"{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["f"]}}"#,
                ir::ChoiceMode::Allowed,
            ),
        ] {
            let mut choice = choice(config);
            assert_eq!(choice.mode, Some(mode), "{config}");
            let calling = write_choice(&mut choice).unwrap();
            let back =
                wire::ToolConfig { function_calling_config: Field::Value(calling), ..Default::default() };
            let (back, there) =
                (back.to_json(), wire::ToolConfig::parse(config.as_bytes()).unwrap().to_json());
            assert_eq!(String::from_utf8(back).unwrap(), String::from_utf8(there).unwrap());
            assert_eq!(choice, ir::ToolChoice::default(), "nothing is left over of {config}");
        }
        assert_eq!(choice("{}"), ir::ToolChoice::default());
    }

    #[test]
    fn functions_of_several_tools_are_one_list_and_hosted_tools_stay() {
        let tools = r#"[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}},{"name":"g"}]},
            {"google_search":{},"functionDeclarations":[{"name":"h","behavior":"BLOCKING"}]},{"codeExecution":{}}]"#;
        let mut cx = ReadCx::default();
        let tools = Vec::<wire::Tool<'_>>::parse(tools.as_bytes()).unwrap();
        let read = read(Some(tools), &mut cx).unwrap();
        let names: Vec<String> = read
            .iter()
            .map(|tool| match tool {
                ir::Tool::Function(node) => node.name.as_ref().unwrap().decode().into_owned(),
                ir::Tool::WebSearch(_) => "search".to_owned(),
                ir::Tool::Native(node) => format!("native {}", node.kind.as_ref().unwrap().decode()),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["f", "g", "h", "search", "native codeExecution"]);
        assert_eq!(cx.paths.render(read[1].at()), "tools[0].functionDeclarations[1]");
        let ir::Tool::Function(node) = &read[0] else { panic!("a function") };
        assert_eq!(node.parameters.as_ref().unwrap().as_str(), r#"{"type":"object"}"#);
        let ir::Tool::Function(node) = &read[2] else { panic!("a function") };
        assert!(node.native.kept().any(|leftover| *leftover.name() == *"behavior"));
    }
}
