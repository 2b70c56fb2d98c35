//! Ids and times of an answer.

use busbar_protocols::{Num, Text, ir};

use super::super::shape::Shape;

/// Ids longer than this are made anew.
const MAX_ID: usize = 128;

/// Gives the answer an id, a time and a model, where the provider gave none that clients can read.
pub(super) fn fit_envelope(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    let good = response.id.as_ref().map(Text::decode).is_some_and(|id| {
        !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !good {
        let seed = response.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
        response.id = Some(Text::plain(made_id(shape.to.answer.id_prefix, &seed, shape.state.now)));
    }
    if response.created.is_none() {
        response.created = Some(Num::from(shape.state.now));
    }
    if response.model.is_none() {
        response.model = Some(Text::plain(shape.state.model.clone()));
    }
    for (index, candidate) in response.candidates.iter_mut().flatten().enumerate() {
        candidate.index.get_or_insert_with(|| Num::from(index as u64));
    }
}

/// An id that the gateway makes; a counter keeps two answers of one second apart.
pub(crate) fn made_id(prefix: &str, seed: &str, now: u64) -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static COUNT: AtomicU64 = AtomicU64::new(0);
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let first = KEY.hash_one((seed, now, count));
    let second = KEY.hash_one((count, prefix, now));
    format!("{prefix}{first:016x}{:08x}", second as u32)
}
