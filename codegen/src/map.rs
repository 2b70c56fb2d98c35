//! What each wire field means: `schemas/<protocol>/map.toml`, parsed and checked against both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::ir::{Ir, IrDef};
use crate::schema::{Def, Presence, PresenceTest, Schema, Type, Union};

/// One protocol's map.
#[derive(Debug, Clone)]
pub struct Map {
    /// Wire object types with a meaning, by name.
    pub types: BTreeMap<String, TypeMap>,
    /// Wire types that are carried whole, with the reason.
    pub keeps: BTreeMap<String, String>,
    /// Wire types that hand-written stream readers and writers carry.
    pub streams: BTreeMap<String, BTreeMap<String, String>>,
    /// Wire enums with a meaning, by name.
    pub enums: BTreeMap<String, EnumMap>,
    /// For a union with a string form: the IR path that the string sets, by union name.
    pub strings: BTreeMap<String, String>,
    /// Unions by the name of their only member, and what the members mean, by union name.
    pub keyed: BTreeMap<String, KeyUnion>,
    /// Object types that have several roles: a name for each, and where it is played.
    pub views: Vec<View>,
    /// Object types that are one of several things, by what is said in them.
    pub present: BTreeMap<String, Present>,
    /// Why this protocol has no form for a part of the IR, by `Type.path`.
    pub lacks: BTreeMap<String, String>,
}

/// A wire object type in one of its roles, with a map of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The wire type.
    pub wire: String,
    /// The name that the map gives the role.
    pub name: String,
    /// Members (`Type.member`) and forms of unions (`Union.form`) that play it.
    pub at: Vec<String>,
}

/// An object type that is one of several things.
#[derive(Debug, Clone)]
pub struct Present {
    /// In the order in which they are tried.
    pub forms: Vec<Presence>,
    /// Members that are in no form, with the reason.
    pub keeps: BTreeMap<String, String>,
}

/// A union by the name of its only member.
#[derive(Debug, Clone)]
pub struct KeyUnion {
    /// The IR object that its members are part of, where they become no node of their own.
    pub ir: Option<String>,
    /// What the members mean.
    pub forms: BTreeMap<String, KeyForm>,
}

/// What one member of a union by key means.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyForm {
    /// The IR object of a scalar member, such as `Block.text`.
    pub ir: Option<String>,
    /// The path in it that a scalar member is.
    pub leaf: Option<String>,
    /// `path=word` of the IR that the member stands for, several separated by commas.
    #[serde(default)]
    pub sets: String,
    /// It is written where this path says something; of several forms, the first whose condition holds.
    pub r#if: Option<String>,
    /// Carried as it is, for this reason.
    pub keep: Option<String>,
}

impl KeyForm {
    /// Path and word of what the member stands for.
    pub fn sets(&self) -> Vec<(&str, &str)> {
        self.sets.split(',').filter_map(|pair| pair.trim().split_once('=')).collect()
    }
}

/// A wire object type and the IR type it becomes or belongs to.
#[derive(Debug, Clone)]
pub struct TypeMap {
    /// IR type, such as `Block.text`.
    pub ir: String,
    /// Named transform of the whole node.
    pub via: Option<String>,
    /// Fate by wire field.
    pub fields: BTreeMap<String, FieldFate>,
    /// Why members without a row, which belong to other roles of the object, are carried as they are.
    pub rest: Option<String>,
}

/// The fate of a wire field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFate {
    /// A path in the IR node.
    Ir {
        /// Where.
        path: IrPath,
        /// Named transform of the value.
        via: Option<String>,
        /// Of a list, the one variant that this field holds.
        only: Option<String>,
        /// Written only towards the protocol it came from.
        home: bool,
        /// Consumed by routing, too.
        gateway: bool,
        /// Of several rows for one path the one whose part of it is there is written.
        when: Option<String>,
        /// `path=word` of the IR that the member stands for.
        sets: Vec<(String, String)>,
    },
    /// Its members belong to the same node; written where the IR path says something, if one is named.
    Inline(Option<String>),
    /// It has one value; `ir` is what that value says.
    Const {
        /// The value.
        value: String,
        /// `path=word` of the IR that it stands for, several separated by commas.
        sets: Vec<(String, String)>,
    },
    /// Carried as it is.
    Keep {
        /// Why.
        reason: String,
        /// Losing it changes the question.
        semantic: bool,
    },
    /// Carried as it is towards home; towards others the gateway's code for this protocol moves its meaning.
    Hand {
        /// How.
        how: String,
        /// Paths of the IR that it says, for who reads a report; others have names of their own.
        ir: Vec<String>,
    },
}

