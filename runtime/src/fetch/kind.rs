//! What a file is.

/// The media type of a picture or document by its first bytes, of a text by its label.
pub(super) fn of(bytes: &[u8], label: &str) -> Option<String> {
    let known = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        _ => {
            let label = label.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_text = label.starts_with("text/") || label == "application/json";
            return (is_text && std::str::from_utf8(bytes).is_ok()).then_some(label);
        }
    };
    Some(known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_more_than_the_label() {
        assert_eq!(of(b"\x89PNG\r\n", "text/html").as_deref(), Some("image/png"));
        assert_eq!(of(b"%PDF-1.7", "").as_deref(), Some("application/pdf"));
        assert_eq!(of(b"RIFF0000WEBPVP8 ", "image/png").as_deref(), Some("image/webp"));
        assert_eq!(of(b"a,b\n", "text/csv; charset=utf-8").as_deref(), Some("text/csv"));
        assert_eq!(of(b"\xff\xfe", "text/plain"), None);
        assert_eq!(of(b"<html>", "application/octet-stream"), None);
    }
}
