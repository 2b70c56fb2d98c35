//! Carriage of what only its provider can read, in places that every client gives back.
//!
//! Providers sign or encrypt reasoning, sign calls and texts, and want it all back unchanged. Towards a client of
//! another protocol it travels in an envelope, which names its issuer: in the place of a signature or of encrypted
//! reasoning where the client has one, else in the id of the tool call that the reasoning led to. An envelope that
//! is too long for an id waits in a bounded store, and the id says so.
//!
//! An envelope comes back from outside. It is bounded and checked, and all that can come of it is reasoning or a
//! signature for the protocol that it names: nothing in it chooses an address, a header or a field.

mod sealer;

pub(crate) use sealer::{Apart, Redacted, SealedCall, Sealer};

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// How every envelope begins; the digit is its version.
pub const PREFIX: &str = "bb1-";
/// How an id begins whose envelope waits in the store.
pub const STORED_PREFIX: &str = "bb1s-";
/// What both begin with.
const BEGIN: &str = "bb1";
/// How an envelope begins where a place holds bytes in base64.
const BEGIN_BYTES: &str = "YmIxL";
/// Longest envelope that is read, in characters.
pub const MAX_ENVELOPE: usize = 1 << 20;
/// The same in base64.
const MAX_BYTES: usize = MAX_ENVELOPE / 3 * 4 + 4;
/// Most blocks in one envelope.
pub const MAX_BLOCKS: usize = 64;

/// Bounds of the carriage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriageLimits {
    /// Longest envelope that goes into an id, in characters.
    pub inline: usize,
    /// Bytes in the store at most.
    pub store_bytes: usize,
    /// Envelopes in the store at most.
    pub store_entries: usize,
    /// Seconds that an envelope waits at most.
    pub keep_secs: u64,
}

impl Default for CarriageLimits {
    fn default() -> Self {
        Self { inline: 1024, store_bytes: 64 << 20, store_entries: 65_536, keep_secs: 6 * 3600 }
    }
}

/// What a block in an envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SealedKind {
    /// Reasoning.
    #[default]
    #[serde(rename = "r")]
    Reasoning,
    /// The signature of a call: of the one with this id, else of the next one.
    #[serde(rename = "c")]
    Call,
    /// The signature of the text before; with a text of its own, of a text that is nothing but this.
    #[serde(rename = "t")]
    Text,
}

