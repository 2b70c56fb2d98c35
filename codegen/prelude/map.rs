//! What the generated maps share: where a node came from, what it keeps, what a write reports.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Cursor, Effect, EffectKind, Json, Ledger, Num, Object, Protocol, Text, Wire, wire};

/// The declared meaning of one wire field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It becomes this path of the IR type.
    Ir(&'static str),
    /// Its members belong to the IR node of the object around it.
    Inline,
    /// It always has this value.
    Const(&'static str),
    /// The gateway consumes it: routing, framing.
    Gateway,
    /// It travels in the node's `native` slot, for this reason.
    Keep(&'static str),
    /// It travels in the node's `native` slot, for this reason, and losing it changes the question.
    KeepSemantic(&'static str),
    /// Between protocols the gateway's own code moves its meaning, which stands elsewhere in the IR; this says how.
    Hand(&'static str),
    /// A hand-written stream reader and writer carry it, into this part of the IR event.
    Stream(&'static str),
}

/// One row of a protocol's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Wire type.
    pub wire: &'static str,
    /// Wire field.
    pub field: &'static str,
    /// IR type, such as `Block.text`.
    pub ir: &'static str,
    /// What becomes of the field.
    pub fate: Fate,
}

/// A part of the IR that a wire type has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// IR type.
    pub ir: &'static str,
    /// Path in it.
    pub path: &'static str,
    /// Why there is no form.
    pub reason: &'static str,
}

/// Where a node stood in its document: an index into [`Paths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At(u32);

#[derive(Debug, Clone, Copy)]
enum Segment {
    Root,
    Member(&'static str),
    Index(u32),
}

/// The places of all nodes of one document.
#[derive(Debug, Clone)]
pub struct Paths(Vec<(At, Segment)>);

impl Default for Paths {
    fn default() -> Self {
        Self(vec![(At(0), Segment::Root)])
    }
}

impl Paths {
    /// The place of the document itself.
    pub const ROOT: At = At(0);

    fn add(&mut self, parent: At, segment: Segment) -> At {
        let at = At(u32::try_from(self.0.len()).unwrap_or(0));
        self.0.push((parent, segment));
        at
    }

    /// The path in the caller's own words, such as `messages[3].content[0]`; empty for the document.
    pub fn render(&self, at: At) -> String {
        let mut segments = Vec::new();
        let mut here = at;
        while let Some((parent, segment)) = self.0.get(here.0 as usize).filter(|_| here != Self::ROOT) {
            segments.push(*segment);
            here = *parent;
        }
        let mut path = String::new();
        for segment in segments.iter().rev() {
            match segment {
                Segment::Root => {}
                Segment::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Segment::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }

    /// The path of a member of the node.
    pub fn member(&self, at: At, name: &str) -> String {
        let path = self.render(at);
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    }
}

/// Why a member is in a node's native slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It has no meaning in the IR.
    Kept,
    /// It was null where the IR knows presence alone.
    Null,
    /// It was an empty object all of whose members belong to the node around it.
    Empty,
    /// It says what the IR says, in another spelling than the usual one.
    Spelling,
    /// A constant member was left out.
    Left,
    /// It is the whole node.
    Whole,
    /// It names the form that said it, of several that could have.
    Form,
}

/// A member of a wire object that the IR carries as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover<'a> {
    at: At,
    owner: &'static str,
    name: Text<'a>,
    value: Json<'a>,
    why: Why,
}

impl<'a> Leftover<'a> {
    /// Place of the object that had the member.
    pub fn at(&self) -> At {
        self.at
    }

    /// Wire type of that object.
    pub fn owner(&self) -> &'static str {
        self.owner
    }

    /// The member's name.
    pub fn name(&self) -> &Text<'a> {
        &self.name
    }

    /// The member's value.
    pub fn value(&self) -> &Json<'a> {
        &self.value
    }
}

/// The source protocol's own leftovers at one node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Native<'a>(Vec<Leftover<'a>>);

impl<'a> Native<'a> {
    /// The members that have no meaning in the IR.
    pub fn kept(&self) -> impl Iterator<Item = &Leftover<'a>> {
        self.0.iter().filter(|leftover| leftover.why == Why::Kept)
    }

    /// Takes out what a shape pass has consumed.
    pub fn remove(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.0.iter().position(|leftover| leftover.why == Why::Kept && leftover.name == *name)?;
        Some(self.0.remove(index).value)
    }

    /// Takes out the node that has no meaning in the IR as a whole, such as an item that one protocol alone knows.
    pub fn take_whole(&mut self) -> Option<Json<'a>> {
        let index = self.0.iter().position(|leftover| leftover.why == Why::Whole)?;
        Some(self.0.remove(index).value)
    }

    /// Adds the leftovers of a node that is merged into this one.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Adds a member without a meaning of the object `owner` at a place.
    pub fn keep(&mut self, at: At, owner: &'static str, name: Text<'a>, value: Json<'a>) {
        self.0.push(Leftover { at, owner, name, value, why: Why::Kept });
    }

    pub(crate) fn keep_wire(
        &mut self,
        at: At,
        owner: &'static str,
        name: &'static str,
        value: &impl Wire<'a>,
    ) {
        self.keep(at, owner, Text::plain(name), Json::written(value.to_json()));
    }

    /// Whether a member of an object of that wire type is kept.
    pub(crate) fn owns(&self, owner: &'static str) -> bool {
        self.0.iter().any(|l| l.owner == owner)
    }

    /// Keeps a whole node, a form of the union `owner` that has no meaning in the IR.
    pub(crate) fn keep_whole(&mut self, at: At, owner: &'static str, value: &impl Wire<'a>) {
        let value = Json::written(value.to_json());
        self.0.push(Leftover { at, owner, name: Text::plain(""), value, why: Why::Whole });
    }

    pub(crate) fn whole(&self, owner: &'static str) -> Option<&Json<'a>> {
        self.0.iter().find(|l| l.why == Why::Whole && l.owner == owner).map(|l| &l.value)
    }

    pub(crate) fn null(&mut self, at: At, owner: &'static str, name: &'static str) {
        self.0.push(Leftover { at, owner, name: Text::plain(name), value: Json::NULL, why: Why::Null });
    }

    pub(crate) fn empty(&mut self, at: At, owner: &'static str, name: &'static str, value: Vec<u8>) {
        self.0.push(Leftover {
            at,
            owner,
            name: Text::plain(name),
            value: Json::written(value),
            why: Why::Empty,
        });
    }

    pub(crate) fn spelling(
        &mut self,
        at: At,
        owner: &'static str,
        name: &'static str,
        value: &impl Wire<'a>,
    ) {
        let value = Json::written(value.to_json());
        self.0.push(Leftover { at, owner, name: Text::plain(name), value, why: Why::Spelling });
    }

    pub(crate) fn left(&mut self, at: At, owner: &'static str, name: &'static str) {
        self.0.push(Leftover { at, owner, name: Text::plain(name), value: Json::NULL, why: Why::Left });
    }

    /// Notes which form of the union `owner` said the node.
    pub(crate) fn form(&mut self, at: At, owner: &'static str, name: &'static str) {
        self.0.push(Leftover { at, owner, name: Text::plain(name), value: Json::NULL, why: Why::Form });
    }

    pub(crate) fn has_form(&self, owner: &'static str, name: &'static str) -> bool {
        self.0.iter().any(|l| l.why == Why::Form && l.owner == owner && l.name == *name)
    }

    pub(crate) fn any_form(&self, owner: &'static str) -> bool {
        self.0.iter().any(|l| l.why == Why::Form && l.owner == owner)
    }

    pub(crate) fn is_left(&self, owner: &'static str, name: &'static str) -> bool {
        self.0.iter().any(|l| l.why == Why::Left && l.owner == owner && l.name == *name)
    }

    pub(crate) fn is_spelled(&self, owner: &'static str, name: &'static str) -> bool {
        self.spelled(owner, name).is_some()
    }

    pub(crate) fn spelled(&self, owner: &'static str, name: &'static str) -> Option<&Json<'a>> {
        self.0
            .iter()
            .find(|l| l.why == Why::Spelling && l.owner == owner && l.name == *name)
            .map(|l| &l.value)
    }

    /// Puts the members of `owner` back that the map itself did not write.
    pub(crate) fn restore<'s, T: Object<'s>>(&'s self, owner: &'static str, object: &mut T) {
        for leftover in &self.0 {
            if leftover.owner != owner
                || matches!(leftover.why, Why::Spelling | Why::Left | Why::Whole | Why::Form)
            {
                continue;
            }
            let name = leftover.name.decode();
            if !object.has(&name) {
                let mut cursor = Cursor::new(leftover.value.checked());
                // A value that was read under this name is read again; it cannot be of another kind.
                if wire::read_member(object, leftover.name.clone(), &mut cursor).is_err() {
                    object.unknown().push(leftover.name.clone(), leftover.value.clone());
                }
            }
        }
    }
}

