//! Tokens of pictures, documents and sound, by rules of size.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Bytes of a file that are looked at to find its kind and size.
const MAX_LOOK: usize = 256 << 10;
/// Tokens of a picture whose size is not known: that of one of 1024 by 1024.
pub(super) const USUAL_PICTURE: u64 = 765;
/// Tokens of a picture of which little is wanted.
pub(super) const SMALL_PICTURE: u64 = 85;
/// Tokens of a document whose content is not known.
pub(super) const USUAL_DOCUMENT: u64 = 3 * PAGE;
/// Tokens of one page, its text and its picture.
const PAGE: u64 = 2000;
/// Bytes of a document for one page, where its pages cannot be counted.
const PAGE_BYTES: u64 = 100_000;
/// Tokens of a second of sound, and bytes of one where its form does not say.
const SECOND: u64 = 10;
const SOUND_BYTES: u64 = 16_000;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Tokens of a file in base64.
pub(super) fn tokens(base64: &str) -> u64 {
    let bytes = (base64.len() as u64).saturating_mul(3) / 4;
    let look = &base64.as_bytes()[..base64.len().min(MAX_LOOK / 3 * 4) / 4 * 4];
    let begin = LENIENT.decode(look).unwrap_or_default();
    if begin.starts_with(b"%PDF") {
        return document(&begin, bytes);
    }
    if let Some((width, height)) = size(&begin) {
        return picture(width, height);
    }
    if let Some(rate) = sound(&begin) {
        return (bytes / rate).max(1).saturating_mul(SECOND);
    }
    // Not a kind that is known: what a page of that many bytes would be.
    if begin.is_empty() { USUAL_PICTURE } else { bytes.div_ceil(PAGE_BYTES).saturating_mul(PAGE) }
}

/// Tokens of a picture: tiles of 512 once it is fitted into 2048 by 2048 and its shorter side is no more than 768.
pub(super) fn picture(width: u32, height: u32) -> u64 {
    const FIT: f64 = 2048.0;
    const SHORT_SIDE: f64 = 768.0;
    const TILE: f64 = 512.0;
    const TILE_TOKENS: u64 = 170;
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let scale = (FIT / width.max(height)).min(1.0);
    let scale = scale * (SHORT_SIDE / (width.min(height) * scale)).min(1.0);
    let tiles = (width * scale / TILE).ceil().max(1.0) * (height * scale / TILE).ceil().max(1.0);
    // No more than four by four tiles by the rule above.
    SMALL_PICTURE + TILE_TOKENS * (tiles as u64).min(16)
}

fn document(begin: &[u8], bytes: u64) -> u64 {
    // `/Type /Page`, not `/Type /Pages`; in newer documents both may be compressed away.
    const MARK: &[u8] = b"/Type";
    let pages = begin.windows(MARK.len() + 7).filter(|window| {
        let rest = window.strip_prefix(MARK).map(<[u8]>::trim_ascii_start);
        rest.is_some_and(|rest| rest.starts_with(b"/Page") && rest.get(5).is_none_or(|next| *next != b's'))
    });
    let seen = pages.count() as u64;
    let whole = bytes <= begin.len() as u64;
    let pages = if whole && seen > 0 { seen } else { seen.max(bytes.div_ceil(PAGE_BYTES)) };
    pages.max(1).saturating_mul(PAGE)
}

/// Width and height of a picture.
fn size(file: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?)));
    let long = |at: usize| Some(u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?));
    if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((long(16)?, long(20)?));
    }
    if file.starts_with(b"GIF8") {
        return Some((word(6)?, word(8)?));
    }
    if file.starts_with(b"RIFF") && file.get(8..12)? == b"WEBP" {
        return match file.get(12..16)? {
            b"VP8 " => Some((word(26)? & 0x3fff, word(28)? & 0x3fff)),
            b"VP8L" => {
                let bits = u32::from_le_bytes(file.get(21..25)?.try_into().ok()?);
                Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
            }
            b"VP8X" => {
                let three = |at: usize| Some(word(at)? | u32::from(*file.get(at + 2)?) << 16);
                Some((three(24)? + 1, three(27)? + 1))
            }
            _ => None,
        };
    }
    if file.starts_with(b"\xff\xd8") { jpeg(file) } else { None }
}

