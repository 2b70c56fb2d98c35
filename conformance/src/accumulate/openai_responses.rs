//! Responses: items and their parts, which must add up to the answer that the last event holds whole.

use serde_json::{Value, json};

use super::{append, frames, list};

/// Events that end a stream.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

pub(super) fn read(stream: &str) -> Result<Value, String> {
    let mut built = json!({});
    for (next, (name, data)) in (0_u64..).zip(frames(stream)) {
        let event: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        let kind = event["type"].as_str().ok_or("an event without a type")?;
        if name != kind {
            return Err(format!("the event `{name}` says it is `{kind}`"));
        }
        if event["sequence_number"].as_u64() != Some(next) {
            return Err(format!("the event is not number {next}: {data}"));
        }
        if (next == 0) != (kind == "response.created") {
            return Err(format!("{kind} at the wrong place"));
        }
        if ENDS.contains(&kind) {
            let whole = &event["response"];
            let (said, told) = (super::comparable(&built["output"]), super::comparable(&whole["output"]));
            return match said == told {
                true => Ok(whole.clone()),
                false => Err(format!("the items add up to\n  {said}\nand the end tells\n  {told}")),
            };
        }
        step(kind, &event, list(&mut built, "output")).map_err(|error| format!("{error}: {data}"))?;
    }
    Err("the stream has no end".to_owned())
}

/// What one event adds to the items.
fn step(kind: &str, event: &Value, items: &mut Vec<Value>) -> Result<(), String> {
    let Some(index) = event["output_index"].as_u64().map(|index| index as usize) else { return Ok(()) };
    if kind == "response.output_item.added" {
        if index != items.len() {
            return Err("an item out of turn".to_owned());
        }
        items.push(event["item"].clone());
        return Ok(());
    }
    let item = items.get_mut(index).ok_or("an item that was not added")?;
    if event["item_id"].is_string() && event["item_id"] != item["id"] {
        return Err("the id of another item".to_owned());
    }
    let part = |item: &'_ mut Value, list_name: &str, number: &Value| -> Result<usize, String> {
        let number = number.as_u64().ok_or("a part without an index")? as usize;
        if number < list(item, list_name).len() {
            Ok(number)
        } else {
            Err("a part that was not added".to_owned())
        }
    };
    let same = |said: &Value, told: &Value| match said == told {
        true => Ok(()),
        false => Err(format!("it added up to {said}")),
    };
    match kind {
        "response.content_part.added" => list(item, "content").push(event["part"].clone()),
        "response.reasoning_summary_part.added" => list(item, "summary").push(event["part"].clone()),
        "response.output_text.delta" | "response.refusal.delta" | "response.reasoning_text.delta" => {
            let number = part(item, "content", &event["content_index"])?;
            let member = if kind == "response.refusal.delta" { "refusal" } else { "text" };
            append(&mut item["content"][number][member], &event["delta"]);
        }
        "response.output_text.annotation.added" => {
            let number = part(item, "content", &event["content_index"])?;
            list(&mut item["content"][number], "annotations").push(event["annotation"].clone());
        }
        "response.reasoning_summary_text.delta" => {
            let number = part(item, "summary", &event["summary_index"])?;
            append(&mut item["summary"][number]["text"], &event["delta"]);
        }
        "response.function_call_arguments.delta" => append(&mut item["arguments"], &event["delta"]),
        "response.custom_tool_call_input.delta" => append(&mut item["input"], &event["delta"]),
        "response.function_call_arguments.done" => same(&item["arguments"], &event["arguments"])?,
        "response.custom_tool_call_input.done" => same(&item["input"], &event["input"])?,
        "response.output_text.done" => {
            let number = part(item, "content", &event["content_index"])?;
            same(&item["content"][number]["text"], &event["text"])?;
        }
        "response.refusal.done" => {
            let number = part(item, "content", &event["content_index"])?;
            same(&item["content"][number]["refusal"], &event["refusal"])?;
        }
        "response.content_part.done" => {
            let number = part(item, "content", &event["content_index"])?;
            same(&super::comparable(&item["content"][number]), &super::comparable(&event["part"]))?;
        }
        "response.reasoning_summary_part.done" => {
            let number = part(item, "summary", &event["summary_index"])?;
            same(&item["summary"][number], &event["part"])?;
        }
        // The end of an item may tell more of it, such as its status and what is sealed.
        "response.output_item.done" => *item = event["item"].clone(),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(text: &str) -> String {
        let events = [
            json!({"type": "response.created", "response": {}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "m", "content": []}}),
            json!({"type": "response.content_part.added", "output_index": 0, "item_id": "m", "content_index": 0,
                "part": {"type": "output_text", "text": ""}}),
            json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "m", "content_index": 0,
                "delta": "ab"}),
            json!({"type": "response.output_text.done", "output_index": 0, "item_id": "m", "content_index": 0,
                "text": text}),
            json!({"type": "response.completed", "response": {"id": "r", "output": [
                {"id": "m", "content": [{"type": "output_text", "text": "ab"}]}]}}),
        ];
        let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
            event["sequence_number"] = json!(number);
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        });
        numbered.collect()
    }

    #[test]
    fn events_add_up_to_what_the_last_one_tells() {
        assert_eq!(read(&stream("ab")).unwrap()["id"], "r");
        assert!(read(&stream("ac")).unwrap_err().contains("added up"));
        let cut = stream("ab").replace("\"delta\":\"ab\"", "\"delta\":\"a\"");
        assert!(read(&cut).is_err());
        let gap = stream("ab").replace("\"sequence_number\":3", "\"sequence_number\":4");
        assert!(read(&gap).unwrap_err().contains("not number 3"));
    }
}