/// One piece of opaque state in an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SealedBlock {
    /// How many blocks of other content came between the call before and this block.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub slot: u32,
    /// The text, where it does not travel beside the envelope.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The provider's signature.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Encrypted reasoning, which has no text.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The provider's id of the reasoning, or of the call that the signature belongs to.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is.
    #[serde(rename = "k", default, skip_serializing_if = "is_reasoning")]
    pub kind: SealedKind,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_reasoning(kind: &SealedKind) -> bool {
    *kind == SealedKind::Reasoning
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(slot: &u32) -> bool {
    *slot == 0
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Protocol of the provider that alone may get the blocks.
    pub issuer: Protocol,
    /// The reasoning, in order.
    pub blocks: Vec<SealedBlock>,
    /// The provider's id of the call that carries the envelope; empty in the place of a signature.
    pub id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    #[serde(rename = "i")]
    issuer: String,
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<SealedBlock>,
    #[serde(rename = "c", default, skip_serializing_if = "String::is_empty")]
    id: String,
}

impl Envelope {
    /// The envelope as text: letters, digits, `_` and `-` alone.
    pub fn seal(&self) -> String {
        let payload = Payload {
            issuer: self.issuer.name().to_owned(),
            blocks: self.blocks.clone(),
            id: self.id.clone(),
        };
        // Strings and numbers in memory always have a JSON form.
        let json = serde_json::to_vec(&payload).unwrap_or_default();
        format!("{PREFIX}{:08x}-{}", checksum(&json), URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads an envelope, also one in base64; none for any other text, and for one that was cut or changed.
    pub fn open(text: &str) -> Option<Self> {
        if text.starts_with(BEGIN_BYTES) && text.len() <= MAX_BYTES {
            // SDKs write bytes in either alphabet, with or without the padding.
            let plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
            let inner = String::from_utf8(STANDARD_NO_PAD.decode(plain).ok()?).ok()?;
            return Self::open_text(&inner);
        }
        Self::open_text(text)
    }

    fn open_text(text: &str) -> Option<Self> {
        if text.len() > MAX_ENVELOPE {
            return None;
        }
        let (sum, body) = text.strip_prefix(PREFIX)?.split_at_checked(8)?;
        let sum = u32::from_str_radix(sum, 16).ok()?;
        let json = URL_SAFE_NO_PAD.decode(body.strip_prefix('-')?).ok()?;
        if checksum(&json) != sum {
            return None;
        }
        let payload: Payload = serde_json::from_slice(&json).ok()?;
        let issuer = Protocol::ALL.into_iter().find(|protocol| protocol.name() == payload.issuer)?;
        (payload.blocks.len() <= MAX_BLOCKS).then_some(Self {
            issuer,
            blocks: payload.blocks,
            id: payload.id,
        })
    }
}

/// FNV-1a, which tells an id that a client cut from a whole one; it is no protection against forgery, and an
/// envelope needs none.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Whether a body may hold an envelope, so that it cannot be passed on unread.
pub fn mentions(body: &[u8]) -> bool {
    // One pass for what both begin with: most bodies hold neither, and some are megabytes.
    memchr::memmem::find_iter(body, BEGIN)
        .any(|at| [PREFIX, STORED_PREFIX].iter().any(|prefix| body[at..].starts_with(prefix.as_bytes())))
        || memchr::memmem::find_iter(body, BEGIN_BYTES).any(|at| begins_bytes(&body[at..]))
}

/// Whether an envelope in base64 begins here; five letters alone come by chance in pictures of some megabytes.
fn begins_bytes(body: &[u8]) -> bool {
    // Sixteen letters are twelve bytes: the beginning and the checksum.
    let head = body.get(..16).and_then(|head| STANDARD_NO_PAD.decode(head).ok());
    head.is_some_and(|head| {
        head.strip_prefix(PREFIX.as_bytes()).is_some_and(|sum| sum.iter().all(u8::is_ascii_hexdigit))
    })
}

/// An envelope for a place that is no id; `bytes` says that the place holds base64.
///
/// None when it would be too long to be read again.
fn seal_place(issuer: Protocol, blocks: Vec<SealedBlock>, bytes: bool) -> Option<String> {
    let sealed = Envelope { issuer, blocks, id: String::new() }.seal();
    (sealed.len() <= MAX_ENVELOPE).then(|| if bytes { STANDARD.encode(sealed) } else { sealed })
}

/// What an id turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// An id of the caller's or the provider's own.
    Plain,
    /// An envelope, or an id whose envelope was in the store.
    Envelope(Envelope),
    /// An id whose envelope is no longer in the store; this is the provider's id.
    Gone(String),
}

/// Seals and opens the ids of tool calls, and keeps what does not fit into them.
#[derive(Debug, Clone, Default)]
pub struct Carriage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    limits: CarriageLimits,
    store: Mutex<Store>,
}

impl Carriage {
    /// A carriage with an empty store.
    pub fn new(limits: CarriageLimits) -> Self {
        Self(Arc::new(Inner { limits, store: Mutex::default() }))
    }

    /// The id that a client gets for the provider's call `id`, with the reasoning that led to it.
    ///
    /// `scope` is whose answer it is, `now` the time in seconds.
    pub fn seal_id(
        &self,
        issuer: Protocol,
        id: &str,
        blocks: Vec<SealedBlock>,
        scope: &str,
        now: u64,
    ) -> String {
        if blocks.is_empty() || blocks.len() > MAX_BLOCKS {
            return id.to_owned();
        }
        let sealed = Envelope { issuer, blocks, id: id.to_owned() }.seal();
        if sealed.len() <= self.0.limits.inline {
            return sealed;
        }
        let mut store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.put(key(scope, id), sealed, now, &self.0.limits);
        format!("{STORED_PREFIX}{id}")
    }

    /// Reads an id that a client gave back.
    pub fn open_id(&self, id: &str, scope: &str, now: u64) -> Opened {
        if let Some(id) = id.strip_prefix(STORED_PREFIX) {
            let mut store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
            return match store
                .get(&key(scope, id), now, &self.0.limits)
                .and_then(|sealed| Envelope::open(&sealed))
            {
                Some(envelope) => Opened::Envelope(envelope),
                None => Opened::Gone(id.to_owned()),
            };
        }
        Envelope::open(id).map_or(Opened::Plain, Opened::Envelope)
    }
}

fn key(scope: &str, id: &str) -> String {
    format!("{scope}\0{id}")
}

#[derive(Debug, Default)]
struct Store {
    entries: HashMap<String, Entry>,
    /// Keys in the order they came, with the number of the coming; entries that came again have a newer number.
    order: VecDeque<(String, u64)>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    sealed: String,
    since: u64,
    number: u64,
}

impl Store {
    fn put(&mut self, key: String, sealed: String, now: u64, limits: &CarriageLimits) {
        let size = key.len() + sealed.len();
        if size > limits.store_bytes || limits.store_entries == 0 {
            return;
        }
        self.drop(&key);
        while let Some((oldest, number)) = self.order.front() {
            let stale = self.entries.get(oldest).is_none_or(|entry| entry.number != *number);
            let late =
                self.entries.get(oldest).is_some_and(|e| now.saturating_sub(e.since) > limits.keep_secs);
            let full = self.bytes + size > limits.store_bytes || self.entries.len() >= limits.store_entries;
            if !(stale || late || full) {
                break;
            }
            if let Some((oldest, _)) = self.order.pop_front()
                && !stale
            {
                self.drop(&oldest);
            }
        }
        let number = self.next;
        self.next += 1;
        self.bytes += size;
        self.order.push_back((key.clone(), number));
        self.entries.insert(key, Entry { sealed, since: now, number });
    }

    fn get(&mut self, key: &str, now: u64, limits: &CarriageLimits) -> Option<String> {
        let entry = self.entries.get(key)?;
        if now.saturating_sub(entry.since) > limits.keep_secs {
            self.drop(key);
            return None;
        }
        Some(entry.sealed.clone())
    }

    fn drop(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= key.len() + entry.sealed.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(signature: &str) -> SealedBlock {
        SealedBlock { text: Some("hm".into()), signature: Some(signature.into()), ..SealedBlock::default() }
    }

    #[test]
    fn what_is_sealed_is_opened_unchanged() {
        let envelope = Envelope {
            issuer: Protocol::Anthropic,
            blocks: vec![
                SealedBlock { slot: 1, ..block("Eq/+=\n") },
                SealedBlock { data: Some("opaque".into()), ..SealedBlock::default() },
            ],
            id: "toolu_01".into(),
        };
        let text = envelope.seal();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(Envelope::open(&text), Some(envelope));
    }

    #[test]
    fn what_was_cut_or_changed_is_not_opened() {
        let text = seal_place(Protocol::OpenaiChat, vec![block("s")], false).unwrap();
        assert!(Envelope::open(&text).is_some());
        assert_eq!(Envelope::open(&text[..text.len() - 1]), None);
        assert_eq!(Envelope::open(&text.replace("bb1-", "bb1-0")), None);
        for text in ["", "bb1-", "bb1-00000000-", "toolu_1", "bb1-é"] {
            assert_eq!(Envelope::open(text), None);
        }
        let bare = |json: &[u8]| format!("{PREFIX}{:08x}-{}", checksum(json), URL_SAFE_NO_PAD.encode(json));
        assert_eq!(Envelope::open(&bare(br#"{"i":"somebody"}"#)), None);
        assert_eq!(Envelope::open(&bare(br#"{"i":"anthropic","url":"x"}"#)), None);
        assert!(Envelope::open(&bare(br#"{"i":"anthropic"}"#)).is_some());
        let many = format!(r#"{{"i":"anthropic","b":[{}]}}"#, vec!["{}"; MAX_BLOCKS + 1].join(","));
        assert_eq!(Envelope::open(&bare(many.as_bytes())), None);
    }

    #[test]
    fn a_place_of_bytes_holds_base64_in_either_alphabet() {
        for signature in ["s", "sig~~~???", "a/b+c=="] {
            let envelope =
                Envelope { issuer: Protocol::Gemini, blocks: vec![block(signature)], id: String::new() };
            let text = seal_place(Protocol::Gemini, envelope.blocks.clone(), true).unwrap();
            assert!(STANDARD.decode(&text).is_ok() && mentions(text.as_bytes()), "{text}");
            for text in [text.clone(), text.replace('+', "-").replace('/', "_").replace('=', "")] {
                assert_eq!(Envelope::open(&text), Some(envelope.clone()));
            }
            assert_eq!(Envelope::open(&text[..text.len() - 5]), None);
        }
        assert_eq!(seal_place(Protocol::Gemini, vec![block(&"x".repeat(MAX_ENVELOPE))], true), None);
        let long = Envelope {
            issuer: Protocol::Gemini,
            blocks: vec![block(&"x".repeat(MAX_ENVELOPE))],
            id: String::new(),
        };
        assert_eq!(Envelope::open(&long.seal()), None, "longer than anything the gateway sealed");
        assert_eq!(Envelope::open(&STANDARD.encode(long.seal())), None);
        assert!(!mentions(b"AAAAYmIxLAAAAAAAAAAAAAAA YmIxL"), "a picture that begins alike somewhere");
    }

    #[test]
    fn what_does_not_fit_waits_for_its_owner_alone() {
        let carriage =
            Carriage::new(CarriageLimits { inline: 40, keep_secs: 10, ..CarriageLimits::default() });
        let id = carriage.seal_id(Protocol::Anthropic, "toolu_1", vec![block("sig")], "alice", 100);
        assert_eq!(id, "bb1s-toolu_1");
        assert!(mentions(id.as_bytes()) && mentions(b"bb1 bb1-") && !mentions(b"bb1_ bb1s bb-1"));
        assert!(PREFIX.starts_with(BEGIN) && STORED_PREFIX.starts_with(BEGIN));
        let Opened::Envelope(envelope) = carriage.open_id(&id, "alice", 105) else { panic!("gone") };
        assert_eq!((envelope.id.as_str(), &envelope.blocks[..]), ("toolu_1", &[block("sig")][..]));
        assert_eq!(carriage.open_id(&id, "bob", 105), Opened::Gone("toolu_1".into()));
        assert_eq!(carriage.open_id(&id, "alice", 111), Opened::Gone("toolu_1".into()));
        assert_eq!(carriage.open_id("toolu_1", "alice", 105), Opened::Plain);
    }

    #[test]
    fn the_store_is_bounded() {
        let limits = CarriageLimits { inline: 0, store_bytes: 2_000, store_entries: 3, keep_secs: 1_000 };
        let carriage = Carriage::new(limits);
        for n in 0..50 {
            carriage.seal_id(Protocol::Anthropic, &format!("id{n}"), vec![block("sig")], "", 0);
            carriage.seal_id(Protocol::Anthropic, "same", vec![block("sig")], "", 0);
            let store = carriage.0.store.lock().unwrap();
            assert!(store.entries.len() <= 3 && store.bytes <= 2_000, "{}", store.bytes);
            assert!(store.order.len() <= 7, "{}", store.order.len());
        }
        assert!(matches!(carriage.open_id("bb1s-id49", "", 0), Opened::Envelope(_)));
        assert_eq!(carriage.open_id("bb1s-id1", "", 0), Opened::Gone("id1".into()));
        carriage.seal_id(Protocol::Anthropic, "big", vec![block(&"x".repeat(3_000))], "", 0);
        assert_eq!(carriage.open_id("bb1s-big", "", 0), Opened::Gone("big".into()));
    }
}
