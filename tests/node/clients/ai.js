// The Vercel AI SDK, over whichever of its providers.

import { APICallError, Output, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';

import { LIMIT, TIMEOUT, finish } from '../common.js';

const FINISH = { stop: 'stop', length: 'length', 'tool-calls': 'calls', 'content-filter': 'refusal' };

// The providers bring copies of the class of their own.
const CallError = { [Symbol.hasInstance]: APICallError.isInstance };

// They go to the console.
globalThis.AI_SDK_LOG_WARNINGS = false;

/** A client of a provider: its options in every call, and those with which it asks for reasoning. */
export function client({ language, options: always, thinking, overflow, unsupported = {} }) {
  const common = ({ model, tools, run }) => ({
    model: language(model),
    maxRetries: 0,
    maxOutputTokens: LIMIT,
    providerOptions: always,
    abortSignal: AbortSignal.timeout(TIMEOUT),
    tools: tools && Object.fromEntries(tools.map((one) => [one.name, define(one, run)])),
  });
  return {
    unsupported,
    // What breaks in a stream is an error of the provider's own making.
    raised: [Error, Object],
    kinds: Object.fromEntries([400, 401, 403, 404, 429, 500, 503].map((status) => [status, CallError])),
    overflow: (error) => error.responseBody.includes(overflow),
    status: (error) => error.statusCode,

    user: (content) => [{ role: 'user', content }],

    results: (said) => [
      {
        role: 'tool',
        content: said.map(([{ id: toolCallId, name: toolName }, value]) => ({
          type: 'tool-result',
          toolCallId,
          toolName,
          output: { type: 'text', value },
        })),
      },
    ],

    async ask(request) {
      const options = { ...common(request), messages: request.turns };
      if (request.schema) options.output = Output.object({ schema: jsonSchema(request.schema) });
      if (request.thinking) options.providerOptions = thinking;
      if (!request.stream) return read(await generateText(options));
      const { result, pieces } = await consume(options);
      const names = ['text', 'reasoningText', 'toolCalls', 'finishReason', 'usage', 'responseMessages'];
      const values = await Promise.all(names.map((name) => result[name]));
      return { ...read(Object.fromEntries(names.map((name, at) => [name, values[at]]))), pieces };
    },

    /** The loop that the SDK itself runs. */
    async loop({ text: prompt, stream, ...request }) {
      const options = { ...common({ ...request, run: true }), prompt, stopWhen: isStepCount(4) };
      if (!stream) return (await generateText(options)).text;
      const { result } = await consume(options);
      return result.text;
    },
  };
}

function define({ description, schema, run }, runs) {
  return tool({ description, inputSchema: jsonSchema(schema), ...(runs && { execute: run }) });
}

/** Reads a stream to its end and throws the error that it tells of. */
async function consume(options) {
  // The default prints the error, which is thrown here as well.
  const result = streamText({ ...options, onError: () => {} });
  const pieces = { text: [], input: [] };
  for await (const part of result.stream) {
    if (part.type === 'text-delta') pieces.text.push(part.text);
    if (part.type === 'tool-input-delta') pieces.input.push(part.delta);
    if (part.type === 'error') throw part.error;
  }
  return { result, pieces };
}

function read(result) {
  return {
    text: result.text,
    reasoning: result.reasoningText ?? '',
    calls: result.toolCalls.map(({ toolCallId: id, toolName: name, input }) => ({ id, name, input })),
    finish: finish(FINISH, result.finishReason),
    usage: { prompt: result.usage.inputTokens, output: result.usage.outputTokens },
    turn: result.responseMessages,
  };
}