/// What reading into the IR needs to know.
#[derive(Debug, Clone, Default)]
pub struct ReadCx {
    /// Places of the nodes read so far.
    pub paths: Paths,
}

impl ReadCx {
    /// The place of a member of the node.
    pub fn member(&mut self, at: At, name: &'static str) -> At {
        self.paths.add(at, Segment::Member(name))
    }

    /// The place of an item of the list.
    pub fn item(&mut self, at: At, index: usize) -> At {
        self.paths.add(at, Segment::Index(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// What writing out of the IR needs to know, and what it reports.
#[derive(Debug)]
pub struct WriteCx<'p> {
    source: Protocol,
    target: Protocol,
    paths: &'p Paths,
    scope: Option<Scope>,
    /// What was dropped.
    pub ledger: Ledger,
}

/// The node and the member that a group is written for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    at: At,
    ir: &'static str,
    member: &'static str,
    elsewhere: &'static [&'static str],
}

impl<'p> WriteCx<'p> {
    /// A write of a document that came from `source`, towards `target`.
    pub fn new(source: Protocol, target: Protocol, paths: &'p Paths) -> Self {
        Self { source, target, paths, scope: None, ledger: Ledger::default() }
    }

    /// Whether the document goes back to the protocol it came from.
    pub(crate) fn home(&self) -> bool {
        self.source == self.target
    }

