//! Scripted lanes: which fault a model's next request gets, and how many requests it had.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::{Fault, Raw};

/// Most lanes of a script, and most models that one of them may stand for in sum.
const MAX_LANES: usize = 1024;
const MAX_MODELS: usize = 16 * 1024;

/// Most faults of one lane, repetitions counted.
const MAX_FAULTS: usize = 4096;

/// Faults by lane, in turn. A copy is the same script, so it goes on where the other one is.
///
/// ```toml
/// [[lane]]
/// name = "a"                                   # of a model, or its beginning and a star
/// faults = ["2*status:500", "cut:middle", "ok", { status = 503, headers = { retry-after = "9" }, body = "no" }]
/// then = "repeat"                              # or a fault; "ok" when absent
/// ```
///
/// A lane is found by the model's name; a name that ends in a star stands for all that begin so, each of which
/// goes through the faults by itself. The lane `tls` says what becomes of handshakes.
#[derive(Clone, Debug, Default)]
pub struct Script {
    lanes: Vec<Lane>,
    models: Arc<Mutex<BTreeMap<String, Model>>>,
}

#[derive(Clone, Debug)]
struct Lane {
    name: String,
    faults: Vec<Fault>,
    /// `None` begins again.
    then: Option<Fault>,
}

/// How far a model is.
#[derive(Debug, Default)]
struct Model {
    requests: usize,
    played: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    lane: VecDeque<RawLane>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLane {
    name: String,
    #[serde(default)]
    faults: Vec<Raw>,
    #[serde(default)]
    then: Option<Raw>,
}

impl Script {
    /// Adds the lanes of a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        file.lane.into_iter().try_for_each(|lane| self.add(lane))
    }

    /// Adds one lane as a command line has it: `NAME=FAULT,FAULT,then=FAULT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_lane(&mut self, text: &str) -> Result<(), String> {
        let (name, faults) = text.split_once('=').ok_or_else(|| format!("{text:?} is no NAME=FAULTS"))?;
        let mut lane = RawLane { name: name.to_owned(), faults: Vec::new(), then: None };
        for word in faults.split(',').filter(|word| !word.is_empty()) {
            match word.strip_prefix("then=") {
                Some(then) => lane.then = Some(Raw::Text(then.to_owned())),
                None => lane.faults.push(Raw::Text(word.to_owned())),
            }
        }
        self.add(lane)
    }

    fn add(&mut self, raw: RawLane) -> Result<(), String> {
        let within = |why: String| format!("lane {:?}: {why}", raw.name);
        if raw.name.is_empty() || self.lanes.len() == MAX_LANES {
            return Err(within(format!("a script has at most {MAX_LANES} lanes, each with a name")));
        }
        let mut faults = Vec::new();
        for fault in raw.faults {
            let (times, fault) = repeated(fault).map_err(within)?;
            if faults.len() + times > MAX_FAULTS {
                return Err(within(format!("more than {MAX_FAULTS} faults")));
            }
            let fault = Fault::read(fault).map_err(within)?;
            faults.extend(std::iter::repeat_n(fault, times));
        }
        let then = match raw.then {
            None => Some(Fault::ok()),
            Some(Raw::Text(text)) if text == "repeat" => None,
            Some(then) => Some(Fault::read(then).map_err(within)?),
        };
        if then.is_none() && faults.is_empty() {
            return Err(within("nothing to repeat".to_owned()));
        }
        self.lanes.push(Lane { name: raw.name, faults, then });
        Ok(())
    }

    /// The fault of a model's next request, which is counted; `None` without a lane for it.
    pub(super) fn next(&self, model: &str) -> Option<Fault> {
        let lane = self.lanes.iter().find(|lane| lane.matches(model))?;
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= MAX_MODELS && !models.contains_key(model) {
            return None;
        }
        let at = models.entry(model.to_owned()).or_default();
        let fault = lane.nth(at.requests);
        at.requests += 1;
        *at.played.entry(fault.text.clone()).or_default() += 1;
        Some(fault)
    }

    /// Requests by model, and what each of them got.
    #[must_use]
    pub fn counts(&self) -> Value {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = models
            .iter()
            .map(|(name, model)| (name.clone(), json!({"requests": model.requests, "played": model.played})));
        json!({"lanes": counts.collect::<serde_json::Map<_, _>>()})
    }
}

impl Lane {
    fn matches(&self, model: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => self.name == model,
        }
    }

    fn nth(&self, n: usize) -> Fault {
        let turn = if self.then.is_none() { n % self.faults.len().max(1) } else { n };
        self.faults.get(turn).or(self.then.as_ref()).cloned().unwrap_or_else(Fault::ok)
    }
}

/// Takes the number off a fault that is to come several times: `3*ok`.
fn repeated(raw: Raw) -> Result<(usize, Raw), String> {
    let Raw::Text(text) = &raw else { return Ok((1, raw)) };
    let Some((times, fault)) = text.split_once('*') else { return Ok((1, raw)) };
    let times = times.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    Ok((times, Raw::Text(fault.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &Script, model: &str, count: usize) -> Vec<String> {
        (0..count).filter_map(|_| script.next(model)).map(|fault| fault.text).collect()
    }

    #[test]
    fn a_lane_goes_through_its_faults_and_then_on() {
        let mut script = Script::default();
        script
            .read(
                r#"
                [[lane]]
                name = "a"
                faults = ["2*status:500", "cut:12", { status = 503, headers = { retry-after = "9" }, body = "no" }]
                [[lane]]
                name = "b-*"
                faults = ["ok", "reset:head"]
                then = "repeat"
                "#,
            )
            .expect("a script");
        script.read_lane("c=html,then=status:429:retry-after=1").expect("a lane");
        assert_eq!(texts(&script, "a", 6), ["status:500", "status:500", "cut:12", "status:503", "ok", "ok"]);
        assert_eq!(texts(&script, "b-1", 3), ["ok", "reset:head", "ok"]);
        assert_eq!(texts(&script.clone(), "b-2", 1), ["ok"], "each model is by itself");
        assert_eq!(texts(&script, "c", 2), ["html", "status:429:retry-after=1"]);
        assert!(script.next("b").is_none());
        let counts = script.counts();
        assert_eq!(counts["lanes"]["a"]["requests"], 6);
        assert_eq!(counts["lanes"]["b-1"]["played"], json!({"ok": 2, "reset:head": 1}));
        assert_eq!(counts["lanes"]["b-2"]["requests"], 1, "a copy counts with its original");
    }

    #[test]
    fn a_wrong_script_says_where() {
        let mut script = Script::default();
        for (text, word) in [
            ("[[lane]]\nname = 'a'\nfaults = ['boom']", "boom"),
            ("[[lane]]\nname = 'a'\nfaults = ['x*ok']", "x*ok"),
            ("[[lane]]\nname = 'a'\nfaults = ['9999*ok']", "4096"),
            ("[[lane]]\nname = 'a'\nthen = 'repeat'", "nothing"),
            ("[[lane]]\nname = 'a'\nfaults = [{ status = 200 }]", "200"),
            ("[[lane]]\nname = ''", "name"),
            ("[[track]]\nname = 'a'", "track"),
        ] {
            let error = script.read(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(script.read_lane("a").is_err());
    }
}
