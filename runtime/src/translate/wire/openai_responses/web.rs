//! The search of the web, in the versions that this protocol has of it.

use busbar_protocols::openai_responses as wire;
use busbar_protocols::{Field, Json, Text};

/// Makes the newest version of a search.
pub(super) fn newest(tool: &mut wire::Tool<'_>) {
    let mut newest = match tool {
        wire::Tool::WebSearch20250826(search) => std::mem::take(search),
        wire::Tool::WebSearchPreview(search) | wire::Tool::WebSearchPreview20250311(search) => {
            of_preview(std::mem::take(search))
        }
        _ => return,
    };
    newest.r#type = Field::Value(wire::WebSearchToolType::WebSearch);
    *tool = wire::Tool::WebSearch(newest);
}

fn of_preview(older: wire::WebSearchPreviewTool<'_>) -> wire::WebSearchTool<'_> {
    let mut newer = wire::WebSearchTool {
        search_context_size: older.search_context_size,
        unknown: older.unknown,
        ..Default::default()
    };
    if let Field::Value(place) = older.user_location {
        newer.user_location = Field::Value(Box::new(wire::WebSearchToolUserLocation {
            r#type: place.r#type,
            city: place.city,
            country: place.country,
            region: place.region,
            timezone: place.timezone,
            unknown: place.unknown,
        }));
    }
    if let Field::Value(kinds) = older.search_content_types {
        let kinds: Vec<serde_json::Value> =
            kinds.iter().map(|kind| kind.text().decode().into_owned().into()).collect();
        newer.unknown.push(Text::plain("search_content_types"), Json::from_value(&kinds.into()));
    }
    newer
}
