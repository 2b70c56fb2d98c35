// The OpenAI SDK, chat completions.

import OpenAI from 'openai';

import { KEY, LIMIT, TIMEOUT, URL, finish, json } from '../common.js';

const FINISH = { stop: 'stop', length: 'length', tool_calls: 'calls', content_filter: 'refusal' };

export const client = new OpenAI({ apiKey: KEY, baseURL: `${URL}/v1`, maxRetries: 0, timeout: TIMEOUT });

/** What both of the vendor's protocols make of an exception. */
export const errors = {
  raised: [OpenAI.OpenAIError],
  kinds: {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    403: OpenAI.PermissionDeniedError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
    503: OpenAI.InternalServerError,
  },
  overflow: (error) => error.code === 'context_length_exceeded',
  status: (error) => error.status,
};

export default {
  ...errors,
  unsupported: {
    reasoning: 'the protocol has none, and the SDK drops what servers add',
    signed: 'the protocol has no place for reasoning',
  },

  user: (text) => [{ role: 'user', content: text }],

  results: (said) => said.map(([call, text]) => ({ role: 'tool', tool_call_id: call.id, content: text })),

  async ask({ model, turns, tools, schema, thinking, stream }) {
    const request = { model, messages: turns, max_completion_tokens: LIMIT };
    if (tools) {
      request.tools = tools.map(({ name, description, schema: parameters }) => ({
        type: 'function',
        function: { name, description, parameters },
      }));
    }
    if (schema) {
      request.response_format = { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } };
    }
    if (thinking) request.reasoning_effort = 'low';
    if (!stream) return read(await client.chat.completions.create(request));
    const pieces = { text: [], input: [] };
    const running = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    running.on('content', (delta) => pieces.text.push(delta));
    running.on('tool_calls.function.arguments.delta', (event) => pieces.input.push(event.arguments_delta));
    return { ...read(await running.finalChatCompletion()), pieces };
  },

  /** The loop that the SDK itself runs. */
  async loop({ model, text, tools, stream }) {
    const runner = client.chat.completions.runTools({
      model,
      stream,
      messages: [{ role: 'user', content: text }],
      tools: tools.map(({ name, description, schema, run }) => ({
        type: 'function',
        function: { name, description, parameters: schema, parse: JSON.parse, function: run },
      })),
    });
    return runner.finalContent();
  },
};

function read(answer) {
  const [{ message, finish_reason: reason }] = answer.choices;
  return {
    text: message.content ?? '',
    reasoning: '',
    calls: (message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      input: json(call.function.arguments),
    })),
    finish: finish(FINISH, reason),
    usage: { prompt: answer.usage.prompt_tokens, output: answer.usage.completion_tokens },
    turn: [plain(message)],
  };
}

/** What was said, without what the SDK's helper has read out of it: the provider refuses to be told that. */
function plain({ parsed, ...message }) {
  message.tool_calls = message.tool_calls?.map(({ function: { parsed_arguments, ...called }, ...call }) => ({
    ...call,
    function: called,
  }));
  return message;
}
