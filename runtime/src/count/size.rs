//! How large a request is, for the choice of a lane.

use busbar_catalog::{Price, Used};

use super::{ERROR_PERCENT, ceiling, estimate};

/// Tokens that an answer is taken to have at most, where a request allows more or does not say.
const USUAL_ANSWER: u64 = 1024;

/// What [`Price::of`] counts in, of a dollar.
const DOLLAR: f64 = 1e12;

/// How large a request is, by estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Tokens of its prompt.
    pub prompt: u64,
    /// Tokens that its answer is expected to have.
    pub answer: u64,
}

impl Size {
    /// Of a request in any protocol; none when it is no JSON object.
    pub fn of(body: &[u8]) -> Option<Self> {
        let answer = ceiling(body).unwrap_or(USUAL_ANSWER).min(USUAL_ANSWER);
        Some(Self { prompt: estimate(body)?, answer })
    }

    /// Whether its prompt may fit into a window of so many tokens: surely too large is what is so at the estimate's
    /// lower end.
    pub fn fits(self, window: u64) -> bool {
        self.prompt.saturating_mul(100 - ERROR_PERCENT) / 100 <= window
    }

    /// What it is expected to cost, in dollars.
    pub fn cost(self, price: &Price) -> f64 {
        price.of(&Used { input: self.prompt, output: self.answer, ..Used::default() }) as f64 / DOLLAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_large_as_its_prompt_and_its_bound() {
        let words = "word ".repeat(1000);
        let body = |more: &str| format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]{more}}}"#);
        let bounded = Size::of(body(r#","max_tokens":10"#).as_bytes()).unwrap();
        assert_eq!(bounded.answer, 10);
        assert!((800..1500).contains(&bounded.prompt), "{bounded:?}");
        assert_eq!(Size::of(body("").as_bytes()).unwrap().answer, USUAL_ANSWER);
        assert_eq!(Size::of(b"[]"), None);
        let size = Size { prompt: 1000, answer: 100 };
        assert!(size.fits(1000) && size.fits(850) && !size.fits(849));
        let price: Price = toml::from_str("input = 3.0\noutput = 15.0").unwrap();
        assert!((size.cost(&price) - 0.0045).abs() < 1e-9, "{}", size.cost(&price));
    }
}
