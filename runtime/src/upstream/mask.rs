//! Stars in place of a secret.

use bytes::Bytes;
use memchr::memmem;

/// The same bytes, with every occurrence of the secret starred out; not copied when there is none.
pub(super) fn mask(words: Bytes, secret: &[u8]) -> Bytes {
    if secret.is_empty() || memmem::find(&words, secret).is_none() {
        return words;
    }
    let places: Vec<usize> = memmem::find_iter(&words, secret).collect();
    let mut masked = words.to_vec();
    for place in places {
        masked[place..place + secret.len()].fill(b'*');
    }
    masked.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_starred_and_the_length_stays() {
        let words = Bytes::from_static(b"bad key sk-1, I said sk-1!");
        assert_eq!(mask(words, b"sk-1"), "bad key ****, I said ****!");
    }

    #[test]
    fn other_words_are_left_alone() {
        let words = Bytes::from_static(b"bad key");
        assert_eq!(mask(words.clone(), b"sk-1").as_ptr(), words.as_ptr());
        assert_eq!(mask(words.clone(), b"").as_ptr(), words.as_ptr());
    }
}
