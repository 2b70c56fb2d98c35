//! Pages of a list.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use super::Entry;
use crate::fault::{Class, Fault};

/// Most entries on a page, whatever is asked for.
const MAX_PAGE: usize = 1000;

/// What a caller says of the list that it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// A parameter's value; none when it is absent or empty.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        let value = percent_decode_str(value).decode_utf8_lossy();
        (!value.is_empty()).then_some(value)
    }

    /// How many entries are wanted on a page.
    pub(super) fn size(self, name: &'static str, usual: usize) -> Result<usize, Fault> {
        let Some(asked) = self.get(name) else { return Ok(usual) };
        // Some SDKs write a whole number as `20.0`.
        let asked = asked.strip_suffix(".0").unwrap_or(&asked);
        let size = asked.parse::<usize>().ok().filter(|size| *size > 0);
        size.map(|size| size.min(MAX_PAGE)).ok_or_else(|| wrong(name, "must be a number, 1 or more"))
    }

    /// The entries of the page that a token stands for, and the token of the next.
    pub(super) fn page(
        self,
        entries: &'a [Entry],
        token: &'static str,
        size: usize,
    ) -> Result<(&'a [Entry], Option<String>), Fault> {
        let begin = match self.get(token) {
            None => 0,
            Some(said) => {
                let name = URL_SAFE_NO_PAD.decode(said.as_bytes()).ok();
                let at = name.and_then(|name| entries.iter().position(|entry| entry.name.as_bytes() == name));
                at.ok_or_else(|| wrong(token, "is not one that this list gave"))?
            }
        };
        let end = entries.len().min(begin.saturating_add(size));
        let next = entries.get(end).map(|entry| URL_SAFE_NO_PAD.encode(&entry.name));
        Ok((&entries[begin..end], next))
    }
}

/// A parameter that is not as it must be.
pub(super) fn wrong(name: &'static str, why: &str) -> Fault {
    Fault::client(Class::InvalidRequest, format!("`{name}` {why}")).with_param(name)
}