    /// The path of a member as the caller wrote it.
    pub fn path(&self, at: At, ir: &str, path: &str) -> String {
        let name = crate::wire_name(self.source, ir, path).or_else(|| {
            // Where an answer is one, it has no node of its own on the wire.
            let whole = (ir == "Candidate").then(|| format!("candidates[0].{path}"))?;
            crate::wire_name(self.source, "Response", &whole)
        });
        // Where one field says several parts, it is the field of what they belong to.
        let name = name.or_else(|| {
            let mut outer = path;
            loop {
                (outer, _) = outer.rsplit_once('.')?;
                if let Some(name) = crate::wire_name(self.source, ir, outer) {
                    return Some(name);
                }
            }
        });
        // Where a block is all of a turn, its members are the turn's; one in an object of its own stands there.
        let name = name.or_else(|| {
            let whole = format!("content[{}].{path}", ir.strip_prefix("Block.")?);
            crate::wire_name(self.source, "Turn", &whole)?.rsplit('.').next()
        });
        self.paths.member(at, name.unwrap_or(path))
    }

    /// Reports a part of the IR that the target has no form for.
    pub(crate) fn lack(&mut self, at: At, lack: &Lack, semantic: bool) {
        let path = self.path(at, lack.ir, lack.path);
        self.ledger.push(Effect {
            path,
            kind: EffectKind::Dropped,
            reason: Cow::Borrowed(lack.reason),
            semantic,
        });
    }

