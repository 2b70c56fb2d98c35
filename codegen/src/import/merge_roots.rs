//! Pass: a root that the document has as several types becomes one type.

use super::merge::merge;
use super::node::{Document, Node};

/// Merges the types of each root; the result is called after what their names have in common.
pub fn run(document: &mut Document) {
    for index in 0..document.roots.len() {
        let mut names = std::mem::take(&mut document.roots[index]);
        names.dedup();
        if names.len() > 1 {
            let merged: Option<Node> =
                names.iter().filter_map(|name| document.defs.get(name).cloned()).reduce(merge);
            let name = common(&names);
            document.defs.extend(merged.map(|node| (name.clone(), node)));
            names = vec![name];
        }
        document.roots[index] = names;
    }
}

fn common(names: &[String]) -> String {
    let mut common = names.first().cloned().unwrap_or_default();
    for name in names {
        while !name.starts_with(&common) {
            common.pop();
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::super::testing::{golden, read};
    use insta::assert_snapshot;

    #[test]
    fn several_types_become_one() {
        let mut document = read(
            r##"{
              "CreateParamsBuffered": {"type": "object", "required": ["model"], "properties": {
                "model": {"type": "string"}, "stream": {"const": false}}},
              "CreateParamsStreaming": {"type": "object", "required": ["model", "stream"], "properties": {
                "model": {"type": "string"}, "stream": {"const": true}}},
              "Answer": {"type": "object", "properties": {}}
            }"##,
        );
        document.roots[0] = vec!["CreateParamsBuffered".to_owned(), "CreateParamsStreaming".to_owned()];
        document.roots[1] = vec!["Answer".to_owned()];
        super::run(&mut document);
        document.defs.retain(|name, _| !name.ends_with("ing") && !name.ends_with("Buffered"));
        assert_snapshot!(golden(&document), @r"
        request: CreateParams
        response: Answer
        Answer = {}
        CreateParams = {model: string, stream?: boolean}
        ");
    }
}
