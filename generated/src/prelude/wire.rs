//! Reading and writing wire values.

use super::{Checked, Cursor, Field, Json, Kind, Num, Text, Unknown, WireError};

/// A value that can be read from and written to JSON without losing anything.
pub trait Wire<'a>: Sized {
    /// Takes one value.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError>;

    /// Appends the value as JSON.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a whole document that has not been checked yet.
    fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        Self::from_checked(Checked::new(body)?)
    }

    /// Reads a whole checked document.
    fn from_checked(document: Checked<'a>) -> Result<Self, WireError> {
        Self::read(&mut Cursor::new(document))
    }

    /// The value as JSON.
    fn to_json(&self) -> Vec<u8> {
        self.to_json_sized(0)
    }

    /// The value as JSON, where about so many bytes are to be expected.
    ///
    /// A large document that grows by doubling is copied, and its pages touched, several times.
    fn to_json_sized(&self, expected: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(expected);
        self.write(&mut out);
        out
    }
}

/// An object type: declared members by name, the rest as it came.
pub trait Object<'a>: Wire<'a> + Default {
    /// Takes the value of a declared member; `false`, and nothing taken, when it is not declared.
    fn member(&mut self, name: &str, cursor: &mut Cursor<'a>) -> Result<bool, WireError>;

    /// Whether a declared member is there, null included.
    fn has(&self, name: &str) -> bool;

    /// The members that are not declared.
    fn unknown(&mut self) -> &mut Unknown<'a>;
}

/// Reads an object type.
pub(crate) fn read_object<'a, T: Object<'a>>(cursor: &mut Cursor<'a>) -> Result<T, WireError> {
    let mut object = T::default();
    cursor.object(|cursor, key| read_member(&mut object, key, cursor))?;
    Ok(object)
}

/// Reads one member into an object.
pub(crate) fn read_member<'a, T: Object<'a>>(
    object: &mut T,
    key: Text<'a>,
    cursor: &mut Cursor<'a>,
) -> Result<(), WireError> {
    let known = object.member(&key.decode(), cursor).map_err(|e| e.in_member(&key.decode()))?;
    if !known {
        let value = cursor.json()?;
        object.unknown().push(key, value);
    }
    Ok(())
}

/// Writes an object's members: `{`, the members, `}`.
pub struct Members<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

impl Members<'_> {
    /// Writes a declared member, unless it is absent. `name` needs no escape.
    pub(crate) fn field<'a, T: Wire<'a>>(&mut self, name: &str, field: &Field<T>) {
        match field {
            Field::Absent => {}
            Field::Null => {
                self.name(name);
                self.out.extend_from_slice(b"null");
            }
            Field::Value(value) => {
                self.name(name);
                value.write(self.out);
            }
        }
    }

    /// Writes one member.
    pub(crate) fn value<'a, T: Wire<'a>>(&mut self, name: &str, value: &T) {
        self.name(name);
        value.write(self.out);
    }

    /// Writes the members that are not declared.
    pub(crate) fn unknown(&mut self, unknown: &Unknown<'_>) {
        for (name, value) in unknown.iter() {
            self.comma();
            name.write(self.out);
            self.out.push(b':');
            value.write(self.out);
        }
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self) {
        if self.any {
            self.out.push(b',');
        }
        self.any = true;
    }
}

/// Appends an object whose members `f` writes.
pub fn write_object(out: &mut Vec<u8>, f: impl FnOnce(&mut Members<'_>)) {
    out.push(b'{');
    f(&mut Members { out, any: false });
    out.push(b'}');
}

/// Appends a JSON string.
pub(crate) fn write_str(text: &str, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, text).is_err() {
        unreachable!("writing a string into memory does not fail");
    }
}

/// A union told by the name of its only member, with whatever else stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Keyed<'a, T> {
    /// The member that tells the form; `None` for an object without a known one.
    pub value: Option<T>,
    /// Further members.
    pub unknown: Unknown<'a>,
}

impl<T> Default for Keyed<'_, T> {
    fn default() -> Self {
        Self { value: None, unknown: Unknown::default() }
    }
}

impl<T> From<T> for Keyed<'_, T> {
    fn from(value: T) -> Self {
        Self { value: Some(value), unknown: Unknown::default() }
    }
}

/// The forms of a [`Keyed`] union.
pub trait KeyedForm<'a>: Sized {
    /// Takes the value of a known member; `None`, and nothing taken, for another name.
    fn read_form(name: &str, cursor: &mut Cursor<'a>) -> Result<Option<Self>, WireError>;

    /// Writes the member.
    fn write_form(&self, members: &mut Members<'_>);
}

impl<'a, T: KeyedForm<'a>> Wire<'a> for Keyed<'a, T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        let mut keyed = Self::default();
        cursor.object(|cursor, key| {
            if keyed.value.is_none() {
                let name = key.decode();
                keyed.value = T::read_form(&name, cursor).map_err(|e| e.in_member(&name))?;
                if keyed.value.is_some() {
                    return Ok(());
                }
            }
            let value = cursor.json()?;
            keyed.unknown.push(key, value);
            Ok(())
        })?;
        Ok(keyed)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |members| {
            if let Some(value) = &self.value {
                value.write_form(members);
            }
            members.unknown(&self.unknown);
        });
    }
}

impl<'a> Wire<'a> for Text<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        cursor.string()
    }

    fn write(&self, out: &mut Vec<u8>) {
        Text::write(self, out);
    }
}

impl<'a> Wire<'a> for Json<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        cursor.json()
    }

    fn write(&self, out: &mut Vec<u8>) {
        Json::write(self, out);
    }
}

impl<'a> Wire<'a> for Num<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        match cursor.kind()? {
            Kind::Number => cursor.raw().map(Num::borrowed),
            _ => Err(cursor.expected("a number")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        Num::write(self, out);
    }
}

/// An integer of 64 bits, which some providers write as a string of digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Int64<'a>(pub Num<'a>);

impl<'a> Wire<'a> for Int64<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        match cursor.kind()? {
            Kind::Number => cursor.raw().map(|raw| Self(Num::borrowed(raw))),
            Kind::String => {
                let digits = cursor.clone().raw()?.trim_matches('"');
                if digits.is_empty() || !digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
                    return Err(WireError::new("expected an integer, found another string"));
                }
                cursor.raw().map(|raw| Self(Num::borrowed(raw)))
            }
            _ => Err(cursor.expected("an integer")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}

impl<'a> Wire<'a> for bool {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        match cursor.kind()? {
            Kind::Boolean => Ok(cursor.raw()? == "true"),
            _ => Err(cursor.expected("a boolean")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Field<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        if cursor.null() { Ok(Self::Null) } else { T::read(cursor).map(Self::Value) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(value) => value.write(out),
            Self::Absent | Self::Null => out.extend_from_slice(b"null"),
        }
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        let mut items = Self::new();
        cursor.array(|cursor, _| {
            items.push(T::read(cursor)?);
            Ok(())
        })?;
        Ok(items)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(out);
        }
        out.push(b']');
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Box<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, WireError> {
        T::read(cursor).map(Self::new)
    }

    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }
}
