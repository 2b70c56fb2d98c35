//! Looks for the texts that end an answer where the backend was not told of them.

/// Keeps back the end of a text that may be the beginning of one of the texts looked for.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    tail: String,
}

/// What can be passed on after more text has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Text that is certain.
    pub(super) text: String,
    /// The text that ended the answer.
    pub(super) stop: Option<String>,
}

impl Cutter {
    /// Takes more text.
    pub(super) fn push(&mut self, text: &str, stops: &[String]) -> Passed {
        let mut all = std::mem::take(&mut self.tail);
        all.push_str(text);
        if let Some((at, stop)) = hit(&all, stops) {
            all.truncate(at);
            return Passed { text: all, stop: Some(stop.to_owned()) };
        }
        if let Some(begun) = begun(&all, stops) {
            self.tail = all.split_off(begun);
        }
        Passed { text: all, stop: None }
    }

    /// Takes the end of the text: what was kept back.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.tail)
    }
}

/// The text that is complete first, as a provider that knew of it would have stopped there.
fn hit<'s>(all: &str, stops: &'s [String]) -> Option<(usize, &'s str)> {
    let hits = stops.iter().filter(|stop| !stop.is_empty());
    hits.filter_map(|stop| all.find(stop.as_str()).map(|at| (at, stop.as_str())))
        .min_by_key(|(at, stop)| (at + stop.len(), *at))
}

/// Where the end of `all` may be the beginning of one of the texts.
fn begun(all: &str, stops: &[String]) -> Option<usize> {
    let begins = |stop: &String| {
        let longest = stop.len().saturating_sub(1).min(all.len());
        (1..=longest)
            .rev()
            .map(|len| all.len() - len)
            .find(|at| all.is_char_boundary(*at) && stop.as_bytes().starts_with(&all.as_bytes()[*at..]))
    };
    stops.iter().filter_map(begins).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: &[&str], stops: &[&str]) -> (String, Option<String>) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut cutter = Cutter::default();
        let mut text = String::new();
        for piece in pieces {
            let passed = cutter.push(piece, &stops);
            text.push_str(&passed.text);
            if passed.stop.is_some() {
                return (text, passed.stop);
            }
        }
        text.push_str(&cutter.finish());
        (text, None)
    }

    #[test]
    fn a_sequence_over_several_pieces_is_found() {
        let hit = Some("</severity>".to_owned());
        assert_eq!(run(&["high</sev", "erity> more"], &["</severity>"]), ("high".into(), hit));
        assert_eq!(run(&["high</sev", "eral>"], &["</severity>"]), ("high</several>".into(), None));
        assert_eq!(run(&["a<", "<", "b"], &["<<b"]), ("a".into(), Some("<<b".into())));
        assert_eq!(run(&["é", "北", "京"], &["北京"]), ("é".into(), Some("北京".into())));
        assert_eq!(run(&["ab", "c"], &["abc", "b"]), ("a".into(), Some("b".into())), "complete first");
        assert_eq!(run(&["xabc"], &["bc", "abc"]), ("x".into(), Some("abc".into())));
    }

    #[test]
    fn what_cannot_be_a_sequence_is_not_kept_back() {
        let stops = ["\n\n".to_owned()];
        let mut cutter = Cutter::default();
        assert_eq!(cutter.push("a\nb", &stops).text, "a\nb");
        assert_eq!(cutter.push("c\n", &stops).text, "c");
        assert_eq!(cutter.push("d", &stops).text, "\nd");
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_cut(
            text in "[ab\n北]{0,24}",
            stops in proptest::collection::vec("[ab\n北]{1,3}", 1..4),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let mut buffer = [0; 4];
            let singles: Vec<String> = text.chars().map(|c| c.encode_utf8(&mut buffer).to_owned()).collect();
            let singles: Vec<&str> = singles.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&singles, &stops), run(&[&text], &stops));
        }
    }
}
