//! What providers say within a stream: the errors of `translate/tests/errors` that have one.

use super::super::event_stream::write_exception;
use super::*;
use crate::translate::tests::errors::cases;

/// The exceptions that a stream of Bedrock's can end with.
const EXCEPTIONS: [&str; 6] = [
    "internalServerException",
    "modelStreamErrorException",
    "modelTimeoutException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
];

#[test]
fn what_providers_say_within_a_stream_is_understood() {
    let mut wrong = Vec::new();
    for protocol in Protocol::ALL {
        let mut tried = 0;
        for case in cases(protocol).into_iter().filter(|case| !case.stream.is_empty()) {
            let mut input = case.stream.clone().into_bytes();
            if let Some(kind) = EXCEPTIONS.into_iter().find(|kind| *kind == case.exception) {
                let data = std::mem::take(&mut input);
                write_exception(&mut input, kind, data);
            }
            let client =
                if protocol == Protocol::Anthropic { Protocol::OpenaiChat } else { Protocol::Anthropic };
            let run = run(&call(client, protocol), &input);
            assert_eq!(run.meaningful_after, None, "{protocol}: {}", case.name);
            let Err(StreamFault::Upstream(fault)) = run.result else {
                wrong.push(format!("{protocol}: {}: {:?}", case.name, run.result));
                continue;
            };
            let wait = fault.retry_after.map(|wait| wait.as_millis().try_into().unwrap());
            let found = (fault.class.name().to_owned(), Some(fault.status), wait);
            let expected = (case.class, case.told, case.wait);
            if found != expected {
                wrong.push(format!("{protocol}: {}:\n  {found:?}\nfor {expected:?}", case.name));
            }
            tried += 1;
        }
        assert!(tried >= 2, "{protocol} has {tried} errors within a stream: {wrong:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
