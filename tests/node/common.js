// What every client and every scenario needs.

import assert from 'node:assert/strict';

// Where the calls go: the gateway, or the simulator itself.
export const URL = process.env.BUSBAR_URL;

export const KEY = 'sk-test-caller';

// Milliseconds that any one call may take.
export const TIMEOUT = 20_000;

// Tokens that a thinking model may spend, and those of a whole answer.
export const THINKING_BUDGET = 1024;
export const LIMIT = 4096;

/** A stream told of an error in the way that the protocol documents, for which the SDK has no exception. */
export class Broken extends Error {}

/** Says what differs. */
export function equal(actual, expected, what) {
  assert.deepEqual(actual, expected, `${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

export function ok(truth, what) {
  assert.ok(truth, what);
}

/** Translates a reason to stop; an answer without one is not whole, and an unknown one is no reason. */
export function finish(reasons, reason) {
  ok(reason !== undefined && reason !== null, 'no reason to stop: the answer is cut and nothing says so');
  ok(reason in reasons, `unknown reason to stop: ${reason}`);
  return reasons[reason];
}

/** Arguments as JSON; none at all are an empty object. */
export function json(text) {
  return JSON.parse(text || '{}');
}
