//! Reasoning that only its provider can read, on its way through a client.

use super::fixtures::ANTHROPIC_TOOLS;
use super::{accumulate_chat, run, to_chat};
use crate::Protocol;
use crate::translate::carriage::{Envelope, SealedBlock};

#[test]
fn a_signature_travels_in_the_id_of_the_call_it_led_to() {
    let run = run(&to_chat(), ANTHROPIC_TOOLS);
    let answer = accumulate_chat(&run.text);
    let id = answer["message"]["tool_calls"][0]["id"].as_str().unwrap();
    let envelope = Envelope::open(id).unwrap();
    assert_eq!(envelope.issuer, Protocol::Anthropic);
    assert_eq!(envelope.id, "toolu_01");
    let block = SealedBlock {
        text: Some("Two cities: ask both.".into()),
        signature: Some("EqQBCgIYAhIM+/==".into()),
        ..SealedBlock::default()
    };
    assert_eq!(envelope.blocks, [block]);
}
