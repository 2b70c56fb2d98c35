//! Tools that stand in groups.

use std::collections::{BTreeMap, HashMap, HashSet};

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, state::Grouped};

/// What stands between the names of a group and of a tool.
const BETWEEN: &str = "__";

/// Takes tools out of their groups, where the target has none, under names that the way back knows.
///
/// A name is made of the group's and the tool's alone as far as they let it be the only one, so that it is the same
/// in every turn.
pub(super) fn flatten_groups(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.tools.groups {
        return;
    }
    let mut names = Names::of(request);
    let mut flat = Vec::new();
    for tool in request.tools.take().into_iter().flatten() {
        let ir::Tool::Group(group) = tool else {
            flat.push(tool);
            continue;
        };
        flat.extend(open(group, &mut names, shape));
    }
    if !flat.is_empty() {
        request.tools = Some(flat);
    }
    let declared = names.made.clone();
    name_calls(request, &mut names);
    name_choice(&mut request.tool_choice, &names, &declared);
    let grouped = declared.into_iter().map(|((group, name), flat)| (flat, Grouped { group, name }));
    shape.state.groups.extend(grouped);
}

/// The tools of a group; what the group is for stands with the first.
fn open<'a>(group: ir::GroupTool<'a>, names: &mut Names, shape: &mut Shape<'_>) -> Vec<ir::Tool<'a>> {
    let reason = "the tools of the group are offered one by one, their names behind the name of the group";
    shape.report.node(EffectKind::Adapted, group.at, reason);
    shape.report.cx.leftovers(&group.native);
    let own = group.name.as_ref().map(|name| name.decode().into_owned()).unwrap_or_default();
    let mut about = group.description.filter(|said| !said.is_empty());
    let mut tools = group.tools.unwrap_or_default();
    for tool in &mut tools {
        let (name, description) = match tool {
            ir::Tool::Function(node) => (&mut node.name, &mut node.description),
            ir::Tool::Custom(node) => (&mut node.name, &mut node.description),
            _ => continue,
        };
        let inner = name.as_ref().map(|name| name.decode().into_owned()).unwrap_or_default();
        *name = Some(Text::plain(names.flat(&own, &inner)));
        if let Some(about) = about.take() {
            let said = description.take().map(|said| said.decode().into_owned()).unwrap_or_default();
            *description = Some(Text::plain(format!("{own}: {about}\n\n{said}").trim_end().to_owned()));
        }
    }
    tools
}

/// Gives calls of the history, and results that repeat it, the name under which the tool is declared.
fn name_calls(request: &mut ir::Request<'_>, names: &mut Names) {
    let mut called: HashMap<String, String> = HashMap::new();
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        match block {
            ir::Block::ToolCall(node) => {
                let Some(group) = node.namespace.take() else { continue };
                let name = node.name.as_ref().map(|name| name.decode().into_owned()).unwrap_or_default();
                let flat = names.flat(&group.decode(), &name);
                if let Some(id) = &node.id {
                    called.insert(id.decode().into_owned(), flat.clone());
                }
                node.name = Some(Text::plain(flat));
            }
            ir::Block::ToolResult(node) => {
                let flat = node.call_id.as_ref().and_then(|id| called.get(&*id.decode()));
                if let (Some(name), Some(flat)) = (&mut node.name, flat) {
                    *name = Text::plain(flat.clone());
                }
            }
            _ => {}
        }
    }
}

/// A choice names a tool without its group, where no tool outside of groups has that name and one inside has.
fn name_choice(
    choice: &mut ir::ToolChoice<'_>,
    names: &Names,
    declared: &BTreeMap<(String, String), String>,
) {
    let chosen = [&mut choice.name].into_iter();
    for name in chosen.chain(choice.allowed.iter_mut().flatten().map(|tool| &mut tool.name)) {
        let Some(own) = name.as_ref().map(|name| name.decode().into_owned()) else { continue };
        if names.outside.contains(&own) {
            continue;
        }
        let mut inside = declared.iter().filter(|((_, inner), _)| *inner == own).map(|(_, flat)| flat);
        if let (Some(flat), None) = (inside.next(), inside.next()) {
            *name = Some(Text::plain(flat.clone()));
        }
    }
}

/// Names of tools outside of groups, and those made for the others.
struct Names {
    outside: HashSet<String>,
    taken: HashSet<String>,
    made: BTreeMap<(String, String), String>,
}

impl Names {
    fn of(request: &ir::Request<'_>) -> Self {
        let declared = request.tools.iter().flatten().filter_map(|tool| match tool {
            ir::Tool::Function(node) => node.name.as_ref(),
            ir::Tool::Custom(node) => node.name.as_ref(),
            _ => None,
        });
        let said = request.turns.iter().flatten().flat_map(|turn| turn.content.iter().flatten());
        let called = said.filter_map(|block| match block {
            ir::Block::ToolCall(node) if node.namespace.is_none() => node.name.as_ref(),
            _ => None,
        });
        let outside: HashSet<String> =
            declared.chain(called).map(|name| name.decode().into_owned()).collect();
        Self { taken: outside.clone(), outside, made: BTreeMap::new() }
    }

    fn flat(&mut self, group: &str, name: &str) -> String {
        let key = (group.to_owned(), name.to_owned());
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let between = if group.is_empty() || group.ends_with(BETWEEN) { "" } else { BETWEEN };
        let joined = format!("{group}{between}{name}");
        let mut made = joined.clone();
        let mut salt = 0;
        while !self.taken.insert(made.clone()) {
            let hash = super::ids::hash(&format!("{group}\n{name}"), salt);
            made = format!("{joined}_{:08x}", hash >> 32);
            salt += 1;
        }
        self.made.insert(key, made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(outside: &[&str]) -> Names {
        let outside: HashSet<String> = outside.iter().map(|name| (*name).to_owned()).collect();
        Names { taken: outside.clone(), outside, made: BTreeMap::new() }
    }

    #[test]
    fn a_name_tells_the_group_and_the_tool() {
        let mut names = names(&[]);
        assert_eq!(names.flat("files", "read"), "files__read");
        assert_eq!(names.flat("mcp__files__", "read"), "mcp__files__read");
        assert_eq!(names.flat("", "read"), "read");
        assert_eq!(names.flat("files", "read"), "files__read", "the same at each place");
    }

    #[test]
    fn two_tools_never_get_one_name() {
        let mut names = names(&["a__b"]);
        let made =
            [names.flat("a", "b"), names.flat("a__b", "c"), names.flat("a", "b__c"), names.flat("a__", "b")];
        let all: HashSet<&String> = made.iter().collect();
        assert_eq!(all.len(), made.len(), "{made:?}");
        assert!(!made.contains(&"a__b".to_owned()), "{made:?}");
        assert_eq!(made[1], "a__b__c");
    }
}