/// Width and height in a JPEG's frame header.
fn jpeg(file: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from(u16::from_be_bytes(file.get(at..at + 2)?.try_into().ok()?)));
    let mut at = 2;
    loop {
        if *file.get(at)? != 0xff {
            return None;
        }
        let marker = *file.get(at + 1)?;
        match marker {
            // Fill bytes, and markers without a length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((word(at + 7)?, word(at + 5)?));
            }
            // The picture itself begins, and no frame header came before it.
            0xd9 | 0xda => return None,
            _ => at += 2 + word(at + 2)?.max(2) as usize,
        }
    }
}

/// Bytes of a second of sound.
fn sound(file: &[u8]) -> Option<u64> {
    if file.starts_with(b"RIFF") && file.get(8..12)? == b"WAVE" {
        let rate = u32::from_le_bytes(file.get(28..32)?.try_into().ok()?);
        return Some(u64::from(rate).clamp(1000, 1_000_000));
    }
    let known = file.starts_with(b"ID3")
        || file.starts_with(b"fLaC")
        || file.starts_with(b"OggS")
        || matches!(file, [0xff, second, ..] if second & 0xe0 == 0xe0);
    known.then_some(SOUND_BYTES)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn pictures_by_their_size() {
        assert_eq!(picture(1024, 1024), 765);
        assert_eq!(picture(2048, 4096), 1105);
        assert_eq!(picture(1, 1), 255);
        assert_eq!(picture(0, 0), 255);
        assert!(picture(u32::MAX, 1) <= SMALL_PICTURE + 170 * 16);
    }

    #[test]
    fn the_size_stands_in_the_file() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(1024_u32.to_be_bytes());
        png.extend(512_u32.to_be_bytes());
        assert_eq!(size(&png), Some((1024, 512)));
        assert_eq!(tokens(&STANDARD.encode(&png)), picture(1024, 512));
        assert_eq!(size(b"GIF89a\x10\x00\x20\x00"), Some((16, 32)));
        // An application segment, fill bytes, then a progressive frame.
        let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08\x01\x00\x02\x00\x03";
        assert_eq!(size(jpeg), Some((512, 256)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x03\0\xff\x01\0";
        assert_eq!(size(webp), Some((1024, 512)));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xc3\x7f\x00";
        assert_eq!(size(lossless), Some((1024, 512)));
    }

    #[test]
    fn no_file_is_trouble() {
        for begin in [
            &b"\x89PNG\r\n\x1a\n"[..],
            b"GIF8",
            b"\xff\xd8\xff",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"%PDF",
        ] {
            for end in 0..=begin.len() {
                assert!(tokens(&STANDARD.encode(&begin[..end])) > 0);
            }
        }
        for text in ["", "=", "not base64 at all!", "é", "AAAA"] {
            assert!(tokens(text) > 0, "{text}");
        }
    }

    #[test]
    fn documents_by_their_pages() {
        let two = b"%PDF-1.4 /Type /Pages /Type /Page /Type/Page end of the document";
        assert_eq!(tokens(&STANDARD.encode(two)), 2 * PAGE);
        let long = [&b"%PDF-1.7"[..], &vec![0; 1_000_000]].concat();
        assert_eq!(tokens(&STANDARD.encode(long)), 11 * PAGE);
    }

    #[test]
    fn sound_by_its_length() {
        let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0".to_vec();
        wave.resize(44 + 320_000, 0);
        // 32,000 bytes a second, ten seconds.
        assert_eq!(tokens(&STANDARD.encode(wave)), 100);
    }
}
