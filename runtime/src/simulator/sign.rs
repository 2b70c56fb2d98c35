//! Signatures over what the simulator said, so that it can tell its own words when they come back.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Fixed, so that a signature stays valid over restarts; it protects nothing but a test.
const KEY: &[u8] = b"the simulator's own signing key";

/// How many MACs make one signature: 256 bytes, about what the real ones measure.
const ROUNDS: u8 = 8;

/// Signs a text for one purpose.
pub(super) fn sign(purpose: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    let mut bytes = Vec::with_capacity(usize::from(ROUNDS) * 32);
    for round in 0..ROUNDS {
        let mut context = hmac::Context::with_key(&key);
        context.update(&[round]);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        bytes.extend_from_slice(context.sign().as_ref());
    }
    STANDARD.encode(bytes)
}

/// Whether the signature is the simulator's own over exactly this text.
pub(super) fn genuine(purpose: &str, text: &str, signature: &str) -> bool {
    signature == sign(purpose, text)
}

/// Packs a text no client may read into a token that can be checked and read back.
pub(super) fn seal(purpose: &str, text: &str) -> String {
    format!("{}.{}", STANDARD.encode(text), sign(purpose, text))
}

/// Whether a token was made by [`seal`] for this purpose and came back unaltered.
pub(super) fn sealed(purpose: &str, token: &str) -> bool {
    token.split_once('.').is_some_and(|(text, signature)| {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|text| String::from_utf8(text).ok())
            .is_some_and(|text| genuine(purpose, &text, signature))
    })
}

/// The same of a token that stands as bytes in JSON.
pub(super) fn sealed_bytes(purpose: &str, text: &str) -> bool {
    let token = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    token.is_some_and(|token| sealed(purpose, &token))
}

/// The standard alphabet in place of the one for addresses, which JSON writers of some SDKs use.
pub(super) fn standard(text: &str) -> String {
    text.replace('-', "+").replace('_', "/")
}

/// Whether a text is valid standard base64 of at least one byte.
pub(super) fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_unaltered_words_are_genuine() {
        let signature = sign("thinking", "hm");
        assert_eq!(signature.len(), 344);
        assert!(genuine("thinking", "hm", &signature));
        assert!(!genuine("thinking", "hmm", &signature));
        assert!(!genuine("other", "hm", &signature));
        let token = seal("redacted", "hidden");
        assert!(sealed("redacted", &token));
        assert!(!sealed("redacted", &token.replace('.', "A.")));
        assert!(!sealed("redacted", "nonsense"));
    }
}