/// A path in an IR node, with at most one step into a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IrPath {
    /// A list, and which of its elements: a variant's tag, or `0`.
    pub element: Option<(String, String)>,
    /// Dotted path from there.
    pub leaf: String,
}

impl IrPath {
    fn parse(text: &str) -> Result<Self> {
        let Some((list, rest)) = text.split_once('[') else {
            return Ok(Self { element: None, leaf: text.to_owned() });
        };
        let (which, leaf) =
            rest.split_once("].").with_context(|| format!("{text:?}: expected list[variant].path"))?;
        Ok(Self { element: Some((list.to_owned(), which.to_owned())), leaf: leaf.to_owned() })
    }

    /// As it is written in the map.
    pub fn text(&self) -> String {
        match &self.element {
            None => self.leaf.clone(),
            Some((list, which)) => format!("{list}[{which}].{}", self.leaf),
        }
    }
}

/// A wire enum and its IR enum.
#[derive(Debug, Clone)]
pub struct EnumMap {
    /// IR enum.
    pub ir: String,
    /// IR word by wire word.
    pub read: BTreeMap<String, String>,
    /// Wire word by IR word.
    pub write: BTreeMap<String, String>,
    /// Wire word for IR words of another protocol; without it they are passed on.
    pub other: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMap {
    #[serde(default)]
    r#type: Vec<RawType>,
    #[serde(default)]
    keep: Vec<RawKeep>,
    #[serde(default)]
    stream: Vec<RawStream>,
    #[serde(default)]
    r#enum: Vec<RawEnum>,
    #[serde(default)]
    union: Vec<RawUnion>,
    #[serde(default)]
    key: Vec<RawKey>,
    #[serde(default)]
    view: Vec<View>,
    #[serde(default)]
    present: Vec<RawPresent>,
    #[serde(default)]
    lacks: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    wire: String,
    ir: Option<String>,
    forms: BTreeMap<String, KeyForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPresent {
    wire: String,
    forms: Vec<RawPresence>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPresence {
    has: OneOrMany,
    view: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawType {
    wire: String,
    ir: String,
    via: Option<String>,
    rest: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, RawFate>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawFate {
    Path(String),
    Table(RawFateTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFateTable {
    ir: Option<String>,
    via: Option<String>,
    only: Option<String>,
    #[serde(default)]
    home: bool,
    #[serde(default)]
    gateway: bool,
    #[serde(default)]
    inline: bool,
    r#if: Option<String>,
    sets: Option<String>,
    r#const: Option<String>,
    keep: Option<String>,
    #[serde(default)]
    semantic: bool,
    hand: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeep {
    wire: OneOrMany,
    reason: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStream {
    wire: String,
    fields: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnum {
    wire: String,
    ir: String,
    words: BTreeMap<String, RawWord>,
    #[serde(default)]
    write: BTreeMap<String, String>,
    other: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawWord {
    Both(String),
    Alias { alias: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnion {
    wire: String,
    string: String,
}

impl Map {
    /// Reads a map; it is checked by [`Map::problems`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Parses the text of a map.
    pub fn parse(text: &str) -> Result<Self> {
        let raw: RawMap = toml::from_str(text)?;
        let mut map = Self {
            types: BTreeMap::new(),
            keeps: BTreeMap::new(),
            streams: BTreeMap::new(),
            enums: BTreeMap::new(),
            strings: raw.union.into_iter().map(|u| (u.wire, u.string)).collect(),
            keyed: raw
                .key
                .into_iter()
                .map(|key| (key.wire, KeyUnion { ir: key.ir, forms: key.forms }))
                .collect(),
            views: raw.view,
            present: BTreeMap::new(),
            lacks: raw.lacks,
        };
        for present in raw.present {
            let mut forms = Vec::new();
            for form in present.forms {
                let has = match form.has {
                    OneOrMany::One(has) => vec![has],
                    OneOrMany::Many(has) => has,
                };
                let tests = has.iter().map(|has| presence_test(has)).collect::<Result<_>>()?;
                forms.push(Presence { tests, view: form.view });
            }
            map.present.insert(present.wire, Present { forms, keeps: present.keep });
        }
        for ty in raw.r#type {
            let mut fields = BTreeMap::new();
            for (name, fate) in ty.fields {
                let fate = parse_fate(fate).with_context(|| format!("{}.{name}", ty.wire))?;
                fields.insert(name, fate);
            }
            if map
                .types
                .insert(ty.wire.clone(), TypeMap { ir: ty.ir, via: ty.via, fields, rest: ty.rest })
                .is_some()
            {
                bail!("{} has two maps", ty.wire);
            }
        }
        for keep in raw.keep {
            if keep.reason.trim().is_empty() {
                bail!("a keep without a reason");
            }
            let wires = match keep.wire {
                OneOrMany::One(wire) => vec![wire],
                OneOrMany::Many(wires) => wires,
            };
            for wire in wires {
                map.keeps.insert(wire, keep.reason.clone());
            }
        }
        for stream in raw.stream {
            map.streams.insert(stream.wire, stream.fields);
        }
        for entry in raw.r#enum {
            let mut read = BTreeMap::new();
            let mut write = BTreeMap::new();
            for (wire, word) in entry.words {
                match word {
                    RawWord::Both(ir) => {
                        if let Some(twice) = write.insert(ir.clone(), wire.clone()) {
                            bail!(
                                "{}: {twice:?} and {wire:?} both mean {ir:?}; mark one as an alias",
                                entry.wire
                            );
                        }
                        read.insert(wire, ir);
                    }
                    RawWord::Alias { alias } => {
                        read.insert(wire, alias);
                    }
                }
            }
            write.extend(entry.write);
            map.enums.insert(entry.wire, EnumMap { ir: entry.ir, read, write, other: entry.other });
        }
        Ok(map)
    }

    /// The schema as the map sees it: every role of an object type is a type of its own.
    ///
    /// Also the wire type by the name of a role, and the members that rows leave to `rest` filled in.
    pub fn resolve(&mut self, schema: &Schema) -> Result<(Schema, BTreeMap<String, String>)> {
        let mut seen = schema.clone();
        let mut aliases = BTreeMap::new();
        for view in &self.views {
            let def = schema.types.get(&view.wire).with_context(|| format!("view of {}", view.wire))?;
            seen.types.insert(view.name.clone(), def.clone());
            aliases.insert(view.name.clone(), view.wire.clone());
        }
        for view in &self.views {
            for at in &view.at {
                let (owner, member) = at.rsplit_once('.').with_context(|| format!("{at:?}: Type.member"))?;
                let ty = match seen.types.get_mut(owner) {
                    Some(Def::Object(fields)) => fields.get_mut(member).map(|field| &mut field.ty),
                    Some(Def::Union(Union::Key(forms))) => forms.get_mut(member),
                    _ => None,
                };
                let ty = ty.with_context(|| format!("{at:?} is no member of an object or a union by key"))?;
                retarget(ty, &view.wire, &view.name).with_context(|| format!("{at:?}"))?;
            }
        }
        for (wire, present) in &self.present {
            let def = schema.types.get(wire).with_context(|| format!("forms of {wire}"))?;
            let Def::Object(fields) = def else { bail!("{wire} is no object type") };
            for name in fields.keys().filter(|name| !present.keeps.contains_key(*name)) {
                let told = |form: &Presence| {
                    self.types.get(&form.view).is_some_and(|ty| ty.fields.contains_key(name))
                };
                if !present.forms.iter().any(told) {
                    bail!("{wire}.{name} has no fate in any form");
                }
            }
            for form in &present.forms {
                seen.types.insert(form.view.clone(), def.clone());
                aliases.insert(form.view.clone(), wire.clone());
            }
            seen.types.insert(wire.clone(), Def::Union(Union::Present(present.forms.clone())));
        }
        for (wire, ty) in &mut self.types {
            let (Some(reason), Some(Def::Object(fields))) = (&ty.rest, seen.types.get(wire)) else {
                continue;
            };
            for name in fields.keys() {
                let keep = || FieldFate::Keep { reason: reason.clone(), semantic: false };
                ty.fields.entry(name.clone()).or_insert_with(keep);
            }
        }
        Ok((seen, aliases))
    }

    /// The type map of a wire type.
    pub fn ty(&self, wire: &str) -> Option<&TypeMap> {
        self.types.get(wire)
    }

    /// Everything that is missing or wrong, each naming its field.
    pub fn problems(&self, schema: &Schema, ir: &Ir) -> Vec<String> {
        let mut problems = Vec::new();
        for missing in self.fateless(schema) {
            problems.push(format!("{missing} has no fate"));
        }
        for (wire, ty) in &self.types {
            let Some(Def::Object(fields)) = schema.types.get(wire) else {
                problems.push(format!("{wire} is mapped but is no object type of the schema"));
                continue;
            };
            if let Err(e) = ir.object(&ty.ir) {
                problems.push(format!("{wire}: {e}"));
                continue;
            }
            for (name, fate) in &ty.fields {
                if !fields.contains_key(name) {
                    problems.push(format!("{wire}.{name} has a fate but is not in the schema"));
                } else if let Err(e) = check_fate(ir, &ty.ir, fate) {
                    problems.push(format!("{wire}.{name}: {e}"));
                }
            }
        }
        for (wire, entry) in &self.enums {
            let (Some(Def::Enum(words)), Some(IrDef::Enum { words: ir_words, .. })) =
                (schema.types.get(wire), ir.types.get(&entry.ir))
            else {
                problems.push(format!("enum {wire}: no such pair of enums"));
                continue;
            };
            for word in words {
                if !entry.read.contains_key(word) {
                    problems.push(format!("{wire}: the word {word:?} has no meaning"));
                }
            }
            for word in entry.read.values().chain(entry.write.keys()) {
                if !ir_words.contains(word) {
                    problems.push(format!("{wire}: {word:?} is no word of {}", entry.ir));
                }
            }
            for word in ir_words {
                if !entry.write.contains_key(word)
                    && !self.lacks.contains_key(&format!("{}.{word}", entry.ir))
                {
                    problems.push(format!(
                        "{wire}: no word for {word:?} of {}, and no lack with a reason",
                        entry.ir
                    ));
                }
            }
        }
        problems
    }

    /// Reachable wire fields (`Type.field`) and types without a fate.
    pub fn fateless(&self, schema: &Schema) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        self.walk(schema, |wire, field, fate| {
            if fate == Reach::Missing {
                missing.insert(match field {
                    Some(field) => format!("{wire}.{field}"),
                    None => wire.to_owned(),
                });
            }
        });
        missing
    }

    /// Counts of reachable fields by fate: ir, const, gateway, keep, stream.
    pub fn counts(&self, schema: &Schema) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.walk(schema, |_, field, fate| {
            if field.is_some() {
                *counts.entry(fate.name()).or_default() += 1;
            }
        });
        counts
    }

    /// Visits every reachable field once. Beneath what is kept or constant nothing is visited.
    fn walk(&self, schema: &Schema, mut visit: impl FnMut(&str, Option<&str>, Reach)) {
        let mut seen = BTreeSet::new();
        let mut queue: Vec<&str> = schema.roots.all().to_vec();
        while let Some(name) = queue.pop() {
            if !seen.insert(name) || self.keeps.contains_key(name) {
                continue;
            }
            match schema.types.get(name) {
                Some(Def::Object(fields)) => {
                    let (ty, stream) = (self.types.get(name), self.streams.get(name));
                    if ty.is_none() && stream.is_none() {
                        visit(name, None, Reach::Missing);
                        continue;
                    }
                    for (field, facts) in fields {
                        let fate =
                            match (ty.and_then(|t| t.fields.get(field)), stream.and_then(|s| s.get(field))) {
                                (Some(FieldFate::Ir { gateway: true, .. }), _) => Reach::Gateway,
                                (Some(FieldFate::Ir { .. } | FieldFate::Inline(_)), _) => Reach::Ir,
                                (Some(FieldFate::Const { .. }), _) => Reach::Const,
                                (Some(FieldFate::Keep { .. }), _) => Reach::Keep,
                                (Some(FieldFate::Hand { .. }), _) => Reach::Hand,
                                (None, Some(_)) => Reach::Stream,
                                (None, None) => Reach::Missing,
                            };
                        visit(name, Some(field), fate);
                        // What code moves may still go through maps, but need not.
                        let mapped = |target: &str| {
                            self.objects(schema, target).iter().any(|object| self.types.contains_key(*object))
                        };
                        match fate {
                            Reach::Ir | Reach::Gateway | Reach::Stream => queue.extend(facts.ty.target()),
                            Reach::Hand => queue.extend(facts.ty.target().filter(|target| mapped(target))),
                            Reach::Const | Reach::Keep | Reach::Missing => {}
                        }
                    }
                }
                Some(def @ Def::Union(union)) => {
                    if let Union::Key(forms) = union {
                        self.walk_forms(name, forms, &mut visit);
                    }
                    let kept = |target: &str| match union {
                        Union::Key(forms) => forms.iter().any(|(form, ty)| {
                            ty.target() == Some(target)
                                && self.key_form(name, form).is_some_and(|f| f.keep.is_some())
                        }),
                        _ => false,
                    };
                    queue.extend(def.refs().into_iter().filter(|target| !kept(target)));
                }
                Some(Def::Enum(_)) | None => {}
            }
        }
    }

    /// Visits the members of a union by key that are no objects: nothing else gives them a fate.
    fn walk_forms(
        &self,
        name: &str,
        forms: &BTreeMap<String, Type>,
        visit: &mut impl FnMut(&str, Option<&str>, Reach),
    ) {
        for (form, ty) in forms {
            let known = self.key_form(name, form);
            let fate = match known {
                Some(KeyForm { keep: Some(_), .. }) => Reach::Keep,
                Some(_) => Reach::Ir,
                None if self.streams.get(name).is_some_and(|fields| fields.contains_key(form)) => {
                    Reach::Stream
                }
                None => Reach::Missing,
            };
            if known.is_some() || ty.target().is_none() {
                visit(name, Some(form), fate);
            }
        }
    }

    /// What a member of a union by key means, where the map says so.
    pub fn key_form(&self, union: &str, form: &str) -> Option<&KeyForm> {
        self.keyed.get(union)?.forms.get(form)
    }

    /// Object types that a wire type reference can turn out to be.
    pub fn objects<'s>(&self, schema: &'s Schema, name: &'s str) -> Vec<&'s str> {
        match schema.types.get(name) {
            Some(Def::Object(_)) => vec![name],
            Some(Def::Union(Union::Tag { variants, .. })) => variants.values().map(String::as_str).collect(),
            Some(Def::Union(Union::Shape(forms))) => {
                forms.values().filter_map(|t| t.target()).flat_map(|t| self.objects(schema, t)).collect()
            }
            Some(Def::Union(Union::Key(forms))) => {
                forms.values().filter_map(|t| t.target()).flat_map(|t| self.objects(schema, t)).collect()
            }
            Some(Def::Union(Union::Present(forms))) => forms.iter().map(|form| form.view.as_str()).collect(),
            _ => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Ir,
    Const,
    Gateway,
    Keep,
    Hand,
    Stream,
    Missing,
}

impl Reach {
    fn name(self) -> &'static str {
        match self {
            Self::Ir => "ir",
            Self::Const => "const",
            Self::Gateway => "gateway",
            Self::Keep => "keep",
            Self::Hand => "hand",
            Self::Stream => "stream",
            Self::Missing => "missing",
        }
    }
}

fn parse_fate(raw: RawFate) -> Result<FieldFate> {
    let table = match raw {
        RawFate::Path(path) => {
            return Ok(FieldFate::Ir {
                path: IrPath::parse(&path)?,
                via: None,
                only: None,
                home: false,
                gateway: false,
                when: None,
                sets: Vec::new(),
            });
        }
        RawFate::Table(table) => table,
    };
    match table {
        RawFateTable {
            keep: Some(reason),
            semantic,
            ir: None,
            r#const: None,
            inline: false,
            hand: None,
            ..
        } => {
            if reason.trim().is_empty() {
                bail!("keep without a reason");
            }
            Ok(FieldFate::Keep { reason, semantic })
        }
        RawFateTable { hand: Some(how), ir, keep: None, r#const: None, inline: false, .. } => {
            if how.trim().is_empty() {
                bail!("hand without a reason");
            }
            let ir = ir.iter().flat_map(|text| text.split(',')).map(|path| path.trim().to_owned()).collect();
            Ok(FieldFate::Hand { how, ir })
        }
        RawFateTable { inline: true, r#if, ir: None, keep: None, r#const: None, .. } => {
            Ok(FieldFate::Inline(r#if))
        }
        RawFateTable { r#const: Some(value), ir, keep: None, .. } => {
            let sets = ir.iter().flat_map(|text| text.split(',')).map(pair).collect::<Result<_>>()?;
            Ok(FieldFate::Const { value, sets })
        }
        RawFateTable { ir: Some(path), via, only, home, gateway, r#if: when, sets, keep: None, .. } => {
            let sets = sets.iter().flat_map(|text| text.split(',')).map(pair).collect::<Result<_>>()?;
            Ok(FieldFate::Ir { path: IrPath::parse(&path)?, via, only, home, gateway, when, sets })
        }
        _ => Err(anyhow!("expected one of ir, const, inline, keep, hand")),
    }
}

fn pair(text: &str) -> Result<(String, String)> {
    let (path, word) = text.trim().split_once('=').context("expected \"path=word\"")?;
    Ok((path.to_owned(), word.to_owned()))
}

fn check_fate(ir: &Ir, object: &str, fate: &FieldFate) -> Result<()> {
    match fate {
        FieldFate::Ir { path, when, sets, .. } => {
            when.iter()
                .chain(sets.iter().map(|(path, _)| path))
                .try_for_each(|path| ir.at(object, path).map(drop))?;
            let Some((list, which)) = &path.element else {
                return ir.at(object, &path.leaf).map(drop);
            };
            let field = ir.at(object, list)?;
            let item = field.ty.target().with_context(|| format!("{list:?} is no list of objects"))?;
            let item = if which == "0" { item.to_owned() } else { format!("{item}.{which}") };
            ir.at(&item, &path.leaf).map(drop)
        }
        FieldFate::Const { sets, .. } => sets.iter().try_for_each(|(path, _)| ir.at(object, path).map(drop)),
        FieldFate::Inline(Some(path)) => ir.at(object, path).map(drop),
        FieldFate::Hand { ir: paths, .. } => paths.iter().try_for_each(|path| ir.at(object, path).map(drop)),
        FieldFate::Inline(None) | FieldFate::Keep { .. } => Ok(()),
    }
}

fn retarget(ty: &mut Type, from: &str, to: &str) -> Result<()> {
    match ty {
        Type::Ref(name) if name == from => {
            to.clone_into(name);
            Ok(())
        }
        Type::Array(item) => retarget(item, from, to),
        _ => bail!("it is no {from}"),
    }
}

/// `member`, `member=true` or `member.inner^beginning`.
fn presence_test(text: &str) -> Result<PresenceTest> {
    if let Some((path, prefix)) = text.split_once('^') {
        let (member, inner) = path.split_once('.').with_context(|| format!("{text:?}: member.inner^text"))?;
        let (member, inner, prefix) = (member.to_owned(), inner.to_owned(), prefix.to_owned());
        return Ok(PresenceTest::Begins { member, inner, prefix });
    }
    Ok(match text.strip_suffix("=true") {
        Some(member) => PresenceTest::True(member.to_owned()),
        None => PresenceTest::Has(text.to_owned()),
    })
}