    /// Says which member of which node the next group belongs to, and which parts of it are written
    /// elsewhere.
    pub(crate) fn enter(
        &mut self,
        at: At,
        ir: &'static str,
        member: &'static str,
        elsewhere: &'static [&'static str],
    ) {
        self.scope = Some(Scope { at, ir, member, elsewhere });
    }

    /// Reports a part of the group being written that the target has no form for.
    pub(crate) fn lack_in(&mut self, lack: &Lack, semantic: bool) {
        let path = match self.scope {
            Some(Scope { elsewhere, .. }) if elsewhere.contains(&lack.path) => return,
            Some(Scope { at, ir, member, .. }) => self.path(at, ir, &format!("{member}.{}", lack.path)),
            None => lack.path.to_owned(),
        };
        self.ledger.push(Effect {
            path,
            kind: EffectKind::Dropped,
            reason: Cow::Borrowed(lack.reason),
            semantic,
        });
    }

    /// Reports a node that the target has no form for at this place.
    pub(crate) fn lack_node(&mut self, at: At, reason: &'static str, semantic: bool) {
        let path = self.paths.render(at);
        self.ledger.push(Effect { path, kind: EffectKind::Dropped, reason: Cow::Borrowed(reason), semantic });
    }

    /// Reports what a node keeps for a protocol that is not the target.
    pub fn leftovers(&mut self, native: &Native<'_>) {
        if self.home() {
            return;
        }
        for leftover in native.kept() {
            let name = leftover.name.decode();
            let (reason, semantic) = crate::keep_reason(self.source, leftover.owner, &name)
                .unwrap_or(("not declared by this protocol's schema", false));
            self.ledger.push(Effect {
                path: self.paths.member(leftover.at, &name),
                kind: EffectKind::Dropped,
                reason: Cow::Borrowed(reason),
                semantic,
            });
        }
    }
}

/// A number of the IR as a wire number: a plain one, unless it goes back where it came from.
pub(crate) fn write_num<'s>(value: &'s Num<'_>, home: bool) -> Num<'s> {
    if home { value.reborrow() } else { value.unquoted() }
}

/// The element of a list for which `is` holds, made when there is none, at the `front` or at the end.
pub(crate) fn element<T>(
    list: &mut Option<Vec<T>>,
    front: bool,
    is: impl Fn(&T) -> bool,
    make: impl FnOnce() -> T,
) -> Option<&mut T> {
    let list = list.get_or_insert_with(Vec::new);
    let index = match list.iter().position(is) {
        Some(index) => index,
        None => {
            let index = if front { 0 } else { list.len() };
            list.insert(index, make());
            index
        }
    };
    list.get_mut(index)
}

/// The tag of a value that is carried as it is.
pub fn tag_of<'a>(value: &Json<'a>, field: &str) -> Option<Text<'a>> {
    let tag = Cursor::new(value.checked()).tag(field).ok()??;
    Some(Text::plain(tag.into_owned()))
}

/// The name of the first member of an object.
pub(crate) fn first_member<'a>(value: &Json<'a>) -> Option<Text<'a>> {
    let mut first = None;
    let mut cursor = Cursor::new(value.checked());
    cursor
        .object(|cursor, key| {
            first.get_or_insert_with(|| Text::plain(key.decode().into_owned()));
            cursor.json().map(drop)
        })
        .ok()?;
    first
}

/// Whether a text begins so, capitals or not.
pub(crate) fn begins(text: &Text<'_>, prefix: &str) -> bool {
    text.decode().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Pieces of a text as one.
pub(crate) fn joined<'a>(mut pieces: impl Iterator<Item = Text<'a>>) -> Text<'a> {
    let first = pieces.next().unwrap_or_default();
    let Some(second) = pieces.next() else { return first };
    let mut text = first.decode().into_owned();
    text.push_str(&second.decode());
    pieces.for_each(|piece| text.push_str(&piece.decode()));
    Text::plain(text)
}
